"""
The order of operations, as a client sees it: real Envoy, API server and operator; pods and gateway controller of the
rig. Pods leave only after requests did, however late the data plane follows and however long a request lasts.
"""

import time
from dataclasses import dataclass
from typing import Any

import pytest
from apiserver.operator_world import ROUTES, spec_of
from rig.load import Streamed
from rig.stories import Told, story
from rig.world import RigWorld, Traffic, timeout

pytestmark = pytest.mark.apiserver

LAG_SECONDS = 25.0  # longer than everything but the drain that would delay a scale-down
STREAM_SECONDS = 60.0  # longer than that and the time counters are looked back on
STREAMS = 6
QUIET_SECONDS = 3.0
LONG_STEP = {
    "canary": {"steps": [{"traffic": "20%"}, {"traffic": "100%"}], "soak": "5m"},
    "scaleDownDelay": "1s",
    "keepRevisions": 0,
}
SCRAPED = {"mode": "GuardrailsOnly", "prometheus": {"delay": "1s"}}


@dataclass(frozen=True, slots=True)
class Ended:
    """
    What the client saw of a rollout, and when the old revision lost its pods.
    """

    bad: dict[str, int]
    last_old: float
    """When the version that left answered last; monotonic seconds, as the next one."""
    shrunk: float
    streams: tuple[Streamed, ...] = ()


def shares(world: RigWorld, wanted: dict[str, int]) -> None:
    """
    The route by hand, as the operator would write it.
    """
    path = world.path(ROUTES, "httproutes", "fraud")
    rules = world.send("GET", path)["spec"]["rules"]
    backends = rules[0]["backendRefs"]
    changed = [{**backend, "weight": wanted[backend["name"]]} for backend in backends]
    patch = {"spec": {"rules": [{**rules[0], "backendRefs": changed}]}}
    world.send("PATCH", path, patch, "application/merge-patch+json")


def scale(world: RigWorld, name: str, replicas: int) -> None:
    """
    A Deployment by hand.
    """
    path = world.path("/apis/apps/v1", "deployments", name)
    world.send("PATCH", path, {"spec": {"replicas": replicas}}, "application/merge-patch+json")


def pods(world: RigWorld, version: str) -> int:
    """
    Servers of the version that are up.
    """
    return sum(pod.server.version == version for pod in world.kubelet.pods.values())


def by_hand(world: RigWorld) -> tuple[dict[str, int], dict[str, int]]:
    """
    A promotion by hand in the operator's order, then one back in the other: what was lost in each.
    """
    old = world.deploy()
    world.apply("2", strategy=LONG_STEP)
    world.until(lambda: 20 in world.shares().values(), "version 2 has a share")
    world.kill()
    (new,) = set(world.shares()) - {old}
    with world.traffic() as traffic:
        shares(world, {old: 0, new: 100})
        time.sleep(QUIET_SECONDS)
        scale(world, old, 0)
        world.until(lambda: pods(world, "1") == 0, "version 1 is gone")
        time.sleep(QUIET_SECONDS)
        right = traffic.bad()
        scale(world, old, 1)
        world.until(lambda: pods(world, "1") == 1, "version 1 is back")
        time.sleep(QUIET_SECONDS)
        scale(world, new, 0)
        world.until(lambda: pods(world, "2") == 0, "version 2 is gone")
        shares(world, {old: 100, new: 0})
        time.sleep(QUIET_SECONDS)
    return right, traffic.bad()


def whole(world: RigWorld) -> Ended:
    """
    A rollout by the operator without any fault, and short streams all along.
    """
    old = world.deploy(traffic=timeout("8s"))
    with world.traffic() as traffic:
        world.apply("2", traffic=timeout("8s"))
        streams = []
        while not world.serves("2"):
            streams.append(world.stream(2))  # far below the request timeout
            time.sleep(1)
        shrunk = until_shrunk(world, old)
        world.until(lambda: sum(map(bool, world.wanted_replicas().values())) == 1, "version 1 is gone")
    return Ended(traffic.bad(), last_answer(traffic, "1", world), shrunk, tuple(s.result(90) for s in streams))


def lagging(world: RigWorld) -> Ended:
    """
    From the second step on the data plane follows the accepted route after a while only.
    """
    old = world.deploy(analysis=SCRAPED)
    with world.traffic() as traffic:
        world.apply("2", analysis=SCRAPED)
        world.until(lambda: 20 in world.shares().values(), "version 2 has a share")
        world.knobs.route_delay_seconds = LAG_SECONDS
        shrunk = until_shrunk(world, old)
        time.sleep(QUIET_SECONDS)
    return Ended(traffic.bad(), last_answer(traffic, "1", world), shrunk)


def lagging_back(world: RigWorld) -> Ended:
    """
    The rollout is aborted, and the data plane goes on giving the candidate its share for a while.
    """
    spec: dict[str, Any] = {"analysis": SCRAPED, "strategy": LONG_STEP}
    old = world.deploy(**spec)
    with world.traffic() as traffic:
        world.apply("2", **spec)
        world.until(lambda: 20 in world.shares().values(), "version 2 has a share")
        time.sleep(QUIET_SECONDS)
        world.knobs.route_delay_seconds = LAG_SECONDS
        (new,) = set(world.shares()) - {old}
        abort = {"modelramp.io/abort": world.status["candidate"]["revision"]}
        world.send("PATCH", world.model_path, {"metadata": {"annotations": abort}}, "application/merge-patch+json")
        world.until(lambda: world.shares()[new] == 0, "the share is taken away")
        taken = time.monotonic()
        shrunk = until_shrunk(world, new)
        time.sleep(QUIET_SECONDS)
    last = last_answer(traffic, "2", world)
    assert last > taken + LAG_SECONDS / 2  # or there was no lag
    return Ended(traffic.bad(), last, shrunk)


def streaming(world: RigWorld) -> Ended:
    """
    Streams of the old version are open when it loses its share, and its pods would not let them end.
    """
    template = spec_of("1")["serving"]["template"]
    impatient = {"port": 8080, "template": {"spec": {**template["spec"], "terminationGracePeriodSeconds": 6}}}
    spec: dict[str, Any] = {"analysis": SCRAPED, "traffic": timeout("120s")}
    old = world.deploy(serving=impatient, **spec)
    with world.traffic() as traffic:
        template = spec_of("2")["serving"]["template"]
        impatient = {"port": 8080, "template": {"spec": {**template["spec"], "terminationGracePeriodSeconds": 6}}}
        world.apply("2", serving=impatient, **spec)
        world.until(lambda: 20 in world.shares().values(), "version 2 has a share")
        streams = [world.stream(STREAM_SECONDS) for _ in range(STREAMS)]
        shrunk = until_shrunk(world, old)
    ended = tuple(s.result(2 * STREAM_SECONDS) for s in streams)
    return Ended(traffic.bad(), last_answer(traffic, "1", world), shrunk, ended)


def until_shrunk(world: RigWorld, name: str) -> float:
    """
    When the Deployment was asked for no pods; monotonic seconds.
    """
    return world.until(lambda: world.wanted_replicas().get(name, 0) == 0, "version 1 loses its pods", 150)


def last_answer(traffic: Traffic, version: str, world: RigWorld) -> float:
    """
    When the version answered last; monotonic seconds.
    """
    assert not world.failures
    return traffic.began + traffic.counts().last_answer[version]


story("lagging", lagging, metrics=True)
story("lagging back", lagging_back, metrics=True)
story("streaming", streaming, metrics=True)
story("by hand", by_hand)
story("whole", whole)


def test_route_first_loses_nothing_and_pods_first_loses_requests(told: Told) -> None:
    """By hand in both orders: were the second nothing, the zeros of the other tests would prove nothing."""
    right, wrong = told("by hand")
    assert right == {}
    assert wrong.get("-/503", 0) >= 1


def test_a_whole_rollout_loses_no_request_and_no_stream(told: Told) -> None:
    """In the operator's own hands."""
    ended: Ended = told("whole")
    assert ended.bad == {}
    assert len(ended.streams) >= 5
    assert {stream.ending for stream in ended.streams} == {"whole"}
    assert {stream.version for stream in ended.streams} == {"1", "2"}


@pytest.mark.parametrize("name", ["lagging", "lagging back"])
def test_scaling_down_waits_for_a_data_plane_that_lags(told: Told, name: str) -> None:
    """The route is accepted at once, and followed much later: at a promotion and at a rollback."""
    ended: Ended = told(name)
    assert ended.bad == {}
    assert ended.shrunk > ended.last_old


def test_scaling_down_waits_for_open_streams(told: Told) -> None:
    """Long after the last request began."""
    ended: Ended = told("streaming")
    assert ended.bad == {}
    assert {stream.ending for stream in ended.streams} == {"whole"}
    old = [stream for stream in ended.streams if stream.version == "1"]
    assert old
    assert ended.shrunk > max(stream.ended_at for stream in old) > ended.last_old + QUIET_SECONDS
