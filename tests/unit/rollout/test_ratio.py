from decimal import Decimal
from typing import Any

import pytest
from fakes.rollout import arm, arms, kept, metric_evidence, percents, rev, route, situation, spec, step

from modelramp.api.spec import MLModelDeploymentSpec
from modelramp.api.vocabulary import Phase, Reason
from modelramp.rollout.desired import difference
from modelramp.rollout.guards import candidate_ready, split_mismatched, traffic_in_place
from modelramp.rollout.observed import Acceptance
from modelramp.rollout.plan import EnsureWorkload, ScaleWorkload, SetTraffic
from modelramp.rollout.ratio import candidate_size, keeps_ratio, ratio, reachable, share_of, unreachable, wanted_percent
from modelramp.rollout.situation import Situation
from modelramp.rollout.strategy import START, Place

NINE = {"serving": {"replicas": 9}, "traffic": {"service": {}}}


def canary(*steps: str) -> dict[str, Any]:
    return {"canary": {"steps": [{"traffic": share} for share in steps]}}


def plain(replicas: int, *steps: str, **strategy: dict[str, Any]) -> MLModelDeploymentSpec:
    chosen = strategy or canary(*steps)
    return spec(serving={"replicas": replicas}, traffic={"service": {}}, strategy=chosen)


def pods(version: str, ready: int) -> dict[str, Any]:
    return {
        "wanted_replicas": ready,
        "pods": ready,
        "ready": ready,
        "role": "stable" if version == "1" else "candidate",
    }


@pytest.mark.parametrize(
    ("percent", "replicas", "wanted", "reached"),
    [
        ("1", 3, 1, "25"),
        ("5", 19, 1, "5"),
        ("10", 3, 1, "25"),
        ("10", 8, 1, "11.11"),
        ("10", 9, 1, "10"),
        ("10", 10, 1, "9.09"),
        ("25", 3, 1, "25"),
        ("25", 4, 1, "20"),
        ("25", 5, 2, "28.57"),
        ("25", 9, 3, "25"),
        ("33", 9, 4, "30.77"),
        ("49.9999", 9, 9, "50"),
        ("50", 1, 1, "50"),
        ("50", 9, 9, "50"),
        ("75", 9, 9, "50"),
        ("100", 9, 9, "100"),
    ],
)
def test_the_count_whose_share_is_nearest(percent: str, replicas: int, wanted: int, reached: str) -> None:
    """
    At least one pod, never more than stable has; worked out by hand.
    """
    assert ratio(Decimal(percent), replicas) == wanted
    assert reachable(Decimal(percent), replicas) == Decimal(reached)


@pytest.mark.parametrize("replicas", [1, 2, 3, 7, 20, 100, 1000])
def test_no_other_count_is_nearer(replicas: int) -> None:
    """
    Against every count there is, up to half of the traffic.
    """
    for percent in (Decimal(n) / 2 for n in range(1, 101)):
        distances = {some: abs(share_of(some, replicas) - percent) for some in range(1, replicas + 1)}
        assert distances[ratio(percent, replicas)] == min(distances.values())


def test_nothing_and_everything_are_exact() -> None:
    """
    They are no ratio but a selector.
    """
    assert (reachable(Decimal(0), 3), reachable(Decimal(100), 3)) == (0, 100)
    assert share_of(0, 0) == 0


@pytest.mark.parametrize(
    ("replicas", "steps", "said"),
    [
        (9, ("10%", "25%", "50%", "100%"), None),
        (8, ("10%",), None),
        (7, ("10%",), None),
        (6, ("10%",), "steps[0].traffic: a plain Service splits by pods, and 10% is not to be had with 6 replicas"),
        (6, ("10%",), "14.29% is the nearest; 7 replicas would do"),
        (3, ("25%", "50%", "75%"), "steps[2].traffic"),
        (3, ("25%", "50%", "75%"), "go from 50% to 100%"),
        (1000, ("0.01%",), "no number of replicas would do"),
        (1000, ("0.1%",), None),
    ],
)
def test_a_share_off_by_more_than_a_quarter_is_refused(replicas: int, steps: tuple[str, ...], said: str | None) -> None:
    """
    With the field and what would do.
    """
    found = unreachable(plain(replicas, *steps))
    assert (found is None) is (said is None)
    assert said is None or said in str(found)


def test_a_gateway_reaches_every_share() -> None:
    """
    Only a plain Service splits by pods.
    """
    assert unreachable(spec(strategy=canary("0.01%"))) is None
    assert wanted_percent(spec(), Decimal(5)) == 5
    assert wanted_percent(plain(10, "10%"), Decimal(10)) == Decimal("9.09")
    assert candidate_size(spec(), START, whole=False) == 2


@pytest.mark.parametrize(
    ("place", "whole", "size"),
    [(START, False, 1), (Place(Decimal(25)), False, 3), (Place(Decimal(100)), False, 9), (START, True, 9)],
)
def test_the_candidates_size_follows_its_place(place: Place, *, whole: bool, size: int) -> None:
    """
    Before its first share it has the pods of that share.
    """
    assert candidate_size(plain(9, "10%", "25%", "100%"), place, whole=whole) == size


def test_green_stands_at_full_size_before_the_switch() -> None:
    """
    And at that of its first part, if the switch has parts: for half of the traffic that is all.
    """
    assert candidate_size(plain(9, blueGreen={}), START, whole=False) == 9
    halves = {"steps": [{"traffic": "10%"}, {"traffic": "100%"}]}
    assert candidate_size(plain(9, blueGreen=halves), START, whole=False) == 1


@pytest.mark.parametrize(
    ("workloads", "shares", "begun"),
    [
        ([arm("1", 9), arm("2", 1)], {"1": "90", "2": "10"}, True),
        ([arm("1", 6), arm("2", 1)], {"1": "90", "2": "10"}, True),
        ([arm("1", 5), arm("2", 1)], {"1": "90", "2": "10"}, False),
        ([arm("1", 9), arm("2", 0)], {"1": "90", "2": "10"}, True),
        ([arm("1", 9)], {"1": "90", "2": "10"}, True),
        ([arm("1", 9), arm("2", 1), arm("3", 0, pods=1)], {"1": "90", "2": "10"}, False),
        ([arm("1", 9), arm("2", 1), arm("3", 0, pods=0)], {"1": "90", "2": "10", "3": "0"}, True),
        ([arm("1", 9), arm("2", 9)], {"1": "0", "2": "100"}, True),
        ([arm("1", 9), arm("2", 8)], {"1": "0", "2": "100"}, False),
        ([arm("1", 9), arm("2", 9), arm("3", 1)], {"1": "0", "2": "100"}, True),
        ([], {"2": "100"}, True),
    ],
    ids=[
        "as wanted",
        "stable lost a third",
        "stable lost too many",
        "the candidate has none",
        "the candidate is not there",
        "a third has pods",
        "a third has none",
        "a switch to all of them",
        "a switch with one missing",
        "a switch past a third",
        "nobody is there",
    ],
)
def test_when_shares_may_be_begun(workloads: list[Any], shares: dict[str, str], *, begun: bool) -> None:
    """
    No other revision's pod would get requests, and none gets many more than its share.
    """
    assert keeps_ratio(arms(*workloads), percents(shares), rev("1"), 9) is begun


def test_a_candidate_is_built_for_its_first_share() -> None:
    """
    One pod of nine, and ready with it.
    """
    workloads = arms(arm("1", **pods("1", 9)))
    building = situation(Phase.PREPARING, arms=workloads, sections={**NINE, "strategy": canary("10%", "100%")})
    assert EnsureWorkload(revision=rev("2"), replicas=1, role="candidate") in difference(building)
    built = arms(arm("1", **pods("1", 9)), arm("2", **pods("2", 1)))
    assert candidate_ready(situation(Phase.PREPARING, arms=built, sections={**NINE, "strategy": canary("10%")}))
    first = situation(Phase.PREPARING, arms=built, remembered={"stable": None}, sections=NINE)
    assert not candidate_ready(first)


def in_step(percent: str, ready: int, given: dict[str, str], workloads: dict[str, Any] | None = None) -> Situation:
    sections = {**NINE, "strategy": canary("10%", "25%", "50%", "100%")}
    both = workloads or arms(arm("1", **pods("1", 9)), arm("2", **pods("2", ready)))
    seen = {"arms": both, "route": route(given, controller=None)}
    return situation(Phase.PROGRESSING, remembered={"step": step(percent)}, sections=sections, **seen)


def test_in_a_step_the_candidate_grows_with_its_share() -> None:
    """
    The pods first, then the note of the share.
    """
    effects = difference(in_step("25", 1, {"1": "90", "2": "10"}))
    assert effects == (
        ScaleWorkload(revision=rev("2"), replicas=3, grows=True),
        SetTraffic(shares=percents({"1": "75", "2": "25"}), raises_exposure=True),
    )


def test_everything_waits_for_the_full_size() -> None:
    """
    A switch to a candidate of three pods would put nine pods' load on them.
    """
    sections = {"1": "75", "2": "25"}
    waiting = in_step("100", 3, sections)
    assert difference(waiting) == (ScaleWorkload(revision=rev("2"), replicas=9, grows=True),)
    switched = SetTraffic(shares=percents({"1": "0", "2": "100"}), raises_exposure=True)
    assert difference(in_step("100", 9, sections)) == (switched,)


def test_the_first_share_waits_for_the_pods_of_others_to_go() -> None:
    """
    The selector of several revisions is that of all.
    """
    leaving = arm("3", pods=1, ready=0, role="retired", wanted_replicas=0)
    workloads = arms(arm("1", **pods("1", 9)), arm("2", **pods("2", 1)), leaving)
    found = difference(in_step("10", 1, {"1": "100", "2": "0", "3": "0"}, workloads))
    assert not any(isinstance(effect, SetTraffic) for effect in found)


def test_the_way_back_waits_for_nothing() -> None:
    """
    Whatever is ready.
    """
    workloads = arms(arm("1", wanted_replicas=9, ready=1, pods=9), arm("2", **pods("2", 9)), arm("3", role="retired"))
    seen = {"arms": workloads, "route": route({"1": "50", "2": "50"}, controller=None)}
    back = situation(Phase.ROLLING_BACK, remembered={"step": step("50")}, sections=NINE, **seen)
    assert difference(back)[0] == SetTraffic(shares=percents({"1": "100", "2": "0"}), raises_exposure=False)


def test_a_share_in_place_is_the_one_its_pods_come_to() -> None:
    """
    As written; what readiness makes of it is the router's to judge.
    """
    near = {"1": "90.91", "2": "9.09"}
    sections = {"serving": {"replicas": 10}, "traffic": {"service": {}}, "strategy": canary("10%", "100%")}
    workloads = arms(arm("1", **pods("1", 10)), arm("2", **pods("2", 1)))
    for acceptance, placed in ((Acceptance.ACCEPTED, True), (Acceptance.PENDING, False)):
        seen = {"arms": workloads, "route": route(near, controller=None, acceptance=acceptance)}
        counted = kept(metric_evidence(counts=(140, 0, 1860, 1)))  # 7 %: within a quarter of 9.09 %, not of 10 %
        remembered = {"step": step("10"), "evidence": (counted,)}
        s = situation(Phase.PROGRESSING, remembered=remembered, sections=sections, **seen)
        assert traffic_in_place(s) is placed
        assert not split_mismatched(s)


@pytest.mark.parametrize(
    "held",
    [
        {"remembered": {"reason": Reason.PAUSED_BY_REQUEST}},
        {"route": route({"1": "90", "2": "10"}, controller=None, contested_by="kubectl-edit")},
    ],
    ids=["paused by a person", "somebody else writes the selector"],
)
def test_a_candidate_that_is_held_does_not_grow(held: dict[str, Any]) -> None:
    """
    Each pod of it is exposure; what it has it keeps.
    """
    s = in_step("25", 1, {"1": "90", "2": "10"})
    remembered = {"step": step("25"), **held.get("remembered", {})}
    seen = {"arms": s.observed.arms, "route": held.get("route", s.observed.route)}
    sections = {**NINE, "strategy": canary("10%", "25%", "50%", "100%")}
    assert difference(situation(Phase.PAUSED, remembered=remembered, sections=sections, **seen)) == ()
