from typing import Any

import pytest
from fakes.rollout import NO_ROUTE, NOW, ago, arm, arms, kept, metric_evidence, rejection, route, situation, verdict

from modelramp.api.status import Condition, Status, VerdictName
from modelramp.api.vocabulary import ALWAYS_PRESENT, ConditionType, Phase, Reason
from modelramp.rollout.conditions import conditions, refusal
from modelramp.rollout.observed import Acceptance

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
    In a fixed order, from the first visit, for the object's generation; and no other while all is as it should be.
    """
    shown = conditions(situation(phase))
    assert [(one.type, one.observed_generation) for one in shown] == [(kind, 7) for kind in ALWAYS_PRESENT]


def test_a_refused_object_is_not_accepted() -> None:
    """
    What the API server said stands in the message.
    """
    refused = [found(ConditionType.ACCEPTED, Phase.STABLE, refused=text) for text in (None, "Deployment: denied")]
    assert refused == [("True", Reason.ACCEPTED), ("False", Reason.EFFECT_REFUSED)]


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
    }
    assert (after.phase, after.message, after.observed_generation) == (Phase.STABLE, "spec.model: missing", 9)


def test_a_spec_refused_twice_was_refused_the_first_time() -> None:
    """
    The transition time stays.
    """
    once = refusal(Status(), 9, "spec.model: missing", ago(60))
    again = refusal(once, 10, "spec.serving: missing", NOW)
    assert (again.conditions[0].last_transition_time, again.conditions[0].observed_generation) == (ago(60), 10)
