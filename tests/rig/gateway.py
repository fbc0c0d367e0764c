"""
The rig's gateway controller: from routes, Services and endpoints to the data plane, with the faults of its knobs.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from rig.dataplane import DataPlane
from rig.knobs import Knobs, Speech
from rig.kubeapi import DELETED, MERGE, KubeApi
from rig.xds import cluster_name

Fields = dict[str, Any]

ROUTES: Final = "/apis/gateway.networking.k8s.io/v1"
SLICES: Final = "/apis/discovery.k8s.io/v1"
SERVICE_LABEL: Final = "kubernetes.io/service-name"
LONG_AGO: Final = "2026-01-01T00:00:00Z"


@dataclass(frozen=True, slots=True)
class Written:
    """
    One version of a route's spec as the gateway heard of it.
    """

    at: float
    """Monotonic seconds."""
    generation: int
    weights: dict[str, Decimal]
    """Percent by Service, of the first rule."""
    rules: Fields
    writer: str
    """The field manager that wrote last."""


def weights_in(route: Fields) -> dict[str, Decimal]:
    """
    Percent by Service in the first rule.
    """
    backends = (route["spec"].get("rules") or [{}])[0].get("backendRefs") or ()
    total = sum(backend.get("weight", 1) for backend in backends) or 1
    return {backend["name"]: Decimal(100) * backend.get("weight", 1) / total for backend in backends}


def copies(version: Written) -> list[Fields]:
    """
    The copies that this generation of the route asks for.
    """
    return [
        item["requestMirror"]
        for rule in version.rules["rules"]
        for item in rule.get("filters") or ()
        if item["type"] == "RequestMirror"
    ]


class Gateway:
    """
    Watches the namespace and keeps the data plane and the routes' status.
    """

    def __init__(self, api: KubeApi, plane: DataPlane, knobs: Knobs, target: Callable[[str], tuple[str, int]]) -> None:
        """
        `target` tells where a pod's address leads.
        """
        self._api, self._plane, self._knobs, self._target = api, plane, knobs, target
        self.history: list[Written] = []
        """Every generation of every route, in the order in which they were heard of."""
        self._heard: dict[str, Fields] = {}
        self._programmed: dict[str, Fields] = {}
        self._services: frozenset[str] = frozenset()
        self._slices: dict[str, Fields] = {}
        self._tasks: asyncio.TaskGroup

    async def run(self) -> None:
        """
        Work until cancelled.
        """
        async with asyncio.TaskGroup() as self._tasks:
            self._tasks.create_task(self._api.follow("/api/v1", "services", self._service_changed))
            self._tasks.create_task(self._api.follow(SLICES, "endpointslices", self._slice_changed))
            self._tasks.create_task(self._api.follow(ROUTES, "httproutes", self._route_changed))

    # ------------------------------------------------------------ endpoints

    def _service_changed(self, kind: str, service: Fields) -> None:
        name = {service["metadata"]["name"]}
        known = self._services - name if kind == DELETED else self._services | name
        if known != self._services:
            self._services = known
            self._show_routes()

    def _slice_changed(self, kind: str, item: Fields) -> None:
        if kind == DELETED:
            self._slices.pop(item["metadata"]["name"], None)
        else:
            self._slices[item["metadata"]["name"]] = item
        service = item["metadata"].get("labels", {}).get(SERVICE_LABEL, "")
        self._later(self._knobs.endpoint_delay_seconds, lambda: self._show_endpoints(service))

    def _show_endpoints(self, service: str) -> None:
        own = [s for s in self._slices.values() if s["metadata"]["labels"].get(SERVICE_LABEL) == service]
        addresses = {
            self._target(endpoint["addresses"][0])
            for item in own
            for endpoint in item.get("endpoints") or ()
            if endpoint.get("conditions", {}).get("ready", True)
        }
        name = cluster_name(self._api.namespace, service)
        if own:
            self._plane.program_endpoints(name, sorted(addresses))
        else:
            self._plane.forget(name)

    # ------------------------------------------------------------ routes

    def _route_changed(self, kind: str, route: Fields) -> None:
        name = route["metadata"]["name"]
        if kind == DELETED:
            self._heard.pop(name, None)
            if self._programmed.pop(name, None) is not None:
                self._show_routes()
            return
        generation = route["metadata"]["generation"]
        known = self._heard.get(name, {}).get("metadata", {})
        self._heard[name] = route
        if (known.get("uid"), known.get("generation")) == (route["metadata"]["uid"], generation):
            return  # a change of its status or labels
        entries = route["metadata"].get("managedFields") or ()
        writers = [entry["manager"] for entry in entries if entry.get("subresource") != "status"]
        self.history.append(
            Written(time.monotonic(), generation, weights_in(route), route["spec"], " and ".join(sorted(set(writers))))
        )
        self._tasks.create_task(self._follow_route(route))

    async def look_again(self) -> None:
        """
        Speak of every route as it is now, and follow it, as a gateway does that was started anew.
        """
        for route in [*self._heard.values()]:
            await self._follow_route(route)

    async def _follow_route(self, route: Fields) -> None:
        knobs = self._knobs
        await self._speak(route)
        if not knobs.programs or knobs.speech is Speech.FALLING_BACK:
            return
        if knobs.updates_to_lose > 0:
            knobs.updates_to_lose -= 1
            return
        self._later(knobs.route_delay_seconds, lambda: self._program(route))

    def _program(self, route: Fields) -> None:
        name = route["metadata"]["name"]
        known = self._programmed.get(name, {}).get("metadata", {})
        another = known.get("uid") != route["metadata"]["uid"]
        if name in self._heard and (another or known["generation"] < route["metadata"]["generation"]):
            self._programmed[name] = route
            self._show_routes()

    def _show_routes(self) -> None:
        by_age = sorted(self._programmed.values(), key=lambda route: route["metadata"]["creationTimestamp"])
        self._plane.program_routes(by_age, self._services)

    async def _speak(self, route: Fields) -> None:
        speech = self._knobs.speech
        if speech is Speech.SILENT:
            return
        generation: int | None = route["metadata"]["generation"]
        conditions = []
        if speech is Speech.FALLING_BACK:
            conditions.append(self._condition("PartiallyInvalid", generation))
            served = self._programmed.get(route["metadata"]["name"])
            generation = served["metadata"]["generation"] if served else 0
        if speech is Speech.WITHOUT_GENERATION:
            generation = None
        conditions += [self._condition(kind, generation) for kind in ("Accepted", "ResolvedRefs")]
        parents = [
            {"parentRef": parent, "controllerName": self._knobs.controller, "conditions": conditions}
            for parent in route["spec"].get("parentRefs") or ()
        ]
        path = self._api.path(ROUTES, "httproutes", route["metadata"]["name"])
        await self._api.send("PATCH", f"{path}/status", {"status": {"parents": parents}}, MERGE)

    @staticmethod
    def _condition(kind: str, generation: int | None) -> Fields:
        said = {"type": kind, "status": "True", "reason": kind, "message": "", "lastTransitionTime": LONG_AGO}
        return said if generation is None else {**said, "observedGeneration": generation}

    def _later(self, seconds: float, act: Callable[[], None]) -> None:
        async def late() -> None:
            await asyncio.sleep(seconds)
            act()

        if seconds > 0:
            self._tasks.create_task(late())
        else:
            act()
