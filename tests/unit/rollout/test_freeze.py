"""
Freeze windows: when one is open, when it ends, and what it holds back.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fakes.rollout import NOW, ago, arm, arms, asking, candidate, route, situation, step, verdict, world

from modelramp.api.status import VerdictName
from modelramp.api.vocabulary import ConditionType, Phase, Reason
from modelramp.rollout.decide import decide
from modelramp.rollout.freeze import frozen, frozen_until, thawed_at
from modelramp.rollout.situation import Situation

BACK = route({"1": "100", "2": "0"})
PASSED: dict[str, Any] = {"remembered": {"verdicts": (verdict(VerdictName.PASSED),)}}
NIGHTS = {"days": ["Mon", "Tue", "Wed", "Thu", "Fri"], "from": "16:00", "to": "08:00"}
WEEKEND = {"days": ["Sat", "Sun"], "from": "08:00", "to": "08:00"}


def freezes(*windows: dict[str, Any]) -> dict[str, Any]:
    """
    The sections of a spec with these windows.
    """
    return {"automation": {"freezes": list(windows)}}


def once(begin: float, end: float) -> dict[str, Any]:
    """
    A window of these seconds from now.
    """
    at = [(NOW + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ") for seconds in (begin, end)]
    return {"start": at[0], "end": at[1]}


def at(when: datetime, *windows: dict[str, Any]) -> Situation:
    """
    The situation at an instant.
    """
    s = situation(Phase.PREPARING, sections=freezes(*windows))
    return Situation(deployment=s.deployment, status=s.status, observed=s.observed, now=when)


@pytest.mark.parametrize(
    ("when", "until"),
    [
        ("2026-01-01T15:59:59", None),
        ("2026-01-01T16:00:00", "2026-01-02T08:00:00"),
        ("2026-01-02T07:59:59", "2026-01-02T08:00:00"),
        ("2026-01-02T08:00:00", None),
        ("2026-01-02T23:00:00", "2026-01-05T08:00:00"),
        ("2026-01-04T12:00:00", "2026-01-05T08:00:00"),
        ("2026-01-05T08:00:00", None),
    ],
)
def test_weekly_windows_begin_on_their_days_and_follow_each_other(when: str, until: str | None) -> None:
    """
    From Friday afternoon to Monday morning is one freeze; 2026-01-01 is a Thursday.
    """
    found = frozen_until(at(datetime.fromisoformat(when).replace(tzinfo=UTC), NIGHTS, WEEKEND))
    assert found == (None if until is None else datetime.fromisoformat(until).replace(tzinfo=UTC))


def test_a_window_within_a_day_ends_on_it() -> None:
    """
    `to` after `from`.
    """
    lunch = {"days": ["Thu"], "from": "11:30", "to": "13:00"}
    assert frozen_until(at(NOW, lunch)) == NOW.replace(hour=13)


def test_what_never_ends_is_said_as_far_as_it_was_looked_for() -> None:
    """
    A freeze every day, all day.
    """
    always = {"days": ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"], "from": "00:00", "to": "00:00"}
    until = frozen_until(at(NOW, always))
    assert until is not None
    assert until > NOW + timedelta(days=20)


def test_a_single_window_holds_from_its_start_until_its_end() -> None:
    """
    The start is in it, the end is not.
    """
    assert [frozen(at(NOW, once(begin, end))) for begin, end in ((0, 60), (-60, 0), (1, 60))] == [True, False, False]
    assert frozen(situation(Phase.PREPARING)) is False


def test_the_last_thaw_is_remembered_for_a_week() -> None:
    """
    By the windows alone.
    """
    assert thawed_at(at(NOW, once(-600, -60), once(-600, -90), once(10, 20))) == ago(60)
    assert thawed_at(at(NOW)) is None


@pytest.mark.parametrize(
    ("phase", "seen", "rule"),
    [
        (Phase.PREPARING, {"route": BACK}, "candidate_listed"),
        (Phase.PROGRESSING, PASSED, "step_passed"),
        (Phase.PROGRESSING, {"remembered": {"step": step("100")}, "route": route({"1": "0", "2": "100"})},
         "last_step_passed"),
        (Phase.PREPARING, {"remembered": {"stable": None}, "arms": arms(arm("2"))}, "first_candidate_ready"),
    ],
    ids=["first step", "next step", "promotion", "first revision"],
)  # fmt: skip
def test_nothing_rises_by_itself_while_frozen(phase: Phase, seen: dict[str, Any], rule: str) -> None:
    """
    The same is done once the window has ended; meanwhile people are told until when, and the condition too.
    """
    thawed = decide(*world(phase, **seen), NOW)
    plan = decide(*world(phase, sections=freezes(once(-10, 50)), **seen), NOW)
    assert (thawed.because.rule, plan.because.rule, plan.status.phase) == (rule, None, phase)
    assert "held by a freeze window until 2026-01-01T12:00:50Z" in plan.status.message
    found = next(c for c in plan.status.conditions if c.type is ConditionType.PROGRESSING)
    assert (found.status, found.reason) == ("True", Reason.FROZEN)
    assert not plan.raises_exposure
    assert plan.wake_at is not None
    assert plan.wake_at <= NOW + timedelta(seconds=50)


def test_a_candidate_that_is_only_waited_for_sleeps_until_the_window_ends() -> None:
    """
    It is not looked after every other second for a whole weekend.
    """
    plan = decide(*world(Phase.PREPARING, route=BACK, sections=freezes(once(-10, 86400))), NOW)
    assert plan.wake_at == NOW + timedelta(days=1)
    unready = decide(*world(Phase.PREPARING, sections=freezes(once(-10, 86400))), NOW)
    assert unready.wake_at == NOW + timedelta(seconds=2)


def test_a_passed_step_is_not_overdue_because_it_is_held() -> None:
    """
    Its deadline passes in the window; it goes on afterwards.
    """
    late = {"verdicts": (verdict(VerdictName.PASSED),), "step": step(entered_at=ago(10**5))}
    assert decide(*world(Phase.PROGRESSING, remembered=late, sections=freezes(once(-10, 50))), NOW).because.rule is None
    unsure = {**late, "verdicts": (verdict(),)}
    plan = decide(*world(Phase.PROGRESSING, remembered=unsure, sections=freezes(once(-10, 50))), NOW)
    assert (plan.because.rule, plan.status.phase) == ("step_overdue", Phase.PAUSED)


@pytest.mark.parametrize("verb", ["promote", "promote-full", "explode"])
def test_people_may_go_on_and_are_answered_in_a_freeze(verb: str) -> None:
    """
    A window binds the operator, not them.
    """
    asked = world(Phase.PROGRESSING, annotations=asking(verb), sections=freezes(once(-10, 50)), **PASSED)
    plan = decide(*asked, NOW)
    assert plan.status.action is not None
    assert plan.status.action.outcome == ("Refused" if verb == "explode" else "Done")


def test_a_rollback_needs_no_window() -> None:
    """
    Safety first.
    """
    crashing = arms(arm("1"), arm("2", crash_looping="container m restarted 5 times"))
    plan = decide(*world(Phase.PROGRESSING, arms=crashing, sections=freezes(once(-10, 50))), NOW)
    assert plan.status.phase is Phase.ROLLING_BACK


@pytest.mark.parametrize(
    ("changes", "windows", "rule"),
    [
        ({"ready_since": None}, once(-3600, 50), "preparation_overdue"),
        ({}, once(-3600, 50), None),
        ({}, once(-3600, -599), None),
        ({}, once(-3600, -600), "preparation_overdue"),
    ],
    ids=["never ready", "ready and held", "held just before", "held long before"],
)
def test_a_candidate_that_was_held_is_not_overdue_for_that(
    changes: dict[str, Any], windows: dict[str, Any], rule: str | None
) -> None:
    """
    Its route may be written anew in the window, or right after it; one that was never ready is late all the same.
    """
    remembered = {"candidate": candidate(since=ago(86400), **changes)}
    seen = {"arms": arms(arm("1"), arm("2", ready=1))} if changes else {}
    plan = decide(*world(Phase.PREPARING, remembered=remembered, sections=freezes(windows), **seen), NOW)
    assert plan.because.rule == rule
