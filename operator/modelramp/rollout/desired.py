"""
What the world should look like in each phase, and the effects that lead there, in one safe order.
"""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from enum import StrEnum
from typing import Final, NamedTuple, assert_never

from modelramp.api.vocabulary import Phase, Reason
from modelramp.rollout.guards import nothing_reaches, stable_serves
from modelramp.rollout.observed import Acceptance, Arm, CohortRoute, Role
from modelramp.rollout.plan import DeleteWorkload, Effect, EnsureWorkload, ScaleWorkload, SetRole, SetTraffic
from modelramp.rollout.situation import Situation
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
            return s.step_percent
        case Exposure.EVERYTHING:
            return WHOLE
        case unknown:
            assert_never(unknown)


def retired(s: Situation) -> tuple[Arm, ...]:
    """
    Workloads of revisions that are neither stable nor candidate.
    """
    return tuple(arm for name, arm in sorted(s.observed.arms.items()) if name not in {s.stable, s.candidate})


def _released(s: Situation, arm: Arm) -> bool:
    """
    The retired revision may lose its pods: nothing reaches it, and the delay after the last change has passed.
    """
    delayed = s.since(s.status.phase_since, s.spec.strategy.scale_down_delay.timedelta)
    return delayed and nothing_reaches(s, arm.revision)


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
    Percent of requests to be copied, by revision; empty: none. Never to a revision without ready endpoints.
    """
    mirrored = s.step.mirror if s.step is not None else NOTHING
    return {s.candidate: mirrored} if s.candidate is not None and mirrored > 0 and _in_step(s) else {}


def wanted_cohort(s: Situation) -> CohortRoute | None:
    """
    Requests to be sent to the candidate by their header; None: none.
    """
    cohort = s.step.cohort if s.step is not None else None
    if cohort is None or s.candidate is None or not _in_step(s) or not stable_serves(s):
        return None
    return CohortRoute(header=cohort.header, value=cohort.value, revision=s.candidate)


def _traffic(s: Situation) -> Iterator[SetTraffic]:
    route = s.observed.route
    shares, mirrors, cohort = wanted_shares(s), wanted_mirrors(s), wanted_cohort(s)
    given = (dict(route.shares), dict(route.mirrors), route.cohort)
    if not shares or (
        (dict(shares), dict(mirrors), cohort) == given and route.traffic_hash == s.deployment.traffic_hash
    ):
        return
    rising = {name for name, percent in shares.items() if percent > route.shares.get(name, NOTHING)}
    rising |= {name for name, percent in mirrors.items() if percent > route.mirrors.get(name, NOTHING)}
    rising |= {cohort.revision} if cohort is not None and cohort != route.cohort else set()
    ready = all(name in s.observed.arms and s.observed.arms[name].ready > 0 for name in rising)
    raises = any(name != s.stable for name in rising)
    held = route.contested_by is not None or s.status.reason is Reason.PAUSED_BY_REQUEST
    if ready and not (raises and held):
        yield SetTraffic(shares=shares, mirrors=mirrors, cohort=cohort, raises_exposure=raises)


def _workload(s: Situation, revision: str | None, role: Role) -> Iterator[Effect]:
    """
    A serving revision exists, has the spec's size and its role. Only the spec's own revision can be created.
    """
    if revision is None:
        return
    arm, replicas = s.observed.arms.get(revision), s.spec.serving.replicas
    if arm is None:
        if revision == s.target:
            yield EnsureWorkload(revision=revision, replicas=replicas, role=role)
        return
    if arm.wanted_replicas != replicas:
        yield ScaleWorkload(revision=revision, replicas=replicas, grows=replicas > arm.wanted_replicas)
    if arm.role != role:
        yield SetRole(revision=revision, role=role)


def _retirement(s: Situation) -> Iterator[Effect]:
    for arm in retired(s):
        if arm.role != Role.RETIRED:
            yield SetRole(revision=arm.revision, role=Role.RETIRED)
        if arm.wanted_replicas > 0 and _released(s, arm):
            yield ScaleWorkload(revision=arm.revision, replicas=0, grows=False)
        if arm.wanted_replicas == 0 and arm.pods == 0 and _unlisted(s, arm):
            yield DeleteWorkload(revision=arm.revision)


def _order(effect: Effect) -> int:
    """
    The one ordering rule: take exposure away, build and grow, expose, name, shrink, remove.
    """
    match effect:
        case SetTraffic(raises_exposure=False):
            return 0
        case EnsureWorkload() | ScaleWorkload(grows=True):
            return 1
        case SetTraffic():
            return 2
        case SetRole():
            return 3
        case ScaleWorkload():
            return 4
        case DeleteWorkload():
            return 5
        case unknown:
            assert_never(unknown)


def difference(s: Situation) -> tuple[Effect, ...]:
    """
    Wanted minus observed, in safe order; empty when the world matches.
    """
    effects: list[Effect] = [*_traffic(s), *_workload(s, s.stable, Role.STABLE), *_retirement(s)]
    if DESIRED[s.status.phase].candidate_workload:
        effects += _workload(s, s.candidate, Role.CANDIDATE)
    return tuple(sorted(effects, key=_order))
