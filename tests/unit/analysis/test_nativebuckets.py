"""Native histograms become buckets: which edges they get, and that what is counted there is what was observed."""

from collections.abc import Sequence
from datetime import UTC, datetime

import pytest
from fakes.natives import bound, custom, standard

from modelramp.analysis import Pods, Series, Window
from modelramp.analysis.buckets import NoTails, TailAbsence, count_tails
from modelramp.analysis.histogram import Histogram, NoSuchEdgeError
from modelramp.analysis.history import TailHistory
from modelramp.analysis.native import NativeSample
from modelramp.analysis.nativebuckets import as_buckets, has_native
from modelramp.analysis.tailplan import OverThreshold, QuantileGrowth
from modelramp.analysis.tails import TailBlock

EIGHTH = float(f"{bound(3, -3):.12g}")  # an edge of schema 3 and of no coarser one
WINDOW = Window(*(datetime.fromtimestamp(at, UTC) for at in (-100, 10, 20)))


def native(*samples: NativeSample, pod: str = "c", **labels: str) -> Series:
    """One histogram on one pod's page."""
    place = {"__name__": "call_seconds", "instance": f"{pod}:1", "job": "j", "pod": pod, **labels}
    return Series(place, (), samples)


def growing(
    first: Sequence[float], then: Sequence[float], pod: str = "c", schema: int = 3, to: int | None = None
) -> Series:
    """Samples at 9 and at 19, the latter perhaps of another schema."""
    last = standard(19, [*first, *then], schema if to is None else to)
    return native(standard(9, first, schema), last, pod=pod)


def classic(buckets: dict[str, tuple[float, float]], pod: str = "s") -> list[Series]:
    """The same metric as a classic histogram, with samples at 9 and at 19."""
    place = {"__name__": "call_seconds_bucket", "instance": f"{pod}:1", "job": "j", "pod": pod}
    return [Series({**place, "le": edge}, list(zip((9, 19), counts, strict=True))) for edge, counts in buckets.items()]


def block(
    candidate: Sequence[Series],
    stable: Sequence[Series],
    wanted: Sequence[float] = (),
    *,
    factor: float = 1.0,
    pods: Pods | None = None,
) -> TailBlock:
    found = count_tails(candidate, stable, WINDOW, wanted=wanted, factor=factor, pods=pods or Pods())
    assert isinstance(found, TailBlock), found
    return found


STABLE = growing([0.1, 0.2], [0.1, 0.3, 0.6, 3.0], "s")


def test_classic_buckets_stay_as_they_are() -> None:
    """There is nothing to do."""
    series = classic({"0.5": (0, 1), "+Inf": (0, 2)})
    assert as_buckets([series, []]) == [series, []]
    assert not has_native(series)
    assert has_native([*series, STABLE])


def test_each_arm_is_counted_at_the_edges_that_are_judged() -> None:
    """What lies up to an edge is exact, above the slowest call as well."""
    mine = growing([0.4], [0.2, 0.5, 0.7, 9.0])
    found = block([mine], [STABLE], (0.5, EIGHTH, 64.0))
    assert found.candidate == Histogram((0.5, EIGHTH, 64.0), (2.0, 3.0, 4.0), 4.0)
    assert found.stable == Histogram((0.5, EIGHTH, 64.0), (2.0, 3.0, 4.0), 4.0)


def test_without_a_plan_edges_stand_around_the_buckets_and_above() -> None:
    """Those of the coarser arm for both, and two octaves above the slowest call."""
    found = block([growing([0.3], [0.0, 0.3, 0.6], schema=0)], [growing([0.3], [0.3], "s")])
    edges = (0.25, 0.5, 1.0, 2.0, 4.0)
    assert found.candidate == Histogram(edges, (1.0, 2.0, 3.0, 3.0, 3.0), 3.0)
    assert found.stable == Histogram(edges, (0.0, 1.0, 1.0, 1.0, 1.0), 1.0)


def test_edges_closer_than_nine_percent_are_not_listed() -> None:
    """But counted at where they are judged."""
    fine = [growing([0.3], [0.3, 0.6], pod, schema=8) for pod in ("c", "s")]
    found = block(fine[:1], fine[1:])
    assert {
        round(high / low, 6) for low, high in zip(found.stable.edges[-16:], found.stable.edges[-15:], strict=False)
    } == {round(2**0.125, 6)}
    finest = float(f"{bound(8, -187):.12g}")
    assert block(fine[:1], fine[1:], (finest,)).candidate == Histogram((finest,), (2.0,), 2.0)


def test_a_call_that_took_next_to_nothing_adds_no_thousand_edges() -> None:
    """Twenty octaves below the slowest are as far as anybody looks."""
    arms = [growing([1e-30], [1e-30, 0.5], pod) for pod in ("c", "s")]
    found = block(arms[:1], arms[1:]).candidate
    assert (len(found.edges), found.edges[0], found.edges[-1]) == (177, float(f"{2.0**-21:.12g}"), 2.0)
    assert found.below[0] == 1.0


def test_coarse_schemas_have_an_edge_above() -> None:
    """Each bucket is sixteen octaves wide."""
    found = block([growing([], [0.5], schema=-4)], [growing([], [0.5], "s", schema=-4)])
    assert found.candidate.edges == (float(f"{2.0**-16:.12g}"), 1.0, 65536.0)


def test_resolution_reduced_between_two_samples_loses_no_call() -> None:
    """Every increment is counted at the edges that both samples have."""
    mine = growing([0.1, 0.52], [0.2, 0.51, 0.7, 9.0], schema=3, to=0)
    found = block([mine], [STABLE], (0.5, EIGHTH, 1.0))
    assert found.candidate == Histogram((0.5, 1.0), (1.0, 3.0), 4.0)
    assert found.stable == Histogram((0.5, EIGHTH, 1.0), (2.0, 3.0, 3.0), 4.0)


def test_no_judged_edge_in_common_is_no_block() -> None:
    """The plan's edge is lost with the resolution; with one that is left, harm can still be shown."""
    coarse = growing([0.1], [0.2, 0.7], schema=0)
    assert count_tails([coarse], [STABLE], WINDOW, wanted=(EIGHTH,)) == NoTails(TailAbsence.NOT_COMPARABLE)
    assert count_tails([STABLE], [coarse], WINDOW, wanted=(EIGHTH,)) == NoTails(TailAbsence.NOT_COMPARABLE)
    assert block([coarse], [STABLE], (EIGHTH, 1.0)).candidate.edges == (1.0,)


def test_an_edge_within_a_wider_zero_bucket_is_not_known() -> None:
    """An exporter may widen it to save buckets, and then says no more about the fast calls."""
    wide = native(standard(9, [0.1, 0.2, 0.9]), standard(19, [0.1, 0.2, 0.9, 0.05, 0.8], zero=0.25))
    found = block([wide], [STABLE], (0.125, 0.25, 1.0))
    assert found.candidate == Histogram((0.25, 1.0), (1.0, 2.0), 2.0)


def test_milliseconds_become_seconds() -> None:
    """The edges of the series are powers of two of its own unit."""
    mine = growing([100.0], [100.0, 300.0, 600.0], schema=3)
    theirs = growing([100.0], [400.0], "s", schema=3)
    listed = block([mine], [theirs], factor=1e-3)
    assert {0.256, 0.512, 1.024} <= set(listed.candidate.edges)
    judged = listed.stable.edges[-20:]
    again = block([mine], [theirs], judged, factor=1e-3)
    assert again.candidate == listed.candidate.restricted(judged)
    assert again.stable == listed.stable.restricted(judged)


def test_custom_bounds_are_edges() -> None:
    """Those around full buckets of any sample; one that turns out to lie within a bucket is none."""
    edges = (0.1, 0.3, 1.0)
    mine = native(custom(9, [0.2], edges), custom(19, [0.2, 0.05, 0.2, 0.4, 7.0], edges))
    theirs = native(custom(9, [0.2], edges), custom(19, [0.2, 0.2], edges), pod="s")
    found = block([mine], [theirs])
    assert found.candidate == Histogram(edges, (1.0, 2.0, 3.0), 4.0)
    assert found.stable == Histogram(edges, (0.0, 1.0, 1.0), 1.0)
    assert block([mine], [theirs], (0.3, 0.5)).candidate.edges == (0.3,)
    assert block([mine], [theirs], (0.3, 0.5)).stable.edges == (0.3, 0.5)


def test_a_bound_at_zero_is_an_edge_of_custom_bounds_only() -> None:
    """It splits what took no time from the rest."""
    edges = (0.0, 1.0)
    arms = [native(custom(9, [0.0, 0.5], edges), custom(19, [0.0, 0.5, 0.0], edges), pod=pod) for pod in ("c", "s")]
    assert block(arms[:1], arms[1:]).candidate == Histogram(edges, (1.0, 1.0), 1.0)


def test_a_native_and_a_classic_arm_meet_at_equal_edges() -> None:
    """Powers of two are edges of every schema; else nothing can be compared."""
    theirs = classic({"0.25": (1, 2), "0.3": (1, 4), "1": (1, 5), "+Inf": (1, 8)})
    mine = growing([0.3], [0.2, 0.28, 0.7, 0.8, 5.0])
    for wanted in ((), (0.25, 0.3, 1.0)):
        found = block([mine], theirs, wanted)
        assert set(found.candidate.edges) & set(found.stable.edges) == {0.25, 1.0}
        assert found.stable == Histogram((0.25, 0.3, 1.0), (1.0, 3.0, 4.0), 7.0)
        assert found.candidate.restricted([0.25, 1.0]) == Histogram((0.25, 1.0), (1.0, 4.0), 5.0)
    odd = classic({"0.3": (1, 4), "+Inf": (1, 8)})
    assert count_tails([mine], odd, WINDOW) == NoTails(TailAbsence.NOT_COMPARABLE)
    assert count_tails([mine], odd, WINDOW, wanted=(0.3,)) == NoTails(TailAbsence.NOT_COMPARABLE)


def test_a_histogram_stored_in_both_forms_counts_once() -> None:
    """Native if both arms are; else classic, as then their edges agree. What is in one form only is never left out."""
    twice = classic({"0.3": (0, 3), "+Inf": (0, 4)}, "c")
    mine = [growing([], [0.2, 0.2, 0.2, 0.4]), *twice, *classic({"0.5": (0, 1), "+Inf": (0, 1)}, "other")]
    assert block(mine, [STABLE], (0.5,)).candidate == Histogram((0.5,), (5.0,), 5.0)
    theirs = classic({"0.3": (0, 3), "+Inf": (0, 8)})
    assert block(mine[:-2], theirs).candidate == Histogram((0.3,), (3.0,), 4.0)


def test_births_and_restarts_are_those_of_counters() -> None:
    """The page was scraped before the histogram was born on it; a fall of ``count`` with a known start is a restart."""
    born = native(standard(19, [0.2, 0.7]), model="b")
    assert block([growing([0.1], []), born], [STABLE], (0.5,)).candidate == Histogram((0.5,), (1.0,), 2.0)
    again = native(standard(9, [0.1] * 5), standard(19, [0.1, 0.7]))
    started = Pods(started={"c": [14.0]})
    assert block([again], [STABLE], (0.5,), pods=started).candidate == Histogram((0.5,), (1.0,), 2.0)
    assert block([again], [STABLE], (0.5,)).candidate == Histogram((0.5,), (0.0,), 0.0)


def test_idle_arms_are_a_block_without_calls() -> None:
    """They were scraped and asked nothing: no data would be something else."""
    idle = [native(standard(9, []), standard(19, []), pod=pod) for pod in ("c", "s")]
    assert block(idle[:1], idle[1:]).candidate == Histogram((), (), 0.0)
    assert block(idle[:1], idle[1:], (0.3,)).candidate == Histogram((0.3,), (0.0,), 0.0)
    assert count_tails([], idle[1:], WINDOW) == NoTails(TailAbsence.NO_CANDIDATE_SAMPLES)


def test_what_is_no_edge_is_found_out_where_it_is_counted() -> None:
    """A classic series beside it with a broken label, or none at all."""
    for labels in ({"le": "slow"}, {}):
        strange = Series({"instance": "c:1", "job": "j", **labels}, [(9, 1), (19, 2)])
        assert count_tails([growing([], [0.1]), strange], [STABLE], WINDOW) == NoTails(TailAbsence.NOT_CUMULATIVE)
        assert count_tails([strange], [STABLE], WINDOW) == NoTails(TailAbsence.NOT_CUMULATIVE)


def past() -> tuple[Series, Window]:
    """Ten minutes of one pod, a call every second, a tenth of them slow."""
    seen: list[float] = []
    samples = []
    for second in range(0, 601, 15):
        samples.append(standard(second, seen))
        seen += [0.7 if number % 10 == 0 else 0.1 for number in range(15)]
    window = Window(*(datetime.fromtimestamp(at, UTC) for at in (-300, 0, 600)))
    return native(*samples, pod="s-1-a"), window


def test_the_past_of_a_native_histogram_is_a_past() -> None:
    """A threshold that no call reached is an edge nevertheless, and one between two edges is none."""
    series, window = past()
    history = TailHistory().before([series], window, question=OverThreshold(2.0))
    history.require_edge(OverThreshold(2.0))
    history.require_edge(QuantileGrowth(0.9, 0.2))
    assert history.stable is not None
    assert history.stable.n == 600
    assert history.stable.counts(0.5).x == 80
    assert history.plan(QuantileGrowth(0.9, 0.2)).edges
    asked = TailHistory().before([series], window, question=OverThreshold(0.3))
    with pytest.raises(NoSuchEdgeError, match=r"0.3 is not a bucket edge; nearest 0.297302 and 0.32421;"):
        asked.require_edge(OverThreshold(0.3))
    slow = TailHistory().before([series], window, factor=1e-3, question=OverThreshold(0.004))
    slow.require_edge(OverThreshold(0.004))
