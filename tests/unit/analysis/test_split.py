"""The traffic-split guard: which share is wrong, when it is shown, and what it passes over."""

import json
import math
import random
from datetime import UTC, datetime, timedelta

import pytest

from modelramp.analysis.block import Block, Counts
from modelramp.analysis.eprocess import HARM_GRID, OK_GRID, EProcess, Null, Wealth, log_factor
from modelramp.analysis.split import Side, SplitGuard, bet_beyond, log_mean

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
ALL = Wealth(1.0, 0.0, 0.0)
USUAL = Wealth(0.5, 0.0625, 0.0005)


def minute(place: int, candidate: float, stable: float) -> Block:
    return Block(NOON + place * MINUTE, NOON + (place + 1) * MINUTE, Counts(candidate), Counts(stable))


def one_bet(theta: float, n: float, x: float, limit: float) -> float:
    """Evidence of one bet after one block."""
    block = Block(NOON, NOON + MINUTE, Counts(n, x), Counts())
    return bet_beyond(EProcess((theta,), (0.0,), 0.0), block, limit).logs[0]


def test_the_rarer_outcome_is_counted() -> None:
    """40 of 100 against 20 %: the 40; 90 of 100 against 70 %: the 10 others against 30 %, by the inverse bet."""
    assert pytest.approx(40 * math.log(2.0) - 20.0, abs=1e-4) == one_bet(2.0, 100, 40, 0.2)
    assert pytest.approx(10 * math.log(0.5) + 0.5 * 30.0, abs=1e-4) == one_bet(2.0, 100, 90, 0.7)
    assert pytest.approx(50 * math.log(2.0) - 30.0, abs=1e-4) == one_bet(0.5, 100, 50, 0.7)


@pytest.mark.parametrize(("theta", "limit"), [(2.0, 1.25), (2.0, 1.0), (0.5, -0.1), (0.5, 0.0)])
def test_beyond_what_a_share_can_be_there_is_no_evidence(theta: float, limit: float) -> None:
    """No share is above 1 or below 0: whatever is counted, the bet does not gain."""
    gains = [one_bet(theta, 10, x, limit) for x in range(11)]
    assert max(gains) == 0.0


def test_the_grid_stays_what_it_was() -> None:
    """The other outcome is counted in between, block by block."""
    evidence = EProcess.begin(HARM_GRID)
    assert bet_beyond(evidence, Block(NOON, NOON + MINUTE, Counts(10, 9), Counts()), 0.6).grid == HARM_GRID


def test_one_block_by_hand() -> None:
    """30 of 100 requests where 10 % were wanted: above 12.5 % or below 7.5 %, the mean of both."""
    guard = SplitGuard.begin(ALL).observe(minute(0, 30, 70), 0.1, ALL)
    requests = Counts(100, 30)
    above = [log_factor(requests, Counts(), theta=theta, null=Null(0.0, 0.125)) for theta in HARM_GRID]
    below = [log_factor(requests, Counts(), theta=theta, null=Null(0.0, 0.075)) for theta in OK_GRID]
    means = [sum(map(math.exp, logs)) / len(logs) for logs in (above, below)]
    assert pytest.approx(math.log(sum(means) / 2.0), abs=1e-4) == guard.log_value
    assert Side.ABOVE is guard.mismatch


@pytest.mark.parametrize(
    ("wanted", "true", "side", "within"),
    [
        (0.1, 0.1, None, 1200),
        (0.1, 0.12, None, 1200),
        (0.5, 0.5, None, 1200),
        (0.9, 0.9, None, 1200),
        (1.0, 1.0, None, 1200),
        (0.1, 0.2, Side.ABOVE, 900),
        (0.1, 0.0, Side.BELOW, 140),
        (0.5, 1.0, Side.ABOVE, 40),
        (0.5, 0.2, Side.BELOW, 700),
        (1.0, 0.5, Side.BELOW, 200),
    ],
)
def test_a_wrong_split_is_found_and_a_right_one_is_not(
    wanted: float, true: float, side: Side | None, within: int
) -> None:
    """20 requests a block, so many requests at most, 10 runs each."""
    for seed in range(10):
        rng, guard = random.Random(seed), SplitGuard.begin(USUAL)
        for place in range(within // 20):
            x = sum(rng.random() < true for _ in range(20))
            guard = guard.observe(minute(place, x, 20 - x), wanted, USUAL)
            if guard.mismatch is not None:
                break
        assert side is guard.mismatch


def test_each_block_has_its_own_wanted_share() -> None:
    """A ramp from 10 to 60 % that traffic follows is no mismatch, and is one if nobody says so."""
    told = untold = SplitGuard.begin(ALL)
    for place, share in enumerate((0.1, 0.3, 0.6)):
        block = minute(place, 200 * share, 200 - 200 * share)
        told, untold = told.observe(block, share, ALL), untold.observe(block, 0.1, ALL)
    assert told.log_value < 0.0
    assert Side.ABOVE is untold.mismatch


def test_without_a_wanted_share_the_block_is_passed_over() -> None:
    """Connections that are kept alive still end at a candidate without any weight."""
    guard = SplitGuard.begin(USUAL).observe(minute(0, 9, 91), 0.0, USUAL)
    assert SplitGuard.begin(USUAL, counted_until=NOON + MINUTE) == guard


def test_a_block_without_requests_says_nothing() -> None:
    assert SplitGuard.begin(ALL).observe(minute(0, 0, 0), 0.5, ALL).log_value == 0.0


@pytest.mark.parametrize("wanted", [-0.1, 1.1, math.nan])
def test_what_is_no_share_is_refused(wanted: float) -> None:
    with pytest.raises(ValueError, match="no share of traffic"):
        SplitGuard.begin(ALL).observe(minute(0, 1, 1), wanted, ALL)


@pytest.mark.parametrize("phi", [0.9, math.inf, math.nan])
def test_overdispersion_below_1_is_refused(phi: float) -> None:
    with pytest.raises(ValueError, match="overdispersion"):
        SplitGuard.begin(ALL, phi=phi)


def test_requests_that_come_together_are_less_evidence() -> None:
    """Twenty connections of ten requests each are twenty, not two hundred."""
    together = SplitGuard.begin(ALL, phi=10.0).observe(minute(0, 60, 140), 0.1, ALL)
    assert together.mismatch is None
    assert Side.ABOVE is SplitGuard.begin(ALL).observe(minute(0, 60, 140), 0.1, ALL).mismatch


def test_a_replay_changes_nothing_and_an_overlap_is_an_error() -> None:
    guard = SplitGuard.begin(USUAL, counted_until=NOON).observe(minute(0, 20, 80), 0.1, USUAL)
    assert guard == guard.observe(minute(0, 20, 80), 0.1, USUAL)
    assert guard != guard.observe(minute(3, 20, 80), 0.1, USUAL)
    with pytest.raises(ValueError, match="overlaps"):
        guard.observe(Block(NOON, NOON + 2 * MINUTE, Counts(1), Counts()), 0.1, USUAL)


def test_a_step_starts_fresh_bets() -> None:
    """The value stays as it is; what was lost before weighs less on what comes."""
    worn = SplitGuard.begin(USUAL)
    for place in range(10):
        worn = worn.observe(minute(place, 100, 900), 0.1, USUAL)
    fresh = worn.enter_step(USUAL)
    assert pytest.approx(worn.log_value, abs=1e-4) == fresh.log_value
    late = minute(10, 50, 50)
    assert fresh.observe(late, 0.1, USUAL).log_value > worn.observe(late, 0.1, USUAL).log_value + 1.0


def test_state_survives_storing_exactly_and_is_small() -> None:
    """At most 300 bytes, also where every logarithm is long."""
    guard = SplitGuard.begin(USUAL, phi=1.25)
    assert guard == SplitGuard.from_state(json.loads(json.dumps(guard.to_state())))
    for place in range(20):
        guard = guard.observe(minute(place, 70 + place, 930), 0.1, USUAL)
    text = json.dumps(guard.to_state(), separators=(",", ":"))
    assert guard == SplitGuard.from_state(json.loads(text))
    widest = SplitGuard(
        EProcess(HARM_GRID, (-998.1234,) * 8, 0.123456),
        EProcess(OK_GRID, (-998.1234,) * 7, 0.123456),
        12.34567,
        NOON + timedelta(microseconds=1),
    )
    for text_of in (text, json.dumps(widest.to_state(), separators=(",", ":"))):
        assert len(text_of) <= 300


@pytest.mark.parametrize(
    ("change", "message"),
    [({"above": [0.0]}, "bets on 8"), ({"below": [0.0] * 9}, "bets on 7"), ({"phi": 0.0}, "overdispersion")],
    ids=["above", "below", "phi"],
)
def test_damaged_state_is_refused(change: dict[str, object], message: str) -> None:
    state = json.loads(json.dumps(SplitGuard.begin(ALL).to_state() | change))
    with pytest.raises(ValueError, match=message):
        SplitGuard.from_state(state)


def test_the_mean_of_evidences() -> None:
    """Of 1 and 9 it is 5."""
    pair = [EProcess((2.0,), (math.log(value),), 0.0) for value in (1.0, 9.0)]
    assert pytest.approx(math.log(5.0)) == log_mean(pair)
