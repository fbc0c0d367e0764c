"""
The `MLModelDeployment` objects themselves: read, and their status written.
"""

from contextlib import suppress

from modelramp.adapters.kubernetes.resources import MODELS, Kind
from modelramp.adapters.kubernetes.store import Store, key_of
from modelramp.adapters.kubernetes.transport import Transport
from modelramp.ports import ConflictError, Document, GoneError, Key, PortError


class KubernetesDeployments:
    """
    Port `Deployments` over the API server and what was last heard of it.
    """

    def __init__(self, transport: Transport, store: Store) -> None:
        """
        `store` is also told what is read and written here, so that it is never older than our own writes.
        """
        self._transport = transport
        self._store = store

    def known(self, key: Key) -> Document | None:
        """
        The object as last heard of, without asking; None: there is none. May be stale.
        """
        return self._store.get(Kind.MODEL, key)

    async def read(self, key: Key) -> Document | None:
        """
        The object now; None: there is none.
        """
        try:
            document = await self._transport.get(MODELS, key)
        except GoneError:
            self._store.forget(Kind.MODEL, key)
            return None
        self._store.heard(Kind.MODEL, None, document)
        return document

    async def commit(self, document: Document, status: Document) -> Document:
        """
        Write the whole status, only if the object is still the one in `document`; the object as written.

        The resourceVersion is the precondition, also against a deleted and re-created object: the API server does not
        compare the uid of a status write.

        Raises:
            ConflictError: it is not.
            GoneError: it is gone.
        """
        key = key_of(document)
        identity = {name: document["metadata"][name] for name in ("name", "namespace", "uid", "resourceVersion")}
        body = {
            "apiVersion": MODELS.api_version,
            "kind": MODELS.kind,
            "metadata": identity,
            "status": status,
        }
        try:
            written = await self._transport.apply_status(MODELS, body)
        except ConflictError:
            with suppress(PortError):
                await self.read(key)  # so that the next look is a fresh one
            raise
        except GoneError:
            self._store.forget(Kind.MODEL, key)
            raise
        self._store.heard(Kind.MODEL, None, written)
        return written
