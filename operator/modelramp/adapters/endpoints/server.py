"""
A small HTTP server: `/healthz`, `/readyz` and `/metrics`, read only, nothing of any object in it.
"""

from collections.abc import Awaitable, Callable

from aiohttp import web


class Endpoints:
    """
    Serves until closed.
    """

    def __init__(
        self, port: int, *, healthy: Callable[[], bool], ready: Callable[[], bool], page: Callable[[], bytes]
    ) -> None:
        """
        `port` 0 takes any free one. The callables are asked at each request.
        """
        self._port, self._page = port, page
        application = web.Application()
        application.router.add_get("/healthz", self._probe(healthy))
        application.router.add_get("/readyz", self._probe(ready))
        application.router.add_get("/metrics", self._metrics)
        self._runner = web.AppRunner(application, access_log=None)

    @staticmethod
    def _probe(good: Callable[[], bool]) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def answer(_: web.Request) -> web.StreamResponse:
            return web.Response(text="ok") if good() else web.Response(status=503, text="no")

        return answer

    async def _metrics(self, _: web.Request) -> web.Response:
        return web.Response(body=self._page(), headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})

    async def open(self) -> None:
        """
        Begin to serve.
        """
        await self._runner.setup()
        await web.TCPSite(self._runner, port=self._port).start()

    async def close(self) -> None:
        """
        Stop serving.
        """
        await self._runner.cleanup()
