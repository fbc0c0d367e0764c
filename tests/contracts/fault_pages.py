"""
Pods whose requests are written down beforehand: what their pages show at any instant, and what is true of it.

A page's counters are computed from its script when it is scraped, so that the truth is known apart from every sample.
"""

import asyncio
import math
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any, Final, NamedTuple

from aiohttp import web
from contracts.page_server import served

from modelramp.analysis import Counts

TICK_SECONDS: Final = 0.1
HANG_SECONDS: Final = 2.0  # longer than a scrape may last
SLOW_SECONDS: Final = 0.6  # shorter than that
LONG_AGO: Final = -math.inf


class Event(NamedTuple):
    """Requests answered at one instant with one code."""

    at: float
    code: str
    amount: int


def counts(codes: Mapping[str, int]) -> Counts:
    """Requests by code as exposures and events."""
    return Counts(sum(codes.values()), sum(number for code, number in codes.items() if code >= "500"))


class Trouble(Enum):
    """What a scrape meets instead of a quick answer."""

    REFUSED = auto()
    HANGING = auto()
    SLOW = auto()


def no_trouble(at: float) -> Trouble | None:  # noqa: ARG001 - the form of all of them
    """Every scrape is answered at once."""
    return None


@dataclass
class Page:
    """
    One pod.

    Attributes:
        pod: Its name; "candidate-…" or "stable-…" tells its arm.
        events: All its requests, in time order.
        restarts: Instants at which its counters begin anew.
        created: Before that instant it cannot be scraped.
        trouble: Asked at every scrape.
        answered: By number of the answer: the instant of the counters in it.
        slow: Filled whenever a slow answer begins.
        late: Numbers of the slow answers.
    """

    pod: str
    events: tuple[Event, ...]
    restarts: tuple[float, ...] = ()
    created: float = LONG_AGO
    trouble: Callable[[float], Trouble | None] = no_trouble
    answered: dict[int, float] = field(default_factory=dict)
    slow: asyncio.Queue[None] = field(default_factory=asyncio.Queue)
    late: set[int] = field(default_factory=set)

    def counters(self, at: float) -> Counter[str]:
        """What its page shows: requests by code since the last restart; a code appears with its first request."""
        return self.between(LONG_AGO, at)

    def restarted(self, left: float, right: float) -> bool:
        """Whether its counters began anew in (left, right]."""
        return any(left < at <= right for at in self.restarts)

    def all_since(self, at: float) -> Counts:
        """All requests after an instant, seen by anybody or not."""
        codes: Counter[str] = Counter()
        for event in self.events:
            codes[event.code] += event.amount if event.at > at else 0
        return counts(codes)

    def between(self, left: float, right: float) -> Counter[str]:
        """Requests by code in (left, right], as far as the page can still tell: after the last restart in there."""
        begin = max((at for at in self.restarts if at <= right), default=LONG_AGO)
        codes: Counter[str] = Counter()
        for event in self.events:
            ever = event.at == LONG_AGO and left == begin == LONG_AGO
            if ever or max(left, begin) < event.at <= right:
                codes[event.code] += event.amount
        return codes


def traffic(seed: int, begin: float, end: float, *, most: int, errors: float, codes: Sequence[str]) -> list[Event]:
    """
    Draw requests over (begin, end): every tenth of a second up to ``most`` good ones, and a bad one now and then.

    Args:
        seed: Of the draws.
        begin: Unix seconds.
        end: Unix seconds.
        most: Good requests in a tick, at most.
        errors: Probability of a bad request in a tick.
        codes: Those of the bad requests.

    """
    rng = random.Random(seed)
    events = []
    for tick in range(int((end - begin) / TICK_SECONDS)):
        at = begin + (tick + rng.uniform(0.01, 0.99)) * TICK_SECONDS
        events.append(Event(at, "200", rng.randint(0, most)))
        if rng.random() < errors:
            events.append(Event(at, rng.choice(codes), 1))
    return [event for event in events if event.amount]


class PageServer:
    """Serves the pages of several shops (a namespace each) in the text format, each at a path of its own."""

    def __init__(self) -> None:
        """Without pages."""
        self.shops: dict[str, list[Page]] = {}
        self.address = ""

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Serve until left."""
        async with served("/{shop}/{pod}/metrics", self._show) as self.address:
            yield

    def job(self, shop: str, pods: Sequence[str]) -> dict[str, Any]:
        """How a shop's pages are scraped, as Prometheus' configuration says it."""
        return {
            "job_name": shop,
            "scrape_interval": "1s",
            "scrape_timeout": "900ms",
            "static_configs": [
                {
                    "targets": [self.address],
                    "labels": {
                        "__metrics_path__": f"/{shop}/{pod}/metrics",
                        "instance": f"{pod}.{shop}:8080",
                        "namespace": shop,
                        "pod": pod,
                    },
                }
                for pod in pods
            ],
        }

    async def _show(self, request: web.Request) -> web.Response:
        pages = self.shops.get(request.match_info["shop"], [])
        page = next((one for one in pages if one.pod == request.match_info["pod"]), None)
        if page is None or time.time() < page.created:
            raise web.HTTPServiceUnavailable
        trouble = page.trouble(time.time())
        if trouble is Trouble.REFUSED:
            raise web.HTTPServiceUnavailable
        number = len(page.answered) + 1
        page.answered[number] = time.time()
        if trouble is Trouble.HANGING:
            await asyncio.sleep(HANG_SECONDS)
        if trouble is Trouble.SLOW:
            page.late.add(number)
            page.slow.put_nowait(None)
            await asyncio.sleep(SLOW_SECONDS)
        codes = page.counters(page.answered[number])
        lines = [f"page_answer {number}", *(f'requests_total{{code="{code}"}} {n}' for code, n in codes.items())]
        return web.Response(text="\n".join(lines) + "\n", content_type="text/plain", charset="utf-8")
