"""
The return to a kept revision, and new pods: what stands in the way, what is remembered, and what is done to workloads.
"""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from fakes.rollout import (
    NOW,
    arm,
    arms,
    asking,
    candidate,
    observed,
    previously,
    rejection,
    returning,
    rev,
    route,
    situation,
    stable,
    world,
)

from modelramp.api.status import StableStatus
from modelramp.api.vocabulary import Phase, Reason
from modelramp.rollout import decide, memory
from modelramp.rollout.actions import obstacle
from modelramp.rollout.assess import assess
from modelramp.rollout.desired import at_rest, difference
from modelramp.rollout.observed import Arm
from modelramp.rollout.plan import DeleteWorkload, RestartWorkload

OLD = {"kept": (previously("0"),)}
EMPTY = arm("0", ready=0, pods=0, wanted_replicas=0, role="retired")
RESTING = arms(arm("1"), EMPTY)


@pytest.mark.parametrize(
    ("phase", "verb", "version", "changes", "expected"),
    [
        (Phase.STABLE, "undo", "0", {"remembered": OLD, "arms": RESTING}, None),
        (Phase.FAILED, "undo", "0", {"remembered": OLD, "arms": RESTING}, None),
        (Phase.PENDING, "undo", "0", {}, "nothing serves yet"),
        (Phase.STABLE, "undo", "0", {}, f"revision {rev('0')} is not kept; kept are: none"),
        (Phase.STABLE, "undo", "3", {"remembered": OLD},
         f"revision {rev('3')} is not kept; kept are: {rev('0')} (version 0)"),
        (Phase.STABLE, "undo", "0", {"remembered": OLD},
         f"the Deployment of revision {rev('0')} does not exist any more"),
        (Phase.PROGRESSING, "undo", "2", {}, None),
        (Phase.PROGRESSING, "undo", "1", {}, None),
        (Phase.PROGRESSING, "undo", "0", {"remembered": OLD},
         f"a rollout is in flight: name the candidate {rev('2')}, or abort it first"),
        (Phase.ROLLING_BACK, "undo", "2", {}, "the candidate is being rolled back already"),
        (Phase.PROMOTING, "undo", "2", {"remembered": {"stable": None}}, "there is no stable revision to return to"),
        (Phase.STABLE, "restart", "1", {}, None),
        (Phase.STABLE, "restart", "0", {}, f"it is meant for revision {rev('0')}, and {rev('1')} serves"),
        (Phase.PENDING, "restart", "0", {}, f"it is meant for revision {rev('0')}, and nothing serves"),
        (Phase.PROGRESSING, "restart", "1", {}, "a rollout is in flight: it is Progressing"),
        (Phase.STABLE, "restart", "1", {"arms": {}},
         f"the Deployment of revision {rev('1')} does not exist any more"),
    ],
)  # fmt: skip
def test_what_stands_in_the_way(
    phase: Phase, verb: str, version: str, changes: dict[str, Any], expected: str | None
) -> None:
    """
    In words for whoever asked.
    """
    assert obstacle(situation(phase, annotations=asking(verb, version), **changes)) == expected


def test_a_kept_revision_begins_with_the_template_it_had() -> None:
    """
    Scaled up, not made from the spec; and it is not rejected any more.
    """
    asked = world(
        Phase.STABLE, arms=RESTING, annotations=asking("undo", "0"),
        remembered={**OLD, "rejected": (rejection("0"), rejection("2"))},
    )  # fmt: skip
    plan = decide(*asked, NOW)
    assert plan.status.undo == returning("0", "1")
    assert [known.version for known in plan.status.rejected] == ["2"]
    assert (
        plan.status.message
        == f"version 0 ({rev('0')}) is brought back, as ada asked; version 1 serves everything meanwhile"
    )
    assert [type(effect).__name__ for effect in plan.effects] == ["SetTraffic", "ScaleWorkload", "SetRole"]
    begun = replace(asked.deployment, status=plan.status, annotations={})
    vanished = decide(begun, observed(arms=arms(arm("1")), route=route({"1": "100"})), NOW)
    assert vanished.effects == ()


def test_an_undone_revision_that_serves_rejects_the_one_before() -> None:
    """
    So that the spec, which still names it, does not begin it; what served before it is kept for another undo.
    """
    s = situation(Phase.PROMOTING, version="1", remembered={"undo": returning("2", "1"), "kept": (previously("2"),)})
    found = memory.promote(s, Reason.PROMOTED)
    assert found.stable == StableStatus(revision=rev("2"), version="2", since=NOW)
    assert [(one.version, one.reason) for one in found.rejected] == [("1", Reason.UNDO_REQUESTED)]
    assert (found.kept, found.undo) == ((previously("1"),), None)
    assert found.history[-1].message == "serves everything again, as ada asked"
    assert found.history[-1].outcome is Reason.UNDO_REQUESTED


@pytest.mark.parametrize(("keep", "expected"), [(0, []), (1, ["1"]), (2, ["0", "1"])])
def test_as_many_revisions_are_kept_as_the_spec_says(keep: int, expected: list[str]) -> None:
    """
    The newest; none of a first promotion.
    """
    sections = {"strategy": {"keepRevisions": keep}}
    s = situation(Phase.PROMOTING, remembered=OLD, sections=sections)
    assert [one.version for one in memory.promote(s, Reason.PROMOTED).kept] == expected
    fewer = assess(
        *world(Phase.STABLE, remembered={"kept": (previously("3"), previously("0"))}, sections=sections), NOW
    )
    assert len(fewer.status.kept) == keep
    first = situation(Phase.PROMOTING, remembered={"stable": None})
    assert memory.promote(first, Reason.PROMOTED).kept == ()


def test_a_kept_revision_is_not_removed_and_costs_nothing() -> None:
    """
    Without pods, named by no route: nothing is done and nothing is looked after.
    """
    s = situation(Phase.STABLE, arms=RESTING, remembered=OLD)
    assert (difference(s), at_rest(s, EMPTY)) == ((), True)
    assert decide(*world(Phase.STABLE, arms=RESTING, remembered=OLD), NOW).wake_at is None
    assert difference(situation(Phase.STABLE, arms=RESTING)) == (DeleteWorkload(revision=rev("0")),)
    listed = situation(Phase.STABLE, arms=RESTING, remembered=OLD, route=route({"1": "100", "0": "0"}))
    assert at_rest(listed, EMPTY) is False
    leaving: list[Arm] = [replace(EMPTY, pods=1), replace(EMPTY, wanted_replicas=1), replace(EMPTY, role="stable")]
    assert [at_rest(s, one) for one in leaving] == [False, False, False]


@pytest.mark.parametrize("version", ["1", "3"])
def test_another_wish_of_the_spec_ends_an_undo(version: str) -> None:
    """
    While the spec says what it said, the undo is what is wanted.
    """
    remembered = {"undo": returning("2", "1")}
    s = assess(*world(Phase.PREPARING, version=version, remembered=remembered), NOW)
    wanted = {"1": rev("2"), "3": rev("3")}
    assert (s.target, s.status.undo is None) == (wanted[version], version == "3")


def test_a_failed_undo_leaves_the_spec_as_it_was() -> None:
    """
    The kept revision crashes: it is rejected, and the spec's revision goes on serving, not rejected.
    """
    crashing = arms(arm("1"), arm("2", crash_looping="container m restarted 5 times"))
    asked = world(Phase.PREPARING, version="1", remembered={"undo": returning("2", "1")}, arms=crashing)
    plan = decide(*asked, NOW)
    assert (plan.status.phase, plan.status.undo) == (Phase.ROLLING_BACK, None)
    assert [known.version for known in plan.status.rejected] == ["2"]


def test_nothing_is_undone_or_restarted_that_was_not_asked_for() -> None:
    """
    Called outside of its row, an update changes nothing.
    """
    for phase in (Phase.STABLE, Phase.PENDING):
        s = situation(phase, annotations=asking("restart", "1") if phase is Phase.PENDING else None)
        assert memory.begin_undo(s, Reason.UNDO_REQUESTED) == s.status
        assert memory.remember_restart(s, Reason.RESTART_REQUESTED) == s.status


def test_pods_are_replaced_until_the_template_carries_the_request() -> None:
    """
    After a crash in between the same is planned again; a revision that was never asked for is left alone.
    """
    asked = {"stable": stable().model_copy(update={"restart_id": "r-9"})}
    for found, effects in ((None, (RestartWorkload(revision=rev("1"), restart_id="r-9"),)), ("r-9", ())):
        assert difference(situation(Phase.STABLE, remembered=asked, arms=arms(arm("1", restart_id=found)))) == effects
    assert difference(situation(Phase.STABLE, arms=arms(arm("1", restart_id="r-8")))) == ()
    assert difference(situation(Phase.PENDING)) == ()


def test_the_undone_revision_is_promoted_in_a_freeze_and_without_approval() -> None:
    """
    Somebody asked for it.
    """
    window = {"start": "2026-01-01T00:00:00Z", "end": "2026-01-02T00:00:00Z"}
    plan = decide(
        *world(
            Phase.PREPARING, version="1", remembered={"undo": returning("2", "1"), "candidate": candidate()},
            route=route({"1": "100", "2": "0"}),
            sections={"automation": {"degree": "HumanOnly", "freezes": [window]}},
        ),
        NOW + timedelta(seconds=1),
    )  # fmt: skip
    assert (plan.because.rule, plan.status.phase) == ("undone_revision_listed", Phase.PROMOTING)
    assert plan.raises_exposure
