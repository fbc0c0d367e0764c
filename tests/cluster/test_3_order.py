"""
The order of operations matters, and the client can see it: the wrong order costs requests.
"""

import asyncio
import functools
import json

import pytest
from demo.rig import Rig, scale
from demo.sight import NAMESPACE
from demo.stage import Stage

pytestmark = pytest.mark.cluster


def _move(stage: Stage, name: str, to: str) -> None:
    """
    Give the Service everything on the route.
    """
    route = stage.get("-n", NAMESPACE, "httproute", name)
    backends = route["spec"]["rules"][0]["backendRefs"]
    changes = [
        {"op": "replace", "path": f"/spec/rules/0/backendRefs/{n}/weight", "value": 100 if backend["name"] == to else 0}
        for n, backend in enumerate(backends)
    ]
    stage.kubectl("-n", NAMESPACE, "patch", "httproute", name, "--type=json", "-p", json.dumps(changes))


async def _ready_to_promote(rig: Rig) -> tuple[str, str]:
    """
    A rollout in its first step, with counts: the names of the old and the new revision's objects.
    """
    rig.apply(2)
    sight = await rig.until(lambda sight: sight.phase == "Progressing" and bool(sight.verdicts), 120)
    status = sight.document["status"]
    return f"{rig.name}-{status['stable']['revision']}", f"{rig.name}-{status['candidate']['revision']}"


async def _promote(rig: Rig, old: str, new: str, *, route_first: bool) -> None:
    """
    The promotion done by hand; in the product's order the route moves first.
    """
    move = functools.partial(_move, rig.stage, rig.name, new)
    shrink = functools.partial(scale, rig.stage, NAMESPACE, old, 0)
    for act in (move, shrink) if route_first else (shrink, move):
        await asyncio.to_thread(act)
        await asyncio.sleep(5)


def test_scaling_down_before_the_route_moved_loses_requests(stage: Stage) -> None:
    """With the operator away, the promotion by hand: in the product's order nothing is lost, swapped 503s are."""

    async def play() -> tuple[int, int]:
        right, wrong = Rig(stage, "order-right"), Rig(stage, "order-wrong")
        await asyncio.gather(right.deploy(1), wrong.deploy(1))
        async with right.traffic() as well, wrong.traffic() as badly:
            names = await asyncio.gather(_ready_to_promote(right), _ready_to_promote(wrong))
            await asyncio.to_thread(scale, stage, "modelramp-system", "modelramp", 0)
            try:
                await asyncio.gather(
                    _promote(right, *names[0], route_first=True), _promote(wrong, *names[1], route_first=False)
                )
                lost = well.snapshot().lost, badly.snapshot().lost
                right.delete()
                wrong.delete()
            finally:
                await asyncio.to_thread(scale, stage, "modelramp-system", "modelramp", 1)
        return lost

    in_order, swapped = asyncio.run(play())
    assert in_order == 0
    assert swapped >= 1
