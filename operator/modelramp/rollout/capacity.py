"""
How many pods each revision has while both exist, so that all of them together never take more than they may.

What a revision takes is counted before it is there and until it is gone: the pods that exist, terminating ones too, and
those its Deployment asks for beyond them. Only what is free of the limit then may be grown into, so a revision never
grows in the decision that shrinks another.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import ROUND_CEILING, Decimal
from math import ceil
from typing import Final

from modelramp.api.quantities import demand_of
from modelramp.api.spec import Surge
from modelramp.api.vocabulary import Phase
from modelramp.rollout.observed import Acceptance, Arm
from modelramp.rollout.others import run_has_others, taking_part
from modelramp.rollout.situation import Situation

WHOLE: Final = Decimal(100)
TRIED: Final = frozenset({Phase.PREPARING, Phase.PROGRESSING, Phase.PAUSED, Phase.PROMOTING})
SLACK: Final = timedelta(seconds=60)  # pods end within their grace period, and the delay before it


@dataclass(frozen=True, slots=True)
class Limit:
    """
    The most that all pods may take together.
    """

    resource: str | None
    """None: pods are counted, whatever they take."""
    most: Decimal

    def of(self, arm: Arm) -> Decimal:
        """
        What one of the revision's pods takes.
        """
        return Decimal(1) if self.resource is None else arm.asks.get(self.resource, Decimal(0))


def _taken(arm: Arm) -> int:
    """
    Pods that exist or are about to: what ends counts until it is gone, what was asked for from when it was.
    """
    return arm.terminating + max(arm.pods - arm.terminating, arm.wanted_replicas)


def limit_of(s: Situation) -> Limit | None:
    """
    The limit in force; None: there is none.
    """
    capacity = s.spec.serving.capacity
    if capacity.budget is not None:
        return Limit(capacity.budget.resource, Decimal(capacity.budget.limit))
    return None if capacity.surge is Surge.FULL else Limit(None, Decimal(s.spec.serving.replicas))


def demand(s: Situation, limit: Limit) -> Decimal:
    """
    What one pod of the spec's own revision takes.
    """
    if limit.resource is None:
        return Decimal(1)
    return demand_of(s.spec.serving.template.spec.to_wire(), limit.resource)


def _each(s: Situation, limit: Limit, revision: str) -> Decimal:
    arm = s.observed.arms.get(revision)
    return demand(s, limit) if arm is None else limit.of(arm)


def _fitting(room: Decimal, each: Decimal, most: int) -> int:
    """
    How many pods fit into the room, at most `most`.
    """
    return most if each <= 0 else max(0, min(most, int(room // each)))


def swaps(s: Situation) -> bool:
    """
    Stable and candidate share one set of places.
    """
    return s.spec.serving.capacity.surge is Surge.SWAP and s.stable is not None and s.candidate is not None


def recreates(s: Situation) -> bool:
    """
    Stable's pods go before the candidate's come, or the candidate's before stable's come back.
    """
    return s.spec.serving.capacity.surge is Surge.RECREATE and s.stable is not None and s.candidate is not None


def _load(s: Situation) -> Decimal:
    """
    The percent of requests the candidate is to take in the present phase and step, live or copied.
    """
    if s.stable is None or s.status.phase is Phase.PROMOTING:
        return WHOLE
    return Decimal(0) if s.step is None else max(s.step.percent, s.step.mirror)


def _beside_one(s: Situation, limit: Limit) -> int:
    """
    The most pods the candidate can have while stable keeps its last one, for the way back.
    """
    replicas = s.spec.serving.replicas
    one = _each(s, limit, s.stable or "")
    return _fitting(limit.most - one, _each(s, limit, s.candidate or ""), replicas)


def candidate_size(s: Situation) -> int:
    """
    Pods the candidate is to have in the present phase and step; in Swap as many as its share asks for, at least one.
    """
    replicas, limit = s.spec.serving.replicas, limit_of(s)
    if not swaps(s) or limit is None:
        return s.candidate_pods
    return max(1, min(ceil(_load(s) * replicas / WHOLE), _beside_one(s, limit)))


def _stable_floor(s: Situation) -> int:
    """
    The fewest pods stable may be left with: what its share needs, less the one that is given up first, and never none.

    A share is believed only where the gateway accepted it; until then stable keeps what it has.
    """
    arm, route = s.observed.arms.get(s.stable or ""), s.observed.route
    if route.acceptance is not Acceptance.ACCEPTED:
        return arm.wanted_replicas if arm is not None else s.spec.serving.replicas
    given = route.shares.get(s.stable or "", Decimal(0))
    return max(1, ceil(given * s.spec.serving.replicas / WHOLE) - 1)


def _stable_size(s: Situation, limit: Limit) -> int:
    """
    Pods stable is to have beside the candidate.
    """
    replicas = s.spec.serving.replicas
    if s.status.phase not in TRIED or s.candidate is None:
        return replicas
    if s.candidate not in s.observed.arms or not (swaps(s) or recreates(s)):
        return replicas  # nothing is given up before the API server took the candidate's pod template
    if recreates(s):
        return 0
    left = limit.most - candidate_size(s) * _each(s, limit, s.candidate)
    fitting = _fitting(left, _each(s, limit, s.stable or ""), replicas)
    return min(replicas, max(_stable_floor(s), fitting))


def _room(s: Situation, limit: Limit) -> Decimal:
    """
    What is free now; nothing while a revision's pods are not known to be what its Deployment asks for.
    """
    arms = s.observed.arms.values()
    if not all(arm.settled for arm in arms):
        return Decimal(0)
    return limit.most - sum((_taken(arm) * limit.of(arm) for arm in arms), Decimal(0))


def _sizes(s: Situation, limit: Limit) -> Mapping[str, int]:
    """
    Pods by revision: what is to be shrunk is, what is to be grown is as far as there is room, stable before the
    candidate, and that before the others of a shadow run.
    """
    room, found = _room(s, limit), {}
    others = [(other.revision, s.spec.serving.replicas) for other in taking_part(s)]
    goals = [(s.stable, _stable_size(s, limit)), (s.candidate, candidate_size(s)), *others]
    for revision, goal in goals:
        if revision is None:
            continue
        arm = s.observed.arms.get(revision)
        now, each = (arm.wanted_replicas if arm is not None else 0), _each(s, limit, revision)
        grown = _fitting(room, each, max(0, goal - now))
        room -= grown * each
        found[revision] = min(goal, now + grown)
    return found


def wanted_replicas(s: Situation, revision: str) -> int:
    """
    Pods the serving revision's Deployment is to ask for now; 0: it has to wait for room.
    """
    limit = limit_of(s)
    if limit is not None:
        return _sizes(s, limit)[revision]
    return s.candidate_pods if revision == s.candidate else s.spec.serving.replicas


def share_within_reach(s: Situation, wanted: Decimal) -> Decimal:
    """
    Of the wanted percent what the candidate's ready pods can take. In Swap its share rises pod by pod, in whole
    percents; what it has it keeps, as stable has given up the pods for it.
    """
    limit, arm = limit_of(s), s.candidate_arm
    if not swaps(s) or limit is None or arm is None or arm.ready >= _beside_one(s, limit):
        return wanted
    has = s.observed.route.shares.get(arm.revision, Decimal(0))
    part = (WHOLE * arm.ready / s.spec.serving.replicas).to_integral_value(ROUND_CEILING)
    return min(wanted, max(has, part))


def releases_at_once(s: Situation) -> bool:
    """
    A retired revision's pods stand in the way of others: nothing but the last request to them is waited for.
    """
    return s.spec.serving.capacity.surge is not Surge.FULL


def more_time(s: Situation) -> timedelta:
    """
    What the progress deadline is extended by: in Swap it is for each pod that changes places, and wherever there is a
    limit others have to end first.
    """
    if limit_of(s) is None:
        return timedelta(0)
    strategy, drain = s.spec.strategy, s.spec.serving.drain
    ending = drain.pre_stop.timedelta + drain.timeout.timedelta + strategy.scale_down_delay.timedelta + SLACK
    places = candidate_size(s) - 1 if swaps(s) else 0
    return ending + places * (strategy.progress_deadline.timedelta + ending)


def shortage(s: Situation) -> str | None:
    """
    Why the candidate cannot be created within the budget, and the way out; None: it can, or it exists.
    """
    limit = limit_of(s)
    if limit is None or s.candidate is None or s.candidate in s.observed.arms or s.status.phase is not Phase.PREPARING:
        return None
    return _short_alone(s, limit) or (None if s.stable is None or recreates(s) else _short_together(s, limit))


def _short_alone(s: Situation, limit: Limit) -> str | None:
    each, replicas = demand(s, limit), s.spec.serving.replicas
    if each <= 0:
        return f"spec.serving.capacity.budget: the pod template asks for no {limit.resource}, so it cannot be kept to"
    needed = f"{replicas} pods need {_amount(replicas * each)}"
    return None if replicas * each <= limit.most else f"spec.serving.capacity: {needed}; {_allowed(limit)}"


def _short_together(s: Situation, limit: Limit) -> str | None:
    each, theirs = demand(s, limit), _each(s, limit, s.stable or "")
    if swaps(s):
        needed, helps = each + theirs, "more replicas, a larger budget, or surge: Recreate (nobody serves meanwhile)"
        who = "Swap needs room for one pod of each revision, that is"
    else:
        others = len(s.deployment.others) if run_has_others(s) else 0
        needed = s.spec.serving.replicas * ((1 + others) * each + theirs)
        helps = "fewer others, or fewer replicas" if others else "surge: Swap, or fewer replicas"
        which = f"all {2 + others}" if others else "both"
        who = f"{which} revisions at {s.spec.serving.replicas} pods need"
    if needed <= limit.most:
        return None
    return f"spec.serving.capacity: {who} {_amount(needed)}; {_allowed(limit)}; a way out is {helps}"


def _allowed(limit: Limit) -> str:
    return f"allowed are {_amount(limit.most)} {limit.resource or 'pods'}"


def _amount(number: Decimal) -> str:
    return f"{number.normalize():f}"


def unplaced(s: Situation) -> str | None:
    """
    Why one of the candidate's pods finds no node, for people; None: each has one.
    """
    return None if s.candidate_arm is None else s.candidate_arm.unschedulable


def waits_for_room(s: Situation) -> str | None:
    """
    What the candidate's next pod waits for, for people; None: for nothing.
    """
    if unplaced(s) is not None or limit_of(s) is None:
        return unplaced(s)
    arm = s.candidate_arm
    asked = 0 if arm is None else arm.wanted_replicas
    return None if asked >= candidate_size(s) else "no room for the candidate's next pod until another one is gone"
