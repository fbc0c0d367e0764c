"""
How the candidate is judged.
"""

from enum import StrEnum
from typing import Annotated, Final, Self

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from modelramp.api.base import ApiModel, rules
from modelramp.api.scalars import Duration
from modelramp.api.selectors import NOT_TOLD_APART, SELECTOR_PATTERN, TELLS_ARMS_APART, check_selector
from modelramp.api.spec.fields import DnsLabel, DnsName
from modelramp.api.spec.serving import ConfigMapKey


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


class ClientCertificate(ApiModel):
    """
    A client certificate for TLS, and its private key: keys of Secrets, in PEM.
    """

    certificate_secret_ref: SecretKey
    key_secret_ref: SecretKey


ONE_AUTH: Final = "give exactly one of bearer and basic, or a clientCertificate, or both"
_ONE_AUTH_RULE: Final = (
    "!(has(self.bearer) && has(self.basic)) && (has(self.bearer) || has(self.basic) || has(self.clientCertificate))"
)


class PrometheusAuth(ApiModel):
    """
    How to authenticate.
    """

    model_config = ConfigDict(json_schema_extra=rules((_ONE_AUTH_RULE, ONE_AUTH)))

    bearer: BearerAuth | None = None
    basic: BasicAuth | None = None
    client_certificate: ClientCertificate | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        given = (self.bearer is not None) + (self.basic is not None)
        if given > 1 or (given == 0 and self.client_certificate is None):
            raise ValueError(ONE_AUTH)
        return self


ONE_AUTHORITY: Final = "give exactly one of secretRef and configMapKeyRef"


class Authorities(ApiModel):
    """
    Certificates of authorities in PEM: a key of a Secret or of a ConfigMap.
    """

    model_config = ConfigDict(
        json_schema_extra=rules(("has(self.secretRef) != has(self.configMapKeyRef)", ONE_AUTHORITY))
    )

    secret_ref: SecretKey | None = None
    config_map_key_ref: ConfigMapKey | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.secret_ref is None) == (self.config_map_key_ref is None):
            raise ValueError(ONE_AUTHORITY)
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
    tenant: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9!_.*'()-]+$",
        min_length=1,
        max_length=150,
        description="Whose series to read, sent as X-Scope-OrgID: for Mimir, Cortex and what is like them.",
    )
    authorities: Authorities | None = Field(
        default=None,
        description="Who vouches for the server's certificate; absent: the authorities the operator's image knows.",
    )
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
