"""
What must be looked at beyond the cluster: decided here, asked elsewhere.
"""

from datetime import UTC, datetime, timedelta
from typing import Final

from modelramp.analysis import Window
from modelramp.analysis.gauges import gauge_margins
from modelramp.analysis.history import WINDOW_SECONDS
from modelramp.analysis.tailplan import OverThreshold, QuantileGrowth, QuantileLimit, Question
from modelramp.api.document import MLModelDeployment
from modelramp.api.spec import Metric
from modelramp.api.vocabulary import Phase
from modelramp.rollout.capacity import candidate_size
from modelramp.rollout.comparing import sender
from modelramp.rollout.counters import (
    ArmSelectors,
    CounterTemplate,
    arm_selectors,
    filled,
    gateway_counters,
    history_template,
    in_flight_selector,
    template_of,
)
from modelramp.rollout.desired import retired
from modelramp.rollout.guards import soaked, traffic_in_place
from modelramp.rollout.observed import Observed
from modelramp.rollout.others import each_beside
from modelramp.rollout.questions import CounterQuestion, DrainQuestion, HistoryQuestion, Needs, WarmUpQuestion
from modelramp.rollout.situation import SETTLE, Situation
from modelramp.rollout.smoke import smoke_passed
from modelramp.rollout.strategy import Judged, course_of

EPOCH: Final = datetime.fromtimestamp(0, UTC)
LOOK_BACK: Final = timedelta(minutes=5)  # Prometheus' own staleness limit: an older sample is no neighbour of a new one
USUAL_GROWTH: Final = QuantileGrowth(0.99, 0.2)  # asked of durations where the spec asks nothing
DRAIN_WINDOW: Final = timedelta(seconds=30)  # two scrapes at the usual 15 s


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


def _on_grid(s: Situation, at: datetime) -> datetime:
    """
    The newest multiple of the interval that is not after `at`.

    All objects of one interval look at the same instants, so that one question to the metric source serves them all.
    """
    interval = s.spec.analysis.interval.timedelta
    return EPOCH + (at - EPOCH) // interval * interval


def next_counts_at(s: Situation) -> datetime | None:
    """
    When the next block of some metric can be had, in whole seconds; None: no metric is counted in this step.
    """
    begin = counted_from(s)
    if begin is None:
        return None
    kept = (s.evidence.get(metric.title) for metric in s.counted_metrics)
    ends = [item.counted_until for item in kept if item is not None]
    if not ends:
        return None
    first = max(min(max(begin, end or begin) for end in ends), settled_instant(s))
    interval = s.spec.analysis.interval.timedelta
    due = _on_grid(s, first) + interval + s.spec.analysis.prometheus.delay.timedelta
    return due if due.microsecond == 0 else due.replace(microsecond=0) + timedelta(seconds=1)


def due(s: Situation) -> tuple[tuple[Metric, Window], ...]:
    """
    The metrics whose next block can be had now, each with what is to be fetched and counted.
    """
    begin = counted_from(s)
    exposed = s.status.phase in {Phase.PROGRESSING, Phase.PAUSED} or s.first_serves
    if not exposed or begin is None or s.candidate is None:
        return ()
    until, found, evidence = _on_grid(s, settled_instant(s)), [], s.evidence
    for metric in s.counted_metrics:
        kept = evidence.get(metric.title)
        if kept is None:
            continue  # its history comes first
        after = max(begin, kept.counted_until) if kept.counted_until is not None else begin
        if after < until:
            found.append((metric, Window(since=after - LOOK_BACK, after=after, until=until)))
    return tuple(found)


def _counters(s: Situation) -> tuple[CounterQuestion, ...]:
    questions = []
    slices, evidence, alone = s.spec.analysis.slices, s.evidence, s.judged is Judged.ALONE
    candidate = None if s.judged is Judged.NOT_AT_ALL else s.candidate
    for metric, window in due(s):
        template = template_of(metric, s.spec.serving.runtime, sender(s))
        arms = [
            filled(template, s.deployment.namespace, s.deployment.name, revision) if template and revision else None
            for revision in (candidate, None if alone else s.stable)
        ]
        store = evidence[metric.title].store  # without evidence nothing is due
        questions.append(
            CounterQuestion(
                name=metric.title,
                candidate=arms[0],
                stable=arms[1],
                window=window,
                slice_label=slices.label if slices and metric.is_rate else None,
                slice_values=slices.values if slices and metric.is_rate else (),
                tells_pods=isinstance(template, CounterTemplate) and template.tells_pods and not alone,
                short=window.until - window.after < s.spec.analysis.interval.timedelta,
                edges=evidence[metric.title].edges,
                store=store.without_stable() if alone else store,
            )
        )
    return tuple(questions)


def question_of(metric: Metric) -> Question | None:
    """
    What a metric asks of durations; None for a rate or a gauge.
    """
    if metric.is_rate or metric.gauge is not None:
        return None
    if metric.threshold is not None:
        return OverThreshold(metric.threshold.seconds)
    quantile = metric.quantile_fraction
    if quantile is None:
        return USUAL_GROWTH
    if metric.below is not None:
        return QuantileLimit(quantile, metric.below.seconds)
    return QuantileGrowth(quantile, metric.may_grow.fraction if metric.may_grow else USUAL_GROWTH.growth)


def history_of(s: Situation, metric: Metric) -> HistoryQuestion | None:
    """
    What must be asked of stable's past before the metric is judged; None: nothing needs to be.
    """
    if s.stable is None:
        return None
    template = history_template(metric, s.spec.serving.runtime, s.observed.route.controller)
    baseline = _baseline(s, metric, s.stable)
    tells_pods = template is not None and template.tells_pods
    if metric.is_rate and (s.spec.analysis.overdispersion is not None or not tells_pods):
        if baseline is None:
            return None
        tells_pods = False  # they need not: the overdispersion is given, or assumed
    until = settled_instant(s)
    return HistoryQuestion(
        name=metric.title,
        stable=filled(template, s.deployment.namespace, s.deployment.name, s.stable) if template else None,
        until=until,
        look_back=s.spec.analysis.look_back.timedelta,
        tells_pods=tells_pods,
        baseline=baseline,
        question=question_of(metric),
        field=_field(s, metric),
        block_seconds=WINDOW_SECONDS if metric.gauge is None else s.spec.analysis.interval.seconds,
        harm=0.0 if metric.gauge is None else gauge_margins(metric.growth).harm,
    )


def _baseline(s: Situation, metric: Metric, stable: str) -> ArmSelectors | None:
    """
    Where the candidate is never beside stable, the series that tell stable's rate before; None: not needed, not known.
    """
    template = template_of(metric, s.spec.serving.runtime, s.observed.route.controller)
    if course_of(s.spec).compares or metric.against is not None or not isinstance(template, CounterTemplate):
        return None
    return arm_selectors(template, s.deployment.namespace, s.deployment.name, stable)


def _field(s: Situation, metric: Metric) -> str:
    """
    The path of what the metric asks.
    """
    if metric.gauge is not None:
        asked = "mayGrow"
    else:
        asked = "threshold" if metric.threshold is not None else "below" if metric.below is not None else "quantile"
    return f"spec.analysis.metrics[{s.judged_metrics.index(metric)}].{asked}"


def opens_evidence(s: Situation) -> bool:
    """
    The candidate is judged, or about to be: its pods are ready.
    """
    arm = s.candidate_arm
    exposed = s.status.phase in {Phase.PROGRESSING, Phase.PAUSED}
    soon = s.status.phase is Phase.PREPARING and arm is not None and arm.ready >= candidate_size(s)
    beside = s.candidate is not None and s.stable is not None
    return (beside and (exposed or soon)) or s.first_serves


def _histories(s: Situation) -> tuple[HistoryQuestion, ...]:
    if not opens_evidence(s):
        return ()
    wanted = s.counted_metrics if s.first_serves else s.judged_metrics
    missing = [metric for metric in wanted if metric.title not in s.evidence]
    return tuple(question for metric in missing if (question := history_of(s, metric)) is not None)


def _drain(s: Situation) -> tuple[DrainQuestion, ...]:
    leaving = [arm.revision for arm in retired(s) if arm.wanted_replicas > 0]
    if s.status.phase is Phase.ROLLING_BACK and s.candidate is not None:
        leaving.append(s.candidate)
    template = gateway_counters(s.observed.route.controller)
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
    # A pause before the first step ends when the candidate is ready and warm after all.
    before = s.status.phase is Phase.PREPARING or (s.status.phase is Phase.PAUSED and s.status.step is None)
    wanted = before and candidate is not None and not candidate.warm
    if warm_up is None or not wanted or arm is None or candidate is None or arm.ready < candidate_size(s):
        return None
    if candidate.revision != s.target:
        return None  # the spec's warm-up is meant for another revision
    return WarmUpQuestion(revision=candidate.revision, warm_up=warm_up)


def _smoke(s: Situation) -> WarmUpQuestion | None:
    """
    At the end of the step that has smoke requests, until they are passed.
    """
    due = s.status.phase is Phase.PROGRESSING and traffic_in_place(s) and soaked(s) and not smoke_passed(s)
    if not due or s.step is None or s.step.smoke is None or s.candidate is None:
        return None
    return WarmUpQuestion(revision=s.candidate, warm_up=s.step.smoke)


def needs(deployment: MLModelDeployment, world: Observed, now: datetime) -> Needs:
    """
    What to ask the metric source and the candidate, given what the cluster showed.
    """
    s = Situation(deployment=deployment, status=deployment.status, observed=world, now=now)
    drain = _drain(s)
    others = {
        other.revision: Needs(counters=_counters(it), histories=_histories(it), warm_up=_warm_up(it))
        for other, it in each_beside(s)
    }
    return Needs(
        counters=_counters(s),
        histories=_histories(s),
        drain=drain,
        drain_at=settled_instant(s) if drain else None,
        warm_up=_warm_up(s),
        smoke=_smoke(s),
        others={revision: asked for revision, asked in others.items() if asked != Needs()},
    )
