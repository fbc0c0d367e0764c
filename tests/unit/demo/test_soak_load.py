"""The load of `make soak` on its own model server: what is answered, failed and lost, and how a server leaves."""

import asyncio
import importlib
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from soak import load as loads
from soak import ways
from soak.ledger import FAILED, OK, Ending, Tally
from soak.load import Load, Rhythm
from soak.ways import Way, over_grpc, over_http

SERVER = Path(__file__).resolve().parents[3] / "hack/soak/server"
sys.path.append(str(SERVER))

conduct: Any = importlib.import_module("soak_server.conduct")
overgrpc: Any = importlib.import_module("soak_server.overgrpc")
overhttp: Any = importlib.import_module("soak_server.overhttp")


@asynccontextmanager
async def site(app: web.Application) -> AsyncIterator[str]:
    """An application on a free port."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def http_way(version: str) -> AsyncIterator[Way]:
    """A way to the model server in this version over HTTP."""
    counts = conduct.Counts(conduct.Conduct.of(version))
    async with site(overhttp.Pages(counts).app()) as url, over_http(url, "here.example.com") as way:
        yield way


def free_port() -> int:
    """A port that nobody listens on now."""
    socket: Any = importlib.import_module("socket")
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@asynccontextmanager
async def grpc_way(version: str) -> AsyncIterator[Way]:
    """The same over gRPC."""
    port = free_port()
    server = overgrpc.server(conduct.Counts(conduct.Conduct.of(version)), port)
    await server.start()
    try:
        async with over_grpc(f"127.0.0.1:{port}", "here.example.com") as way:
            yield way
    finally:
        await server.stop(None)


Opened = Callable[[str], AbstractAsyncContextManager[Way]]
WAYS = [pytest.param(http_way, id="http"), pytest.param(grpc_way, id="grpc")]


@pytest.fixture(autouse=True)
def _short_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ways, "STREAM_SECONDS", 1)
    monkeypatch.setattr(ways, "GRPC_STREAM_SECONDS", 1)
    monkeypatch.setattr(loads, "STREAM_SECONDS", 1)


async def counted(way: Way, rhythm: Rhythm, seconds: float = 1.0) -> Tally:
    """What a load of so many seconds counts."""
    load = Load(way, rhythm)
    await load.run(asyncio.Event(), max_seconds=seconds)
    return load.tally()


@pytest.mark.parametrize("way_to", WAYS)
async def test_a_healthy_version_answers_everything(way_to: Opened) -> None:
    """Requests on their timetable, and streams whole."""
    async with way_to("7") as way:
        tally = await counted(way, Rhythm(rate=40, streams=2))
    assert (tally.lost, tally.failed, tally.in_flight) == (0, 0, 0)
    assert tally.sent[way.name] == 40
    assert tally.sent[f"{way.name} stream"] >= 2
    assert tally.answered_by("7") == tally.total_sent


@pytest.mark.parametrize("way_to", WAYS)
async def test_a_bad_version_says_that_it_failed(way_to: Opened) -> None:
    """Three requests of ten, none of them lost, and no stream."""
    async with way_to("7-fails30") as way:
        tally = await counted(way, Rhythm(rate=100, streams=1))
    assert tally.lost == 0
    assert 10 <= tally.failed <= 55
    assert all(ending.outcome == OK for (sent, ending) in tally.endings if sent.endswith("stream"))
    assert tally.answered_by("7-fails30") == tally.total_sent


@pytest.mark.parametrize("way_to", WAYS)
async def test_requests_that_no_client_marks_do_not_fail(way_to: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    """So a warm-up passes."""
    monkeypatch.setattr(ways, "FROM_CLIENT", ("x-other", "soak"))
    async with way_to("7-fails100") as way:
        assert await way.one({}) == Ending("7-fails100", OK)
        assert await way.one({"x-client": "soak"}) == Ending("7-fails100", FAILED)


async def test_what_nobody_answers_is_lost() -> None:
    """A refused connection, over both."""
    port = free_port()
    async with over_http(f"http://127.0.0.1:{port}", "h") as http, over_grpc(f"127.0.0.1:{port}", "h") as grpc:
        assert [await way.one({}) for way in (http, grpc)] == [Ending(None, "refused"), Ending(None, "-/UNAVAILABLE")]
        assert [await way.stream() for way in (http, grpc)] == [Ending(None, "refused"), Ending(None, "-/UNAVAILABLE")]


async def test_what_others_answer_and_what_breaks_off_is_lost() -> None:
    """A gateway's 503, a stream that ends too soon, and one whose connection breaks."""

    async def gone(_: web.Request) -> web.Response:
        return web.Response(status=503)

    async def short(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"x-model-version": "7"})
        await answer.prepare(request)
        await answer.write(b"0\n")
        if request.headers["Host"] == "breaks" and request.transport is not None:
            request.transport.abort()
        return answer

    app = web.Application()
    app.router.add_post("/v2/models/digits/infer", gone)
    app.router.add_post("/stream", short)
    async with site(app) as url, over_http(url, "h") as way, over_http(url, "breaks") as broken:
        assert await way.one({}) == Ending(None, "-/503")
        assert await way.stream() == Ending("7", ways.CUT_SHORT)
        assert await broken.stream() == Ending("7", "reset")
        tally = await counted(way, Rhythm(rate=20, streams=1), seconds=0.5)
    assert tally.lost == tally.total_sent
    assert tally.losses() == {"http: -/503": 10, "http stream: cut short": 1}


async def test_a_grpc_stream_that_ends_too_soon_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without its last message."""
    monkeypatch.setattr(overgrpc, "LAST", b"more")
    async with grpc_way("7") as way:
        assert await way.stream() == Ending("7", ways.CUT_SHORT)


async def test_the_cohort_is_counted_apart() -> None:
    """One request in four."""
    async with http_way("7") as way:
        tally = await counted(way, Rhythm(rate=40, streams=0, cohort={"x-model-cohort": "candidate"}, cohort_every=4))
    assert dict(tally.sent) == {"http": 30, "http cohort": 10}
    assert tally.answered_by("7", "http cohort") == 10


class Stuck:
    """A way on which nothing is ever answered."""

    name = "http"

    def __init__(self) -> None:
        self.answer = asyncio.Event()

    async def one(self, _more: object = None) -> Ending:
        await self.answer.wait()
        return Ending("7", OK)

    async def stream(self) -> Ending:
        await self.answer.wait()
        return Ending("7", OK)


async def test_a_dead_object_is_not_asked_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond so many under way a request is lost, not sent."""
    monkeypatch.setattr(loads, "MOST_IN_FLIGHT", 5)
    way, stop = Stuck(), asyncio.Event()
    load = Load(way, Rhythm(rate=100, streams=1))
    running = asyncio.create_task(load.run(stop, max_seconds=10))
    await asyncio.sleep(0.3)
    stop.set()
    await asyncio.sleep(0.05)
    way.answer.set()
    await asyncio.wait_for(running, 5)
    tally = load.tally()
    assert tally.answered_by("7", "http") == 5
    assert tally.lost == tally.sent["http"] - 5 > 0
    assert tally.in_flight == 0


async def test_a_leaving_server_loses_nothing() -> None:
    """
    Told to end it goes on, finishes its streams, and is gone: what it was asked in its last seconds is answered.
    """
    http, grpc = free_port(), free_port()
    environment = {"MODEL_VERSION": "7", "HTTP_PORT": str(http), "GRPC_PORT": str(grpc), "LINGER_SECONDS": "1.5"}
    server = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "soak_server", env=environment, cwd=SERVER, stdout=asyncio.subprocess.PIPE
    )
    assert server.stdout is not None
    await server.stdout.readline()
    async with over_http(f"http://127.0.0.1:{http}", "h") as one, over_grpc(f"127.0.0.1:{grpc}", "h") as other:
        began = time.monotonic()
        streams = [asyncio.create_task(way.stream()) for way in (one, one, other)]
        await asyncio.sleep(0.2)
        server.send_signal(signal.SIGTERM)
        tallies = await asyncio.gather(*(counted(way, Rhythm(rate=50, streams=1)) for way in (one, other)))
        assert [(tally.losses(), tally.failed) for tally in tallies] == [({}, 0), ({}, 0)]
        assert [await stream for stream in streams] == [Ending("7", OK)] * 3
    assert await asyncio.wait_for(server.wait(), 30) == 0
    assert time.monotonic() - began >= 1.5


@pytest.mark.parametrize(
    ("version", "failing", "ready"),
    [("7", 0.0, True), ("12-fails30", 0.3, True), ("3-unready", 0.0, False), ("3-fails100", 1.0, True)],
)
def test_a_version_says_what_it_does(version: str, failing: float, *, ready: bool) -> None:
    """By its name."""
    found = conduct.Conduct.of(version)
    assert (found.version, found.failing, found.ready) == (version, failing, ready)


def test_all_series_are_there_from_the_beginning() -> None:
    """A counter that appears with its first failure hides that failure."""
    counts = conduct.Counts(conduct.Conduct.of("7"))
    lines = counts.page().splitlines()
    assert 'soak_requests_total{kind="request",outcome="failed"} 0' in lines
    assert len(lines) == 5
    assert counts.draw(may_fail=True)
    counts.streamed()
    assert 'soak_requests_total{kind="request",outcome="ok"} 1' in counts.page()
    assert 'soak_requests_total{kind="stream",outcome="ok"} 1' in counts.page()
