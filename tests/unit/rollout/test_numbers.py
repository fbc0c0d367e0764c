import math

import pytest

from modelramp.rollout.numbers import count_text, duration_text, evidence_text


@pytest.mark.parametrize(("count", "text"), [(0.0, "0"), (12.0, "12"), (12.25, "12.2"), (1234567.0, "1234567")])
def test_a_count_has_no_needless_fraction(count: float, text: str) -> None:
    """
    Whole counts are whole, others have one digit.
    """
    assert count_text(count) == text


@pytest.mark.parametrize(
    ("log_value", "alpha", "text"),
    [
        (0.0, 0.05, "1.0 of 20"),
        (math.log(3.14), 0.05, "3.1 of 20"),
        (math.log(250), 0.01, "250 of 100"),
        (5000.0, 0.01, "9897 of 100"),
        (-9999.0, 0.05, "0.0 of 20"),
    ],
    ids=["nothing learnt", "some", "more than needed", "beyond what is told", "none at all"],
)
def test_evidence_is_told_as_reached_of_needed(log_value: float, alpha: float, text: str) -> None:
    """
    Three digits at most matter, and no logarithm overflows.
    """
    assert evidence_text(log_value, alpha) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.0, "0 s"), (119.0, "119 s"), (120.0, "2 min"), (7199.0, "120 min"), (9000.0, "2.5 h")]
)
def test_a_duration_is_told_in_the_unit_people_use(seconds: float, text: str) -> None:
    """
    Seconds up to two minutes, minutes up to two hours, then hours.
    """
    assert duration_text(seconds) == text
