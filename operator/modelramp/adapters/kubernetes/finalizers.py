"""
A finalizer on an `MLModelDeployment`: it stays, once deleted, until what was done for it outside is undone.
"""

from typing import Final

from modelramp.adapters.kubernetes.resources import MODELS, Kind
from modelramp.adapters.kubernetes.store import Store
from modelramp.adapters.kubernetes.transport import Transport
from modelramp.ports import ConflictError, Document, GoneError, Key, Owner

_UID: Final = "uid"


class Finalizers:
    """
    Puts one finalizer on objects and takes it off.
    """

    def __init__(self, transport: Transport, store: Store, name: str) -> None:
        """
        `name` is the finalizer's own.
        """
        self._transport, self._store, self._name = transport, store, name

    def held(self, model: Document) -> bool:
        """
        The object has it.
        """
        return self._name in (model["metadata"].get("finalizers") or ())

    async def hold(self, owner: Owner) -> None:
        """
        The object has it. Idempotent.

        Raises:
            ConflictError: the object changed meanwhile, is another one, or is being deleted.
            GoneError: there is no such object.
        """
        known = self._store.get(Kind.MODEL, owner.key)
        if known is not None and known["metadata"][_UID] == owner.uid and self.held(known):
            return
        live = await self._transport.get(MODELS, owner.key)
        if live["metadata"][_UID] != owner.uid or live["metadata"].get("deletionTimestamp"):
            raise ConflictError(f"{owner.key} is being deleted, or another one")
        if not self.held(live):
            live = await self._write(owner.key, live, [*(live["metadata"].get("finalizers") or ()), self._name])
        self._store.heard(Kind.MODEL, None, live)

    async def drop(self, key: Key) -> None:
        """
        The object, if there is one, does not have it. Idempotent.

        Raises:
            ConflictError: the object changed meanwhile.
        """
        try:
            live = await self._transport.get(MODELS, key)
            if self.held(live):
                rest = [name for name in live["metadata"]["finalizers"] if name != self._name]
                live = await self._write(key, live, rest)
        except GoneError:
            self._store.forget(Kind.MODEL, key)
        else:
            self._store.heard(Kind.MODEL, None, live)

    async def _write(self, key: Key, live: Document, finalizers: list[str]) -> Document:
        metadata = {"resourceVersion": live["metadata"]["resourceVersion"], "finalizers": finalizers}
        return await self._transport.merge_patch(MODELS, key, {"metadata": metadata})
