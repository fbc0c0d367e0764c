"""
Which other candidates a run has, and what each is to get.
"""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from fakes.others import certain, copied_to, listing, other, other_arm, other_rev, run, seen_as
from fakes.rollout import NOW, ago, arm, arms, deployment, returning, rev, route, step, world

from modelramp.api.document import revision_of
from modelramp.api.scalars import Share
from modelramp.api.status import ConfigContent, OtherOutcome, Status
from modelramp.api.vocabulary import Phase
from modelramp.rollout.others import (
    beside,
    copies,
    held,
    left_at,
    listed,
    others_awaited,
    others_settled,
    taking_part,
    told_of_others,
)
from modelramp.rollout.situation import Situation

HARMFUL = {"outcome": OtherOutcome.HARMFUL, "decided_at": ago(30)}
WITHDRAWN = {"outcome": OtherOutcome.WITHDRAWN, "decided_at": ago(30)}


def versions(s: Situation) -> list[tuple[str, str]]:
    """
    The others after the spec's list was looked at: version and outcome.
    """
    return [(one.version, str(one.outcome)) for one in listed(s)]


def test_those_that_take_part() -> None:
    """
    Undecided and certified ones; not one that was decided against, or that the spec does not list.
    """
    s = seen_as(run(other("3"), certain("4", outcome=OtherOutcome.PASSED), other("5", **HARMFUL), other("6"),
                    listed=("3", "4", "5")))  # fmt: skip
    assert [one.version for one in taking_part(s)] == ["3", "4"]


@pytest.mark.parametrize(
    ("phase", "changes"),
    [
        (Phase.PROMOTING, {}),
        (Phase.ROLLING_BACK, {}),
        (Phase.STABLE, {}),
        (Phase.PROGRESSING, {"stable": None}),
        (Phase.PROGRESSING, {"undo": returning("2")}),
    ],
)
def test_nobody_takes_part_outside_of_a_run(phase: Phase, changes: dict[str, Any]) -> None:
    """
    Whatever is remembered: and nothing is added to it then.
    """
    s = seen_as(run(other("3"), phase=phase, listed=("3", "4"), remembered=changes))
    assert taking_part(s) == ()
    assert versions(s) == [("3", "Undecided")]
    assert copies(s) == {}


def test_a_run_of_another_revision_has_no_others() -> None:
    """
    The spec names a third version: its list is of that version's run.
    """
    s = seen_as(world(Phase.PROGRESSING, version="7", remembered={"others": (other("3"),)}, sections=listing("3")))
    assert taking_part(s) == ()
    assert versions(s) == [("3", "Undecided")]


def test_what_the_spec_lists_is_begun() -> None:
    """
    With nothing known of it.
    """
    (known, begun) = listed(seen_as(run(other("3"), listed=("3", "4"))))
    assert known == other("3")
    assert (begun.name, begun.version, begun.revision, begun.since) == ("o4", "4", other_rev("4"), NOW)
    assert (begun.warm, begun.ready_since, begun.entered_at, begun.evidence) == (True, None, None, ())


def test_one_with_a_warm_up_begins_cold() -> None:
    """
    As the run's own candidate does.
    """
    sections = {"serving": {"warmUp": {"path": "/infer", "requests": 3}}}
    (begun,) = listed(seen_as(run(listed=("3",), sections=sections)))
    assert not begun.warm


@pytest.mark.parametrize("what", ["serves", "gateway"])
def test_nobody_joins_while_the_list_cannot_be_carried_out(what: str) -> None:
    """
    Somebody listed the revision that serves, or the gateway copies to one revision only: the object says which field is
    wrong, and those that take part already go on.
    """
    stable = {"stable": {"revision": other_rev("4"), "version": "4", "since": ago(900)}} if what == "serves" else {}
    both = copied_to(rev("2"), other_rev("3"))
    controller = "networking.gke.io/gateway" if what == "gateway" else "projectcontour.io/gateway-controller"
    seen = route({"1": "100", "2": "0"}, mirrors=both, controller=controller)
    s = seen_as(run(other("3"), listed=("3", "4", "5"), remembered=stable, route=seen))
    assert versions(s) == [("3", "Undecided")]
    assert "spec.strategy.shadow.others" in str(s.impossible)


def test_what_the_spec_lists_no_more_is_withdrawn() -> None:
    """
    From now on; what was decided before keeps its outcome, and what is listed under another name is the same.
    """
    one, harmful, renamed = listed(seen_as(run(other("3"), other("4", **HARMFUL), other("5", name="x"), listed=("5",))))
    assert (one.outcome, one.decided_at, one.evidence) == (OtherOutcome.WITHDRAWN, NOW, other("3").evidence)
    assert harmful == other("4", **HARMFUL)
    assert renamed == other("5")


def test_what_was_withdrawn_is_taken_up_again_with_its_evidence() -> None:
    """
    Or its error rates would be spent twice; a harmful one stays harmful.
    """
    again, harmful = listed(seen_as(run(other("3", **WITHDRAWN), other("4", **HARMFUL))))
    assert (again.outcome, again.since, again.entered_at) == (OtherOutcome.UNDECIDED, NOW, None)
    assert (again.evidence, again.decided_at) == (other("3").evidence, None)
    assert harmful.outcome is OtherOutcome.HARMFUL


@pytest.mark.parametrize(("phase", "joins"), [(Phase.PREPARING, True), (Phase.PROGRESSING, False)])
def test_where_people_approve_every_change_nobody_joins_in_flight(phase: Phase, *, joins: bool) -> None:
    """
    What was approved is a run with those that were listed then.
    """
    sections = {"automation": {"degree": "HumanOnly"}}
    s = seen_as(run(other("3", **WITHDRAWN), listed=("3", "4"), phase=phase, sections=sections))
    expected = ["Undecided", "Undecided"] if joins else ["Withdrawn"]
    assert [outcome for _, outcome in versions(s)] == expected


def test_those_that_ended_first_are_forgotten_first() -> None:
    """
    The status stays small.
    """
    ended = [other(str(version), **WITHDRAWN) for version in range(10, 18)]
    s = seen_as(run(*ended, listed=("17", "3")))
    assert [version for version, _ in versions(s)] == ["11", "12", "13", "14", "15", "16", "17", "3"]


def test_an_object_without_others_costs_nothing() -> None:
    """
    Its memory is the very same.
    """
    s = seen_as(world(Phase.PROGRESSING))
    assert listed(s) is s.status.others


def test_its_own_situation() -> None:
    """
    Its model, its memory, its copies; the step is the run's, entered when it entered it.
    """
    asked = run(other("3"), other("4"))
    s = seen_as(asked)
    one = beside(s, s.status.others[1])
    assert (one.candidate, one.deployment.revision, one.spec.model.version) == (other_rev("4"), other_rev("4"), "4")
    assert (
        one.status.step == s.status.step.model_copy(update={"entered_at": ago(200), "in_place_since": ago(180)})
        if s.status.step
        else False
    )
    assert (one.status.phase, one.stable, one.spec.others) == (Phase.PROGRESSING, rev("1"), ())
    assert one.observed.route.mirrors == copied_to(other_rev("4"))
    assert (one.status.verdicts, one.status.evidence) == (other("4").verdicts, other("4").evidence)


def test_its_own_situation_before_it_entered_the_step() -> None:
    """
    It prepares, whatever the run does.
    """
    s = seen_as(run(other("3", entered_at=None, in_place_since=None), phase=Phase.PAUSED))
    one = beside(s, s.status.others[0])
    assert (one.status.phase, one.step, one.observed.route.mirrors) == (Phase.PREPARING, None, {})


def test_copies_are_those_of_the_step() -> None:
    """
    To those that entered it and have endpoints.
    """
    mute = arms(arm("1"), arm("2"), other_arm("3"), other_arm("4"), other_arm("5", ready=0))
    quarter = {"step": step("0", mirror=Share("25%"))}
    those = (other("3"), other("4", entered_at=None), other("5"))
    s = seen_as(run(*those, shadow={"mirror": "25%"}, remembered=quarter, arms=mute))
    assert copies(s) == {other_rev("3"): Decimal(25)}


@pytest.mark.parametrize("what", ["gone", "unmirrored", "before"])
def test_no_copies(what: str) -> None:
    """
    Without a workload, in a step that copies nothing, and before any.
    """
    s = {
        "gone": run(other("3"), arms=arms(arm("1"), arm("2"))),
        "unmirrored": run(other("3"), remembered={"step": step("5")}),
        "before": run(other("3"), phase=Phase.PREPARING),
    }[what]
    assert copies(seen_as(s)) == {}


def test_nobody_is_given_more_while_exposure_is_held() -> None:
    """
    What the route gives already stays.
    """
    contested = route({"1": "100", "2": "0"}, mirrors=copied_to(rev("2"), other_rev("3")), contested_by="flux")
    s = seen_as(run(other("3"), other("4"), route=contested))
    assert held(s)
    assert copies(s) == copied_to(other_rev("3"))


def test_when_something_last_reached_it() -> None:
    """
    The phase's begin, or its own end in the phase; not that of another one.
    """
    s = seen_as(run(other("3", **HARMFUL), other("4"), remembered={"phase_since": ago(500)}))
    assert left_at(s, other_rev("3")) == ago(30)
    assert left_at(s, other_rev("4")) == ago(500)
    assert left_at(seen_as(run(remembered={"phase_since": None})), rev("2")) is None


def test_the_run_waits_for_the_undecided_until_the_deadline() -> None:
    """
    Not a second longer.
    """
    assert not others_settled(seen_as(run(other("3"), shadow={"deadline": "201s"})))
    assert others_settled(seen_as(run(other("3"), shadow={"deadline": "200s"})))
    assert others_settled(seen_as(run(certain("3", outcome=OtherOutcome.PASSED), other("4", **HARMFUL))))
    assert not others_settled(seen_as(run(other("3"), phase=Phase.PREPARING)))


def test_who_is_waited_for() -> None:
    """
    By name, and until when: the step was entered 200 s ago.
    """
    s = seen_as(run(other("3"), certain("4", outcome=OtherOutcome.PASSED), other("5"), shadow={"deadline": "5m"}))
    assert others_awaited(s) == "waiting until 2026-01-01T12:01:40Z at the latest for the other candidates: o3, o5"
    assert others_awaited(seen_as(run(other("3"), phase=Phase.PREPARING))) == "waiting for the other candidates: o3"


def test_a_line_of_each() -> None:
    """
    Name, version, outcome, and why; the name once.
    """
    s = seen_as(run(other("3", message="o3: it is worse", **HARMFUL), other("4", message="waiting")))
    assert told_of_others(s) == ("o3 (version 3): Harmful: it is worse", "o4 (version 4): Undecided: waiting")


def test_what_config_maps_hold_is_a_part_of_its_revision_too() -> None:
    """
    As of the spec's own; in its own situation it is the revision that is asked for.
    """
    seen = Status(config=(ConfigContent(config_map="limits", hash="a" * 32),))
    asked = deployment("2", seen, serving={"config": [{"configMap": "limits"}]}, **listing("3"))
    ((revision, of_it),) = asked.others.items()
    assert revision == revision_of(of_it, {"limits": "a" * 32}) != of_it.revision
    assert replace(asked, spec=of_it).revision == revision
