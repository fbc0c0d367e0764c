"""
From raw samples of cumulative buckets to what both arms observed between two instants.

The counterpart of ``counters`` for histograms, native ones by ``nativebuckets``: every increment once, per bucket, by
the same rules of births and restarts. Buckets of one page are born and begin anew together, so they stay cumulative.
This module does no I/O.
"""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from modelramp.analysis.counters import NO_PODS, increments
from modelramp.analysis.histogram import Histogram
from modelramp.analysis.nativebuckets import as_buckets, has_native
from modelramp.analysis.tails import TailBlock
from modelramp.analysis.targets import EDGE_LABEL, Identity, Pods, Series, Target, Window, find_targets, interrupted


class TailAbsence(StrEnum):
    """Why there is no block."""

    NO_CANDIDATE_SAMPLES = "NoCandidateSamples"
    """No sample of the candidate's buckets lies in the time asked for."""
    NO_STABLE_SAMPLES = "NoStableSamples"
    """No sample of the stable arm's buckets lies in the time asked for."""
    SCRAPES_INTERRUPTED = "ScrapesInterrupted"
    """Scraping stopped before the end of the time asked for, or has just begun again: the next block covers it."""
    NOT_CUMULATIVE = "NotCumulative"
    """An arm's buckets do not add up: the selector names what is no histogram, or only part of one."""
    NOT_COMPARABLE = "NotComparable"
    """The arms have no judged edge in common: a native histogram's resolution was reduced, or one arm's is classic."""


@dataclass(frozen=True, slots=True)
class NoTails:
    """
    No block: nothing may be concluded, and ``counted_until`` must not move.

    Attributes:
        reason: Why.

    """

    reason: TailAbsence


def count_tails(
    candidate: Sequence[Series],
    stable: Sequence[Series] | None,
    window: Window,
    *,
    factor: float = 1.0,
    pods: Pods = NO_PODS,
    wanted: Collection[float] = (),
) -> TailBlock | NoTails:
    """
    Count both arms' observations between ``window.after`` and ``window.until``.

    Both arms are counted over the same time or not at all, as by ``count_block``.

    Args:
        candidate: The candidate's buckets, each series with its upper edge in the label ``le``; or native histograms.
        stable: The stable arm's buckets; None if it gets no request: the candidate is counted alone.
        window: Which samples were fetched, and which increments are wanted.
        factor: What the edges are multiplied by to give the unit that is judged in (0.001 for milliseconds).
        pods: What is known about creation and start times.
        wanted: Edges that are judged, in that unit: native histograms are counted at these. Empty: where they are full.

    """
    # Alone it is counted beside itself, which is there exactly if it is there, and that part is forgotten.
    other = candidate if stable is None else stable
    found = _beside(candidate, other, window, factor=factor, pods=pods, wanted=wanted)
    if stable is not None or isinstance(found, NoTails):
        return found
    return replace(found, stable=Histogram((), (), 0.0))


def _beside(
    candidate: Sequence[Series],
    stable: Sequence[Series],
    window: Window,
    *,
    factor: float,
    pods: Pods,
    wanted: Collection[float],
) -> TailBlock | NoTails:
    native = has_native((*candidate, *stable))
    if native:
        candidate, stable = as_buckets((candidate, stable), only=[edge / factor for edge in wanted])
    targets = find_targets((*candidate, *stable), window, pods)
    try:
        found = tuple(observed(arm, window, targets, factor=factor) for arm in (candidate, stable))
    except ValueError:
        return NoTails(TailAbsence.NOT_CUMULATIVE)
    mine, theirs = found
    if mine is None:
        return NoTails(TailAbsence.NO_CANDIDATE_SAMPLES)
    if theirs is None:
        return NoTails(TailAbsence.NO_STABLE_SAMPLES)
    if interrupted(targets.values(), window):
        return NoTails(TailAbsence.SCRAPES_INTERRUPTED)
    if native and not _comparable(mine, theirs, wanted):
        return NoTails(TailAbsence.NOT_COMPARABLE)
    return TailBlock(window.after, window.until, mine, theirs)


def _comparable(mine: Histogram, theirs: Histogram, wanted: Collection[float]) -> bool:
    """Whether the arms share an edge, of those wanted if any are; idle ones that have none at all may be compared."""
    common = set(mine.edges) & set(theirs.edges)
    return bool(common & set(wanted)) if wanted else bool(common) or mine.edges == theirs.edges


def observed(
    buckets: Iterable[Series], window: Window, targets: Mapping[Identity, Target], *, factor: float = 1.0
) -> Histogram | None:
    """
    What one arm observed within (after, until], at the edges that all of its histograms have.

    Args:
        buckets: Series of cumulative buckets.
        window: Which increments are wanted.
        targets: ``find_targets`` of everything that was fetched.
        factor: What the edges are multiplied by.

    Returns:
        None if no series has a sample in the window.

    Raises:
        ValueError: If an edge is no number, or the buckets are not cumulative or lack ``+Inf``.

    """
    grouped: dict[Identity, dict[float, list[Series]]] = {}
    for one in {one.identity: one for one in buckets}.values():
        page = frozenset(label for label in one.labels.items() if label[0] != EDGE_LABEL)
        grouped.setdefault(page, {}).setdefault(edge_of(one, factor), []).append(one)
    whole: Histogram | None = None
    for edges in grouped.values():
        counted = {edge: increments(series, window, targets) for edge, series in edges.items()}
        if all(counts is None for counts in counted.values()):
            continue
        found = Histogram.from_buckets({edge: counts.total for edge, counts in counted.items() if counts is not None})
        if whole is None:
            whole = found
        else:
            common = set(whole.edges) & set(found.edges)
            whole = whole.restricted(common) + found.restricted(common)
    return whole


def edge_of(series: Series, factor: float = 1.0) -> float:
    """
    Upper edge of a bucket's series, in the unit that is judged in.

    Rounded to 12 significant digits, so that 250 ms is 0.25 s whatever the factor's last bit.

    Raises:
        ValueError: If the label ``le`` is missing or no number.

    """
    edge = float(series.labels.get(EDGE_LABEL, "no edge")) * factor
    return edge if math.isinf(edge) else float(f"{edge:.12g}")
