"""
Findings about a step whose deadline passed: which policy holds, and what keeps each from it.
"""

from typing import Any

import pytest
from fakes.rollout import ago, arm, arms, block, kept, metric_evidence, route, situation, step, verdict

from modelramp.api.names import ANNOTATION_RETRY
from modelramp.api.status import VerdictName
from modelramp.api.vocabulary import Phase, Reason
from modelramp.rollout import overdue
from modelramp.rollout.observed import Measured
from modelramp.rollout.situation import Situation

LATE = step(entered_at=ago(3600))
SAID = {said: {"verdicts": (verdict(said, message="why"),)} for said in VerdictName}
POLICIES = {
    "pause": {},
    "roll back": {"onInconclusive": "Rollback", "onNoData": "Rollback"},
    "advance": {"onInconclusive": "Advance"},
}


def late(policy: str, **changes: Any) -> Situation:  # noqa: ANN401 - as `world`
    """
    A step whose hour is over, under a policy.
    """
    remembered = {"step": LATE, **changes.pop("remembered", {})}
    analysis = {**POLICIES[policy], **changes.pop("analysis", {})}
    return situation(Phase.PROGRESSING, remembered=remembered, sections={"analysis": analysis}, **changes)


@pytest.mark.parametrize(
    ("said", "missing"),
    [
        (VerdictName.UNAVAILABLE, True),
        (VerdictName.NO_DATA, True),
        (VerdictName.INCONCLUSIVE, False),
        (VerdictName.PASSED, False),
        (VerdictName.FAILED, False),
    ],
    ids=str,
)
def test_metrics_are_missing_without_an_answer_or_anything_in_it(
    said: VerdictName,
    missing: bool,  # noqa: FBT001 - a column of the table
) -> None:
    """
    Even beside one that passed.
    """
    s = situation(Phase.PROGRESSING, remembered={"verdicts": (verdict(VerdictName.PASSED), verdict(said, name="b"))})
    assert overdue.metrics_missing(s) is missing


@pytest.mark.parametrize(
    ("at", "expected"),
    [(LATE, True), (step(entered_at=ago(3599)), False), (None, False)],
    ids=["an hour", "a second less", "no step"],
)
def test_a_step_is_overdue_after_its_deadline(at: Any, expected: bool) -> None:  # noqa: ANN401, FBT001
    """
    Counted from when it was entered.
    """
    assert overdue.step_overdue(situation(Phase.PROGRESSING, remembered={"step": at})) is expected


FINDINGS = (
    overdue.no_data_rolls_back,
    overdue.inconclusive_rolls_back,
    overdue.inconclusive_advances,
    overdue.step_overdue_without_metrics,
)


@pytest.mark.parametrize(
    ("policy", "said", "expected"),
    [
        ("pause", VerdictName.INCONCLUSIVE, ()),
        ("pause", VerdictName.NO_DATA, ("step_overdue_without_metrics",)),
        ("roll back", VerdictName.INCONCLUSIVE, ("inconclusive_rolls_back",)),
        ("roll back", VerdictName.NO_DATA, ("no_data_rolls_back", "step_overdue_without_metrics")),
        ("roll back", VerdictName.UNAVAILABLE, ("no_data_rolls_back", "step_overdue_without_metrics")),
        ("advance", VerdictName.INCONCLUSIVE, ("inconclusive_advances",)),
        ("advance", VerdictName.NO_DATA, ("step_overdue_without_metrics",)),
        ("advance", VerdictName.UNAVAILABLE, ("step_overdue_without_metrics",)),
    ],
)
def test_what_follows_a_deadline_is_for_the_spec_to_say(
    policy: str, said: VerdictName, expected: tuple[str, ...]
) -> None:
    """
    Of evidence neither way, and of none, apart; no data never advances. Nothing of it holds before the deadline.
    """
    s = late(policy, remembered=SAID[said])
    early = late(policy, remembered={**SAID[said], "step": step(entered_at=ago(3599))})
    assert tuple(found.__name__ for found in FINDINGS if found(s)) == expected
    assert [found.__name__ for found in FINDINGS if found(early)] == []


@pytest.mark.parametrize("said", [VerdictName.INCONCLUSIVE, VerdictName.NO_DATA], ids=str)
def test_nothing_is_rolled_back_to_a_stable_without_endpoints(said: VerdictName) -> None:
    """
    It is no fault of the candidate, and nobody would serve: the step is overdue all the same.
    """
    s = late("roll back", remembered=SAID[said], arms=arms(arm("1", ready=0), arm("2")))
    assert [overdue.no_data_rolls_back(s), overdue.inconclusive_rolls_back(s)] == [False, False]
    assert overdue.step_overdue(s)


SPLIT = {"evidence": (kept(metric_evidence(counts=(500.0, 0.0, 500.0, 0.0))),)}
SECOND_METRIC = {"name": "b", "ratio": {"total": "a{$arm}", "bad": "b{$arm}"}}


@pytest.mark.parametrize(
    "changes",
    [
        {"route": route({"1": "100", "2": "0"})},
        {"arms": arms(arm("1", ready=0), arm("2"))},
        {"arms": arms(arm("1"), arm("2", ready=0))},
        {"remembered": {"step": step(entered_at=ago(3600), in_place_since=ago(119))}},
        {"remembered": SPLIT},
        {"remembered": {"verdicts": ()}},
        {"analysis": {"metrics": [{"preset": "errors"}, SECOND_METRIC]}},
    ],
    ids=[
        "not in place",
        "stable without endpoints",
        "candidate without endpoints",
        "not soaked",
        "another split is counted",
        "nothing was ever counted",
        "nothing was ever counted of one of two",
    ],
)
def test_an_advance_needs_all_but_the_certificate(changes: dict[str, Any]) -> None:
    """
    Its traffic in place and soaked, as counted, and every metric counted: what is not known is no data.
    """
    assert overdue.inconclusive_advances(late("advance"))
    assert not overdue.inconclusive_advances(late("advance", **changes))


def test_the_last_step_advances_into_promotion() -> None:
    """
    Another step follows any but the last one.
    """
    half = {"strategy": {"canary": {"blastRadius": "1%", "steps": [{"traffic": "5%"}]}}}
    sections = {"analysis": POLICIES["advance"]}
    last = situation(Phase.PROGRESSING, remembered={"step": LATE}, sections={**sections, **half})
    assert [overdue.last_inconclusive_advances(s) for s in (last, late("advance"))] == [True, False]


READ = {"readings": {"errors": Measured(block((50, 0, 950, 1)))}}


@pytest.mark.parametrize(
    ("reason", "changes", "expected"),
    [
        (Reason.METRICS_UNAVAILABLE, READ, True),
        (Reason.METRICS_UNAVAILABLE, {}, False),
        (Reason.METRICS_UNAVAILABLE, {**READ, "remembered": SAID[VerdictName.NO_DATA]}, False),
        (Reason.ANALYSIS_INCONCLUSIVE, READ, False),
        (Reason.ROUTE_CONFLICT, {}, True),
        (Reason.ROUTE_CONFLICT, {"remembered": {"phase_since": ago(59)}}, False),
        (Reason.ROUTE_CONFLICT, {"route": route({"1": "95", "2": "5"}, contested_by="flux")}, False),
        (Reason.ANALYSIS_INCONCLUSIVE, {"annotations": {ANNOTATION_RETRY: "once"}}, True),
    ],
    ids=[
        "the metrics are back",
        "nobody looked",
        "one is still missing",
        "only a human goes on from here",
        "the route is ours again",
        "it may be contested again at once",
        "the route is contested",
        "a retry",
    ],
)
def test_a_pause_is_lifted_by_what_caused_it(reason: Reason, changes: dict[str, Any], expected: bool) -> None:  # noqa: FBT001
    """
    Or by a human.
    """
    remembered = {"reason": reason, **changes.get("remembered", {})}
    assert overdue.pause_lifted(situation(Phase.PAUSED, **{**changes, "remembered": remembered})) is expected
