"""
What is said for each reason, in one place.
"""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Final, assert_never

from modelramp.analysis.tailplan import OverThreshold, QuantileGrowth, QuantileLimit
from modelramp.api.action import ActionRequest, Verb
from modelramp.api.status import VerdictName, VerdictStatus
from modelramp.api.vocabulary import Phase, Reason
from modelramp.rollout.actions import granted, obstacle
from modelramp.rollout.draining import DRAINING, NOBODY_TO_TAKE_OVER, why_it_began
from modelramp.rollout.guards import (
    candidate_ready,
    certified,
    soaked,
    split_mismatched,
    stable_serves,
    traffic_in_place,
    unconfirmed,
)
from modelramp.rollout.needs import question_of
from modelramp.rollout.numbers import count_text, duration_text
from modelramp.rollout.overdue import inconclusive_rolls_back, no_data_rolls_back
from modelramp.rollout.situation import SETTLE, Situation
from modelramp.rollout.strategy import course_of


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
    evidence = f"harm evidence {v.harm}, not-worse evidence {v.evidence}"
    if metric is not None and metric.gauge is not None:
        return f"{v.name}: {evidence}"
    if metric is not None and not metric.is_rate:
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
        return f"step {step.display}, the preview,"
    if step.mirror is not None:
        return f"step {step.display} with {step.mirror} of requests copied"
    return f"step {step.display} at {s.step_percent.normalize():f}%"


def _given(s: Situation) -> str:
    """
    What the route is to give the candidate.
    """
    step = s.status.step
    if step is not None and step.mirror is not None:
        return f"copies of {step.mirror} of requests"
    return "its preview" if step is not None and step.preview else f"{s.step_percent.normalize():f}%"


def _culprits(s: Situation) -> str:
    return f" in {' and '.join(s.culprits)}" if s.culprits else f" in {' or '.join(s.suspects) or 'all together'}"


def _crashing(s: Situation) -> str:
    return (s.candidate_arm.crash_looping or "") if s.candidate_arm else ""


def _out_of_memory(s: Situation) -> str:
    return (s.candidate_arm.out_of_memory or "") if s.candidate_arm else ""


MESSAGES: Final[Mapping[Reason, Callable[[Situation], str]]] = {
    Reason.NEW_REVISION: lambda s: (
        f"{_target(s)} is the candidate; {_stable(s)} serves everything meanwhile{_as_asked(s, Verb.RETRY)}"
    ),
    Reason.FIRST_REVISION_READY: lambda s: f"{_candidate(s)} is ready and the first revision: it gets all traffic",
    Reason.CANDIDATE_READY: lambda s: f"{_candidate(s)} is ready: the first step begins",
    Reason.STEP_PASSED: lambda s: f"{_step(s)} passed: {_counts(s)}",
    Reason.ALL_STEPS_PASSED: lambda s: f"{_step(s)}, the last one, passed: {_candidate(s)} is being promoted",
    Reason.PROMOTED: lambda s: f"{_candidate(s)} serves everything",
    Reason.ABORT_REQUESTED: lambda s: (
        f"{_candidate(s)} was aborted by {_asker(s) if granted(s, Verb.ABORT) else 'annotation'}; "
        f"{_stable(s)} takes over"
    ),
    Reason.ANALYSIS_FAILED: lambda s: (
        f"{_candidate(s)} is worse than allowed{_culprits(s)} at {_step(s)}: {_counts(s)}"
    ),
    Reason.CANDIDATE_CRASH_LOOPING: lambda s: f"{_candidate(s)} keeps crashing: {_crashing(s)}",
    Reason.CANDIDATE_OUT_OF_MEMORY: lambda s: f"{_candidate(s)} ran out of memory: {_out_of_memory(s)}",
    Reason.CANDIDATE_UNHEALTHY: lambda s: (
        f"{_candidate(s)} had too few ready pods for {s.spec.analysis.guardrails.not_ready_for}"
    ),
    Reason.PROGRESS_DEADLINE_EXCEEDED: lambda s: (
        f"{_candidate(s)}: {_waiting(s)} for longer than {s.spec.strategy.progress_deadline}"
    ),
    Reason.SUPERSEDED: lambda s: f"{_candidate(s)} is superseded by {_target(s)}: it is taken out of traffic first",
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
    Reason.RESUMED: lambda s: f"{_step(s)} goes on with the evidence it has{_as_asked(s, Verb.RESUME)}",
    Reason.PAUSED_BY_REQUEST: lambda s: (
        f"{_step(s)} is paused, as {_asker(s)} asked; goes on when somebody asks for it"
    ),
    Reason.PROMOTED_BY_REQUEST: _promoted_by_request,
    Reason.ACTION_REFUSED: _refused,
    Reason.ROLLED_BACK: lambda s: f"{_target(s)} stays rejected; {_stable(s)} serves everything{_unconfirmed(s)}",
    Reason.SHADOW_REPORTED: lambda s: (
        f"the shadow run of {_candidate(s)} passed: {_counts(s)}"
        if s.candidate is not None and s.status.phase is Phase.PROGRESSING
        else f"the shadow run of {_target(s)} is over, its report is in the history; {_stable(s)} serves everything"
    ),
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


def _collecting(s: Situation, verdict: VerdictStatus) -> str:
    if verdict.verdict in {VerdictName.NO_DATA, VerdictName.UNAVAILABLE}:
        return f"{verdict.name}: {verdict.message}"
    left = (
        "" if verdict.seconds_left is None else f", about {duration_text(verdict.seconds_left)} more at present traffic"
    )
    hint = f" ({verdict.message})" if verdict.message else ""
    return f"{verdict.name}: evidence {verdict.evidence} that {_claim(s, verdict.name)}{left}{hint}"


def _claim(s: Situation, name: str) -> str:
    """
    What has to be shown of a metric in this step.
    """
    metric, share = s.metric(name), s.step.next_share if s.step else None
    if metric is None or share is None:
        return "its margin is kept"
    margin = f"1.25 x stable + {course_of(s.spec).blast_radius.percent / 100 / Decimal(str(share)):.2%}"
    if metric.against is not None:
        return f"the rate is below 1.5 x {metric.against.limit}"
    match question_of(metric):
        case OverThreshold(seconds):
            return f"the share of calls over {seconds:g} s is below {margin}"
        case QuantileGrowth(quantile, growth):
            return f"quantile {quantile:g} grows by less than {growth:.0%}"
        case QuantileLimit(quantile, seconds):
            return f"quantile {quantile:g} is below {seconds:g} s"
        case None:
            gauge = f"the gauge is above stable's by less than {metric.growth:.0%}"
            return f"the rate is below {margin}" if metric.gauge is None else gauge
        case unknown:
            assert_never(unknown)


def _gateway(s: Situation, awaited: str) -> str:
    """
    What the gateway is waited for, and what keeps it, as far as it says.
    """
    why = f": {s.observed.route.message}" if s.observed.route.message else ""
    return f"waiting for the gateway to {awaited}{why}"


def _waiting_in_step(s: Situation) -> str:
    if not traffic_in_place(s):
        return _gateway(s, f"give the candidate {_given(s)}")
    if split_mismatched(s):
        return "holding: the counted share of requests contradicts the route's weights"
    open_metrics = [v for v in s.status.verdicts if v.verdict is not VerdictName.PASSED]
    if open_metrics and s.step is not None and s.step.next_share is not None:
        return "; ".join(_collecting(s, verdict) for verdict in open_metrics)
    if certified(s) and not soaked(s) and s.step is not None:
        return f"certified; soaking for {duration_text(max(s.step.soak, SETTLE).total_seconds())}"
    return "waiting for the first counts of the step"


def _waiting(s: Situation) -> str:
    match s.status.phase:
        case Phase.PREPARING if not candidate_ready(s):
            arm = s.candidate_arm
            ready = f"{arm.ready if arm else 0} of {s.spec.serving.replicas} pods ready"
            cold = s.status.candidate is not None and not s.status.candidate.warm
            failed = (
                f"; warm-up: {s.observed.warm_up.message}" if s.observed.warm_up and s.observed.warm_up.message else ""
            )
            return f"waiting for the candidate: {ready}{', not warm yet' if cold else ''}{failed}"
        case Phase.PREPARING:
            return _gateway(s, "list the candidate")
        case Phase.PROGRESSING:
            return _waiting_in_step(s)
        case Phase.PROMOTING:
            return _gateway(s, "give the candidate everything")
        case Phase.ROLLING_BACK:
            waits_for = DRAINING if s.stable is None or stable_serves(s) else NOBODY_TO_TAKE_OVER
            return why_it_began(s.status.message) + waits_for
        case _:
            return s.status.message


def waiting_message(s: Situation) -> str:
    """
    What is waited for while nothing changes; what the API server refused comes first.
    """
    refused = f"refused by the API server: {s.observed.refused}" if s.observed.refused else ""
    return (refused or s.impossible or _waiting(s))[:1024]


def message(reason: Reason, s: Situation) -> str:
    """
    The sentence for a transition.
    """
    return MESSAGES[reason](s)[:1024]
