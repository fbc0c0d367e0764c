"""
Telling metric stores apart: replicas scrape the same pages, each at instants of its own.

What one of them counted must not be put beside, or added to, what another one counted. Within one look the answers
disagree about when a page was scraped; from look to look the one that answers lacks a sample that was there before.
This module does no I/O.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import combinations
from typing import Final, NamedTuple

from modelramp.analysis.targets import Identity, Series, Window

MILLISECONDS: Final = 1000  # in a second; Prometheus keeps instants in whole ones
HALF_MILLISECOND: Final = 0.0005  # seconds


class Store(NamedTuple):
    """
    By what the store that gave a block is known again, in unix milliseconds; 0 stands for nothing.

    Stored as a list of the three, 43 bytes of JSON.
    """

    candidate: int = 0
    """Newest sample of the candidate's totals, buckets or native histograms that the block rests on."""
    stable: int = 0
    """The same of the stable arm."""
    since: int = 0
    """Up to here another store has counted: no increment of this one may begin earlier."""

    @classmethod
    def from_state(cls, numbers: Iterable[int]) -> "Store":
        """Restore what was stored; ValueError if it is damaged."""
        candidate, stable, since = map(int, numbers)
        return cls(candidate, stable, since)

    def without_stable(self) -> "Store":
        """Return the same where stable is not asked for any more, so that nothing of it can be missed."""
        return self._replace(stable=0)

    def turned(self) -> "Store":
        """Return the same with the arms in each other's place, where stable alone is counted as a candidate is."""
        return self._replace(candidate=self.stable, stable=self.candidate)

    def counting(self, window: Window) -> Window:
        """Return the window without the samples that no increment may begin at."""
        return replace(window, since=max(window.since, datetime.fromtimestamp(self.since / MILLISECONDS, UTC)))

    def newest(self, candidate: Iterable[Series], stable: Iterable[Series], window: Window) -> "Store":
        """Return the same store with the instants of each arm's newest sample in (since, until]."""
        return self._replace(candidate=_newest(candidate, window), stable=_newest(stable, window))

    def began(self, at: datetime) -> "Store":
        """Return the same with an instant (aware) up to which another one has counted."""
        return self._replace(since=math.ceil(at.timestamp() * MILLISECONDS))

    def differs(self, candidate: Iterable[Series], stable: Iterable[Series], window: Window) -> bool:
        """
        Whether an arm's answer lacks the newest sample that its last block rests on, though it reaches back that far.

        A store keeps what it has, also of pods that are gone and over its own restarts. Replicas scrape a page at the
        same millisecond in one case of thousands. An instant that the window does not reach tells nothing; nor does
        it matter, as no increment can begin before it then.

        Args:
            candidate: The candidate's totals, buckets or native histograms.
            stable: The stable arm's.
            window: Which samples were fetched.

        """
        return _lacks(candidate, self.candidate, window) or _lacks(stable, self.stable, window)


UNKNOWN_STORE: Final = Store()


def from_two_stores(answers: Iterable[Sequence[Series]], window: Window) -> bool:
    """
    Whether the answers to the selectors of one look disagree about when a page was scraped.

    All series of a page stand in every scrape of it from their birth on. Two answers whose samples of a page reach
    over a common time without a common instant are therefore of two stores, and events counted by one do not belong
    to exposures counted by the other.
    """
    pages: dict[Identity, list[set[float]]] = {}
    since, until = window.since.timestamp(), window.until.timestamp()
    for answer in answers:
        seen: dict[Identity, set[float]] = {}
        for one in answer:
            seen.setdefault(one.target, set()).update(at for at, _ in one.samples if since < at <= until)
        for page, instants in seen.items():
            pages.setdefault(page, []).append(instants)
    return any(_apart(one, other) for found in pages.values() for one, other in combinations(filter(None, found), 2))


def _newest(arm: Iterable[Series], window: Window) -> int:
    since, until = window.since.timestamp(), window.until.timestamp()
    return round(MILLISECONDS * max((at for at in _instants(arm) if since < at <= until), default=0.0))


def _lacks(arm: Iterable[Series], known: int, window: Window) -> bool:
    instant = known / MILLISECONDS
    if instant <= window.since.timestamp():
        return False
    return not any(abs(at - instant) < HALF_MILLISECOND for at in _instants(arm))


def _instants(arm: Iterable[Series]) -> Iterator[float]:
    for one in arm:
        yield from (at for at, _ in one.samples)
        yield from (sample.at for sample in one.histograms)


def _apart(one: set[float], other: set[float]) -> bool:
    """Whether both reach over a common time, without a common instant."""
    return max(min(one), min(other)) <= min(max(one), max(other)) and one.isdisjoint(other)
