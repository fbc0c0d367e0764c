"""Baselines of an arm that gets no request any more: the bound, its price, and the promise by simulation."""

import math
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from modelramp.analysis.block import Block, Counts
from modelramp.analysis.eprocess import HARM_GRID, OK_GRID, EProcess, Null, Wealth, wealth_schedule
from modelramp.analysis.evidence import ALPHA_ROLLBACK, MetricEvidence, Totals, harmful
from modelramp.analysis.frozen import (
    ENOUGH,
    FORFEIT,
    UNBOUNDED,
    alone,
    baseline_of,
    coarse,
    doubt,
    each_block,
    freeze_rate,
    freeze_tails,
    fund,
    hides_harm,
    plan_alone,
    reserving,
    upper_rate,
)
from modelramp.analysis.histogram import Histogram
from modelramp.analysis.margin import limit_margins, margins
from modelramp.analysis.tailplan import JudgedEdge, TailPlan
from modelramp.analysis.tails import TailBlock, TailEvidence

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
WEALTH = wealth_schedule(planned_blocks=40, later_steps=2)
NOTHING = Counts()
HARM = margins(0.005, 1.0).harm


def block(number: int, candidate: Counts, stable: Counts = NOTHING) -> Block:
    start = BEGIN + timedelta(seconds=15 * number)
    return Block(start, start + timedelta(seconds=15), candidate, stable)


def opened(stable: Counts = NOTHING, **changes: float) -> MetricEvidence:
    begun = MetricEvidence.begin(WEALTH, **changes)
    return begun.observe(block(0, Counts(stable.n / 9), stable), margins(0.005, 1.0), WEALTH) if stable.n else begun


class TestBound:
    """The highest rate that counts leave possible."""

    def test_by_hand(self) -> None:
        """Without a bad event the most daring bet of seven decides, exp(p n (1 - 0.03)); the others help a little."""
        found = upper_rate(Counts(1000.0, 0.0), delta=0.001)
        assert math.log(7 / 2 / 0.001) / 970 < found < math.log(7 / 0.001) / 970

    @pytest.mark.parametrize("counts", [Counts(500.0, 3.0), Counts(2e4, 150.0), Counts(1e6, 0.0), Counts(300.0, 90.0)])
    def test_it_is_just_refuted_and_a_little_less_is_not(self, counts: Counts) -> None:
        """The definition, recomputed."""

        def wealth(rate: float) -> float:
            bets = (one**counts.x * math.exp(rate * counts.n * (1 - one)) for one in OK_GRID)
            return math.fsum(bets) / len(OK_GRID)

        found = upper_rate(counts, delta=1e-4)
        assert counts.x / counts.n < found < UNBOUNDED
        assert wealth(found * 0.9999) < 1e4 <= wealth(found)

    def test_more_requests_bound_closer_and_more_scatter_wider(self) -> None:
        """Ten, a hundred, a thousand bad events at the same rate."""
        few, more, many = (upper_rate(Counts(1000.0 * k, 10.0 * k), delta=5e-4) for k in (1, 10, 100))
        assert 0.01 < many < more < few < 0.032
        assert upper_rate(Counts(1000.0, 10.0), delta=5e-4, phi=3.0) > few

    @pytest.mark.parametrize("counts", [NOTHING, Counts(5.0, 0.0), Counts(40.0, 39.0)])
    def test_little_bounds_nothing(self, counts: Counts) -> None:
        """Every rate is possible then."""
        assert upper_rate(counts, delta=1e-4) == UNBOUNDED

    def test_a_metric_s_doubt_is_its_share_of_what_all_pay(self) -> None:
        """Below what is forfeited, by the part of the promise that may be used up before."""
        assert math.fsum(map(doubt, (0.5, 0.25, 0.25))) == pytest.approx(FORFEIT * ALPHA_ROLLBACK * 0.99)

    def test_it_holds_at_whatever_instant_it_is_asked(self) -> None:
        """The rate is above the bound at any of eight looks in at most 5 % of runs; 400 runs, 99.9 % binomial limit."""
        rng, missed = random.Random(1), 0
        for _ in range(400):
            counts, under = NOTHING, False
            for _ in range(8):
                counts += Counts(400.0, binomial(rng, 400, 0.01))
                under = under or upper_rate(counts, delta=0.05) < 0.01
            missed += under
        assert 0 < missed <= 37


class TestBaseline:
    """Which counts stand for stable, and the margin they make."""

    @pytest.mark.parametrize(
        ("rollout", "past", "expected"),
        [(ENOUGH, 9e9, ENOUGH), (999.0, 5000.0, 5000.0), (999.0, 999.0, 999.0), (0.0, 10.0, 10.0), (20.0, 0.0, 20.0)],
    )
    def test_the_rollout_stands_for_stable_if_it_counted_enough(
        self, rollout: float, past: float, expected: float
    ) -> None:
        """Else the longer of the two; by numbers of requests alone."""
        assert baseline_of(Counts(rollout, 0.0), Counts(past, past / 100)).n == expected

    def test_the_margin_becomes_absolute(self) -> None:
        """1.1 times the bound and the floor; a limit stays what it is."""
        assert alone(Null(1.1, 0.001), 0.01) == Null(0.0, 0.011 + 0.001)
        assert alone(limit_margins(0.02).harm, 0.3) == Null(0.0, 0.02)


class TestPrice:
    """What a bound costs, and when the rest is bet."""

    def test_wealth_that_is_not_there_cannot_be_given_up(self) -> None:
        """Nor a negative amount."""
        process = EProcess.begin(HARM_GRID, started=0.96)
        for amount in (0.05, -0.01):
            with pytest.raises(ValueError, match="cannot give up"):
                process.forfeit(amount)
        assert process.forfeit(0.04).unstarted == 0.0

    def test_a_bound_is_paid_for_and_half_of_the_rest_is_bet(self) -> None:
        """Of what is unstarted; without a bound nothing is paid."""
        process = EProcess.begin(HARM_GRID, started=0.55)
        assert fund(process, pays=True).unstarted == pytest.approx(0.2)
        assert math.exp(fund(process, pays=True).log_value) == pytest.approx(0.95, abs=1e-3)
        assert fund(process, pays=False).unstarted == pytest.approx(0.225)

    def test_each_block_begins_a_twentieth_of_what_is_left(self) -> None:
        """And steps nothing."""
        assert each_block(EProcess.begin(HARM_GRID, started=0.8)) == Wealth(0.0, 0.0, 0.01)

    def test_what_a_bound_costs_is_never_bet_before(self) -> None:
        """However many steps and blocks come."""
        assert reserving(Wealth(0.5, 0.125, 0.01), 0.5) == Wealth(0.5, 0.125, 0.01)
        assert reserving(Wealth(0.5, 0.125, 0.01), 0.055) == Wealth(0.5, pytest.approx(0.005), pytest.approx(0.005))
        assert reserving(Wealth(0.5, 0.125, 0.01), 0.01) == Wealth(0.5, 0.0, 0.0)


class TestRate:
    """A rate judged alone."""

    def test_the_rollout_s_counts_are_frozen(self) -> None:
        """A hundred bad events of ten thousand bound stable by 1.6 %; the past is not needed."""
        found, (bound,) = freeze_rate(opened(Counts(1e4, 100.0)), HARM, Counts(1e6, 1e5), delta=5e-4)
        assert bound == upper_rate(Counts(1e4, 100.0), delta=5e-4)
        assert 0.01 < bound < 0.016
        assert math.exp(found.harm.log_value) <= 1.0 - FORFEIT + 0.01

    def test_the_past_stands_in(self) -> None:
        """Where nothing was counted beside the candidate."""
        _, (bound,) = freeze_rate(opened(), HARM, Counts(5000.0, 5.0), delta=5e-4)
        assert bound == upper_rate(Counts(5000.0, 5.0), delta=5e-4)

    def test_a_limit_needs_nothing_of_stable(self) -> None:
        """No bound, and nothing is paid."""
        found, bounds = freeze_rate(opened(), limit_margins(0.02).harm, NOTHING, delta=5e-4)
        assert bounds == ()
        assert found.harm.unstarted == pytest.approx(0.25)

    def test_without_counts_or_wealth_nothing_is_bounded(self) -> None:
        """And nothing is paid: no candidate is harmful against a rate of 1."""
        unknown, bounds = freeze_rate(opened(), HARM, NOTHING, delta=5e-4)
        assert (bounds, unknown.harm.unstarted) == ((UNBOUNDED,), pytest.approx(0.25))
        spent = MetricEvidence.begin(Wealth(0.96, 0.0, 0.0))
        poor, bounds = freeze_rate(spent, HARM, Counts(1e5, 10.0), delta=5e-4)
        assert (bounds, poor.harm.unstarted) == ((UNBOUNDED,), pytest.approx(0.02))


PLAN = TailPlan((JudgedEdge(0.1), JudgedEdge(0.5, Null(2.0, 0.0))), (JudgedEdge(0.5, Null(1.5, 0.0)),))
CALLS = (Counts(1e4, 1000.0), Counts(1e4, 50.0))


class TestTails:
    """Durations judged alone."""

    def test_every_edge_gets_an_absolute_margin(self) -> None:
        """The step's or the plan's own, each for the bound of its edge; half of the doubt for each."""
        found, bounds = freeze_tails(TailEvidence.begin(PLAN, WEALTH), HARM, CALLS, delta=1e-3)
        fast, slow = (upper_rate(counts, delta=5e-4) for counts in CALLS)
        assert bounds == (fast, slow)
        assert found.plan is PLAN  # a step beside stable may follow
        absolute = plan_alone(PLAN, HARM, bounds)
        assert [one.null for one in absolute.harm] == [alone(HARM, fast), Null(0.0, 2.0 * slow)]
        assert [one.null for one in absolute.gates] == [Null(0.0, 1.5 * slow)]
        assert plan_alone(absolute, HARM, bounds) == absolute
        assert [one.unstarted for one in found.harm] == [pytest.approx(0.225)] * 2

    def test_calls_of_the_candidate_alone_are_counted_then(self) -> None:
        """Half of the calls above 100 ms instead of a tenth: found at once, and again after a restart."""
        begun, bounds = freeze_tails(TailEvidence.begin(PLAN, WEALTH), HARM, CALLS, delta=1e-3)
        frozen = replace(begun, plan=plan_alone(PLAN, HARM, bounds))
        mine = Histogram.from_buckets({0.1: 100.0, 0.5: 200.0, math.inf: 200.0})
        seen = TailBlock(BEGIN, BEGIN + timedelta(seconds=15), mine, Histogram((), (), 0.0))
        grown = frozen.observe(seen, margins(0.005, 1.0), each_block(frozen.harm[0]))
        assert harmful(grown.harm_log)
        assert TailEvidence.from_state(grown.to_state()) == grown

    def test_a_quantile_below_a_limit_needs_nothing_of_stable(self) -> None:
        """Its plan is absolute from the start."""
        limit = (JudgedEdge(0.5, Null(0.0, 0.01)),)
        begun = TailEvidence.begin(TailPlan(limit, limit), WEALTH)
        found, bounds = freeze_tails(begun, HARM, (), delta=1e-3)
        assert (plan_alone(found.plan, HARM, bounds), bounds) == (begun.plan, ())
        assert found.harm[0].unstarted == pytest.approx(0.25)

    def test_without_a_past_nothing_is_bounded(self) -> None:
        """Nor with the past of other edges, nor without wealth."""
        for past, wealth in (((), WEALTH), (CALLS[:1], WEALTH), (CALLS, Wealth(0.96, 0.0, 0.0))):
            begun = TailEvidence.begin(PLAN, wealth)
            found, bounds = freeze_tails(begun, HARM, past, delta=1e-3)
            assert bounds == (UNBOUNDED, UNBOUNDED)
            assert found.harm[0].unstarted == pytest.approx(begun.harm[0].unstarted / 2)


def binomial(rng: random.Random, n: int, p: float) -> float:
    """Events among exposures: cheap, by the gaps between them."""
    found, at = 0, 0
    while True:
        at += 1 + int(math.log(1.0 - rng.random()) / math.log1p(-p))
        if at > n:
            return float(found)
        found += 1


def rolled_back(rng: random.Random, rates: tuple[float, float, float]) -> float | None:
    """
    Bad events of the candidate after the switch until it is rolled back; None: it never was, 0: before the switch.

    Six blocks beside stable at one third, then ten alone; `rates` are stable's, and the candidate's before and after
    the switch.
    """
    stable, before, after = rates
    harm, theirs = EProcess.begin(HARM_GRID, started=WEALTH.at_start), NOTHING
    for number in range(6):
        seen = block(number, Counts(300.0, binomial(rng, 300, before)), Counts(600.0, binomial(rng, 600, stable)))
        harm, theirs = harm.start_wealth(WEALTH.per_block).update(seen, HARM), theirs + seen.stable
        if harmful(harm.log_value):
            return 0.0
    switched = replace(MetricEvidence.begin(WEALTH), harm=harm, rollout=Totals(NOTHING, theirs))
    frozen, (bound,) = freeze_rate(switched, HARM, NOTHING, delta=doubt(1.0))
    harm, bad, null = frozen.harm, 0.0, alone(HARM, bound)
    for number in range(6, 16):
        x = binomial(rng, 900, after)
        bad += x
        harm = harm.start_wealth(each_block(harm).per_block).update(block(number, Counts(900.0, x)), null)
        if harmful(harm.log_value):
            return bad
    return None


def at_the_edge(stable: float) -> float:
    """The highest rate that is no harm."""
    return HARM.rho * stable + HARM.epsilon


def test_a_candidate_at_the_edge_of_harm_is_rolled_back_once_in_a_hundred() -> None:
    """Over the whole rollout, before and after the switch: 1,000 runs, 99.9 % binomial limit."""
    rng, edge = random.Random(2), at_the_edge(0.01)
    assert sum(rolled_back(rng, (0.01, edge, edge)) is not None for _ in range(1000)) <= 21


@pytest.mark.parametrize(("stable", "most"), [(0.005, 150.0), (0.01, 150.0), (0.03, 300.0)])
def test_five_times_the_errors_are_found_within_few_hundred_bad_events(stable: float, most: float) -> None:
    """A candidate as good as stable until it has everything; mean over 20 runs, and every one is found."""
    rng = random.Random(3)
    found = [rolled_back(rng, (stable, stable, 5 * stable)) for _ in range(20)]
    assert all(found)
    assert math.fsum(one or 0.0 for one in found) / len(found) <= most


@pytest.mark.parametrize(
    ("bound", "counts", "expected"),
    [
        (1.0, Counts(1e6, 0.0), True),
        (0.05, Counts(), True),
        (0.11, Counts(100.0, 0.0), True),
        (0.35, Counts(2000.0, 600.0), False),
        (0.01, Counts(1000.0, 0.0), False),
    ],
    ids=["nothing known", "nothing counted", "a hundred good ones", "a bad stable, well known", "known well"],
)
def test_harm_could_hide_below_a_bound_far_above_what_was_counted(
    bound: float, counts: Counts, *, expected: bool
) -> None:
    """
    Not below a high bound as such: stable may really be that bad.
    """
    assert coarse(bound, counts) is expected


@pytest.mark.parametrize(
    ("bounds", "past", "expected"),
    [
        ((0.12, 0.01), CALLS, False),
        ((0.55, 0.01), CALLS, False),
        ((0.12, 0.2), CALLS, False),
        ((0.25, 0.2), CALLS, True),
        ((UNBOUNDED, UNBOUNDED), CALLS, True),
        ((0.12, 0.01), CALLS[:1], True),
        ((0.12, 0.01), (), True),
        ((0.95, 0.55), (Counts(1e4, 9400.0), Counts(1e4, 5400.0)), True),
    ],
    ids=[
        "both known", "the heavy tail coarse", "the light tail coarse", "both coarse", "nothing known",
        "of other edges", "nothing counted", "known, and nothing exceeds the margins",
    ],
)  # fmt: skip
def test_harm_of_durations_could_hide_where_it_could_at_every_edge(
    bounds: tuple[float, ...], past: tuple[Counts, ...], *, expected: bool
) -> None:
    """
    One edge at which it shows is enough; a gate is none, nor an edge whose margin allows for everything.
    """
    plan = TailPlan((JudgedEdge(0.1, Null(1.1, 0.0)), JudgedEdge(0.5, Null(2.0, 0.0))), (JudgedEdge(0.5),))
    assert hides_harm(plan, bounds, past) is expected
    assert hides_harm(TailPlan((JudgedEdge(0.5),), (JudgedEdge(0.1),)), (0.12, 0.3), CALLS)
