"""
How the candidate is judged.
"""

from enum import StrEnum
from typing import Annotated, Final, Self

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from modelramp.api.base import ApiModel, rules
from modelramp.api.scalars import Duration
from modelramp.api.spec.fields import DnsName
from modelramp.api.spec.metrics import Metric, MetricPreset
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


class OnInconclusive(StrEnum):
    """
    What follows when a step's deadline passes and the evidence is sufficient neither way.
    """

    PAUSE = "Pause"
    """The share stays; a human decides."""
    ROLLBACK = "Rollback"
    ADVANCE = "Advance"
    """Go on, and say which metric was not certified."""


class OnNoData(StrEnum):
    """
    What follows when a step's deadline passes and a metric has no data or cannot be read. Never an advance.
    """

    PAUSE = "Pause"
    """The share stays; goes on by itself when the data are back."""
    ROLLBACK = "Rollback"


LABEL_NAME: Final = r"^[a-zA-Z_][a-zA-Z0-9_]{0,62}$"
SliceValue = Annotated[str, Field(min_length=1, max_length=63)]


UNIQUE_VALUES: Final = "slice values must be unique"


def _unique_values(values: tuple[str, ...]) -> tuple[str, ...]:
    if len(values) != len(set(values)):
        raise ValueError(UNIQUE_VALUES)
    return values


class Slices(ApiModel):
    """
    Parts of the traffic that are looked at for harm on their own: a label of the counters, and its values.
    """

    label: str = Field(pattern=LABEL_NAME, max_length=63, description="A label of the metrics' series, such as tenant.")
    values: Annotated[
        tuple[SliceValue, ...],
        Field(
            description="The values looked at. A slice can roll back and is never waited for.",
            min_length=1,
            max_length=8,
            json_schema_extra={"x-kubernetes-list-type": "set"},
        ),
        AfterValidator(_unique_values),
    ]


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


OVERDISPERSION: Final = r"^[1-9][0-9]{0,2}(\.[0-9]{1,4})?$"
LOOK_BACK_RANGE: Final = "lookBack must be between 10m and 168h"
_SHORTEST_LOOK_BACK: Final = 600.0
_LONGEST_LOOK_BACK: Final = 168 * 3600.0


def _hours_not_weeks(span: Duration) -> Duration:
    if not _SHORTEST_LOOK_BACK <= span.seconds <= _LONGEST_LOOK_BACK:
        raise ValueError(LOOK_BACK_RANGE)
    return span


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
        description="Time between two looks, at least 1s; best the scrape interval. Looks fall on its multiples.",
        json_schema_extra=rules(("duration(self) >= duration('1s')", INTERVAL_TOO_SHORT)),
    )
    metrics: Annotated[
        tuple[Metric, ...],
        Field(
            description="What the candidate is judged on; every one must be certified. Names are unique. Absent: "
            "errors, and the 99th percentile of the latency, which may grow by 20%.",
            min_length=1,
            max_length=10,
            json_schema_extra={"x-kubernetes-list-type": "atomic", **rules((_NAMES_UNIQUE, UNIQUE_METRICS))},
        ),
        AfterValidator(_names_unique),
    ] = (Metric(preset=MetricPreset.ERRORS), Metric(preset=MetricPreset.LATENCY))
    slices: Slices | None = None
    overdispersion: str | None = Field(
        default=None,
        pattern=OVERDISPERSION,
        max_length=8,
        description="How much more bad events scatter than independent ones: the factor counts are divided by, 1 to "
        "999. Absent: estimated from the stable pods' history, and 2 where that says nothing.",
    )
    look_back: Annotated[Duration, AfterValidator(_hours_not_weeks)] = Field(
        default=Duration("24h"),
        description="How far the stable pods' history is read before a rollout, 10m to 168h; best at least 6h.",
        json_schema_extra=rules(
            ("duration(self) >= duration('10m') && duration(self) <= duration('168h')", LOOK_BACK_RANGE)
        ),
    )
    on_inconclusive: OnInconclusive = Field(
        default=OnInconclusive.PAUSE, description="What follows when a step's deadline passes without a verdict."
    )
    on_no_data: OnNoData = Field(
        default=OnNoData.PAUSE, description="What follows when a step's deadline passes while a metric has no data."
    )
    guardrails: Guardrails = Guardrails()
