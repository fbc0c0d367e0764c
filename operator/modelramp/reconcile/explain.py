"""
From a committed plan to what people read: an Event, a log line, the operator's own metrics.

Only what was committed is announced, so a failed write announces nothing.
"""

import logging
from typing import Final

from modelramp.api.vocabulary import Phase, Reason
from modelramp.ports import Announcement, Key
from modelramp.rollout.plan import Plan

log = logging.getLogger("modelramp.rollout")

WARNINGS: Final = frozenset(
    {
        Reason.ABORT_REQUESTED,
        Reason.ANALYSIS_FAILED,
        Reason.CANDIDATE_CRASH_LOOPING,
        Reason.CANDIDATE_OUT_OF_MEMORY,
        Reason.CANDIDATE_UNHEALTHY,
        Reason.SMOKE_FAILED,
        Reason.PROGRESS_DEADLINE_EXCEEDED,
        Reason.ANALYSIS_INCONCLUSIVE,
        Reason.METRICS_UNAVAILABLE,
        Reason.ADVANCED_UNCERTIFIED,
        Reason.ROUTE_CONFLICT,
        Reason.COMPARATOR_NOT_READY,
        Reason.ACTION_REFUSED,
        Reason.PROMOTED_BY_REQUEST,
        Reason.REJECTED_BY_REQUEST,
        Reason.ROLLBACK_RECOMMENDED,
        Reason.UNDO_REQUESTED,
        Reason.OTHER_HARMFUL,
        Reason.OTHER_FAILED,
        Reason.ROLLED_BACK,
    }
)
ACTIONS: Final[dict[Phase, str]] = {
    Phase.PENDING: "Observe",
    Phase.PREPARING: "Prepare",
    Phase.PROGRESSING: "SetTraffic",
    Phase.PAUSED: "Pause",
    Phase.PROMOTING: "Promote",
    Phase.ROLLING_BACK: "RollBack",
    Phase.STABLE: "Serve",
    Phase.FAILED: "Reject",
    Phase.REPORTED: "Report",
}


ANSWERS: Final[dict[Reason, str]] = {
    Reason.ACTION_REFUSED: "Refuse",
    Reason.APPROVAL_NEEDED: "Recommend",
    Reason.ROLLBACK_RECOMMENDED: "Recommend",
    Reason.RESTART_REQUESTED: "Restart",
    Reason.OTHER_PASSED: "Certify",
    Reason.OTHER_HARMFUL: "Remove",
    Reason.OTHER_FAILED: "Remove",
}
"""What is done where the phase does not tell it."""


def announcement(plan: Plan) -> Announcement | None:
    """
    The Event of a transition; None when there was none.
    """
    because = plan.because
    if because.rule is None:
        return None
    return Announcement(
        reason=str(because.reason),
        action=ANSWERS.get(because.reason, ACTIONS[because.went_to]),
        note=because.message[:1024],
        warning=because.reason in WARNINGS,
    )


def log_plan(key: Key, plan: Plan) -> None:
    """
    One line for a cycle that changed something; none for one that did not.
    """
    because = plan.because
    effects = [type(effect).__name__ for effect in plan.effects]
    if because.rule is None and not effects:
        return
    log.info(
        "%s: %s",
        because.reason,
        because.message,
        extra={
            "object": str(key),
            "rule": because.rule,
            "from": str(because.came_from),
            "to": str(because.went_to),
            "effects": effects,
        },
    )
