"""
What gateways can do beside shares, and what a spec asks that the one there cannot.

No condition of a route says it: a gateway that does not know a mirror's percentage copies everything in silence. So it
is a table, of the gateways' own conformance reports (Gateway API v1.3 to v1.6) and, where they are silent, of their
sources. Exact header matches are a core feature, which all of them have.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Final

from modelramp.api.spec import MLModelDeploymentSpec, compared
from modelramp.rollout.strategy import NOTHING, WHOLE, course_of


class Copies(StrEnum):
    """
    Which part of the requests a gateway can copy.
    """

    NONE = "none"
    """It cannot copy requests."""
    WHOLE = "all"
    """It copies all of them, whatever percentage is asked for."""
    PERCENT = "any percentage"


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """
    What one gateway can do.
    """

    title: str
    """Its name, for people."""
    copies: Copies
    several: bool = True
    """It copies to several revisions at once."""
    timeouts: bool = True
    """It bounds the time of a request as the route says; else the spec's requestTimeout is without effect."""


_PERCENT, _NONE = Copies.PERCENT, Copies.NONE

GATEWAYS: Final[Mapping[str, Capabilities]] = {
    # projectcontour/contour#7021: the percentage is ignored
    "projectcontour.io/gateway-controller": Capabilities(title="Contour", copies=Copies.WHOLE),
    "gateway.envoyproxy.io/gatewayclass-controller": Capabilities(title="Envoy Gateway", copies=_PERCENT),
    "agentgateway.dev/agentgateway": Capabilities(title="agentgateway", copies=_PERCENT),
    "kgateway.dev/kgateway": Capabilities(title="kgateway", copies=_PERCENT),
    "io.cilium/gateway-controller": Capabilities(title="Cilium", copies=_PERCENT),
    "istio.io/gateway-controller": Capabilities(title="Istio", copies=_PERCENT),
    "gateway.nginx.org/nginx-gateway-controller": Capabilities(
        title="NGINX Gateway Fabric", copies=_PERCENT, timeouts=False
    ),
    "networking.gke.io/gateway": Capabilities(title="GKE Gateway", copies=_PERCENT, several=False, timeouts=False),
    "traefik.io/gateway-controller": Capabilities(title="Traefik", copies=_NONE, several=False, timeouts=False),
    "konghq.com/gateway-operator": Capabilities(title="Kong Operator", copies=_NONE, several=False, timeouts=False),
    "haproxy-ingress.github.io/controller": Capabilities(
        title="HAProxy Ingress", copies=_NONE, several=False, timeouts=False
    ),
    # No gateway: the VirtualService itself, whose `mirrors` is a list
    "istio.io/virtual-service": Capabilities(title="Istio's VirtualService", copies=_PERCENT),
}
"""By the controller name of the GatewayClass."""


def cannot_copy(controller: str, percent: Decimal) -> str | None:
    """
    Why the gateway cannot copy this part of the requests, and what helps; None: it can.

    One that is not in the table is believed to copy all requests, which its route's status would tell if it could not,
    but no percentage, which nothing would tell.
    """
    known = GATEWAYS.get(controller)
    title = known.title if known is not None else f"the gateway's controller {controller}, which is not known,"
    copies = known.copies if known is not None else Copies.WHOLE
    if percent == NOTHING or copies is Copies.PERCENT or (copies is Copies.WHOLE and percent == WHOLE):
        return None
    if copies is Copies.NONE:
        return f"{title} cannot copy requests: choose a canary or blueGreen without a shadow stage"
    doubt = "copies all requests" if known is not None else "may copy all requests"
    return f"{title} {doubt} whatever the percentage: 100% is possible, {percent.normalize():f}% is not"


def cannot_copy_to(controller: str, revisions: int) -> str | None:
    """
    Why the gateway cannot copy to so many revisions at once, and what helps; None: it can.

    One that is not in the table is not believed to: it might copy to the first one only, which nothing would tell.
    """
    known = GATEWAYS.get(controller)
    if revisions <= 1 or (known is not None and known.several):
        return None
    title = known.title if known is not None else f"the gateway's controller {controller}, which is not known,"
    doubt = "copies" if known is not None else "may copy"
    return f"{title} {doubt} requests to one revision only: leave the others out, or try them one after the other"


def serves_already(others: Iterable[str], stable: str | None) -> str | None:
    """
    Which of the other candidates, by revision, cannot be tried, as it serves, with the field; None: none.
    """
    found = (number for number, revision in enumerate(others) if revision == stable)
    return next((f"spec.strategy.shadow.others[{number}]: it is the revision that serves" for number in found), None)


def _field(spec: MLModelDeploymentSpec) -> str:
    """
    Where the spec asks for copies.
    """
    given = spec.strategy
    if given.shadow is not None:
        return "spec.strategy.shadow.mirror"
    if given.canary is None and given.blue_green is None:
        return "spec.useCase"
    return f"{course_of(spec).field}.shadow.mirror"


def comparator_missing(spec: MLModelDeploymentSpec, *, can_compare: bool) -> str | None:
    """
    The field that asks for comparators, which this operator cannot run; None: it can, or nothing asks.
    """
    if can_compare or compared(spec.strategy) is None:
        return None
    return (
        f"{_field(spec).removesuffix('mirror')}compare: this operator has no image for comparators; see its setting "
        "MODELRAMP_COMPARATOR_IMAGE, which the chart sets unless comparator.enabled is false"
    )


def impossible(spec: MLModelDeploymentSpec, controller: str | None, *, can_compare: bool = True) -> str | None:
    """
    What the spec asks and the gateway or this operator cannot do, with the field; None: nothing.

    `controller` is the gateway's controller's name; None: none has answered yet, so of it nothing is known to be
    impossible. `can_compare`: the operator can run comparators.
    """
    missing = comparator_missing(spec, can_compare=can_compare)
    if missing is not None or controller is None:
        return missing
    found = (cannot_copy(controller, step.mirror) for step in course_of(spec).steps)
    said = next((reason for reason in found if reason is not None), None)
    if said is not None:
        return f"{_field(spec)}: {said}"
    said = cannot_copy_to(controller, 1 + len(spec.others))
    return None if said is None else f"spec.strategy.shadow.others: {said}"
