"""
Which series tell of a revision: by gateway, by model server, or the user's own. From the table of presets.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from modelramp.analysis.gauges import Aggregate, mean_of
from modelramp.api.names import pod_pattern, workload_name
from modelramp.api.selectors import fill
from modelramp.api.spec import GaugeAcross, Metric, MetricOrigin, MetricPreset, Runtime
from modelramp.presets import Kind, Preset, Source, row_of, selectors

SERVICE_PORT: Final = 80
POD_MATCHERS: Final = "$arm"  # what becomes the matchers of a revision's pods


@dataclass(frozen=True, slots=True, kw_only=True)
class CounterTemplate:
    """
    Selectors with placeholders: all requests, bad ones, and a gauge of those in flight (None: there is none).
    """

    total: str
    bad: str
    in_flight: str | None = None

    @property
    def tells_pods(self) -> bool:
        """
        The series tell a revision's pods apart.
        """
        return POD_MATCHERS in self.total and POD_MATCHERS in self.bad


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketTemplate:
    """
    A selector of cumulative buckets, with placeholders.
    """

    buckets: str
    factor: float
    """What turns an edge into seconds."""

    @property
    def tells_pods(self) -> bool:
        """
        The series tell a revision's pods apart.
        """
        return POD_MATCHERS in self.buckets


@dataclass(frozen=True, slots=True, kw_only=True)
class GaugeTemplate:
    """
    A selector of a gauge, with placeholders.
    """

    value: str
    across: GaugeAcross

    @property
    def tells_pods(self) -> bool:
        """
        The series tell a revision's pods apart.
        """
        return POD_MATCHERS in self.value


Template = CounterTemplate | BucketTemplate | GaugeTemplate

COMPARATOR: Final = "modelramp.io/comparator"
"""Stands for a comparator as the one who sends a candidate its requests, in the gateway's place."""
GATEWAY_SOURCES: Final[Mapping[str, Source]] = {
    "projectcontour.io/gateway-controller": Source.ENVOY,
    "istio.io/virtual-service": Source.ISTIO,
    COMPARATOR: Source.COMPARATOR,
}
"""By the controller name of the GatewayClass, or what stands for a mesh or for a comparator."""
RUNTIME_SOURCES: Final[Mapping[Runtime, Source]] = {
    runtime: Source(str(runtime)) for runtime in Runtime if runtime is not Runtime.CUSTOM
}


def _of(preset: MetricPreset, source: Source | None) -> Template | None:
    """
    The preset as that source tells it; None: it does not, or only as a mean, which says nothing of the slowest.
    """
    row = None if source is None else row_of(Preset(str(preset)), source)
    if row is None:
        return None
    match row.measure.kind:
        case Kind.RATIO:
            bad, total = row.measure.selectors
            return CounterTemplate(total=total, bad=bad)
        case Kind.HISTOGRAM:
            return BucketTemplate(buckets=row.measure.selectors[0], factor=row.measure.factor)
        case _:
            return None


def gateway_counters(controller: str | None) -> CounterTemplate | None:
    """
    The gateway's counters of requests, errors and requests in flight; None: not known for this gateway, or it has no
    gauge of requests in flight, without which a request that lasts is not told from none.
    """
    source = GATEWAY_SOURCES.get(controller or "")
    if source is None or row_of(Preset.IN_FLIGHT, source) is None:
        return None
    bad, total = selectors(Preset.ERRORS, source)
    (in_flight,) = selectors(Preset.IN_FLIGHT, source)
    return CounterTemplate(total=total, bad=bad, in_flight=in_flight)


def _sources(metric: Metric, runtime: Runtime, controller: str | None) -> Iterator[Source | None]:
    """
    Whom a preset is read from, the best first. A crashed server counts no errors, so the gateway is asked for them
    first; everything else the server knows better. How answers differ only the comparator sees, which is neither.
    """
    gateway, server = GATEWAY_SOURCES.get(controller or ""), RUNTIME_SOURCES.get(runtime)
    if metric.preset is MetricPreset.DISAGREEMENT:
        yield Source.COMPARATOR
    elif metric.origin is not None:
        yield gateway if metric.origin is MetricOrigin.GATEWAY else server
    else:
        yield from (gateway, server) if metric.preset is MetricPreset.ERRORS else (server, gateway)


def template_of(metric: Metric, runtime: Runtime, controller: str | None) -> Template | None:
    """
    The series a metric reads; None: the operator knows none for this gateway and runtime.
    """
    if metric.ratio is not None:
        return CounterTemplate(total=metric.ratio.total, bad=metric.ratio.bad)
    if metric.histogram is not None:
        return BucketTemplate(buckets=metric.histogram.buckets, factor=metric.histogram.unit.factor)
    if metric.gauge is not None:
        return GaugeTemplate(value=metric.gauge.value, across=metric.gauge.across)
    preset, sources = metric.preset, _sources(metric, runtime, controller)
    found = (None if preset is None else _of(preset, source) for source in sources)
    return next((template for template in found if template is not None), None)


def history_template(metric: Metric, runtime: Runtime, controller: str | None) -> Template | None:
    """
    The series that tell stable's pods apart; None: there are none. A gateway's counters do not, the server's do.
    """
    if metric.preset is None:
        return template_of(metric, runtime, controller)
    server = _of(metric.preset, RUNTIME_SOURCES.get(runtime))
    if server is not None and metric.is_rate:
        return server
    return template_of(metric, runtime, controller)


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmSelectors:
    """
    The selectors of one revision's requests and bad ones.
    """

    total: str
    bad: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketSelectors:
    """
    The selector of one revision's buckets.
    """

    buckets: str
    factor: float


_AGGREGATES: Final[Mapping[GaugeAcross, Aggregate]] = {
    GaugeAcross.SUM: math.fsum,
    GaugeAcross.MEAN: mean_of,
    GaugeAcross.MAX: max,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class GaugeSelectors:
    """
    The selector of one revision's gauge.
    """

    value: str
    across: GaugeAcross

    @property
    def aggregate(self) -> Aggregate:
        """
        What the series become together.
        """
        return _AGGREGATES[self.across]


Selectors = ArmSelectors | BucketSelectors | GaugeSelectors


def _values(namespace: str, deployment: str, revision: str) -> dict[str, str]:
    service = workload_name(deployment, revision)
    return {
        "namespace": namespace,
        "service": service,
        "deployment": deployment,
        "revision": revision,
        "arm": f'namespace="{namespace}",pod=~"{pod_pattern(deployment, revision)}"',
    }


def arm_selectors(template: CounterTemplate, namespace: str, deployment: str, revision: str) -> ArmSelectors:
    """
    The template filled for one revision.
    """
    values = _values(namespace, deployment, revision)
    return ArmSelectors(total=fill(template.total, values), bad=fill(template.bad, values))


def filled(template: Template, namespace: str, deployment: str, revision: str) -> Selectors:
    """
    The template of any kind filled for one revision.
    """
    if isinstance(template, CounterTemplate):
        return arm_selectors(template, namespace, deployment, revision)
    values = _values(namespace, deployment, revision)
    if isinstance(template, GaugeTemplate):
        return GaugeSelectors(value=fill(template.value, values), across=template.across)
    return BucketSelectors(buckets=fill(template.buckets, values), factor=template.factor)


def in_flight_selector(template: CounterTemplate, namespace: str, deployment: str, revision: str) -> str | None:
    """
    The gauge of requests in flight to one revision; None: the template has none.
    """
    return fill(template.in_flight, _values(namespace, deployment, revision)) if template.in_flight else None
