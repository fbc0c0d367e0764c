"""
How one arm's observations spread over buckets.

Only at a bucket's edge is the number of observations above it known exactly, and only there is anything judged. A
quantile computed from buckets is a guess: with endless traffic and a common set of edges, a true 99th percentile of
581 ms reads as 745 ms.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from modelramp.analysis.block import Counts

RANK_SLACK: Final = 1e-9  # of all observations: a quantile this near an edge is that edge, whatever 0.99 * n rounds to


class NoSuchEdgeError(ValueError):
    """
    A threshold lies between two bucket edges, where nothing is counted.

    Attributes:
        threshold: What was asked for.
        edges: What there is, ascending.

    """

    def __init__(self, threshold: float, edges: tuple[float, ...]) -> None:
        """Say which edges there are; the two nearest come first."""
        self.threshold = threshold
        self.edges = edges
        first = max(0, min(sum(edge < threshold for edge in edges) - 1, len(edges) - 2))
        nearest = " and ".join(f"{edge:g}" for edge in edges[first : first + 2])
        super().__init__(
            f"{threshold:g} is not a bucket edge; nearest {nearest or 'none'}; the edges are {_listed(edges)}"
        )


@dataclass(frozen=True, slots=True)
class Histogram:
    """
    Observations of one arm, counted up to each edge.

    Attributes:
        edges: Finite upper edges of the buckets, at least 0, strictly ascending (seconds for a latency). May be empty.
        below: For each edge the observations at or below it: from 0 to ``n``, never falling.
        n: All observations, those above the last edge included (the ``+Inf`` bucket); finite.

    Raises:
        ValueError: If the edges do not ascend or the counts are not cumulative.

    """

    edges: tuple[float, ...]
    below: tuple[float, ...]
    n: float

    def __post_init__(self) -> None:
        """Refuse what no counting can give."""
        if not all(0.0 <= edge < math.inf for edge in self.edges) or not _ascending(self.edges):
            raise ValueError(f"bucket edges must be finite, at least 0 and ascending: {_listed(self.edges)}")
        if len(self.edges) != len(self.below):
            raise ValueError(f"{len(self.below)} cumulative counts for {len(self.edges)} bucket edges")
        if not self.n < math.inf or any(not now <= after for now, after in pairwise((0.0, *self.below, self.n))):
            raise ValueError(f"not cumulative counts: {_listed(self.below)} of {self.n:g}")

    @classmethod
    def from_buckets(cls, buckets: Mapping[float, float]) -> "Histogram":
        """
        Order the cumulative counts of a classic histogram, by upper edge.

        Raises:
            ValueError: If there is no ``+Inf`` edge, without which the whole is not known, or as for the class.

        """
        if math.inf not in buckets:
            raise ValueError(f"no +Inf bucket beside the edges {_listed(buckets)}")
        edges = tuple(sorted(edge for edge in buckets if edge != math.inf))
        return cls(edges, tuple(buckets[edge] for edge in edges), buckets[math.inf])

    def __add__(self, other: "Histogram") -> "Histogram":
        """
        Add the counts of disjoint observations (another series, another stretch of time).

        Raises:
            ValueError: If the edges differ; see ``on_common_edges``.

        """
        if self.edges != other.edges:
            raise ValueError(f"cannot add different edges: {_listed(self.edges)}; and {_listed(other.edges)}")
        below = tuple(mine + theirs for mine, theirs in zip(self.below, other.below, strict=True))
        return Histogram(self.edges, below, self.n + other.n)

    def counts(self, edge: float) -> Counts:
        """
        Observations above an edge, as events among all of them.

        Raises:
            NoSuchEdgeError: If ``edge`` is none.

        """
        return Counts(self.n, self.n - self._below(edge))

    def tail(self, edge: float) -> float:
        """
        Share of the observations above an edge, 0 to 1.

        Raises:
            NoSuchEdgeError: If ``edge`` is none.
            ValueError: If nothing was observed.

        """
        counted = self.counts(edge)
        if counted.n == 0.0:
            raise ValueError("nothing was observed, so there is no share of it")
        return counted.x / counted.n

    def tail_at(self, value: float, *, lenient: bool = False) -> float:
        """
        Estimate the share of the observations above any value up to the last edge.

        The logarithm of the tail is taken as linear in the logarithm of the value between two edges (a power law), in
        the value itself below the first edge above 0. Where the tail has come to 0 at the upper edge, the tail itself
        is. For tails that thin out faster than a power law, a lognormal's too, the estimate is at or below the truth.

        Args:
            value: From 0 to the last edge.
            lenient: Take it as linear in the value throughout (an exponential law). Never below the other estimate, and
                at or above the truth for tails that thin out slower than exponentially.

        Raises:
            ValueError: If ``value`` is negative or above the last edge, where nothing is known, or nothing is counted.

        """
        if not (self.edges and 0.0 <= value <= self.edges[-1]):
            raise ValueError(f"nothing is known about the tail at {value:g}; the edges are {_listed(self.edges)}")
        place = sum(edge < value for edge in self.edges)
        high, above_high = self.edges[place], self.tail(self.edges[place])
        if value == high:
            return above_high
        low, above_low = (self.edges[place - 1], self.tail(self.edges[place - 1])) if place else (0.0, 1.0)
        even = lenient or low == 0.0
        part = (value - low) / (high - low) if even else math.log(value / low) / math.log(high / low)
        if above_high == 0.0:
            return above_low * (1.0 - part)
        return math.exp((1.0 - part) * math.log(above_low) + part * math.log(above_high))

    def edges_around(self, quantile: float) -> tuple[float | None, float | None]:
        """
        Edges of the bucket that holds a quantile.

        Returns:
            The lower and the upper edge. The lower one is None in the first bucket, the upper one in the ``+Inf``
            bucket. Both are the same where the quantile is an edge.

        Raises:
            ValueError: If ``quantile`` is not within (0, 1), or nothing was observed.

        """
        if not 0.0 < quantile < 1.0 or self.n == 0.0:
            raise ValueError(f"no quantile {quantile:g} of {self.n:g} observations")
        rank, slack = quantile * self.n, RANK_SLACK * self.n
        place = sum(count < rank - slack for count in self.below)
        lower = self.edges[place - 1] if place else None
        if place == len(self.edges):
            return lower, None
        return (self.edges[place] if self.below[place] <= rank + slack else lower), self.edges[place]

    def restricted(self, edges: Iterable[float]) -> "Histogram":
        """
        Forget all edges but the given ones; buckets between them merge, which loses no observation.

        Raises:
            NoSuchEdgeError: If one of them is no edge.

        """
        kept = tuple(sorted(set(edges)))
        return Histogram(kept, tuple(map(self._below, kept)), self.n)

    def _below(self, edge: float) -> float:
        if edge not in self.edges:
            raise NoSuchEdgeError(edge, self.edges)
        return self.below[self.edges.index(edge)]


def on_common_edges(candidate: Histogram, stable: Histogram) -> tuple[Histogram, Histogram]:
    """
    Coarsen both arms to the edges they share: a new version may have come with other buckets.

    Raises:
        ValueError: If they share none.

    """
    common = set(candidate.edges) & set(stable.edges)
    if not common:
        raise ValueError(
            f"no bucket edge in common: candidate {_listed(candidate.edges)}; stable {_listed(stable.edges)}"
        )
    return candidate.restricted(common), stable.restricted(common)


def _ascending(numbers: Sequence[float]) -> bool:
    return all(now < after for now, after in pairwise(numbers))


def _listed(numbers: Iterable[float]) -> str:
    return ", ".join(f"{number:g}" for number in numbers) or "none"
