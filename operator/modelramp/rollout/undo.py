"""
The return to a revision that served before, and new pods for the one that serves: what stands in the way, and when the
undone revision can take over.
"""

from decimal import Decimal
from typing import Final

from modelramp.api.status import KeptRevision
from modelramp.api.vocabulary import Phase
from modelramp.rollout.guards import can_return, candidate_ready
from modelramp.rollout.situation import Situation

AT_REST: Final = frozenset({Phase.STABLE, Phase.FAILED, Phase.REPORTED})


def kept_revision(s: Situation, revision: str) -> KeptRevision | None:
    """
    The kept revision of that name; None: there is none.
    """
    return next((kept for kept in s.status.kept if kept.revision == revision), None)


def undoing(s: Situation) -> bool:
    """
    The candidate is a kept revision that somebody asked to return to.
    """
    return s.status.undo is not None and s.status.undo.revision == s.candidate


def not_undoable(s: Situation, revision: str) -> str | None:
    """
    Why the revision cannot be returned to now; None: it can. In flight to undo is to abort, for which the candidate or
    stable may be named.
    """
    if s.candidate is not None:
        return _not_abortable_by(s, revision)
    if s.status.phase not in AT_REST:
        return "nothing serves yet"
    if kept_revision(s, revision) is None:
        kept = ", ".join(f"{one.revision} (version {one.version})" for one in s.status.kept) or "none"
        return f"revision {revision} is not kept; kept are: {kept}"
    return None if revision in s.observed.arms else f"the Deployment of revision {revision} does not exist any more"


def _not_abortable_by(s: Situation, revision: str) -> str | None:
    if revision not in {s.candidate, s.stable}:
        return f"a rollout is in flight: name the candidate {s.candidate}, or abort it first"
    if s.status.phase is Phase.ROLLING_BACK:
        return "the candidate is being rolled back already"
    return None if can_return(s) else "there is no stable revision to return to"


def not_restartable(s: Situation, revision: str) -> str | None:
    """
    Why the revision's pods cannot be replaced now; None: they can.
    """
    if s.stable is None or revision != s.stable:
        return f"it is meant for revision {revision}, and {s.stable or 'nothing'} serves"
    if s.status.phase not in AT_REST:
        return f"a rollout is in flight: it is {s.status.phase}"
    return None if revision in s.observed.arms else f"the Deployment of revision {revision} does not exist any more"


def undone_revision_listed(s: Situation) -> bool:
    """
    The revision that somebody asked to return to is ready, warm and listed at 0 in an accepted route.
    """
    return (
        undoing(s)
        and candidate_ready(s)
        and s.candidate in s.observed.route.shares
        and s.route_gives(s.candidate, Decimal(0))
    )
