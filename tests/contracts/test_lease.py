import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from contracts.kubernetes_worlds import ApiServerWorld

from modelramp.adapters.kubernetes.lease import DURATION_SECONDS, RENEW_DEADLINE_SECONDS, Elector, Timing
from modelramp.adapters.kubernetes.resources import LEASES
from modelramp.ports import Document, Key

pytestmark = pytest.mark.apiserver


class Time:
    """
    Time that passes when the test says so, or when somebody sleeps.
    """

    def __init__(self) -> None:
        """
        Begins anywhere.
        """
        self.seconds = 1000.0
        self.slept = asyncio.Event()

    def now(self) -> datetime:
        """
        A whole second, so that its fraction is zero.
        """
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=int(self.seconds))

    async def sleep(self, seconds: float) -> None:
        """
        Passes at once, and lets others run.
        """
        self.seconds += seconds
        self.slept.set()
        await asyncio.sleep(0.02)


def elector(real: ApiServerWorld, identity: str, time: Time) -> Elector:
    timing = Timing(clock=time, monotonic=lambda: time.seconds, jitter=lambda: 0.0, sleep=time.sleep)
    return Elector(real.transport, Key(real.namespace, "modelramp"), identity, timing)


async def lease(real: ApiServerWorld) -> Document:
    return await real.transport.get(LEASES, Key(real.namespace, "modelramp"))


async def stop(task: "asyncio.Task[None]") -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_the_first_replica_leads_and_releases(real: ApiServerWorld) -> None:
    """The Lease is made, renewed in place, and free at the end."""
    time, lost = Time(), list[str]()
    first = elector(real, "one", time)
    assert (first.is_leader, first.valid_for()) == (False, 0.0)
    task = asyncio.create_task(first.run(lambda: lost.append("one")))
    async with asyncio.timeout(10):
        await first.leading.wait()
    assert first.is_leader
    assert RENEW_DEADLINE_SECONDS < first.valid_for() <= DURATION_SECONDS
    taken = await lease(real)
    while (renewed := await lease(real))["spec"]["renewTime"] == taken["spec"]["renewTime"]:  # noqa: ASYNC110 - elsewhere
        await asyncio.sleep(0.02)
    assert renewed["spec"]["holderIdentity"] == "one"
    assert renewed["spec"]["leaseTransitions"] == 0
    assert renewed["spec"]["acquireTime"] == taken["spec"]["acquireTime"]
    await stop(task)
    assert (first.is_leader, first.leading.is_set(), lost) == (False, False, [])
    assert (await lease(real))["spec"]["holderIdentity"] == ""


async def test_the_second_replica_follows_a_release_at_once(real: ApiServerWorld) -> None:
    """And the change of leader is counted."""
    one, two = elector(real, "one", Time()), elector(real, "two", Time())
    first, second = asyncio.create_task(one.run(lambda: None)), None
    async with asyncio.timeout(10):
        await one.leading.wait()
        second = asyncio.create_task(two.run(lambda: None))
        await asyncio.sleep(0.3)
        assert not two.is_leader
        await stop(first)
        await two.leading.wait()
    spec = (await lease(real))["spec"]
    assert (spec["holderIdentity"], spec["leaseTransitions"]) == ("two", 1)
    await stop(second)


async def test_a_dead_leader_is_followed_when_its_lease_was_seen_unchanged_for_its_duration(
    real: ApiServerWorld,
) -> None:
    """However old its times look: clocks of two machines are not compared."""
    dead = elector(real, "dead", Time())
    assert await dead._attempt()
    time = Time()
    heir = elector(real, "heir", time)
    began = time.seconds
    assert not await heir._attempt()
    task = asyncio.create_task(heir.run(lambda: None))
    async with asyncio.timeout(10):
        await heir.leading.wait()
    assert time.seconds - began >= DURATION_SECONDS
    await stop(task)


async def test_a_leader_whose_lease_was_taken_steps_down(real: ApiServerWorld) -> None:
    """At its next renewal, and it does not take the Lease back."""
    lost = list[str]()
    one = elector(real, "one", Time())
    task = asyncio.create_task(one.run(lambda: lost.append("one")))
    async with asyncio.timeout(10):
        await one.leading.wait()
        patch = {"spec": {"holderIdentity": "thief", "renewTime": "2026-06-01T00:00:00.000000Z"}}
        await real.transport.merge_patch(LEASES, Key(real.namespace, "modelramp"), patch)
        await task
    assert (lost, one.is_leader, one.valid_for()) == (["one"], False, 0.0)
    assert (await lease(real))["spec"]["holderIdentity"] == "thief"
