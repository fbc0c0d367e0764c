"""
The kubelet of the rig: a bound pod gets a server on loopback, and loses it as its template says.
"""

import asyncio
import re
from typing import Any, Final

from apiserver.operator_world import NODE
from rig.comparing import ComparatorProcess
from rig.kubeapi import DELETED, MERGE, KubeApi
from rig.servers import ModelServer

Fields = dict[str, Any]

FORCED: Final = {"gracePeriodSeconds": 0}


def _is_unready(document: Fields) -> bool:
    """
    Somebody said that the pod is not ready; nobody has said anything of a new one.
    """
    conditions = document["status"].get("conditions") or ()
    return any(condition["type"] == "Ready" and condition["status"] == "False" for condition in conditions)


def version_of(container: Fields) -> str:
    """
    The model's version as the operator tells the pod; of one that somebody else made, its image's tag.
    """
    told = {variable["name"]: variable.get("value", "") for variable in container.get("env") or ()}
    return str(told.get("MODEL_VERSION") or container["image"].rpartition(":")[2])


class Pod:
    """
    A pod that runs: the address that the API server knows, and the server behind it.
    """

    def __init__(self, name: str, address: str, server: ModelServer | ComparatorProcess) -> None:
        self.name, self.address, self.server = name, address, server


class Kubelet:
    """
    Plays all pods of the namespace.

    The API server refuses loopback addresses, so pods are shown at made-up ones; `target` tells what is behind them.
    """

    def __init__(self, api: KubeApi) -> None:
        self._api = api
        self.pods: dict[str, Pod] = {}
        """By UID, from the server's start to its end."""
        self.ended: list[ModelServer | ComparatorProcess] = []
        """Servers of pods that are gone."""
        self.failing: frozenset[str] = frozenset()
        """Versions whose new servers fail every second request."""
        self.starts = True
        """False: new pods wait, and are not ready."""
        self.keeps_alive = True
        """False: the servers of pods that are made later close each connection after its answer."""
        self._made = 0
        self._leaving: set[str] = set()
        self._tasks: asyncio.TaskGroup

    async def run(self) -> None:
        """
        Play until cancelled.
        """
        try:
            async with asyncio.TaskGroup() as self._tasks:
                await self._api.follow("/api/v1", "pods", self._changed)
        finally:
            for pod in self.pods.values():
                await pod.server.close(0)

    @property
    def servers(self) -> list[ModelServer]:
        """
        The model servers of all pods there were.
        """
        every = [*self.ended, *(pod.server for pod in self.pods.values())]
        return [server for server in every if isinstance(server, ModelServer)]

    @property
    def comparators(self) -> dict[str, ComparatorProcess]:
        """
        Those that run now, by the names of their pods.
        """
        return {pod.name: pod.server for pod in self.pods.values() if isinstance(pod.server, ComparatorProcess)}

    def port_of(self, service: str) -> int:
        """
        Where one of a Service's pods answers.
        """
        pattern = re.compile(f"{service}-[a-z0-9]+-[a-z0-9]+")
        return next(pod.server.port for pod in self.pods.values() if pattern.fullmatch(pod.name))

    def target(self, address: str) -> tuple[str, int]:
        """
        Where a pod's address leads; one without a pod leads nowhere: connections are refused.
        """
        port = next((pod.server.port for pod in self.pods.values() if pod.address == address), 1)
        return "127.0.0.1", port

    def _changed(self, kind: str, document: Fields) -> None:
        uid, meta = document["metadata"]["uid"], document["metadata"]
        if kind == DELETED or "deletionTimestamp" in meta:
            if uid not in self._leaving:
                self._leaving.add(uid)
                self._tasks.create_task(self._end(document))
        elif uid not in self.pods and uid not in self._leaving:
            self._made += 1
            address = f"10.9.{self._made >> 8}.{self._made & 255}"
            self.pods[uid] = Pod(meta["name"], address, self._server_of(document["spec"]["containers"][0]))
            self._tasks.create_task(self._begin(document))
        elif uid in self.pods and _is_unready(document):
            # the node controller does this to pods of a node that sends no heartbeats, and ours sends none
            self._tasks.create_task(self._show_ready(document))

    def _server_of(self, container: Fields) -> ModelServer | ComparatorProcess:
        arguments = container.get("args") or [""]
        if arguments[0] == "comparator":
            return ComparatorProcess(arguments, self.port_of)
        version = version_of(container)
        return ModelServer(version, fails=version in self.failing, keeps_alive=self.keeps_alive)

    async def _begin(self, document: Fields) -> None:
        pod = self.pods[document["metadata"]["uid"]]
        path = self._api.path("/api/v1", "pods", pod.name)
        while not self.starts:  # noqa: ASYNC110 - set by another thread
            await asyncio.sleep(0.1)
        await pod.server.open()
        if not document["spec"].get("nodeName"):
            target = {"apiVersion": "v1", "kind": "Node", "name": NODE}
            binding = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": pod.name}, "target": target}
            await self._api.send("POST", f"{path}/binding", binding)
        await self._show_ready(document)

    async def _show_ready(self, document: Fields) -> None:
        pod, container = self.pods.get(document["metadata"]["uid"]), document["spec"]["containers"][0]
        if pod is None:
            return
        path = self._api.path("/api/v1", "pods", pod.name)
        state = {
            "name": container["name"], "image": container["image"], "imageID": "i", "restartCount": 0, "ready": True,
            "state": {"running": {"startedAt": document["metadata"]["creationTimestamp"]}},
        }  # fmt: skip
        status = {
            "phase": "Running",
            "podIP": pod.address,
            "podIPs": [{"ip": pod.address}],
            "conditions": [{"type": "Ready", "status": "True"}],
            "containerStatuses": [state],
        }
        await self._api.send("PATCH", f"{path}/status", {"status": status}, MERGE)

    async def _end(self, document: Fields) -> None:
        """
        First the preStop sleep, in which the server goes on, then its own end, within the grace period of both.
        """
        grace = float(document["metadata"].get("deletionGracePeriodSeconds", 0))
        hook = (document["spec"]["containers"][0].get("lifecycle") or {}).get("preStop") or {}
        sleep = min(grace, float((hook.get("sleep") or {}).get("seconds", 0)))
        pod = self.pods.get(document["metadata"]["uid"])
        if pod is not None:
            await asyncio.sleep(sleep)
            await pod.server.close(grace - sleep)
            self.ended.append(self.pods.pop(document["metadata"]["uid"]).server)
        path = self._api.path("/api/v1", "pods", document["metadata"]["name"])
        await self._api.send("DELETE", path, {**FORCED, "preconditions": {"uid": document["metadata"]["uid"]}})
