"""One metric's evidence: counted once, kept across restarts, combined over metrics."""

import json
import math
from datetime import UTC, datetime, timedelta, timezone

import pytest

from modelramp.analysis import (
    HARM_GRID,
    LOG_ZERO,
    OK_GRID,
    Block,
    Counts,
    EProcess,
    MetricEvidence,
    MetricState,
    Totals,
    Verdict,
    harmful,
    margins,
    wealth_schedule,
)

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
WEALTH = wealth_schedule(planned_blocks=960, later_steps=2)
MARGINS = margins(0.01, 0.25)
QUIET = (Counts(12.0, 0.0), Counts(238.0, 0.0))
BAD = (Counts(12.0, 6.0), Counts(238.0, 0.0))


def block(number: int, counts: tuple[Counts, Counts] = QUIET, length: int = 1) -> Block:
    start = NOON + timedelta(seconds=5 * number)
    return Block(start, start + timedelta(seconds=5 * length), *counts)


def after(count: int, counts: tuple[Counts, Counts] = QUIET) -> MetricEvidence:
    evidence = MetricEvidence.begin(WEALTH)
    for number in range(count):
        evidence = evidence.observe(block(number, counts), MARGINS, WEALTH)
    return evidence


def test_replay_counts_nothing() -> None:
    """A block that ended by counted_until changes nothing, not even by identity."""
    evidence = after(3)
    assert evidence.observe(block(0), MARGINS, WEALTH) is evidence
    assert evidence.observe(block(2, BAD), MARGINS, WEALTH) is evidence


def test_a_block_that_would_count_twice_is_refused() -> None:
    """Half of it was counted already: that is a mistake of the caller, not data."""
    with pytest.raises(ValueError, match="overlaps"):
        after(3).observe(block(2, length=2), MARGINS, WEALTH)


def test_a_gap_is_allowed() -> None:
    """What was left out on purpose stays out."""
    evidence = after(1).observe(block(9), MARGINS, WEALTH)
    assert evidence.counted_until == NOON + timedelta(seconds=50)
    assert evidence.rollout == Totals(Counts(24.0, 0.0), Counts(476.0, 0.0))


def test_skipping_moves_forward_only() -> None:
    """Warm-up is left out; a skip into the past would count something twice."""
    evidence = after(2)
    later = NOON + timedelta(seconds=60)
    assert later == evidence.skip_until(later).counted_until
    assert evidence.skip_until(NOON) is evidence
    assert MetricEvidence.begin(WEALTH).skip_until(NOON).counted_until == NOON


def test_a_later_step_restarts_one_question_and_carries_the_other_on() -> None:
    """The load is new, so "not worse" is asked again; harm remembers."""
    before = after(5, BAD)
    entered = before.enter_step(WEALTH)
    assert entered.ok_log == pytest.approx(0.0, abs=1e-9)
    assert entered.harm_log == pytest.approx(before.harm_log, abs=2e-4)
    assert entered.harm.unstarted == pytest.approx(before.harm.unstarted - WEALTH.per_step)
    assert (entered.step, entered.rollout) == (Totals(), before.rollout)
    assert entered.counted_until == before.counted_until


def test_verdicts() -> None:
    """Nothing, something, enough to pass, enough to fail."""
    assert MetricEvidence.begin(WEALTH).verdict() is Verdict.NO_DATA
    assert after(1).verdict() is Verdict.INCONCLUSIVE
    assert after(20).verdict() is Verdict.PASSED
    assert after(3, BAD).verdict() is Verdict.FAILED
    assert after(20).enter_step(WEALTH).verdict() is Verdict.NO_DATA


def test_harm_outranks_a_pass() -> None:
    """A candidate shown harmful fails although this step's claim holds."""
    passed_then_bad = after(3, BAD).enter_step(WEALTH)
    for number in range(3, 60):
        passed_then_bad = passed_then_bad.observe(block(number), MARGINS, WEALTH)
        if passed_then_bad.ok_log >= math.log(20.0) and harmful(passed_then_bad.harm_log):
            break
    assert passed_then_bad.ok_log >= math.log(20.0)
    assert passed_then_bad.verdict() is Verdict.FAILED


@pytest.mark.parametrize(
    "counts",
    [(Counts(), Counts(238.0, 5.0)), (Counts(12.0, 3.0), Counts())],
    ids=["no candidate request", "no stable request"],
)
def test_nothing_to_compare_is_no_evidence(counts: tuple[Counts, Counts]) -> None:
    """Evidence freezes; it neither passes nor fails by default."""
    evidence = after(50, counts)
    assert evidence.ok_log == pytest.approx(0.0, abs=1e-9)
    assert evidence.harm_log == pytest.approx(0.0, abs=0.01)
    assert evidence.verdict() in {Verdict.NO_DATA, Verdict.INCONCLUSIVE}


def test_overdispersion_slows_both_answers() -> None:
    """With phi = 2 a block says half as much."""
    once, twice = (
        MetricEvidence.begin(WEALTH, phi=phi).observe(block(0, counts), MARGINS, WEALTH)
        for phi, counts in (
            (1.0, (Counts(10.0, 2.0), Counts(90.0, 1.0))),
            (2.0, (Counts(20.0, 4.0), Counts(180.0, 2.0))),
        )
    )
    assert (once.harm, once.ok) == (twice.harm, twice.ok)


@pytest.mark.parametrize("phi", [0.5, math.nan, math.inf])
def test_underdispersion_is_refused(phi: float) -> None:
    """A phi below 1 would multiply evidence."""
    with pytest.raises(ValueError, match="overdispersion"):
        MetricEvidence.begin(WEALTH, phi=phi)


def test_state_survives_json_exactly() -> None:
    """What is read back is what was written, and goes on alike."""
    evidence = after(7, (Counts(12.5, 0.25), Counts(237.5, 1.0)))
    back = MetricEvidence.from_state(json.loads(json.dumps(evidence.to_state())))
    assert evidence == back
    assert evidence.observe(block(7), MARGINS, WEALTH) == back.observe(block(7), MARGINS, WEALTH)


def test_whole_counts_may_be_integers() -> None:
    """An int is a float to the type checker, so it must be one to the stored form."""
    evidence = after(2, (Counts(12, 1), Counts(238, 2)))
    assert evidence.to_state()["rollout"] == [24, 2, 476, 4]
    assert evidence == MetricEvidence.from_state(evidence.to_state())


def test_state_is_written_in_utc() -> None:
    """Whatever zone the instant came in; never counted is the empty string."""
    zone = timezone(timedelta(hours=2))
    evidence = MetricEvidence.begin(WEALTH, counted_until=NOON.astimezone(zone))
    assert evidence.to_state()["until"] == "2026-01-01T12:00:00Z"
    fresh = MetricEvidence.begin(WEALTH)
    assert fresh.to_state()["until"] == ""
    assert fresh == MetricEvidence.from_state(fresh.to_state())


def test_state_stays_small() -> None:
    """A day of 200 requests a second, stored in at most 300 bytes."""
    evidence = MetricEvidence.begin(WEALTH, phi=1.37)
    counts = (Counts(6_000.0, 61.0), Counts(6_001.0, 59.0))
    for number in range(1440):
        evidence = evidence.observe(block(number, counts), MARGINS, WEALTH)
        if number % 10 == 0:
            assert len(json.dumps(evidence.to_state(), separators=(",", ":"))) <= 300
    assert evidence.rollout.candidate.n > 8e6


def test_the_widest_state_is_small_as_well() -> None:
    """Every logarithm at its longest, every total of seven digits."""
    totals = Totals(Counts(4_999_999, 49_999), Counts(4_999_999, 49_999))
    widest = MetricEvidence(
        harm=EProcess(HARM_GRID, (-998.1234,) * len(HARM_GRID), 0.123456),
        ok=EProcess(OK_GRID, (-998.1234,) * len(OK_GRID), 0.0),
        rollout=totals,
        step=totals,
        phi=1.37,
        counted_until=NOON,
    )
    assert len(json.dumps(widest.to_state(), separators=(",", ":"))) <= 300


@pytest.mark.parametrize("part", ["harm", "ok", "rollout", "step", "until"])
def test_damaged_state_is_refused(part: str) -> None:
    """Starting afresh instead would spend the error bound twice."""
    state: MetricState = after(1).to_state()
    damaged = {**state, part: [1.0] if part != "until" else "yesterday"}
    with pytest.raises(ValueError, match=r"."):
        MetricEvidence.from_state(damaged)  # type: ignore[arg-type]  # the point of the test


def test_nothing_learnt_is_no_harm() -> None:
    """Nothing measured, nothing shown."""
    assert not harmful(0.0)
    assert not harmful(LOG_ZERO)
    assert harmful(math.log(100.0))
