"""
Findings about what somebody asks for by annotation: whether it can be done now, and if not, why not.

A request is answered once, in the cycle that first sees it and has nothing more urgent to do.
"""

from collections.abc import Callable, Mapping
from typing import Final, assert_never

from modelramp.api.action import ActionRequest, UnreadableRequest, Verb
from modelramp.api.vocabulary import Phase, Reason
from modelramp.rollout.guards import can_return, rejected, route_contested, stable_serves, traffic_in_place
from modelramp.rollout.situation import Situation

_EXPOSED: Final = frozenset({Phase.PROGRESSING, Phase.PAUSED})


def _not_abortable(s: Situation) -> str | None:
    if s.status.phase is Phase.ROLLING_BACK:
        return "the candidate is being rolled back already"
    return None if can_return(s) else "there is no stable revision to return to"


def _not_pausable(s: Situation) -> str | None:
    if s.status.phase not in _EXPOSED:
        return f"no step is in progress while the rollout is {s.status.phase}"
    by_request = s.status.phase is Phase.PAUSED and s.status.reason is Reason.PAUSED_BY_REQUEST
    return "it is paused by request already" if by_request else None


def _not_resumable(s: Situation) -> str | None:
    return None if s.status.phase is Phase.PAUSED else f"the rollout is not paused but {s.status.phase}"


def _not_promotable(s: Situation) -> str | None:
    if s.status.phase not in _EXPOSED:
        return f"no step is in progress while the rollout is {s.status.phase}"
    if route_contested(s):
        return f"the route is also written by {s.observed.route.contested_by}"
    if not stable_serves(s):
        return "the stable revision has no ready endpoint"
    return None if traffic_in_place(s) else "the step's traffic is not in place"


_OBSTACLES: Final[Mapping[Verb, Callable[[Situation], str | None]]] = {
    Verb.ABORT: _not_abortable,
    Verb.PAUSE: _not_pausable,
    Verb.RESUME: _not_resumable,
    Verb.PROMOTE: _not_promotable,
    Verb.PROMOTE_FULL: _not_promotable,
}


def _not_retryable(s: Situation, revision: str) -> str | None:
    if revision != s.target:
        return f"it is meant for revision {revision}, and the spec names {s.target}"
    if s.status.phase not in {Phase.FAILED, Phase.REPORTED} or not rejected(s):
        return f"the revision was not rejected: the rollout is {s.status.phase}"
    return None


def _not_for_candidate(s: Situation, verb: Verb, revision: str) -> str | None:
    if s.candidate is None:
        return "no rollout is in flight"
    if revision != s.candidate:
        return f"it is meant for revision {revision}, and the candidate is {s.candidate}"
    return _OBSTACLES[verb](s)


def obstacle(s: Situation) -> str | None:
    """
    Why what is asked cannot be done now; None: it can, or nothing is asked.
    """
    match s.request:
        case None:
            return None
        case UnreadableRequest(problem=problem):
            return problem
        case ActionRequest(verb=Verb.RETRY, revision=revision):
            return _not_retryable(s, revision)
        case ActionRequest(verb=verb, revision=revision):
            return _not_for_candidate(s, verb, revision) if verb in _OBSTACLES else f"{verb} is not available yet"
        case unknown:
            assert_never(unknown)


def granted(s: Situation, *verbs: Verb) -> bool:
    """
    Somebody asks for one of these, and it can be done.
    """
    return isinstance(s.request, ActionRequest) and s.request.verb in verbs and obstacle(s) is None


def abort_asked(s: Situation) -> bool:
    """
    Somebody asks to abort this candidate.
    """
    return granted(s, Verb.ABORT)


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
    Somebody asks to promote this candidate completely, or past its last step; the step's traffic is in place.
    """
    return granted(s, Verb.PROMOTE_FULL) or (s.next_step is None and granted(s, Verb.PROMOTE))


def promotion_asked(s: Situation) -> bool:
    """
    Somebody asks to take the present step as passed; its traffic is in place, and stable serves.
    """
    return granted(s, Verb.PROMOTE)


def action_refused(s: Situation) -> bool:
    """
    Somebody asks for something that cannot be done now, or not readably.
    """
    return obstacle(s) is not None


ANSWERS: Final = frozenset(
    {abort_asked, retry_asked, pause_asked, resume_asked, full_promotion_asked, promotion_asked, action_refused}
)
"""The findings whose rows answer a request."""
