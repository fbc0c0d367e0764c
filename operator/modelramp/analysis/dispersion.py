"""
How much more errors scatter than independent ones would, learnt from the stable pods alone.

Errors come in clusters (retries, pod incidents, one pod that is always worse), and evidence that takes them for
independent rolls healthy candidates back. Three answers: ``phi``, estimated before a rollout, by which counts are
divided; a guard that tests stable pods against each other during the rollout, to notice when ``phi`` was not enough;
and ``tau``, the same idea for a series of means.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import islice
from typing import Final, TypedDict

from modelramp.analysis.block import Block, Counts
from modelramp.analysis.eprocess import HARM_GRID, EProcess, Null, Wealth
from modelramp.analysis.evidence import NOTHING, PHI_UNKNOWN
from modelramp.analysis.margin import RHO_HARM

SCALES: Final = (1.0, 5.0, 15.0, 60.0)
"""Minutes. Retries show at once, incidents and lasting differences between pods only over longer windows: with the
shortest scale alone, false rollbacks stay at 13 to 20 % in such worlds, with the largest of the four at 1 % or less."""

MIN_WINDOWS: Final = 5
"""Windows with two or more events that a scale needs to be heard. A window with a single event is counted but can show
no cluster, whatever the world is like: its term always equals its degrees of freedom when pods share traffic evenly."""

MORE_PODS_RATIO: Final = 3.0  # above it lasting differences between pods dominate, and waiting does not average them

GUARD_ODDS: Final = 20.0  # with the number of accounts: false alarms in at most 5 % of rollouts
MAX_GUARDED: Final = 16  # pods tested one by one; 130 bytes of state each

MIN_POINTS: Final = 30  # values of a series below which its autocorrelation is mostly noise
MAX_LAG: Final = 240  # four hours of minutes; bounds the work, and never more than a quarter of the series


@dataclass(frozen=True, slots=True)
class PodHistory:
    """
    What one stable pod counted in a row of equally long windows before the rollout.

    Attributes:
        windows: Counts per base window, oldest first; None where the pod did not exist or was not scraped.

    """

    windows: tuple[Counts | None, ...]

    def merged(self, first: int, size: int) -> Counts:
        """Add up ``size`` windows from number ``first`` on; missing ones add nothing."""
        found = [counts for counts in self.windows[first : first + size] if counts is not None]
        return Counts(math.fsum(counts.n for counts in found), math.fsum(counts.x for counts in found))


@dataclass(frozen=True, slots=True)
class ScaleDispersion:
    """
    The estimate from windows of one length.

    Attributes:
        minutes: Length of a window.
        phi: Pearson statistic per degree of freedom; expected to be 1 for independent errors, may be below.
        windows: Windows it rests on: those with an event and at least two pods with traffic.
        freedom: Degrees of freedom, the sum of (pods - 1) over these windows.

    """

    minutes: float
    phi: float
    windows: int
    freedom: int


@dataclass(frozen=True, slots=True)
class Dispersion:
    """
    Overdispersion of one metric, fixed before the rollout.

    Attributes:
        phi: What to divide counts by, at least 1.
        known: False if the history said nothing and ``phi`` is ``PHI_UNKNOWN``.
        by_scale: The estimates it is the largest of, shortest windows first; empty if not known.

    Raises:
        ValueError: If ``phi`` is below 1 or not finite.

    """

    phi: float
    known: bool
    by_scale: tuple[ScaleDispersion, ...] = ()

    def __post_init__(self) -> None:
        """Refuse an overdispersion that would add evidence."""
        if not 1.0 <= self.phi < math.inf:
            raise ValueError(f"overdispersion below 1: {self.phi}")

    def at(self, minutes: float) -> float | None:
        """Return the estimate at one scale, at least 1; None if the history did not reach for it."""
        found = [scale.phi for scale in self.by_scale if scale.minutes == minutes]
        return max(1.0, found[0]) if found else None

    @property
    def advises_more_pods(self) -> bool:
        """
        Whether a candidate on more pods (3 or more) is recommended: phi over an hour above 3 times phi over a minute.

        Noise of pods is averaged by pods, never by waiting. False while either scale is not known.
        """
        minute, hour = self.at(SCALES[0]), self.at(SCALES[-1])
        return minute is not None and hour is not None and hour > MORE_PODS_RATIO * minute


def estimate_dispersion(
    pods: Sequence[PodHistory], *, window_seconds: float, scales: Sequence[float] = SCALES
) -> Dispersion:
    """
    Estimate phi from the stable pods' look-back (2 h at least, better 24 h).

    At each scale, X2 = sum over windows and pods of (x_i - K n_i/N)^2 / (K n_i/N), with K events and N exposures of all
    pods in the window, divided by the sum of (pods - 1). Pods without exposures and windows without events are not part
    of it. What hits all pods alike cancels. phi is the largest estimate, at least 1.

    Longer windows are merged from base windows, the last ones ending with the history; an incomplete first one is
    dropped. A scale is left out if it is no whole multiple of the base window or has fewer than ``MIN_WINDOWS`` windows
    with two or more events.

    Args:
        pods: One row per stable pod, in any order, all over the same base windows.
        window_seconds: Length of a base window, above 0.
        scales: Lengths of windows to look at, in minutes, above 0.

    Returns:
        ``PHI_UNKNOWN``, and ``known`` False, with fewer than two pods or without any usable scale.

    Raises:
        ValueError: If rows differ in length or a length of time is not above 0.

    """
    if not 0.0 < window_seconds < math.inf:
        raise ValueError(f"a base window of {window_seconds} seconds")
    if not all(0.0 < minutes < math.inf for minutes in scales):
        raise ValueError(f"scales must be above 0 minutes: {tuple(scales)}")
    lengths = {len(pod.windows) for pod in pods}
    if len(lengths) > 1:
        raise ValueError(f"pods with different numbers of windows: {sorted(lengths)}")
    found = [_at_scale(pods, minutes, minutes * 60.0 / window_seconds) for minutes in sorted(set(scales))]
    by_scale = tuple(scale for scale in found if scale is not None)
    if not by_scale:
        return Dispersion(PHI_UNKNOWN, known=False)
    return Dispersion(max(1.0, *(scale.phi for scale in by_scale)), known=True, by_scale=by_scale)


def _at_scale(pods: Sequence[PodHistory], minutes: float, size: float) -> ScaleDispersion | None:
    whole = round(size)
    if len(pods) < 2 or whole < 1 or not math.isclose(size, whole):  # noqa: PLR2004 - two pods make a comparison
        return None
    length = len(pods[0].windows)
    windows = [_pearson([pod.merged(first, whole) for pod in pods]) for first in range(length % whole, length, whole)]
    heard = [window for window in windows if window is not None]
    if sum(window.events >= 2.0 for window in heard) < MIN_WINDOWS:  # noqa: PLR2004 - two events make a cluster
        return None
    freedom = sum(window.freedom for window in heard)
    return ScaleDispersion(minutes, math.fsum(window.statistic for window in heard) / freedom, len(heard), freedom)


@dataclass(frozen=True, slots=True)
class _Window:
    """One window's term: statistic, degrees of freedom (at least 1) and events (above 0)."""

    statistic: float
    freedom: int
    events: float


def _pearson(pods: Sequence[Counts]) -> _Window | None:
    serving = [counts for counts in pods if counts.n > 0.0]
    events, exposures = math.fsum(counts.x for counts in serving), math.fsum(counts.n for counts in serving)
    if len(serving) < 2 or events <= 0.0:  # noqa: PLR2004 - as above
        return None
    expected = [events * (counts.n / exposures) for counts in serving]
    statistic = math.fsum((counts.x - mean) ** 2 / mean for counts, mean in zip(serving, expected, strict=True))
    return _Window(statistic, len(serving) - 1, events)


class GuardState(TypedDict):
    """
    Stored form of ``PodGuard``: about 130 bytes of compact JSON per guarded pod.

    ``pods`` maps names to bets and unstarted fraction. ``culprit`` and ``until`` are empty for none and never.
    """

    pods: dict[str, list[float]]
    opened: int
    culprit: str
    phi: float
    until: str


@dataclass(frozen=True, slots=True)
class PodGuard:
    """
    Tests each stable pod against all other stable pods for harm, as the candidate is tested against them.

    Stable pods run one version, so evidence of harm among them means that errors scatter more than ``phi`` allows for:
    the rollout's evidence is not to be trusted until phi is raised. An alarm stays.

    One account per pod name, ``MAX_GUARDED`` at most. A pod gets one with its first exposures; a pod that is gone keeps
    its own until the place is needed, then the least evidence goes first. Pods beyond that number, later in order of
    their names, are tested by nobody but are part of everybody's rest. The threshold is ``GUARD_ODDS`` times the
    accounts ever opened: false alarms in at most 5 % of rollouts, and with pods replaced until m were opened after n
    at first, at most 5 % times (1 + ln(m/n)).

    Attributes:
        accounts: Names in order, each with its evidence of harm.
        opened: Accounts ever opened.
        culprit: The pod that was first to reach the threshold; None while nobody did.
        phi: Overdispersion that the rollout's evidence is divided by, at least 1.
        counted_until: End of what has been counted, aware; None before anything was.

    """

    accounts: tuple[tuple[str, EProcess], ...]
    opened: int
    culprit: str | None
    phi: float
    counted_until: datetime | None

    def __post_init__(self) -> None:
        """Refuse a state that no counting can lead to."""
        if not 1.0 <= self.phi < math.inf:
            raise ValueError(f"overdispersion below 1: {self.phi}")
        if not len(self.accounts) <= min(self.opened, MAX_GUARDED):
            raise ValueError(f"{len(self.accounts)} accounts of {self.opened} opened, at most {MAX_GUARDED} kept")

    @classmethod
    def begin(cls, *, phi: float = 1.0, counted_until: datetime | None = None) -> "PodGuard":
        """Start with no pod; what happened up to ``counted_until`` is not part of it."""
        return cls((), 0, None, phi, counted_until)

    @property
    def flagged(self) -> bool:
        """Whether stable pods have been shown to differ by more than ``phi`` allows for."""
        return self.culprit is not None

    def observe(
        self, start: datetime, end: datetime, pods: Mapping[str, Counts], *, floor: float, wealth: Wealth
    ) -> "PodGuard":
        """
        Count what every stable pod did over (start, end], once; a replay changes nothing.

        Args:
            start: Aware instant, itself not included.
            end: Aware instant, included.
            pods: Counts by pod name. A pod without exposures says nothing; nor does one alone.
            floor: Absolute rate too small to count as harm, at least 0: the epsilon of the rollout's harm margin.
            wealth: When bets start, as for the metric itself; a pod's start is its first exposures.

        Raises:
            ValueError: If the instants are no stretch of time, the stretch begins before ``counted_until`` and ends
                after it, or the floor is negative.

        """
        null, stretch = Null(RHO_HARM, floor), Block(start, end, NOTHING, NOTHING)
        if self.counted_until is not None:
            if end <= self.counted_until:
                return self
            if start < self.counted_until:
                raise ValueError(f"block from {start} overlaps what was counted until {self.counted_until}")
        serving = {name: pods[name] for name in sorted(pods) if pods[name].n > 0.0}
        kept = self._with_accounts_for(serving, wealth.at_start)
        for name in serving.keys() & kept.keys():
            against_rest = _against_rest(name, serving, stretch)
            kept[name] = kept[name].start_wealth(wealth.per_block).update(against_rest, null, self.phi)
        opened = self.opened + len(kept.keys() - dict(self.accounts).keys())
        return PodGuard(
            accounts=tuple(sorted(kept.items())),
            opened=opened,
            culprit=self.culprit or _culprit(kept, opened),
            phi=self.phi,
            counted_until=end,
        )

    def _with_accounts_for(self, serving: Mapping[str, Counts], started: float) -> dict[str, EProcess]:
        """Open accounts for new pods, as far as there is room or a pod that is gone makes some."""
        kept = dict(self.accounts)
        gone = sorted(kept.keys() - serving.keys(), key=lambda name: (kept[name].log_value, name))
        room = MAX_GUARDED - len(kept)
        welcome = sorted(serving.keys() - kept.keys())[: room + len(gone)]
        for name in gone[: max(0, len(welcome) - room)]:
            del kept[name]
        return kept | dict.fromkeys(welcome, EProcess.begin(HARM_GRID, started=started))

    def to_state(self) -> GuardState:
        """Stored form; ``from_state`` gives back an equal value."""
        until = self.counted_until
        return GuardState(
            pods={name: account.to_state() for name, account in self.accounts},
            opened=self.opened,
            culprit=self.culprit or "",
            phi=self.phi,
            until="" if until is None else until.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        )

    @classmethod
    def from_state(cls, state: GuardState) -> "PodGuard":
        """
        Restore what ``to_state`` wrote.

        Raises:
            ValueError: If the state is damaged or of another grid.

        """
        until = state["until"]
        return cls(
            accounts=tuple(
                (name, EProcess.from_state(HARM_GRID, logs)) for name, logs in sorted(state["pods"].items())
            ),
            opened=int(state["opened"]),
            culprit=state["culprit"] or None,
            phi=float(state["phi"]),
            counted_until=datetime.fromisoformat(until) if until else None,
        )


def _culprit(accounts: Mapping[str, EProcess], opened: int) -> str | None:
    suspects = {name: account.log_value for name, account in accounts.items()}
    shown = [name for name, log in suspects.items() if log >= math.log(GUARD_ODDS * opened)]
    return max(sorted(shown), key=suspects.__getitem__, default=None)


def _against_rest(name: str, serving: Mapping[str, Counts], stretch: Block) -> Block:
    rest = sum((counts for other, counts in serving.items() if other != name), start=NOTHING)
    return replace(stretch, candidate=serving[name], stable=rest)


def autocorrelation_time(series: Sequence[float | None]) -> float | None:
    """
    Return how many values of a series say as much as one independent value: tau = 1 + 2 (sum of autocorrelations).

    The sum runs over lags 1, 2, ... up to the first autocorrelation that is not positive, ``MAX_LAG`` or a quarter of
    the series; a dependence that lasts longer than that is understated. Pairs with a missing value are left out.

    Args:
        series: Evenly spaced values, oldest first; None, NaN or infinite where one is missing.

    Returns:
        At least 1. None if it is not known: fewer than ``MIN_POINTS`` values, values that are all equal, or gaps that
        leave a lag without a single pair.

    """
    values = [_finite(value) for value in series]
    known = [value for value in values if value is not None]
    if len(known) < MIN_POINTS or min(known) == max(known):
        return None
    mean = math.fsum(known) / len(known)
    offsets = [None if value is None else value - mean for value in values]
    spread = math.fsum((value - mean) ** 2 for value in known) / len(known)
    total = 0.0
    for lag in range(1, min(MAX_LAG, len(series) // 4) + 1):
        shared = _covariance(offsets, lag)
        if shared is None:
            return None
        if shared <= 0.0:
            break
        total += shared / spread
    return 1.0 + 2.0 * total


def _covariance(offsets: Sequence[float | None], lag: int) -> float | None:
    pairs = zip(offsets, islice(offsets, lag, None), strict=False)
    products = [early * late for early, late in pairs if early is not None and late is not None]
    return math.fsum(products) / len(products) if products else None


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
