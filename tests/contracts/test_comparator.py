"""
The comparator over real sockets: what it takes, what it asks, and what it counts.
"""

import asyncio
import gzip
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from contracts.comparator_world import CANDIDATE, DEADLINE, STABLE, World, comparing, telling
from rig.dataplane import free_ports

from modelramp.comparator.core import Compare, Comparison, Extractor, Sampling, Tolerance
from modelramp.comparator.settings import Arm

LABEL = {"extractor": Extractor.parse("label"), "sampling": Sampling(1.0, 0.0)}
SLOW = 0.5


async def compared(world: World, number: int = 1) -> dict[tuple[str, ...], float]:
    """
    Send so many copies; the pairs that came of it.
    """
    before = sum(world.counted("pairs_total").values())
    assert [await world.send() for _ in range(number)] == [202] * number
    return await world.until("pairs_total", before + number)


@pytest.mark.parametrize(
    ("stable", "candidate", "outcome"),
    [
        (telling("cat"), telling("cat"), "agree"),
        (telling("cat"), telling("dog"), "disagree"),
        (telling("cat", status=503), telling("cat"), "stable_error"),
        (telling("cat"), telling("cat", status=500), "candidate_error"),
        (telling("cat"), telling("cat", seconds=2.0), "timeout"),
        (telling("cat", seconds=2.0), telling("cat"), "stable_error"),
        (telling("x" * 3000), telling("cat"), "unreadable"),
        (telling("cat"), telling("x" * 3000), "disagree"),
    ],
    ids=["agree", "disagree", "stable fails", "candidate fails", "late", "stable late", "long", "too long"],
)
async def test_a_pair_is_counted_under_the_candidate_s_name(stable: Any, candidate: Any, outcome: str) -> None:  # noqa: ANN401
    """
    By what became of it; an answer is read up to the limit.
    """
    async with comparing(stable, candidate, **LABEL, timeout_seconds=0.3, max_body=2048) as world:
        assert await compared(world) == {(CANDIDATE, outcome): 1.0}
        assert world.counted("requests_total") == {("taken",): 1.0}


async def test_a_revision_that_cannot_be_reached_has_failed() -> None:
    """
    So has one whose answer ends too early; the other one is asked all the same.
    """
    nobody = Arm(CANDIDATE, f"http://127.0.0.1:{free_ports(1)[0]}")
    async with comparing(telling("cat"), telling("cat"), **LABEL, candidate=nobody) as world:
        assert await compared(world) == {(CANDIDATE, "candidate_error"): 1.0}
        assert len(world.stable.asked) == 1
    async with comparing(telling("cat"), _cut_off, **LABEL) as world:
        assert await compared(world) == {(CANDIDATE, "candidate_error"): 1.0}
        assert len(world.stable.asked) == 1


async def test_a_redirect_is_an_answer_and_is_not_followed() -> None:
    """
    It is none of 2xx, and leads who knows where.
    """

    async def elsewhere(request: web.Request) -> web.Response:
        return web.Response(status=307, headers={"Location": str(request.url)})

    async with comparing(telling("cat"), elsewhere, **LABEL) as world:
        assert await compared(world) == {(CANDIDATE, "candidate_error"): 1.0}
        assert len(world.candidate.asked) == 1


async def _cut_off(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": "100"})
    await response.prepare(request)
    await response.write(b'{"label": "cat"}')
    assert request.transport is not None
    request.transport.close()
    return response


async def test_both_are_asked_the_very_same_question() -> None:
    """
    Method, path, query, body as it was packed, headers, id; marked as a replay, and without the user's credentials.
    """
    body = gzip.compress(b'{"inputs": [1]}')
    headers = {"X-Request-Id": "id-1", "Content-Encoding": "gzip", "Content-Type": "application/json", "x-tenant": "a"}
    secret = {"Authorization": "Bearer x", "Cookie": "a=b"}
    async with comparing(telling(1), telling(1), **LABEL) as world:
        await world.send("/v2/a%2Fb/%7Einfer?x=%20&y", data=body, headers={**headers, **secret})
        await world.until("pairs_total", 1)
        for arm in (world.stable, world.candidate):
            (asked,) = arm.asked
            assert (asked.method, asked.target, asked.body) == ("POST", "/v2/a%2Fb/%7Einfer?x=%20&y", body)
            wanted = {name.lower(): value for name, value in headers.items()} | {"x-shadow": "replay"}
            assert asked.headers.items() >= wanted.items()
            assert not asked.headers.keys() & {"authorization", "cookie"}
            assert f"http://{asked.headers['host']}" == arm.url


async def test_credentials_go_on_when_that_is_asked_for() -> None:
    """
    To both.
    """
    async with comparing(telling(1), telling(1), **LABEL, forward_credentials=True) as world:
        await world.send(headers={"Authorization": "Bearer x"})
        await world.until("pairs_total", 1)
        assert [arm.asked[0].headers["authorization"] for arm in (world.stable, world.candidate)] == ["Bearer x"] * 2


async def test_both_are_asked_at_the_same_time_and_the_gateway_waits_for_neither() -> None:
    """
    Each arm answers only once the other was asked too.
    """
    both = asyncio.Barrier(2)

    async def together(_: web.Request) -> web.Response:
        await asyncio.sleep(SLOW)
        await both.wait()
        return web.json_response({"label": 1})

    async with comparing(together, together, **LABEL) as world:
        began = time.monotonic()
        assert await world.send() == 202
        assert time.monotonic() - began < SLOW / 2
        assert await world.until("pairs_total", 1) == {(CANDIDATE, "agree"): 1.0}


async def test_controls_ask_stable_twice_and_are_counted_under_its_name() -> None:
    """
    A stable revision that answers otherwise each time disagrees with itself; the candidate is not asked.
    """
    answers = iter(range(100))

    async def anew(_: web.Request) -> web.Response:
        return web.json_response({"label": next(answers)})

    async with comparing(anew, telling(1), **{**LABEL, "sampling": Sampling(1.0, 1.0)}) as world:
        assert await compared(world, 3) == {(STABLE, "disagree"): 3.0}
        assert (len(world.stable.asked), world.candidate.asked) == (6, [])
        ids = [asked.headers["x-request-id"] for asked in world.stable.asked]
        assert sorted(ids.count(one) for one in set(ids)) == [2, 2, 2]
        assert world.counted("outputs_total") == {}  # those are of pairs with the candidate


async def test_what_is_not_compared_is_answered_alike_and_counted() -> None:
    """
    Other methods, and what is not in the sample; nobody is asked anything.
    """
    async with comparing(telling(1), telling(1), **{**LABEL, "sampling": Sampling(0.5, 0.0)}) as world:
        names = [str(number) for number in range(40)]
        taken = [name for name in names if world.comparator._settings.sampling.lot(name).value == "pair"]
        for name in names:
            assert await world.send(headers={"x-request-id": name}) == 202
        assert await world.send(method="GET", headers={"x-request-id": taken[0]}) == 202
        await world.until("pairs_total", len(taken))
        assert world.counted("requests_total") == {("taken",): len(taken), ("unsampled",): 41 - len(taken)}
        assert sorted(asked.headers["x-request-id"] for asked in world.candidate.asked) == sorted(taken)


async def test_what_does_not_fit_the_queue_is_dropped_at_once() -> None:
    """
    One is asked, two wait, and the others are answered no later.
    """
    async with comparing(telling(1, seconds=SLOW), telling(1), **LABEL, queue=2, concurrency=1) as world:
        began = time.monotonic()
        await world.send()
        await world.until("requests_total", 1)
        await asyncio.sleep(0.05)  # the worker takes it from the queue
        assert {await world.send() for _ in range(10)} == {202}
        assert time.monotonic() - began < SLOW
        assert world.counted("requests_total") == {("taken",): 3.0, ("dropped",): 8.0}
        assert world.counted("queue") == {(): 2.0}
        assert sum((await world.until("pairs_total", 3)).values()) == 3
        assert world.counted("queue") == {}


async def test_bodies_in_memory_are_limited_together() -> None:
    """
    Whatever the number of requests that may wait; and once they were asked there is room again.
    """
    settings = {**LABEL, "queue_bytes": 1000, "concurrency": 1}
    async with comparing(telling(1, seconds=SLOW), telling(1), **settings) as world:
        for size in (500, 501, 500, 1):
            await world.send(data=b"x" * size)
        assert world.counted("requests_total") == {("taken",): 2.0, ("dropped",): 2.0}
        await world.until("pairs_total", 2)
        await world.send(data=b"x" * 1000)
        await world.until("pairs_total", 3)
        assert [len(asked.body) for asked in world.candidate.asked] == [500, 500, 1000]


async def test_room_is_kept_for_a_body_that_arrives() -> None:
    """
    For its length, or, where that is not told, for the longest that is read. A gateway that leaves gives it back.
    """
    async with comparing(telling(1), telling(1), **LABEL, queue_bytes=1000, max_body=600) as world:
        writers = []
        for head in (b"content-length: 400", b"transfer-encoding: chunked"):
            _, writer = await asyncio.open_connection("127.0.0.1", world.comparator.ports[0])
            writer.write(b"POST / HTTP/1.1\r\nhost: x\r\n" + head + b"\r\n\r\n")
            writers.append(writer)
        async with asyncio.timeout(DEADLINE):
            while world.comparator._held_bytes < 1000:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.005)
        await world.send(data=b"x")
        assert world.counted("requests_total") == {("dropped",): 1.0}
        for writer in writers:
            writer.close()
        assert await world.until("requests_total", 3) == {("dropped",): 3.0}
        await compared(world)
        assert world.comparator._held_bytes == 0


async def test_bodies_that_arrive_together_do_not_all_find_the_room_that_each_was_promised() -> None:
    """
    The queue had a place for each when it began to arrive, and one place when they were there.
    """
    settings = {**LABEL, "queue": 1, "concurrency": 1}
    async with comparing(telling(1, seconds=SLOW), telling(1), **settings) as world:
        await world.send()
        await world.until("requests_total", 1)
        await asyncio.sleep(0.05)  # the worker takes it from the queue
        connections = [await asyncio.open_connection("127.0.0.1", world.comparator.ports[0]) for _ in range(3)]
        for _, writer in connections:
            writer.write(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\nx")
        async with asyncio.timeout(DEADLINE):
            while world.comparator._held_bytes < 6:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.005)
        for _, writer in connections:
            writer.write(b"x")
        answers = [(await reader.readline()).split()[1] for reader, _ in connections]
        for _, writer in connections:
            writer.close()
        assert answers == [b"202"] * 3
        assert world.counted("requests_total") == {("taken",): 2.0, ("dropped",): 2.0}
        await world.until("pairs_total", 2)


async def test_a_body_of_unknown_length_is_read_up_to_the_limit() -> None:
    """
    As one of known length.
    """

    async def pieces(number: int) -> AsyncIterator[bytes]:
        for _ in range(number):
            yield b"x" * 100

    async with comparing(telling(1), telling(1), **LABEL, max_body=1000) as world:
        assert [await world.send(data=pieces(number)) for number in (10, 11)] == [202, 413]
        await world.until("pairs_total", 1)
        assert [len(asked.body) for asked in world.candidate.asked] == [1000]


async def test_bodies_are_read_up_to_the_limit() -> None:
    """
    That many bytes are taken, one more is not.
    """
    async with comparing(telling(1), telling(1), **LABEL, max_body=1000) as world:
        assert [await world.send(data=b"x" * size) for size in (1000, 1001)] == [202, 413]
        await world.until("pairs_total", 1)
        assert world.counted("requests_total") == {("taken",): 1.0, ("too_large",): 1.0}


async def test_a_replay_is_refused() -> None:
    """
    Also one from another comparator.
    """
    async with comparing(telling(1), telling(1), **LABEL) as world:
        assert await world.send(headers={"X-Shadow": "replay"}) == 508
        assert world.counted("requests_total") == {("loop",): 1.0}
        assert world.stable.asked == world.candidate.asked == []


async def test_no_more_is_taken_than_the_budget_allows() -> None:
    """
    In the life of the process.
    """
    async with comparing(telling(1), telling(1), **LABEL, max_requests=3) as world:
        assert {await world.send() for _ in range(5)} == {202}
        await world.until("pairs_total", 3)
        assert world.counted("requests_total") == {("taken",): 3.0, ("over_budget",): 2.0}


async def test_copies_without_an_id_get_one_for_both_arms() -> None:
    """
    A new one each.
    """
    async with comparing(telling(1), telling(1), **LABEL) as world:
        await compared(world, 2)
        ids = [sorted(asked.headers["x-request-id"] for asked in arm.asked) for arm in (world.stable, world.candidate)]
        assert ids[0] == ids[1]
        assert len(set(ids[0])) == 2


async def test_what_waits_at_the_end_is_finished() -> None:
    """
    And nothing new is taken meanwhile, nor is the comparator called ready.
    """
    async with comparing(telling(1, seconds=0.1), telling(1), **LABEL, concurrency=2) as world:
        assert (await world.told("/-/ready"))[0] == 200
        for _ in range(6):
            await world.send()
        closing = asyncio.create_task(world.comparator.close())
        await asyncio.sleep(0.02)
        assert (await world.told("/-/ready"), (await world.told("/-/healthy"))[0]) == ((503, "no"), 200)
        assert await world.send() == 202
        await closing
        assert world.counted("pairs_total") == {(CANDIDATE, "agree"): 6.0}
        assert world.counted("requests_total") == {("taken",): 6.0, ("dropped",): 1.0}


async def test_what_is_not_finished_in_time_is_counted_as_unpaired() -> None:
    """
    Taken is what was compared and what was not.
    """
    async with comparing(telling(1, seconds=9.0), telling(1), **LABEL, concurrency=2, drain_seconds=0.1) as world:
        for _ in range(5):
            await world.send()
        began = time.monotonic()
        await world.comparator.close()
        assert time.monotonic() - began < 3.0
        assert world.counted("requests_total") == {("taken",): 5.0, ("unpaired",): 5.0}
        assert world.counted("pairs_total") == {}


async def test_distances_and_differences_of_time_are_told_in_buckets() -> None:
    """
    The tolerance is an edge, so that the pairs within it can be read from the buckets.
    """
    numbers = iter([0.5, 0.503, 0.9])

    async def next_number(_: web.Request) -> web.Response:
        await asyncio.sleep(0.2)
        return web.json_response({"label": next(numbers)})

    comparison = Comparison(Compare.NUMBER, Tolerance.parse("0.003"))
    async with comparing(telling(0.5), next_number, **LABEL, comparison=comparison) as world:
        assert await compared(world, 3) == {(CANDIDATE, "agree"): 2.0, (CANDIDATE, "disagree"): 1.0}
        distances = world.counted("distance_bucket")
        found = [distances[CANDIDATE, edge] for edge in ("0.0", "0.003", "0.2", "0.5", "+Inf")]
        assert found == [1.0, 2.0, 2.0, 3.0, 3.0]
        slower = world.counted("latency_difference_seconds_bucket")
        assert slower[CANDIDATE, "1.0"] == 3.0
        assert (CANDIDATE, "0.1") not in slower  # 0: none was faster than that


async def test_outputs_that_come_often_are_told_for_both_revisions() -> None:
    """
    Of the same requests.
    """
    async with comparing(telling("cat"), telling("dog"), **LABEL) as world:
        await compared(world, 12)
        outputs = world.counted("outputs_total")
        assert outputs == {
            (STABLE, "cat"): 7.0,
            (STABLE, "other"): 5.0,
            (CANDIDATE, "dog"): 7.0,
            (CANDIDATE, "other"): 5.0,
        }


async def test_the_page_begins_with_every_outcome_at_zero() -> None:
    """
    So that the first disagreement is an increment, and not a new series.
    """
    async with comparing(telling(1), telling(1)) as world:
        status, page = await world.told("/metrics")
        assert status == 200
        for revision in (STABLE, CANDIDATE):
            assert f'modelramp_comparator_pairs_total{{outcome="disagree",revision="{revision}"}} 0.0' in page
        assert 'modelramp_comparator_requests_total{result="dropped"} 0.0' in page


async def test_an_error_of_ours_costs_one_pair_and_no_worker(caplog: pytest.LogCaptureFixture) -> None:
    """
    It is logged and counted, and the next request is compared.
    """
    async with comparing(telling(1), telling(1), **LABEL, concurrency=1) as world:
        ask, world.comparator._replays.ask = world.comparator._replays.ask, None  # type: ignore[assignment,method-assign]
        await world.send()
        await world.until("requests_total", 2)
        world.comparator._replays.ask = ask  # type: ignore[method-assign]
        assert await compared(world) == {(CANDIDATE, "agree"): 1.0}
        assert world.counted("requests_total") == {("taken",): 2.0, ("unpaired",): 1.0}
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == ["a pair was given up"]
