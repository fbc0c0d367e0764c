"""
What a plan rests on, where it is measured: requests and errors of the last hour, by metric.
"""

from dataclasses import dataclass
from typing import Any

from modelramp.rollout.numbers import duration_text


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredMetric:
    """
    Counts of one metric's events over some time.
    """

    name: str
    seconds: float
    """Above 0; shorter than an hour where there are samples of less."""
    requests: float
    """Of stable."""
    errors: float
    """Of these."""
    others: float = 0.0
    """Requests beside those of stable."""

    @property
    def rps(self) -> float:
        """
        Requests a second, of all arms.
        """
        return (self.requests + self.others) / self.seconds

    @property
    def stable_errors(self) -> float:
        """
        Stable's share of bad events, 0 to 1; 0 where it had none at all.
        """
        return self.errors / self.requests if self.requests else 0.0

    def __str__(self) -> str:
        """
        For people.
        """
        return (
            f"{self.name}: {self.rps:,.3g} a second over the last {duration_text(self.seconds)}; "
            f"of stable's {self.requests:,.0f}, {self.errors:,.0f} were bad ({self.stable_errors:.3g})"
        )

    def as_json(self) -> dict[str, Any]:
        """
        For programs.
        """
        return {
            "name": self.name, "rps": self.rps, "stableErrors": self.stable_errors, "requests": self.requests,
            "errors": self.errors, "seconds": self.seconds,
        }  # fmt: skip
