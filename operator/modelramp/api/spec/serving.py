"""
Which model is served, and how.
"""

from enum import StrEnum
from typing import Annotated, Any, Final, Self

from pydantic import BeforeValidator, ConfigDict, Field, model_validator

from modelramp.api.base import ApiModel, rules
from modelramp.api.scalars import Duration
from modelramp.api.spec.capacity import Capacity, Config, Drain
from modelramp.api.spec.fields import VERSION_LABEL, DnsLabel, DnsName, Port


class ModelReference(ApiModel):
    """
    Which model is served. A change is a new revision.
    """

    version: str = Field(
        pattern=VERSION_LABEL,
        max_length=63,
        description="The model's version, shown to people and given to the pods as MODEL_VERSION. A label value.",
    )
    uri: str | None = Field(
        default=None,
        min_length=1,
        max_length=2048,
        description="Where the model lies, given to the pods as MODEL_URI; absent when the image holds the model.",
    )


class Runtime(StrEnum):
    """
    The model server: gives the port and the metric preset.
    """

    MLSERVER = "mlserver"
    TRITON = "triton"
    VLLM = "vllm"
    KSERVE = "kserve"
    TF_SERVING = "tfserving"
    TORCHSERVE = "torchserve"
    BENTOML = "bentoml"
    RAY_SERVE = "rayserve"
    TGI = "tgi"
    SGLANG = "sglang"
    TRT_LLM = "trtllm"
    CUSTOM = "custom"


# The HTTP port of predictions, as each server listens unless told otherwise (its own documentation).
RUNTIME_PORTS: Final = {
    Runtime.MLSERVER: 8080,
    Runtime.TRITON: 8000,
    Runtime.VLLM: 8000,
    Runtime.KSERVE: 8080,
    Runtime.TF_SERVING: 8501,
    Runtime.TORCHSERVE: 8080,
    Runtime.BENTOML: 3000,
    Runtime.RAY_SERVE: 8000,
    Runtime.TGI: 80,
    Runtime.SGLANG: 30000,
    Runtime.TRT_LLM: 8000,
}


class Container(ApiModel):
    """
    A container of the pod template; every field of a Kubernetes container is allowed.
    """

    model_config = ConfigDict(extra="allow")

    name: DnsLabel = Field(description="The container's name.")
    image: str = Field(min_length=1, max_length=512, description="The container's image.")


class PodSpec(ApiModel):
    """
    The pod specification; every field of a Kubernetes PodSpec is allowed. The first container is the model server.
    """

    model_config = ConfigDict(extra="allow")

    containers: Annotated[
        tuple[Container, ...],
        Field(
            min_length=1,
            max_length=16,
            description="The containers; the first one is the model server.",
            json_schema_extra={"x-kubernetes-list-type": "atomic"},
        ),
    ]


def _without_nulls(value: Any) -> Any:  # noqa: ANN401 - pydantic hands over whatever the document holds
    if not isinstance(value, dict):
        return value
    return {key: item for key, item in value.items() if item is not None}


# The API server drops entries that are null, before it checks them.
AbsentNulls: Final = BeforeValidator(_without_nulls)


class PodMetadata(ApiModel):
    """
    Labels and annotations for the pods; those of the operator win.
    """

    labels: Annotated[dict[str, Annotated[str, Field(max_length=63)]], Field(max_length=32), AbsentNulls] | None = (
        Field(default=None, description="Labels of the pods.")
    )
    annotations: (
        Annotated[dict[str, Annotated[str, Field(max_length=4096)]], Field(max_length=32), AbsentNulls] | None
    ) = Field(default=None, description="Annotations of the pods.")


class PodTemplate(ApiModel):
    """
    The pod template (PodTemplateSpec).
    """

    metadata: PodMetadata | None = None
    spec: PodSpec


class ConfigMapKey(ApiModel):
    """
    A key of a ConfigMap in the object's namespace.
    """

    name: DnsName = Field(description="The ConfigMap's name.")
    key: str = Field(pattern=r"^[-._a-zA-Z0-9]+$", max_length=253, description="The key in it.")


class WarmUpBody(ApiModel):
    """
    The body of a warm-up request: given here, or in a ConfigMap.
    """

    model_config = ConfigDict(
        json_schema_extra=rules(
            ("has(self.value) != has(self.configMapKeyRef)", "give exactly one of value and configMapKeyRef")
        )
    )

    value: str | None = Field(default=None, max_length=65536, description="The body itself.")
    config_map_key_ref: ConfigMapKey | None = None

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.value is None) == (self.config_map_key_ref is None):
            raise ValueError("give exactly one of value and configMapKeyRef")
        return self


class WarmUp(ApiModel):
    """
    Requests sent to the candidate before users reach it: the first calls of a model are slow, and a readiness probe
    does not see it.
    """

    requests: int = Field(
        default=20, ge=1, le=200, strict=True, description="Requests that must all be answered with 2xx."
    )
    path: str = Field(
        pattern=r"^/[A-Za-z0-9._~/%?=&:,-]*$", max_length=512, description="The path asked on the candidate's Service."
    )
    body: WarmUpBody | None = Field(default=None, description="Sent by POST as application/json; absent: GET.")
    p95_below: Duration | None = Field(
        default=None,
        alias="p95Below",
        description="The 95th percentile of the latency must be below this; absent: any.",
    )


class Serving(ApiModel):
    """
    How the model is served. A change of the template, the runtime or the port is a new revision; replicas,
    warm-up and capacity are not.
    """

    model_config = ConfigDict(
        json_schema_extra=rules(("self.runtime != 'custom' || has(self.port)", "the custom runtime needs a port"))
    )

    runtime: Runtime = Runtime.CUSTOM
    port: Port | None = Field(default=None, description="The model server's HTTP port; absent: the runtime's own.")
    replicas: int = Field(
        default=1, ge=1, le=1000, strict=True, description="Pods of each revision that serves or is on trial."
    )
    template: PodTemplate
    warm_up: WarmUp | None = None
    min_ready: Duration = Field(
        default=Duration("0s"),
        description="Time all the candidate's pods must have been ready, without a break, before anything reaches it.",
    )
    capacity: Capacity = Capacity()
    drain: Drain = Drain()
    config: Config = ()

    @model_validator(mode="after")
    def _port_known(self) -> Self:
        if self.port is None and self.runtime not in RUNTIME_PORTS:
            raise ValueError("the custom runtime needs a port")
        return self

    @property
    def http_port(self) -> int:
        """
        The port requests are sent to.
        """
        return self.port if self.port is not None else RUNTIME_PORTS[self.runtime]
