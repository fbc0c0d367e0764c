"""
Ask the ports for what the core needs. Total: every outage becomes a value.
"""

import asyncio
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import pairwise
from math import isfinite
from typing import Final

from modelramp.analysis import ArmSeries, Counted, Pods, Series, Window, count_block
from modelramp.analysis import NoData as NoCounts
from modelramp.api.document import MLModelDeployment
from modelramp.api.spec import Prometheus
from modelramp.ports import (
    Key,
    MetricSource,
    PodTimes,
    PortError,
    Routes,
    SamplesQuestion,
    WarmUps,
    Workloads,
)
from modelramp.rollout.counters import ArmSelectors
from modelramp.rollout.needs import DRAIN_WINDOW, CounterQuestion, DrainQuestion, Needs, needs
from modelramp.rollout.observed import Drain, Measured, NoData, Observed, Reading, Unavailable, WarmUpReading

UNKNOWN_COUNTERS: Final = (
    "no counters are known for this gateway or runtime: "
    "give the metric as a ratio of your own selectors, or another origin"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Eyes:
    """
    The ports a look goes through.
    """

    workloads: Workloads
    routes: Routes
    metrics: MetricSource
    warm_ups: WarmUps


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

    async def arm(self, selectors: ArmSelectors, window: Window) -> ArmSeries:
        total, bad = await asyncio.gather(self.series(selectors.total, window), self.series(selectors.bad, window))
        return ArmSeries(total, bad)

    async def reading(self, question: CounterQuestion, pods: PodTimes) -> Reading:
        """
        One metric's new block, or why there is none.
        """
        if question.candidate is None or question.stable is None:
            return NoData(UNKNOWN_COUNTERS)
        try:
            candidate, stable = await asyncio.gather(
                self.arm(question.candidate, question.window), self.arm(question.stable, question.window)
            )
        except PortError as error:
            return Unavailable(str(error))
        counted = count_block(candidate, stable, question.window, Pods(born=pods.born, started=pods.started))
        match counted:
            case Counted(block=block):
                return Measured(block)
            case NoCounts(reason=reason):
                return NoData(str(reason))

    async def drained(self, questions: tuple[DrainQuestion, ...], until: datetime) -> Drain | None:
        """
        What still reaches the revisions; None when it cannot be known.
        """
        window = Window(since=until - DRAIN_WINDOW, after=until - DRAIN_WINDOW, until=until)
        try:
            totals = await asyncio.gather(*(self.series(question.total, window) for question in questions))
            gauges = await asyncio.gather(
                *(self.series(question.in_flight, window) for question in questions if question.in_flight)
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


async def _warm_up(eyes: Eyes, key: Key, wanted: Needs) -> WarmUpReading | None:
    if wanted.warm_up is None:
        return None
    try:
        return await eyes.warm_ups.send(key, wanted.warm_up.revision, wanted.warm_up.warm_up)
    except PortError as error:
        return WarmUpReading(sent=0, failed=0, p95_seconds=0.0, message=str(error))


async def observe(eyes: Eyes, deployment: MLModelDeployment, refused: str | None, now: datetime) -> Observed:
    """
    The world as one decision may see it: the cluster as last heard of, the metrics as they are now.
    """
    key = Key(deployment.namespace, deployment.name)
    world = Observed(arms=eyes.workloads.arms(key), route=eyes.routes.state(key), refused=refused)
    wanted = needs(deployment, world, now)
    asker = _Asker(eyes.metrics, key.namespace, deployment.spec.analysis.prometheus)
    pods = eyes.workloads.pod_times(key)
    readings = await asyncio.gather(*(asker.reading(question, pods) for question in wanted.counters))
    names = [question.name for question in wanted.counters]
    drain = await asker.drained(wanted.drain, wanted.drain_at) if wanted.drain_at else None
    warm_up = await _warm_up(eyes, key, wanted)
    return replace(world, readings=dict(zip(names, readings, strict=True)), drain=drain, warm_up=warm_up)
