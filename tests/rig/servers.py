"""
Model servers of the rig: one per pod, in the test's own process, each on a port of loopback.
"""

import asyncio
from typing import Final
from zlib import crc32

from aiohttp import web

VERSION_HEADER: Final = "x-model-version"
PIECE_SECONDS: Final = 0.25


class ModelServer:
    """
    Answers everything with its version; a request with `?seconds=N` gets a stream of that length. One that `fails`
    answers every second request with 500.
    """

    def __init__(self, version: str, *, fails: bool = False, keeps_alive: bool = True) -> None:
        """
        One that does not keep connections alive closes each after its answer.
        """
        self.version, self.fails, self.keeps_alive = version, fails, keeps_alive
        self.port = 0
        self.answered = 0
        """Requests answered so far, streams among them."""
        self.mirrored = 0
        """Of these, copies of other requests: Envoy marks them in the host name."""
        self._runner: web.AppRunner | None = None
        self._site: web.TCPSite | None = None

    async def open(self) -> None:
        """
        Listen; the port is known afterwards.
        """
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, access_log=None, handler_cancellation=True)
        await self._runner.setup()
        self._site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await self._site.start()
        self.port = self._runner.addresses[0][1]

    async def close(self, grace_seconds: float) -> None:
        """
        As a server that is told to end: no new connection, idle ones are closed, what is in flight may end within
        `grace_seconds` and is cut off then.
        """
        if self._runner is None or self._site is None:
            return
        await self._site.stop()
        server = self._runner.server
        if server is not None:
            server.pre_shutdown()
            until = asyncio.get_running_loop().time() + grace_seconds
            while server.connections and asyncio.get_running_loop().time() < until:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.02)
            await server.shutdown(0)
        await self._runner.cleanup()

    def _score(self, request: web.Request) -> int:
        """
        The same of every version for a request with the same id; but of a version such as `2-differs4` another for one
        in four.
        """
        lot = crc32(request.headers.get("x-request-id", "").encode())
        _, differs, one_in = self.version.partition("-differs")
        return lot % 1000 + (1 if differs and lot % int(one_in) == 0 else 0)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        await request.read()
        self.answered += 1
        self.mirrored += request.host.partition(":")[0].endswith("-shadow")
        headers = {VERSION_HEADER: self.version}
        if self.fails and self.answered % 2 == 0:
            return web.json_response({"error": "planted"}, headers=headers, status=500)
        seconds = float(request.query.get("seconds", "0"))
        if not seconds:
            answer = web.json_response({"version": self.version, "score": self._score(request)}, headers=headers)
            if not self.keeps_alive:
                answer.force_close()
            return answer
        stream = web.StreamResponse(headers=headers)
        await stream.prepare(request)
        until = asyncio.get_running_loop().time() + seconds
        while asyncio.get_running_loop().time() < until:
            await asyncio.sleep(PIECE_SECONDS)
            await stream.write(b"token ")
        await stream.write_eof()
        return stream
