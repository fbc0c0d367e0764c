"""
Which `MLModelDeployment` objects change a route of somebody else's.
"""

from modelramp.adapters.kubernetes.resources import Kind
from modelramp.ports import Document, Key

Route = tuple[Kind, Key]


def route_named_by(model: Document) -> Route | None:
    """
    The route that exists and that the object names; None: it names none.
    """
    gateway = ((model.get("spec") or {}).get("traffic") or {}).get("gatewayAPI") or {}
    name = (gateway.get("routeRef") or {}).get("name")
    kind = gateway.get("kind", Kind.HTTP_ROUTE)
    if name is None or kind not in {Kind.HTTP_ROUTE, Kind.GRPC_ROUTE}:
        return None
    return Kind(kind), Key(model["metadata"]["namespace"], name)


class Adoptions:
    """
    The objects by the route they name.
    """

    def __init__(self) -> None:
        """
        Begins empty.
        """
        self._models: dict[Route, set[Key]] = {}
        self._routes: dict[Key, Route] = {}

    def put(self, key: Key, model: Document | None) -> None:
        """
        The object is this now; None: it is gone.
        """
        before, after = self._routes.pop(key, None), route_named_by(model) if model is not None else None
        if before is not None:
            self._models[before].discard(key)
            if not self._models[before]:
                del self._models[before]
        if after is not None:
            self._routes[key] = after
            self._models.setdefault(after, set()).add(key)

    def of(self, kind: Kind, route: Key) -> tuple[Key, ...]:
        """
        The objects that name this route, by name.
        """
        return tuple(sorted(self._models.get((kind, route), ())))
