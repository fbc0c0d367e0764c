"""
The work queue against a model of it: no wake-up is lost, none is doubled, in any order of calls.
"""

import asyncio
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st
from unit.reconcile.virtual_time import run

from modelramp.ports import Key
from modelramp.reconcile.workqueue import WorkQueue

KEYS = [Key("ml", name) for name in "ab"]
SLACK = 0.01  # timers ring up to a millisecond early

Call = tuple[str, Key, float]
CALLS = st.lists(
    st.tuples(
        st.sampled_from(["add", "add", "after", "take", "take", "done", "failed", "wait", "wait"]),
        st.sampled_from(KEYS),
        st.sampled_from([-1.0, 0.0, 0.3, 1.0, 2.0, 5.0, 60.0]),
    ),
    max_size=60,
)


@dataclass
class Model:
    """
    What a queue owes: for each key when it must be handed out, and whether somebody works on it.
    """

    now: float = 0.0
    owed: dict[Key, float] = field(default_factory=dict)
    running: set[Key] = field(default_factory=set)

    def wake(self, key: Key, at: float) -> None:
        """
        The earliest wake-up wins.
        """
        self.owed[key] = min(at, self.owed.get(key, at))

    def due(self) -> set[Key]:
        """
        What can be taken now.
        """
        return {key for key, at in self.owed.items() if at <= self.now + SLACK and key not in self.running}


async def follow(calls: list[Call]) -> None:
    """
    Make the calls on both; after each, what can be taken is the same.
    """
    queue, model = WorkQueue(), Model()
    for name, key, seconds in calls:
        if name == "add":
            queue.add(key)
            model.wake(key, model.now)
        elif name == "after":
            queue.add_after(key, seconds)
            model.wake(key, model.now + max(0.0, seconds))
        elif name == "take" and model.due():
            taken = await queue.take()
            assert taken in model.due()
            model.running.add(taken)
            del model.owed[taken]
        elif name == "wait":
            await asyncio.sleep(abs(seconds) + 2 * SLACK)
            model.now += abs(seconds) + 2 * SLACK
        elif name in {"done", "failed"} and key in model.running:
            model.running.discard(key)
            if name == "done":
                queue.done(key)
            else:
                model.wake(key, model.now + queue.failed(key))
        await asyncio.sleep(0)
        assert set(queue._queued) == model.due()
        assert queue._ready.qsize() == len(queue._queued)
    await hand_out_everything(queue, model)


async def hand_out_everything(queue: WorkQueue, model: Model) -> None:
    """
    Once all work is done, everything owed comes, once.
    """
    for key in sorted(model.running):
        queue.done(key)
    for key in sorted(model.owed):
        async with asyncio.timeout(120):
            assert await queue.take() in model.owed, key
    await asyncio.sleep(120)
    assert queue._ready.empty()


@given(CALLS)
def test_the_queue_hands_out_what_it_owes(calls: list[Call]) -> None:
    """
    Whatever was added, delayed, failed and finished before.
    """
    run(lambda: follow(calls))
