"""
The transition table: what the machine does next. First match wins; rows of safety stand above rows of progress.

docs/rollout.md and its diagram are printed from this table, and a test deletes each row in turn to see another fail.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

from modelramp.api.status import Status
from modelramp.api.vocabulary import Phase, Reason
from modelramp.rollout import actions, ends, overdue
from modelramp.rollout import guards as when
from modelramp.rollout import memory as then
from modelramp.rollout.situation import Situation


class Rule(NamedTuple):
    """
    While in one of the phases, when the guard holds: go to the phase and remember, for the reason.

    `to` is None where the phase stays as it is, its reason and message too.
    """

    phases: frozenset[Phase]
    when: Callable[[Situation], bool]
    to: Phase | None
    remember: Callable[[Situation, Reason], Status]
    because: Reason


PREPARING: Final = frozenset({Phase.PREPARING})
PROGRESSING: Final = frozenset({Phase.PROGRESSING})
PAUSED: Final = frozenset({Phase.PAUSED})
PROMOTING: Final = frozenset({Phase.PROMOTING})
ROLLING_BACK: Final = frozenset({Phase.ROLLING_BACK})
FAILED: Final = frozenset({Phase.FAILED})
REPORTED: Final = frozenset({Phase.REPORTED})
STABLE: Final = frozenset({Phase.STABLE})
ON_TRIAL: Final = PREPARING | PROGRESSING | PAUSED
IN_FLIGHT: Final = ON_TRIAL | PROMOTING
EXPOSED: Final = PROGRESSING | PAUSED
EVERYWHERE: Final = frozenset(Phase)
ENDED: Final = FAILED | REPORTED
AT_REST: Final = STABLE | ENDED | {Phase.PENDING}

# fmt: off
RULES: Final[tuple[Rule, ...]] = (
    # Safety: these look at nothing that routing or scaling could hide.
    Rule(IN_FLIGHT,   when.abort_requested,              Phase.ROLLING_BACK, then.reject_candidate,    Reason.ABORT_REQUESTED),
    Rule(IN_FLIGHT,   actions.abort_asked,               Phase.ROLLING_BACK, then.reject_candidate,    Reason.ABORT_REQUESTED),
    Rule(EXPOSED,     when.analysis_failed,              Phase.ROLLING_BACK, then.reject_candidate,    Reason.ANALYSIS_FAILED),
    Rule(IN_FLIGHT,   when.candidate_crash_looping,      Phase.ROLLING_BACK, then.reject_candidate,    Reason.CANDIDATE_CRASH_LOOPING),
    Rule(IN_FLIGHT,   when.candidate_out_of_memory,      Phase.ROLLING_BACK, then.reject_candidate,    Reason.CANDIDATE_OUT_OF_MEMORY),
    Rule(EXPOSED | PROMOTING, when.candidate_unhealthy,  Phase.ROLLING_BACK, then.reject_candidate,    Reason.CANDIDATE_UNHEALTHY),
    Rule(PREPARING,   when.preparation_overdue,          Phase.ROLLING_BACK, then.reject_candidate,    Reason.PROGRESS_DEADLINE_EXCEEDED),
    Rule(PROGRESSING, when.route_overdue,                Phase.ROLLING_BACK, then.reject_candidate,    Reason.PROGRESS_DEADLINE_EXCEEDED),
    Rule(PROMOTING,   when.promotion_overdue,            Phase.ROLLING_BACK, then.reject_candidate,    Reason.PROGRESS_DEADLINE_EXCEEDED),
    Rule(ON_TRIAL,    when.superseded,                   Phase.ROLLING_BACK, then.remember_nothing,    Reason.SUPERSEDED),
    # Begin
    Rule(ENDED,       actions.retry_asked,               Phase.PREPARING,    then.begin,               Reason.NEW_REVISION),
    Rule(AT_REST,     when.new_revision,                 Phase.PREPARING,    then.begin,               Reason.NEW_REVISION),
    Rule(ENDED,       when.names_stable,                 Phase.STABLE,       then.remember_nothing,    Reason.REVERTED),
    Rule(STABLE,      ends.names_reported,               Phase.REPORTED,     then.remember_nothing,    Reason.SHADOW_REPORTED),
    Rule(STABLE,      when.names_rejected,               Phase.FAILED,       then.remember_nothing,    Reason.ROLLED_BACK),
    # What people ask for stands above what the machine does by itself.
    Rule(EXPOSED,     actions.pause_asked,               Phase.PAUSED,       then.remember_nothing,    Reason.PAUSED_BY_REQUEST),
    Rule(EXPOSED,     actions.full_promotion_asked,      Phase.PROMOTING,    then.remember_nothing,    Reason.PROMOTED_BY_REQUEST),
    Rule(EXPOSED,     actions.promotion_asked,           Phase.PROGRESSING,  then.enter_next_step,     Reason.PROMOTED_BY_REQUEST),
    Rule(PAUSED,      actions.resume_asked,              Phase.PROGRESSING,  then.restart_step_clock,  Reason.RESUMED),
    # Progress
    Rule(PREPARING,   when.first_candidate_ready,        Phase.PROMOTING,    then.remember_nothing,    Reason.FIRST_REVISION_READY),
    Rule(PREPARING,   when.candidate_listed,             Phase.PROGRESSING,  then.enter_first_step,    Reason.CANDIDATE_READY),
    Rule(PROGRESSING, when.route_contested,              Phase.PAUSED,       then.remember_nothing,    Reason.ROUTE_CONFLICT),
    Rule(PROGRESSING, ends.run_passed_for_report,        Phase.ROLLING_BACK, then.reject_candidate,    Reason.SHADOW_REPORTED),
    Rule(PROGRESSING, when.last_step_passed,             Phase.PROMOTING,    then.remember_nothing,    Reason.ALL_STEPS_PASSED),
    Rule(PROGRESSING, when.step_passed,                  Phase.PROGRESSING,  then.enter_next_step,     Reason.STEP_PASSED),
    Rule(PROGRESSING, overdue.no_data_rolls_back,        Phase.ROLLING_BACK, then.reject_candidate,    Reason.METRICS_UNAVAILABLE),
    Rule(PROGRESSING, overdue.inconclusive_rolls_back,   Phase.ROLLING_BACK, then.reject_candidate,    Reason.ANALYSIS_INCONCLUSIVE),
    Rule(PROGRESSING, overdue.last_inconclusive_advances, Phase.PROMOTING,   then.remember_nothing,    Reason.ADVANCED_UNCERTIFIED),
    Rule(PROGRESSING, overdue.inconclusive_advances,     Phase.PROGRESSING,  then.enter_next_step,     Reason.ADVANCED_UNCERTIFIED),
    Rule(PROGRESSING, overdue.step_overdue_without_metrics, Phase.PAUSED,    then.remember_nothing,    Reason.METRICS_UNAVAILABLE),
    Rule(PROGRESSING, overdue.step_overdue,              Phase.PAUSED,       then.remember_nothing,    Reason.ANALYSIS_INCONCLUSIVE),
    Rule(PAUSED,      overdue.pause_lifted,              Phase.PROGRESSING,  then.restart_step_clock,  Reason.RESUMED),
    # End
    Rule(PROMOTING,   when.promotion_in_place,           Phase.STABLE,       then.promote,             Reason.PROMOTED),
    Rule(ROLLING_BACK, when.drained_and_superseded,      Phase.PREPARING,    then.begin_after_another, Reason.NEW_REVISION),
    Rule(ROLLING_BACK, ends.drained_and_reported,        Phase.REPORTED,     then.forget_candidate,    Reason.SHADOW_REPORTED),
    Rule(ROLLING_BACK, when.drained_and_rejected,        Phase.FAILED,       then.forget_candidate,    Reason.ROLLED_BACK),
    Rule(ROLLING_BACK, when.candidate_drained,           Phase.STABLE,       then.forget_candidate,    Reason.REVERTED),
    # What cannot be done is said once nothing else is to be done.
    Rule(EVERYWHERE,  actions.action_refused,            None,               then.remember_nothing,    Reason.ACTION_REFUSED),
)
# fmt: on


def first_match(situation: Situation, rules: tuple[Rule, ...] = RULES) -> Rule | None:
    """
    The first row whose phase and guard hold; None: nothing changes.
    """
    return next((rule for rule in rules if situation.status.phase in rule.phases and rule.when(situation)), None)
