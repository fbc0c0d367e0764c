"""
All a guard may look at, in the words guards are written in.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cached_property
from typing import Final, assert_never

from modelramp.analysis import ALPHA_ROLLBACK, Margins, Vote, combined_log, culprits, limit_margins, margins, suspects
from modelramp.analysis.betting import GaugeMargins
from modelramp.analysis.combination import balanced
from modelramp.analysis.gauges import gauge_margins
from modelramp.api.action import ActionRequest, UnreadableRequest, read_action
from modelramp.api.document import MLModelDeployment
from modelramp.api.names import ANNOTATION_ACTION
from modelramp.api.spec import AnalysisMode, Metric, MetricWeight, MLModelDeploymentSpec
from modelramp.api.status import Status
from modelramp.api.vocabulary import Phase
from modelramp.rollout.account import Account
from modelramp.rollout.capabilities import impossible, serves_already
from modelramp.rollout.observed import Acceptance, Arm, Impossible, Observed
from modelramp.rollout.ratio import candidate_size, unreachable, wanted_percent
from modelramp.rollout.strategy import Judged, Step, course_of, following, place_of, step_at

SETTLE: Final = timedelta(
    seconds=5
)  # Contour holds route changes back up to 500 ms; in-cluster proxies follow within seconds

_DERIVED: Final = {
    "step": "step",
    "next_step": "step",
    "evidence": "evidence",
    "votes": "evidence",
    "harm_log": "evidence",
    "request": "action",
}
"""Of what a situation derives, the part of the status that it rests on, beside the spec; all else is derived anew."""


@dataclass(frozen=True, kw_only=True)  # no slots: what is derived is derived once
class Situation:
    """
    What is wanted, remembered and seen, at one instant.
    """

    deployment: MLModelDeployment
    status: Status
    """The memory with this cycle's readings folded in."""
    observed: Observed
    now: datetime

    @property
    def spec(self) -> MLModelDeploymentSpec:
        """
        What the user asks for.
        """
        return self.deployment.spec

    @property
    def target(self) -> str:
        """
        The revision the spec names; while somebody's undo is under way, the one it returns to.
        """
        undo = self.status.undo
        return self.deployment.revision if undo is None else undo.revision

    @property
    def stable(self) -> str | None:
        """
        The revision that serves; None before the first promotion.
        """
        return self.status.stable.revision if self.status.stable else None

    @property
    def candidate(self) -> str | None:
        """
        The revision on trial; None: none is.
        """
        return self.status.candidate.revision if self.status.candidate else None

    @property
    def first_serves(self) -> bool:
        """
        The first revision of all gets everything, and is watched before it is called stable.
        """
        return self.status.phase is Phase.PROMOTING and self.candidate is not None and self.stable is None

    @property
    def candidate_arm(self) -> Arm | None:
        """
        The candidate's workload; None: there is no candidate, or it is not created yet.
        """
        return self.observed.arms.get(self.candidate) if self.candidate else None

    @cached_property
    def request(self) -> ActionRequest | UnreadableRequest | None:
        """
        What somebody asks for by annotation and was not answered yet; None: nothing.
        """
        asked, known = read_action(self.deployment.annotations.get(ANNOTATION_ACTION)), self.status.action
        return None if asked is None or (known is not None and known.id == asked.id) else asked

    @cached_property
    def step(self) -> Step | None:
        """
        The present step, at the place that was entered; None: none is.
        """
        return step_at(self.spec, place_of(self.status.step)) if self.status.step else None

    @cached_property
    def next_step(self) -> tuple[int, Step] | None:
        """
        The step after the present one (the first, before any) with its index; None: promotion follows.
        """
        return following(self.spec, place_of(self.status.step))

    @property
    def step_percent(self) -> Decimal:
        """
        The candidate's share in the present step, as this router can give it; 0 without one.
        """
        return wanted_percent(self.spec, self.step.percent) if self.step else Decimal(0)

    @property
    def candidate_pods(self) -> int:
        """
        How many pods the candidate is to have now.
        """
        whole = self.stable is None or self.status.phase is Phase.PROMOTING
        return candidate_size(self.spec, place_of(self.status.step), whole=whole)

    @property
    def judged(self) -> Judged:
        """
        How the candidate is judged in the present step; not at all without one.
        """
        return Judged.NOT_AT_ALL if self.step is None else self.step.judged

    @property
    def judged_metrics(self) -> tuple[Metric, ...]:
        """
        The metrics that gate; empty when the user asked for guardrails only.
        """
        return () if self.spec.analysis.mode is AnalysisMode.GUARDRAILS_ONLY else self.spec.analysis.metrics

    @property
    def counted_metrics(self) -> tuple[Metric, ...]:
        """
        The metrics that are counted in the present step. A gauge needs stable beside it; without any stable revision
        only limits can be held against the candidate. Disagreement is counted where answers are compared, and in the
        preview of a candidate that is never beside stable it is stable that is counted, for the time after the switch.
        """
        asked = tuple(m for m in self.judged_metrics if self.step is None or self.step.counts(m))
        match self.judged:
            case Judged.BESIDE_STABLE:
                return asked if self.stable is not None else ()
            case Judged.ALONE:
                known = (m for m in asked if m.gauge is None)
                return tuple(m for m in known if self.stable is not None or m.against is not None)
            case Judged.NOT_AT_ALL:
                at_once = self.step is not None and self.stable is not None and not course_of(self.spec).compares
                return tuple(m for m in asked if at_once and m.compares_counts)
            case unknown:
                assert_never(unknown)

    @property
    def required_metrics(self) -> tuple[Metric, ...]:
        """
        Those of the counted metrics that must be certified to pass the present step; in the preview those of the next.
        """
        ahead = self.next_step if self.judged is Judged.NOT_AT_ALL else None
        step = self.step if ahead is None else ahead[1]
        named = step.metrics if step is not None else None
        return tuple(m for m in self.counted_metrics if named is None or m.title in named)

    @property
    def impossible(self) -> str | None:
        """
        What the spec asks and the router cannot do, or stable's past shows to be impossible, with the field; None:
        nothing.
        """
        found = (history.message for history in self.observed.histories.values() if isinstance(history, Impossible))
        beyond = impossible(self.spec, self.observed.route.controller, can_compare=self.observed.can_compare)
        return (
            beyond or unreachable(self.spec) or serves_already(self.deployment.others, self.stable) or next(found, None)
        )

    @property
    def unseen(self) -> frozenset[str]:
        """
        The metrics whose harm could hide: the candidate is judged alone, was never certified beside stable, and too
        little is known of stable to hold it against.
        """
        if self.judged is not Judged.ALONE or course_of(self.spec).compares:
            return frozenset()
        return frozenset(name for name, kept in self.evidence.items() if kept.compares_nothing)

    def metric(self, name: str) -> Metric | None:
        """
        The judged metric of that name; None: there is none now.
        """
        return next((metric for metric in self.judged_metrics if metric.title == name), None)

    @cached_property
    def evidence(self) -> Mapping[str, Account]:
        """
        The evidence kept, by metric; a metric whose history is not known yet has none.
        """
        return {item.name: Account.from_state(item.state) for item in self.status.evidence}

    def with_status(self, status: Status) -> "Situation":
        """
        The same instant with another memory. What is derived from a part of the memory that stays is not derived again.
        """
        changed = Situation(deployment=self.deployment, status=status, observed=self.observed, now=self.now)
        for name, part in _DERIVED.items():
            if name in self.__dict__ and getattr(status, part) is getattr(self.status, part):
                changed.__dict__[name] = self.__dict__[name]  # where cached_property keeps it
        return changed

    @property
    def slice_label(self) -> str:
        """
        The label that tells slices apart; `slice` where the spec has forgotten it since the rollout began.
        """
        return self.spec.analysis.slices.label if self.spec.analysis.slices else "slice"

    def margins_of(self, metric: Metric, next_share: float) -> Margins | GaugeMargins:
        """
        What harm and "not worse" mean for a metric on the way to a share.
        """
        if metric.gauge is not None:
            return gauge_margins(metric.growth)
        if metric.against is not None:
            return limit_margins(metric.against.limit.fraction)
        return margins(course_of(self.spec).blast_radius.fraction, next_share)

    @cached_property
    def harm_log(self) -> float:
        """
        Natural logarithm of the harm evidence of all metrics together; 0 without any.
        """
        return combined_log(self.votes)

    @cached_property
    def votes(self) -> tuple[Vote, ...]:
        """
        The harm evidence of each metric and slice, with its weight. A metric without evidence yet has its weight too,
        as weights are fixed before the rollout.
        """
        critical = {m.title for m in self.judged_metrics if m.weight is MetricWeight.CRITICAL}
        known = [
            vote
            for name, item in self.evidence.items()
            for vote in item.votes(name, self.slice_label, critical=name in critical)
        ]
        waiting = [
            Vote(metric.title, 0.0, critical=metric.title in critical)
            for metric in self.judged_metrics
            if metric.title not in self.evidence
        ]
        return balanced([*known, *waiting])

    def weight_of(self, name: str) -> float:
        """
        The share of all votes that a metric's own has, its slices apart; 0 if it has none.
        """
        return sum(vote.weight for vote in self.votes if vote.name == name)

    @property
    def culprits(self) -> tuple[str, ...]:
        """
        The metrics and slices whose harm is certain beside all others, strongest first; none: not certain of any alone.
        """
        return culprits(self.votes, alpha=ALPHA_ROLLBACK)

    @property
    def suspects(self) -> tuple[str, ...]:
        """
        The fewest metrics and slices of which at least one is certainly harmful; none: nothing is.
        """
        return suspects(self.votes, alpha=ALPHA_ROLLBACK)

    @property
    def kept(self) -> frozenset[str]:
        """
        The revisions that undo can return to: their workloads are kept without pods.
        """
        return frozenset(kept.revision for kept in self.status.kept)

    def route_gives(self, revision: str | None, percent: Decimal) -> bool:
        """
        The gateway accepted a route that gives the revision exactly this share.
        """
        route = self.observed.route
        given = route.shares.get(revision, Decimal(0)) if revision else Decimal(0)
        return route.acceptance is Acceptance.ACCEPTED and given == percent

    def route_copies(self, step: Step) -> bool:
        """
        The route copies to the candidate what the step says, and nothing else but to the run's other candidates.
        """
        wanted, route = {self.candidate: step.mirror} if step.mirror else {}, self.observed.route
        by_way = {self.candidate} if step.compare is not None else set()
        others = {other.revision for other in self.status.others}
        own = {name: percent for name, percent in route.mirrors.items() if name not in others}
        return own == wanted and route.compared == by_way

    def route_sends(self, step: Step) -> bool:
        """
        The route sends to the candidate by header and host name what the step says.
        """
        return (self.observed.route.cohort, self.observed.route.host) == step.aside_for(self.candidate or "")

    def reached_aside(self, revision: str) -> bool:
        """
        The route copies requests to the revision, or sends them there by header or host name.
        """
        route = self.observed.route
        sent = {one.revision for one in (route.cohort, route.host) if one is not None}
        return route.mirrors.get(revision, Decimal(0)) > 0 or revision in sent

    def since(self, instant: datetime | None, span: timedelta) -> bool:
        """
        At least `span` has passed since the instant; False when it is None or lies in the future.
        """
        return instant is not None and self.now - instant >= span
