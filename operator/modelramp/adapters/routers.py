"""
Which router carries an object's traffic: the one its spec names. What a former one left is found and taken away.
"""

from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final, Protocol

from modelramp.adapters.gateway.routes import HttpRoutes
from modelramp.adapters.istio.virtualservices import VirtualServices
from modelramp.adapters.kubernetes.owned import OwnedObjects
from modelramp.adapters.kubernetes.resources import ROUTERS, WATCHED, Kind, kinds_with
from modelramp.adapters.kubernetes.store import Store
from modelramp.adapters.kubernetes.transport import Transport
from modelramp.adapters.service.services import PlainServices
from modelramp.api.names import FINALIZER_ROUTE
from modelramp.api.spec import MLModelDeploymentSpec
from modelramp.ports import Key, Owner, RefusedError
from modelramp.rollout.observed import RouteState
from modelramp.rollout.plan import SetTraffic

ALWAYS_ON: Final = frozenset({"gatewayAPI", "service"})
"""Routers that need no setting: their kinds are of Kubernetes itself, or are what the operator was made for."""


class Router(Protocol):
    """
    One router, as the port `Routes` without a change of routers.
    """

    def state(self, key: Key) -> RouteState:
        """
        As last heard of.
        """

    async def set_traffic(self, owner: Owner, spec: MLModelDeploymentSpec, effect: SetTraffic) -> None:
        """
        The router gives this and nothing else.
        """


def kind_of(traffic: Mapping[str, Any]) -> Kind | None:
    """
    The kind of the object's own routing object, by `spec.traffic`; None: it has none, since it uses somebody else's.
    """
    gateway = traffic.get("gatewayAPI")
    if gateway is not None:
        return None if gateway.get("routeRef") else Kind(gateway.get("kind") or Kind.HTTP_ROUTE)
    return Kind.SERVICE if traffic.get("service") is not None else Kind.VIRTUAL_SERVICE


class Routers:
    """
    Port `Routes` over all routers, by the field of `spec.traffic` that names one.
    """

    def __init__(
        self,
        store: Store,
        by_field: Mapping[str, Router],
        owned: Mapping[Kind, OwnedObjects],
        put_back: Callable[[Key], Awaitable[None]],
    ) -> None:
        """
        `by_field` holds the routers that are switched on, by their names in `spec.traffic`; `owned` the kinds in which
        a former one may have left something; `put_back` gives routes of others back to their owners.
        """
        self._store, self._by_field, self._owned, self._put_back = store, by_field, owned, put_back

    def state(self, key: Key) -> RouteState:
        """
        As last heard of, of the router that the object names; absent for one that is not switched on here.
        """
        named = self._named(key)
        router = next((router for field, router in self._by_field.items() if named.get(field) is not None), None)
        state = RouteState() if router is None else router.state(key)
        if not any(self._former(key)) and not self._left_others(key):
            return state
        return replace(state, former=True, since=self._made_at(key))

    async def set_traffic(self, owner: Owner, spec: MLModelDeploymentSpec, effect: SetTraffic) -> None:
        """
        The router that the spec names gives these shares. Idempotent.

        Raises:
            ConflictError: as that router's.
            RefusedError: this operator was not told to use it.
        """
        field = next(iter(spec.traffic.to_wire()))  # exactly one is given
        router = self._by_field.get(field)
        if router is None:
            raise RefusedError(f"spec.traffic.{field}: this operator runs without that router; see routers.{field}")
        await router.set_traffic(owner, spec, effect)

    async def drop_former(self, owner: Owner) -> None:
        """
        Of routers that the object does not name any more nothing of ours is left. Idempotent.

        Raises:
            ConflictError: something is another object than was last heard of.
        """
        if self._left_others(owner.key):
            await self._put_back(owner.key)
        for objects in tuple(self._former(owner.key)):
            await objects.remove(owner)

    async def release(self, key: Key) -> None:
        """
        The object is being deleted: what was changed in routes of others is put back. Idempotent.

        Raises:
            PortError: not everything is; try again later.
        """
        await self._put_back(key)

    def _left_others(self, key: Key) -> bool:
        """
        A route of somebody else's still sends requests for the object, which has a router outside of the Gateway API
        now. Within it, the gateway's own adapter sees to it.
        """
        model, named = self._store.get(Kind.MODEL, key), self._named(key)
        held = model is not None and FINALIZER_ROUTE in (model["metadata"].get("finalizers") or ())
        return held and bool(named) and named.get("gatewayAPI") is None

    def _named(self, key: Key) -> Mapping[str, Any]:
        model = self._store.get(Kind.MODEL, key)
        return (model["spec"].get("traffic") or {}) if model is not None else {}

    def _former(self, key: Key) -> Iterator[OwnedObjects]:
        named = self._named(key)
        present = kind_of(named) if named else None
        if present is None:
            return  # of somebody else's route nothing tells since when it serves, so nothing can be said to be over
        for kind, objects in self._owned.items():
            if kind is not present and objects.owned(key) is not None:
                yield objects

    def _made_at(self, key: Key) -> datetime | None:
        """
        When the present router's object was made; None: not known, or it is somebody else's.
        """
        present = kind_of(self._named(key))
        objects = self._owned.get(present) if present is not None else None
        made = objects.owned(key) if objects is not None else None
        return datetime.fromisoformat(made["metadata"]["creationTimestamp"]) if made is not None else None


def routers_of(transport: Transport, store: Store, switched_on: Collection[str]) -> Routers:
    """
    The routers of an operator with these settings.
    """
    gateway = HttpRoutes(transport, store, switched_on)
    every: dict[str, Router] = {
        "gatewayAPI": gateway,
        "service": PlainServices(transport, store),
        "istio": VirtualServices(transport, store),
    }
    by_field = {field: router for field, router in every.items() if field in {*ALWAYS_ON, *switched_on}}
    kinds = [kind for kind in kinds_with(switched_on) if kind in ROUTERS]
    owned = {kind: OwnedObjects(transport, store, kind, WATCHED[kind]) for kind in kinds}
    return Routers(store, by_field, owned, gateway.release)
