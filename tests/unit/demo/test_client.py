"""The demo's load client against a real HTTP server on loopback."""

from __future__ import annotations

import asyncio
import json
import socket
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiohttp import web
from demo.client import LoadClient, Second, Snapshot, bodies_of, main, report

BODIES = [b'{"n":0}', b'{"n":1}', b'{"n":2}', b'{"n":3}']
Answer = Callable[[web.Request, int], Awaitable[web.Response]]


@dataclass
class Seen:
    """What reached the server, in order."""

    url: str
    arrivals: list[float] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    hosts: set[str] = field(default_factory=set)
    connections: set[object] = field(default_factory=set)


@asynccontextmanager
async def server(answer: Answer) -> AsyncIterator[Seen]:
    """Serve on a free port; `answer` gets each request with its number from 0."""
    seen = Seen("")

    async def take(request: web.Request) -> web.Response:
        number = len(seen.arrivals)
        seen.arrivals.append(asyncio.get_running_loop().time())
        seen.bodies.append(await request.read())
        seen.hosts.add(request.host)
        peer = request.transport.get_extra_info("peername") if request.transport else None
        seen.connections.add(peer)
        return await answer(request, number)

    app = web.Application()
    app.router.add_post("/infer", take)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    seen.url = f"http://127.0.0.1:{runner.addresses[0][1]}/infer"
    try:
        yield seen
    finally:
        await runner.cleanup()


def signed(version: str, status: int = 200) -> web.Response:
    """An answer as the model server gives it."""
    return web.Response(status=status, headers={"x-model-version": version})


async def good(_request: web.Request, _number: int) -> web.Response:
    return signed("1")


async def load(seen: Seen, *, rate: float = 100.0, seconds: float = 0.4, timeout_seconds: float = 5.0) -> Snapshot:
    """Run a client to its end and return its counts."""
    client = LoadClient(seen.url, "digits.example.com", BODIES, rate, timeout_seconds)
    await client.run(asyncio.Event(), seconds)
    return client.snapshot()


async def test_the_rate_holds_within_five_percent() -> None:
    """The server sees arrivals at the rate asked for, on few connections, under the Host given."""
    async with server(good) as seen:
        counted = await load(seen, rate=80, seconds=1.0)
    measured = (len(seen.arrivals) - 1) / (seen.arrivals[-1] - seen.arrivals[0])
    assert measured == pytest.approx(80, rel=0.05)
    assert (counted.sent, counted.good, counted.lost) == (80, 80, 0)
    assert {"digits.example.com"} == seen.hosts
    assert len(seen.connections) < 8, "connections are kept and reused"


async def test_bodies_are_sent_in_turn() -> None:
    """Every body has its turn and the first follows the last."""
    async with server(good) as seen:
        await load(seen, rate=200, seconds=0.05)
    assert Counter(seen.bodies) == {BODIES[0]: 3, BODIES[1]: 3, BODIES[2]: 2, BODIES[3]: 2}


async def test_a_slow_server_does_not_slow_the_sending() -> None:
    """No request is answered before all of them have arrived: a client that waited for answers would never end well."""
    everybody = asyncio.Event()

    async def slow(_request: web.Request, number: int) -> web.Response:
        if number == 49:
            await asyncio.sleep(0.6)
            everybody.set()
        await everybody.wait()
        return signed("1")

    async with server(slow) as seen:
        counted = await load(seen, rate=100, seconds=0.5)
    assert (counted.sent, counted.good, counted.lost, counted.in_flight) == (50, 50, 0, 0)
    assert (counted.quantile(0.0) or 0) >= 0.6, "waiting is part of the latency"
    assert sum(counted.seconds[0].answers.values()) == 0, "an answer belongs to the second it came in"


async def test_answers_are_counted_by_version_and_status() -> None:
    """A 5xx signed by a version is that version's own; a 4xx is counted but is no failure of it."""
    plan = [("1", 200), ("3", 200), ("3", 500), ("1", 400)]

    async def planned(_request: web.Request, number: int) -> web.Response:
        return signed(*plan[number % 4])

    async with server(planned) as seen:
        counted = await load(seen, rate=200, seconds=0.2)
    assert counted.answers == {("1", 200): 10, ("3", 200): 10, ("3", 500): 10, ("1", 400): 10}
    assert counted.bad_by_version() == {"1": 0, "3": 10}
    assert (counted.good, counted.answered, counted.lost) == (30, 40, 0)
    assert counted.first_answer["1"] < counted.first_answer["3"] < counted.last_answer["1"] < 0.6


async def test_an_unsigned_answer_is_lost_and_no_versions_failure() -> None:
    """A gateway's own 503 (and a 200 that nobody signed) counts as lost, under no version."""

    async def gateway(_request: web.Request, number: int) -> web.Response:
        return web.Response(status=503) if number % 4 == 0 else web.Response() if number % 4 == 1 else signed("2")

    async with server(gateway) as seen:
        counted = await load(seen, rate=200, seconds=0.2)
    assert counted.answers == {(None, 503): 10, (None, 200): 10, ("2", 200): 20}
    assert (counted.lost, counted.unsigned, counted.bad_by_version()) == (20, 20, {"2": 0})
    assert counted.good == 20


async def test_a_reset_connection_is_lost_and_not_sent_again() -> None:
    """Each reset is one lost request; the server sees every request exactly once."""

    async def resets(request: web.Request, number: int) -> web.Response:
        if number % 2 and request.transport is not None:
            request.transport.abort()
        return signed("1")

    async with server(resets) as seen:
        counted = await load(seen, rate=200, seconds=0.2)
    assert counted.transport_errors == {"reset": 20}
    assert (len(seen.arrivals), counted.good, counted.lost) == (40, 20, 20)


async def test_a_closed_port_is_refused() -> None:
    """Nobody listens: every request is lost as refused and the run still ends on time."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        counted = await load(Seen(f"http://127.0.0.1:{unused.getsockname()[1]}/infer"), rate=50, seconds=0.2)
    assert counted.transport_errors == {"refused": 10}
    assert (counted.lost, counted.answered, counted.quantile(0.5)) == (10, 0, None)


async def test_an_answer_after_the_timeout_is_lost() -> None:
    """A server that never answers loses every request after the timeout, none stays in flight."""

    async def never(_request: web.Request, _number: int) -> web.Response:
        await asyncio.sleep(30)
        return signed("1")

    async with server(never) as seen:
        counted = await load(seen, rate=50, seconds=0.2, timeout_seconds=0.2)
    assert (counted.transport_errors, counted.in_flight) == ({"timeout": 10}, 0)
    assert counted.elapsed_seconds < 1


async def test_too_many_in_flight_are_counted_and_not_sent() -> None:
    """The bound on requests in flight holds, and what it keeps back is lost openly."""

    async def slow(_request: web.Request, _number: int) -> web.Response:
        await asyncio.sleep(0.3)
        return signed("1")

    async with server(slow) as seen:
        client = LoadClient(seen.url, "h", BODIES, rate=100)
        client.max_in_flight = 5
        await client.run(asyncio.Event(), 0.2)
    counted = client.snapshot()
    assert (counted.sent, len(seen.arrivals)) == (20, 5)
    assert counted.transport_errors == {"overload": 15}


async def test_a_live_snapshot_adds_up_and_stands_still() -> None:
    """While the client runs, sent = answered + lost + in flight, and a snapshot taken does not change."""
    async with server(good) as seen:
        client = LoadClient(seen.url, "h", BODIES, rate=100)
        before = client.snapshot()
        stop = asyncio.Event()
        running = asyncio.create_task(client.run(stop, 30))
        await asyncio.sleep(0.2)
        live = client.snapshot()
        answered, last = live.answered, live.last_answer["1"]
        await asyncio.sleep(0.1)
        stop.set()
        await running
    after = client.snapshot()
    assert (before.sent, before.lost, before.elapsed_seconds) == (0, 0, 0.0)
    assert live.sent == live.answered + live.lost + live.in_flight
    assert last == live.last_answer["1"] < after.last_answer["1"]
    assert answered == live.answered < after.answered == after.sent < 60
    assert after.elapsed_seconds == client.snapshot().elapsed_seconds < 1


async def test_a_stop_is_obeyed_while_behind_the_timetable() -> None:
    """A rate that no machine reaches leaves the client always late; a stop still ends it."""
    async with server(good) as seen:
        client = LoadClient(seen.url, "h", BODIES, rate=1_000_000)
        client.max_in_flight = 5
        stop = asyncio.Event()
        asyncio.get_running_loop().call_later(0.1, stop.set)
        await asyncio.wait_for(client.run(stop, 30), timeout=3)
    counted = client.snapshot()
    assert counted.sent == counted.good + counted.lost > 5


async def test_a_client_runs_once() -> None:
    """A second run would mix two runs' counts and is refused."""
    async with server(good) as seen:
        client = LoadClient(seen.url, "h", BODIES)
        await client.run(asyncio.Event(), 0.01)
        with pytest.raises(RuntimeError, match="runs once"):
            await client.run(asyncio.Event(), 0.01)


@pytest.mark.parametrize(("rate", "bodies"), [(0.0, BODIES), (-1.0, BODIES), (50.0, [])])
def test_a_client_that_could_send_nothing_is_refused(rate: float, bodies: list[bytes]) -> None:
    """No rate or no body is a caller's mistake and says so."""
    with pytest.raises(ValueError, match="rate above 0 and a body"):
        LoadClient("http://127.0.0.1/", "h", bodies, rate)


def snapshot_of(seconds: list[dict[tuple[str | None, int], int]], elapsed: float) -> Snapshot:
    """A snapshot with nothing but a time series."""
    return Snapshot(
        elapsed_seconds=elapsed,
        sent=0,
        in_flight=0,
        answers={},
        transport_errors={},
        first_answer={},
        last_answer={},
        latencies=(),
        seconds=tuple(Second(answers, {}) for answers in seconds),
    )


@pytest.mark.parametrize(
    ("elapsed", "last_seconds", "expected"),
    [
        pytest.param(3.5, 2, 0.4, id="the latest whole seconds, failures and all"),
        pytest.param(3.5, 1, 0.5, id="one second"),
        pytest.param(3.5, 9, 0.2, id="a window longer than the run is the run"),
        pytest.param(0.9, 5, None, id="no whole second yet"),
        pytest.param(9.0, 3, None, id="no answers in the window"),
    ],
)
def test_share_of_a_version(elapsed: float, last_seconds: int, expected: float | None) -> None:
    """Shares are of signed answers in whole seconds; the second under way and unsigned answers do not count."""
    series: list[dict[tuple[str | None, int], int]] = [
        {("1", 200): 10},
        {("1", 200): 4, ("2", 200): 2, (None, 503): 90},
        {("1", 200): 2, ("2", 500): 2},
        {("2", 200): 100},
    ]
    assert expected == snapshot_of(series, elapsed).share("2", last_seconds)


def test_report_of_the_command_line(tmp_path: Path) -> None:
    """The command writes the whole report and fails when requests were lost."""
    bodies, file = tmp_path / "bodies.jsonl", tmp_path / "report.json"
    bodies.write_bytes(b'{"n":0}\n\n{"n":1}\n')
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/"
        words = [url, "--host", "h", "--bodies", str(bodies), "--rate", "50", "--seconds", "0.1"]
        assert main([*words, "--report", str(file)]) == 1
    written = json.loads(file.read_text())
    assert (written["sent"], written["lost"], written["transport_errors"]) == (5, 5, {"refused": 5})
    assert sum(second["lost"] for second in written["per_second"]) == 5
    assert bodies_of(bodies) == [b'{"n":0}', b'{"n":1}']


async def test_report_names_versions_statuses_and_quantiles() -> None:
    """What a reader of the report looks for is there under stable keys."""

    async def mixed(_request: web.Request, number: int) -> web.Response:
        return signed("3", 500) if number % 2 else web.Response(status=503)

    async with server(mixed) as seen:
        written = report(await load(seen, rate=100, seconds=0.1))
    assert written["answers"] == {"-/503": 5, "3/500": 5}
    assert written["bad_by_version"] == {"3": 5}
    assert {"p50", "p95", "p99"} == set(json.loads(json.dumps(written))["latency_seconds"])
