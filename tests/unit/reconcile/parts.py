"""
What the tests of the shell are made of: a cycle on the cluster in memory, objects in a given state, a clock.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Any

from fakes.comparators import FakeComparators
from fakes.kubernetes import FakeCluster, FakeRoute, FakeWorkload
from fakes.metrics import FakeMetrics

from modelramp.analysis import MetricEvidence, Wealth
from modelramp.api.document import parse_spec, revision_of, traffic_hash
from modelramp.api.spec import MLModelDeploymentSpec, WarmUp
from modelramp.ports import Key, Owner, PodTimes
from modelramp.reconcile.cycle import Cycle
from modelramp.reconcile.execute import Hands
from modelramp.reconcile.observe import Eyes
from modelramp.rollout.observed import Acceptance, Arm, RouteState, WarmUpReading
from modelramp.rollout.plan import SetTraffic

KEY = Key("ml", "fraud")
BEGIN = datetime(2026, 1, 1, 12, tzinfo=UTC)


def spec_for(version: str = "1", **changes: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    """
    A small spec, judged by errors that are known to be independent; `changes` replace whole sections.
    """
    return {
        "model": {"version": version},
        "serving": {"port": 8080, "template": {"spec": {"containers": [{"name": "m", "image": f"i:{version}"}]}}},
        "traffic": {"gatewayAPI": {"parentRefs": [{"name": "gw"}]}},
        "analysis": {"metrics": [{"preset": "errors"}], "overdispersion": "1"},
        **changes,
    }


@cache
def revision_for(version: str) -> str:
    """
    The revision of such a spec.
    """
    return revision_of(parsed(spec_for(version)))


@cache
def hash_for(version: str) -> str:
    """
    What its route is written for.
    """
    return traffic_hash(parsed(spec_for(version)))


def parsed(spec: Mapping[str, Any]) -> MLModelDeploymentSpec:
    """
    The spec as the core sees it.
    """
    return parse_spec({"metadata": {"name": KEY.name}, "spec": spec})


def stamp(at: datetime) -> str:
    """
    As stored in a status.
    """
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def opened(name: str) -> dict[str, Any]:
    """
    Fresh evidence of one metric, as stored.
    """
    return {"name": name, "state": dict(MetricEvidence.begin(Wealth(0.5, 0.01, 0.005)).to_state())}


def in_flight(phase: str, share: str = "50%", **changes: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    """
    The status of a rollout of version 2 over version 1, whose evidence was opened and counts nothing yet.
    """
    earlier = stamp(BEGIN - timedelta(minutes=2))
    return {
        "observedGeneration": 1,
        "phase": phase,
        "phaseSince": earlier,
        "reason": "CandidateReady",
        "message": "",
        "stable": {"revision": revision_for("1"), "version": "1", "since": earlier},
        "candidate": {
            "revision": revision_for("2"),
            "version": "2",
            "since": earlier,
            "readySince": earlier,
            "readyPods": 1,
            "warm": True,
        },
        "step": {"index": 2, "display": "3/4", "traffic": share, "enteredAt": earlier, "inPlaceSince": earlier},
        "evidence": [opened("errors")],
        **changes,
    }


@dataclass
class SetClock:
    """
    Stands where it was set.
    """

    at: datetime = BEGIN

    def now(self) -> datetime:
        """
        The instant.
        """
        return self.at

    def pass_seconds(self, seconds: float) -> None:
        """
        Go on.
        """
        self.at += timedelta(seconds=seconds)


class HashedRoutes:
    """
    The cluster's routes, which also remember what of the spec they were written for.
    """

    def __init__(self, cluster: FakeCluster) -> None:
        self._cluster = cluster
        self.written_for: str | None = None

    def state(self, key: Key) -> RouteState:
        found = self._cluster.routes.state(key)
        return RouteState(
            acceptance=found.acceptance,
            shares=found.shares,
            message=found.message,
            contested_by=found.contested_by,
            controller=found.controller,
            traffic_hash=self.written_for,
        )

    async def set_traffic(self, owner: Owner, spec: MLModelDeploymentSpec, effect: SetTraffic) -> None:
        await self._cluster.routes.set_traffic(owner, spec, effect)
        self.written_for = traffic_hash(spec)

    async def drop_former(self, owner: Owner) -> None:
        await self._cluster.routes.drop_former(owner)


class NoWarmUps:
    """
    Nobody asks for one.
    """

    async def send(self, key: Key, revision: str, warm_up: WarmUp) -> WarmUpReading:
        raise AssertionError(f"no warm-up was asked for: {key} {revision} {warm_up}")


@dataclass
class Shell:
    """
    One object, its cluster and its cycle.
    """

    cluster: FakeCluster = field(default_factory=FakeCluster)
    clock: SetClock = field(default_factory=SetClock)
    metrics: FakeMetrics = field(default_factory=FakeMetrics)
    moves: list[str] = field(default_factory=list)
    cycle_type: type[Cycle] = Cycle

    def __post_init__(self) -> None:
        self.routes = HashedRoutes(self.cluster)
        self.comparators = FakeComparators()
        self.restart()

    def restart(self) -> None:
        """
        A new process: nothing it knew is left.
        """
        self.cycle = self.cycle_type(
            deployments=self.cluster.deployments,
            eyes=Eyes(
                workloads=self.cluster.workloads,
                routes=self.routes,
                comparators=self.comparators,
                metrics=self.metrics,
                warm_ups=NoWarmUps(),
            ),
            hands=Hands(workloads=self.cluster.workloads, routes=self.routes, comparators=self.comparators),
            events=self.cluster.events,
            clock=self.clock,
            moved=self.moves.append,
        )

    def remember(self, status: Mapping[str, Any]) -> None:
        """
        The object has this status.
        """
        document = self.cluster.documents[KEY]
        version = {"resourceVersion": str(next(self.cluster.versions))}
        self.cluster.documents[KEY] = {
            **document,
            "metadata": {**document["metadata"], **version},
            "status": dict(status),
        }
        self.cluster.catch_up()

    def in_rollout(
        self,
        phase: str,
        share: str = "50%",
        given: str | None = None,
        **changes: Any,  # noqa: ANN401 - JSON
    ) -> "Shell":
        """
        Version 2 is being rolled out over version 1; the route gives it `given`, None: the share of its step.
        """
        owner = self.cluster.put(KEY, spec_for("2"))
        self.remember(in_flight(phase, share, **changes))
        for version, role in (("1", "stable"), ("2", "candidate")):
            self.cluster.revisions.setdefault(KEY, {})[revision_for(version)] = FakeWorkload(
                owner_uid=owner.uid, replicas=1, role=role
            )
        self.cluster.settle(KEY)
        percent = Decimal((given or share).removesuffix("%"))
        shares = {revision_for("1"): 100 - percent, revision_for("2"): percent}
        self.cluster.route_objects[KEY] = FakeRoute(
            owner_uid=owner.uid, version=next(self.cluster.versions), shares=shares, accepted=1
        )
        self.routes.written_for = hash_for("2")
        self.cluster.catch_up()
        return self

    def enters_first_step(self) -> "Shell":
        """
        Version 2 is to get its first 5 %, and is listed at 0 yet.

        Of all memories this is the most dangerous one to read late: once the candidate is taken out again, the route
        looks as it did then, so that nothing of it has to be written before the share would be raised.
        """
        step = {"index": 0, "display": "1/4", "traffic": "5%", "enteredAt": stamp(BEGIN)}
        return self.in_rollout("Progressing", "5%", given="0%", step=step)

    @property
    def status(self) -> Mapping[str, Any]:
        """
        As stored.
        """
        found: Mapping[str, Any] = self.cluster.documents[KEY].get("status", {})
        return found

    @property
    def share(self) -> float:
        """
        What the stored route gives version 2, in percent.
        """
        return float(self.cluster.route_objects[KEY].shares.get(revision_for("2"), 0))

    def condition(self, kind: str) -> Mapping[str, Any]:
        """
        One condition of the stored status.
        """
        found: Mapping[str, Any] = next(c for c in self.status["conditions"] if c["type"] == kind)
        return found


class HalfAndHalf:
    """
    Versions 1 and 2 with a pod each, and a route that gives half to each.
    """

    def arms(self, _key: Key) -> Mapping[str, Arm]:
        return {name: Arm(revision=name, wanted_replicas=1, pods=1, ready=1) for name in map(revision_for, "12")}

    def pod_times(self, _key: Key) -> PodTimes:
        return PodTimes(born={}, started={})

    def state(self, _key: Key) -> RouteState:
        shares = {name: Decimal(50) for name in map(revision_for, "12")}
        return RouteState(acceptance=Acceptance.ACCEPTED, shares=shares)
