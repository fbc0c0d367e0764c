"""
The VirtualService that splits traffic between revisions. It has the object's name, and one writer: us.
"""

from typing import Final

from modelramp.adapters.istio.reading import acceptance_of, cohort_in, compared_in, mirrors_in, shares_in
from modelramp.adapters.istio.rendering import virtual_service
from modelramp.adapters.kubernetes.owned import OwnedObjects
from modelramp.adapters.kubernetes.resources import VIRTUAL_SERVICES, Kind
from modelramp.adapters.kubernetes.store import Store
from modelramp.adapters.kubernetes.transport import Transport
from modelramp.api.names import ANNOTATION_TRAFFIC
from modelramp.api.spec import MLModelDeploymentSpec
from modelramp.ports import Key, Owner
from modelramp.rollout.observed import RouteState
from modelramp.rollout.plan import SetTraffic

CONTROLLER: Final = "istio.io/virtual-service"  # no object carries it; it stands for whose counters to read


class VirtualServices:
    """
    Port `Routes` over Istio's VirtualService and what was last heard of it.
    """

    def __init__(self, transport: Transport, store: Store) -> None:
        """
        `store` is also told what is written here, so that a cycle sees the effects of the one before.
        """
        self._virtual = OwnedObjects(transport, store, Kind.VIRTUAL_SERVICE, VIRTUAL_SERVICES)

    def state(self, key: Key) -> RouteState:
        """
        As last heard of.
        """
        virtual = self._virtual.known(key)
        if virtual is None:
            return RouteState()
        acceptance, message = acceptance_of(virtual)
        return RouteState(
            acceptance=acceptance,
            shares=shares_in(virtual, key),
            mirrors=mirrors_in(virtual, key),
            compared=compared_in(virtual, key),
            cohort=cohort_in(virtual, key),
            message=message,
            contested_by=self._virtual.contested_by(key, virtual),
            traffic_hash=(virtual["metadata"].get("annotations") or {}).get(ANNOTATION_TRAFFIC),
            controller=CONTROLLER,
        )

    async def set_traffic(self, owner: Owner, spec: MLModelDeploymentSpec, effect: SetTraffic) -> None:
        """
        The VirtualService gives this and nothing else. Idempotent.

        Raises:
            ConflictError: it belongs to another owner, or is not the one last heard of; or the effect would raise
                exposure, and somebody else writes its rules.
            RefusedError: the effect is beyond what a VirtualService can say.
        """
        await self._virtual.write(owner, virtual_service(owner, spec, effect), raises=effect.raises_exposure)
