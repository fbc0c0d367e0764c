"""
The operator's own process against a real API server; nodes and gateway are played.
"""

import copy
import random
import signal
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from apiserver.operator_world import OperatorWorld, eventually, spec_of
from apiserver.server import CRD_PATH, ApiServer
from apiserver.worlds import opened

from modelramp.api.crd import CRD_NAME, custom_resource_definition

pytestmark = pytest.mark.apiserver

IDLE_SECONDS = 20
CHILDREN = (
    ("/apis/apps/v1", "deployments"),
    ("/apis/apps/v1", "replicasets"),
    ("/api/v1", "services"),
    ("/api/v1", "pods"),
    ("/apis/gateway.networking.k8s.io/v1", "httproutes"),
)


@pytest.fixture
def world(served: ApiServer, tmp_path: Path) -> Iterator[OperatorWorld]:
    """
    A namespace with players, without an operator yet.
    """
    with opened(OperatorWorld, served, "operator", tmp_path) as found:
        yield found


def deployed(world: OperatorWorld) -> None:
    """
    Version 1 is applied, and stable.
    """
    world.apply("1")
    world.start()
    eventually(lambda: world.serves("1"), "version 1 is stable")


def cycles(world: OperatorWorld) -> float:
    """
    How many cycles the operator has made, by its own count.
    """
    with urllib.request.urlopen(f"http://127.0.0.1:{world.port}/metrics", timeout=5) as page:
        lines = page.read().decode().splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith("modelramp_cycles_total"))


def outcomes(world: OperatorWorld) -> list[tuple[str, str]]:
    """
    Version and outcome of every rollout that ended.
    """
    return [(entry["version"], entry["outcome"]) for entry in world.status["history"]]


def settled(world: OperatorWorld) -> bool:
    """
    One Deployment asks for pods, and everything goes there; the revision before is kept without any.
    """
    deployments, services = (world.items(api, plural) for api, plural in (CHILDREN[0], CHILDREN[2]))
    serving = [one for one in deployments if one["spec"]["replicas"] > 0]
    kept = world.status.get("kept", [])
    as_known = len(deployments) == len(services) == len(serving) + len(kept)
    return as_known and len(serving) == len([w for w in world.shares().values() if w]) == len(world.shares())


def test_a_version_is_deployed_and_the_next_one_rolled_out_and_then_nothing_is_written(world: OperatorWorld) -> None:
    """
    The whole way; afterwards neither a write nor a cycle for a minute.
    """
    deployed(world)
    world.apply("2")
    eventually(lambda: world.serves("2"), "version 2 is stable")
    eventually(lambda: settled(world), "version 1 is gone")
    assert outcomes(world) == [("1", "Promoted"), ("2", "Promoted")]
    time.sleep(5)
    before = world.versions(), cycles(world)
    time.sleep(IDLE_SECONDS)
    assert (world.versions(), cycles(world)) == before


def test_a_crashing_version_is_rolled_back_though_the_operator_is_killed(world: OperatorWorld) -> None:
    """
    Kill -9 again and again: the same end, the share never comes back, and each transition is one Event.
    """
    deployed(world)
    stable = next(iter(world.shares()))
    world.apply("2")
    eventually(lambda: world.status.get("step"), "version 2 has a share")
    eventually(lambda: len([w for w in world.shares().values() if w]) == 2, "the route gives it")
    world.kill()
    world.crashing.add("registry.example/fraud:2")
    chance, returned, taken = random.Random(7), False, False
    for _ in range(6):
        world.start()
        until = time.monotonic() + chance.uniform(1.5, 4)
        while time.monotonic() < until:
            share = sum(weight for name, weight in world.shares().items() if name != stable)
            returned, taken = returned or (taken and share > 0), taken or share == 0
            time.sleep(0.05)
        world.kill()
    world.start()
    eventually(lambda: world.status["phase"] == "Failed", "version 2 is rejected")
    eventually(lambda: settled(world), "version 2 is gone")
    assert taken
    assert not returned
    assert outcomes(world)[-1] == ("2", "RolledBack")
    rejected = [(rejection["version"], rejection["reason"]) for rejection in world.status["rejected"]]
    assert rejected == [("2", "CandidateCrashLooping")]
    events = Counter(
        (event["reason"], event["note"]) for event in world.items("/apis/events.k8s.io/v1", "events")
        if event["regarding"]["kind"] == "MLModelDeployment"
    )  # fmt: skip
    assert set(events.values()) == {1}


def test_a_good_version_is_promoted_though_the_operator_is_killed(world: OperatorWorld) -> None:
    """
    Between all states; the end is the same as without.
    """
    deployed(world)
    world.kill()
    world.apply("2")
    chance = random.Random(11)
    for _ in range(7):
        world.start()
        time.sleep(chance.uniform(1.5, 4.5))
        world.kill()
    world.start()
    eventually(lambda: world.serves("2"), "version 2 is stable")
    eventually(lambda: settled(world), "version 1 is gone")
    assert outcomes(world) == [("1", "Promoted"), ("2", "Promoted")]


def test_what_was_created_goes_with_the_object_while_the_operator_is_down(world: OperatorWorld) -> None:
    """
    Also in the middle of a rollout; and the operator that comes back makes nothing anew.
    """
    deployed(world)
    world.apply("2")
    eventually(lambda: world.status.get("step"), "version 2 has a share")
    world.kill()
    world.send("DELETE", world.model_path)
    eventually(lambda: not any(world.items(*kind) for kind in CHILDREN), "everything owned is collected")
    world.start()
    time.sleep(8)
    assert [world.items(*kind) for kind in CHILDREN] == [[]] * len(CHILDREN)


def test_a_pod_template_that_the_api_server_refuses_is_told_and_can_be_corrected(world: OperatorWorld) -> None:
    """
    Our schema does not know every rule of pods.
    """
    twice = {"name": "model", "image": "registry.example/fraud:1"}
    world.apply("1", serving={"port": 8080, "template": {"spec": {"containers": [twice, twice]}}})
    world.start()
    eventually(lambda: world.condition("Accepted").get("reason") == "EffectRefused", "the refusal is told", 30)
    assert "containers: duplicate entries" in world.condition("Accepted")["message"]
    eventually(lambda: world.items("/api/v1", "services") == [], "the Service that was of no use is gone", 10)
    world.apply("1")
    eventually(lambda: world.serves("1"), "the corrected version is stable")
    assert world.condition("Accepted")["status"] == "True"


def test_an_object_that_only_the_parser_refuses_is_answered(world: OperatorWorld, served: ApiServer) -> None:
    """
    A definition of another version may let it pass: it is told, and nothing is made.
    """
    path = f"{CRD_PATH}/{CRD_NAME}?fieldManager=modelramp-tests&force=true"
    lax = copy.deepcopy(custom_resource_definition())
    spec: dict[str, Any] = lax["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
    del spec["automation"]["x-kubernetes-validations"]
    world.send("PATCH", path, lax, "application/apply-patch+yaml")
    try:
        wrong = {"degree": "Full", "autoUpTo": "5%"}
        trial = {**spec_of("1"), "automation": wrong}
        body = {"apiVersion": "modelramp.io/v1alpha1", "kind": "MLModelDeployment", "metadata": {"name": "probe"}}
        everything = f"/apis/modelramp.io/v1alpha1/namespaces/{world.namespace}/mlmodeldeployments?dryRun=All"
        eventually(lambda: served.send("POST", everything, {**body, "spec": trial}).status == 201, "it is lax", 20)
        world.apply("1", automation=wrong)
    finally:
        world.send("PATCH", path, custom_resource_definition(), "application/apply-patch+yaml")
        eventually(lambda: served.send("POST", everything, {**body, "spec": trial}).status == 422, "it is strict", 20)
    world.start()
    eventually(lambda: world.condition("Accepted").get("status") == "False", "the problem is told", 30)
    accepted = world.condition("Accepted")
    assert accepted["reason"] == "InvalidSpec"
    assert accepted["message"].startswith("spec.automation: ")
    assert not any(world.items(*kind) for kind in CHILDREN)


def test_a_termination_signal_ends_it_soon_and_gives_the_lease_away(world: OperatorWorld) -> None:
    """
    So that the next one leads at once.
    """
    deployed(world)
    began = time.monotonic()
    assert world.kill(signal.SIGTERM) == 0
    assert time.monotonic() - began < 10
    lease = world.send("GET", world.path("/apis/coordination.k8s.io/v1", "leases", "modelramp"))
    assert not lease["spec"].get("holderIdentity")
