"""
What a router cannot do at all, as rules over traffic and strategy together.
"""

from collections.abc import Iterable
from typing import Final

from modelramp.api.spec.compare import Compare
from modelramp.api.spec.metrics import Metric, MetricPreset
from modelramp.api.spec.strategy import BlueGreen, Canary, Shadow, Strategy
from modelramp.api.spec.traffic import RouteKind, Traffic
from modelramp.api.spec.usecase import BY_USE_CASE, UseCase

SERVICE_COPIES_NOTHING: Final = (
    "a plain Service cannot copy requests: leave out shadow (useCase AssistHuman and ReplaceSystem begin with one), or "
    "route through gatewayAPI or istio"
)
SERVICE_READS_NO_HEADER: Final = (
    "a plain Service cannot choose by header: leave out cohort and preview, or route through gatewayAPI or istio"
)
ISTIO_WHOLE_PERCENTS: Final = "an Istio VirtualService splits by whole percents: give steps such as 1% or 25%"

_GIVEN: Final = "has(self.strategy)"
_CANARY: Final = f"{_GIVEN} && has(self.strategy.canary)"
_BLUE_GREEN: Final = f"{_GIVEN} && has(self.strategy.blueGreen)"
_SHADOW: Final = f"{_GIVEN} && has(self.strategy.shadow)"
_COPIES: Final = (
    f"({_SHADOW}) || ({_CANARY} && has(self.strategy.canary.shadow)) || "
    f"({_BLUE_GREEN} && has(self.strategy.blueGreen.shadow)) || "
    f"(!({_CANARY}) && !({_BLUE_GREEN}) && has(self.useCase) && self.useCase in ['AssistHuman', 'ReplaceSystem'])"
)
_READS_HEADERS: Final = (
    f"({_CANARY} && has(self.strategy.canary.cohort)) || ({_BLUE_GREEN} && has(self.strategy.blueGreen.preview))"
)
_WHOLE: Final = "all(s, double(s.traffic.replace('%', '')) == double(int(double(s.traffic.replace('%', '')))))"
_IN_PERCENTS: Final = (
    f"(!({_CANARY}) || self.strategy.canary.steps.{_WHOLE}) && "
    f"(!({_BLUE_GREEN}) || self.strategy.blueGreen.steps.{_WHOLE})"
)
HTTP_COMPARED_ONLY: Final = "a comparator reads HTTP: compare needs gatewayAPI.kind HTTPRoute, or istio"
DISAGREEMENT_COMPARED: Final = (
    "nothing is compared: the preset disagreement needs a shadow stage with compare, in strategy.shadow, "
    "canary.shadow or blueGreen.shadow"
)
_COMPARES: Final = (
    f"({_SHADOW} && has(self.strategy.shadow.compare)) || "
    f"({_CANARY} && has(self.strategy.canary.shadow) && has(self.strategy.canary.shadow.compare)) || "
    f"({_BLUE_GREEN} && has(self.strategy.blueGreen.shadow) && has(self.strategy.blueGreen.shadow.compare))"
)
_BY_GRPC: Final = "has(self.traffic.gatewayAPI) && self.traffic.gatewayAPI.kind == 'GRPCRoute'"
_DISAGREEMENT: Final = (
    "has(self.analysis) && has(self.analysis.metrics) && "
    "self.analysis.metrics.exists(m, has(m.preset) && m.preset == 'disagreement')"
)

ABILITIES: Final = (
    (f"!has(self.traffic.service) || !({_COPIES})", SERVICE_COPIES_NOTHING),
    (f"!has(self.traffic.service) || !({_READS_HEADERS})", SERVICE_READS_NO_HEADER),
    (f"!has(self.traffic.istio) || ({_IN_PERCENTS})", ISTIO_WHOLE_PERCENTS),
    (f"!({_BY_GRPC}) || !({_COMPARES})", HTTP_COMPARED_ONLY),
    (f"!({_DISAGREEMENT}) || ({_COMPARES})", DISAGREEMENT_COMPARED),
)
"""In CEL, over the whole spec."""

Chosen = Canary | BlueGreen | Shadow


def _copies(chosen: Chosen) -> bool:
    return isinstance(chosen, Shadow) or chosen.shadow is not None


def _reads_headers(chosen: Chosen) -> bool:
    header = chosen.cohort if isinstance(chosen, Canary) else chosen.preview if isinstance(chosen, BlueGreen) else None
    return header is not None


def _in_percents(chosen: Chosen) -> bool:
    steps = () if isinstance(chosen, Shadow) else chosen.steps
    return all(step.traffic.percent % 1 == 0 for step in steps)


def compared(strategy: Strategy) -> Compare | None:
    """
    How a candidate's answers are compared in the strategy's shadow stage; None: they are not. Use cases compare none.
    """
    chosen = strategy.canary or strategy.blue_green
    stage = strategy.shadow if chosen is None else chosen.shadow
    return None if stage is None else stage.compare


def uncomparable(traffic: Traffic, strategy: Strategy, metrics: Iterable[Metric]) -> str | None:
    """
    Why answers cannot be compared as the spec asks; None: they can, or nothing is asked.
    """
    given = compared(strategy)
    gateway = traffic.gateway_api
    if given is not None and gateway is not None and gateway.kind is RouteKind.GRPC_ROUTE:
        return HTTP_COMPARED_ONLY
    if given is None and any(metric.preset is MetricPreset.DISAGREEMENT for metric in metrics):
        return DISAGREEMENT_COMPARED
    return None


def obstacle(traffic: Traffic, strategy: Strategy, use_case: UseCase | None) -> str | None:
    """
    Why this router can never do what the strategy asks, or that of the use case; None: it can, as far as the spec
    tells.
    """
    chosen = strategy.canary or strategy.blue_green or strategy.shadow or BY_USE_CASE[use_case]
    if traffic.service is not None and _copies(chosen):
        return SERVICE_COPIES_NOTHING
    if traffic.service is not None and _reads_headers(chosen):
        return SERVICE_READS_NO_HEADER
    if traffic.istio is not None and not _in_percents(chosen):
        return ISTIO_WHOLE_PERCENTS
    return None
