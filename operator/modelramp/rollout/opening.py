"""
What must be known of one metric before its evidence begins.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from modelramp.analysis import Counts
from modelramp.analysis.gauges import GaugeSpread
from modelramp.analysis.tailplan import TailPlan


class PhiSource(StrEnum):
    """
    Where a metric's overdispersion is from.
    """

    GIVEN = "Given"
    """The spec says it."""
    ESTIMATED = "Estimated"
    """From the stable pods' history."""
    ASSUMED = "Assumed"
    """The history says nothing, so twice the scatter of independent events is assumed."""
    RAISED = "Raised"
    """Stable's pods were found to differ during the rollout by more than what it was before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """
    What must be known before the first block of a metric is looked at, and is never changed afterwards.
    """

    phi: float
    """Overdispersion, at least 1."""
    source: PhiSource
    plan: TailPlan | None = None
    """Which bucket edges are judged; None for a rate or a gauge."""
    spread: GaugeSpread | None = None
    """How a gauge varies; None for a rate or durations. Of a gauge `phi` says nothing."""
    until: datetime | None = None
    """End of the history it was learnt from: nothing up to it may be counted. None: no history was looked at."""
    more_pods: bool = False
    """Lasting differences between stable's pods dominate: a candidate on more pods would be judged sooner."""
    rps: float | None = None
    """Stable's requests a second in the history; None: not known."""
    rate: float | None = None
    """Stable's share of bad events in the history, 0 to 1; None: not known, or not a rate."""
    past: tuple[Counts, ...] = ()
    """Stable's counts before the rollout, by the very series that are counted in it: of a rate one, of durations the
    calls above each edge of the plan; empty: not known, or not needed."""
