"""
The level-triggered engine: workers that take keys from the queue and run cycles, as long as this replica leads.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Final

from modelramp.ports import Clock, ConflictError, Key, PortError
from modelramp.reconcile.workqueue import WorkQueue

log = logging.getLogger("modelramp.engine")

CYCLE_LIMIT_SECONDS: Final = 120.0  # a warm-up of 200 requests is the longest thing a cycle does


class Engine:
    """
    Runs cycles. Nothing here knows what a cycle does.
    """

    def __init__(
        self,
        cycle: Callable[[Key], Awaitable[datetime | None]],
        clock: Clock,
        leads: Callable[[], bool],
        count: Callable[[str], None],
    ) -> None:
        """
        `leads` tells whether this replica may act; `count` counts cycles by outcome.
        """
        self.queue = WorkQueue()
        self._cycle = cycle
        self._clock = clock
        self._leads = leads
        self._count = count

    async def work(self) -> None:
        """
        One worker; runs until cancelled.
        """
        while True:
            key = await self.queue.take()
            if not self._leads():
                # Not forgotten: a renewal that is late by seconds ends and begins the leadership without a word.
                self.queue.failed(key)
                continue
            await self._one(key)

    async def _one(self, key: Key) -> None:
        try:
            async with asyncio.timeout(CYCLE_LIMIT_SECONDS):
                wake_at = await self._cycle(key)
        except ConflictError as error:
            self._retry(key, "conflict", error)
        except (PortError, TimeoutError) as error:
            self._retry(key, "unreachable", error)
        except Exception as error:
            log.exception("a cycle broke; the traffic of this object stays as it is", extra={"object": str(key)})
            self._retry(key, "broken", error)
        else:
            self._count("done")
            self.queue.done(key)
            if wake_at is not None:
                self.queue.add_after(key, (wake_at - self._clock.now()).total_seconds())

    def _retry(self, key: Key, outcome: str, error: BaseException) -> None:
        self._count(outcome)
        delay = self.queue.failed(key)
        log.warning(
            "%s; again in %.1f s",
            str(error) or type(error).__name__,
            delay,
            extra={"object": str(key), "outcome": outcome},
        )
