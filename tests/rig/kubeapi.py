"""
The API server as the players of the rig use it: requests, and watches that start again by themselves.
"""

import asyncio
import contextlib
import json
import ssl
from collections.abc import AsyncIterator, Callable
from typing import Any, Final, Self

import aiohttp
from apiserver.server import ApiServer

Fields = dict[str, Any]
Changed = Callable[[str, Fields], None]

MERGE: Final = "application/merge-patch+json"
LONGEST_LINE: Final = 4 * 2**20  # bytes; an object may have 1.5 MB
AGAIN_SECONDS: Final = 0.2
CLOSING_SECONDS: Final = 0.25  # aiohttp returns before its TLS connections are closed
DELETED: Final = "DELETED"


def _version(item: Fields) -> str:
    version: str = item["metadata"]["resourceVersion"]
    return version


class KubeApi:
    """
    An asynchronous client of one namespace.
    """

    def __init__(self, server: ApiServer, namespace: str) -> None:
        """
        Takes address and certificates from `server`; connects to nothing yet, and needs a running loop.
        """
        known = server._client.configuration
        trust = ssl.create_default_context(cafile=known.ssl_ca_cert)
        trust.load_cert_chain(known.cert_file, known.key_file)
        self._root, self.namespace = known.host, namespace
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=trust, limit=0), read_bufsize=LONGEST_LINE
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()
        await asyncio.sleep(CLOSING_SECONDS)

    def path(self, api: str, plural: str, name: str = "") -> str:
        """
        A collection of the namespace, or an object in it.
        """
        return f"{api}/namespaces/{self.namespace}/{plural}" + (f"/{name}" if name else "")

    async def send(self, method: str, path: str, body: object = None, kind: str = "application/json") -> Fields | None:
        """
        The answer's body; None where the object is gone or was changed meanwhile.

        Raises:
            RuntimeError: the API server refuses it.
        """
        content = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": kind}
        async with self._session.request(method, self._root + path, data=content, headers=headers) as answer:
            said: Fields = await answer.json()
            if answer.status in {404, 409}:
                return None
            if answer.status >= 300:
                raise RuntimeError(f"{method} {path}: {said.get('message')}")
            return said

    async def follow(self, api: str, plural: str, changed: Changed) -> None:
        """
        Tell of every object and every change, until cancelled: `changed(type, object)`, with the watch's own types.
        """
        seen: dict[str, Fields] = {}
        while True:
            with contextlib.suppress(aiohttp.ClientError, TimeoutError):  # listed again
                listing = await self.send("GET", self.path(api, plural)) or {"items": [], "metadata": {}}
                present = {item["metadata"]["uid"]: item for item in listing["items"]}
                for uid in set(seen) - set(present):
                    changed(DELETED, seen.pop(uid))
                for uid, item in present.items():
                    if uid not in seen or _version(seen[uid]) != _version(item):
                        changed("ADDED", item)
                seen.update(present)
                async for kind, item in self._watched(api, plural, listing["metadata"].get("resourceVersion", "")):
                    seen[item["metadata"]["uid"]] = item
                    if kind == DELETED:
                        seen.pop(item["metadata"]["uid"])
                    changed(kind, item)
            await asyncio.sleep(AGAIN_SECONDS)

    async def _watched(self, api: str, plural: str, version: str) -> AsyncIterator[tuple[str, Fields]]:
        url = f"{self._root}{self.path(api, plural)}?watch=true&resourceVersion={version}&timeoutSeconds=300"
        async with self._session.get(url, timeout=aiohttp.ClientTimeout(total=None)) as answer:
            async for line in answer.content:
                event = json.loads(line)
                if event["type"] == "ERROR" or event.get("kind") == "Status":
                    return
                yield event["type"], event["object"]
