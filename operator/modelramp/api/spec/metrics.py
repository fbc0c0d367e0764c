"""
What a candidate is judged on.
"""

from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Final, Self

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from modelramp.api.base import ApiModel, rules
from modelramp.api.scalars import Duration, Share
from modelramp.api.selectors import NOT_TOLD_APART, SELECTOR_PATTERN, TELLS_ARMS_APART, check_selector
from modelramp.api.spec.fields import DnsLabel


class MetricPreset(StrEnum):
    """
    A metric the operator knows how to read. What each is, by source: docs/reference/presets.md.
    """

    ERRORS = "errors"
    ABORTS = "aborts"
    LATENCY = "latency"
    TTFT = "ttft"
    ITL = "itl"
    QUEUE_TIME = "queue-time"
    DISAGREEMENT = "disagreement"


RATE_PRESETS: Final = frozenset({MetricPreset.ERRORS, MetricPreset.ABORTS, MetricPreset.DISAGREEMENT})
"""Presets that are a share of bad events; the others are durations in buckets."""


class MetricOrigin(StrEnum):
    """
    Whose counters a preset reads.
    """

    GATEWAY = "Gateway"
    """The gateway's own counters: they also see what a crashed server cannot count."""
    RUNTIME = "Runtime"
    """The model server's counters."""


class MetricWeight(StrEnum):
    """
    How much a metric's evidence of harm counts beside the others'.
    """

    CRITICAL = "Critical"
    """The critical metrics share one half of the weight, all others the other half."""
    NORMAL = "Normal"


class BucketUnit(StrEnum):
    """
    The unit of a histogram's bucket edges.
    """

    SECONDS = "Seconds"
    MILLISECONDS = "Milliseconds"
    MICROSECONDS = "Microseconds"

    @property
    def factor(self) -> float:
        """
        What turns an edge into seconds.
        """
        return {BucketUnit.SECONDS: 1.0, BucketUnit.MILLISECONDS: 1e-3, BucketUnit.MICROSECONDS: 1e-6}[self]


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
    `${namespace}`, `${deployment}`, `${service}` and `${revision}` for its names.
    """

    bad: Selector = Field(description="Selector of the counters of bad events.")
    total: Selector = Field(description="Selector of the counters of all events, the bad ones among them.")


class HistogramMetric(ApiModel):
    """
    Durations in a histogram, as the selector of its buckets, with the placeholders of a ratio.
    """

    buckets: Selector = Field(
        description="Selector of the cumulative buckets, the series with the label `le`; or of a native histogram, "
        "whose name has no `_bucket`."
    )
    unit: BucketUnit = Field(default=BucketUnit.SECONDS, description="The unit of the bucket edges.")


class GaugeAcross(StrEnum):
    """
    What a gauge's series of one revision become together, each as its mean over an interval.
    """

    SUM = "Sum"
    """Comparable only while both revisions have equally many pods."""
    MEAN = "Mean"
    MAX = "Max"
    """The largest."""


GAUGE_OF_PODS: Final = "a gauge must be one of each revision's pods, as stable's are compared with each other: use $arm"


def _of_pods(selector: str) -> str:
    if "$arm" not in selector:
        raise ValueError(GAUGE_OF_PODS)
    return selector


class GaugeMetric(ApiModel):
    """
    A present value that is never below 0, and better the lower it is, such as a queue's length.

    It tells little: where it can be had as a ratio or a histogram, use that. Judged by how much it varied between
    stable's pods in the time looked back on; with one pod, or less than 30 intervals, it is never certified.
    """

    value: Annotated[Selector, AfterValidator(_of_pods)] = Field(
        description="Selector of the gauge's series; values below 0 count as missing.",
        json_schema_extra=rules(("self.contains('$arm')", GAUGE_OF_PODS)),
    )
    across: GaugeAcross = Field(
        default=GaugeAcross.MEAN,
        description="What the series of one revision become, each as its mean over an interval. Sum needs equally many "
        "pods in both revisions.",
    )


LIMIT_RANGE: Final = "a limit must be above 0% and at most 50%"


def _a_limit(share: Share) -> Share:
    if not 0 < share.percent <= 50:  # noqa: PLR2004 - the bound stands in LIMIT_RANGE and in CEL
        raise ValueError(LIMIT_RANGE)
    return share


class Against(ApiModel):
    """
    What a rate is compared with, instead of the stable revision.
    """

    limit: Annotated[Share, AfterValidator(_a_limit)] = Field(
        description="An objective: harmful when shown to be above it, certified when shown to be below 1.5 times it.",
        json_schema_extra=rules(
            ("double(self.replace('%', '')) > 0.0 && double(self.replace('%', '')) <= 50.0", LIMIT_RANGE)
        ),
    )


GROWTH_ABOVE_ZERO: Final = "mayGrow must be above 0%"


def _some_growth(share: Share) -> Share:
    if share.percent <= 0:
        raise ValueError(GROWTH_ABOVE_ZERO)
    return share


def _positive(span: Duration) -> Duration:
    if span.seconds <= 0:
        raise ValueError(SPAN_ABOVE_ZERO)
    return span


SPAN_ABOVE_ZERO: Final = "a duration to judge by must be above 0s"
QUANTILE: Final = r"^0\.[5-9][0-9]{0,4}$"
Span = Annotated[Duration, AfterValidator(_positive)]
_POSITIVE: Final = rules(("duration(self) > duration('0s')", SPAN_ABOVE_ZERO))

ONE_METRIC_FORM: Final = "give exactly one of preset, ratio, histogram and gauge"
FORM_NEEDS_NAME: Final = "a ratio, histogram or gauge of your own needs a name"
ORIGIN_NEEDS_PRESET: Final = "origin belongs to a preset, and not to disagreement, which the comparator alone tells"
RATES_ONLY: Final = "against belongs to a ratio, or to the presets errors, aborts and disagreement"
DURATIONS_ONLY: Final = (
    "quantile, mayGrow, below and threshold belong to a histogram, or to a preset of durations; mayGrow also to a gauge"
)
GAUGE_GROWS: Final = "a gauge is asked mayGrow and nothing else; absent: 20%"
USUAL_GROWTH: Final = 0.2  # of a gauge, where the spec says nothing
ONE_QUESTION: Final = (
    "ask one thing of durations: quantile with mayGrow, quantile with below, or threshold; "
    "absent: quantile 0.99 may grow by 20%"
)
_RATE_IN_CEL: Final = "(has(self.ratio) || (has(self.preset) && self.preset in ['aborts', 'disagreement', 'errors']))"
_ASKED_IN_CEL: Final = "(has(self.quantile) || has(self.mayGrow) || has(self.below) || has(self.threshold))"
_GAUGE_IN_CEL: Final = "!has(self.gauge) || !(has(self.quantile) || has(self.below) || has(self.threshold))"
_QUESTION_IN_CEL: Final = (
    "has(self.gauge) || (has(self.threshold) ? !(has(self.quantile) || has(self.mayGrow) || has(self.below)) : "
    "has(self.quantile) == (has(self.mayGrow) || has(self.below)) && !(has(self.mayGrow) && has(self.below)))"
)


class Metric(ApiModel):
    """
    A metric the candidate is judged on: a preset, or a ratio, a histogram or a gauge of the user's own series.
    """

    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                " + ".join(f"(has(self.{form}) ? 1 : 0)" for form in ("preset", "ratio", "histogram", "gauge"))
                + " == 1",
                ONE_METRIC_FORM,
            ),
            ("has(self.preset) || has(self.name)", FORM_NEEDS_NAME),
            ("!has(self.origin) || has(self.preset) && self.preset != 'disagreement'", ORIGIN_NEEDS_PRESET),
            (f"!has(self.against) || {_RATE_IN_CEL}", RATES_ONLY),
            (f"!{_ASKED_IN_CEL} || !{_RATE_IN_CEL}", DURATIONS_ONLY),
            (_GAUGE_IN_CEL, GAUGE_GROWS),
            (_QUESTION_IN_CEL, ONE_QUESTION),
        )
    )

    name: DnsLabel | None = Field(default=None, description="Absent: the preset's name.")
    preset: MetricPreset | None = None
    origin: MetricOrigin | None = Field(
        default=None,
        description="Whose counters the preset reads. Absent: of errors the gateway's, else the model server's; of all "
        "others the model server's, else the gateway's.",
    )
    ratio: RatioMetric | None = None
    histogram: HistogramMetric | None = None
    gauge: GaugeMetric | None = None
    against: Against | None = Field(default=None, description="Absent: the stable revision.")
    quantile: str | None = Field(
        default=None,
        pattern=QUANTILE,
        max_length=7,
        description="The quantile that is asked about, from 0.5 up to, but not including, 1.",
    )
    may_grow: Annotated[Share, AfterValidator(_some_growth)] | None = Field(
        default=None,
        description="By how much the quantile, or the gauge, may be above stable's.",
        json_schema_extra=rules(("double(self.replace('%', '')) > 0.0", GROWTH_ABOVE_ZERO)),
    )
    below: Span | None = Field(
        default=None,
        description="What the quantile must be below, whatever stable's is; a bucket edge.",
        json_schema_extra=_POSITIVE,
    )
    threshold: Span | None = Field(
        default=None,
        description="Not a larger share of calls than with stable may take longer than this; a bucket edge.",
        json_schema_extra=_POSITIVE,
    )
    weight: MetricWeight = Field(
        default=MetricWeight.NORMAL, description="How much its evidence of harm counts beside the others'."
    )

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        if sum(form is not None for form in (self.preset, self.ratio, self.histogram, self.gauge)) != 1:
            raise ValueError(ONE_METRIC_FORM)
        if self.preset is None and self.name is None:
            raise ValueError(FORM_NEEDS_NAME)
        if self.origin is not None and self.preset in {None, MetricPreset.DISAGREEMENT}:
            raise ValueError(ORIGIN_NEEDS_PRESET)
        return self

    @model_validator(mode="after")
    def _one_question(self) -> Self:
        asked = [part is not None for part in (self.quantile, self.may_grow, self.below, self.threshold)]
        if self.against is not None and not self.is_rate:
            raise ValueError(RATES_ONLY)
        if any(asked) and self.is_rate:
            raise ValueError(DURATIONS_ONLY)
        quantile, grow, below, threshold = asked
        if self.gauge is not None:
            if quantile or below or threshold:
                raise ValueError(GAUGE_GROWS)
            return self
        if (quantile or grow or below) if threshold else (quantile != (grow or below) or (grow and below)):
            raise ValueError(ONE_QUESTION)
        return self

    @property
    def title(self) -> str:
        """
        The name shown and kept in status.
        """
        return self.name or str(self.preset)

    @property
    def is_rate(self) -> bool:
        """
        Whether it is a share of bad events; otherwise it is a duration in buckets, or a gauge.
        """
        return self.ratio is not None or self.preset in RATE_PRESETS

    @property
    def growth(self) -> float:
        """
        By how much a gauge may be above stable's, as a fraction.
        """
        return USUAL_GROWTH if self.may_grow is None else self.may_grow.fraction

    @property
    def quantile_fraction(self) -> float | None:
        """
        The quantile as a number; None: none is asked about.
        """
        return None if self.quantile is None else float(Decimal(self.quantile))
