"""
What the comparator counts, as Prometheus reads it. The number of series is bounded, whatever is asked and answered.
"""

import math
from collections.abc import Callable
from enum import StrEnum
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from modelramp.comparator.core import Compare, Comparison, Labels, Outcome, Pair

_DISTANCES: Final = (0.0, 1e-6, 1e-5, 1e-4, 1e-3, 2e-3, 5e-3, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 10.0, 100.0, 1e3)
_SLOWER: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_DIFFERENCES: Final = (*(-edge for edge in reversed(_SLOWER)), 0.0, *_SLOWER, math.inf)


class Result(StrEnum):
    """
    What became of a copy that arrived; each copy has one of these, and one taken that is given up is unpaired beside.
    """

    TAKEN = "taken"
    """It waits to be compared, or has been."""
    UNSAMPLED = "unsampled"
    """It is none of the sample, or of another method than those compared."""
    DROPPED = "dropped"
    """There was no room, or the process was ending, or the gateway left before the body was there."""
    TOO_LARGE = "too_large"
    """Its body is longer than what is read."""
    LOOP = "loop"
    """It is a replay itself: a mirror leads from a Service back to here."""
    OVER_BUDGET = "over_budget"
    """As many as allowed have been taken."""
    UNPAIRED = "unpaired"
    """It was taken, and given up at the end of the process, before both answers were there."""


class Counts:
    """
    The counters of this process, in a registry of their own.
    """

    def __init__(self, stable: str, candidate: str, comparison: Comparison, waiting: Callable[[], int]) -> None:
        """
        All series of outcomes and results begin at 0, so that the first increments are seen.

        Args:
            stable: Name of the stable revision, under which controls are counted.
            candidate: Name of the candidate.
            comparison: Its tolerance is an edge of the distances.
            waiting: Requests in the queue, asked at every scrape.

        """
        self._stable, self._candidate = stable, candidate
        self._labels, self._compare, self._registry = Labels(), comparison.compare, CollectorRegistry()
        self._pairs = Counter(
            "modelramp_comparator_pairs",
            "Pairs of answers to one request, by outcome; under stable's name those of stable with itself.",
            ["revision", "outcome"],
            registry=self._registry,
        )
        self._requests = Counter(
            "modelramp_comparator_requests",
            "Copies of requests that arrived, by what became of them.",
            ["result"],
            registry=self._registry,
        )
        self._distance = Histogram(
            "modelramp_comparator_distance",
            "Distance of the numbers of a pair; relative, if the tolerance is.",
            ["revision"],
            buckets=(*sorted({*_DISTANCES, comparison.tolerance.amount}), math.inf),
            registry=self._registry,
        )
        self._difference = Histogram(
            "modelramp_comparator_latency_difference_seconds",
            "By how much the candidate's answer took longer than stable's; of controls, stable's second one.",
            ["revision"],
            buckets=_DIFFERENCES,
            registry=self._registry,
        )
        self._outputs = Counter(
            "modelramp_comparator_outputs",
            "Answers to the same requests, by what they say: the outputs that come often, and all others as one.",
            ["revision", "output"],
            registry=self._registry,
        )
        queue = Gauge("modelramp_comparator_queue", "Requests that wait to be compared.", registry=self._registry)
        queue.set_function(lambda: float(waiting()))
        self._begin_at_zero()

    def _begin_at_zero(self) -> None:
        for revision in (self._stable, self._candidate):
            for outcome in Outcome:
                self._pairs.labels(revision, outcome)
            self._difference.labels(revision)
            if self._compare is Compare.NUMBER:
                self._distance.labels(revision)
        for result in Result:
            self._requests.labels(result)

    def request(self, result: Result, number: int = 1) -> None:
        """
        So many copies came to this.
        """
        self._requests.labels(result).inc(number)

    def pair(self, pair: Pair, *, is_control: bool, slower_seconds: float) -> None:
        """
        A pair was judged. `slower_seconds` is by how much the second answer took longer.

        The distribution of outputs is that of the pairs with the candidate alone, so both revisions' counts are of the
        same requests.
        """
        revision = self._stable if is_control else self._candidate
        self._pairs.labels(revision, pair.outcome).inc()
        if pair.is_compared:
            self._difference.labels(revision).observe(slower_seconds)
        if pair.distance is not None:
            self._distance.labels(revision).observe(pair.distance)
        if pair.outputs is None or is_control or self._compare not in _WITH_OUTPUTS:
            return
        for arm, output in zip((self._stable, self._candidate), pair.outputs, strict=True):
            self._outputs.labels(arm, self._labels.of(output)).inc()

    def page(self) -> bytes:
        """
        All of them in the text format.
        """
        return generate_latest(self._registry)


_WITH_OUTPUTS: Final = frozenset({Compare.EQUAL, Compare.ARGMAX, Compare.TEXT})
