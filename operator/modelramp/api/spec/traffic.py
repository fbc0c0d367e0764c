"""
How traffic reaches the revisions: through exactly one router.
"""

from enum import StrEnum
from typing import Annotated, Final, Self

from pydantic import ConfigDict, Field, model_validator

from modelramp.api.base import ApiModel, rules
from modelramp.api.scalars import Duration
from modelramp.api.spec.fields import DnsLabel, DnsName, Hostname, Port


class ParentRef(ApiModel):
    """
    A Gateway the route is attached to.
    """

    name: DnsName = Field(description="The Gateway's name.")
    namespace: DnsLabel | None = Field(default=None, description="Absent: the object's own namespace.")
    section_name: DnsName | None = Field(default=None, description="The Gateway's listener; absent: every listener.")
    port: Port | None = Field(default=None, description="The listener's port; absent: every port.")


class RouteKind(StrEnum):
    """
    The kind of route.
    """

    HTTP_ROUTE = "HTTPRoute"
    GRPC_ROUTE = "GRPCRoute"


class RouteRef(ApiModel):
    """
    A route of somebody else's, in which one backend stands for the model.
    """

    name: DnsName = Field(description="The route's name, in the object's own namespace.")
    backend: DnsName = Field(
        description="The Service that stands for the model in the route's backendRefs. It is replaced by the "
        "revisions' Services in proportion; everything else of the route stays as it is, and it is put back when the "
        "object is deleted."
    )


ONE_ROUTE: Final = "give exactly one of parentRefs (a route of its own) and routeRef (a route that exists)"
OWN_ROUTE_ONLY: Final = "hostnames belong to a route of its own: leave them out beside routeRef"
ONE_ROUTER: Final = "give exactly one of gatewayAPI, service and istio"


class GatewayApi(ApiModel):
    """
    Traffic through a route of the Gateway API: one of the object's own name, which the operator creates and owns, or
    one that exists.
    """

    model_config = ConfigDict(
        json_schema_extra=rules(
            ("has(self.parentRefs) != has(self.routeRef)", ONE_ROUTE),
            ("!has(self.routeRef) || !has(self.hostnames) || self.hostnames.size() == 0", OWN_ROUTE_ONLY),
        )
    )

    kind: RouteKind = Field(default=RouteKind.HTTP_ROUTE, description="The route's kind; GRPCRoute for gRPC servers.")
    parent_refs: (
        Annotated[
            tuple[ParentRef, ...],
            Field(min_length=1, max_length=8, json_schema_extra={"x-kubernetes-list-type": "atomic"}),
        ]
        | None
    ) = Field(default=None, description="The Gateways the object's own route is attached to.")
    route_ref: RouteRef | None = None
    hostnames: Annotated[
        tuple[Hostname, ...],
        Field(
            default=(),
            max_length=16,
            description="Host names matched; empty: every one.",
            json_schema_extra={"x-kubernetes-list-type": "atomic"},
        ),
    ]
    path: str = Field(
        default="/",
        pattern=r"^/[A-Za-z0-9._~/-]*$",
        max_length=512,
        description="Path prefix matched; of an HTTPRoute of its own only.",
    )
    request_timeout: Duration = Field(
        default=Duration("60s"),
        description="Time for a whole request; written out because gateways' own defaults differ (15 s in Envoy). "
        "0s: none. A GRPCRoute has no such field: there it only bounds the waiting for last requests.",
    )

    @model_validator(mode="after")
    def _one_route(self) -> Self:
        if (self.parent_refs is None) == (self.route_ref is None):
            raise ValueError(ONE_ROUTE)
        if self.route_ref is not None and self.hostnames:
            raise ValueError(OWN_ROUTE_ONLY)
        return self


class ServiceTraffic(ApiModel):
    """
    Traffic through a plain Service of the object's own name, without a gateway. A share is a ratio of pods, and what
    a client gets of it depends on its connections.
    """

    port: Port = Field(default=80, description="The Service's port.")
    drain: Duration = Field(
        default=Duration("60s"),
        description="Time connections opened before a switch are given to end: they keep their pod.",
    )


class IstioTraffic(ApiModel):
    """
    Traffic through an Istio VirtualService of the object's own name.
    """

    hosts: Annotated[
        tuple[Hostname, ...],
        Field(
            min_length=1,
            max_length=16,
            description="The host names it answers for.",
            json_schema_extra={"x-kubernetes-list-type": "atomic"},
        ),
    ]
    gateways: Annotated[
        tuple[Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9./]*[a-z0-9])?$", max_length=253)], ...],
        Field(
            default=("mesh",),
            min_length=1,
            max_length=8,
            description="Istio Gateways, as NAME or NAMESPACE/NAME; mesh: all sidecars.",
            json_schema_extra={"x-kubernetes-list-type": "atomic"},
        ),
    ]
    request_timeout: Duration = Field(default=Duration("60s"), description="Time for a whole request; 0s: none.")


class Traffic(ApiModel):
    """
    How traffic is split between revisions.
    """

    model_config = ConfigDict(
        json_schema_extra=rules(
            ("[has(self.gatewayAPI), has(self.service), has(self.istio)].filter(x, x).size() == 1", ONE_ROUTER)
        )
    )

    gateway_api: GatewayApi | None = Field(default=None, alias="gatewayAPI")
    service: ServiceTraffic | None = None
    istio: IstioTraffic | None = None

    @model_validator(mode="after")
    def _one_router(self) -> Self:
        if sum(given is not None for given in (self.gateway_api, self.service, self.istio)) != 1:
            raise ValueError(ONE_ROUTER)
        return self

    @property
    def by_pods(self) -> bool:
        """
        A share is a ratio of pods; it cannot be set apart from them.
        """
        return self.service is not None

    @property
    def longest_request(self) -> Duration:
        """
        How long a request that was already accepted may last.
        """
        if self.gateway_api is not None:
            return self.gateway_api.request_timeout
        if self.istio is not None:
            return self.istio.request_timeout
        return self.service.drain if self.service is not None else Duration("0s")
