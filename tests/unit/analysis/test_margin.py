"""Margins from the blast radius."""

import math

import pytest

from modelramp.analysis import Margins, Null, margins


def test_margins_follow_from_the_blast_radius() -> None:
    """5 % going to 25 % with 1 % risked: up to 1.25 times stable plus 4 points; harm begins at 0.2 points."""
    expected = Margins(harm=Null(1.1, 0.002), ok=Null(1.25, 0.04))
    assert expected == margins(0.01, 0.25)


@pytest.mark.parametrize(("radius", "share"), [(0.0, 0.5), (1.0, 0.5), (0.01, 0.0), (0.01, 1.01), (math.nan, 0.5)])
def test_margins_refuse_what_is_no_share(radius: float, share: float) -> None:
    """Percent given as 25 instead of 0.25 must not pass."""
    with pytest.raises(ValueError, match="no margins"):
        margins(radius, share)
