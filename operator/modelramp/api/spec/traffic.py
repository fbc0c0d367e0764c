"""
How traffic reaches the revisions.
"""

from typing import Annotated

from pydantic import Field

from modelramp.api.base import ApiModel
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


class GatewayApi(ApiModel):
    """
    Traffic through an HTTPRoute of the object's own name, which the operator creates and owns.
    """

    parent_refs: Annotated[
        tuple[ParentRef, ...],
        Field(
            min_length=1,
            max_length=8,
            description="The Gateways the route is attached to.",
            json_schema_extra={"x-kubernetes-list-type": "atomic"},
        ),
    ]
    hostnames: Annotated[
        tuple[Hostname, ...],
        Field(
            default=(),
            max_length=16,
            description="Host names matched; empty: every one.",
            json_schema_extra={"x-kubernetes-list-type": "atomic"},
        ),
    ]
    path: str = Field(default="/", pattern=r"^/[A-Za-z0-9._~/-]*$", max_length=512, description="Path prefix matched.")
    request_timeout: Duration = Field(
        default=Duration("60s"),
        description="Time for a whole request; written out because gateways' own defaults differ (15 s in Envoy). "
        "0s: none.",
    )


class Traffic(ApiModel):
    """
    How traffic is split between revisions.
    """

    gateway_api: GatewayApi = Field(alias="gatewayAPI")
