"""
What each pod counted in a block, and evidence that begins again.
"""

import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from modelramp.analysis import (
    HARM_GRID,
    LOG_ZERO,
    ArmSeries,
    Block,
    Counts,
    EProcess,
    Margins,
    MetricEvidence,
    Pods,
    Series,
    Window,
    count_block,
    margins,
    wealth_schedule,
)
from modelramp.analysis.podcounts import pod_counts, pod_of
from modelramp.analysis.slices import SliceEvidence

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
WINDOW = Window(since=NOON - timedelta(minutes=5), after=NOON, until=NOON + timedelta(seconds=30))
WEALTH = wealth_schedule(planned_blocks=100, later_steps=3)
MARGINS: Margins = margins(0.01, 0.25)


def series(values: Sequence[float], **labels: str) -> Series:
    """
    A counter scraped every 15 s, first 15 s before noon.
    """
    begin = NOON.timestamp() - 15
    return Series(labels, [(begin + 15 * number, value) for number, value in enumerate(values)])


def on(pod: str, values: Sequence[float], **labels: str) -> Series:
    """
    The same, on the page of a pod.
    """
    return series(values, pod=pod, instance=f"{pod}:80", job="m", **labels)


class TestPodCounts:
    """
    Counts of a block, pod by pod.
    """

    def test_every_pod_has_its_own_increments_and_all_together_are_the_block(self) -> None:
        arm = ArmSeries(
            total=[on("a", (10, 10, 14, 30), code="200"), on("a", (0, 0, 1, 2), code="500"), on("b", (5, 5, 7, 9))],
            bad=[on("a", (0, 0, 1, 2), code="500")],
        )
        found = pod_counts(arm, WINDOW)
        assert found == {"a": Counts(22, 2), "b": Counts(4)}
        whole = count_block(arm, arm, WINDOW)
        assert sum(found.values(), start=Counts()) == getattr(whole, "block").stable  # noqa: B009 - of a union

    def test_a_pod_that_was_not_scraped_in_the_window_is_left_out(self) -> None:
        assert pod_counts(ArmSeries([on("a", (1, 2, 3)), on("b", (1,))]), WINDOW) == {"a": Counts(1)}

    def test_a_pod_with_more_bad_events_than_events_is_left_out(self) -> None:
        arm = ArmSeries([on("a", (0, 0, 1, 1)), on("b", (0, 0, 9, 9))], [on("a", (0, 0, 2, 2), code="500")])
        assert pod_counts(arm, WINDOW) == {"b": Counts(9)}

    def test_bad_events_of_a_pod_without_any_events_are_nobodys(self) -> None:
        assert pod_counts(ArmSeries([on("a", (0, 0, 1))], [on("b", (0, 0, 1))]), WINDOW) == {"a": Counts(1)}

    def test_what_belongs_to_no_pod_is_left_out(self) -> None:
        assert pod_counts(ArmSeries([series((0, 0, 1)), on("a", (0, 0, 1))]), WINDOW) == {"a": Counts(1)}

    def test_a_restart_that_is_known_counts_from_zero(self) -> None:
        arm = ArmSeries([on("a", (50, 50, 3, 5))])
        assert pod_counts(arm, WINDOW) == {"a": Counts(2)}
        started = {"a": [NOON.timestamp() + 5]}
        assert pod_counts(arm, WINDOW, pods=Pods(started=started)) == {"a": Counts(5)}

    def test_the_pod_is_told_by_the_first_label_that_is_there(self) -> None:
        told = [pod_of(series((), **labels)) for labels in ({"pod": "p", "instance": "i"}, {"instance": "i"}, {})]
        assert told == ["p", "i", None]


class TestBeginAgain:
    """
    Wealth that was won is given up, wealth that was lost does not come back.
    """

    def test_nothing_won_is_kept(self) -> None:
        rich = EProcess(HARM_GRID, (6.0,) * len(HARM_GRID), 0.25).begin_again()
        assert rich.unstarted == 0.25
        assert rich.log_value == pytest.approx(0.0, abs=1e-4)
        assert len(set(rich.logs)) == 1

    def test_nothing_lost_comes_back(self) -> None:
        poor = EProcess(HARM_GRID, (-6.0, *(-9.0,) * (len(HARM_GRID) - 1)), 0.1)
        assert poor.begin_again().log_value == pytest.approx(poor.log_value, abs=1e-4)
        assert len(set(poor.begin_again().logs)) == 1

    def test_without_started_wealth_only_the_unstarted_is_there(self) -> None:
        again = EProcess(HARM_GRID, (LOG_ZERO,) * len(HARM_GRID), 0.5).begin_again()
        assert (set(again.logs), again.unstarted, again.log_value) == ({LOG_ZERO}, 0.5, math.log(0.5))

    @pytest.mark.parametrize("log", [-20.0, -1.0, 0.0, 3.0, 400.0])
    def test_it_never_adds_wealth(self, log: float) -> None:
        before = EProcess(HARM_GRID, (log,) * len(HARM_GRID), 0.0)
        again = before.begin_again()
        assert again.log_value <= min(0.0, before.log_value) + 1e-4
        assert again.begin_again() == again

    def test_a_metric_and_its_slices_keep_their_counts_and_learn_with_the_new_overdispersion(self) -> None:
        block = Block(NOON, NOON + timedelta(seconds=15), Counts(100, 10), Counts(900, 9))
        metric = MetricEvidence.begin(WEALTH).observe(block, MARGINS, WEALTH)
        slices = SliceEvidence.begin(["eu"], WEALTH, phi=1.0).observe({"eu": block}, MARGINS.harm, WEALTH)
        again, parts = metric.retempered(2.0), slices.retempered(2.0)
        assert metric.harm_log > again.harm_log
        assert (again.rollout, again.step, again.counted_until) == (metric.rollout, metric.step, metric.counted_until)
        assert (again.phi, parts.phi) == (2.0, 2.0)
        assert parts.accounts["eu"] == (slices.accounts["eu"][0].begin_again(), slices.accounts["eu"][1])
        later = Block(block.end, block.end + timedelta(seconds=15), block.candidate, block.stable)
        assert again.observe(later, MARGINS, WEALTH).harm_log < metric.observe(later, MARGINS, WEALTH).harm_log / 2
