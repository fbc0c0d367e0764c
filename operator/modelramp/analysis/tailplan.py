"""
Which bucket edges judge latency, fixed once from the stable arm's look-back, before the first block. Counts nothing.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypedDict

from modelramp.analysis.eprocess import Null
from modelramp.analysis.histogram import Histogram
from modelramp.analysis.margin import RHO_HARM

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
