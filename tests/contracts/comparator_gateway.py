"""
The comparator as a process of its own behind a real Envoy: Envoy mirrors what clients send, and models and clients that
are quick enough for thousands of requests.
"""

import asyncio
import json
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import aiohttp
from contracts.comparator_world import CANDIDATE, STABLE, Counted, counted
from rig.dataplane import DataPlane, free_ports
from rig.xds import cluster_name

NAMESPACE: Final = "ml"
START_SECONDS: Final = 20.0
STANDSTILL_SECONDS: Final = 20.0
PATH: Final = "/v2/models/fraud/infer"
_END: Final = b"\r\n\r\n"
_LENGTH: Final = b"content-length:"


def _length(head: bytes) -> int:
    found = head.lower().find(_LENGTH)
    return 0 if found < 0 else int(head[found + len(_LENGTH) :].split(b"\r\n", 1)[0])


class _Connection(asyncio.Protocol):
    """
    HTTP/1.1 as far as Envoy and the comparator speak it to a model: whole bodies with their length, one after another.
    """

    def __init__(self, answer: Callable[[bytes], bytes], wait_seconds: float) -> None:
        self._answer, self._wait_seconds, self._kept = answer, wait_seconds, b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._kept += data
        while (end := self._kept.find(_END)) >= 0:
            size = end + len(_END) + _length(self._kept[:end])
            if len(self._kept) < size:
                return
            body, self._kept = self._kept[end + len(_END) : size], self._kept[size:]
            answer = self._answer(body)
            head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(answer)
            asyncio.get_running_loop().call_later(self._wait_seconds, self._write, head + answer)

    def _write(self, answer: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(answer)


@dataclass
class Model:
    """
    Answers `n` of the question modulo 7; a planted question is answered otherwise by a model that is not faithful.
    """

    faithful: bool = True
    wait_seconds: float = 0.0
    answered: int = 0
    planted: int = 0
    port: int = 0

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Until left."""
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: _Connection(self._answer, self.wait_seconds), "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield
        finally:
            server.close()

    def _answer(self, body: bytes) -> bytes:
        question = json.loads(body)
        wrong = question["planted"] and not self.faithful
        self.answered += 1
        self.planted += wrong
        return json.dumps({"outputs": [{"data": [question["n"] % 7 + wrong]}]}).encode()


@dataclass
class Client:
    """
    Users: each connection sends its next request when the last is answered, not before its turn.
    """

    port: int
    statuses: dict[int, int] = field(default_factory=dict)

    async def send(self, questions: Sequence[tuple[str, bytes]], connections: int, rate: float | None) -> list[float]:
        """
        Send all; seconds that each answer took. `rate` is in requests a second, None: as fast as they are answered.
        """
        began = time.monotonic()
        waiting = iter(enumerate(questions))
        parts = (self._one_after_another(waiting, began, rate) for _ in range(connections))
        return [seconds for part in await asyncio.gather(*parts) for seconds in part]

    async def _one_after_another(self, waiting: Any, began: float, rate: float | None) -> list[float]:  # noqa: ANN401
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        found = []
        for place, (name, body) in waiting:
            if rate is not None:
                await asyncio.sleep(max(0.0, began + place / rate - time.monotonic()))
            sent = time.monotonic()
            head = f"POST {PATH} HTTP/1.1\r\nhost: fraud.test\r\nx-request-id: {name}\r\ncontent-length: {len(body)}"
            writer.write(head.encode() + _END + body)
            answer = await reader.readuntil(_END)
            await reader.readexactly(_length(answer))
            status = int(answer.split(b" ", 2)[1])
            self.statuses[status] = self.statuses.get(status, 0) + 1
            found.append(time.monotonic() - sent)
        writer.close()
        return found


class Process:
    """
    `modelramp comparator`, as its Deployment runs it.
    """

    def __init__(self, stable: int, candidate: int, *options: str) -> None:
        """The ports of both models."""
        self.port, self.metrics_port = free_ports(2)
        arms = (f"--stable={STABLE}=http://127.0.0.1:{stable}", f"--candidate={CANDIDATE}=http://127.0.0.1:{candidate}")
        ports = (f"--port={self.port}", f"--metrics-port={self.metrics_port}")
        self._words = (sys.executable, "-m", "modelramp", "comparator", *arms, *ports, *options)
        self._session: aiohttp.ClientSession | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Until left; it must end well."""
        running = await asyncio.create_subprocess_exec(*self._words, stderr=asyncio.subprocess.DEVNULL)
        try:
            async with aiohttp.ClientSession() as self._session:
                async with asyncio.timeout(START_SECONDS):
                    while not await self._ready():  # noqa: ASYNC110 - nobody tells
                        await asyncio.sleep(0.05)
                yield
            running.send_signal(signal.SIGTERM)
            assert await asyncio.wait_for(running.wait(), START_SECONDS) == 0
        finally:
            if running.returncode is None:
                running.kill()
                await running.wait()

    async def _ready(self) -> bool:
        try:
            return await self._told("/-/ready") == "ok"
        except aiohttp.ClientError:
            return False

    async def _told(self, path: str) -> str:
        assert self._session is not None
        async with self._session.get(f"http://127.0.0.1:{self.metrics_port}{path}") as answer:
            return await answer.text()

    async def counted(self, family: str) -> Counted:
        """What it has counted so far."""
        return counted(await self._told("/metrics"), family)

    async def until(self, family: str, total: float) -> Counted:
        """Wait until so many are counted in all, as long as there is progress; what is counted then."""
        before, found = -1.0, dict[tuple[str, ...], float]()
        while (now := sum((found := await self.counted(family)).values())) < total:
            assert now > before, f"{now} of {total} {family}, and no more in {STANDSTILL_SECONDS} s"
            before, until = now, time.monotonic() + STANDSTILL_SECONDS
            while time.monotonic() < until and sum((await self.counted(family)).values()) == now:  # noqa: ASYNC110
                await asyncio.sleep(0.03)
        return found


@dataclass
class Gateway:
    """
    Envoy before the stable model, with or without a mirror to the comparator.
    """

    plane: DataPlane

    def route(self, stable: int, comparator: int | None) -> None:
        """All requests to that port; copies of all of them to the other one, None: no copies."""
        services = {"stable": stable} | ({"compare": comparator} if comparator else {})
        for name, port in services.items():
            self.plane.program_endpoints(cluster_name(NAMESPACE, name), [("127.0.0.1", port)])
        mirror = {"type": "RequestMirror", "requestMirror": {"backendRef": {"name": "compare", "port": 80}}}
        rule = {"backendRefs": [{"name": "stable", "port": 80}], "filters": [mirror] if comparator else []}
        route = {"metadata": {"namespace": NAMESPACE, "name": "fraud"}, "spec": {"rules": [rule]}}
        self.plane.program_routes([route], frozenset(services))


@dataclass
class Scene:
    """
    Everything that runs in a test.
    """

    gateway: Gateway
    stable: Model
    candidate: Model
    comparator: Process
    client: Client

    async def mirror(self, *, on: bool) -> None:
        """Switch the mirror, and wait until Envoy does so."""
        self.gateway.route(self.stable.port, self.comparator.port if on else None)
        await asyncio.sleep(0.3)


@asynccontextmanager
async def behind_envoy(folder: Path, stable: Model, candidate: Model, *options: str) -> AsyncIterator[Scene]:
    """
    All of it, until left; the mirror is on.
    """
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(stable.serving())
        await stack.enter_async_context(candidate.serving())
        plane = DataPlane(folder)
        await plane.open()
        stack.push_async_callback(plane.close)
        comparator = Process(stable.port, candidate.port, *options)
        await stack.enter_async_context(comparator.running())
        scene = Scene(Gateway(plane), stable, candidate, comparator, Client(plane.port))
        await scene.mirror(on=True)
        yield scene
