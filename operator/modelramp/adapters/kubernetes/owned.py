"""
Objects of the object's own name, or of that with a suffix, with one writer: us.
"""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

from modelramp.adapters.kubernetes import ownership
from modelramp.adapters.kubernetes.resources import Kind, Resource
from modelramp.adapters.kubernetes.store import Store
from modelramp.adapters.kubernetes.transport import Transport
from modelramp.api.names import FIELD_MANAGER
from modelramp.ports import ConflictError, Document, GoneError, Key, Owner, PortError, RefusedError

# A resourceVersion that no object has. An apply with it creates an absent object and conflicts with a present one.
_ABSENT: Final = "1"


def writers_of(document: Document) -> list[str]:
    """
    Who else writes what was kept of the object's field owners.
    """
    entries = document["metadata"].get("managedFields") or ()
    return sorted({entry["manager"] for entry in entries} - {FIELD_MANAGER})


def stranger(document: Document, kind: str) -> str:
    """
    Whose the object is, for people.
    """
    reference, named = ownership.controller_of(document), f"{'an' if kind == 'HTTPRoute' else 'a'} {kind} of this name"
    if reference is not None:
        return f"{reference['kind']} {reference['name']}, which owns {named}"
    writers = " and ".join(writers_of(document)) or "somebody else"
    return f"{writers}, who made {named}"


def contested_by(document: Document, key: Key, uid: str | None, kind: str) -> str | None:
    """
    Who else owns the object or writes to it, for people; None: nobody. `uid` is the owner's, None: not known.
    """
    if not ownership.owned_by(document, key, uid):
        return stranger(document, kind)
    return " and ".join(writers_of(document)) or None


class OwnedObjects:
    """
    The objects of one kind: as last heard of, and written so that no stranger's is touched and no stale view raises
    exposure.
    """

    def __init__(self, transport: Transport, store: Store, kind: Kind, resource: Resource, suffix: str = "") -> None:
        """
        `store` is also told what is written here, so that a cycle sees the effects of the one before. `suffix` is what
        the names have beside the object's.
        """
        self._suffix = suffix
        self._transport, self._store, self._kind, self._resource = transport, store, kind, resource

    def known(self, key: Key) -> Document | None:
        """
        As last heard of; None: there is none.
        """
        return self._store.get(self._kind, self._name(key))

    def _name(self, key: Key) -> Key:
        return Key(key.namespace, f"{key.name}{self._suffix}")

    def owned(self, key: Key) -> Document | None:
        """
        The same where it belongs to the object as that is now; None: there is none, or it is somebody else's.
        """
        found, model = self.known(key), self._store.get(Kind.MODEL, key)
        ours = found is not None and model is not None and ownership.owned_by(found, key, model["metadata"]["uid"])
        return found if ours else None

    def contested_by(self, key: Key, document: Document) -> str | None:
        """
        Who else owns or writes it, for people; None: nobody.
        """
        model = self._store.get(Kind.MODEL, key)
        uid = model["metadata"]["uid"] if model is not None else None
        return contested_by(document, key, uid, self._resource.kind)

    async def write(self, owner: Owner, body: Mapping[str, Any], *, raises: bool) -> None:
        """
        The object is as in `body`. Idempotent.

        What lowers exposure takes fields back from another writer; what raises it does not, and only follows the very
        object that was last heard of.

        Raises:
            ConflictError: the object belongs to another owner, or is not the one last heard of; or the write would
                raise exposure, and somebody else writes the same fields.
        """
        known = self.known(owner.key)
        if known is not None and not ownership.owned_by(known, owner.key, owner.uid):
            await self._refresh(owner.key)
            raise ConflictError(f"not ours: {stranger(known, self._resource.kind)}")
        try:
            written = await self._apply(body, known, raises=raises)
        except ConflictError:
            await self._refresh(owner.key)
            raise
        self._store.heard(self._kind, None, written)

    async def _apply(self, body: Mapping[str, Any], known: Document | None, *, raises: bool) -> Document:
        if known is None:
            expected = {"resourceVersion": _ABSENT}
        else:
            expected = {"uid": known["metadata"]["uid"]}
            if raises:
                expected["resourceVersion"] = known["metadata"]["resourceVersion"]
        guarded = {**body, "metadata": {**body["metadata"], **expected}}
        try:
            return await self._transport.apply(self._resource, guarded, force=known is not None and not raises)
        except RefusedError as error:
            if "metadata.uid" in str(error):  # so the API server says that the object is another one
                raise ConflictError(str(error)) from error
            raise

    async def remove(self, owner: Owner) -> None:
        """
        The object is gone, if it is ours. Idempotent.

        Raises:
            ConflictError: it is another one than was last heard of.
        """
        known = self.known(owner.key)
        if known is None or not ownership.owned_by(known, owner.key, owner.uid):
            return
        with suppress(GoneError):
            await self._transport.delete(self._resource, self._name(owner.key), uid=known["metadata"]["uid"])
        self._store.forget(self._kind, self._name(owner.key))

    async def _refresh(self, key: Key) -> None:
        """
        So that the next look is a fresh one.
        """
        with suppress(PortError):
            try:
                self._store.heard(self._kind, None, await self._transport.get(self._resource, self._name(key)))
            except GoneError:
                self._store.forget(self._kind, self._name(key))
