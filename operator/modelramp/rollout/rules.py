"""
The transition table: what the machine does next. First match wins; rows of safety stand above rows of progress.

docs/rollout.md and its diagram are printed from this table, and a test deletes each row in turn to see another fail.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

from modelramp.api.status import Status
from modelramp.api.vocabulary import Phase, Reason
from modelramp.rollout import actions, approval, beside, comparing, ends, overdue, smoke, undo
from modelramp.rollout import guards as when
from modelramp.rollout import memory as then
from modelramp.rollout.freeze import frozen
from modelramp.rollout.recommend import recommend_approval, recommend_rollback
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
UNDOABLE: Final = STABLE | ENDED

# fmt: off
RULES: Final[tuple[Rule, ...]] = (
    # Safety: these look at nothing that routing or scaling could hide.
    Rule(IN_FLIGHT,   when.abort_requested,              Phase.ROLLING_BACK, then.reject_candidate,    Reason.ABORT_REQUESTED),
    Rule(IN_FLIGHT,   actions.abort_asked,               Phase.ROLLING_BACK, then.reject_candidate,    Reason.ABORT_REQUESTED),
    Rule(PAUSED,      actions.rejection_asked,           Phase.ROLLING_BACK, then.reject_candidate,    Reason.REJECTED_BY_REQUEST),
    Rule(EXPOSED,     when.analysis_failed,              Phase.ROLLING_BACK, then.reject_candidate,    Reason.ANALYSIS_FAILED),
    Rule(IN_FLIGHT,   when.candidate_crash_looping,      Phase.ROLLING_BACK, then.reject_candidate,    Reason.CANDIDATE_CRASH_LOOPING),
    Rule(IN_FLIGHT,   when.candidate_out_of_memory,      Phase.ROLLING_BACK, then.reject_candidate,    Reason.CANDIDATE_OUT_OF_MEMORY),
    Rule(EXPOSED | PROMOTING, when.candidate_unhealthy,  Phase.ROLLING_BACK, then.reject_candidate,    Reason.CANDIDATE_UNHEALTHY),
    Rule(PROGRESSING, smoke.smoke_failed,                Phase.ROLLING_BACK, then.reject_candidate,    Reason.SMOKE_FAILED),
    Rule(PREPARING,   when.preparation_overdue,          Phase.ROLLING_BACK, then.reject_candidate,    Reason.PROGRESS_DEADLINE_EXCEEDED),
    Rule(PROGRESSING, when.route_overdue,                Phase.ROLLING_BACK, then.reject_candidate,    Reason.PROGRESS_DEADLINE_EXCEEDED),
    Rule(PROMOTING,   when.promotion_overdue,            Phase.ROLLING_BACK, then.reject_candidate,    Reason.PROGRESS_DEADLINE_EXCEEDED),
    Rule(ON_TRIAL,    when.superseded,                   Phase.ROLLING_BACK, then.remember_nothing,    Reason.SUPERSEDED),
    Rule(EXPOSED,     beside.other_harmful,              None,               beside.decide_other,      Reason.OTHER_HARMFUL),
    Rule(ON_TRIAL,    beside.other_failed,               None,               beside.decide_other,      Reason.OTHER_FAILED),
    # Begin
    Rule(ENDED,       actions.retry_asked,               Phase.PREPARING,    then.begin,               Reason.NEW_REVISION),
    Rule(AT_REST,     when.new_revision,                 Phase.PREPARING,    then.begin,               Reason.NEW_REVISION),
    Rule(ENDED,       when.names_stable,                 Phase.STABLE,       then.remember_nothing,    Reason.REVERTED),
    Rule(STABLE,      ends.names_reported,               Phase.REPORTED,     then.remember_nothing,    Reason.SHADOW_REPORTED),
    Rule(STABLE,      when.names_rejected,               Phase.FAILED,       then.remember_nothing,    Reason.ROLLED_BACK),
    # What people are asked to approve, and what only they begin.
    Rule(PAUSED,      actions.first_step_approved,       Phase.PROGRESSING,  then.enter_first_step,    Reason.APPROVED),
    Rule(PAUSED,      actions.promotion_approved,        Phase.PROMOTING,    then.remember_nothing,    Reason.APPROVED),
    Rule(PAUSED,      actions.step_approved,             Phase.PROGRESSING,  then.enter_next_step,     Reason.APPROVED),
    Rule(UNDOABLE,    actions.undo_asked,                Phase.PREPARING,    then.begin_undo,          Reason.UNDO_REQUESTED),
    Rule(PREPARING,   undo.undone_revision_listed,       Phase.PROMOTING,    then.remember_nothing,    Reason.UNDO_REQUESTED),
    Rule(UNDOABLE,    actions.restart_asked,             None,               then.remember_restart,    Reason.RESTART_REQUESTED),
    Rule(PAUSED,      approval.recommendation_void,      Phase.PROGRESSING,  then.restart_step_clock,  Reason.RESUMED),
    Rule(PAUSED,      approval.recommendation_void_before_traffic, Phase.PREPARING, then.remember_nothing, Reason.RESUMED),
    Rule(PAUSED,      approval.recommendation_outdated,  Phase.PAUSED,       recommend_approval,       Reason.APPROVAL_NEEDED),
    # What people ask for stands above what the machine does by itself.
    Rule(EXPOSED,     actions.pause_asked,               Phase.PAUSED,       then.remember_nothing,    Reason.PAUSED_BY_REQUEST),
    Rule(EXPOSED,     actions.full_promotion_asked,      Phase.PROMOTING,    then.remember_nothing,    Reason.PROMOTED_BY_REQUEST),
    Rule(EXPOSED,     actions.promotion_asked,           Phase.PROGRESSING,  then.enter_next_step,     Reason.PROMOTED_BY_REQUEST),
    Rule(PAUSED,      actions.resume_asked,              Phase.PROGRESSING,  then.restart_step_clock,  Reason.RESUMED),
    # Progress
    Rule(PREPARING,   when.first_candidate_ready,        Phase.PROMOTING,    then.enter_last_step,     Reason.FIRST_REVISION_READY),
    Rule(PREPARING,   when.candidate_listed,             Phase.PROGRESSING,  then.enter_first_step,    Reason.CANDIDATE_READY),
    Rule(PROGRESSING, when.route_contested,              Phase.PAUSED,       then.remember_nothing,    Reason.ROUTE_CONFLICT),
    Rule(EXPOSED,     beside.other_passed,               None,               beside.decide_other,      Reason.OTHER_PASSED),
    Rule(PROGRESSING, comparing.comparator_overdue,      Phase.PAUSED,       then.remember_nothing,    Reason.COMPARATOR_NOT_READY),
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
    Rule(PROMOTING,   when.first_revision_harmful,       Phase.STABLE,       then.promote,             Reason.ANALYSIS_FAILED),
    Rule(PROMOTING,   when.promotion_in_place,           Phase.STABLE,       then.promote,             Reason.PROMOTED),
    Rule(ROLLING_BACK, ends.drained_and_superseded,      Phase.PREPARING,    then.begin_after_another, Reason.NEW_REVISION),
    Rule(ROLLING_BACK, ends.drained_and_reported,        Phase.REPORTED,     then.forget_candidate,    Reason.SHADOW_REPORTED),
    Rule(ROLLING_BACK, ends.drained_and_rejected,        Phase.FAILED,       then.forget_candidate,    Reason.ROLLED_BACK),
    Rule(ROLLING_BACK, ends.candidate_drained,           Phase.STABLE,       then.forget_candidate,    Reason.REVERTED),
    # What cannot be done is said once nothing else is to be done.
    Rule(EVERYWHERE,  actions.action_refused,            None,               then.remember_nothing,    Reason.ACTION_REFUSED),
)
# fmt: on


ASKED_FOR: Final = actions.ANSWERS | {when.abort_requested, undo.undone_revision_listed, ends.run_passed_for_report}
"""The findings whose rows carry out what somebody asked for; a shadow run that ends as the spec says is one."""


def raises_by_itself(rule: Rule) -> bool:
    """
    The row gives the candidate more traffic, and nobody asked for it.
    """
    onward = rule.to is Phase.PROGRESSING and rule.remember is not then.restart_step_clock
    return (onward or rule.to is Phase.PROMOTING) and rule.when not in ASKED_FOR


def rolls_back_by_itself(rule: Rule) -> bool:
    """
    The row rejects the candidate, and nobody asked for it.
    """
    return rule.to is Phase.ROLLING_BACK and rule.remember is then.reject_candidate and rule.when not in ASKED_FOR


def _left_to_people(rule: Rule, s: Situation) -> Rule | None:
    """
    A rollback as a recommendation; None: it was given already. A promotion that was approved, and a pause that somebody
    asked for, stay what they are.
    """
    if approval.abort_recommended(s):
        return None
    stays = s.status.phase is Phase.PROMOTING or s.status.reason is Reason.PAUSED_BY_REQUEST
    return rule._replace(
        to=None if stays else Phase.PAUSED,
        remember=recommend_rollback(rule.because),
        because=Reason.ROLLBACK_RECOMMENDED,
    )


def governed(rule: Rule, s: Situation) -> Rule | None:
    """
    What becomes of a row whose guard holds, under the degree of automation and the freeze windows; None: it waits.

    The rows say what should be done; the degree says who decides it. So no row, present or to come, can forget to ask.
    """
    if rolls_back_by_itself(rule) and approval.leaves_rollbacks(s):
        return _left_to_people(rule, s)
    if not raises_by_itself(rule):
        return rule
    if approval.needs_approval(s):
        return rule._replace(to=Phase.PAUSED, remember=recommend_approval, because=Reason.APPROVAL_NEEDED)
    return None if frozen(s) else rule


def _match(s: Situation, rules: tuple[Rule, ...]) -> tuple[Rule | None, bool]:
    """
    The first row that holds, and whether a freeze window held back one above it.
    """
    held = False
    for rule in rules:
        if s.status.phase not in rule.phases or (held and rule.to is not None) or not rule.when(s):
            continue
        found = governed(rule, s)
        if found is not None:
            return found, held
        held = held or raises_by_itself(rule)
    return None, held


def first_match(situation: Situation, rules: tuple[Rule, ...] = RULES) -> Rule | None:
    """
    The first row whose phase and guard hold, as the degree of automation has it; None: nothing changes.

    While a freeze window holds a row back, no row below it is asked, except what refuses a request: a step that passed
    is not overdue.
    """
    return _match(situation, rules)[0]


def held_back(situation: Situation) -> bool:
    """
    A freeze window keeps from the candidate what it would be given now.
    """
    return frozen(situation) and _match(situation, RULES)[1]
