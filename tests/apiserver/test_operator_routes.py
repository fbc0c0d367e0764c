"""
Whole rollouts through routes that are not the operator's, by its own process against a real API server.
"""

import json
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from apiserver.operator_world import ROUTES, OperatorWorld, eventually
from apiserver.server import ApiServer

pytestmark = pytest.mark.apiserver

RULES: list[dict[str, Any]] = [
    {
        "matches": [{"path": {"type": "PathPrefix", "value": "/score"}}],
        "timeouts": {"request": "7s"},
        "backendRefs": [
            {"group": "", "kind": "Service", "name": "rules", "port": 80, "weight": 20},
            {"group": "", "kind": "Service", "name": "fraud", "port": 8000, "weight": 80},
        ],
    },
    {
        "matches": [{"path": {"type": "PathPrefix", "value": "/static"}}],
        "backendRefs": [{"group": "", "kind": "Service", "name": "files", "port": 80, "weight": 1}],
    },
]
ADOPTING = {"gatewayAPI": {"routeRef": {"name": "shop", "backend": "fraud"}, "requestTimeout": "1s"}}


@pytest.fixture
def world(served: ApiServer, tmp_path: Path) -> Iterator[OperatorWorld]:
    """
    A namespace with players and somebody's route, without an operator yet.
    """
    found = OperatorWorld(served, f"adopted-{time.time_ns() % 10**10}", tmp_path)
    found.open()
    metadata = {"name": "shop", "namespace": found.namespace, "annotations": {"team": "shop"}}
    body = {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": metadata}
    spec = {"parentRefs": [{"name": "gw"}], "rules": RULES}
    found.send("POST", f"{found.path(ROUTES, 'httproutes')}?fieldManager=argocd-controller", {**body, "spec": spec})
    try:
        yield found
    finally:
        found.send("DELETE", found.path(ROUTES, "httproutes", "shop"))
        model = found.server.send("GET", found.model_path, None)
        if model.status == 200:
            patch = {"metadata": {"finalizers": []}}
            found.server.send("PATCH", found.model_path, patch, "application/merge-patch+json")
        found.close()
        sys.stderr.write(f"{found.failures[-3:]}\n{found.log()[-6000:]}")  # shown with a failure


def shop(world: OperatorWorld) -> dict[str, Any]:
    return world.send("GET", world.path(ROUTES, "httproutes", "shop"))


def weights(world: OperatorWorld) -> dict[str, int]:
    return {backend["name"]: backend["weight"] for backend in shop(world)["spec"]["rules"][0]["backendRefs"]}


def foreign(world: OperatorWorld) -> str:
    """
    Everything of the rules that the operator has no business with.
    """
    rules = shop(world)["spec"]["rules"]
    for rule in rules:
        rule["backendRefs"] = [one for one in rule["backendRefs"] if not one["name"].startswith("fraud")]
    return json.dumps(rules)


def test_a_rollout_in_somebodys_route_leaves_it_as_it_was(world: OperatorWorld) -> None:
    """
    A canary goes through it; after the object's end, which waits for an operator that is away, it is as it was.
    """
    before, others = shop(world), foreign(world)
    world.apply("1", traffic=ADOPTING)
    world.start()
    eventually(lambda: world.serves("1"), "version 1 is stable")
    assert sorted(weights(world).values()) == [20, 80]
    world.apply("2", traffic=ADOPTING)
    eventually(lambda: sorted(weights(world).values()) == [16, 20, 64], "version 2 has a fifth")
    assert foreign(world) == others
    eventually(lambda: world.serves("2"), "version 2 is stable")
    eventually(lambda: sorted(weights(world).values()) == [20, 80], "version 1 is not listed any more")
    assert foreign(world) == others
    assert world.send("GET", world.model_path)["metadata"]["finalizers"] == ["modelramp.io/restore-route"]
    world.kill(signal.SIGTERM)
    world.send("DELETE", world.model_path)
    assert world.send("GET", world.model_path)["metadata"]["deletionTimestamp"]
    world.start()
    eventually(lambda: world.server.send("GET", world.model_path, None).status == 404, "the object is gone")
    after = shop(world)
    assert json.dumps(after["spec"]) == json.dumps(before["spec"])
    assert after["metadata"]["annotations"] == before["metadata"]["annotations"]


def test_who_keeps_undoing_is_named_and_the_rollout_waits(world: OperatorWorld) -> None:
    """
    A controller writes the whole rules every few seconds: it is named with what ends it, and the writes end.
    """
    world.apply("1", traffic=ADOPTING)
    world.start()
    eventually(lambda: world.serves("1"), "version 1 is stable")
    path = f"{world.path(ROUTES, 'httproutes', 'shop')}?fieldManager=argocd-controller"

    def undone() -> bool:
        if "fraud" not in weights(world):
            world.send("PATCH", path, {"spec": {"rules": RULES}}, "application/merge-patch+json")
        return world.condition("TrafficProgrammed").get("reason") == "RouteConflict"

    eventually(undone, "the conflict is told")
    message = world.condition("TrafficProgrammed")["message"]
    assert "argocd-controller" in message
    assert "RespectIgnoreDifferences=true" in message
    version = shop(world)["metadata"]["generation"]
    world.apply("2", traffic=ADOPTING)
    time.sleep(8)
    assert shop(world)["metadata"]["generation"] == version
    assert "fraud" in weights(world)


def test_a_weight_that_cannot_be_divided_is_told_on_the_object(world: OperatorWorld) -> None:
    """
    With the remedy, before anything is written; after it is applied the object goes on by itself.
    """
    path = f"{world.path(ROUTES, 'httproutes', 'shop')}?fieldManager=argocd-controller"
    coarse = json.loads(json.dumps(RULES).replace('"weight": 80', '"weight": 4').replace('"weight": 20', '"weight": 1'))
    world.send("PATCH", path, {"spec": {"rules": coarse}}, "application/merge-patch+json")
    world.apply("1", traffic=ADOPTING)
    world.start()
    eventually(lambda: world.condition("Accepted").get("status") == "False", "the object says so")
    told = world.condition("Accepted")["message"]
    assert "multiply all weights of that rule by 5" in told
    assert weights(world) == {"rules": 1, "fraud": 4}
    world.send("PATCH", path, {"spec": {"rules": RULES}}, "application/merge-patch+json")
    eventually(lambda: world.serves("1"), "version 1 is stable")
    assert world.condition("Accepted")["status"] == "True"
