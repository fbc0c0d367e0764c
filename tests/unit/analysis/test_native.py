"""Native histograms as a metric store tells them: what is believed, what is refused, and which edges there are."""

import math
from typing import Any

import pytest
from fakes.natives import bound, custom, standard

from modelramp.analysis.native import (
    MOST,
    BelowZeroError,
    Bound,
    Layout,
    NativeSample,
    below,
    boundary,
    on_grid,
    read_native,
)

INF, NAN = math.inf, math.nan


def read(*buckets: list[Any], count: str = "100") -> NativeSample:
    """Read one value of the API."""
    return read_native(7.0, {"count": count, "sum": "1", "buckets": list(buckets)}, {})


def test_a_value_of_the_api_is_read() -> None:
    """The zero bucket, and buckets with their upper bounds."""
    found = read([3, "-0.25", "0.25", "3"], [0, "0.25", "0.5", "12"], [0, "0.5", "1", "21"], [0, "2", "4", "6"])
    assert found == NativeSample(
        7.0, 100.0, Layout(((-0.25, 0.25), (0.25, 0.5), (0.5, 1.0), (2.0, 4.0))), (3, 12, 21, 6)
    )
    assert (found.layout.schema, found.layout.custom) == (0, False)


def test_custom_bounds_are_read() -> None:
    """The first bucket reaches down to -Inf, the last one up to +Inf."""
    found = read([3, "-Inf", "0.1", "3"], [0, "0.1", "0.3", "4"], [0, "7", "+Inf", "1"])
    assert found.layout.bounds == ((-INF, 0.1), (0.1, 0.3), (7.0, INF))
    assert (found.layout.schema, found.layout.custom) == (None, True)


def test_without_a_bound_there_is_one_bucket() -> None:
    """A classic histogram of nothing but ``+Inf``."""
    assert read([3, "-Inf", "+Inf", "3"]).layout.custom


def test_a_histogram_without_observations_has_no_buckets() -> None:
    """Its schema is not told, and nothing speaks against any edge."""
    found = read_native(7.0, {"count": "0", "sum": "0"}, {})
    assert found == NativeSample(7.0, 0.0, Layout(()), ())
    assert (found.layout.schema, found.layout.custom) == (None, False)
    assert not found.layout.splits(0.3)
    assert below(found, [found.layout.place(0.3)]) == [0.0]


def test_samples_of_one_answer_share_their_bounds() -> None:
    """An answer is mostly bounds."""
    known: dict[tuple[Bound, ...], Layout] = {}
    row = {"count": "2", "sum": "1", "buckets": [[0, "1", "2", "2"]]}
    assert read_native(1.0, row, known).layout is read_native(2.0, row, known).layout


@pytest.mark.parametrize(
    "buckets",
    [
        [[1, "-2", "-1", "1"]],
        [[1, "-2", "-1", "1"], [0, "1", "2", "1"]],
        [[3, "-Inf", "-1", "1"]],
    ],
    ids=["alone", "beside others", "custom"],
)
def test_observations_below_zero_are_refused(buckets: list[list[Any]]) -> None:
    """They are no durations, and no edge judged says anything of them."""
    with pytest.raises(BelowZeroError, match="observations from"):
        read(*buckets)


@pytest.mark.parametrize("pair", [(-2.0, -1.0), (-2.0, 1.0)])
def test_a_layout_below_zero_is_refused(pair: Bound) -> None:
    """Whoever builds it."""
    with pytest.raises(BelowZeroError):
        Layout((pair,))


@pytest.mark.parametrize(
    "buckets",
    [
        [[2, "1", "2", "1"]],
        [["0", "1", "2", "1"]],
        [[0, "-1", "1", "1"]],
        [[3, "1", "2", "1"]],
        [[0, "1", "2", "1"], [3, "-Inf", "3", "1"]],
        [[0, "2", "1", "1"]],
        [[0, "1", "1", "1"]],
        [[0, "1", "4", "1"], [0, "2", "8", "1"]],
        [[0, "NaN", "1", "1"]],
        [[0, "1", "NaN", "1"]],
        [[0, "1", "2", "-1"]],
        [[0, "1", "2", "NaN"]],
        [[0, "1", "2", "+Inf"]],
        [[0, "1", "2", "60"], [0, "2", "4", "60"]],
        [[0, "1", "2"]],
    ],
)
def test_what_is_no_histogram_is_refused(buckets: list[list[Any]]) -> None:
    """Nothing is guessed."""
    with pytest.raises(ValueError, match=r"bounds of the wrong kind|out of order|not counts|more in the|not enough"):
        read(*buckets)


@pytest.mark.parametrize("count", ["-1", "NaN", "+Inf"])
def test_what_is_no_count_is_refused(count: str) -> None:
    """NaN would be neither more nor less than any bucket."""
    with pytest.raises(ValueError, match="not counts"):
        read(count=count)


def test_counts_belong_to_buckets() -> None:
    """One each."""
    with pytest.raises(ValueError, match="1 counts of 0 buckets"):
        NativeSample(0.0, 1.0, Layout(()), (1.0,))


@pytest.mark.parametrize("schema", range(-4, 9))
@pytest.mark.parametrize("index", [-7, 0, 1, 40])
def test_two_bounds_tell_the_schema(schema: int, index: int) -> None:
    """From an edge 16 octaves wide to one of 0.3 %."""
    if not -1022 < (index - 1) * 2.0**-schema < index * 2.0**-schema < 1023:
        pytest.skip("no floats are that large or small")
    assert Layout(((bound(schema, index - 1), bound(schema, index)),)).schema == schema


def test_the_zero_bucket_may_cut_the_lowest_one_off() -> None:
    """Then the next one tells, and only the upper bound of the lowest is an edge."""
    cut = standard(0.0, [0.1, 0.3, 0.6], schema=0, zero=0.3)
    assert cut.layout.bounds == ((-0.3, 0.3), (0.5, 1.0))
    cut = standard(0.0, [0.1, 0.4, 0.6], schema=0, zero=0.3)
    assert cut.layout.bounds == ((-0.3, 0.3), (0.3, 0.5), (0.5, 1.0))
    assert (cut.layout.schema, cut.layout.custom) == (0, False)
    assert [edge for edge in (0.25, 0.3, 0.4, 0.5, 1.0) if not cut.layout.splits(edge)] == [0.3, 0.5, 1.0]
    alone = standard(0.0, [0.1, 0.4], schema=0, zero=0.3)
    assert (alone.layout.schema, alone.layout.custom) == (None, False)
    assert [edge for edge in (0.3, 0.35, 0.5, 0.6) if not alone.layout.splits(edge)] == [0.3, 0.5, 0.6]


@pytest.mark.parametrize(
    "bounds",
    [
        ((0.1, 0.2), (0.2, 0.4)),
        ((0.25, 0.5), (0.5, 1.0), (1.0, 4.0)),
        ((0.25, 0.5), (0.5, 0.5000001)),
        ((1.0, 2.0), (2.0, math.nextafter(2.0, 3.0)), (3.0, 3.0000001)),
        ((1e-300, 1e-200), (1e-200, 1e300)),
        ((0.5, 1.0), (math.nextafter(2.0, 1.0), 2.0)),
        ((0.1, 0.3),),
        ((0.0, 1.0),),
    ],
    ids=["off the grid", "unequal", "narrow", "closest", "wide", "of no width in the logarithm", "one", "from 0"],
)
def test_bounds_of_no_schema_are_custom(bounds: tuple[Bound, ...]) -> None:
    """And are edges nevertheless."""
    layout = Layout(bounds)
    assert (layout.schema, layout.custom) == (None, True)
    assert not any(layout.splits(edge) for pair in bounds for edge in pair)


def test_only_an_edge_within_a_full_bucket_is_unknown() -> None:
    """To 12 digits, as edges are written."""
    layout = standard(0.0, [0.3, 3.0], schema=3).layout
    ((low, high), _) = layout.bounds
    assert [layout.splits(edge) for edge in (low, (low + high) / 2, high, 1.0, 3.0)] == [
        False,
        True,
        False,
        False,
        True,
    ]
    assert not any(layout.splits(float(f"{edge:.12g}")) for edge in (low, high))


def test_counts_add_up_to_an_edge() -> None:
    """The bucket that ends at it included; never more than all, whatever fractions add up to."""
    found = standard(0.0, [0.0, 0.3, 0.5, 0.6, 3.0, 2.0], schema=0)
    assert below(found, [found.layout.place(edge) for edge in (0.25, 0.5, 1.0, 2.0, 4.0)]) == [1, 3, 4, 5, 6]
    rounded = NativeSample(0.0, 0.3, Layout(((1.0, 2.0), (2.0, 4.0))), (0.1, 0.2))
    assert below(rounded, [0, 1, 2]) == [0.0, 0.1, 0.3]


def test_observations_that_are_no_number_are_in_no_bucket() -> None:
    """They count above every edge, as they do in a classic histogram."""
    found = NativeSample(0.0, 5.0, Layout(((1.0, 2.0),)), (3.0,))
    assert found.n - below(found, [1])[0] == 2.0


def test_the_ends_of_the_floats_are_no_edges() -> None:
    """The overflow bucket has no finite upper bound, the one below it the largest float."""
    layout = Layout(((bound(0, 1), bound(0, 2)), (2.0**1023, MOST), (MOST, INF)))
    assert (layout.schema, layout.custom) == (0, False)
    assert boundary(0, 1024) == INF
    assert not any(on_grid(edge, 0) for edge in (0.0, -1.0, INF, NAN, 3.0))
    assert on_grid(0.35355339059, 1)
    assert not on_grid(0.353553390, 1)


def test_custom_bounds_are_those_given() -> None:
    """Of the buckets that are told."""
    assert custom(0.0, [0.2, 0.2, 9.0], (0.1, 0.3, 5.0)).layout.bounds == ((0.1, 0.3), (5.0, INF))
