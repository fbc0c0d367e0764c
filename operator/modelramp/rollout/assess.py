"""
Folding what was seen into the memory, before any rule is asked.
"""

from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Final, assert_never

from modelramp.analysis import ALPHA_OK, ALPHA_ROLLBACK, PHI_UNKNOWN, Margins, Totals
from modelramp.analysis.frozen import doubt
from modelramp.api.document import MLModelDeployment
from modelramp.api.names import ANNOTATION_RETRY
from modelramp.api.scalars import Share
from modelramp.api.spec import Metric
from modelramp.api.status import (
    ArmCounts,
    CandidateStatus,
    ConfigContent,
    EvidenceState,
    StepStatus,
    TrafficStatus,
    UndoStatus,
    VerdictName,
    VerdictStatus,
)
from modelramp.api.vocabulary import Phase, Reason
from modelramp.rollout.account import Account
from modelramp.rollout.alone import freeze, observe_alone
from modelramp.rollout.baseline import baseline_verdict, count_stable
from modelramp.rollout.beside import with_others
from modelramp.rollout.capacity import candidate_size
from modelramp.rollout.foresight import too_little_traffic
from modelramp.rollout.guards import traffic_in_place
from modelramp.rollout.memory import kept_at_most
from modelramp.rollout.needs import counted_from, history_of, opens_evidence
from modelramp.rollout.numbers import count_text, evidence_text
from modelramp.rollout.observed import (
    AnotherStore,
    History,
    Impossible,
    Measured,
    NoData,
    Observed,
    Reading,
    Unavailable,
)
from modelramp.rollout.opening import Opening, PhiSource
from modelramp.rollout.situation import Situation
from modelramp.rollout.smoke import answered
from modelramp.rollout.strategy import Judged, wealth_of

NOTHING_COUNTED: Final = "no request of the candidate was counted in this step yet"
NO_BASELINE: Final = (
    "too little was counted of stable before it lost its traffic, so no harm beside it can be shown; "
    "a metric with against.limit needs no stable"
)
NEVER_JUDGED: Final = (
    "stable's history of at least two pods is needed, 30 intervals or more in which the gauge varied: "
    "without it it can never be certified"
)


def _candidate(s: Situation) -> CandidateStatus | None:
    """
    The candidate's health: first readiness, loss of readiness, warm-up.
    """
    candidate, arm = s.status.candidate, s.candidate_arm
    if candidate is None:
        return None
    ready = arm.ready if arm is not None else 0
    wanted = candidate_size(s)
    most = min(max(candidate.ready_pods, ready), wanted)
    steady = s.status.phase is Phase.PREPARING and s.spec.serving.min_ready.seconds > 0  # a break begins it anew
    ready_since = (None if steady and ready < wanted else candidate.ready_since) or (s.now if ready >= wanted else None)
    lost = ready_since is not None and ready < most
    changes = {
        "ready_pods": most,
        "ready_since": ready_since,
        "unready_since": (candidate.unready_since or s.now) if lost else None,
        "warm": candidate.warm or s.spec.serving.warm_up is None or _warm_up_good(s),
    }
    return candidate.model_copy(update=changes)


def _warm_up_good(s: Situation) -> bool:
    reading, warm_up = s.observed.warm_up, s.spec.serving.warm_up
    return reading is not None and warm_up is not None and answered(reading, warm_up)


def _step(s: Situation) -> StepStatus | None:
    """
    When the step's traffic was first seen in place, and whether its smoke requests were answered; a route lost again is
    seen by the rules, not forgotten here.
    """
    step, by_request = s.status.step, s.status.reason is Reason.PAUSED_BY_REQUEST
    smoke = s.step.smoke if s.step is not None else None
    if step is not None and smoke is not None and s.observed.smoke is not None and answered(s.observed.smoke, smoke):
        step = step.model_copy(update={"smoke_passed": True})
    looked_at = s.status.phase is Phase.PROGRESSING or by_request or s.first_serves
    if step is None or step.in_place_since is not None or not looked_at:
        return step
    return step.model_copy(update={"in_place_since": s.now}) if traffic_in_place(s) else step


def _opening(s: Situation, metric: Metric) -> History | None:
    """
    What the metric's evidence is begun with; None: not known yet.
    """
    given, found = s.spec.analysis.overdispersion, s.observed.histories.get(metric.title)
    if found is None and metric.is_rate and history_of(s, metric) is None:
        found = Opening(phi=PHI_UNKNOWN, source=PhiSource.ASSUMED)
    if isinstance(found, Opening) and given is not None:
        return replace(found, phi=float(given), source=PhiSource.GIVEN)
    return found


def _opened(s: Situation, metric: Metric) -> Account | None:
    """
    Fresh evidence, once what it rests on is known.
    """
    opening = _opening(s, metric)
    if not isinstance(opening, Opening):
        return None
    slices, wealth = s.spec.analysis.slices, wealth_of(s.spec)
    warning = too_little_traffic(s, metric, opening)
    return Account.open(opening, wealth, slices.values if slices else (), warning)


def _counted(s: Situation, metric: Metric, kept: Account, reading: Reading) -> Account:
    """
    The evidence with the reading's block, if there is one, or with a gap where another store answered; nothing else
    ever changes it.
    """
    begin, step = counted_from(s), s.step
    if step is None or begin is None or metric not in s.counted_metrics:
        return kept
    if isinstance(reading, AnotherStore):
        return kept.leave_out(reading.until, reading.store)
    if not isinstance(reading, Measured):
        return kept
    kept, limits, wealth = kept.skip_until(begin), s.margins_of(metric, step.next_share or 1.0), wealth_of(s.spec)
    if s.judged is Judged.NOT_AT_ALL:
        counted = count_stable(kept, reading.block)
    elif s.judged is Judged.ALONE and isinstance(limits, Margins):
        frozen = freeze(kept, limits, delta=doubt(s.weight_of(metric.title)))
        counted = observe_alone(frozen, reading.block, reading.slices, limits, wealth)
    else:
        counted = kept.observe(reading.block, reading.slices, limits, wealth, reading.pods)
    return counted.told_by(reading.store, reading.block.end)


def _verdict(name: str, kept: Account | None, reading: Reading) -> VerdictStatus:
    """
    The opinion on one metric after this look; without evidence what keeps it from beginning.
    """
    message, verdict = "", VerdictName.NO_DATA if kept is None else VerdictName(kept.verdict().value)
    match reading:
        case Unavailable():
            verdict, message = VerdictName.UNAVAILABLE, reading.message
        case NoData():
            verdict, message = VerdictName.NO_DATA, reading.message
        case Measured():
            never = kept is not None and kept.never_judged
            absent = NEVER_JUDGED if never else NOTHING_COUNTED
            told = NO_BASELINE if kept is not None and kept.compares_nothing else reading.note
            message = absent if verdict is VerdictName.NO_DATA else told
        case unknown:
            assert_never(unknown)
    totals = Totals() if kept is None else kept.totals
    return VerdictStatus(
        name=name,
        verdict=verdict,
        evidence=evidence_text(0.0 if kept is None else kept.ok_log, ALPHA_OK),
        harm=evidence_text(0.0 if kept is None else kept.harm_log, ALPHA_ROLLBACK),
        candidate=ArmCounts(n=count_text(totals.candidate.n), x=count_text(totals.candidate.x)),
        stable=ArmCounts(n=count_text(totals.stable.n), x=count_text(totals.stable.x)),
        message=message[:1024],
    )


def forecasts(s: Situation) -> tuple[VerdictStatus, ...]:
    """
    The verdicts, with the time still needed where this look brought counts; shown, and never decided on.
    """
    return tuple(_forecast(s, verdict) for verdict in s.status.verdicts)


def _forecast(s: Situation, verdict: VerdictStatus) -> VerdictStatus:
    reading, kept, step = s.observed.readings.get(verdict.name), s.evidence.get(verdict.name), s.step
    share = step.next_share if step is not None else None
    metric = s.metric(verdict.name)
    if share is None or kept is None or metric is None or not isinstance(reading, Measured):
        return verdict
    if verdict.verdict is not VerdictName.INCONCLUSIVE:
        return verdict
    left = kept.seconds_left(reading.block, counted_from(s) or reading.block.start, s.margins_of(metric, share))
    if left is None:
        return verdict
    return verdict.model_copy(
        update={
            "seconds_left": None if left.seconds is None else round(left.seconds),
            "message": verdict.message if left.obstacle is None else str(left.obstacle),
        }
    )


def _judged(s: Situation) -> dict[str, object]:
    """
    Evidence and verdicts after this cycle's readings; a metric that was not due keeps both.
    """
    opens = opens_evidence(s)
    if s.step is None and not opens:
        return {}
    evidence, said = {}, {verdict.name: verdict for verdict in s.status.verdicts}
    for metric in s.judged_metrics:
        name = metric.title
        kept, reading = s.evidence.get(name), s.observed.readings.get(name)
        if kept is None and opens:
            kept, waits_for = _opened(s, metric), s.observed.histories.get(name)
            if isinstance(waits_for, Impossible):
                waits_for = NoData(waits_for.message)
            reading = waits_for if isinstance(waits_for, NoData | Unavailable) else reading
        if kept is not None and reading is not None:
            kept = _counted(s, metric, kept, reading)
        if kept is not None:
            evidence[name] = kept
        if reading is not None and s.step is not None:
            later = s.judged is Judged.NOT_AT_ALL and metric in s.counted_metrics
            said[name] = baseline_verdict(s, metric, kept, reading) if later else _verdict(name, kept, reading)
    names = [metric.title for metric in s.judged_metrics]
    return {
        "evidence": tuple(EvidenceState(name=name, state=item.to_state()) for name, item in evidence.items()),
        "verdicts": tuple(said[name] for name in names if name in said),
    }


def _retry(s: Situation) -> str | None:
    """
    A retry annotation is remembered as seen outside the phases that act on it, so it never fires later by surprise.
    """
    ended = s.status.phase in {Phase.FAILED, Phase.REPORTED}
    acts = ended or (s.status.phase is Phase.PAUSED and s.status.step is not None)
    return s.status.retry_seen if acts else s.deployment.annotations.get(ANNOTATION_RETRY, s.status.retry_seen)


def _returning(s: Situation) -> UndoStatus | None:
    """
    The undo under way; another wish of the spec ends it.
    """
    undo = s.status.undo
    return undo if undo is not None and undo.instead_of == s.deployment.revision else None


def _config(s: Situation) -> tuple[ConfigContent, ...]:
    """
    What the revision was found from, so that a ConfigMap that cannot be read later makes no other one.
    """
    return tuple(ConfigContent(config_map=name, hash=seen) for name, seen in s.deployment.contents.items())


def _folded(s: Situation) -> Situation:
    """
    The situation with the candidate's health, its step and its evidence as they are after this look.
    """
    s = s.with_status(s.status.model_copy(update={"candidate": _candidate(s), "step": _step(s)}))
    return s.with_status(s.status.model_copy(update=_judged(s)))


def assess(deployment: MLModelDeployment, observed: Observed, now: datetime) -> Situation:
    """
    The situation the rules are asked about.
    """
    s = Situation(deployment=deployment, status=deployment.status, observed=observed, now=now)
    kept = kept_at_most(s.status.kept, s.spec.strategy.keep_revisions)
    s = s.with_status(
        s.status.model_copy(update={"retry_seen": _retry(s), "undo": _returning(s), "kept": kept, "config": _config(s)})
    )
    return with_others(_folded(s), _folded)


def traffic_status(s: Situation, wanted: Decimal) -> TrafficStatus | None:
    """
    The candidate's share: wanted, accepted by the gateway, counted in this step. None without a candidate.
    """
    if s.candidate is None:
        return None
    given = (s.observed.route.achieved or s.observed.route.shares).get(s.candidate)
    counts = [item.step_exposures for item in s.evidence.values()]
    mine, all_of_them = sum(candidate for candidate, _ in counts), sum(map(sum, counts))
    observed = Share.of_percent(Decimal(str(round(100 * mine / all_of_them, 1)))) if all_of_them > 0 else None
    return TrafficStatus(
        wanted=Share.of_percent(wanted),
        programmed=None if given is None else Share.of_percent(given),
        observed=observed,
    )
