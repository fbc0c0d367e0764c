"""Buckets: exact at their edges, refused between them, coarsened without losing a call."""

import math

import pytest

from modelramp.analysis import Counts
from modelramp.analysis.histogram import (
    Histogram,
    NoSuchEdgeError,
    on_common_edges,
)

CALLS = Histogram((0.1, 0.25, 0.5, 1.0), (400.0, 900.0, 990.0, 1000.0), 1000.0)


def test_above_an_edge_is_what_is_not_below_it() -> None:
    """All less those at or below it, and the share of that."""
    assert CALLS.counts(0.25) == Counts(1000.0, 100.0)
    assert [CALLS.tail(edge) for edge in CALLS.edges] == [0.6, 0.1, 0.01, 0.0]


@pytest.mark.parametrize(
    ("threshold", "nearest"),
    [(0.3, "0.25 and 0.5"), (0.05, "0.1 and 0.25"), (7.0, "0.5 and 1"), (0.2, "0.1 and 0.25"), (0.9, "0.5 and 1")],
)
def test_a_threshold_between_edges_is_refused_and_the_edges_are_listed(threshold: float, nearest: str) -> None:
    """The user is told what could be asked instead, the two nearest first."""
    with pytest.raises(NoSuchEdgeError) as refused:
        CALLS.counts(threshold)
    expected = f"{threshold:g} is not a bucket edge; nearest {nearest}; the edges are 0.1, 0.25, 0.5, 1"
    assert expected == str(refused.value)
    assert (refused.value.threshold, refused.value.edges) == (threshold, CALLS.edges)


@pytest.mark.parametrize(
    ("edges", "message"),
    [((), "nearest none; the edges are none"), ((0.5,), "nearest 0.5; the edges are 0.5")],
)
def test_few_edges_are_listed_as_well(edges: tuple[float, ...], message: str) -> None:
    """An idle native histogram has none."""
    with pytest.raises(NoSuchEdgeError, match=message):
        Histogram(edges, (0.0,) * len(edges), 0.0).tail(0.3)


@pytest.mark.parametrize(
    ("edges", "below", "n", "message"),
    [
        ((0.5, 0.1), (1.0, 2.0), 3.0, "ascending"),
        ((0.5, 0.5), (1.0, 2.0), 3.0, "ascending"),
        ((-0.1,), (1.0,), 3.0, "at least 0"),
        ((math.inf,), (1.0,), 3.0, "finite"),
        ((math.nan,), (1.0,), 3.0, "finite"),
        ((0.1,), (1.0, 2.0), 3.0, "2 cumulative counts for 1"),
        ((0.1, 0.5), (2.0, 1.0), 3.0, "not cumulative"),
        ((0.1,), (4.0,), 3.0, "not cumulative"),
        ((0.1,), (-1.0,), 3.0, "not cumulative"),
        ((0.1,), (math.nan,), 3.0, "not cumulative"),
        ((), (), -1.0, "not cumulative"),
        ((0.1,), (1.0,), math.inf, "not cumulative"),
        ((0.1,), (1.0,), math.nan, "not cumulative"),
    ],
)
def test_what_no_counting_gives_is_refused(
    edges: tuple[float, ...], below: tuple[float, ...], n: float, message: str
) -> None:
    """A damaged page must not become evidence."""
    with pytest.raises(ValueError, match=message):
        Histogram(edges, below, n)


def test_buckets_come_in_any_order_but_with_the_whole() -> None:
    """Without +Inf nobody knows how many calls there were."""
    buckets = {0.5: 990.0, math.inf: 1000.0, 0.1: 400.0, 1.0: 1000.0, 0.25: 900.0}
    assert Histogram.from_buckets(buckets) == CALLS
    del buckets[math.inf]
    with pytest.raises(ValueError, match=r"no \+Inf bucket beside the edges 0.5, 0.1, 1, 0.25"):
        Histogram.from_buckets(buckets)


def test_series_of_one_arm_add_up() -> None:
    """Same edges only; others are coarsened first."""
    assert Histogram((0.1, 0.5), (5.0, 9.0), 10.0) == (
        Histogram((0.1, 0.5), (1.0, 2.0), 2.0) + Histogram((0.1, 0.5), (4.0, 7.0), 8.0)
    )
    with pytest.raises(ValueError, match=r"different edges: 0.1; and 0.2"):
        _ = Histogram((0.1,), (1.0,), 2.0) + Histogram((0.2,), (1.0,), 2.0)


def test_the_tail_inside_a_bucket_follows_a_power_law() -> None:
    """From 10 % at 0.25 to 1 % at 0.5: at their geometric mean it is the geometric mean."""
    assert CALLS.tail_at(math.sqrt(0.25 * 0.5)) == pytest.approx(math.sqrt(0.1 * 0.01))
    pareto = Histogram((1.0, 4.0), (0.0, 937.5), 1000.0)  # tail = value ** -2
    assert pareto.tail_at(2.0) == pytest.approx(0.25)
    assert [CALLS.tail_at(edge) for edge in CALLS.edges] == [CALLS.tail(edge) for edge in CALLS.edges]


def test_a_lenient_tail_follows_an_exponential() -> None:
    """Half-way between the edges it is the geometric mean; never below the strict one."""
    assert CALLS.tail_at(0.375, lenient=True) == pytest.approx(math.sqrt(0.1 * 0.01))
    assert CALLS.tail_at(0.75, lenient=True) == pytest.approx(0.005)  # to 0, evenly
    values = [number / 100 for number in range(101)]
    assert all(CALLS.tail_at(value, lenient=True) >= CALLS.tail_at(value) - 1e-15 for value in values)


def test_below_the_first_edge_the_tail_falls_exponentially() -> None:
    """A logarithm has no 0: half-way to an edge above which 60 % lie it is the root of 0.6. An edge at 0 is alike."""
    assert CALLS.tail_at(0.05) == pytest.approx(math.sqrt(0.6))
    assert CALLS.tail_at(0.0) == 1.0
    from_zero = Histogram((0.0, 1.0), (200.0, 800.0), 1000.0)
    assert from_zero.tail_at(0.5) == pytest.approx(math.sqrt(0.8 * 0.2))


def test_where_the_tail_ends_it_falls_evenly() -> None:
    """The logarithm of 0 is of no use."""
    assert CALLS.tail_at(math.sqrt(0.5 * 1.0)) == pytest.approx(0.005)
    assert Histogram((1.0,), (10.0,), 10.0).tail_at(0.25) == pytest.approx(0.75)
    assert Histogram((1.0, 2.0), (10.0, 10.0), 10.0).tail_at(1.5) == 0.0


@pytest.mark.parametrize("value", [1.5, -0.1, math.nan, math.inf])
def test_beyond_the_last_edge_nothing_is_known(value: float) -> None:
    """Neither there nor below 0."""
    with pytest.raises(ValueError, match=r"the edges are 0.1, 0.25, 0.5, 1"):
        CALLS.tail_at(value)
    with pytest.raises(ValueError, match="the edges are none"):
        Histogram((), (), 5.0).tail_at(value)


def test_no_call_has_no_tail() -> None:
    """Neither 0 nor 1 would be true."""
    with pytest.raises(ValueError, match="nothing was observed"):
        Histogram((0.1,), (0.0,), 0.0).tail(0.1)


@pytest.mark.parametrize(
    ("quantile", "around"),
    [
        (0.2, (None, 0.1)),
        (0.4, (0.1, 0.1)),
        (0.5, (0.1, 0.25)),
        (0.9, (0.25, 0.25)),
        (0.99, (0.5, 0.5)),
        (0.995, (0.5, 1.0)),
    ],
)
def test_edges_around_a_quantile(quantile: float, around: tuple[float | None, float | None]) -> None:
    """Both edges of its bucket, or the one it is."""
    assert CALLS.edges_around(quantile) == around


def test_a_quantile_may_lie_beyond_the_last_edge() -> None:
    """Then there is no upper edge; without edges there is none at all."""
    assert Histogram((0.1, 0.5), (1.0, 9.0), 10.0).edges_around(0.95) == (0.5, None)
    assert Histogram((), (), 10.0).edges_around(0.5) == (None, None)


def test_rounding_does_not_move_a_quantile_off_its_edge() -> None:
    """0.07 * 100 is a little more than 7 in binary."""
    assert Histogram((0.1, 0.5), (7.0, 100.0), 100.0).edges_around(0.07) == (0.1, 0.1)


@pytest.mark.parametrize(("quantile", "n"), [(0.0, 1.0), (1.0, 1.0), (math.nan, 1.0), (0.5, 0.0)])
def test_no_quantile(quantile: float, n: float) -> None:
    with pytest.raises(ValueError, match="no quantile"):
        Histogram((0.1,), (0.0,), n).edges_around(quantile)


def test_arms_with_other_buckets_meet_at_their_common_edges() -> None:
    """A bucket of the coarsened form holds what its parts held."""
    other = Histogram((0.2, 0.25, 0.3, 1.0), (1.0, 3.0, 4.0, 6.0), 8.0)
    candidate, stable = on_common_edges(CALLS, other)
    assert candidate == Histogram((0.25, 1.0), (900.0, 1000.0), 1000.0)
    assert stable == Histogram((0.25, 1.0), (3.0, 6.0), 8.0)
    with pytest.raises(NoSuchEdgeError):
        CALLS.restricted([0.1, 0.2])


def test_nothing_in_common_is_an_error_that_names_both() -> None:
    """Which of the two to change is for the user to say."""
    with pytest.raises(ValueError, match=r"candidate 0.1, 0.25, 0.5, 1; stable 0.2, 3$"):
        on_common_edges(CALLS, Histogram((0.2, 3.0), (0.0, 0.0), 0.0))
