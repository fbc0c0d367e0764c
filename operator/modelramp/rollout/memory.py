"""
Updates of the memory: what each transition remembers. Verbs; each returns the next status.
"""

from modelramp.api.names import ANNOTATION_RETRY
from modelramp.api.scalars import Share
from modelramp.api.status import (
    MAX_HISTORY,
    MAX_REJECTED,
    CandidateStatus,
    EvidenceState,
    Outcome,
    Rejection,
    StableStatus,
    Status,
    StepStatus,
)
from modelramp.api.vocabulary import Reason
from modelramp.rollout.draining import why_it_began
from modelramp.rollout.situation import Situation
from modelramp.rollout.strategy import course_of, wealth_of


def _cleared(status: Status, **changes: object) -> Status:
    """
    The status without anything that belongs to one rollout only, then changed.
    """
    empty = {"candidate": None, "step": None, "evidence": (), "verdicts": (), "evidence_summary": None, "traffic": None}
    return status.model_copy(update={**empty, **changes})


def _retry_seen(s: Situation) -> str | None:
    return s.deployment.annotations.get(ANNOTATION_RETRY, s.status.retry_seen)


def remember_nothing(s: Situation, _reason: Reason) -> Status:
    """
    Only the phase changes.
    """
    return s.status


def begin(s: Situation, _reason: Reason) -> Status:
    """
    The spec's revision becomes the candidate; an earlier rejection of it is forgotten.
    """
    candidate = CandidateStatus(
        revision=s.target, version=s.spec.model.version, since=s.now, warm=s.spec.serving.warm_up is None
    )
    kept = tuple(rejection for rejection in s.status.rejected if rejection.revision != s.target)
    return _cleared(s.status, candidate=candidate, rejected=kept, retry_seen=_retry_seen(s))


def _entered(s: Situation) -> StepStatus | None:
    """
    The step after the present one; the present one when there is none.
    """
    if s.next_step is None:
        return s.status.step
    index, step = s.next_step
    of = len(course_of(s.spec).steps)
    return StepStatus(
        index=index,
        display=f"{index + 1}/{of}",
        traffic=Share.of_percent(step.percent),
        mirror=Share.of_percent(step.mirror) if step.mirror else None,
        preview=step.preview,
        entered_at=s.now,
    )


def enter_first_step(s: Situation, _reason: Reason) -> Status:
    """
    The first step begins, with the evidence that was opened while the candidate was prepared.
    """
    return s.status.model_copy(update={"step": _entered(s), "verdicts": ()})


def enter_next_step(s: Situation, _reason: Reason) -> Status:
    """
    The next step begins: certification starts again, harm evidence goes on.
    """
    wealth = wealth_of(s.spec)
    evidence = tuple(
        EvidenceState(name=name, state=kept.enter_step(wealth).to_state()) for name, kept in s.evidence.items()
    )
    return s.status.model_copy(update={"step": _entered(s), "evidence": evidence, "verdicts": ()})


def restart_step_clock(s: Situation, _reason: Reason) -> Status:
    """
    The step's deadline starts again; its evidence is kept, or the error rates would be spent twice.
    """
    if s.status.step is None:
        return s.status
    step = s.status.step.model_copy(update={"entered_at": s.now})
    return s.status.model_copy(update={"step": step, "retry_seen": _retry_seen(s)})


def _ended(s: Situation, outcome: Reason, message: str) -> tuple[Outcome, ...]:
    candidate = s.status.candidate
    if candidate is None:
        return s.status.history
    entry = Outcome(
        revision=candidate.revision,
        version=candidate.version,
        outcome=outcome,
        message=message,
        began_at=candidate.since,
        ended_at=s.now,
    )
    return (*s.status.history, entry)[-MAX_HISTORY:]


def reject_candidate(s: Situation, reason: Reason) -> Status:
    """
    The candidate is not begun again without a retry.
    """
    candidate = s.status.candidate
    if candidate is None:
        return s.status
    rejection = Rejection(revision=candidate.revision, version=candidate.version, reason=reason, at=s.now)
    others = tuple(known for known in s.status.rejected if known.revision != candidate.revision)
    return s.status.model_copy(update={"rejected": (*others, rejection)[-MAX_REJECTED:]})


def promote(s: Situation, reason: Reason) -> Status:
    """
    The candidate becomes stable: a change of role, nothing is copied or restarted.
    """
    candidate = s.status.candidate
    if candidate is None:
        return s.status
    stable = StableStatus(revision=candidate.revision, version=candidate.version, since=s.now)
    return _cleared(s.status, stable=stable, history=_ended(s, reason, "serves everything"))


def forget_candidate(s: Situation, reason: Reason) -> Status:
    """
    The candidate is no candidate any more; its workload is removed once nothing needs it.
    """
    return _cleared(s.status, history=_ended(s, reason, why_it_began(s.status.message)))


def begin_after_another(s: Situation, reason: Reason) -> Status:
    """
    The drained candidate goes into the history and the spec's revision becomes the candidate.
    """
    return begin(s, reason).model_copy(update={"history": _ended(s, Reason.SUPERSEDED, why_it_began(s.status.message))})
