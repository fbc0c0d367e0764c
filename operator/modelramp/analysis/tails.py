"""
Latency, judged at bucket edges: is a larger share of calls slow than with the stable arm?

A plan names the edges once, from the stable arm's look-back, before the first block. Each edge is then a counter like
any other (events are the calls above it), so the primitive and its error bound are those of ``eprocess``. Harm is the
mean over edges, valid however they depend on one another; "not worse" must be shown at each gating edge by itself.

With raw latencies a confidence sequence for quantiles would do (Howard and Ramdas, arXiv 1906.09712); metric stores
keep buckets.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TypedDict

from modelramp.analysis.block import Block, Counts
from modelramp.analysis.eprocess import HARM_GRID, OK_GRID, EProcess, Null, Wealth, log_sum_exp
from modelramp.analysis.evidence import ALPHA_OK, Verdict, harmful
from modelramp.analysis.histogram import Histogram
from modelramp.analysis.margin import Margins
from modelramp.analysis.tailplan import JudgedEdge, PlanState, TailPlan


@dataclass(frozen=True, slots=True)
class TailBlock:
    """
    What both arms observed over the half-open stretch of time (start, end].

    Attributes:
        start: Aware instant, itself not included.
        end: Aware instant, included, later than ``start``.
        candidate: The candidate's observations.
        stable: The stable arm's observations; its edges may differ.

    Raises:
        ValueError: If an instant is naive or ``end`` is not after ``start``.

    """

    start: datetime
    end: datetime
    candidate: Histogram
    stable: Histogram

    def __post_init__(self) -> None:
        """Refuse an empty or placeless stretch of time, as every block does."""
        Block(self.start, self.end, Counts(), Counts())

    def at(self, edge: float, null: Null) -> Block | None:
        """Return the counts above an edge; None where an arm that the margin needs does not have the edge."""
        if edge not in self.candidate.edges:
            return None
        if null.rho == 0.0:
            return Block(self.start, self.end, self.candidate.counts(edge), Counts())
        if edge not in self.stable.edges:
            return None
        return Block(self.start, self.end, self.candidate.counts(edge), self.stable.counts(edge))


@dataclass(frozen=True, slots=True)
class Calls:
    """
    Calls observed over several blocks, for people to read.

    Attributes:
        candidate: The candidate's.
        stable: The stable arm's.

    """

    candidate: float = 0.0
    stable: float = 0.0

    def plus(self, block: TailBlock) -> "Calls":
        """Add one block."""
        return Calls(self.candidate + block.candidate.n, self.stable + block.stable.n)


class TailState(TypedDict):
    """
    Stored form of ``TailEvidence``: at most 1400 bytes of compact JSON, whatever the plan.

    ``harm`` and ``ok`` hold the logarithms of the bets, a row for each edge of the plan. ``unstarted`` is the same for
    all of ``harm``, and 0 for ``ok``. Calls are the candidate's, then stable's. ``until`` is ``counted_until`` as RFC
    3339 in UTC, or empty for never.
    """

    plan: PlanState
    harm: list[list[float]]
    ok: list[list[float]]
    unstarted: float
    rollout: list[float]
    step: list[float]
    phi: float
    until: str


@dataclass(frozen=True, slots=True)
class TailEvidence:
    """
    The evidence of one latency in one rollout.

    Attributes:
        plan: Which edges are judged.
        harm: Evidence of harm for each of ``plan.harm``, over the whole rollout; all with the same unstarted wealth.
        ok: Evidence of "not worse" for each of ``plan.gates``, over this step only; all wealth started.
        rollout: Calls of the rollout.
        step: Calls of this step.
        phi: Overdispersion, at least 1, the same for all edges, fixed before the rollout.
        counted_until: End of what has been counted or left out on purpose, aware; None before anything was.

    """

    plan: TailPlan
    harm: tuple[EProcess, ...]
    ok: tuple[EProcess, ...]
    rollout: Calls
    step: Calls
    phi: float
    counted_until: datetime | None

    def __post_init__(self) -> None:
        """Refuse an overdispersion that would add evidence, and evidence of another plan."""
        if not 1.0 <= self.phi < math.inf:
            raise ValueError(f"overdispersion below 1: {self.phi}")
        if (len(self.harm), len(self.ok)) != (len(self.plan.harm), len(self.plan.gates)):
            raise ValueError(f"evidence of {len(self.harm)} and {len(self.ok)} edges for {self.plan}")
        if len({one.unstarted for one in self.harm}) > 1 or any(one.unstarted for one in self.ok):
            raise ValueError("edges of one latency start their wealth together")

    @classmethod
    def begin(
        cls, plan: TailPlan, wealth: Wealth, *, phi: float = 1.0, counted_until: datetime | None = None
    ) -> "TailEvidence":
        """Start a rollout's evidence; what happened up to ``counted_until`` is not part of it."""
        return cls(
            plan=plan,
            harm=(EProcess.begin(HARM_GRID, started=wealth.at_start),) * len(plan.harm),
            ok=(EProcess.begin(OK_GRID),) * len(plan.gates),
            rollout=Calls(),
            step=Calls(),
            phi=phi,
            counted_until=counted_until,
        )

    @property
    def harm_log(self) -> float:
        """Logarithm of the evidence of harm, the mean over edges; harm is shown at ln(1 / ALPHA_ROLLBACK)."""
        return log_sum_exp([one.log_value for one in self.harm]) - math.log(len(self.harm))

    @property
    def ok_log(self) -> float:
        """Logarithm of the evidence at the gate that has the least of it; shown at ln(1 / ALPHA_OK)."""
        return min(one.log_value for one in self.ok)

    def observe(self, block: TailBlock, margins: Margins, wealth: Wealth) -> "TailEvidence":
        """
        Count one block, once.

        A block that ends at or before ``counted_until`` has been counted: the evidence comes back unchanged, so a
        replay is harmless. A gap before the block is allowed; it was left out on purpose. Where the arms do not both
        have an edge in this block, it says nothing about that edge (factor 1), and is counted at the others.

        Args:
            block: What both arms observed.
            margins: The step's, for those edges whose margin the plan leaves to it.
            wealth: The schedule the evidence was begun with.

        Raises:
            ValueError: If the block begins before ``counted_until`` and ends after it, as part of it would count twice.

        """
        if self.counted_until is not None:
            if block.end <= self.counted_until:
                return self
            if block.start < self.counted_until:
                raise ValueError(f"block from {block.start} overlaps what was counted until {self.counted_until}")
        started = tuple(one.start_wealth(wealth.per_block) for one in self.harm)
        return replace(
            self,
            harm=self._updated(started, self.plan.harm, block, margins.harm),
            ok=self._updated(self.ok, self.plan.gates, block, margins.ok),
            rollout=self.rollout.plus(block),
            step=self.step.plus(block),
            counted_until=block.end,
        )

    def _updated(
        self, accounts: tuple[EProcess, ...], edges: tuple[JudgedEdge, ...], block: TailBlock, margin: Null
    ) -> tuple[EProcess, ...]:
        nulls = [margin if judged.null is None else judged.null for judged in edges]
        blocks = [block.at(judged.edge, null) for judged, null in zip(edges, nulls, strict=True)]
        return tuple(
            one if counted is None else one.update(counted, null, self.phi)
            for one, counted, null in zip(accounts, blocks, nulls, strict=True)
        )

    def enter_step(self, wealth: Wealth) -> "TailEvidence":
        """Begin a later step, as ``MetricEvidence.enter_step`` does, together with ``skip_until``."""
        return replace(
            self,
            harm=tuple(one.start_wealth(wealth.per_step) for one in self.harm),
            ok=tuple(one.restart() for one in self.ok),
            step=Calls(),
        )

    def skip_until(self, at: datetime) -> "TailEvidence":
        """
        Leave out what happens up to ``at`` (aware): warm-up and settling, for a time fixed in advance.

        Moves ``counted_until`` forward only. What was not counted by then never will be.
        """
        if self.counted_until is not None and at <= self.counted_until:
            return self
        return replace(self, counted_until=at)

    def tried_again(self) -> "TailEvidence":
        """Begin the same step once more, as ``MetricEvidence.tried_again`` does."""
        return replace(self, step=Calls())

    def overruled(self, level: float, kept_back: float) -> "TailEvidence":
        """Go on after a finding that a person overruled: each edge begins again, see ``EProcess.overruled``."""
        return replace(self, harm=tuple(one.overruled(level, kept_back) for one in self.harm))

    def verdict(self) -> Verdict:
        """Return the opinion of this latency alone; rolling back goes by the mean over all metrics."""
        if harmful(self.harm_log):
            return Verdict.FAILED
        if self.step.candidate == 0.0:
            return Verdict.NO_DATA
        return Verdict.PASSED if self.ok_log >= -math.log(ALPHA_OK) else Verdict.INCONCLUSIVE

    def to_state(self) -> TailState:
        """Stored form; ``from_state`` gives back an equal value."""
        until = self.counted_until
        return TailState(
            plan=self.plan.to_state(),
            harm=[list(one.logs) for one in self.harm],
            ok=[list(one.logs) for one in self.ok],
            unstarted=self.harm[0].unstarted,
            rollout=_calls(self.rollout),
            step=_calls(self.step),
            phi=self.phi,
            until="" if until is None else until.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        )

    @classmethod
    def from_state(cls, state: TailState) -> "TailEvidence":
        """
        Restore what ``to_state`` wrote.

        Raises:
            ValueError: If the state is damaged or of another grid: the caller holds, it must not start afresh, as
                that would spend the error bound again.

        """
        until = state["until"]
        return cls(
            plan=TailPlan.from_state(state["plan"]),
            harm=tuple(EProcess.from_state(HARM_GRID, [*logs, state["unstarted"]]) for logs in state["harm"]),
            ok=tuple(EProcess.from_state(OK_GRID, [*logs, 0.0]) for logs in state["ok"]),
            rollout=_read_calls(state["rollout"]),
            step=_read_calls(state["step"]),
            phi=float(state["phi"]),
            counted_until=datetime.fromisoformat(until) if until else None,
        )


def _calls(calls: Calls) -> list[float]:
    # Whole numbers lose their ".0": equal in value, and two bytes less for each of four.
    return [int(number) if float(number).is_integer() else number for number in (calls.candidate, calls.stable)]


def _read_calls(numbers: Sequence[float]) -> Calls:
    candidate, stable = map(float, numbers)
    return Calls(candidate, stable)
