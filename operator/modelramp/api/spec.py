"""
The specification of an `MLModelDeployment`: the one source of its schema, its defaults and its checks.

Every list, map and string has a maximum, because the API server's cost budget for CEL needs one. A rule stands both
as CEL, so that `kubectl apply` refuses the object, and here, so that a file can be checked without a cluster; a test
proves on random documents that both agree.
"""

from enum import StrEnum
from itertools import pairwise
from typing import Annotated, Any, Final, Self

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, model_validator

from modelramp.api.base import ApiModel, rules
from modelramp.api.scalars import Duration, Share
from modelramp.api.selectors import NOT_TOLD_APART, SELECTOR_PATTERN, TELLS_ARMS_APART, check_selector
from modelramp.api.vocabulary import Degree

DNS_LABEL: Final = r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"
DNS_NAME: Final = r"^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$"
HOSTNAME: Final = r"^(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
VERSION_LABEL: Final = r"^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$"

DnsLabel = Annotated[str, Field(pattern=DNS_LABEL, max_length=63)]
DnsName = Annotated[str, Field(pattern=DNS_NAME, max_length=253)]
Hostname = Annotated[str, Field(pattern=HOSTNAME, max_length=253)]
Port = Annotated[int, Field(ge=1, le=65535, strict=True)]


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
    CUSTOM = "custom"


RUNTIME_PORTS: Final = {Runtime.MLSERVER: 8080}


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
    How the model is served. A change of the template, the runtime or the port is a new revision; replicas are not.
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


STEP_ABOVE_ZERO: Final = "a step's traffic must be above 0%"
STEPS_ASCEND: Final = "the steps' traffic must rise from step to step"
BLAST_RADIUS_RANGE: Final = "blastRadius must be above 0% and at most 20%"
_SHARES_ASCEND: Final = (  # isSorted lets equal neighbours pass, so each share must also occur only once
    "self.map(s, double(s.traffic.replace('%', ''))).isSorted() && self.all(s, "
    "self.exists_one(t, double(t.traffic.replace('%', '')) == double(s.traffic.replace('%', ''))))"
)


SOAK_BELOW_DEADLINE: Final = "every soak must be shorter than stepDeadline, or no step could ever pass"
_SOAKS_FIT: Final = (
    "duration(self.soak) < duration(self.stepDeadline) && "
    "self.steps.all(s, !has(s.soak) || duration(s.soak) < duration(self.stepDeadline))"
)


def _above_zero(share: Share) -> Share:
    if share.percent <= 0:
        raise ValueError(STEP_ABOVE_ZERO)
    return share


def _tolerable(share: Share) -> Share:
    if not 0 < share.percent <= 20:  # noqa: PLR2004 - the bound stands in BLAST_RADIUS_RANGE and in CEL
        raise ValueError(BLAST_RADIUS_RANGE)
    return share


class CanaryStep(ApiModel):
    """
    A share of live traffic for the candidate.
    """

    traffic: Annotated[Share, AfterValidator(_above_zero)] = Field(
        description="The candidate's share of traffic in this step, above 0%.",
        json_schema_extra=rules(("double(self.replace('%', '')) > 0.0", STEP_ABOVE_ZERO)),
    )
    soak: Duration | None = Field(
        default=None,
        description="The least time the share is in place before the next step; absent: the strategy's soak.",
    )


def _ascending(steps: tuple[CanaryStep, ...]) -> tuple[CanaryStep, ...]:
    if not all(a.traffic.percent < b.traffic.percent for a, b in pairwise(steps)):
        raise ValueError(STEPS_ASCEND)
    return steps


class Canary(ApiModel):
    """
    Rising shares of live traffic, each held until the evidence certifies the next.
    """

    model_config = ConfigDict(json_schema_extra=rules((_SOAKS_FIT, SOAK_BELOW_DEADLINE)))

    steps: Annotated[
        tuple[CanaryStep, ...],
        Field(
            description="The shares, rising. After the last step the candidate is promoted.",
            min_length=1,
            max_length=16,
            json_schema_extra={
                "x-kubernetes-list-type": "atomic",
                **rules((_SHARES_ASCEND, STEPS_ASCEND)),
            },
        ),
        AfterValidator(_ascending),
    ] = tuple(CanaryStep(traffic=Share(share)) for share in ("5%", "25%", "50%", "100%"))
    blast_radius: Annotated[Share, AfterValidator(_tolerable)] = Field(
        default=Share("0.5%"),
        description="Extra bad requests, as a share of all traffic, that a step may risk: a candidate is certified for "
        "the share w when its error rate is shown to be below 1.25 x stable + blastRadius / w.",
        json_schema_extra=rules(
            ("double(self.replace('%', '')) > 0.0 && double(self.replace('%', '')) <= 20.0", BLAST_RADIUS_RANGE)
        ),
    )
    soak: Duration = Field(default=Duration("2m"), description="The least time each step's share is in place.")
    step_deadline: Duration = Field(
        default=Duration("1h"), description="A step without sufficient evidence after this time pauses the rollout."
    )

    @model_validator(mode="after")
    def _soaks_fit(self) -> Self:
        longest = max([self.soak.seconds, *(step.soak.seconds for step in self.steps if step.soak is not None)])
        if longest >= self.step_deadline.seconds:
            raise ValueError(SOAK_BELOW_DEADLINE)
        return self


class Strategy(ApiModel):
    """
    How a new revision is released.
    """

    canary: Canary = Canary()
    progress_deadline: Duration = Field(
        default=Duration("10m"),
        description="Time for the candidate to become ready, and for the route to follow a change.",
    )
    scale_down_delay: Duration = Field(
        default=Duration("30s"), description="Time the previous revision is kept after the last request reached it."
    )


class SecretKey(ApiModel):
    """
    A key of a Secret in the object's namespace. The operator can read only Secrets named in its installation.
    """

    name: DnsName = Field(description="The Secret's name.")
    key: str = Field(pattern=r"^[-._a-zA-Z0-9]+$", max_length=253, description="The key in it.")


class BasicAuth(ApiModel):
    """
    User name and password.
    """

    username: str = Field(min_length=1, max_length=253, description="The user's name.")
    password_secret_ref: SecretKey


class BearerAuth(ApiModel):
    """
    A bearer token.
    """

    secret_ref: SecretKey


ONE_AUTH: Final = "give exactly one of bearer and basic"


class PrometheusAuth(ApiModel):
    """
    How to authenticate.
    """

    model_config = ConfigDict(json_schema_extra=rules(("has(self.bearer) != has(self.basic)", ONE_AUTH)))

    bearer: BearerAuth | None = None
    basic: BasicAuth | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.bearer is None) == (self.basic is None):
            raise ValueError(ONE_AUTH)
        return self


class Prometheus(ApiModel):
    """
    The Prometheus the metrics are read from.
    """

    address: str | None = Field(
        default=None,
        pattern=r"^https?://[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]{1,5})?(/[A-Za-z0-9._~/-]*)?$",
        max_length=512,
        description="Base URL; absent: the one of the operator's installation. Must be allowed there.",
    )
    auth: PrometheusAuth | None = None
    delay: Duration = Field(
        default=Duration("5s"),
        description="Age at which samples are taken as complete: the time a scrape and its way into storage may need.",
    )


class MetricPreset(StrEnum):
    """
    A metric the operator knows how to read.
    """

    ERRORS = "errors"


class MetricOrigin(StrEnum):
    """
    Whose counters a preset reads.
    """

    GATEWAY = "Gateway"
    """The gateway's own counters: they also see what a crashed server cannot count."""
    RUNTIME = "Runtime"
    """The model server's counters."""


_APART_IN_CEL: Final = TELLS_ARMS_APART.replace("\\", "\\\\")
Selector = Annotated[
    str,
    Field(
        min_length=1,
        max_length=1024,
        pattern=SELECTOR_PATTERN,
        json_schema_extra=rules((f"self.matches('{_APART_IN_CEL}')", NOT_TOLD_APART)),
    ),
    AfterValidator(check_selector),
]


class RatioMetric(ApiModel):
    """
    Bad events of all events, as two selectors of counters. `$arm` stands for the label matchers of a revision's pods;
    `${namespace}`, `${service}` and `${revision}` for its names.
    """

    bad: Selector = Field(description="Selector of the counters of bad events.")
    total: Selector = Field(description="Selector of the counters of all events, the bad ones among them.")


ONE_METRIC_FORM: Final = "give exactly one of preset and ratio"
RATIO_NEEDS_NAME: Final = "a ratio metric needs a name"
ORIGIN_NEEDS_PRESET: Final = "origin belongs to a preset"


class Metric(ApiModel):
    """
    A metric the candidate is judged on: a preset, or a ratio of the user's own counters.
    """

    model_config = ConfigDict(
        json_schema_extra=rules(
            ("has(self.preset) != has(self.ratio)", ONE_METRIC_FORM),
            ("!has(self.ratio) || has(self.name)", RATIO_NEEDS_NAME),
            ("!has(self.origin) || has(self.preset)", ORIGIN_NEEDS_PRESET),
        )
    )

    name: DnsLabel | None = Field(default=None, description="Absent: the preset's name.")
    preset: MetricPreset | None = None
    origin: MetricOrigin | None = Field(default=None, description="Whose counters the preset reads; absent: Gateway.")
    ratio: RatioMetric | None = None

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        if (self.preset is None) == (self.ratio is None):
            raise ValueError(ONE_METRIC_FORM)
        if self.ratio is not None and self.name is None:
            raise ValueError(RATIO_NEEDS_NAME)
        if self.origin is not None and self.preset is None:
            raise ValueError(ORIGIN_NEEDS_PRESET)
        return self

    @property
    def title(self) -> str:
        """
        The name shown and kept in status.
        """
        return self.name or str(self.preset)


class Reaction(StrEnum):
    """
    What a broken guardrail does.
    """

    ROLLBACK = "Rollback"
    IGNORE = "Ignore"


class Guardrails(ApiModel):
    """
    Facts that need no statistics.
    """

    crash_loop: Reaction = Field(default=Reaction.ROLLBACK, description="A container of the candidate keeps crashing.")
    out_of_memory: Reaction = Field(
        default=Reaction.ROLLBACK, description="A container of the candidate was OOM-killed."
    )
    not_ready_for: Duration = Field(
        default=Duration("60s"),
        description="Time the candidate may have fewer ready pods than it needs, once it was ready.",
    )


class AnalysisMode(StrEnum):
    """
    What a step waits for.
    """

    EVIDENCE = "Evidence"
    """Every metric must be certified."""
    GUARDRAILS_ONLY = "GuardrailsOnly"
    """Nothing is measured; guardrails and soak times alone decide. The status keeps saying so."""


UNIQUE_METRICS: Final = "metric names must be unique"
_NAMES_UNIQUE = (
    "self.all(m, self.exists_one(n, (has(n.name) ? n.name : has(n.preset) ? n.preset : '') == "
    "(has(m.name) ? m.name : has(m.preset) ? m.preset : '')))"
)


INTERVAL_TOO_SHORT: Final = "interval must be at least 1s"


def _a_second_or_more(interval: Duration) -> Duration:
    if interval.seconds < 1:
        raise ValueError(INTERVAL_TOO_SHORT)
    return interval


def _names_unique(metrics: tuple[Metric, ...]) -> tuple[Metric, ...]:
    names = [metric.title for metric in metrics]
    if len(names) != len(set(names)):
        raise ValueError(UNIQUE_METRICS)
    return metrics


class Analysis(ApiModel):
    """
    How the candidate is judged.
    """

    mode: AnalysisMode = AnalysisMode.EVIDENCE
    prometheus: Prometheus = Prometheus()
    interval: Annotated[Duration, AfterValidator(_a_second_or_more)] = Field(
        default=Duration("15s"),
        description="Time between two looks, at least 1s; best the scrape interval.",
        json_schema_extra=rules(("duration(self) >= duration('1s')", INTERVAL_TOO_SHORT)),
    )
    metrics: Annotated[
        tuple[Metric, ...],
        Field(
            description="What the candidate is judged on; every one must be certified. Names are unique.",
            min_length=1,
            max_length=10,
            json_schema_extra={"x-kubernetes-list-type": "atomic", **rules((_NAMES_UNIQUE, UNIQUE_METRICS))},
        ),
        AfterValidator(_names_unique),
    ] = (Metric(preset=MetricPreset.ERRORS),)
    guardrails: Guardrails = Guardrails()


FULL_ONLY: Final = (
    "only the degree Full is available in this version; HumanOnly, Shadow, Assist and Partial are not built yet"
)


def _full(degree: Degree) -> Degree:
    if degree is not Degree.FULL:
        raise ValueError(FULL_ONLY)
    return degree


class Automation(ApiModel):
    """
    How much the operator decides by itself.
    """

    degree: Annotated[Degree, AfterValidator(_full)] = Field(
        default=Degree.FULL, json_schema_extra=rules(("self == 'Full'", FULL_ONLY))
    )


class MLModelDeploymentSpec(ApiModel):
    """
    What is to be served, how traffic reaches it, and how a new version is released and judged.
    """

    model: ModelReference
    serving: Serving
    traffic: Traffic
    strategy: Strategy = Strategy()
    analysis: Analysis = Analysis()
    automation: Automation = Automation()

    @model_validator(mode="before")
    @classmethod
    def _is_mapping(cls, value: Any) -> Any:  # noqa: ANN401 - pydantic hands over whatever the document holds
        if not isinstance(value, dict | cls):
            raise ValueError("must be an object")  # noqa: TRY004 - pydantic collects ValueError, not TypeError
        return value
