"""
Killed operators, a Prometheus that is away, an API server that restarts: the rollouts end as they would have.
"""

import asyncio
import random
import time
from dataclasses import dataclass
from itertools import accumulate

import pytest
from demo.outages import play_outages
from demo.rig import Rig, answers_by_version, cancelled, failed, guilty, keep_killing, returned, stable_at
from demo.stage import Stage

pytestmark = pytest.mark.cluster

QUIET_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Killed:
    """
    A good and a bad version side by side under a load of their own, while the operator was killed again and again.
    """

    good: Rig
    bad: Rig
    kills: int
    late: int
    """Answers of the rejected version after the object said Failed, the killing going on."""
    left: list[str]
    """What was still there after both objects had been deleted."""


async def _story(stage: Stage) -> Killed:
    good, bad = Rig(stage, "killed-good"), Rig(stage, "killed-bad")
    await asyncio.gather(good.deploy(1), bad.deploy(1))
    moments = random.Random(7)
    pauses = [moments.uniform(4, 16) for _ in range(60)]
    began = time.monotonic()
    async with good.traffic(), bad.traffic() as client:
        killer = asyncio.create_task(keep_killing(stage, pauses))
        try:
            good.apply(2)
            bad.apply(3)
            await asyncio.gather(good.until(lambda sight: stable_at(sight, 2), 400), bad.until(failed, 400))
            rejected = answers_by_version(client.snapshot()).get("3", 0)
            await asyncio.sleep(QUIET_SECONDS)  # still killing: nothing may come back
        finally:
            await cancelled(killer)
        late = answers_by_version(client.snapshot()).get("3", 0) - rejected
    passed = time.monotonic() - began
    for rig in (good, bad):
        rig.delete()
    await asyncio.gather(good.gone(), bad.gone())
    kills = sum(at < passed for at in accumulate(pauses))
    return Killed(good, bad, kills, late, [*good.owned(), *bad.owned()])


@pytest.fixture(scope="module")
def killed(stage: Stage) -> Killed:
    """
    The story, played once. That both rollouts end as they should is what it waits for.
    """
    return asyncio.run(_story(stage))


def test_killed_operators_lose_no_request(killed: Killed) -> None:
    """Every failed answer is signed by the bad version; the operator died several times, or this shows nothing."""
    assert killed.kills >= 3
    for rig in (killed.good, killed.bad):
        assert rig.client is not None
        counts = rig.client.snapshot()
        assert (counts.losses(), guilty(counts) - {"3"}) == ({}, set())


def test_killed_operators_count_nothing_twice(killed: Killed) -> None:
    """At no look did the evidence claim more requests than the client had made by then."""
    assert (killed.good.counted_twice("2"), killed.bad.counted_twice("3")) == ([], [])


def test_killed_operators_bring_no_traffic_back(killed: Killed) -> None:
    """Once its share was gone, the rejected version answers nothing more."""
    assert killed.bad.client is not None
    assert (returned(killed.bad.client.snapshot(), "3"), killed.late) == (0, 0)


def test_everything_goes_with_the_object(killed: Killed) -> None:
    """Deployments, pods, Services and the route, with the operator up."""
    assert killed.left == []


def test_outages_hold_the_rollout_and_it_goes_on_by_itself(stage: Stage) -> None:
    """Prometheus is away for a minute in the first step, the API server for half a minute in the second."""
    seen = asyncio.run(play_outages(stage, "outages"))
    assert seen.shares_while_away == ("10%",)
    assert seen.outcome == "Stable"
    assert (seen.counts.losses(), guilty(seen.counts)) == ({}, set())
    assert seen.counted_twice == ()
    Rig(stage, "outages").delete()
