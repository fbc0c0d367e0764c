"""
What is kept of one metric in one rollout, whatever its kind: rates and durations are told apart here and nowhere else.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, Self, cast

from modelramp.analysis import (
    Block,
    Counts,
    Margins,
    MetricEvidence,
    MetricState,
    TimeLeft,
    Totals,
    Verdict,
    Vote,
    Wealth,
)
from modelramp.analysis import seconds_left as rate_seconds_left
from modelramp.analysis.combination import shared
from modelramp.analysis.forecast import tail_seconds_left
from modelramp.analysis.slices import SliceEvidence
from modelramp.analysis.tailplan import TailPlan
from modelramp.analysis.tails import TailBlock, TailEvidence, TailState

HALF: Final = 0.5


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """
    What must be known before the first block of a metric is looked at, and is never changed afterwards.
    """

    phi: float
    """Overdispersion, at least 1."""
    source: PhiSource
    plan: TailPlan | None = None
    """Which bucket edges are judged; None for a rate."""
    until: datetime | None = None
    """End of the history it was learnt from: nothing up to it may be counted. None: no history was looked at."""
    more_pods: bool = False
    """Lasting differences between stable's pods dominate: a candidate on more pods would be judged sooner."""
    rps: float | None = None
    """Stable's requests a second in the history; None: not known."""
    rate: float | None = None
    """Stable's share of bad events in the history, 0 to 1; None: not known, or not a rate."""


@dataclass(frozen=True, slots=True)
class Account:
    """
    One metric's evidence, with that of its slices.
    """

    metric: MetricEvidence | TailEvidence
    source: PhiSource = PhiSource.GIVEN
    slices: SliceEvidence | None = None
    more_pods: bool = False
    warning: str = ""
    """What was foreseen when it was opened; empty: nothing stands in the way."""

    @classmethod
    def open(cls, opening: Opening, wealth: Wealth, slices: Sequence[str] = (), warning: str = "") -> Self:
        """
        Begin a rollout's evidence; `slices` are the values looked at on their own, of a rate only.
        """
        metric: MetricEvidence | TailEvidence
        if opening.plan is None:
            metric = MetricEvidence.begin(wealth, phi=opening.phi, counted_until=opening.until)
        else:
            metric = TailEvidence.begin(opening.plan, wealth, phi=opening.phi, counted_until=opening.until)
        parts = SliceEvidence.begin(slices, wealth, phi=opening.phi) if slices and opening.plan is None else None
        return cls(metric, opening.source, parts, opening.more_pods, warning)

    @property
    def counted_until(self) -> datetime | None:
        """
        End of what was counted; None before anything was.
        """
        return self.metric.counted_until

    @property
    def harm_log(self) -> float:
        """
        Logarithm of the metric's own evidence of harm, its slices apart.
        """
        return self.metric.harm_log

    @property
    def ok_log(self) -> float:
        """
        Logarithm of the evidence that it is not worse.
        """
        return self.metric.ok_log

    @property
    def step_exposures(self) -> tuple[float, float]:
        """
        Requests of the candidate and of stable that were counted in this step.
        """
        if isinstance(self.metric, TailEvidence):
            return self.metric.step.candidate, self.metric.step.stable
        return self.metric.step.candidate.n, self.metric.step.stable.n

    @property
    def totals(self) -> Totals:
        """
        What was counted in this rollout. Of durations the calls alone, as there are many edges they may be above.
        """
        if isinstance(self.metric, TailEvidence):
            return Totals(Counts(self.metric.rollout.candidate), Counts(self.metric.rollout.stable))
        return self.metric.rollout

    def votes(self, name: str, label: str | None, *, critical: bool) -> tuple[Vote, ...]:
        """
        What it brings to the question of harm. The metric and its slices together weigh as much as one metric.
        """
        own = Vote(name, self.harm_log, critical=critical)
        if self.slices is None:
            return (own,)
        parts = {f'{name}{{{label}="{value}"}}': log for value, log in self.slices.logs.items()}
        return (replace(own, weight=HALF), *shared(replace(own, weight=HALF), parts))

    def skip_until(self, at: datetime) -> "Account":
        """
        Leave out what happens up to `at`.
        """
        return replace(self, metric=self.metric.skip_until(at))

    def enter_step(self, wealth: Wealth) -> "Account":
        """
        Begin a later step.
        """
        slices = None if self.slices is None else self.slices.enter_step(wealth)
        return replace(self, metric=self.metric.enter_step(wealth), slices=slices)

    def observe(
        self, block: Block | TailBlock, slices: Mapping[str, Block], margins: Margins, wealth: Wealth
    ) -> "Account":
        """
        Count one block, once; a block that was counted, or is of the other kind, changes nothing.
        """
        known = self.counted_until
        if known is not None and block.end <= known:
            return self
        match self.metric, block:
            case MetricEvidence() as rate, Block():
                parts = None if self.slices is None else self.slices.observe(slices, margins.harm, wealth)
                return replace(self, metric=rate.observe(block, margins, wealth), slices=parts)
            case TailEvidence() as tails, TailBlock():
                return replace(self, metric=tails.observe(block, margins, wealth))
            case _:
                return self  # the spec made the metric another one; what is kept belongs to what it was

    def verdict(self) -> Verdict:
        """
        The opinion of this metric alone.
        """
        return self.metric.verdict()

    def seconds_left(self, block: Block | TailBlock, began: datetime, margins: Margins) -> TimeLeft | None:
        """
        Time until it is certified if all goes on as since the step `began` to be counted; None where it cannot be said.
        """
        match self.metric, block:
            case MetricEvidence() as rate, Block():
                step = Block(min(began, block.start), block.end, rate.step.candidate, rate.step.stable)
                return rate_seconds_left(rate, step, margins.ok)
            case TailEvidence() as tails, TailBlock():
                return tail_seconds_left(tails, block, margins.ok)
            case _:
                return None

    def to_state(self) -> dict[str, Any]:
        """
        As kept in the status; `from_state` gives back an equal value.
        """
        state: dict[str, Any] = {**self.metric.to_state()}
        if self.source is not PhiSource.GIVEN:
            state["source"] = str(self.source)
        if self.more_pods:
            state["morePods"] = True
        if self.warning:
            state["warning"] = self.warning
        if self.slices is not None:
            state["slices"] = self.slices.to_state()
        return state

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """
        Restore what `to_state` wrote.

        Raises:
            ValueError: it is damaged.
        """
        metric: MetricEvidence | TailEvidence
        if "plan" in state:
            metric = TailEvidence.from_state(cast("TailState", state))
        else:
            metric = MetricEvidence.from_state(cast("MetricState", state))
        parts = state.get("slices")
        return cls(
            metric,
            PhiSource(state.get("source", PhiSource.GIVEN)),
            None if parts is None else SliceEvidence.from_state(parts, phi=metric.phi),
            more_pods=bool(state.get("morePods")),
            warning=state.get("warning", ""),
        )
