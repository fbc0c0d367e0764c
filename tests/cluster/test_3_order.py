"""
Without the operator: the order of operations matters, the client can see it, and deletion needs nobody.
"""

import asyncio
import functools
import json
from dataclasses import dataclass

import pytest
from demo.rig import Rig, scale
from demo.sight import NAMESPACE
from demo.stage import SYSTEM, Stage

pytestmark = pytest.mark.cluster

SETTLE_SECONDS = 5
QUIET_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Moved:
    """
    What was lost in which second with the steps in the operator's order and in the other, and what was left afterwards.
    """

    right: dict[int, dict[str, int]]
    wrong: dict[int, dict[str, int]]
    left_at_once: list[str]
    left_when_the_operator_is_back: list[str]


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


async def _promote(rig: Rig, old: str, new: str, *, route_first: bool) -> dict[int, dict[str, int]]:
    """
    The promotion by hand, on the operator's own objects; what was lost until it was over.
    """
    move = functools.partial(_move, rig.stage, rig.name, new)
    shrink = functools.partial(scale, rig.stage, NAMESPACE, old, 0)
    for act in (move, shrink) if route_first else (shrink, move):
        await asyncio.to_thread(act)
        await asyncio.sleep(SETTLE_SECONDS)
    assert rig.client is not None
    return rig.client.snapshot().losses()


async def _arms(rig: Rig) -> tuple[str, str]:
    """
    Start version 2 beside version 1; the names of the old and the new Deployment once both serve.
    """
    rig.apply(2)
    sight = await rig.until(lambda sight: sight.phase == "Progressing" and bool(sight.verdicts), 120)
    status = sight.document["status"]
    return f"{rig.name}-{status['stable']['revision']}", f"{rig.name}-{status['candidate']['revision']}"


async def _story(stage: Stage) -> Moved:
    right, wrong = Rig(stage, "order-right"), Rig(stage, "order-wrong")
    await asyncio.gather(right.deploy(1), wrong.deploy(1))
    async with right.traffic(), wrong.traffic():
        (old_right, new_right), (old_wrong, new_wrong) = await asyncio.gather(_arms(right), _arms(wrong))
        await asyncio.to_thread(scale, stage, SYSTEM, "modelramp", 0)
        try:
            lost = await asyncio.gather(
                _promote(right, old_right, new_right, route_first=True),
                _promote(wrong, old_wrong, new_wrong, route_first=False),
            )
            await asyncio.gather(*(asyncio.to_thread(rig.delete) for rig in (right, wrong)))
            await asyncio.gather(right.gone(), wrong.gone())
            left = [*right.owned(), *wrong.owned()]
        finally:
            await asyncio.to_thread(scale, stage, SYSTEM, "modelramp", 1)
    await asyncio.sleep(QUIET_SECONDS)
    return Moved(lost[0], lost[1], left, [*right.owned(), *wrong.owned()])


@pytest.fixture(scope="module")
def moved(stage: Stage) -> Moved:
    """
    Two promotions by hand side by side while the operator is away, then the objects are deleted.
    """
    return asyncio.run(_story(stage))


def test_the_operators_order_loses_nothing(moved: Moved) -> None:
    """First the route, then the pods."""
    assert moved.right == {}


def test_the_other_order_loses_requests_and_the_client_sees_it(moved: Moved) -> None:
    """Were it nothing, the zeros of all the other tests would prove nothing."""
    assert sum(n for kinds in moved.wrong.values() for n in kinds.values()) >= 1


def test_everything_goes_with_the_object_while_the_operator_is_down(moved: Moved) -> None:
    """Garbage collection needs no operator, and one that comes back brings nothing back."""
    assert (moved.left_at_once, moved.left_when_the_operator_is_back) == ([], [])
