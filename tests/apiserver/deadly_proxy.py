"""
Stands between the operator and the API server, counts the operator's writes by object, and ends the operator right
after a chosen one: the write has happened, and its answer is never heard.
"""

import asyncio
import contextlib
import json
import re
import ssl
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Final, Self

import aiohttp
from aiohttp import web
from apiserver.server import ApiServer

WRITES: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})
UNCOUNTED: Final = re.compile(r"/(?:leases|events)(?:/|$)")
OBJECT: Final = re.compile(
    r"/(?:deployments|services|httproutes|mlmodeldeployments)/([a-z]+\d+)(?:-[0-9a-f]{10})?(?:/|$)"
)
HOPS: Final = frozenset({"connection", "transfer-encoding", "content-length", "content-encoding", "host", "keep-alive"})


class DeadlyProxy:
    """
    A proxy on loopback, in a thread of its own. `dies` says by object after which of its writes `kill` is called.
    """

    def __init__(self, server: ApiServer, folder: Path) -> None:
        self.server, self.folder = server, folder
        self.written: Counter[str] = Counter()
        self.log: dict[str, list[str]] = {}
        self.dies: dict[str, int] = {}
        self.deaths: dict[str, str] = {}
        """The write after which the operator died, by object."""
        self.kill: Callable[[], None] = lambda: None
        self.killing = threading.Event()
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
        await self._session.close()
        await self._runner.cleanup()

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
        headers = {k: v for k, v in request.headers.items() if k.lower() not in HOPS | {"authorization"}}
        body = await request.read()
        async with self._session.request(
            request.method, request.rel_url, headers=headers, data=body or None, allow_redirects=False
        ) as answer:
            told = {k: v for k, v in answer.headers.items() if k.lower() not in HOPS - {"content-encoding"}}
            reply = web.StreamResponse(status=answer.status, headers=told)
            if request.method in WRITES and answer.status < 300:
                self._count(request)
            with contextlib.suppress(ConnectionError):  # who asked is dead
                await reply.prepare(request)
                async for chunk in answer.content.iter_any():
                    await reply.write(chunk)
                await reply.write_eof()
            return reply

    def _count(self, request: web.Request) -> None:
        """
        One more write of its object; the last one of this process, if it was chosen.
        """
        found = OBJECT.search(request.path)
        if found is None or UNCOUNTED.search(request.path):
            return
        name = found[1]
        self.written[name] += 1
        what = f"{request.method} {request.path.split('/namespaces/')[1].split('/', 1)[1]}"
        self.log.setdefault(name, []).append(what)
        if self.dies.get(name) == self.written[name]:
            self.deaths[name] = what
            if not self.killing.is_set():  # else it is dying already, and this write was one of its last
                self.killing.set()
                self.kill()
