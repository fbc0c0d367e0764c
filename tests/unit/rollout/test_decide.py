from datetime import datetime, timedelta
from typing import Any

import pytest
from fakes.rollout import NO_ROUTE, NOW, ago, arm, arms, kept, metric_evidence, rev, route, step, verdict, world

from modelramp.api.status import VerdictName
from modelramp.api.vocabulary import ALWAYS_PRESENT, Phase
from modelramp.rollout import decide
from modelramp.rollout.observed import Impossible

SOON = NOW + timedelta(seconds=2)
LATER = NOW + timedelta(seconds=15)
DUE = NOW + timedelta(seconds=5)  # a delay after the next multiple of the interval, at which looks fall
NOTHING_MEASURED = {"analysis": {"mode": "GuardrailsOnly", "interval": "4s"}}
OLD = arm("3", role="retired")


@pytest.mark.parametrize(
    ("phase", "changes", "expected"),
    [
        (Phase.STABLE, {}, None),
        (Phase.FAILED, {}, None),
        (Phase.PENDING, {}, None),
        (Phase.STABLE, {"arms": arms(arm("1"), OLD)}, SOON),
        (Phase.PREPARING, {}, SOON),
        (Phase.PREPARING, {"histories": {"latency": Impossible("no such edge")}}, LATER),
        (Phase.PROMOTING, {}, SOON),
        (Phase.ROLLING_BACK, {}, SOON),
        (Phase.PROGRESSING, {"remembered": {"step": step(in_place_since=None)}, "route": NO_ROUTE}, SOON),
        (Phase.PROGRESSING, {}, DUE),
        (Phase.PAUSED, {}, DUE),
        (Phase.PROGRESSING, {"sections": {"analysis": {"interval": "4s"}}}, NOW + timedelta(seconds=1)),
        (Phase.PROGRESSING, {"sections": {"analysis": {"interval": "7m"}}}, LATER),
        (Phase.PROGRESSING, {"sections": NOTHING_MEASURED, "remembered": {"step": step(in_place_since=ago(20))}},
         NOW + timedelta(seconds=4)),
        (Phase.PROGRESSING, {"remembered": {"evidence": (kept(metric_evidence(counted_until=ago(10))),)}}, DUE),
        (Phase.STABLE, {"version": "2"}, NOW),
    ],
    ids=[
        "stable", "failed", "pending", "a retired revision is left", "preparing", "preparing in vain",
        "promoting", "rolling back",
        "the step's traffic is not in place", "a step", "paused", "a short interval", "a long interval",
        "nothing is measured", "some were counted since",
        "after a transition",
    ],
)  # fmt: skip
def test_it_looks_again_as_often_as_something_can_change(
    phase: Phase, changes: dict[str, Any], expected: datetime | None
) -> None:
    """
    Never at rest, soon while something is awaited, at once after a transition.
    """
    assert decide(*world(phase, **changes), NOW).wake_at == expected


@pytest.mark.parametrize("phase", Phase, ids=str)
def test_a_second_look_at_the_same_world_changes_nothing(phase: Phase) -> None:
    """
    With the plan's memory and a clock that stands still, the next plan is the same memory.
    """
    asked = world(phase)
    once = decide(*asked, NOW).status
    document = type(asked.deployment)(
        namespace="ml", name="fraud", uid="u-1", generation=7, spec=asked.deployment.spec, status=once
    )
    assert decide(document, asked.observed, NOW).status == once


def test_instants_are_kept_in_whole_seconds() -> None:
    """
    As the API server stores them.
    """
    plan = decide(*world(Phase.STABLE, version="2"), NOW.replace(microsecond=999_999))
    assert (plan.status.phase_since, plan.wake_at) == (NOW, NOW)


def test_the_face_shows_the_stable_revision() -> None:
    """
    Its pods and their selector, for the scale subresource.
    """
    shown = decide(*world(Phase.STABLE, arms=arms(arm("1", pods=3))), NOW).status
    assert (shown.replicas, shown.observed_generation) == (3, 7)
    assert shown.selector == f"modelramp.io/deployment=fraud,modelramp.io/revision={rev('1')}"


def test_before_the_first_promotion_there_is_nothing_to_select() -> None:
    """
    No pods, no selector, no share, and yet the conditions that are always present.
    """
    shown = decide(*world(Phase.PENDING), NOW).status
    assert (shown.replicas, shown.selector, shown.traffic) == (0, "", None)
    assert tuple(one.type for one in shown.conditions) == ALWAYS_PRESENT


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        ((), None),
        ((verdict(evidence="3.1 of 20"),), "3.1/20"),
        ((verdict(evidence="9.0 of 20"), verdict(name="b", evidence="0.5 of 20")), "0.5/20"),
        ((verdict(VerdictName.PASSED, evidence="1.0 of 20"), verdict(name="b", evidence="9.0 of 20")), "9.0/20"),
        ((verdict(VerdictName.PASSED, evidence="40.0 of 20"),), "40.0/20"),
    ],
    ids=["nothing judged", "one", "the least of two", "an open one before one that passed", "all passed"],
)
def test_the_summary_is_the_metric_furthest_from_certification(verdicts: Any, expected: str | None) -> None:  # noqa: ANN401
    """
    One that is open before one that passed.
    """
    ratio = {"name": "b", "ratio": {"total": "a{$arm}", "bad": "b{$arm}"}}
    asked = world(
        Phase.PAUSED, remembered={"verdicts": verdicts},
        sections={"analysis": {"metrics": [{"preset": "errors"}, ratio]}},
    )  # fmt: skip
    assert decide(*asked, NOW).status.evidence_summary == expected


def test_a_first_visit_begins_the_phase_now() -> None:
    """
    An object that was never visited has no instant to keep.
    """
    shown = decide(*world(Phase.PENDING, remembered={"phase_since": None}), NOW).status
    moved = decide(
        *world(Phase.PROGRESSING, remembered={"phase_since": None, "verdicts": (verdict(VerdictName.PASSED),)}), NOW
    )
    assert (shown.phase_since, moved.status.phase_since) == (NOW, NOW)


def test_the_wanted_share_is_shown_beside_the_accepted_one() -> None:
    """
    A rollback wants 0 while the gateway still gives 5 %.
    """
    traffic = decide(*world(Phase.ROLLING_BACK, route=route({"1": "95", "2": "5"})), NOW).status.traffic
    assert traffic is not None
    assert (traffic.wanted, traffic.programmed) == ("0%", "5%")
