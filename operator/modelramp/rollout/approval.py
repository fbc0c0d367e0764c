"""
Degrees of automation: what people have to approve, and what is left to them. The first line of each finding is printed
in docs/rollout.md.
"""

from decimal import Decimal
from typing import NamedTuple

from modelramp.api.action import ActionRequest, Verb
from modelramp.api.vocabulary import Degree, Phase, Reason
from modelramp.rollout.guards import (
    candidate_crash_looping,
    candidate_listed,
    candidate_out_of_memory,
    candidate_unhealthy,
    certified,
    first_candidate_ready,
    route_contested,
    split_mismatched,
    stable_serves,
    traffic_in_place,
)
from modelramp.rollout.situation import Situation
from modelramp.rollout.strategy import WHOLE, Step, course_of


class Ahead(NamedTuple):
    """
    What follows the present place: a step, or the promotion.
    """

    number: int
    """Of the step, counted from 1; of the promotion one more than the last step's."""
    share: Decimal
    """Of live traffic, in percent."""
    step: Step | None
    """None: the promotion."""


def ahead(s: Situation) -> Ahead:
    """
    What the candidate would be given next. A first revision is promoted at once.
    """
    if s.next_step is None or s.stable is None:
        return Ahead(len(course_of(s.spec).steps) + 1, WHOLE, None)
    index, step = s.next_step
    return Ahead(index + 1, step.percent, step)


def _degree_asks(s: Situation, share: Decimal) -> bool:
    """
    The degree wants somebody to approve that the candidate gets this live share.
    """
    match s.spec.automation.degree:
        case Degree.FULL:
            return False
        case Degree.PARTIAL:
            # A first revision takes traffic from nobody.
            return s.stable is not None and share > s.spec.automation.automatic_share.percent
        case _:
            return True


def needs_approval(s: Situation) -> bool:
    """
    Somebody has to approve what follows.

    A promotion from a step that has everything already gives nothing more, so it needs nobody. Of a preview only the
    degree Shadow is asked beside HumanOnly, where a header or a host leads people to it: they are to see nothing there.
    """
    _, share, step = ahead(s)
    degree = s.spec.automation.degree
    if s.candidate is None or (step is None and s.step_percent == WHOLE):
        return False
    if step is not None and (step.approval or degree is Degree.HUMAN_ONLY):
        return True
    if share > 0:
        return _degree_asks(s, share)
    return degree is Degree.SHADOW and step is not None and step.open_to_people


def leaves_rollbacks(s: Situation) -> bool:
    """
    The degree leaves rollbacks to people.
    """
    return s.spec.automation.degree is Degree.HUMAN_ONLY


def awaited(s: Situation) -> bool:
    """
    An approval is waited for.
    """
    return s.status.phase is Phase.PAUSED and s.status.reason is Reason.APPROVAL_NEEDED


def prepared(s: Situation) -> bool:
    """
    The candidate could be given its first traffic.
    """
    return candidate_listed(s) or first_candidate_ready(s)


def upheld(s: Situation) -> bool:
    """
    What an approval is asked on still holds: without a step yet that is not asked; in a step it is its evidence.
    """
    return s.step is None or (certified(s) and not split_mismatched(s))


def recommendation_void(s: Situation) -> bool:
    """
    The approval that is waited for is not needed any more, or not recommended on the evidence any more.

    Or a recommended rollback is not left to people any more.
    """
    if s.step is None:
        return False
    if s.status.reason is Reason.ROLLBACK_RECOMMENDED:
        return not leaves_rollbacks(s)
    return awaited(s) and not (needs_approval(s) and upheld(s))


def _sound(s: Situation) -> bool:
    return not (candidate_crash_looping(s) or candidate_out_of_memory(s) or candidate_unhealthy(s))


def recommendation_void_before_traffic(s: Situation) -> bool:
    """
    Before the first step: no approval is needed any more, or the candidate is ready after all and sound.
    """
    if s.step is not None:
        return False
    if s.status.reason is Reason.ROLLBACK_RECOMMENDED:
        return not leaves_rollbacks(s) or (prepared(s) and _sound(s))
    return awaited(s) and not needs_approval(s) and prepared(s)


def recommendation_outdated(s: Situation) -> bool:
    """
    What follows is another step or share than the approval was asked for.
    """
    known, (number, share, _) = s.status.recommendation, ahead(s)
    return awaited(s) and (known is None or (known.step, known.share.percent) != (number, share))


def _open(s: Situation, asked: ActionRequest) -> str | None:
    """
    Why the request answers nothing that is asked; None: it does.
    """
    known = s.status.recommendation
    if not awaited(s) or known is None:
        return f"no approval is waited for: the rollout is {s.status.phase}, {s.status.reason}"
    if asked.step != known.step:
        return f"it is meant for step {asked.step}, and step {known.step} waits for an answer"
    return None


def not_approvable(s: Situation, asked: ActionRequest) -> str | None:
    """
    Why what is asked cannot be approved now; None: it can. Nothing is exposed on worse terms than without an approval.
    """
    found = _open(s, asked)
    if found is not None:
        return found
    if route_contested(s):
        return f"the route is also written by {s.observed.route.contested_by}"
    if s.step is None:
        return None if prepared(s) else "the candidate is not ready and listed in an accepted route"
    if not stable_serves(s) and s.step_percent < WHOLE:
        return "the stable revision has no ready endpoint"
    if not traffic_in_place(s):
        return "the step's traffic is not in place"
    return None if upheld(s) else "the evidence does not certify what follows any more"


def not_rejectable(s: Situation, asked: ActionRequest) -> str | None:
    """
    Why there is nothing to be rejected; None: there is.
    """
    return _open(s, asked)


def abort_recommended(s: Situation) -> bool:
    """
    Somebody was told already that the candidate should be rolled back.
    """
    known = s.status.recommendation
    return known is not None and known.verb is Verb.ABORT
