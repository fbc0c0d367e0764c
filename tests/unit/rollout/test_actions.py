"""
What people ask for: what can be done where, what is said otherwise, and that each request is answered once.
"""

from typing import Any

import pytest
from fakes.rollout import NO_ROUTE, NOW, ago, answered, arm, arms, asking, rejection, rev, route, situation, step, world

from modelramp.api.action import ActionOutcome, Verb
from modelramp.api.names import ANNOTATION_ACTION, ANNOTATION_RETRY
from modelramp.api.status import ActionStatus
from modelramp.api.vocabulary import Phase, Reason
from modelramp.rollout import actions
from modelramp.rollout.assess import assess
from modelramp.rollout.decide import decide

EXPOSED = {Phase.PROGRESSING, Phase.PAUSED}
DOABLE = {
    Verb.PAUSE: EXPOSED,
    Verb.RESUME: {Phase.PAUSED},
    Verb.PROMOTE: EXPOSED,
    Verb.PROMOTE_FULL: EXPOSED,
    Verb.ABORT: EXPOSED | {Phase.PREPARING, Phase.PROMOTING},
    Verb.RETRY: {Phase.FAILED, Phase.REPORTED},
    Verb.UNDO: EXPOSED | {Phase.PREPARING, Phase.PROMOTING},
    **{verb: set[Phase]() for verb in (Verb.APPROVE, Verb.REJECT, Verb.RESTART)},
}


@pytest.mark.parametrize("verb", Verb, ids=str)
@pytest.mark.parametrize("phase", Phase, ids=str)
def test_each_verb_is_done_in_its_phases_and_refused_in_all_others(phase: Phase, verb: Verb) -> None:
    """
    Never ignored: every pair has its answer in the very next cycle, and the same request has no second one.
    """
    asked = world(phase, annotations=asking(str(verb)))
    plan = decide(*asked, NOW)
    done = plan.status.action
    assert done is not None
    assert (done.id, done.verb, done.revision, done.by, done.at) == ("r-1", verb, rev("2"), "ada", NOW)
    assert done.outcome is (ActionOutcome.DONE if phase in DOABLE[verb] else ActionOutcome.REFUSED)
    assert done.message == plan.because.message
    assert "ada" in done.message
    if done.outcome is ActionOutcome.REFUSED:
        status = asked.deployment.status
        now = (plan.status.phase, plan.status.phase_since, plan.status.reason, plan.status.message)
        assert now == (status.phase, status.phase_since, status.reason, status.message)
    after = decide(world(phase, annotations=asking(str(verb)), remembered={"action": done}).deployment, asked[1], NOW)
    assert (after.because.rule, after.status.action) == (None, done)


@pytest.mark.parametrize(
    ("phase", "changes", "expected"),
    [
        (Phase.PROGRESSING, {}, None),
        (Phase.PROGRESSING, {"annotations": asking("pause", "3")},
         f"it is meant for revision {rev('3')}, and the candidate is {rev('2')}"),
        (Phase.STABLE, {"annotations": asking("abort")}, "no rollout is in flight"),
        (Phase.PREPARING, {"annotations": asking("pause")}, "no step is in progress while the rollout is Preparing"),
        (Phase.PROMOTING, {"annotations": asking("promote")}, "no step is in progress while the rollout is Promoting"),
        (Phase.PAUSED, {"annotations": asking("pause"), "remembered": {"reason": Reason.PAUSED_BY_REQUEST}},
         "it is paused by request already"),
        (Phase.PROGRESSING, {"annotations": asking("resume")}, "the rollout is not paused but Progressing"),
        (Phase.ROLLING_BACK, {"annotations": asking("abort")}, "the candidate is being rolled back already"),
        (Phase.PROMOTING, {"annotations": asking("abort"), "remembered": {"stable": None}},
         "there is no stable revision to return to"),
        (Phase.PREPARING, {"annotations": asking("abort"), "remembered": {"stable": None}}, None),
        (Phase.PAUSED, {"annotations": asking("promote"), "route": route({"1": "95", "2": "5"}, contested_by="flux")},
         "the route is also written by flux"),
        (Phase.PAUSED, {"annotations": asking("promote"), "arms": arms(arm("1", ready=0), arm("2"))},
         "the stable revision has no ready endpoint"),
        (Phase.PAUSED, {"annotations": asking("promote-full"), "arms": arms(arm("1", ready=0), arm("2"))}, None),
        (Phase.PAUSED, {"annotations": asking("promote-full"), "arms": arms(arm("1", ready=0), arm("2", ready=0))},
         "the stable revision has no ready endpoint"),
        (Phase.PAUSED, {"annotations": asking("promote-full"), "arms": arms(arm("1", ready=0), arm("2")),
                        "route": route({"1": "95", "2": "5"}, contested_by="flux")},
         "the route is also written by flux"),
        (Phase.PAUSED, {"annotations": asking("promote"), "route": NO_ROUTE}, "the step's traffic is not in place"),
        (Phase.PAUSED, {"annotations": asking("promote"), "arms": arms(arm("1"), arm("2", ready=0))},
         "the step's traffic is not in place"),
        (Phase.FAILED, {"annotations": asking("retry", "3")},
         f"it is meant for revision {rev('3')}, and the spec names {rev('2')}"),
        (Phase.FAILED, {"annotations": asking("retry"), "remembered": {"rejected": ()}},
         "the revision was not rejected: the rollout is Failed"),
        (Phase.STABLE, {"annotations": asking("retry"), "version": "2", "remembered": {"rejected": (rejection("2"),)}},
         "the revision was not rejected: the rollout is Stable"),
        (Phase.STABLE, {"annotations": {ANNOTATION_ACTION: "abort!"}},
         "it is not a JSON object: Invalid JSON: expected value at line 1 column 1"),
    ],
    ids=[
        "nothing asked", "another revision", "no candidate", "too early to pause", "too late to promote",
        "paused twice", "not paused", "rolling back", "nothing to return to", "nothing routed yet", "a contested route",
        "stable does not serve", "only the candidate serves", "nobody serves", "only the candidate, contested",
        "no route", "candidate not ready", "another rejected", "forgiven", "not yet failed", "unreadable",
    ],
)  # fmt: skip
def test_what_stands_in_the_way(phase: Phase, changes: dict[str, Any], expected: str | None) -> None:
    """
    In words for whoever asked.
    """
    s = situation(phase, **changes)
    assert actions.obstacle(s) == expected
    assert actions.action_refused(s) is (expected is not None)


def test_an_unreadable_request_is_remembered_without_what_could_not_be_read() -> None:
    """
    Its id alone, and what is wrong with it.
    """
    plan = decide(*world(Phase.PROGRESSING, annotations=asking("explode")), NOW)
    told = plan.status.action
    assert told is not None
    assert told.message.startswith("the request is refused: verb: Input should be")
    assert told == ActionStatus(id="r-1", at=NOW, outcome=ActionOutcome.REFUSED, message=told.message)


def test_safety_comes_before_a_request_and_the_request_is_answered_next() -> None:
    """
    A crash loop rolls back although somebody asks for promotion in the same cycle; then that is refused.
    """
    crashing = arms(arm("1"), arm("2", crash_looping="container m restarted 5 times"))
    asked = world(Phase.PROGRESSING, annotations=asking("promote-full"), arms=crashing)
    first = decide(*asked, NOW)
    assert (first.because.rule, first.status.action) == ("candidate_crash_looping", None)
    rolling = world(
        Phase.ROLLING_BACK, annotations=asking("promote-full"), remembered={"action": answered("r-0")}, arms=crashing
    )
    second = decide(*rolling, NOW).status.action
    assert second is not None
    assert (second.id, second.outcome) == ("r-1", ActionOutcome.REFUSED)


@pytest.mark.parametrize(
    ("reason", "expected"),
    [(Reason.PAUSED_BY_REQUEST, NOW), (Reason.ROUTE_CONFLICT, None)],
    ids=["by request", "by conflict"],
)
def test_evidence_begins_during_a_pause_by_request(reason: Reason, expected: object) -> None:
    """
    Traffic that comes into place then is judged too, or a harmful candidate would serve unwatched.
    """
    asked = world(Phase.PAUSED, remembered={"reason": reason, "step": step(in_place_since=None)})
    found = assess(*asked, NOW).status.step
    assert found is not None
    assert found.in_place_since == expected


def test_nothing_but_a_human_resumes_a_pause_by_request() -> None:
    """
    Not a deadline, not a route that is ours; the retry annotation is a human's too.
    """
    long_ago = {"reason": Reason.PAUSED_BY_REQUEST, "step": step(entered_at=ago(10**6))}
    assert decide(*world(Phase.PAUSED, remembered=long_ago), NOW).because.rule is None
    retried = decide(*world(Phase.PAUSED, remembered=long_ago, annotations={ANNOTATION_RETRY: "once"}), NOW)
    assert retried.because.rule == "pause_lifted"
