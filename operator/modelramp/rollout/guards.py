"""
Findings: what may be the case. The first line of each is printed in docs/rollout.md.
"""

from datetime import datetime
from decimal import Decimal
from typing import Final

from modelramp.analysis import harmful
from modelramp.api.names import ANNOTATION_ABORT, ANNOTATION_RETRY
from modelramp.api.spec import Reaction
from modelramp.api.status import VerdictName
from modelramp.api.vocabulary import Phase
from modelramp.rollout.capacity import candidate_size, more_time, shortage
from modelramp.rollout.comparing import awaits_comparator
from modelramp.rollout.freeze import frozen, thawed_at
from modelramp.rollout.others import others_settled
from modelramp.rollout.situation import SETTLE, Situation
from modelramp.rollout.smoke import smoke_passed
from modelramp.rollout.strategy import WHOLE, Judged

SPLIT_SIGMAS: Final = 4.0  # of the binomial deviation; below one false alarm in ten thousand looks
SPLIT_TOLERANCE: Final = 0.25  # of the wanted share: smaller deviations do not mislead evidence that uses the counts


_ENDED: Final = frozenset({Phase.FAILED, Phase.REPORTED})  # a rollout of the spec's revision that is not begun again


def can_return(s: Situation) -> bool:
    """
    There is a stable revision, or nothing is routed to the candidate yet.
    """
    return s.stable is not None or s.status.phase is not Phase.PROMOTING


def abort_requested(s: Situation) -> bool:
    """
    Somebody set the abort annotation to the candidate's revision.
    """
    return can_return(s) and s.candidate is not None and s.deployment.annotations.get(ANNOTATION_ABORT) == s.candidate


def analysis_failed(s: Situation) -> bool:
    """
    The harm evidence of all metrics together reached its bound (false rollback at most 1 % per rollout).
    """
    return harmful(s.harm_log)


def candidate_crash_looping(s: Situation) -> bool:
    """
    A container of the candidate keeps crashing, and the guardrail says roll back.
    """
    arm = s.candidate_arm
    return (
        can_return(s)
        and arm is not None
        and arm.crash_looping is not None
        and s.spec.analysis.guardrails.crash_loop is Reaction.ROLLBACK
    )


def candidate_out_of_memory(s: Situation) -> bool:
    """
    A container of the candidate was killed for memory, and the guardrail says roll back.
    """
    arm = s.candidate_arm
    return (
        can_return(s)
        and arm is not None
        and arm.out_of_memory is not None
        and s.spec.analysis.guardrails.out_of_memory is Reaction.ROLLBACK
    )


def candidate_unhealthy(s: Situation) -> bool:
    """
    The candidate has had fewer ready pods than before for longer than allowed.
    """
    candidate = s.status.candidate
    return (
        can_return(s)
        and candidate is not None
        and s.since(candidate.unready_since, s.spec.analysis.guardrails.not_ready_for.timedelta)
    )


def _held_until(s: Situation, since: datetime) -> datetime:
    """
    Until when a freeze window may have held back a candidate that was ready; the instant given if none has since.
    """
    return max(since, s.now if frozen(s) else thawed_at(s) or since)


def preparation_overdue(s: Situation) -> bool:
    """
    The candidate is not ready and warm within the progress deadline.

    Of one that was ready in a freeze window the deadline counts from the window's end.
    """
    candidate = s.status.candidate
    impossible = s.impossible is not None or shortage(s) is not None
    if candidate is None or candidate_listed(s) or first_candidate_ready(s) or impossible:
        return False
    begun = candidate.since if candidate.ready_since is None else _held_until(s, candidate.since)
    return s.since(begun, s.spec.strategy.progress_deadline.timedelta + more_time(s))


def route_overdue(s: Situation) -> bool:
    """
    The gateway has not followed the step's share within the progress deadline.
    """
    step = s.status.step
    allowed = s.spec.strategy.progress_deadline.timedelta + more_time(s)
    overdue = step is not None and s.since(step.entered_at, allowed)
    never = step is not None and step.in_place_since is None and not traffic_in_place(s)
    # where stable or the comparator has no endpoint, it is no fault of the candidate
    return overdue and never and stable_serves(s) and not awaits_comparator(s)


def promotion_overdue(s: Situation) -> bool:
    """
    The gateway has not followed the promotion within the progress deadline, and there is a stable to return to.
    """
    overdue = s.since(s.status.phase_since, s.spec.strategy.progress_deadline.timedelta + more_time(s))
    return overdue and s.stable is not None and not promotion_in_place(s)


def superseded(s: Situation) -> bool:
    """
    The spec names another revision than the candidate.
    """
    return s.candidate is not None and s.target != s.candidate


def retry_requested(s: Situation) -> bool:
    """
    The retry annotation has a value that was not acted on yet.
    """
    wanted = s.deployment.annotations.get(ANNOTATION_RETRY)
    return bool(wanted) and wanted != s.status.retry_seen


def rejected(s: Situation) -> bool:
    """
    The revision the spec names was rejected before.
    """
    return s.target in {rejection.revision for rejection in s.status.rejected}


def new_revision(s: Situation) -> bool:
    """
    The spec names a revision that is neither stable nor rejected, or a retry is requested.
    """
    return s.target != s.stable and (not rejected(s) or (retry_requested(s) and s.status.phase in _ENDED))


def names_rejected(s: Situation) -> bool:
    """
    The spec names a revision that was rejected before, and not the stable one.
    """
    return rejected(s) and s.target != s.stable


def names_stable(s: Situation) -> bool:
    """
    The spec names the stable revision.
    """
    return s.target == s.stable


def candidate_ready(s: Situation) -> bool:
    """
    All the candidate's pods are ready endpoints, for as long as the spec asks, and its warm-up is done.
    """
    arm, candidate = s.candidate_arm, s.status.candidate
    return (
        arm is not None
        and candidate is not None
        and candidate.warm
        and arm.ready >= candidate_size(s)
        and s.since(candidate.ready_since, s.spec.serving.min_ready.timedelta)
    )


def candidate_listed(s: Situation) -> bool:
    """
    The candidate is ready, warm and listed at 0 in an accepted route, and what the spec asks can be answered.

    Listed at 0 so that the gateway knows its endpoints before the first request.
    """
    return (
        candidate_ready(s)
        and s.impossible is None
        and s.candidate in s.observed.route.shares
        and s.route_gives(s.candidate, Decimal(0))
    )


def first_candidate_ready(s: Situation) -> bool:
    """
    The candidate is ready and warm, and no stable revision exists to compare it with.
    """
    return s.stable is None and candidate_ready(s)


def stable_serves(s: Situation) -> bool:
    """
    The stable revision has ready endpoints.
    """
    stable = s.observed.arms.get(s.stable or "")
    return stable is not None and stable.ready > 0


def route_contested(s: Situation) -> bool:
    """
    Somebody else owns or writes the route.
    """
    return s.observed.route.contested_by is not None


def traffic_in_place(s: Situation) -> bool:
    """
    The gateway accepted what the step gives, and both arms that get traffic have ready endpoints.
    """
    arm, step = s.candidate_arm, s.step
    both = arm is not None and arm.ready > 0 and (s.step_percent == WHOLE or stable_serves(s))
    given = s.route_gives(s.candidate, s.step_percent)
    return both and given and (step is None or (s.route_copies(step) and s.route_sends(step)))


def soaked(s: Situation) -> bool:
    """
    The step's traffic has been in place, as the gateway reported it, for its whole soak time.
    """
    step = s.step
    return (
        step is not None and s.status.step is not None and s.since(s.status.step.in_place_since, max(step.soak, SETTLE))
    )


def _counted_share(s: Situation) -> float:
    """
    The candidate's share of the counted requests: copies are counted too. 1 where it cannot be told.
    """
    step = s.step
    if step is None or step.open_to_people or step.compare is not None:
        return (
            1.0  # callers choose by header or host, and a comparator asks stable once or twice: any share may be right
        )
    if step.mirror > 0:
        return float(step.mirror / (WHOLE + step.mirror))
    return float(s.step_percent / WHOLE)


def split_mismatched(s: Situation) -> bool:
    """
    The counted share of requests contradicts the route's weights.
    """
    share = _counted_share(s)
    for evidence in s.evidence.values():
        mine, others = evidence.step_exposures
        total = mine + others
        deviation = abs(mine - total * share)
        sigmas = SPLIT_SIGMAS * (total * share * (1 - share)) ** 0.5
        if share < 1 and deviation > max(sigmas, SPLIT_TOLERANCE * total * share):
            return True
    return False


def certified(s: Situation) -> bool:
    """
    Every metric the step names is shown to be within its margin for the next share, on data that is still coming in.

    Alone, every one was looked at in the step and has data, and was certified beside stable before or has a bound on it
    to be held against: that no harm is shown is what its soak time is for.
    """
    enough = (
        {VerdictName.PASSED} if s.judged is Judged.BESIDE_STABLE else {VerdictName.PASSED, VerdictName.INCONCLUSIVE}
    )
    passed = {verdict.name for verdict in s.status.verdicts if verdict.verdict in enough} - s.unseen
    return all(metric.title in passed for metric in s.required_metrics)


def step_passed(s: Situation) -> bool:
    """
    The step's traffic is in place as counted and soaked, all is certified, smoke answered, no other waited for.
    """
    held = split_mismatched(s) or not (smoke_passed(s) and others_settled(s))
    return traffic_in_place(s) and soaked(s) and certified(s) and not held


def last_step_passed(s: Situation) -> bool:
    """
    The last step passed.
    """
    return s.next_step is None and step_passed(s)


def promotion_in_place(s: Situation) -> bool:
    """
    The gateway accepted the route that gives the candidate everything, and the candidate has ready endpoints.

    The first revision of all has been watched for the last step's soak time, too, if it is held against limits.
    """
    arm = s.candidate_arm
    return (
        s.route_gives(s.candidate, WHOLE)
        and arm is not None
        and arm.ready > 0
        and s.since(s.status.phase_since, SETTLE)
        and not _first_is_watched(s)
    )


def _first_is_watched(s: Situation) -> bool:
    """
    Until it soaked with data of every limit, or the step's deadline passed, or the spec names another revision.
    """
    step = s.status.step
    if not (s.first_serves and s.counted_metrics) or s.step is None or step is None or superseded(s):
        return False
    return not (s.since(step.entered_at, s.step.deadline) or (soaked(s) and certified(s)))


def first_revision_harmful(s: Situation) -> bool:
    """
    The first revision of all is shown to be above its limits: nothing can take over, so it goes on serving.
    """
    return s.first_serves and analysis_failed(s)
