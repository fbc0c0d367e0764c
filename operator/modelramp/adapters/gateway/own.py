"""
The route that splits traffic between revisions. It has the object's name, and one writer: us.
"""

from itertools import product

from modelramp.adapters.gateway.acceptance import acceptance_of, controller_of, controllers_of
from modelramp.adapters.gateway.forms import RouteForm
from modelramp.adapters.gateway.reading import cohort_in, compared_in, mirrors_in, shares_in
from modelramp.adapters.gateway.rendering import own_route
from modelramp.adapters.gateway.weights import WHOLE
from modelramp.adapters.kubernetes.owned import OwnedObjects
from modelramp.adapters.kubernetes.store import Store
from modelramp.adapters.kubernetes.transport import Transport
from modelramp.api.document import traffic_hash
from modelramp.api.names import ANNOTATION_TRAFFIC
from modelramp.api.spec import MLModelDeploymentSpec
from modelramp.ports import Key, Owner, RefusedError
from modelramp.rollout.capabilities import cannot_copy, cannot_copy_to
from modelramp.rollout.observed import RouteState
from modelramp.rollout.plan import SetTraffic


def _check(effect: SetTraffic, controllers: tuple[str, ...]) -> None:
    """
    A copy is refused that the gateway would not make as asked: nothing would tell of it afterwards.

    Envoy draws one random number for the split and for the copies, so that of copies in percent beside a split nearly
    all would come from one revision's requests.
    """
    shared = sum(percent > 0 for percent in effect.shares.values()) > 1
    if shared and any(percent < WHOLE for percent in effect.mirrors.values()):
        raise RefusedError("a part of the requests cannot be copied while they are split: the copies would be biased")
    asked = product(controllers, effect.mirrors.values())
    several = (cannot_copy_to(controller, len(effect.mirrors)) for controller in controllers)
    reasons = (*(cannot_copy(controller, percent) for controller, percent in asked), *several)
    reason = next(filter(None, reasons), None)
    if reason is not None:
        raise RefusedError(reason)


class OwnRoutes:
    """
    Port `Routes` over routes that the operator makes.
    """

    def __init__(self, transport: Transport, store: Store) -> None:
        """
        `store` is also told what is written here.
        """
        self._transport = transport
        self._store = store

    def state(self, key: Key, form: RouteForm) -> RouteState:
        """
        As last heard of.
        """
        objects = self._objects(form)
        route = objects.known(key)
        if route is None:
            return RouteState()
        acceptance, message = acceptance_of(route)
        return RouteState(
            acceptance=acceptance,
            shares=shares_in(route, key),
            mirrors=mirrors_in(route, key),
            compared=compared_in(route, key),
            cohort=cohort_in(route, key),
            message=message,
            contested_by=objects.contested_by(key, route),
            traffic_hash=(route["metadata"].get("annotations") or {}).get(ANNOTATION_TRAFFIC),
            controller=controller_of(route),
        )

    async def set_traffic(self, owner: Owner, spec: MLModelDeploymentSpec, form: RouteForm, effect: SetTraffic) -> None:
        """
        The route gives, copies and sends by header what the effect says, and lists no other revision. Idempotent.

        A route of another owner is never touched. What lowers exposure takes the rules back from another writer; what
        raises it does not, and only follows the very route that was last heard of.

        Raises:
            RefusedError: a part of the requests is to be copied while they are split, or by a gateway that cannot.
            ConflictError: the route belongs to another owner, or is not the one last heard of; or the effect would
                raise exposure, and somebody else writes the rules.
        """
        body = own_route(owner, spec, effect)
        body["metadata"]["annotations"] = {ANNOTATION_TRAFFIC: traffic_hash(spec)}
        objects = self._objects(form)
        known = objects.known(owner.key)
        _check(effect, controllers_of(known) if known is not None else ())
        await objects.write(owner, body, raises=effect.raises_exposure)

    def _objects(self, form: RouteForm) -> OwnedObjects:
        return OwnedObjects(self._transport, self._store, form.kind, form.resource)
