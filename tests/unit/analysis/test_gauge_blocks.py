"""
Means of a gauge over a block, and how its differences spread between stable's pods.
"""

import math
import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from modelramp.analysis import NoData, Series, Window
from modelramp.analysis.betting import GaugeBlock, GaugeEvidence, GaugeMargins
from modelramp.analysis.counters import Absence
from modelramp.analysis.gauges import GaugeHistory, GaugeSpread, gauge_block, gauge_margins, mean_of

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
WINDOW = Window(since=NOON - timedelta(minutes=5), after=NOON, until=NOON + timedelta(seconds=30))
SECONDS = 15.0


def pod(name: str, values: Sequence[float], first: float = 7.0, every: float = SECONDS, **labels: str) -> Series:
    """
    A gauge of one pod, first scraped so many seconds after noon.
    """
    begin = NOON.timestamp() + first
    samples = [(begin + every * number, value) for number, value in enumerate(values)]
    return Series({"pod": name, "instance": f"{name}:80", **labels}, samples)


def stretch(minutes: float, ends: datetime = NOON) -> Window:
    """
    So many minutes up to an instant.
    """
    after = ends - timedelta(minutes=minutes)
    return Window(since=after - timedelta(minutes=5), after=after, until=ends)


def past(
    values: Sequence[Sequence[float]], minutes: float, ends: datetime = NOON, names: Sequence[str] = "abcdefgh"
) -> list[Series]:
    """
    Pods scraped every 15 s in the stretch, each a little later than the one before.
    """
    begin = (ends - NOON).total_seconds() - 60 * minutes
    return [
        pod(name, row, first=begin + 1 + number) for number, (name, row) in enumerate(zip(names, values, strict=False))
    ]


class TestBlock:
    """
    The means of both arms.
    """

    def test_each_series_gives_its_mean_and_the_arm_what_they_become(self) -> None:
        mine, theirs = [pod("c", (4, 8))], [pod("a", (1, 3)), pod("b", (10, 20), first=14.9)]
        found = {
            name: gauge_block(mine, theirs, WINDOW, of)
            for name, of in (("mean", mean_of), ("sum", math.fsum), ("max", max))
        }
        stables = {"mean": 8.5, "sum": 17.0, "max": 15.0}
        assert found == {name: GaugeBlock(NOON, WINDOW.until, 6.0, stable) for name, stable in stables.items()}

    def test_only_samples_within_the_block_count(self) -> None:
        """
        Its beginning is not part of it, its end is.
        """
        arm = [pod("c", (100, 2, 4, 100), first=0.0)]
        assert gauge_block(arm, arm, WINDOW, mean_of) == GaugeBlock(NOON, WINDOW.until, 3.0, 3.0)

    def test_a_series_without_a_sample_in_it_is_no_part_of_the_mean(self) -> None:
        theirs = [pod("a", (6,)), pod("b", (1,), first=-30.0), pod("d", (math.nan, -1))]
        assert gauge_block([pod("c", (0,))], theirs, WINDOW, mean_of) == GaugeBlock(NOON, WINDOW.until, 0.0, 6.0)

    @pytest.mark.parametrize(
        ("mine", "theirs", "reason"),
        [
            ([], [pod("a", (1,))], Absence.NO_CANDIDATE_SAMPLES),
            ([pod("c", (math.nan,))], [pod("a", (1,))], Absence.NO_CANDIDATE_SAMPLES),
            ([pod("c", (1,))], [pod("a", (1,), first=-20)], Absence.NO_STABLE_SAMPLES),
        ],
    )
    def test_an_arm_without_samples_is_no_block(
        self, mine: list[Series], theirs: list[Series], reason: Absence
    ) -> None:
        assert gauge_block(mine, theirs, WINDOW, mean_of) == NoData(reason)

    def test_margins_leave_room_between_them(self) -> None:
        assert gauge_margins(0.2) == GaugeMargins(harm=0.1, ok=0.2)
        with pytest.raises(ValueError, match="not margins"):
            gauge_margins(0.0)


class TestHistory:
    """
    Differences between halves of stable's pods.
    """

    def differences(self, series: Sequence[Series], minutes: float = 1, delta: float = 0.0) -> tuple[float | None, ...]:
        """
        Of one stretch that ends at noon, by sums.
        """
        return (
            GaugeHistory()
            .before(series, stretch(minutes), seconds=SECONDS, delta=delta, aggregate=math.fsum)
            .differences
        )

    def test_pods_are_dealt_to_two_equal_halves(self) -> None:
        series = past([(1,) * 4, (2,) * 4, (4,) * 4, (8,) * 4, (16,) * 4], 1)
        assert self.differences(series) == (-5.0,) * 4  # a and c against b and d; e is left out

    def test_the_second_half_is_raised_by_the_margin(self) -> None:
        assert self.differences(past([(10,) * 4, (10,) * 4], 1), delta=0.1) == (-1.0,) * 4

    def test_all_series_of_a_pod_belong_to_its_half(self) -> None:
        two = past([(1,) * 4, (5,) * 4, (2,) * 4], 1, names=("a", "b", "a"))
        assert self.differences(two) == (-2.0,) * 4

    def test_a_block_with_fewer_than_two_pods_has_no_difference(self) -> None:
        assert self.differences(past([(1, 1, math.nan, 1), (2,) * 4], 1)) == (-1.0, -1.0, None, -1.0)
        assert self.differences(past([(1,) * 4], 1)) == (None,) * 4
        assert self.differences([]) == (None,) * 4

    def test_what_belongs_to_no_pod_is_left_out(self) -> None:
        nobodys = Series({"job": "m"}, past([(100,) * 4], 1)[0].samples)
        assert self.differences([*past([(1,) * 4, (2,) * 4], 1), nobodys]) == (-1.0,) * 4

    def test_what_does_not_fill_a_block_at_the_beginning_is_dropped(self) -> None:
        series = past([(9, 1, 1, 1, 1), (0, 3, 3, 3, 3)], 1.25)
        window = stretch(1.25)
        found = GaugeHistory().before(series, window, seconds=30, delta=0.0, aggregate=math.fsum)
        assert found.differences == (-2.0, -2.0)

    def test_stretches_are_put_before_what_is_known(self) -> None:
        newer = GaugeHistory().before(
            past([(1,) * 4, (2,) * 4], 1), stretch(1), seconds=SECONDS, delta=0.0, aggregate=max
        )
        earlier = NOON - timedelta(minutes=1)
        both = newer.before(
            past([(7,) * 4, (2,) * 4], 1, earlier), stretch(1, earlier), seconds=SECONDS, delta=0.0, aggregate=max
        )
        assert both.differences == (5.0,) * 4 + (-1.0,) * 4

    def test_the_edge_of_a_block_belongs_to_the_block_before(self) -> None:
        begin = -60.0
        series = [pod("a", (1, 2, 3, 4), first=begin + 15), pod("b", (0,) * 4, first=begin + 15)]
        assert self.differences(series) == (1.0, 2.0, 3.0, 4.0)


def noise(seed: int, pods: int, count: int, mean: float = 10.0) -> list[list[float]]:
    """
    Independent normal values.
    """
    draw = random.Random(seed)
    return [[max(0.0, draw.gauss(mean, 2.0)) for _ in range(count)] for _ in range(pods)]


class TestSpread:
    """
    What the evidence rests on.
    """

    def spread(self, values: Sequence[Sequence[float]]) -> GaugeSpread:
        """
        Of a past of an hour.
        """
        return (
            GaugeHistory().before(past(values, 60), stretch(60), seconds=SECONDS, delta=0.1, aggregate=mean_of).spread
        )

    def test_of_independent_values_is_that_of_their_difference(self) -> None:
        found = self.spread(noise(1, 4, 240))
        assert found.known
        assert found.scale == pytest.approx(2.0 * math.sqrt(0.5 * (1 + 1.1**2)), rel=0.15)
        assert found.tau == pytest.approx(1.0, abs=0.3)

    @pytest.mark.parametrize("values", [noise(2, 1, 240), noise(3, 2, 20), [[5.0] * 240] * 2])
    def test_is_not_known_of_one_pod_of_a_short_past_or_of_what_never_varies(
        self, values: Sequence[Sequence[float]]
    ) -> None:
        assert not self.spread(values).known

    @pytest.mark.parametrize(("factor", "harm", "ok"), [(1.0, False, True), (3.0, True, False)])
    def test_a_rollout_is_judged_by_it(self, factor: float, harm: bool, ok: bool) -> None:  # noqa: FBT001
        """
        A like candidate is certified to grow by less than a half, one three times as high is harmful.
        """
        spread = self.spread(noise(4, 4, 240))
        evidence = GaugeEvidence.begin(scale=spread.scale, tau=spread.tau)
        now = noise(5, 3, 400)
        for number in range(400):
            start = NOON + timedelta(seconds=SECONDS * number)
            window = Window(since=start, after=start, until=start + timedelta(seconds=SECONDS))
            first = SECONDS * number + 3
            block = gauge_block(
                [pod("c", (factor * now[0][number],), first)],
                [pod("a", (now[1][number],), first), pod("b", (now[2][number],), first)],
                window,
                mean_of,
            )
            assert isinstance(block, GaugeBlock)
            evidence = evidence.observe(block, gauge_margins(0.5))
        assert (evidence.harm_log > math.log(100), evidence.ok_log > math.log(20)) == (harm, ok)
