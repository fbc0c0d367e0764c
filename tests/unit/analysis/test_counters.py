"""One test for each rule of reading raw counters, each of which is a defect found elsewhere."""

import math
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from modelramp.analysis import Absence, ArmSeries, Block, Counted, Counts, NoData, Pods, Series, Window, count_block

NAN = math.nan
STABLE = ArmSeries([Series({"instance": "s:1", "job": "j", "pod": "s"}, [(0, 0), (10, 900), (20, 1800)])])


def at(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def window(after: float = 10, until: float = 20, since: float = -100) -> Window:
    return Window(at(since), at(after), at(until))


def series(*samples: tuple[float, float], pod: str = "c", **labels: str) -> Series:
    return Series({"instance": f"{pod}:1", "job": "j", "pod": pod, **labels}, samples)


def counted(
    total: Sequence[Series], bad: Sequence[Series] = (), during: Window | None = None, pods: Pods | None = None
) -> Counts:
    """Count the candidate; the stable arm has a sample at 10 and at 20."""
    reading = count_block(ArmSeries(total, bad), STABLE, during or window(), pods or Pods())
    assert isinstance(reading, Counted)
    return reading.block.candidate


def test_block_covers_both_arms_and_ends_at_until() -> None:
    """The end becomes counted_until although the newest sample is older, as (after, until] tiles time."""
    total = [series((9, 100), (19, 150))]
    bad = [series((9, 1), (19, 3), code="500")]
    reading = count_block(ArmSeries(total, bad), STABLE, window())
    assert reading == Counted(
        block=Block(at(10), at(20), Counts(50, 2), Counts(900, 0)), resets_dropped=0, latest=at(19)
    )


def test_each_increment_belongs_to_the_block_of_its_right_hand_sample() -> None:
    """Cutting between two samples neither loses nor repeats what lies between them."""
    total = [series((2, 0), (8, 10), (11, 17), (20, 30))]
    assert [Counts(n) for n in (10, 20)] == [counted(total, during=window(*cut)) for cut in ((2, 10), (10, 20))]
    assert Counts(30) == counted(total, during=window(2, 20))


def test_a_sample_at_a_boundary_belongs_to_the_block_that_ends_there() -> None:
    """(after, until]: the start is excluded, the end included."""
    total = [series((0, 0), (10, 5), (20, 12))]
    assert Counts(5) == counted(total, during=window(0, 10))
    assert Counts(7) == counted(total, during=window(10, 20))


def test_samples_newer_than_the_window_wait() -> None:
    """They are not settled yet."""
    assert Counts(4) == counted([series((9, 0), (19, 4), (21, 50))])


def test_samples_older_than_the_window_are_not_used() -> None:
    """Other selectors were not fetched that far back, and events must stay beside their exposures."""
    assert Counts(0) == counted([series((-200, 4), (19, 50))])


def test_a_series_without_a_usable_sample_adds_nothing() -> None:
    """Ended long ago, or all NaN: neither an increment nor a sample of its arm."""
    nothing = [series((-200, 4), pod="d"), series((15, NAN), (19, NAN), pod="e"), series(pod="f")]
    assert Counts(4) == counted([series((9, 0), (19, 4)), *nothing])
    assert count_block(ArmSeries(nothing), STABLE, window()) == NoData(Absence.NO_CANDIDATE_SAMPLES)


def test_freshness_is_that_of_the_newest_sample() -> None:
    """Of several pods and samples the newest one tells how far the arm was read."""
    total = [series((9, 0), (15, 4)), series((9, 0), (13, 1), (17, 4), pod="d")]
    reading = count_block(ArmSeries(total), STABLE, window())
    assert isinstance(reading, Counted)
    assert reading.latest == at(17)


def test_lazily_born_error_series_counts_from_zero() -> None:
    """The page was scraped before without it, so its first sample is an increment."""
    total = [series((9, 100), (19, 150))]
    assert Counts(50, 3) == counted(total, [series((19, 3), code="500")])


def test_birth_on_a_page_known_from_the_other_arm() -> None:
    """A gateway serves both arms' counters: its stable series prove that it was scraped."""
    gateway = {"instance": "e:1", "job": "envoy"}
    stable = ArmSeries([Series({**gateway, "cluster": "s"}, [(9, 0), (19, 900)])])
    candidate = ArmSeries([Series({**gateway, "cluster": "c"}, [(19, 40)])])
    reading = count_block(candidate, stable, window())
    assert isinstance(reading, Counted)
    assert reading.block.candidate == Counts(40)


def test_birth_on_a_page_known_from_up() -> None:
    """The same knowledge fetched as up = 1, by pod or by instance."""
    for name in ("c", "c:1"):
        assert Counts(40) == counted([series((19, 40))], pods=Pods(scraped={name: [9.0]}))
    assert Counts(0) == counted([series((19, 40))], pods=Pods(scraped={"c": [-200.0, 19.0, 25.0], "other": [9.0]}))


def test_a_young_pod_counts_from_zero() -> None:
    """Created within what was fetched: all it ever counted is new."""
    assert Counts(40) == counted([series((19, 40))], pods=Pods(born={"c": 12.0}))
    assert Counts(40) == counted([series((19, 40))], pods=Pods(born={"c:1": 5.0}))


def test_an_old_pod_seen_first_is_a_baseline() -> None:
    """Its counter holds what happened long ago."""
    assert Counts(0) == counted([series((19, 40_000))], pods=Pods(born={"c": -3600.0}))
    assert Counts(0) == counted([series((19, 40_000))])
    assert Counts(7) == counted([series((15, 40_000), (19, 40_007))])


def test_a_page_of_another_job_proves_nothing() -> None:
    """Two jobs may read the same address at different times."""
    other = series((9, 1), job="other")
    assert Counts(0) == counted([other, series((19, 40))])


def test_without_instance_nothing_is_born() -> None:
    """Series that name no page are baselines first."""
    total = [Series({"app": "c"}, [(9, 1), (19, 5)]), Series({"app": "c", "code": "200"}, [(19, 40)])]
    assert Counts(4) == counted(total)


def test_restart_with_a_known_start_counts_the_new_value() -> None:
    """The container started between the samples: everything since is new."""
    assert Counts(30) == counted([series((9, 1000), (19, 30))], pods=Pods(started={"c": [-500.0, 14.0]}))


def test_restart_in_the_second_of_the_last_scrape_is_recognised() -> None:
    """Kubernetes cuts start times to whole seconds: 9 may mean 9.8."""
    total = [series((9.3, 1000), (19, 30))]
    assert Counts(30) == counted(total, pods=Pods(started={"c": [9.0]}))
    assert Counts(0) == counted(total, pods=Pods(started={"c": [8.0]}))
    assert Counts(0) == counted([series((9, 1000), (19, 30))], pods=Pods(started={"c": [8.0]}))


def test_restart_in_the_second_of_the_first_new_scrape_is_recognised() -> None:
    """A start at 19 sharp may already be seen in the scrape of 19."""
    assert Counts(30) == counted([series((9, 1000), (19, 30))], pods=Pods(started={"c": [19.0]}))


def test_restart_is_the_whole_page_s() -> None:
    """An error counter that has outgrown its old value began at 0 as well."""
    total = [series((9, 1000), (19, 30))]
    bad = [series((9, 2), (19, 5), code="500")]
    assert Counts(30, 5) == counted(total, bad, pods=Pods(started={"c": [14.0]}))


def test_a_fall_without_a_start_counts_nothing_and_is_reported() -> None:
    """Another replica answered, or nobody knows: no whole-counter jump, for no series of the page."""
    total = [series((9, 1000), (19, 30))]
    bad = [series((9, 2), (19, 5), code="500"), series((19, 4), code="503")]
    reading = count_block(ArmSeries(total, bad), STABLE, window(), Pods(started={"c": [2.0, 25.0]}))
    assert isinstance(reading, Counted)
    assert (reading.block.candidate, reading.resets_dropped) == (Counts(0, 0), 1)


def test_after_a_dropped_reset_counting_goes_on() -> None:
    """Only the scrape of the fall is left out; a fall in an earlier block is not reported again."""
    total = [series((5, 1000), (9, 30), (19, 35))]
    reading = count_block(ArmSeries(total), STABLE, window())
    assert isinstance(reading, Counted)
    assert (reading.block.candidate, reading.resets_dropped) == (Counts(5), 0)


def test_a_birth_after_a_dropped_reset_counts() -> None:
    """It counts from the last scrape without it, not from the first one known."""
    total = [series((5, 1000), (9, 30), (19, 35))]
    assert Counts(5, 3) == counted(total, [series((19, 3), code="500")])


def test_one_fall_is_reported_once() -> None:
    """A counter that was away for a scrape shows the same fall over a longer time."""
    total = [series((11, 1000), (15, 30), (19, 35))]
    bad = [series((11, 4), (19, 1), code="500")]
    reading = count_block(ArmSeries(total, bad), STABLE, window())
    assert isinstance(reading, Counted)
    assert (reading.block.candidate, reading.resets_dropped) == (Counts(5, 0), 1)


def test_a_series_that_was_away_at_a_dropped_reset_is_dropped_and_reported_when_it_returns() -> None:
    """Its old value cannot be trusted and it is no birth: the block that misses it says so, and only that one."""
    total = [series((5, 1000), (9, 30), (19, 35), (29, 40))]
    bad = [series((5, 4), (19, 1), (29, 2), code="500")]
    readings = [count_block(ArmSeries(total, bad), lasting(29), window(*cut)) for cut in ((10, 20), (20, 30))]
    assert [(Counts(5, 0), 1), (Counts(5, 1), 0)] == [
        (reading.block.candidate, reading.resets_dropped) for reading in readings if isinstance(reading, Counted)
    ]


def test_a_start_without_a_fall_is_no_restart() -> None:
    """A neighbour container's start must not turn a counter's whole value into an increment."""
    assert Counts(5) == counted([series((9, 1000), (19, 1005))], pods=Pods(started={"c": [14.0]}))


def test_increments_are_summed_not_sums_differenced() -> None:
    """One pod's restart does not hide in another's growth."""
    total = [series((9, 1000), (19, 30), pod="a"), series((9, 100), (19, 1300), pod="b")]
    assert Counts(1230) == counted(total, pods=Pods(started={"a": [14.0]}))


def test_a_missing_scrape_is_covered_by_the_next_difference() -> None:
    """Nothing happens, then the gap is counted as a whole."""
    total = [series((-1, 10), (19, 60))]
    assert Counts(50) == counted(total)


def test_no_scrape_at_all_is_no_data() -> None:
    """Neither 0 requests nor a pass; which arm is missing is said."""
    silent = ArmSeries([series((9, 10))])
    assert NoData(Absence.NO_CANDIDATE_SAMPLES) == count_block(silent, STABLE, window())
    assert NoData(Absence.NO_STABLE_SAMPLES) == count_block(STABLE, silent, window())
    assert NoData(Absence.NO_CANDIDATE_SAMPLES) == count_block(ArmSeries([]), STABLE, window())


def test_the_block_after_no_data_covers_the_gap() -> None:
    """As counted_until did not move, nothing is lost."""
    total = [series((9, 10), (23, 90))]
    assert count_block(ArmSeries(total), STABLE, window(10, 20)) == NoData(Absence.NO_CANDIDATE_SAMPLES)
    assert Counts(80) == counted(total, during=window(10, 25))


def lasting(last: int) -> ArmSeries:
    """A stable arm scraped every ten seconds."""
    return ArmSeries([series(*((at, 90.0 * at + 90) for at in range(-11, last + 1, 10)), pod="s")])


def test_a_block_does_not_end_within_an_interruption() -> None:
    """The one after it looks back from its end, and would not find the samples from before."""
    total = [series((-11, 0), (-1, 10), (9, 20), (19, 30))]
    silent = NoData(Absence.SCRAPES_INTERRUPTED)
    assert isinstance(count_block(ArmSeries(total), lasting(19), window(10, 39)), Counted)
    assert silent == count_block(ArmSeries(total), lasting(19), window(10, 39.5))


def test_the_interval_of_scrapes_is_the_longer_of_the_last_two() -> None:
    """Two replicas whose samples were merged are read twice within each interval; a longer pause was an accident."""
    merged = [series((-99, 1), (-9, 5), (-1, 10), (0.5, 11), (9, 20), (10.5, 21), pod=pod) for pod in "cs"]
    arms = (ArmSeries(merged[:1]), ArmSeries(merged[1:]))
    assert isinstance(count_block(*arms, window(10, 27)), Counted)
    assert NoData(Absence.SCRAPES_INTERRUPTED) == count_block(*arms, window(10, 28))


def test_a_page_scraped_once_has_no_interval() -> None:
    """Nothing tells an interruption from a long interval."""
    arms = [ArmSeries([series((11, 5), pod=pod)]) for pod in "cs"]
    assert isinstance(count_block(arms[0], arms[1], window(10, 300)), Counted)


def after_interruption(*returned: float, until: float, stopped: float = 9) -> Counted | NoData:
    """Two candidate pods and a stable one were scraped every ten seconds; d was not seen since, the others were."""
    known = (stopped - 20, stopped - 10, stopped)
    seen = [series(*((at, at + 100) for at in (*known, *returned)), pod=pod) for pod in "cs"]
    gone = series(*((at - 1, at + 100) for at in known), pod="d")
    return count_block(ArmSeries([seen[0], gone]), ArmSeries([seen[1]]), window(10, until))


def test_after_an_interruption_every_page_is_waited_for() -> None:
    """For one interval of its own; then it is gone."""
    assert after_interruption(200, until=209) == NoData(Absence.SCRAPES_INTERRUPTED)
    assert isinstance(after_interruption(200, until=210), Counted)


def test_without_an_interruption_no_page_is_waited_for() -> None:
    """A pod that ended must not stop the others: a scrape may be missing, or the pod ended long before the rest."""
    assert isinstance(after_interruption(19, until=20), Counted)
    assert isinstance(after_interruption(29, until=30), Counted)
    ended = series((-31, 1), (-21, 2), (-11, 3), pod="d")
    seen = [series((-11, 1), (-1, 2), (9, 3), (200, 9), pod=pod) for pod in "cs"]
    assert isinstance(count_block(ArmSeries([seen[0], ended]), ArmSeries(seen[1:]), window(10, 205)), Counted)


def test_a_new_page_after_an_interruption_is_not_waited_for() -> None:
    """With one scrape before it nobody knows its interval."""
    once = series((8, 1), pod="d")
    seen = [series((-11, 1), (-1, 2), (9, 3), (200, 9), pod=pod) for pod in "cs"]
    assert isinstance(count_block(ArmSeries([seen[0], once]), ArmSeries(seen[1:]), window(10, 205)), Counted)


def test_answers_of_two_stores_are_no_data() -> None:
    """Replicas scrape at different times: what one has counted does not belong to the other's exposures."""
    total = [series((2, 90), (12, 140), (19, 150))]
    late = [series((-3, 1), (7, 2), (17, 5), code="500")]
    assert NoData(Absence.TWO_STORES) == count_block(ArmSeries(total, late), STABLE, window())
    other_arm = ArmSeries([series((3, 1), (13, 2), code="200")])
    assert NoData(Absence.TWO_STORES) == count_block(ArmSeries(total), other_arm, window())


def test_answers_that_share_a_scrape_are_of_one_store() -> None:
    """As are those about times apart, and those of which one is out of reach."""
    total = [series((2, 90), (9, 100), (19, 150))]
    for bad in (series((9, 1), code="500"), series((-7, 1), (1, 1), code="500"), series((-300, 1), code="500")):
        assert Counts(50, 0) == counted(total, [bad])


def test_scraped_without_a_request_is_zero_not_missing() -> None:
    """A candidate nobody called has been seen."""
    assert Counts(0) == counted([series((9, 10), (19, 10))])


def test_unusable_samples_are_skipped() -> None:
    """NaN ends a series in Prometheus; infinities and negative values are no counts."""
    total = [series((9, 10), (12, NAN), (14, math.inf), (16, -5), (19, 60))]
    assert Counts(50) == counted(total)
    assert count_block(ArmSeries([series((9, 10), (19, NAN))]), STABLE, window()) == NoData(
        Absence.NO_CANDIDATE_SAMPLES
    )


def test_a_series_that_comes_back_after_nan_is_no_birth() -> None:
    """It existed, its value is not known: a baseline."""
    total = [series((5, 10), (9, 10), (19, 60))]
    assert Counts(50, 0) == counted(total, [series((5, NAN), (19, 9), code="500")])


def test_repeated_and_unordered_samples_are_harmless() -> None:
    """A late or doubled sample changes no sum; a series listed twice counts once."""
    tidy = series((-1, 5), (9, 10), (12, 20), (19, 60))
    untidy = series((19, 60), (9, 10), (-1, 5), (12, 20), (9, 10), (19, 60))
    assert counted([tidy]) == counted([untidy, untidy]) == Counts(50)


def test_absent_errors_are_no_errors() -> None:
    """Error counters appear with the first error; one that stopped being scraped adds nothing."""
    total = [series((9, 100), (19, 150))]
    assert Counts(50, 0) == counted(total, [])
    assert Counts(50, 0) == counted(total, [series((9, 3), code="500")])


@pytest.mark.parametrize("arm", ["candidate", "stable"])
def test_more_errors_than_requests_is_no_block(arm: str) -> None:
    """The selectors do not match each other; clipping would hide it."""
    broken = ArmSeries([series((9, 100), (19, 110))], [series((9, 0), (19, 11), code="500")])
    arms = (broken, STABLE) if arm == "candidate" else (STABLE, broken)
    assert NoData(Absence.MORE_EVENTS_THAN_EXPOSURES) == count_block(*arms, window())


@pytest.mark.parametrize(("since", "after", "until"), [(11, 10, 20), (0, 20, 20), (0, 21, 20)])
def test_windows_are_in_order(since: float, after: float, until: float) -> None:
    """What is wanted lies within what was fetched."""
    with pytest.raises(ValueError, match="not a window"):
        window(after, until, since)


def test_alone_the_candidate_is_counted_without_stable() -> None:
    """By the same rules; that stable has no series any more is no missing data, and that it has none itself is."""
    mine = ArmSeries([series((9, 100), (19, 150))], [series((9, 1), (19, 3), code="500")])
    reading = count_block(mine, None, window())
    assert isinstance(reading, Counted)
    assert reading.block == Block(at(10), at(20), Counts(50, 2), Counts())
    assert count_block(ArmSeries([]), None, window()) == NoData(Absence.NO_CANDIDATE_SAMPLES)
