"""
The order of operations matters, and the client can see it: the wrong order costs requests.
"""

import asyncio
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


@pytest.mark.parametrize("right", [True, False])
def test_scaling_down_before_the_route_moved_loses_requests(stage: Stage, right: bool) -> None:  # noqa: FBT001
    """With the operator away, the promotion done by hand: in the product's order nothing is lost, swapped 503s are."""

    async def play() -> int:
        rig = Rig(stage, "order-right" if right else "order-wrong")
        await rig.deploy(1)
        async with rig.traffic() as client:
            rig.apply(2)
            sight = await rig.until(lambda sight: sight.phase == "Progressing" and bool(sight.verdicts), 120)
            status = sight.document["status"]
            old = f"{rig.name}-{status['stable']['revision']}"
            new = f"{rig.name}-{status['candidate']['revision']}"
            await asyncio.to_thread(scale, stage, "modelramp-system", "modelramp", 0)
            try:
                if right:
                    _move(stage, rig.name, new)
                    await asyncio.sleep(5)
                    await asyncio.to_thread(scale, stage, NAMESPACE, old, 0)
                else:
                    await asyncio.to_thread(scale, stage, NAMESPACE, old, 0)
                    await asyncio.sleep(5)
                    _move(stage, rig.name, new)
                await asyncio.sleep(5)
                lost = client.snapshot().lost
                rig.delete()
            finally:
                await asyncio.to_thread(scale, stage, "modelramp-system", "modelramp", 1)
        return lost

    lost = asyncio.run(play())
    assert lost == 0 if right else lost >= 1
