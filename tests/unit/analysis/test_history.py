"""Stable's past, stretch by stretch: every increment in its own minute, however the past is cut."""

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import pytest

from modelramp.analysis import ArmSeries, Counts, Null, Pods, Series, Window
from modelramp.analysis.dispersion import Dispersion
from modelramp.analysis.evidence import PHI_UNKNOWN
from modelramp.analysis.histogram import Histogram
from modelramp.analysis.history import RateHistory, TailHistory
from modelramp.analysis.tailplan import JudgedEdge, OverThreshold, QuantileGrowth, QuantileLimit, TailPlan

Samples = Sequence[tuple[float, float]]
UNKNOWN = Dispersion(PHI_UNKNOWN, known=False)
LOOK_BACK = 300


def stretch(after: float, until: float) -> Window:
    return Window(*(datetime.fromtimestamp(at, UTC) for at in (after - LOOK_BACK, after, until)))


def series(samples: Samples, pod: str = "a", **labels: str) -> Series:
    return Series({"instance": f"{pod}:1", "pod": pod, **labels}, samples)


def rates(total: Sequence[Series], bad: Sequence[Series] = (), *, until: float = 180) -> RateHistory:
    return RateHistory().before(ArmSeries(total, bad), stretch(0, until))


def test_every_increment_is_in_the_minute_of_its_right_hand_sample() -> None:
    """Minutes include their end, as blocks do: none is lost at the end of a stretch."""
    total = [series([(0, 0), (30, 5), (60, 7), (61, 8), (180, 20)])]
    assert rates(total).rows == {"a": (Counts(7), Counts(1), Counts(12))}


def test_the_beginning_of_a_stretch_is_not_part_of_it() -> None:
    """It is the end of the stretch before."""
    total = [series([(-10, 0), (0, 5), (10, 7)])]
    assert rates(total, until=60).rows == {"a": (Counts(2),)}


def test_events_stand_beside_their_exposures() -> None:
    """Of all series of a pod, each counted once, the late born ones from zero."""
    total = [series([(0, 0), (50, 40), (110, 90)]), series([(0, 0), (50, 4)], code="201")]
    bad = [series([(50, 2), (110, 5)], code="500"), series([(110, 1)], code="503")]
    assert rates([*total, *total], [*bad, *bad], until=120).rows == {"a": (Counts(44, 2), Counts(50, 4))}


def test_a_minute_without_sample_is_unknown() -> None:
    """It is not a minute without requests."""
    assert rates([series([(0, 0), (170, 9)])]).rows == {"a": (None, None, Counts(9))}


def test_more_events_than_exposures_are_no_window() -> None:
    """What such a minute means is not known; the next one is as good as any."""
    found = rates([series([(0, 0), (50, 1), (110, 9)])], [series([(0, 0), (50, 2), (110, 3)], code="500")], until=120)
    assert found.rows == {"a": (None, Counts(8, 1))}


def test_pods_come_and_go() -> None:
    """Rows stay of one length, whoever was there; a young pod's first sample counts."""
    newer = ArmSeries([series([(130, 7), (170, 9)], "young"), series([(50, 0), (115, 4), (170, 6)], "both")])
    older = ArmSeries([series([(0, 0), (50, 3)], "gone"), series([(0, 0), (50, 1), (115, 5)], "both")])
    known = RateHistory().before(newer, stretch(60, 180), Pods(born={"young": 125.0}))
    whole = known.before(older, stretch(0, 60))
    assert whole.length == 3
    assert whole.rows == {
        "both": (Counts(1), Counts(4), Counts(2)),
        "gone": (Counts(3), None, None),
        "young": (None, None, Counts(9)),
    }


def test_an_old_pod_seen_first_is_a_baseline() -> None:
    """A known minute without a known request."""
    assert rates([series([(30, 40_000), (70, 40_001)])], until=120).rows == {"a": (Counts(), Counts(1))}


def test_restarts_are_judged_as_in_a_block() -> None:
    """By the page's falls and the container's start."""
    arm = ArmSeries([series([(0, 100), (50, 30), (110, 35)])])
    window, started = stretch(0, 120), Pods(started={"a": [20.0]})
    assert RateHistory().before(arm, window, started).rows == {"a": (Counts(30), Counts(5))}
    assert RateHistory().before(arm, window).rows == {"a": (Counts(), Counts(5))}


def test_without_a_pod_label_the_instance_tells_pods_apart() -> None:
    """A series with neither says nothing about pods."""
    by_instance = Series({"instance": "a:1"}, [(0, 0), (50, 5)])
    nameless = Series({"job": "j"}, [(0, 0), (50, 5)])
    assert rates([by_instance, nameless], until=60).rows == {"a:1": (Counts(5),)}
    assert rates([nameless], until=60) == RateHistory({}, 1)


def test_nothing_known_is_unknown_overdispersion() -> None:
    """An empty past, one pod, no events."""
    assert RateHistory().dispersion == UNKNOWN
    assert rates([]) == RateHistory({}, 3)
    assert rates([series([(0, 0), (50, 5)])]).dispersion == UNKNOWN


def test_a_lasting_difference_between_pods_is_found() -> None:
    """One of two pods has all the errors, one a second: known, and far above 1."""
    minutes = range(11)
    total = [series([(60 * m, 600 * m) for m in minutes], pod) for pod in ("a", "b")]
    bad = [series([(60 * m, 60 * m) for m in minutes], "a", code="500")]
    found = rates(total, bad, until=600).dispersion
    assert found.known
    assert found.at(1.0) == pytest.approx(60.0)


@pytest.mark.parametrize("until", [59.0, 90.0, 60.5])
def test_a_stretch_of_broken_minutes_is_refused(until: float) -> None:
    """Its last increments would have no window, or share one with the stretch after it."""
    with pytest.raises(ValueError, match="whole number of minutes"):
        rates([], until=until)
    with pytest.raises(ValueError, match="whole number of minutes"):
        TailHistory().before([], stretch(0, until))


# ---------------------------------------------------------------- durations


def page(buckets: Mapping[str, Samples], pod: str = "a") -> list[Series]:
    return [series(samples, pod, le=edge) for edge, samples in buckets.items()]


TWO_MINUTES: Mapping[str, Samples] = {
    "100": [(0, 0), (60, 4), (120, 6)],
    "500": [(0, 0), (60, 7), (120, 9)],
    "+Inf": [(0, 0), (60, 8), (120, 12)],
}


def test_calls_above_each_edge_minute_by_minute() -> None:
    """Edges in seconds; together the rows are the histogram."""
    found = TailHistory().before(page(TWO_MINUTES), stretch(0, 120), factor=1e-3)
    assert found == TailHistory(
        Histogram((0.1, 0.5), (6.0, 9.0), 12.0),
        {0.1: {"a": (Counts(8, 4), Counts(4, 2))}, 0.5: {"a": (Counts(8, 1), Counts(4, 2))}},
        2,
    )


def test_stretches_of_calls_are_joined() -> None:
    """The older one comes first; edges that one of them lacks are forgotten."""
    newer = {edge: [(at + 120, value) for at, value in samples] for edge, samples in TWO_MINUTES.items()}
    older = {edge: TWO_MINUTES[edge] for edge in ("500", "+Inf")}
    found = TailHistory().before(page(newer, "b"), stretch(120, 240)).before(page(older), stretch(0, 120))
    assert found == TailHistory(
        Histogram((500.0,), (18.0,), 24.0),
        {500.0: {"a": (Counts(8, 1), Counts(4, 2), None, None), "b": (None, None, Counts(8, 1), Counts(4, 2))}},
        4,
    )


def test_a_stretch_without_samples_keeps_its_place() -> None:
    """Else minutes that lie hours apart would be merged into one window."""
    early = {edge: [(at, value) for at, value in samples if at <= 60] for edge, samples in TWO_MINUTES.items()}
    late = {edge: [(at + 120, value) for at, value in samples if at <= 60] for edge, samples in TWO_MINUTES.items()}
    known = TailHistory().before(page(late), stretch(120, 180))
    whole = known.before(page(early), stretch(60, 120)).before(page(early), stretch(0, 60))
    assert (whole.length, whole.rows[500.0]) == (3, {"a": (Counts(8, 1), None, Counts(8, 1))})
    silent = TailHistory().before([], stretch(60, 120))
    assert silent == TailHistory(None, {}, 1)
    assert silent.before(page(early), stretch(0, 60)).rows[500.0] == {"a": (Counts(8, 1), None)}


def test_a_page_read_while_it_was_written_has_no_negative_tail() -> None:
    """Minute by minute a low bucket may be ahead of the whole."""
    torn = page({"1": [(0, 0), (60, 5), (120, 6)], "+Inf": [(0, 0), (60, 4), (120, 7)]})
    assert TailHistory().before(torn, stretch(0, 120)).rows[1.0] == {"a": (Counts(4), Counts(3, 2))}


def test_what_is_no_classic_histogram_is_refused() -> None:
    """Rather than planned with."""
    with pytest.raises(ValueError, match=r"\+Inf"):
        TailHistory().before(page({"1": [(0, 0), (60, 5)]}), stretch(0, 60))


def test_without_a_call_there_is_no_plan() -> None:
    """Whatever is asked; the edges alone would do for a threshold, but who knows which the server has."""
    idle = page({"1": [(0, 3), (60, 3)], "+Inf": [(0, 3), (60, 3)]})
    for nothing in (TailHistory(), TailHistory().before(idle, stretch(0, 60))):
        with pytest.raises(ValueError, match="no call yet"):
            nothing.plan(OverThreshold(1.0))


def test_the_plan_is_that_of_all_calls() -> None:
    """Of every pod and stretch."""
    found = TailHistory().before(page(TWO_MINUTES), stretch(0, 120), factor=1e-3)
    assert found.plan(OverThreshold(0.5)) == TailPlan((JudgedEdge(0.5),), (JudgedEdge(0.5),))
    limit = JudgedEdge(0.1, Null(0.0, 0.1))
    assert found.plan(QuantileLimit(0.9, 0.1)) == TailPlan((limit,), (limit,))
    with pytest.raises(ValueError, match="last bucket edge"):
        found.plan(QuantileGrowth(0.99, 0.2))


def lasting(shares: Mapping[str, tuple[float, float]]) -> TailHistory:
    """Ten minutes of 600 calls each on every pod, of which these shares are above 1 s and above 2 s."""
    buckets = [
        one
        for pod, above in shares.items()
        for one in page(
            {
                edge: [(60 * m, 600 * m * (1.0 - share)) for m in range(11)]
                for edge, share in zip(("1", "2", "+Inf"), (*above, 0.0), strict=True)
            },
            pod,
        )
    ]
    return TailHistory().before(buckets, stretch(0, 600))


def test_overdispersion_is_the_largest_at_the_edges_judged() -> None:
    """Pods alike above 1 s and different above 2 s; an edge nothing is known of is passed over."""
    found = lasting({"a": (0.25, 0.125), "b": (0.25, 0.0)})
    edges = {edge: (JudgedEdge(edge),) for edge in (1.0, 2.0, 3.0)}
    alike, different = (found.dispersion(TailPlan(edges[edge], edges[edge])) for edge in (1.0, 2.0))
    assert (alike.phi, alike.known) == (1.0, True)
    assert different.at(1.0) == pytest.approx(75.0)
    both = (JudgedEdge(1.0), JudgedEdge(2.0))
    assert found.dispersion(TailPlan(both, both)) == different
    assert found.dispersion(TailPlan(edges[3.0], edges[3.0])) == UNKNOWN


def test_one_pod_tells_no_overdispersion_of_durations() -> None:
    """There is nothing to compare it with."""
    one = lasting({"a": (0.25, 0.125)})
    plan = one.plan(OverThreshold(1.0))
    assert one.dispersion(plan) == UNKNOWN
    assert math.isclose(one.stable.tail(2.0) if one.stable else 0.0, 0.125)
