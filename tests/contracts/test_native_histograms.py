"""
Native histograms through a real Prometheus: what is counted is what the exporter observed, whoever reduced what.

The Prometheus is the binary named by MODELRAMP_TEST_PROMETHEUS; it scrapes protobuf pages that the test serves.
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from contracts.metric_worlds import (
    SETTLING_SECONDS,
    PrometheusProcess,
    eventually,
    no_secret,
    prometheus_binary,
)
from contracts.native_pages import METRIC, Page, bound, jobs, serving

from modelramp.adapters.prometheus import AddressPolicy, BatchingSource, PrometheusSource
from modelramp.adapters.prometheus.apiclient import ApiClientSource
from modelramp.analysis import Pods, Series, Window
from modelramp.analysis.buckets import NoTails, TailAbsence, count_tails
from modelramp.analysis.histogram import Histogram
from modelramp.analysis.tails import TailBlock
from modelramp.api.spec import Prometheus
from modelramp.ports import MetricSource, RefusedError, SamplesQuestion, UnreachableError

pytestmark = pytest.mark.apiserver

BACK = timedelta(minutes=5)
CANDIDATE, STABLE = NAMES = ("candidate-0", "stable-0")
POWERS = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0)


def durations(number: int, seed: int, slowness: float = 1.0) -> list[float]:
    """Lognormal, with a median of 0.1 s."""
    drawn = random.Random(seed)
    return [slowness * 0.1 * drawn.lognormvariate(0.0, 0.8) for _ in range(number)]


@dataclass
class World:
    """Two pages, a Prometheus that scrapes them, and the source that reads it."""

    pages: Mapping[str, Page]
    source: MetricSource

    async def samples(self, selector: str, until: datetime) -> tuple[Series, ...]:
        """The last five minutes."""
        question = SamplesQuestion(selector=selector, since=until - BACK, until=until)
        return await self.source.samples("shop", Prometheus(), question)

    async def settled(self) -> datetime:
        """Return an instant; everything observed is in samples up to it, and they are complete."""
        seen: dict[str, float] = {}
        for page in self.pages.values():
            page.generation += 1

        async def all_seen() -> bool:
            for name, page in self.pages.items():
                try:
                    found = await self.samples(f'page_generation{{pod="{name}"}}', datetime.now(UTC))
                except UnreachableError:
                    return False
                stored = [at for one in found for at, value in one.samples if value >= page.generation]
                if stored:
                    seen.setdefault(name, stored[0])
            return len(seen) == len(self.pages)

        await eventually(all_seen, "a scrape of every page")
        await asyncio.sleep(SETTLING_SECONDS)
        return datetime.fromtimestamp(max(seen.values()), UTC)

    async def counted(
        self, after: datetime, until: datetime, selector: str, pods: Pods | None = None, wanted: tuple[float, ...] = ()
    ) -> TailBlock | NoTails:
        """One block, asked for as the operator asks."""
        window = Window(since=until - BACK, after=after, until=until)
        candidate, stable = [await self.samples(selector.replace("$arm", f'pod="{name}"'), until) for name in NAMES]
        return count_tails(candidate, stable, window, pods=pods or Pods(), wanted=wanted)


Opening = Callable[..., Any]


@pytest.fixture(params=["prometheus", "batching", "apiclient"])
def world_of(request: pytest.FixtureRequest, tmp_path: Path) -> Opening:
    """Open a world around two pages; options are those of each page's scrape job."""

    @asynccontextmanager
    async def opened(
        candidate: Page, stable: Page, options: Mapping[str, Mapping[str, Any]] | None = None
    ) -> AsyncIterator[World]:
        pages = {CANDIDATE: candidate, STABLE: stable}
        async with AsyncExitStack() as stack:
            address = await stack.enter_async_context(serving(pages))
            store = PrometheusProcess(prometheus_binary(), tmp_path, jobs(address, pages, options or {}))
            stack.push_async_callback(store.stop)
            await store.start()
            policy = AddressPolicy(f"http://{store.address}")
            source: MetricSource = ApiClientSource(policy, no_secret)
            if request.param != "apiclient":
                source = await stack.enter_async_context(PrometheusSource(policy, no_secret, jitter=lambda: 0.5))
            if request.param == "batching":
                source = batching = BatchingSource(source)
                stack.push_async_callback(batching.close)
            yield World(pages, source)

    return opened


NATIVE = f"{METRIC}{{$arm}}"


def block_of(found: TailBlock | NoTails) -> TailBlock:
    assert isinstance(found, TailBlock), found
    return found


def check(told: Histogram, page: Page, before: int) -> None:
    """Every edge tells exactly what the page observed since it had observed so much."""
    new = page.observed[before:]
    assert told.n == len(new)
    for edge in told.edges:
        assert told.counts(edge).x == sum(one > edge * (1 + 1e-9) for one in new), edge


async def test_the_tails_are_what_the_exporter_observed(world_of: Opening) -> None:
    """At every edge, with the candidate's buckets four times as wide; both arms at the edges of the wider ones."""
    mine, theirs = Page(schema=1), Page(schema=3)
    async with world_of(mine, theirs) as world:
        for page, seed in ((mine, 1), (theirs, 2)):
            page.observed += durations(100, seed)
        after = await world.settled()
        mine.observed += [*durations(200, 3, slowness=1.5), 0.0, 0.5, 1.0]
        theirs.observed += [*durations(1000, 4), 0.25]
        until = await world.settled()
        block = block_of(await world.counted(after, until, NATIVE))
        check(block.candidate, mine, 100)
        check(block.stable, theirs, 100)
        assert block.candidate.edges == block.stable.edges
        assert {0.125, 0.25, 0.5, 1.0, float(f"{bound(1, -3):.12g}")} <= set(block.stable.edges)
        wanted = (0.5, float(f"{bound(3, -3):.12g}"))
        judged = block_of(await world.counted(after, until, NATIVE, wanted=wanted))
        assert (judged.candidate.edges, judged.stable.edges) == ((0.5,), tuple(sorted(wanted)))
        check(judged.candidate, mine, 100)
        check(judged.stable, theirs, 100)


async def test_resolution_that_the_server_reduces_midway_loses_no_call(world_of: Opening) -> None:
    """Slow calls widen the range, and Prometheus halves the candidate's buckets from one scrape to the next."""
    mine, theirs = Page(schema=3), Page(schema=3)
    options = {CANDIDATE: {"native_histogram_bucket_limit": 24, "scrape_protocols": ["PrometheusProto"]}}
    async with world_of(mine, theirs, options) as world:
        mine.observed += [0.1 + 0.001 * number for number in range(100)]
        theirs.observed += durations(500, 5)
        after = await world.settled()
        (stored,) = await world.samples(NATIVE.replace("$arm", f'pod="{CANDIDATE}"'), after)
        assert stored.histograms[-1].layout.schema == 3
        mine.observed += [0.001 * 1.2**number for number in range(50)]
        theirs.observed += durations(500, 6)
        until = await world.settled()
        (stored,) = await world.samples(NATIVE.replace("$arm", f'pod="{CANDIDATE}"'), until)
        schemas = [one.layout.schema for one in stored.histograms]
        assert schemas[0] == 3
        assert schemas[-1] is not None
        assert schemas[-1] < 2
        block = block_of(await world.counted(after, until, NATIVE))
        assert set(POWERS) <= set(block.candidate.edges)
        check(block.candidate, mine, 100)
        check(block.stable, theirs, 500)
        fine = (float(f"{bound(3, -3):.12g}"),)
        assert await world.counted(after, until, NATIVE, wanted=fine) == NoTails(TailAbsence.NOT_COMPARABLE)


async def test_a_restart_counts_from_zero(world_of: Opening) -> None:
    """If the container is known to have started; else, as another replica may have answered, nothing."""
    mine, theirs = Page(), Page()
    async with world_of(mine, theirs) as world:
        mine.observed += durations(100, 7)
        theirs.observed += durations(100, 8)
        after = await world.settled()
        started = float(int(time.time()))  # cut to whole seconds, as Kubernetes does
        mine.observed[:] = durations(30, 9)
        theirs.observed += durations(50, 10)
        until = await world.settled()
        known = Pods(started={CANDIDATE: [started]})
        block = block_of(await world.counted(after, until, NATIVE, known))
        check(block.candidate, mine, 0)
        check(block.stable, theirs, 100)
        assert block_of(await world.counted(after, until, NATIVE)).candidate.n == 0


async def test_custom_bounds_are_edges(world_of: Opening) -> None:
    """Classic histograms that Prometheus stores as native ones keep the edges they came with."""
    edges = (0.05, 0.1, 0.3, 0.7, 2.5)
    mine, theirs = Page(schema=None, edges=edges), Page(schema=None, edges=edges)
    options = {name: {"convert_classic_histograms_to_nhcb": True} for name in NAMES}
    async with world_of(mine, theirs, options) as world:
        mine.observed += durations(50, 11)
        theirs.observed += durations(100, 12)
        after = await world.settled()
        mine.observed += durations(100, 13, slowness=2.0)
        theirs.observed += [*durations(300, 14), 9.0]
        until = await world.settled()
        block = block_of(await world.counted(after, until, NATIVE))
        assert block.candidate.edges == block.stable.edges == edges
        check(block.candidate, mine, 50)
        check(block.stable, theirs, 100)


async def test_a_classic_and_a_native_arm_meet_at_equal_edges(world_of: Opening) -> None:
    """One selector for both forms; a histogram that is stored in both counts once."""
    both = f'{{__name__=~"{METRIC}(_bucket)?",$arm}}'
    mine, theirs = Page(edges=(0.1, 0.25, 0.3, 1.0)), Page(schema=None, edges=(0.1, 0.25, 1.0, 3.0))
    options = {CANDIDATE: {"always_scrape_classic_histograms": True}}
    async with world_of(mine, theirs, options) as world:
        mine.observed += durations(50, 15)
        theirs.observed += durations(100, 16)
        after = await world.settled()
        mine.observed += durations(80, 17)
        theirs.observed += durations(90, 18)
        until = await world.settled()
        block = block_of(await world.counted(after, until, both))
        assert (block.candidate.edges, block.stable.edges) == (mine.edges, theirs.edges)
        check(block.candidate, mine, 50)
        check(block.stable, theirs, 100)
        arms = [
            await world.samples(selector, until)
            for selector in (f'{METRIC}{{pod="{CANDIDATE}"}}', f'{METRIC}_bucket{{pod="{STABLE}"}}')
        ]
        mixed = block_of(count_tails(*arms, Window(until - BACK, after, until)))
        assert set(mixed.candidate.edges) & set(theirs.edges) == {0.25, 1.0}
        check(mixed.candidate, mine, 50)
        check(mixed.stable, theirs, 100)


async def test_what_is_below_zero_is_refused(world_of: Opening) -> None:
    """Differences are no durations."""
    mine, theirs = Page(), Page()
    async with world_of(mine, theirs) as world:
        mine.observed += [1.0, -1.0]
        until = await world.settled()
        with pytest.raises(RefusedError, match="observations from -1 to"):
            await world.samples(NATIVE.replace("$arm", f'pod="{CANDIDATE}"'), until)
