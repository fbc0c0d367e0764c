"""
Many runs in a few numbers.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any, Self

from modelramp.simulation.rollout import Outcome, Run


@dataclass(frozen=True, slots=True)
class Spread:
    """
    Mean, median and 95th percentile (the smallest value that so many do not exceed).
    """

    mean: float
    p50: float
    p95: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Self:
        """
        Of at least one value.
        """
        ordered = sorted(values)
        last = len(ordered) - 1
        return cls(fmean(ordered), ordered[last // 2], ordered[min(last, -(-95 * len(ordered) // 100) - 1)])

    def as_json(self) -> dict[str, float]:
        """
        For programs.
        """
        return {"mean": round(self.mean, 3), "p50": self.p50, "p95": self.p95}


@dataclass(frozen=True, slots=True)
class Summary:
    """
    What became of many rollouts.

    Attributes:
        runs: How many.
        outcomes: How many of each outcome.
        bad: Bad requests of the candidate until the outcome.
        requests: Requests of both arms until the outcome.
        seconds: Until the outcome.
        culprits: How often each metric had most evidence of harm at a rollback.

    """

    runs: int
    outcomes: Counter[Outcome]
    bad: Spread
    requests: Spread
    seconds: Spread
    culprits: Counter[str]

    def as_json(self) -> dict[str, Any]:
        """
        For programs.
        """
        return {
            "runs": self.runs,
            "promoted": self.outcomes[Outcome.PROMOTED],
            "reported": self.outcomes[Outcome.REPORTED],
            "rolledBack": self.outcomes[Outcome.ROLLED_BACK],
            "inconclusive": self.outcomes[Outcome.INCONCLUSIVE],
            "badRequests": self.bad.as_json(),
            "totalRequests": self.requests.as_json(),
            "seconds": self.seconds.as_json(),
            "culprits": dict(self.culprits),
        }


def summarize(runs: Sequence[Run]) -> Summary:
    """
    Of at least one run.
    """
    return Summary(
        runs=len(runs),
        outcomes=Counter(run.outcome for run in runs),
        bad=Spread.of([run.bad for run in runs]),
        requests=Spread.of([run.requests for run in runs]),
        seconds=Spread.of([run.seconds for run in runs]),
        culprits=Counter(run.culprit for run in runs if run.culprit),
    )
