"""Bets on gauges: by hand, their life over a rollout, and in simulated noise."""

import json
import math
import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from statistics import median

import pytest

from modelramp.analysis.autocorrelation import autocorrelation_time
from modelramp.analysis.betting import (
    BETS,
    MIN_DIFFERENCES,
    GaugeBlock,
    GaugeEvidence,
    GaugeMargins,
    clipped,
    log_stake,
    scale_of_differences,
)
from modelramp.analysis.eprocess import LOG_ZERO, EProcess, Wealth
from modelramp.analysis.evidence import ALPHA_ROLLBACK, Verdict

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
MARGINS = GaugeMargins(harm=0.1, ok=0.5)


def block(minute: int, candidate: float | None, stable: float | None) -> GaugeBlock:
    return GaugeBlock(NOON + minute * MINUTE, NOON + (minute + 1) * MINUTE, candidate, stable)


def evidence(**changes: object) -> GaugeEvidence:
    return replace(GaugeEvidence.begin(scale=5.0, tau=1.0), **changes)  # type: ignore[arg-type]


# ---------------------------------------------------------------- by hand


@pytest.mark.parametrize(
    ("difference", "scale", "expected"),
    [(3.0, 2.0, 0.75), (-1.0, 2.0, -0.25), (4.0, 2.0, 1.0), (99.0, 2.0, 1.0), (-99.0, 2.0, -1.0), (1.0, 5e-324, 1.0)],
)
def test_differences_are_clipped_at_two_deviations(difference: float, scale: float, expected: float) -> None:
    """However far out, and however small the scale."""
    assert clipped(difference, scale) == expected


def test_stake_by_hand() -> None:
    """One plus half the wealth on a gain of 0.8 is 1.4; tau takes the root; a total loss never ruins a bet."""
    assert log_stake(0.5, 0.8) == pytest.approx(math.log(1.4))
    assert log_stake(0.5, 0.8, 4.0) == pytest.approx(math.log(1.4) / 4.0)
    assert log_stake(0.95, -1.0) == pytest.approx(math.log(0.05))


def test_one_block_by_hand() -> None:
    """26 against 20: 4 above 1.1 times stable and 4 below 1.5 times it, so both directions gain 0.4, at tau 2."""
    found = evidence(tau=2.0).observe(block(0, 26.0, 20.0), MARGINS)
    expected = [round(math.log(1.0 + fraction * 0.4) / 2.0, 4) for fraction in BETS]
    assert list(found.harm.logs) == expected
    assert list(found.ok.logs) == expected
    mean = math.fsum(math.sqrt(1.0 + fraction * 0.4) for fraction in BETS) / 8.0
    assert found.harm_log == pytest.approx(math.log(mean), abs=1e-4)
    assert found.ok_log == pytest.approx(math.log(mean), abs=1e-4)
    assert found.blocks == 1


def test_two_blocks_multiply() -> None:
    """A gain of 0.4, then a loss of 1: the mean over bets of the products, not the product of means."""
    found = evidence().observe(block(0, 26.0, 20.0), MARGINS).observe(block(1, 0.0, 20.0), MARGINS)
    mean = math.fsum((1.0 + fraction * 0.4) * (1.0 - fraction) for fraction in BETS) / 8.0
    assert found.harm_log == pytest.approx(math.log(mean), abs=2e-4)


@pytest.mark.parametrize("missing", [None, math.nan, math.inf, -math.inf])
def test_a_missing_mean_is_no_evidence(missing: float | None) -> None:
    """In either arm: nothing moves but the time, and the verdict is that there were none."""
    fresh = evidence()
    for found in (
        fresh.observe(block(0, missing, 20.0), MARGINS),
        fresh.observe(block(0, 26.0, missing), MARGINS),
        fresh.observe(block(0, missing, missing), MARGINS),
    ):
        assert found == replace(fresh, counted_until=NOON + MINUTE)
        assert found.verdict() is Verdict.NO_DATA


@pytest.mark.parametrize(("scale", "tau"), [(None, 1.0), (5.0, None), (None, None), (0.0, 3.0)])
def test_without_a_spread_nothing_is_bet(scale: float | None, tau: float | None) -> None:
    """A history that was constant or is not known allows neither verdict, however long the rollout."""
    found = GaugeEvidence.begin(scale=scale, tau=tau)
    for minute in range(50):
        found = found.observe(block(minute, 1000.0, 20.0), MARGINS)
    assert (found.scale, found.harm_log, found.ok_log, found.blocks) == (0.0, 0.0, 0.0, 0)
    assert found.verdict() is Verdict.NO_DATA
    assert found.counted_until == NOON + 50 * MINUTE


# ---------------------------------------------------------------- the life of the evidence


def test_a_block_counts_once() -> None:
    """A replay changes nothing, an overlap is refused, a gap is allowed, a late value for a passed block is not."""
    once = evidence(counted_until=NOON).observe(block(0, 26.0, 20.0), MARGINS)
    assert once.observe(block(0, 99.0, 20.0), MARGINS) is once
    with pytest.raises(ValueError, match="overlaps what was counted until"):
        once.observe(GaugeBlock(NOON, NOON + 2 * MINUTE, 1.0, 1.0), MARGINS)
    assert once.observe(block(5, 26.0, 20.0), MARGINS).blocks == 2
    passed = once.observe(block(1, None, 20.0), MARGINS)
    assert passed.observe(block(1, 26.0, 20.0), MARGINS) is passed


def test_left_out_time_moves_forward_only() -> None:
    """Warm-up and settling."""
    fresh = evidence()
    late = fresh.skip_until(NOON + MINUTE)
    assert late.counted_until == NOON + MINUTE
    assert late.skip_until(NOON) is late
    assert late.observe(block(0, 99.0, 1.0), MARGINS) is late


def test_a_later_step_is_a_new_claim_of_not_worse() -> None:
    """Harm goes on with fresh bets from what the schedule kept back."""
    wealth = Wealth(0.5, 0.25, 0.01)
    before = GaugeEvidence.begin(scale=5.0, tau=1.0, wealth=wealth).observe(block(0, 26.0, 20.0), MARGINS, wealth)
    assert before.harm.unstarted == 0.49
    after = before.enter_step(wealth)
    assert (after.ok_log, after.blocks, after.harm.unstarted) == (0.0, 0, 0.24)
    assert after.harm_log == pytest.approx(before.harm_log, abs=1e-4)
    assert after.verdict() is Verdict.NO_DATA


def test_verdicts() -> None:
    """Harm goes before everything else; then what was bet on in this step."""
    shown = EProcess(BETS, (-math.log(ALPHA_ROLLBACK),) * len(BETS), 0.0)
    assert evidence(harm=shown, ok=shown, blocks=3).verdict() is Verdict.FAILED
    assert evidence(ok=shown, blocks=3).verdict() is Verdict.PASSED
    assert evidence(blocks=3).verdict() is Verdict.INCONCLUSIVE
    assert evidence(ok=shown).verdict() is Verdict.NO_DATA


def test_state_is_exact_and_small() -> None:
    """A restart after every block changes nothing; at most 300 bytes with the longest logarithms."""
    rng, wealth = random.Random(1), Wealth(0.5, 0.0, 0.001389)
    whole = restarted = GaugeEvidence.begin(scale=4.0 / 3e7, tau=10.0 / 3.0, wealth=wealth)
    assert GaugeEvidence.from_state(whole.to_state()) == whole
    for minute in range(300):
        sample = block(minute, rng.gauss(2.1e-6, 1e-7), 1.8e-6)
        whole = whole.observe(sample, MARGINS, wealth)
        stored = json.loads(json.dumps(restarted.to_state()))
        restarted = GaugeEvidence.from_state(stored).observe(sample, MARGINS, wealth)
    assert restarted == whole
    longest = EProcess(BETS, (-998.1234,) * len(BETS), 0.123456)
    until = NOON.replace(microsecond=123456)
    state = replace(whole, harm=longest, ok=longest, blocks=99999, counted_until=until).to_state()
    assert len(json.dumps(state, separators=(",", ":"))) <= 300
    assert state["scale"] == 1.33333e-07
    assert state["tau"] == 3.3333


def test_wealth_stays_within_its_bounds() -> None:
    """Ruined bets stay ruined and count as nothing; no wealth above exp(999) is kept."""
    low = EProcess(BETS, (LOG_ZERO, -998.0, *[-998.9] * 6), 0.0)
    high = EProcess(BETS, (998.9,) * 8, 0.0)
    found = evidence(harm=low, ok=high).observe(block(0, 0.0, 20.0), MARGINS)
    assert found.harm.logs[0] == LOG_ZERO
    assert found.harm.logs[1] == pytest.approx(-998.0 + math.log(0.9), abs=1e-4)
    assert found.harm.logs[2:] == (LOG_ZERO,) * 6
    assert max(found.ok.logs) == 999.0


# ---------------------------------------------------------------- bad input


@pytest.mark.parametrize(("harm", "ok"), [(-0.1, 0.5), (0.5, 0.5), (0.5, 0.1), (math.nan, 0.5), (0.1, math.inf)])
def test_what_are_no_margins_is_refused(harm: float, ok: float) -> None:
    """The wider one is for "not worse"."""
    with pytest.raises(ValueError, match="not margins"):
        GaugeMargins(harm, ok)


def test_bad_numbers_are_refused_by_name() -> None:
    """When evidence begins and when it is restored."""
    for scale in (-1.0, math.nan, math.inf):
        with pytest.raises(ValueError, match="not a scale of differences"):
            GaugeEvidence.begin(scale=scale, tau=1.0)
    for tau in (0.5, math.nan, math.inf):
        with pytest.raises(ValueError, match="autocorrelation time below 1"):
            GaugeEvidence.begin(scale=1.0, tau=tau)
    state = evidence().to_state()
    with pytest.raises(ValueError, match="negative number of blocks"):
        GaugeEvidence.from_state({**state, "blocks": -1})
    with pytest.raises(ValueError, match="bets on 8 effects"):
        GaugeEvidence.from_state({**state, "ok": [0.0, 0.0]})
    with pytest.raises(ValueError, match="must end after it starts"):
        GaugeBlock(NOON, NOON, 1.0, 1.0)
    with pytest.raises(ValueError, match="time zone"):
        GaugeBlock(NOON.replace(tzinfo=None), NOON, 1.0, 1.0)


# ---------------------------------------------------------------- the scale


def test_scale_by_hand() -> None:
    """1.48 times the median distance from the median; what is missing, far out or in another order does not matter."""
    history = [float(value) for value in range(31)]
    assert scale_of_differences(history) == pytest.approx(1.48 * 8.0)  # distances 0, 1, 1, 2, 2, ... 15, 15
    assert scale_of_differences([*history[1:], 1e9, None, math.nan, math.inf]) == pytest.approx(1.48 * 8.0)
    assert scale_of_differences([*history, 31.0]) == pytest.approx(1.48 * 8.0)  # of 32: between 15 and 16
    assert scale_of_differences(history[::-1]) == scale_of_differences(history)


def test_a_constant_history_has_no_scale_and_a_short_one_is_not_known() -> None:
    """Also if fewer than half of the values differ."""
    assert scale_of_differences([7.0] * MIN_DIFFERENCES) == 0.0
    assert scale_of_differences([7.0] * 20 + [8.0] * 15) == 0.0
    assert scale_of_differences([1.0, 2.0] * 14) is None
    assert scale_of_differences([]) is None


# ---------------------------------------------------------------- simulated noise


def noise(rng: random.Random, memory: float, count: int) -> Iterator[float]:
    """AR(1) of standard deviation 1 from its stationary law."""
    value, fresh = rng.gauss(0.0, 1.0), math.sqrt(1.0 - memory**2)
    for _ in range(count):
        yield value
        value = memory * value + fresh * rng.gauss(0.0, 1.0)


def minutes_until(direction: str, started: GaugeEvidence, differences: Iterator[float], goal: float) -> int | None:
    """Blocks until the evidence in one direction reaches ``goal``; stable's mean is 100 and the margin exact."""
    margins = GaugeMargins(0.0, 0.25)
    base = 0.0 if direction == "harm" else 25.0
    for minute, difference in enumerate(differences):
        started = started.observe(block(minute, 100.0 + base + difference, 100.0), margins)
        if (started.harm_log if direction == "harm" else started.ok_log) >= math.log(goal):
            return minute + 1
    return None


@pytest.mark.parametrize("direction", ["harm", "ok"])
def test_independent_noise_gives_hardly_a_false_alarm(direction: str) -> None:
    """On the boundary, an hour of minutes, 60 rollouts: less than one alarm is expected at odds of 100."""
    rng = random.Random(2)
    started = GaugeEvidence.begin(scale=1.0, tau=1.0)
    found = [minutes_until(direction, started, noise(rng, 0.0, 60), 100.0) for _ in range(60)]
    assert sum(minute is not None for minute in found) <= 3


def test_memory_gives_false_alarms_without_tau_and_hardly_with_it() -> None:
    """AR(1) with coefficient 0.8, scale and tau learnt from a day of minutes."""
    rng = random.Random(3)
    history = list(noise(rng, 0.8, 1440))
    scale, tau = scale_of_differences(history), autocorrelation_time(history)
    assert scale == pytest.approx(1.0, abs=0.15)
    assert tau == pytest.approx(9.0, abs=4.0)  # one day tells no more: standard error 1.5
    alarms = {}
    for name, used in (("without", 1.0), ("with", tau)):
        started, again = GaugeEvidence.begin(scale=scale, tau=used), random.Random(4)
        found = [minutes_until("harm", started, noise(again, 0.8, 120), 100.0) for _ in range(60)]
        alarms[name] = sum(minute is not None for minute in found)
    assert alarms["without"] >= 12
    assert alarms["with"] <= 1


@pytest.mark.parametrize(("direction", "sign"), [("harm", 1.0), ("ok", -1.0)])
def test_a_shift_by_one_deviation_is_found(direction: str, sign: float) -> None:
    """In 21 minutes on average at odds of 100 (normal noise), in both directions alike."""
    rng = random.Random(5)
    started = GaugeEvidence.begin(scale=1.0, tau=1.0)
    found = [
        minutes_until(direction, started, (sign + value for value in noise(rng, 0.0, 120)), 100.0) for _ in range(60)
    ]
    assert None not in found
    assert 15 <= median(minute or 0 for minute in found) <= 25
