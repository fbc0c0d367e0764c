"""The primitive against published vectors, and the accounting of wealth."""

import math
from datetime import UTC, datetime, timedelta

import pytest

from modelramp.analysis import (
    HARM_GRID,
    LOG_ZERO,
    OK_GRID,
    Block,
    Counts,
    EProcess,
    Null,
    log_factor,
    log_sum_exp,
    wealth_schedule,
)

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
BASE = Null(rho=1.1, epsilon=0.0)


def block_of(candidate: Counts, stable: Counts) -> Block:
    return Block(NOON, NOON + timedelta(seconds=5), candidate, stable)


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
def test_factor_equals_the_reference_vector(vector: tuple[float, ...]) -> None:
    """Computed independently with another implementation."""
    x_c, n_c, x_s, n_s, theta, rho, epsilon, expected = vector
    found = log_factor(Counts(n_c, x_c), Counts(n_s, x_s), theta=theta, null=Null(rho, epsilon))
    assert expected == pytest.approx(found, abs=1e-8)


@pytest.mark.parametrize("theta", [*HARM_GRID, *OK_GRID])
def test_without_epsilon_the_factor_is_the_conditional_binomial_ratio(theta: float) -> None:
    """Given the sum of two Poisson counts, the candidate's part is binomial: the common rate cancels."""
    n_c, n_s, x_c, x_s, rho = 120.0, 880.0, 4.0, 9.0, 1.1
    bet, null = (r * n_c / (r * n_c + n_s) for r in (theta * rho, rho))
    expected = x_c * math.log(bet / null) + x_s * math.log((1 - bet) / (1 - null))
    found = log_factor(Counts(n_c, x_c), Counts(n_s, x_s), theta=theta, null=Null(rho, 0.0))
    assert expected == pytest.approx(found, abs=1e-12)


def test_overdispersion_divides_the_counts() -> None:
    """Counting clusters of three instead of events is the same as phi = 3."""
    null = Null(1.1, 0.002)
    thirds = log_factor(Counts(50.0, 2.0), Counts(450.0, 4.0), theta=3.2, null=null)
    whole = log_factor(Counts(150.0, 6.0), Counts(1350.0, 12.0), theta=3.2, null=null, phi=3.0)
    assert thirds == pytest.approx(whole, abs=1e-12)


@pytest.mark.parametrize(("rho", "epsilon"), [(-0.1, 0.0), (1.0, -0.1), (math.nan, 0.0), (1.0, math.inf)])
def test_what_is_no_margin_is_refused(rho: float, epsilon: float) -> None:
    """Margins are finite and not negative."""
    with pytest.raises(ValueError, match="not a margin"):
        Null(rho, epsilon)


def test_sum_of_nothing_is_nothing() -> None:
    """The stand-in for ln 0 behaves like it."""
    assert log_sum_exp([LOG_ZERO, LOG_ZERO]) == LOG_ZERO
    assert log_sum_exp([LOG_ZERO, 0.0]) == 0.0
    assert log_sum_exp([800.0, 800.0]) == pytest.approx(800.0 + math.log(2.0))


def test_schedule_spends_at_most_the_whole() -> None:
    """Half, a quarter over three steps, a quarter over 960 blocks, each cut to a millionth."""
    wealth = wealth_schedule(planned_blocks=960, later_steps=3)
    assert (wealth.at_start, wealth.per_step, wealth.per_block) == (0.5, 0.083333, 0.00026)


def test_schedule_of_a_single_step_spreads_the_rest_over_its_blocks() -> None:
    """No later step is there to take its quarter."""
    wealth = wealth_schedule(planned_blocks=100, later_steps=0)
    assert (wealth.at_start, wealth.per_step, wealth.per_block) == (0.5, 0.0, 0.005)


@pytest.mark.parametrize(("blocks", "steps"), [(0, 1), (10, -1)])
def test_schedule_needs_blocks(blocks: int, steps: int) -> None:
    """A rollout without a single block shows nothing."""
    with pytest.raises(ValueError, match="no schedule"):
        wealth_schedule(planned_blocks=blocks, later_steps=steps)


def test_starting_wealth_leaves_the_value_alone() -> None:
    """Wealth that is bet is worth what it was worth waiting."""
    process = EProcess.begin(HARM_GRID, started=0.5)
    assert process.log_value == pytest.approx(0.0, abs=1e-4)
    later = process.start_wealth(0.2)
    assert later.unstarted == 0.3
    assert later.log_value == pytest.approx(0.0, abs=1e-4)


def test_no_more_wealth_is_started_than_there_is() -> None:
    """However many blocks come, the whole is 1."""
    process = EProcess.begin(HARM_GRID, started=0.5).start_wealth(0.4).start_wealth(0.4)
    assert process.unstarted == 0.0
    assert process.log_value == pytest.approx(0.0, abs=2e-4)
    assert process.start_wealth(0.4) is process


def test_value_is_the_mean_of_the_bets_and_what_waits() -> None:
    """Formula (2) by hand: half the wealth bet, one block."""
    candidate, stable = Counts(60.0, 1.0), Counts(540.0, 0.0)
    process = EProcess.begin(HARM_GRID, started=0.5).update(block_of(candidate, stable), BASE)
    factors = [math.exp(log_factor(candidate, stable, theta=theta, null=BASE)) for theta in HARM_GRID]
    assert math.log(0.5 * sum(factors) / len(factors) + 0.5) == pytest.approx(process.log_value, abs=1e-4)


def test_a_hopeless_bet_is_given_up_and_stays_so() -> None:
    """Wealth below exp(-999) is written off, which can only lower the evidence."""
    ruin = block_of(Counts(1e6, 1e5), Counts(1e6, 0.0))
    ruined = EProcess.begin(OK_GRID).update(ruin, Null(1.25, 0.0))
    assert LOG_ZERO in ruined.logs
    again = ruined.update(block_of(Counts(1e6, 0.0), Counts(1e6, 1e5)), Null(1.25, 0.0))
    assert [log == LOG_ZERO for log in ruined.logs] == [log == LOG_ZERO for log in again.logs]


def test_a_bet_is_given_up_at_exp_minus_999_and_not_before() -> None:
    """A bet that lost much may still come back; each block here takes 1 from its logarithm."""
    lossy = block_of(Counts(100.0), Counts())
    kept = EProcess((2.0,), (-998.0,), 0.0).update(lossy, Null(0.0, 0.01))
    assert kept.logs == (-999.0,)
    assert kept.update(lossy, Null(0.0, 0.01)).logs == (LOG_ZERO,)


def test_wealth_is_kept_up_to_exp_999() -> None:
    """More than that no decision needs, and the stored form stays short."""
    gainful = block_of(Counts(100.0, 100.0), Counts())
    assert EProcess((2.0,), (990.0,), 0.0).update(gainful, Null(0.0, 0.01)).logs == (999.0,)


def test_nothing_waiting_and_nothing_left_is_no_evidence_at_all() -> None:
    """An account can be empty without an error."""
    assert EProcess((2.0,), (LOG_ZERO,), 0.0).log_value == LOG_ZERO


def test_restart_forgets() -> None:
    """A new claim starts from even odds with all wealth bet."""
    process = EProcess.begin(OK_GRID).update(block_of(Counts(100.0, 5.0), Counts(900.0, 4.0)), BASE)
    assert process != EProcess.begin(OK_GRID)
    assert process.restart() == EProcess.begin(OK_GRID)


@pytest.mark.parametrize("state", [[], [0.0] * 7, [0.0] * 10, [*[0.0] * 8, 1.5], [*[0.0] * 8, -0.1]], ids=len)
def test_foreign_state_is_refused(state: list[float]) -> None:
    """Another grid's numbers, or a fraction out of range, are not read as evidence."""
    with pytest.raises(ValueError, match="unstarted"):
        EProcess.from_state(HARM_GRID, state)


class TestOverruled:
    """A finding that somebody overruled: the wealth is small again, and is bet on what was found."""

    def test_half_the_wealth_is_left_however_much_was_won(self) -> None:
        """And of it what is kept back for later."""
        won = EProcess(HARM_GRID, (3.0, 5.0, 9.0, 7.0, -2.0, -50.0, LOG_ZERO, LOG_ZERO), 0.1).overruled(0.5, 0.1)
        assert math.exp(won.log_value) == pytest.approx(0.5, abs=1e-4)
        assert won.unstarted == 0.1

    def test_three_quarters_of_the_bets_go_as_they_won_and_a_quarter_evenly(self) -> None:
        """The best bet had e^4 times what the next one has; a lost one is bet on again."""
        again = EProcess((2.0, 4.0), (6.0, 2.0), 0.0).overruled(1.0, 0.0)
        share = 1.0 / (1.0 + math.exp(-4.0))
        expected = [math.log(0.25 + 1.5 * one) for one in (share, 1.0 - share)]
        assert list(again.logs) == pytest.approx(expected, abs=1e-4)
        lost = EProcess((2.0, 4.0), (6.0, LOG_ZERO), 0.0).overruled(1.0, 0.0)
        assert list(lost.logs) == pytest.approx([math.log(1.75), math.log(0.25)], abs=1e-4)

    def test_where_nothing_is_left_all_bets_are_even(self) -> None:
        """Nothing tells then which of them was right."""
        again = EProcess(HARM_GRID, (LOG_ZERO,) * len(HARM_GRID), 0.0).overruled(0.5, 0.1)
        assert set(again.logs) == {round(math.log(0.4), 4)}

    @pytest.mark.parametrize(("level", "kept_back"), [(1.1, 0.1), (0.5, 0.5), (0.5, -0.1), (0.0, 0.0)])
    def test_no_more_wealth_is_begun_with_than_there_was(self, level: float, kept_back: float) -> None:
        """Nor nothing, nor less than is kept back."""
        with pytest.raises(ValueError, match="cannot begin with"):
            EProcess.begin(HARM_GRID).overruled(level, kept_back)
