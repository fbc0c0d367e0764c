"""
What is shown of the other candidates of a shadow run, and never decided on.
"""

from modelramp.api.status import OtherOutcome, OtherStatus
from modelramp.rollout.assess import forecasts
from modelramp.rollout.guards import candidate_ready
from modelramp.rollout.others import each_beside, held
from modelramp.rollout.situation import Situation
from modelramp.rollout.waiting import frozen_message, waited_for


def _waits(s: Situation, now: Situation) -> str:
    """
    What an undecided one waits for; `now` is its own situation.
    """
    if now.step is not None or not candidate_ready(now):
        return waited_for(now)
    if s.step is None:
        return "ready: waiting for the run's own candidate, whose step it enters too"
    if held(s):
        return "ready: nobody gets more requests while the rollout is paused by request or its route is contested"
    return f"ready: {frozen_message(s) or 'its copies begin'}"


def others_shown(s: Situation) -> tuple[OtherStatus, ...]:
    """
    The others, with the time that each metric still needs, and with what an undecided one waits for.
    """
    found = {}
    for other, now in each_beside(s):
        waits = other.outcome is OtherOutcome.UNDECIDED
        told = {"message": _waits(s, now)[:1024]} if waits else {}
        found[other.revision] = other.model_copy(update={"verdicts": forecasts(now), **told})
    return tuple(found.get(other.revision, other) for other in s.status.others)
