"""Limits without a stable arm: both forms by hand, and the promise by exact enumeration."""

import math
from collections.abc import Sequence

import pytest

from modelramp.analysis.absolute import absolute_log_factor, ok_limit
from modelramp.analysis.block import Counts
from modelramp.analysis.eprocess import HARM_GRID, OK_GRID


def number_of_events(rates: Sequence[float]) -> list[float]:
    """Probability of each number of events among independent exposures of these rates."""
    found = [1.0]
    for rate in rates:
        found = [
            (found[k] * (1.0 - rate) if k < len(found) else 0.0) + (found[k - 1] * rate if k else 0.0)
            for k in range(len(found) + 1)
        ]
    return found


def expected_factor(rates: Sequence[float], *, limit: float, theta: float, phi: float = 1.0) -> float:
    n = len(rates)
    return math.fsum(
        q * math.exp(absolute_log_factor(Counts(n, x), limit=limit, theta=theta, phi=phi))
        for x, q in enumerate(number_of_events(rates))
    )


def test_a_rare_limit_uses_the_primitive() -> None:
    """Published vector: 5 events among 1000, limit 0.1 %, bet on twice as many."""
    found = absolute_log_factor(Counts(1000.0, 5.0), limit=0.001, theta=2.0)
    assert found == pytest.approx(2.4657359028, abs=1e-9)


def test_a_common_limit_counts_the_exposures_without_event_too() -> None:
    """By hand: 6 of 10 at a limit of 30 %, bet on 45 %."""
    by_hand = 6 * math.log(0.45 / 0.3) + 4 * math.log(0.55 / 0.7)
    assert absolute_log_factor(Counts(10.0, 6.0), limit=0.3, theta=1.5) == pytest.approx(by_hand, abs=1e-12)
    halved = absolute_log_factor(Counts(10.0, 6.0), limit=0.3, theta=1.5, phi=2.0)
    assert halved == pytest.approx(by_hand / 2, abs=1e-12)


def test_the_form_changes_above_ten_percent() -> None:
    """At the switch itself the event form holds; just above it the other one does."""
    counts = Counts(100.0, 20.0)
    at = absolute_log_factor(counts, limit=0.1, theta=2.0)
    above = absolute_log_factor(counts, limit=0.1 + 1e-9, theta=2.0)
    assert at == pytest.approx(20 * math.log(2.0) - 10.0, abs=1e-9)
    assert above == pytest.approx(20 * math.log(2.0) + 80 * math.log(8 / 9), abs=1e-6)


@pytest.mark.parametrize("limit", [0.11, 0.3, 0.6, 0.97])
def test_a_bet_on_more_than_everything_is_bounded(limit: float) -> None:
    """50 times 30 % is no rate: the bet is on 93 %, and one good exposure costs a factor of ten, not everything."""
    assert absolute_log_factor(Counts(1.0, 0.0), limit=limit, theta=50.0) == pytest.approx(-math.log(10.0), abs=1e-9)
    gained = absolute_log_factor(Counts(1.0, 1.0), limit=limit, theta=50.0)
    assert gained == pytest.approx(math.log((0.9 + 0.1 * limit) / limit), abs=1e-12)
    assert gained > 0.0


SPREADS = [(0.0,) * 6, (0.3, -0.3) * 3, (1.0, -0.2, -0.2, -0.2, -0.2, -0.2), (0.05, 0.05, 0.05, 0.05, -0.1, -0.1)]
LIMITS = [0.002, 0.05, 0.1, 0.15, 0.3, 0.5, 0.7, 0.95]


def rates_about(mean: float, spread: Sequence[float]) -> list[float]:
    """Rates of that mean, as different as the spread says and fits."""
    room = min(mean, 1.0 - mean)
    return [mean + room * part for part in spread]


@pytest.mark.parametrize("theta", [*HARM_GRID, *OK_GRID])
@pytest.mark.parametrize("phi", [1.0, 2.5])
def test_no_factor_is_expected_above_one_at_the_limit(theta: float, phi: float) -> None:
    """64 mixtures of rates for each bet, 960 in all: half have their mean at the limit itself, half well within."""
    for limit in LIMITS:
        for spread in SPREADS:
            at_limit = rates_about(limit, spread)
            within = rates_about(limit * 0.8 if theta > 1.0 else limit + 0.2 * (1.0 - limit), spread)
            for rates in (at_limit, within):
                assert expected_factor(rates, limit=limit, theta=theta, phi=phi) <= 1.0 + 1e-12


def test_the_promise_is_kept_exactly_and_can_be_broken() -> None:
    """Equal rates at the limit: exactly 1 with the Bernoulli form. Beyond the limit: above 1, or it would be blind."""
    assert expected_factor([0.3] * 6, limit=0.3, theta=1.6) == pytest.approx(1.0, abs=1e-12)
    assert expected_factor([0.4] * 6, limit=0.3, theta=1.6) > 1.2
    assert expected_factor([0.2] * 6, limit=0.3, theta=0.7) > 1.2


def test_the_bernoulli_form_learns_more_where_events_are_common() -> None:
    """39 of 100 at a limit of 30 %: the form that counts events only has two thirds of the evidence."""
    both = absolute_log_factor(Counts(100.0, 39.0), limit=0.3, theta=1.3)
    events_only = 39 * math.log(1.3) - 30 * 0.3
    assert events_only / both == pytest.approx(0.67, abs=0.005)


def test_nothing_exposed_says_nothing() -> None:
    for limit in (0.05, 0.5):
        assert absolute_log_factor(Counts(), limit=limit, theta=2.0) == 0.0


@pytest.mark.parametrize(("limit", "expected"), [(0.001, 0.0015), (0.1, 0.15), (0.5, 0.75), (0.8, 0.9), (0.99, 0.995)])
def test_room_above_the_limit(limit: float, expected: float) -> None:
    """Half as much again, while there is room for it."""
    assert ok_limit(limit) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("limit", [0.0, 1.0, math.nan])
def test_a_limit_without_room_cannot_be_shown(limit: float) -> None:
    with pytest.raises(ValueError, match="can be shown"):
        ok_limit(limit)


@pytest.mark.parametrize(
    ("limit", "theta", "phi"),
    [
        (-0.1, 2.0, 1.0),
        (1.0, 2.0, 1.0),
        (math.nan, 2.0, 1.0),
        (0.2, 0.0, 1.0),
        (0.2, 1.0, 1.0),
        (0.2, math.inf, 1.0),
        (0.2, 2.0, 0.9),
        (0.2, 2.0, math.inf),
    ],
)
def test_what_is_no_bet_is_refused(limit: float, theta: float, phi: float) -> None:
    with pytest.raises(ValueError, match="not a bet"):
        absolute_log_factor(Counts(10.0, 1.0), limit=limit, theta=theta, phi=phi)
