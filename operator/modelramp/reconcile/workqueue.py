"""
Which object is looked at next: a queue without duplicates, with wake-up times and back-off.

A key is in at most one place: waiting, ready or being worked on. One that is woken while it is worked on is looked at
once more afterwards. A later wake-up never replaces an earlier one.
"""

import asyncio
import heapq
import random
from typing import Final

from modelramp.ports import Key

BACK_OFF_FIRST_SECONDS: Final = 0.5
BACK_OFF_MOST_SECONDS: Final = 30.0  # an outage of the API server must be noticed as over within half a minute


class WorkQueue:
    """
    Keys to be worked on; belongs to one event loop.
    """

    def __init__(self) -> None:
        """
        Empty, and bound to the running loop.
        """
        self._ready: asyncio.Queue[Key] = asyncio.Queue()
        self._queued: set[Key] = set()
        self._running: set[Key] = set()
        self._again: set[Key] = set()
        self._wake_at: dict[Key, float] = {}
        self._heap: list[tuple[float, Key]] = []
        self._failures: dict[Key, int] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()

    def __len__(self) -> int:
        """
        Keys ready, waiting for their time, or being worked on.
        """
        return len(self._queued | self._running | set(self._wake_at))

    def add(self, key: Key) -> None:
        """
        Look at the key as soon as possible.
        """
        self._wake_at.pop(key, None)
        if key in self._running:
            self._again.add(key)
        elif key not in self._queued:
            self._queued.add(key)
            self._ready.put_nowait(key)

    def add_after(self, key: Key, seconds: float) -> None:
        """
        Look at the key in so many seconds, unless it is woken before.
        """
        if seconds <= 0:
            self.add(key)
            return
        at = self._loop.time() + seconds
        if key in self._queued or self._wake_at.get(key, float("inf")) <= at:
            return
        self._wake_at[key] = at
        heapq.heappush(self._heap, (at, key))
        self._arm()

    async def take(self) -> Key:
        """
        The next key; it belongs to the caller until `done`.
        """
        key = await self._ready.get()
        self._queued.discard(key)
        self._running.add(key)
        return key

    def done(self, key: Key) -> None:
        """
        The work on the key is over; its failures are forgotten.
        """
        self._failures.pop(key, None)
        self._release(key)

    def failed(self, key: Key) -> float:
        """
        The work on the key failed: it comes back later, each time later. The delay in seconds.
        """
        count = self._failures.get(key, 0)
        self._failures[key] = count + 1
        most = min(BACK_OFF_MOST_SECONDS, BACK_OFF_FIRST_SECONDS * 2 ** min(count, 16))
        delay: float = most * random.uniform(0.5, 1.0)  # noqa: S311 - jitter against herds, no secret
        self._release(key)
        self.add_after(key, delay)
        return delay

    def _release(self, key: Key) -> None:
        self._running.discard(key)
        if key in self._again:
            self._again.discard(key)
            self.add(key)

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(self._heap[0][0], self._ring) if self._heap else None

    def _ring(self) -> None:
        now = self._loop.time()
        while self._heap and self._heap[0][0] <= now + 0.001:
            at, key = heapq.heappop(self._heap)
            if self._wake_at.get(key) == at:
                self.add(key)
        self._arm()
