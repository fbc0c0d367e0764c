"""
What can go wrong with metric stores: a Prometheus that is killed or frozen, and two behind one address.
"""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any

import aiohttp
import yaml
from aiohttp import web
from contracts.metric_worlds import PrometheusProcess

Markers = dict[str, list[tuple[float, int]]]
"""By pod: (instant, number of the answer) of each scrape that was stored, in time order."""


class FaultyPrometheus(PrometheusProcess):
    """A Prometheus that may also be killed and frozen. Replicas need different names to scrape at different times."""

    def __init__(self, binary: Path, folder: Path, jobs: list[dict[str, Any]], replica: str = "") -> None:
        """Write the configuration; start nothing."""
        folder.mkdir()
        super().__init__(binary, folder, jobs)
        written = folder / "prometheus.yml"
        config = yaml.safe_load(written.read_text())
        config["global"]["external_labels"] = {"replica": replica or folder.name}
        written.write_text(yaml.safe_dump(config))

    async def kill(self) -> None:
        """End it at once, without a chance to write anything."""
        if self._running is not None:
            self._running.kill()
            await self._running.wait()

    async def freeze(self, seconds: float) -> None:
        """Stop it from running for a while; its sockets stay open."""
        if self._running is None:
            raise RuntimeError("not started")
        self._running.send_signal(signal.SIGSTOP)
        try:
            await asyncio.sleep(seconds)
        finally:
            self._running.send_signal(signal.SIGCONT)

    async def markers(self, shop: str, until: datetime) -> Markers:
        """Which answers of a shop's pages were stored, asked for without the code under test."""
        query = {"query": f'page_answer{{namespace="{shop}"}}[10m]', "time": str(until.timestamp())}
        address = f"http://{self.address}/api/v1/query"
        async with aiohttp.ClientSession() as session, session.get(address, params=query) as answer:
            found = (await answer.json())["data"]["result"]
        return {row["metric"]["pod"]: [(float(at), int(number)) for at, number in row["values"]] for row in found}


class Flipping:
    """
    An address behind which several stores take turns.

    Attributes:
        stays_with: Index of the store that answers everything; None: each question goes to the next one.
    """

    def __init__(self, stores: list[FaultyPrometheus]) -> None:
        """Serve nothing yet."""
        self._stores = stores
        self._turns = count()
        self.stays_with: int | None = None
        self.address = ""

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Serve until left."""
        async with aiohttp.ClientSession() as session:

            async def forward(request: web.Request) -> web.Response:
                turn = next(self._turns) if self.stays_with is None else self.stays_with
                store = self._stores[turn % len(self._stores)]
                form = await request.post()
                async with session.post(f"http://{store.address}{request.path}", data=dict(form)) as answer:
                    return web.Response(status=answer.status, body=await answer.read(), content_type="application/json")

            app = web.Application()
            app.router.add_post("/{path:.*}", forward)
            runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
            await runner.setup()
            try:
                await web.TCPSite(runner, "127.0.0.1", 0).start()
                self.address = f"127.0.0.1:{runner.addresses[0][1]}"
                yield
            finally:
                await runner.cleanup()
