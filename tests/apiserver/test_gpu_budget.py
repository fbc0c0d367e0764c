"""
GPUs on fake nodes of a real API server: a rollout by Swap never takes more than its budget, counted every tenth of a
second from outside; Full is refused with its reason where it does not fit.
"""

import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from apiserver.operator_world import MERGE, NODE, OperatorWorld, eventually
from apiserver.server import ApiServer
from apiserver.worlds import opened

pytestmark = pytest.mark.apiserver

GPU: Final = "nvidia.com/gpu"
GPUS: Final = 4
LINGERS_SECONDS: Final = 1.5
SAMPLE_SECONDS: Final = 0.1
UNREADY: Final = {"type": "Ready", "status": "Unknown"}  # so that the node looks at the pod again
FINISHED: Final = {"Succeeded", "Failed"}


class GpuWorld(OperatorWorld):
    """
    One node with four GPUs, a scheduler that gives them out, and pods that need a moment to end.
    """

    def __init__(self, server: ApiServer, namespace: str, folder: Path) -> None:
        super().__init__(server, namespace, folder)
        self._leaving: dict[str, float] = {}

    def _pods(self, server: ApiServer) -> list[dict[str, Any]]:
        found = server.send("GET", self.path("/api/v1", "pods"), None).body.get("items", ())
        return [pod for pod in found if pod["status"].get("phase") not in FINISHED]

    def _play_kubelet(self, pod: dict[str, Any]) -> None:
        metadata = pod["metadata"]
        if "deletionTimestamp" in metadata:
            since = self._leaving.setdefault(metadata["uid"], time.monotonic())
            if time.monotonic() - since < LINGERS_SECONDS:
                return
        elif not pod["spec"].get("nodeName") and self._placed() + gpus(pod) > GPUS:
            self._cannot_place(metadata["name"])
            return
        super()._play_kubelet(pod)

    def _placed(self) -> int:
        return sum(gpus(pod) for pod in self._pods(self._own) if pod["spec"].get("nodeName") == NODE)

    def _cannot_place(self, name: str) -> None:
        condition = {
            "type": "PodScheduled",
            "status": "False",
            "reason": "Unschedulable",
            "message": f"0/1 nodes are available: 1 Insufficient {GPU}",
        }
        path = self.path("/api/v1", "pods", name)
        self._own.send("PATCH", f"{path}/status", {"status": {"conditions": [condition]}}, MERGE)


def gpus(pod: dict[str, Any]) -> int:
    """
    What the pod takes.
    """
    return sum(int(one.get("resources", {}).get("limits", {}).get(GPU, 0)) for one in pod["spec"]["containers"])


class Sampler(threading.Thread):
    """
    Counts what all pods of the namespace take, and how many of stable are ready, ten times a second.
    """

    def __init__(self, world: GpuWorld) -> None:
        super().__init__(daemon=True)
        self._server = ApiServer(world.server.kubeconfig)
        self._world, self._done = world, threading.Event()
        self.samples: list[int] = []
        self.running: list[int] = []

    def run(self) -> None:
        """
        Until it is told to end.
        """
        while not self._done.wait(SAMPLE_SECONDS):
            pods = self._world._pods(self._server)
            self.samples.append(sum(gpus(pod) for pod in pods))
            staying = [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]
            ready = [c for pod in staying for c in pod["status"].get("conditions", ()) if c["type"] == "Ready"]
            self.running.append(sum(condition["status"] == "True" for condition in ready))

    def end(self) -> None:
        """
        Stop counting.
        """
        self._done.set()
        self.join(10)
        self._server.close()


@pytest.fixture
def world(served: ApiServer, tmp_path: Path) -> Iterator[GpuWorld]:
    """
    A namespace with players, without an operator yet.
    """
    with opened(GpuWorld, served, "gpus", tmp_path) as found:
        yield found


def serving(version: str, surge: str, replicas: int = GPUS, limit: int | None = GPUS) -> dict[str, Any]:
    """
    Pods of one GPU each, given out by the world's own scheduler.
    """
    model = {"name": "model", "image": f"registry.example/fraud:{version}", "resources": {"limits": {GPU: 1}}}
    capacity: dict[str, Any] = {"surge": surge, **({"budget": {"limit": limit}} if limit else {})}
    template = {"spec": {"containers": [model], "schedulerName": "of-the-test"}}
    return {"serving": {"port": 8080, "replicas": replicas, "capacity": capacity, "template": template}}


def deployed(world: GpuWorld, surge: str, replicas: int = GPUS) -> None:
    """
    Version 1 is stable at its full size.
    """
    world.apply("1", **serving("1", surge, replicas))
    world.start()
    eventually(lambda: world.serves("1"), "version 1 is stable")


def test_swap_never_takes_more_than_the_budget(world: GpuWorld) -> None:
    """
    Four pods of one GPU each on four GPUs, to the next version and back to full size: at no sampled instant more.
    """
    deployed(world, "Swap")
    sampler = Sampler(world)
    sampler.start()
    try:
        world.apply("2", **serving("2", "Swap"))
        eventually(lambda: world.serves("2"), "version 2 is stable")
        eventually(
            lambda: sum(one["spec"]["replicas"] > 0 for one in world.items("/apis/apps/v1", "deployments")) == 1,
            "version 1 is gone",
        )
        eventually(lambda: sampler.running[-1] == GPUS, "version 2 has all its pods")
    finally:
        sampler.end()
    sys.stderr.write(f"{len(sampler.samples)} samples, at most {max(sampler.samples)} of {GPUS} GPUs\n")
    assert len(sampler.samples) > 50
    assert max(sampler.samples) == GPUS
    assert min(sampler.running) >= GPUS - 1
    assert world.failures == []


def test_swap_stays_within_the_budget_though_a_bad_version_is_rolled_back(world: GpuWorld) -> None:
    """
    The candidate crashes in its first step: stable has its GPU back only after the candidate's pod is gone.
    """
    deployed(world, "Swap")
    sampler = Sampler(world)
    sampler.start()
    try:
        world.apply("2", **serving("2", "Swap"))
        eventually(lambda: world.status.get("step"), "version 2 has a share")
        world.crashing.add("registry.example/fraud:2")
        for pod in world.items("/api/v1", "pods"):
            if pod["spec"]["containers"][0]["image"].endswith(":2"):
                path = world.path("/api/v1", "pods", pod["metadata"]["name"])
                world.send("PATCH", f"{path}/status", {"status": {"conditions": [UNREADY]}}, MERGE)
        eventually(lambda: world.status["phase"] == "Failed", "version 2 is rejected")
        eventually(lambda: sampler.running[-1] == GPUS, "version 1 has all its pods again")
    finally:
        sampler.end()
    assert max(sampler.samples) == GPUS


def test_full_refuses_with_its_reason_and_touches_nothing(world: GpuWorld) -> None:
    """
    Eight GPUs are needed and four allowed: the object says so and what helps; stable serves on, and nothing is created.
    """
    deployed(world, "Full")
    before = world.items("/apis/apps/v1", "deployments")
    world.apply("2", **serving("2", "Full"))
    eventually(lambda: world.condition("Accepted").get("reason") == "InsufficientCapacity", "the shortage is told", 30)
    accepted = world.condition("Accepted")
    assert accepted["status"] == "False"
    assert "need 8" in accepted["message"]
    assert "allowed are 4 nvidia.com/gpu" in accepted["message"]
    assert "surge: Swap" in accepted["message"]
    time.sleep(3)
    after = world.items("/apis/apps/v1", "deployments")
    assert [(one["metadata"]["name"], one["spec"]) for one in after] == [
        (one["metadata"]["name"], one["spec"]) for one in before
    ]
    world.apply("2", **serving("2", "Swap"))
    eventually(lambda: world.serves("2"), "by Swap it goes on")


def test_a_pod_without_a_node_is_told(world: GpuWorld) -> None:
    """
    Without a budget the operator cannot know: the scheduler's words stand on the object.
    """
    world.apply("1", **serving("1", "Full", 3, None))
    world.start()
    eventually(lambda: world.serves("1"), "version 1 is stable")
    world.apply("2", **serving("2", "Full", 3, None))
    eventually(lambda: world.condition("InsufficientCapacity").get("status") == "True", "it is told", 30)
    assert f"Insufficient {GPU}" in world.condition("InsufficientCapacity")["message"]
    assert f"Insufficient {GPU}" in world.status["message"]
