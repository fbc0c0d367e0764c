"""
What the world should look like in each phase, and the effects that lead there, in one safe order.
"""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from enum import StrEnum
from typing import Final, NamedTuple, assert_never

from modelramp.api.vocabulary import Phase
from modelramp.rollout.capacity import recreates, releases_at_once, share_within_reach, shortage, wanted_replicas
from modelramp.rollout.comparing import comparator_serves, comparators
from modelramp.rollout.ends import nothing_reaches
from modelramp.rollout.guards import stable_serves
from modelramp.rollout.observed import Acceptance, Arm, CohortRoute, HostRoute, Role
from modelramp.rollout.others import copies, held, left_at, taking_part
from modelramp.rollout.plan import (
    DeleteComparator,
    DeleteWorkload,
    DropFormerRouter,
    Effect,
    EnsureComparator,
    EnsureWorkload,
    RestartWorkload,
    ScaleWorkload,
    SetRole,
    SetTraffic,
)
from modelramp.rollout.ratio import keeps_ratio
from modelramp.rollout.situation import SETTLE, Situation
from modelramp.rollout.strategy import WHOLE

NOTHING: Final = Decimal(0)


class Exposure(StrEnum):
    """
    The candidate's share of live traffic in a phase.
    """

    NOTHING = "nothing"
    STEP = "the step's share"
    EVERYTHING = "everything"


class Wanted(NamedTuple):
    """
    A phase's row: what the candidate gets, and whether its workload is built and kept at size.
    """

    exposure: Exposure
    candidate_workload: bool


DESIRED: Final[Mapping[Phase, Wanted]] = {
    Phase.PENDING: Wanted(Exposure.NOTHING, candidate_workload=False),
    Phase.PREPARING: Wanted(Exposure.NOTHING, candidate_workload=True),
    Phase.PROGRESSING: Wanted(Exposure.STEP, candidate_workload=True),
    Phase.PAUSED: Wanted(Exposure.STEP, candidate_workload=True),
    Phase.PROMOTING: Wanted(Exposure.EVERYTHING, candidate_workload=True),
    Phase.ROLLING_BACK: Wanted(Exposure.NOTHING, candidate_workload=False),
    Phase.STABLE: Wanted(Exposure.NOTHING, candidate_workload=False),
    Phase.FAILED: Wanted(Exposure.NOTHING, candidate_workload=False),
    Phase.REPORTED: Wanted(Exposure.NOTHING, candidate_workload=False),
}


def candidate_percent(s: Situation) -> Decimal:
    """
    The share of live traffic the candidate should have, in percent.

    Nothing while it has no ready endpoint and stable has: its share would be refused by the gateway, not served.
    """
    arm = s.candidate_arm
    if (arm is None or arm.ready == 0) and stable_serves(s):
        return NOTHING
    match DESIRED[s.status.phase].exposure:
        case Exposure.NOTHING:
            return NOTHING
        case Exposure.STEP:
            return share_within_reach(s, s.step_percent)
        case Exposure.EVERYTHING:
            return share_within_reach(s, WHOLE)
        case unknown:
            assert_never(unknown)


def retired(s: Situation) -> tuple[Arm, ...]:
    """
    Workloads of revisions that are neither stable nor candidate, nor take part in a shadow run beside it.
    """
    present = {s.stable, s.candidate, *(other.revision for other in taking_part(s))}
    return tuple(arm for name, arm in sorted(s.observed.arms.items()) if name not in present)


def _released(s: Situation, arm: Arm) -> bool:
    """
    The retired revision may lose its pods: nothing reaches it, and the delay after the last change has passed.
    """
    if arm.revision in s.observed.comparators:
        return False  # which may still be asking it
    delayed = s.since(left_at(s, arm.revision), s.spec.strategy.scale_down_delay.timedelta)
    return (delayed or releases_at_once(s)) and nothing_reaches(s, arm.revision) and not s.observed.route.former


def _listed(s: Situation, arm: Arm) -> bool:
    """
    A retired revision stays listed at 0 while it has pods, so that the gateway lets its last requests end.
    """
    return (
        arm.pods > 0
        and s.observed.route.acceptance is not Acceptance.ABSENT
        and arm.revision in s.observed.route.shares
    )


def _unlisted(s: Situation, arm: Arm) -> bool:
    """
    The gateway accepted a route that does not name the revision, or there is no route.
    """
    route = s.observed.route
    return arm.revision not in route.shares and route.acceptance in {Acceptance.ACCEPTED, Acceptance.ABSENT}


def at_rest(s: Situation, arm: Arm) -> bool:
    """
    The retired revision is one that undo can return to, and nothing is left to be done about it.
    """
    empty = arm.wanted_replicas == 0 and arm.pods == 0 and arm.role == Role.RETIRED
    return arm.revision in s.kept and empty and _unlisted(s, arm)


def wanted_shares(s: Situation) -> Mapping[str, Decimal]:
    """
    Percent by revision, zeros included; empty while nothing may be routed to.

    A listed candidate at 0 lets the gateway learn its endpoints before the first request is sent there.
    """
    percent = candidate_percent(s)
    shares: dict[str, Decimal] = {}
    if s.stable is not None:
        shares[s.stable] = WHOLE - percent
        if s.candidate_arm is not None:
            shares[s.candidate_arm.revision] = percent
        shares.update({arm.revision: NOTHING for arm in retired(s) if _listed(s, arm)})
    elif s.candidate_arm is not None and percent == WHOLE:
        shares[s.candidate_arm.revision] = WHOLE
    return shares


def _in_step(s: Situation) -> bool:
    """
    The candidate has what its step gives it, and endpoints to take it.
    """
    arm = s.candidate_arm
    return DESIRED[s.status.phase].exposure is Exposure.STEP and arm is not None and arm.ready > 0


def wanted_mirrors(s: Situation) -> Mapping[str, Decimal]:
    """
    Percent of requests to be copied, by revision; empty: none. None without ready endpoints of the revision,
    and of its comparator where they go there.
    """
    mirrored = s.step.mirror if s.step is not None else NOTHING
    own = {s.candidate: mirrored} if s.candidate is not None and mirrored > 0 and _in_step(s) else {}
    if s.step is not None and s.step.compare is not None and not comparator_serves(s):
        own = {}
    return {**own, **copies(s)}


def wanted_compared(s: Situation) -> frozenset[str]:
    """
    Those of the revisions that requests are copied for, whose copies go to their comparator.
    """
    return frozenset(wanted_mirrors(s)) if s.step is not None and s.step.compare is not None else frozenset()


def wanted_aside(s: Situation) -> tuple[CohortRoute | None, HostRoute | None]:
    """
    Requests to be sent to the candidate by their header, and by their host name; None: none.
    """
    if s.step is None or s.candidate is None or not _in_step(s) or not stable_serves(s):
        return None, None
    return s.step.aside_for(s.candidate)


def _traffic(s: Situation) -> Iterator[SetTraffic]:
    route = s.observed.route
    shares, mirrors, (cohort, host) = wanted_shares(s), wanted_mirrors(s), wanted_aside(s)
    compared = wanted_compared(s)
    given = (dict(route.shares), dict(route.mirrors), route.compared, route.cohort, route.host)
    wanted = (dict(shares), dict(mirrors), compared, cohort, host)
    if not shares or (wanted == given and route.traffic_hash == s.deployment.traffic_hash):
        return
    rising = {name for name, percent in shares.items() if percent > route.shares.get(name, NOTHING)}
    rising |= {name for name, percent in mirrors.items() if percent > route.mirrors.get(name, NOTHING)}
    rising |= set(mirrors).intersection(compared ^ route.compared)  # who gets the copies is another one
    rising |= {new.revision for new in {cohort, host} - {route.cohort, route.host, None} if new is not None}
    ready = all(name in s.observed.arms and s.observed.arms[name].ready > 0 for name in rising)
    raises = any(name != s.stable for name in rising)
    # Stable has no pods then until the candidate's are gone, and those are kept while anything reaches them.
    ready = ready or (recreates(s) and rising == {s.stable})
    if s.spec.traffic.by_pods and raises:
        ready = ready and keeps_ratio(s.observed.arms, shares, s.stable, s.spec.serving.replicas)
    if ready and not (raises and held(s)):
        yield SetTraffic(
            shares=shares, mirrors=mirrors, compared=compared, cohort=cohort, host=host, raises_exposure=raises
        )
    else:
        yield from _fewer_copies(s, mirrors)


def _fewer_copies(s: Situation, wanted: Mapping[str, Decimal]) -> Iterator[SetTraffic]:
    """
    What waits to be raised holds up no copies that are to end. A route in which a stranger has a share stays as it is.
    """
    route = s.observed.route
    fewer = {name: min(percent, wanted[name]) for name, percent in route.mirrors.items() if name in wanted}
    if fewer != dict(route.mirrors) and sum(route.shares.values()) == WHOLE:
        yield SetTraffic(
            shares=route.shares,
            mirrors=fewer,
            compared=route.compared & set(fewer),
            cohort=route.cohort,
            host=route.host,
            raises_exposure=False,
        )


def _workload(s: Situation, revision: str | None, role: Role) -> Iterator[Effect]:
    """
    A serving revision exists, has its size and its role. Only the spec's own revision can be created.
    """
    if revision is None:
        return
    arm, replicas = s.observed.arms.get(revision), wanted_replicas(s, revision)
    if arm is None:
        known = revision == s.deployment.revision  # of another one the pod template is not known
        if known and not (role is Role.CANDIDATE and shortage(s) is not None):
            yield EnsureWorkload(revision=revision, replicas=replicas, role=role)
        return
    grows = replicas > arm.wanted_replicas
    more = grows and role is Role.CANDIDATE and s.spec.traffic.by_pods  # where a share is pods, they are exposure
    if arm.wanted_replicas != replicas and not (more and held(s)):
        yield ScaleWorkload(revision=revision, replicas=replicas, grows=grows)
    if arm.role != role:
        yield SetRole(revision=revision, role=role)


def _others(s: Situation) -> Iterator[Effect]:
    """
    The other candidates of a shadow run exist and have their size and role, once the API server took the candidate's
    own pod template.
    """
    for other in taking_part(s) if s.candidate_arm is not None else ():
        arm, replicas = s.observed.arms.get(other.revision), wanted_replicas(s, other.revision)
        if arm is None:
            spec = s.deployment.others[other.revision]
            yield EnsureWorkload(revision=other.revision, replicas=replicas, role=Role.SHADOW, other=spec)
            continue
        if arm.wanted_replicas != replicas:
            grows = replicas > arm.wanted_replicas
            yield ScaleWorkload(revision=other.revision, replicas=replicas, grows=grows)
        if arm.role != Role.SHADOW:
            yield SetRole(revision=other.revision, role=Role.SHADOW)


def _restart(s: Situation) -> Iterator[RestartWorkload]:
    """
    The stable revision's pods are those of the last request for new ones.
    """
    stable, arm = s.status.stable, s.observed.arms.get(s.stable or "")
    if stable is not None and arm is not None and stable.restart_id not in {None, arm.restart_id}:
        yield RestartWorkload(revision=stable.revision, restart_id=stable.restart_id or "")


def _retirement(s: Situation) -> Iterator[Effect]:
    for arm in retired(s):
        if arm.role != Role.RETIRED:
            yield SetRole(revision=arm.revision, role=Role.RETIRED)
        if arm.wanted_replicas > 0 and _released(s, arm):
            yield ScaleWorkload(revision=arm.revision, replicas=0, grows=False)
        if arm.wanted_replicas == 0 and arm.pods == 0 and _unlisted(s, arm) and arm.revision not in s.kept:
            yield DeleteWorkload(revision=arm.revision)


def _change_of_router(s: Situation) -> Iterator[DropFormerRouter]:
    """
    The former router's object goes once the present one gives what it should, and requests that came by the former one
    have had time to end.
    """
    route = s.observed.route
    given = route.acceptance is Acceptance.ACCEPTED and dict(route.shares) == dict(wanted_shares(s))
    if route.former and given and s.since(route.since, max(s.spec.traffic.longest_request.timedelta, SETTLE)):
        yield DropFormerRouter()


def _order(effect: Effect) -> int:
    """
    The one ordering rule: take exposure away, build and grow, expose, name, shrink, remove.
    """
    match effect:
        case SetTraffic(raises_exposure=False):
            return 0
        case EnsureWorkload() | ScaleWorkload(grows=True) | EnsureComparator():
            return 1
        case SetTraffic():
            return 2
        case SetRole() | RestartWorkload():
            return 3
        case ScaleWorkload():
            return 4
        case DeleteWorkload() | DropFormerRouter() | DeleteComparator():
            return 5
        case unknown:
            assert_never(unknown)


def difference(s: Situation) -> tuple[Effect, ...]:
    """
    Wanted minus observed, in safe order; empty when the world matches.
    """
    effects: list[Effect] = [*_traffic(s), *_workload(s, s.stable, Role.STABLE), *_restart(s), *_retirement(s)]
    effects += [*_change_of_router(s), *comparators(s)]
    if DESIRED[s.status.phase].candidate_workload:
        effects += [*_workload(s, s.candidate, Role.CANDIDATE), *_others(s)]
    return tuple(sorted(effects, key=_order))
