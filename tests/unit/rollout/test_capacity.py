from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from fakes.rollout import arm, arms, candidate, rev, route, situation, step

from modelramp.api.status import StepStatus
from modelramp.api.vocabulary import ConditionType, Phase, Reason
from modelramp.rollout import capacity
from modelramp.rollout.conditions import conditions
from modelramp.rollout.desired import difference, wanted_shares
from modelramp.rollout.observed import Acceptance, Arm
from modelramp.rollout.plan import EnsureWorkload, ScaleWorkload, SetTraffic
from modelramp.rollout.situation import Situation
from modelramp.rollout.waiting import waiting_message

GPU = "nvidia.com/gpu"
WHOLE = {"canary": {"steps": [{"traffic": "100%"}]}}


def asking(each: int, version: str = "2") -> dict[str, Any]:
    """
    A pod template of so many GPUs.
    """
    model = {"name": "m", "image": f"i:{version}", "resources": {"limits": {GPU: each}}}
    return {"template": {"spec": {"containers": [model]}}}


def sized(version: str, wanted: int, *, ready: int | None = None, **changes: Any) -> Arm:  # noqa: ANN401 - any field
    """
    A revision that has what it asks for.
    """
    fields = {"wanted_replicas": wanted, "pods": wanted, "asks": {GPU: Decimal(1)}, **changes}
    return arm(version, ready=wanted if ready is None else ready, **fields)


def seen(
    phase: Phase,
    *those: Arm,
    surge: str = "Swap",
    replicas: int = 4,
    limit: int | None = None,
    each: int | None = None,
    **changes: Any,  # noqa: ANN401 - as `world`
) -> Situation:
    """
    A situation with these revisions, four replicas, and Swap unless it is said otherwise.
    """
    asked: dict[str, Any] = {"surge": surge, **({"budget": {"limit": limit}} if limit is not None else {})}
    serving = {"capacity": asked, "replicas": replicas, **(asking(each) if each is not None else {})}
    sections = {"serving": serving, **changes.pop("sections", {})}
    if surge == "Recreate":
        sections["strategy"] = WHOLE
    return situation(phase, arms=arms(*those), sections=sections, **changes)


def sizes(s: Situation) -> tuple[int, int]:
    """
    What stable and the candidate are to ask for.
    """
    return capacity.wanted_replicas(s, rev("1")), capacity.wanted_replicas(s, rev("2"))


def test_full_without_a_budget_gives_everybody_everything() -> None:
    """
    The usual case.
    """
    assert sizes(seen(Phase.PREPARING, sized("1", 4), sized("2", 1), surge="Full")) == (4, 4)


@pytest.mark.parametrize(
    ("stable", "other", "expected"),
    [
        (sized("1", 4), sized("2", 0), (3, 0)),
        (sized("1", 3, pods=4, terminating=1), sized("2", 0), (3, 0)),
        (sized("1", 3, pods=4), sized("2", 0), (3, 0)),
        (sized("1", 3), sized("2", 0), (3, 1)),
        (sized("1", 3, settled=False), sized("2", 0), (3, 0)),
        (sized("1", 3), sized("2", 1, pods=0), (3, 1)),
    ],
    ids=["stable gives one up", "it is ending", "it was not told yet", "it is gone", "nobody knows", "asked for"],
)
def test_the_candidate_s_first_pod_waits_until_stable_s_is_gone(
    stable: Arm, other: Arm, expected: tuple[int, int]
) -> None:
    """
    What ends counts until it is gone, and what was asked for from when it was.
    """
    route_of = {"route": route({"1": "100", "2": "0"})}
    assert sizes(seen(Phase.PREPARING, stable, other, **route_of)) == expected


def test_nothing_is_given_up_before_the_candidate_was_taken() -> None:
    """
    Its pod template may be refused.
    """
    s = seen(Phase.PREPARING, sized("1", 4), route=route({"1": "100"}))
    assert capacity.wanted_replicas(s, rev("1")) == 4
    assert EnsureWorkload in {type(effect) for effect in difference(s)}


@pytest.mark.parametrize(
    ("shares", "now", "expected"),
    [
        (("95", "5"), (3, 1), (3, 1)),
        (("75", "25"), (3, 1), (2, 1)),
        (("75", "25"), (2, 1), (2, 2)),
    ],
    ids=["a pod is more than 5 % need", "the share in place lets one go", "and the candidate has it"],
)
def test_stable_follows_the_share_that_is_in_place(
    shares: tuple[str, str], now: tuple[int, int], expected: tuple[int, int]
) -> None:
    """
    At the step of a half: never below what its real share needs, less one.
    """
    s = seen(
        Phase.PROGRESSING,
        sized("1", now[0]),
        sized("2", now[1]),
        remembered={"step": step("50")},
        route=route(dict(zip("12", shares, strict=True))),
    )
    assert sizes(s) == expected


def test_a_share_that_the_gateway_did_not_accept_lets_no_pod_go() -> None:
    """
    It may still send more there.
    """
    pending = route({"1": "50", "2": "50"}, acceptance=Acceptance.PENDING)
    asked = {"remembered": {"step": step("50")}, "route": pending}
    assert sizes(seen(Phase.PROGRESSING, sized("1", 4), sized("2", 1), **asked)) == (4, 1)
    gone = seen(Phase.PROGRESSING, sized("2", 1), **asked)
    assert capacity.wanted_replicas(gone, rev("1")) == 3


def test_stable_keeps_a_last_pod_for_the_way_back() -> None:
    """
    Also when the candidate has everything; the candidate gets its place after the promotion.
    """
    whole = {"route": route({"1": "0", "2": "100"})}
    s = seen(Phase.PROMOTING, sized("1", 2), sized("2", 2), **whole)
    assert sizes(s) == (1, 2)
    assert sizes(seen(Phase.PROMOTING, sized("1", 1), sized("2", 2), **whole)) == (1, 3)


def test_a_rollback_lets_stable_grow_into_what_is_free() -> None:
    """
    The candidate's pods go first.
    """
    back = {"route": route({"1": "100", "2": "0"})}
    s = seen(Phase.ROLLING_BACK, sized("1", 3), sized("2", 1), **back)
    assert capacity.wanted_replicas(s, rev("1")) == 3
    gone = seen(Phase.FAILED, sized("1", 3), sized("2", 0, pods=0), **back)
    assert capacity.wanted_replicas(gone, rev("1")) == 4


def test_a_budget_counts_what_each_revision_s_pods_take() -> None:
    """
    Pods of two GPUs beside pods of one.
    """
    s = seen(
        Phase.PROGRESSING,
        sized("1", 2),
        sized("2", 1, asks={GPU: Decimal(2)}),
        limit=8,
        remembered={"step": step("50")},
        route=route({"1": "75", "2": "25"}),
    )
    assert sizes(s) == (4, 2)


def test_a_revision_that_takes_nothing_of_it_is_not_held_back() -> None:
    """
    It asked for no GPU, whoever it was.
    """
    s = seen(Phase.PREPARING, sized("1", 4, asks={}), sized("2", 1), limit=4, route=route({"1": "100", "2": "0"}))
    assert sizes(s) == (4, 1)


def test_a_mirrored_share_is_a_load_too() -> None:
    """
    Copies of half of the requests need half of the pods, where there is room for them.
    """
    mirrored = StepStatus.model_validate({**step("5").model_dump(), "traffic": "0%", "mirror": "50%"})
    s = seen(Phase.PROGRESSING, sized("1", 4), sized("2", 1), limit=6, remembered={"step": mirrored})
    assert capacity.candidate_size(s) == 2


@pytest.mark.parametrize(
    ("ready", "given", "wanted", "reach"),
    [
        (1, "0", "5", "5"),
        (1, "0", "50", "25"),
        (1, "40", "50", "40"),
        (2, "25", "100", "50"),
        (3, "50", "100", "100"),
    ],
    ids=["enough", "one of four pods", "what it has it keeps", "two of four", "all but stable's last"],
)
def test_the_share_rises_with_the_pods(ready: int, given: str, wanted: str, reach: str) -> None:
    """
    In whole percents, and never falls for a pod that blinks.
    """
    listed = route({"1": str(100 - int(given)), "2": given})
    s = seen(
        Phase.PROGRESSING, sized("1", 1), sized("2", 3, ready=ready), remembered={"step": step("50")}, route=listed
    )
    assert capacity.share_within_reach(s, Decimal(wanted)) == Decimal(reach)


def test_in_full_a_share_needs_nothing_more() -> None:
    """
    Nor for a candidate that is not there.
    """
    s = seen(Phase.PROGRESSING, sized("1", 4), sized("2", 4, ready=1), surge="Full")
    assert capacity.share_within_reach(s, Decimal(50)) == 50
    assert capacity.share_within_reach(seen(Phase.PROGRESSING, sized("1", 4)), Decimal(50)) == 50


# ---------------------------------------------------------------- Recreate


def test_recreate_takes_all_of_stable_first() -> None:
    """
    And brings it back when the candidate's pods are gone.
    """
    both = {"surge": "Recreate", "route": route({"1": "100", "2": "0"})}
    assert sizes(seen(Phase.PREPARING, sized("1", 4), sized("2", 0), **both)) == (0, 0)
    assert sizes(seen(Phase.PREPARING, sized("1", 0), sized("2", 0), **both)) == (0, 4)
    assert capacity.wanted_replicas(seen(Phase.ROLLING_BACK, sized("1", 0), sized("2", 4), **both), rev("1")) == 0


def test_recreate_goes_back_to_a_stable_without_pods() -> None:
    """
    The share has to leave the candidate before its pods may; in Swap and Full nobody is sent to where nobody is.
    """
    whole = {"route": route({"1": "0", "2": "100"})}
    for surge, expected in (("Recreate", [wanted_shares(situation(Phase.ROLLING_BACK))]), ("Full", [])):
        s = seen(Phase.ROLLING_BACK, sized("1", 0), sized("2", 4), surge=surge, **whole)
        assert [effect.shares for effect in difference(s) if isinstance(effect, SetTraffic)] == expected


# ---------------------------------------------------------------- what does not fit


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"surge": "Full", "limit": 8, "each": 1}, None),
        (
            {"surge": "Full", "limit": 7, "each": 1},
            "both revisions at 4 pods need 8; allowed are 7 nvidia.com/gpu; a way",
        ),
        ({"surge": "Full", "limit": 3, "each": 1}, "4 pods need 4; allowed are 3 nvidia.com/gpu"),
        ({"surge": "Full", "limit": 8, "each": 0}, "the pod template asks for no nvidia.com/gpu"),
        ({"surge": "Swap", "limit": 4, "each": 1}, None),
        ({"surge": "Swap"}, None),
        (
            {"surge": "Swap", "replicas": 1},
            "one pod of each revision, that is 2; allowed are 1 pods; a way out is more",
        ),
        ({"surge": "Recreate", "limit": 4, "each": 1}, None),
        ({"surge": "Recreate", "limit": 3, "each": 1}, "4 pods need 4; allowed are 3"),
    ],
)
def test_what_does_not_fit_is_told_before_anything_is_created(asked: dict[str, Any], said: str | None) -> None:
    """
    With how much is needed, how much is allowed, and the way out; without a limit of time.
    """
    late = {"candidate": candidate(since=candidate().since - timedelta(days=1))}
    stable = sized("1", asked.get("replicas", 4))
    s = seen(Phase.PREPARING, stable, route=route({"1": "100"}), remembered=late, **asked)
    found = capacity.shortage(s)
    accepted = next(one for one in conditions(s) if one.type is ConditionType.ACCEPTED)
    if said is None:
        assert (found, accepted.status) == (None, "True")
        return
    assert found is not None
    assert said in found
    assert waiting_message(s) == accepted.message == found
    assert (accepted.status, accepted.reason) == ("False", Reason.INSUFFICIENT_CAPACITY)
    assert not [effect for effect in difference(s) if isinstance(effect, EnsureWorkload | ScaleWorkload)]


def test_a_first_revision_has_to_fit_alone() -> None:
    """
    There is nobody beside it.
    """
    first: dict[str, Any] = {"remembered": {"stable": None}, "limit": 4, "each": 1}
    assert capacity.shortage(seen(Phase.PREPARING, surge="Full", **first)) is None
    assert capacity.candidate_size(seen(Phase.PREPARING, **first)) == 4


def test_nothing_is_short_of_what_exists_or_is_not_prepared() -> None:
    """
    A smaller budget does not take back what was begun.
    """
    asked: dict[str, Any] = {"surge": "Full", "limit": 1, "each": 1}
    assert capacity.shortage(seen(Phase.PREPARING, sized("1", 4), sized("2", 4), **asked)) is None
    assert capacity.shortage(seen(Phase.PROGRESSING, sized("1", 4), **asked)) is None
    assert capacity.shortage(seen(Phase.STABLE, sized("1", 4), **asked)) is None
    assert capacity.shortage(seen(Phase.PREPARING, sized("1", 4), remembered={"candidate": None}, **asked)) is None


# ---------------------------------------------------------------- words and times


def test_what_the_next_pod_waits_for_is_told() -> None:
    """
    A node, or another pod's end; in the preparation and in a step.
    """
    placed = "pod x finds no node: 0/3 nodes are available"
    lost = seen(Phase.PREPARING, sized("1", 4), sized("2", 4, ready=0, unschedulable=placed), surge="Full")
    assert waiting_message(lost) == f"waiting for the candidate: 0 of 4 pods ready; {placed}"
    shown = [one.message for one in conditions(lost) if one.type is ConditionType.INSUFFICIENT_CAPACITY]
    assert shown == [placed]
    waits = "no room for the candidate's next pod until another one is gone"
    full = seen(Phase.PREPARING, sized("1", 4), sized("2", 0))
    assert waiting_message(full) == f"waiting for the candidate: 0 of 1 pods ready; {waits}"
    grows = seen(Phase.PROGRESSING, sized("1", 2), sized("2", 1), remembered={"step": step("50")})
    assert waiting_message(grows) == f"waiting for the gateway to give the candidate 50%; {waits}"
    assert capacity.waits_for_room(seen(Phase.PREPARING, sized("1", 4))) == waits


def test_the_progress_deadline_is_for_each_pod_that_changes_places() -> None:
    """
    And where there is a limit, others have to end first: 5 s and 30 s of their drain, 30 s of delay, and a minute.
    """
    ending = timedelta(seconds=125)
    assert capacity.more_time(seen(Phase.PREPARING, sized("1", 4), surge="Full")) == timedelta(0)
    assert capacity.more_time(seen(Phase.PREPARING, sized("1", 4), surge="Recreate")) == ending
    assert capacity.more_time(seen(Phase.PREPARING, sized("1", 4))) == ending
    half = seen(Phase.PROGRESSING, sized("1", 2), sized("2", 2), remembered={"step": step("50")})
    assert capacity.more_time(half) == ending + timedelta(minutes=10) + ending


def test_only_full_keeps_a_retired_revision_for_a_while() -> None:
    """
    Elsewhere its pods stand in the way.
    """
    assert [capacity.releases_at_once(seen(Phase.STABLE, surge=surge)) for surge in ("Full", "Swap", "Recreate")] == [
        False,
        True,
        True,
    ]
