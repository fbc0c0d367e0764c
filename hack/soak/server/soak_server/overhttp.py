"""HTTP/1.1: requests, streams, health and the page of metrics."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from aiohttp import web

if TYPE_CHECKING:
    from soak_server.conduct import Counts

VERSION_HEADER: Final = "x-model-version"
FAILED_HEADER: Final = "x-failed-by"
CLIENT_HEADER: Final = "x-client"
TICK_SECONDS: Final = 0.5
LONGEST_STREAM_SECONDS: Final = 60.0


def ticks(seconds: str) -> int:
    """
    How many ticks a stream of so many seconds has.

    Raises:
        ValueError: that is no number.

    """
    return int(min(float(seconds), LONGEST_STREAM_SECONDS) / TICK_SECONDS)


class Pages:
    """The server's pages."""

    def __init__(self, counts: Counts) -> None:
        """Serve what the counts are of."""
        self._counts = counts
        self.leaving = False
        """Whether clients are asked to close their connections."""

    def app(self) -> web.Application:
        """Return the application."""
        app = web.Application()
        app.add_routes(
            [
                web.post("/v2/models/digits/infer", self._infer),
                web.post("/stream", self._stream),
                web.get("/ready", self._ready),
                web.get("/live", self._live),
                web.get("/metrics", self._metrics),
            ]
        )
        app.on_response_prepare.append(self._sign)
        return app

    async def _sign(self, _: web.Request, answer: web.StreamResponse) -> None:
        answer.headers[VERSION_HEADER] = self._counts.conduct.version
        if self.leaving:
            answer.force_close()  # which by itself closes without a word, as the headers are made already
            answer.headers["Connection"] = "close"

    async def _infer(self, request: web.Request) -> web.Response:
        """Answer, or fail and say that it was the version's own doing."""
        await request.read()
        version = self._counts.conduct.version
        if self._counts.draw(may_fail=CLIENT_HEADER in request.headers):
            outputs = [{"name": "digit", "shape": [1], "datatype": "INT64", "data": [7]}]
            return web.json_response({"model_name": "digits", "model_version": version, "outputs": outputs})
        problem = {"error": f"version {version} fails on this input"}
        return web.json_response(problem, status=HTTPStatus.INTERNAL_SERVER_ERROR, headers={FAILED_HEADER: version})

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        """A line each half second, and `end` last: without it a stream was cut short."""
        try:
            numbers = range(ticks(request.query.get("seconds", "20")))
        except ValueError:
            raise web.HTTPBadRequest(text="seconds must be a number") from None
        answer = web.StreamResponse(headers={"Content-Type": "text/plain"})
        await answer.prepare(request)
        for number in numbers:
            await answer.write(f"{number}\n".encode())
            await asyncio.sleep(TICK_SECONDS)
        await answer.write(b"end\n")
        await answer.write_eof()
        self._counts.streamed()
        return answer

    async def _ready(self, _: web.Request) -> web.Response:
        ready = self._counts.conduct.ready
        return web.Response(status=HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE)

    async def _live(self, _: web.Request) -> web.Response:
        return web.Response()

    async def _metrics(self, _: web.Request) -> web.Response:
        return web.Response(text=self._counts.page(), content_type="text/plain")
