"""
What the stable pods' past tells before a rollout: how much events scatter, and where the calls' durations lie.

The past is read in stretches, newest first, each by the same rules as a block of the rollout, and put into windows of a
minute per pod. A stretch is forgotten once it is in its windows, so a day costs no more memory than a few hours.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from modelramp.analysis.block import Counts
from modelramp.analysis.buckets import edge_of, observed
from modelramp.analysis.counters import NO_PODS, ArmSeries, step_increments
from modelramp.analysis.dispersion import Dispersion, PodHistory, estimate_dispersion
from modelramp.analysis.evidence import PHI_UNKNOWN
from modelramp.analysis.histogram import Histogram
from modelramp.analysis.podcounts import pod_of
from modelramp.analysis.tailplan import Question, TailPlan, plan_tails
from modelramp.analysis.targets import Pods, Series, Window, find_targets

WINDOW_SECONDS = 60.0

_Windows = dict[str, dict[int, float]]


def _windows(selected: Iterable[Series], window: Window, pods: Pods, all_series: Sequence[Series]) -> _Windows:
    """Increments by pod and by minute, counted from the beginning of the stretch."""
    targets, begin = find_targets(all_series, window, pods), window.after.timestamp()
    found: _Windows = {}
    for one in {one.identity: one for one in selected}.values():
        pod = pod_of(one)
        if pod is None:
            continue
        own = found.setdefault(pod, {})
        for at, grown in step_increments(one, window, targets[one.target]):
            place = int((at - begin) // WINDOW_SECONDS)
            own[place] = own.get(place, 0.0) + grown
    return found


def _rows(total: _Windows, bad: _Windows, length: int) -> dict[str, tuple[Counts | None, ...]]:
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
        rows: Per pod the windows that are known, oldest first, all equally many.

    """

    rows: Mapping[str, tuple[Counts | None, ...]] = field(default_factory=dict)

    def before(self, arm: ArmSeries, window: Window, pods: Pods = NO_PODS) -> "RateHistory":
        """Put the stretch (after, until] before what is known; its length is a whole number of minutes."""
        series = (*arm.total, *arm.bad)
        total, bad = (_windows(selected, window, pods, series) for selected in (arm.total, arm.bad))
        return RateHistory(_joined(_rows(total, bad, _length(window)), self.rows, _length(window)))

    @property
    def dispersion(self) -> Dispersion:
        """Overdispersion of the events; ``PHI_UNKNOWN`` with fewer than two pods or too few events."""
        return estimate_dispersion([PodHistory(row) for row in self.rows.values()], window_seconds=WINDOW_SECONDS)


@dataclass(frozen=True, slots=True)
class TailHistory:
    """
    The stable pods' calls, minute by minute, above each edge.

    Attributes:
        stable: All calls of the past.
        rows: For each edge, per pod the windows that are known, oldest first.
        length: Windows that are known.

    """

    stable: Histogram | None = None
    rows: Mapping[float, Mapping[str, tuple[Counts | None, ...]]] = field(default_factory=dict)
    length: int = 0

    def before(
        self, buckets: Sequence[Series], window: Window, *, factor: float = 1.0, pods: Pods = NO_PODS
    ) -> "TailHistory":
        """
        Put the stretch (after, until] before what is known; its length is a whole number of minutes.

        Raises:
            ValueError: If the series are no classic histogram.

        """
        found = observed(buckets, window, find_targets(buckets, window, pods), factor=factor)
        if found is None:
            return self
        edges = found.edges if self.stable is None else sorted(set(found.edges) & set(self.stable.edges))
        merged = found if self.stable is None else found.restricted(edges) + self.stable.restricted(edges)
        by_edge: dict[float, list[Series]] = {}
        for one in buckets:
            by_edge.setdefault(edge_of(one, factor), []).append(one)
        below = {edge: _windows(series, window, pods, buckets) for edge, series in by_edge.items()}
        length = _length(window)
        rows = {
            edge: _joined(_rows(below[float("inf")], _above(below[float("inf")], below[edge]), length),
                          self.rows.get(edge, {}), length)
            for edge in edges
        }  # fmt: skip
        return TailHistory(merged, rows, self.length + length)

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
        found = [
            estimate_dispersion(
                [PodHistory(row) for row in self.rows[gate.edge].values()], window_seconds=WINDOW_SECONDS
            )
            for gate in plan.gates
            if gate.edge in self.rows
        ]
        known = [one for one in found if one.known]
        return max(known, key=lambda one: one.phi, default=Dispersion(PHI_UNKNOWN, known=False))


def _above(whole: _Windows, below: _Windows) -> _Windows:
    return {
        pod: {at: max(0.0, number - below.get(pod, {}).get(at, 0.0)) for at, number in windows.items()}
        for pod, windows in whole.items()
    }


def _joined(
    older: Mapping[str, tuple[Counts | None, ...]], newer: Mapping[str, tuple[Counts | None, ...]], length: int
) -> dict[str, tuple[Counts | None, ...]]:
    known = max((len(row) for row in newer.values()), default=0)
    return {
        pod: (*older.get(pod, (None,) * length), *newer.get(pod, (None,) * known)) for pod in sorted({*older, *newer})
    }


def _length(window: Window) -> int:
    return round((window.until - window.after).total_seconds() / WINDOW_SECONDS)
