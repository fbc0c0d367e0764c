"""The watch after promotion: its recursions by hand, its delays on seeded traffic, its stored form."""

import json
import math
import random
from datetime import UTC, datetime, timedelta
from statistics import mean

import pytest

from modelramp.analysis.block import Block, Counts
from modelramp.analysis.detector import Detector, Rule
from modelramp.analysis.eprocess import HARM_GRID, LOG_ZERO, Null

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
LIMIT = Null(0.0, 0.001)
PER_MINUTE = 600  # 10 requests a second


def minute(place: int, n: float, x: float, stable: Counts | None = None) -> Block:
    return Block(NOON + place * MINUTE, NOON + (place + 1) * MINUTE, Counts(n, x), stable or Counts())


def factor(theta: float, x: float) -> float:
    """For 600 requests against 0.1 %: 0.6 expected at the limit."""
    return math.pow(theta, x) * math.exp(-0.6 * (theta - 1.0))


@pytest.mark.parametrize("rule", Rule)
def test_two_blocks_by_hand(rule: Rule) -> None:
    """First 0, then 2 errors: with S + 1 the old bet counts beside a new one, with max(S, 1) it is forgotten."""
    watch = Detector.begin(rule).observe(minute(0, 600, 0), LIMIT).observe(minute(1, 600, 2), LIMIT)
    first = [factor(theta, 0) for theta in HARM_GRID]
    if rule is Rule.SHIRYAEV_ROBERTS:
        expected = [(s + 1.0) * factor(theta, 2) for s, theta in zip(first, HARM_GRID, strict=True)]
    else:
        expected = [max(s, 1.0) * factor(theta, 2) for s, theta in zip(first, HARM_GRID, strict=True)]
    assert pytest.approx([math.log(s) for s in expected], abs=2e-4) == list(watch.logs)
    assert pytest.approx(math.log(mean(expected)), abs=2e-4) == watch.log_value


def test_before_the_first_block_there_is_nothing() -> None:
    assert Detector.begin().log_value == LOG_ZERO
    assert not Detector.begin().alarmed()


def test_the_alarm_is_raised_at_the_number_of_blocks() -> None:
    """Every bet at S = 100: an alarm for 100 blocks and not for 101."""
    watch = Detector(Rule.CUSUM, (math.log(100.0),) * len(HARM_GRID), 1.0, None)
    assert watch.alarmed(99.9)
    assert not watch.alarmed(101.0)


@pytest.mark.parametrize("blocks", [0.0, 0.5, math.inf, math.nan])
def test_a_promise_that_is_none_is_refused(blocks: float) -> None:
    with pytest.raises(ValueError, match="until a false alarm"):
        Detector.begin().alarmed(blocks)


def test_a_block_without_exposures_joins_one_bet() -> None:
    """S becomes S + 1: it counts towards the promise, which is in blocks."""
    watch = Detector.begin().observe(minute(0, 0, 0), LIMIT).observe(minute(1, 0, 0), LIMIT)
    assert pytest.approx(math.log(2.0), abs=1e-4) == watch.log_value


def test_a_two_arm_block_is_compared_with_its_stable_arm() -> None:
    """The same 30 errors in 600: an alarm beside a stable arm at 0.1 %, none beside one that fails alike."""
    null = Null(1.25, 0.001)
    healthy, failing = Counts(600, 1), Counts(600, 30)
    assert Detector.begin().observe(minute(0, 600, 30, healthy), null).alarmed()
    assert not Detector.begin().observe(minute(0, 600, 30, failing), null).alarmed()


def test_overdispersion_takes_evidence_away() -> None:
    clumped = Detector.begin(phi=3.0).observe(minute(0, 600, 9), LIMIT)
    assert clumped.log_value < Detector.begin().observe(minute(0, 600, 9), LIMIT).log_value


def test_a_replay_changes_nothing_and_an_overlap_is_an_error() -> None:
    watch = Detector.begin(counted_until=NOON).observe(minute(0, 600, 3), LIMIT)
    assert watch.counted_until == NOON + MINUTE
    assert watch == watch.observe(minute(0, 600, 3), LIMIT)
    assert watch == watch.observe(minute(-1, 600, 3), LIMIT)
    with pytest.raises(ValueError, match="overlaps"):
        watch.observe(Block(NOON, NOON + 2 * MINUTE, Counts(1), Counts()), LIMIT)


def test_reset_forgets_the_evidence_and_not_the_time() -> None:
    watch = Detector.begin().observe(minute(0, 600, 9), LIMIT)
    assert Detector.begin(counted_until=watch.counted_until) == watch.reset()


@pytest.mark.parametrize("rule", Rule)
def test_state_survives_storing_exactly(rule: Rule) -> None:
    """And stays small."""
    watch = Detector.begin(rule, phi=1.5)
    assert watch == Detector.from_state(json.loads(json.dumps(watch.to_state())))
    watch = watch.observe(minute(0, 600, 3), LIMIT).observe(minute(1, 600, 0), LIMIT)
    assert watch == Detector.from_state(json.loads(json.dumps(watch.to_state())))
    widest = Detector(rule, (-998.1234,) * len(HARM_GRID), 12.34567, NOON + timedelta(microseconds=1))
    assert len(json.dumps(widest.to_state(), separators=(",", ":"))) <= 200


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"logs": [0.0]}, "1 sums"),
        ({"rule": "Guess"}, "Guess"),
        ({"phi": 0.5}, "phi|overdispersion"),
        ({"until": "x"}, "x"),
    ],
    ids=["grid", "rule", "phi", "until"],
)
def test_damaged_state_is_refused(change: dict[str, object], message: str) -> None:
    state = json.loads(json.dumps(Detector.begin().to_state() | change))
    with pytest.raises(ValueError, match=message):
        Detector.from_state(state)


def poisson(rng: random.Random, expected: float) -> int:
    count, product, floor = 0, rng.random(), math.exp(-expected)
    while product > floor:
        count += 1
        product *= rng.random()
    return count


def minutes_to_alarm(rule: Rule, times: float, seed: int, most: int) -> int | None:
    """Minutes until the alarm with errors at some times the limit; None if there was none in ``most``."""
    rng, watch = random.Random(seed), Detector.begin(rule)
    for place in range(most):
        watch = watch.observe(minute(place, PER_MINUTE, poisson(rng, 0.6 * times)), LIMIT)
        if watch.alarmed():
            return place + 1
    return None


@pytest.mark.parametrize(
    ("rule", "times", "runs", "least", "most"),
    [
        (Rule.SHIRYAEV_ROBERTS, 20.0, 100, 1.0, 1.25),
        (Rule.SHIRYAEV_ROBERTS, 5.0, 100, 4.2, 5.6),
        (Rule.SHIRYAEV_ROBERTS, 2.0, 40, 27.0, 46.0),
        (Rule.CUSUM, 5.0, 100, 4.3, 5.9),
        (Rule.CUSUM, 2.0, 40, 33.0, 56.0),
    ],
)
def test_a_raised_rate_is_found_in_the_known_time(
    rule: Rule, times: float, runs: int, least: float, most: float
) -> None:
    """Means of 300 and more runs: 1.1, 4.9 and 37 minutes, with CUSUM 5.1 and 44; the bars are wide for these few."""
    delays = [minutes_to_alarm(rule, times, seed, 1000) for seed in range(runs)]
    found = [delay for delay in delays if delay is not None]
    assert runs == len(found)
    assert least <= mean(found) <= most


@pytest.mark.parametrize("rule", Rule)
def test_half_the_limit_raises_no_alarm(rule: Rule) -> None:
    """In a day and a half."""
    assert minutes_to_alarm(rule, 0.5, 7, 2160) is None
