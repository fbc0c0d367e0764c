"""
The election while the API server does not answer. What it does with one is in the contracts.
"""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from modelramp.adapters.kubernetes.lease import DURATION_SECONDS, RENEW_DEADLINE_SECONDS, Elector, Timing
from modelramp.adapters.kubernetes.resources import Resource
from modelramp.ports import ConflictError, GoneError, Key, UnreachableError

LEASE = Key("ops", "modelramp")


class Leases:
    """
    The API server's part, for one Lease.
    """

    def __init__(self) -> None:
        """
        There is no Lease yet, and the server answers.
        """
        self.document: Mapping[str, Any] | None = None
        self.down = False
        self.version = 0
        self.requests: list[str] = []

    def _ask(self, what: str) -> None:
        self.requests.append(what)
        if self.down:
            raise UnreachableError("no answer")

    def _store(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        self.version += 1
        self.document = {**body, "metadata": {**body["metadata"], "resourceVersion": str(self.version)}}
        return self.document

    async def get(self, _resource: Resource, _key: Key) -> Mapping[str, Any]:
        """
        The Lease.
        """
        self._ask("get")
        if self.document is None:
            raise GoneError("none")
        return self.document

    async def create(self, _resource: Resource, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """
        Make it.
        """
        self._ask("create")
        if self.document is not None:
            raise ConflictError("exists")
        return self._store(body)

    async def replace(self, _resource: Resource, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """
        Write it, if it is the one last read.
        """
        self._ask("replace")
        if body["metadata"]["resourceVersion"] != str(self.version):
            raise ConflictError("changed")
        return self._store(body)


class Time:
    """
    Passes only while somebody sleeps; after each sleep the test may act.
    """

    def __init__(self) -> None:
        """
        Begins anywhere.
        """
        self.seconds = 500.0
        self.stop_at = float("inf")
        self.slept: list[float] = []

    def now(self) -> datetime:
        """
        Never moves: the wall clock decides nothing.
        """
        return datetime(2026, 1, 1, tzinfo=UTC)

    async def sleep(self, seconds: float) -> None:
        """
        Passes at once.
        """
        self.slept.append(seconds)
        self.seconds += seconds
        await asyncio.sleep(0)
        if self.seconds >= self.stop_at:
            raise asyncio.CancelledError


def elector(leases: Leases, time: Time, identity: str = "one", jitter: float = 0.5) -> Elector:
    timing = Timing(clock=time, monotonic=lambda: time.seconds, jitter=lambda: jitter, sleep=time.sleep)
    return Elector(leases, LEASE, identity, timing)  # type: ignore[arg-type]


async def test_a_leader_without_answers_steps_down_before_others_may_take_over() -> None:
    """After the renew deadline, which is well within the Lease's duration."""
    leases, time, lost = Leases(), Time(), list[float]()
    leader = elector(leases, time)
    assert await leader._attempt()
    began = time.seconds
    leases.down = True
    await leader.run(lambda: lost.append(time.seconds - began))
    assert lost
    assert RENEW_DEADLINE_SECONDS <= lost[0] < DURATION_SECONDS
    assert not leader.is_leader


async def test_a_short_outage_is_survived() -> None:
    """One missed renewal is none."""
    leases, time = Leases(), Time()
    leader = elector(leases, time)
    await leader._attempt()
    leases.down = True
    time.seconds += RENEW_DEADLINE_SECONDS / 2
    assert await leader._attempt()
    leases.down = False
    time.seconds += 2
    assert await leader._attempt()
    assert leader.valid_for() == DURATION_SECONDS


async def test_leadership_ends_by_itself_while_nothing_runs() -> None:
    """A blocked process finds out when it asks."""
    leases, time = Leases(), Time()
    leader = elector(leases, time)
    await leader._attempt()
    assert leader.valid_for() == DURATION_SECONDS
    time.seconds += RENEW_DEADLINE_SECONDS - 0.1
    assert leader.is_leader
    time.seconds += 0.1
    assert not leader.is_leader
    assert leader.valid_for() == 0


async def test_a_renewal_is_one_request() -> None:
    """Nobody else writes the Lease, so it need not be read again."""
    leases, time = Leases(), Time()
    leader = elector(leases, time)
    for _ in range(3):
        await leader._attempt()
    assert leases.requests == ["get", "create", "replace", "replace"]


async def test_a_late_own_write_costs_one_look_and_not_the_leadership() -> None:
    """Its answer was lost, so the remembered version is old."""
    leases, time = Leases(), Time()
    leader = elector(leases, time)
    await leader._attempt()
    assert leases.document is not None
    leases._store(leases.document)
    assert await leader._attempt()
    assert await leader._attempt()
    assert leases.requests[-3:] == ["replace", "get", "replace"]


async def test_those_who_wait_are_spread_in_time() -> None:
    """Else all of them try in the same moment."""
    leases, time = Leases(), Time()
    await elector(leases, time, "other")._attempt()
    time.stop_at = time.seconds + 10
    waiting = asyncio.create_task(elector(leases, time, jitter=0.5).run(lambda: None))
    await asyncio.wait([waiting])
    assert waiting.cancelled()
    assert set(time.slept) == {3.2}


async def test_a_lease_nobody_renews_is_taken_only_after_its_own_duration() -> None:
    """Whatever its times say; and one that is renewed is never taken."""
    leases, time = Leases(), Time()
    other, heir = elector(leases, time, "other"), elector(leases, time, "heir")
    await other._attempt()
    for _ in range(20):
        time.seconds += DURATION_SECONDS - 1
        leases.document = {**leases.document, "spec": {**leases.document["spec"], "renewTime": str(time.seconds)}}  # type: ignore[dict-item, index]
        assert not await heir._attempt()
    time.seconds += DURATION_SECONDS - 1
    assert not await heir._attempt()
    time.seconds += 1
    assert await heir._attempt()
    assert leases.document is not None
    assert leases.document["spec"]["leaseTransitions"] == 1
