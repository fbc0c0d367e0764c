"""
What the world should look like of the other candidates of a shadow run.
"""

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from fakes.others import copied_to, other, other_arm, other_rev, run, seen_as
from fakes.rollout import ago, arm, arms, percents, rev, route

from modelramp.api.spec import MLModelDeploymentSpec
from modelramp.api.status import OtherOutcome
from modelramp.api.vocabulary import Phase, Reason
from modelramp.rollout.capacity import shortage, wanted_replicas
from modelramp.rollout.desired import difference, retired, wanted_mirrors, wanted_shares
from modelramp.rollout.ends import nothing_reaches
from modelramp.rollout.observed import Acceptance, Drain, Role
from modelramp.rollout.plan import DeleteWorkload, Effect, EnsureWorkload, ScaleWorkload, SetRole, SetTraffic
from modelramp.rollout.situation import Situation

SHARES = {"1": "100", "2": "0"}
HARMFUL: Mapping[str, Any] = {"outcome": OtherOutcome.HARMFUL, "decided_at": ago(40)}
COLD: Mapping[str, Any] = {"entered_at": None, "in_place_since": None}
GPU = "nvidia.com/gpu"


def gpus(limit: int) -> dict[str, Any]:
    """
    Each pod takes one of so many.
    """
    pod = {"containers": [{"name": "m", "image": "i:2", "resources": {"limits": {GPU: 1}}}]}
    budget = {"resource": GPU, "limit": limit}
    return {"serving": {"capacity": {"budget": budget}, "template": {"spec": pod}}}


def asks(*those: Any) -> dict[str, Any]:  # noqa: ANN401 - arms
    """
    Workloads whose pods take one of them each.
    """
    return arms(*(replace(one, asks={GPU: Decimal(1)}) for one in those))


def effects(s: Situation) -> tuple[Effect, ...]:
    """
    In their order.
    """
    return difference(s)


def test_everything_in_place_needs_nothing() -> None:
    """
    And none of them is retired.
    """
    s = seen_as(run(other("3"), other("4")))
    assert effects(s) == ()
    assert retired(s) == ()


def test_others_get_copies_and_no_share() -> None:
    """
    They are not even listed.
    """
    s = seen_as(run(other("3"), other("4")))
    assert wanted_mirrors(s) == copied_to(rev("2"), other_rev("3"), other_rev("4"))
    assert wanted_shares(s) == percents(SHARES)


def test_they_are_made_once_the_own_pod_template_was_taken() -> None:
    """
    Each from its own model.
    """
    begun = run(other("3", **COLD), other("4", **COLD), phase=Phase.PREPARING, arms=arms(arm("1"), arm("2", ready=0)))
    made = [one for one in effects(seen_as(begun)) if isinstance(one, EnsureWorkload)]
    assert [(one.revision, one.replicas, one.role) for one in made] == [
        (other_rev("3"), 2, Role.SHADOW),
        (other_rev("4"), 2, Role.SHADOW),
    ]
    assert [one.other.model.version for one in made if one.other is not None] == ["3", "4"]
    before = run(other("3", **COLD), phase=Phase.PREPARING, arms=arms(arm("1")))
    assert [one.revision for one in effects(seen_as(before)) if isinstance(one, EnsureWorkload)] == [rev("2")]


def test_they_follow_the_number_of_replicas_and_carry_their_role() -> None:
    """
    As the candidate does.
    """
    sized = arms(
        arm("1"), arm("2"), other_arm("3", wanted_replicas=1, role="retired"), other_arm("4", wanted_replicas=3)
    )
    assert effects(seen_as(run(other("3"), other("4"), arms=sized))) == (
        ScaleWorkload(revision=other_rev("3"), replicas=2, grows=True),
        SetRole(revision=other_rev("3"), role=Role.SHADOW),
        ScaleWorkload(revision=other_rev("4"), replicas=2, grows=False),
    )


def test_a_harmful_one_loses_its_copies_first() -> None:
    """
    Nothing is shrunk in the decision that takes them, nor while the route gives them or did not confirm.
    """
    s = seen_as(run(other("3", **HARMFUL), other("4")))
    fewer = copied_to(rev("2"), other_rev("4"))
    assert effects(s) == (
        SetTraffic(shares=percents(SHARES), mirrors=fewer, raises_exposure=False),
        SetRole(revision=other_rev("3"), role=Role.RETIRED),
    )
    pending = route(SHARES, mirrors=fewer, acceptance=Acceptance.PENDING)
    left = arms(arm("1"), arm("2"), other_arm("3", role="retired"), other_arm("4"))
    assert effects(seen_as(run(other("3", **HARMFUL), other("4"), route=pending, arms=left))) == ()


NOTHING_LEFT = Drain(requests={other_rev("3"): 0}, in_flight={other_rev("3"): 0})


@pytest.mark.parametrize(
    ("changes", "seen", "goes"),
    [
        ({}, {}, True),
        ({"decided_at": ago(29)}, {}, False),
        ({}, {"drain": Drain(requests={other_rev("3"): 1}, in_flight={})}, False),
        ({}, {"drain": Drain(requests={other_rev("3"): 0}, in_flight={other_rev("3"): 1})}, True),
        ({"decided_at": ago(34)}, {"drain": Drain(requests={other_rev("3"): 0}, in_flight={other_rev("3"): 1})}, False),
        ({}, {"drain": Drain(requests={other_rev("3"): 0}, in_flight={})}, True),
    ],
    ids=[
        "after a while",
        "not at once",
        "still counted",
        "long in flight",
        "still in flight",
        "quiet",
    ],
)
def test_its_pods_go_when_nothing_reaches_them(changes: Any, seen: Any, *, goes: bool) -> None:  # noqa: ANN401
    """
    The time counts from its own end, though the run goes on since long ago.
    """
    gateway = {"parentRefs": [{"name": "gw"}], "requestTimeout": "35s"}
    drain = {"serving": {"drain": {"timeout": "20s"}}, "traffic": {"gatewayAPI": gateway}}
    asked = run(
        other("3", **{**HARMFUL, **changes}), sections=drain, remembered={"phase_since": ago(9000)},
        route=route(SHARES, mirrors=copied_to(rev("2"))), arms=arms(arm("1"), arm("2"), other_arm("3", role="retired")),
        **seen,
    )  # fmt: skip
    gone = ScaleWorkload(revision=other_rev("3"), replicas=0, grows=False)
    assert (gone in effects(seen_as(asked))) is goes


@pytest.mark.parametrize(("seconds", "reaches"), [(4, True), (5, False)])
def test_what_was_counted_before_its_copies_ended_tells_nothing(seconds: int, *, reaches: bool) -> None:
    """
    It leaves in the middle of a phase, and the gateway has not followed yet.
    """
    asked = run(
        other("3", **{**HARMFUL, "decided_at": ago(seconds)}),
        remembered={"phase_since": ago(9000)},
        route=route(SHARES, mirrors=copied_to(rev("2"))),
        drain=NOTHING_LEFT,
    )
    assert nothing_reaches(seen_as(asked), other_rev("3")) is not reaches


def test_then_its_workload_goes_and_is_not_made_again() -> None:
    """
    Though the spec lists it still.
    """
    seen = route(SHARES, mirrors=copied_to(rev("2")))
    empty = arms(arm("1"), arm("2"), other_arm("3", ready=0, wanted_replicas=0, pods=0, role="retired"))
    assert effects(seen_as(run(other("3", **HARMFUL), route=seen, arms=empty))) == (
        DeleteWorkload(revision=other_rev("3")),
    )
    assert effects(seen_as(run(other("3", **HARMFUL), route=seen, arms=arms(arm("1"), arm("2"))))) == ()


@pytest.mark.parametrize("phase", [Phase.ROLLING_BACK, Phase.PROMOTING, Phase.REPORTED])
def test_the_end_of_the_run_ends_them_all(phase: Phase) -> None:
    """
    Their copies first.
    """
    s = seen_as(run(other("3"), other("4"), phase=phase))
    assert wanted_mirrors(s) == {}
    first, *rest = effects(s)
    assert isinstance(first, SetTraffic)
    assert first.mirrors == {}
    assert not [one for one in rest if isinstance(one, ScaleWorkload | DeleteWorkload)]
    assert {other_rev("3"), other_rev("4")} <= {one.revision for one in retired(s)}


def test_one_without_endpoints_loses_its_copies() -> None:
    """
    And keeps its pods.
    """
    weak = arms(arm("1"), arm("2"), other_arm("3", ready=0))
    (only,) = effects(seen_as(run(other("3"), arms=weak)))
    assert only == SetTraffic(shares=percents(SHARES), mirrors=copied_to(rev("2")), raises_exposure=False)


def test_what_waits_to_be_raised_holds_up_no_end_of_copies() -> None:
    """
    Somebody took the candidate's copies away: they are not given again while he writes, and a harmful other loses its
    own all the same. Where he has a share himself the route is not ours to write.
    """
    contested = {"mirrors": copied_to(other_rev("3")), "contested_by": "flux"}
    left = arms(arm("1"), arm("2"), other_arm("3", role="retired"))
    s = seen_as(run(other("3", **HARMFUL), route=route(SHARES, **contested), arms=left))
    assert effects(s) == (SetTraffic(shares=percents(SHARES), mirrors={}, raises_exposure=False),)
    strangers = route({"1": "60", "2": "0"}, **contested)
    assert effects(seen_as(run(other("3", **HARMFUL), route=strangers, arms=left))) == ()


def test_while_paused_by_request_nobody_joins_and_the_harmful_leave() -> None:
    """
    In one decision.
    """
    paused = {"reason": Reason.PAUSED_BY_REQUEST}
    given = route(SHARES, mirrors=copied_to(rev("2"), other_rev("3")))
    s = seen_as(run(other("3", **HARMFUL), other("4"), phase=Phase.PAUSED, remembered=paused, route=given))
    assert effects(s)[0] == SetTraffic(shares=percents(SHARES), mirrors=copied_to(rev("2")), raises_exposure=False)


def test_the_budget_holds_for_all_of_them() -> None:
    """
    Stable first, then the run's own, then the others in their order.
    """
    none = {"wanted_replicas": 0, "pods": 0, "ready": 0}
    present = asks(arm("1"), arm("2"), other_arm("3", **none), other_arm("4", **none))
    budget = {"serving": {"capacity": gpus(5)["serving"]["capacity"]}}
    s = seen_as(run(other("3", **COLD), other("4", **COLD), arms=present, sections=budget))
    assert [wanted_replicas(s, name) for name in (rev("1"), rev("2"), other_rev("3"), other_rev("4"))] == [2, 2, 1, 0]


def test_a_budget_too_small_for_all_is_told_before_any_is_made() -> None:
    """
    With what helps.
    """
    spec: MLModelDeploymentSpec = run(other("3"), sections=gpus(6)).deployment.spec
    candidate = {"revision": spec.revision, "version": "2", "since": ago(10)}
    stable = {"revision": rev("1"), "version": "1", "since": ago(900)}
    memory = {"candidate": candidate, "stable": stable}
    for limit, short in ((6, False), (5, True)):
        s = seen_as(run(other("3", **COLD), phase=Phase.PREPARING, sections=gpus(limit), remembered=memory,
                        arms=asks(arm("1"))))  # fmt: skip
        said = shortage(s)
        assert (said is not None) is short
    assert said == (
        "spec.serving.capacity: all 3 revisions at 2 pods need 6; allowed are 5 nvidia.com/gpu; a way out is fewer "
        "others, or fewer replicas"
    )
