"""
Reading stable's past before a rollout, in stretches, the newest first.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Final, assert_never

from modelramp.analysis import ArmSeries, Counted, Counts, Pods, Series, Window, count_block
from modelramp.analysis.dispersion import Dispersion
from modelramp.analysis.evidence import PHI_UNKNOWN
from modelramp.analysis.gauges import GaugeHistory
from modelramp.analysis.histogram import NoSuchEdgeError
from modelramp.analysis.history import RateHistory, TailHistory
from modelramp.ports import PortError, counters_only
from modelramp.rollout.account import Opening, PhiSource
from modelramp.rollout.counters import ArmSelectors, BucketSelectors, GaugeSelectors
from modelramp.rollout.needs import LOOK_BACK, HistoryQuestion
from modelramp.rollout.observed import History, Impossible, NoData, Unavailable

FIRST_STRETCH: Final = timedelta(minutes=10)  # short: what a busy service told in it fits any answer's limit
BASELINE: Final = timedelta(hours=1)  # of stable's past stands for it where the candidate is never beside it
LONGEST_STRETCH: Final = timedelta(hours=4)  # 16 samples a minute of a hundred series are some 3 MB
UNKNOWN_COUNTERS: Final = (
    "no counters are known for this gateway or runtime: "
    "give the metric as a ratio or histogram of your own selectors, or another origin"
)
UNKNOWN: Final = Dispersion(PHI_UNKNOWN, known=False)

SeriesReader = Callable[[str, Window], Awaitable[tuple[Series, ...]]]


def _stretches(question: HistoryQuestion) -> list[Window]:
    """
    The look-back in whole minutes, newest first, each up to four times as long as the one after it.
    """
    found, until, left, length = [], question.until, question.look_back // timedelta(minutes=1), FIRST_STRETCH
    while left > 0:
        minutes = min(left, length // timedelta(minutes=1))
        after = until - timedelta(minutes=minutes)
        found.append(Window(since=after - LOOK_BACK, after=after, until=until))
        until, left, length = after, left - minutes, min(4 * length, LONGEST_STRETCH)
    return found


async def read_history(read: SeriesReader, question: HistoryQuestion, pods: Pods) -> History:
    """
    What a metric's evidence can be begun with.

    The past is read back to where it ends, or to the first stretch that cannot be had: a shorter past is a past.
    """
    try:
        return await _read(read, question, pods)
    except PortError as error:
        return Unavailable(str(error))
    except NoSuchEdgeError as error:
        return Impossible(f"{question.field}: {error}; choose one of these, or give the server another bucket")
    except ValueError as error:
        return NoData(str(error))


async def _read(read: SeriesReader, question: HistoryQuestion, pods: Pods) -> Opening | NoData:
    match question.stable:
        case ArmSelectors() as selectors:
            return await _rate(read, question, selectors, pods)
        case BucketSelectors() as selectors:
            return await _tails(read, question, selectors, pods)
        case GaugeSelectors() as selectors:
            return await _gauge(read, question, selectors)
        case None:
            return NoData(UNKNOWN_COUNTERS)
        case unknown:
            assert_never(unknown)


async def _past(
    read: SeriesReader, question: HistoryQuestion, *selectors: str
) -> AsyncIterator[tuple[Window, list[tuple[Series, ...]]]]:
    """
    Each stretch with the answer to each selector, to where the first selector finds nothing or one cannot be had.

    Raises:
        PortError: not even the newest stretch can be had.
    """
    for number, window in enumerate(_stretches(question)):
        try:
            answers = [await read(selector, window) for selector in selectors]
        except PortError:
            if number == 0:
                raise
            return
        if not answers[0]:
            return
        yield window, answers


async def _rate(read: SeriesReader, question: HistoryQuestion, selectors: ArmSelectors, pods: Pods) -> Opening:
    history = RateHistory()
    if question.tells_pods:
        async for window, (total, bad) in _past(_counters(read), question, selectors.total, selectors.bad):
            history = history.before(ArmSeries(total, bad), window, pods)
    past = await _baseline(_counters(read), question, pods)
    return replace(_opening(question, history.dispersion), rps=history.rps, rate=history.rate, past=past)


async def _baseline(read: SeriesReader, question: HistoryQuestion, pods: Pods) -> tuple[Counts, ...]:
    """
    What was counted of stable in the last hour, by the series that the candidate will be counted by; empty: not asked
    for.
    """
    if question.baseline is None:
        return ()
    hour = replace(question, look_back=min(question.look_back, BASELINE))
    counts = Counts()
    async for window, (total, bad) in _past(read, hour, question.baseline.total, question.baseline.bad):
        counted = count_block(ArmSeries(total, bad), None, window, pods)
        counts += counted.block.candidate if isinstance(counted, Counted) else Counts()
    return (counts,)


async def _tails(read: SeriesReader, question: HistoryQuestion, selectors: BucketSelectors, pods: Pods) -> Opening:
    history = TailHistory()
    async for window, (buckets,) in _past(read, question, selectors.buckets):
        history = history.before(buckets, window, factor=selectors.factor, pods=pods, question=question.question)
        if window.until == question.until:
            history.require_edge(question.question)  # a question between the edges needs no day of reading
    plan = history.plan(question.question)
    known, stable = history.dispersion(plan) if question.tells_pods else UNKNOWN, history.stable
    past = () if stable is None else tuple(stable.counts(edge) for edge in plan.edges if edge in stable.edges)
    return replace(_opening(question, known), plan=plan, past=past)


async def _gauge(read: SeriesReader, question: HistoryQuestion, selectors: GaugeSelectors) -> Opening:
    history = GaugeHistory()
    async for window, (series,) in _past(_counters(read), question, selectors.value):
        history = history.before(
            series, window, seconds=question.block_seconds, delta=question.harm, aggregate=selectors.aggregate
        )
    return Opening(phi=1.0, source=PhiSource.ESTIMATED, until=question.until, spread=history.spread)


def _counters(read: SeriesReader) -> SeriesReader:
    """
    The same reader, which refuses native histograms.
    """

    async def counters(selector: str, window: Window) -> tuple[Series, ...]:
        return counters_only(await read(selector, window))

    return counters


def _opening(question: HistoryQuestion, found: Dispersion) -> Opening:
    return Opening(
        phi=round(found.phi, 4),
        source=PhiSource.ESTIMATED if found.known else PhiSource.ASSUMED,
        until=question.until,
        more_pods=found.advises_more_pods,
    )
