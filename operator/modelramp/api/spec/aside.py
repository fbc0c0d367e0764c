"""
What reaches a candidate beside its share, copies and requests with a header, and the routers that can give none of it
whatever gateway is there.
"""

from typing import Final

from modelramp.api.spec.strategy import BlueGreen, Canary, Shadow, Strategy
from modelramp.api.spec.traffic import Traffic
from modelramp.api.spec.usecase import BY_USE_CASE, UseCase

SHARES_ONLY: Final = (
    "traffic.service and gatewayAPI.routeRef split requests, and can neither copy them nor send them by header: leave "
    "out shadow, cohort and preview, give a canary or blueGreen where the useCase brings a shadow stage, or let the "
    "object have a route of its own (gatewayAPI.parentRefs)"
)
_SHARES_ONLY: Final = (
    "has(self.traffic.service) || (has(self.traffic.gatewayAPI) && has(self.traffic.gatewayAPI.routeRef))"
)
_GIVEN: Final = (
    "has(self.strategy) && (has(self.strategy.shadow)"
    " || (has(self.strategy.canary) && (has(self.strategy.canary.shadow) || has(self.strategy.canary.cohort)))"
    " || (has(self.strategy.blueGreen)"
    " && (has(self.strategy.blueGreen.shadow) || has(self.strategy.blueGreen.preview))))"
)
_BY_USE_CASE: Final = (
    "has(self.useCase) && self.useCase != 'NewCapability' && !(has(self.strategy)"
    " && (has(self.strategy.canary) || has(self.strategy.blueGreen) || has(self.strategy.shadow)))"
)
SHARES_ONLY_RULE: Final = (f"!({_SHARES_ONLY}) || !(({_GIVEN}) || ({_BY_USE_CASE}))", SHARES_ONLY)
"""As CEL on the whole spec, with its message."""


def _reaches_aside(chosen: Canary | BlueGreen | Shadow) -> bool:
    match chosen:
        case Canary():
            return chosen.shadow is not None or chosen.cohort is not None
        case BlueGreen():
            return chosen.shadow is not None or chosen.preview is not None
        case Shadow():
            return True


def beyond_shares(traffic: Traffic, strategy: Strategy, use_case: UseCase | None) -> bool:
    """
    The strategy, or the one of the use case, asks for more than shares, and the router can give nothing else.
    """
    own_route = traffic.gateway_api is not None and traffic.gateway_api.route_ref is None
    if own_route or traffic.istio is not None:
        return False
    return _reaches_aside(strategy.canary or strategy.blue_green or strategy.shadow or BY_USE_CASE[use_case])
