"""
Whether answers or inputs are distributed otherwise than they should be, by more than a shift that matters.

Each class (or bucket edge of a number) is tested in both directions against a margin: traffic that differs by less is
not flagged, however much of it there is. Drift of answers may gate where a user asks for it; drift of inputs between
the arms means a routing fault and holds. This module counts and compares, it decides neither.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from itertools import pairwise, product, starmap
from typing import Final, TypedDict

from modelramp.analysis.block import Block, Counts
from modelramp.analysis.eprocess import EProcess, Null, Wealth
from modelramp.analysis.split import RARER, bet_beyond, complement, instant, is_counted, log_mean, require_phi, stamp

Shares = tuple[Counts, ...]  # of one arm, one per class

SHIFT: Final = 0.02  # of all observations: 2 points, below which nobody asks
MOST_CLASSES: Final = 16  # with both directions 32 evidences, 2 to 3 kB as stored
OTHER: Final = "other"  # the class of all labels that have none of their own, and of those never seen before

MOVE_GRID: Final = (1.05, 1.12, 1.25, 1.6, 2.2, 3.2, 5.0, 16.0)
"""Effects bet on. Unlike failures, classes are common: from 50 to 55 % is a factor of 1.1, which a grid from 1.25
upwards never finds, while factors of 8 and 50 matter for rare events only."""
INVERSE_GRID: Final = tuple(1.0 / theta for theta in MOVE_GRID)  # downwards, for a share below an absolute limit


class Direction(StrEnum):
    """Where a class's share went, or that of the values up to an edge."""

    UP = "Up"
    """More of it at the candidate than the reference and the shift allow."""
    DOWN = "Down"
    """Less of it."""


@dataclass(frozen=True, slots=True)
class Move:
    """
    What moved, for people to read.

    Attributes:
        name: Class, or edge.
        direction: Where it went.
        log_value: Logarithm of the evidence of this move alone, above 0.
        share: The candidate's share as counted, from 0 to 1.
        expected: The stable arm's share as counted, or that of the fixed reference.

    """

    name: str
    direction: Direction
    log_value: float
    share: float
    expected: float


@dataclass(frozen=True, slots=True)
class ShareBlock:
    """
    What was observed over the time (start, end], as one ``Counts`` per class or edge and arm.

    Attributes:
        start: Aware instant, itself not included.
        end: Aware instant, included, later than ``start``; otherwise ValueError.
        candidate: The candidate's counts, all with the same n; otherwise ValueError.
        stable: Those of the stable arm; empty where the reference is fixed.

    """

    start: datetime
    end: datetime
    candidate: Shares
    stable: Shares = ()

    def __post_init__(self) -> None:
        """Refuse counts that are not of one distribution."""
        Block(self.start, self.end, Counts(), Counts())
        for arm in (self.candidate, self.stable):
            if len({one.n for one in arm}) > 1:
                raise ValueError(f"counts of one arm among different totals: {sorted({one.n for one in arm})}")


@dataclass(frozen=True, slots=True)
class Distribution:
    """
    What is watched and what it is compared with, fixed before the first block.

    Attributes:
        names: Classes, or finite edges in ascending order, 1 to ``MOST_CLASSES``, all different.
        reference: The share of each class, or the share of values up to each edge, from 0 to 1; None to compare with
            the stable arm.
        shift: How far a share may move without being told, as a fraction of all observations, above 0, below 1. For
            edges it is a distance of Kolmogorov.
        cumulative: Whether the names are edges, each counting all that lies at or below it.

    Raises:
        ValueError: If the numbers do not fit.

    """

    names: tuple[str, ...]
    reference: tuple[float, ...] | None = None
    shift: float = SHIFT
    cumulative: bool = False

    def __post_init__(self) -> None:
        """Refuse what cannot be compared."""
        if not 1 <= len(self.names) <= MOST_CLASSES or len(set(self.names)) < len(self.names):
            raise ValueError(f"not 1 to {MOST_CLASSES} different names: {self.names}")
        if not 0.0 < self.shift < 1.0:
            raise ValueError(f"no shift of a share: {self.shift}")
        shares = (0.0,) * len(self.names) if self.reference is None else self.reference
        if len(shares) != len(self.names) or not all(0.0 <= share <= 1.0 for share in shares):
            raise ValueError(f"not a share for each of {len(self.names)} names: {shares}")

    @property
    def grids(self) -> tuple[tuple[float, ...], ...]:
        """The effects bet on, upwards per name, then downwards per name."""
        width = len(self.names)
        return (MOVE_GRID,) * width + ((INVERSE_GRID if self.reference else MOVE_GRID),) * width


class DriftState(TypedDict):
    """
    Stored form of ``DriftEvidence``, without its ``Distribution``: about 2.6 kB of compact JSON for 16 classes.

    ``bets`` are first those upwards, then those downwards. ``candidate`` and ``stable`` are n and then x of each class.
    ``until`` is ``counted_until`` as RFC 3339 in UTC, or empty for never.
    """

    bets: list[list[float]]
    candidate: list[float]
    stable: list[float]
    phi: float
    until: str


@dataclass(frozen=True, slots=True)
class DriftEvidence:
    """
    The evidence that one distribution has moved by more than the shift that matters.

    Attributes:
        distribution: What is watched.
        bets: Evidence per class that its share is too high, then per class that it is too low.
        candidate: What was counted of the candidate, per class.
        stable: The same of the stable arm; nothing where the reference is fixed.
        phi: Overdispersion, at least 1.
        counted_until: End of what has been counted, aware; None before anything was.

    """

    distribution: Distribution
    bets: tuple[EProcess, ...]
    candidate: Shares
    stable: Shares
    phi: float
    counted_until: datetime | None

    def __post_init__(self) -> None:
        """Refuse a state of other classes and an overdispersion that would add evidence."""
        width = len(self.distribution.names)
        if (len(self.bets), len(self.candidate), len(self.stable)) != (2 * width, width, width):
            raise ValueError(f"state of other classes than the {width} watched")
        require_phi(self.phi)

    @classmethod
    def begin(
        cls, distribution: Distribution, wealth: Wealth, *, phi: float = 1.0, counted_until: datetime | None = None
    ) -> "DriftEvidence":
        """Start to watch; what happened up to ``counted_until`` is not part of it."""
        bets = tuple(EProcess.begin(grid, started=wealth.at_start) for grid in distribution.grids)
        nothing = (Counts(),) * len(distribution.names)
        return cls(distribution, bets, nothing, nothing, phi, counted_until)

    @property
    def log_value(self) -> float:
        """Logarithm of the evidence that anything moved: the mean over all classes and both directions."""
        return log_mean(self.bets)

    def observe(self, block: ShareBlock, wealth: Wealth) -> "DriftEvidence":
        """
        Count one block, once.

        A block that ends at or before ``counted_until`` changes nothing. Whether a class is counted or all the others,
        whichever is rarer, goes by the blocks before this one.

        Raises:
            ValueError: If the block has other classes, has stable counts beside a fixed reference or lacks them without
                one, or overlaps what was counted.

        """
        width = len(self.distribution.names)
        if (len(block.candidate), len(block.stable)) != (width, 0 if self.distribution.reference else width):
            raise ValueError(f"block of {len(block.candidate)} and {len(block.stable)} counts for {width} classes")
        if is_counted(block.start, block.end, self.counted_until):
            return self
        stable = block.stable or (Counts(),) * width
        return replace(
            self,
            bets=tuple(self._bet(claim, bet.start_wealth(wealth.per_block), block) for claim, bet in self._claims()),
            candidate=tuple(map(Counts.__add__, self.candidate, block.candidate)),
            stable=tuple(map(Counts.__add__, self.stable, stable)),
            counted_until=block.end,
        )

    def enter_step(self, wealth: Wealth) -> "DriftEvidence":
        """Begin a later step with some fresh bets."""
        return replace(self, bets=tuple(bet.start_wealth(wealth.per_step) for bet in self.bets))

    def moves(self, most: int = 3) -> tuple[Move, ...]:
        """Return what moved, strongest evidence first, for people to read; ``log_value`` says whether anything did."""
        found = [
            Move(self.distribution.names[place], direction, bet.log_value, *self._shares(place))
            for (direction, place), bet in self._claims()
            if bet.log_value > 0.0
        ]
        return tuple(sorted(found, key=lambda move: -move.log_value)[:most])

    def psi(self) -> float | None:
        """Population stability index of all that was counted, see ``psi``; for display, it gates nothing."""
        expected = self.distribution.reference
        stable = tuple(Counts(1.0, share) for share in expected) if expected else self.stable
        cells = _differences if self.distribution.cumulative else _events
        return psi(cells(self.candidate), cells(stable), sampled=expected is None)

    def to_state(self) -> DriftState:
        """Stored form; ``from_state`` gives back an equal value."""
        return DriftState(
            bets=[bet.to_state() for bet in self.bets],
            candidate=[self.candidate[0].n, *_events(self.candidate)],
            stable=[self.stable[0].n, *_events(self.stable)],
            phi=self.phi,
            until=stamp(self.counted_until),
        )

    @classmethod
    def from_state(cls, distribution: Distribution, state: DriftState) -> "DriftEvidence":
        """Restore what ``to_state`` wrote; ValueError if it is damaged or of another distribution."""
        return cls(
            distribution=distribution,
            bets=tuple(starmap(EProcess.from_state, zip(distribution.grids, state["bets"], strict=True))),
            candidate=_restored(state["candidate"]),
            stable=_restored(state["stable"]),
            phi=float(state["phi"]),
            counted_until=instant(state["until"]),
        )

    def _claims(self) -> Iterator[tuple[tuple[Direction, int], EProcess]]:
        return zip(product(Direction, range(len(self.distribution.names))), self.bets, strict=True)

    def _bet(self, claim: tuple[Direction, int], bet: EProcess, block: ShareBlock) -> EProcess:
        direction, place = claim
        candidate = block.candidate[place]
        reference, shift = self.distribution.reference, self.distribution.shift
        if reference:
            limit = reference[place] + (shift if direction is Direction.UP else -shift)
            return bet_beyond(bet, Block(block.start, block.end, candidate, Counts()), limit, self.phi)
        # Between two arms "up" is "down" with the arms swapped, and also with the other outcome counted.
        arms = candidate, block.stable[place]
        before = self.candidate[place] + self.stable[place]
        if before.x > RARER * before.n:
            arms = complement(arms[1]), complement(arms[0])
        more, less = arms if direction is Direction.UP else arms[::-1]
        return bet.update(Block(block.start, block.end, more, less), Null(1.0, shift), self.phi)

    def _shares(self, place: int) -> tuple[float, float]:
        of_arms = [arm[place].x / max(arm[place].n, 1.0) for arm in (self.candidate, self.stable)]
        return of_arms[0], self.distribution.reference[place] if self.distribution.reference else of_arms[1]


def choose_classes(seen: Mapping[str, float], most: int = MOST_CLASSES) -> tuple[str, ...]:
    """
    Choose the classes to watch: the most frequent of a look-back (label to count), at most ``most``, ``OTHER`` last.

    To be called once, before the first block: classes chosen by what they are tested on would break the error bound.
    """
    ranked = sorted((label for label in seen if label != OTHER), key=lambda label: (-seen[label], label))
    return (*ranked[: most - 1], OTHER)


def class_counts(names: Sequence[str], seen: Mapping[str, float]) -> Shares:
    """Count one arm's observations (label to count) per class; labels without a class of their own are ``OTHER``."""
    total = math.fsum(seen.values())
    rest = math.fsum(count for label, count in seen.items() if label not in names)
    return tuple(Counts(total, min(total, seen.get(name, 0.0) + (rest if name == OTHER else 0.0))) for name in names)


def psi(candidate: Sequence[float], stable: Sequence[float], *, sampled: bool = True) -> float | None:
    """
    Population stability index less the bias that mere sampling gives it. For display only: it gates nothing.

    PSI - (K - 1)(1/n_c + 1/n_s), around 0 without a change and then as often below it. Uncorrected, two samples of 100
    of one law with ten cells exceed the customary 0.1 in 39 % of cases. Cells that are empty on both sides are left
    out; if one of the others is empty on one side, each cell of both sides gets half an observation more.

    Both sides are counts per cell. Known shares as ``stable`` (``sampled`` False) have no 1/n_s and are filled up as if
    counted n_c times. None if a side is empty.
    """
    n_c, n_s = math.fsum(candidate), math.fsum(stable)
    if n_c == 0.0 or n_s == 0.0:
        return None
    scale = 1.0 if sampled else n_c / n_s
    cells = [(c, s * scale) for c, s in zip(candidate, stable, strict=True) if c or s]
    more = 0.0 if all(c and s for c, s in cells) else 0.5
    shares = [
        ((c + more) / (n_c + more * len(cells)), (s + more) / (n_s * scale + more * len(cells))) for c, s in cells
    ]
    index = math.fsum((p - q) * math.log(p / q) for p, q in shares)
    return index - (len(cells) - 1) * (1.0 / n_c + (1.0 / n_s if sampled else 0.0))


def _restored(numbers: Sequence[float]) -> Shares:
    n, *events = map(float, numbers)
    return tuple(Counts(n, x) for x in events)


def _events(arm: Shares) -> list[float]:
    return [one.x for one in arm]


def _differences(arm: Shares) -> list[float]:
    return [max(0.0, high - low) for low, high in pairwise((0.0, *_events(arm), arm[0].n))]
