"""
What every MetricSource must do: one suite for the one in memory and, on a real Prometheus, for both adapters and for
the one that asks for many objects at once.

The real one is the binary named by MODELRAMP_TEST_PROMETHEUS. It runs on loopback, scrapes pages served by the test,
and is stopped by its process.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from contracts.metric_worlds import (
    CANDIDATE,
    STABLE,
    Exporter,
    MemoryWorld,
    PrometheusProcess,
    PrometheusWorld,
    World,
    no_secret,
    prometheus_binary,
)

from modelramp.adapters.prometheus import AddressPolicy, BatchingSource, PrometheusSource
from modelramp.adapters.prometheus.apiclient import ApiClientSource
from modelramp.analysis import Absence, ArmSeries, Block, Counted, Counts, NoData, Pods, Series, Window, count_block
from modelramp.ports import MetricSource, RefusedError, SamplesQuestion, UnreachableError


@pytest.fixture(
    params=[
        "memory",
        pytest.param("prometheus", marks=pytest.mark.apiserver),
        pytest.param("batching", marks=pytest.mark.apiserver),
        pytest.param("apiclient", marks=pytest.mark.apiserver),
    ]
)
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    if request.param == "memory":
        yield MemoryWorld()
        return
    binary = prometheus_binary()
    async with AsyncExitStack() as stack:
        exporter = Exporter()
        await stack.enter_async_context(exporter.serving())
        store = PrometheusProcess(binary, tmp_path, exporter.jobs())
        stack.push_async_callback(store.stop)
        await store.start()
        policy = AddressPolicy(f"http://{store.address}")
        source: MetricSource = ApiClientSource(policy, no_secret)
        if request.param != "apiclient":
            source = await stack.enter_async_context(PrometheusSource(policy, no_secret, jitter=lambda: 0.5))
        if request.param == "batching":
            source = batching = BatchingSource(source)
            stack.push_async_callback(batching.close)
        yield PrometheusWorld(store, exporter, source)


async def samples(world: World, selector: str, since: datetime, until: datetime) -> tuple[Series, ...]:
    """Ask, and check what holds for every answer."""
    question = SamplesQuestion(selector=selector, since=since, until=until)
    found = await world.source.samples("shop", world.spec, question)
    for one in found:
        instants = [at for at, _ in one.samples]
        assert instants == sorted(set(instants))
        assert all(since.timestamp() < at <= until.timestamp() for at in instants)
        assert all(value == value for _, value in one.samples), "no NaN"  # noqa: PLR0124
        assert "__name__" in one.labels
    return found


async def counted(world: World, after: datetime, until: datetime, pods: Pods | None = None) -> Counted | NoData:
    """One block, asked for as the operator asks."""
    window = Window(since=after - timedelta(minutes=5), after=after, until=until)

    async def arm(pod: str) -> ArmSeries:
        total, bad = [
            await samples(world, selector, window.since, until)
            for selector in (f'requests_total{{pod="{pod}"}}', f'requests_total{{pod="{pod}",code=~"5.."}}')
        ]
        return ArmSeries(total=total, bad=bad)

    return count_block(await arm(CANDIDATE), await arm(STABLE), window, pods or Pods())


def block_of(reading: Counted | NoData) -> Block:
    """The block; fails where there is none."""
    assert isinstance(reading, Counted)
    return reading.block


def serve(world: World, candidate: Counts, stable: Counts) -> None:
    """Count answers on both pages; a code's series appears with its first answer."""
    for page, counts in ((CANDIDATE, candidate), (STABLE, stable)):
        for code, amount in (("200", counts.n - counts.x), ("500", counts.x)):
            if amount:
                world.add(page, "requests_total", int(amount), code=code)


async def test_every_increment_is_in_exactly_one_block(world: World) -> None:
    """Error series are born in the middle, one arm is idle at times, and the sums are exact block by block."""
    serve(world, Counts(40, 0), Counts(900, 1))
    after = await world.settled()
    story = [
        (Counts(10, 0), Counts(190, 0)),
        (Counts(12, 3), Counts(180, 2)),
        (Counts(0, 0), Counts(0, 0)),
        (Counts(7, 1), Counts(200, 0)),
    ]
    for candidate, stable in story:
        serve(world, candidate, stable)
        until = await world.settled()
        block = block_of(await counted(world, after, until))
        assert (candidate, stable) == (block.candidate, block.stable)
        after = until


async def test_blocks_asked_for_late_are_the_same(world: World) -> None:
    """What is stored does not change with the time of asking."""
    serve(world, Counts(1, 0), Counts(1, 0))
    begin = await world.settled()
    serve(world, Counts(5, 2), Counts(50, 0))
    middle = await world.settled()
    early = block_of(await counted(world, begin, middle))
    serve(world, Counts(6, 0), Counts(60, 1))
    end = await world.settled()
    assert early == block_of(await counted(world, begin, middle))
    whole = block_of(await counted(world, begin, end))
    assert (Counts(11, 2), Counts(110, 1)) == (whole.candidate, whole.stable)


@pytest.mark.parametrize(("start_known", "expected"), [(True, Counts(9, 4)), (False, Counts(0, 0))])
async def test_a_restarted_server_counts_anew(world: World, *, start_known: bool, expected: Counts) -> None:
    """After a restart that is known of, all is counted; a fall of unknown cause counts nothing."""
    serve(world, Counts(50, 5), Counts(500, 0))
    after = await world.settled()
    world.reach(CANDIDATE, reachable=False)
    down = await world.missed_scrapes(1)
    world.clear(CANDIDATE)
    world.reach(CANDIDATE, reachable=True)
    serve(world, Counts(9, 4), Counts(100, 0))
    until = await world.settled()
    started = {CANDIDATE: (float(int(down.timestamp())),)} if start_known else {}
    block = block_of(await counted(world, after, until, Pods(started=started)))
    assert (expected, Counts(100, 0)) == (block.candidate, block.stable)


async def test_missed_scrapes_are_no_data_and_then_covered(world: World) -> None:
    """While a page is not scraped there is no block; the next block covers the gap exactly."""
    serve(world, Counts(20, 1), Counts(200, 0))
    await world.settled()
    world.reach(CANDIDATE, reachable=False)
    after = await world.missed_scrapes(1)
    serve(world, Counts(8, 2), Counts(80, 1))
    gap = await world.missed_scrapes(2)
    assert NoData(Absence.NO_CANDIDATE_SAMPLES) == await counted(world, after, gap)
    world.reach(CANDIDATE, reachable=True)
    serve(world, Counts(2, 0), Counts(20, 0))
    until = await world.settled()
    block = block_of(await counted(world, after, until))
    assert (Counts(10, 2), Counts(100, 1)) == (block.candidate, block.stable)


async def test_an_outage_is_an_error_and_loses_nothing(world: World) -> None:
    """A store that is down is unreachable; once it is back, the block over the outage is exact."""
    serve(world, Counts(20, 1), Counts(200, 0))
    after = await world.settled()
    await world.stop_store()
    serve(world, Counts(8, 2), Counts(80, 1))
    for _ in range(3):
        with pytest.raises(UnreachableError):
            await samples(world, "requests_total", after - timedelta(minutes=5), after)
    await world.start_store()
    serve(world, Counts(2, 0), Counts(20, 0))
    until = await world.settled()
    block = block_of(await counted(world, after, until))
    assert (Counts(10, 2), Counts(100, 1)) == (block.candidate, block.stable)


async def test_label_values_come_back_as_they_were(world: World) -> None:
    """Quotes, backslashes, line breaks and other alphabets, in the question and in the answer."""
    strange = 'a"b\\c\nd é模'
    world.add(STABLE, "requests_total", 3, model=strange)
    world.add(STABLE, "requests_total", 4, model="plain")
    until = await world.settled()
    selector = 'requests_total{model="a\\"b\\\\c\\nd é模"}'
    (only,) = await samples(world, selector, until - timedelta(minutes=5), until)
    assert strange == only.labels["model"]
    assert only.labels["pod"] == STABLE
    assert only.labels["__name__"] == "requests_total"
    assert only.samples[-1][1] == 3


MATCHERS: tuple[tuple[str, set[str]], ...] = (
    ('code="500"', {"500"}),
    ('code!="500"', {"200", "404"}),
    ('code=~"5.."', {"500"}),
    ('code=~"5"', set()),
    ('code!~"4..|5.."', {"200"}),
    ('code=~".+", pod="stable-0",', {"200", "404", "500"}),
    ('missing="", code="404"', {"404"}),
)


ESCAPED = {"\\": "\\\\", '"': '\\"', "\n": "\\n"}


async def test_matchers_select_as_prometheus_does(world: World) -> None:
    """Regular expressions match whole values, and a missing label is an empty one."""
    for code in ("200", "404", "500"):
        world.add(STABLE, "requests_total", 1, code=code)
    until = await world.settled()
    for matchers, expected in MATCHERS:
        found = await samples(world, f"requests_total{{{matchers}}}", until - timedelta(minutes=5), until)
        assert expected == {one.labels["code"] for one in found}, matchers


QUOTED = ("a.b", "a|b", "(", "[x]", "a{2}", "^", "\\d", "x+?*", '"', "é模", "a\nb", "\\", ".*")
TOGETHER = (
    *(f'requests_total{{model="{value.translate(str.maketrans(ESCAPED))}"}}' for value in QUOTED),
    'requests_total{pod="stable-0",code="200"}',
    'requests_total{pod="stable-0",code=~"5.."}',
    'requests_total{pod="candidate-0",code=~"5.."}',
    'requests_total{pod="stable-0"}',
    'requests_total{pod=~"s-1-[a-z0-9]+-[a-z0-9]+"}',
    'requests_total{workload=~"s-[a-z0-9]+-[a-z0-9]+"}',
    'requests_total{workload=~"s-1-[a-z0-9]+-[a-z0-9]+"}',
    'requests_total{workload=~"s-1-[a-z0-9]+-[a-z0-9]+",code!="200"}',
)


async def test_questions_asked_together_are_answered_as_each_alone(world: World) -> None:
    """At the same time, and again when all of them are expected: nobody gets more or less for what others ask."""
    for value in QUOTED:
        world.add(STABLE, "requests_total", 1, model=value)
    for code in ("200", "500"):
        for page in (STABLE, CANDIDATE):
            world.add(page, "requests_total", 1, code=code)
        for workload in ("s-a-1", "s-1-a-1", "s-1-a-1-x", "s-1-A-1", "s-1"):
            world.add(STABLE, "requests_total", 1, code=code, workload=workload)
    for _ in range(2):
        until = await world.settled()
        back = timedelta(minutes=5)
        found = await asyncio.gather(*(samples(world, one, until - back, until) for one in TOGETHER))
        alone = [await samples(world, one, until - back - timedelta(hours=1), until) for one in TOGETHER]
        counts = [len(one) for one in alone]
        assert counts == [*(1 for _ in QUOTED), 6, 6, 1, 12 + len(QUOTED), 0, 2, 2, 1]
        assert [sorted(map(str, one)) for one in found] == [sorted(map(str, one)) for one in alone]


async def test_the_interval_is_open_at_its_beginning(world: World) -> None:
    """(since, until]: the sample at since belongs to the question before."""
    world.add(STABLE, "requests_total", 1)
    first = await world.settled()
    world.add(STABLE, "requests_total", 1)
    await world.settled()
    (everything,) = await samples(world, f'requests_total{{pod="{STABLE}"}}', first - timedelta(minutes=5), first)
    at = datetime.fromtimestamp(everything.samples[-1][0], UTC)
    (last,) = await samples(world, f'requests_total{{pod="{STABLE}"}}', at - timedelta(microseconds=1), at)
    assert [at.timestamp()] == [instant for instant, _ in last.samples]
    later = at + timedelta(microseconds=1)
    assert await samples(world, f'requests_total{{pod="{STABLE}"}}', at, later) == ()


async def test_an_unknown_metric_has_no_series(world: World) -> None:
    """Nothing found is an answer, not an error."""
    until = await world.settled()
    assert await samples(world, 'no_such_metric{pod="x"}', until - timedelta(minutes=5), until) == ()


async def test_what_is_no_selector_is_refused(world: World) -> None:
    """Only a changed spec helps."""
    until = await world.settled()
    for selector in ("requests_total{", "requests_total{code=}", '{code=~".*"}', 'a{b=~"("}', 'a{b="\\q"}'):
        with pytest.raises(RefusedError):
            await samples(world, selector, until - timedelta(minutes=5), until)
