"""
The second route of an object, which leads a host name to the candidate alone. It exists only while that is wanted.
"""

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any, Final

from modelramp.adapters.gateway.acceptance import acceptance_of
from modelramp.adapters.gateway.forms import FORMS, RouteForm
from modelramp.adapters.gateway.reading import cohort_in, host_in, shares_in
from modelramp.adapters.gateway.rendering import preview_route
from modelramp.adapters.gateway.weights import WHOLE
from modelramp.adapters.kubernetes.owned import OwnedObjects
from modelramp.adapters.kubernetes.resources import Kind
from modelramp.adapters.kubernetes.store import Store
from modelramp.adapters.kubernetes.transport import Transport
from modelramp.api.document import traffic_hash
from modelramp.api.names import ANNOTATION_TRAFFIC, PREVIEW_SUFFIX
from modelramp.api.spec import MLModelDeploymentSpec
from modelramp.ports import Document, Key, Owner
from modelramp.rollout.observed import Acceptance, RouteState
from modelramp.rollout.plan import SetTraffic

_WORST_FIRST: Final = (Acceptance.ABSENT, Acceptance.REFUSED, Acceptance.PENDING, Acceptance.ACCEPTED)


def _asked(model: Document | None) -> bool:
    """
    The object's spec gives the preview a host name.
    """
    plan = ((model["spec"].get("strategy") or {}).get("blueGreen") or {}) if model is not None else {}
    return bool((plan.get("preview") or {}).get("hostname"))


def _most(route: Document, key: Key) -> dict[str, Decimal]:
    """
    What may reach each revision at most, in percent, by whatever header.
    """
    cohort = cohort_in(route, key)
    return {**shares_in(route, key), **({cohort.revision: WHOLE} if cohort is not None else {})}


def _together(state: RouteState, route: Document, key: Key) -> RouteState:
    """
    The state with what a route of ours adds to it. One that was changed into something else counts as a share of
    whatever it names: that much may reach it.
    """
    host, (acceptance, message) = host_in(route, key), acceptance_of(route)
    shares = dict(state.shares)
    for revision, percent in _most(route, key).items() if host is None else ():
        shares[revision] = max(percent, shares.get(revision, Decimal(0)))
    if _WORST_FIRST.index(state.acceptance) <= _WORST_FIRST.index(acceptance):
        acceptance, message = state.acceptance, state.message
    written_for = (route["metadata"].get("annotations") or {}).get(ANNOTATION_TRAFFIC)
    return replace(
        state,
        acceptance=acceptance,
        message=message,
        shares=shares,
        host=host,
        traffic_hash=state.traffic_hash if state.traffic_hash == written_for else None,
    )


class PreviewRoutes:
    """
    Beside a route of the object's own name, of whatever kind.
    """

    def __init__(self, transport: Transport, store: Store) -> None:
        """
        `store` is also told what is written here.
        """
        self._transport, self._store = transport, store

    def beside(self, key: Key, state: RouteState) -> RouteState:
        """
        The state with the preview's route, as last heard of. A stranger's of that name matters only where the spec asks
        for one.
        """
        asked = _asked(self._store.get(Kind.MODEL, key))
        for objects in self._every():
            route, ours = objects.known(key), objects.owned(key)
            contested = objects.contested_by(key, route) if route is not None and (asked or ours is not None) else None
            state = state if ours is None else _together(state, ours, key)
            state = state if contested is None else replace(state, contested_by=state.contested_by or contested)
        return state

    async def write(self, owner: Owner, spec: MLModelDeploymentSpec, form: RouteForm, effect: SetTraffic) -> None:
        """
        The host name leads where the effect says; without one there is no such route. Idempotent.

        Raises:
            ConflictError: the route belongs to another owner, or is not the one last heard of; or the effect would
                raise exposure, and somebody else writes the rules.
        """
        for other in FORMS.values():
            if other is not form or effect.host is None:
                await self._objects(other).remove(owner)
        if effect.host is not None:
            body: dict[str, Any] = preview_route(owner, spec, effect.host)
            body["metadata"]["annotations"] = {ANNOTATION_TRAFFIC: traffic_hash(spec)}
            await self._objects(form).write(owner, body, raises=effect.raises_exposure)

    def _every(self) -> Iterator[OwnedObjects]:
        return (self._objects(form) for form in FORMS.values())

    def _objects(self, form: RouteForm) -> OwnedObjects:
        return OwnedObjects(self._transport, self._store, form.kind, form.resource, PREVIEW_SUFFIX)
