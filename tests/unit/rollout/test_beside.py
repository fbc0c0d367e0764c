"""
What is found of the other candidates of a run, and remembered.
"""

from dataclasses import replace
from typing import Any

import pytest
from fakes.others import certain, copied_evidence, copied_to, other, other_arm, other_rev, run, seen_as
from fakes.rollout import NOW, World, ago, arm, arms, block, rev, route, step, verdict

from modelramp.analysis import wealth_schedule
from modelramp.api.scalars import Share
from modelramp.api.status import OtherOutcome, OtherStatus, VerdictName
from modelramp.api.vocabulary import Phase, Reason
from modelramp.rollout.account import Account
from modelramp.rollout.assess import assess
from modelramp.rollout.beside import (
    decide_other,
    entering_next_step,
    found,
    other_failed,
    other_harmful,
    other_passed,
)
from modelramp.rollout.decide import decide
from modelramp.rollout.observed import Beside, Measured, WarmUpReading

HARM = (copied_evidence(4.6052),)
ALMOST = (copied_evidence(4.6051),)
COLD = {
    "entered_at": None,
    "in_place_since": None,
    "ready_since": None,
    "ready_pods": 0,
    "evidence": (),
    "verdicts": (),
}


def after(asked: World) -> tuple[OtherStatus, ...]:
    """
    The others after a look.
    """
    return assess(asked.deployment, asked.observed, NOW).status.others


def test_a_harmful_one() -> None:
    """
    At one hundred of its own evidence, not a hair less; the run's own evidence says nothing about it.
    """
    assert other_harmful(seen_as(run(other("3"), other("4", evidence=HARM))))
    assert not other_harmful(seen_as(run(other("3"), other("4", evidence=ALMOST))))
    assert not other_harmful(seen_as(run(other("3"), remembered={"evidence": HARM})))


def test_one_that_was_certified_can_be_harmful_still() -> None:
    """
    As harm is looked for to the end.
    """
    assert other_harmful(seen_as(run(certain("3", outcome=OtherOutcome.PASSED, evidence=HARM))))
    assert not other_harmful(seen_as(run(other("3", outcome=OtherOutcome.HARMFUL, evidence=HARM))))


@pytest.mark.parametrize(
    ("one", "workload", "reason"),
    [
        (other("3"), other_arm("3", crash_looping="it crashes"), Reason.CANDIDATE_CRASH_LOOPING),
        (other("3"), other_arm("3", out_of_memory="it was killed"), Reason.CANDIDATE_OUT_OF_MEMORY),
        (other("3", unready_since=ago(60)), other_arm("3", ready=1), Reason.CANDIDATE_UNHEALTHY),
        (other("3", **{**COLD, "since": ago(600)}), other_arm("3", ready=1), Reason.PROGRESS_DEADLINE_EXCEEDED),
    ],
    ids=str,
)
def test_one_that_fails(one: OtherStatus, workload: Any, reason: Reason) -> None:  # noqa: ANN401 - an arm
    """
    By the guardrails and deadlines of the run's own candidate.
    """
    s = seen_as(run(one, arms=arms(arm("1"), arm("2"), workload)))
    assert other_failed(s)
    what = found(s, Reason.OTHER_FAILED)
    assert what is not None
    assert what.reason is reason


@pytest.mark.parametrize(
    ("one", "ready"),
    [
        (other("3", **{**COLD, "since": ago(599)}), 1),
        (other("3", entered_at=None, since=ago(600)), 2),
        (other("3", unready_since=ago(59)), 1),
        (other("3", since=ago(600)), 2),
    ],
)
def test_one_that_does_not_fail(one: OtherStatus, ready: int) -> None:
    """
    A second before its time; ready, and waiting for the run's own; unready for less than allowed; in its step.
    """
    assert not other_failed(seen_as(run(one, arms=arms(arm("1"), arm("2"), other_arm("3", ready=ready)))))


@pytest.mark.parametrize(
    ("one", "changes", "passes"),
    [
        (certain("3"), {}, True),
        (certain("3", in_place_since=ago(119)), {}, False),
        (other("3"), {}, False),
        (certain("3", outcome=OtherOutcome.PASSED), {}, False),
        (certain("3"), {"route": route({"1": "100", "2": "0"}, mirrors=copied_to(rev("2")))}, False),
        (certain("3"), {"route": route({"1": "100", "2": "0"}, mirrors=copied_to(other_rev("3")))}, True),
    ],
)
def test_one_that_passes(one: OtherStatus, changes: dict[str, Any], *, passes: bool) -> None:
    """
    Certified and soaked with its copies in place, once; what the run's own candidate gets is not asked.
    """
    assert other_passed(seen_as(run(one, **changes))) is passes


def test_the_decided_one_is_last_and_gets_nothing_more() -> None:
    """
    The others stay as they are.
    """
    s = seen_as(run(other("3", evidence=HARM), other("4")))
    first, last = decide_other(s, Reason.OTHER_HARMFUL).others
    assert first == other("4")
    assert last == other("3", evidence=HARM, outcome=OtherOutcome.HARMFUL, decided_at=NOW)
    assert decide_other(s, Reason.OTHER_FAILED) == s.status


def test_what_is_said_of_it_is_the_event_and_its_message() -> None:
    """
    The run's own reason and message stay.
    """
    plan = decide(*run(other("3", evidence=HARM), other("4")), NOW)
    said = plan.status.others[-1].message
    assert (plan.because.reason, plan.because.message, plan.because.rule) == (
        Reason.OTHER_HARMFUL, said, "other_harmful",
    )  # fmt: skip
    assert said.startswith("o3: version 3")
    assert "is worse than allowed in errors" in said
    assert (plan.status.phase, plan.status.reason) == (Phase.PROGRESSING, Reason.CANDIDATE_READY)


def test_it_enters_the_step_when_it_is_ready() -> None:
    """
    Also long after the run's own candidate, and while the run is paused for want of evidence.
    """
    late = other("3", **{**COLD, "since": ago(100)})
    (one,) = after(run(late, phase=Phase.PAUSED))
    assert (one.entered_at, one.ready_since, one.ready_pods) == (NOW, NOW, 2)
    (weak,) = after(run(late, arms=arms(arm("1"), arm("2"), other_arm("3", ready=1))))
    assert (weak.entered_at, weak.ready_pods) == (None, 1)


@pytest.mark.parametrize(
    "changes",
    [
        {"phase": Phase.PREPARING},
        {"remembered": {"step": step("5")}},
        {"phase": Phase.PAUSED, "remembered": {"reason": Reason.PAUSED_BY_REQUEST}},
        {"route": route({"1": "100", "2": "0"}, mirrors=copied_to(rev("2")), contested_by="flux")},
        {"sections": {"automation": {"freezes": [{"start": "2026-01-01T11:00:00Z", "end": "2026-01-01T13:00:00Z"}]}}},
    ],
    ids=["before the step", "no copies", "paused by request", "contested", "frozen"],
)
def test_it_does_not_enter(changes: dict[str, Any]) -> None:
    """
    Where nobody is to get more, or nothing is copied.
    """
    (one,) = after(run(other("3", **{**COLD, "since": ago(100)}), **changes))
    assert one.entered_at is None


def test_its_copies_are_counted_from_when_they_were_seen_in_place() -> None:
    """
    Not from when the run's own were.
    """
    (one,) = after(run(other("3", in_place_since=None)))
    assert one.in_place_since == NOW
    only_own = route({"1": "100", "2": "0"}, mirrors=copied_to(rev("2")))
    (one,) = after(run(other("3", in_place_since=None), route=only_own))
    assert one.in_place_since is None


def test_its_readings_are_counted_as_its_own() -> None:
    """
    And those of the run's own candidate are not.
    """
    reading = {"errors": Measured(block((100, 3, 100, 1)))}
    asked = run(other("3"), other("4"))
    seen = replace(asked.observed, others={other_rev("3"): Beside(readings=reading)})
    first, second = after(World(asked.deployment, seen))
    assert Account.from_state(first.evidence[0].state).totals.candidate.n == 1000
    assert first.verdicts[0].candidate.x == "3"
    assert second == other("4")
    assert assess(asked.deployment, seen, NOW).status.evidence == asked.deployment.status.evidence


def test_its_warm_up() -> None:
    """
    Is its own.
    """
    warm_up = {"serving": {"warmUp": {"path": "/infer", "requests": 3}}}
    asked = run(other("3", **{**COLD, "warm": False}), sections=warm_up)
    answered = WarmUpReading(sent=3, failed=0, p95_seconds=0.1)
    (cold,) = after(World(asked.deployment, replace(asked.observed, warm_up=answered)))
    assert (cold.warm, cold.entered_at) == (False, None)
    warm = Beside(warm_up=answered)
    (one,) = after(World(asked.deployment, replace(asked.observed, others={other_rev("3"): warm})))
    assert one.warm


def test_in_the_next_step_certification_starts_again() -> None:
    """
    For all of them; harm evidence goes on.
    """
    s = seen_as(run(other("3", evidence=HARM, verdicts=(verdict(VerdictName.PASSED),))))
    (one,) = entering_next_step(s, wealth_schedule(planned_blocks=10, later_steps=1))
    account = Account.from_state(one.evidence[0].state)
    assert (one.verdicts, one.in_place_since, account.step_exposures) == ((), None, (0.0, 0.0))
    assert account.totals.candidate.n == 900
    assert account.harm_log > 4


def test_a_raised_share_of_copies_is_another_step_for_all() -> None:
    """
    The spec's mirror was raised in flight: the run's own candidate enters the next place, and the others with it.
    """
    half = {
        "step": step("0", mirror=Share("50%"), index=0, display="1/1"),
        "verdicts": (verdict(VerdictName.PASSED),),
        "evidence": (copied_evidence(copies=450),),
    }
    mirrors = {name: share / 2 for name, share in copied_to(rev("2"), other_rev("3")).items()}
    asked = run(certain("3", outcome=OtherOutcome.PASSED), remembered=half,
                route=route({"1": "100", "2": "0"}, mirrors=mirrors))  # fmt: skip
    plan = decide(*asked, NOW)
    assert plan.because.rule == "step_passed"
    assert (plan.status.others[0].in_place_since, plan.status.others[0].verdicts) == (None, ())
