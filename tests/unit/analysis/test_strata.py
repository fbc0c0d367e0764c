"""Like with like: what pooling different kinds of traffic gets wrong, and that strata get it right."""

import math
from datetime import UTC, datetime, timedelta

import pytest

from modelramp.analysis.block import Block, Counts
from modelramp.analysis.eprocess import HARM_GRID, LOG_ZERO, OK_GRID, EProcess, Null, log_factor
from modelramp.analysis.strata import multiplied, strata_log_factors, updated

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
HARM = Null(rho=1.1, epsilon=0.0)
SHOWN = math.log(100.0)


def block_of(candidate: tuple[float, float], stable: tuple[float, float], *, at: int = 0) -> Block:
    """Build the block of the minute ``at`` from (n, x) of each arm."""
    start = NOON + timedelta(minutes=at)
    return Block(start, start + timedelta(minutes=1), Counts(*candidate), Counts(*stable))


def pooled(strata: dict[str, Block]) -> Block:
    first, second = strata.values()
    return Block(first.start, first.end, first.candidate + second.candidate, first.stable + second.stable)


# Errors: 10 % of the long prompts, 1 % of the short ones, on both arms. The candidate got mostly long ones.
EQUAL = {"long": block_of((800, 80), (200, 20)), "short": block_of((200, 2), (800, 8))}
# The candidate doubles both rates (20 %, 2 %), but got mostly short ones.
HARMFUL = {"long": block_of((400, 80), (1600, 160)), "short": block_of((1600, 32), (400, 4))}


def test_a_fine_candidate_with_the_harder_traffic_is_not_called_harmful() -> None:
    """Pooled: 8.2 % against 2.8 %. Per kind: equal."""
    start = EProcess.begin(HARM_GRID)
    assert start.update(pooled(EQUAL), HARM).log_value > SHOWN
    assert updated(start, EQUAL, HARM).log_value < 0.0


def test_a_harmful_candidate_with_the_easier_traffic_is_not_missed() -> None:
    """Pooled: 5.6 % against 8.2 %. Per kind: doubled."""
    start = EProcess.begin(HARM_GRID)
    assert start.update(pooled(HARMFUL), HARM).log_value < 0.0
    assert updated(start, HARMFUL, HARM).log_value > SHOWN


def test_the_pooled_test_even_certifies_the_harmful_one() -> None:
    """Not only missed: shown to be "not worse than 1.25 times"."""
    null, start = Null(rho=1.25, epsilon=0.0), EProcess.begin(OK_GRID)
    assert start.update(pooled(HARMFUL), null).log_value > math.log(20.0)
    assert updated(start, HARMFUL, null).log_value < 0.0


def test_each_stratum_is_split_on_its_own() -> None:
    """By hand, rho = 1, theta = 2: 1:1 gives a = 4/3, r = 2/3; 1:3 gives a = 8/5, r = 4/5."""
    strata = {"a": block_of((10, 3), (10, 1)), "b": block_of((10, 2), (30, 4))}
    (found,) = strata_log_factors(strata, (2.0,), null=Null(1.0, 0.0), phi=2.0)
    by_hand = 3 * math.log(4 / 3) + math.log(2 / 3) + 2 * math.log(8 / 5) + 4 * math.log(4 / 5)
    assert found == pytest.approx(by_hand / 2.0, abs=1e-12)


def test_strata_are_summed_before_the_bets_are_mixed() -> None:
    """Mixing first would let each stratum pick its own effect."""
    start, null = EProcess.begin((1.5, 4.0)), Null(1.0, 0.0)
    sums = [
        sum(log_factor(one.candidate, one.stable, theta=theta, null=null) for one in HARMFUL.values())
        for theta in start.grid
    ]
    expected = math.log(math.fsum(map(math.exp, sums)) / 2)
    assert updated(start, HARMFUL, null).log_value == pytest.approx(expected, abs=1e-4)


def test_a_stratum_without_comparison_adds_nothing() -> None:
    """Only one arm served it; not even its errors count."""
    more = {**EQUAL, "new": block_of((50, 50), (0, 0)), "old": block_of((0, 0), (50, 0))}
    assert strata_log_factors(more, HARM_GRID, null=HARM) == strata_log_factors(EQUAL, HARM_GRID, null=HARM)


def test_no_strata_change_nothing() -> None:
    start = EProcess.begin(HARM_GRID, started=0.5)
    assert strata_log_factors({}, (2.0, 3.0), null=HARM) == (0.0, 0.0)
    assert updated(start, {}, HARM) == start


def test_bounds_of_the_wealth_are_those_of_the_plain_update() -> None:
    """What is lost stays lost, too little is given up, too much is not kept, the rest has four decimals."""
    account = EProcess((2.0, 3.0, 5.0, 8.0), (LOG_ZERO, -998.0, 998.0, 0.1), 0.25)
    after = multiplied(account, [9500.0, -1.5, 1.5, 0.123456])
    assert after == EProcess(account.grid, (LOG_ZERO, LOG_ZERO, 999.0, 0.2235), 0.25)


def test_factors_of_another_grid_are_refused() -> None:
    with pytest.raises(ValueError, match="shorter"):
        multiplied(EProcess.begin((2.0, 3.0)), [0.1])


def test_strata_of_different_minutes_are_refused() -> None:
    """One of them would be counted twice or never."""
    strata = {"a": block_of((10, 3), (10, 1)), "b": block_of((10, 2), (30, 4), at=1)}
    with pytest.raises(ValueError, match="different stretches"):
        updated(EProcess.begin(HARM_GRID), strata, HARM)
