"""
Ask the ports for what the core needs. Total: every outage becomes a value.
"""

import asyncio
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import pairwise
from math import isfinite
from typing import Final

from modelramp.analysis import Absence, ArmSeries, Block, Pods, Series, Window, count_block
from modelramp.analysis import NoData as NoCounts
from modelramp.analysis.buckets import NoTails, count_tails
from modelramp.analysis.gauges import gauge_block
from modelramp.analysis.podcounts import pod_counts
from modelramp.analysis.slices import slice_blocks
from modelramp.analysis.stores import Store
from modelramp.analysis.tails import TailBlock
from modelramp.api.document import MLModelDeployment
from modelramp.api.spec import Prometheus
from modelramp.ports import (
    Comparators,
    Configs,
    Key,
    MetricSource,
    PodTimes,
    PortError,
    Routes,
    SamplesQuestion,
    WarmUps,
    Workloads,
    counters_only,
)
from modelramp.reconcile.contents import NoConfigs
from modelramp.reconcile.history import UNKNOWN_COUNTERS, read_history
from modelramp.rollout.counters import ArmSelectors, BucketSelectors, GaugeSelectors
from modelramp.rollout.needs import DRAIN_WINDOW, needs
from modelramp.rollout.observed import (
    AnotherStore,
    Beside,
    Drain,
    Measured,
    NoData,
    Observed,
    Reading,
    Unavailable,
    WarmUpReading,
)
from modelramp.rollout.questions import CounterQuestion, DrainQuestion, Needs, WarmUpQuestion

RESETS_DROPPED: Final = "counters fell without a known restart of their pod: what they counted meanwhile is left out"
ANOTHER_STORE: Final = (
    "another Prometheus replica answered: what it would have counted since the last look is left out; "
    "a sticky address (sessionAffinity: ClientIP) keeps to one"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Eyes:
    """
    The ports a look goes through.
    """

    workloads: Workloads
    routes: Routes
    comparators: Comparators
    metrics: MetricSource
    warm_ups: WarmUps
    configs: Configs = field(default_factory=NoConfigs)


@dataclass(frozen=True, slots=True)
class _Asker:
    """
    One object's questions to its metric source.
    """

    metrics: MetricSource
    namespace: str
    source: Prometheus

    async def series(self, selector: str, window: Window) -> tuple[Series, ...]:
        question = SamplesQuestion(selector=selector, since=window.since, until=window.until)
        return await self.metrics.samples(self.namespace, self.source, question)

    async def counters(self, selector: str, window: Window) -> tuple[Series, ...]:
        return counters_only(await self.series(selector, window))

    async def buckets(self, selectors: BucketSelectors | None, window: Window) -> tuple[Series, ...]:
        return () if selectors is None else await self.series(selectors.buckets, window)

    async def arm(self, selectors: ArmSelectors | None, window: Window) -> ArmSeries:
        if selectors is None:
            return ArmSeries(())
        total, bad = await asyncio.gather(self.counters(selectors.total, window), self.counters(selectors.bad, window))
        return ArmSeries(total, bad)

    async def reading(self, question: CounterQuestion, known: PodTimes) -> Reading | None:
        """
        One metric's new block, or why there is none; None: it is too early to say.
        """
        if question.candidate is None and question.stable is not None:
            return _turned(await self.reading(_of_stable(question), known))
        pods = Pods(born=known.born, started=known.started)
        try:
            match question.candidate, question.stable:
                case ArmSelectors() as candidate, (ArmSelectors() | None) as stable:
                    found = await self._rate(question, candidate, stable, pods)
                case BucketSelectors() as candidate, (BucketSelectors() | None) as stable:
                    found = await self._tails(question, candidate, stable, pods)
                case GaugeSelectors() as candidate, GaugeSelectors() as stable:
                    found = await self._gauge(question.window, candidate, stable)
                case _:
                    return NoData(UNKNOWN_COUNTERS)
        except PortError as error:
            return Unavailable(str(error))
        early = question.short and isinstance(found, NoData) and not isinstance(found, AnotherStore)
        return None if early else found

    async def _rate(
        self, question: CounterQuestion, candidate: ArmSelectors, stable: ArmSelectors | None, pods: Pods
    ) -> Reading:
        fetched, window = question.window, question.store.counting(question.window)
        mine, theirs = await asyncio.gather(self.arm(candidate, fetched), self.arm(stable, fetched))
        counted = count_block(mine, None if stable is None else theirs, window, pods)
        if isinstance(counted, NoCounts):
            return NoData(str(counted.reason))
        store = question.store.newest(mine.total, theirs.total, window)
        if question.store.differs(mine.total, theirs.total, window):
            return _left_out(window, store)
        note = RESETS_DROPPED if counted.resets_dropped else ""
        told = pod_counts(theirs, window, pods=pods) if question.tells_pods else {}
        if question.slice_label is None:
            return Measured(counted.block, note=note, pods=told, store=store)
        parts = slice_blocks(mine, theirs, window, label=question.slice_label, values=question.slice_values, pods=pods)
        return Measured(counted.block, parts, note, told, store)

    async def _tails(
        self, question: CounterQuestion, candidate: BucketSelectors, stable: BucketSelectors | None, pods: Pods
    ) -> Reading:
        fetched, window = question.window, question.store.counting(question.window)
        mine, theirs = await asyncio.gather(self.buckets(candidate, fetched), self.buckets(stable, fetched))
        other = None if stable is None else theirs
        counted = count_tails(mine, other, window, factor=candidate.factor, pods=pods, wanted=question.edges)
        if isinstance(counted, NoTails):
            return NoData(str(counted.reason))
        store = question.store.newest(mine, theirs, window)
        if question.store.differs(mine, theirs, window):
            return _left_out(window, store)
        return Measured(counted, store=store)

    async def _gauge(self, window: Window, candidate: GaugeSelectors, stable: GaugeSelectors) -> Reading:
        mine, theirs = await asyncio.gather(self.counters(candidate.value, window), self.counters(stable.value, window))
        found = gauge_block(mine, theirs, window, candidate.aggregate)
        return NoData(str(found.reason)) if isinstance(found, NoCounts) else Measured(found)

    async def drained(self, questions: tuple[DrainQuestion, ...], until: datetime) -> Drain | None:
        """
        What still reaches the revisions; None when it cannot be known.
        """
        window = Window(since=until - DRAIN_WINDOW, after=until - DRAIN_WINDOW, until=until)
        try:
            totals = await asyncio.gather(*(self.counters(question.total, window) for question in questions))
            gauges = await asyncio.gather(
                *(self.counters(question.in_flight, window) for question in questions if question.in_flight)
            )
        except PortError:
            return None
        if not any(totals):
            return None  # the gateway is not scraped: no series is not the same as no requests
        with_gauge = [question.revision for question in questions if question.in_flight]
        return Drain(
            requests={q.revision: _growth(series) for q, series in zip(questions, totals, strict=True)},
            in_flight={name: _newest(series) for name, series in zip(with_gauge, gauges, strict=True)},
        )


def _of_stable(question: CounterQuestion) -> CounterQuestion:
    """
    The same question with stable in the place of a candidate that is counted alone.
    """
    return replace(question, candidate=question.stable, stable=None, store=question.store.turned().without_stable())


def _turned(reading: Reading | None) -> Reading | None:
    """
    What was read with stable in the candidate's place, put right.
    """
    match reading:
        case Measured(block=Block() as counts):
            right = replace(counts, candidate=counts.stable, stable=counts.candidate)
            return Measured(right, note=reading.note, store=reading.store.turned())
        case Measured(block=TailBlock() as calls):
            moved = replace(calls, candidate=calls.stable, stable=calls.candidate)
            return Measured(moved, store=reading.store.turned())
        case AnotherStore():
            return replace(reading, store=reading.store.turned())
        case NoData(message=Absence.NO_CANDIDATE_SAMPLES):
            return NoData(str(Absence.NO_STABLE_SAMPLES))
        case _:
            return reading


def _left_out(window: Window, store: Store) -> AnotherStore:
    """
    Up to the window's beginning the other store has counted: this one may have scraped before what is in there.
    """
    return AnotherStore(ANOTHER_STORE, until=window.until, store=store.began(window.after))


def _growth(series: tuple[Series, ...]) -> float:
    """
    Requests counted within the window; a series with one sample has shown none. Resets count what came after them.
    """
    total = 0.0
    for item in series:
        values = [value for _, value in item.samples if isfinite(value)]
        total += sum(b - a if b >= a else b for a, b in pairwise(values))
    return total


def _newest(series: tuple[Series, ...]) -> float:
    """
    The sum of the newest values of a gauge.
    """
    return sum(item.samples[-1][1] for item in series if item.samples and isfinite(item.samples[-1][1]))


async def _sent(eyes: Eyes, key: Key, question: WarmUpQuestion | None) -> WarmUpReading | None:
    if question is None:
        return None
    try:
        return await eyes.warm_ups.send(key, question.revision, question.warm_up)
    except PortError as error:
        return WarmUpReading(sent=0, failed=0, p95_seconds=0.0, message=str(error))


async def _beside(asker: _Asker, eyes: Eyes, key: Key, wanted: Needs, pods: PodTimes) -> Beside:
    """
    What is asked of a candidate, the run's own or another one: its readings, and its requests of the warm-up.
    """
    readings = await asyncio.gather(*(asker.reading(question, pods) for question in wanted.counters))
    histories = {
        question.name: await read_history(asker.series, question, Pods(born=pods.born, started=pods.started))
        for question in wanted.histories  # one after the other: they are long, and once in a rollout
    }
    told = zip((question.name for question in wanted.counters), readings, strict=True)
    return Beside(
        readings={name: reading for name, reading in told if reading is not None},
        histories=histories,
        warm_up=await _sent(eyes, key, wanted.warm_up),
    )


async def observe(eyes: Eyes, deployment: MLModelDeployment, refused: str | None, now: datetime) -> Observed:
    """
    The world as one decision may see it: the cluster as last heard of, the metrics as they are now.
    """
    key = Key(deployment.namespace, deployment.name)
    world = Observed(
        arms=eyes.workloads.arms(key),
        route=eyes.routes.state(key),
        comparators=eyes.comparators.comparators(key),
        can_compare=eyes.comparators.available,
        refused=refused,
    )
    wanted = needs(deployment, world, now)
    asker = _Asker(eyes.metrics, key.namespace, deployment.spec.analysis.prometheus)
    pods = eyes.workloads.pod_times(key)
    own, *beside = await asyncio.gather(
        *(_beside(asker, eyes, key, asked, pods) for asked in (wanted, *wanted.others.values()))
    )
    drain = await asker.drained(wanted.drain, wanted.drain_at) if wanted.drain_at else None
    return replace(
        world,
        readings=own.readings,
        histories=own.histories,
        drain=drain,
        warm_up=own.warm_up,
        smoke=await _sent(eyes, key, wanted.smoke),
        others=dict(zip(wanted.others, beside, strict=True)),
    )
