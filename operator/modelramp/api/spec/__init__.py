"""
The specification of an `MLModelDeployment`: the one source of its schema, its defaults and its checks.

Every list, map and string has a maximum, because the API server's cost budget for CEL needs one. A rule stands both
as CEL, so that `kubectl apply` refuses the object, and here, so that a file can be checked without a cluster; a test
proves on random documents that both agree.
"""

from functools import cached_property
from typing import Any, Final, Self

from pydantic import ConfigDict, Field, model_validator

from modelramp.api import identity
from modelramp.api.base import ApiModel, rules
from modelramp.api.spec.abilities import (
    ABILITIES,
    ISTIO_WHOLE_PERCENTS,
    SERVICE_COPIES_NOTHING,
    SERVICE_READS_NO_HEADER,
    obstacle,
)
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
from modelramp.api.spec.automation import (
    FREEZE_ENDS,
    ONE_FREEZE_FORM,
    PARTIAL_ONLY,
    Automation,
    Freeze,
    Weekday,
)
from modelramp.api.spec.capacity import (
    CONFIG_ONCE,
    DRAIN_RANGE,
    RECREATE_WHOLE,
    Budget,
    Capacity,
    ConfigReference,
    Drain,
    Surge,
)
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

__all__ = [
    "BAKE_BELOW_DEADLINE",
    "BLAST_RADIUS_RANGE",
    "BY_USE_CASE",
    "CONFIG_ONCE",
    "DNS_LABEL",
    "DNS_NAME",
    "DRAIN_RANGE",
    "DURATIONS_ONLY",
    "ENDS_WHOLE",
    "FORM_NEEDS_NAME",
    "FREEZE_ENDS",
    "GAUGE_GROWS",
    "GAUGE_OF_PODS",
    "GROWTH_ABOVE_ZERO",
    "HOSTNAME",
    "INTERVAL_TOO_SHORT",
    "ISTIO_WHOLE_PERCENTS",
    "LIMIT_RANGE",
    "LOOK_BACK_RANGE",
    "MIRROR_ABOVE_ZERO",
    "ONE_AUTH",
    "ONE_FREEZE_FORM",
    "ONE_METRIC_FORM",
    "ONE_QUESTION",
    "ONE_ROUTE",
    "ONE_ROUTER",
    "ONE_STRATEGY",
    "ORIGIN_NEEDS_PRESET",
    "OWN_ROUTE_ONLY",
    "PARTIAL_ONLY",
    "RATES_ONLY",
    "RECREATE_WHOLE",
    "RUNTIME_PORTS",
    "SERVICE_COPIES_NOTHING",
    "SERVICE_READS_NO_HEADER",
    "SHARES_ONLY",
    "SOAK_BELOW_DEADLINE",
    "SPAN_ABOVE_ZERO",
    "STAGE_SOAK_BELOW_DEADLINE",
    "STEPS_ASCEND",
    "STEP_ABOVE_ZERO",
    "STEP_METRICS_KNOWN",
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
    "Budget",
    "Canary",
    "CanaryStep",
    "Capacity",
    "Cohort",
    "ConfigMapKey",
    "ConfigReference",
    "Container",
    "DnsLabel",
    "DnsName",
    "Drain",
    "Freeze",
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
    "Surge",
    "Traffic",
    "UseCase",
    "WarmUp",
    "WarmUpBody",
    "Weekday",
]


_RECREATES_WHOLE: Final = (
    "!has(self.serving.capacity) || self.serving.capacity.surge != 'Recreate' || (has(self.strategy) && "
    "has(self.strategy.canary) && !has(self.strategy.canary.shadow) && !has(self.strategy.canary.cohort) && "
    "self.strategy.canary.steps.size() == 1 && "
    "double(self.strategy.canary.steps[0].traffic.replace('%', '')) == 100.0)"
)


STEP_METRICS_KNOWN: Final = "a step names a metric that analysis.metrics does not have"
_TITLES_IN_CEL: Final = (
    "s.metrics.all(n, self.analysis.metrics.exists(m, (has(m.name) ? m.name : has(m.preset) ? m.preset : '') == n))"
)
_STEP_METRICS_IN_CEL: Final = " && ".join(
    f"(!has(self.strategy.{kind}) || self.strategy.{kind}.steps.all(s, !has(s.metrics) || {_TITLES_IN_CEL}))"
    for kind in ("canary", "blueGreen")
)


class MLModelDeploymentSpec(ApiModel):
    """
    What is to be served, how traffic reaches it, and how a new version is released and judged.
    """

    model_config = ConfigDict(
        json_schema_extra=rules(
            SHARES_ONLY_RULE,
            *ABILITIES,
            (_RECREATES_WHOLE, RECREATE_WHOLE),
            (_STEP_METRICS_IN_CEL, STEP_METRICS_KNOWN),
        )
    )

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

    @model_validator(mode="after")
    def _recreates_whole(self) -> Self:
        if self.serving.capacity.surge is not Surge.RECREATE:
            return self
        canary = self.strategy.canary
        plain = canary is not None and canary.shadow is None and canary.cohort is None
        if canary is None or not plain or [step.traffic.percent for step in canary.steps] != [100]:
            raise ValueError(RECREATE_WHOLE)
        return self

    @model_validator(mode="after")
    def _step_metrics_known(self) -> Self:
        known = {metric.title for metric in self.analysis.metrics}
        for stepped in (self.strategy.canary, self.strategy.blue_green):
            steps = () if stepped is None else stepped.steps
            if not known.issuperset(name for step in steps for name in step.metrics or ()):
                raise ValueError(STEP_METRICS_KNOWN)
        return self

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
        found = obstacle(self.traffic, self.strategy, self.use_case)
        if found is not None:
            raise ValueError(found)
        return self
