"""
Whether requests reach the candidate in the share that was asked for.

A wrong split is a fault of the way there and not of the candidate: shown, it holds a rollout and never rolls it back.
Connections that are kept alive make it overdispersed. This module sees how many requests each arm got, no outcome.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final, TypedDict

from modelramp.analysis.block import Block, Counts
from modelramp.analysis.eprocess import HARM_GRID, OK_GRID, EProcess, Null, Wealth, log_sum_exp

ALPHA_SPLIT: Final = 0.01  # false holds per rollout: one in 100, as for rollbacks
MARGIN: Final = 0.25  # of the wanted share, to either side: what gateways with few connections miss it by
RARER: Final = 0.5  # of two outcomes the rarer one tells more: at 30 % the test keeps 2/3 of what there is to know


class Side(StrEnum):
    """Where a share went."""

    ABOVE = "Above"
    """More than the limit above."""
    BELOW = "Below"
    """Less than the limit below."""


class SplitState(TypedDict):
    """
    Stored form of ``SplitGuard``: at most 300 bytes of compact JSON.

    Both processes end with their unstarted fraction. ``until`` is ``counted_until`` as RFC 3339 in UTC, or empty.
    """

    above: list[float]
    below: list[float]
    phi: float
    until: str


@dataclass(frozen=True, slots=True)
class SplitGuard:
    """
    The evidence that the candidate's share of requests is not the wanted one.

    Attributes:
        above: Evidence that the share is more than 1.25 times the wanted one.
        below: Evidence that it is less than 0.75 times the wanted one.
        phi: Overdispersion of the split, at least 1: requests that go the same way together.
        counted_until: End of what has been counted, aware; None before anything was.

    """

    above: EProcess
    below: EProcess
    phi: float
    counted_until: datetime | None

    def __post_init__(self) -> None:
        """Refuse an overdispersion that would add evidence."""
        require_phi(self.phi)

    @classmethod
    def begin(cls, wealth: Wealth, *, phi: float = 1.0, counted_until: datetime | None = None) -> "SplitGuard":
        """Start a rollout's guard; what happened up to ``counted_until`` is not part of it."""
        return cls(
            above=EProcess.begin(HARM_GRID, started=wealth.at_start),
            below=EProcess.begin(OK_GRID, started=wealth.at_start),
            phi=phi,
            counted_until=counted_until,
        )

    @property
    def log_value(self) -> float:
        """Logarithm of the evidence of a wrong split, the mean of both sides; shown at ln(1 / ALPHA_SPLIT)."""
        return log_mean((self.above, self.below))

    @property
    def mismatch(self) -> Side | None:
        """The side to which the split is shown to be wrong; None while it is not. It holds, it never rolls back."""
        if self.log_value < -math.log(ALPHA_SPLIT):
            return None
        return Side.ABOVE if self.above.log_value >= self.below.log_value else Side.BELOW

    def observe(self, block: Block, wanted: float, wealth: Wealth) -> "SplitGuard":
        """
        Count the exposures of one block, once; its events are not looked at.

        A block that ends at or before ``counted_until`` changes nothing. With a wanted share of 0 it is passed over:
        there is no share to miss by a quarter, and the last connections are still ending.

        Args:
            block: No change of the wanted share lies in it.
            wanted: The candidate's share of requests asked for in this block, from 0 to 1.
            wealth: When the bets are started.

        Raises:
            ValueError: If the share is out of range, or the block begins before ``counted_until`` and ends after it.

        """
        if not 0.0 <= wanted <= 1.0:
            raise ValueError(f"no share of traffic: {wanted}")
        if is_counted(block.start, block.end, self.counted_until):
            return self
        guard = replace(self, counted_until=block.end)
        if wanted == 0.0:
            return guard
        requests = Counts(block.candidate.n + block.stable.n, block.candidate.n)
        split = Block(block.start, block.end, requests, Counts())
        return replace(
            guard,
            above=bet_beyond(self.above.start_wealth(wealth.per_block), split, (1.0 + MARGIN) * wanted, self.phi),
            below=bet_beyond(self.below.start_wealth(wealth.per_block), split, (1.0 - MARGIN) * wanted, self.phi),
        )

    def enter_step(self, wealth: Wealth) -> "SplitGuard":
        """Begin a later step with some fresh bets: a new weight is where a split goes wrong."""
        return replace(
            self, above=self.above.start_wealth(wealth.per_step), below=self.below.start_wealth(wealth.per_step)
        )

    def to_state(self) -> SplitState:
        """Stored form; ``from_state`` gives back an equal value."""
        return SplitState(
            above=self.above.to_state(), below=self.below.to_state(), phi=self.phi, until=stamp(self.counted_until)
        )

    @classmethod
    def from_state(cls, state: SplitState) -> "SplitGuard":
        """
        Restore what ``to_state`` wrote.

        Raises:
            ValueError: If the state is damaged or of another grid.

        """
        return cls(
            above=EProcess.from_state(HARM_GRID, state["above"]),
            below=EProcess.from_state(OK_GRID, state["below"]),
            phi=float(state["phi"]),
            counted_until=instant(state["until"]),
        )


def bet_beyond(evidence: EProcess, block: Block, limit: float, phi: float = 1.0) -> EProcess:
    """
    Multiply every bet on a share beyond an absolute limit by its factor for one block.

    Bets above 1 refute "share <= limit", bets below 1 refute "share >= limit". Where the limit is above a half the
    other outcome is counted against 1 - limit, by bets of 1/theta: the same claim, and the rarer outcome. The choice
    goes by the limit alone, so it may change from block to block.

    Args:
        evidence: Its bets all lie on one side of 1.
        block: The candidate's counts are those of the share; the stable arm is not looked at.
        limit: A share. Beyond 0 or 1 it is as good as 0 or 1, where no count is evidence.
        phi: Overdispersion, at least 1.

    """
    if limit <= RARER:
        return evidence.update(block, Null(0.0, max(limit, 0.0)), phi)
    turned = EProcess(tuple(1.0 / theta for theta in evidence.grid), evidence.logs, evidence.unstarted)
    others = replace(block, candidate=complement(block.candidate))
    return replace(turned.update(others, Null(0.0, max(1.0 - limit, 0.0)), phi), grid=evidence.grid)


def complement(counts: Counts) -> Counts:
    """Return the counts of the other outcome."""
    return Counts(counts.n, counts.n - counts.x)


def log_mean(evidences: Iterable[EProcess]) -> float:
    """Logarithm of the mean of some evidences, at least one; valid whatever the dependence between them."""
    logs = [one.log_value for one in evidences]
    return log_sum_exp(logs) - math.log(len(logs))


def require_phi(phi: float) -> None:
    """Refuse an overdispersion below 1, which would add evidence, or without bound (ValueError)."""
    if not 1.0 <= phi < math.inf:
        raise ValueError(f"overdispersion below 1: {phi}")


def is_counted(start: datetime, end: datetime, until: datetime | None) -> bool:
    """
    Whether the time (start, end] was counted before, so that a replay is harmless.

    Raises:
        ValueError: If only a part of it was, as that would count twice.

    """
    if until is None or start >= until:
        return False
    if end <= until:
        return True
    raise ValueError(f"block from {start} overlaps what was counted until {until}")


def stamp(until: datetime | None) -> str:
    """Write an aware instant as RFC 3339 in UTC; empty for None."""
    return "" if until is None else until.astimezone(UTC).isoformat().replace("+00:00", "Z")


def instant(text: str) -> datetime | None:
    """Read what ``stamp`` wrote; ValueError if it is no instant."""
    return datetime.fromisoformat(text) if text else None
