"""
The comparator at the end of a real Envoy's mirror: it finds what is there, drops what is too much, and makes no loop.

No API server is needed; they are of that rung for its Envoy, and because nothing else runs beside it.
"""

import asyncio
import json
import random
import statistics
from pathlib import Path
from typing import Final

import pytest
from contracts.comparator_gateway import Model, Process, Scene, behind_envoy
from contracts.comparator_world import CANDIDATE, STABLE

from modelramp.comparator.core import Lot, Sampling

pytestmark = pytest.mark.apiserver

PAIRS: Final = 10_000
PLANTED: Final = 0.03
Z_999: Final = 3.29  # two-sided, 99.9 % of a normal distribution
CONTROL: Final = 0.1
PART: Final = 500
SLOW: Final = 2.0  # seconds


def question(number: int, *, planted: bool = False) -> bytes:
    return json.dumps({"n": number, "planted": planted}).encode()


def questions() -> tuple[list[tuple[str, bytes]], int, int]:
    """
    As many as make that many pairs, the controls among them, and the planted ones among the pairs.
    """
    chance, sampling = random.Random(0), Sampling(1.0, CONTROL)
    asked: list[tuple[str, bytes]] = []
    pairs = planted_pairs = 0
    while pairs < PAIRS:
        name, planted = f"request-{len(asked)}", chance.random() < PLANTED
        is_pair = sampling.lot(name) is Lot.PAIR
        pairs += is_pair
        planted_pairs += is_pair and planted
        asked.append((name, question(len(asked), planted=planted)))
    return asked, len(asked) - pairs, planted_pairs


async def test_a_planted_disagreement_is_found_as_large_as_it_is(tmp_path: Path) -> None:
    """
    Exactly those that were planted, and so 3 % within the 99.9 % interval of 10,000 pairs; users see the stable model.
    """
    asked, controls, planted = questions()
    options = ("--extract=outputs[0].data[0]", "--control=10%", "--queue=20000", "--timeout=30s")
    async with behind_envoy(tmp_path, Model(), Model(faithful=False), *options) as scene:
        for done in range(0, len(asked), PART):  # Envoy waits a second for a connection, and drops the copy then
            await scene.client.send(asked[done : done + PART], connections=16, rate=None)
            await scene.comparator.until("requests_total", min(done + PART, len(asked)))
        pairs = await scene.comparator.until("pairs_total", len(asked))
        requests, outputs = [await scene.comparator.counted(family) for family in ("requests_total", "outputs_total")]
    assert scene.client.statuses == {200: len(asked)}
    assert requests == {("taken",): len(asked)}
    assert pairs == {
        (CANDIDATE, "agree"): PAIRS - planted,
        (CANDIDATE, "disagree"): planted,
        (STABLE, "agree"): controls,
    }
    assert abs(planted / PAIRS - PLANTED) < Z_999 * (PLANTED * (1 - PLANTED) / PAIRS) ** 0.5
    assert scene.candidate.planted == planted
    assert (scene.stable.answered, scene.candidate.answered) == (len(asked) + PAIRS + 2 * controls, PAIRS)
    assert {revision: sum(n for (r, _), n in outputs.items() if r == revision) for revision in (STABLE, CANDIDATE)} == {
        STABLE: PAIRS,
        CANDIDATE: PAIRS,
    }


async def test_overload_is_dropped_and_counted_and_users_do_not_wait(tmp_path: Path) -> None:
    """
    A candidate that takes two seconds, and room for eight: what was sent was taken or dropped, and users' median answer
    does not take a tenth of those seconds longer with the mirror than without it, in turns.
    """
    seconds: dict[bool, list[float]] = {False: [], True: []}
    options = ("--queue=8", "--concurrency=8", "--control=0%")
    async with behind_envoy(tmp_path, Model(), Model(wait_seconds=SLOW), *options) as scene:
        for turn, on in enumerate((False, True) * 3):
            await scene.mirror(on=on)
            part = [(f"turn-{turn}-{number}", question(number)) for number in range(500)]
            seconds[on] += await scene.client.send(part, connections=8, rate=400)
        requests = await scene.comparator.until("requests_total", 1500)
        pairs = await scene.comparator.until("pairs_total", requests["taken",])
    assert scene.client.statuses == {200: 3000}
    assert requests.keys() == {("taken",), ("dropped",)}
    assert sum(requests.values()) == 1500
    assert pairs == {(CANDIDATE, "agree"): requests["taken",]}
    assert requests["dropped",] > 500
    without, with_mirror = (statistics.median(seconds[on]) for on in (False, True))
    assert with_mirror - without < SLOW / 10, f"{with_mirror:.4f} s with the mirror, {without:.4f} s without"


async def test_a_mirror_of_a_mirror_makes_no_loop(tmp_path: Path) -> None:
    """
    By mistake both revisions' address is the route, whose mirror leads back: each replay comes back once and no more.
    """
    async with behind_envoy(tmp_path, Model(), Model()) as scene:
        looped = Process(scene.client.port, scene.client.port, "--control=0%")
        async with looped.running():
            scene.gateway.route(scene.stable.port, looped.port)
            await asyncio.sleep(0.3)
            await scene.client.send([(str(number), question(number)) for number in range(50)], 4, rate=None)
            assert await looped.until("requests_total", 150) == {("taken",): 50, ("loop",): 100}
            await _nothing_more(scene, looped)


async def _nothing_more(scene: Scene, looped: Process) -> None:
    await asyncio.sleep(1.0)
    assert await looped.counted("requests_total") == {("taken",): 50, ("loop",): 100}
    assert await looped.counted("pairs_total") == {(CANDIDATE, "agree"): 50}
    assert scene.stable.answered == 150
