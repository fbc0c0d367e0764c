"""
The heart: what to remember, what to do, when to look again, and why.

`decide()` is total, synchronous and deterministic. One transition a call; a call on a world that matches its own plan
plans nothing.
"""

from datetime import datetime, timedelta
from typing import Final

from modelramp.api.action import ActionOutcome, ActionRequest, UnreadableRequest
from modelramp.api.document import MLModelDeployment
from modelramp.api.names import LABEL_DEPLOYMENT, LABEL_REVISION
from modelramp.api.status import ActionStatus, Status, VerdictName
from modelramp.api.vocabulary import Phase, Reason
from modelramp.rollout.actions import ANSWERS, obstacle
from modelramp.rollout.assess import assess, forecasts, traffic_status
from modelramp.rollout.beside import OUTCOMES, with_words
from modelramp.rollout.conditions import conditions
from modelramp.rollout.desired import at_rest, candidate_percent, difference, retired
from modelramp.rollout.freeze import frozen_until
from modelramp.rollout.messages import message
from modelramp.rollout.needs import next_counts_at
from modelramp.rollout.observed import Observed
from modelramp.rollout.opening import Opening
from modelramp.rollout.plan import Because, Plan
from modelramp.rollout.recommend import RECOMMENDING
from modelramp.rollout.rules import AT_REST, RULES, Rule, first_match, held_back
from modelramp.rollout.shown import others_shown
from modelramp.rollout.situation import Situation
from modelramp.rollout.strategy import Judged
from modelramp.rollout.waiting import waiting_message

POLL: Final = timedelta(seconds=2)  # while waiting for something that also wakes us when it changes
LONGEST_SLEEP: Final = timedelta(seconds=15)


def _answer(s: Situation, request: ActionRequest | UnreadableRequest, said: str) -> ActionStatus:
    """
    The request as it is remembered, with what was said of it.
    """
    outcome = ActionOutcome.DONE if obstacle(s) is None else ActionOutcome.REFUSED
    shown = {} if isinstance(request, UnreadableRequest) else request.model_dump(exclude={"id"}, exclude_none=True)
    return ActionStatus(id=request.id, at=s.now, outcome=outcome, message=said, **shown)


def _move(s: Situation, rule: Rule) -> Status:
    """
    The memory after the rule: what it remembers, and where it leads.
    """
    remembered = rule.remember(s, rule.because)
    told = remembered.recommendation if rule.because in RECOMMENDING else None
    said = message(rule.because, s) if told is None else told.message
    if s.request is not None and rule.when in ANSWERS:
        remembered = remembered.model_copy(update={"action": _answer(s, s.request, said)})
    if rule.because in OUTCOMES:
        remembered = with_words(remembered, said)
    if rule.to is None:
        return remembered
    moved = remembered.phase is not rule.to
    since = s.now if moved or remembered.phase_since is None else remembered.phase_since
    moved_to = {"phase": rule.to, "phase_since": since, "reason": rule.because, "message": said}
    return remembered.model_copy(update={**moved_to, "recommendation": told})


def _summary(status: Status) -> str | None:
    """
    The metric furthest from being certified; None without verdicts.
    """
    open_first = sorted(
        status.verdicts, key=lambda v: (v.verdict is VerdictName.PASSED, float(v.evidence.split(" ")[0]))
    )
    return open_first[0].evidence.replace(" of ", "/") if open_first else None


def _shown(s: Situation, *, moved: bool) -> Status:
    """
    The status with everything that is shown but never decided on.
    """
    s = s.with_status(s.status.model_copy(update={"verdicts": forecasts(s), "others": others_shown(s)}))
    arm = s.observed.arms.get(s.stable or "")
    labels = f"{LABEL_DEPLOYMENT}={s.deployment.name},{LABEL_REVISION}={s.stable}"
    face = s.status.model_copy(
        update={
            "observed_generation": s.deployment.generation,
            "phase_since": s.status.phase_since or s.now,
            "message": s.status.message if moved else waiting_message(s),
            "evidence_summary": None if s.judged is Judged.NOT_AT_ALL else _summary(s.status),
            "traffic": traffic_status(s, candidate_percent(s)),
            "replicas": arm.pods if arm else 0,
            "selector": labels if s.stable else "",
        }
    )
    return face.model_copy(update={"conditions": conditions(s.with_status(face))})


def _told_in_passing(status: Status, rule: Rule) -> str | None:
    """
    What is said of a row after which phase, reason and message stay.
    """
    if rule.because in RECOMMENDING:
        return status.recommendation.message if status.recommendation else None
    if rule.because in OUTCOMES:
        return status.others[-1].message
    return status.action.message if status.action else None


def wake_at(s: Situation, *, moved: bool) -> datetime | None:
    """
    At once after a transition; soon while something is awaited; never at rest.
    """
    if moved:
        return s.now
    if s.status.phase in AT_REST:
        leaving = any(not at_rest(s, arm) for arm in retired(s)) or s.observed.route.former
        return s.now + POLL if leaving else None
    if s.status.phase is Phase.PREPARING and held_back(s):
        return frozen_until(s)
    return _next_look(s)


def _next_look(s: Situation) -> datetime:
    """
    When something may have changed that wakes nobody.
    """
    if s.status.phase is Phase.PAUSED and s.status.step is None:
        return s.now + LONGEST_SLEEP  # for somebody, who wakes us; and for a candidate that loses its pods
    if any(not isinstance(found, Opening) for found in s.observed.histories.values()):
        return s.now + LONGEST_SLEEP  # long to read; an edit wakes us
    in_place = s.status.step is not None and s.status.step.in_place_since is not None
    if s.status.phase in {Phase.PROGRESSING, Phase.PAUSED} and in_place:
        look = s.now + min(s.spec.analysis.interval.timedelta, LONGEST_SLEEP)
        due = next_counts_at(s)
        return min(s.now + LONGEST_SLEEP, due) if due is not None and due > s.now else look
    return s.now + POLL


def transition(
    deployment: MLModelDeployment, observed: Observed, now: datetime, rules: tuple[Rule, ...] = RULES
) -> tuple[Situation, Rule | None]:
    """
    The situation after at most one rule, and the rule; None: nothing changes. `now` is in whole seconds.

    All of the decision, and nothing of what is shown or done about it.
    """
    before = assess(deployment, observed, now)
    rule = first_match(before, rules)
    return (before if rule is None else before.with_status(_move(before, rule))), rule


def decide(deployment: MLModelDeployment, observed: Observed, now: datetime, rules: tuple[Rule, ...] = RULES) -> Plan:
    """
    Assess what was seen, pick the first rule that holds, and name the difference between wanted and seen.

    `now` is aware UTC. `rules` is the table, an argument so that tests can take rows away.
    """
    now = now.replace(microsecond=0)
    after, rule = transition(deployment, observed, now, rules)
    status = _shown(after, moved=rule is not None)
    answered = _told_in_passing(status, rule) if rule is not None and rule.to is None else None
    because = Because(
        rule=None if rule is None else rule.when.__name__,
        reason=Reason.WAITING if rule is None else rule.because,
        message=answered or status.message,
        came_from=deployment.status.phase,
        went_to=status.phase,
    )
    final = after.with_status(status)
    return Plan(
        status=status, effects=difference(final), wake_at=wake_at(final, moved=rule is not None), because=because
    )
