"""
Which router carries an object's traffic: the one its spec names.
"""

from collections.abc import Mapping
from typing import Final

from modelramp.adapters.kubernetes.resources import Kind
from modelramp.adapters.kubernetes.store import Store
from modelramp.api.spec import MLModelDeploymentSpec
from modelramp.ports import Key, Owner, RefusedError, Routes
from modelramp.rollout.observed import RouteState
from modelramp.rollout.plan import SetTraffic

ALWAYS_ON: Final = frozenset({"gatewayAPI", "service"})
"""Routers that need no setting; their kinds are of Kubernetes itself, or are what the operator was made for."""


class Routers:
    """
    Port `Routes` over all routers, by the field of `spec.traffic` that names one.
    """

    def __init__(self, store: Store, by_field: Mapping[str, Routes]) -> None:
        """
        `by_field` holds the routers this operator was built with, by their names in `spec.traffic`.
        """
        self._store, self._by_field = store, by_field

    def state(self, key: Key) -> RouteState:
        """
        As last heard of, of the router that the object names; absent for one that is not switched on here.
        """
        model = self._store.get(Kind.MODEL, key)
        named = (model["spec"].get("traffic") or {}) if model is not None else {}
        router = next((router for field, router in self._by_field.items() if named.get(field) is not None), None)
        return RouteState() if router is None else router.state(key)

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
