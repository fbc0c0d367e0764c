"""
From raw samples of a gauge to the means that ``betting`` compares, and what stable's past tells about their spread.

A gauge cannot be counted, so nothing here depends on samples before the block: a block holds the samples within it.
This module does no I/O.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from modelramp.analysis.autocorrelation import autocorrelation_time
from modelramp.analysis.betting import GaugeBlock, GaugeMargins, scale_of_differences
from modelramp.analysis.counters import Absence, NoData
from modelramp.analysis.podcounts import pod_of
from modelramp.analysis.targets import Series, Window

Aggregate = Callable[[Sequence[float]], float]
"""What the means of an arm's series, at least one, become together."""

HARM_PART = 0.5  # of the growth that is allowed: between the two margins either answer is right

_Bins = Mapping[int, float]


def mean_of(values: Sequence[float]) -> float:
    """Arithmetic mean of at least one value."""
    return math.fsum(values) / len(values)


def gauge_margins(growth: float) -> GaugeMargins:
    """
    Margins of a gauge that may be above stable's by a fraction, above 0: certified below it, harmful above half of it.

    Raises:
        ValueError: If the growth is not above 0.

    """
    return GaugeMargins(harm=HARM_PART * growth, ok=growth)


def gauge_block(
    candidate: Sequence[Series], stable: Sequence[Series], window: Window, aggregate: Aggregate
) -> GaugeBlock | NoData:
    """
    Compare both arms' means over (after, until].

    Every series gives the mean of its samples within the block, and an arm what these become together: pods are
    scraped at different instants, so there is no instant at which all of them are known.

    Args:
        candidate: The candidate's samples. Values below 0 and NaN count as missing.
        stable: The stable arm's samples.
        window: Where the block lies.
        aggregate: What the means of an arm's series become.

    Returns:
        ``NoData`` if an arm has no sample in the block: it has no mean, which is not 0.

    """
    seconds = (window.until - window.after).total_seconds()
    mine, theirs = ([bins[0] for bins in _binned(arm, window, seconds, 1) if bins] for arm in (candidate, stable))
    if not mine:
        return NoData(Absence.NO_CANDIDATE_SAMPLES)
    if not theirs:
        return NoData(Absence.NO_STABLE_SAMPLES)
    return GaugeBlock(window.after, window.until, aggregate(mine), aggregate(theirs))


@dataclass(frozen=True, slots=True)
class GaugeSpread:
    """
    How a gauge varies without any change of version.

    Attributes:
        scale: From ``scale_of_differences``; None if it is not known.
        tau: From ``autocorrelation_time``, in blocks; None if it is not known.

    """

    scale: float | None
    tau: float | None

    @property
    def known(self) -> bool:
        """Whether anything can be bet on: both are known, and something varied."""
        return bool(self.scale) and self.tau is not None


@dataclass(frozen=True, slots=True)
class GaugeHistory:
    """
    Differences between two halves of the stable pods, block by block, as the rollout will see differences of arms.

    Attributes:
        differences: Oldest first; None where fewer than two pods were scraped.

    """

    differences: tuple[float | None, ...] = ()

    def before(
        self, selected: Sequence[Series], window: Window, *, seconds: float, delta: float, aggregate: Aggregate
    ) -> "GaugeHistory":
        """
        Put the stretch (after, until] before what is known.

        In each block the pods with samples are dealt to two equal halves in order of their names; an odd one is left
        out, as a sum over more pods is a larger one.

        Args:
            selected: The stable arm's samples, each series of one pod.
            window: The stretch. It is cut into blocks from its end; what is left at its beginning is dropped.
            seconds: Length of a block, as in the rollout; above 0.
            delta: The harm margin: differences are first half - (1 + delta) second half.
            aggregate: What the means of a half's series become.

        """
        count = int((window.until - window.after).total_seconds() // seconds)
        by_pod: dict[str, list[_Bins]] = {}
        for one, bins in zip(selected, _binned(selected, window, seconds, count), strict=True):
            pod = pod_of(one)
            if pod is not None:
                by_pod.setdefault(pod, []).append(bins)
        pods = [by_pod[pod] for pod in sorted(by_pod)]
        older = (_difference(pods, number, delta, aggregate) for number in range(count))
        return GaugeHistory((*older, *self.differences))

    @property
    def spread(self) -> GaugeSpread:
        """
        What the rollout's evidence rests on.

        A difference between pods that never changes shows in neither number: it looks like one between the revisions.
        """
        return GaugeSpread(scale_of_differences(self.differences), autocorrelation_time(self.differences))


def _binned(selected: Sequence[Series], window: Window, seconds: float, count: int) -> list[_Bins]:
    """For each series the means of its samples by number of the block, of ``count`` that end with the window."""
    begin = window.until.timestamp() - count * seconds
    found: list[_Bins] = []
    for one in selected:
        bins: dict[int, list[float]] = {}
        for at, value in one.settled(window):
            if at > begin:
                bins.setdefault(min(count, math.ceil((at - begin) / seconds)) - 1, []).append(value)
        found.append({number: mean_of(values) for number, values in bins.items()})
    return found


def _difference(pods: Sequence[Sequence[_Bins]], number: int, delta: float, aggregate: Aggregate) -> float | None:
    scraped = [there for there in ([bins[number] for bins in pod if number in bins] for pod in pods) if there]
    size = len(scraped) // 2
    if size == 0:
        return None
    first, second = (
        aggregate([value for pod in half[:size] for value in pod]) for half in (scraped[::2], scraped[1::2])
    )
    return first - (1.0 + delta) * second
