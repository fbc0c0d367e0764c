"""Plans and time left against the table of simulated planning numbers and against running the evidence."""

import math
from datetime import UTC, datetime, timedelta

import pytest

from modelramp.analysis import (
    ALPHA_OK,
    Block,
    Counts,
    MetricEvidence,
    Null,
    Obstacle,
    TimeLeft,
    Verdict,
    margins,
    plan,
    seconds_left,
    wealth_schedule,
)
from modelramp.analysis.forecast import tail_seconds_left
from modelramp.analysis.histogram import Histogram
from modelramp.analysis.tailplan import JudgedEdge, TailPlan
from modelramp.analysis.tails import TailBlock, TailEvidence

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
WEALTH = wealth_schedule(planned_blocks=1000, later_steps=2)
RAMP = (0.05, 0.10, 0.25, 0.50)

# Median requests of all traffic until a healthy candidate is through 5/10/25/50 %, simulated: rows are the stable error
# rate, columns the blast radius.
SIMULATED = {
    (rate, radius): thousands * 1000.0
    for rate, row in {
        0.001: (59.0, 20.0, 9.6, 5.4, 2.4),
        0.01: (100.0, 40.0, 17.0, 7.8, 3.6),
        0.05: (73.0, 38.0, 24.0, 13.0, 6.0),
    }.items()
    for radius, thousands in zip((0.001, 0.0025, 0.005, 0.01, 0.02), row, strict=True)
}


@pytest.mark.parametrize(("rate", "radius"), SIMULATED)
def test_plan_is_near_the_simulated_median(rate: float, radius: float) -> None:
    """Expectation against median: within 0.7 to 1.25."""
    rows = plan(RAMP, rps=50.0, stable_error_rate=rate, blast_radius=radius)
    planned = math.fsum(row.requests or math.nan for row in rows)
    assert 0.7 < planned / SIMULATED[rate, radius] < 1.25


def test_plan_has_one_row_for_each_step_that_needs_evidence() -> None:
    """A closing 100 % is promotion; without it the last step leads there all the same."""
    rows = plan((0.05, 0.25, 0.5, 1.0), rps=50.0, stable_error_rate=0.001, blast_radius=0.01)
    assert [(row.share, row.next_share) for row in rows] == [(0.05, 0.25), (0.25, 0.5), (0.5, 1.0)]
    assert rows == plan((0.05, 0.25, 0.5), rps=50.0, stable_error_rate=0.001, blast_radius=0.01)
    assert all(row.seconds is not None and row.requests == pytest.approx(row.seconds * 50.0) for row in rows)


def test_a_service_without_any_error_can_be_planned() -> None:
    """The absolute part of the margin carries it: somewhat sooner than with a few errors."""
    clean = plan(RAMP, rps=50.0, stable_error_rate=0.0, blast_radius=0.01)
    some = plan(RAMP, rps=50.0, stable_error_rate=0.001, blast_radius=0.01)
    assert all((a.seconds or math.inf) < (b.seconds or 0.0) for a, b in zip(clean, some, strict=True))


def test_overdispersion_takes_proportionally_longer() -> None:
    """Twice the phi, twice the requests."""
    one, two = (plan((0.5,), rps=1.0, stable_error_rate=0.01, blast_radius=0.01, phi=phi)[0].requests for phi in (1, 2))
    assert one is not None
    assert 2.0 * one == pytest.approx(two)


@pytest.mark.parametrize("rps", [None, 0.0, -1.0])
def test_without_traffic_requests_are_planned_but_no_time(rps: float | None) -> None:
    """The user still learns how many requests it takes."""
    (row,) = plan((0.5,), rps=rps, stable_error_rate=0.01, blast_radius=0.01)
    assert row.requests is not None
    assert (row.seconds, row.obstacle) == (None, Obstacle.NO_TRAFFIC)


def test_without_an_error_rate_nothing_is_planned() -> None:
    """Unknown is said, not guessed."""
    (row,) = plan((0.5,), rps=50.0, stable_error_rate=None, blast_radius=0.01)
    assert (row.requests, row.seconds, row.obstacle) == (None, None, Obstacle.UNKNOWN_RATE)


@pytest.mark.parametrize("shares", [(0.0, 0.5), (0.5, 0.25), (0.5, 0.5), (0.5, 1.5)], ids=str)
def test_shares_must_rise(shares: tuple[float, ...]) -> None:
    """A ramp goes up, within (0, 1]."""
    with pytest.raises(ValueError, match="shares do not rise"):
        plan(shares, rps=1.0, stable_error_rate=0.01, blast_radius=0.01)


def block(at: int, candidate: Counts, stable: Counts) -> Block:
    return Block(NOON + timedelta(seconds=5 * at), NOON + timedelta(seconds=5 * at + 5), candidate, stable)


def test_time_left_is_the_time_it_then_takes() -> None:
    """Feeding the same block again and again certifies in exactly the block that was forecast."""
    steps = margins(0.01, 0.25)
    evidence = MetricEvidence.begin(WEALTH)
    same = (Counts(12.0, 0.1), Counts(238.0, 2.0))
    forecast = seconds_left(evidence, block(0, *same), steps.ok).seconds
    assert forecast is not None
    blocks = 0
    while evidence.verdict() is not Verdict.PASSED:
        evidence = evidence.observe(block(blocks, *same), steps, WEALTH)
        blocks += 1
    assert math.ceil(forecast / 5.0) == pytest.approx(blocks, abs=1)
    assert blocks > 5


def test_time_left_shrinks_as_evidence_grows() -> None:
    """Half the way there, about half the time is left."""
    steps, same = margins(0.01, 0.25), (Counts(12.0, 0.0), Counts(238.0, 0.0))
    before = MetricEvidence.begin(WEALTH)
    after = before.observe(block(0, *same), steps, WEALTH)
    first, second = (seconds_left(one, block(0, *same), steps.ok).seconds for one in (before, after))
    assert first is not None
    assert second == pytest.approx(first - 5.0, abs=0.01)


def test_time_left_grows_with_overdispersion() -> None:
    """Twice the phi, twice the time."""
    steps, recent = margins(0.01, 0.25), block(0, Counts(12.0, 0.0), Counts(238.0, 0.0))
    once, twice = (seconds_left(MetricEvidence.begin(WEALTH, phi=phi), recent, steps.ok).seconds for phi in (1.0, 2.0))
    assert once is not None
    assert twice == pytest.approx(2.0 * once)


def test_what_is_shown_needs_no_more_time_even_without_traffic() -> None:
    """Evidence does not fade when requests stop."""
    steps = margins(0.01, 0.25)
    shown = MetricEvidence.begin(WEALTH).observe(block(0, Counts(500.0), Counts(500.0)), steps, WEALTH)
    assert shown.ok_log > -math.log(ALPHA_OK)
    assert TimeLeft(0.0) == seconds_left(shown, block(1, Counts(), Counts()), steps.ok)


@pytest.mark.parametrize(
    ("candidate", "stable", "rho", "expected"),
    [
        (Counts(), Counts(100.0), 1.25, Obstacle.NO_TRAFFIC),
        (Counts(100.0), Counts(), 1.25, Obstacle.NO_TRAFFIC),
        (Counts(100.0, 50.0), Counts(), 0.0, Obstacle.ABOVE_MARGIN),
        (Counts(100.0, 50.0), Counts(100.0), 1.25, Obstacle.ABOVE_MARGIN),
    ],
    ids=["no candidate", "no stable arm", "above an absolute margin", "above the relative margin"],
)
def test_no_time_is_named_with_its_reason(candidate: Counts, stable: Counts, rho: float, expected: Obstacle) -> None:
    """Silence and a bad candidate are told apart."""
    left = seconds_left(MetricEvidence.begin(WEALTH), block(0, candidate, stable), Null(rho, 0.01))
    assert TimeLeft(None, expected) == left


# ---------------------------------------------------------------- durations

QUARTER = timedelta(minutes=15)
MARGINS = margins(0.01, 0.5)
FAST, SLOW = JudgedEdge(0.1), JudgedEdge(0.5)


def calls(candidate: tuple[float, float, float], stable: tuple[float, float, float], start: int = 0) -> TailBlock:
    """A quarter of an hour: calls, and how many of them take longer than 0.1 s and than 0.5 s."""
    mine, theirs = (Histogram((0.1, 0.5), (n - fast, n - slow), n) for n, fast, slow in (candidate, stable))
    return TailBlock(NOON + start * QUARTER, NOON + (start + 1) * QUARTER, mine, theirs)


def tails(*gates: JudgedEdge) -> TailEvidence:
    return TailEvidence.begin(TailPlan(gates, gates), WEALTH)


def test_time_left_of_durations_is_that_of_the_slowest_gate() -> None:
    """Each gate is a counter of its own; the one that needs most is waited for."""
    recent = calls((1000.0, 100.0, 10.0), (9000.0, 900.0, 90.0))
    alone = {}
    for gate in (FAST, SLOW):
        block = recent.at(gate.edge, MARGINS.ok)
        assert block is not None
        alone[gate] = tail_seconds_left(tails(gate), recent, MARGINS.ok).seconds
        assert alone[gate] == seconds_left(MetricEvidence.begin(WEALTH), block, MARGINS.ok).seconds
    together = tail_seconds_left(tails(FAST, SLOW), recent, MARGINS.ok)
    assert together == TimeLeft(max(alone[FAST] or 0.0, alone[SLOW] or 0.0))
    assert alone[FAST] != alone[SLOW]


def test_the_plan_s_own_margin_goes_before_the_step_s() -> None:
    """An edge with a limit of its own needs no stable arm, and is not helped by the blast radius."""
    limit = JudgedEdge(0.5, Null(0.0, 0.02))
    recent = calls((1000.0, 100.0, 10.0), (0.0, 0.0, 0.0))
    assert tail_seconds_left(tails(SLOW), recent, MARGINS.ok) == TimeLeft(None, Obstacle.NO_TRAFFIC)
    assert (tail_seconds_left(tails(limit), recent, MARGINS.ok).seconds or 0.0) > 0.0
    worse = calls((1000.0, 100.0, 30.0), (0.0, 0.0, 0.0))
    assert tail_seconds_left(tails(limit), worse, MARGINS.ok) == TimeLeft(None, Obstacle.ABOVE_MARGIN)


def test_no_time_of_durations_without_calls_or_without_the_edge() -> None:
    """At any gate: an exporter may have lost a bucket with the new version."""
    silent = TimeLeft(None, Obstacle.NO_TRAFFIC)
    assert tail_seconds_left(tails(FAST), calls((0.0, 0.0, 0.0), (9000.0, 9.0, 9.0)), MARGINS.ok) == silent
    recent = calls((1000.0, 100.0, 10.0), (9000.0, 900.0, 90.0))
    assert tail_seconds_left(tails(FAST, JudgedEdge(0.3)), recent, MARGINS.ok) == silent


def test_a_gate_that_is_shown_is_not_waited_for() -> None:
    """Neither silence nor a lost bucket takes back what was shown; the other gate is what remains."""
    shown = tails(FAST).observe(calls((9000.0, 90.0, 9.0), (9000.0, 900.0, 90.0)), MARGINS, WEALTH)
    assert shown.ok_log >= -math.log(ALPHA_OK)
    nothing = calls((0.0, 0.0, 0.0), (0.0, 0.0, 0.0), 1)
    assert tail_seconds_left(shown, nothing, MARGINS.ok) == TimeLeft(0.0)
    lost = TailBlock(nothing.start, nothing.end, Histogram((), (), 9.0), nothing.stable)
    assert tail_seconds_left(shown, lost, MARGINS.ok) == TimeLeft(0.0)
    half = tails(FAST, SLOW).observe(calls((9000.0, 300.0, 290.0), (9000.0, 900.0, 90.0)), MARGINS, WEALTH)
    assert half.ok[0].log_value >= -math.log(ALPHA_OK) > half.ok[1].log_value
    slow_to_all = calls((1000.0, 1000.0, 10.0), (9000.0, 900.0, 90.0), 1)
    assert (tail_seconds_left(half, slow_to_all, MARGINS.ok).seconds or 0.0) > 0.0
