"""
Strategies compile to steps; one machine walks them. Nothing else knows that there are strategies.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache
from itertools import pairwise
from typing import Final, NamedTuple, assert_never

from modelramp.analysis import Wealth, wealth_schedule
from modelramp.api.scalars import Share
from modelramp.api.spec import (
    BY_USE_CASE,
    Approval,
    BlueGreen,
    Canary,
    CanaryStep,
    Cohort,
    Compare,
    Metric,
    MetricPreset,
    MLModelDeploymentSpec,
    OnPassed,
    OtherCandidate,
    Shadow,
    ShadowStage,
    WarmUp,
)
from modelramp.api.status import StepStatus
from modelramp.rollout.observed import CohortRoute, HostRoute

WHOLE: Final = Decimal(100)
NOTHING: Final = Decimal(0)


class Place(NamedTuple):
    """
    Where on the way from nothing to everything a step is. Places are ordered: mirrored shares, then the preview, then
    live shares; so a step keeps its place when the spec's list is edited around it.
    """

    percent: Decimal
    """The candidate's share of live traffic, 0 to 100."""
    preview: bool = False
    """Nobody but the preview's header or host name reaches it, and nothing is mirrored."""
    mirror: Decimal = NOTHING
    """The share of requests that is copied to it, in percent; 0: none."""


START: Final = Place(NOTHING)
"""Before every step."""


class Judged(StrEnum):
    """
    How the candidate is judged in a step.
    """

    BESIDE_STABLE = "BesideStable"
    """Both get requests or copies of them: by the difference, for harm and for being not worse."""
    ALONE = "Alone"
    """It gets everything: for harm, against limits and against what was counted of stable before."""
    NOT_AT_ALL = "NotAtAll"
    """Nothing representative reaches it: guardrails and the soak time decide."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """
    What the candidate is given, and what must hold before the next step.
    """

    percent: Decimal
    """The candidate's share of live traffic, 0 to 100."""
    next_share: float | None
    """The live share it is certified for, as a fraction; None: there is nothing to compare it with."""
    soak: timedelta
    deadline: timedelta
    mirror: Decimal = NOTHING
    """The share of requests that is copied to it, in percent; 0: none."""
    compare: Compare | None = None
    """How the copies' answers are compared with stable's; None: they are not, and copies go to the candidate itself."""
    preview: bool = False
    """It is at full size and gets nothing but what comes by the preview's header or host name."""
    cohort: Cohort | None = None
    """Requests with this header reach it; None: none do by a header."""
    host: str | None = None
    """Requests for this host name reach it; None: none do by a name of their own."""
    approval: bool = False
    """Somebody has to approve that it is entered, whatever the degree of automation."""
    smoke: WarmUp | None = None
    """Requests that its own Service must answer before it is passed; None: none are sent."""
    metrics: frozenset[str] | None = None
    """The metrics that must be certified to pass it; None: all. Harm is looked for in all of them whatever it says."""

    @property
    def judged(self) -> Judged:
        """
        How the candidate is judged in it.
        """
        if self.next_share is not None:
            return Judged.BESIDE_STABLE
        return Judged.ALONE if self.percent == WHOLE else Judged.NOT_AT_ALL

    def counts(self, metric: Metric) -> bool:
        """
        The metric can be counted in it: disagreement only where answers are compared.
        """
        return self.compare is not None or metric.preset is not MetricPreset.DISAGREEMENT

    @property
    def open_to_people(self) -> bool:
        """
        Whoever knows the header or the host name reaches it, whatever its share.
        """
        return self.cohort is not None or self.host is not None

    def aside_for(self, revision: str) -> tuple[CohortRoute | None, HostRoute | None]:
        """
        What leads to the revision beside its share, by header and by host name; None: nothing.
        """
        cohort, host = self.cohort, self.host
        by_header = CohortRoute(header=cohort.header, value=cohort.value, revision=revision) if cohort else None
        return by_header, HostRoute(hostname=host, revision=revision) if host else None

    @property
    def place(self) -> Place:
        """
        Where it is on the way.
        """
        return Place(self.percent, self.preview, self.mirror)


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """
    A strategy as the machine walks it.
    """

    steps: tuple[Step, ...]
    """By rising place; never empty."""
    blast_radius: Share
    field: str
    """Where the spec says it."""
    others: tuple[OtherCandidate, ...] = ()
    """Candidates that get the same copies beside the spec's own, and nothing else."""
    reports: bool = False
    """It ends with a report, not with a promotion."""

    @property
    def compares(self) -> bool:
        """
        In some step the candidate is judged beside stable, and certified there before it gets everything.
        """
        return any(step.judged is Judged.BESIDE_STABLE for step in self.steps)


def _mirrored(stage: ShadowStage, next_share: float) -> Step:
    return Step(
        percent=NOTHING,
        mirror=stage.mirror.percent,
        compare=stage.compare,
        next_share=next_share,
        soak=stage.soak.timedelta,
        deadline=stage.deadline.timedelta,
    )


def _fraction(percent: Decimal) -> float:
    return float(percent / WHOLE)


class _Aside(NamedTuple):
    """
    What leads to the candidate beside its share, in every step but the whole.
    """

    cohort: Cohort | None = None
    host: str | None = None


def _live(steps: tuple[CanaryStep, ...], soak: timedelta, deadline: timedelta, aside: _Aside) -> Iterator[Step]:
    """
    A last step below 100 % is certified for 100 %, which the promotion then gives.
    """
    shares = [*(step.traffic.percent for step in steps), WHOLE]
    for step, (share, after) in zip(steps, pairwise(shares), strict=True):
        yield Step(
            percent=share,
            next_share=None if share == WHOLE else _fraction(after),
            soak=soak if step.soak is None else step.soak.timedelta,
            deadline=deadline,
            cohort=None if share == WHOLE else aside.cohort,
            host=None if share == WHOLE else aside.host,
            approval=step.approval is Approval.REQUIRED,
            metrics=None if step.metrics is None else frozenset(step.metrics),
        )


def _canary(canary: Canary) -> Course:
    live = _live(canary.steps, canary.soak.timedelta, canary.step_deadline.timedelta, _Aside(canary.cohort))
    first = _fraction(canary.steps[0].traffic.percent)
    shadow = [] if canary.shadow is None else [_mirrored(canary.shadow, first)]
    return Course(steps=(*shadow, *live), blast_radius=canary.blast_radius, field="spec.strategy.canary")


def _blue_green(plan: BlueGreen) -> Course:
    deadline, before = plan.step_deadline.timedelta, plan.pre_switch
    aside = _Aside() if plan.preview is None else _Aside(plan.preview.cohort, plan.preview.hostname)
    preview = Step(
        percent=NOTHING,
        preview=True,
        next_share=None,
        soak=before.soak.timedelta,
        deadline=deadline,
        cohort=aside.cohort,
        host=aside.host,
        approval=before.approval is Approval.REQUIRED,
        smoke=before.smoke,
    )
    *parts, last = plan.steps
    whole = last if last.soak is not None else last.model_copy(update={"soak": plan.bake})
    live = _live((*parts, whole), plan.soak.timedelta, deadline, aside)
    shadow = [] if plan.shadow is None else [_mirrored(plan.shadow, _fraction(plan.steps[0].traffic.percent))]
    return Course(steps=(*shadow, preview, *live), blast_radius=plan.blast_radius, field="spec.strategy.blueGreen")


def _shadow(shadow: Shadow) -> Course:
    return Course(
        steps=(_mirrored(shadow, 1.0),),
        blast_radius=shadow.blast_radius,
        field="spec.strategy.shadow",
        others=shadow.others,
        reports=shadow.on_passed is OnPassed.REPORT,
    )


@lru_cache(maxsize=256)  # a decision asks dozens of times; strategies are frozen and few
def _compiled(chosen: Canary | BlueGreen | Shadow) -> Course:
    match chosen:
        case Canary():
            return _canary(chosen)
        case BlueGreen():
            return _blue_green(chosen)
        case Shadow():
            return _shadow(chosen)
        case unknown:
            assert_never(unknown)


def course_of(spec: MLModelDeploymentSpec) -> Course:
    """
    The strategy that the spec gives, or that its use case stands for.
    """
    given = spec.strategy
    return _compiled(given.canary or given.blue_green or given.shadow or BY_USE_CASE[spec.use_case])


def place_of(step: StepStatus | None) -> Place:
    """
    Where the step that was entered is; before all others without one.
    """
    if step is None:
        return START
    mirror = NOTHING if step.mirror is None else step.mirror.percent
    return Place(step.traffic.percent, step.preview, mirror)


def step_at(spec: MLModelDeploymentSpec, place: Place) -> Step:
    """
    The step at this place as the spec has it now. A place the spec no longer lists keeps the times of the listed step
    before it, or of the first.
    """
    steps = course_of(spec).steps
    same = next((step for step in steps if step.place == place), None)
    if same is not None:
        return same
    before = [step for step in steps if step.place < place]
    like = before[-1] if before else steps[0]
    above = next((step.percent for step in steps if step.percent > place.percent), WHOLE)
    compared = place.percent < WHOLE and not place.preview
    return Step(
        percent=place.percent,
        mirror=place.mirror,
        compare=like.compare if place.mirror else None,
        preview=place.preview,
        next_share=_fraction(above) if compared else None,
        soak=like.soak,
        deadline=like.deadline,
        cohort=None if place.percent == WHOLE else like.cohort,
        host=None if place.percent == WHOLE else like.host,
    )


def following(spec: MLModelDeploymentSpec, place: Place) -> tuple[int, Step] | None:
    """
    The next step after a place with its index; None: there is none, the end of the course follows.
    """
    steps = course_of(spec).steps
    return next(((index, step) for index, step in enumerate(steps) if step.place > place), None)


def wealth_of(spec: MLModelDeploymentSpec) -> Wealth:
    """
    How the harm wealth is spread over start, steps and blocks; fixed by the spec before the first block. Over the steps
    beside stable; what they leave is for those alone. Over these where there are no others.
    """
    steps = course_of(spec).steps
    beside = [step for step in steps if step.judged is Judged.BESIDE_STABLE]
    judged = beside or [step for step in steps if step.judged is Judged.ALONE]
    planned = sum((step.deadline for step in judged), timedelta()) / spec.analysis.interval.timedelta
    return wealth_schedule(planned_blocks=max(1, round(planned)), later_steps=max(0, len(judged) - 1))
