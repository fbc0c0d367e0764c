"""
The HTTPRoute that splits traffic between revisions. It has the object's name, and one writer: us.
"""

from contextlib import suppress
from decimal import Decimal
from typing import Any, Final

from modelramp.adapters.gateway.acceptance import acceptance_of, controller_of
from modelramp.adapters.gateway.rendering import http_route
from modelramp.adapters.gateway.weights import shares_of
from modelramp.adapters.kubernetes import ownership
from modelramp.adapters.kubernetes.resources import HTTP_ROUTES, Kind
from modelramp.adapters.kubernetes.store import Store
from modelramp.adapters.kubernetes.transport import Transport
from modelramp.api.document import traffic_hash
from modelramp.api.names import ANNOTATION_TRAFFIC, FIELD_MANAGER, workload_name
from modelramp.api.spec import GatewayApi, MLModelDeploymentSpec
from modelramp.ports import ConflictError, Document, GoneError, Key, Owner, PortError, RefusedError
from modelramp.rollout.observed import RouteState
from modelramp.rollout.plan import SetTraffic

# A resourceVersion that no object has. An apply with it creates an absent object and conflicts with a present one.
_ABSENT: Final = "1"
_DEFAULT_WEIGHT: Final = 1


def _own(spec: MLModelDeploymentSpec) -> GatewayApi:
    gateway = spec.traffic.gateway_api
    if gateway is None or gateway.parent_refs is None:
        raise RefusedError("this version routes through an HTTPRoute of its own only")
    return gateway


def _writers(route: Document) -> list[str]:
    """
    Who else writes `spec.rules`. It is one atomic list, so whoever writes a part of it writes all of it.
    """
    entries = route["metadata"].get("managedFields") or ()
    return sorted({entry["manager"] for entry in entries} - {FIELD_MANAGER})


def _stranger(route: Document) -> str:
    """
    Whose the route is, for people.
    """
    reference = ownership.controller_of(route)
    if reference is not None:
        return f"{reference['kind']} {reference['name']}, which owns an HTTPRoute of this name"
    writers = " and ".join(_writers(route)) or "somebody else"
    return f"{writers}, who made an HTTPRoute of this name"


def contested_by(route: Document, key: Key, uid: str | None) -> str | None:
    """
    Who else owns the route or writes its rules, for people; None: nobody. `uid` is the owner's, None: not known.
    """
    if not ownership.owned_by(route, key, uid):
        return _stranger(route)
    return " and ".join(_writers(route)) or None


def shares_in(route: Document, key: Key) -> dict[str, Decimal]:
    """
    Percent by revision. Of a revision in several rules the largest: that much may reach it.
    """
    shares: dict[str, Decimal] = {}
    prefix = workload_name(key.name, "")
    for rule in route["spec"].get("rules") or ():
        weights: dict[str, int] = {}
        for backend in rule.get("backendRefs") or ():
            name = backend["name"]
            weights[name] = weights.get(name, 0) + backend.get("weight", _DEFAULT_WEIGHT)
        for service, percent in shares_of(weights).items():
            if service.startswith(prefix):
                revision = service.removeprefix(prefix)
                shares[revision] = max(percent, shares.get(revision, Decimal(0)))
    return shares


class HttpRoutes:
    """
    Port `Routes` over the Gateway API and what was last heard of it.
    """

    def __init__(self, transport: Transport, store: Store) -> None:
        """
        `store` is also told what is written here, so that a cycle sees the effects of the one before.
        """
        self._transport = transport
        self._store = store

    def state(self, key: Key) -> RouteState:
        """
        As last heard of.
        """
        route = self._store.get(Kind.HTTP_ROUTE, key)
        if route is None:
            return RouteState()
        acceptance, message = acceptance_of(route)
        return RouteState(
            acceptance=acceptance,
            shares=shares_in(route, key),
            message=message,
            contested_by=contested_by(route, key, self._uid(key)),
            traffic_hash=(route["metadata"].get("annotations") or {}).get(ANNOTATION_TRAFFIC),
            controller=controller_of(route),
        )

    async def set_traffic(self, owner: Owner, spec: MLModelDeploymentSpec, effect: SetTraffic) -> None:
        """
        The route gives these shares and lists no other revision. Idempotent.

        A route of another owner is never touched. What lowers exposure takes the rules back from another writer; what
        raises it does not, and only follows the very route that was last heard of.

        Raises:
            ConflictError: the route belongs to another owner, or is not the one last heard of; or the effect would
                raise exposure, and somebody else writes the rules.
        """
        body = http_route(owner, _own(spec), effect.shares)
        body["metadata"]["annotations"] = {ANNOTATION_TRAFFIC: traffic_hash(spec)}
        known = self._store.get(Kind.HTTP_ROUTE, owner.key)
        if known is not None and not ownership.owned_by(known, owner.key, owner.uid):
            await self._refresh(owner.key)
            raise ConflictError(f"not ours: {_stranger(known)}")
        try:
            written = await self._apply(body, known, raises=effect.raises_exposure)
        except ConflictError:
            await self._refresh(owner.key)
            raise
        self._store.heard(Kind.HTTP_ROUTE, None, written)

    async def _apply(self, body: dict[str, Any], known: Document | None, *, raises: bool) -> Document:
        if known is None:
            expected = {"resourceVersion": _ABSENT}
        else:
            expected = {"uid": known["metadata"]["uid"]}
            if raises:
                expected["resourceVersion"] = known["metadata"]["resourceVersion"]
        guarded = {**body, "metadata": {**body["metadata"], **expected}}
        try:
            return await self._transport.apply(HTTP_ROUTES, guarded, force=known is not None and not raises)
        except RefusedError as error:
            if "metadata.uid" in str(error):  # so the API server says that the object is another one
                raise ConflictError(str(error)) from error
            raise

    async def _refresh(self, key: Key) -> None:
        """
        So that the next look is a fresh one.
        """
        with suppress(PortError):
            try:
                self._store.heard(Kind.HTTP_ROUTE, None, await self._transport.get(HTTP_ROUTES, key))
            except GoneError:
                self._store.forget(Kind.HTTP_ROUTE, key)

    def _uid(self, key: Key) -> str | None:
        model = self._store.get(Kind.MODEL, key)
        return model["metadata"]["uid"] if model is not None else None
