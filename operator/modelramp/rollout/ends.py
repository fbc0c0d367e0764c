"""
Findings about how a rollout that is not promoted ends: drained, rejected, superseded, or with a report.
"""

from decimal import Decimal

from modelramp.api.vocabulary import Reason
from modelramp.rollout.guards import last_step_passed, names_rejected, new_revision
from modelramp.rollout.observed import Acceptance
from modelramp.rollout.others import left_at
from modelramp.rollout.situation import SETTLE, Situation
from modelramp.rollout.strategy import course_of


def nothing_reaches(s: Situation, revision: str | None) -> bool:
    """
    The gateway accepted a route without the revision's share, copies, cohort or host; nothing was counted or is in
    flight.

    What is still in flight, such as a long stream, is waited for no longer than the longest request or the drain's
    timeout. When the gateway's counters cannot be had, the router's request timeout stands in for them, or where it has
    none the drain's.
    """
    if revision is None:
        return True
    if s.observed.route.acceptance is Acceptance.ABSENT:
        return not s.reached_aside(revision)
    if not s.route_gives(revision, Decimal(0)) or s.reached_aside(revision):
        return False
    drain, left = s.observed.drain, left_at(s, revision)
    longest, timeout = s.spec.traffic.longest_request.timedelta, s.spec.serving.drain.timeout.timedelta
    if drain is not None:
        waited = s.since(left, max(longest, timeout, SETTLE))
        # What leaves in the middle of a phase was counted before its route was written: that tells nothing of what
        # still comes.
        settled = left == s.status.phase_since or s.since(left, SETTLE)
        return (drain.empty(revision) and settled and _let_go(s)) or (waited and drain.quiet(revision))
    return s.since(left, max(longest or timeout, SETTLE))


def _let_go(s: Situation) -> bool:
    """
    The gateway has had time to drop the preview's route, if there was one: what is deleted has no status to say so.
    """
    hosted = any(step.host is not None for step in course_of(s.spec).steps)
    return not hosted or s.since(s.status.phase_since, SETTLE)


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


def _reported(s: Situation, revision: str | None) -> bool:
    """
    The revision's last run ended with a report.
    """
    reported = {known.revision for known in s.status.rejected if known.reason is Reason.SHADOW_REPORTED}
    return revision in reported


def run_passed_for_report(s: Situation) -> bool:
    """
    The last step passed, and the spec asks for a report only.
    """
    return course_of(s.spec).reports and last_step_passed(s)


def drained_and_reported(s: Situation) -> bool:
    """
    Nothing reaches the candidate any more, and its run ended with a report.
    """
    return names_reported(s) and candidate_drained(s)


def names_reported(s: Situation) -> bool:
    """
    The spec names a revision whose run ended with a report, and not the stable one.
    """
    return names_rejected(s) and _reported(s, s.target)
