from dataclasses import replace
from typing import Any

import pytest
from fakes.rollout import (
    ago,
    arm,
    arms,
    block,
    candidate,
    kept,
    metric_evidence,
    route,
    situation,
    step,
    tail_evidence,
    verdict,
)

from modelramp.analysis import Wealth, margins
from modelramp.analysis.slices import SliceEvidence
from modelramp.api.status import ConfigContent, VerdictName
from modelramp.api.vocabulary import Phase, Reason
from modelramp.rollout.account import Account
from modelramp.rollout.draining import DRAINING, NOBODY_TO_TAKE_OVER
from modelramp.rollout.messages import MESSAGES, message
from modelramp.rollout.observed import Acceptance, WarmUpReading
from modelramp.rollout.waiting import waiting_message

BACK = {"1": "100", "2": "0"}


@pytest.mark.parametrize("reason", MESSAGES, ids=str)
@pytest.mark.parametrize("remembered", [{}, {"candidate": None, "stable": None, "step": None, "verdicts": ()}])
def test_every_reason_has_words_also_when_little_is_known(reason: Reason, remembered: dict[str, Any]) -> None:
    """
    No sentence needs a candidate, a stable revision, a step or a verdict to be spoken.
    """
    said = message(reason, situation(Phase.PROGRESSING, remembered=remembered))
    assert 10 < len(said) <= 1024


@pytest.mark.parametrize("reason", [Reason.NEW_REVISION, Reason.SUPERSEDED], ids=str)
@pytest.mark.parametrize(
    ("before", "said"), [("a", ""), ("b", ", since the content of ConfigMap limits changed"), (None, "")]
)
def test_a_changed_configuration_is_named(reason: Reason, before: str | None, said: str) -> None:
    """
    Nothing else of the object did change; what is seen for the first time did not.
    """
    seen = ConfigContent(config_map="limits", hash=before or "")
    at = situation(
        Phase.PROGRESSING,
        sections={"serving": {"config": [{"configMap": "limits"}]}},
        remembered={"config": (seen,) if before else ()},
    )
    told = message(reason, replace(at, deployment=replace(at.deployment, config={"limits": "a"})))
    assert ("since the content" in told, said in told) == (bool(said), True)


def test_a_rollback_tells_the_counts_it_rests_on() -> None:
    """
    With the evidence reached of what is needed, and the metric that is to blame.
    """
    blamed = {"evidence": (kept(metric_evidence(harm=6.0)), kept(metric_evidence(), "fallbacks"))}
    said = message(Reason.ANALYSIS_FAILED, situation(Phase.PROGRESSING, remembered=blamed))
    assert said.endswith(
        "is worse than allowed in errors at step 1/4 at 5%: errors: candidate 0 bad of 50, stable 1 of 950, "
        "harm evidence 0.4 of 100, not-worse evidence 3.1 of 20"
    )


def test_a_rollback_that_no_single_metric_explains_names_those_of_which_one_is_harmful() -> None:
    """
    Two metrics may together be harmful beyond doubt, and each of them not: as when both count the same failures.
    """
    twins = (kept(metric_evidence(harm=5.1)), kept(metric_evidence(harm=5.1), "fallbacks"))
    together = {"evidence": (*twins, kept(metric_evidence(harm=-9.0), "third"))}
    said = message(Reason.ANALYSIS_FAILED, situation(Phase.PROGRESSING, remembered=together))
    assert "is worse than allowed in errors or fallbacks at step 1/4" in said


@pytest.mark.parametrize(
    ("workload", "reason", "words"),
    [
        (arm("2", crash_looping="container m restarted 5 times"), Reason.CANDIDATE_CRASH_LOOPING, "restarted 5 times"),
        (arm("2", out_of_memory="container m was OOM-killed"), Reason.CANDIDATE_OUT_OF_MEMORY, "was OOM-killed"),
    ],
)
def test_a_guardrail_tells_what_broke(workload: Any, reason: Reason, words: str) -> None:  # noqa: ANN401
    """
    In the words of who saw it.
    """
    assert message(reason, situation(Phase.PROGRESSING, arms=arms(workload))).endswith(words)


def test_a_kill_for_memory_is_told_also_when_crashes_are_ignored() -> None:
    """
    A container that is killed for memory keeps crashing as well: what rolled back is what is told.
    """
    both = arm("2", crash_looping="container m restarted 5 times", out_of_memory="container m was OOM-killed")
    said = message(Reason.CANDIDATE_OUT_OF_MEMORY, situation(Phase.PROGRESSING, arms=arms(both)))
    assert said.endswith("ran out of memory: container m was OOM-killed")


def test_a_pause_tells_which_metric_is_missing() -> None:
    """
    Only the missing ones.
    """
    verdicts = (verdict(VerdictName.PASSED), verdict(VerdictName.NO_DATA, name="fraud", message="no series"))
    said = message(Reason.METRICS_UNAVAILABLE, situation(Phase.PROGRESSING, remembered={"verdicts": verdicts}))
    assert said == "step 1/4 at 5%: metrics were missing at its deadline (fraud: no series); goes on when they are back"


def test_a_message_is_cut_where_the_status_ends() -> None:
    """
    At 1024 characters, whatever the API server or a store said.
    """
    long = {"verdicts": (verdict(VerdictName.NO_DATA, message="x" * 1024), verdict(VerdictName.NO_DATA))}
    said = message(Reason.METRICS_UNAVAILABLE, situation(Phase.PROGRESSING, remembered=long))
    waited = waiting_message(situation(Phase.PROGRESSING, refused="x" * 5000))
    assert (len(said), len(waited)) == (1024, 1024)


def waited(phase: Phase, **changes: Any) -> str:  # noqa: ANN401 - as `world`
    """
    What is waited for in a world.
    """
    return waiting_message(situation(phase, **changes))


def test_a_refusal_is_told_first() -> None:
    """
    Nothing else matters before it is mended.
    """
    assert waited(Phase.PREPARING, refused="quota") == "refused by the API server: quota"


COLD = {"candidate": candidate(warm=False)}
WARMED = {"sections": {"serving": {"warmUp": {"path": "/infer", "p95Below": "200ms"}}}}
MEASURED = "20 requests were answered, the 95th percentile took 300 ms; it has to be below 200ms"
SLOW = WarmUpReading(sent=20, failed=0, p95_seconds=0.3)
FAILED = WarmUpReading(sent=20, failed=3, p95_seconds=0.1, message="3 of 20 failed")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"arms": arms(arm("1"))}, "0 of 2 pods ready"),
        ({"arms": arms(arm("1"), arm("2", ready=1))}, "1 of 2 pods ready"),
        ({"remembered": COLD}, "2 of 2 pods ready, not warm yet"),
        ({"remembered": COLD, "warm_up": FAILED, **WARMED}, "2 of 2 pods ready, not warm yet; warm-up: 3 of 20 failed"),
        (
            {"remembered": COLD, "warm_up": SLOW, **WARMED},
            f"2 of 2 pods ready, not warm yet; warm-up: {MEASURED}",
        ),
        ({"remembered": {"candidate": None}}, "0 of 2 pods ready"),
    ],
    ids=["not created", "half ready", "cold", "warm-up failed", "warm-up slow", "no candidate"],
)
def test_a_preparation_tells_what_is_missing(changes: dict[str, Any], words: str) -> None:
    """
    Pods, or the warm-up, and how it went.
    """
    assert waited(Phase.PREPARING, **changes) == f"waiting for the candidate: {words}"


@pytest.mark.parametrize("reason", [Reason.ROLLED_BACK, Reason.REVERTED])
def test_an_end_without_the_gateways_word_says_so(reason: Reason) -> None:
    """
    Not while the gateway has followed.
    """
    silent = {"route": route(BACK, acceptance=Acceptance.PENDING), "remembered": {"phase_since": ago(600)}}
    told = [message(reason, situation(Phase.ROLLING_BACK, **changes)) for changes in (silent, {})]
    assert [", which the gateway did not confirm within 10m" in said for said in told] == [True, False]


def test_a_ready_candidate_waits_for_the_gateway_only() -> None:
    """
    Which may say what keeps it.
    """
    silent = route({"1": "100"}, acceptance=Acceptance.PENDING, message="Gateway shop/gw has not answered yet")
    assert waited(Phase.PREPARING) == "waiting for the gateway to list the candidate"
    told = "waiting for the gateway to list the candidate: Gateway shop/gw has not answered yet"
    assert waited(Phase.PREPARING, route=silent) == told


def blamed_on(evidence: Any, metric: dict[str, Any], **analysis: Any) -> str:  # noqa: ANN401
    """
    What is said of a rollback for one metric.
    """
    name = metric.get("name", metric["preset"])
    s = situation(
        Phase.PROGRESSING,
        remembered={"evidence": (kept(evidence, name),), "verdicts": (verdict(VerdictName.FAILED, name=name),)},
        sections={"analysis": {"metrics": [metric], **analysis}},
    )
    return message(Reason.ANALYSIS_FAILED, s)


def test_a_rollback_for_durations_tells_calls() -> None:
    """
    There is no count of bad ones among many edges.
    """
    assert blamed_on(tail_evidence(harm=6.0), {"preset": "latency"}).endswith(
        "in latency at step 1/4 at 5%: latency: 50 calls of the candidate, 950 of stable, "
        "harm evidence 0.4 of 100, not-worse evidence 3.1 of 20"
    )


def test_a_rollback_for_a_slice_names_it_and_its_counts() -> None:
    """
    Before the metric's own; slices whose harm is not certain are left out.
    """
    wealth = Wealth(1.0, 0.0, 0.0)
    slices = SliceEvidence.begin(("a", "b"), wealth, phi=1.0)
    bad = slices.observe({"b": block((20.0, 20.0, 95.0, 0.5))}, margins(0.01, 0.25).harm, wealth)
    said = blamed_on(
        Account(metric_evidence(), slices=bad),
        {"preset": "errors"},
        slices={"label": "tenant", "values": ["a", "b"]},
    )
    assert (
        'in errors{tenant="b"} at step 1/4 at 5%: errors{tenant="b"}: candidate 20 bad of 20, stable 0.5 of 95; '
        "errors: candidate 0 bad of 50" in said
    )
    assert 'tenant="a"' not in said


@pytest.mark.parametrize(
    ("reason", "analysis", "ready", "words"),
    [
        (Reason.ANALYSIS_INCONCLUSIVE, {}, 2, "a new revision, an abort or a retry goes on from here"),
        (Reason.ANALYSIS_INCONCLUSIVE, {"onInconclusive": "Rollback"}, 2, "the spec asks to roll back then"),
        (Reason.ANALYSIS_INCONCLUSIVE, {"onInconclusive": "Rollback"}, 0,
         "a new revision, an abort or a retry goes on from here"),
        (Reason.METRICS_UNAVAILABLE, {}, 2, "goes on when they are back"),
        (Reason.METRICS_UNAVAILABLE, {"onNoData": "Rollback"}, 2, "the spec asks to roll back then"),
        (Reason.METRICS_UNAVAILABLE, {"onNoData": "Rollback"}, 0, "goes on when they are back"),
    ],
    ids=["inconclusive", "inconclusive, rolled back", "inconclusive, nowhere to go", "no data",
         "no data, rolled back", "no data, nowhere to go"],
)  # fmt: skip
def test_what_follows_a_deadline_is_told(reason: Reason, analysis: dict[str, Any], ready: int, words: str) -> None:
    """
    A rollback, where the spec asks for it and stable serves; otherwise how it goes on from a pause.
    """
    said = VerdictName.NO_DATA if reason is Reason.METRICS_UNAVAILABLE else VerdictName.INCONCLUSIVE
    remembered = {"step": step(entered_at=ago(3600)), "verdicts": (verdict(said, message="why"),)}
    seen = arms(arm("1", ready=ready), arm("2"))
    s = situation(Phase.PROGRESSING, remembered=remembered, sections={"analysis": analysis}, arms=seen)
    assert message(reason, s).endswith(f"; {words}")


def test_an_advance_names_what_was_not_certified() -> None:
    """
    Not what was.
    """
    verdicts = (verdict(VerdictName.PASSED), verdict(name="b"), verdict(name="c"))
    said = message(Reason.ADVANCED_UNCERTIFIED, situation(Phase.PROGRESSING, remembered={"verdicts": verdicts}))
    assert said.startswith(
        "step 1/4 at 5%: no sufficient evidence within its deadline of b, c, and the spec asks to go on"
    )


@pytest.mark.parametrize(
    ("metric", "claim"),
    [
        ({"preset": "errors"}, "the rate is below 1.25 x stable + 2.00%"),
        ({"preset": "errors", "against": {"limit": "2%"}}, "the rate is below 1.5 x 2%"),
        ({"preset": "latency"}, "quantile 0.99 grows by less than 20%"),
        ({"preset": "latency", "quantile": "0.9", "mayGrow": "50%"}, "quantile 0.9 grows by less than 50%"),
        ({"preset": "latency", "quantile": "0.95", "below": "2s"}, "quantile 0.95 is below 2 s"),
        ({"preset": "latency", "threshold": "250ms"},
         "the share of calls over 0.25 s is below 1.25 x stable + 2.00%"),
    ],
    ids=["a rate", "a limit", "the usual growth", "a growth", "a quantile's limit", "a threshold"],
)  # fmt: skip
def test_what_has_to_be_shown_is_told(metric: dict[str, Any], claim: str) -> None:
    """
    With the numbers of the spec and of the step.
    """
    remembered = {"verdicts": (verdict(name=metric["preset"]),)}
    said = waited(Phase.PROGRESSING, remembered=remembered, sections={"analysis": {"metrics": [metric]}})
    assert said == f"{metric['preset']}: evidence 3.1 of 20 that {claim}"


def test_of_a_metric_the_spec_names_no_more_only_its_margin_is_told() -> None:
    """
    Until the next look forgets it.
    """
    said = waited(Phase.PROGRESSING, remembered={"verdicts": (verdict(name="gone"),)})
    assert said == "gone: evidence 3.1 of 20 that its margin is kept"


OPEN = "errors: evidence 3.1 of 20 that the rate is below 1.25 x stable + 2.00%"


@pytest.mark.parametrize(
    ("remembered", "words"),
    [
        ({}, OPEN),
        ({"verdicts": (verdict(seconds_left=90),)}, f"{OPEN}, about 90 s more at present traffic"),
        ({"verdicts": (verdict(message="AboveMargin"),)}, f"{OPEN} (AboveMargin)"),
        ({"verdicts": (verdict(VerdictName.NO_DATA, message="no series"),)}, "errors: no series"),
        ({"verdicts": (verdict(VerdictName.PASSED), verdict(VerdictName.UNAVAILABLE, name="b", message="down"))},
         "b: down"),
        ({"verdicts": (verdict(VerdictName.PASSED),), "step": step(in_place_since=ago(5))},
         "certified; soaking for 2 min"),
        ({"verdicts": ()}, "waiting for the first counts of the step"),
        ({"verdicts": (), "step": None}, "waiting for the gateway to give the candidate 0%"),
    ],
    ids=["open", "with a forecast", "with an obstacle", "no data", "one of two is open", "soaking", "nothing counted",
         "no step"],
)  # fmt: skip
def test_a_step_tells_what_it_waits_for(remembered: dict[str, Any], words: str) -> None:
    """
    Each open metric with what it has and what it needs.
    """
    assert waited(Phase.PROGRESSING, remembered=remembered) == words


def test_a_step_waits_for_the_gateway_first() -> None:
    """
    Nothing is judged before the share is in place.
    """
    assert waited(Phase.PROGRESSING, route=route(BACK)) == "waiting for the gateway to give the candidate 5%"


def test_a_dead_stable_is_told_with_the_way_out() -> None:
    """
    A step that gives everything does not need it.
    """
    dead = arms(arm("1", ready=0), arm("2"))
    said = "waiting for stable, which has no ready endpoint; promote-full takes the candidate instead"
    assert waited(Phase.PROGRESSING, arms=dead) == said
    whole = {"step": step("100")}
    assert "stable" not in waited(Phase.PROGRESSING, arms=dead, remembered=whole, route=route({"1": "0", "2": "100"}))


def test_a_contradicted_split_is_told() -> None:
    """
    The weights are not what users get.
    """
    wrong = {"evidence": (kept(metric_evidence(counts=(500.0, 0.0, 500.0, 0.0))),)}
    assert waited(Phase.PROGRESSING, remembered=wrong).startswith("holding: the counted share")


@pytest.mark.parametrize(
    ("phase", "words"),
    [
        (Phase.PROMOTING, "waiting for the gateway to give the candidate everything"),
        (Phase.ROLLING_BACK, f"version 2 is worse than allowed{DRAINING}"),
        (Phase.PAUSED, "paused for want of evidence"),
    ],
    ids=str,
)
def test_other_phases_tell_their_cause(phase: Phase, words: str) -> None:
    """
    In the words the phase began with.
    """
    assert waited(phase) == words


def test_a_rollback_without_anybody_to_take_over_says_so() -> None:
    """
    Stable has no endpoint: requests stay where they are answered.
    """
    mute = arms(arm("1", ready=0), arm("2"))
    assert waited(Phase.ROLLING_BACK, arms=mute) == f"version 2 is worse than allowed{NOBODY_TO_TAKE_OVER}"


def test_draining_is_told_once() -> None:
    """
    However often it is looked at.
    """
    again = {"message": f"version 2 is worse than allowed{DRAINING}"}
    assert waited(Phase.ROLLING_BACK, remembered=again) == f"version 2 is worse than allowed{DRAINING}"
