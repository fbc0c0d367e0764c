"""
Many objects at once: each plays a row of a table, all of them with one operator.

A row is a generator: it does something, yields what it waits for, and goes on when that has come true. An assertion
that fails, or a wait that takes too long, fails that row only.
"""

import json
import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from apiserver.operator_world import MERGE, ROUTES, TICK_SECONDS, OperatorWorld, spec_of

from modelramp.api.names import ANNOTATION_ACTION

GROUP: Final = "/apis/modelramp.io/v1alpha1"
LABEL: Final = "modelramp.io/deployment"
SLOW: Final = {
    "canary": {
        "steps": [{"traffic": "20%"}, {"traffic": "60%"}, {"traffic": "100%"}],
        "soak": "30m",
        "stepDeadline": "50m",
    },
    "scaleDownDelay": "1s",
}
"""A rollout that stays in its first step until somebody asks for more."""
WAIT_SECONDS: Final = 150.0

Wait = tuple[Callable[[], object], str]
Row = Callable[["One"], Generator[Wait, None, None]]


@dataclass(frozen=True)
class One:
    """
    One object of the fleet, and what belongs to it.
    """

    world: OperatorWorld
    name: str

    @property
    def path(self) -> str:
        return self.world.path(GROUP, "mlmodeldeployments", self.name)

    def apply(self, version: str, annotations: Mapping[str, str] | None = None, **spec: Any) -> None:  # noqa: ANN401 - JSON
        """
        `kubectl apply` of a version; `spec` replaces whole sections.
        """
        document = {
            "apiVersion": "modelramp.io/v1alpha1",
            "kind": "MLModelDeployment",
            "metadata": {"name": self.name, "namespace": self.world.namespace, "annotations": dict(annotations or {})},
            "spec": spec_of(version, **spec),
        }
        path = f"{self.path}?fieldManager=user&force=true"
        self.world.send("PATCH", path, document, "application/apply-patch+yaml")

    def ask(self, verb: str, number: int, revision: str | None = None, step: int | None = None) -> None:
        """
        A request by annotation, of the candidate or another revision; `step` for the verbs that answer for one.
        """
        meant = revision or self.candidate or ""
        stepped = {} if step is None else {"step": step}
        self.annotate(json.dumps({"id": f"r-{number}", "verb": verb, "revision": meant, "by": "ada", **stepped}))

    def annotate(self, request: str) -> None:
        """
        Whatever text as a request.
        """
        self.world.send("PATCH", self.path, {"metadata": {"annotations": {ANNOTATION_ACTION: request}}}, MERGE)

    @property
    def status(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.world.send("GET", self.path).get("status") or {}
        return found

    @property
    def candidate(self) -> str | None:
        """
        The candidate's revision.
        """
        revision: str | None = (self.status.get("candidate") or {}).get("revision")
        return revision

    @property
    def history(self) -> list[tuple[str, str]]:
        """
        Version and outcome of each rollout that ended.
        """
        return [(entry["version"], entry["outcome"]) for entry in self.status.get("history", ())]

    def owned(self, api: str, plural: str) -> list[dict[str, Any]]:
        """
        The objects of a kind that belong to it.
        """
        items = self.world.items(api, plural)
        return [item for item in items if item["metadata"].get("labels", {}).get(LABEL) == self.name]

    @property
    def spec(self) -> dict[str, Any]:
        """
        As somebody wrote it.
        """
        found: dict[str, Any] = self.world.send("GET", self.path)["spec"]
        return found

    @property
    def pods(self) -> set[str]:
        """
        UIDs of its pods that are not on their way out.
        """
        return {
            pod["metadata"]["uid"]
            for pod in self.owned("/api/v1", "pods")
            if "deletionTimestamp" not in pod["metadata"]
        }

    @property
    def sizes(self) -> list[int]:
        """
        Replicas of its Deployments.
        """
        return sorted(item["spec"]["replicas"] for item in self.owned("/apis/apps/v1", "deployments"))

    @property
    def generation(self) -> int:
        """
        Of the object's spec.
        """
        found: int = self.world.send("GET", self.path)["metadata"]["generation"]
        return found

    def change_router(self, traffic: Mapping[str, Any]) -> None:
        """
        Another section of `spec.traffic`; the one that goes is named as None.
        """
        self.world.send("PATCH", self.path, {"spec": {"traffic": traffic}}, MERGE)

    @property
    def route_path(self) -> str:
        return self.world.path(ROUTES, "httproutes", self.name)

    @property
    def route(self) -> dict[str, Any]:
        return self.world.send("GET", self.route_path)

    @property
    def front(self) -> dict[str, Any] | None:
        """
        The plain Service of the object's own name; None: there is none.
        """
        answer = self.world.server.send("GET", self.world.path("/api/v1", "services", self.name), None)
        return answer.body if answer.status == 200 else None

    @property
    def shares(self) -> list[int]:
        """
        Percents by the weights, smallest first.
        """
        weights = [backend["weight"] for backend in self.route["spec"]["rules"][0]["backendRefs"]]
        return sorted(100 * weight // sum(weights) for weight in weights)

    # -- what rows wait for

    def serves(self, version: str) -> Wait:
        """
        The version is stable, alone, and everything goes there.
        """

        def true() -> bool:
            status = self.status
            stable = status.get("phase") == "Stable" and status["stable"]["version"] == version
            running = [size for size in self.sizes if size]  # a kept revision has no pods
            return stable and len(running) == 1 and self.shares == [100]

        return true, f"version {version} serves alone"

    def phase(self, phase: str) -> Wait:
        """
        It is in the phase.
        """
        return lambda: self.status.get("phase") == phase, f"it is {phase}"

    def at(self, traffic: str) -> Wait:
        """
        The step's share is in place.
        """

        def true() -> bool:
            step = self.status.get("step") or {}
            return step.get("traffic") == traffic and "inPlaceSince" in step

        return true, f"{traffic} is in place"

    def answered(self, number: int) -> Wait:
        """
        The request of this number has its answer.
        """
        return lambda: (self.status.get("action") or {}).get("id") == f"r-{number}", f"request {number} is answered"


def play(world: OperatorWorld, rows: Mapping[str, Row]) -> dict[str, str]:
    """
    All rows at once; what went wrong, by row.
    """
    failed: dict[str, str] = {}
    alive = {name: row(One(world, name)) for name, row in rows.items()}
    waits: dict[str, tuple[Wait, float]] = {}
    while alive:
        for name in list(alive):
            try:
                if name in waits and not waits[name][0][0]():
                    assert time.monotonic() < waits[name][1], f"not in time: {waits[name][0][1]}"
                    continue
                waits[name] = next(alive[name]), time.monotonic() + WAIT_SECONDS
            except StopIteration:
                del alive[name]
            except Exception as error:  # noqa: BLE001 - told by the row's own test
                told = world.server.send("GET", One(world, name).path, None).body.get("status")
                failed[name] = f"{error!r}\n{json.dumps(told, indent=1)[:6000]}"
                del alive[name]
        time.sleep(TICK_SECONDS)
    return failed
