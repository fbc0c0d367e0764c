"""
What must be looked at beyond the cluster: decided here, asked elsewhere.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from modelramp.analysis import Window
from modelramp.api.document import MLModelDeployment
from modelramp.api.spec import Metric, WarmUp
from modelramp.api.vocabulary import Phase
from modelramp.rollout.counters import (
    GATEWAY_COUNTERS,
    ArmSelectors,
    arm_selectors,
    in_flight_selector,
    template_of,
)
from modelramp.rollout.desired import retired
from modelramp.rollout.observed import Observed
from modelramp.rollout.situation import SETTLE, Situation
from modelramp.rollout.strategy import WHOLE

LOOK_BACK: Final = timedelta(minutes=5)  # Prometheus' own staleness limit: an older sample is no neighbour of a new one
DRAIN_WINDOW: Final = timedelta(seconds=30)  # two scrapes at the usual 15 s


@dataclass(frozen=True, slots=True, kw_only=True)
class CounterQuestion:
    """
    One metric's new counts; `selectors` None: the operator knows no counters for it.
    """

    name: str
    candidate: ArmSelectors | None
    stable: ArmSelectors | None
    window: Window


@dataclass(frozen=True, slots=True, kw_only=True)
class DrainQuestion:
    """
    What still reaches a revision.
    """

    revision: str
    total: str
    in_flight: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class WarmUpQuestion:
    """
    Send the warm-up to this revision.
    """

    revision: str
    warm_up: WarmUp


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """
    Everything to be asked in this cycle; empty for an object at rest.
    """

    counters: tuple[CounterQuestion, ...] = ()
    drain: tuple[DrainQuestion, ...] = ()
    drain_at: datetime | None = None
    warm_up: WarmUpQuestion | None = None


def settled_instant(s: Situation) -> datetime:
    """
    The newest instant whose samples are taken as complete, in whole seconds.
    """
    return (s.now - s.spec.analysis.prometheus.delay.timedelta).replace(microsecond=0)


def counted_from(s: Situation) -> datetime | None:
    """
    When the step's counts may begin: once its traffic is in place and settled; None: not yet.
    """
    step = s.status.step
    return step.in_place_since + SETTLE if step is not None and step.in_place_since is not None else None


def next_counts_at(s: Situation) -> datetime | None:
    """
    When the next block of some metric can be had, in whole seconds; None: no metric is counted in this step.
    """
    begin = counted_from(s)
    if begin is None or s.step_percent == WHOLE:
        return None
    kept = (s.evidence.get(metric.title) for metric in s.judged_metrics)
    ends = [item.counted_until for item in kept if item is not None]
    if not ends:
        return None
    first = min(max(begin, end or begin) for end in ends)
    due = first + s.spec.analysis.interval.timedelta + s.spec.analysis.prometheus.delay.timedelta
    return due if due.microsecond == 0 else due.replace(microsecond=0) + timedelta(seconds=1)


def due(s: Situation) -> tuple[tuple[Metric, Window], ...]:
    """
    The metrics whose next block can be had now, each with what is to be fetched and counted.
    """
    begin = counted_from(s)
    exposed = s.status.phase in {Phase.PROGRESSING, Phase.PAUSED}
    if not exposed or begin is None or s.candidate is None or s.stable is None or s.step_percent == WHOLE:
        return ()
    until, found, evidence = settled_instant(s), [], s.evidence
    for metric in s.judged_metrics:
        kept = evidence.get(metric.title)
        after = max(begin, kept.counted_until) if kept is not None and kept.counted_until is not None else begin
        if until - after < s.spec.analysis.interval.timedelta:
            continue
        found.append((metric, Window(since=after - LOOK_BACK, after=after, until=until)))
    return tuple(found)


def _counters(s: Situation) -> tuple[CounterQuestion, ...]:
    questions = []
    for metric, window in due(s):
        template = template_of(metric, s.spec.serving.runtime, s.observed.route.controller)
        arms = [
            arm_selectors(template, s.deployment.namespace, s.deployment.name, revision) if template else None
            for revision in (s.candidate or "", s.stable or "")  # both are there where something is due
        ]
        questions.append(CounterQuestion(name=metric.title, candidate=arms[0], stable=arms[1], window=window))
    return tuple(questions)


def _drain(s: Situation) -> tuple[DrainQuestion, ...]:
    leaving = [arm.revision for arm in retired(s) if arm.wanted_replicas > 0]
    if s.status.phase is Phase.ROLLING_BACK and s.candidate is not None:
        leaving.append(s.candidate)
    template = GATEWAY_COUNTERS.get(s.observed.route.controller or "")
    if template is None:
        return ()
    if leaving and s.stable is not None:
        leaving.append(s.stable)  # its series tell an arm that gets nothing from a gateway that is not scraped
    where = (s.deployment.namespace, s.deployment.name)
    return tuple(
        DrainQuestion(
            revision=revision,
            total=arm_selectors(template, *where, revision).total,
            in_flight=in_flight_selector(template, *where, revision),
        )
        for revision in leaving
    )


def _warm_up(s: Situation) -> WarmUpQuestion | None:
    warm_up, candidate, arm = s.spec.serving.warm_up, s.status.candidate, s.candidate_arm
    wanted = s.status.phase is Phase.PREPARING and candidate is not None and not candidate.warm
    if warm_up is None or not wanted or arm is None or candidate is None or arm.ready < s.spec.serving.replicas:
        return None
    if candidate.revision != s.target:
        return None  # the spec's warm-up is meant for another revision
    return WarmUpQuestion(revision=candidate.revision, warm_up=warm_up)


def needs(deployment: MLModelDeployment, world: Observed, now: datetime) -> Needs:
    """
    What to ask the metric source and the candidate, given what the cluster showed.
    """
    s = Situation(deployment=deployment, status=deployment.status, observed=world, now=now)
    drain = _drain(s)
    return Needs(
        counters=_counters(s),
        drain=drain,
        drain_at=settled_instant(s) if drain else None,
        warm_up=_warm_up(s),
    )
