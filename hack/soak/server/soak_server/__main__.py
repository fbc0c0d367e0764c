"""Serve until SIGTERM, then go on until nobody asks any more."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import Final

from aiohttp import web

from soak_server.conduct import Conduct, Counts
from soak_server.overgrpc import server
from soak_server.overhttp import Pages

DRAIN_SECONDS: Final = 30.0
"""What is in flight has so long to end."""


async def serve(version: str, http_port: int, grpc_port: int, linger_seconds: float) -> None:
    """Serve both protocols; returns when told to end and everything in flight was answered."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    counts = Counts(Conduct.of(version))
    pages = Pages(counts)
    # Longer than any client keeps an unused connection: whoever closes it first must not be the one that is asked.
    runner = web.AppRunner(pages.app(), access_log=None, keepalive_timeout=75, shutdown_timeout=DRAIN_SECONDS)
    await runner.setup()
    await web.TCPSite(runner, "0.0.0.0", http_port).start()  # noqa: S104 - a pod's own address
    over_grpc = server(counts, grpc_port)
    await over_grpc.start()
    print(f"version {version}: HTTP on {http_port}, gRPC on {grpc_port}", flush=True)
    await stop.wait()
    pages.leaving = True
    await asyncio.sleep(linger_seconds)
    await asyncio.gather(runner.cleanup(), over_grpc.stop(DRAIN_SECONDS))


def main() -> None:
    """Take the settings from the environment."""
    asyncio.run(
        serve(
            os.environ.get("MODEL_VERSION", "unknown"),
            int(os.environ.get("HTTP_PORT", "8080")),
            int(os.environ.get("GRPC_PORT", "9000")),
            float(os.environ.get("LINGER_SECONDS", "8")),
        )
    )


if __name__ == "__main__":
    main()
