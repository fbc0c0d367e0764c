"""
Routes of somebody else's, in which one backend stands for the model, as last heard of and as changed by JSON Patch.
"""

from collections.abc import Callable
from typing import Any, Final

from modelramp.adapters.gateway.acceptance import acceptance_of, controller_of
from modelramp.adapters.gateway.adoption import (
    FIELD,
    adopt,
    adopted_shares,
    annotation_of,
    kept_in,
    put_back,
    restore,
)
from modelramp.adapters.gateway.forms import FORMS, RouteForm
from modelramp.adapters.gateway.undoings import Undoings
from modelramp.adapters.kubernetes import ownership
from modelramp.adapters.kubernetes.finalizers import Finalizers
from modelramp.adapters.kubernetes.owned import writers_of
from modelramp.adapters.kubernetes.resources import Kind
from modelramp.adapters.kubernetes.store import Store
from modelramp.adapters.kubernetes.transport import Transport
from modelramp.api.document import traffic_hash
from modelramp.api.names import FINALIZER_ROUTE
from modelramp.api.spec import MLModelDeploymentSpec, RouteRef
from modelramp.api.vocabulary import KIND
from modelramp.ports import ConflictError, Document, GoneError, Key, Owner, RefusedError
from modelramp.rollout.observed import RouteState
from modelramp.rollout.plan import SetTraffic
from modelramp.rollout.strategy import WHOLE, course_of

TRIES: Final = 4  # of a write that lowers exposure, while others write too


class AdoptedRoutes:
    """
    Port `Routes` over routes that exist.
    """

    def __init__(self, transport: Transport, store: Store, monotonic: Callable[[], float]) -> None:
        """
        `store` is also told what is written here; `monotonic` tells seconds.
        """
        self._transport, self._store = transport, store
        self._undoings = Undoings(monotonic)
        self._finalizers = Finalizers(transport, store, FINALIZER_ROUTE)

    def state(self, key: Key, form: RouteForm, name: str) -> RouteState:
        """
        As last heard of: the shares are of the model's own traffic.
        """
        route = self._store.get(form.kind, Key(key.namespace, name))
        if route is None:
            return RouteState()
        acceptance, message = acceptance_of(route)
        shares, kept = adopted_shares(route, key), kept_in(route, key.name)
        undone = put_back(route, key)
        seen = {} if undone else shares
        self._undoings.seen(key, route["metadata"]["resourceVersion"], seen, " and ".join(writers_of(route)))
        return RouteState(
            acceptance=acceptance,
            shares=shares,
            message=message,
            contested_by=self._undoings.fought_by(key),
            traffic_hash=None if undone else kept.traffic,
            controller=controller_of(route),
        )

    async def set_traffic(
        self, owner: Owner, spec: MLModelDeploymentSpec, form: RouteForm, named: RouteRef, effect: SetTraffic
    ) -> None:
        """
        The backend's part of the route is given to the revisions in these shares, and nothing else of it is changed.

        Raises:
            RefusedError: there is no such route or backend, it belongs to another object, a weight cannot be divided
                as the strategy's steps ask, or copies or a cohort are asked for.
            ConflictError: the route is not the one last heard of and the effect would raise exposure; or others undo
                it again and again and nothing is to be taken away.
        """
        if effect.mirrors or effect.cohort is not None or effect.host is not None:
            raise RefusedError(f"{FIELD}: requests in a route that exists cannot be copied, or sent by header or host")
        key = Key(owner.key.namespace, named.name)
        await self._release(owner.key, keep=(form, key))
        for _ in range(1 if effect.raises_exposure else TRIES):
            known = self._store.get(form.kind, key)
            live = await self._look(form, key)
            if effect.raises_exposure and (known is None or _version(known) != _version(live)):
                raise ConflictError(f"{form.resource.kind} {key} is not the one last heard of")
            self._check_fight(owner.key, live, effect)
            try:
                await self._write(owner, spec, form, live, (named.backend, effect))
            except ConflictError:
                if effect.raises_exposure:
                    raise
            else:
                return
        raise ConflictError(f"{form.resource.kind} {key} changed again and again while it was written")

    async def _write(
        self,
        owner: Owner,
        spec: MLModelDeploymentSpec,
        form: RouteForm,
        live: Document,
        wanted: tuple[str, SetTraffic],
    ) -> None:
        backend, effect = wanted
        _check_owner(live)
        if not effect.shares.keys() <= adopted_shares(live, owner.key).keys():
            _check_steps(live, owner.key, backend, spec)
        operations = adopt(live, owner.key, backend, effect.shares, traffic_hash(spec))
        if operations:
            await self._finalizers.hold(owner)
            await self._patch(form, live, operations)
        self._undoings.wrote(owner.key, effect.shares)

    def _check_fight(self, key: Key, live: Document, effect: SetTraffic) -> None:
        """
        A route that others undo again and again is written only to take a share away.
        """
        fighter, present = self._undoings.fought_by(key), adopted_shares(live, key)
        if fighter is not None and all(effect.shares.get(name, 0) >= share for name, share in present.items()):
            raise ConflictError(f"the route is also written by {fighter}")

    async def _patch(self, form: RouteForm, live: Document, operations: list[dict[str, Any]]) -> None:
        key = Key(live["metadata"]["namespace"], live["metadata"]["name"])
        self._store.heard(form.kind, None, await self._transport.json_patch(form.resource, key, operations))

    async def _look(self, form: RouteForm, key: Key) -> Document:
        """
        The route now: the store's has not all of it.
        """
        try:
            live = await self._transport.get(form.resource, key)
        except GoneError as error:
            self._store.forget(form.kind, key)
            raise RefusedError(f"{FIELD}.name: there is no {form.resource.kind} {key}") from error
        self._store.heard(form.kind, None, live)
        return live

    async def release(self, key: Key) -> None:
        """
        Every route that was adopted for the object is as its owner has it, and its finalizer is gone. Idempotent.
        """
        await self._release(key, keep=None)
        self._undoings.forget(key)
        await self._finalizers.drop(key)

    async def leave(self, key: Key) -> None:
        """
        The object has another router now, to which its traffic was moved: routes of others are put back.
        """
        model = self._store.get(Kind.MODEL, key)
        if model is not None and self._finalizers.held(model):
            await self.release(key)

    async def _release(self, key: Key, keep: tuple[RouteForm, Key] | None) -> None:
        model = self._store.get(Kind.MODEL, key)
        if model is None or not self._finalizers.held(model):
            return
        for form, route in self._routes_of(key, model):
            if (form, route) != keep:
                await self._restore(form, route, key, _named(model))

    def _routes_of(self, key: Key, model: Document) -> list[tuple[RouteForm, Key]]:
        """
        Those that carry the object's annotation, and the one that its spec names, should that not be heard of.
        """
        mark = annotation_of(key.name)
        found = [
            (form, route) for form in FORMS.values() for route in self._store.marked(form.kind, key.namespace, mark)
        ]
        gateway = (model["spec"].get("traffic") or {}).get("gatewayAPI") or {}
        if gateway.get("routeRef"):
            form = next(form for form in FORMS.values() if form.resource.kind == gateway.get("kind", "HTTPRoute"))
            found.append((form, Key(key.namespace, gateway["routeRef"]["name"])))
        return list(dict.fromkeys(found))

    async def _restore(self, form: RouteForm, route: Key, key: Key, backend: str | None) -> None:
        for _ in range(TRIES):
            try:
                live = await self._transport.get(form.resource, route)
                names = [entry["name"] for entry in kept_in(live, key.name).originals]
                name = names[0] if names else backend
                operations = restore(live, key, name) if name is not None else []
                if operations:
                    await self._patch(form, live, operations)
            except GoneError:
                self._store.forget(form.kind, route)
                return
            except ConflictError:
                continue
            else:
                return
        raise ConflictError(f"{form.resource.kind} {route} changed again and again while it was put back")


def _version(route: Document) -> str:
    version: str = route["metadata"]["resourceVersion"]
    return version


def _named(model: Document) -> str | None:
    """
    The backend that the object's spec names; None: it names none any more.
    """
    gateway = (model["spec"].get("traffic") or {}).get("gatewayAPI") or {}
    name: str | None = (gateway.get("routeRef") or {}).get("backend")
    return name


def _check_owner(live: Document) -> None:
    reference = ownership.controller_of(live)
    if reference is not None and reference["kind"] == KIND:
        raise RefusedError(f"{FIELD}.name: the route belongs to {KIND} {reference['name']}, which writes all of it")


def _check_steps(live: Document, key: Key, backend: str, spec: MLModelDeploymentSpec) -> None:
    """
    Said before the first request reaches the candidate, not at the step whose share the weights cannot give.
    """
    for step in course_of(spec).steps:
        adopt(live, key, backend, {"stable": WHOLE - step.percent, "candidate": step.percent}, "")
