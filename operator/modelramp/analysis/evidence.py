"""
What is known about one metric of one rollout, and the verdict it supports.

Two questions are kept apart: is the candidate harmful, and is it shown to be not worse than the margin. Neither answer
follows from the other being absent. This module never reads a clock and never counts a stretch of time twice.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final, TypedDict

from modelramp.analysis.block import Block, Counts
from modelramp.analysis.eprocess import HARM_GRID, OK_GRID, EProcess, Wealth
from modelramp.analysis.margin import Margins

ALPHA_ROLLBACK: Final = 0.01  # false rollbacks per rollout, all metrics together: one in 100
ALPHA_OK: Final = 0.05  # promotions of a candidate beyond its margin; the cost is bounded by the blast radius
NOTHING: Final = Counts()
PHI_UNKNOWN: Final = 2.0  # overdispersion assumed while the stable arm's history says nothing about it


class Verdict(StrEnum):
    """The opinion on one metric."""

    PASSED = "Passed"
    """Shown to be not worse than the margin of this step."""
    FAILED = "Failed"
    """Shown to be harmful."""
    INCONCLUSIVE = "Inconclusive"
    """Counted, but neither shown yet."""
    NO_DATA = "NoData"
    """Nothing of the candidate counted in this step. Never a pass, never a failure."""


@dataclass(frozen=True, slots=True)
class Totals:
    """Counts of both arms over several blocks, for people to read."""

    candidate: Counts = NOTHING
    stable: Counts = NOTHING

    def plus(self, block: Block) -> "Totals":
        """Add one block."""
        return Totals(self.candidate + block.candidate, self.stable + block.stable)


class MetricState(TypedDict):
    """
    Stored form of ``MetricEvidence``: at most 300 bytes of compact JSON while whole counts stay below ten million.

    Both processes end with their unstarted fraction. Totals are n and x of the candidate, then of stable. ``until`` is
    ``counted_until`` as RFC 3339 in UTC, or empty for never.
    """

    harm: list[float]
    ok: list[float]
    rollout: list[float]
    step: list[float]
    phi: float
    until: str


@dataclass(frozen=True, slots=True)
class MetricEvidence:
    """
    The evidence of one metric in one rollout.

    Attributes:
        harm: Evidence of harm, over the whole rollout.
        ok: Evidence of "not worse", over this step only.
        rollout: Totals of the rollout.
        step: Totals of this step.
        phi: Overdispersion, at least 1, fixed before the blocks it is used on.
        counted_until: End of what has been counted or left out on purpose, aware; None before anything was.

    """

    harm: EProcess
    ok: EProcess
    rollout: Totals
    step: Totals
    phi: float
    counted_until: datetime | None

    def __post_init__(self) -> None:
        """Refuse an overdispersion that would add evidence."""
        if not 1.0 <= self.phi < math.inf:
            raise ValueError(f"overdispersion below 1: {self.phi}")

    @classmethod
    def begin(cls, wealth: Wealth, *, phi: float = 1.0, counted_until: datetime | None = None) -> "MetricEvidence":
        """Start a rollout's evidence; what happened up to ``counted_until`` is not part of it."""
        return cls(
            harm=EProcess.begin(HARM_GRID, started=wealth.at_start),
            ok=EProcess.begin(OK_GRID),
            rollout=Totals(),
            step=Totals(),
            phi=phi,
            counted_until=counted_until,
        )

    @property
    def harm_log(self) -> float:
        """Logarithm of the evidence of harm; harm is shown at ln(1 / ALPHA_ROLLBACK)."""
        return self.harm.log_value

    @property
    def ok_log(self) -> float:
        """Logarithm of the evidence that the margin is kept; shown at ln(1 / ALPHA_OK)."""
        return self.ok.log_value

    def observe(self, block: Block, margins: Margins, wealth: Wealth) -> "MetricEvidence":
        """
        Count one block, once.

        A block that ends at or before ``counted_until`` has been counted: the evidence comes back unchanged, so a
        replay is harmless. A gap before the block is allowed; it was left out on purpose.

        Raises:
            ValueError: If the block begins before ``counted_until`` and ends after it, as part of it would count twice.

        """
        if self.counted_until is not None:
            if block.end <= self.counted_until:
                return self
            if block.start < self.counted_until:
                raise ValueError(f"block from {block.start} overlaps what was counted until {self.counted_until}")
        return replace(
            self,
            harm=self.harm.start_wealth(wealth.per_block).update(block, margins.harm, self.phi),
            ok=self.ok.update(block, margins.ok, self.phi),
            rollout=self.rollout.plus(block),
            step=self.step.plus(block),
            counted_until=block.end,
        )

    def enter_step(self, wealth: Wealth) -> "MetricEvidence":
        """
        Begin a later step: "not worse" is a new claim about the new load, harm goes on with some fresh bets.

        Call it when the step's share of traffic is in place, together with ``skip_until`` that instant: no block may
        reach across a change of the split, and none from before may support the new claim.
        """
        return replace(self, harm=self.harm.start_wealth(wealth.per_step), ok=self.ok.restart(), step=Totals())

    def skip_until(self, at: datetime) -> "MetricEvidence":
        """
        Leave out what happens up to ``at`` (aware): warm-up and settling, for a time fixed in advance.

        Moves ``counted_until`` forward only. What was not counted by then never will be.
        """
        if self.counted_until is not None and at <= self.counted_until:
            return self
        return replace(self, counted_until=at)

    def retempered(self, phi: float) -> "MetricEvidence":
        """
        Begin again with another overdispersion (at least 1), for blocks to come; totals are what was counted and stay.

        For when more scatter came to light than ``phi`` allows for: then nothing won so far is to be trusted.
        """
        return replace(self, harm=self.harm.begin_again(), ok=self.ok.begin_again(), phi=phi)

    def tried_again(self) -> "MetricEvidence":
        """Begin the same step once more: what was learnt goes on, and nothing is said before there is new data."""
        return replace(self, step=Totals())

    def overruled(self, level: float, kept_back: float) -> "MetricEvidence":
        """Go on after a finding that a person overruled: harm begins again, see ``EProcess.overruled``."""
        return replace(self, harm=self.harm.overruled(level, kept_back))

    def verdict(self) -> Verdict:
        """Return the opinion of this metric alone; rolling back goes by ``combined_log`` over all of them."""
        if harmful(self.harm_log):
            return Verdict.FAILED
        if self.step.candidate.n == 0.0:
            return Verdict.NO_DATA
        return Verdict.PASSED if self.ok_log >= -math.log(ALPHA_OK) else Verdict.INCONCLUSIVE

    def to_state(self) -> MetricState:
        """Stored form; ``from_state`` gives back an equal value."""
        until = self.counted_until
        return MetricState(
            harm=self.harm.to_state(),
            ok=self.ok.to_state(),
            rollout=stored_totals(self.rollout),
            step=stored_totals(self.step),
            phi=self.phi,
            until="" if until is None else until.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        )

    @classmethod
    def from_state(cls, state: MetricState) -> "MetricEvidence":
        """
        Restore what ``to_state`` wrote.

        Raises:
            ValueError: If the state is damaged or of another grid: the caller holds, it must not start afresh, as
                that would spend the error bound again.

        """
        until = state["until"]
        return cls(
            harm=EProcess.from_state(HARM_GRID, state["harm"]),
            ok=EProcess.from_state(OK_GRID, state["ok"]),
            rollout=restored_totals(state["rollout"]),
            step=restored_totals(state["step"]),
            phi=float(state["phi"]),
            counted_until=datetime.fromisoformat(until) if until else None,
        )


def harmful(log_value: float) -> bool:
    """Whether evidence of harm (its logarithm, of one metric or combined) suffices to roll back."""
    return log_value >= -math.log(ALPHA_ROLLBACK)


def stored_totals(totals: Totals) -> list[float]:
    """N and x of the candidate, then of stable, as short as JSON can have them."""
    return [_short(number) for arm in (totals.candidate, totals.stable) for number in (arm.n, arm.x)]


def _short(number: float) -> float:
    # Whole numbers lose their ".0": equal in value, and two bytes less for each of eight.
    return int(number) if float(number).is_integer() else number


def restored_totals(numbers: Sequence[float]) -> Totals:
    """Read what ``stored_totals`` wrote; ValueError if it is damaged."""
    n_candidate, x_candidate, n_stable, x_stable = map(float, numbers)
    return Totals(Counts(n_candidate, x_candidate), Counts(n_stable, x_stable))
