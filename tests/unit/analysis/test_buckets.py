"""The rules of reading buckets: those of raw counters, and that a histogram stays one."""

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import pytest

from modelramp.analysis import Pods, Series, Window
from modelramp.analysis.buckets import NoTails, TailAbsence, count_tails, edge_of
from modelramp.analysis.histogram import Histogram
from modelramp.analysis.tails import TailBlock

Samples = Sequence[tuple[float, float]]
NAN = math.nan


def at(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def window(after: float = 10, until: float = 20, since: float = -100) -> Window:
    return Window(at(since), at(after), at(until))


def page(buckets: Mapping[str, Samples], pod: str = "c", **labels: str) -> list[Series]:
    """Build the buckets of one histogram on one pod's page."""
    place = {"instance": f"{pod}:1", "job": "j", "pod": pod, **labels}
    return [Series({**place, "le": edge}, samples) for edge, samples in buckets.items()]


STABLE = page({"0.5": [(0, 0), (10, 80), (20, 170)], "+Inf": [(0, 0), (10, 90), (20, 190)]}, "s")
STABLE_IN_WINDOW = Histogram((0.5,), (90.0,), 100.0)


def counted(
    candidate: Sequence[Series], during: Window | None = None, *, factor: float = 1.0, pods: Pods | None = None
) -> Histogram:
    """Count the candidate beside a stable arm with a sample at 10 and at 20."""
    found = count_tails(candidate, STABLE, during or window(), factor=factor, pods=pods or Pods())
    assert isinstance(found, TailBlock), found
    return found.candidate


def refused(candidate: Sequence[Series], stable: Sequence[Series] = STABLE) -> TailAbsence:
    found = count_tails(candidate, stable, window())
    assert isinstance(found, NoTails), found
    return found.reason


def test_a_block_holds_what_both_arms_observed_within_it() -> None:
    """Increments with their right-hand sample in (after, until], up to each edge."""
    mine = page({"0.1": [(9, 5), (19, 8)], "0.5": [(9, 6), (19, 15)], "+Inf": [(9, 7), (19, 17)]})
    assert count_tails(mine, STABLE, window()) == TailBlock(
        at(10), at(20), Histogram((0.1, 0.5), (3.0, 9.0), 10.0), STABLE_IN_WINDOW
    )


def test_a_sample_at_the_border_belongs_to_the_block_that_ends_there() -> None:
    """Nothing is lost or counted twice where two blocks meet."""
    mine = page({"0.5": [(0, 0), (10, 3), (20, 5)], "+Inf": [(0, 0), (10, 4), (20, 9)]})
    assert counted(mine, window(0, 10)) == Histogram((0.5,), (3.0,), 4.0)
    assert counted(mine, window(10, 20)) == Histogram((0.5,), (2.0,), 5.0)


def test_pods_and_label_sets_add_up() -> None:
    """Two models on one pod and one on another."""
    growth: Mapping[str, Samples] = {"0.5": [(9, 0), (19, 2)], "+Inf": [(9, 0), (19, 3)]}
    mine = [*page(growth, model="a"), *page(growth, model="b"), *page(growth, "d", model="a")]
    assert counted(mine) == Histogram((0.5,), (6.0,), 9.0)


def test_a_series_fetched_twice_counts_once() -> None:
    """Overlapping selectors return it again."""
    mine = page({"0.5": [(9, 0), (19, 2)], "+Inf": [(9, 0), (19, 3)]})
    assert counted([*mine, *mine]) == Histogram((0.5,), (2.0,), 3.0)


@pytest.mark.parametrize(("factor", "edges"), [(1e-3, (0.0025, 0.1, 0.25)), (1e-6, (2.5e-6, 1e-4, 2.5e-4))])
def test_edges_are_turned_into_seconds(factor: float, edges: tuple[float, ...]) -> None:
    """Exactly the number a user writes, whatever the last bit of the factor; +Inf stays."""
    mine = page({edge: [(9, 0), (19, number)] for number, edge in enumerate(("2.5", "100", "250.0", "+Inf"), start=1)})
    assert counted(mine, factor=factor) == Histogram(edges, (1.0, 2.0, 3.0), 4.0)


def test_edges_that_differ_between_pods_are_left_out() -> None:
    """Only where all of an arm's pods count is the arm's tail known; no call is lost by it."""
    mine = [
        *page({"0.1": [(9, 0), (19, 1)], "0.5": [(9, 0), (19, 2)], "+Inf": [(9, 0), (19, 4)]}),
        *page({"0.5": [(9, 0), (19, 7)], "1": [(9, 0), (19, 8)], "+Inf": [(9, 0), (19, 9)]}, "d"),
    ]
    assert counted(mine) == Histogram((0.5,), (9.0,), 13.0)
    strange = page({"0.3": [(9, 0), (19, 1)], "+Inf": [(9, 0), (19, 2)]}, "e")
    assert counted([*mine, *strange]) == Histogram((), (), 15.0)


def test_edges_that_differ_between_arms_stay_with_the_arm() -> None:
    """A new version may have come with other buckets; ``TailBlock.at`` says where both count."""
    mine = page({"0.25": [(9, 0), (19, 1)], "+Inf": [(9, 0), (19, 4)]})
    found = count_tails(mine, STABLE, window())
    assert isinstance(found, TailBlock)
    assert (found.candidate.edges, found.stable.edges) == ((0.25,), (0.5,))


def test_a_pod_without_a_sample_in_the_window_takes_no_edge_away() -> None:
    """It is gone, or was not scraped: its buckets say nothing about this block."""
    mine = page({"0.5": [(9, 0), (19, 2)], "+Inf": [(9, 0), (19, 3)]})
    gone = page({"7": [(5, 1)], "+Inf": [(5, 1)]}, "gone")
    assert counted([*gone, *mine]) == Histogram((0.5,), (2.0,), 3.0)


def test_a_histogram_born_on_a_known_page_counts_from_zero() -> None:
    """The other arm, or another label set, proves that the page was scraped before the first call."""
    mine = [
        *page({"0.5": [(9, 0), (19, 0)], "+Inf": [(9, 0), (19, 0)]}, model="a"),
        *page({"0.5": [(19, 6)], "+Inf": [(19, 8)]}, model="b"),
    ]
    assert counted(mine) == Histogram((0.5,), (6.0,), 8.0)


def test_a_young_pod_counts_from_zero_and_an_old_one_from_its_first_sample() -> None:
    """What an old pod counted long ago is not part of the block."""
    mine = page({"0.5": [(13, 6), (19, 7)], "+Inf": [(13, 8), (19, 11)]})
    assert counted(mine, pods=Pods(born={"c": 12.0})) == Histogram((0.5,), (7.0,), 11.0)
    assert counted(mine, pods=Pods(born={"c": -5000.0})) == Histogram((0.5,), (1.0,), 3.0)
    assert counted(mine) == Histogram((0.5,), (1.0,), 3.0)


def test_all_buckets_of_a_page_begin_anew_together() -> None:
    """The low bucket has outgrown its old value, so that only the high one shows the restart."""
    mine = page({"0.5": [(9, 1), (19, 20)], "+Inf": [(9, 50), (19, 30)]})
    assert counted(mine, pods=Pods(started={"c": [14.0]})) == Histogram((0.5,), (20.0,), 30.0)
    assert counted(mine) == Histogram((0.5,), (0.0,), 0.0)


def test_without_instance_the_buckets_of_a_histogram_still_begin_anew_together() -> None:
    """Judged one by one, a restart seen in a low bucket alone would make all of the new calls slow ones."""
    mine = [
        Series({"pod": "c", "le": "0.5"}, [(9, 90), (19, 60)]),
        Series({"pod": "c", "le": "+Inf"}, [(9, 100), (19, 110)]),
    ]
    assert counted(mine) == Histogram((0.5,), (0.0,), 0.0)
    assert counted(mine, pods=Pods(started={"c": [14.0]})) == Histogram((0.5,), (60.0,), 110.0)


def test_unusable_samples_are_skipped() -> None:
    """NaN is Prometheus' mark for a series that ended."""
    mine = page({"0.5": [(9, 0), (15, NAN), (19, 2)], "+Inf": [(9, 0), (15, NAN), (19, 3)]})
    assert counted(mine) == Histogram((0.5,), (2.0,), 3.0)


def test_a_histogram_without_finite_edges_counts_its_calls() -> None:
    """It says how many calls there were, and nothing of how long they took."""
    assert counted(page({"+Inf": [(9, 0), (19, 3)]})) == Histogram((), (), 3.0)


def test_scraped_and_idle_is_a_block_without_calls() -> None:
    """No call is not no data."""
    assert counted(page({"0.5": [(9, 4), (19, 4)], "+Inf": [(9, 4), (19, 4)]})) == Histogram((0.5,), (0.0,), 0.0)


def test_an_arm_without_samples_is_no_block() -> None:
    """Nor is one whose samples lie elsewhere."""
    outside = page({"0.5": [(5, 1), (30, 4)], "+Inf": [(5, 1), (30, 4)]})
    for nothing in ([], outside):
        assert refused(nothing) is TailAbsence.NO_CANDIDATE_SAMPLES
        assert refused(STABLE, nothing) is TailAbsence.NO_STABLE_SAMPLES


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param(page({"0.5": [(9, 0), (19, 2)]}), id="no +Inf"),
        pytest.param(page({"0.5": [(9, 0), (19, 2)], "+Inf": [(9, 0)]}), id="+Inf not scraped"),
        pytest.param(page({"0.5": [(9, 0), (19, 5)], "+Inf": [(9, 0), (19, 3)]}), id="falling"),
        pytest.param(page({"-1": [(9, 0), (19, 1)], "+Inf": [(9, 0), (19, 3)]}), id="negative edge"),
        pytest.param(page({"-Inf": [(9, 0), (19, 1)], "+Inf": [(9, 0), (19, 3)]}), id="-Inf"),
        pytest.param(page({"NaN": [(9, 0), (19, 1)], "+Inf": [(9, 0), (19, 3)]}), id="NaN"),
        pytest.param(page({"slow": [(9, 0), (19, 1)], "+Inf": [(9, 0), (19, 3)]}), id="words"),
        pytest.param([Series({"instance": "c:1"}, [(9, 0), (19, 1)])], id="no edge at all"),
    ],
)
def test_what_is_no_classic_histogram_is_no_block(wrong: list[Series]) -> None:
    """In either arm, whatever else is right."""
    fine = page({"0.5": [(9, 0), (19, 2)], "+Inf": [(9, 0), (19, 3)]}, "d")
    assert refused([*fine, *wrong]) is TailAbsence.NOT_CUMULATIVE
    assert refused(fine, [*STABLE, *wrong]) is TailAbsence.NOT_CUMULATIVE


def test_a_page_read_while_it_was_written_heals_with_the_next_block() -> None:
    """One call was in a low bucket and not yet in the whole: the longer block holds it in both."""
    mine = page({"0.5": [(9, 0), (19, 3), (29, 5)], "+Inf": [(9, 0), (19, 2), (29, 6)]})
    assert refused(mine) is TailAbsence.NOT_CUMULATIVE
    assert counted(mine, window(10, 30)) == Histogram((0.5,), (5.0,), 6.0)


def test_the_edge_of_a_series() -> None:
    """Also spelt as other exporters do."""
    assert [edge_of(Series({"le": edge}, ())) for edge in ("1", "1.0", "1e0", "+Inf")] == [1.0, 1.0, 1.0, math.inf]
    with pytest.raises(ValueError, match="no edge"):
        edge_of(Series({}, ()))


def test_a_block_does_not_end_while_scraping_is_interrupted() -> None:
    """Nobody was scraped for the last 40 seconds, where 10 are usual: the block waits for what comes after."""
    mine = page({"0.5": [(0, 0), (10, 1), (20, 2)], "+Inf": [(0, 0), (10, 2), (20, 4)]})
    found = count_tails(mine, STABLE, window(10, 60))
    assert found == NoTails(TailAbsence.SCRAPES_INTERRUPTED)


def test_alone_the_candidate_is_counted_without_stable() -> None:
    """By the same rules; that stable has no buckets any more is no missing data, and that it has none itself is."""
    mine = page({"0.5": [(9, 6), (19, 15)], "+Inf": [(9, 7), (19, 17)]})
    found = count_tails(mine, None, window())
    assert found == TailBlock(at(10), at(20), Histogram((0.5,), (9.0,), 10.0), Histogram((), (), 0.0))
    assert count_tails([], None, window()) == NoTails(TailAbsence.NO_CANDIDATE_SAMPLES)
