"""
Degrees of automation: who decides what, and what becomes of a row that nobody may decide by itself.
"""

from dataclasses import replace
from typing import Any

import pytest
from fakes.rollout import (
    NO_ROUTE,
    NOW,
    World,
    ago,
    arm,
    arms,
    asking,
    candidate,
    kept,
    metric_evidence,
    percents,
    recommendation,
    route,
    situation,
    step,
    verdict,
    waiting_for_approval,
    world,
)

from modelramp.api.action import Verb
from modelramp.api.scalars import Share
from modelramp.api.status import VerdictName
from modelramp.api.vocabulary import Degree, Phase, Reason
from modelramp.rollout import approval
from modelramp.rollout.actions import obstacle
from modelramp.rollout.approval import ahead, needs_approval
from modelramp.rollout.decide import LONGEST_SLEEP, decide
from modelramp.rollout.needs import needs
from modelramp.rollout.recommend import recommend_approval

BACK = route({"1": "100", "2": "0"})
PASSED = (verdict(VerdictName.PASSED),)
CERTAIN: dict[str, Any] = {"remembered": {"verdicts": PASSED}}
CRASHING = arms(arm("1"), arm("2", crash_looping="container m restarted 5 times"))
HEADER = {"header": "x-model-cohort", "value": "candidate"}


def under(degree: str, **sections: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    """
    The sections of a spec under a degree.
    """
    return {"automation": {"degree": degree}, **sections}


def canary(*shares: str, **changes: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    """
    A strategy of these steps.
    """
    return {"strategy": {"canary": {"steps": [{"traffic": share} for share in shares], **changes}}}


def asked_at(strategy: dict[str, Any], degree: str, at: dict[str, Any]) -> bool:
    """
    Whether what follows the place needs an approval.
    """
    return needs_approval(situation(Phase.PROGRESSING, sections=under(degree, **strategy), **at))


BEFORE: dict[str, Any] = {"remembered": {"step": None}}
MIRRORED: dict[str, Any] = {"remembered": {"step": step("0", mirror=Share("100%"))}}
PREVIEWED: dict[str, Any] = {"remembered": {"step": step("0", preview=True)}}
AT_5: dict[str, Any] = {"remembered": {"step": step("5")}}
AT_25: dict[str, Any] = {"remembered": {"step": step("25")}}
AT_100: dict[str, Any] = {"remembered": {"step": step("100")}}
STEPS = canary("5%", "25%", "50%", "100%")
SHADOWED = canary("5%", "100%", shadow={})
SWITCH = {"strategy": {"blueGreen": {"preview": HEADER}}}
HOSTED_SWITCH = {"strategy": {"blueGreen": {"preview": {"hostname": "preview.example.com"}}}}
PLAIN_SWITCH: dict[str, Any] = {"strategy": {"blueGreen": {}}}
MIRROR_ONLY = {"strategy": {"shadow": {"onPassed": "Promote"}}}


@pytest.mark.parametrize(
    ("strategy", "at", "asking_degrees"),
    [
        (STEPS, BEFORE, "HumanOnly Shadow Assist"),
        (STEPS, AT_5, "HumanOnly Shadow Assist"),
        (STEPS, AT_25, "HumanOnly Shadow Assist Partial"),
        (STEPS, AT_100, ""),
        (canary("5%", "25%"), AT_25, "HumanOnly Shadow Assist Partial"),
        (SHADOWED, BEFORE, "HumanOnly"),
        (SHADOWED, MIRRORED, "HumanOnly Shadow Assist"),
        (SWITCH, BEFORE, "HumanOnly Shadow"),
        (HOSTED_SWITCH, BEFORE, "HumanOnly Shadow"),
        (PLAIN_SWITCH, BEFORE, "HumanOnly"),
        (SWITCH, PREVIEWED, "HumanOnly Shadow Assist Partial"),
        (MIRROR_ONLY, BEFORE, "HumanOnly"),
        (MIRROR_ONLY, MIRRORED, "HumanOnly Shadow Assist Partial"),
    ],
    ids=[
        "first share", "25 %", "50 %", "promotion from 100 %", "promotion from 25 %", "copies", "5 % after copies",
        "preview by a header", "preview by a host", "preview without one", "the switch", "copies only",
        "promotion after copies",
    ],
)  # fmt: skip
def test_which_degree_asks_for_what(strategy: dict[str, Any], at: dict[str, Any], asking_degrees: str) -> None:
    """
    Degrees by what follows.
    """
    assert [d for d in Degree if asked_at(strategy, d, at)] == [d for d in Degree if d in asking_degrees.split()]


def test_a_share_of_ones_own_is_where_partial_begins_to_ask() -> None:
    """
    Up to the share, the share included.
    """
    upto = {**STEPS, "automation": {"degree": "Partial", "autoUpTo": "50%"}}
    assert [needs_approval(situation(Phase.PROGRESSING, sections=upto, **at)) for at in (AT_5, AT_25)] == [False, False]
    less = {**STEPS, "automation": {"degree": "Partial", "autoUpTo": "4.99%"}}
    assert needs_approval(situation(Phase.PREPARING, sections=less)) is True


@pytest.mark.parametrize(("degree", "expected"), list(zip(Degree, (True, True, True, False, False), strict=True)))
def test_a_first_revision_is_asked_for_too(degree: Degree, expected: bool) -> None:  # noqa: FBT001 - a parameter of a test
    """
    Not under Partial: it takes traffic from nobody.
    """
    first = {"remembered": {"stable": None}, "arms": arms(arm("2")), "route": NO_ROUTE}
    assert needs_approval(situation(Phase.PREPARING, sections=under(degree), **first)) is expected


def test_a_step_that_requires_it_is_asked_for_in_every_degree() -> None:
    """
    Whatever the degree; and nothing is asked without a candidate.
    """
    steps = [{"traffic": "5%"}, {"traffic": "25%", "approval": "Required"}]
    required = {"strategy": {"canary": {"steps": steps}}}
    assert [d for d in Degree if asked_at(required, d, AT_5)] == list(Degree)
    assert asked_at(required, "Full", BEFORE) is False
    assert needs_approval(situation(Phase.STABLE, sections=under("HumanOnly"))) is False


def test_the_promotion_is_counted_after_the_last_step() -> None:
    """
    Number and share of what follows.
    """
    found = [ahead(situation(Phase.PROGRESSING, **at))[:2] for at in (BEFORE, AT_25, AT_100)]
    assert found == [(1, 5), (3, 50), (5, 100)]


def test_an_approval_is_asked_for_instead_of_going_on() -> None:
    """
    Paused, with what is recommended and why; the share stays.
    """
    plan = decide(*world(Phase.PROGRESSING, sections=under("Assist"), **CERTAIN), NOW)
    said = plan.status.recommendation
    assert (plan.because.rule, plan.because.reason, plan.status.phase) == (
        "step_passed", Reason.APPROVAL_NEEDED, Phase.PAUSED,
    )  # fmt: skip
    assert said is not None
    assert (said.verb, said.step, said.share, said.at) == (Verb.APPROVE, 2, "25%", NOW)
    assert said.message == plan.status.message == plan.because.message
    assert said.message.startswith("step 2/4 at 25% is recommended and goes on when somebody approves it: step 1/4")
    assert (plan.effects, plan.status.step and plan.status.step.traffic) == ((), "5%")


def test_the_same_is_not_recommended_twice_and_wakes_seldom() -> None:
    """
    A pause before the first step does not poll: whoever answers wakes the operator.
    """
    asked = world(Phase.PAUSED, remembered=waiting_for_approval(), route=BACK, sections=under("Assist"))
    plan = decide(*asked, NOW)
    assert (plan.because.rule, plan.status.recommendation) == (None, recommendation())
    assert plan.wake_at == NOW + LONGEST_SLEEP


@pytest.mark.parametrize("degree", [d for d in Degree if d is not Degree.HUMAN_ONLY], ids=str)
def test_harm_rolls_back_while_an_approval_is_waited_for(degree: Degree) -> None:
    """
    In every degree but HumanOnly.
    """
    bad = {"evidence": (kept(metric_evidence(harm=5.0)),), "step": step(), "verdicts": PASSED}
    plan = decide(*world(Phase.PAUSED, remembered=waiting_for_approval(2, "25%", **bad), sections=under(degree)), NOW)
    assert (plan.status.phase, plan.status.recommendation) == (Phase.ROLLING_BACK, None)


HARM = {"evidence": (kept(metric_evidence(harm=5.0)),)}
LATE = {"candidate": candidate(since=ago(600))}
SLOW_ROUTE = {"step": step(entered_at=ago(600), in_place_since=None)}
NO_DATA = {"step": step(entered_at=ago(3600)), "verdicts": (verdict(VerdictName.NO_DATA, message="no series"),)}
BY_DEADLINE = {"onNoData": "Rollback", "onInconclusive": "Rollback"}


@pytest.mark.parametrize(
    ("asked", "rule", "to"),
    [
        (world(Phase.PROGRESSING, remembered=HARM, sections=under("HumanOnly")), "analysis_failed", Phase.PAUSED),
        (world(Phase.PAUSED, remembered=HARM, sections=under("HumanOnly")), "analysis_failed", Phase.PAUSED),
        (world(Phase.PREPARING, arms=CRASHING, sections=under("HumanOnly")), "candidate_crash_looping", Phase.PAUSED),
        (world(Phase.PROMOTING, arms=CRASHING, sections=under("HumanOnly")),
         "candidate_crash_looping", Phase.PROMOTING),
        (world(Phase.PREPARING, remembered=LATE, sections=under("HumanOnly")), "preparation_overdue", Phase.PAUSED),
        (world(Phase.PROGRESSING, remembered=SLOW_ROUTE, route=BACK, sections=under("HumanOnly")),
         "route_overdue", Phase.PAUSED),
        (world(Phase.PROGRESSING, remembered=NO_DATA, sections=under("HumanOnly", analysis=BY_DEADLINE)),
         "no_data_rolls_back", Phase.PAUSED),
    ],
    ids=["harm", "harm in a pause", "crashes", "crashes in the promotion", "not ready", "no route", "no data"],
)  # fmt: skip
def test_human_only_recommends_a_rollback(asked: World, rule: str, to: Phase) -> None:
    """
    Once, with what was found; nothing is taken away, and a promotion that was approved goes on.
    """
    plan = decide(*asked, NOW)
    said = plan.status.recommendation
    assert (plan.because.rule, plan.because.reason, plan.status.phase) == (rule, Reason.ROLLBACK_RECOMMENDED, to)
    assert said is not None
    assert (said.verb, said.step, said.share) == (Verb.ABORT, None, "0%")
    assert said.message.startswith("rollback is recommended, the degree HumanOnly leaves it to people")
    assert plan.because.message == said.message
    assert plan.status.rejected == asked.deployment.status.rejected
    again = replace(asked.deployment, status=plan.status)
    assert decide(again, asked.observed, NOW).because.rule is None


def test_a_pause_by_request_stays_one_when_a_rollback_is_recommended() -> None:
    """
    So nothing goes on by itself when the degree changes: somebody paused it.
    """
    paused = {**HARM, "reason": Reason.PAUSED_BY_REQUEST, "message": "paused"}
    plan = decide(*world(Phase.PAUSED, remembered=paused, sections=under("HumanOnly")), NOW)
    assert (plan.status.phase, plan.status.reason, plan.status.message) == (
        Phase.PAUSED, Reason.PAUSED_BY_REQUEST, "paused",
    )  # fmt: skip
    assert plan.status.recommendation is not None


def test_people_still_abort_and_supersede_under_human_only() -> None:
    """
    What somebody asks for, or applies, is done.
    """
    aborted = decide(*world(Phase.PROGRESSING, annotations=asking("abort"), sections=under("HumanOnly")), NOW)
    replaced = decide(*world(Phase.PROGRESSING, version="3", sections=under("HumanOnly")), NOW)
    assert [plan.status.phase for plan in (aborted, replaced)] == [Phase.ROLLING_BACK, Phase.ROLLING_BACK]


RECOMMENDED = {"reason": Reason.ROLLBACK_RECOMMENDED, "recommendation": recommendation(Verb.ABORT, step=None)}


@pytest.mark.parametrize(
    ("remembered", "seen", "degree", "rule"),
    [
        (RECOMMENDED, {}, "HumanOnly", None),
        (RECOMMENDED, {}, "Full", "recommendation_void"),
        ({**RECOMMENDED, "step": None}, {}, "Full", "recommendation_void_before_traffic"),
        ({**RECOMMENDED, "step": None}, {"route": BACK}, "HumanOnly", "recommendation_void_before_traffic"),
        ({**RECOMMENDED, "step": None}, {"route": BACK, "arms": CRASHING}, "HumanOnly", None),
        ({**RECOMMENDED, "step": None}, {}, "HumanOnly", None),
    ],
    ids=["stays", "decided anew", "prepared anew", "ready after all", "ready but crashing", "not ready"],
)
def test_a_recommended_rollback_stands_until_it_is_not_left_to_people(
    remembered: dict[str, Any], seen: dict[str, Any], degree: str, rule: str | None
) -> None:
    """
    Before any traffic it also ends when the candidate is ready and sound after all: what follows is asked for anyway.
    """
    assert decide(*world(Phase.PAUSED, remembered=remembered, sections=under(degree), **seen), NOW).because.rule == rule


def test_a_candidate_that_is_late_is_still_warmed_up() -> None:
    """
    Else it could never be ready after all.
    """
    remembered = {**RECOMMENDED, "step": None, "candidate": candidate(warm=False)}
    warm_up = {"serving": {"warmUp": {"path": "/"}}}
    found = [
        needs(
            *world(Phase.PAUSED, remembered={**remembered, **at}, sections=under("HumanOnly", **warm_up)), NOW
        ).warm_up
        for at in ({}, {"step": step()})
    ]
    assert [asked is not None for asked in found] == [True, False]


def test_inconclusive_evidence_is_never_put_before_people_as_passed() -> None:
    """
    Where an approval is needed the policy to advance does not apply: it pauses, and people may promote.
    """
    late = {"step": step(entered_at=ago(3600))}
    for degree, rule in (("Full", "inconclusive_advances"), ("Assist", "step_overdue")):
        sections = under(degree, analysis={"onInconclusive": "Advance"})
        plan = decide(*world(Phase.PROGRESSING, remembered=late, sections=sections), NOW)
        assert plan.because.rule == rule


@pytest.mark.parametrize(("on_passed", "rule"), [("Promote", "last_inconclusive_advances"), ("Report", "step_overdue")])
def test_a_run_for_a_report_is_not_promoted_for_want_of_evidence(on_passed: str, rule: str) -> None:
    """
    Users were never to reach it.
    """
    at = step("0", mirror=Share("100%"), entered_at=ago(10**6), in_place_since=ago(10**5))
    remembered = {"step": at, "evidence": (kept(metric_evidence(counts=(500, 0, 500, 0))),)}
    sections = {"strategy": {"shadow": {"onPassed": on_passed}}, "analysis": {"onInconclusive": "Advance"}}
    copied = route({"1": "100", "2": "0"}, mirrors=percents({"2": "100"}))
    assert (
        decide(*world(Phase.PROGRESSING, remembered=remembered, route=copied, sections=sections), NOW).because.rule
        == rule
    )


IN_STEP = waiting_for_approval(2, "25%", step=step(), verdicts=PASSED)
BEFORE_STEPS = waiting_for_approval()
WAITS = "it waits for an approval: approve or reject it"
NO_STEP = "no step has begun: the candidate waits to be given its first traffic"


@pytest.mark.parametrize(
    ("verb", "remembered", "seen", "expected"),
    [
        ("approve", IN_STEP, {}, None),
        ("approve", {}, {}, "no approval is waited for: the rollout is Paused, AnalysisInconclusive"),
        ("reject", {}, {}, "no approval is waited for: the rollout is Paused, AnalysisInconclusive"),
        ("approve", {**IN_STEP, "recommendation": None}, {},
         "no approval is waited for: the rollout is Paused, ApprovalNeeded"),
        ("reject", waiting_for_approval(3, "50%", step=step()), {},
         "it is meant for step 2, and step 3 waits for an answer"),
        ("approve", IN_STEP, {"route": route({"1": "95", "2": "5"}, contested_by="flux")},
         "the route is also written by flux"),
        ("approve", IN_STEP, {"arms": arms(arm("1", ready=0), arm("2"))}, "the stable revision has no ready endpoint"),
        ("approve", IN_STEP, {"route": BACK}, "the step's traffic is not in place"),
        ("approve", {**IN_STEP, "verdicts": (verdict(),)}, {},
         "the evidence does not certify what follows any more"),
        ("pause", IN_STEP, {}, None),
        ("resume", IN_STEP, {}, WAITS),
        ("promote", IN_STEP, {}, None),
        ("pause", BEFORE_STEPS, {"route": BACK}, NO_STEP),
        ("promote", BEFORE_STEPS, {"route": BACK}, NO_STEP),
        ("resume", {**RECOMMENDED, "step": None}, {}, NO_STEP),
    ],
)  # fmt: skip
def test_what_stands_in_the_way_of_an_answer(
    verb: str, remembered: dict[str, Any], seen: dict[str, Any], expected: str | None
) -> None:
    """
    In words for whoever asked.
    """
    asked = asking(verb, **({"step": 2} if verb in {"approve", "reject"} else {}))
    s = situation(Phase.PAUSED, remembered=remembered, annotations=asked, sections=under("Assist"), **seen)
    assert obstacle(s) == expected


def test_a_first_step_is_approved_only_while_the_candidate_is_listed() -> None:
    """
    It might have lost its pods since.
    """
    s = situation(Phase.PAUSED, remembered=BEFORE_STEPS, annotations=asking("approve"), sections=under("Assist"))
    assert obstacle(s) == "the candidate is not ready and listed in an accepted route"


def test_a_retry_annotation_does_not_begin_what_waits_for_its_first_traffic() -> None:
    """
    It is remembered as seen, so that it does not fire later by surprise.
    """
    asked = world(
        Phase.PAUSED, remembered=BEFORE_STEPS, route=BACK, annotations={"modelramp.io/retry": "once"},
        sections=under("Assist"),
    )  # fmt: skip
    plan = decide(*asked, NOW)
    assert (plan.because.rule, plan.status.retry_seen) == (None, "once")


def test_nothing_is_recommended_of_no_candidate() -> None:
    """
    The memory stays as it is.
    """
    s = situation(Phase.STABLE)
    assert approval.recommendation_outdated(s) is False
    assert recommend_approval(s, Reason.APPROVAL_NEEDED) == s.status
