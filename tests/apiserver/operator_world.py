"""
A cluster without nodes and gateways, and who plays them: bound pods become ready, routes become accepted.

The API server, the garbage collector and the controllers of Deployments and EndpointSlices are real, and so is the
operator: a process of its own, started, killed and started again.
"""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from apiserver.server import CRD_PATH, ApiServer

NODE: Final = "modelramp-test-node"
HEARTBEAT_SECONDS: Final = 8.0  # a node that was silent for 50 s is unknown
ROUTE_CRD: Final = "httproutes.gateway.networking.k8s.io"
ROUTES: Final = "/apis/gateway.networking.k8s.io/v1"
PATIENCE_SECONDS: Final = 120.0
TICK_SECONDS: Final = 0.3
MERGE: Final = "application/merge-patch+json"
CRASHES: Final = {
    "restartCount": 5,
    "ready": False,
    "state": {"waiting": {"reason": "CrashLoopBackOff"}},
    "lastState": {"terminated": {"exitCode": 1, "reason": "Error"}},
}
RUNS: Final = {"restartCount": 0, "ready": True, "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}}}


def route_definition() -> dict[str, Any]:
    """
    As much of the HTTPRoute as the operator's writes and watches need; used only where Gateway API is not installed.
    """
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    schema = {"type": "object", "properties": {"spec": anything, "status": anything}}
    version = {"name": "v1", "served": True, "storage": True, "subresources": {"status": {}}}
    names = {"kind": "HTTPRoute", "listKind": "HTTPRouteList", "plural": "httproutes", "singular": "httproute"}
    approved = {"api-approved.kubernetes.io": "https://github.com/kubernetes-sigs/gateway-api/pull/2997"}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": ROUTE_CRD, "annotations": approved},
        "spec": {
            "group": "gateway.networking.k8s.io",
            "scope": "Namespaced",
            "names": names,
            "versions": [{**version, "schema": {"openAPIV3Schema": schema}}],
        },
    }


def eventually(true: Callable[[], object], what: str, seconds: float = PATIENCE_SECONDS) -> None:
    """
    Wait until something is true.
    """
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}"
        time.sleep(TICK_SECONDS)


class OperatorWorld:
    """
    One namespace, its players, and an operator for it.
    """

    tick_seconds = TICK_SECONDS
    """Between two looks of the players."""

    def __init__(self, server: ApiServer, namespace: str, folder: Path) -> None:
        self.server, self.namespace, self.folder = server, namespace, folder
        self.crashing: set[str] = set()
        """Images whose containers keep crashing."""
        self.controller = "example.com/test"
        """By which name the gateway answers."""
        self.settings: dict[str, str] = {}
        """Variables of the operator's environment beyond those that every one gets."""
        self.process: subprocess.Popen[bytes] | None = None
        self.port = 0
        self._done = threading.Event()
        self._players = threading.Thread(target=self._play, daemon=True)
        self._own = ApiServer(server.kubeconfig)
        """The players' own connection: they run in another thread."""
        self.failures: list[str] = []
        self._beaten_at = -HEARTBEAT_SECONDS

    # ------------------------------------------------------------ requests

    def send(self, method: str, path: str, body: object = None, kind: str = "application/json") -> dict[str, Any]:
        """
        One request that must succeed.
        """
        answer = self.server.send(method, path, body, kind)
        assert answer.status < 300, (method, path, answer.body)
        return answer.body

    def path(self, api: str, plural: str, name: str = "") -> str:
        """
        A collection of the namespace, or an object in it.
        """
        return f"{api}/namespaces/{self.namespace}/{plural}" + (f"/{name}" if name else "")

    def items(self, api: str, plural: str) -> list[dict[str, Any]]:
        """
        All objects of a kind.
        """
        found: list[dict[str, Any]] = self.send("GET", self.path(api, plural))["items"]
        return found

    @property
    def model_path(self) -> str:
        """
        The object under test.
        """
        return self.path("/apis/modelramp.io/v1alpha1", "mlmodeldeployments", "fraud")

    def apply(self, version: str, **spec: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
        """
        `kubectl apply` of a version, with times as short as they may be.
        """
        document = {
            "apiVersion": "modelramp.io/v1alpha1",
            "kind": "MLModelDeployment",
            "metadata": {"name": "fraud", "namespace": self.namespace},
            "spec": spec_of(version, **spec),
        }
        path = f"{self.model_path}?fieldManager=user&force=true"
        return self.send("PATCH", path, document, "application/apply-patch+yaml")

    @property
    def status(self) -> Mapping[str, Any]:
        """
        Of the object under test.
        """
        found: Mapping[str, Any] = self.send("GET", self.model_path).get("status") or {}
        return found

    def serves(self, version: str) -> bool:
        """
        The version is stable, and nothing is in flight.
        """
        status = self.status
        return status.get("phase") == "Stable" and status["stable"]["version"] == version

    def condition(self, kind: str) -> Mapping[str, Any]:
        """
        One condition; empty while there is none.
        """
        return next((c for c in self.status.get("conditions", ()) if c["type"] == kind), {})

    def versions(self) -> dict[str, str]:
        """
        The resourceVersion of everything the operator owns, and of the object.
        """
        found = {"model": self.send("GET", self.model_path)["metadata"]["resourceVersion"]}
        for api, plural in (("/apis/apps/v1", "deployments"), ("/api/v1", "services"), (ROUTES, "httproutes")):
            for item in self.items(api, plural):
                found[f"{plural}/{item['metadata']['name']}"] = item["metadata"]["resourceVersion"]
        return found

    def shares(self) -> dict[str, int]:
        """
        Weights by Service.
        """
        route = self.send("GET", self.path(ROUTES, "httproutes", "fraud"))
        return {backend["name"]: backend["weight"] for backend in route["spec"]["rules"][0]["backendRefs"]}

    # ------------------------------------------------------------ the operator

    def start(self) -> None:
        """
        The operator's process; under the same name each time, as in a restarted container.
        """
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        environment = {
            **os.environ,
            "KUBECONFIG": str(self.server.kubeconfig),
            "MODELRAMP_NAMESPACE": self.namespace,
            "MODELRAMP_POD_NAME": "operator-0",
            "MODELRAMP_WATCH_NAMESPACES": self.namespace,
            "MODELRAMP_HTTP_PORT": str(self.port),
            "MODELRAMP_LOG_LEVEL": "debug",
            **self.settings,
        }
        environment.pop("KUBERNETES_SERVICE_HOST", None)
        with (self.folder / "operator.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "modelramp", "run"], env=environment, stdout=log, stderr=log
            )

    def kill(self, number: signal.Signals = signal.SIGKILL) -> int:
        """
        End the process; its exit status.
        """
        assert self.process is not None
        self.process.send_signal(number)
        status = self.process.wait(timeout=30)
        self.process = None
        return status

    def log(self) -> str:
        """
        Everything the operator wrote.
        """
        file = self.folder / "operator.log"
        return file.read_text(encoding="utf-8") if file.exists() else ""

    # ------------------------------------------------------------ players

    def open(self) -> None:
        """
        Make the namespace and a node, and begin to play.
        """
        if self.server.send("GET", f"{CRD_PATH}/{ROUTE_CRD}", None).status == 404:
            made = self.server.send("POST", CRD_PATH, route_definition())
            assert made.status in {201, 409}, made.body  # of another world at the same moment
        eventually(lambda: self.server.send("GET", f"{ROUTES}/httproutes", None).status == 200, "routes are served", 20)
        self.server.send("POST", "/api/v1/nodes", {"kind": "Node", "apiVersion": "v1", "metadata": {"name": NODE}})
        self.send("POST", "/api/v1/namespaces", {"metadata": {"name": self.namespace}})
        account = self.path("/api/v1", "serviceaccounts", "default")
        eventually(lambda: self.server.send("GET", account, None).status == 200, "the namespace has its account", 20)
        self._players.start()

    def close(self) -> None:
        """
        End everything that was started; the namespace goes by itself.
        """
        if self.process is not None:
            self.kill()
        self.server.send("DELETE", f"/api/v1/namespaces/{self.namespace}", None)
        time.sleep(TICK_SECONDS)
        self._done.set()
        self._players.join(10)
        self._own.close()
        for pod in self.server.send("GET", self.path("/api/v1", "pods"), None).body.get("items", ()):
            self.server.send("DELETE", self.path("/api/v1", "pods", pod["metadata"]["name"]), {"gracePeriodSeconds": 0})

    def _play(self) -> None:
        while not self._done.wait(self.tick_seconds):
            try:
                self._play_node()
                for pod in self._own.send("GET", self.path("/api/v1", "pods"), None).body.get("items", ()):
                    self._play_kubelet(pod)
                for route in self._own.send("GET", self.path(ROUTES, "httproutes"), None).body.get("items", ()):
                    self._play_gateway(route)
            except Exception as error:  # noqa: BLE001 - told by the test that fails for want of a player
                self.failures.append(repr(error))

    def _play_node(self) -> None:
        """
        A node that says nothing is given up after a minute, and its pods are called unready at their next change.
        """
        if time.monotonic() - self._beaten_at < HEARTBEAT_SECONDS:
            return
        self._beaten_at = time.monotonic()
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        alive = {"type": "Ready", "status": "True", "reason": "Played", "message": "", "lastHeartbeatTime": now}
        self._own.send("PATCH", f"/api/v1/nodes/{NODE}/status", {"status": {"conditions": [alive]}}, MERGE)

    def _play_kubelet(self, pod: dict[str, Any]) -> None:
        path = self.path("/api/v1", "pods", pod["metadata"]["name"])
        if "deletionTimestamp" in pod["metadata"]:
            self._own.send("DELETE", path, {"gracePeriodSeconds": 0})
            return
        if not pod["spec"].get("nodeName"):
            target = {"apiVersion": "v1", "kind": "Node", "name": NODE}
            binding = {"metadata": {"name": pod["metadata"]["name"]}, "target": target}
            self._own.send("POST", f"{path}/binding", {"apiVersion": "v1", "kind": "Binding", **binding})
        container = pod["spec"]["containers"][0]
        crashes = container["image"] in self.crashing
        state = {
            "name": container["name"],
            "image": container["image"],
            "imageID": "i",
            **(CRASHES if crashes else RUNS),
        }
        ready = {"type": "Ready", "status": "False" if crashes else "True"}
        if [c for c in pod["status"].get("conditions", ()) if c["type"] == "Ready" and c["status"] == ready["status"]]:
            return
        digits = int(pod["metadata"]["uid"][:4], 16)
        address = f"10.9.{digits >> 8}.{digits & 255}"
        status = {
            "phase": "Running",
            "podIP": address,
            "podIPs": [{"ip": address}],
            "conditions": [ready],
            "containerStatuses": [state],
        }
        self._own.send("PATCH", f"{path}/status", {"status": status}, MERGE)

    def _play_gateway(self, route: dict[str, Any]) -> None:
        generation = route["metadata"]["generation"]
        seen = [c for parent in route.get("status", {}).get("parents", ()) for c in parent["conditions"]]
        if seen and all(condition["observedGeneration"] == generation for condition in seen):
            return
        conditions = [
            {
                "type": kind,
                "status": "True",
                "reason": kind,
                "message": "",
                "observedGeneration": generation,
                "lastTransitionTime": "2026-01-01T00:00:00Z",
            }
            for kind in ("Accepted", "ResolvedRefs")
        ]
        parents = [
            {"parentRef": parent, "controllerName": self.controller, "conditions": conditions}
            for parent in route["spec"]["parentRefs"]
        ]
        path = self.path(ROUTES, "httproutes", route["metadata"]["name"])
        self._own.send("PATCH", f"{path}/status", {"status": {"parents": parents}}, MERGE)


def spec_of(version: str, **changes: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    """
    A spec of two steps judged by guardrails alone; `changes` replace whole sections.
    """
    containers = [{"name": "model", "image": f"registry.example/fraud:{version}"}]
    return {
        "model": {"version": version},
        "serving": {"port": 8080, "template": {"spec": {"containers": containers}}},
        "traffic": {"gatewayAPI": {"parentRefs": [{"name": "gw"}], "requestTimeout": "1s"}},
        "strategy": {
            "canary": {"steps": [{"traffic": "20%"}, {"traffic": "100%"}], "soak": "1s"},
            "scaleDownDelay": "1s",
        },
        "analysis": {"mode": "GuardrailsOnly"},
        **changes,
    }
