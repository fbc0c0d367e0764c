"""
A look at the world: every outage is a value.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from fakes.comparators import FakeComparators
from unit.reconcile.parts import BEGIN, KEY, in_flight, opened, revision_for, spec_for, stamp

from modelramp.analysis import Counts, Series, Wealth
from modelramp.analysis.stores import Store
from modelramp.analysis.tailplan import JudgedEdge, TailPlan
from modelramp.analysis.tails import TailBlock, TailEvidence
from modelramp.api.document import MLModelDeployment, parse
from modelramp.api.names import workload_name
from modelramp.api.spec import WarmUp
from modelramp.ports import DeniedError, Key, PodTimes, PortError, RefusedError, SamplesQuestion, UnreachableError
from modelramp.reconcile.history import UNKNOWN_COUNTERS
from modelramp.reconcile.observe import ANOTHER_STORE, Eyes, observe
from modelramp.rollout.observed import (
    Acceptance,
    AnotherStore,
    Arm,
    Measured,
    NoData,
    Observed,
    RouteState,
    Unavailable,
    WarmUpReading,
)
from modelramp.rollout.opening import Opening

NOW = BEGIN
CONTOUR = "projectcontour.io/gateway-controller"
OLD, NEW = revision_for("1"), revision_for("2")
OUTAGES = [
    UnreachableError("no answer within 10 s"),
    DeniedError("the address is not allowed"),
    RefusedError("parse error"),
]


@dataclass
class World:
    """
    All ports of the eyes: two arms, a route, counters by Envoy cluster and class.
    """

    controller: str | None = CONTOUR
    outage: PortError | None = None
    warm_up_outage: PortError | None = None
    series: dict[tuple[str, str], list[tuple[float, float]]] = field(default_factory=dict)
    """Samples as (seconds before now, value), by revision and class; class `active` is the gauge, `le=` a bucket."""
    asked: list[SamplesQuestion] = field(default_factory=list)
    warmed: list[str] = field(default_factory=list)

    def arms(self, _key: Key) -> Mapping[str, Arm]:
        return {name: Arm(revision=name, wanted_replicas=1, pods=1, ready=1) for name in (OLD, NEW)}

    def pod_times(self, _key: Key) -> PodTimes:
        return PodTimes(born={}, started={})

    def state(self, _key: Key) -> RouteState:
        return RouteState(
            acceptance=Acceptance.ACCEPTED,
            shares={OLD: Decimal(50), NEW: Decimal(50)},
            controller=self.controller,
        )

    async def samples(self, _namespace: str, _source: object, question: SamplesQuestion) -> tuple[Series, ...]:
        self.asked.append(question)
        if self.outage is not None:
            raise self.outage
        found = []
        for (revision, kind), samples in self.series.items():
            metric = question.selector.split("{")[0].removeprefix("envoy_cluster_upstream_rq_")
            shown = "active" if kind == "active" else "time_bucket" if kind.startswith("le=") else "xx"
            wanted = f"{workload_name(KEY.name, revision)}_80" in question.selector and metric == shown
            if wanted and ('class="5"' not in question.selector or kind == "5"):
                told = {"le": kind.removeprefix("le=")} if shown == "time_bucket" else {"class": kind}
                labels = {"revision": revision, **told, "instance": "envoy-1", "job": "envoy"}
                points = [(NOW.timestamp() - ago, value) for ago, value in samples]
                inside = [p for p in points if question.since.timestamp() < p[0] <= question.until.timestamp()]
                if inside:
                    found.append(Series(labels, tuple(inside)))
        return tuple(found)

    async def send(self, _key: Key, revision: str, warm_up: WarmUp) -> WarmUpReading:
        self.warmed.append(revision)
        if self.warm_up_outage is not None:
            raise self.warm_up_outage
        return WarmUpReading(sent=warm_up.requests, failed=0, p95_seconds=0.1)

    def counted(self, revision: str, kind: str, *values: float, every: float = 15.0) -> "World":
        """
        Samples of one counter, the last one 5 s ago.
        """
        self.series[revision, kind] = [
            (5 + every * (len(values) - 1 - number), value) for number, value in enumerate(values)
        ]
        return self


def deployment(
    phase: str = "Progressing",
    changes: Mapping[str, Any] | None = None,
    **status: Any,  # noqa: ANN401 - JSON
) -> MLModelDeployment:
    """
    A rollout of version 2 over version 1 whose step has had its share for two minutes.
    """
    document = {
        "metadata": {"namespace": "ml", "name": "fraud", "uid": "u", "generation": 1},
        "spec": spec_for("2", **(changes or {})),
        "status": in_flight(phase, **status),
    }
    return parse(document)


def seen(world: World, of: MLModelDeployment, refused: str | None = None, now: datetime = NOW) -> Observed:
    """
    One look.
    """
    eyes = Eyes(workloads=world, routes=world, comparators=FakeComparators(), metrics=world, warm_ups=world)  # type: ignore[arg-type]  # eyes only look
    return asyncio.run(observe(eyes, of, refused, now))


def test_the_cluster_is_seen_as_last_heard_of() -> None:
    """
    Arms, route and what was refused, without asking anybody.
    """
    world = World()
    at_rest = deployment("Stable", candidate=None, step=None)
    found = seen(world, at_rest, refused="quota exceeded")
    assert (set(found.arms), found.route.acceptance, found.refused) == (
        {OLD, NEW},
        Acceptance.ACCEPTED,
        "quota exceeded",
    )


def test_an_object_at_rest_costs_no_query() -> None:
    """
    Nothing is due, so nothing is asked.
    """
    world = World()
    world.arms = lambda _key: {OLD: Arm(revision=OLD, wanted_replicas=1, pods=1, ready=1)}  # type: ignore[method-assign]
    found = seen(world, deployment("Stable", candidate=None, step=None))
    assert (world.asked, found.readings, found.drain, found.warm_up) == ([], {}, None, None)


class TestCounters:
    """
    One metric's new counts.
    """

    def test_are_blocks_of_increments_of_both_arms(self) -> None:
        """
        Each increment of the window, bad ones among them.
        """
        world = World()
        for revision, step in ((OLD, 90), (NEW, 10)):
            world.counted(revision, "2", *(1000 + step * number for number in range(12)))
            world.counted(revision, "5", *(5 + number for number in range(12)))
        reading = seen(world, deployment()).readings["errors"]
        assert isinstance(reading, Measured)
        assert reading.block.candidate.n > reading.block.candidate.x > 0
        assert reading.block.stable.n > 8 * reading.block.candidate.n * 0.9

    def test_are_asked_in_four_questions_of_one_window(self) -> None:
        """
        Total and bad of each arm.
        """
        world = World()
        seen(world, deployment())
        assert len({question.selector for question in world.asked}) == len(world.asked) == 4
        assert len({(question.since, question.until) for question in world.asked}) == 1

    def test_that_are_absent_are_no_data(self) -> None:
        """
        The source answered with nothing: no verdict either way.
        """
        reading = seen(World(), deployment()).readings["errors"]
        assert isinstance(reading, NoData)
        assert reading.message

    @pytest.mark.parametrize("outage", OUTAGES, ids=lambda error: type(error).__name__)
    def test_that_cannot_be_asked_for_are_unavailable(self, outage: PortError) -> None:
        """
        With the reason, for people.
        """
        assert seen(World(outage=outage), deployment()).readings == {"errors": Unavailable(str(outage))}

    def test_of_an_unknown_gateway_are_no_data_with_advice(self) -> None:
        """
        And nothing is asked.
        """
        world = World(controller="example.com/unknown")
        assert seen(world, deployment()).readings == {"errors": NoData(UNKNOWN_COUNTERS)}
        assert world.asked == []

    def test_are_not_asked_for_before_they_are_due(self) -> None:
        """
        The step's traffic was put in place just now.
        """
        world = World()
        step = {"index": 2, "display": "3/4", "traffic": "50%", "enteredAt": stamp(NOW), "inPlaceSince": stamp(NOW)}
        assert seen(world, deployment(step=step)).readings == {}
        assert world.asked == []

    def test_of_several_metrics_are_readings_by_name(self) -> None:
        """
        One that the source does not know leaves the other alone.
        """
        own = {"name": "nulls", "ratio": {"bad": "nulls_total{$arm}", "total": "requests_total{$arm}"}}
        changes = {"analysis": {"metrics": [{"preset": "errors"}, own], "overdispersion": "1"}}
        world = World()
        for revision in (OLD, NEW):
            world.counted(revision, "2", *(1000 + 50 * number for number in range(12)))
        spec_2 = deployment(changes=changes, evidence=[opened("errors"), opened("nulls")])
        readings = seen(world, spec_2).readings
        assert isinstance(readings["errors"], Measured)
        assert isinstance(readings["nulls"], NoData)


LATENCY = {"preset": "latency", "origin": "Gateway", "threshold": "250ms"}
EDGES = ("100", "250", "+Inf")


def took(world: World, revision: str, *grown: float) -> World:
    """
    Calls of a revision up to each edge, in milliseconds, growing by so much every 15 s.
    """
    for edge, step in zip(EDGES, grown, strict=True):
        world.counted(revision, f"le={edge}", *(1000 + step * number for number in range(12)))
    return world


def latency(**status: Any) -> MLModelDeployment:  # noqa: ANN401 - JSON
    """
    A rollout judged by its latency, whose evidence is not opened unless `status` says so.
    """
    analysis = {"analysis": {"metrics": [LATENCY], "lookBack": "10m"}}
    return deployment(changes=analysis, **{"evidence": [], **status})


def opened_latency() -> dict[str, Any]:
    """
    Fresh evidence of it, as stored.
    """
    plan = TailPlan((JudgedEdge(0.25),), (JudgedEdge(0.25),))
    return {"name": "latency", "state": dict(TailEvidence.begin(plan, Wealth(0.5, 0.01, 0.005)).to_state())}


class TestDurations:
    """
    One metric's new calls, by how long they took.
    """

    def test_are_blocks_of_buckets_of_both_arms(self) -> None:
        """
        In seconds.
        """
        world = took(took(World(), OLD, 80, 89, 90), NEW, 5, 8, 10)
        reading = seen(world, latency(evidence=[opened_latency()])).readings["latency"]
        assert isinstance(reading, Measured)
        assert isinstance(reading.block, TailBlock)
        assert reading.block.candidate.tail(0.25) == pytest.approx(0.2)
        assert reading.block.stable.n == pytest.approx(9 * reading.block.candidate.n)

    def test_that_are_absent_are_no_data(self) -> None:
        """
        Of either arm.
        """
        reading = seen(took(World(), OLD, 80, 89, 90), latency(evidence=[opened_latency()])).readings["latency"]
        assert reading == NoData("NoCandidateSamples")

    def test_that_cannot_be_asked_for_are_unavailable(self) -> None:
        """
        With the reason.
        """
        found = seen(World(outage=OUTAGES[0]), latency(evidence=[opened_latency()]))
        assert found.readings == {"latency": Unavailable(str(OUTAGES[0]))}

    def test_are_planned_from_stable_s_past_first(self) -> None:
        """
        Nothing is counted before it is known which edges are judged.
        """
        found = seen(took(World(), OLD, 80, 89, 90), latency())
        assert found.readings == {}
        history = found.histories["latency"]
        assert isinstance(history, Opening)
        assert history.plan is not None
        assert history.plan.edges == (0.25,)

    def test_whose_past_cannot_be_asked_for_are_unavailable(self) -> None:
        """
        It is asked for again at the next look.
        """
        assert seen(World(outage=OUTAGES[1]), latency()).histories == {"latency": Unavailable(str(OUTAGES[1]))}


AT_100 = {"index": 3, "display": "4/4", "traffic": "100%", "enteredAt": stamp(NOW - timedelta(seconds=120))}
ALONE = {**AT_100, "inPlaceSince": stamp(NOW - timedelta(seconds=120))}


class TestAlone:
    """
    The candidate has everything; stable's series are gone.
    """

    def test_a_rate_is_counted_by_the_candidate_s_series(self) -> None:
        """
        Two questions, and none about stable.
        """
        world = World()
        world.counted(NEW, "2", *(1000 + 90 * number for number in range(12)))
        world.counted(NEW, "5", *(1000 + 10 * number for number in range(12)))
        reading = seen(world, deployment(step=ALONE)).readings["errors"]
        assert isinstance(reading, Measured)
        assert reading.block.candidate.n == 10 * reading.block.candidate.x > 0
        assert (reading.block.stable, reading.pods, reading.store.stable) == (Counts(), {}, 0)
        assert len(world.asked) == 2
        assert all(NEW in question.selector for question in world.asked)

    def test_slices_of_it_too(self) -> None:
        """
        By the label, of the candidate.
        """
        world = World()
        world.counted(NEW, "2", *(1000 + 90 * number for number in range(12)))
        world.counted(NEW, "5", *(1000 + 10 * number for number in range(12)))
        analysis = {"metrics": [{"preset": "errors"}], "overdispersion": "1"}
        told = {"analysis": {**analysis, "slices": {"label": "class", "values": ["5"]}}}
        reading = seen(world, deployment(changes=told, step=ALONE)).readings["errors"]
        assert isinstance(reading, Measured)
        assert reading.slices["5"].candidate.n == reading.block.candidate.x
        assert reading.slices["5"].stable == Counts()

    def test_durations_are_counted_by_the_candidate_s_buckets(self) -> None:
        """
        One question; of stable there is no edge.
        """
        world = took(World(), NEW, 5, 8, 10)
        reading = seen(world, latency(evidence=[opened_latency()], step=ALONE)).readings["latency"]
        assert isinstance(reading, Measured)
        assert isinstance(reading.block, TailBlock)
        assert reading.block.candidate.tail(0.25) == pytest.approx(0.2)
        assert (reading.block.stable.n, reading.block.stable.edges) == (0.0, ())
        assert len(world.asked) == 1

    @pytest.mark.parametrize("kind", [deployment, latency])
    def test_without_the_candidate_s_series_there_is_no_data(self, kind: Any) -> None:  # noqa: ANN401
        """
        Whatever is known of stable.
        """
        world = took(World(), OLD, 80, 89, 90).counted(OLD, "2", *(1000 + 90 * number for number in range(12)))
        evidence = [opened("errors")] if kind is deployment else [opened_latency()]
        (reading,) = seen(world, kind(evidence=evidence, step=ALONE)).readings.values()
        assert reading == NoData("NoCandidateSamples")


class TestSlices:
    """
    Parts of a rate, from the samples of the rate itself.
    """

    def test_are_counted_by_label(self) -> None:
        """
        Those that nothing was counted of are left out; nothing more is asked.
        """
        world = World()
        for revision in (OLD, NEW):
            world.counted(revision, "2", *(1000 + 40 * number for number in range(12)))
            world.counted(revision, "5", *(1000 + 10 * number for number in range(12)))
        analysis = {"metrics": [{"preset": "errors"}], "overdispersion": "1"}
        slices = {"label": "class", "values": ["5", "9"]}
        reading = seen(world, deployment(changes={"analysis": {**analysis, "slices": slices}})).readings["errors"]
        assert isinstance(reading, Measured)
        assert list(reading.slices) == ["5"]
        assert reading.slices["5"].candidate == Counts(reading.block.candidate.x, reading.block.candidate.x)
        assert len(world.asked) == 4


def remembered(evidence: dict[str, Any], **newest: float) -> dict[str, Any]:
    """
    Evidence, as stored, whose last block rested on samples so many seconds ago.
    """
    store = [round(1000 * (NOW.timestamp() - newest[name])) for name in ("candidate", "stable")]
    return {**evidence, "state": {**evidence["state"], "store": [*store, 0]}}


def both_kinds() -> World:
    """
    Counters and buckets of both arms, scraped 5, 20, 35 … seconds ago.
    """
    world = World()
    for revision in (OLD, NEW):
        world.counted(revision, "2", *(1000 + 90 * number for number in range(12)))
        took(world, revision, 80, 89, 90)
    return world


class TestStores:
    """
    Who told of the last block, and whether it is the one that answers now.
    """

    def look(self, now: datetime = NOW, **newest: float) -> list[object]:
        """
        The readings of errors and latency, whose last blocks rested on these samples.
        """
        told = [remembered(one, **newest) for one in (opened("errors"), opened_latency())]
        analysis = {"metrics": [{"preset": "errors"}, LATENCY], "overdispersion": "1"}
        found = seen(both_kinds(), deployment(changes={"analysis": analysis}, evidence=told), now=now)
        return [found.readings[name] for name in ("errors", "latency")]

    def test_are_known_by_the_newest_samples_of_a_block(self) -> None:
        """
        Not by those that are newer than it.
        """
        newest = round(1000 * (NOW.timestamp() - 20))
        for reading in self.look(candidate=140, stable=155):
            assert isinstance(reading, Measured)
            assert (reading.block.end, reading.store) == (NOW - timedelta(seconds=15), Store(newest, newest))

    @pytest.mark.parametrize("newest", [{"candidate": 141, "stable": 140}, {"candidate": 140, "stable": 139.9}])
    def test_that_lack_a_sample_of_the_last_block_give_no_other(self, newest: dict[str, float]) -> None:
        """
        Of either arm. It says why, and from when on that store may be counted.
        """
        same = self.look(candidate=140, stable=140)
        for reading, other in zip(self.look(**newest), same, strict=True):
            assert isinstance(other, Measured)
            store = other.store.began(other.block.start)
            assert reading == AnotherStore(ANOTHER_STORE, until=other.block.end, store=store)

    def test_are_not_told_apart_beyond_the_look_back(self) -> None:
        """
        Nothing of then is fetched.
        """
        assert all(isinstance(reading, Measured) for reading in self.look(candidate=1000.5, stable=1000.5))


def test_a_first_look_at_another_store_is_left_out_although_it_is_short() -> None:
    """
    Waiting would leave out more.
    """
    step = {**in_flight("Progressing")["step"], "inPlaceSince": stamp(NOW - timedelta(seconds=26))}
    short = deployment(step=step, evidence=[remembered(opened("errors"), candidate=41, stable=41)])
    world = both_kinds()
    for samples in world.series.values():
        samples[:] = [(ago + 12, value) for ago, value in samples]
    reading = seen(world, short).readings["errors"]
    assert isinstance(reading, AnotherStore)


def test_a_first_look_in_which_nothing_was_scraped_says_nothing() -> None:
    """
    The step's counts began less than an interval ago: a scrape may be still to come. An outage is one all the same.
    """
    step = {**in_flight("Progressing")["step"], "inPlaceSince": stamp(NOW - timedelta(seconds=25))}
    short = deployment(step=step)
    assert seen(World(), short).readings == {}
    assert seen(World(outage=OUTAGES[0]), short).readings == {"errors": Unavailable(str(OUTAGES[0]))}


class TestDrain:
    """
    What still reaches a revision that should get nothing.
    """

    LEAVING = {"step": None}  # noqa: RUF012 - never changed

    def drain(self, world: World) -> Any:  # noqa: ANN401 - a Drain or None
        """
        Of a rollout that is being rolled back.
        """
        return seen(world, deployment("RollingBack", **self.LEAVING)).drain

    def test_counts_requests_and_those_in_flight(self) -> None:
        """
        Growth of the counters, all classes; the newest value of the gauge.
        """
        world = World().counted(NEW, "2", 100, 103, every=10).counted(NEW, "5", 7, 8, every=10)
        world.counted(NEW, "active", 9, 2, every=10)
        drain = self.drain(world)
        assert (drain.requests[NEW], drain.in_flight[NEW]) == (4, 2)
        assert not drain.empty(NEW)

    def test_a_reset_counts_what_came_after_it(self) -> None:
        """
        A restarted gateway has not taken requests back.
        """
        assert self.drain(World().counted(NEW, "2", 100, 3, every=10)).requests[NEW] == 3

    def test_ends_when_nothing_is_counted_any_more(self) -> None:
        """
        Flat counters and an empty gauge.
        """
        world = World().counted(NEW, "2", 100, 100, every=10).counted(NEW, "active", 1, 0, every=10)
        assert self.drain(world).empty(NEW)

    def test_values_that_are_no_numbers_do_not_count(self) -> None:
        """
        A stale marker is not a request.
        """
        nan = float("nan")
        world = World().counted(NEW, "2", 100, nan, 101, every=10).counted(NEW, "active", 1, nan, every=10)
        drain = self.drain(world)
        assert (drain.requests[NEW], drain.in_flight[NEW]) == (1, 0)

    @pytest.mark.parametrize("outage", OUTAGES, ids=lambda error: type(error).__name__)
    def test_is_not_known_during_an_outage(self, outage: PortError) -> None:
        """
        None, which is not the same as nothing.
        """
        assert self.drain(World(outage=outage)) is None

    def test_is_not_asked_for_where_the_gateway_is_unknown(self) -> None:
        """
        Nobody could answer.
        """
        world = World(controller=None)
        assert self.drain(world) is None
        assert world.asked == []


class TestWarmUp:
    """
    Requests to a candidate before users reach it.
    """

    CHANGES = {  # noqa: RUF012 - never changed
        "serving": {
            **spec_for("2")["serving"],
            "warmUp": {"requests": 3, "path": "/predict", "body": {"configMapKeyRef": {"name": "b", "key": "k"}}},
        }
    }

    def look(self, world: World) -> Observed:
        """
        At a candidate whose pods are ready and which is not warm yet.
        """
        cold = {**in_flight("Preparing")["candidate"], "warm": False, "readySince": stamp(NOW - timedelta(seconds=30))}
        warm_up = parse_changes(self.CHANGES)
        cold["revision"] = warm_up.revision
        world.arms = lambda _key: {  # type: ignore[method-assign]
            name: Arm(revision=name, wanted_replicas=1, pods=1, ready=1) for name in (OLD, warm_up.revision)
        }
        return seen(world, deployment("Preparing", self.CHANGES, candidate=cold, step=None))

    def test_is_sent_to_the_candidate(self) -> None:
        """
        And its reading is seen.
        """
        world = World()
        found = self.look(world)
        assert found.warm_up == WarmUpReading(sent=3, failed=0, p95_seconds=0.1)
        assert world.warmed == [parse_changes(self.CHANGES).revision]

    @pytest.mark.parametrize("outage", OUTAGES, ids=lambda error: type(error).__name__)
    def test_that_cannot_be_sent_has_sent_nothing_and_says_why(self, outage: PortError) -> None:
        """
        Such as a ConfigMap that is not there.
        """
        found = self.look(World(warm_up_outage=outage)).warm_up
        assert found is not None
        assert (found.sent, found.message) == (0, str(outage))


def test_smoke_requests_are_sent_to_a_candidate_that_was_previewed_for_long_enough() -> None:
    """
    And their reading is seen, not taken for a warm-up's.
    """
    smoke = {"requests": 3, "path": "/predict"}
    switch = {"strategy": {"blueGreen": {"preSwitch": {"soak": "10s", "smoke": smoke}}}}
    earlier = stamp(NOW - timedelta(minutes=1))
    preview = {"index": 0, "display": "1/2", "traffic": "0%", "preview": True}
    of = deployment(changes=switch, step={**preview, "enteredAt": earlier, "inPlaceSince": earlier}, evidence=[])
    candidate = of.status.candidate
    assert candidate is not None
    world, names = World(), (OLD, candidate.revision)
    world.arms = lambda _key: {  # type: ignore[method-assign]
        name: Arm(revision=name, wanted_replicas=1, pods=1, ready=1) for name in names
    }
    shares = {OLD: Decimal(100), candidate.revision: Decimal(0)}
    world.state = lambda _key: RouteState(acceptance=Acceptance.ACCEPTED, shares=shares)  # type: ignore[method-assign]
    found = seen(world, of)
    assert (found.smoke, found.warm_up) == (WarmUpReading(sent=3, failed=0, p95_seconds=0.1), None)
    assert world.warmed == [candidate.revision]


def parse_changes(changes: Mapping[str, Any]) -> MLModelDeployment:
    """
    The deployment of such a spec.
    """
    return deployment(changes=changes)
