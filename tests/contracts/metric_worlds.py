"""
Where the contract of MetricSource is tried: in memory under a clock of its own, and around a real Prometheus.
"""

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, Protocol

import aiohttp
import pytest
import yaml
from aiohttp import web
from contracts.page_server import served
from fakes.metrics import FakeMetrics

from modelramp.api.spec import Prometheus
from modelramp.ports import GoneError, MetricSource, SamplesQuestion, UnreachableError

CANDIDATE, STABLE = PAGES = ("candidate-0", "stable-0")
LONGEST_WAIT_SECONDS: Final = 20.0
SCRAPE_INTERVAL: Final = "400ms"
SETTLING_SECONDS: Final = 0.3  # a scrape that began before an instant has shown what it will store by then


class World(Protocol):
    """
    Two pages of counters, something that scrapes them, and the source that reads what was stored.
    """

    @property
    def source(self) -> MetricSource:
        """What is tested."""

    @property
    def spec(self) -> Prometheus:
        """How an object names it."""

    def add(self, page: str, metric: str, amount: int, **labels: str) -> None:
        """Count on a page."""

    def clear(self, page: str) -> None:
        """Restart the page's server: all of its series are gone."""

    def reach(self, page: str, *, reachable: bool) -> None:
        """Let scrapes of the page fail, or succeed again."""

    async def settled(self) -> datetime:
        """Return an instant; all that was counted on reachable pages is in samples up to it, and they are complete."""

    async def missed_scrapes(self, number: int) -> datetime:
        """Wait until unreachable pages were missed so many times; an instant after that."""

    async def stop_store(self) -> None:
        """Let the metric store go down."""

    async def start_store(self) -> None:
        """Bring it back, with what it had stored."""


class MemoryWorld:
    """The fake under a clock of its own."""

    def __init__(self) -> None:
        """Start at the first of January 2026."""
        self.source = FakeMetrics()
        self.spec = Prometheus()
        self._now = datetime(2026, 1, 1, tzinfo=UTC)
        self._pages = {name: self.source.page(job=name, instance="10.0.0.1:80", pod=name) for name in PAGES}

    def add(self, page: str, metric: str, amount: int, **labels: str) -> None:
        """As the protocol says."""
        self._pages[page].add(metric, amount, **labels)

    def clear(self, page: str) -> None:
        """As the protocol says."""
        self._pages[page].restart()

    def reach(self, page: str, *, reachable: bool) -> None:
        """As the protocol says."""
        self._pages[page].reachable = reachable

    async def settled(self) -> datetime:
        """As the protocol says."""
        return await self.missed_scrapes(1)

    async def missed_scrapes(self, number: int) -> datetime:
        """As the protocol says."""
        for _ in range(number):
            self._now += timedelta(seconds=1)
            self.source.scrape(self._now)
        return self._now

    async def stop_store(self) -> None:
        """As the protocol says."""
        self.source.outage = UnreachableError("down")

    async def start_store(self) -> None:
        """As the protocol says."""
        self.source.outage = None


class Exporter:
    """Serves pages in the text format, each at a path of its own."""

    def __init__(self) -> None:
        """Show empty pages."""
        self.counters: dict[str, dict[tuple[tuple[str, str], ...], int]] = {name: {} for name in PAGES}
        self.generation = 0
        self.down: set[str] = set()
        self.missed = 0
        self.address = ""

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Serve until left."""
        async with served("/{page}/metrics", self._show) as self.address:
            yield

    def jobs(self) -> list[dict[str, Any]]:
        """How its pages are scraped, as Prometheus' configuration says it."""
        return [
            {
                "job_name": name,
                "metrics_path": f"/{name}/metrics",
                "static_configs": [{"targets": [self.address], "labels": {"pod": name}}],
            }
            for name in PAGES
        ]

    async def _show(self, request: web.Request) -> web.Response:
        page = request.match_info["page"]
        if page in self.down:
            self.missed += 1
            raise web.HTTPServiceUnavailable
        lines = [f"page_generation {self.generation}"]
        for key, value in self.counters[page].items():
            labels = dict(key)
            name = labels.pop("__name__")
            lines.append(name + "{" + ",".join(f'{k}="{_escaped(v)}"' for k, v in labels.items()) + f"}} {value}")
        return web.Response(text="\n".join(lines) + "\n", content_type="text/plain", charset="utf-8")


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


class PrometheusProcess:
    """A Prometheus on loopback; stop and start keep its storage."""

    def __init__(self, binary: Path, folder: Path, jobs: list[dict[str, Any]]) -> None:
        """Write the configuration; start nothing."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{probe.getsockname()[1]}"
        self._binary, self._folder = binary, folder
        self._running: asyncio.subprocess.Process | None = None
        config = {
            "global": {"scrape_interval": SCRAPE_INTERVAL, "scrape_timeout": SCRAPE_INTERVAL},
            "scrape_configs": jobs,
        }
        (folder / "prometheus.yml").write_text(yaml.safe_dump(config))

    async def start(self) -> None:
        """Start, and wait until it is ready."""
        with (self._folder / "prometheus.log").open("ab") as log:
            self._running = await asyncio.create_subprocess_exec(
                self._binary,
                f"--config.file={self._folder}/prometheus.yml",
                f"--storage.tsdb.path={self._folder}/store",
                f"--web.listen-address={self.address}",
                "--log.level=warn",
                "--scrape.discovery-reload-interval=100ms",  # 5 s by default before the first scrape
                stdout=log,
                stderr=log,
                env={"GOMAXPROCS": "1"},
            )
        async with aiohttp.ClientSession() as session:
            await eventually(lambda: self._ready(session), "Prometheus to be ready")

    async def _ready(self, session: aiohttp.ClientSession) -> bool:
        if self._running is None or self._running.returncode is not None:
            pytest.fail(f"Prometheus ended: {(self._folder / 'prometheus.log').read_text()[-2000:]}")
        try:
            async with session.get(f"http://{self.address}/-/ready") as answer:
                return answer.status == 200
        except aiohttp.ClientError:
            return False

    async def stop(self) -> None:
        """Stop; killed if it does not within the bound."""
        if self._running is None or self._running.returncode is not None:
            return
        self._running.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(self._running.wait(), LONGEST_WAIT_SECONDS)
        except TimeoutError:
            self._running.kill()
            await self._running.wait()


async def eventually(holds: Callable[[], Awaitable[bool]], what: str) -> None:
    """Wait for an asynchronous condition, within a bound."""
    deadline = asyncio.get_running_loop().time() + LONGEST_WAIT_SECONDS
    while not await holds():
        if asyncio.get_running_loop().time() > deadline:
            pytest.fail(f"waited {LONGEST_WAIT_SECONDS:g} s for {what}")
        await asyncio.sleep(0.1)


class PrometheusWorld:
    """A real Prometheus and an adapter."""

    def __init__(self, store: PrometheusProcess, exporter: Exporter, source: MetricSource) -> None:
        """Around what runs already."""
        self.source, self.spec = source, Prometheus()
        self._store, self._exporter = store, exporter

    def add(self, page: str, metric: str, amount: int, **labels: str) -> None:
        """As the protocol says."""
        counters = self._exporter.counters[page]
        key = tuple(sorted({**labels, "__name__": metric}.items()))
        counters[key] = counters.get(key, 0) + amount

    def clear(self, page: str) -> None:
        """As the protocol says."""
        self._exporter.counters[page].clear()

    def reach(self, page: str, *, reachable: bool) -> None:
        """As the protocol says."""
        (self._exporter.down.discard if reachable else self._exporter.down.add)(page)

    async def settled(self) -> datetime:
        """As the protocol says."""
        self._exporter.generation += 1
        seen: dict[str, float] = {}

        async def all_seen() -> bool:
            reachable = set(PAGES) - self._exporter.down
            for page in reachable - set(seen):
                at = await self._generation_stored(page)
                if at is not None:
                    seen[page] = at
            return reachable <= set(seen)

        await eventually(all_seen, "a scrape of every page")
        await asyncio.sleep(SETTLING_SECONDS)
        return datetime.fromtimestamp(max(seen.values()), UTC)

    async def _generation_stored(self, page: str) -> float | None:
        now = datetime.now(UTC)
        question = SamplesQuestion(
            selector=f'page_generation{{pod="{page}"}}', since=now - timedelta(seconds=10), until=now
        )
        try:
            found = await self.source.samples("shop", self.spec, question)
        except UnreachableError:
            return None
        return next((at for one in found for at, value in one.samples if value >= self._exporter.generation), None)

    async def missed_scrapes(self, number: int) -> datetime:
        """As the protocol says."""
        wanted = self._exporter.missed + number

        async def missed() -> bool:
            return self._exporter.missed >= wanted

        await eventually(missed, "a scrape to fail")
        instant = datetime.now(UTC)
        await asyncio.sleep(SETTLING_SECONDS)
        return instant

    async def stop_store(self) -> None:
        """As the protocol says."""
        await self._store.stop()

    async def start_store(self) -> None:
        """As the protocol says."""
        await self._store.start()


async def no_secret(namespace: str, name: str, key: str) -> str:
    """There are no Secrets in these tests."""
    raise GoneError(f"{namespace}/{name}/{key}")


def prometheus_binary() -> Path:
    """The Prometheus to test with; fails where there is none, because a skipped contract is no contract."""
    named = os.environ.get("MODELRAMP_TEST_PROMETHEUS", "")
    if not named or not os.access(named, os.X_OK):
        pytest.fail("MODELRAMP_TEST_PROMETHEUS must name the binary of Prometheus 3")
    return Path(named)
