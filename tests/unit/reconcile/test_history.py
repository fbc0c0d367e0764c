"""
Stable's past, read in stretches from the newest back: what evidence can be begun with, or why it cannot.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, Final

import pytest
from unit.reconcile.parts import BEGIN

from modelramp.analysis import Pods, Series, Window
from modelramp.analysis.tailplan import OverThreshold, QuantileGrowth, Question
from modelramp.ports import DeniedError, PortError, UnreachableError
from modelramp.reconcile.history import UNKNOWN_COUNTERS, read_history
from modelramp.rollout.account import Opening, PhiSource
from modelramp.rollout.counters import ArmSelectors, BucketSelectors, Selectors
from modelramp.rollout.needs import LOOK_BACK, HistoryQuestion
from modelramp.rollout.observed import History, Impossible, NoData, Unavailable

RATE: Final = ArmSelectors(total="answers", bad="bad_answers")
DURATIONS: Final = BucketSelectors(buckets="took", factor=0.001)
SCRAPE: Final = 15.0
Growth = Callable[[int], float]


def steady(per_minute: float) -> Growth:
    """
    So many a minute, always.
    """
    return lambda _minute: per_minute


@dataclass
class Past:
    """
    Counters as Prometheus has them: they grew by so many in each minute before now, for as long as they are known.
    """

    minutes: int
    growing: dict[tuple[str, str, str | None], Growth] = field(default_factory=dict)
    """By selector, pod and bucket edge: growth in the minute so many minutes ago."""
    outage_from: int | None = None
    """Number of the question from which on nothing is answered; None: all are."""
    error: PortError = field(default_factory=lambda: UnreachableError("no answer within 10 s"))
    asked: list[tuple[str, Window]] = field(default_factory=list)

    async def read(self, selector: str, window: Window) -> tuple[Series, ...]:
        """
        The samples of one selector over (since, until].
        """
        self.asked.append((selector, window))
        if self.outage_from is not None and len(self.asked) > self.outage_from:
            raise self.error
        found = []
        for (name, pod, edge), growth in self.growing.items():
            if name == selector:
                labels = {"pod": pod, "instance": f"{pod}:80"} | ({} if edge is None else {"le": edge})
                samples = [
                    (at, value)
                    for at, value in self._samples(growth)
                    if window.since.timestamp() < at <= window.until.timestamp()
                ]
                found += [Series(labels, tuple(samples))] if samples else []
        return tuple(found)

    def _samples(self, growth: Growth) -> list[tuple[float, float]]:
        scrapes = round(60 / SCRAPE)
        at, value, found = BEGIN.timestamp() - self.minutes * 60 + 1, 1000.0, []
        for number in range(self.minutes * scrapes):
            value += growth(self.minutes - number // scrapes) / scrapes
            found.append((at + number * SCRAPE, value))
        return found


def question(
    stable: Selectors | None = RATE, asks: Question | None = None, *, minutes: int = 60, tells_pods: bool = True
) -> HistoryQuestion:
    """
    What is asked up to now.
    """
    return HistoryQuestion(
        name="metric",
        field="spec.analysis.metrics[0].threshold",
        stable=stable,
        until=BEGIN,
        look_back=timedelta(minutes=minutes),
        tells_pods=tells_pods,
        question=asks,
    )


def told(past: Past, asked: HistoryQuestion) -> History:
    """
    What the past tells.
    """
    return asyncio.run(read_history(past.read, asked, Pods()))


def two_pods(bad_a: Growth, bad_b: Growth, minutes: int = 60) -> Past:
    """
    Each answers 600 requests a minute, and fails so many of them.
    """
    answers = {("answers", pod, None): steady(600) for pod in ("a", "b")}
    return Past(minutes, {**answers, ("bad_answers", "a", None): bad_a, ("bad_answers", "b", None): bad_b})


def histogram(fast: float, slow: float, slowest: float, minutes: int = 60, pods: tuple[str, ...] = ("a", "b")) -> Past:
    """
    So many calls a minute and pod up to 100 ms, up to 250 ms and longer ones, in milliseconds.
    """
    edges = {"100": fast, "250": fast + slow, "+Inf": fast + slow + slowest}
    return Past(minutes, {("took", pod, edge): steady(number) for pod in pods for edge, number in edges.items()})


class TestBaseline:
    """
    What stands for stable where the candidate is never beside it.
    """

    def asked(self, **changes: Any) -> HistoryQuestion:  # noqa: ANN401 - any field
        """
        With the gateway's series as those that are counted.
        """
        return replace(question(**changes), baseline=ArmSelectors(total="routed", bad="refused"))

    def past(self, minutes: int = 90) -> Past:
        """
        Stable answers by itself and through the gateway, which sees more bad answers.
        """
        through = {("routed", "envoy", None): steady(1000), ("refused", "envoy", None): steady(10)}
        return replace(
            two_pods(steady(1), steady(1), minutes), growing={**two_pods(steady(1), steady(1)).growing, **through}
        )

    def test_is_counted_by_the_series_that_will_be_counted(self) -> None:
        """
        Of the last hour, however far the scatter is looked back for.
        """
        found = told(self.past(), self.asked(minutes=90))
        assert isinstance(found, Opening)
        (counts,) = found.past
        assert counts.n == pytest.approx(60_000, rel=0.01)
        assert counts.x == pytest.approx(600, rel=0.01)
        assert found.rate == pytest.approx(1 / 600, rel=0.05)

    def test_is_read_alone_where_the_scatter_is_not_asked_for(self) -> None:
        """
        Given, or not told by any series.
        """
        past = self.past()
        found = told(past, self.asked(tells_pods=False))
        assert isinstance(found, Opening)
        assert (found.source, found.rate, found.past[0].n > 0) == (PhiSource.ASSUMED, None, True)
        assert {selector for selector, _ in past.asked} == {"routed", "refused"}

    def test_of_a_silent_past_is_nothing(self) -> None:
        """
        And of a stretch that cannot be counted.
        """
        found = told(Past(60), self.asked(tells_pods=False))
        assert isinstance(found, Opening)
        assert (found.past[0].n, found.past[0].x) == (0.0, 0.0)
        torn = Past(60, {("routed", "envoy", None): steady(10), ("refused", "envoy", None): steady(20)})
        more_bad = told(torn, self.asked(tells_pods=False))
        assert isinstance(more_bad, Opening)
        assert more_bad.past[0].n == 0.0

    def test_is_not_asked_of_everybody(self) -> None:
        """
        Nor had.
        """
        found = told(self.past(), question())
        assert isinstance(found, Opening)
        assert found.past == ()

    def test_of_durations_is_what_their_plan_rests_on(self) -> None:
        """
        The calls above each of its edges.
        """
        found = told(histogram(80, 15, 5), question(DURATIONS, OverThreshold(0.25)))
        assert isinstance(found, Opening)
        (above,) = found.past
        assert above.x / above.n == pytest.approx(0.05, rel=0.01)

    def test_that_cannot_be_read_is_unavailable(self) -> None:
        """
        It is asked for again.
        """
        past = replace(self.past(), outage_from=0)
        assert isinstance(told(past, self.asked(tells_pods=False)), Unavailable)


class TestStretches:
    """
    How the past is cut.
    """

    def windows(self, past: Past, minutes: int) -> list[tuple[float, float]]:
        """
        Of the first selector, each as minutes before now.
        """
        told(past, question(minutes=minutes))
        return [
            ((BEGIN - window.after) / timedelta(minutes=1), (BEGIN - window.until) / timedelta(minutes=1))
            for selector, window in past.asked
            if selector == "answers"
        ]

    def test_tile_the_look_back_newest_first_in_growing_lengths(self) -> None:
        """
        Without a gap, none longer than four hours, the last one cut.
        """
        past = two_pods(steady(6), steady(6), minutes=12 * 60)
        assert self.windows(past, 10 * 60) == [(10, 0), (50, 10), (210, 50), (450, 210), (600, 450)]

    def test_of_the_shortest_look_back_are_one(self) -> None:
        """
        Ten minutes.
        """
        assert self.windows(two_pods(steady(6), steady(6)), 10) == [(10, 0)]

    def test_are_fetched_from_five_minutes_before(self) -> None:
        """
        The first increment of each has its left neighbour there.
        """
        past = two_pods(steady(6), steady(6))
        told(past, question())
        assert {window.after - window.since for _, window in past.asked} == {LOOK_BACK}

    def test_end_where_the_past_ends(self) -> None:
        """
        Nothing older is asked for.
        """
        assert self.windows(two_pods(steady(6), steady(6), minutes=30), 24 * 60) == [(10, 0), (50, 10), (210, 50)]


class TestRates:
    """
    How bad answers scatter.
    """

    def test_of_two_pods_alike_scatter_as_independent_ones_do_or_less(self) -> None:
        """
        Six of each in every minute: no more than 1.
        """
        found = told(two_pods(steady(6), steady(6)), question())
        assert isinstance(found, Opening)
        assert (found.phi, found.source, found.until) == (1.0, PhiSource.ESTIMATED, BEGIN)

    def test_tell_how_much_stable_answers_and_how_often_it_fails(self) -> None:
        """
        Of all its pods: twenty requests a second, one in a hundred bad.
        """
        found = told(two_pods(steady(9), steady(3)), question())
        assert isinstance(found, Opening)
        assert (found.rps, found.rate) == (pytest.approx(20, rel=0.01), pytest.approx(0.01))

    def test_that_fall_on_one_pod_more_than_on_the_other_scatter_more(self) -> None:
        """
        9 and 3 a minute where 6 and 6 are expected: 3 over a minute, and the more the longer one looks. Over an hour
        that is so much more that more pods are advised.
        """
        found = told(two_pods(steady(9), steady(3), minutes=6 * 60), question(minutes=6 * 60))
        assert isinstance(found, Opening)
        assert found.phi == pytest.approx(3 * 60, rel=0.02)
        assert (found.source, found.more_pods, found.plan) == (PhiSource.ESTIMATED, True, None)

    def test_of_bursts_are_seen_over_all_stretches(self) -> None:
        """
        One pod failed for a while in the older stretch only.
        """
        burst = two_pods(lambda minute: 60 if 20 <= minute < 40 else 6, steady(6))
        calm = told(burst, question(minutes=10))
        found = told(burst, question())
        assert isinstance(found, Opening)
        assert isinstance(calm, Opening)
        assert found.phi > 10 * calm.phi

    @pytest.mark.parametrize(
        "past",
        [
            Past(0),
            two_pods(steady(0), steady(0)),
            Past(60, {("answers", "a", None): steady(600), ("bad_answers", "a", None): steady(6)}),
        ],
        ids=["no past", "no bad answer", "one pod"],
    )
    def test_that_tell_nothing_leave_it_to_an_assumption(self, past: Past) -> None:
        """
        Twice what independent ones would; the past they were asked about is left out all the same.
        """
        found = told(past, question())
        assert isinstance(found, Opening)
        assert (found.phi, found.source, found.until) == (2.0, PhiSource.ASSUMED, BEGIN)


class TestDurations:
    """
    Where calls lie, and how the slow ones scatter.
    """

    def test_tell_which_edges_are_judged(self) -> None:
        """
        In seconds, whatever the unit of the buckets; of all stretches together.
        """
        found = told(histogram(540, 54, 6), question(DURATIONS, QuantileGrowth(0.9, 0.5)))
        assert isinstance(found, Opening)
        assert found.plan is not None
        assert [gate.edge for gate in found.plan.gates] == [0.1]
        assert (found.phi, found.source, found.until) == (1.0, PhiSource.ESTIMATED, BEGIN)

    def test_that_do_not_tell_pods_apart_do_not_tell_how_they_scatter(self) -> None:
        """
        A gateway's buckets are one series for all pods: the plan is known and the scatter assumed.
        """
        found = told(histogram(540, 54, 6), question(DURATIONS, OverThreshold(0.25), tells_pods=False))
        assert isinstance(found, Opening)
        assert (found.phi, found.source) == (2.0, PhiSource.ASSUMED)
        assert found.plan is not None
        assert found.plan.edges == (0.25,)

    def test_need_a_bucket_at_the_threshold(self) -> None:
        """
        Otherwise nobody can say what is slower: the field is named, and what it could be.
        """
        found = told(histogram(540, 54, 6), question(DURATIONS, OverThreshold(0.3)))
        assert isinstance(found, Impossible)
        assert found.message.startswith("spec.analysis.metrics[0].threshold: 0.3 is not a bucket edge")
        assert "the edges are 0.1, 0.25;" in found.message

    @pytest.mark.parametrize("past", [Past(0), histogram(0, 0, 0)], ids=["no past", "no call"])
    def test_that_nobody_took_are_no_data(self, past: Past) -> None:
        """
        There is nothing to plan edges from.
        """
        found = told(past, question(DURATIONS))
        assert found == NoData("stable has answered no call yet in the time looked back on")

    def test_whose_buckets_do_not_add_up_are_no_data(self) -> None:
        """
        The selector names what is no classic histogram.
        """
        past = Past(60, {("took", "a", "100"): steady(540)})
        assert isinstance(told(past, question(DURATIONS)), NoData)

    def test_whose_edges_are_no_numbers_are_no_data(self) -> None:
        """
        Or have none.
        """
        assert isinstance(told(Past(60, {("took", "a", None): steady(540)}), question(DURATIONS)), NoData)

    def test_that_nobody_tells_are_no_data_with_advice(self) -> None:
        """
        And nothing is asked.
        """
        past = Past(0)
        assert told(past, question(None)) == NoData(UNKNOWN_COUNTERS)
        assert past.asked == []


ASKS: Final = [question(), question(DURATIONS, OverThreshold(0.25))]


class TestOutages:
    """
    A source that cannot be asked.
    """

    @pytest.mark.parametrize("asked", ASKS, ids=["rates", "durations"])
    @pytest.mark.parametrize("error", [UnreachableError("away"), DeniedError("not allowed")], ids=["away", "denied"])
    def test_from_the_beginning_are_told(self, asked: HistoryQuestion, error: PortError) -> None:
        """
        Nothing can be begun.
        """
        assert told(Past(60, outage_from=0, error=error), asked) == Unavailable(str(error))

    @pytest.mark.parametrize(("asked", "answered"), [(ASKS[0], 2), (ASKS[1], 1)], ids=["rates", "durations"])
    def test_later_on_leave_what_was_read(self, asked: HistoryQuestion, answered: int) -> None:
        """
        A shorter past is a past; the store may not keep the older one.
        """
        past = Past(60, {**two_pods(steady(9), steady(3)).growing, **histogram(540, 54, 6).growing})
        whole = told(Past(10, past.growing), asked)
        past.outage_from = answered
        found = told(past, asked)
        assert isinstance(found, Opening)
        assert isinstance(whole, Opening)
        assert (found.source, found.plan) == (PhiSource.ESTIMATED, whole.plan)
        assert found.phi == pytest.approx(whole.phi, rel=0.2)
