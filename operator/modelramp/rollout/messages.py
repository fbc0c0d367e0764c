"""
What is said for each reason, in one place.
"""

from collections.abc import Callable, Mapping
from typing import Final

from modelramp.api.action import ActionRequest, Verb
from modelramp.api.status import VerdictName, VerdictStatus
from modelramp.api.vocabulary import Phase, Reason
from modelramp.rollout.actions import granted, obstacle
from modelramp.rollout.approval import ahead
from modelramp.rollout.beside import found
from modelramp.rollout.ends import unconfirmed
from modelramp.rollout.numbers import count_text
from modelramp.rollout.overdue import inconclusive_rolls_back, no_data_rolls_back
from modelramp.rollout.resume import resumption
from modelramp.rollout.situation import Situation
from modelramp.rollout.smoke import smoke_findings
from modelramp.rollout.strategy import Judged, course_of
from modelramp.rollout.waiting import waited_for


def _candidate(s: Situation) -> str:
    candidate = s.status.candidate
    return f"version {candidate.version} ({candidate.revision})" if candidate else "the candidate"


def _asker(s: Situation) -> str:
    return s.request.by if isinstance(s.request, ActionRequest) else "somebody"


def _as_asked(s: Situation, verb: Verb) -> str:
    return f", as {_asker(s)} asked" if granted(s, verb) else ""


def _refused(s: Situation) -> str:
    asked = f"{s.request.verb}, asked by {_asker(s)}," if isinstance(s.request, ActionRequest) else "the request"
    return f"{asked} is refused: {obstacle(s)}"


def _promoted_by_request(s: Situation) -> str:
    if s.next_step is None or granted(s, Verb.PROMOTE_FULL):
        return f"{_candidate(s)} is being promoted from {_step(s)}, as {_asker(s)} asked: {_counts(s)}"
    return f"{_step(s)} is taken as passed, as {_asker(s)} asked: {_counts(s)}"


def _target(s: Situation) -> str:
    return f"version {s.spec.model.version} ({s.target})"


def _stable(s: Situation) -> str:
    stable = s.status.stable
    return f"version {stable.version}" if stable else "nothing"


def _told(s: Situation, v: VerdictStatus) -> str:
    metric = s.metric(v.name)
    durations = metric is not None and not metric.is_rate
    if s.judged is Judged.NOT_AT_ALL:
        known = f"{v.stable.n} calls" if durations else f"{v.stable.x} bad of {v.stable.n}"
        return f"{v.name}: stable {known}"
    evidence = f"harm evidence {v.harm}, not-worse evidence {v.evidence}"
    if metric is not None and metric.gauge is not None:
        return f"{v.name}: {evidence}"
    if durations:
        return f"{v.name}: {v.candidate.n} calls of the candidate, {v.stable.n} of stable, {evidence}"
    counts = f"candidate {v.candidate.x} bad of {v.candidate.n}, stable {v.stable.x} of {v.stable.n}"
    return f"{v.name}: {counts}, {evidence}"


def _slices(s: Situation) -> list[str]:
    """
    The counts of those slices whose harm is certain.
    """
    named, label, found = (
        set(s.suspects) | set(s.culprits),
        s.slice_label,
        [],
    )
    for name, account in s.evidence.items():
        for value, (_, totals) in account.slices.accounts.items() if account.slices is not None else ():
            slice_name = f'{name}{{{label}="{value}"}}'
            if slice_name in named:
                mine, theirs = totals.candidate, totals.stable
                found.append(
                    f"{slice_name}: candidate {count_text(mine.x)} bad of {count_text(mine.n)}, "
                    f"stable {count_text(theirs.x)} of {count_text(theirs.n)}"
                )
    return found


def _counts(s: Situation) -> str:
    parts = [*_slices(s), *(_told(s, verdict) for verdict in s.status.verdicts)]
    return "; ".join(parts) or "nothing was measured"


def _step(s: Situation) -> str:
    step = s.status.step
    if step is None:
        return "the step"
    if step.preview:
        return f"step {step.display} (the preview)"
    if step.mirror is not None:
        return f"step {step.display} with {step.mirror} of requests copied"
    return f"step {step.display} at {s.step_percent.normalize():f}%"


def _culprits(s: Situation) -> str:
    return f" in {' and '.join(s.culprits)}" if s.culprits else f" in {' or '.join(s.suspects) or 'all together'}"


def _alone(s: Situation) -> str:
    """
    What a finding without stable beside the candidate leaves open.
    """
    if s.first_serves:
        return "; it is the first revision, nothing can take over, so it goes on serving"
    bounds = [f"{name} at {item.bounds[0]:.3%}" for name, item in s.evidence.items() if item.counts and item.bounds]
    if s.judged is not Judged.ALONE or not bounds:
        return ""
    frozen = f"stable is taken as it was counted before, at most: {', '.join(bounds)}"
    return f"; {frozen}; a world that got worse since looks the same"


def _crashing(s: Situation) -> str:
    return (s.candidate_arm.crash_looping or "") if s.candidate_arm else ""


def _out_of_memory(s: Situation) -> str:
    return (s.candidate_arm.out_of_memory or "") if s.candidate_arm else ""


def _ahead(s: Situation) -> str:
    """
    What follows the present place, in words.
    """
    number, share, step = ahead(s)
    if step is None:
        return "the promotion to 100%"
    mirrored = f" with {step.mirror.normalize():f}% mirrored" if step.mirror else ""
    return f"step {number}/{len(course_of(s.spec).steps)} at {share.normalize():f}%{mirrored}"


def _approval_needed(s: Situation) -> str:
    goes_on = f"{_ahead(s)} is recommended and goes on when somebody approves it"
    if s.status.step is None:
        return f"{_candidate(s)} is ready: {goes_on}"
    return f"{goes_on}: {_step(s)} passed: {_counts(s)}"


def _undo(s: Situation) -> str:
    undo, asked = s.status.undo, s.request
    if undo is not None:
        return f"{_candidate(s)} is ready: it gets all traffic again, as {undo.by} asked"
    back = next(
        (one for one in s.status.kept if isinstance(asked, ActionRequest) and one.revision == asked.revision), None
    )
    name = f"version {back.version} ({back.revision})" if back else "the kept revision"
    return f"{name} is brought back, as {_asker(s)} asked; {_stable(s)} serves everything meanwhile"


def _reconfigured(s: Situation) -> str:
    """
    Which ConfigMaps hold something else than in the cycle before.
    """
    before = {one.config_map: one.hash for one in s.deployment.status.config}
    changed = [name for name, seen in s.deployment.contents.items() if before.get(name, seen) != seen]
    return f", since the content of ConfigMap {' and '.join(changed)} changed" if changed else ""


def _other(s: Situation, reason: Reason) -> str:
    """
    What is found of another candidate, in the words in which it would be said of the run's own.
    """
    one = found(s, reason)
    return f"{one.other.name}: {MESSAGES[one.reason](one.situation)}" if one is not None else "another candidate"


def _others(s: Situation) -> str:
    """
    What became of the other candidates of the run.
    """
    told = ", ".join(f"{other.name} {other.outcome}" for other in s.status.others)
    return f"; the other candidates: {told}" if told else ""


MESSAGES: Final[Mapping[Reason, Callable[[Situation], str]]] = {
    Reason.NEW_REVISION: lambda s: (
        f"{_target(s)} is the candidate; {_stable(s)} serves everything meanwhile"
        f"{_reconfigured(s)}{_as_asked(s, Verb.RETRY)}{resumption(s)}"
    ),
    Reason.FIRST_REVISION_READY: lambda s: f"{_candidate(s)} is ready and the first revision: it gets all traffic",
    Reason.CANDIDATE_READY: lambda s: f"{_candidate(s)} is ready: the first step begins",
    Reason.STEP_PASSED: lambda s: f"{_step(s)} passed: {_counts(s)}",
    Reason.ALL_STEPS_PASSED: lambda s: (
        f"{_step(s)}, the last one, passed: {_candidate(s)} is being promoted{_others(s)}"
    ),
    Reason.PROMOTED: lambda s: f"{_candidate(s)} serves everything",
    Reason.ABORT_REQUESTED: lambda s: (
        f"{_candidate(s)} was aborted by {_asker(s) if granted(s, Verb.ABORT, Verb.UNDO) else 'annotation'}; "
        f"{_stable(s)} takes over"
    ),
    Reason.ANALYSIS_FAILED: lambda s: (
        f"{_candidate(s)} is worse than allowed{_culprits(s)} at {_step(s)}: {_counts(s)}{_alone(s)}"
    ),
    Reason.CANDIDATE_CRASH_LOOPING: lambda s: f"{_candidate(s)} keeps crashing: {_crashing(s)}",
    Reason.CANDIDATE_OUT_OF_MEMORY: lambda s: f"{_candidate(s)} ran out of memory: {_out_of_memory(s)}",
    Reason.CANDIDATE_UNHEALTHY: lambda s: (
        f"{_candidate(s)} had too few ready pods for {s.spec.analysis.guardrails.not_ready_for}"
    ),
    Reason.PROGRESS_DEADLINE_EXCEEDED: lambda s: (
        f"{_candidate(s)}: {waited_for(s)} for longer than {s.spec.strategy.progress_deadline}"
    ),
    Reason.SMOKE_FAILED: lambda s: f"{_candidate(s)} failed its smoke requests: {smoke_findings(s)}",
    Reason.SUPERSEDED: lambda s: (
        f"{_candidate(s)} is superseded by {_target(s)}{_reconfigured(s)}: it is taken out of traffic first"
    ),
    Reason.ANALYSIS_INCONCLUSIVE: lambda s: (
        f"{_step(s)}: no sufficient evidence within its deadline: {_counts(s)}; "
        + (
            "the spec asks to roll back then"
            if inconclusive_rolls_back(s)
            else "a new revision, an abort or a retry goes on from here"
        )
    ),
    Reason.METRICS_UNAVAILABLE: lambda s: (
        f"{_step(s)}: metrics were missing at its deadline ({_missing(s)}); "
        + ("the spec asks to roll back then" if no_data_rolls_back(s) else "goes on when they are back")
    ),
    Reason.ADVANCED_UNCERTIFIED: lambda s: (
        f"{_step(s)}: no sufficient evidence within its deadline of {_uncertified(s)}, and the spec asks to go on: "
        f"{_counts(s)}"
    ),
    Reason.ROUTE_CONFLICT: lambda s: (
        f"{_step(s)}: the route is also written by {s.observed.route.contested_by}; goes on when it is not"
    ),
    Reason.COMPARATOR_NOT_READY: lambda s: (
        f"{_step(s)}: its comparator had no ready endpoint for {s.spec.strategy.progress_deadline}; goes on when it has"
    ),
    Reason.RESUMED: lambda s: (
        f"{_step(s)} goes on with the evidence it has{_as_asked(s, Verb.RESUME)}"
        if s.status.step
        else f"{_candidate(s)} goes on: what was waited for is not needed any more"
    ),
    Reason.PAUSED_BY_REQUEST: lambda s: (
        f"{_step(s)} is paused, as {_asker(s)} asked; goes on when somebody asks for it"
    ),
    Reason.PROMOTED_BY_REQUEST: _promoted_by_request,
    Reason.APPROVAL_NEEDED: _approval_needed,
    Reason.APPROVED: lambda s: f"{_ahead(s)} was approved by {_asker(s)}: {_counts(s)}",
    Reason.REJECTED_BY_REQUEST: lambda s: (
        f"{_ahead(s)} was not approved: {_candidate(s)} was rejected by {_asker(s)}: {_counts(s)}"
    ),
    Reason.UNDO_REQUESTED: _undo,
    Reason.RESTART_REQUESTED: lambda s: f"the pods of {_stable(s)} are replaced one by one, as {_asker(s)} asked",
    Reason.ACTION_REFUSED: _refused,
    Reason.ROLLED_BACK: lambda s: f"{_target(s)} stays rejected; {_stable(s)} serves everything{_unconfirmed(s)}",
    Reason.SHADOW_REPORTED: lambda s: (
        f"the shadow run of {_candidate(s)} passed: {_counts(s)}{_others(s)}"
        if s.candidate is not None and s.status.phase is Phase.PROGRESSING
        else f"the shadow run of {_target(s)} is over, its report is in the history; {_stable(s)} serves everything"
    ),
    Reason.OTHER_HARMFUL: lambda s: _other(s, Reason.OTHER_HARMFUL),
    Reason.OTHER_FAILED: lambda s: _other(s, Reason.OTHER_FAILED),
    Reason.OTHER_PASSED: lambda s: _other(s, Reason.OTHER_PASSED),
    Reason.REVERTED: lambda s: f"{_stable(s)} serves everything, as the spec says{_unconfirmed(s)}",
}


def _unconfirmed(s: Situation) -> str:
    deadline = s.spec.strategy.progress_deadline
    return f", which the gateway did not confirm within {deadline}" if unconfirmed(s) else ""


def _uncertified(s: Situation) -> str:
    return ", ".join(v.name for v in s.status.verdicts if v.verdict is not VerdictName.PASSED) or "any metric"


def _missing(s: Situation) -> str:
    gone = [v for v in s.status.verdicts if v.verdict in {VerdictName.NO_DATA, VerdictName.UNAVAILABLE}]
    return "; ".join(f"{v.name}: {v.message}" for v in gone)


def message(reason: Reason, s: Situation) -> str:
    """
    The sentence for a transition.
    """
    return MESSAGES[reason](s)[:1024]
