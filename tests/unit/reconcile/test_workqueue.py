"""
The queue, in virtual time.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from unit.reconcile.virtual_time import run

from modelramp.ports import Key
from modelramp.reconcile.workqueue import BACK_OFF_FIRST_SECONDS, BACK_OFF_MOST_SECONDS, WorkQueue

A, B = Key("ml", "a"), Key("ml", "b")
SOON = 0.01


def in_virtual_time(
    test: Callable[[WorkQueue], Coroutine[Any, Any, None]],
) -> Callable[[], None]:
    """
    The test gets a queue of a loop whose time jumps.
    """

    def whole() -> None:
        async def main() -> None:
            await test(WorkQueue())

        run(main)

    whole.__doc__ = test.__doc__
    whole.__name__ = test.__name__
    return whole


async def taken(queue: WorkQueue, within: float = SOON) -> list[Key]:
    """
    All keys that can be taken within so many seconds; they stay taken.
    """
    keys: list[Key] = []
    try:
        async with asyncio.timeout(within):
            while True:
                keys.append(await queue.take())
    except TimeoutError:
        return keys


@in_virtual_time
async def test_a_key_added_thrice_is_looked_at_once(queue: WorkQueue) -> None:
    """
    No duplicates.
    """
    for _ in range(3):
        queue.add(A)
    queue.add(B)
    assert await taken(queue) == [A, B]


@in_virtual_time
async def test_a_key_woken_while_worked_on_is_looked_at_once_more_afterwards(queue: WorkQueue) -> None:
    """
    Never by two workers at a time, and never forgotten.
    """
    queue.add(A)
    assert await queue.take() == A
    queue.add(A)
    queue.add(A)
    assert await taken(queue) == []
    queue.done(A)
    assert await taken(queue) == [A]
    queue.done(A)
    assert await taken(queue) == []


@in_virtual_time
async def test_the_earliest_wake_up_wins_whatever_the_order(queue: WorkQueue) -> None:
    """
    A later one neither replaces nor repeats it.
    """
    queue.add_after(A, 10)
    queue.add_after(A, 5)
    queue.add_after(A, 20)
    assert await taken(queue, 4.9) == []
    assert await taken(queue, 0.2) == [A]
    queue.done(A)
    assert await taken(queue, 60) == []


@in_virtual_time
async def test_a_key_woken_before_its_time_is_not_looked_at_again_at_that_time(queue: WorkQueue) -> None:
    """
    The look it waited for has happened.
    """
    queue.add_after(A, 10)
    queue.add(A)
    assert await queue.take() == A
    queue.done(A)
    assert await taken(queue, 60) == []


@in_virtual_time
async def test_a_wake_up_that_falls_due_while_the_key_is_worked_on_comes_afterwards(queue: WorkQueue) -> None:
    """
    It is not lost.
    """
    queue.add(A)
    assert await queue.take() == A
    queue.add_after(A, 5)
    assert await taken(queue, 10) == []
    queue.done(A)
    assert await taken(queue) == [A]


@pytest.mark.parametrize("seconds", [0, -3.5])
def test_a_wake_up_that_is_due_is_now(seconds: float) -> None:
    """
    Zero and the past.
    """

    async def main() -> list[Key]:
        queue = WorkQueue()
        queue.add_after(A, seconds)
        return await taken(queue)

    assert run(main) == [A]


@in_virtual_time
async def test_delays_double_up_to_the_cap_with_jitter_below(queue: WorkQueue) -> None:
    """
    Each lies between half of its bound and the bound, and the key comes back exactly then.
    """
    queue.add(A)
    loop = asyncio.get_running_loop()
    assert await queue.take() == A
    for failures in range(12):
        before, bound = loop.time(), min(BACK_OFF_MOST_SECONDS, BACK_OFF_FIRST_SECONDS * 2**failures)
        delay = queue.failed(A)
        assert bound / 2 <= delay <= bound
        assert await queue.take() == A
        assert loop.time() - before == pytest.approx(delay, abs=0.01)


@in_virtual_time
async def test_jitter_spreads_keys_that_fail_together(queue: WorkQueue) -> None:
    """
    A hundred keys do not come back at one instant.
    """
    keys = [Key("ml", f"m{number}") for number in range(100)]
    for key in keys:
        queue.add(key)
    delays = [queue.failed(await queue.take()) for _ in keys]
    assert len({round(delay, 4) for delay in delays}) > 50
    assert sorted(await taken(queue, 1)) == sorted(keys)


@in_virtual_time
async def test_a_success_forgets_the_failures(queue: WorkQueue) -> None:
    """
    The next back-off begins small again.
    """
    queue.add(A)
    for _ in range(8):
        assert await queue.take() == A
        queue.failed(A)
    assert await queue.take() == A
    queue.done(A)
    queue.add(A)
    assert await queue.take() == A
    assert queue.failed(A) <= BACK_OFF_FIRST_SECONDS


@in_virtual_time
async def test_news_about_a_failing_key_do_not_wait_for_its_back_off(queue: WorkQueue) -> None:
    """
    What changed may be the cure.
    """
    queue.add(A)
    for _ in range(8):
        assert await queue.take() == A
        queue.failed(A)
    queue.add(A)
    assert await taken(queue) == [A]


@in_virtual_time
async def test_the_length_counts_each_key_once(queue: WorkQueue) -> None:
    """
    Ready, waiting for its time, or worked on.
    """
    assert len(queue) == 0
    queue.add(A)
    queue.add_after(B, 5)
    assert len(queue) == 2
    assert await queue.take() == A
    queue.add(A)
    queue.add_after(A, 5)
    assert len(queue) == 2
    queue.done(A)
    assert await taken(queue, 10) == [A, B]
    queue.done(A)
    queue.done(B)
    assert len(queue) == 0
