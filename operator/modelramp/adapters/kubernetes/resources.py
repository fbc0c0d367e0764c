"""
The kinds of objects the adapters deal with, and where the API server keeps them.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from modelramp.api.vocabulary import API_VERSION, KIND, PLURAL


@dataclass(frozen=True, slots=True)
class Resource:
    """
    A kind as the API server serves it.
    """

    api_version: str
    kind: str
    plural: str

    @property
    def title(self) -> str:
        """
        As roles name it, such as `deployments.apps`.
        """
        group, slash, _ = self.api_version.partition("/")
        return f"{self.plural}.{group}" if slash else self.plural

    def path(self, namespace: str | None, name: str | None = None, subresource: str | None = None) -> str:
        """
        The path of an object, or of the collection without `name`; `namespace` None: all, or a cluster-wide kind.

        The parts are names the API server or our own checks let through, so nothing needs escaping.
        """
        root = f"/apis/{self.api_version}" if "/" in self.api_version else f"/api/{self.api_version}"
        parts = [root, *(("namespaces", namespace) if namespace else ()), self.plural]
        return "/".join([*parts, *(part for part in (name, subresource) if part)])


MODELS: Final = Resource(API_VERSION, KIND, PLURAL)
DEPLOYMENTS: Final = Resource("apps/v1", "Deployment", "deployments")
SERVICES: Final = Resource("v1", "Service", "services")
PODS: Final = Resource("v1", "Pod", "pods")
ENDPOINT_SLICES: Final = Resource("discovery.k8s.io/v1", "EndpointSlice", "endpointslices")
HTTP_ROUTES: Final = Resource("gateway.networking.k8s.io/v1", "HTTPRoute", "httproutes")
GRPC_ROUTES: Final = Resource("gateway.networking.k8s.io/v1", "GRPCRoute", "grpcroutes")
VIRTUAL_SERVICES: Final = Resource("networking.istio.io/v1", "VirtualService", "virtualservices")
EVENTS: Final = Resource("events.k8s.io/v1", "Event", "events")
LEASES: Final = Resource("coordination.k8s.io/v1", "Lease", "leases")


class Kind(StrEnum):
    """
    The kinds that are watched and remembered.
    """

    MODEL = "MLModelDeployment"
    DEPLOYMENT = "Deployment"
    POD = "Pod"
    ENDPOINT_SLICE = "EndpointSlice"
    HTTP_ROUTE = "HTTPRoute"
    GRPC_ROUTE = "GRPCRoute"
    SERVICE = "Service"
    VIRTUAL_SERVICE = "VirtualService"


WATCHED: Final[Mapping[Kind, Resource]] = {
    Kind.MODEL: MODELS,
    Kind.DEPLOYMENT: DEPLOYMENTS,
    Kind.POD: PODS,
    Kind.ENDPOINT_SLICE: ENDPOINT_SLICES,
    Kind.HTTP_ROUTE: HTTP_ROUTES,
    Kind.GRPC_ROUTE: GRPC_ROUTES,
    Kind.SERVICE: SERVICES,
    Kind.VIRTUAL_SERVICE: VIRTUAL_SERVICES,
}

# Watched only where they carry our label. HTTPRoutes are not among them: a stranger's route of the object's name
# stands in the way and has no label of ours. A stranger's Service is found by trying: there are too many of them.
LABELLED: Final = frozenset({Kind.DEPLOYMENT, Kind.POD, Kind.ENDPOINT_SLICE, Kind.SERVICE})

# Kinds that split traffic under the object's own name.
ROUTERS: Final = frozenset({Kind.HTTP_ROUTE, Kind.GRPC_ROUTE, Kind.SERVICE, Kind.VIRTUAL_SERVICE})

# Kinds of routers that an operator may be told to leave alone, by the setting's name; a cluster may lack them.
SWITCHED: Final[Mapping[str, Kind]] = {"grpcRoute": Kind.GRPC_ROUTE, "istio": Kind.VIRTUAL_SERVICE}


def kinds_with(routers: Collection[str]) -> tuple[Kind, ...]:
    """
    The kinds that an operator with these routers watches.
    """
    off = {kind for name, kind in SWITCHED.items() if name not in routers}
    return tuple(kind for kind in Kind if kind not in off)
