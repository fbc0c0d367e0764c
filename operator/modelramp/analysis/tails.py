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
from typing import Final, TypedDict

from modelramp.analysis.block import Block, Counts
from modelramp.analysis.eprocess import HARM_GRID, OK_GRID, EProcess, Null, Wealth, log_sum_exp
from modelramp.analysis.evidence import ALPHA_OK, Verdict, harmful
from modelramp.analysis.histogram import Histogram
from modelramp.analysis.margin import RHO_HARM, Margins

LIGHTEST: Final = 1e-4  # of stable's calls above an edge: with fewer, a rollout's traffic says nothing there
HEAVIEST: Final = 0.5  # the rarer outcome carries the information
MOST_HARM: Final = 8  # edges: the mean over k costs ln k, and two latencies must fit the stored status
MOST_GATES: Final = 2
FEWEST_EVENTS: Final = 20.0  # above an edge in the look-back: with fewer, a ratio of tails is a guess (22 % at 20)
DEFAULT_TAILS: Final = (0.1, 0.01)  # without a question the 90th and 99th percentile are those nobody may worsen
NEAR: Final = 2.0  # an edge whose tail is within this factor of the quantile's speaks for it alone
RATIO_DECIMALS: Final = 6  # a plan is kept as it is stored, so that a restart changes nothing
SHARE_DECIMALS: Final = 12  # turns 1 - 0.99 back into 0.01


@dataclass(frozen=True, slots=True)
class OverThreshold:
    """
    May a larger share of calls take longer than this? Compared with stable, by the step's margins.

    Attributes:
        seconds: The threshold; it must be a bucket edge.

    """

    seconds: float


@dataclass(frozen=True, slots=True)
class QuantileGrowth:
    """
    May a quantile of the latency grow by so much?

    Attributes:
        quantile: 0.5 up to, but not including, 1: 0.99 is the 99th percentile.
        growth: Allowed relative growth, above 0: 0.2 is 20 %.

    Raises:
        ValueError: If a number is out of range.

    """

    quantile: float
    growth: float

    def __post_init__(self) -> None:
        """Refuse what no tail can answer."""
        if not (1.0 - HEAVIEST <= self.quantile < 1.0 and 0.0 < self.growth < math.inf):
            raise ValueError(f"no growth of {self.growth:g} of quantile {self.quantile:g}")


@dataclass(frozen=True, slots=True)
class QuantileLimit:
    """
    Is a quantile of the candidate's latency above this, whatever stable's is?

    Attributes:
        quantile: Above 0, below 1.
        seconds: The limit; it must be a bucket edge.

    Raises:
        ValueError: If the quantile is out of range.

    """

    quantile: float
    seconds: float

    def __post_init__(self) -> None:
        """Refuse what is no quantile."""
        if not 0.0 < self.quantile < 1.0:
            raise ValueError(f"quantile {self.quantile:g} is not within (0, 1)")


Question = OverThreshold | QuantileGrowth | QuantileLimit


@dataclass(frozen=True, slots=True)
class JudgedEdge:
    """
    An edge and what is allowed above it.

    Attributes:
        edge: Upper bucket edge.
        null: The margin, fixed by the plan; None for the margin of the step.

    """

    edge: float
    null: Null | None = None


class PlanState(TypedDict):
    """Stored form of ``TailPlan``: for each edge itself, and where the plan fixed them, rho and epsilon."""

    harm: list[list[float]]
    gates: list[list[float]]


@dataclass(frozen=True, slots=True)
class TailPlan:
    """
    Which edges are judged, fixed before the rollout.

    Attributes:
        harm: 1 to 8 edges over which evidence of harm is averaged.
        gates: 1 or 2 edges at each of which "not worse" must be shown.

    Raises:
        ValueError: If there are fewer or more, or one is named twice.

    """

    harm: tuple[JudgedEdge, ...]
    gates: tuple[JudgedEdge, ...]

    def __post_init__(self) -> None:
        """Refuse a plan whose evidence could not be stored or would count an edge double."""
        for judged, most in ((self.harm, MOST_HARM), (self.gates, MOST_GATES)):
            if not 1 <= len({one.edge for one in judged}) == len(judged) <= most:
                raise ValueError(f"a plan needs 1 to {most} different edges, not {[one.edge for one in judged]}")

    @property
    def edges(self) -> tuple[float, ...]:
        """Every edge judged, ascending: what native histograms should be counted at."""
        return tuple(sorted({one.edge for one in (*self.harm, *self.gates)}))

    def to_state(self) -> PlanState:
        """Stored form; ``from_state`` gives back an equal value."""
        return PlanState(harm=[_row(one) for one in self.harm], gates=[_row(one) for one in self.gates])

    @classmethod
    def from_state(cls, state: PlanState) -> "TailPlan":
        """
        Restore what ``to_state`` wrote.

        Raises:
            ValueError: If the state is damaged.

        """
        return cls(tuple(map(_judged, state["harm"])), tuple(map(_judged, state["gates"])))


def plan_tails(stable: Histogram, question: Question | None = None) -> TailPlan:
    """
    Decide which edges are judged, from the stable arm's look-back.

    ============== ===================================== ====================================================
    question       harm: refute "candidate's tail <="    not worse: refute "candidate's tail >="
    ============== ===================================== ====================================================
    OverThreshold  at that edge, the step's margin       the same edge, the step's margin
    QuantileGrowth all tails, 1.1 rho'_b tail_s          edges nearest the quantile, rho_b tail_s
    QuantileLimit  at that edge, 1 - quantile            the same edge, 1 - quantile
    None           all tails, the step's margin          edges nearest a tail of 10 % and of 1 %, the step's margin
    ============== ===================================== ====================================================

    "All tails" are the edges above which stable has 0.01 to 50 % of its calls; of more than 8, those whose tails are
    nearest to 8 values evenly spread in the logarithm from the heaviest to the lightest of them.

    A growth delta is translated once for each edge b, rho_b = tail_s(b / (1 + delta)) / tail_s(b), interpolated by
    ``Histogram.tail_at``: strictly for the gates and leniently (rho'_b) for harm, so that between buckets the doubt
    neither promotes nor rolls back. An edge with fewer than 20 calls above it in the look-back has no such ratio and is
    left out. Gating are the edges of the bucket that
    holds the quantile, as far as they have a ratio and at most 50 % of the calls above them; where one has a tail
    within a factor of 2 of 1 - quantile, only such.

    Args:
        stable: What the stable arm observed before the rollout. Of a threshold or a limit only the edges matter.
        question: What the user asked; None for all tails.

    Raises:
        NoSuchEdgeError: If a threshold or limit is not an edge.
        ValueError: If no edge can be judged, or the quantile lies above the last edge, where growth shows nowhere.

    """
    match question:
        case OverThreshold(seconds):
            stable.counts(seconds)
            return TailPlan((JudgedEdge(seconds),), (JudgedEdge(seconds),))
        case QuantileLimit(quantile, seconds):
            stable.counts(seconds)
            limit = JudgedEdge(seconds, Null(rho=0.0, epsilon=round(1.0 - quantile, SHARE_DECIMALS)))
            return TailPlan((limit,), (limit,))
        case None:
            harm = _judging(stable)
            gates = sorted({_nearest(stable, harm, tail) for tail in DEFAULT_TAILS})
            return TailPlan(tuple(map(JudgedEdge, harm)), tuple(map(JudgedEdge, gates)))
        case _:
            return _growth_plan(stable, question)


def _growth_plan(stable: Histogram, question: QuantileGrowth) -> TailPlan:
    lower, upper = stable.edges_around(question.quantile)
    if upper is None:
        raise ValueError(
            f"stable's quantile {question.quantile:g} lies above the last bucket edge ({lower or 0.0:g}), where its"
            " growth cannot be seen: add larger buckets"
        )
    rare = 1.0 - question.quantile
    around = [edge for edge in dict.fromkeys((lower, upper)) if edge is not None and _measured(stable, edge)]
    near = [edge for edge in around if rare / NEAR <= stable.tail(edge) <= rare * NEAR]
    harm = [edge for edge in _judging(stable) if _measured(stable, edge)]
    if not around or not harm:
        raise ValueError(
            f"no edge near stable's quantile {question.quantile:g} has {FEWEST_EVENTS:g} calls above it, and at most"
            f" {HEAVIEST:.0%} of them, in {stable.n:g} calls: look back further or add buckets"
        )
    return TailPlan(
        harm=tuple(_allowed(stable, edge, question.growth, harm=True) for edge in harm),
        gates=tuple(_allowed(stable, edge, question.growth, harm=False) for edge in near or around),
    )


def _judging(stable: Histogram) -> list[float]:
    """Return the edges of all tails, ascending, at most ``MOST_HARM``."""
    edges = [edge for edge in stable.edges if LIGHTEST <= stable.tail(edge) <= HEAVIEST]
    if not edges:
        tails = ", ".join(f"{stable.tail(edge):.2g} above {edge:g}" for edge in stable.edges)
        raise ValueError(
            f"no bucket edge has {LIGHTEST:.2%} to {HEAVIEST:.0%} of stable's calls above it: {tails or 'no edges'}"
        )
    if len(edges) <= MOST_HARM:
        return edges
    heaviest, lightest = (math.log(stable.tail(edge)) for edge in (edges[0], edges[-1]))
    chosen: set[float] = set()
    for number in range(MOST_HARM):
        wanted = math.exp(heaviest + (lightest - heaviest) * number / (MOST_HARM - 1))
        chosen.add(_nearest(stable, [edge for edge in edges if edge not in chosen], wanted))
    return sorted(chosen)


def _nearest(stable: Histogram, edges: Sequence[float], tail: float) -> float:
    return min(edges, key=lambda edge: abs(math.log(stable.tail(edge) / tail)))


def _measured(stable: Histogram, edge: float) -> bool:
    return stable.counts(edge).x >= FEWEST_EVENTS and stable.tail(edge) <= HEAVIEST


def _allowed(stable: Histogram, edge: float, growth: float, *, harm: bool) -> JudgedEdge:
    ratio = stable.tail_at(edge / (1.0 + growth), lenient=harm) / stable.tail(edge)
    return JudgedEdge(edge, Null(rho=round((RHO_HARM if harm else 1.0) * ratio, RATIO_DECIMALS), epsilon=0.0))


def _row(judged: JudgedEdge) -> list[float]:
    return [judged.edge] if judged.null is None else [judged.edge, judged.null.rho, judged.null.epsilon]


def _judged(row: Sequence[float]) -> JudgedEdge:
    edge, *rest = map(float, row)
    if not rest:
        return JudgedEdge(edge)
    rho, epsilon = rest
    return JudgedEdge(edge, Null(rho, epsilon))


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
