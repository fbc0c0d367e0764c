"""
A comparator between two model servers, all of them in the test's own process.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import aiohttp
from aiohttp import web
from yarl import URL

from modelramp.comparator.service import Comparator
from modelramp.comparator.settings import Arm, ComparatorSettings

STABLE, CANDIDATE = "aaaaaaaaaa", "bbbbbbbbbb"
DEADLINE: Final = 10.0
_SAMPLE: Final = re.compile(r"^modelramp_comparator_(\w+)(?:\{(.*)\})? (\S+)$")
_LABEL: Final = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]
Counted = dict[tuple[str, ...], float]


@dataclass
class Asked:
    """
    A request as an arm saw it.
    """

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Model:
    """
    A model server: answers as it is told, and remembers what it was asked.
    """

    answer: Answer
    asked: list[Asked] = field(default_factory=list)
    url: str = ""

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Until left."""
        application = web.Application(client_max_size=2**26)
        application.router.add_route("*", "/{path:.*}", self._answered)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1, auto_decompress=False)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
            yield
        finally:
            await runner.cleanup()

    async def _answered(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.asked.append(Asked(request.method, request.raw_path, headers, body))
        return await self.answer(request)


def telling(label: object, *, status: int = 200, seconds: float = 0.0) -> Answer:
    """
    The same answer to everything.
    """

    async def answer(_: web.Request) -> web.Response:
        await asyncio.sleep(seconds)
        return web.json_response({"label": label}, status=status)

    return answer


def counted(page: str, family: str) -> Counted:
    """
    The samples of one family that are not 0, by the values of their labels, the revision first.
    """
    found = {}
    for line in page.splitlines():
        sample = _SAMPLE.match(line)
        if sample is not None and sample[1] == family and float(sample[3]) != 0.0:
            labels = sorted(_LABEL.findall(sample[2] or ""), key=lambda label: label[0] != "revision")
            found[tuple(value for _, value in labels)] = float(sample[3])
    return found


@dataclass
class World:
    """
    What a test asks of and sees.
    """

    comparator: Comparator
    stable: Model
    candidate: Model
    session: aiohttp.ClientSession

    async def send(self, path: str = "/v2/models/fraud/infer", method: str = "POST", **options: Any) -> int:  # noqa: ANN401
        """Send a copy, as a gateway does; the status of the answer, which a gateway throws away."""
        address = f"http://127.0.0.1:{self.comparator.ports[0]}{path}"
        async with self.session.request(method, URL(address, encoded=True), **options) as answer:
            return answer.status

    async def told(self, path: str) -> tuple[int, str]:
        """What the port of metrics says."""
        async with self.session.get(f"http://127.0.0.1:{self.comparator.ports[1]}{path}") as answer:
            return answer.status, await answer.text()

    def counted(self, family: str) -> Counted:
        """As `counted`, now."""
        return counted(self.comparator.page.decode(), family)

    async def until(self, family: str, total: float) -> Counted:
        """Wait until so many are counted in all; what is counted then."""
        async with asyncio.timeout(DEADLINE):
            while sum(self.counted(family).values()) < total:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.005)
        return self.counted(family)


@asynccontextmanager
async def comparing(stable: Answer, candidate: Answer, /, **settings: Any) -> AsyncIterator[World]:  # noqa: ANN401
    """
    A comparator that runs until left. Without settings of the test it controls nothing.
    """
    one, other = Model(stable), Model(candidate)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(one.serving())
        await stack.enter_async_context(other.serving())
        arms = {"stable": Arm(STABLE, one.url), "candidate": Arm(CANDIDATE, other.url)}
        comparator = Comparator(ComparatorSettings(**{**arms, "port": 0, "metrics_port": 0, **settings}))
        session = await stack.enter_async_context(aiohttp.ClientSession())
        await comparator.open()
        try:
            yield World(comparator, one, other, session)
        finally:
            await comparator.close()
