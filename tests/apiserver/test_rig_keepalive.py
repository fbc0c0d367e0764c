"""
A plain Service splits connections, not requests: what clients do that keep theirs, and somebody who ties them to a pod.

The API server, its EndpointSlices, the operator, Prometheus and HTTP are real; a node's proxy is played, which chooses
a pod for each new connection.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import pytest
from apiserver.operator_world import MERGE, spec_of
from rig.load import Load
from rig.stories import Told, story
from rig.world import COUNTED_BY_PODS, RigWorld

pytestmark = pytest.mark.apiserver

REPLICAS: Final = 3
RATE: Final = 40.0
EDITOR: Final = "kubectl-edit"
QUARTER: Final[dict[str, Any]] = {
    "canary": {
        "steps": [{"traffic": "25%"}, {"traffic": "100%"}],
        "soak": "1s",
        "stepDeadline": "40s",
        "blastRadius": "20%",
    },
    "scaleDownDelay": "1s",
    "keepRevisions": 0,
}


def plain(version: str) -> dict[str, Any]:
    """
    Sections of a spec: three pods behind a plain Service, a quarter for the next version, counted by the pods.
    """
    return {
        "traffic": {"service": {"drain": "3s"}},
        "serving": {**spec_of(version)["serving"], "replicas": REPLICAS},
        "strategy": QUARTER,
        "analysis": COUNTED_BY_PODS,
    }


@dataclass(frozen=True, slots=True)
class Split:
    """
    A step under load, while it was held or when it had ended.
    """

    wanted: str | None
    programmed: str | None
    observed: str | None
    condition: dict[str, Any]
    """TrafficSplitMismatch; empty: there is none."""
    phase: str
    versions: dict[str | None, int]
    """Answers by version, from the candidate's first connection on."""
    connections: int
    """Opened in that time."""
    bad: dict[str, int]


def served(world: RigWorld) -> None:
    """
    Version 1 is stable.
    """
    world.apply("1", **plain("1"))
    world.start()
    world.until(lambda: world.serves("1") and len(world.node.endpoints) == REPLICAS, "version 1 serves")


def split(*, keeps_alive: bool) -> Callable[[RigWorld], Split]:
    """
    Clients have connections when the candidate's pod joins; the servers keep them, or close each after its answer.
    """

    def play(world: RigWorld) -> Split:
        world.kubelet.keeps_alive = keeps_alive
        served(world)
        with world.load(Load(world.node.port, RATE)) as traffic:
            time.sleep(3)
            world.apply("2", **plain("2"))
            world.until(lambda: len(world.node.endpoints) == REPLICAS + 1, "version 2 has a pod behind the Service")
            before, opened = traffic.counts().answers, world.node.opened
            world.until(lambda: world.condition("TrafficSplitMismatch") or at_the_end(world), "it is held, or passed")
            told, condition = dict(world.status.get("traffic") or {}), dict(world.condition("TrafficSplitMismatch"))
            world.until(lambda: at_the_end(world), "the step ends")
            answers = {
                version: count - before.get((version, code), 0)
                for (version, code), count in traffic.counts().answers.items()
            }
            return Split(
                told.get("wanted"),
                told.get("programmed"),
                told.get("observed"),
                condition,
                world.status["phase"],
                answers,
                world.node.opened - opened,
                traffic.bad(),
            )

    return play


def at_the_end(world: RigWorld) -> bool:
    """
    The step is over.
    """
    return world.status["phase"] in {"Paused", "Failed"} or world.serves("2")


@dataclass(frozen=True, slots=True)
class Tied:
    """
    What is told after somebody tied clients to pods, and what was routed.
    """

    at_rest: dict[str, Any]
    """TrafficProgrammed before the next version."""
    begun: str
    """The affinity once that one is in its first step: by then the Service was written."""
    status: dict[str, Any]
    """Some time after they were tied again, in that step."""
    end: str
    """The version that serves once nobody ties them any more."""


def tied(world: RigWorld) -> Tied:
    """
    By the Service's session affinity, at rest and in a step, and then away with it.
    """
    path = world.path("/api/v1", "services", "fraud")

    def tie(affinity: str) -> None:
        fields = {"sessionAffinity": affinity, "sessionAffinityConfig": None}
        world.send("PATCH", f"{path}?fieldManager={EDITOR}", {"spec": fields}, MERGE)

    def contested() -> bool:
        return world.condition("TrafficProgrammed")["reason"] == "RouteConflict"

    served(world)
    tie("ClientIP")
    world.until(contested, "the conflict is told")
    at_rest = dict(world.condition("TrafficProgrammed"))
    slow = {**QUARTER, "canary": {**QUARTER["canary"], "soak": "15s"}}
    world.apply("2", **{**plain("2"), "strategy": slow, "analysis": {"mode": "GuardrailsOnly"}})
    world.until(lambda: "inPlaceSince" in (world.status.get("step") or {}), "the first step is in place")
    begun = world.send("GET", path)["spec"]["sessionAffinity"]
    tie("ClientIP")
    world.until(lambda: world.status["phase"] == "Paused", "it is held")
    time.sleep(20)  # longer than the step's soak
    status = dict(world.status)
    tie("None")
    world.until(lambda: world.serves("2"), "it goes on")
    return Tied(at_rest, begun, status, world.status["stable"]["version"])


story("kept alive", split(keeps_alive=True), metrics=True)
story("one request each", split(keeps_alive=False), metrics=True)
story("tied", tied)


def test_clients_that_keep_their_connections_are_told_apart_from_the_pods_share(told: Told) -> None:
    """A quarter of the pods and none of the requests: both are shown, the step is held, and nothing is promoted."""
    found: Split = told("kept alive")
    assert (found.wanted, found.programmed) == ("25%", "25%")
    assert found.observed is not None
    assert float(found.observed.removesuffix("%")) < 25 / 2
    assert (found.condition["status"], found.condition["reason"]) == ("True", "TrafficSplitMismatch")
    assert found.versions["1"] > 100
    assert found.phase == "Paused"
    assert found.bad == {}


def test_clients_that_connect_anew_reach_the_pods_share(told: Told) -> None:
    """The same with a connection for each request: a quarter is counted, and it is promoted."""
    found: Split = told("one request each")
    assert found.condition == {}
    assert found.versions["2"] > 50
    assert found.connections > 200
    assert found.phase == "Stable"
    assert found.bad == {}


def test_session_affinity_is_refused_by_the_fields_name(told: Told) -> None:
    """At rest it is told and taken back by the next write; in a step it holds, and that goes on once it is undone."""
    found: Tied = told("tied")
    writer = f"{EDITOR}, who set spec.sessionAffinity to ClientIP"
    assert (found.at_rest["status"], writer in found.at_rest["message"]) == ("False", True), found.at_rest
    assert found.begun == "None"
    status = found.status
    assert (status["phase"], status["reason"], status["step"]["traffic"]) == ("Paused", "RouteConflict", "25%")
    assert writer in status["message"]
    assert found.end == "2"
