"""Latency evidence: its error bound by exact enumeration, and its speed in a lognormal world with fixed seeds."""

import math
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import accumulate, pairwise, product
from statistics import NormalDist, mean

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelramp.analysis import HARM_GRID, OK_GRID, EProcess, Margins, Null, Verdict, wealth_schedule
from modelramp.analysis.histogram import Histogram
from modelramp.analysis.tailplan import JudgedEdge, QuantileGrowth, Question, TailPlan, plan_tails
from modelramp.analysis.tails import Calls, TailBlock, TailEvidence

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HALF_A_DIGIT = 5e-5  # logs are kept to four decimals
WEALTH = wealth_schedule(planned_blocks=60, later_steps=0)

# ---------------------------------------------------------------- the bound, by enumeration

EDGES = (0.25, 0.5)
BOTH = tuple(map(JudgedEdge, EDGES))


def outcomes(n: int, tails: tuple[float, float]) -> Iterator[tuple[float, Histogram]]:
    """Every way n calls fall into three buckets, with its probability."""
    shares = (1.0 - tails[0], tails[0] - tails[1], tails[1])
    for first in range(n + 1):
        for second in range(n - first + 1):
            ways = math.comb(n, first) * math.comb(n - first, second)
            third = n - first - second
            chance = ways * shares[0] ** first * shares[1] ** second * shares[2] ** third
            yield chance, Histogram(EDGES, (float(first), float(first + second)), float(n))


def expected(
    evidence: TailEvidence, margins: Margins, n: tuple[int, int], tails: tuple[tuple[float, float], ...]
) -> tuple[float, float]:
    """Expected value of the evidence of harm and of "not worse" after one block."""
    harm = ok = 0.0
    for (q_c, candidate), (q_s, stable) in product(outcomes(n[0], tails[0]), outcomes(n[1], tails[1])):
        after = evidence.observe(TailBlock(NOON, NOON + MINUTE, candidate, stable), margins, WEALTH)
        harm += q_c * q_s * math.exp(after.harm_log)
        ok += q_c * q_s * math.exp(after.ok_log)
    return harm, ok


@pytest.mark.parametrize("stable", [(0.0, 0.0), (0.3, 0.0), (0.3, 0.1), (0.5, 0.5), (0.6, 0.02)], ids=str)
@pytest.mark.parametrize(("rho", "epsilon"), [(1.0, 0.0), (1.1, 0.0), (1.25, 0.04), (0.0, 0.2)])
@pytest.mark.parametrize("n", [(2, 2)])
def test_neither_answer_is_expected_to_grow_on_its_null(
    stable: tuple[float, float], rho: float, epsilon: float, n: tuple[int, int]
) -> None:
    """Both edges on their boundary, where it is hardest; their counts depend on one another."""
    tails = (min(1.0, rho * stable[0] + epsilon), min(1.0, rho * stable[1] + epsilon))
    null = Null(rho, epsilon)
    harm, ok = expected(TailEvidence.begin(TailPlan(BOTH, BOTH), WEALTH), Margins(null, null), n, (tails, stable))
    assert 0.0 < harm <= 1.0 + HALF_A_DIGIT
    assert 0.0 < ok <= 1.0 + HALF_A_DIGIT


logs = st.lists(st.floats(-20.0, 8.0).map(lambda log: round(log, 4)), min_size=8, max_size=8).map(tuple)
unit = st.floats(0.0, 1.0)


@settings(max_examples=20, deadline=None)
@given(st.tuples(logs, logs), unit, st.tuples(unit, unit), st.tuples(unit, unit), st.floats(0.0, 1.5))
def test_harm_is_a_supermartingale_from_any_state(
    wealth: tuple[tuple[float, ...], tuple[float, ...]],
    unstarted: float,
    stable: tuple[float, float],
    part: tuple[float, float],
    rho: float,
) -> None:
    """Wherever within the null each edge is."""
    heavy, light = max(stable), min(stable)
    most = (part[0] * min(1.0, rho * heavy + 0.05), part[1] * min(1.0, rho * light + 0.05))
    tails = (most[0], min(most))
    evidence = TailEvidence(
        plan=TailPlan(BOTH, BOTH[:1]),
        harm=tuple(EProcess(HARM_GRID, one, round(unstarted, 6)) for one in wealth),
        ok=(EProcess.begin(OK_GRID),),
        rollout=Calls(),
        step=Calls(),
        phi=1.0,
        counted_until=None,
    )
    null = Null(rho, 0.05)
    harm, _ = expected(evidence, Margins(null, null), (2, 2), (tails, (heavy, light)))
    slack = 2.0 * HALF_A_DIGIT  # starting wealth rounds once, the factor once
    assert harm <= math.exp(evidence.harm_log + slack) * (1.0 + 1e-12)


@settings(max_examples=20, deadline=None)
@given(st.floats(0.0, 0.6), unit, st.floats(0.0, 1.2), st.integers(0, 1))
def test_one_gate_beyond_its_margin_suffices(heavy: float, part: float, rho: float, first: int) -> None:
    """However good the other is, "not worse" is not expected to grow: the least of both counts."""
    stable = (heavy, part * heavy)
    allowed = [min(1.0, rho * tail + 0.05) for tail in stable]
    tails = (allowed[0], 0.0) if first else (1.0, allowed[1])
    null = Null(rho, 0.05)
    _, ok = expected(TailEvidence.begin(TailPlan(BOTH, BOTH), WEALTH), Margins(null, null), (2, 1), (tails, stable))
    assert ok <= math.exp(HALF_A_DIGIT) * (1.0 + 1e-12)


# ---------------------------------------------------------------- the speed, in a lognormal world

DEFAULT_EDGES = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
MEDIAN, SPREAD = 0.12, 0.6  # the 99th percentile is 484 ms
GOALS = Margins(harm=Null(1.1, 0.0), ok=Null(1.25, 0.01))
MINUTES = 60


def shares(slower: float = 1.0) -> list[float]:
    """Share of the calls in each bucket, the last one ``+Inf``."""
    law = NormalDist(math.log(MEDIAN * slower), SPREAD)
    below = [0.0, *(law.cdf(math.log(edge)) for edge in DEFAULT_EDGES), 1.0]
    return [after - now for now, after in pairwise(below)]


def poisson(rng: random.Random, rate: float) -> int:
    """Draw by inversion, and by the normal law where both are alike."""
    if rate > 60.0:
        return max(0, round(rng.gauss(rate, math.sqrt(rate))))
    count, left, chance = 0, rng.random(), math.exp(-rate)
    while left > chance and count < 200:
        left -= chance
        count += 1
        chance *= rate / count
    return count


def observed(rng: random.Random, calls: float, law: list[float]) -> Histogram:
    below = list(accumulate(float(poisson(rng, calls * share)) for share in law))
    return Histogram(DEFAULT_EDGES, tuple(below[:-1]), below[-1])


def look_back() -> Histogram:
    """An hour of stable at 100 requests a second, as expected."""
    below = list(accumulate(360_000.0 * share for share in shares()))
    return Histogram(DEFAULT_EDGES, tuple(below[:-1]), below[-1])


def minutes_until(
    rng: random.Random, wanted: Verdict, law: list[float], rps: float = 100.0, question: Question | None = None
) -> int | None:
    """Minutes until a verdict at 10 % weight; None if an hour does not bring it."""
    evidence, stable = TailEvidence.begin(plan_tails(look_back(), question), WEALTH), shares()
    for minute in range(MINUTES):
        start = NOON + minute * MINUTE
        block = TailBlock(start, start + MINUTE, observed(rng, rps * 6.0, law), observed(rng, rps * 54.0, stable))
        evidence = evidence.observe(block, GOALS, WEALTH)
        if evidence.verdict() is wanted:
            return minute + 1
    return None


def test_the_plan_of_the_lognormal_world() -> None:
    """Four default buckets carry information; the 99th percentile is at 0.5 s."""
    assert [one.edge for one in plan_tails(look_back()).harm] == [0.25, 0.5, 0.75, 1.0]
    growth = plan_tails(look_back(), QuantileGrowth(0.99, 0.2))
    assert [one.edge for one in growth.gates] == [0.5]
    assert growth.gates[0].null is not None
    assert 0.85 * true_ratio(0.5) < growth.gates[0].null.rho < true_ratio(0.5)
    for judged in growth.harm:
        assert judged.null is not None
        assert 1.08 * true_ratio(judged.edge) < judged.null.rho < 1.25 * true_ratio(judged.edge)


def true_ratio(edge: float) -> float:
    """Ratio of the tails above an edge where all calls take 20 % longer."""
    law = NormalDist(math.log(MEDIAN), SPREAD)
    return (1.0 - law.cdf(math.log(edge / 1.2))) / (1.0 - law.cdf(math.log(edge)))


def test_a_healthy_candidate_is_not_rolled_back() -> None:
    """An hour each; the bound is 1 of 100."""
    rng = random.Random(5)
    assert [minutes_until(rng, Verdict.FAILED, shares()) for _ in range(20)] == [None] * 20


@pytest.mark.parametrize(("slower", "bar"), [(1.5, 1.0), (1.2, 2.0)])
def test_a_slower_candidate_is_found_at_once(slower: float, bar: float) -> None:
    """Mean minutes, the whole minute of the verdict included."""
    rng = random.Random(6)
    found = [minutes_until(rng, Verdict.FAILED, shares(slower)) for _ in range(20)]
    assert mean(minutes or math.inf for minutes in found) <= bar


def test_growth_that_is_allowed_is_not_rolled_back() -> None:
    """20 % slower where that is allowed, at 2,000 requests a second; without the question it would be."""
    rng = random.Random(7)
    question = QuantileGrowth(0.99, 0.2)
    assert {minutes_until(rng, Verdict.FAILED, shares(1.2), 2000.0, question) for _ in range(4)} == {None}
    assert None not in {minutes_until(rng, Verdict.FAILED, shares(1.2), 2000.0) for _ in range(4)}


def test_a_healthy_candidate_is_shown_not_to_have_grown() -> None:
    """Mean minutes until the 99th percentile is shown to have grown by less than 20 %."""
    rng = random.Random(8)
    shown = [minutes_until(rng, Verdict.PASSED, shares(), question=QuantileGrowth(0.99, 0.2)) for _ in range(20)]
    assert mean(minutes or math.inf for minutes in shown) <= 6.0
