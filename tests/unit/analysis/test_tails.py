"""Latency: which edges are judged, and that each is judged like any other counter."""

import json
import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from modelramp.analysis import (
    HARM_GRID,
    OK_GRID,
    Block,
    Counts,
    EProcess,
    Margins,
    MetricEvidence,
    Null,
    Verdict,
    log_factor,
    log_sum_exp,
    wealth_schedule,
)
from modelramp.analysis.histogram import Histogram, NoSuchEdgeError
from modelramp.analysis.tailplan import (
    JudgedEdge,
    OverThreshold,
    QuantileGrowth,
    QuantileLimit,
    Question,
    TailPlan,
    plan_tails,
)
from modelramp.analysis.tails import Calls, TailBlock, TailEvidence, TailState

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
WEALTH = wealth_schedule(planned_blocks=960, later_steps=2)
MARGINS = Margins(harm=Null(1.1, 0.0), ok=Null(1.25, 0.01))
LOOK_BACK = Histogram((0.1, 0.25, 0.5, 1.0, 2.5), (400_000.0, 900_000.0, 990_000.0, 999_900.0, 999_990.0), 1e6)
QUIET = (Histogram((0.25, 0.5), (90.0, 99.0), 100.0), Histogram((0.25, 0.5), (810.0, 891.0), 900.0))
BAD = (Histogram((0.25, 0.5), (60.0, 80.0), 100.0), Histogram((0.25, 0.5), (810.0, 891.0), 900.0))
TWO_EDGES = TailPlan((JudgedEdge(0.25), JudgedEdge(0.5)), (JudgedEdge(0.25), JudgedEdge(0.5)))


def block(number: int, arms: tuple[Histogram, Histogram] = QUIET, length: int = 1) -> TailBlock:
    start = NOON + timedelta(seconds=60 * number)
    return TailBlock(start, start + timedelta(seconds=60 * length), *arms)


def after(count: int, arms: tuple[Histogram, Histogram] = QUIET, plan: TailPlan = TWO_EDGES) -> TailEvidence:
    evidence = TailEvidence.begin(plan, WEALTH)
    for number in range(count):
        evidence = evidence.observe(block(number, arms), MARGINS, WEALTH)
    return evidence


def one_edge(candidate: Counts, stable: Counts) -> tuple[Histogram, Histogram]:
    return (
        Histogram((0.5,), (candidate.n - candidate.x,), candidate.n),
        Histogram((0.5,), (stable.n - stable.x,), stable.n),
    )


# ---------------------------------------------------------------- the plan


def test_a_threshold_is_judged_at_its_edge_by_the_steps_margin() -> None:
    """For harm and for the gate alike; nothing needs to have been observed."""
    plan = plan_tails(Histogram((0.5,), (0.0,), 0.0), OverThreshold(0.5))
    assert plan == TailPlan((JudgedEdge(0.5),), (JudgedEdge(0.5),))


@pytest.mark.parametrize("question", [OverThreshold(0.3), QuantileLimit(0.99, 0.3)])
def test_a_threshold_between_edges_is_refused(question: Question) -> None:
    """With the edges there are."""
    with pytest.raises(NoSuchEdgeError, match=r"0.3 is not .* nearest 0.25 and 0.5; the edges are 0.1, 0.25, 0.5, 1"):
        plan_tails(LOOK_BACK, question)


def test_a_quantiles_limit_is_a_rate_of_its_own() -> None:
    """The 99th percentile is above 0.5 s where more than 1 % are; stable does not matter."""
    limit = JudgedEdge(0.5, Null(0.0, 0.01))
    assert plan_tails(LOOK_BACK, QuantileLimit(0.99, 0.5)) == TailPlan((limit,), (limit,))


def test_without_a_question_all_tails_are_judged() -> None:
    """Stable's are 60, 10, 1, 0.01 and 0.001 %: three are within 0.01 to 50 %; gates stand at 10 and 1 %."""
    plan = plan_tails(LOOK_BACK)
    assert plan.harm == (JudgedEdge(0.25), JudgedEdge(0.5), JudgedEdge(1.0))
    assert plan.gates == (JudgedEdge(0.25), JudgedEdge(0.5))
    assert plan.edges == (0.25, 0.5, 1.0)


def test_one_gate_suffices_where_one_edge_is_nearest_to_both() -> None:
    """10 and 1 % both find the only tail there is."""
    plan = plan_tails(Histogram((0.1, 0.2), (97.0, 100.0), 100.0))
    assert plan == TailPlan((JudgedEdge(0.1),), (JudgedEdge(0.1),))


def test_of_many_tails_eight_are_judged_spread_over_their_logarithm() -> None:
    """Tails halve from 50 %: 13 of them reach 0.01 %, nearest to 8 even steps are these."""
    edges = tuple(0.1 * (number + 1) for number in range(16))
    halving = Histogram(edges, tuple(2.0**20 - 2.0 ** (19 - number) for number in range(16)), 2.0**20)
    judged = [halving.tail(one.edge) for one in plan_tails(halving).harm]
    assert [round(-math.log2(tail)) for tail in judged] == [1, 3, 4, 6, 8, 10, 11, 13]
    fewer = halving.restricted(edges[:8])
    assert [one.edge for one in plan_tails(fewer).harm] == list(fewer.edges)


def test_equal_tails_do_not_take_the_same_edge_twice() -> None:
    """Nine edges, eight of them with the same tail."""
    flat = Histogram(tuple(map(float, range(1, 10))), (50.0, *(90.0,) * 8), 100.0)
    assert len(plan_tails(flat).harm) == 8


@pytest.mark.parametrize(
    ("stable", "message"),
    [
        (Histogram((0.1, 0.5), (100.0, 100.0), 100.0), "0 above 0.1, 0 above 0.5"),
        (Histogram((0.1,), (1.0,), 100.0), "0.99 above 0.1"),
        (Histogram((), (), 100.0), "no edges"),
        (Histogram((0.1,), (0.0,), 0.0), "nothing was observed"),
    ],
)
def test_without_a_tail_there_is_no_plan(stable: Histogram, message: str) -> None:
    """All calls in one bucket say nothing; the user is told where they are."""
    with pytest.raises(ValueError, match=message):
        plan_tails(stable)


def test_growth_becomes_a_ratio_of_tails() -> None:
    """
    The 99th percentile is the edge 0.5. At 0.25 = 0.5 / 2, ten times as many are above: doubling it allows that.

    By the power law between 0.25 (10 %) and 0.5 (1 %), growing by 25 % leads from 0.4: 0.1 * (0.4/0.25)^(-3.3219).
    """
    doubled = plan_tails(LOOK_BACK, QuantileGrowth(0.99, 1.0))
    assert doubled.gates == (JudgedEdge(0.5, Null(10.0, 0.0)),)
    quarter = plan_tails(LOOK_BACK, QuantileGrowth(0.99, 0.25))
    ratio = 10.0 * 1.6 ** -math.log2(10.0)
    assert quarter.gates == (JudgedEdge(0.5, Null(round(ratio, 6), 0.0)),)
    assert [one.edge for one in quarter.harm] == [0.25, 0.5, 1.0]
    assert quarter.harm[1].null == Null(round(1.1 * 10.0**0.4, 6), 0.0)  # 0.4 is two fifths of the way down from 0.5
    assert quarter.harm[0].null == Null(round(1.1 * 6.0 ** (1 / 3), 6), 0.0)  # 0.2, a third from 10 % up to 60 %


def gates(stable: Histogram, quantile: float) -> list[float]:
    return [one.edge for one in plan_tails(stable, QuantileGrowth(quantile, 0.2)).gates]


def test_growth_is_gated_at_the_edges_nearest_the_quantile() -> None:
    """Both of its bucket; only the near one where a tail is within a factor of 2."""
    assert gates(LOOK_BACK, 0.97) == [0.25, 0.5]
    assert gates(LOOK_BACK, 0.985) == [0.5]
    assert gates(LOOK_BACK, 0.94) == [0.25]
    both = Histogram((0.1, 0.2, 0.5), (700.0, 890.0, 935.0), 1000.0)
    assert gates(both, 0.92) == [0.2, 0.5]


def test_an_edge_that_cannot_carry_a_ratio_is_left_out() -> None:
    """Too few calls above it in the look-back, or most of them."""
    assert gates(Histogram((0.1, 0.2), (900.0, 1000.0), 1000.0), 0.97) == [0.1]  # tail 0 at 0.2
    assert gates(Histogram((0.1, 0.2), (900.0, 981.0), 1000.0), 0.97) == [0.1]  # 19 calls
    assert gates(Histogram((0.1, 0.2), (900.0, 980.0), 1000.0), 0.97) == [0.2]  # 20 calls
    assert gates(Histogram((0.1, 0.2), (400.0, 980.0), 1000.0), 0.9) == [0.2]  # 60 % above 0.1
    assert gates(Histogram((0.1, 0.2), (960.0, 1000.0), 1000.0), 0.5) == [0.1]  # in the first bucket
    few = Histogram((0.1, 0.2), (900.0, 990.0), 1000.0)
    assert [one.edge for one in plan_tails(few, QuantileGrowth(0.9, 0.2)).harm] == [0.1]


def test_growth_above_the_last_edge_cannot_be_seen() -> None:
    """Refused: the quantile could grow tenfold without one more call above an edge."""
    slow = Histogram((0.1, 0.5), (10.0, 900.0), 1000.0)
    with pytest.raises(ValueError, match=r"above the last bucket edge \(0.5\).*larger buckets"):
        plan_tails(slow, QuantileGrowth(0.99, 0.2))
    with pytest.raises(ValueError, match=r"above the last bucket edge \(0\)"):
        plan_tails(Histogram((), (), 1000.0), QuantileGrowth(0.99, 0.2))


def test_growth_needs_calls_in_the_look_back() -> None:
    """A dozen calls above every edge make no ratio."""
    with pytest.raises(ValueError, match=r"0.9 has 20 calls above it, and at most 50% of them, in 30 calls"):
        plan_tails(Histogram((0.1, 0.2), (18.0, 29.0), 30.0), QuantileGrowth(0.9, 0.2))


def test_growth_needs_a_tail_that_judges_harm() -> None:
    """Far quantiles of a long look-back: 50 calls are enough for a ratio but less than 0.01 %."""
    with pytest.raises(ValueError, match=r"no bucket edge has 0.01% to 50%"):
        plan_tails(Histogram((0.1,), (999_950.0,), 1e6), QuantileGrowth(0.5, 0.2))


@pytest.mark.parametrize(
    ("quantile", "growth"), [(0.4, 0.2), (1.0, 0.2), (0.9, 0.0), (0.9, math.inf), (math.nan, 0.2), (0.9, math.nan)]
)
def test_no_growth(quantile: float, growth: float) -> None:
    """Below the median the tail is not the rarer outcome."""
    with pytest.raises(ValueError, match="no growth"):
        QuantileGrowth(quantile, growth)


@pytest.mark.parametrize("quantile", [0.0, 1.0, math.nan])
def test_no_quantile(quantile: float) -> None:
    with pytest.raises(ValueError, match="not within"):
        QuantileLimit(quantile, 0.5)


@pytest.mark.parametrize(
    ("harm", "gating"),
    [(0, 1), (1, 0), (9, 1), (1, 3)],
)
def test_a_plan_has_edges_but_not_too_many(harm: int, gating: int) -> None:
    """8 for harm and 2 gates are what the stored state is measured for."""
    edges = tuple(JudgedEdge(float(number)) for number in range(9))
    with pytest.raises(ValueError, match="a plan needs 1 to"):
        TailPlan(edges[:harm], edges[:gating])
    with pytest.raises(ValueError, match="different edges"):
        TailPlan((edges[1], edges[1]), edges[:1])


def test_a_plan_survives_json_exactly() -> None:
    """With margins of its own and without."""
    for question in (None, OverThreshold(0.5), QuantileGrowth(0.99, 0.2), QuantileLimit(0.95, 0.5)):
        plan = plan_tails(LOOK_BACK, question)
        assert plan == TailPlan.from_state(json.loads(json.dumps(plan.to_state())))
    for row in ([], [1.0, 2.0], [1.0, 2.0, 3.0, 4.0]):
        with pytest.raises(ValueError, match="values to unpack"):
            TailPlan.from_state({"harm": [row], "gates": [[0.5]]})


# ---------------------------------------------------------------- the evidence

VECTORS = [
    # x_c, n_c, x_s, n_s, theta, rho, epsilon, ln e
    (7, 100, 20, 900, 2.4, 1.25, 0, 1.872299668),
    (3, 150, 20, 1350, 2, 1.1, 0, -0.2982606108),
    (0, 150, 20, 1350, 2, 1.1, 0, -2.0675670891),
    (3, 150, 20, 1350, 0.5, 1.25, 0.005, -0.2817742066),
    (5, 1000, 0, 0, 2, 0, 0.001, 2.4657359028),
    (5, 1000, 0, 0, 2, 1.1, 0, 0),
    (0, 0, 12, 800, 2, 1.1, 0, 0),
    (1, 60, 0, 540, 5, 1.1, 0.0005, 1.1733419282),
]


@pytest.mark.parametrize("vector", VECTORS, ids=str)
def test_one_edge_equals_the_reference_vector(vector: tuple[float, ...]) -> None:
    """The calls above an edge are events like any other."""
    x_c, n_c, x_s, n_s, theta, rho, epsilon, expected = vector
    null = Null(rho, epsilon)
    counted = block(0, one_edge(Counts(n_c, x_c), Counts(n_s, x_s))).at(0.5, null)
    assert counted is not None
    assert expected == pytest.approx(log_factor(counted.candidate, counted.stable, theta=theta, null=null), abs=1e-8)


def test_one_edge_is_a_plain_metric() -> None:
    """Bet for bet, over blocks and a later step."""
    tails, plain = TailEvidence.begin(plan_tails(QUIET[1], OverThreshold(0.5)), WEALTH), MetricEvidence.begin(WEALTH)
    for number in range(6):
        arms = BAD if number % 2 else QUIET
        tails = tails.observe(block(number, arms), MARGINS, WEALTH)
        counts = Block(tails.counted_until or NOON, NOON + timedelta(hours=1), arms[0].counts(0.5), arms[1].counts(0.5))
        plain = replace(plain, counted_until=None).observe(counts, MARGINS, WEALTH)
        if number == 3:
            tails, plain = tails.enter_step(WEALTH), plain.enter_step(WEALTH)
    assert (tails.harm, tails.ok) == ((plain.harm,), (plain.ok,))
    assert tails.harm_log == pytest.approx(plain.harm_log)
    assert (tails.ok_log, tails.verdict()) == (plain.ok_log, plain.verdict())
    assert tails.rollout == Calls(600.0, 5400.0)
    assert tails.step == Calls(200.0, 1800.0)


def test_harm_is_the_mean_over_edges_and_ok_the_least() -> None:
    """Hand-computed from the factors of one block."""
    evidence = after(1, BAD)
    harm, ok = [], []
    for edge in (0.25, 0.5):
        c, s = BAD[0].counts(edge), BAD[1].counts(edge)
        started = WEALTH.at_start + WEALTH.per_block
        factors = [math.exp(log_factor(c, s, theta=theta, null=MARGINS.harm)) for theta in HARM_GRID]
        harm.append(started * sum(factors) / 8 + 1 - started)
        ok.append(sum(math.exp(log_factor(c, s, theta=theta, null=MARGINS.ok)) for theta in OK_GRID) / 7)
    assert evidence.harm_log == pytest.approx(math.log(sum(harm) / 2), abs=1e-4)
    assert evidence.ok_log == pytest.approx(math.log(min(ok)), abs=1e-4)
    assert min(ok) < 0.9 * max(ok)


def test_a_fixed_margin_outranks_the_steps() -> None:
    """What the plan translated does not change with the step."""
    null = Null(2.0, 0.0)
    plan = TailPlan((JudgedEdge(0.5, null),), (JudgedEdge(0.5, null),))
    loose = Margins(harm=Null(9.0, 0.5), ok=Null(9.0, 0.5))
    fixed = TailEvidence.begin(plan, WEALTH).observe(block(0, BAD), loose, WEALTH)
    same = TailEvidence.begin(plan_tails(QUIET[1], OverThreshold(0.5)), WEALTH).observe(
        block(0, BAD), Margins(null, null), WEALTH
    )
    assert (fixed.harm, fixed.ok) == (same.harm, same.ok)


def test_an_edge_not_in_common_says_nothing_but_the_others_do() -> None:
    """Factor 1 at 0.5, whichever arm lost it; the block is counted."""
    short = tuple(arm.restricted([0.25]) for arm in BAD)
    for arms in ((short[0], BAD[1]), (BAD[0], short[1])):
        evidence = after(1, arms)
        untouched = EProcess.begin(HARM_GRID, started=WEALTH.at_start).start_wealth(WEALTH.per_block)
        assert evidence.harm == (after(1, BAD).harm[0], untouched)
        assert evidence.ok == (after(1, BAD).ok[0], EProcess.begin(OK_GRID))
        assert evidence.step == Calls(100.0, 900.0)
        assert evidence == TailEvidence.from_state(evidence.to_state())


def test_an_absolute_limit_needs_no_stable_arm() -> None:
    """After the switch there is none; 20 of 100 above a limit for 1 % are harm."""
    plan = plan_tails(LOOK_BACK, QuantileLimit(0.99, 0.5))
    alone = (BAD[0], Histogram((), (), 0.0))
    assert after(1, alone, plan).verdict() is Verdict.FAILED
    assert after(1, alone, plan).harm == after(1, BAD, plan).harm
    healthy = (Histogram((0.5,), (100.0,), 100.0), alone[1])
    assert after(1, healthy, plan).verdict() is Verdict.INCONCLUSIVE
    assert after(8, healthy, plan).verdict() is Verdict.PASSED


def test_verdicts() -> None:
    """Nothing, something, enough to pass, enough to fail."""
    assert TailEvidence.begin(TWO_EDGES, WEALTH).verdict() is Verdict.NO_DATA
    assert after(1).verdict() is Verdict.INCONCLUSIVE
    assert after(60).verdict() is Verdict.PASSED
    assert after(3, BAD).verdict() is Verdict.FAILED
    assert after(60).enter_step(WEALTH).verdict() is Verdict.NO_DATA


def test_every_gate_must_be_passed() -> None:
    """Fewer slow calls do not make up for more very slow ones."""
    mixed = (Histogram((0.25, 0.5), (99.0, 99.0), 100.0), Histogram((0.25, 0.5), (810.0, 899.5), 900.0))
    strict = replace(MARGINS, ok=Null(1.25, 0.0))
    evidence = TailEvidence.begin(TWO_EDGES, WEALTH)
    for number in range(3):
        evidence = evidence.observe(block(number, mixed), strict, WEALTH)
    assert evidence.ok[0].log_value > math.log(20.0) > evidence.ok[1].log_value
    assert evidence.verdict() is Verdict.INCONCLUSIVE


def test_replay_counts_nothing() -> None:
    """A block that ended by counted_until changes nothing, not even by identity."""
    evidence = after(3)
    assert evidence.observe(block(0), MARGINS, WEALTH) is evidence
    assert evidence.observe(block(2, BAD), MARGINS, WEALTH) is evidence


def test_a_block_that_would_count_twice_is_refused() -> None:
    """Half of it was counted already; a gap is allowed."""
    with pytest.raises(ValueError, match="overlaps"):
        after(3).observe(block(2, length=2), MARGINS, WEALTH)
    assert after(1).observe(block(9), MARGINS, WEALTH).counted_until == NOON + timedelta(minutes=10)


def test_skipping_moves_forward_only() -> None:
    """Warm-up is left out; a skip into the past would count something twice."""
    later = NOON + timedelta(minutes=9)
    assert later == after(2).skip_until(later).counted_until
    evidence = after(2)
    assert evidence.skip_until(NOON) is evidence
    assert TailEvidence.begin(TWO_EDGES, WEALTH).skip_until(NOON).counted_until == NOON


def test_a_block_is_a_stretch_of_time() -> None:
    """As for plain counts."""
    with pytest.raises(ValueError, match="end after"):
        TailBlock(NOON, NOON, *QUIET)
    with pytest.raises(ValueError, match="time zone"):
        TailBlock(NOON.replace(tzinfo=None), NOON, *QUIET)


def test_overdispersion_slows_every_edge() -> None:
    """Twice the phi halves what a block says."""
    plan = plan_tails(LOOK_BACK, QuantileLimit(0.99, 0.5))
    calm = TailEvidence.begin(plan, WEALTH, phi=2.0).observe(block(0, BAD), MARGINS, WEALTH)
    started = math.log(WEALTH.at_start + WEALTH.per_block)
    for half, whole in zip(calm.harm[0].logs, after(1, BAD, plan).harm[0].logs, strict=True):
        assert half - started == pytest.approx((whole - started) / 2, abs=2e-4)


@pytest.mark.parametrize("phi", [0.5, math.nan, math.inf])
def test_underdispersion_is_refused(phi: float) -> None:
    """A phi below 1 would multiply evidence."""
    with pytest.raises(ValueError, match="overdispersion"):
        TailEvidence.begin(TWO_EDGES, WEALTH, phi=phi)


def test_evidence_must_fit_its_plan() -> None:
    """An edge too few, or edges whose wealth began at different times."""
    evidence = after(1)
    with pytest.raises(ValueError, match="1 and 2 edges"):
        replace(evidence, harm=evidence.harm[:1])
    with pytest.raises(ValueError, match="together"):
        replace(evidence, harm=(evidence.harm[0], evidence.harm[1].start_wealth(0.1)))
    with pytest.raises(ValueError, match="together"):
        replace(evidence, ok=(evidence.ok[0], EProcess.begin(OK_GRID, started=0.5)))


def test_state_survives_json_exactly() -> None:
    """What is read back is what was written, and goes on alike."""
    for question in (None, QuantileGrowth(0.99, 0.2)):
        evidence = after(7, BAD, plan_tails(LOOK_BACK, question))
        back = TailEvidence.from_state(json.loads(json.dumps(evidence.to_state())))
        assert evidence == back
        assert evidence.observe(block(7), MARGINS, WEALTH) == back.observe(block(7), MARGINS, WEALTH)


def test_state_is_written_in_utc() -> None:
    """Whatever zone the instant came in; never counted is the empty string; shares of a call stay."""
    zone = timezone(timedelta(hours=2))
    evidence = TailEvidence.begin(TWO_EDGES, WEALTH, counted_until=NOON.astimezone(zone))
    assert evidence.to_state()["until"] == "2026-01-01T12:00:00Z"
    fresh = TailEvidence.begin(TWO_EDGES, WEALTH)
    assert fresh.to_state()["until"] == ""
    assert fresh == TailEvidence.from_state(fresh.to_state())
    assert replace(fresh, step=Calls(1.5, 2.0)).to_state()["step"] == [1.5, 2]


def test_the_widest_state_is_small() -> None:
    """Eight native edges of 19 digits with margins of their own, logarithms at their longest, billions of calls."""
    edges = [2.0 ** (number / 8) for number in range(-24, 0)]
    widest_edges = sorted(edges, key=lambda edge: -len(repr(edge)))[:10]
    judged = tuple(JudgedEdge(edge, Null(123.123457, 0.0)) for edge in widest_edges)
    widest = TailEvidence(
        plan=TailPlan(judged[:8], judged[8:]),
        harm=(EProcess(HARM_GRID, (-998.1234,) * len(HARM_GRID), 0.123456),) * 8,
        ok=(EProcess(OK_GRID, (-998.1234,) * len(OK_GRID), 0.0),) * 2,
        rollout=Calls(4_999_999_999.0, 4_999_999_999.0),
        step=Calls(4_999_999_999.0, 4_999_999_999.0),
        phi=1.37,
        counted_until=NOON,
    )
    assert len(json.dumps(widest.to_state(), separators=(",", ":"))) <= 1400
    assert widest == TailEvidence.from_state(json.loads(json.dumps(widest.to_state())))


@pytest.mark.parametrize("part", ["plan", "harm", "ok", "rollout", "unstarted", "until"])
def test_damaged_state_is_refused(part: str) -> None:
    """Starting afresh instead would spend the error bound twice."""
    damage = {"plan": {"harm": [[]], "gates": []}, "until": "yesterday", "unstarted": 1.5, "rollout": [1.0]}
    state: TailState = after(1).to_state()
    damaged = {**state, part: damage.get(part, [[1.0], [1.0]])}
    with pytest.raises(ValueError, match=r"."):
        TailEvidence.from_state(damaged)  # type: ignore[arg-type]  # the point of the test


def test_the_mean_over_edges_of_nothing_learnt_is_one() -> None:
    """No block, no evidence."""
    fresh = TailEvidence.begin(plan_tails(LOOK_BACK), WEALTH)
    assert fresh.harm_log == pytest.approx(0.0, abs=1e-4)
    assert log_sum_exp([fresh.ok_log]) == pytest.approx(0.0, abs=1e-9)
