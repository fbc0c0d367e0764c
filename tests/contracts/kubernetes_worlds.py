"""
Two clusters for the same contracts: one in memory, and what a real API server keeps.

Beside the real one no controller and no node runs, so pods, endpoints and gateways' answers are written by the tests.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from itertools import count
from typing import Any, Final, Protocol

from fakes.comparators import FakeComparators
from fakes.kubernetes import CONTROLLER, FakeCluster, FakePod

from modelramp.adapters.gateway.routes import HttpRoutes
from modelramp.adapters.kubernetes.comparators import KubernetesComparators
from modelramp.adapters.kubernetes.deployments import KubernetesDeployments
from modelramp.adapters.kubernetes.events import KubernetesEvents, occasion_in
from modelramp.adapters.kubernetes.resources import (
    DEPLOYMENTS,
    ENDPOINT_SLICES,
    EVENTS,
    HTTP_ROUTES,
    LABELLED,
    MODELS,
    PODS,
    SERVICES,
    WATCHED,
    Resource,
)
from modelramp.adapters.kubernetes.store import Store
from modelramp.adapters.kubernetes.transport import Transport, _Request
from modelramp.adapters.kubernetes.workloads import KubernetesWorkloads
from modelramp.api.names import LABEL_DEPLOYMENT, LABEL_REVISION, workload_name
from modelramp.api.spec import MLModelDeploymentSpec
from modelramp.api.vocabulary import API_VERSION, KIND
from modelramp.ports import Comparators, Deployments, EventSink, GoneError, Key, Owner, Routes, Workloads

_NAMESPACES: Final = count(1)

SPEC: Final[Mapping[str, Any]] = {
    "model": {"version": "8", "uri": "s3://models/fraud/8"},
    "serving": {
        "runtime": "mlserver",
        "replicas": 2,
        "template": {
            "metadata": {"labels": {"team": "risk"}, "annotations": {"prometheus.io/scrape": "true"}},
            "spec": {"containers": [{"name": "model", "image": "server:1", "env": [{"name": "LOG", "value": "1"}]}]},
        },
    },
    "traffic": {"gatewayAPI": {"parentRefs": [{"name": "gw"}], "hostnames": ["fraud.example.com"]}},
}
REFUSED_SPEC: Final[Mapping[str, Any]] = {
    **SPEC,
    "serving": {
        "runtime": "mlserver",
        "template": {"spec": {"containers": [{"name": "model", "image": "a"}, {"name": "model", "image": "b"}]}},
    },
}


def parsed(spec: Mapping[str, Any]) -> MLModelDeploymentSpec:
    """
    The spec as the core has it.
    """
    return MLModelDeploymentSpec.model_validate(spec, by_alias=True, by_name=False)


class World(Protocol):
    """
    The ports, and what happens around them.
    """

    deployments: Deployments
    workloads: Workloads
    routes: Routes
    comparators: Comparators
    events: EventSink
    namespace: str

    async def put(self, key: Key, spec: Mapping[str, Any]) -> Owner:
        """
        A user creates the object or changes its spec.
        """

    async def remove(self, key: Key, *, collect: bool = True) -> None:
        """
        A user deletes the object, and with `collect` the garbage collector has deleted all it owns.
        """

    async def catch_up(self) -> None:
        """
        Everything that happened is heard of. Until then only own writes and reads are.
        """

    async def run_pod(self, key: Key, revision: str, pod: FakePod) -> None:
        """
        A node runs a pod.
        """

    async def accept(self, key: Key) -> None:
        """
        The gateway accepts the route as it is.
        """

    async def refuse(self, key: Key, message: str) -> None:
        """
        The gateway refuses the route as it is.
        """

    async def stranger_route(self, key: Key, writer: str) -> None:
        """
        Somebody makes a route of the object's name.
        """

    async def stranger_writes(self, key: Key, writer: str, shares: Mapping[str, Decimal]) -> None:
        """
        Somebody changes the weights of the route.
        """

    async def route_version(self, key: Key) -> str:
        """
        Changes when the route changes.
        """

    async def announced(self, key: Key) -> list[tuple[str, bool, str]]:
        """
        Reason, warning or not, and note of every Event about the object, sorted.
        """


class MemoryWorld:
    """
    The one in memory.
    """

    def __init__(self) -> None:
        """
        Deaf, so that a test says when something is heard of.
        """
        self.cluster = FakeCluster()
        self.cluster.deaf = True
        self.deployments = self.cluster.deployments
        self.workloads = self.cluster.workloads
        self.routes = self.cluster.routes
        self.comparators = FakeComparators()
        self.events = self.cluster.events
        self.namespace = "ml"

    async def put(self, key: Key, spec: Mapping[str, Any]) -> Owner:
        """See World."""
        return self.cluster.put(key, spec)

    async def remove(self, key: Key, *, collect: bool = True) -> None:
        """See World."""
        self.cluster.remove(key, collect=collect)

    async def catch_up(self) -> None:
        """See World."""
        self.cluster.catch_up()

    async def run_pod(self, key: Key, revision: str, pod: FakePod) -> None:
        """See World."""
        pods = self.cluster.revisions[key][revision].pods
        self.cluster.run_pods(key, revision, *pods, pod)

    async def accept(self, key: Key) -> None:
        """See World."""
        self.cluster.accept(key)

    async def refuse(self, key: Key, message: str) -> None:
        """See World."""
        self.cluster.refuse(key, message)

    async def stranger_route(self, key: Key, writer: str) -> None:
        """See World."""
        self.cluster.stranger_route(key, writer)

    async def stranger_writes(self, key: Key, writer: str, shares: Mapping[str, Decimal]) -> None:
        """See World."""
        self.cluster.stranger_writes(key, writer, shares)

    async def route_version(self, key: Key) -> str:
        """See World."""
        return str(self.cluster.route_objects[key].version)

    async def announced(self, key: Key) -> list[tuple[str, bool, str]]:
        """See World."""
        found = [said for owner, said in self.cluster.events.recorded if owner.key == key]
        return sorted((said.reason, said.warning, said.note) for said in found)


@dataclass
class Ticking:
    """
    A clock that stands.
    """

    instant: datetime = field(default_factory=lambda: datetime(2026, 1, 1, tzinfo=UTC))

    def now(self) -> datetime:
        """
        Always the same.
        """
        return self.instant


class ApiServerWorld:
    """
    A real API server, in a namespace of its own.
    """

    def __init__(self, transport: Transport) -> None:
        """
        `begin` makes the namespace.
        """
        self.transport = transport
        self.store = Store()
        self.deployments = KubernetesDeployments(transport, self.store)
        self.workloads = KubernetesWorkloads(transport, self.store)
        self.routes = HttpRoutes(transport, self.store)
        self.comparators = KubernetesComparators(
            transport, self.store, image="modelramp:test", pull_policy="IfNotPresent"
        )
        self.events = KubernetesEvents(
            transport, Ticking(), instance="operator-0", occasion=occasion_in(self.store), monotonic=lambda: 0.0
        )
        self.namespace = f"contract-{os.getpid()}-{next(_NAMESPACES)}"

    async def begin(self) -> None:
        """
        Make the namespace.
        """
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace}}
        namespaces = Resource("v1", "Namespace", "namespaces")
        request = _Request(method="POST", verb="create", resource=namespaces, namespace=None, body=body)
        await self.transport._send(request)

    async def end(self) -> None:
        """
        Leave nothing behind but the namespace's name: there is no controller that would empty it.
        """
        for resource in (*WATCHED.values(), EVENTS):
            request = _Request(method="DELETE", verb="delete", resource=resource, namespace=self.namespace)
            await self.transport._send(request)
        name = self.namespace
        namespaces = Resource("v1", "Namespace", "namespaces")
        await self.transport._send(
            _Request(method="DELETE", verb="delete", resource=namespaces, namespace=None, name=name)
        )

    async def write_as(
        self, writer: str, resource: Resource, key: Key, patch: Mapping[str, Any], subresource: str | None = None
    ) -> None:
        """
        A merge patch of somebody else.
        """
        await self.transport._send(
            _Request(
                method="PATCH",
                verb="patch",
                resource=resource,
                namespace=key.namespace,
                name=key.name,
                subresource=subresource,
                query=(("fieldManager", writer),),
                body=patch,
                content_type="application/merge-patch+json",
            )
        )

    async def put(self, key: Key, spec: Mapping[str, Any]) -> Owner:
        """See World."""
        metadata = {"name": key.name, "namespace": key.namespace}
        body = {"apiVersion": API_VERSION, "kind": KIND, "metadata": metadata, "spec": spec}
        try:
            await self.transport.get(MODELS, key)
        except GoneError:
            document = await self.transport.create(MODELS, body)
        else:
            document = await self.transport.merge_patch(MODELS, key, {"spec": spec})
        return Owner(key=key, uid=document["metadata"]["uid"])

    async def remove(self, key: Key, *, collect: bool = True) -> None:
        """See World."""
        for resource in (DEPLOYMENTS, SERVICES, PODS, HTTP_ROUTES) if collect else ():
            for item in (await self.transport.list(resource, namespace=key.namespace)).items:
                await self.transport.delete(resource, Key(key.namespace, item["metadata"]["name"]))
        await self.transport.delete(MODELS, key)

    async def catch_up(self) -> None:
        """See World."""
        for kind, resource in WATCHED.items():
            labels = LABEL_DEPLOYMENT if kind in LABELLED else None
            listing = await self.transport.list(resource, namespace=self.namespace, labels=labels)
            self.store.replace_all(kind, listing.items, listing.resource_version, self.namespace)

    async def run_pod(self, key: Key, revision: str, pod: FakePod) -> None:
        """See World."""
        labels = {LABEL_DEPLOYMENT: key.name, LABEL_REVISION: revision}
        metadata = {"name": pod.name, "namespace": key.namespace, "labels": labels}
        created = await self.transport.create(
            PODS,
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": metadata,
                "spec": {"containers": [{"name": "model", "image": "server:1"}]},
            },
        )
        service = workload_name(key.name, revision)
        await self.transport.create(
            ENDPOINT_SLICES,
            {
                "apiVersion": "discovery.k8s.io/v1",
                "kind": "EndpointSlice",
                "metadata": {**metadata, "labels": {**labels, "kubernetes.io/service-name": service}},
                "addressType": "IPv4",
                "endpoints": [
                    {
                        "addresses": ["10.1.2.3"],
                        "conditions": {"ready": pod.ready, "terminating": pod.terminating},
                        "targetRef": {"kind": "Pod", "name": pod.name, "uid": created["metadata"]["uid"]},
                    }
                ],
                "ports": [],
            },
        )

    async def _answer(self, key: Key, accepted: str, message: str) -> None:
        route = await self.transport.get(HTTP_ROUTES, key)
        common = {
            "observedGeneration": route["metadata"]["generation"],
            "lastTransitionTime": "2026-01-01T00:00:00Z",
            "reason": "Because",
        }
        conditions = [
            {**common, "type": "Accepted", "status": accepted, "message": message},
            {**common, "type": "ResolvedRefs", "status": "True", "message": ""},
        ]
        parents = [
            {"parentRef": parent, "controllerName": CONTROLLER, "conditions": conditions}
            for parent in route["spec"]["parentRefs"]
        ]
        await self.write_as("gateway", HTTP_ROUTES, key, {"status": {"parents": parents}}, subresource="status")

    async def accept(self, key: Key) -> None:
        """See World."""
        await self._answer(key, "True", "")

    async def refuse(self, key: Key, message: str) -> None:
        """See World."""
        await self._answer(key, "False", message)

    async def stranger_route(self, key: Key, writer: str) -> None:
        """See World."""
        body = {
            "apiVersion": HTTP_ROUTES.api_version,
            "kind": HTTP_ROUTES.kind,
            "metadata": {"name": key.name, "namespace": key.namespace},
            "spec": {"rules": [{"backendRefs": [{"name": "theirs", "port": 80}]}]},
        }
        await self.transport._send(
            _Request(
                method="POST",
                verb="create",
                resource=HTTP_ROUTES,
                namespace=key.namespace,
                query=(("fieldManager", writer),),
                body=body,
            )
        )

    async def stranger_writes(self, key: Key, writer: str, shares: Mapping[str, Decimal]) -> None:
        """See World."""
        backends = [
            {"name": workload_name(key.name, revision), "port": 80, "weight": int(percent)}
            for revision, percent in shares.items()
        ]
        await self.write_as(writer, HTTP_ROUTES, key, {"spec": {"rules": [{"backendRefs": backends}]}})

    async def route_version(self, key: Key) -> str:
        """See World."""
        version: str = (await self.transport.get(HTTP_ROUTES, key))["metadata"]["resourceVersion"]
        return version

    async def announced(self, key: Key) -> list[tuple[str, bool, str]]:
        """See World."""
        listing = await self.transport.list(EVENTS, namespace=key.namespace)
        found = [item for item in listing.items if item["regarding"]["name"] == key.name]
        return sorted((item["reason"], item["type"] == "Warning", item["note"]) for item in found)
