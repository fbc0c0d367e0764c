"""
A node's proxy as kube-proxy is one: it chooses a ready endpoint of a Service for each new connection, by chance, and
a connection keeps its pod for as long as it is open.
"""

import asyncio
import contextlib
import random
from collections.abc import Callable
from typing import Any, Final

from rig.kubeapi import DELETED, KubeApi

Fields = dict[str, Any]
Target = Callable[[str], tuple[str, int]]

LABEL_SERVICE: Final = "kubernetes.io/service-name"
PIECE_BYTES: Final = 65536
SEED: Final = 20261121


class NodeProxy:
    """
    Listens on loopback in place of one Service's address.
    """

    def __init__(self, api: KubeApi, service: str, target: Target) -> None:
        """
        `target` tells what is behind a pod's address.
        """
        self._api, self._service, self._target = api, service, target
        self._slices: dict[str, Fields] = {}
        self._chance = random.Random(SEED)
        self._connections: set[asyncio.Task[None]] = set()
        self.port = 0
        self.opened = 0
        """Connections that were accepted so far."""

    async def run(self, ready: asyncio.Event) -> None:
        """
        Serve until cancelled; `ready` is set once the port is known.
        """
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        ready.set()
        try:
            await self._api.follow("/apis/discovery.k8s.io/v1", "endpointslices", self._changed)
        finally:
            server.close()
            for connection in self._connections:
                connection.cancel()

    @property
    def endpoints(self) -> list[str]:
        """
        The addresses of the Service's ready pods.
        """
        endpoints = [endpoint for piece in self._slices.values() for endpoint in piece.get("endpoints") or ()]
        ready = [endpoint for endpoint in endpoints if endpoint.get("conditions", {}).get("ready")]
        return sorted(address for endpoint in ready for address in endpoint["addresses"])

    def _changed(self, kind: str, document: Fields) -> None:
        metadata = document["metadata"]
        if metadata.get("labels", {}).get(LABEL_SERVICE) != self._service:
            return
        self._slices[metadata["uid"]] = document
        if kind == DELETED:
            del self._slices[metadata["uid"]]

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)
        self.opened += 1
        endpoints = self.endpoints
        try:
            if endpoints:
                await self._join(reader, writer, *self._target(self._chance.choice(endpoints)))
        finally:
            writer.close()

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str, port: int) -> None:
        with contextlib.suppress(OSError):  # refused, or reset on one of both sides
            back, forth = await asyncio.open_connection(host, port)
            try:
                there, here = asyncio.create_task(_copy(reader, forth)), asyncio.create_task(_copy(back, writer))
                await asyncio.wait((there, here), return_when=asyncio.FIRST_COMPLETED)
                for task in (there, here):
                    task.cancel()
                await asyncio.gather(there, here, return_exceptions=True)
            finally:
                forth.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while piece := await reader.read(PIECE_BYTES):
        writer.write(piece)
        await writer.drain()
