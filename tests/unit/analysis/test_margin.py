"""Margins from the blast radius."""

import math

import pytest

from modelramp.analysis import Margins, Null, limit_margins, margins


def test_margins_follow_from_the_blast_radius() -> None:
    """5 % going to 25 % with 1 % risked: up to 1.25 times stable plus 4 points; harm begins at 0.2 points."""
    expected = Margins(harm=Null(1.1, 0.002), ok=Null(1.25, 0.04))
    assert expected == margins(0.01, 0.25)


@pytest.mark.parametrize(("radius", "share"), [(0.0, 0.5), (1.0, 0.5), (0.01, 0.0), (0.01, 1.01), (math.nan, 0.5)])
def test_margins_refuse_what_is_no_share(radius: float, share: float) -> None:
    """Percent given as 25 instead of 0.25 must not pass."""
    with pytest.raises(ValueError, match="no margins"):
        margins(radius, share)


def test_a_limit_is_held_without_a_stable_arm() -> None:
    """At most 2 %: harm beyond it, kept when 3 % are refuted; near certainty the room shrinks."""
    assert limit_margins(0.02) == Margins(harm=Null(0.0, 0.02), ok=Null(0.0, 0.03))
    assert limit_margins(0.5) == Margins(harm=Null(0.0, 0.5), ok=Null(0.0, 0.75))
    assert limit_margins(0.75).ok == Null(0.0, 0.875)


@pytest.mark.parametrize("limit", [0.0, -0.01, 1.0, 2.0, math.nan])
def test_a_limit_out_of_range_is_refused(limit: float) -> None:
    """At 0 nothing could ever be shown to be kept, and 2 is 2 % gone wrong."""
    with pytest.raises(ValueError, match=r"not a (limit|margin)"):
        limit_margins(limit)
