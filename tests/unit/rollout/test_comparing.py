"""
The comparator of a shadow step: when it is wanted, when copies go by it, and when it goes.
"""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from fakes.rollout import NOW, World, ago, arm, arms, rev, route, situation, step, world

from modelramp.api.scalars import Share
from modelramp.api.spec import MetricPreset
from modelramp.api.status import Condition
from modelramp.api.vocabulary import ConditionType, Phase, Reason
from modelramp.rollout import decide
from modelramp.rollout.comparing import (
    awaits_comparator,
    comparator_overdue,
    comparator_serves,
    comparators,
    sender,
    wanted_comparator,
)
from modelramp.rollout.conditions import conditions
from modelramp.rollout.counters import COMPARATOR
from modelramp.rollout.desired import difference, wanted_compared, wanted_mirrors
from modelramp.rollout.guards import route_overdue, split_mismatched, traffic_in_place
from modelramp.rollout.needs import needs
from modelramp.rollout.observed import Acceptance, Comparator, RouteState
from modelramp.rollout.plan import DeleteComparator, EnsureComparator, ScaleWorkload, SetTraffic
from modelramp.rollout.situation import Situation
from modelramp.rollout.strategy import Place, step_at
from modelramp.rollout.waiting import waited_for

BACK = {"1": "100", "2": "0"}
COPIED = {rev("2"): Decimal(100)}
EXPOSED = (Phase.PROGRESSING, Phase.PAUSED)


def mirrored(**changes: Any) -> Any:  # noqa: ANN401 - a StepStatus
    """
    The shadow step, in place and soaked.
    """
    return step("5").model_copy(update={"traffic": Share("0%"), "mirror": Share("100%"), **changes})


def sections(compare: dict[str, Any] | None = None, **analysis: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    """
    A shadow run that compares.
    """
    metrics = [{"preset": "errors"}, {"preset": "disagreement"}]
    return {
        "strategy": {"shadow": {"soak": "2m", "compare": compare or {}}},
        "analysis": {"metrics": metrics, **analysis},
    }


def by_way(**changes: Any) -> RouteState:  # noqa: ANN401 - any field
    """
    A route that copies to the candidate's comparator.
    """
    return route(BACK, **{"mirrors": COPIED, "compared": frozenset({rev("2")}), **changes})


def wanted() -> EnsureComparator:
    """
    What the step wants.
    """
    found = wanted_comparator(compared())
    assert found is not None
    return found


def serving(ready: int = 1, **changes: Any) -> dict[str, Comparator]:  # noqa: ANN401 - any field
    """
    The comparator the step wants.
    """
    return {rev("2"): Comparator(**{"ready": ready, "hash": wanted().hash, **changes})}


def compared_world(phase: Phase = Phase.PROGRESSING, **changes: Any) -> World:  # noqa: ANN401 - as `world`
    """
    A shadow step that compares; without a comparator unless told.
    """
    usual = {
        "remembered": {"step": mirrored(), **changes.pop("remembered", {})},
        "sections": sections(),
        "route": route(BACK),
    }
    return world(phase, **{**usual, **changes})


def compared(phase: Phase = Phase.PROGRESSING, **changes: Any) -> Situation:  # noqa: ANN401 - as `world`
    """
    The same, as guards see it.
    """
    asked = compared_world(phase, **changes)
    return Situation(deployment=asked.deployment, status=asked.deployment.status, observed=asked.observed, now=NOW)


def effects(s: Situation) -> list[str]:
    """
    What is done, by name.
    """
    return [type(effect).__name__ for effect in difference(s)]


@pytest.mark.parametrize("phase", Phase)
def test_a_comparator_is_wanted_while_the_candidate_has_its_step(phase: Phase) -> None:
    """
    In no other phase, whatever the memory holds.
    """
    found = compared(phase, remembered={"step": mirrored()})
    assert (wanted_comparator(found) is not None) == (phase in EXPOSED)


def test_none_is_wanted_where_nothing_is_compared() -> None:
    """
    In a live step, without compare, and without anybody to compare with.
    """
    plain = {"strategy": {"shadow": {"soak": "2m"}}}
    assert wanted_comparator(compared(sections=plain)) is None
    assert wanted_comparator(situation(Phase.PROGRESSING)) is None
    assert wanted_comparator(compared(remembered={"stable": None})) is None
    assert wanted_comparator(compared(remembered={"step": None})) is None


def test_what_is_wanted_is_known_again_by_its_hash() -> None:
    """
    Of the revision it is compared with, and of all that compare says.
    """
    same, other = (
        wanted_comparator(compared(sections=sections({"as": "Equal"}))),
        compared(sections=sections({"as": "Set"})),
    )
    changed = wanted_comparator(other)
    assert same == wanted()
    assert changed is not None
    assert (wanted().revision, wanted().stable, changed.revision) == (rev("2"), rev("1"), rev("2"))
    assert changed.hash != wanted().hash


@pytest.mark.parametrize(
    ("known", "planned"),
    [({}, True), (serving(), False), (serving(hash="another"), True), (serving(hash=None), True)],
    ids=["absent", "there", "of another edit", "without a hash"],
)
def test_it_is_made_where_it_is_not_as_the_spec_says(known: dict[str, Comparator], planned: bool) -> None:  # noqa: FBT001 - a parameter
    """
    And left alone where it is.
    """
    assert list(comparators(compared(comparators=known))) == ([wanted()] if planned else [])


@pytest.mark.parametrize(
    ("ready", "pods", "copies"),
    [(1, 2, COPIED), (0, 2, {}), (1, 0, {})],
    ids=["both serve", "no comparator serves", "no candidate serves"],
)
def test_copies_are_made_only_while_both_serve(ready: int, pods: int, copies: dict[str, Decimal]) -> None:
    """
    A copy to nobody makes some gateways fail the user's own request.
    """
    s = compared(comparators=serving(ready), arms=arms(arm("1"), arm("2", ready=pods)))
    assert dict(wanted_mirrors(s)) == copies
    assert wanted_compared(s) == frozenset(copies)
    assert comparator_serves(s) == (ready > 0)
    assert awaits_comparator(s) == (ready == 0)


def test_copies_go_by_the_comparator_once_it_serves() -> None:
    """
    As a rise of exposure.
    """
    (traffic,) = difference(compared(comparators=serving()))
    assert isinstance(traffic, SetTraffic)
    assert (traffic.mirrors, traffic.compared, traffic.raises_exposure) == (COPIED, frozenset({rev("2")}), True)


def test_a_comparator_that_dies_gets_no_copies() -> None:
    """
    They are taken away at once, and it is left to come back.
    """
    (traffic,) = difference(compared(comparators=serving(0), route=by_way()))
    assert isinstance(traffic, SetTraffic)
    assert (traffic.mirrors, traffic.compared, traffic.raises_exposure) == ({}, frozenset(), False)


def test_it_goes_after_its_copies_never_before() -> None:
    """
    Out of the step the copies go first; once the accepted route is without them, so does the comparator.
    """
    leaving = {"comparators": serving()}
    assert effects(compared(Phase.ROLLING_BACK, route=by_way(), **leaving)) == ["SetTraffic"]
    unheard = route(BACK, acceptance=Acceptance.PENDING)
    assert "DeleteComparator" not in effects(compared(Phase.ROLLING_BACK, route=unheard, **leaving))
    assert effects(compared(Phase.ROLLING_BACK, **leaving)) == ["DeleteComparator"]
    assert DeleteComparator(revision=rev("2")) in difference(
        compared(Phase.ROLLING_BACK, route=RouteState(), **leaving)
    )


def test_one_of_another_revision_goes_too() -> None:
    """
    Also while another is wanted.
    """
    both = {**serving(), rev("3"): Comparator(ready=1, hash="h")}
    assert list(comparators(compared(comparators=both))) == [DeleteComparator(revision=rev("3"))]


def test_the_target_of_copies_is_a_part_of_the_route() -> None:
    """
    Compare taken out of the spec: the copies go to the candidate itself, which is a rise of its exposure, and only then
    does the comparator go.
    """
    plain = {"strategy": {"shadow": {"soak": "2m"}}}
    traffic, *others = difference(compared(sections=plain, route=by_way(), comparators=serving()))
    assert isinstance(traffic, SetTraffic)
    assert (traffic.mirrors, traffic.compared, traffic.raises_exposure) == (COPIED, frozenset(), True)
    assert others == []
    moved = compared(sections=plain, route=by_way(compared=frozenset()), comparators=serving())
    assert effects(moved) == ["DeleteComparator"]


def test_a_step_is_in_place_when_its_copies_go_the_right_way() -> None:
    """
    By the comparator where answers are compared, and only there.
    """
    plain = {"strategy": {"shadow": {"soak": "2m"}}}
    straight = by_way(compared=frozenset())
    cases = [(sections(), by_way()), (sections(), straight), (plain, by_way()), (plain, straight)]
    assert [traffic_in_place(compared(sections=how, route=given)) for how, given in cases] == [True, False, False, True]


def test_a_candidate_keeps_its_pods_while_a_comparator_may_ask_it() -> None:
    """
    Long drained, and still not scaled.
    """
    retired = arms(arm("1"), arm("2", role="retired"))
    after: dict[str, Any] = {
        "version": "1",
        "arms": retired,
        "route": route(BACK),
        "remembered": {"phase_since": ago(3600)},
    }
    free, asked = situation(Phase.STABLE, **after), situation(Phase.STABLE, **after, comparators=serving())
    assert ScaleWorkload(revision=rev("2"), replicas=0, grows=False) in difference(free)
    assert effects(asked) == ["DeleteComparator"]


def known_since(seconds: float) -> dict[str, Any]:
    """
    The memory of a comparator that has not been ready for so long.
    """
    said = Condition(
        type=ConditionType.COMPARATOR_NOT_READY,
        status="True",
        reason=Reason.COMPARATOR_NOT_READY,
        message="",
        last_transition_time=ago(seconds),
        observed_generation=7,
    )
    return {"step": mirrored(), "conditions": (said,)}


@pytest.mark.parametrize(
    ("seconds", "ready", "overdue"), [(600, 0, True), (599, 0, False), (600, 1, False)], ids=["late", "early", "ready"]
)
def test_it_is_overdue_after_the_progress_deadline(seconds: float, ready: int, *, overdue: bool) -> None:
    """
    Counted from the first look at which it was not ready, which its condition remembers.
    """
    assert comparator_overdue(compared(remembered=known_since(seconds), comparators=serving(ready))) is overdue


def test_without_the_condition_it_is_not_known_since_when() -> None:
    """
    So it is not overdue, and the condition is set now.
    """
    s = compared()
    assert not comparator_overdue(s)
    told = {one.type: one for one in conditions(s)}[ConditionType.COMPARATOR_NOT_READY]
    assert (told.status, told.last_transition_time) == ("True", NOW)
    assert waited_for(s).startswith("holding: the comparator has no ready endpoint")
    ready = compared(comparators=serving())
    assert ConditionType.COMPARATOR_NOT_READY not in {one.type for one in conditions(ready)}
    assert waited_for(ready).startswith("waiting for the gateway to give")


def test_the_candidate_is_not_rejected_for_its_comparator() -> None:
    """
    The route cannot follow the step without one; with one it could.
    """
    late = {"step": mirrored(entered_at=ago(600), in_place_since=None)}
    assert not route_overdue(compared(remembered=late))
    assert route_overdue(compared(remembered=late, comparators=serving()))


def test_disagreement_is_counted_where_answers_are_compared() -> None:
    """
    In no live step, where it is not required either; in the shadow step both metrics are, by the comparator's counters.
    """
    shadow = {"canary": {"shadow": {"compare": {}}}}
    both = {**sections(), "strategy": shadow}
    presets = [MetricPreset.ERRORS, MetricPreset.DISAGREEMENT]
    in_shadow, live = compared(sections=both), situation(Phase.PROGRESSING, sections=both)
    assert [metric.preset for metric in in_shadow.required_metrics] == presets
    assert [metric.preset for metric in live.required_metrics] == presets[:1]
    assert [metric.preset for metric in live.judged_metrics] == presets
    assert (sender(in_shadow), sender(live)) == (COMPARATOR, live.observed.route.controller)


def test_the_comparator_is_asked_in_the_gateway_s_place() -> None:
    """
    Which sees none of the candidate's answers. Of the object's own comparators only, and of stable's pairs with itself.
    """
    asked = compared_world(comparators=serving(), route=by_way())
    kept = decide(*asked, NOW).status
    asked = asked._replace(deployment=replace(asked.deployment, status=kept))
    errors, disagreement = needs(asked.deployment, asked.observed, NOW).counters
    for question, outcome in ((errors, "candidate_error"), (disagreement, "disagree")):
        for arm_asked, revision in ((question.candidate, rev("2")), (question.stable, rev("1"))):
            bad = getattr(arm_asked, "bad", "")
            assert bad.startswith("modelramp_comparator_pairs_total{")
            assert f'namespace="ml",revision="{revision}",pod=~"fraud-[0-9a-f]{{9,10}}.*"' in bad
            assert outcome in bad.rpartition("outcome")[2]


def test_a_split_cannot_be_told_from_pairs() -> None:
    """
    Stable is asked once for each pair and twice for some.
    """
    assert not split_mismatched(compared())


def test_a_share_of_copies_that_is_edited_is_still_compared() -> None:
    """
    A place the spec no longer lists keeps how the listed one compares; a live one compares nothing.
    """
    spec = compared(sections={**sections(), "strategy": {"shadow": {"compare": {}, "mirror": "50%"}}}).spec
    assert step_at(spec, Place(Decimal(0), mirror=Decimal(10))).compare is not None
    assert step_at(spec, Place(Decimal(5))).compare is None


@pytest.mark.parametrize(
    ("strategy", "field"),
    [
        ({"shadow": {"compare": {}}}, "spec.strategy.shadow.compare"),
        ({"canary": {"shadow": {"compare": {}}}}, "spec.strategy.canary.shadow.compare"),
        ({"blueGreen": {"shadow": {"compare": {}}}}, "spec.strategy.blueGreen.shadow.compare"),
        ({"shadow": {}}, None),
    ],
)
def test_an_operator_without_an_image_says_so(strategy: dict[str, Any], field: str | None) -> None:
    """
    With the field, whatever the gateway; and nothing is begun.
    """
    plain = {"analysis": {"metrics": [{"preset": "errors"}]}, "strategy": strategy}
    s = situation(Phase.PREPARING, sections=plain, can_compare=False, route=route(BACK, controller=None))
    assert s.impossible == (None if field is None else s.impossible)
    assert (s.impossible or "None").startswith(f"{field}")
    accepted = {one.type: one for one in conditions(s)}[ConditionType.ACCEPTED]
    assert (accepted.status, accepted.reason) == (
        ("True", Reason.ACCEPTED) if field is None else ("False", Reason.INVALID_SPEC)
    )
