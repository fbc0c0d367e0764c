"""
What reaches a candidate beside its share, copies and requests with a header; in a route of somebody else's nothing
does, whatever the gateway.
"""

from typing import Final, assert_never

from modelramp.api.spec.strategy import BlueGreen, Canary, Shadow, Strategy
from modelramp.api.spec.traffic import Traffic
from modelramp.api.spec.usecase import BY_USE_CASE, UseCase

SHARES_ONLY: Final = (
    "requests in a route that exists (gatewayAPI.routeRef) are split only: the operator can neither copy them nor send "
    "them by header; leave out shadow, cohort and preview, give a canary or blueGreen where the useCase brings a "
    "shadow stage, or let the object have a route of its own (gatewayAPI.parentRefs)"
)
_SHARES_ONLY: Final = "has(self.traffic.gatewayAPI) && has(self.traffic.gatewayAPI.routeRef)"
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
        case unknown:
            assert_never(unknown)


def beyond_shares(traffic: Traffic, strategy: Strategy, use_case: UseCase | None) -> bool:
    """
    The strategy, or the one of the use case, asks for more than shares, and the route is somebody else's.
    """
    if traffic.gateway_api is None or traffic.gateway_api.route_ref is None:
        return False
    return _reaches_aside(strategy.canary or strategy.blue_green or strategy.shadow or BY_USE_CASE[use_case])
