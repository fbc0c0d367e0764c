"""
Stands between the operator and the API server, and counts the operator's writes by object.

For each object one write can be chosen as the last one: it happens, its answer is never heard, and nothing that the
process sends about this object afterwards arrives. Once it is killed nobody can tell that from a process that was
killed right after that write. So one kill is the death of many objects, each at a write of its own.
"""

import asyncio
import contextlib
import json
import re
import ssl
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import aiohttp
from aiohttp import web
from apiserver.server import ApiServer

WRITES: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})
UNCOUNTED: Final = re.compile(r"/(?:leases|events)(?:/|$)")
OBJECT: Final = re.compile(
    r"/(?:deployments|services|httproutes|mlmodeldeployments)/([a-z]+\d+)(?:-[0-9a-f]{10})?(?:/|$)"
)
HOPS: Final = frozenset({"connection", "transfer-encoding", "content-length", "content-encoding", "host", "keep-alive"})
CLOSING_SECONDS: Final = 0.25  # aiohttp returns before its TLS connections are closed


@dataclass(frozen=True, slots=True)
class Write:
    """
    A write that happened.
    """

    verb: str
    plural: str
    name: str
    """Of what was written, which may belong to the object."""
    status: bool
    """Only the status was written."""
    spec: Mapping[str, Any]
    """As the API server had it afterwards; empty after a deletion."""

    def __str__(self) -> str:
        return f"{self.verb} {self.plural}" + ("/status" if self.status else "")


class DeadlyProxy:
    """
    A proxy on loopback, in a thread of its own.
    """

    def __init__(self, server: ApiServer, folder: Path) -> None:
        self.server, self.folder = server, folder
        self.log: dict[str, list[Write]] = {}
        """What was written so far, by object."""
        self.last_at = 0.0
        """When something was written last; monotonic seconds."""
        self.dies: dict[str, int] = {}
        """The number of the last write that this process makes, by object; counted from 1 in `log`."""
        self.dead: dict[str, str] = {}
        """That write, by object, once it has happened."""
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self.port = 0

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(20)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    @property
    def kubeconfig(self) -> Path:
        """
        A file that leads here.
        """
        cluster = {"name": "c", "cluster": {"server": f"http://127.0.0.1:{self.port}"}}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [cluster],
            "users": [{"name": "u", "user": {"token": "none"}}],
            "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
            "current-context": "x",
        }
        file = self.folder / "proxy.kubeconfig"
        file.write_text(json.dumps(config), encoding="utf-8")
        return file

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._open())
        self._loop.run_forever()
        self._loop.run_until_complete(self._close())
        self._loop.close()

    async def _close(self) -> None:
        await self._runner.cleanup()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await self._session.close()
        await asyncio.sleep(CLOSING_SECONDS)

    async def _open(self) -> None:
        known = self.server._client.configuration
        trust = ssl.create_default_context(cafile=known.ssl_ca_cert)
        trust.load_cert_chain(known.cert_file, known.key_file)
        connector = aiohttp.TCPConnector(ssl=trust, limit=0)
        none = aiohttp.ClientTimeout(total=None)
        self._session = aiohttp.ClientSession(known.host, connector=connector, timeout=none, auto_decompress=False)
        application = web.Application(client_max_size=8 * 2**20)
        application.router.add_route("*", "/{path:.*}", self._pass)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.port = self._runner.addresses[0][1]
        self._ready.set()

    async def _pass(self, request: web.Request) -> web.StreamResponse:
        name = _object(request)
        if name in self.dead:
            return _unheard(request)
        headers = {k: v for k, v in request.headers.items() if k.lower() not in HOPS | {"authorization"}}
        body = await request.read()
        async with self._session.request(
            request.method, request.rel_url, headers=headers, data=body or None, allow_redirects=False
        ) as answer:
            told = {k: v for k, v in answer.headers.items() if k.lower() not in HOPS - {"content-encoding"}}
            if name is not None and answer.status < 300:
                said = await answer.read()
                self._count(name, request, json.loads(said))
                return _unheard(request) if name in self.dead else web.Response(body=said, headers=told)
            reply = web.StreamResponse(status=answer.status, headers=told)
            with contextlib.suppress(ConnectionError):  # who asked is dead
                await reply.prepare(request)
                async for chunk in answer.content.iter_any():
                    await reply.write(chunk)
                await reply.write_eof()
            return reply

    def _count(self, name: str, request: web.Request, written: Mapping[str, Any]) -> None:
        """
        One more write of its object; the last one of this process, if it was chosen.
        """
        plural, own, *rest = [*request.path.split("/namespaces/")[1].split("/")[1:], ""]
        spec = {} if request.method == "DELETE" else written["spec"]
        write = Write(request.method, plural, own or written["metadata"]["name"], rest[0] == "status", spec)
        log = self.log.setdefault(name, [])
        log.append(write)
        self.last_at = time.monotonic()
        if self.dies.get(name) == len(log):
            self.dead[name] = str(write)


def _object(request: web.Request) -> str | None:
    """
    The object whose write it is; None: none is, or it is not counted.
    """
    found = OBJECT.search(request.path) if request.method in WRITES else None
    return None if found is None or UNCOUNTED.search(request.path) else found[1]


def _unheard(request: web.Request) -> web.Response:
    """
    The connection ends without an answer.
    """
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=503)
