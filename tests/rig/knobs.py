"""
What can be wrong with a gateway, to be turned while it runs.
"""

from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

# The operator knows whose counters are named after clusters as the rig's are, and reads the drain from them.
CONTOUR: Final = "projectcontour.io/gateway-controller"
ENVOY_GATEWAY: Final = "gateway.envoyproxy.io/gatewayclass-controller"


class Speech(Enum):
    """
    What the gateway says of a route in its status.
    """

    TRUTHFUL = auto()
    """Accepted and ResolvedRefs, of the generation that it has read."""
    WITHOUT_GENERATION = auto()
    """The same without observedGeneration, which the Gateway API demands and some gateways leave out."""
    SILENT = auto()
    """Nothing is written any more; what was said before stays."""
    FALLING_BACK = auto()
    """PartiallyInvalid: an older configuration serves, and Accepted is of the older generation."""


@dataclass(slots=True)
class Knobs:
    """
    The faults in force. The defaults are a gateway without fault.
    """

    controller: str = CONTOUR
    """By whose name it answers, from the first word on."""
    speech: Speech = Speech.TRUTHFUL
    programs: bool = True
    """False: routes are accepted and never reach the data plane; a status that lies."""
    updates_to_lose: int = 0
    """So many route updates are accepted and lost; the one after them arrives."""
    route_delay_seconds: float = 0.0
    """From a route's acceptance to the data plane. That of Contour is up to half a second."""
    endpoint_delay_seconds: float = 0.0
    """From a change of endpoints to the data plane."""
