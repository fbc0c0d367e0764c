"""
Findings about what somebody asks for by annotation: whether it can be done now, and if not, why not.

A request is answered once, in the cycle that first sees it and has nothing more urgent to do.
"""

from collections.abc import Callable, Mapping
from typing import Final, assert_never

from modelramp.api.action import ActionRequest, UnreadableRequest, Verb
from modelramp.api.vocabulary import Phase, Reason
from modelramp.rollout.approval import awaited, not_approvable, not_rejectable
from modelramp.rollout.guards import can_return, rejected, route_contested, stable_serves, traffic_in_place
from modelramp.rollout.situation import Situation
from modelramp.rollout.undo import not_restartable, not_undoable

_EXPOSED: Final = frozenset({Phase.PROGRESSING, Phase.PAUSED})


def _no_step(s: Situation) -> str | None:
    if s.status.phase not in _EXPOSED:
        return f"no step is in progress while the rollout is {s.status.phase}"
    return None if s.status.step is not None else "no step has begun: the candidate waits to be given its first traffic"


def _not_abortable(s: Situation) -> str | None:
    if s.status.phase is Phase.ROLLING_BACK:
        return "the candidate is being rolled back already"
    return None if can_return(s) else "there is no stable revision to return to"


def _not_pausable(s: Situation) -> str | None:
    found = _no_step(s)
    if found is not None:
        return found
    by_request = s.status.phase is Phase.PAUSED and s.status.reason is Reason.PAUSED_BY_REQUEST
    return "it is paused by request already" if by_request else None


def _not_resumable(s: Situation) -> str | None:
    if s.status.phase is not Phase.PAUSED:
        return f"the rollout is not paused but {s.status.phase}"
    if awaited(s):
        return "it waits for an approval: approve or reject it"
    return _no_step(s)


def _not_promotable(s: Situation) -> str | None:
    found = _no_step(s)
    if found is not None:
        return found
    if route_contested(s):
        return f"the route is also written by {s.observed.route.contested_by}"
    if not stable_serves(s):
        return "the stable revision has no ready endpoint"
    return None if traffic_in_place(s) else "the step's traffic is not in place"


def _not_fully_promotable(s: Situation) -> str | None:
    """
    Where stable has no endpoint and the candidate has, a human may take the candidate: nothing else would ever serve.
    """
    arm = s.candidate_arm
    alone = arm is not None and arm.ready > 0 and not stable_serves(s)
    return None if alone and _no_step(s) is None and not route_contested(s) else _not_promotable(s)


def _not_retryable(s: Situation, revision: str) -> str | None:
    if revision != s.target:
        return f"it is meant for revision {revision}, and the spec names {s.target}"
    if s.status.phase not in {Phase.FAILED, Phase.REPORTED} or not rejected(s):
        return f"the revision was not rejected: the rollout is {s.status.phase}"
    return None


_OF_CANDIDATE: Final[Mapping[Verb, Callable[[Situation, ActionRequest], str | None]]] = {
    Verb.ABORT: lambda s, _asked: _not_abortable(s),
    Verb.PAUSE: lambda s, _asked: _not_pausable(s),
    Verb.RESUME: lambda s, _asked: _not_resumable(s),
    Verb.PROMOTE: lambda s, _asked: _not_promotable(s),
    Verb.PROMOTE_FULL: lambda s, _asked: _not_fully_promotable(s),
    Verb.APPROVE: not_approvable,
    Verb.REJECT: not_rejectable,
}
_OF_OTHERS: Final[Mapping[Verb, Callable[[Situation, str], str | None]]] = {
    Verb.RETRY: _not_retryable,
    Verb.UNDO: not_undoable,
    Verb.RESTART: not_restartable,
}
"""What may be asked of other revisions than the candidate."""


def obstacle(s: Situation) -> str | None:
    """
    Why what is asked cannot be done now; None: it can, or nothing is asked.
    """
    match s.request:
        case None:
            return None
        case UnreadableRequest(problem=problem):
            return problem
        case ActionRequest(verb=verb, revision=revision) if verb in _OF_OTHERS:
            return _OF_OTHERS[verb](s, revision)
        case ActionRequest(verb=verb, revision=revision) as asked:
            if s.candidate is None:
                return "no rollout is in flight"
            if revision != s.candidate:
                return f"it is meant for revision {revision}, and the candidate is {s.candidate}"
            return _OF_CANDIDATE[verb](s, asked)
        case unknown:
            assert_never(unknown)


def granted(s: Situation, *verbs: Verb) -> bool:
    """
    Somebody asks for one of these, and it can be done.
    """
    return isinstance(s.request, ActionRequest) and s.request.verb in verbs and obstacle(s) is None


def abort_asked(s: Situation) -> bool:
    """
    Somebody asks to abort this candidate; to undo it in flight is the same.
    """
    return granted(s, Verb.ABORT) or (s.candidate is not None and granted(s, Verb.UNDO))


def retry_asked(s: Situation) -> bool:
    """
    Somebody asks to try the rejected revision that the spec names again.
    """
    return granted(s, Verb.RETRY)


def pause_asked(s: Situation) -> bool:
    """
    Somebody asks to pause this candidate, which is not paused by request yet.
    """
    return granted(s, Verb.PAUSE)


def resume_asked(s: Situation) -> bool:
    """
    Somebody asks this paused candidate to go on.
    """
    return granted(s, Verb.RESUME)


def full_promotion_asked(s: Situation) -> bool:
    """
    Somebody asks to promote this candidate completely, or past its last step; the step's traffic is in place, or stable
    has no endpoint and the candidate has.
    """
    return granted(s, Verb.PROMOTE_FULL) or (s.next_step is None and granted(s, Verb.PROMOTE))


def promotion_asked(s: Situation) -> bool:
    """
    Somebody asks to take the present step as passed; its traffic is in place, and stable serves.
    """
    return granted(s, Verb.PROMOTE)


def first_step_approved(s: Situation) -> bool:
    """
    Somebody approves that the candidate enters its first step.
    """
    return granted(s, Verb.APPROVE) and s.step is None and s.stable is not None


def promotion_approved(s: Situation) -> bool:
    """
    Somebody approves that the candidate gets everything: after its last step, or as the first revision.
    """
    return granted(s, Verb.APPROVE) and (s.next_step is None or s.stable is None)


def step_approved(s: Situation) -> bool:
    """
    Somebody approves that the candidate enters its next step.
    """
    return granted(s, Verb.APPROVE)


def rejection_asked(s: Situation) -> bool:
    """
    Somebody refuses the approval that is waited for.
    """
    return granted(s, Verb.REJECT)


def undo_asked(s: Situation) -> bool:
    """
    Somebody asks to return to a kept revision.
    """
    return granted(s, Verb.UNDO)


def restart_asked(s: Situation) -> bool:
    """
    Somebody asks for new pods of the revision that serves.
    """
    return granted(s, Verb.RESTART)


def action_refused(s: Situation) -> bool:
    """
    Somebody asks for something that cannot be done now, or not readably.
    """
    return obstacle(s) is not None


ANSWERS: Final = frozenset(
    {
        abort_asked,
        retry_asked,
        pause_asked,
        resume_asked,
        full_promotion_asked,
        promotion_asked,
        first_step_approved,
        promotion_approved,
        step_approved,
        rejection_asked,
        undo_asked,
        restart_asked,
        action_refused,
    }
)
"""The findings whose rows answer a request."""
