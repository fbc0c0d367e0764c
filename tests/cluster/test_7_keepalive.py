"""
A plain Service on the real cluster, and clients that keep their connections: the candidate's share of the ready pods
and its share of the requests differ, both are shown, and the step is held.
"""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import pytest
from demo.client import LoadClient, Snapshot
from demo.sight import NAMESPACE, Sight, look
from demo.stage import Stage
from soak.__main__ import add_server
from soak.lanes import Kind, Router, Strategy
from soak.manifest import manifest
from soak.ways import BODY
from soak_evidence.play import clean, prepare_namespace

pytestmark = pytest.mark.cluster

KIND: Final = Kind(Strategy.CANARY, Router.SERVICE)
RATE: Final = 16.0
LONGEST_SECONDS: Final = 240.0
LOOK_SECONDS: Final = 0.5


@dataclass(frozen=True, slots=True)
class Held:
    """
    The first step, while it was held.
    """

    traffic: dict[str, Any]
    """`status.traffic`."""
    message: str
    """Of the condition TrafficSplitMismatch."""
    answers: dict[str | None, int]
    """What the clients counted, by version, from when the candidate's pod was behind the Service on."""
    before: Snapshot
    after: Snapshot


async def _until(stage: Stage, wanted: Callable[[Sight], bool], what: str) -> Sight:
    end = time.monotonic() + LONGEST_SECONDS
    while not wanted(sight := await look(stage, KIND.name)):
        assert time.monotonic() < end, f"waited for {what}: {sight.phase}: {sight.message}"
        await asyncio.sleep(LOOK_SECONDS)
    return sight


def _ask_for(stage: Stage, version: str) -> None:
    text = manifest(KIND, version, namespace=NAMESPACE, gateway=stage.gateway)
    stage.kubectl("-n", NAMESPACE, "apply", "-f", "-", text=text)


@asynccontextmanager
async def _clients(stage: Stage) -> AsyncIterator[LoadClient]:
    """
    They never close a connection by themselves, and are never idle for as long as a server would bear.
    """
    service = stage.get("-n", NAMESPACE, "service", KIND.name)["spec"]
    url = f"http://{service['clusterIP']}:{service['ports'][0]['port']}/v2/models/digits/infer"
    client, stop = LoadClient(url, KIND.name, [BODY], RATE), asyncio.Event()
    running = asyncio.create_task(client.run(stop, 3 * LONGEST_SECONDS))
    try:
        yield client
    finally:
        stop.set()
        await running


async def _play(stage: Stage) -> Held:
    _ask_for(stage, "1")
    await _until(stage, lambda sight: sight.phase == "Stable", "version 1")
    async with _clients(stage) as client:
        await asyncio.sleep(10)
        _ask_for(stage, "2")
        await _until(stage, lambda sight: "inPlaceSince" in _step(sight), "the first step in place")
        before = client.snapshot()
        sight = await _until(stage, lambda sight: "TrafficSplitMismatch" in sight.conditions, "the mismatch told")
        after = client.snapshot()
        _ask_for(stage, "1")
        await _until(stage, lambda sight: sight.phase == "Stable" and sight.candidate == "-", "version 1 alone again")
    status = sight.document["status"]
    told = next(one for one in status["conditions"] if one["type"] == "TrafficSplitMismatch")
    answers: Counter[str | None] = Counter()
    for (version, code), number in after.answers.items():
        answers[version] += number - before.answers.get((version, code), 0)
    return Held(status["traffic"], told["message"], dict(answers), before, client.snapshot())


def _step(sight: Sight) -> dict[str, Any]:
    found: dict[str, Any] = sight.document.get("status", {}).get("step") or {}
    return found


@pytest.fixture(scope="module")
def held(stage: Stage) -> Held:
    """
    Played once.
    """
    add_server(stage)
    prepare_namespace(stage)
    try:
        return asyncio.run(_play(stage))
    finally:
        clean(stage, [KIND.name])


def _percent(share: str) -> float:
    return float(share.removesuffix("%"))


def test_both_shares_are_shown_and_differ(held: Held) -> None:
    """Half of the ready pods are the candidate's, and far fewer of the requests."""
    assert (held.traffic["wanted"], held.traffic["programmed"]) == ("50%", "50%")
    assert _percent(held.traffic["observed"]) < 50 * 0.75
    assert "contradicts" in held.message


def test_the_clients_count_the_same(held: Held) -> None:
    """By their own count, so the difference is one of the traffic and not of the counting."""
    total = sum(held.answers.values())
    assert total > 50
    assert 100 * held.answers.get("2", 0) / total < 50 * 0.75


def test_no_request_is_lost(held: Held) -> None:
    """Neither while the step was held nor on the way back."""
    assert held.before.lost == 0
    assert held.after.lost == 0
