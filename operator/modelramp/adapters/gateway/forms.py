"""
The kinds of routes as data: where they are kept, and which fields they have.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from modelramp.adapters.kubernetes.resources import GRPC_ROUTES, HTTP_ROUTES, Kind, Resource
from modelramp.api.spec import RouteKind
from modelramp.ports import Document


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteForm:
    """
    What one kind of route differs in from the others.
    """

    resource: Resource
    kind: Kind
    """Under which it is watched and remembered."""
    has_paths: bool
    """Its matches name a path; one that does not matches every request when it has no matches."""
    has_timeouts: bool
    """Its rules bound the time of a request."""


FORMS: Final[Mapping[RouteKind, RouteForm]] = {
    RouteKind.HTTP_ROUTE: RouteForm(resource=HTTP_ROUTES, kind=Kind.HTTP_ROUTE, has_paths=True, has_timeouts=True),
    RouteKind.GRPC_ROUTE: RouteForm(resource=GRPC_ROUTES, kind=Kind.GRPC_ROUTE, has_paths=False, has_timeouts=False),
}


def form_of(model: Document | None) -> RouteForm:
    """
    The form of the route that an `MLModelDeployment` asks for; None: not known, as HTTPRoutes are the rule.
    """
    traffic = (model["spec"].get("traffic") or {}) if model is not None else {}
    kind = (traffic.get("gatewayAPI") or {}).get("kind")
    return FORMS[RouteKind(kind) if kind in set(RouteKind) else RouteKind.HTTP_ROUTE]
