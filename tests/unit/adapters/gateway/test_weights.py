from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelramp.adapters.gateway.weights import LARGEST_WEIGHT, shares_of, weights_of

PERCENT = st.integers(0, 1_000_000).map(lambda n: Decimal(n) / 10_000)


@pytest.mark.parametrize(
    ("percent", "weights"),
    [
        ("5", (95, 5)),
        ("5.00", (95, 5)),
        ("0.25", (9975, 25)),
        ("12.5", (875, 125)),
        ("0", (100, 0)),
        ("100", (0, 100)),
        ("0.0001", (999_999, 1)),
        ("1E+1", (90, 10)),
    ],
)
def test_weights_are_the_percentages_without_their_point(percent: str, weights: tuple[int, int]) -> None:
    """No finer than needed."""
    given_shares = {"stable": 100 - Decimal(percent), "candidate": Decimal(percent)}
    assert tuple(weights_of(given_shares).values()) == weights


@given(PERCENT)
def test_percentages_survive_the_way_through_weights(percent: Decimal) -> None:
    """Exactly, whatever a user can write."""
    shares = {"stable": 100 - percent, "candidate": percent, "retired": Decimal(0)}
    weights = weights_of(shares)
    assert shares_of(weights) == shares
    assert all(0 <= weight <= LARGEST_WEIGHT for weight in weights.values())
    assert sum(weights.values()) > 0


@pytest.mark.parametrize(
    "shares",
    [
        {"a": Decimal(0)},
        {"a": Decimal(50), "b": Decimal(49)},
        {"a": Decimal(101), "b": Decimal(-1)},
        {"a": Decimal("99.99999"), "b": Decimal("0.00001")},
    ],
)
def test_what_no_route_can_give_is_an_error(shares: dict[str, Decimal]) -> None:
    """A gateway answers 500 to everything when no weight is above 0."""
    with pytest.raises(ValueError, match="shares"):
        weights_of(shares)


def test_a_route_without_weight_gives_nothing() -> None:
    """Written by somebody else; it must still be read."""
    assert shares_of({"a": 0, "b": 0}) == {"a": Decimal(0), "b": Decimal(0)}
    assert shares_of({}) == {}
