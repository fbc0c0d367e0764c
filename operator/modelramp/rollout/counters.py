"""
Which counters tell of a revision: by gateway, by model server, or the user's own. From the table of presets.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from modelramp.api.names import workload_name
from modelramp.api.selectors import fill
from modelramp.api.spec import Metric, MetricOrigin, Runtime
from modelramp.presets import Preset, Source, selectors

SERVICE_PORT: Final = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class CounterTemplate:
    """
    Selectors with placeholders: all requests, bad ones, and a gauge of those in flight (None: there is none).
    """

    total: str
    bad: str
    in_flight: str | None = None


def _errors(source: Source, in_flight: str | None = None) -> CounterTemplate:
    bad, total = selectors(Preset.ERRORS, source)
    return CounterTemplate(total=total, bad=bad, in_flight=in_flight)


GATEWAY_COUNTERS: Final[Mapping[str, CounterTemplate]] = {
    "projectcontour.io/gateway-controller": _errors(Source.ENVOY, *selectors(Preset.IN_FLIGHT, Source.ENVOY)),
}
RUNTIME_COUNTERS: Final[Mapping[Runtime, CounterTemplate]] = {
    Runtime.MLSERVER: _errors(Source.MLSERVER),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmSelectors:
    """
    The selectors of one revision.
    """

    total: str
    bad: str


def _values(namespace: str, deployment: str, revision: str) -> dict[str, str]:
    service = workload_name(deployment, revision)
    return {
        "namespace": namespace,
        "service": service,
        "revision": revision,
        "arm": f'namespace="{namespace}",pod=~"{service}-[a-z0-9]+-[a-z0-9]+"',
    }


def template_of(metric: Metric, runtime: Runtime, controller: str | None) -> CounterTemplate | None:
    """
    The counters a metric reads; None: the operator knows none for this gateway or runtime.
    """
    if metric.ratio is not None:
        return CounterTemplate(total=metric.ratio.total, bad=metric.ratio.bad)
    if metric.origin is MetricOrigin.RUNTIME:
        return RUNTIME_COUNTERS.get(runtime)
    return GATEWAY_COUNTERS.get(controller or "")


def arm_selectors(template: CounterTemplate, namespace: str, deployment: str, revision: str) -> ArmSelectors:
    """
    The template filled for one revision.
    """
    values = _values(namespace, deployment, revision)
    return ArmSelectors(total=fill(template.total, values), bad=fill(template.bad, values))


def in_flight_selector(template: CounterTemplate, namespace: str, deployment: str, revision: str) -> str | None:
    """
    The gauge of requests in flight to one revision; None: the template has none.
    """
    return fill(template.in_flight, _values(namespace, deployment, revision)) if template.in_flight else None
