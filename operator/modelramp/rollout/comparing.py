"""
The comparator: while copies of requests are compared, it stands between the route and the candidate.
"""

from collections.abc import Iterator
from typing import Final

from modelramp.api.identity import digest
from modelramp.api.vocabulary import ConditionType, Phase
from modelramp.rollout.counters import COMPARATOR
from modelramp.rollout.observed import Acceptance
from modelramp.rollout.plan import DeleteComparator, EnsureComparator
from modelramp.rollout.situation import Situation

NOT_READY: Final = "the comparator has no ready endpoint, so no request is copied"

_IN_STEP: Final = frozenset({Phase.PROGRESSING, Phase.PAUSED})


def wanted_comparator(s: Situation) -> EnsureComparator | None:
    """
    The comparator of the present step; None: nothing is compared in it, or there is nobody to compare with.
    """
    compare = s.step.compare if s.step is not None else None
    if compare is None or s.status.phase not in _IN_STEP or s.candidate is None or s.stable is None:
        return None
    told = {"stable": s.stable, "compare": compare.to_wire()}
    return EnsureComparator(revision=s.candidate, stable=s.stable, compare=compare, hash=digest(told))


def sender(s: Situation) -> str | None:
    """
    Who sends the candidate its requests in the present step, and counts them: the gateway, by its controller, or what
    stands for the comparator; None: not known.
    """
    compares = s.step is not None and s.step.compare is not None
    return COMPARATOR if compares else s.observed.route.controller


def comparator_serves(s: Situation) -> bool:
    """
    The candidate's comparator has a ready endpoint.
    """
    found = s.observed.comparators.get(s.candidate or "")
    return found is not None and found.ready > 0


def awaits_comparator(s: Situation) -> bool:
    """
    The step's copies are to be compared, and nobody is ready to do it.
    """
    return wanted_comparator(s) is not None and not comparator_serves(s)


def comparator_overdue(s: Situation) -> bool:
    """
    The step's comparator has had no ready endpoint for longer than the progress deadline.

    Since when is remembered by its condition.
    """
    known = (one for one in s.status.conditions if one.type is ConditionType.COMPARATOR_NOT_READY)
    since = next((one.last_transition_time for one in known), None)
    return awaits_comparator(s) and s.since(since, s.spec.strategy.progress_deadline.timedelta)


def comparators(s: Situation) -> Iterator[EnsureComparator | DeleteComparator]:
    """
    What is to be done about comparators. One goes after the observed route copies nothing to it any more, never before.
    """
    wanted, route = wanted_comparator(s), s.observed.route
    if wanted is not None:
        known = s.observed.comparators.get(wanted.revision)
        if known is None or known.hash != wanted.hash:
            yield wanted
    settled = route.acceptance in {Acceptance.ACCEPTED, Acceptance.ABSENT}
    for revision in sorted(s.observed.comparators):
        if settled and revision not in route.compared and (wanted is None or revision != wanted.revision):
            yield DeleteComparator(revision=revision)
