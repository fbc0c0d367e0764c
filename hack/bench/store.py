"""
A real Prometheus on loopback, and a page with the series of many models, in a time of its own.

The page stamps its samples, and time goes on only when it is told to: minutes of scrapes are stored within seconds.
"""

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import aiohttp
import yaml
from aiohttp import web

LONGEST_WAIT_SECONDS: Final = 30.0
PODS_PER_ARM: Final = 2


def prometheus_binary() -> Path:
    """
    The one MODELRAMP_TEST_PROMETHEUS names, else the local cluster's.
    """
    named = os.environ.get("MODELRAMP_TEST_PROMETHEUS")
    built = sorted((Path.home() / ".cache/modelramp").glob("prometheus-*/prometheus"))
    if not named and not built:
        raise SystemExit("MODELRAMP_TEST_PROMETHEUS must name the binary of Prometheus 3 (or run `make cluster-up`)")
    return Path(named) if named else built[-1]


class Page:
    """
    What Envoy, MLServer and the models themselves count of these models: 13 series an arm with two pods.
    """

    def __init__(self, services: list[tuple[str, str, bool]], every: timedelta) -> None:
        """
        Show nothing yet; `services` are namespace, Service and whether it is the candidate's.
        """
        self.now = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=8)
        self.pending = 0
        """Scrapes that will be answered; the others find the page down."""
        self.address = ""
        self.served = 0
        self._every = every
        self._rows = [row for number, one in enumerate(services) for row in self._service(number, *one)]

    def _service(self, number: int, namespace: str, service: str, candidate: bool) -> list[tuple[str, float]]:  # noqa: FBT001
        pace = 1.0 if candidate else 9.0  # requests a second: a step at 10 %
        cluster = f'envoy_cluster_name="{namespace}_{service}_80",job="envoy",instance="10.0.0.1:8002"'
        rows = [
            (f'envoy_cluster_upstream_rq_xx{{envoy_response_code_class="{code}",{cluster}}}', pace * part)
            for code, part in (("2", 0.98), ("4", 0.01), ("5", 0.01))
        ]
        for pod in range(PODS_PER_ARM):
            where = (
                f'namespace="{namespace}",pod="{service}-7c9f8d6b5-x{pod}abc",job="models",'
                f'instance="10.{number >> 8 & 255}.{number & 255}.{pod + 1}:8082"'
            )
            paths = (
                ("/v2/models/m/infer", "200", 0.98),
                ("/v2/models/m/infer", "503", 0.01),
                ("/v2/ready", "200", 0.1),
            )
            rows += [
                (
                    f'rest_server_requests_total{{method="POST",path="{path}",status_code="{code}",{where}}}',
                    pace / 2 * part,
                )
                for path, code, part in paths
            ]
            rows += [(f"answers_total{{{where}}}", pace / 2), (f"answers_wrong_total{{{where}}}", pace / 200)]
        return rows

    async def advance(self, scrapes: int) -> None:
        """
        Let so many scrapes pass; afterwards all of them are stored.
        """
        self.pending = scrapes
        deadline = asyncio.get_running_loop().time() + LONGEST_WAIT_SECONDS + scrapes
        while self.pending:
            if asyncio.get_running_loop().time() > deadline:
                raise SystemExit("Prometheus does not scrape the page")
            await asyncio.sleep(0.05)
        await asyncio.sleep(0.7)  # the last one is being stored

    async def show(self, _request: web.Request) -> web.Response:
        """
        The page at its time, which then goes on.
        """
        if not self.pending:
            raise web.HTTPServiceUnavailable
        self.pending -= 1
        self.now += self._every
        self.served += 1
        seconds, stamp = self.served * self._every.total_seconds(), int(self.now.timestamp() * 1000)
        text = "".join(f"{series} {int(pace * seconds)} {stamp}\n" for series, pace in self._rows)
        return web.Response(text=text, content_type="text/plain", charset="utf-8")


@asynccontextmanager
async def scraped(page: Page, folder: Path) -> AsyncIterator[str]:
    """
    The address of a Prometheus that scrapes the page.
    """
    app = web.Application()
    app.router.add_get("/metrics", page.show)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    target = f"127.0.0.1:{runner.addresses[0][1]}"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    config = {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
        "scrape_configs": [
            {"job_name": "models", "honor_labels": True, "static_configs": [{"targets": [target]}]},
        ],
    }
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    with (folder / "log").open("ab") as log:
        running = await asyncio.create_subprocess_exec(
            prometheus_binary(),
            f"--config.file={folder}/prometheus.yml",
            f"--storage.tsdb.path={folder}/store",
            f"--web.listen-address={address}",
            "--log.level=warn",
            stdout=log,
            stderr=log,
            env={"GOMAXPROCS": "1"},
        )
    try:
        await _ready(f"http://{address}")
        yield f"http://{address}"
    finally:
        running.terminate()
        await running.wait()
        await runner.cleanup()


async def _ready(address: str) -> None:
    async with aiohttp.ClientSession() as session:
        for _ in range(int(LONGEST_WAIT_SECONDS * 10)):
            try:
                async with session.get(f"{address}/-/ready") as answer:
                    if answer.status == 200:
                        return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.1)
    raise SystemExit("Prometheus does not become ready")


async def counted(address: str) -> dict[str, float]:
    """
    What Prometheus counts of itself: requests for queries, bytes of their answers, CPU seconds.
    """
    names = {
        'prometheus_http_requests_total{code="200",handler="/api/v1/query"}': "requests",
        'prometheus_http_response_size_bytes_sum{handler="/api/v1/query"}': "bytes",
        "process_cpu_seconds_total": "server_cpu",
    }
    async with aiohttp.ClientSession() as session, session.get(f"{address}/metrics") as answer:
        lines = (await answer.text()).splitlines()
    found = dict.fromkeys(names.values(), 0.0)
    for line in lines:
        series, _, value = line.rpartition(" ")
        if series in names:
            found[names[series]] = float(value)
    return found
