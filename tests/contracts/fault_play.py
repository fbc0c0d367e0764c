"""
All faults at once: several shops, the stores that scrape them, and what happens to either, in one minute.
"""

import asyncio
import math
import random
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Final

from contracts.fault_pages import LONG_AGO, Event, Page, PageServer, Trouble, no_trouble, traffic
from contracts.fault_reader import DELAY_SECONDS, EVERY_SECONDS, Memory, Reader, Stammering, instant, sleep_until
from contracts.fault_stores import FaultyPrometheus, Flipping, Markers
from contracts.fault_truth import WEALTH, Known
from contracts.metric_worlds import no_secret, prometheus_binary

from modelramp.adapters.prometheus import AddressPolicy, PrometheusSource
from modelramp.analysis import Counts, MetricEvidence

PODS: Final = ("candidate-0", "candidate-1", "stable-0", "stable-1")
NEW_PODS: Final = ("candidate-2", "candidate-3", "candidate-4")
BASE: Final = (Event(LONG_AGO, "200", 4000), Event(LONG_AGO, "500", 40))
BORN_LATE: Final = {"candidate-0": (4.2, 9.4), "stable-0": (7.1, 12.3)}  # first "500", first "503"
LEAD_SECONDS: Final = 4.0
TRAFFIC_SECONDS: Final = 21.0
LONG_TRAFFIC_SECONDS: Final = 33.0
BLACKOUT: Final = (6.5, 28.0)
OUTAGE: Final = (6.0, 14.0)
SHORT_LOOK_BACK: Final = timedelta(seconds=5)
EARLY_LOOKS: Final = 3
STORE_OF: Final = ("left", "right")
SIDES: Final = (0, 0, 1, 1, 0, 1, 1, 1, 0)  # who answers which look: four flips, two looks in a row among them
SHARED: Final = ("healthy", "missing", "outage", "restarts", "births", "late")


@dataclass
class Shop:
    """
    What happened to one shop.

    Attributes:
        name: Namespace of its pages.
        pages: Its pods.
        begin: When its traffic begins, unix seconds; nothing before it is counted.
        end: When its traffic has ended.
        readers: Those who look at it.
        markers: By store: which answers were stored.
    """

    name: str
    pages: list[Page]
    begin: float = 0.0
    end: float = 0.0
    readers: dict[str, Reader] = field(default_factory=dict)
    markers: dict[str, Markers] = field(default_factory=dict)

    def page(self, pod: str) -> Page:
        """One of its pods."""
        return next(page for page in self.pages if page.pod == pod)

    def requests(self, arm: str) -> Counts:
        """All that its pods answered, by script."""
        return sum((page.all_since(self.begin) for page in self.pages if page.pod.startswith(arm)), Counts())


class Stage:
    """The shops, the stores and the sources, as long as the play lasts."""

    def __init__(self, stack: AsyncExitStack, server: PageServer, folder: Path) -> None:
        """Nothing runs yet but the server of the pages."""
        self._stack, self._server, self._folder = stack, server, folder
        self._binary = prometheus_binary()
        self.shops: dict[str, Shop] = {}
        self.stores: dict[str, FaultyPrometheus] = {}

    def build(self, store: str, shops: Sequence[str]) -> None:
        """Prepare a store that scrapes some shops."""
        jobs = [self._server.job(shop, (*PODS, *(NEW_PODS if shop == "births" else ()))) for shop in shops]
        self.stores[store] = FaultyPrometheus(self._binary, self._folder / store, jobs)
        self._stack.push_async_callback(self.stores[store].stop)
        for shop in shops:
            born = BORN_LATE if shop == "births" else {}
            fresh = [Page(pod, BASE[:1] if pod in born else BASE) for pod in PODS]
            pages = self._server.shops.setdefault(shop, fresh)
            self.shops.setdefault(shop, Shop(shop, pages))

    async def open(self) -> float:
        """Start the stores; the instant at which traffic begins: all pages were scraped by then."""
        await asyncio.gather(*(store.start() for store in self.stores.values()))
        begin = math.ceil(time.time() + LEAD_SECONDS)
        for number, shop in enumerate(self.shops.values()):
            shop.begin, shop.end = begin, begin + TRAFFIC_SECONDS
            write_scripts(shop, seed=100 * number)
        return begin

    async def reader(
        self, name: str, shop: Shop, store: str = "shared", *, address: str = "", known: Known | None = None
    ) -> Reader:
        """Somebody who looks at a shop, with connections of their own; by another address than the store's if given."""
        address = address or self.stores[store].address
        source = await self._stack.enter_async_context(
            PrometheusSource(AddressPolicy(f"http://{address}"), no_secret, jitter=lambda: 0.5)
        )
        evidence = MetricEvidence.begin(WEALTH, counted_until=instant(shop.begin))
        shop.readers[name] = Reader(source, shop.name, shop.pages, Memory(evidence), known or Known(), store=store)
        return shop.readers[name]

    async def flipping(self) -> Flipping:
        """Serve an address behind which the two replicas take turns."""
        proxy = Flipping([self.stores["left"], self.stores["right"]])
        await self._stack.enter_async_context(proxy.serving())
        return proxy


def write_scripts(shop: Shop, seed: int) -> None:
    """Write the traffic of a shop's pods: the candidate fails twice as often."""
    for number, page in enumerate(shop.pages):
        most, errors = (3, 0.07) if page.pod.startswith("candidate") else (6, 0.06)
        events = traffic(seed + number, shop.begin, shop.end, most=most, errors=errors, codes=("500", "503"))
        base = (event for event in page.events if event.at == LONG_AGO)
        page.events = (*base, *events)


async def healthy(stage: Stage, shop: Shop) -> None:
    """Nothing happens."""
    reader = await stage.reader("operator", shop)
    await reader.run(shop.begin, shop.end + 2 * EVERY_SECONDS)


def one_in_five(seed: int, end: float) -> Callable[[float], Trouble | None]:
    """Refuse or hang on a fifth of the scrapes, until traffic has ended."""
    rng = random.Random(seed)

    def trouble(at: float) -> Trouble | None:
        return rng.choice((Trouble.REFUSED, Trouble.HANGING)) if at < end and rng.random() < 0.2 else None

    return trouble


async def missing(stage: Stage, shop: Shop) -> None:
    """A fifth of the scrapes fail."""
    for number, page in enumerate(shop.pages):
        page.trouble = one_in_five(number, shop.end)
    await healthy(stage, shop)


async def outage(stage: Stage, shop: Shop) -> None:
    """One pod of two cannot be scraped for longer than somebody looks back."""

    def trouble(at: float) -> Trouble | None:
        return Trouble.REFUSED if OUTAGE[0] <= at - shop.begin < OUTAGE[1] else None

    shop.page("stable-1").trouble = trouble
    short = await stage.reader("short", shop)
    short.look_back = SHORT_LOOK_BACK
    await asyncio.gather(healthy(stage, shop), short.run(shop.begin, shop.end + 2 * EVERY_SECONDS))


async def restarts(stage: Stage, shop: Shop) -> None:
    """A pod of each arm restarts, once before the eyes of somebody who knows, once of somebody who does not."""
    shop.page("candidate-0").restarts = (shop.begin + 8.3,)
    shop.page("stable-1").restarts = (shop.begin + 13.6,)
    untold = await stage.reader("untold", shop, known=Known(starts=False))
    await asyncio.gather(healthy(stage, shop), untold.run(shop.begin, shop.end + 2 * EVERY_SECONDS))


async def births(stage: Stage, shop: Shop) -> None:
    """
    Error series appear late.

    On pages scraped before: "500" and then "503" beside it. On new pods: one whose creation is known (candidate-2) and
    one of which nothing is known (candidate-3). On a page scraped all along that had no request at all (candidate-4).
    """
    begin, bursts = shop.begin, [0.01, 0.02]
    for pod, firsts in BORN_LATE.items():
        page = shop.page(pod)
        calm = [event for event in page.events if event.code == "200"]
        late = [Event(begin + at, code, 2) for at, code in zip(firsts, ("500", "503"), strict=True)]
        later = [Event(begin + at + 3.0, code, 1) for at, code in zip(firsts, ("500", "503"), strict=True)]
        page.events = tuple(sorted([*calm, *late, *later]))
    for number, pod in enumerate(NEW_PODS):
        at = begin + 6.0 + 2 * number
        burst = [Event(at + bursts[0], "200", 5), Event(at + bursts[1], "500", 2)]
        script = traffic(900 + number, at + 1, shop.end, most=3, errors=0.1, codes=("500",))
        shop.pages.append(Page(pod, (*burst, *script), created=LONG_AGO if number == 2 else at))
    born = frozenset({"candidate-2"})
    informed = Known(born=born, scrapes=frozenset({"candidate-4"}))
    readers = [
        await stage.reader("operator", shop, known=Known(born=born)),
        await stage.reader("informed", shop, known=informed),
    ]
    await asyncio.gather(*(reader.run(begin, shop.end + 2 * EVERY_SECONDS) for reader in readers))


def every_fifth(page: Page) -> Callable[[float], Trouble | None]:
    """Answer every fifth scrape slowly."""
    return lambda _: Trouble.SLOW if len(page.answered) % 5 == 4 else None


async def late(stage: Stage, shop: Shop) -> None:
    """One reader does not wait until samples are settled; another gets every sample several times, out of order."""
    page = shop.page("candidate-0")
    impatient = await stage.reader("impatient", shop, known=Known(patient=False))
    stammering = await stage.reader("stammering", shop)
    stammering.source = Stammering(stammering.source)

    async def look_early() -> None:
        await sleep_until(shop.begin + 1)
        page.trouble = every_fifth(page)
        for _ in range(EARLY_LOOKS):
            async with asyncio.timeout(10):
                await page.slow.get()
            await asyncio.sleep(0.2)
            await impatient.look(time.time())
        page.trouble = no_trouble
        await sleep_until(shop.end + EVERY_SECONDS + DELAY_SECONDS)
        await impatient.look(shop.end + EVERY_SECONDS)

    await asyncio.gather(healthy(stage, shop), stammering.run(shop.begin, shop.end + 2 * EVERY_SECONDS), look_early())


async def restarted(stage: Stage, shop: Shop) -> None:
    """The store is stopped in good order, and later killed; each time it comes back with what it had stored."""
    store = stage.stores["restarted"]

    async def faults() -> None:
        for at, fault in ((4.6, store.stop), (12.6, store.kill)):
            await sleep_until(shop.begin + at)
            await fault()
            await asyncio.sleep(2.0)
            await store.start()

    reader = await stage.reader("operator", shop, shop.name)
    await asyncio.gather(faults(), reader.run(shop.begin, shop.end + 3 * EVERY_SECONDS))


async def blackout(stage: Stage, shop: Shop) -> None:
    """
    The store is away for longer than the shorter look-back, and the first error of its kind falls into that time.

    Whoever has that look-back asks at once when it is back, about a time in which it was still away.
    """
    store = stage.stores["blackout"]
    shop.end = shop.begin + LONG_TRAFFIC_SECONDS
    write_scripts(shop, seed=7000)
    page = shop.page("candidate-0")
    page.events = tuple(sorted([*page.events, Event(shop.begin + 15.0, "504", 3)]))

    operator, short = [await stage.reader(name, shop, shop.name) for name in ("operator", "short")]
    short.look_back = SHORT_LOOK_BACK
    end = shop.end + 3 * EVERY_SECONDS

    async def faults() -> None:
        await sleep_until(shop.begin + BLACKOUT[0])
        await store.kill()
        await sleep_until(shop.begin + BLACKOUT[1])
        await store.start()
        await short.look(shop.begin + BLACKOUT[1] - 1)
        await short.run(shop.begin + BLACKOUT[1] - 1, end)

    await asyncio.gather(faults(), operator.run(shop.begin, end), short.run(shop.begin, shop.begin + EVERY_SECONDS))


async def frozen(stage: Stage, shop: Shop) -> None:
    """The store does not run for some seconds, though its address accepts connections."""
    store = stage.stores["frozen"]

    async def faults() -> None:
        await sleep_until(shop.begin + 7.5)
        await store.freeze(6.0)

    reader = await stage.reader("operator", shop, shop.name)
    await asyncio.gather(faults(), reader.run(shop.begin, shop.end + 2 * EVERY_SECONDS))


async def flipping(stage: Stage, shop: Shop) -> None:
    """Two replicas behind one address: questions go to either in turn; or every look does; or some looks do."""
    by_question, by_look, by_turn = [await stage.flipping() for _ in range(3)]
    questions = await stage.reader("questions", shop, "both", address=by_question.address)
    looks = await stage.reader("looks", shop, "left", address=by_look.address)
    turns = await stage.reader("turns", shop, "left", address=by_turn.address)
    for number, side in enumerate(SIDES, start=1):
        until = shop.begin + number * EVERY_SECONDS
        await sleep_until(until + DELAY_SECONDS)
        by_look.stays_with, by_turn.stays_with = side, number % 2
        by_question.stays_with = 0 if until > shop.end + 1 else None
        looks.store, turns.store = STORE_OF[side], STORE_OF[number % 2]
        questions.store = "both" if by_question.stays_with is None else "left"
        await asyncio.gather(looks.look(until), turns.look(until), questions.look(until))


SCENES: Final = {
    one.__name__: one
    for one in (healthy, missing, outage, restarts, births, late, restarted, blackout, frozen, flipping)
}
STORES: Final = {
    "shared": SHARED,
    "restarted": ("restarted",),
    "blackout": ("blackout",),
    "frozen": ("frozen",),
    "left": ("flipping",),
    "right": ("flipping",),
}


@asynccontextmanager
async def _stage(folder: Path) -> AsyncIterator[Stage]:
    async with AsyncExitStack() as stack:
        server = PageServer()
        await stack.enter_async_context(server.serving())
        stage = Stage(stack, server, folder)
        for store, shops in STORES.items():
            stage.build(store, shops)
        yield stage


async def play(folder: Path) -> dict[str, Shop | BaseException]:
    """Play all scenes at the same time; what became of each, or why it could not be played."""
    async with _stage(folder) as stage:
        await stage.open()
        names = list(SCENES)
        ended = await asyncio.gather(
            *(SCENES[name](stage, stage.shops[name]) for name in names), return_exceptions=True
        )
        for store, shops in STORES.items():
            for shop in shops:
                stage.shops[shop].markers[store] = await stage.stores[store].markers(shop, instant(time.time()))
        return {name: error or stage.shops[name] for name, error in zip(names, ended, strict=True)}
