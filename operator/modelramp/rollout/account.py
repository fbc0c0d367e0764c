"""
What is kept of one metric in one rollout: rates, durations and gauges are told apart here, in `alone.py` where stable
gets no request any more, and nowhere else.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
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
from modelramp.analysis.betting import GaugeBlock, GaugeEvidence, GaugeMargins, GaugeState
from modelramp.analysis.combination import shared
from modelramp.analysis.forecast import tail_seconds_left
from modelramp.analysis.frozen import baseline_of, coarse, each_block, hides_harm, reserving
from modelramp.analysis.podguard import GuardState, PodGuard
from modelramp.analysis.slices import SliceEvidence
from modelramp.analysis.stores import UNKNOWN_STORE, Store
from modelramp.analysis.tails import TailBlock, TailEvidence, TailState
from modelramp.rollout.opening import Opening, PhiSource

HALF: Final = 0.5
RAISE: Final = 2.0  # what the overdispersion is multiplied by each time stable's pods are found to differ
GUARDED_PODS: Final = range(2, 9)  # one alone has no rest; more than eight are too much for a status
NO_PODS: Final[Mapping[str, Counts]] = {}

Evidence = MetricEvidence | TailEvidence | GaugeEvidence
AnyBlock = Block | TailBlock | GaugeBlock


@dataclass(frozen=True, slots=True)
class Account:
    """
    One metric's evidence, with that of its slices.
    """

    metric: Evidence
    source: PhiSource = PhiSource.GIVEN
    slices: SliceEvidence | None = None
    more_pods: bool = False
    warning: str = ""
    """What was foreseen when it was opened; empty: nothing stands in the way."""
    guard: PodGuard | None = None
    """Tests stable's pods against each other; None: they were never told apart, or never two to eight."""
    differing: str | None = None
    """The pod for which the overdispersion was last raised; None: it never was."""
    store: Store = UNKNOWN_STORE
    """Who told of the last block; unknown before there was one, and of a gauge, whose blocks begin anew."""
    past: tuple[Counts, ...] = ()
    """As in the opening: what stands for stable once it gets no request, if the rollout itself counted too little."""
    bounds: tuple[float, ...] | None = None
    """Since the candidate is judged alone, what stable's rates are taken to be at most, in the order of `past`; empty:
    nothing of it is compared with stable. None: it is not alone yet."""
    level: float = 1.0
    """The wealth that evidence of harm began with, above 0 up to 1: less than 1 after a finding somebody overruled."""

    @classmethod
    def open(cls, opening: Opening, wealth: Wealth, slices: Sequence[str] = (), warning: str = "") -> Self:
        """
        Begin a rollout's evidence; `slices` are the values looked at on their own, of a rate only.
        """
        until, spread = opening.until, opening.spread
        if opening.plan is not None:
            tails = TailEvidence.begin(opening.plan, wealth, phi=opening.phi, counted_until=until)
            return cls(tails, opening.source, more_pods=opening.more_pods, warning=warning, past=opening.past)
        if spread is not None:
            return cls(GaugeEvidence.begin(scale=spread.scale, tau=spread.tau, wealth=wealth, counted_until=until))
        rate = MetricEvidence.begin(wealth, phi=opening.phi, counted_until=until)
        parts = SliceEvidence.begin(slices, wealth, phi=opening.phi) if slices else None
        return cls(rate, opening.source, parts, opening.more_pods, warning, past=opening.past)

    @property
    def counts(self) -> bool:
        """
        Whether requests are counted; of a gauge there is nothing to count.
        """
        return not isinstance(self.metric, GaugeEvidence)

    @property
    def never_judged(self) -> bool:
        """
        Whether nothing will ever be concluded, as stable's past does not tell how the gauge varies.
        """
        return isinstance(self.metric, GaugeEvidence) and self.metric.scale == 0.0

    @property
    def compares_nothing(self) -> bool:
        """
        Whether it is judged alone and stable's rate is not, or too coarsely, known, so that harm beside it could hide.
        """
        if not self.bounds:
            return False
        if isinstance(self.metric, TailEvidence):
            return hides_harm(self.metric.plan, self.bounds, self.past)
        return coarse(self.bounds[0], baseline_of(self.totals.stable, sum(self.past, Counts())))

    @property
    def counted_until(self) -> datetime | None:
        """
        End of what was counted; None before anything was.
        """
        return self.metric.counted_until

    @property
    def edges(self) -> tuple[float, ...]:
        """
        The bucket edges that are judged, in seconds; empty for other metrics than durations.
        """
        return self.metric.plan.edges if isinstance(self.metric, TailEvidence) else ()

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
        Requests of the candidate and of stable that were counted in this step; of a gauge none.
        """
        if isinstance(self.metric, GaugeEvidence):
            return 0.0, 0.0
        if isinstance(self.metric, TailEvidence):
            return self.metric.step.candidate, self.metric.step.stable
        return self.metric.step.candidate.n, self.metric.step.stable.n

    @property
    def totals(self) -> Totals:
        """
        What was counted in this rollout. Of durations the calls alone, as there are many edges they may be above; of a
        gauge nothing.
        """
        if isinstance(self.metric, GaugeEvidence):
            return Totals()
        if isinstance(self.metric, TailEvidence):
            return Totals(Counts(self.metric.rollout.candidate), Counts(self.metric.rollout.stable))
        return self.metric.rollout

    def votes(self, name: str, label: str, *, critical: bool) -> tuple[Vote, ...]:
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

    def leave_out(self, until: datetime, store: Store) -> "Account":
        """
        Count nothing up to `until`, as another store told of it; a replay changes nothing.
        """
        return self.skip_until(until).told_by(store, until)

    def told_by(self, store: Store, until: datetime) -> "Account":
        """
        Remember who told of what ends at `until`; where that is not the last, nothing is remembered.
        """
        return replace(self, store=store) if self.counted_until == until else self

    def enter_step(self, wealth: Wealth) -> "Account":
        """
        Begin a later step.
        """
        wealth = wealth.at_level(self.level)
        slices = None if self.slices is None else self.slices.enter_step(wealth)
        return replace(self, metric=self.metric.enter_step(reserving(wealth, self._unstarted)), slices=slices)

    @property
    def _unstarted(self) -> float:
        harm = self.metric.harm
        return harm[0].unstarted if isinstance(harm, tuple) else harm.unstarted

    def _due(self, wealth: Wealth) -> Wealth:
        """
        What the metric starts with the next block: by the schedule, or since it is judged alone of what is left.
        """
        if self.bounds is None or isinstance(self.metric, GaugeEvidence):
            return reserving(wealth, self._unstarted)
        harm = self.metric.harm
        return each_block(harm[0] if isinstance(harm, tuple) else harm)

    def observe(
        self,
        block: AnyBlock,
        slices: Mapping[str, Block],
        margins: Margins | GaugeMargins,
        wealth: Wealth,
        pods: Mapping[str, Counts] = NO_PODS,
    ) -> "Account":
        """
        Count one block, once; a block that was counted, or is of the other kind, changes nothing.

        `pods` are the counts of stable's pods in it. Should they be found to differ by more than the overdispersion
        allows for, the evidence begins again with a larger one.
        """
        known, wealth = self.counted_until, wealth.at_level(self.level)
        if known is not None and block.end <= known:
            return self
        match self.metric, block, margins:
            case MetricEvidence() as rate, Block(), Margins():
                parts = None if self.slices is None else self.slices.observe(slices, margins.harm, wealth)
                grown = rate.observe(block, margins, self._due(wealth))
                guard = self._guard_after(rate, block, pods, margins, wealth)
                counted = replace(self, metric=grown, slices=parts, guard=guard)
                found = None if guard is None else guard.culprit
                return counted if found is None else counted._raised(grown, found, block.end)  # noqa: SLF001 - its own
            case TailEvidence() as tails, TailBlock(), Margins():
                return replace(self, metric=tails.observe(block, margins, self._due(wealth)))
            case GaugeEvidence() as gauge, GaugeBlock(), GaugeMargins():
                return replace(self, metric=gauge.observe(block, margins, wealth))
            case _:
                return self  # the spec made the metric another one; what is kept belongs to what it was

    def _guard_after(
        self, rate: MetricEvidence, block: Block, pods: Mapping[str, Counts], margins: Margins, wealth: Wealth
    ) -> PodGuard | None:
        if len(pods) not in GUARDED_PODS:
            return self.guard
        known = self.guard or PodGuard.begin(phi=rate.phi)
        return known.observe(block.start, block.end, pods, floor=margins.harm.epsilon, wealth=wealth)

    def _raised(self, rate: MetricEvidence, pod: str, at: datetime) -> "Account":
        """
        Evidence and guard begin again: what was counted up to `at` decides nothing any more.
        """
        phi = RAISE * rate.phi
        return replace(
            self,
            metric=rate.retempered(phi),
            slices=None if self.slices is None else self.slices.retempered(phi),
            source=PhiSource.RAISED,
            guard=PodGuard.begin(phi=phi, counted_until=at),
            differing=pod,
        )

    def verdict(self) -> Verdict:
        """
        The opinion of this metric alone.
        """
        return self.metric.verdict()

    def seconds_left(self, block: AnyBlock, began: datetime, margins: Margins | GaugeMargins) -> TimeLeft | None:
        """
        Time until it is certified if all goes on as since the step `began` to be counted; None where it cannot be said.
        """
        match self.metric, block, margins:
            case MetricEvidence() as rate, Block(), Margins():
                step = Block(min(began, block.start), block.end, rate.step.candidate, rate.step.stable)
                return rate_seconds_left(rate, step, margins.ok)
            case TailEvidence() as tails, TailBlock(), Margins():
                left = tail_seconds_left(tails, block, margins.ok)
                return left if left.seconds is not None else None  # one block is too little to say "never"
            case _:
                return None

    def to_state(self) -> dict[str, Any]:
        """
        As kept in the status; `from_state` gives back an equal value.
        """
        more = {
            "source": None if self.source is PhiSource.GIVEN else str(self.source),
            "morePods": self.more_pods or None,
            "warning": self.warning or None,
            "slices": None if self.slices is None else self.slices.to_state(),
            "guard": None if self.guard is None else self.guard.to_state(),
            "differing": self.differing,
            "store": None if self.store == UNKNOWN_STORE else list(self.store),
            "past": [number for counts in self.past for number in (counts.n, counts.x)] or None,
            "bounds": None if self.bounds is None else list(self.bounds),
            "level": None if self.level == 1.0 else self.level,
        }
        return {**self.metric.to_state(), **{name: value for name, value in more.items() if value is not None}}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """
        Restore what `to_state` wrote.

        Raises:
            ValueError: it is damaged.
        """
        metric: Evidence
        if "plan" in state:
            metric = TailEvidence.from_state(cast("TailState", state))
        elif "scale" in state:
            return cls(GaugeEvidence.from_state(cast("GaugeState", state)), level=float(state.get("level", 1.0)))
        else:
            metric = MetricEvidence.from_state(cast("MetricState", state))
        parts, guard, past = state.get("slices"), state.get("guard"), state.get("past", ())
        return cls(
            metric,
            PhiSource(state.get("source", PhiSource.GIVEN)),
            None if parts is None else SliceEvidence.from_state(parts, phi=metric.phi),
            more_pods=bool(state.get("morePods")),
            warning=state.get("warning", ""),
            guard=None if guard is None else PodGuard.from_state(cast("GuardState", guard)),
            differing=state.get("differing"),
            store=Store.from_state(state.get("store", UNKNOWN_STORE)),
            past=tuple(Counts(float(n), float(x)) for n, x in zip(past[::2], past[1::2], strict=True)),
            bounds=None if (bounds := state.get("bounds")) is None else tuple(map(float, bounds)),
            level=float(state.get("level", 1.0)),
        )
