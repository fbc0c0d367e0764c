"""
The engine, in virtual time: what it does with the ways a cycle ends.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from unit.reconcile.virtual_time import run

from modelramp.ports import ConflictError, DeniedError, Key, UnreachableError
from modelramp.reconcile.engine import CYCLE_LIMIT_SECONDS, Engine

A, B = Key("ml", "a"), Key("ml", "b")
Cycle = Callable[[Key], Awaitable[datetime | None]]


class LoopClock:
    """
    The virtual time as a wall clock.
    """

    def now(self) -> datetime:
        return datetime.fromtimestamp(asyncio.get_running_loop().time(), UTC)


class Bench:
    """
    An engine with two workers, and a record of what it did.
    """

    def __init__(self, cycle: Cycle, *, leads: bool = True) -> None:
        self.leads = leads
        self.outcomes: list[str] = []
        self.looks: list[tuple[float, Key]] = []
        self._cycle = cycle
        self.engine = Engine(self._look, LoopClock(), lambda: self.leads, self.outcomes.append)

    async def _look(self, key: Key) -> datetime | None:
        self.looks.append((asyncio.get_running_loop().time(), key))
        return await self._cycle(key)

    async def work(self, seconds: float) -> None:
        workers = [asyncio.create_task(self.engine.work()) for _ in range(2)]
        await asyncio.sleep(seconds)
        for worker in workers:
            worker.cancel()
            with suppress(asyncio.CancelledError):
                await worker

    def times(self, key: Key) -> list[float]:
        return [round(at - self.looks[0][0], 1) for at, looked in self.looks if looked == key]


def ran(cycle: Cycle, *keys: Key, seconds: float = 60.0, leads: bool = True) -> Bench:
    """
    An engine that worked for so long on these keys.
    """

    async def main() -> Bench:
        bench = Bench(cycle, leads=leads)
        for key in keys:
            bench.engine.queue.add(key)
        await bench.work(seconds)
        return bench

    return run(main)


async def at_rest(_: Key) -> datetime | None:
    """
    Nothing more to do.
    """
    return None


def test_an_object_at_rest_is_looked_at_once() -> None:
    """
    And costs nothing afterwards.
    """
    bench = ran(at_rest, A, seconds=86400)
    assert (bench.times(A), bench.outcomes) == ([0.0], ["done"])


def test_an_object_is_looked_at_again_when_the_cycle_says() -> None:
    """
    At that instant, not before.
    """

    async def every_ten(_: Key) -> datetime | None:
        return LoopClock().now() + timedelta(seconds=10)

    assert ran(every_ten, A, seconds=35).times(A) == [0.0, 10.0, 20.0, 30.0]


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (ConflictError("somebody was first"), "conflict"),
        (UnreachableError("no answer"), "unreachable"),
        (DeniedError("cannot patch"), "unreachable"),
        (ZeroDivisionError("a bug"), "broken"),
        (AssertionError("a bug"), "broken"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_a_failed_cycle_is_tried_again_later_each_time(error: Exception, outcome: str) -> None:
    """
    Whatever failed, with growing pauses up to the cap, and for ever.
    """

    async def fails(_: Key) -> datetime | None:
        raise error

    bench = ran(fails, A, seconds=600)
    times = bench.times(A)
    pauses = [b - a for a, b in pairwise(times)]
    assert set(bench.outcomes) == {outcome}
    assert pauses[0] <= 0.6
    assert max(pauses) <= 30.1
    assert 20 <= len(times) <= 60


def test_a_broken_cycle_does_not_stop_the_others(caplog: pytest.LogCaptureFixture) -> None:
    """
    One object's bug is one object's trouble, and is logged with its traceback.
    """

    async def one_breaks(key: Key) -> datetime | None:
        if key == A:
            raise ZeroDivisionError
        return LoopClock().now() + timedelta(seconds=1)

    bench = ran(one_breaks, A, B, seconds=30)
    assert len(bench.times(B)) in (29, 30, 31)
    assert len(bench.times(A)) > 3
    assert "ZeroDivisionError" in caplog.text


def test_a_cycle_that_hangs_is_given_up_and_tried_again() -> None:
    """
    After its limit; the other worker goes on meanwhile.
    """

    async def hangs(key: Key) -> datetime | None:
        if key == A:
            await asyncio.sleep(86400)
        return LoopClock().now() + timedelta(seconds=1)

    bench = ran(hangs, A, B, seconds=CYCLE_LIMIT_SECONDS + 5)
    assert bench.times(A)[1] == pytest.approx(CYCLE_LIMIT_SECONDS, abs=1)
    assert "unreachable" in bench.outcomes
    assert len(bench.times(B)) > CYCLE_LIMIT_SECONDS


def test_a_success_forgets_the_failures() -> None:
    """
    The next failure waits briefly again.
    """
    calls = iter(range(1000))

    async def mostly_fails(_: Key) -> datetime | None:
        if next(calls) % 8 == 7:
            return LoopClock().now()
        raise UnreachableError("no answer")

    times = ran(mostly_fails, A, seconds=300).times(A)
    assert times[9] - times[8] <= 0.6


def test_a_replica_that_does_not_lead_does_nothing() -> None:
    """
    It keeps its store warm, and what it is woken for waits: it costs a glance every half a minute.
    """
    bench = ran(at_rest, A, B, leads=False, seconds=600)
    assert (bench.looks, bench.outcomes, len(bench.engine.queue)) == ([], [], 2)


def test_what_is_due_while_the_lease_is_renewed_late_is_looked_at_afterwards() -> None:
    """
    The leadership comes back by itself, and nothing is added anew: an object that was forgotten would stand still
    until the next resync.
    """

    async def main() -> Bench:
        bench = Bench(at_rest, leads=False)
        for key in (A, B):
            bench.engine.queue.add(key)
        work = asyncio.create_task(bench.work(10))
        await asyncio.sleep(3)
        bench.leads = True
        await work
        return bench

    bench = run(main)
    assert sorted(key for _, key in bench.looks) == [A, B]
    assert bench.outcomes == ["done", "done"]


def test_a_leader_that_loses_the_leadership_stops_at_once() -> None:
    """
    The very next cycle is not begun.
    """

    async def main() -> Bench:
        async def once_a_second(_: Key) -> datetime | None:
            if len(bench.looks) == 3:
                bench.leads = False
            return LoopClock().now() + timedelta(seconds=1)

        bench = Bench(once_a_second)
        bench.engine.queue.add(A)
        await bench.work(60)
        return bench

    assert len(run(main).looks) == 3


def test_one_object_is_never_worked_on_twice_at_a_time() -> None:
    """
    However often it is woken, and however many workers wait.
    """

    async def main() -> int:
        running, most = 0, 0

        async def slow(_: Key) -> datetime | None:
            nonlocal running, most
            running += 1
            most = max(most, running)
            bench.engine.queue.add(A)
            await asyncio.sleep(1)
            running -= 1
            return None

        bench = Bench(slow)
        bench.engine.queue.add(A)
        await bench.work(20)
        assert len(bench.looks) > 10
        return most

    assert run(main) == 1
