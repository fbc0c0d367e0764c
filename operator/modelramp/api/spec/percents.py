"""
Shares that a router takes as whole percents only.
"""

from typing import Final

from modelramp.api.spec.strategy import Strategy
from modelramp.api.spec.traffic import Traffic

WHOLE_PERCENTS: Final = "an Istio VirtualService splits by whole percents: give steps such as 1% or 25%"
_WHOLE: Final = "steps.all(s, double(s.traffic.replace('%', '')) == double(int(double(s.traffic.replace('%', '')))))"
_IN_PERCENTS: Final = (
    "!has(self.traffic.istio) || !has(self.strategy)"
    f" || ((!has(self.strategy.canary) || self.strategy.canary.{_WHOLE})"
    f" && (!has(self.strategy.blueGreen) || self.strategy.blueGreen.{_WHOLE}))"
)
WHOLE_PERCENTS_RULE: Final = (_IN_PERCENTS, WHOLE_PERCENTS)
"""As CEL on the whole spec, with its message."""


def too_fine(traffic: Traffic, strategy: Strategy) -> bool:
    """
    A step's share is no whole percent, and the router's weights are. The use cases' own are whole.
    """
    chosen = strategy.canary or strategy.blue_green
    if traffic.istio is None or chosen is None:
        return False
    return any(step.traffic.percent % 1 != 0 for step in chosen.steps)
