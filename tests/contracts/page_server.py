"""
A web server for pages of metrics, on a port of its own.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiohttp import web


@asynccontextmanager
async def served(path: str, show: Callable[[web.Request], Awaitable[web.Response]]) -> AsyncIterator[str]:
    """Serve the path until left; the server's address, as `host:port`."""
    app = web.Application()
    app.router.add_get(path, show)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
