"""
What the stable pods' past tells before a rollout: how much events scatter, and where the calls' durations lie.

The past is read in stretches, newest first, each by the same rules as a block of the rollout, and put into windows of a
minute per pod. A stretch is forgotten once it is in its windows, so a day costs no more memory than a few hours. How
the past is cut into stretches changes nothing, as long as no pod goes unscraped for longer than a stretch's samples
reach back before it.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from modelramp.analysis.block import Counts
from modelramp.analysis.buckets import edge_of, observed
from modelramp.analysis.counters import NO_PODS, ArmSeries, step_increments
from modelramp.analysis.dispersion import Dispersion, PodHistory, estimate_dispersion
from modelramp.analysis.evidence import PHI_UNKNOWN
from modelramp.analysis.histogram import Histogram
from modelramp.analysis.nativebuckets import as_buckets, has_native
from modelramp.analysis.podcounts import pod_of
from modelramp.analysis.tailplan import OverThreshold, QuantileLimit, Question, TailPlan, plan_tails
from modelramp.analysis.targets import Identity, Pods, Series, Target, Window, find_targets

WINDOW_SECONDS = 60.0

_Windows = dict[str, dict[int, float]]
_Rows = Mapping[str, tuple[Counts | None, ...]]


def _windows(selected: Iterable[Series], window: Window, targets: Mapping[Identity, Target]) -> _Windows:
    """Increments by pod and by minute, the first minute being number 0; each minute includes its end, as blocks do."""
    begin = window.after.timestamp()
    found: _Windows = {}
    for one in {one.identity: one for one in selected}.values():
        pod = pod_of(one)
        if pod is None:
            continue
        own = found.setdefault(pod, {})
        for at, grown in step_increments(one, window, targets[one.target]):
            place = math.ceil((at - begin) / WINDOW_SECONDS) - 1
            own[place] = own.get(place, 0.0) + grown
    return found


def _rows(total: _Windows, bad: _Windows, length: int) -> _Rows:
    return {
        pod: tuple(_counts(total[pod].get(at), bad.get(pod, {}).get(at, 0.0)) for at in range(length)) for pod in total
    }


def _counts(total: float | None, bad: float) -> Counts | None:
    return None if total is None or bad > total else Counts(total, bad)


@dataclass(frozen=True, slots=True)
class RateHistory:
    """
    Exposures and events of the stable pods, minute by minute.

    Attributes:
        rows: Per pod the windows that were looked at, oldest first, all equally many; None where the pod was not
            scraped, or had more events than exposures.
        length: Windows that were looked at.

    """

    rows: _Rows = field(default_factory=dict)
    length: int = 0

    def before(self, arm: ArmSeries, window: Window, pods: Pods = NO_PODS) -> "RateHistory":
        """
        Put the stretch (after, until] before what is known.

        Raises:
            ValueError: If its length is no whole number of minutes.

        """
        targets, length = find_targets((*arm.total, *arm.bad), window, pods), _length(window)
        total, bad = (_windows(selected, window, targets) for selected in (arm.total, arm.bad))
        rows = _joined(_rows(total, bad, length), length, self.rows, self.length)
        return RateHistory(rows, length + self.length)

    @property
    def dispersion(self) -> Dispersion:
        """Overdispersion of the events; ``PHI_UNKNOWN`` with fewer than two pods or too few events."""
        return _dispersion(self.rows)

    @property
    def _known(self) -> list[Counts]:
        return [counts for row in self.rows.values() for counts in row if counts is not None]

    @property
    def rps(self) -> float | None:
        """Requests a second of all pods together, while any was known; None if none ever was."""
        minutes = sum(any(counts is not None for counts in at) for at in zip(*self.rows.values(), strict=True))
        return sum(counts.n for counts in self._known) / (minutes * WINDOW_SECONDS) if minutes else None

    @property
    def rate(self) -> float | None:
        """Events per exposure; None without exposures."""
        exposures = sum(counts.n for counts in self._known)
        return sum(counts.x for counts in self._known) / exposures if exposures else None


@dataclass(frozen=True, slots=True)
class TailHistory:
    """
    The stable pods' calls, minute by minute, above each edge.

    Attributes:
        stable: All calls of the past.
        rows: For each edge, per pod the windows that were looked at, oldest first; None where the pod was not scraped.
        length: Windows that were looked at.

    """

    stable: Histogram | None = None
    rows: Mapping[float, _Rows] = field(default_factory=dict)
    length: int = 0

    def before(
        self,
        buckets: Sequence[Series],
        window: Window,
        *,
        factor: float = 1.0,
        pods: Pods = NO_PODS,
        question: Question | None = None,
    ) -> "TailHistory":
        """
        Put the stretch (after, until] before what is known.

        Args:
            buckets: Series of cumulative buckets, or native histograms.
            window: Which samples were fetched, and which increments are wanted.
            factor: What the edges are multiplied by.
            pods: What is known about creation and start times.
            question: What is asked: the edge it names is one of a native histogram whether or not calls were so slow.

        Raises:
            ValueError: If the series are no histogram, or its length is no whole number of minutes.

        """
        if has_native(buckets):
            named = [question.seconds / factor] if isinstance(question, OverThreshold | QuantileLimit) else []
            (buckets,) = as_buckets((buckets,), also=named)
        targets, length = find_targets(buckets, window, pods), _length(window)
        found = observed(buckets, window, targets, factor=factor)
        if found is None:
            silent = {edge: _joined({}, length, rows, self.length) for edge, rows in self.rows.items()}
            return TailHistory(self.stable, silent, length + self.length)
        edges = found.edges if self.stable is None else sorted(set(found.edges) & set(self.stable.edges))
        merged = found if self.stable is None else found.restricted(edges) + self.stable.restricted(edges)
        by_edge: dict[float, list[Series]] = {}
        for one in buckets:
            by_edge.setdefault(edge_of(one, factor), []).append(one)
        whole = _windows(by_edge[math.inf], window, targets)
        rows = {}
        for edge in edges:
            new = _rows(whole, _above(whole, _windows(by_edge[edge], window, targets)), length)
            rows[edge] = _joined(new, length, self.rows.get(edge, {}), self.length)
        return TailHistory(merged, rows, length + self.length)

    def require_edge(self, question: Question | None) -> None:
        """
        Refuse a threshold or limit that is none of the edges known so far; of another question nothing is said.

        Raises:
            NoSuchEdgeError: It lies between two edges.

        """
        if self.stable is not None and isinstance(question, OverThreshold | QuantileLimit):
            self.stable.counts(question.seconds)

    def plan(self, question: Question | None) -> TailPlan:
        """
        Which edges are judged.

        Raises:
            ValueError: If nothing was observed, or as for ``plan_tails``.

        """
        if self.stable is None or self.stable.n == 0.0:
            raise ValueError("stable has answered no call yet in the time looked back on")
        return plan_tails(self.stable, question)

    def dispersion(self, plan: TailPlan) -> Dispersion:
        """Overdispersion of the calls above the gating edges: the largest that is known, else ``PHI_UNKNOWN``."""
        found = [_dispersion(self.rows[gate.edge]) for gate in plan.gates if gate.edge in self.rows]
        known = [one for one in found if one.known]
        return max(known, key=lambda one: one.phi, default=Dispersion(PHI_UNKNOWN, known=False))


def _dispersion(rows: _Rows) -> Dispersion:
    return estimate_dispersion([PodHistory(row) for row in rows.values()], window_seconds=WINDOW_SECONDS)


def _above(whole: _Windows, below: _Windows) -> _Windows:
    return {
        pod: {at: max(0.0, number - below.get(pod, {}).get(at, 0.0)) for at, number in windows.items()}
        for pod, windows in whole.items()
    }


def _joined(older: _Rows, length: int, newer: _Rows, known: int) -> _Rows:
    """Rows of ``length`` and of ``known`` windows after one another; a pod that one of them lacks was not there."""
    return {
        pod: (*older.get(pod, (None,) * length), *newer.get(pod, (None,) * known)) for pod in sorted({*older, *newer})
    }


def _length(window: Window) -> int:
    minutes, rest = divmod((window.until - window.after).total_seconds(), WINDOW_SECONDS)
    if rest:
        raise ValueError(f"no whole number of minutes: {window.after} to {window.until}")
    return int(minutes)
