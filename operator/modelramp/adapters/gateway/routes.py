"""
Routes of the Gateway API: an object's own, or one that exists.
"""

from collections.abc import Callable, Collection

from modelramp.adapters.clock import monotonic as machine
from modelramp.adapters.gateway.adopted import AdoptedRoutes
from modelramp.adapters.gateway.forms import FORMS, form_of
from modelramp.adapters.gateway.own import OwnRoutes
from modelramp.adapters.gateway.previews import PreviewRoutes
from modelramp.adapters.kubernetes.adoptions import route_named_by
from modelramp.adapters.kubernetes.resources import Kind, kinds_with
from modelramp.adapters.kubernetes.store import Store
from modelramp.adapters.kubernetes.transport import Transport
from modelramp.api.spec import MLModelDeploymentSpec
from modelramp.ports import Key, Owner, RefusedError
from modelramp.rollout.observed import RouteState
from modelramp.rollout.plan import SetTraffic
from modelramp.settings import ROUTERS


class HttpRoutes:
    """
    Port `Routes` over the Gateway API and what was last heard of it.
    """

    def __init__(
        self,
        transport: Transport,
        store: Store,
        routers: Collection[str] = ROUTERS,
        monotonic: Callable[[], float] = machine,
    ) -> None:
        """
        `store` is also told what is written here, so that a cycle sees the effects of the one before. `routers` are
        the ways that may be used beside HTTPRoutes of its own; `monotonic` tells seconds.
        """
        self._store, self._routers, self._kinds = store, routers, kinds_with(routers)
        self._own, self._previews = OwnRoutes(transport, store), PreviewRoutes(transport, store)
        self._adopted = AdoptedRoutes(transport, store, monotonic)

    def state(self, key: Key) -> RouteState:
        """
        As last heard of.
        """
        model = self._store.get(Kind.MODEL, key)
        form, named = form_of(model), route_named_by(model) if model is not None else None
        state = self._own.state(key, form) if named is None else self._adopted.state(key, form, named[1].name)
        return self._previews.beside(key, state)

    async def set_traffic(self, owner: Owner, spec: MLModelDeploymentSpec, effect: SetTraffic) -> None:
        """
        The route gives, copies and sends by header or host what the effect says, and lists no other revision.
        Idempotent.

        Raises:
            RefusedError: this way to route is switched off, or the gateway or the route cannot do it.
            ConflictError: the route belongs to another owner, or is not the one last heard of; or the effect would
                raise exposure, and somebody else writes the rules.
        """
        gateway = spec.traffic.gateway_api
        if gateway is None:
            raise RefusedError("spec.traffic.gatewayAPI: these routes are of the Gateway API only")
        form = FORMS[gateway.kind]
        if form.kind not in self._kinds:
            raise RefusedError(f"spec.traffic.gatewayAPI.kind: this operator was told to leave {form.kind}s alone")
        if gateway.route_ref is None:
            await self._own.set_traffic(owner, spec, form, effect)
            await self._previews.write(owner, spec, form, effect)
            await self._adopted.leave(owner.key)
        elif "routeRef" not in self._routers:
            raise RefusedError(
                "spec.traffic.gatewayAPI.routeRef: this operator was told to leave others' routes alone (the chart's "
                "routers.routeRef)"
            )
        else:
            await self._adopted.set_traffic(owner, spec, form, gateway.route_ref, effect)
            await self._previews.write(owner, spec, form, effect)  # of a route of its own there may be one left

    async def release(self, key: Key) -> None:
        """
        The object is being deleted: what was changed in routes of others is put back, and nothing holds it any more.
        Idempotent.

        Raises:
            PortError: not everything is; try again later.
        """
        await self._adopted.release(key)
