"""
The comparator of the rig: the program itself, a process of its own, started as its pod's template says.
"""

import asyncio
import contextlib
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import aiohttp
from rig.dataplane import free_ports

READY_SECONDS: Final = 60.0
OPERATOR: Final = Path(__file__).resolve().parents[2] / "operator"
_SERVICE: Final = re.compile(r"http://([a-z0-9-]+)\.[a-z0-9-]+\.svc:80$")
_SAMPLE: Final = re.compile(r"^(modelramp_comparator_[a-z_]+)\{", re.MULTILINE)


class ComparatorProcess:
    """
    Stands where a model server stands in other pods.

    There is neither DNS nor kube-proxy here, so the Services in its command line become ports of loopback.
    """

    version = "comparator"
    answered = 0
    mirrored = 0

    def __init__(self, arguments: list[str], port_of: Callable[[str], int]) -> None:
        """
        `port_of` tells behind which port of loopback a pod of a Service answers.
        """
        self._arguments, self._port_of = arguments, port_of
        self.port, self._metrics_port = free_ports(2)
        self._process: asyncio.subprocess.Process | None = None

    async def open(self) -> None:
        """
        Start it; returns once it is ready.
        """
        ports = {"port": self.port, "metrics-port": self._metrics_port}
        arguments = [self._local(one) for one in self._arguments]
        given = {one.removeprefix("--").partition("=")[0]: index for index, one in enumerate(arguments)}
        for name, port in ports.items():
            arguments[given[name]] = f"--{name}={port}"
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "modelramp", *arguments, env={"PYTHONPATH": str(OPERATOR), "PATH": ""}
        )
        async with asyncio.timeout(READY_SECONDS):
            while await self._asked("/-/ready") is None:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.1)

    async def close(self, grace_seconds: float) -> None:
        """
        Tell it to end, and end it after the grace period.
        """
        if self._process is None or self._process.returncode is not None:
            return
        self._process.terminate()
        try:
            await asyncio.wait_for(self._process.wait(), max(grace_seconds, 1.0))
        except TimeoutError:
            self._process.kill()
            await self._process.wait()

    async def page(self, **labels: str) -> str:
        """
        What it counts, under these labels too, as a scrape that finds pods adds them; empty while it does not answer.
        """
        told = "".join(f'{name}="{value}",' for name, value in labels.items())
        return _SAMPLE.sub(lambda found: f"{found[1]}{{{told}", await self._asked("/metrics") or "")

    async def _asked(self, path: str) -> str | None:
        if self._process is None or self._process.returncode is not None:
            return None
        with contextlib.suppress(aiohttp.ClientError, TimeoutError, OSError):
            timeout, address = aiohttp.ClientTimeout(total=5), f"http://127.0.0.1:{self._metrics_port}{path}"
            async with aiohttp.ClientSession(timeout=timeout) as session, session.get(address) as answer:
                return await answer.text() if answer.status == 200 else None
        return None

    def _local(self, argument: str) -> str:
        found = _SERVICE.search(argument)
        if found is None:
            return argument
        return argument[: found.start()] + f"http://127.0.0.1:{self._port_of(found[1])}"
