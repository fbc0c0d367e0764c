from typing import Any

import pytest
from fakes.rollout import NOW, ago, rev, route, situation, step, verdict, world

from modelramp.api.scalars import Share
from modelramp.api.spec import WarmUp
from modelramp.api.status import StepStatus
from modelramp.api.vocabulary import Phase
from modelramp.rollout import decide, smoke
from modelramp.rollout.guards import step_passed
from modelramp.rollout.needs import needs
from modelramp.rollout.observed import WarmUpReading
from modelramp.rollout.questions import WarmUpQuestion
from modelramp.rollout.waiting import waiting_message

SMOKE = {"path": "/infer", "requests": 5, "p95Below": "200ms"}
BLUE_GREEN = {"strategy": {"blueGreen": {"preSwitch": {"soak": "10s", "smoke": SMOKE}}}}
GOOD = WarmUpReading(sent=5, failed=0, p95_seconds=0.1)
AWAY = WarmUpReading(sent=5, failed=5, p95_seconds=0.1, message="5 of 5 requests failed")
WRONG = WarmUpReading(sent=5, failed=1, p95_seconds=0.1, message="number 3: HTTP 500", refused=1)
SLOW = WarmUpReading(sent=5, failed=0, p95_seconds=0.2)
FEW = WarmUpReading(sent=4, failed=0, p95_seconds=0.1, message="only 4 of 5 requests were sent")


def preview(**changes: Any) -> StepStatus:  # noqa: ANN401 - any field
    """
    The preview step, soaked.
    """
    fields = {"traffic": Share("0%"), "preview": True, "index": 0, "display": "1/2", **changes}
    return step("5").model_copy(update=fields)


def previewed(**changes: Any) -> dict[str, Any]:  # noqa: ANN401 - as `world`
    """
    A switch whose preview is in place.
    """
    memory = {"step": changes.pop("step", preview()), "verdicts": (verdict(),), "evidence": ()}
    return {"sections": BLUE_GREEN, "remembered": memory, "route": route({"1": "100", "2": "0"}), **changes}


def asks(phase: Phase = Phase.PROGRESSING, **changes: Any) -> WarmUpQuestion | None:  # noqa: ANN401 - as `world`
    """
    What is to be sent.
    """
    asked = world(phase, **previewed(**changes))
    return needs(asked.deployment, asked.observed, NOW).smoke


def test_smoke_requests_are_sent_at_the_end_of_the_preview() -> None:
    """
    To the candidate itself.
    """
    assert asks() == WarmUpQuestion(revision=rev("2"), warm_up=WarmUp.model_validate(SMOKE))


@pytest.mark.parametrize(
    "changes",
    [
        {"step": preview(in_place_since=ago(9))},
        {"step": preview(smoke_passed=True)},
        {"route": route({"1": "95", "2": "5"})},
        {"phase": Phase.PAUSED},
        {"sections": {"strategy": {"blueGreen": {}}}},
    ],
    ids=["not soaked", "passed already", "not in place", "paused", "none asked for"],
)
def test_smoke_requests_are_not_sent_without_need(changes: dict[str, Any]) -> None:
    """
    Nor while somebody decides.
    """
    assert asks(**changes) is None


@pytest.mark.parametrize(
    ("reading", "passed", "rule"),
    [
        (None, False, None),
        (GOOD, True, "step_passed"),
        (AWAY, False, None),
        (FEW, False, None),
        (SLOW, False, None),
        (WRONG, False, "smoke_failed"),
    ],
    ids=["not asked", "good", "unreachable", "too few", "slow", "wrong"],
)
def test_only_a_wrong_answer_rolls_back_and_only_good_ones_pass(
    reading: WarmUpReading | None,
    passed: bool,  # noqa: FBT001 - an expectation
    rule: str | None,
) -> None:
    """
    Whoever cannot be reached, or is slow, is asked again.
    """
    s = situation(Phase.PROGRESSING, **previewed(smoke=reading))
    plan = decide(*world(Phase.PROGRESSING, **previewed(smoke=reading)), NOW)
    assert plan.because.rule == rule
    assert smoke.smoke_failed(s) is (rule == "smoke_failed")
    assert step_passed(s) is False  # nothing is folded in yet
    if rule is None:
        assert plan.status.step is not None
        assert plan.status.step.smoke_passed is passed


def test_passed_smoke_requests_stay_passed() -> None:
    """
    And where none are asked for nothing is missing.
    """
    assert smoke.smoke_passed(situation(Phase.PROGRESSING, **previewed(step=preview(smoke_passed=True))))
    assert smoke.smoke_passed(situation(Phase.PROGRESSING))
    assert smoke.smoke_passed(situation(Phase.PREPARING))


@pytest.mark.parametrize(
    ("reading", "words"),
    [
        (None, ""),
        (AWAY, "; 5 of 5 requests failed"),
        (SLOW, "; 5 requests were answered, the 95th percentile took 200 ms; it has to be below 200ms"),
    ],
    ids=["not asked", "unreachable", "slow"],
)
def test_what_the_smoke_requests_showed_is_told(reading: WarmUpReading | None, words: str) -> None:
    """
    While they are waited for.
    """
    s = situation(Phase.PROGRESSING, **previewed(smoke=reading))
    assert waiting_message(s) == f"waiting for the smoke requests{words}"


def test_without_a_limit_a_failure_is_told_in_the_sender_s_words() -> None:
    """
    Good ones need no words.
    """
    unlimited = WarmUp.model_validate({"path": "/infer", "requests": 5})
    assert smoke.measured(AWAY, unlimited) == "5 of 5 requests failed"
    assert smoke.measured(SLOW, unlimited) == ""
    assert smoke.smoke_findings(situation(Phase.PREPARING, smoke=AWAY)) == ""


def test_an_advance_without_a_verdict_needs_the_smoke_requests_too() -> None:
    """
    The spec may ask to go on without certainty, and not without an answer.
    """
    policy = {"analysis": {"onInconclusive": "Advance", "metrics": [{"preset": "errors"}]}}
    late = preview(entered_at=ago(7200))
    both = {"sections": {**BLUE_GREEN, **policy}, "step": late}
    away = decide(*world(Phase.PROGRESSING, **previewed(smoke=AWAY, **both)), NOW)
    assert away.because.rule == "step_overdue"
