"""
Killed operators, a Prometheus that is away, an API server that restarts: the rollouts end as they would have.
"""

import asyncio
import os
import random
import signal
import subprocess
import sys

import pytest
from demo.rig import Rig, cancelled, failed, guilty, keep_killing, returned, scale, stable_at
from demo.stage import ROOT, Stage

pytestmark = pytest.mark.cluster

QUIET_SECONDS = 10


def test_a_killed_operator_changes_no_outcome(stage: Stage) -> None:
    """A good and a bad version side by side, the operator killed every few seconds at seeded random moments."""

    async def play() -> tuple[Rig, Rig]:
        good, bad = Rig(stage, "killed-good"), Rig(stage, "killed-bad")
        await asyncio.gather(good.deploy(1), bad.deploy(1))
        moments = random.Random(7)
        pauses = [moments.uniform(4, 16) for _ in range(60)]
        async with good.traffic(), bad.traffic():
            killer = asyncio.create_task(keep_killing(stage, pauses))
            try:
                good.apply(2)
                bad.apply(3)
                await asyncio.gather(good.until(lambda sight: stable_at(sight, 2), 400), bad.until(failed, 400))
                rejected = bad.client.snapshot().answers if bad.client else {}
                await asyncio.sleep(QUIET_SECONDS)  # still killing: nothing may come back
            finally:
                await cancelled(killer)
            after = bad.client.snapshot().answers if bad.client else {}
            assert {key: n for key, n in after.items() if key[0] == "3"} == {
                key: n for key, n in rejected.items() if key[0] == "3"
            }
        return good, bad

    good, bad = asyncio.run(play())
    for rig, version in ((good, "2"), (bad, "3")):
        counts = rig.client.snapshot()
        assert (counts.lost, guilty(counts) - {"3"}) == (0, set())
        assert rig.counted_twice(version) == []
    assert returned(bad.client.snapshot(), "3") == 0, "its share came back before the rollback was over"
    good.delete()
    bad.delete()


async def api_server_down(seconds: float) -> None:
    """
    The API server's process is killed, and healed by the cluster's own `up` after so many seconds.
    """
    tool = [sys.executable, str(ROOT / "hack/cluster")]
    status = await asyncio.to_thread(subprocess.run, [*tool, "status"], text=True, capture_output=True, check=False)
    pid = next(int(line.split()[-1]) for line in status.stdout.splitlines() if line.startswith("apiserver "))
    os.kill(pid, signal.SIGKILL)
    await asyncio.sleep(seconds)
    environment = {**os.environ, "MODELRAMP_EMBEDDED": "1"}
    await asyncio.to_thread(subprocess.run, [*tool, "up"], check=True, capture_output=True, env=environment)


def unreachable(rig: Rig) -> bool:
    """
    The last look's condition says that the metrics cannot be read.
    """
    return rig.looks[-1][1].conditions.get("AnalysisPassing") == "Unknown MetricSourceUnreachable"


def test_outages_hold_the_rollout_and_it_goes_on_by_itself(stage: Stage) -> None:
    """Prometheus is away for a minute in the first step, the API server for half a minute in the second."""

    async def play() -> Rig:
        rig = Rig(stage, "outages")
        await rig.deploy(1)
        async with rig.traffic():
            rig.apply(2)
            await rig.until(lambda sight: bool(sight.verdicts) and sight.step.startswith("1/"), 120)
            await asyncio.to_thread(scale, stage, "monitoring", "prometheus", 0)
            await rig.until(lambda _: unreachable(rig), 45)
            for _ in range(40):
                sight = await rig.look()
                assert sight.step.startswith("1/")
                await asyncio.sleep(1)
            await asyncio.to_thread(scale, stage, "monitoring", "prometheus", 1)
            await rig.until(lambda sight: sight.step.startswith("2/"), 180)
            await api_server_down(30)
            await rig.until(lambda sight: stable_at(sight, 2), 240)
        return rig

    rig = asyncio.run(play())
    counts = rig.client.snapshot()
    assert (counts.lost, guilty(counts)) == (0, set())
    assert rig.counted_twice("2") == []
    rig.delete()


def test_everything_goes_with_the_object_also_while_the_operator_is_down(stage: Stage) -> None:
    """Garbage collection needs no operator, and one that comes back brings nothing back."""

    async def play() -> None:
        here, away = Rig(stage, "deleted"), Rig(stage, "deleted-alone")
        await asyncio.gather(here.deploy(1), away.deploy(1))
        assert here.owned()
        here.delete()
        await here.gone()
        await asyncio.to_thread(scale, stage, "modelramp-system", "modelramp", 0)
        try:
            away.delete()
            await away.gone()
        finally:
            await asyncio.to_thread(scale, stage, "modelramp-system", "modelramp", 1)
        await asyncio.sleep(QUIET_SECONDS)
        assert (here.owned(), away.owned()) == ([], [])

    asyncio.run(play())
