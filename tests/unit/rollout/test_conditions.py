from typing import Any

import pytest
from fakes.rollout import (
    NO_ROUTE,
    NOW,
    ago,
    arm,
    arms,
    block,
    kept,
    metric_evidence,
    rejection,
    route,
    situation,
    step,
    tail_evidence,
    verdict,
)

from modelramp.api.status import Condition, Status, VerdictName
from modelramp.api.vocabulary import ALWAYS_PRESENT, ConditionType, Phase, Reason
from modelramp.rollout.account import Account
from modelramp.rollout.conditions import ABNORMAL, conditions, refusal
from modelramp.rollout.observed import Acceptance, Impossible, Measured
from modelramp.rollout.opening import PhiSource
from modelramp.rollout.rules import AT_REST

ONLY = {"sections": {"analysis": {"mode": "GuardrailsOnly"}}}
Found = tuple[str, Reason]


def found(kind: ConditionType, phase: Phase, **changes: Any) -> Found:  # noqa: ANN401 - as `world`
    """
    Status and reason of one condition.
    """
    (one,) = [condition for condition in conditions(situation(phase, **changes)) if condition.type is kind]
    return one.status, one.reason


@pytest.mark.parametrize("phase", Phase, ids=str)
def test_five_conditions_are_present_in_every_phase(phase: Phase) -> None:
    """
    In a fixed order, from the first visit, for the object's generation; and no other while all is as it should be but
    what tells tools that a rollout is in flight, or that a human has to act.
    """
    told = {
        **dict.fromkeys(AT_REST, ()),
        **dict.fromkeys(set(Phase) - AT_REST, (ConditionType.RECONCILING,)),
        Phase.FAILED: (ConditionType.STALLED,),
    }
    shown = conditions(situation(phase))
    expected = [(kind, 7) for kind in (*ALWAYS_PRESENT, *told[phase])]
    assert [(one.type, one.observed_generation) for one in shown] == expected


@pytest.mark.parametrize("phase", Phase, ids=str)
def test_what_cannot_be_carried_out_is_stalled_and_never_reconciling_too(phase: Phase) -> None:
    """
    With the reason and the words of what is not accepted.
    """
    shown = conditions(situation(phase, refused="containers: duplicate entries"))
    kinds = {one.type: (one.status, one.reason, one.message) for one in shown}
    said = ("True", Reason.EFFECT_REFUSED, "containers: duplicate entries")
    assert kinds[ConditionType.STALLED] == said
    assert ConditionType.RECONCILING not in kinds


def test_a_refused_object_is_not_accepted() -> None:
    """
    What the API server said stands in the message.
    """
    refused = [found(ConditionType.ACCEPTED, Phase.STABLE, refused=text) for text in (None, "Deployment: denied")]
    assert refused == [("True", Reason.ACCEPTED), ("False", Reason.EFFECT_REFUSED)]


def test_what_the_spec_asks_in_vain_is_not_accepted() -> None:
    """
    Only stable's past could show it; the message is that of who saw it.
    """
    asked = {"histories": {"latency": Impossible("threshold: 0.3 is not a bucket edge")}}
    (one, *_) = conditions(situation(Phase.PREPARING, **asked))
    assert (one.type, one.status, one.reason) == (ConditionType.ACCEPTED, "False", Reason.INVALID_SPEC)
    assert one.message == "threshold: 0.3 is not a bucket edge"


@pytest.mark.parametrize(
    ("phase", "changes", "expected"),
    [
        (Phase.STABLE, {}, ("True", Reason.COMPLETE)),
        (Phase.PENDING, {}, ("False", Reason.NOT_SERVING)),
        (Phase.STABLE, {"arms": arms(arm("1", ready=0))}, ("False", Reason.NOT_SERVING)),
        (Phase.PROGRESSING, {}, ("False", Reason.CANDIDATE_READY)),
    ],
    ids=["the spec's revision serves", "nothing serves yet", "stable has no endpoint", "another one serves"],
)
def test_ready_means_the_spec_s_revision_serves(phase: Phase, changes: dict[str, Any], expected: Found) -> None:
    """
    Not only that something does.
    """
    assert found(ConditionType.READY, phase, **changes) == expected


@pytest.mark.parametrize(
    ("phase", "changes", "expected"),
    [
        (Phase.STABLE, {}, ("False", Reason.COMPLETE)),
        (Phase.FAILED, {}, ("False", Reason.ANALYSIS_FAILED)),
        (Phase.FAILED, {"remembered": {"rejected": (rejection("3"),)}}, ("False", Reason.ROLLED_BACK)),
        (Phase.PAUSED, {}, ("False", Reason.ANALYSIS_INCONCLUSIVE)),
        (Phase.PROGRESSING, {}, ("True", Reason.CANDIDATE_READY)),
    ],
    ids=["done", "rejected for a known reason", "the rejection is forgotten", "paused", "in flight"],
)
def test_progressing_tells_whether_it_moves_and_why_not(phase: Phase, changes: dict[str, Any], expected: Found) -> None:
    """
    A rejected revision keeps the reason of its rejection.
    """
    assert found(ConditionType.PROGRESSING, phase, **changes) == expected


def said(*names: VerdictName) -> dict[str, Any]:
    """
    A memory with these verdicts.
    """
    return {"remembered": {"verdicts": tuple(verdict(name, name=name.lower()) for name in names)}}


@pytest.mark.parametrize(
    ("phase", "changes", "expected"),
    [
        (Phase.PROGRESSING, ONLY, ("Unknown", Reason.GUARDRAILS_ONLY)),
        (Phase.ROLLING_BACK, {}, ("False", Reason.ANALYSIS_FAILED)),
        (Phase.ROLLING_BACK, {"remembered": {"reason": Reason.ABORT_REQUESTED}},
         ("Unknown", Reason.COLLECTING_EVIDENCE)),
        (Phase.STABLE, {}, ("Unknown", Reason.NOT_MEASURED)),
        (Phase.PROGRESSING, {"remembered": {"verdicts": ()}}, ("Unknown", Reason.NOT_MEASURED)),
        (Phase.PROGRESSING, said(VerdictName.PASSED, VerdictName.UNAVAILABLE),
         ("Unknown", Reason.METRIC_SOURCE_UNREACHABLE)),
        (Phase.PROGRESSING, said(VerdictName.PASSED, VerdictName.NO_DATA), ("Unknown", Reason.NO_DATA)),
        (Phase.PROGRESSING, said(VerdictName.PASSED, VerdictName.PASSED), ("True", Reason.WITHIN_MARGIN)),
        (Phase.PROGRESSING, said(VerdictName.PASSED, VerdictName.INCONCLUSIVE),
         ("Unknown", Reason.COLLECTING_EVIDENCE)),
    ],
    ids=[
        "guardrails only", "found worse", "aborted", "no rollout", "nothing read yet", "one cannot be read",
        "one has no data", "all passed", "one is open",
    ],
)  # fmt: skip
def test_the_analysis_is_true_only_when_everything_passed(
    phase: Phase, changes: dict[str, Any], expected: Found
) -> None:
    """
    No data and outages are never a verdict.
    """
    assert found(ConditionType.ANALYSIS_PASSING, phase, **changes) == expected


SHARES = {"1": "95", "2": "5"}
SILENT = "Gateway shop/gw has not answered yet"
WRONG = {"evidence": (kept(metric_evidence(counts=(500.0, 0.0, 500.0, 0.0))),)}


@pytest.mark.parametrize(
    ("phase", "changes", "expected"),
    [
        (Phase.PROGRESSING, {}, ("True", Reason.ROUTE_PROGRAMMED)),
        (Phase.PROGRESSING, {"route": route(SHARES, contested_by="flux")}, ("False", Reason.ROUTE_CONFLICT)),
        (Phase.PENDING, {}, ("Unknown", Reason.NO_ROUTE)),
        (Phase.PROGRESSING, {"remembered": WRONG}, ("False", Reason.WEIGHT_NOT_EFFECTIVE)),
        (Phase.PROGRESSING, {"route": route(SHARES, acceptance=Acceptance.REFUSED, message="no listener")},
         ("False", Reason.ROUTE_PENDING)),
        (Phase.PROGRESSING, {"route": route(SHARES, acceptance=Acceptance.PENDING)},
         ("Unknown", Reason.ROUTE_PENDING)),
        (Phase.PROGRESSING, {"route": route({"1": "100", "2": "0"})}, ("Unknown", Reason.ROUTE_PENDING)),
        (Phase.STABLE, {"route": NO_ROUTE}, ("Unknown", Reason.ROUTE_PENDING)),
    ],
    ids=[
        "as wanted", "somebody else writes it", "nobody is ready", "counted otherwise", "refused", "not accepted yet",
        "other shares", "no route yet",
    ],
)  # fmt: skip
def test_traffic_is_true_only_when_the_gateway_has_the_wanted_shares(
    phase: Phase, changes: dict[str, Any], expected: Found
) -> None:
    """
    And what was counted does not contradict them.
    """
    assert found(ConditionType.TRAFFIC_PROGRAMMED, phase, **changes) == expected


def test_what_keeps_the_gateway_is_told_as_it_says() -> None:
    """
    So that a name misspelt is found here and not in the gateway's log.
    """
    silent = situation(Phase.PROGRESSING, route=route(SHARES, acceptance=Acceptance.PENDING, message=SILENT))
    told = next(c.message for c in conditions(silent) if c.type is ConditionType.TRAFFIC_PROGRAMMED)
    assert told == f"the gateway has not accepted the wanted shares yet: {SILENT}"


def condition(status: str) -> Condition:
    """
    What was said of Ready an hour ago.
    """
    return Condition(
        type=ConditionType.READY, status=status, reason=Reason.COMPLETE, message="",
        last_transition_time=ago(3600), observed_generation=6,
    )  # fmt: skip


@pytest.mark.parametrize(("before", "since"), [("True", ago(3600)), ("False", NOW)], ids=["as before", "turned"])
def test_the_transition_time_changes_only_with_the_status(before: str, since: Any) -> None:  # noqa: ANN401
    """
    A new reason or message does not touch it.
    """
    shown = conditions(situation(Phase.STABLE, remembered={"conditions": (condition(before),)}))
    assert {one.type: one.last_transition_time for one in shown}[ConditionType.READY] == since


def test_a_refused_spec_leaves_everything_else_as_it_was() -> None:
    """
    Accepted turns False; what was known stays; what was not is Unknown.
    """
    before = Status(phase=Phase.STABLE, conditions=(condition("True"),))
    after = refusal(before, 9, "spec.model: missing", NOW)
    shown = {one.type: (one.status, one.reason) for one in after.conditions}
    assert shown == {
        ConditionType.ACCEPTED: ("False", Reason.INVALID_SPEC),
        ConditionType.READY: ("True", Reason.COMPLETE),
        ConditionType.PROGRESSING: ("Unknown", Reason.INVALID_SPEC),
        ConditionType.ANALYSIS_PASSING: ("Unknown", Reason.INVALID_SPEC),
        ConditionType.TRAFFIC_PROGRAMMED: ("Unknown", Reason.INVALID_SPEC),
        ConditionType.STALLED: ("True", Reason.INVALID_SPEC),
    }
    assert (after.phase, after.message, after.observed_generation) == (Phase.STABLE, "spec.model: missing", 9)


def test_a_spec_refused_twice_was_refused_the_first_time() -> None:
    """
    The transition time stays.
    """
    once = refusal(Status(), 9, "spec.model: missing", ago(60))
    again = refusal(once, 10, "spec.serving: missing", NOW)
    assert (again.conditions[0].last_transition_time, again.conditions[0].observed_generation) == (ago(60), 10)


# ---------------------------------------------------------------- present only while something is not as it should be

JUDGED_AT = {"counted_until": ago(10)}


def abnormal(phase: Phase = Phase.PROGRESSING, **changes: Any) -> dict[ConditionType, str]:  # noqa: ANN401 - as `world`
    """
    The messages of the conditions that are not always present.
    """
    shown = conditions(situation(phase, **changes))
    rest = [one for one in shown if one.type in ABNORMAL]
    assert {one.status for one in rest} <= {"True"}
    assert [str(one.reason) for one in rest] == [str(one.type) for one in rest]
    return {one.type: one.message for one in rest}


def remembering(*evidence: Any, **others: Any) -> dict[str, Any]:  # noqa: ANN401 - any evidence, any field
    """
    A memory with this evidence, of one metric after the other.
    """
    names = ("errors", "latency")
    return {"evidence": tuple(kept(one, name) for one, name in zip(evidence, names, strict=False)), **others}


IDLE = metric_evidence(counts=(0, 0, 0, 0), **JUDGED_AT)
IDLE_CALLS = tail_evidence(calls=(0, 0), **JUDGED_AT)
LOOKED = {"readings": {"errors": Measured(block((0, 0, 0, 0)))}}
KNOWN = Condition(
    type=ConditionType.NO_TRAFFIC, status="True", reason=Reason.NO_TRAFFIC, message="",
    last_transition_time=ago(60), observed_generation=7,
)  # fmt: skip


@pytest.mark.parametrize(
    ("remembered", "seen", "expected"),
    [
        (remembering(IDLE), LOOKED, True),
        (remembering(IDLE, IDLE_CALLS), LOOKED, True),
        (remembering(IDLE, conditions=(KNOWN,)), {}, True),
        (remembering(IDLE), {}, False),
        (remembering(IDLE, tail_evidence(calls=(0, 9), **JUDGED_AT)), LOOKED, False),
        (remembering(metric_evidence(counts=(0, 0, 0, 0), counted_until=ago(175))), LOOKED, False),
        (remembering(metric_evidence(counts=(0, 0, 0, 0), counted_until=None)), LOOKED, False),
        (remembering(IDLE, step=step("25", in_place_since=None), conditions=(KNOWN,)), LOOKED, False),
        (remembering(IDLE, step=None), LOOKED, False),
        ({"evidence": ()}, LOOKED, False),
    ],
    ids=[
        "counted, and nothing came",
        "neither in calls",
        "known, and nobody looked since",
        "nobody looked",
        "calls of stable",
        "nothing of this step is counted yet",
        "nothing was ever counted",
        "a step that was entered just now",
        "no step",
        "no evidence",
    ],
)
def test_no_traffic_is_told_when_a_look_at_the_step_found_none(
    remembered: dict[str, Any],
    seen: dict[str, Any],
    expected: bool,  # noqa: FBT001 - a column of the table
) -> None:
    """
    Of neither revision. What was not looked at yet is not missing.
    """
    found = abnormal(remembered=remembered, **seen)
    assert (ConditionType.NO_TRAFFIC in found) is expected


def test_missing_metrics_are_told_by_name_with_their_cause() -> None:
    """
    All of them in one condition.
    """
    verdicts = (
        verdict(VerdictName.PASSED, name="a"),
        verdict(VerdictName.NO_DATA, name="b", message="no series"),
        verdict(VerdictName.UNAVAILABLE, name="c", message="away"),
    )
    assert abnormal(remembered={"verdicts": verdicts}) == {ConditionType.NO_DATA: "b: no series; c: away; holding"}


def test_a_split_that_is_not_the_wanted_one_is_told() -> None:
    """
    Only while a step is judged.
    """
    assert list(abnormal(remembered=WRONG)) == [ConditionType.TRAFFIC_SPLIT_MISMATCH]
    assert abnormal(remembered={**WRONG, "step": None}) == {}


def test_what_stable_s_past_told_is_told_by_metric() -> None:
    """
    That more pods would help, and that nothing was told of how events scatter.
    """
    lasting = Account(metric_evidence(), PhiSource.ESTIMATED, more_pods=True)
    unknown = Account(tail_evidence(), PhiSource.ASSUMED)
    told = abnormal(remembered=remembering(lasting, unknown))
    assert list(told) == [ConditionType.EVIDENCE_OVERDISPERSED, ConditionType.DISPERSION_UNKNOWN]
    assert told[ConditionType.EVIDENCE_OVERDISPERSED].startswith("errors: stable's pods differ lastingly")
    assert told[ConditionType.DISPERSION_UNKNOWN].startswith("latency: stable's history does not tell")
    assert told[ConditionType.DISPERSION_UNKNOWN].endswith("an overdispersion of 2 is assumed")


def test_too_little_traffic_is_told_as_foreseen() -> None:
    """
    Of every metric for which it was.
    """
    few = [Account(one, warning=f"{one.phi:g}: takes hours") for one in (metric_evidence(), tail_evidence(phi=2.0))]
    told = abnormal(remembered=remembering(*few))
    assert told == {ConditionType.INSUFFICIENT_TRAFFIC: "1: takes hours; 2: takes hours"}


def test_a_condition_goes_when_its_cause_is_gone() -> None:
    """
    It is not kept as False.
    """
    assert abnormal(remembered={"conditions": (KNOWN,)}) == {}


def test_a_condition_that_stays_keeps_its_time() -> None:
    """
    As those that are always present do.
    """
    shown = conditions(situation(Phase.PROGRESSING, remembered=remembering(IDLE, conditions=(KNOWN,))))
    assert {one.type: one.last_transition_time for one in shown}[ConditionType.NO_TRAFFIC] == ago(60)


def test_a_refused_spec_keeps_what_is_not_as_it_should_be() -> None:
    """
    In the order of the vocabulary.
    """
    after = refusal(Status(phase=Phase.PROGRESSING, conditions=(KNOWN,)), 9, "spec.model: missing", NOW)
    assert [one.type for one in after.conditions] == [
        *ALWAYS_PRESENT, ConditionType.NO_TRAFFIC, ConditionType.STALLED
    ]  # fmt: skip
