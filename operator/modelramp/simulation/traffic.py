"""
Invented traffic: requests that fail at given rates, alone or in clusters, alike on all pods or not.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Final

from modelramp.analysis import Counts
from modelramp.analysis.dispersion import PodHistory
from modelramp.simulation.chance import geometric, poisson
from modelramp.simulation.pods import Pod, mean_factor

SWING_SECONDS: Final = 3600.0
LONGEST_HISTORY_SECONDS: Final = 86400.0
OFTEN: Final = 0.2  # where independent requests are told apart from Poisson events
WHOLE_SAMPLE: Final = 2000


@dataclass(frozen=True, slots=True)
class Rates:
    """
    One metric's rates of bad events.

    Attributes:
        stable: Per request of the stable arm, 0 to 1.
        candidate: Per request of the candidate, 0 to 1.

    Raises:
        ValueError: If a rate is out of range.

    """

    stable: float
    candidate: float

    def __post_init__(self) -> None:
        """Refuse what is no rate."""
        if not (0.0 <= self.stable <= 1.0 and 0.0 <= self.candidate <= 1.0):
            raise ValueError(f"not rates from 0 to 1: stable {self.stable}, candidate {self.candidate}")


@dataclass(frozen=True, slots=True)
class Onset:
    """
    When the candidate begins to differ from stable.

    Attributes:
        seconds: After the candidate's first request, or after the beginning of the last step.
        in_last_step: Which of the two.

    """

    seconds: float = 0.0
    in_last_step: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TrafficModel:
    """
    The world a rollout meets.

    Attributes:
        rps: Requests a second to both arms together, above 0.
        rates: Rates by metric name. The first metric's bad events are the bad requests that are counted.
        onset: Until then the candidate behaves like stable.
        stable_pods: Pods of the stable arm, at least 1.
        candidate_pods: Pods of the candidate, at least 1.
        pod_deviation: Relative standard deviation of a pod's own rates, for as long as it lives; 0: all alike.
        burst: Mean size of a cluster of bad events, at least 1; 1: they come alone.
        retries: How often a client tries a bad request again, as badly each time; 0: never. Clusters of one more.
        incidents: Pods' incidents an hour, at least 0: for three minutes a pod's rates are 20 times as high.
        swing: How far the rates of both arms swing up and down within an hour, 0 to 1, relative to themselves.

    Raises:
        ValueError: If a number is out of range, or no metric is given.

    """

    rps: float
    rates: Mapping[str, Rates]
    onset: Onset = field(default_factory=Onset)
    stable_pods: int = 1
    candidate_pods: int = 1
    pod_deviation: float = 0.0
    burst: float = 1.0
    retries: int = 0
    incidents: float = 0.0
    swing: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what is no world."""
        if not 0.0 < self.rps < float("inf") or not self.rates:
            raise ValueError(f"traffic needs a rate above 0 and a metric: {self.rps} requests a second")
        if not 0.0 <= self.swing <= 1.0:
            raise ValueError(f"traffic needs rates that swing by 0 to 1 of themselves, not {self.swing}")
        if self.retries < 0 or self.incidents < 0.0:
            raise ValueError(f"traffic needs retries and incidents of at least 0: {self.retries}, {self.incidents}")
        if min(self.stable_pods, self.candidate_pods) < 1 or self.pod_deviation < 0.0 or self.burst < 1.0:
            raise ValueError("traffic needs a pod in each arm, a deviation of at least 0 and clusters of at least 1")


Measured = Mapping[str, tuple[Counts, Counts]]
"""Candidate's and stable's counts by metric."""


class Traffic:
    """
    One run's requests, made as time passes. Seconds count from the beginning of the run.
    """

    def __init__(self, model: TrafficModel, rng: Random) -> None:
        """
        Draw the pods; nothing has been asked yet.
        """
        self._model, self._rng = model, rng
        apart = (rng, model.pod_deviation, model.incidents, -LONGEST_HISTORY_SECONDS)
        self._candidate_pods = [Pod(*apart) for _ in range(model.candidate_pods)]
        self._stable_pods = [Pod(*apart) for _ in range(model.stable_pods)]
        self._at = 0.0
        self._share = self._copied = 0.0
        self.differs_from = float("inf")
        """When the candidate begins to differ from stable."""
        self.requests = 0
        """Of users."""
        self.bad = 0
        """Bad answers of the candidate to users, by the first metric."""

    def split(self, share: float, at: float, *, copied: float = 0.0) -> None:
        """
        Give the candidate another share (0 to 1) from `at` on; or, while it has none, copies of this share.

        Raises:
            ValueError: If both are above 0: users' answers and those to copies are not told apart.

        """
        if share > 0.0 and copied > 0.0:
            raise ValueError(f"a share of {share:g} and copies of {copied:g} at once")
        self.until(at)
        self._share, self._copied = share, copied

    def until(self, at: float) -> Measured:
        """
        Make the requests up to `at` and return the counts since the last call.
        """
        if self._at < self.differs_from < at:
            first, second = self._made(self.differs_from), self._made(at)
            return {name: (c + second[name][0], s + second[name][1]) for name, (c, s) in first.items()}
        return self._made(at)

    def history(self, windows: int, seconds: float) -> dict[str, list[PodHistory]]:
        """
        What the stable pods counted before the rollout, in so many windows of so many seconds, by metric.

        At most a day; to be called before the first request.
        """
        each = self._model.rps * seconds / len(self._stable_pods)
        rows: dict[str, list[PodHistory]] = {name: [] for name in self._model.rates}
        for pod in self._stable_pods:
            middles = [seconds * (k + 0.5 - windows) for k in range(windows)]
            made = [(poisson(self._rng, each), pod.factor(at) * self._swing(at)) for at in middles]
            for name, rates in self._model.rates.items():
                counts = (Counts(n, self._bad(n, rates.stable * factor)) for n, factor in made)
                rows[name].append(PodHistory(tuple(counts)))
        return rows

    def _made(self, at: float) -> dict[str, tuple[Counts, Counts]]:
        seconds, model, rng = at - self._at, self._model, self._rng
        if seconds <= 0.0:
            return {name: (Counts(), Counts()) for name in model.rates}
        differs = self._at >= self.differs_from
        middle = (self._at + at) / 2.0
        swing = self._swing(middle)
        candidate, stable = (swing * mean_factor(pods, middle) for pods in (self._candidate_pods, self._stable_pods))
        self._at = at
        candidates = poisson(rng, model.rps * (self._share + self._copied) * seconds)
        stables = poisson(rng, model.rps * (1.0 - self._share) * seconds)
        made = {}
        for name, rates in model.rates.items():
            rate = rates.candidate if differs else rates.stable
            bad, others = self._bad(candidates, rate * candidate), self._bad(stables, rates.stable * stable)
            made[name] = (Counts(candidates, bad), Counts(stables, others))
        self.requests += stables
        if self._copied == 0.0:
            self.requests += candidates
            self.bad += int(next(iter(made.values()))[0].x)
        return made

    def _swing(self, at: float) -> float:
        return 1.0 + self._model.swing * math.sin(2.0 * math.pi * at / SWING_SECONDS)

    def _bad(self, requests: int, rate: float) -> int:
        """
        Bad ones among the requests, alone or in clusters.
        """
        if rate >= 1.0 or requests == 0:
            return requests
        burst, tries = self._model.burst, 1 + self._model.retries
        if burst * tries <= 1.0:
            often = rate > OFTEN
            bad = _binomial(self._rng, requests, rate) if often else poisson(self._rng, rate * requests)
        else:
            clusters = poisson(self._rng, rate * requests / burst / tries)
            bad = tries * sum(geometric(self._rng, burst) for _ in range(clusters))
        return min(requests, bad)


def _binomial(rng: Random, n: int, p: float) -> int:
    """
    Exact up to 2,000 requests; above, the normal approximation, whose error is far below one deviation.
    """
    if n <= WHOLE_SAMPLE:
        return sum(rng.random() < p for _ in range(n))
    return min(n, max(0, round(rng.gauss(n * p, (n * p * (1.0 - p)) ** 0.5))))
