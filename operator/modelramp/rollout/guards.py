"""
Findings: what may be the case. The first line of each is printed in docs/rollout.md.
"""

from decimal import Decimal
from typing import Final

from modelramp.analysis import harmful
from modelramp.api.names import ANNOTATION_ABORT, ANNOTATION_RETRY
from modelramp.api.spec import Reaction
from modelramp.api.status import VerdictName
from modelramp.api.vocabulary import Phase
from modelramp.rollout.observed import Acceptance
from modelramp.rollout.situation import SETTLE, Situation
from modelramp.rollout.strategy import WHOLE

SPLIT_SIGMAS: Final = 4.0  # of the binomial deviation; below one false alarm in ten thousand looks
SPLIT_TOLERANCE: Final = (
    0.25  # of the wanted share: smaller deviations do not mislead the evidence, which uses the counts themselves
)


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


def preparation_overdue(s: Situation) -> bool:
    """
    The candidate is not ready and warm within the progress deadline.
    """
    candidate = s.status.candidate
    overdue = candidate is not None and s.since(candidate.since, s.spec.strategy.progress_deadline.timedelta)
    return overdue and not (candidate_listed(s) or first_candidate_ready(s) or s.impossible is not None)


def route_overdue(s: Situation) -> bool:
    """
    The gateway has not followed the step's share within the progress deadline.
    """
    step = s.status.step
    overdue = step is not None and s.since(step.entered_at, s.spec.strategy.progress_deadline.timedelta)
    never = step is not None and step.in_place_since is None and not traffic_in_place(s)
    return overdue and never and stable_serves(s)  # a stable without endpoints is no fault of the candidate


def promotion_overdue(s: Situation) -> bool:
    """
    The gateway has not followed the promotion within the progress deadline, and there is a stable to return to.
    """
    overdue = s.since(s.status.phase_since, s.spec.strategy.progress_deadline.timedelta)
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
    All the candidate's pods are ready endpoints, and its warm-up is done.
    """
    arm, candidate = s.candidate_arm, s.status.candidate
    return arm is not None and candidate is not None and candidate.warm and arm.ready >= s.spec.serving.replicas


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
    if step is None or step.cohort is not None:
        return 1.0  # callers choose by their header: any share may be right
    if step.mirror > 0:
        return float(step.mirror / (WHOLE + step.mirror))
    return float(step.percent / WHOLE)


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
    Every metric is shown to be within its margin for the next share, on data that is still coming in.
    """
    step = s.step
    if step is None or step.next_share is None:
        return True  # nothing is left to compare with; guardrails and the soak time decide
    passed = {verdict.name for verdict in s.status.verdicts if verdict.verdict is VerdictName.PASSED}
    return all(metric.title in passed for metric in s.judged_metrics)


def step_passed(s: Situation) -> bool:
    """
    The step's traffic is in place and soaked, the counted split fits, and every metric is certified for the next share.
    """
    return traffic_in_place(s) and soaked(s) and certified(s) and not split_mismatched(s)


def last_step_passed(s: Situation) -> bool:
    """
    The last step passed.
    """
    return s.next_step is None and step_passed(s)


def promotion_in_place(s: Situation) -> bool:
    """
    The gateway accepted the route that gives the candidate everything, and the candidate has ready endpoints.
    """
    arm = s.candidate_arm
    return (
        s.route_gives(s.candidate, WHOLE)
        and arm is not None
        and arm.ready > 0
        and s.since(s.status.phase_since, SETTLE)
    )


def nothing_reaches(s: Situation, revision: str | None) -> bool:
    """
    The gateway accepted a route without the revision's share, copies or cohort; nothing was counted or is in flight.

    When the gateway's counters cannot be had, the time since the phase began stands in for them.
    """
    if revision is None or s.observed.route.acceptance is Acceptance.ABSENT:
        return True
    if not s.route_gives(revision, Decimal(0)) or s.reached_aside(revision):
        return False
    drain = s.observed.drain
    if drain is not None:
        return drain.empty(revision)
    return s.since(s.status.phase_since, max(s.spec.traffic.longest_request.timedelta, SETTLE))


def unconfirmed(s: Situation) -> bool:
    """
    The route gives the candidate nothing, and the gateway has not followed it within the progress deadline.

    The rollout ends without it, or a gateway that fell silent would hold up every later one; the candidate's pods stay.
    """
    route, candidate = s.observed.route, s.candidate
    unsaid = route.acceptance in {Acceptance.PENDING, Acceptance.REFUSED}
    gets_nothing = candidate is not None and not route.shares.get(candidate) and not s.reached_aside(candidate)
    return unsaid and gets_nothing and s.since(s.status.phase_since, s.spec.strategy.progress_deadline.timedelta)


def candidate_drained(s: Situation) -> bool:
    """
    Nothing reaches the candidate any more, or the gateway has not said so within the progress deadline.
    """
    return nothing_reaches(s, s.candidate) or unconfirmed(s)


def drained_and_superseded(s: Situation) -> bool:
    """
    Nothing reaches the candidate any more, and the spec names a revision that can be begun.
    """
    return candidate_drained(s) and new_revision(s)


def drained_and_rejected(s: Situation) -> bool:
    """
    Nothing reaches the candidate any more, and the spec names a rejected revision.
    """
    return candidate_drained(s) and names_rejected(s)
