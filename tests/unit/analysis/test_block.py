"""Counts and blocks refuse what no counting can give, and add up."""

import math
from datetime import UTC, datetime, timedelta

import pytest

from modelramp.analysis import Block, Counts

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("n", "x"),
    [(1.0, 2.0), (1.0, -1.0), (-1.0, -1.0), (math.inf, 0.0), (math.nan, 0.0), (1.0, math.nan)],
    ids=[
        "more events than exposures",
        "negative events",
        "negative both",
        "endless",
        "n not a number",
        "x not a number",
    ],
)
def test_what_is_no_count_is_refused(n: float, x: float) -> None:
    """The bound rests on 0 <= x <= n."""
    with pytest.raises(ValueError, match="not counts"):
        Counts(n, x)


def test_counts_add_up() -> None:
    """Exposures and events add separately."""
    assert Counts(30.0, 3.0) == Counts(10.0, 1.0) + Counts(20.0, 2.0)


def test_merged_block_reaches_from_first_start_to_last_end() -> None:
    """The order of the parts does not matter, nor does a gap between them."""
    early = Block(NOON, NOON + timedelta(seconds=5), Counts(1.0, 1.0), Counts(9.0, 0.0))
    late = Block(NOON + timedelta(seconds=10), NOON + timedelta(seconds=20), Counts(2.0, 0.0), Counts(18.0, 2.0))
    merged = Block(NOON, NOON + timedelta(seconds=20), Counts(3.0, 1.0), Counts(27.0, 2.0))
    assert merged == early + late == late + early
    assert merged.seconds == 20.0


def test_block_needs_a_length() -> None:
    """An empty stretch of time holds nothing."""
    with pytest.raises(ValueError, match="end after it starts"):
        Block(NOON, NOON, Counts(), Counts())


@pytest.mark.parametrize("which", ["start", "end"])
def test_block_needs_time_zones(which: str) -> None:
    """A naive instant is somebody's local time."""
    instants = {"start": NOON, "end": NOON + timedelta(seconds=1)}
    instants[which] = instants[which].replace(tzinfo=None)
    with pytest.raises(ValueError, match="time zone"):
        Block(**instants, candidate=Counts(), stable=Counts())
