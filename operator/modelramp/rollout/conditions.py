"""
The conditions: one function each, from what is remembered and seen. Five are present from the first visit; of what is
not as it should be, there is one only while it is so.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final, NamedTuple

from modelramp.analysis import PHI_UNKNOWN
from modelramp.api.spec import AnalysisMode
from modelramp.api.status import Condition, Status, VerdictName
from modelramp.api.vocabulary import ALWAYS_PRESENT, ConditionType, Phase, Reason
from modelramp.rollout.capacity import shortage, unplaced
from modelramp.rollout.comparing import NOT_READY, awaits_comparator
from modelramp.rollout.desired import wanted_cohort, wanted_compared, wanted_mirrors, wanted_shares
from modelramp.rollout.guards import split_mismatched
from modelramp.rollout.needs import counted_from
from modelramp.rollout.observed import Acceptance, Measured
from modelramp.rollout.opening import PhiSource
from modelramp.rollout.rules import AT_REST, ON_TRIAL, held_back
from modelramp.rollout.situation import Situation
from modelramp.rollout.strategy import Judged
from modelramp.rollout.waiting import frozen_message

TRUE: Final = "True"
FALSE: Final = "False"
UNKNOWN: Final = "Unknown"


class Finding(NamedTuple):
    """
    A condition without its times. Messages hold no counters, or every look would write them anew.
    """

    status: str
    reason: Reason
    message: str


def _accepted(s: Situation) -> Finding:
    if s.observed.refused:
        return Finding(FALSE, Reason.EFFECT_REFUSED, s.observed.refused[:1024])
    if s.impossible is not None:
        return Finding(FALSE, Reason.INVALID_SPEC, s.impossible[:1024])
    short = shortage(s)
    if short is not None:
        return Finding(FALSE, Reason.INSUFFICIENT_CAPACITY, short)
    return Finding(TRUE, Reason.ACCEPTED, "the spec is valid")


def _ready(s: Situation) -> Finding:
    stable = s.observed.arms.get(s.stable or "")
    if stable is None or stable.ready == 0:
        return Finding(FALSE, Reason.NOT_SERVING, "no revision with a ready endpoint serves yet")
    if s.status.phase is Phase.STABLE and s.status.reason is Reason.ANALYSIS_FAILED:
        return Finding(FALSE, Reason.ANALYSIS_FAILED, "the first revision serves everything, above its limits")
    if s.status.phase is Phase.STABLE:
        return Finding(TRUE, Reason.COMPLETE, "the revision of the spec serves everything")
    return Finding(FALSE, s.status.reason, f"{s.status.phase}: the revision of the spec does not serve everything")


def _progressing(s: Situation) -> Finding:
    match s.status.phase:
        case Phase.STABLE:
            return Finding(FALSE, Reason.COMPLETE, "no rollout is in flight")
        case Phase.FAILED:
            rejection = next((r for r in s.status.rejected if r.revision == s.target), None)
            why = rejection.reason if rejection else s.status.reason
            return Finding(FALSE, why, "the revision of the spec was rejected; stable serves everything")
        case Phase.REPORTED:
            return Finding(FALSE, s.status.reason, "the shadow run is over; stable serves everything")
        case Phase.PAUSED:
            return Finding(FALSE, s.status.reason, "paused; the share stays where it is")
        case phase if held_back(s):
            return Finding(TRUE, Reason.FROZEN, f"the rollout is {phase}; {frozen_message(s)}")
        case phase:
            return Finding(TRUE, s.status.reason, f"the rollout is {phase}")


def _analysis(s: Situation) -> Finding:
    if s.spec.analysis.mode is AnalysisMode.GUARDRAILS_ONLY:
        return Finding(UNKNOWN, Reason.GUARDRAILS_ONLY, "nothing is measured: the spec asks for guardrails only")
    if s.status.phase is Phase.ROLLING_BACK and s.status.reason is Reason.ANALYSIS_FAILED:
        return Finding(FALSE, Reason.ANALYSIS_FAILED, "the candidate is worse than allowed")
    if s.status.step is None or not s.status.verdicts:
        return Finding(UNKNOWN, Reason.NOT_MEASURED, "nothing is judged at present")
    by_name = {verdict.verdict: verdict for verdict in s.status.verdicts}
    for name, reason in (
        (VerdictName.UNAVAILABLE, Reason.METRIC_SOURCE_UNREACHABLE),
        (VerdictName.NO_DATA, Reason.NO_DATA),
    ):
        if name in by_name:
            return Finding(UNKNOWN, reason, f"{by_name[name].name}: {by_name[name].message}; holding"[:1024])
    alone = s.judged is Judged.ALONE
    if set(by_name) <= {VerdictName.PASSED} | ({VerdictName.INCONCLUSIVE} if alone else set()):
        told = "no harm is shown of the candidate alone" if alone else "every metric is certified for the next share"
        return Finding(TRUE, Reason.WITHIN_MARGIN, told)
    return Finding(UNKNOWN, Reason.COLLECTING_EVIDENCE, "the evidence is not sufficient either way yet")


def _traffic(s: Situation) -> Finding:
    route, wanted = s.observed.route, wanted_shares(s)
    if route.contested_by:
        return Finding(
            FALSE, Reason.ROUTE_CONFLICT, f"the route is also written by {route.contested_by}; exposure is not raised"
        )
    if not wanted:
        return Finding(UNKNOWN, Reason.NO_ROUTE, "no revision is ready to be routed to yet")
    if s.status.step is not None and split_mismatched(s):
        return Finding(
            FALSE, Reason.WEIGHT_NOT_EFFECTIVE, "the counted share of requests contradicts the route's weights"
        )
    if route.acceptance is Acceptance.REFUSED:
        return Finding(FALSE, Reason.ROUTE_PENDING, f"the gateway refuses the route: {route.message}"[:1024])
    if (
        route.acceptance is Acceptance.ACCEPTED
        and dict(route.shares) == dict(wanted)
        and (dict(route.mirrors) == dict(wanted_mirrors(s)) and route.compared == wanted_compared(s))
        and route.cohort == wanted_cohort(s)
    ):
        return Finding(TRUE, Reason.ROUTE_PROGRAMMED, "the gateway accepted the wanted shares")
    why = f": {route.message}" if route.message else ""
    return Finding(UNKNOWN, Reason.ROUTE_PENDING, f"the gateway has not accepted the wanted shares yet{why}"[:1024])


CONDITIONS: Final[Mapping[ConditionType, Callable[[Situation], Finding]]] = {
    ConditionType.ACCEPTED: _accepted,
    ConditionType.READY: _ready,
    ConditionType.PROGRESSING: _progressing,
    ConditionType.ANALYSIS_PASSING: _analysis,
    ConditionType.TRAFFIC_PROGRAMMED: _traffic,
}


def _no_traffic(s: Situation) -> str | None:
    begin = counted_from(s)
    ends = [(item.counted_until, item.step_exposures) for item in s.evidence.values() if item.counts]
    # Right after a step was entered nothing is counted in it, which says nothing of its traffic.
    counted = [pair for end, pair in ends if begin is not None and end is not None and end > begin]
    measured = any(isinstance(reading, Measured) for reading in s.observed.readings.values())
    known = _was(s, ConditionType.NO_TRAFFIC)
    if counted and all(sum(pair) == 0 for pair in counted) and (measured or known):
        return "no request of either revision is counted in this step; holding"
    return None


def _no_data(s: Situation) -> str | None:
    missing = {VerdictName.UNAVAILABLE, VerdictName.NO_DATA}
    gone = [f"{v.name}: {v.message}" for v in s.status.verdicts if v.verdict in missing]
    return f"{'; '.join(gone)}; holding" if gone else None


def _split(s: Situation) -> str | None:
    wrong = s.status.step is not None and split_mismatched(s)
    return "the counted share of requests contradicts the route's weights; holding" if wrong else None


def _overdispersed(s: Situation) -> str | None:
    names = [name for name, item in s.evidence.items() if item.more_pods]
    told = "stable's pods differ lastingly; three pods or more of each revision would be judged sooner"
    lasting = [f"{', '.join(names)}: {told}"] if names else []
    found = [
        f"{name}: stable's pod {item.differing} differs from its others by more than was taken for chance; the "
        f"evidence began again with an overdispersion of {item.guard.phi:g}"
        for name, item in s.evidence.items()
        if item.differing is not None and item.guard is not None
    ]
    return "; ".join([*found, *lasting]) or None


def _dispersion_unknown(s: Situation) -> str | None:
    names = [name for name, item in s.evidence.items() if item.source is PhiSource.ASSUMED]
    told = f"stable's history does not tell how bad events scatter; an overdispersion of {PHI_UNKNOWN:g} is assumed"
    return f"{', '.join(names)}: {told}" if names else None


def _insufficient_traffic(s: Situation) -> str | None:
    return "; ".join(item.warning for item in s.evidence.values() if item.warning) or None


def _was(s: Situation, kind: ConditionType) -> bool:
    return any(condition.type is kind for condition in s.status.conditions)


ABNORMAL: Final[Mapping[ConditionType, tuple[Reason, Callable[[Situation], str | None]]]] = {
    ConditionType.NO_TRAFFIC: (Reason.NO_TRAFFIC, _no_traffic),
    ConditionType.NO_DATA: (Reason.NO_DATA, _no_data),
    ConditionType.TRAFFIC_SPLIT_MISMATCH: (Reason.TRAFFIC_SPLIT_MISMATCH, _split),
    ConditionType.EVIDENCE_OVERDISPERSED: (Reason.EVIDENCE_OVERDISPERSED, _overdispersed),
    ConditionType.DISPERSION_UNKNOWN: (Reason.DISPERSION_UNKNOWN, _dispersion_unknown),
    ConditionType.INSUFFICIENT_TRAFFIC: (Reason.INSUFFICIENT_TRAFFIC, _insufficient_traffic),
    ConditionType.COMPARATOR_NOT_READY: (
        Reason.COMPARATOR_NOT_READY,
        lambda s: f"{NOT_READY}; holding" if awaits_comparator(s) else None,
    ),
    ConditionType.INSUFFICIENT_CAPACITY: (Reason.INSUFFICIENT_CAPACITY, unplaced),
}
"""What should not be: each present, and True, only while it is the case and a rollout is in flight."""


def _for_tools(s: Situation, accepted: Finding, progressing: Finding) -> dict[ConditionType, Finding]:
    """
    What kstatus asks for: that a human has to act, else that the spec is being carried out, else nothing.
    """
    if accepted.status == FALSE:
        return {ConditionType.STALLED: Finding(TRUE, accepted.reason, accepted.message)}
    if s.status.phase is Phase.FAILED:
        return {ConditionType.STALLED: Finding(TRUE, progressing.reason, progressing.message)}
    if s.status.phase in AT_REST:
        return {}
    return {ConditionType.RECONCILING: Finding(TRUE, s.status.reason, f"the rollout is {s.status.phase}")}


def _dated(known: Condition | None, kind: ConditionType, found: Finding, generation: int, now: datetime) -> Condition:
    unchanged = known is not None and known.status == found.status
    return Condition(
        type=kind,
        status=found.status,
        reason=found.reason,
        message=found.message,
        last_transition_time=known.last_transition_time if known is not None and unchanged else now,
        observed_generation=generation,
    )


def conditions(s: Situation) -> tuple[Condition, ...]:
    """
    All conditions; the transition time of one changes only with its status.
    """
    known = {condition.type: condition for condition in s.status.conditions}
    found = {kind: find(s) for kind, find in CONDITIONS.items()}
    for kind, (reason, find) in ABNORMAL.items():
        told = find(s) if s.status.phase in ON_TRIAL else None
        if told is not None:
            found[kind] = Finding(TRUE, reason, told[:1024])
    found |= _for_tools(s, found[ConditionType.ACCEPTED], found[ConditionType.PROGRESSING])
    return tuple(
        _dated(known.get(kind), kind, finding, s.deployment.generation, s.now) for kind, finding in found.items()
    )


def refusal(status: Status, generation: int, problem: str, now: datetime) -> Status:
    """
    The status of an object whose spec cannot be carried out: everything stays as it is, and says why.
    """
    known = {condition.type: condition for condition in status.conditions}
    said = Finding(FALSE, Reason.INVALID_SPEC, problem[:32768])
    dated = {
        **known,
        ConditionType.ACCEPTED: _dated(
            known.get(ConditionType.ACCEPTED), ConditionType.ACCEPTED, said, generation, now
        ),
    }
    stalled = _dated(
        known.get(ConditionType.STALLED), ConditionType.STALLED, said._replace(status=TRUE), generation, now
    )
    dated[ConditionType.STALLED] = stalled
    dated.pop(ConditionType.RECONCILING, None)
    for kind in ALWAYS_PRESENT:
        unknown = Finding(UNKNOWN, Reason.INVALID_SPEC, "the spec is not valid")
        dated.setdefault(kind, _dated(None, kind, unknown, generation, now))
    ordered = tuple(dated[kind] for kind in ConditionType if kind in dated)
    return status.model_copy(
        update={"observed_generation": generation, "message": problem[:1024], "conditions": ordered}
    )
