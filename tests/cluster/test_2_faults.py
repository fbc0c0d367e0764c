"""
Killed operators, a Prometheus that is away, an API server that restarts: the rollouts end as they would have.
"""

import asyncio
import random

import pytest
from demo.outages import play_outages
from demo.rig import Rig, cancelled, failed, guilty, keep_killing, returned, scale, stable_at
from demo.stage import Stage

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


def test_outages_hold_the_rollout_and_it_goes_on_by_itself(stage: Stage) -> None:
    """Prometheus is away for a minute in the first step, the API server for half a minute in the second."""
    seen = asyncio.run(play_outages(stage, "outages"))
    assert seen.shares_while_away == ("10%",)
    assert seen.outcome == "Stable"
    assert (seen.counts.lost, guilty(seen.counts)) == (0, set())
    assert seen.counted_twice == ()
    Rig(stage, "outages").delete()


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
