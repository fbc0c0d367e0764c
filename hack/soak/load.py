"""
The load of one object: requests on a fixed timetable, and a few long streams at any time.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Mapping
from dataclasses import dataclass, field
from typing import Final

from soak.ledger import Ending, Ledger, Tally
from soak.ways import STREAM_SECONDS, Way

MOST_IN_FLIGHT: Final = 200
OVERLOAD: Final = Ending(None, "overload")
CLOSING: Final[Mapping[str, str]] = {"Connection": "close"}
COHORT: Final = "cohort"
STREAM: Final = "stream"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rhythm:
    """
    What is sent.

    Attributes:
        rate: Requests a second.
        streams: Streams at any time.
        cohort: Headers of the members of the cohort; empty: there is none.
        cohort_every: So many requests to one of the cohort.
        closing_every: So many requests to one that is the last on its connection; 0: connections are kept for good.

    """

    rate: float = 16.0
    streams: int = 2
    cohort: Mapping[str, str] = field(default_factory=dict)
    cohort_every: int = 8
    closing_every: int = 0

    def headers(self, number: int) -> tuple[bool, Mapping[str, str]]:
        """
        Whether the request of this number is of the cohort, and its headers beside the usual ones.
        """
        member = bool(self.cohort) and number % self.cohort_every == 0
        closing = self.closing_every > 0 and number % self.closing_every == self.closing_every - 1
        return member, {**(self.cohort if member else {}), **(CLOSING if closing else {})}


class Load:
    """
    Sends and counts. Requests leave on time whatever the answers do; never more than 200 are under way.
    """

    def __init__(self, way: Way, rhythm: Rhythm) -> None:
        """
        Send nothing yet.
        """
        self._way = way
        self._rhythm = rhythm
        self._ledger = Ledger()
        self._under_way = 0

    def tally(self) -> Tally:
        """
        The counts at this instant.
        """
        return self._ledger.tally()

    async def run(self, stop: asyncio.Event, max_seconds: float) -> None:
        """
        Send until `stop` is set or the time is over, then wait for what is under way: streams end by themselves.
        """
        end = time.monotonic() + max_seconds
        async with asyncio.TaskGroup() as requests:
            for number in range(self._rhythm.streams):
                requests.create_task(self._streams(stop, end, number * STREAM_SECONDS / self._rhythm.streams))
            async for number in self._timetable(stop, max_seconds):
                requests.create_task(self._request(number))

    async def _timetable(self, stop: asyncio.Event, max_seconds: float) -> AsyncIterator[int]:
        """
        Give out request n at n / rate seconds; late ones follow at once, so the rate holds on average.
        """
        began, number = time.monotonic(), 0
        while (due := number / self._rhythm.rate) < max_seconds:
            if await _stopped_within(stop, began + due - time.monotonic()):
                return
            yield number
            number += 1

    async def _streams(self, stop: asyncio.Event, end: float, first: float) -> None:
        """
        One stream after the other, the first after so many seconds: lanes' streams end at different times.
        """
        if await _stopped_within(stop, first):
            return
        while not stop.is_set() and time.monotonic() < end:
            ending = await self._counted(f"{self._way.name} {STREAM}", self._way.stream())
            if ending.lost:
                await asyncio.sleep(1)  # an object that refuses is not asked in a tight loop

    async def _request(self, number: int) -> None:
        member, more = self._rhythm.headers(number)
        name = f"{self._way.name} {COHORT}" if member else self._way.name
        if self._under_way >= MOST_IN_FLIGHT:
            self._ledger.sent(name)
            self._ledger.ended(name, OVERLOAD)
            return
        self._under_way += 1
        try:
            await self._counted(name, self._way.one(more))
        finally:
            self._under_way -= 1

    async def _counted(self, name: str, request: Awaitable[Ending]) -> Ending:
        self._ledger.sent(name)
        ending = await request
        self._ledger.ended(name, ending)
        return ending


async def _stopped_within(stop: asyncio.Event, seconds: float) -> bool:
    """
    Wait; True as soon as the stop came.
    """
    if seconds <= 0:
        await asyncio.sleep(0)  # answers must be read even while catching up
        return stop.is_set()
    try:
        await asyncio.wait_for(stop.wait(), seconds)
    except TimeoutError:
        return False
    return True
