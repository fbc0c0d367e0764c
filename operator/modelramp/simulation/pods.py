"""
Pods that are unlike each other, always or for minutes.
"""

from collections.abc import Sequence
from random import Random
from typing import Final

from modelramp.simulation.chance import multiplier

INCIDENT_SECONDS: Final = 180.0
INCIDENT_FACTOR: Final = 20.0


class Pod:
    """
    One pod's own share in its rates.

    Times may be before the rollout, and must be asked for in order.
    """

    def __init__(self, rng: Random, deviation: float, incidents_per_hour: float, since: float) -> None:
        """
        Draw what sets the pod apart; its first incident may come from `since` on (seconds).
        """
        self._rng, self._pace = rng, incidents_per_hour / 3600.0
        self._level = multiplier(rng, deviation)
        self._incident = self._next(since)

    def _next(self, after: float) -> float:
        return after + self._rng.expovariate(self._pace) if self._pace > 0.0 else float("inf")

    def factor(self, at: float) -> float:
        """
        What its rates are multiplied by at `at`.
        """
        while self._incident + INCIDENT_SECONDS <= at:
            self._incident = self._next(self._incident + INCIDENT_SECONDS)
        return self._level * (INCIDENT_FACTOR if self._incident <= at else 1.0)


def mean_factor(pods: Sequence[Pod], at: float) -> float:
    """
    Of all pods, which share the requests evenly.
    """
    return sum(pod.factor(at) for pod in pods) / len(pods)
