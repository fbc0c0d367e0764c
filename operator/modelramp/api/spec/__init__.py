"""
The specification of an `MLModelDeployment`: the one source of its schema, its defaults and its checks.

Every list, map and string has a maximum, because the API server's cost budget for CEL needs one. A rule stands both
as CEL, so that `kubectl apply` refuses the object, and here, so that a file can be checked without a cluster; a test
proves on random documents that both agree.
"""

from functools import cached_property
from typing import Annotated, Any, Final, Self

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from modelramp.api import identity
from modelramp.api.base import ApiModel, rules
from modelramp.api.spec.analysis import (
    INTERVAL_TOO_SHORT,
    LOOK_BACK_RANGE,
    ONE_AUTH,
    UNIQUE_METRICS,
    Analysis,
    AnalysisMode,
    BasicAuth,
    BearerAuth,
    Guardrails,
    OnInconclusive,
    OnNoData,
    Prometheus,
    PrometheusAuth,
    Reaction,
    SecretKey,
    Slices,
)
from modelramp.api.spec.aside import SHARES_ONLY, SHARES_ONLY_RULE, beyond_shares
from modelramp.api.spec.fields import (
    DNS_LABEL,
    DNS_NAME,
    HOSTNAME,
    VERSION_LABEL,
    DnsLabel,
    DnsName,
    Hostname,
    Port,
)
from modelramp.api.spec.metrics import (
    DURATIONS_ONLY,
    FORM_NEEDS_NAME,
    GAUGE_GROWS,
    GAUGE_OF_PODS,
    GROWTH_ABOVE_ZERO,
    LIMIT_RANGE,
    ONE_METRIC_FORM,
    ONE_QUESTION,
    ORIGIN_NEEDS_PRESET,
    RATES_ONLY,
    SPAN_ABOVE_ZERO,
    Against,
    BucketUnit,
    GaugeAcross,
    GaugeMetric,
    HistogramMetric,
    Metric,
    MetricOrigin,
    MetricPreset,
    MetricWeight,
    RatioMetric,
    Selector,
)
from modelramp.api.spec.serving import (
    RUNTIME_PORTS,
    AbsentNulls,
    ConfigMapKey,
    Container,
    ModelReference,
    PodMetadata,
    PodSpec,
    PodTemplate,
    Runtime,
    Serving,
    WarmUp,
    WarmUpBody,
)
from modelramp.api.spec.strategy import (
    BAKE_BELOW_DEADLINE,
    BLAST_RADIUS_RANGE,
    ENDS_WHOLE,
    MIRROR_ABOVE_ZERO,
    ONE_STRATEGY,
    SOAK_BELOW_DEADLINE,
    STAGE_SOAK_BELOW_DEADLINE,
    STEP_ABOVE_ZERO,
    STEPS_ASCEND,
    Approval,
    BlueGreen,
    Canary,
    CanaryStep,
    Cohort,
    OnPassed,
    PreSwitch,
    Shadow,
    ShadowStage,
    Strategy,
)
from modelramp.api.spec.traffic import (
    ONE_ROUTE,
    ONE_ROUTER,
    OWN_ROUTE_ONLY,
    GatewayApi,
    IstioTraffic,
    ParentRef,
    RouteKind,
    RouteRef,
    ServiceTraffic,
    Traffic,
)
from modelramp.api.spec.usecase import BY_USE_CASE, UseCase
from modelramp.api.vocabulary import Degree

__all__ = [
    "BAKE_BELOW_DEADLINE",
    "BLAST_RADIUS_RANGE",
    "BY_USE_CASE",
    "DNS_LABEL",
    "DNS_NAME",
    "DURATIONS_ONLY",
    "ENDS_WHOLE",
    "FORM_NEEDS_NAME",
    "FULL_ONLY",
    "GAUGE_GROWS",
    "GAUGE_OF_PODS",
    "GROWTH_ABOVE_ZERO",
    "HOSTNAME",
    "INTERVAL_TOO_SHORT",
    "LIMIT_RANGE",
    "LOOK_BACK_RANGE",
    "MIRROR_ABOVE_ZERO",
    "ONE_AUTH",
    "ONE_METRIC_FORM",
    "ONE_QUESTION",
    "ONE_ROUTE",
    "ONE_ROUTER",
    "ONE_STRATEGY",
    "ORIGIN_NEEDS_PRESET",
    "OWN_ROUTE_ONLY",
    "RATES_ONLY",
    "RUNTIME_PORTS",
    "SHARES_ONLY",
    "SOAK_BELOW_DEADLINE",
    "SPAN_ABOVE_ZERO",
    "STAGE_SOAK_BELOW_DEADLINE",
    "STEPS_ASCEND",
    "STEP_ABOVE_ZERO",
    "UNIQUE_METRICS",
    "VERSION_LABEL",
    "AbsentNulls",
    "Against",
    "Analysis",
    "AnalysisMode",
    "Approval",
    "Automation",
    "BasicAuth",
    "BearerAuth",
    "BlueGreen",
    "BucketUnit",
    "Canary",
    "CanaryStep",
    "Cohort",
    "ConfigMapKey",
    "Container",
    "DnsLabel",
    "DnsName",
    "GatewayApi",
    "GaugeAcross",
    "GaugeMetric",
    "Guardrails",
    "HistogramMetric",
    "Hostname",
    "IstioTraffic",
    "MLModelDeploymentSpec",
    "Metric",
    "MetricOrigin",
    "MetricPreset",
    "MetricWeight",
    "ModelReference",
    "OnInconclusive",
    "OnNoData",
    "OnPassed",
    "ParentRef",
    "PodMetadata",
    "PodSpec",
    "PodTemplate",
    "Port",
    "PreSwitch",
    "Prometheus",
    "PrometheusAuth",
    "RatioMetric",
    "Reaction",
    "RouteKind",
    "RouteRef",
    "Runtime",
    "SecretKey",
    "Selector",
    "ServiceTraffic",
    "Serving",
    "Shadow",
    "ShadowStage",
    "Slices",
    "Strategy",
    "Traffic",
    "UseCase",
    "WarmUp",
    "WarmUpBody",
]

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

    model_config = ConfigDict(json_schema_extra=rules(SHARES_ONLY_RULE))

    model: ModelReference
    use_case: UseCase | None = Field(
        default=None, description="What the model is to people; picks the strategy where none is given."
    )
    serving: Serving
    traffic: Traffic
    strategy: Strategy = Strategy()
    analysis: Analysis = Analysis()
    automation: Automation = Automation()

    @cached_property  # a spec is frozen, and asked for it many times in every decision
    def revision(self) -> str:
        """
        The identity of model and serving.
        """
        return identity.revision(self.model, self.serving)

    @cached_property
    def traffic_hash(self) -> str:
        """
        The identity of what the route is rendered from, shares apart.
        """
        return identity.traffic_hash(self.traffic)

    @model_validator(mode="before")
    @classmethod
    def _is_mapping(cls, value: Any) -> Any:  # noqa: ANN401 - pydantic hands over whatever the document holds
        if not isinstance(value, dict | cls):
            raise ValueError("must be an object")  # noqa: TRY004 - pydantic collects ValueError, not TypeError
        return value

    @model_validator(mode="after")
    def _router_can(self) -> Self:
        if beyond_shares(self.traffic, self.strategy, self.use_case):
            raise ValueError(SHARES_ONLY)
        return self
