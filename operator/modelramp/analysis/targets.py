"""
What the raw samples of one fetch tell about the scraped targets: when they were read, when their counters began anew.

All series of a target stand on one page, read at one instant. Births and restarts are therefore judged per target and
not per series: what happens to one counter of a page happens to its neighbours, and events stay beside the exposures
they belong to. This module does no I/O and adds nothing up.
"""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from itertools import pairwise, repeat
from typing import Final, NamedTuple

from modelramp.analysis.native import NativeSample

START_RESOLUTION_SECONDS: Final = 1.0  # Kubernetes cuts start times to whole seconds: the true one is up to 1 s later

Identity = frozenset[tuple[str, str]]
EDGE_LABEL: Final = "le"  # of a classic histogram's buckets: the upper edge


class Sample(NamedTuple):
    """One raw sample."""

    at: float
    """Unix seconds."""
    value: float
    """The counter's value, at least 0."""


class Span(NamedTuple):
    """The time (left, right] between two scrapes, unix seconds."""

    left: float
    right: float


@dataclass(frozen=True, slots=True)
class Window:
    """
    Which samples were fetched, and which increments are wanted.

    Attributes:
        since: Every selector was fetched over (since, until]. It must lie before the last scrape that precedes
            ``after``, or increments are lost; five minutes earlier is what Prometheus itself looks back.
        after: Where the last block ended, aware.
        until: Where this one ends, aware; so far back that its samples are settled (now minus one scrape).

    Raises:
        ValueError: Unless since <= after < until.

    """

    since: datetime
    after: datetime
    until: datetime

    def __post_init__(self) -> None:
        """Refuse a window out of order."""
        if not self.since <= self.after < self.until:
            raise ValueError(f"not a window: since {self.since}, after {self.after}, until {self.until}")


@dataclass(frozen=True, slots=True)
class Pods:
    """
    What is known about the scraped pods from elsewhere, in unix seconds. Keys are pod names or ``instance`` values.

    Attributes:
        born: Creation time.
        started: Start times of the container that serves the counters, as many as are known, cut to whole seconds.
        scraped: Instants of successful scrapes (``up`` = 1), where those are fetched as well.

    """

    born: Mapping[str, float] = field(default_factory=dict)
    started: Mapping[str, Sequence[float]] = field(default_factory=dict)
    scraped: Mapping[str, Sequence[float]] = field(default_factory=dict)


@dataclass(frozen=True)  # no slots: a look asks for what is derived many times, and it is derived once
class Series:
    """
    One series of raw counter samples, or of a native histogram's.

    Attributes:
        labels: All its labels, as the metric store gives them.
        samples: (unix seconds, value) in any order. Repeated instants count once; NaN (Prometheus' mark for a series
            that ended), infinities and values below 0 are skipped. None of a native histogram.
        histograms: A native histogram's samples in any order, all within what was fetched; ``nativebuckets`` makes
            counters of them. None of a counter.

    """

    labels: Mapping[str, str]
    samples: Sequence[tuple[float, float]]
    histograms: Sequence[NativeSample] = ()

    @cached_property
    def identity(self) -> Identity:
        """All labels: equal for a series that was fetched twice."""
        return frozenset(self.labels.items())

    @cached_property
    def target(self) -> Identity:
        """
        The page the series stands on.

        A series without ``instance`` shares its page with no other, except that the buckets of one histogram do: they
        are written together, and only together they stay cumulative.
        """
        if "instance" not in self.labels:
            return frozenset(label for label in self.labels.items() if label[0] != EDGE_LABEL)
        return frozenset((name, self.labels[name]) for name in ("instance", "job") if name in self.labels)

    @cached_property
    def _usable_samples(self) -> tuple[Sample, ...]:
        """All usable samples, oldest first, one per instant: of each the largest value."""
        # Written for speed, as it is done for each series of each look: the check is that of ``_usable``, and
        # ``tuple.__new__`` makes what ``Sample._make`` does, without a call in Python for each sample.
        usable = sorted([one for one in self.samples if 0.0 <= one[1] < math.inf])
        return tuple(map(tuple.__new__, repeat(Sample), dict(usable).items()))

    def settled(self, window: Window) -> tuple[Sample, ...]:
        """Return the usable samples of the window, oldest first, one per instant."""
        usable, since, until = self._usable_samples, window.since.timestamp(), window.until.timestamp()
        if usable and since < usable[0][0] and usable[-1][0] <= until:
            return usable  # as nearly always: no more was fetched
        return tuple([one for one in usable if since < one[0] <= until])

    def existed_before(self, at: float) -> bool:
        """Whether an unusable sample precedes ``at``: the counter was there, its value is not known."""
        return any(one[0] < at and not _usable(one) for one in self.samples)


@dataclass(frozen=True, slots=True)
class Target:
    """
    One scraped page.

    Attributes:
        scrapes: Instants of its successful scrapes that are known, in order, unix seconds, none before the window.
        born_in_window: Creation time of its pod if that is within the window: nothing of it can have been missed.
        restarts: Spans in which its counters fell and its container is known to have started.
        breaks: Spans in which its counters fell and no such start is known.

    """

    scrapes: tuple[float, ...]
    born_in_window: float | None
    restarts: frozenset[Span]
    breaks: frozenset[Span]

    def birth(self, series: Series, at: float) -> Sample | None:
        """
        Return the zero from which a series first seen at ``at`` counts; None if that sample is only a baseline.

        It counts from the scrape before, which the series was not part of yet (error counters appear with the first
        error), or from the creation of a pod so young that no scrape of it can lie before the window.
        """
        if series.existed_before(at):
            return None
        before = [scrape for scrape in self.scrapes if scrape < at]
        zero = before[-1] if before else self.born_in_window
        return None if zero is None else Sample(zero, 0.0)

    def increment(self, left: Sample, right: Sample) -> float:
        """
        Return what a counter of this page grew by between two of its samples, at least 0.

        After a restart it is the whole new value, also where the counter has already outgrown the old one. Where
        counters fell without a known start (another replica answered), it is 0 for the whole page, so that no
        event is counted without its exposure.
        """
        if _any_within(self.restarts, left.at, right.at):
            return right.value
        if _any_within(self.breaks, left.at, right.at):
            return 0.0
        return right.value - left.value


def find_targets(series: Iterable[Series], window: Window, pods: Pods) -> dict[Identity, Target]:
    """Group all series of one fetch, both arms together, by the page they stand on."""
    pages: dict[Identity, list[Series]] = {}
    for one in series:
        pages.setdefault(one.target, []).append(one)
    return {page: _target(members, window, pods) for page, members in pages.items()}


def interrupted(targets: Iterable[Target], window: Window) -> bool:
    """
    Whether scraping stopped before the end of the window, or has just begun again with some page still to come.

    A block must not end there. The next one looks back from its end, and once the interruption is longer than that,
    all that was counted meanwhile would be lost: the samples from before, which it is counted from, are out of reach.
    Scraping has stopped once no page was read for twice the interval usual of the newest one. A page that was read
    until then is waited for during its own usual interval; after that it is taken as gone.
    """
    after, until = window.after.timestamp(), window.until.timestamp()
    pages = [target.scrapes for target in targets if target.scrapes]
    newest = max(pages, key=lambda scrapes: scrapes[-1], default=())
    if newest and until - newest[-1] > 2 * _usual_interval(newest):
        return True
    before = [tuple([at for at in scrapes if at <= after]) for scrapes in pages]  # the first ones, as they are in order
    stopped = max((earlier[-1] for earlier in before if earlier), default=-math.inf)
    later = ((scrapes, len(earlier)) for scrapes, earlier in zip(pages, before, strict=True))
    begun = min((scrapes[first] for scrapes, first in later if first < len(scrapes)), default=math.inf)
    return any(
        stopped - earlier[-1] < interval < (begun - stopped) / 2 and until - begun < interval
        for scrapes, earlier in zip(pages, before, strict=True)
        if earlier == scrapes and (interval := _usual_interval(earlier)) < math.inf
    )


def _usual_interval(scrapes: Sequence[float]) -> float:
    """Seconds, the longer of the last two, as one may be that between two replicas; infinite when there is none."""
    return max((right - left for left, right in pairwise(scrapes[-3:])), default=math.inf)


def _target(members: Sequence[Series], window: Window, pods: Pods) -> Target:
    since = window.since.timestamp()
    names = {one.labels[label] for one in members for label in ("pod", "instance") if label in one.labels}
    known = {at for name in names for at in pods.scraped.get(name, ()) if since < at}
    born = [pods.born[name] for name in names if since < pods.born.get(name, since)]
    starts = [at for name in names for at in pods.started.get(name, ())]
    runs = [one.settled(window) for one in members]
    falls = _shortest(
        {Span(left.at, right.at) for run in runs for left, right in pairwise(run) if right[1] < left[1]}  # the values
    )
    restarts = frozenset(fall for fall in falls if any(_may_be_in(start, fall) for start in starts))
    return Target(
        scrapes=tuple(sorted(known.union(*([at for at, _ in run] for run in runs)))),
        born_in_window=min(born, default=None),
        restarts=restarts,
        breaks=frozenset(falls - restarts),
    )


def _shortest(spans: set[Span]) -> set[Span]:
    """Keep the spans without another in them: a series that was away for a scrape shows the same fall less sharply."""
    return {one for one in spans if not _any_within(spans - {one}, one.left, one.right)}


def _usable(sample: tuple[float, float]) -> bool:
    return 0.0 <= sample[1] < math.inf  # false for NaN


def _may_be_in(start: float, span: Span) -> bool:
    return span.left < start + START_RESOLUTION_SECONDS and start <= span.right


def _any_within(spans: Collection[Span], left: float, right: float) -> bool:
    return bool(spans) and any(left <= span.left and span.right <= right for span in spans)
