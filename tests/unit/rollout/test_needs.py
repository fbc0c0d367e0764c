from datetime import timedelta
from typing import Any

import pytest
from fakes.rollout import (
    NO_ROUTE,
    NOW,
    ago,
    arm,
    arms,
    candidate,
    kept,
    metric_evidence,
    rev,
    route,
    situation,
    step,
    world,
)

from modelramp.analysis import Window
from modelramp.api.spec import WarmUp
from modelramp.api.vocabulary import Phase
from modelramp.rollout import needs
from modelramp.rollout.needs import CounterQuestion, Needs, WarmUpQuestion, next_counts_at

MINUTES = timedelta(minutes=5)
SHARES = {"1": "95", "2": "5"}
OLD = arm("3", role="retired")


def asked(phase: Phase, **changes: Any) -> Needs:  # noqa: ANN401 - as `world`
    """
    What is asked in a world.
    """
    return needs(*world(phase, **changes), NOW)


def windows(found: Needs) -> list[tuple[str, Window]]:
    """
    The metrics asked for, with their windows.
    """
    return [(question.name, question.window) for question in found.counters]


@pytest.mark.parametrize(
    "phase", [Phase.PENDING, Phase.PREPARING, Phase.PROMOTING, Phase.STABLE, Phase.FAILED], ids=str
)
def test_nothing_is_asked_where_nothing_is_judged(phase: Phase) -> None:
    """
    An object at rest costs the metric source nothing.
    """
    assert asked(phase) == Needs()


@pytest.mark.parametrize("phase", [Phase.PROGRESSING, Phase.PAUSED], ids=str)
def test_new_counts_are_asked_for_from_where_the_last_ended(phase: Phase) -> None:
    """
    Up to where samples are complete, with five minutes of look-back.
    """
    found = asked(phase)
    assert windows(found) == [("errors", Window(since=ago(30) - MINUTES, after=ago(30), until=ago(5)))]
    assert (found.drain, found.drain_at, found.warm_up) == ((), None, None)


def test_both_arms_are_asked_for() -> None:
    """
    With the selectors of their own revisions.
    """
    (question,) = asked(Phase.PROGRESSING).counters
    assert question.candidate is not None
    assert question.stable is not None
    assert (rev("2") in question.candidate.total, rev("1") in question.stable.total) == (True, True)


@pytest.mark.parametrize(
    "evidence", [(), (kept(metric_evidence(counted_until=None)),), (kept(metric_evidence(counted_until=ago(500))),)],
    ids=["none yet", "nothing counted", "counted in an earlier step"],
)  # fmt: skip
def test_the_first_counts_of_a_step_begin_once_it_has_settled(evidence: Any) -> None:  # noqa: ANN401
    """
    Five seconds after its traffic was in place, or nothing of the old split may be in them.
    """
    found = asked(Phase.PROGRESSING, remembered={"evidence": evidence})
    assert windows(found) == [("errors", Window(since=ago(175) - MINUTES, after=ago(175), until=ago(5)))]


@pytest.mark.parametrize(
    "changes",
    [
        {"remembered": {"evidence": (kept(metric_evidence(counted_until=ago(19))),)}},
        {"remembered": {"step": step(in_place_since=None)}},
        {"remembered": {"step": step("100")}},
        {"remembered": {"stable": None}},
        {"remembered": {"candidate": None}},
        {"sections": {"analysis": {"mode": "GuardrailsOnly"}}},
    ],
    ids=["not due", "not in place", "nothing to compare with", "no stable", "no candidate", "guardrails only"],
)
def test_counts_are_not_asked_for_without_need(changes: dict[str, Any]) -> None:
    """
    An interval has not passed, or there is nothing to judge.
    """
    assert asked(Phase.PROGRESSING, **changes).counters == ()


def test_a_metric_without_known_counters_is_asked_for_all_the_same() -> None:
    """
    Without selectors: the answer says that the operator knows none.
    """
    found = asked(Phase.PROGRESSING, route=route(SHARES, controller=None))
    window = Window(since=ago(30) - MINUTES, after=ago(30), until=ago(5))
    assert found.counters == (CounterQuestion(name="errors", candidate=None, stable=None, window=window),)


@pytest.mark.parametrize(
    ("phase", "changes", "expected"),
    [
        (Phase.ROLLING_BACK, {}, ["2", "1"]),
        (Phase.STABLE, {"arms": arms(arm("1"), OLD)}, ["3", "1"]),
        (Phase.STABLE, {"arms": arms(arm("1"), arm("3", wanted_replicas=0))}, []),
        (Phase.ROLLING_BACK, {"route": NO_ROUTE}, []),
        (Phase.ROLLING_BACK, {"remembered": {"stable": None}, "arms": arms(arm("2"))}, ["2"]),
        (Phase.ROLLING_BACK, {"remembered": {"candidate": None}, "arms": arms(arm("1"))}, []),
    ],
    ids=[
        "the candidate, and stable beside it",
        "a retired revision with pods",
        "a retired revision that is shrunk already",
        "no gateway whose counters are known",
        "a first revision alone",
        "nobody leaves",
    ],
)
def test_what_still_reaches_a_leaving_revision_is_asked(
    phase: Phase, changes: dict[str, Any], expected: list[str]
) -> None:
    """
    Stable's own series tell an arm that gets nothing from a gateway that is not scraped.
    """
    found = asked(phase, **changes)
    assert [question.revision for question in found.drain] == [rev(version) for version in expected]
    assert found.drain_at == (ago(5) if expected else None)


def test_drain_questions_ask_for_requests_in_flight_too() -> None:
    """
    A long request is not counted before it ends.
    """
    found = asked(Phase.ROLLING_BACK).drain[0]
    cluster = f'envoy_cluster_name="ml_fraud-{rev("2")}_80"'
    expected = (f"envoy_cluster_upstream_rq_xx{{{cluster}}}", f"envoy_cluster_upstream_rq_active{{{cluster}}}")
    assert (found.total, found.in_flight) == expected


WARM_UP = {"serving": {"warmUp": {"path": "/infer"}}}
COLD = {"candidate": candidate(warm=False)}


def test_a_ready_candidate_that_is_cold_is_warmed_up() -> None:
    """
    Once all its pods are ready, and before users reach it.
    """
    found = asked(Phase.PREPARING, sections=WARM_UP, remembered=COLD)
    assert found == Needs(warm_up=WarmUpQuestion(revision=rev("2"), warm_up=WarmUp(path="/infer")))


@pytest.mark.parametrize(
    "changes",
    [
        {"sections": {}},
        {"remembered": {}},
        {"remembered": {"candidate": None}},
        {"arms": arms(arm("1"))},
        {"arms": arms(arm("1"), arm("2", ready=1))},
        {"version": "3"},
    ],
    ids=["none asked for", "warm already", "no candidate", "not created", "not all ready", "the spec names another"],
)
def test_a_warm_up_is_not_sent_without_need(changes: dict[str, Any]) -> None:
    """
    Not to a candidate that is warm, not ready, or not what the spec's warm-up is meant for.
    """
    assert asked(Phase.PREPARING, **{"sections": WARM_UP, "remembered": COLD, **changes}).warm_up is None


@pytest.mark.parametrize(
    ("remembered", "delay", "seconds"),
    [
        ({}, "5s", -10),
        ({"evidence": (kept(metric_evidence(counted_until=ago(10))),)}, "5s", 10),
        ({"evidence": (kept(metric_evidence(counted_until=ago(10))),)}, "500ms", 6),
        ({"evidence": (kept(metric_evidence(counted_until=None)),)}, "5s", 15 + 5 + 5 - 180),
        ({"evidence": ()}, "5s", None),
        ({"step": step(in_place_since=None)}, "5s", None),
        ({"step": step("100")}, "5s", None),
    ],
    ids=[
        "due",
        "later",
        "cut to whole seconds",
        "nothing counted",
        "no evidence",
        "not in place",
        "nothing to compare",
    ],
)
def test_the_next_counts_are_due_an_interval_and_a_delay_after_the_last(
    remembered: dict[str, Any], delay: str, seconds: float | None
) -> None:
    """
    So that the next look comes neither before them nor long after.
    """
    sections = {"analysis": {"interval": "15s", "prometheus": {"delay": delay}}}
    found = next_counts_at(situation(Phase.PROGRESSING, remembered=remembered, sections=sections))
    assert found == (None if seconds is None else NOW + timedelta(seconds=seconds))
