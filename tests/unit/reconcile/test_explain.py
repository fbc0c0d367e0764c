"""
What people are told of a plan.
"""

import logging

import pytest
from unit.reconcile.parts import KEY

from modelramp.api.status import Status
from modelramp.api.vocabulary import Phase, Reason
from modelramp.reconcile.explain import ACTIONS, WARNINGS, announcement, log_plan
from modelramp.rollout.plan import Because, DeleteWorkload, Effect, Plan
from modelramp.rollout.rules import RULES

GOOD_NEWS = {
    Reason.OTHER_PASSED,
    Reason.SUPERSEDED,
    Reason.NEW_REVISION,
    Reason.REVERTED,
    Reason.FIRST_REVISION_READY,
    Reason.CANDIDATE_READY,
    Reason.ALL_STEPS_PASSED,
    Reason.STEP_PASSED,
    Reason.RESUMED,
    Reason.PROMOTED,
    Reason.SHADOW_REPORTED,
    Reason.PAUSED_BY_REQUEST,
    Reason.APPROVAL_NEEDED,
    Reason.APPROVED,
    Reason.RESTART_REQUESTED,
}


def plan_for(
    reason: Reason, rule: str | None = "a_rule", message: str = "so it is", effects: tuple[Effect, ...] = ()
) -> Plan:
    """
    A plan of that transition; `rule` None: of none.
    """
    because = Because(rule=rule, reason=reason, message=message, came_from=Phase.PROGRESSING, went_to=Phase.PAUSED)
    return Plan(status=Status(), effects=effects, wake_at=None, because=because)


def test_each_reason_of_the_table_is_either_good_news_or_a_warning() -> None:
    """
    A row with a new reason must be sorted into one of them.
    """
    reasons = {rule.because for rule in RULES}
    assert reasons == GOOD_NEWS | (WARNINGS & reasons)
    assert not GOOD_NEWS & WARNINGS


def test_each_phase_has_an_action() -> None:
    """
    Events need one.
    """
    assert set(ACTIONS) == set(Phase)


@pytest.mark.parametrize("reason", [Reason.ROUTE_CONFLICT, Reason.ANALYSIS_FAILED])
def test_trouble_is_announced_as_a_warning(reason: Reason) -> None:
    """
    Somebody must look.
    """
    told = announcement(plan_for(reason))
    assert told is not None
    assert (told.reason, told.action, told.note, told.warning) == (str(reason), "Pause", "so it is", True)


def test_a_refusal_is_a_warning_and_no_pause() -> None:
    """
    Whatever the phase is, whoever asked must see that nothing was done.
    """
    told = announcement(plan_for(Reason.ACTION_REFUSED))
    assert told is not None
    assert (told.action, told.warning) == ("Refuse", True)


def test_progress_is_announced_as_normal() -> None:
    """
    Nobody needs to.
    """
    told = announcement(plan_for(Reason.STEP_PASSED))
    assert told is not None
    assert not told.warning


def test_no_transition_is_no_event() -> None:
    """
    Holding is told in status only.
    """
    assert announcement(plan_for(Reason.WAITING, rule=None)) is None


def test_a_long_message_is_cut() -> None:
    """
    The API server takes notes of at most 1 KiB.
    """
    told = announcement(plan_for(Reason.ROLLED_BACK, message="x" * 5000))
    assert told is not None
    assert len(told.note) == 1024


def test_a_pass_that_changes_something_is_one_log_line(caplog: pytest.LogCaptureFixture) -> None:
    """
    With the rule, the phases and the effects as fields.
    """
    caplog.set_level(logging.INFO, logger="modelramp.rollout")
    log_plan(KEY, plan_for(Reason.STEP_PASSED, effects=(DeleteWorkload(revision="r"),)))
    log_plan(KEY, plan_for(Reason.WAITING, rule=None, effects=(DeleteWorkload(revision="r"),)))
    log_plan(KEY, plan_for(Reason.WAITING, rule=None))
    assert [record.getMessage() for record in caplog.records] == ["StepPassed: so it is", "Waiting: so it is"]
    fields = vars(caplog.records[0])
    assert (fields["object"], fields["rule"], fields["from"], fields["to"]) == (
        "ml/fraud",
        "a_rule",
        "Progressing",
        "Paused",
    )
    assert fields["effects"] == ["DeleteWorkload"]
