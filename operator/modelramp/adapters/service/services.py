"""
The Service whose selector says which pods serve. It has the object's name, and one writer: us.
"""

from modelramp.adapters.kubernetes.arms import ready_pods
from modelramp.adapters.kubernetes.owned import OwnedObjects
from modelramp.adapters.kubernetes.resources import SERVICES, Kind
from modelramp.adapters.kubernetes.store import Store
from modelramp.adapters.kubernetes.transport import Transport
from modelramp.adapters.service.reading import (
    acceptance_of,
    achieved_shares,
    bent_by,
    others_select,
    ready_by_revision,
    shares_in,
)
from modelramp.adapters.service.rendering import front_service
from modelramp.api.document import traffic_hash
from modelramp.api.names import ANNOTATION_TRAFFIC, workload_name
from modelramp.api.spec import MLModelDeploymentSpec
from modelramp.ports import Document, Key, Owner, RefusedError
from modelramp.rollout.observed import RouteState
from modelramp.rollout.plan import SetTraffic


class PlainServices:
    """
    Port `Routes` over a plain Service, its EndpointSlices and what was last heard of them.
    """

    def __init__(self, transport: Transport, store: Store) -> None:
        """
        `store` is also told what is written here, so that a cycle sees the effects of the one before.
        """
        self._transport, self._store = transport, store
        self._services = OwnedObjects(transport, store, Kind.SERVICE, SERVICES)

    def state(self, key: Key) -> RouteState:
        """
        As last heard of.
        """
        service = self._services.known(key)
        if service is None:
            return RouteState()
        slices = self._store.children(Kind.ENDPOINT_SLICE, key)
        front, ready = ready_pods(slices, key.name), ready_by_revision(slices, key)
        achieved = achieved_shares(service, front, ready)
        shares = shares_in(service, achieved)
        acceptance, message = acceptance_of(shares, front, ready)
        return RouteState(
            acceptance=acceptance,
            shares=shares,
            achieved=achieved,
            message=message,
            contested_by=self._contested_by(key, service),
            traffic_hash=(service["metadata"].get("annotations") or {}).get(ANNOTATION_TRAFFIC),
        )

    def _contested_by(self, key: Key, service: Document) -> str | None:
        """
        Who else owns or writes it, with the field by which connections are not spread evenly; None: nobody.

        Of fields that always have the same value here, another owner is none any more once it is that again.
        """
        writer = self._services.contested_by(key, service)
        if writer is None or self._services.owned(key) is None:
            return writer
        field = bent_by(service)
        if field is not None:
            return f"{writer}, who set {field}"
        return writer if others_select(service) else None

    async def set_traffic(self, owner: Owner, spec: MLModelDeploymentSpec, effect: SetTraffic) -> None:
        """
        The Service selects the one revision that gets everything, or all pods of the object. Idempotent.

        Raises:
            ConflictError: the Service belongs to another owner, or is not the one last heard of; or the effect would
                raise exposure, and somebody else writes the selector.
            RefusedError: the effect copies requests or looks at headers, which a Service cannot.
        """
        service = spec.traffic.service
        if service is None or effect.mirrors or effect.cohort is not None or effect.host is not None:
            raise RefusedError("a plain Service gives shares only: it copies nothing and looks at no header")
        target = await self._target(owner.key, effect)
        body = front_service(owner, service, effect.shares, target)
        body["metadata"]["annotations"][ANNOTATION_TRAFFIC] = traffic_hash(spec)
        await self._services.write(owner, body, raises=effect.raises_exposure)

    async def _target(self, key: Key, effect: SetTraffic) -> int:
        """
        The port of the pods that are to serve, as their own Services have it: the spec tells only that of the newest.

        Raises:
            RefusedError: they listen on different ports, and a Service has one for all its pods.
        """
        found = {}
        for revision in (name for name, percent in effect.shares.items() if percent > 0):
            name = Key(key.namespace, workload_name(key.name, revision))
            own = self._store.get(Kind.SERVICE, name) or await self._transport.get(SERVICES, name)
            found[revision] = own["spec"]["ports"][0]["targetPort"]
        ports = set(found.values())
        if len(ports) > 1:
            told = " and ".join(f"{port} of revision {revision}" for revision, port in sorted(found.items()))
            raise RefusedError(f"a plain Service sends to one port, and these differ: {told}; keep spec.serving.port")
        return int(ports.pop())
