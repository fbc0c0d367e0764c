"""
Updates of the memory: what each transition remembers. Verbs; each returns the next status.
"""

from dataclasses import replace

from modelramp.api.action import ActionRequest
from modelramp.api.names import ANNOTATION_RETRY
from modelramp.api.scalars import Share
from modelramp.api.status import (
    MAX_HISTORY,
    MAX_REJECTED,
    CandidateStatus,
    EvidenceState,
    KeptRevision,
    Outcome,
    Rejection,
    StableStatus,
    Status,
    StepStatus,
    UndoStatus,
)
from modelramp.api.vocabulary import Reason
from modelramp.rollout.beside import entering_next_step
from modelramp.rollout.draining import why_it_began
from modelramp.rollout.record import outcome_of
from modelramp.rollout.resume import claim_of, for_a_retry, resumed, without_evidence
from modelramp.rollout.situation import Situation
from modelramp.rollout.strategy import Judged, course_of, wealth_of


def _cleared(status: Status, **changes: object) -> Status:
    """
    The status without anything that belongs to one rollout only, then changed.
    """
    nothing = ("candidate", "step", "evidence_summary", "traffic", "recommendation", "undo")
    empty = {**dict.fromkeys(nothing), "evidence": (), "verdicts": (), "others": ()}
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
    The spec's revision becomes the candidate; an earlier rejection of it is forgotten, the evidence kept with it goes
    on.
    """
    candidate = CandidateStatus(
        revision=s.target, version=s.spec.model.version, since=s.now, warm=s.spec.serving.warm_up is None
    )
    kept = tuple(rejection for rejection in s.status.rejected if rejection.revision != s.target)
    return _cleared(s.status, candidate=candidate, rejected=kept, retry_seen=_retry_seen(s), evidence=resumed(s))


def kept_at_most(kept: tuple[KeptRevision, ...], number: int) -> tuple[KeptRevision, ...]:
    """
    The newest of them, as many as are to be kept.
    """
    return kept[len(kept) - number :] if len(kept) > number else kept


def begin_undo(s: Situation, _reason: Reason) -> Status:
    """
    The kept revision becomes the candidate again, with the pod template it had.
    """
    asked = s.request
    known = {kept.revision: kept for kept in s.status.kept}
    if not isinstance(asked, ActionRequest) or asked.revision not in known:
        return s.status
    back = known[asked.revision]
    candidate = CandidateStatus(
        revision=back.revision, version=back.version, since=s.now, warm=s.spec.serving.warm_up is None
    )
    undo = UndoStatus(revision=back.revision, instead_of=s.deployment.revision, by=asked.by)
    others = tuple(rejection for rejection in s.status.rejected if rejection.revision != back.revision)
    return _cleared(s.status, candidate=candidate, undo=undo, rejected=others)


def remember_restart(s: Situation, _reason: Reason) -> Status:
    """
    The stable revision's pods are those of this request.
    """
    asked, stable = s.request, s.status.stable
    if not isinstance(asked, ActionRequest) or stable is None:
        return s.status
    return s.status.model_copy(update={"stable": stable.model_copy(update={"restart_id": asked.id})})


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
    The next step begins: certification starts again, harm evidence goes on, with fresh bets in a step beside stable.
    """
    beside = s.next_step is not None and s.next_step[1].judged is Judged.BESIDE_STABLE
    wealth = wealth_of(s.spec) if beside else replace(wealth_of(s.spec), per_step=0.0)
    evidence = tuple(
        EvidenceState(name=name, state=kept.enter_step(wealth).to_state()) for name, kept in s.evidence.items()
    )
    others = entering_next_step(s, wealth)
    return s.status.model_copy(update={"step": _entered(s), "evidence": evidence, "verdicts": (), "others": others})


def enter_last_step(s: Situation, _reason: Reason) -> Status:
    """
    The first revision of all gets everything at once, and is watched as in the last step.
    """
    of = len(course_of(s.spec).steps)
    step = StepStatus(index=of - 1, display=f"{of}/{of}", traffic=Share("100%"), entered_at=s.now)
    return s.status.model_copy(update={"step": step, "verdicts": ()})


def restart_step_clock(s: Situation, _reason: Reason) -> Status:
    """
    The step's deadline starts again; its evidence is kept, or the error rates would be spent twice.
    """
    if s.status.step is None:
        return s.status
    step = s.status.step.model_copy(update={"entered_at": s.now})
    return s.status.model_copy(update={"step": step, "retry_seen": _retry_seen(s)})


def _ended(s: Situation, outcome: Reason, message: str) -> tuple[Outcome, ...]:
    entry = outcome_of(s, outcome, message)
    return s.status.history if entry is None else (*s.status.history, entry)[-MAX_HISTORY:]


def _rejecting(s: Situation, one: CandidateStatus | StableStatus, reason: Reason) -> tuple[Rejection, ...]:
    rejection = Rejection(revision=one.revision, version=one.version, reason=reason, at=s.now)
    others = tuple(known for known in s.status.rejected if known.revision != one.revision)
    return (*without_evidence(others), rejection)[-MAX_REJECTED:]


def reject_candidate(s: Situation, reason: Reason) -> Status:
    """
    The candidate is not begun again without a retry.
    """
    candidate = s.status.candidate
    if candidate is None:
        return s.status
    *others, rejection = _rejecting(s, candidate, reason)
    evidence = for_a_retry(s, reason)
    kept = rejection.model_copy(update={"evidence": evidence, "claim": claim_of(s) if evidence else None})
    return s.status.model_copy(update={"rejected": (*others, kept), "undo": None})


def promote(s: Situation, reason: Reason) -> Status:
    """
    The candidate becomes stable: a change of role, nothing is copied or restarted. The revision before is kept.

    After an undo the revision before is rejected as well, so that the spec, which still names it, does not begin it.
    """
    candidate = s.status.candidate
    if candidate is None:
        return s.status
    stable, before = StableStatus(revision=candidate.revision, version=candidate.version, since=s.now), s.status.stable
    kept = tuple(one for one in s.status.kept if one.revision != candidate.revision)
    undo = s.status.undo
    above = reason is Reason.ANALYSIS_FAILED
    rejected = without_evidence(s.status.rejected)
    told = "serves everything, above its limits" if above else "serves everything"
    if before is not None:
        kept = (*kept, KeptRevision(revision=before.revision, version=before.version))
    if before is not None and undo is not None:
        reason, told = Reason.UNDO_REQUESTED, f"serves everything again, as {undo.by} asked"
        rejected = _rejecting(s, before, reason)
    kept = kept_at_most(kept, s.spec.strategy.keep_revisions)
    return _cleared(s.status, stable=stable, kept=kept, rejected=rejected, history=_ended(s, reason, told))


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
