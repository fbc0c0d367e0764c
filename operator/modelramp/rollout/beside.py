"""
Findings about the other candidates of a shadow run, and what is remembered of them. The first line of each finding is
printed in docs/rollout.md.

A run's other candidates are decided one by one, each by the findings that decide on its own candidate.
"""

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from modelramp.analysis import Wealth
from modelramp.api.status import EvidenceState, OtherOutcome, OtherStatus, Status
from modelramp.api.vocabulary import Phase, Reason
from modelramp.rollout.account import Account
from modelramp.rollout.capacity import more_time
from modelramp.rollout.freeze import frozen
from modelramp.rollout.guards import (
    analysis_failed,
    candidate_crash_looping,
    candidate_out_of_memory,
    candidate_ready,
    candidate_unhealthy,
    step_passed,
)
from modelramp.rollout.others import beside, each_beside, held, listed, taking_part
from modelramp.rollout.situation import Situation


class Found(NamedTuple):
    """
    One of the others, its situation, and what is found of it.
    """

    other: OtherStatus
    situation: Situation
    reason: Reason
    """As it would be said of the run's own candidate."""


OUTCOMES: Final[Mapping[Reason, OtherOutcome]] = {
    Reason.OTHER_HARMFUL: OtherOutcome.HARMFUL,
    Reason.OTHER_FAILED: OtherOutcome.FAILED,
    Reason.OTHER_PASSED: OtherOutcome.PASSED,
}
"""What is remembered for each reason."""


def _not_ready_in_time(s: Situation) -> bool:
    begun = s.status.candidate.since if s.status.candidate is not None else None
    late = s.since(begun, s.spec.strategy.progress_deadline.timedelta + more_time(s))
    return s.status.phase is Phase.PREPARING and late and not candidate_ready(s)


_Finding = tuple[Callable[[Situation], bool], Reason]
_HARMS: Final[tuple[_Finding, ...]] = ((analysis_failed, Reason.ANALYSIS_FAILED),)
_FAILS: Final[tuple[_Finding, ...]] = (
    (candidate_crash_looping, Reason.CANDIDATE_CRASH_LOOPING),
    (candidate_out_of_memory, Reason.CANDIDATE_OUT_OF_MEMORY),
    (candidate_unhealthy, Reason.CANDIDATE_UNHEALTHY),
    (_not_ready_in_time, Reason.PROGRESS_DEADLINE_EXCEEDED),
)
_PASSES: Final[tuple[_Finding, ...]] = ((step_passed, Reason.STEP_PASSED),)
_ASKED: Final[Mapping[Reason, tuple[_Finding, ...]]] = {
    Reason.OTHER_HARMFUL: _HARMS,
    Reason.OTHER_FAILED: _FAILS,
    Reason.OTHER_PASSED: _PASSES,
}


def found(s: Situation, reason: Reason) -> Found | None:
    """
    The first of the others of which this is to be said now; None: of none.
    """
    for other, situation in each_beside(s):
        if reason is Reason.OTHER_PASSED and other.outcome is OtherOutcome.PASSED:
            continue
        said = next((why for holds, why in _ASKED[reason] if holds(situation)), None)
        if said is not None:
            return Found(other, situation, said)
    return None


def other_harmful(s: Situation) -> bool:
    """
    The harm evidence of one of the other candidates reached its bound (false at most 1 % of each).
    """
    return found(s, Reason.OTHER_HARMFUL) is not None


def other_failed(s: Situation) -> bool:
    """
    One of the other candidates crashes, ran out of memory, lost its pods or was not ready in time.
    """
    return found(s, Reason.OTHER_FAILED) is not None


def other_passed(s: Situation) -> bool:
    """
    One of the other candidates is certified: its copies are in place and soaked, every metric within its margin.
    """
    return found(s, Reason.OTHER_PASSED) is not None


def decide_other(s: Situation, reason: Reason) -> Status:
    """
    The other has its outcome; one that is decided against gets nothing from now on.
    """
    one = found(s, reason)
    if one is None:
        return s.status
    decided = one.other.model_copy(update={"outcome": OUTCOMES[reason], "decided_at": s.now})
    rest = (other for other in s.status.others if other.revision != decided.revision)
    return s.status.model_copy(update={"others": (*rest, decided)})


def with_words(status: Status, said: str) -> Status:
    """
    The status with what was said of the other that was decided last.
    """
    *rest, last = status.others
    return status.model_copy(update={"others": (*rest, last.model_copy(update={"message": said}))})


def _may_enter(s: Situation) -> bool:
    """
    The run's step copies requests, and nothing stands against more of them.
    """
    copies = s.step is not None and s.step.mirror > 0
    return copies and not held(s) and not frozen(s)


def _after(s: Situation, other: OtherStatus, now: Situation) -> OtherStatus:
    """
    Its memory after this look, which is folded into its own situation.
    """
    entered = other.entered_at
    if entered is None and _may_enter(s) and candidate_ready(now):
        entered = s.now
    candidate, step = now.status.candidate, now.status.step
    own = {} if candidate is None else {name: getattr(candidate, name) for name in type(candidate).model_fields}
    return other.model_copy(
        update={
            **own,
            "entered_at": entered,
            "in_place_since": None if step is None else step.in_place_since,
            "evidence": now.status.evidence,
            "verdicts": now.status.verdicts,
        }
    )


def with_others(s: Situation, fold: Callable[[Situation], Situation]) -> Situation:
    """
    The situation with the others as the spec lists them, and with what was seen of each folded into its memory by the
    very `fold` that does so for the run's own candidate.
    """
    others = listed(s)
    if not others:
        return s
    s = s.with_status(s.status.model_copy(update={"others": others}))
    part = {other.revision for other in taking_part(s)}
    looked = tuple(_after(s, other, fold(beside(s, other))) if other.revision in part else other for other in others)
    return s.with_status(s.status.model_copy(update={"others": looked}))


def entering_next_step(s: Situation, wealth: Wealth) -> tuple[OtherStatus, ...]:
    """
    The others as the run's next step begins: certification starts again for them too, harm evidence goes on.
    """
    return tuple(
        other.model_copy(
            update={
                "in_place_since": None,
                "verdicts": (),
                "evidence": tuple(
                    EvidenceState(name=kept.name, state=Account.from_state(kept.state).enter_step(wealth).to_state())
                    for kept in other.evidence
                ),
            }
        )
        for other in s.status.others
    )
