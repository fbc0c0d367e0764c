"""
How much more errors scatter than independent ones would, learnt from the stable pods alone.

Errors come in clusters (retries, pod incidents, one pod that is always worse), and evidence that takes them for
independent rolls healthy candidates back. ``phi`` is estimated before a rollout, and counts are divided by it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from modelramp.analysis.block import Counts
from modelramp.analysis.evidence import PHI_UNKNOWN

SCALES: Final = (1.0, 5.0, 15.0, 60.0)
"""Minutes. Retries show at once, incidents and lasting differences between pods only over longer windows: with the
shortest scale alone, false rollbacks stay at 13 to 20 % in such worlds, with the largest of the four at 1 % or less."""

MIN_WINDOWS: Final = 5
"""Windows with two or more events that a scale needs to be heard. A window with a single event is counted but can show
no cluster, whatever the world is like: its term always equals its degrees of freedom when pods share traffic evenly."""

MORE_PODS_RATIO: Final = 3.0  # above it lasting differences between pods dominate, and waiting does not average them


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
