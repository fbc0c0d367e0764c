"""
Rollouts of each kind with a death at each of their writes, all with one operator: what they are, and where they ended.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from apiserver.deadly_proxy import Write
from apiserver.fleet import GROUP, LABEL, One
from apiserver.operator_world import ROUTES, OperatorWorld
from apiserver.server import ApiServer

from modelramp.api.names import LABEL_REVISION, LABEL_ROLE, workload_name

BAD: Final = "bad"
"""A version whose pods crash from the moment on that users reach them."""


def _steps(*shares: str) -> list[dict[str, str]]:
    return [{"traffic": share} for share in shares]


@dataclass(frozen=True, slots=True)
class Kind:
    """
    One kind of rollout.
    """

    strategy: Mapping[str, Any]
    most: int
    """So many objects, so many deaths: at least as many as the rollout has writes, whatever the load."""
    version: str = "2"
    beside: bool = True
    """A version 1 serves before."""


KINDS: Final[dict[str, Kind]] = {
    "first": Kind({"canary": {"steps": _steps("100%"), "soak": "1s"}}, 12, "1", beside=False),
    "canary": Kind({"canary": {"steps": _steps("50%", "100%"), "soak": "1s"}}, 30),
    "canarybad": Kind({"canary": {"steps": _steps("50%", "100%"), "soak": "20s"}}, 28, BAD),
    "bluegreen": Kind(
        {"blueGreen": {"preSwitch": {"soak": "1s"}, "steps": _steps("50%", "100%"), "soak": "1s", "bake": "1s"}}, 32
    ),
    "shadow": Kind({"shadow": {"mirror": "100%", "soak": "1s", "deadline": "10m"}}, 28),
}
"""By the first part of the objects' names."""


class KillWorld(OperatorWorld):
    """
    In which pods of a bad version crash once the route gives them a share.
    """

    tick_seconds = 1.0  # each look is at hundreds of pods

    def __init__(self, server: ApiServer, namespace: str, folder: Path) -> None:
        super().__init__(server, namespace, folder)
        self._reached: set[str] = set()

    def _play_gateway(self, route: dict[str, Any]) -> None:
        backends = (backend for rule in route["spec"]["rules"] for backend in rule["backendRefs"])
        self._reached.update(backend["name"] for backend in backends if backend["weight"] > 0)
        super()._play_gateway(route)

    def _play_kubelet(self, pod: dict[str, Any]) -> None:
        labels, image = pod["metadata"]["labels"], pod["spec"]["containers"][0]["image"]
        if image.endswith(f":{BAD}") and workload_name(labels[LABEL], labels[LABEL_REVISION]) in self._reached:
            self.crashing.add(image)
        super()._play_kubelet(pod)


def kind_of(name: str) -> str:
    """
    From an object's name.
    """
    return name.rstrip("0123456789")


class Fleet:
    """
    Of each kind one object that is left in peace, number 0, and one for each write.
    """

    def __init__(self, world: OperatorWorld) -> None:
        """
        Nothing is applied yet.
        """
        self.world = world
        self.names = [f"{kind}{number}" for kind in KINDS for number in range(KINDS[kind].most + 1)]

    def begin(self) -> list[str]:
        """
        Version 1 of those that need one; their names.
        """
        names = [name for name in self.names if KINDS[kind_of(name)].beside]
        for name in names:
            self._apply(name, "1")
        return names

    def go_on(self) -> None:
        """
        The version whose rollout it is about.
        """
        for name in self.names:
            self._apply(name, KINDS[kind_of(name)].version)

    def _apply(self, name: str, version: str) -> None:
        containers = [{"name": "model", "image": f"registry.example/{name}:{version}"}]
        serving = {"port": 8080, "template": {"spec": {"containers": containers}}}
        strategy = {**KINDS[kind_of(name)].strategy, "scaleDownDelay": "1s"}
        One(self.world, name).apply(version, strategy=strategy, serving=serving)

    def ends(self) -> dict[str, dict[str, Any]]:
        """
        Where each of them is, without times.
        """
        by_name: dict[str, dict[str, list[dict[str, Any]]]] = {}
        for plural, api in (("deployments", "/apis/apps/v1"), ("services", "/api/v1"), ("httproutes", ROUTES)):
            for item in self.world.items(api, plural):
                found = by_name.setdefault(item["metadata"]["labels"][LABEL], {})
                found.setdefault(plural, []).append(item)
        models = self.world.items(GROUP, "mlmodeldeployments")
        return {
            model["metadata"]["name"]: _end(model.get("status") or {}, by_name.get(model["metadata"]["name"], {}))
            for model in models
        }


def _end(status: Mapping[str, Any], owned: Mapping[str, list[dict[str, Any]]]) -> dict[str, Any]:
    deployments = owned.get("deployments", ())
    rules = [rule for route in owned.get("httproutes", ()) for rule in route["spec"]["rules"]]
    return {
        "phase": status.get("phase"),
        "reason": status.get("reason"),
        "stable": (status.get("stable") or {}).get("version"),
        "candidate": status.get("candidate"),
        "step": status.get("step"),
        "history": [(entry["version"], entry["outcome"]) for entry in status.get("history", ())],
        "rejected": [(one["version"], one["reason"]) for one in status.get("rejected") or ()],
        "kept": [one["version"] for one in status.get("kept") or ()],
        "deployments": sorted(
            (item["spec"]["replicas"], item["metadata"]["labels"].get(LABEL_ROLE)) for item in deployments
        ),
        "services": len(owned.get("services", ())),
        "weights": [sorted(backend["weight"] for backend in rule["backendRefs"]) for rule in rules],
        "filters": [sorted(one["type"] for one in rule.get("filters") or ()) for rule in rules],
    }


def course(log: list[Write], stable: str | None) -> list[tuple[int, int]]:
    """
    The candidate's shares and how many revisions got copies, as they were written, each pair once; `stable` is the
    Service of the revision that served before.
    """
    found: list[tuple[int, int]] = []
    for write in log:
        if write.plural != "httproutes" or write.status or not write.spec:
            continue
        weights = {one["name"]: one["weight"] for one in write.spec["rules"][0]["backendRefs"]}
        pair = round(100 - 100 * weights.get(stable or "", 0) / sum(weights.values())), len(_copied(write))
        if not found or found[-1] != pair:
            found.append(pair)
    return found


def _copied(route: Write) -> set[str]:
    """
    The Services that get copies of requests.
    """
    filters = [one for rule in route.spec["rules"] for one in rule.get("filters") or ()]
    return {one["requestMirror"]["backendRef"]["name"] for one in filters if "requestMirror" in one}


def _reached(route: Write) -> set[str]:
    """
    The Services that get requests, or copies of some.
    """
    backends = [backend for rule in route.spec["rules"] for backend in rule["backendRefs"]]
    return {backend["name"] for backend in backends if backend["weight"]} | _copied(route)


def shrunk_under_traffic(log: list[Write]) -> list[str]:
    """
    Each write that took pods from a revision to which the route, as it was written last, still sent requests.
    """
    reached: set[str] = set()
    sizes: dict[str, int] = {}
    wrong = []
    for number, write in enumerate(log, start=1):
        if write.plural == "httproutes" and not write.status:
            reached = _reached(write) if write.spec else set()
        if write.plural == "deployments":
            size = write.spec.get("replicas", 0)
            if size < sizes.get(write.name, 0) and write.name in reached:
                wrong.append(f"{number}. {write}: {write.name} to {size}")
            sizes[write.name] = size
    return wrong
