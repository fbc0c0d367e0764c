"""
A real Envoy, told what to do by files that replace each other.
"""

import asyncio
import contextlib
import json
import os
import signal
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import aiohttp
from rig import xds
from rig.programs import envoy_binary

READY_SECONDS: Final = 30.0
END_SECONDS: Final = 10.0


def free_ports(count: int) -> list[int]:
    """
    Ports of loopback that nobody listens on.
    """
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]


class DataPlane:
    """
    One Envoy process with its listener and its files.
    """

    def __init__(self, folder: Path) -> None:
        """
        `folder` must exist and be empty; nothing is started.
        """
        self._folder, self._versions = folder, 0
        self.port, self.admin_port = free_ports(2)
        self._process: asyncio.subprocess.Process | None = None
        self._clusters: frozenset[str] = frozenset()
        (folder / "eds").mkdir()

    async def open(self) -> None:
        """
        Start, with no route at all, and wait until it is ready.
        """
        self._write("cds.json", [])
        self.program_routes((), frozenset())
        started = xds.bootstrap(self._folder, self.port, self.admin_port)
        (self._folder / "envoy.json").write_text(json.dumps(started))
        arguments = ("-c", f"{self._folder}/envoy.json", "--use-dynamic-base-id", "--concurrency", "1", "-l", "warning")
        with (self._folder / "envoy.log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                await asyncio.to_thread(envoy_binary), *arguments, stdout=log, stderr=log
            )
        async with asyncio.timeout(READY_SECONDS), aiohttp.ClientSession() as session:
            while not await self._ready(session):  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.1)

    async def close(self) -> None:
        """
        End the process.
        """
        if self._process is None or self._process.returncode is not None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(self._process.wait(), END_SECONDS)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()

    async def _ready(self, session: aiohttp.ClientSession) -> bool:
        if self._process is None or self._process.returncode is not None:
            raise RuntimeError(f"Envoy ended: {(self._folder / 'envoy.log').read_text()[-2000:]}")
        try:
            async with session.get(f"http://127.0.0.1:{self.admin_port}/ready") as answer:
                return answer.status == 200
        except aiohttp.ClientError:
            return False

    def program_routes(self, routes: Sequence[Mapping[str, Any]], services: frozenset[str]) -> None:
        """
        All routes anew; Envoy follows within a millisecond or so.
        """
        self._write("rds.json", [xds.route_configuration(routes, services)])

    def program_endpoints(self, name: str, addresses: Sequence[xds.Address]) -> None:
        """
        The endpoints of one cluster, which is made with its first ones.
        """
        self._write(f"eds/{name}.json", [xds.load_assignment(name, addresses)])
        self._keep_clusters(self._clusters | {name})

    def forget(self, name: str) -> None:
        """
        The cluster is gone.
        """
        self._keep_clusters(self._clusters - {name})

    def _keep_clusters(self, names: frozenset[str]) -> None:
        if names != self._clusters:
            self._clusters = names
            self._write("cds.json", xds.clusters(names, self._folder / "eds"))

    def _write(self, name: str, resources: list[dict[str, Any]]) -> None:
        """
        Replace the file in one step: Envoy looks when something is moved there, and never sees a half.
        """
        self._versions += 1
        target = self._folder / name
        part = target.with_suffix(".tmp")
        part.write_text(json.dumps({"version_info": str(self._versions), "resources": resources}))
        os.replace(part, target)  # noqa: PTH105 - as in a rename
