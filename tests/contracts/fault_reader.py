"""
The operator's own way from a metric source to evidence, with every step of it kept for inspection.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from contracts.fault_pages import Page
from contracts.fault_truth import ARMS, MARGINS, WEALTH, Known

from modelramp.analysis import ArmSeries, Counted, MetricEvidence, NoData, Pods, Series, Window, count_block
from modelramp.analysis.stores import UNKNOWN_STORE, Store
from modelramp.api.spec import Prometheus
from modelramp.ports import MetricSource, SamplesQuestion, UnreachableError
from modelramp.reconcile.observe import _Asker
from modelramp.rollout.counters import ArmSelectors
from modelramp.rollout.needs import LOOK_BACK

DELAY_SECONDS: Final = 2.0  # no scrape lasts longer than 0.9 s: what was read by then is stored
EVERY_SECONDS: Final = 3.0


def instant(at: float) -> datetime:
    """Of unix seconds."""
    return datetime.fromtimestamp(at, UTC)


async def sleep_until(at: float) -> None:
    """Sleep until unix seconds."""
    await asyncio.sleep(max(0.0, at - time.time()))


@dataclass(frozen=True)
class Elsewhere:
    """Another store answered than before: nothing is counted of it up to the end of the window."""


Reading = Counted | NoData | Elsewhere


@dataclass(frozen=True)
class Look:
    """
    One look at the metric source.

    Attributes:
        window: What was asked for, without samples from before another store ended to count.
        arms: What came back, candidate first; None: the source could not be reached.
        pods: What was known about the pods.
        reading: What was made of it; None: as above.
        logs: Logarithms of the evidence afterwards, of harm and of "not worse".
        store: Who answered.
    """

    window: Window
    arms: tuple[ArmSeries, ArmSeries] | None
    pods: Pods
    reading: Reading | None
    logs: tuple[float, float]
    store: str


@dataclass(frozen=True)
class Memory:
    """
    What is remembered from look to look.

    Attributes:
        evidence: The evidence.
        told: Who told of the last block.
    """

    evidence: MetricEvidence
    told: Store = UNKNOWN_STORE

    def window(self, look_back: timedelta, until: datetime) -> Window:
        """Of the next look."""
        after = self.evidence.counted_until
        if after is None:
            raise RuntimeError("evidence begins at an instant")
        return self.told.counting(Window(since=after - look_back, after=after, until=until))

    def read(self, arms: tuple[ArmSeries, ArmSeries], window: Window, pods: Pods) -> tuple[Reading, "Memory"]:
        """Count what both arms answered, and remember it in the operator's way."""
        counted, totals = count_block(*arms, window, pods), [arm.total for arm in arms]
        if isinstance(counted, NoData):
            return counted, self
        told = self.told.newest(totals[0], totals[1], window)
        if self.told.differs(totals[0], totals[1], window):
            left_out = self.evidence.skip_until(window.until)
            return Elsewhere(), Memory(left_out, told.began(window.after))
        return counted, Memory(self.evidence.observe(counted.block, MARGINS, WEALTH), told)


@dataclass
class Reader:
    """
    Reads one shop as a rollout does.

    Attributes:
        source: What is asked.
        shop: Namespace of the pages.
        pages: What may be told about them, as far as it is known.
        memory: The evidence so far, and who told.
        known: What is known about the pods.
        look_back: How far before the last block samples are fetched.
        store: Name of the store that answers the next look.
        looks: All looks so far.
    """

    source: MetricSource
    shop: str
    pages: Sequence[Page]
    memory: Memory
    known: Known = field(default_factory=Known)
    look_back: timedelta = LOOK_BACK
    store: str = "shared"
    looks: list[Look] = field(default_factory=list)

    @property
    def evidence(self) -> MetricEvidence:
        """The evidence so far."""
        return self.memory.evidence

    async def run(self, begin: float, end: float) -> None:
        """Look every few seconds, each time as far as samples are settled."""
        until = begin + EVERY_SECONDS
        while until <= end:
            await sleep_until(until + DELAY_SECONDS)
            await self.look(until)
            until += EVERY_SECONDS

    async def look(self, until: float) -> None:
        """Count what is new up to an instant."""
        window = self.memory.window(self.look_back, instant(until))
        arms, pods, reading = None, Pods(), None
        try:
            pods = await self._pods(window)
            fetched = replace(window, since=window.after - self.look_back)
            arms = await self._arms(fetched)
        except UnreachableError:
            pass
        else:
            reading, self.memory = self.memory.read(arms, window, pods)
        logs = self.evidence.harm_log, self.evidence.ok_log
        self.looks.append(Look(window, arms, pods, reading, logs, self.store))

    async def _arms(self, window: Window) -> tuple[ArmSeries, ArmSeries]:
        asker = _Asker(self.source, self.shop, Prometheus())
        wanted = []
        for arm in ARMS:
            matchers = f'namespace="{self.shop}",pod=~"{arm}-.*"'
            bad = f'requests_total{{{matchers},code=~"5.."}}'
            wanted.append(ArmSelectors(total=f"requests_total{{{matchers}}}", bad=bad))
        candidate, stable = await asyncio.gather(*(asker.arm(one, window) for one in wanted))
        return candidate, stable

    async def _pods(self, window: Window) -> Pods:
        started = {page.pod: [float(int(at)) for at in page.restarts if at <= time.time()] for page in self.pages}
        born = {page.pod: float(int(page.created)) for page in self.pages if page.pod in self.known.born}
        scraped: dict[str, list[float]] = {}
        if self.known.scrapes:
            asker = _Asker(self.source, self.shop, Prometheus())
            for series in await asker.series(f'up{{namespace="{self.shop}"}}', window):
                scraped[series.labels["pod"]] = [at for at, value in series.samples if value == 1.0]
        told = {pod: scraped.get(pod, []) for pod in self.known.scrapes}
        return Pods(born=born, started=started if self.known.starts else {}, scraped=told)


class Stammering:
    """A metric source whose answers hold everything twice and out of order."""

    def __init__(self, source: MetricSource) -> None:
        """Around a source."""
        self._source = source

    async def samples(self, namespace: str, source: Prometheus, question: SamplesQuestion) -> tuple[Series, ...]:
        """Ask twice; later samples first, each of them twice, and each series from both answers."""
        first = await self._source.samples(namespace, source, question)
        second = await self._source.samples(namespace, source, question)
        return tuple(Series(one.labels, (*one.samples[::-1], *one.samples)) for one in (*second, *first))
