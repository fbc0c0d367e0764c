"""Warm-up requests against a real HTTP server on loopback."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from aiohttp import web

from modelramp.adapters.warmup import ConfigMapReader, Limits, WarmUpSender, service_urls
from modelramp.api.spec import WarmUp
from modelramp.ports import DeniedError, GoneError, Key, UnreachableError
from modelramp.rollout.observed import WarmUpReading

KEY = Key("shop", "digits")
Answer = Callable[[web.Request, int], Awaitable[web.StreamResponse]]


@dataclass
class Seen:
    """What reached the server, and for whom a base URL was asked."""

    requests: list[tuple[str, str, bytes, str | None]] = field(default_factory=list)
    connections: set[object] = field(default_factory=set)
    most_at_once: int = 0
    services: list[tuple[str, str]] = field(default_factory=list)


async def ok(_request: web.Request, _number: int) -> web.Response:
    """A good answer."""
    await asyncio.sleep(0.01)
    return web.json_response({"outputs": []})


async def no_config_map(namespace: str, name: str, key: str) -> str:
    """There are no ConfigMaps."""
    raise GoneError(f"there is no ConfigMap {namespace}/{name} with the key {key}")


@asynccontextmanager
async def candidate(
    answer: Answer = ok,
    limits: Limits | None = None,
    read: ConfigMapReader = no_config_map,
) -> AsyncIterator[tuple[WarmUpSender, Seen]]:
    """A candidate that answers so; `answer` gets each request with its number from 0."""
    seen, running = Seen(), 0

    async def take(request: web.Request) -> web.StreamResponse:
        nonlocal running
        running += 1
        number = len(seen.requests)
        seen.most_at_once = max(seen.most_at_once, running)
        content_type = request.headers.get("Content-Type")
        seen.requests.append((request.method, request.raw_path, await request.read(), content_type))
        seen.connections.add(request.transport.get_extra_info("peername") if request.transport else None)
        try:
            return await answer(request, number)
        finally:
            running -= 1

    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", take)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()

    def base_url(namespace: str, service: str) -> str:
        seen.services.append((namespace, service))
        return f"http://127.0.0.1:{runner.addresses[0][1]}"

    try:
        yield WarmUpSender(read, base_url=base_url, limits=limits), seen
    finally:
        await runner.cleanup()


def warm_up(requests: int = 20, path: str = "/v2/infer", **more: object) -> WarmUp:
    """A warm-up as a user writes it."""
    return WarmUp.model_validate({"requests": requests, "path": path, **more})


def test_the_service_is_asked_by_its_dns_name() -> None:
    """With the cluster's own suffix where one is given."""
    assert service_urls()("shop", "digits-0a1b") == "http://digits-0a1b.shop.svc:80"
    assert service_urls("svc.cluster.local")("shop", "digits-0a1b") == "http://digits-0a1b.shop.svc.cluster.local:80"


async def test_all_requests_are_sent_four_at_a_time_over_connections_of_their_own() -> None:
    """So that a Service spreads them over all pods."""
    async with candidate() as (sender, seen):
        reading = await sender.send(KEY, "0a1b2c3d4e", warm_up(20))
    assert (reading.sent, reading.failed, reading.message) == (20, 0, "")
    assert (len(seen.requests), seen.most_at_once, len(seen.connections)) == (20, 4, 20)
    assert set(seen.services) == {("shop", "digits-0a1b2c3d4e")}


async def test_without_a_body_it_is_a_get_of_the_path_as_written() -> None:
    """Escapes and query stay untouched."""
    async with candidate() as (sender, seen):
        await sender.send(KEY, "0a", warm_up(1, "/v2/a%2Fb/infer?x=1&y=%7e"))
    assert seen.requests == [("GET", "/v2/a%2Fb/infer?x=1&y=%7e", b"", None)]


async def test_a_given_body_is_posted_as_json() -> None:
    """As written."""
    async with candidate() as (sender, seen):
        await sender.send(KEY, "0a", warm_up(2, body={"value": '{"é": 1}'}))
    assert seen.requests == [("POST", "/v2/infer", '{"é": 1}'.encode(), "application/json")] * 2


async def test_a_body_from_a_config_map_is_read_once() -> None:
    """From the object's namespace."""
    asked = []

    async def read(namespace: str, name: str, key: str) -> str:
        asked.append((namespace, name, key))
        return json.dumps({"n": 1})

    async with candidate(read=read) as (sender, seen):
        await sender.send(KEY, "0a", warm_up(3, body={"configMapKeyRef": {"name": "warm", "key": "body.json"}}))
    assert asked == [("shop", "warm", "body.json")]
    assert {body for _, _, body, _ in seen.requests} == {b'{"n": 1}'}


@pytest.mark.parametrize("error", [GoneError("no such key"), DeniedError("get configmaps"), UnreachableError("down")])
async def test_without_its_body_nothing_is_sent_and_nothing_is_warm(error: Exception) -> None:
    """A reading of nothing, which is never good enough, and why."""

    async def read(namespace: str, name: str, key: str) -> str:  # noqa: ARG001 - the reader's signature
        raise error

    async with candidate(read=read) as (sender, seen):
        reading = await sender.send(KEY, "0a", warm_up(3, body={"configMapKeyRef": {"name": "warm", "key": "k"}}))
    assert WarmUpReading(sent=0, failed=0, p95_seconds=0.0, message=f"the body: {error}") == reading
    assert seen.requests == []


@pytest.mark.parametrize(
    ("status", "says"), [(500, "HTTP 500"), (404, "HTTP 404"), (302, "HTTP 302"), (199 + 101, "HTTP 300")]
)
async def test_what_is_no_2xx_has_failed(status: int, says: str) -> None:
    """Redirects too: they are not followed."""

    async def answer(request: web.Request, number: int) -> web.Response:
        bad = number == 2
        return web.Response(
            status=status if bad else 204, headers={"Location": f"http://{request.host}/x"} if bad else {}
        )

    async with candidate(answer, Limits(parallel=1)) as (sender, seen):
        reading = await sender.send(KEY, "0a", warm_up(5))
    assert (reading.sent, reading.failed, reading.refused) == (5, 1, 1)
    assert reading.message == f"1 of 5 requests failed; the first, number 3: {says}"
    assert {path for _, path, _, _ in seen.requests} == {"/v2/infer"}


async def test_nobody_there_is_a_failure_of_all() -> None:
    """It says how it failed."""
    sender = WarmUpSender(no_config_map, base_url=lambda _namespace, _service: "http://127.0.0.1:1")
    reading = await sender.send(KEY, "0a", warm_up(5))
    assert (reading.sent, reading.failed, reading.refused) == (5, 5, 0)
    assert "number 1: no answer (ClientConnectorError)" in reading.message


async def test_each_request_has_a_time_limit() -> None:
    """One that hangs does not hold up the others."""

    async def answer(_request: web.Request, number: int) -> web.Response:
        await asyncio.sleep(5 if number == 0 else 0)
        return web.Response()

    async with candidate(answer, Limits(request_seconds=0.3)) as (sender, _):
        reading = await sender.send(KEY, "0a", warm_up(10))
    assert (reading.sent, reading.failed, reading.refused) == (10, 1, 0)
    assert "no answer within 0.3 s" in reading.message


async def test_all_together_have_a_time_limit() -> None:
    """What is not sent within it is not counted as sent, so the candidate is not warm."""

    async def answer(_request: web.Request, _number: int) -> web.Response:
        await asyncio.sleep(0.1)
        return web.Response()

    begun = asyncio.get_running_loop().time()
    async with candidate(answer, Limits(total_seconds=0.35)) as (sender, _):
        reading = await sender.send(KEY, "0a", warm_up(200))
    assert asyncio.get_running_loop().time() - begun < 2
    assert 4 <= reading.sent <= 16
    assert f"only {reading.sent} of 200 requests were sent within 0.35 s" in reading.message


async def test_an_endless_answer_is_not_read_to_its_end() -> None:
    """The model answered; what it answers is of no interest."""

    async def endless(request: web.Request, _number: int) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b"x" * 65536)
            await asyncio.sleep(0)

    async with candidate(endless, Limits(answer_bytes=200_000, request_seconds=5)) as (sender, _):
        reading = await sender.send(KEY, "0a", warm_up(4))
    assert (reading.sent, reading.failed) == (4, 0)
    assert reading.p95_seconds < 5


async def test_p95_is_the_nearest_rank_over_all_requests() -> None:
    """Of 20 requests the second slowest: one may be slow, two may not."""

    async def answer(_request: web.Request, number: int) -> web.Response:
        await asyncio.sleep({3: 1.0, 7: 0.3}.get(number, 0))
        return web.Response()

    async with candidate(answer) as (sender, _):
        reading = await sender.send(KEY, "0a", warm_up(20))
    assert 0.3 <= reading.p95_seconds < 1.0
