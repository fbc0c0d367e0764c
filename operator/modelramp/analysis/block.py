"""
What was counted between two instants, per arm.

This module holds counts. It never judges them.
"""

import math
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Counts:
    """
    Exposures and events of one arm.

    Both are floats so that means of values in [0, 1] fit as well as whole requests.

    Attributes:
        n: Exposures (requests, pairs, observations), finite, at least 0.
        x: Events among them, or the sum of values in [0, 1]; from 0 to ``n``.

    Raises:
        ValueError: If ``0 <= x <= n < inf`` does not hold; the error bound rests on it.

    """

    n: float = 0.0
    x: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what no counting can give."""
        if not (0.0 <= self.x <= self.n < math.inf):
            raise ValueError(f"not counts: {self.x} events among {self.n} exposures")

    def __add__(self, other: "Counts") -> "Counts":
        """Add the counts of two disjoint stretches of time."""
        return Counts(self.n + other.n, self.x + other.x)


@dataclass(frozen=True, slots=True)
class Block:
    """
    The counts of both arms over the half-open stretch of time (start, end].

    Attributes:
        start: Aware instant, itself not included.
        end: Aware instant, included, later than ``start``.
        candidate: Counts of the candidate.
        stable: Counts of the stable arm.

    Raises:
        ValueError: If an instant is naive or ``end`` is not after ``start``.

    """

    start: datetime
    end: datetime
    candidate: Counts
    stable: Counts

    def __post_init__(self) -> None:
        """Refuse an empty or placeless stretch of time."""
        if self.start.tzinfo is None or self.end.tzinfo is None:
            raise ValueError("a block needs instants with a time zone")
        if self.start >= self.end:
            raise ValueError(f"a block must end after it starts: {self.start} to {self.end}")

    @property
    def seconds(self) -> float:
        """Length in seconds, above 0."""
        return (self.end - self.start).total_seconds()

    def __add__(self, other: "Block") -> "Block":
        """
        Merge two disjoint blocks into one that reaches from the earlier start to the later end.

        Valid as long as traffic was split alike in both, whatever the rates did. Across a change of the split it is
        not: with error rates that rise at the same time, an equally good candidate looks worse (Simpson's paradox).
        """
        return Block(
            min(self.start, other.start),
            max(self.end, other.end),
            self.candidate + other.candidate,
            self.stable + other.stable,
        )
