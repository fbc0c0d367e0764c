"""
Comparators as Deployments and Services.
"""

from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from modelramp.adapters.kubernetes.arms import ready_endpoints
from modelramp.adapters.kubernetes.comparing import comparator_deployment, comparator_service
from modelramp.adapters.kubernetes.ownership import owned_by
from modelramp.adapters.kubernetes.resources import DEPLOYMENTS, SERVICES, Kind
from modelramp.adapters.kubernetes.store import Store
from modelramp.adapters.kubernetes.transport import Transport
from modelramp.api.names import ANNOTATION_COMPARE, LABEL_COMPARED, comparator_name
from modelramp.ports import GoneError, Key, Owner, RefusedError
from modelramp.rollout.observed import Comparator
from modelramp.rollout.plan import DeleteComparator, EnsureComparator

_CHANGED: Final = "MODIFIED"


class KubernetesComparators:
    """
    Port `Comparators` over the API server and what was last heard of it.

    A comparator exists when its Deployment does. So the Service is made first and removed first, as a workload's is.
    """

    def __init__(self, transport: Transport, store: Store, *, image: str | None, pull_policy: str) -> None:
        """
        `image` runs comparators, None: there is none; `store` is also told what is written here.
        """
        self._transport, self._store = transport, store
        self._image, self._pull_policy = image, pull_policy

    @property
    def available(self) -> bool:
        """
        There is an image to run them with.
        """
        return self._image is not None

    def comparators(self, key: Key) -> Mapping[str, Comparator]:
        """
        By the revision they stand before, as last heard of. Deployments that the object does not own, or that are being
        deleted, are not among them.
        """
        model = self._store.get(Kind.MODEL, key)
        uid = model["metadata"]["uid"] if model is not None else None
        slices = self._store.children(Kind.ENDPOINT_SLICE, key)
        found = {}
        for deployment in self._store.children(Kind.DEPLOYMENT, key):
            metadata = deployment["metadata"]
            revision = metadata["labels"].get(LABEL_COMPARED, "")
            ours = owned_by(deployment, key, uid) and metadata["name"] == comparator_name(key.name, revision)
            if ours and "deletionTimestamp" not in metadata:
                written = metadata.get("annotations", {}).get(ANNOTATION_COMPARE)
                found[revision] = Comparator(ready=ready_endpoints(slices, metadata["name"]), hash=written)
        return found

    async def ensure(self, owner: Owner, effect: EnsureComparator) -> None:
        """
        The comparator's Deployment and Service are as the effect says. Idempotent.

        Raises:
            RefusedError: there is no image to run it with, or the API server does not take it.
        """
        if self._image is None:
            raise RefusedError("there is no image for comparators: MODELRAMP_COMPARATOR_IMAGE is not set")
        await self._transport.apply(SERVICES, comparator_service(owner, effect.revision), force=True)
        body = comparator_deployment(owner, effect, self._image, self._pull_policy)
        try:
            written = await self._transport.apply(DEPLOYMENTS, body, force=True)
        except RefusedError:
            await self._drop_unused(owner, effect.revision)
            raise
        self._store.heard(Kind.DEPLOYMENT, _CHANGED, written)

    async def delete(self, owner: Owner, effect: DeleteComparator) -> None:
        """
        Deployment and Service are gone. Idempotent.

        Raises:
            ConflictError: the Deployment is another one than was last heard of.
        """
        name = _name(owner, effect.revision)
        known = self._store.get(Kind.DEPLOYMENT, name)
        with suppress(GoneError):
            await self._transport.delete(SERVICES, name)
        with suppress(GoneError):
            await self._transport.delete(DEPLOYMENTS, name, uid=known["metadata"]["uid"] if known else None)
        self._store.forget(Kind.DEPLOYMENT, name)

    async def _drop_unused(self, owner: Owner, revision: str) -> None:
        """
        A refused Deployment leaves no Service behind, unless it is one that exists and only its change was refused.
        """
        name = _name(owner, revision)
        try:
            await self._transport.get(DEPLOYMENTS, name)
        except GoneError:
            with suppress(GoneError):
                await self._transport.delete(SERVICES, name)


def _name(owner: Owner, revision: str) -> Key:
    return Key(owner.key.namespace, comparator_name(owner.key.name, revision))
