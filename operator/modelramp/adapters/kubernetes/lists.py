"""
LISTs of every kind into the store: the first fills it, later ones repair what a watch missed.
"""

import logging
from collections.abc import Collection

from modelramp.adapters.kubernetes.resources import LABELLED, SWITCHED, WATCHED, Kind, kinds_with
from modelramp.adapters.kubernetes.store import Store
from modelramp.adapters.kubernetes.transport import Transport
from modelramp.api.names import LABEL_DEPLOYMENT
from modelramp.ports import DeniedError, Key, RefusedError

log = logging.getLogger("modelramp")


class Lists:
    """
    Lists the kinds of an operator with these routers, and remembers which of them the cluster lacks.
    """

    def __init__(
        self, transport: Transport, store: Store, routers: Collection[str], namespaces: tuple[str, ...]
    ) -> None:
        """
        No `namespaces` means all.
        """
        self._transport, self._store, self._namespaces = transport, store, namespaces
        self._kinds = kinds_with(routers)
        self._missing: set[Kind] = set()

    @property
    def found(self) -> tuple[Kind, ...]:
        """
        The kinds that the last list found; before the first one all.
        """
        return tuple(kind for kind in self._kinds if kind not in self._missing)

    async def repair(self) -> set[Key]:
        """
        List them all; the objects to be looked at.

        A router's kind that the cluster lacks, or that may not be listed, is left out and said once. It is looked for
        again with every list.

        Raises:
            PortError: another kind could not be listed.
        """
        woken: set[Key] = set()
        for kind in self._kinds:
            try:
                woken |= await self._list(kind)
            except (RefusedError, DeniedError) as error:
                if kind not in SWITCHED.values():
                    raise
                if kind not in self._missing:
                    log.warning("%s is left out: %s", kind, error)
                self._missing.add(kind)
            else:
                self._missing.discard(kind)
        return woken

    async def _list(self, kind: Kind) -> set[Key]:
        woken: set[Key] = set()
        labels = LABEL_DEPLOYMENT if kind in LABELLED else None
        for namespace in self._namespaces or (None,):
            listing = await self._transport.list(WATCHED[kind], namespace=namespace, labels=labels)
            woken |= self._store.replace_all(kind, listing.items, listing.resource_version, namespace)
        return woken
