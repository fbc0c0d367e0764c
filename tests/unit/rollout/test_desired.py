from dataclasses import replace
from typing import Any

import pytest
from fakes.rollout import NO_ROUTE, NOW, ago, arm, arms, percents, rev, route, situation, step, world

from modelramp.api.scalars import Share
from modelramp.api.vocabulary import Phase, Reason
from modelramp.rollout import decide
from modelramp.rollout.desired import (
    candidate_percent,
    difference,
    retired,
    wanted_aside,
    wanted_mirrors,
    wanted_shares,
)
from modelramp.rollout.observed import Acceptance, Arm, CohortRoute, Drain, HostRoute, Role, RouteState
from modelramp.rollout.plan import (
    DeleteWorkload,
    DropFormerRouter,
    Effect,
    EnsureWorkload,
    ScaleWorkload,
    SetRole,
    SetTraffic,
)

EVERYTHING = {"1": "0", "2": "100"}
BACK = {"1": "100", "2": "0"}
OLD = arm("3", role="retired")
LONG_AGO = {"phase_since": ago(3600)}


def test_shares_of_each_phase() -> None:
    """
    The candidate gets nothing, the step's share, or everything; stable has the rest; both are listed once they exist.
    """
    found = {phase: dict(wanted_shares(situation(phase))) for phase in Phase}
    assert found == {
        Phase.PENDING: {},
        Phase.PREPARING: percents(BACK),
        Phase.PROGRESSING: percents({"1": "95", "2": "5"}),
        Phase.PAUSED: percents({"1": "95", "2": "5"}),
        Phase.PROMOTING: percents(EVERYTHING),
        Phase.ROLLING_BACK: percents(BACK),
        Phase.STABLE: percents({"1": "100"}),
        Phase.FAILED: percents({"1": "100"}),
        Phase.REPORTED: percents({"1": "100"}),
    }


@pytest.mark.parametrize(
    ("workloads", "expected"),
    [
        ([arm("1"), arm("2", ready=0)], 0),
        ([arm("1")], 0),
        ([arm("1", ready=0), arm("2", ready=0)], 5),
        ([arm("1", ready=0), arm("2")], 5),
    ],
    ids=["candidate has no endpoint", "candidate is gone", "neither has one", "stable has none"],
)
def test_a_candidate_without_endpoints_gets_nothing_while_stable_has_some(workloads: list[Any], expected: int) -> None:
    """
    Its share would be refused by the gateway; where nobody serves, the share stays where it is.
    """
    assert candidate_percent(situation(Phase.PROGRESSING, arms=arms(*workloads))) == expected


def test_a_first_revision_is_routed_to_only_when_it_gets_everything() -> None:
    """
    Before the first promotion there is nobody to share with.
    """
    first = {"remembered": {"stable": None}, "arms": arms(arm("2")), "route": NO_ROUTE}
    found = [wanted_shares(situation(phase, **first)) for phase in (Phase.PREPARING, Phase.PROMOTING)]
    assert found == [{}, percents({"2": "100"})]


@pytest.mark.parametrize(
    ("workload", "given", "listed"),
    [
        (OLD, route({"1": "100", "3": "0"}), {"3": "0"}),
        (arm("3", pods=0), route({"1": "100", "3": "0"}), {}),
        (OLD, route({"1": "100"}), {}),
        (OLD, NO_ROUTE, {}),
    ],
    ids=["pods and listed", "no pods", "not listed", "no route"],
)
def test_a_retired_revision_stays_listed_at_0_while_it_has_pods(
    workload: Arm, given: RouteState, listed: dict[str, str]
) -> None:
    """
    The gateway lets its last requests end; it is never listed again.
    """
    s = situation(Phase.STABLE, arms=arms(arm("1"), workload), route=given)
    assert dict(wanted_shares(s)) == percents({"1": "100", **listed})


def test_a_world_as_wanted_needs_nothing() -> None:
    """
    No effects in any phase whose route is there already.
    """
    routes = {Phase.PREPARING: BACK, Phase.PROMOTING: EVERYTHING, Phase.ROLLING_BACK: BACK}
    found = {
        phase: difference(situation(phase, **({"route": route(routes[phase])} if phase in routes else {})))
        for phase in Phase
    }
    assert found == dict.fromkeys(Phase, ())


def test_a_route_of_another_spec_is_written_anew() -> None:
    """
    Same shares, but hosts, parents or timeouts changed since.
    """
    s = situation(Phase.STABLE, route=route({"1": "100"}, traffic_hash="other"))
    assert difference(s) == (SetTraffic(shares=percents({"1": "100"}), raises_exposure=False),)


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        ({}, (SetTraffic(shares=percents({"1": "95", "2": "5"}), raises_exposure=True),)),
        ({"route": route(BACK, contested_by="flux")}, ()),
        ({"arms": arms(arm("1", ready=0), arm("2")), "route": route({"1": "90", "2": "10"})}, ()),
    ],
    ids=["nobody objects", "somebody else writes the route", "who gets more has no endpoint"],
)
def test_exposure_rises_only_when_nothing_speaks_against_it(seen: dict[str, Any], expected: tuple[Any, ...]) -> None:
    """
    Not while the route is contested; and nobody gets more who has no ready endpoint.
    """
    assert difference(situation(Phase.PROGRESSING, **{"route": route(BACK), **seen})) == expected


def test_exposure_is_taken_away_also_on_a_contested_route() -> None:
    """
    Giving everything back to stable raises nobody's exposure.
    """
    s = situation(Phase.ROLLING_BACK, route=route({"1": "95", "2": "5"}, contested_by="flux"))
    assert difference(s) == (SetTraffic(shares=percents(BACK), raises_exposure=False),)


def test_a_candidate_is_built_while_it_is_on_trial() -> None:
    """
    In the spec's size and with its role.
    """
    s = situation(Phase.PREPARING, arms=arms(arm("1")))
    assert difference(s) == (EnsureWorkload(revision=rev("2"), replicas=2, role=Role.CANDIDATE),)


def test_a_revision_that_is_not_the_spec_s_cannot_be_built_again() -> None:
    """
    A lost stable revision: its template is not in the spec any more.
    """
    assert difference(situation(Phase.FAILED, arms={}, route=route({"1": "100"}))) == ()


def test_a_lost_stable_revision_is_built_again_when_the_spec_names_it() -> None:
    """
    Its template is the spec's.
    """
    s = situation(Phase.STABLE, arms={}, route=route({"1": "100"}))
    assert difference(s) == (EnsureWorkload(revision=rev("1"), replicas=2, role=Role.STABLE),)


@pytest.mark.parametrize(("has", "grows"), [(1, True), (3, False)])
def test_a_serving_revision_gets_the_spec_s_size(has: int, grows: bool) -> None:  # noqa: FBT001
    """
    Whoever resized it, and in either direction.
    """
    s = situation(Phase.STABLE, arms=arms(arm("1", wanted_replicas=has)))
    assert difference(s) == (ScaleWorkload(revision=rev("1"), replicas=2, grows=grows),)


def test_roles_follow_the_memory() -> None:
    """
    Each revision's objects say what it is to the rollout now.
    """
    s = situation(
        Phase.PREPARING, arms=arms(arm("1", role=None), arm("2", role="retired"), arm("3", role="stable")),
        route=route({"1": "100", "2": "0"}), remembered={"phase_since": ago(5)},
    )  # fmt: skip
    assert set(difference(s)) == {
        SetRole(revision=rev("1"), role=Role.STABLE),
        SetRole(revision=rev("2"), role=Role.CANDIDATE),
        SetRole(revision=rev("3"), role=Role.RETIRED),
    }


SHRINK = ScaleWorkload(revision=rev("3"), replicas=0, grows=False)
DELETE = DeleteWorkload(revision=rev("3"))
QUIET = Drain(requests={rev("3"): 0.0}, in_flight={})
BUSY = Drain(requests={rev("3"): 2.0}, in_flight={})


@pytest.mark.parametrize(
    ("workload", "since", "drain", "listed", "expected"),
    [
        (OLD, 30, QUIET, {"3": "0"}, (SHRINK,)),
        (OLD, 29, QUIET, {"3": "0"}, ()),
        (OLD, 30, BUSY, {"3": "0"}, ()),
        (arm("3", role="retired", wanted_replicas=0), 30, QUIET, {"3": "0"}, ()),
        (arm("3", role="retired", wanted_replicas=0, pods=0), 30, QUIET, {}, (DELETE,)),
    ],
    ids=[
        "shrunk after its delay",
        "kept a second longer",
        "kept while something reaches it",
        "kept until its last pod is gone",
        "deleted at the end",
    ],
)
def test_a_retired_revision_goes_in_small_steps(
    workload: Arm, since: float, drain: Drain, listed: dict[str, str], expected: tuple[Effect, ...]
) -> None:
    """
    Drained, then without pods, then not listed, then deleted: never a step early.
    """
    s = situation(
        Phase.STABLE, arms=arms(arm("1"), workload), route=route({"1": "100", **listed}), drain=drain,
        remembered={"phase_since": ago(since)},
    )  # fmt: skip
    assert difference(s) == expected


def test_a_listed_revision_is_not_deleted() -> None:
    """
    First the route forgets it, then it goes.
    """
    bare = arm("3", role="retired", wanted_replicas=0, pods=0)
    s = situation(Phase.STABLE, arms=arms(arm("1"), bare), route=route({"1": "100", "3": "0"}), remembered=LONG_AGO)
    assert difference(s) == (SetTraffic(shares=percents({"1": "100"}), raises_exposure=False),)


def test_retired_are_all_others() -> None:
    """
    Neither stable nor candidate, in a fixed order.
    """
    s = situation(Phase.PREPARING, arms=arms(arm("1"), arm("2"), arm("3"), arm("4")))
    assert [one.revision for one in retired(s)] == sorted([rev("3"), rev("4")])


def test_effects_come_in_the_one_safe_order() -> None:
    """
    Build and grow, expose, name, shrink, remove.
    """
    gone = arm("4", role="retired", wanted_replicas=0, pods=0)
    s = situation(
        Phase.PROGRESSING, remembered={"step": step("25"), **LONG_AGO}, drain=QUIET,
        arms=arms(arm("1", wanted_replicas=1), arm("2", role=None), OLD, gone),
    )  # fmt: skip
    assert [type(effect) for effect in difference(s)] == [
        ScaleWorkload, SetTraffic, SetRole, ScaleWorkload, DeleteWorkload,
    ]  # fmt: skip


def test_taking_away_comes_before_anything_else() -> None:
    """
    A candidate that lost all its endpoints gets no more requests while anything else is done.
    """
    s = situation(Phase.PROGRESSING, arms=arms(arm("1", wanted_replicas=1), arm("2", ready=0, role=None)))
    assert [type(effect) for effect in difference(s)] == [SetTraffic, ScaleWorkload, SetRole]


def test_a_plan_that_gives_more_says_so() -> None:
    """
    The shell asks for a fresh read before it carries it out.
    """
    rises = decide(*world(Phase.PROGRESSING, route=route(BACK)), NOW).raises_exposure
    falls = decide(*world(Phase.ROLLING_BACK), NOW).raises_exposure
    assert (rises, falls) == (True, False)


def test_without_an_accepted_route_nothing_is_listed_as_drained() -> None:
    """
    A pending route may still send requests: the retired revision keeps its pods.
    """
    s = situation(
        Phase.STABLE, arms=arms(arm("1"), OLD), drain=QUIET, remembered=LONG_AGO,
        route=route({"1": "100", "3": "0"}, acceptance=Acceptance.PENDING),
    )  # fmt: skip
    assert difference(s) == ()


FORMER = {"former": True, "since": ago(60)}


@pytest.mark.parametrize(
    ("given", "dropped"),
    [
        (route({"1": "100"}, **FORMER), True),
        (route({"1": "100"}, former=True, since=ago(59)), False),
        (route({"1": "100"}, former=True, since=None), False),
        (route({"1": "100"}, former=False, since=ago(60)), False),
        (route({"1": "100"}, acceptance=Acceptance.PENDING, **FORMER), False),
        (route({"3": "100"}, **FORMER), False),
    ],
    ids=["long enough", "a second too soon", "nobody knows since when", "there is none", "not accepted", "not given"],
)
def test_a_former_router_goes_when_the_present_one_has_served_as_long_as_a_request_may_last(
    given: RouteState, *, dropped: bool
) -> None:
    """
    Nothing of it is touched before: its users still come that way.
    """
    s = situation(Phase.STABLE, arms=arms(arm("1")), route=given)
    assert (DropFormerRouter() in difference(s)) is dropped


def test_no_pod_goes_while_a_former_router_may_send_there() -> None:
    """
    It sends to the stable revision of then, which may be retired by now.
    """
    seen = {"arms": arms(arm("1"), OLD), "remembered": LONG_AGO}
    nothing = Drain(requests={rev("3"): 0}, in_flight={rev("3"): 0})
    gone = ScaleWorkload(revision=rev("3"), replicas=0, grows=False)
    for former in (True, False):
        given = route({"1": "100", "3": "0"}, former=former)
        assert (gone in difference(situation(Phase.STABLE, route=given, drain=nothing, **seen))) is not former


def test_an_object_at_rest_looks_again_for_a_former_router() -> None:
    """
    Nothing else would wake it.
    """
    s = world(Phase.STABLE, arms=arms(arm("1")), route=route({"1": "100"}, former=True, since=ago(1)))
    assert decide(s.deployment, s.observed, NOW).wake_at is not None


COPIES = {"step": step("0", mirror=Share("20%")), "reason": Reason.CANDIDATE_READY}
SHADOW = {"strategy": {"shadow": {"mirror": "20%"}}}
COHORT = {"strategy": {"canary": {"cohort": {"value": "ml"}}}}
TO_CANDIDATE = CohortRoute(header="x-model-cohort", value="ml", revision=rev("2"))


@pytest.mark.parametrize(
    ("phase", "workloads", "expected"),
    [
        (Phase.PROGRESSING, [arm("1"), arm("2")], {"2": "20"}),
        (Phase.PAUSED, [arm("1"), arm("2")], {"2": "20"}),
        (Phase.PROGRESSING, [arm("1"), arm("2", ready=0)], {}),
        (Phase.ROLLING_BACK, [arm("1"), arm("2")], {}),
        (Phase.PROMOTING, [arm("1"), arm("2")], {}),
    ],
    ids=["in its step", "paused", "without endpoints", "rolled back", "promoted"],
)
def test_copies_go_only_to_pods_that_are_ready_and_only_in_their_step(
    phase: Phase, workloads: list[Arm], expected: dict[str, str]
) -> None:
    """
    An empty target of copies broke live traffic at two gateways.
    """
    found = wanted_mirrors(situation(phase, remembered=COPIES, sections=SHADOW, arms=arms(*workloads)))
    assert found == percents(expected)


@pytest.mark.parametrize(
    ("phase", "workloads", "expected"),
    [
        (Phase.PROGRESSING, [arm("1"), arm("2")], TO_CANDIDATE),
        (Phase.PROGRESSING, [arm("1"), arm("2", ready=0)], None),
        (Phase.PROGRESSING, [arm("1", ready=0), arm("2")], None),
        (Phase.ROLLING_BACK, [arm("1"), arm("2")], None),
    ],
    ids=["in its step", "without endpoints", "stable breaks", "rolled back"],
)
def test_a_cohort_reaches_the_candidate_only_in_its_step(
    phase: Phase, workloads: list[Arm], expected: CohortRoute | None
) -> None:
    """
    By the header that the spec names.
    """
    assert wanted_aside(situation(phase, sections=COHORT, arms=arms(*workloads))) == (expected, None)


@pytest.mark.parametrize(
    ("given", "raises"),
    [({}, True), ({"cohort": CohortRoute(header="x", value="y", revision=rev("2"))}, True), ({"cohort": None}, True)],
    ids=["no cohort", "another header", "none"],
)
def test_a_header_that_sends_more_raises_exposure(given: dict[str, Any], *, raises: bool) -> None:
    """
    Though the shares stay.
    """
    at = situation(Phase.PROGRESSING, sections=COHORT, route=route({"1": "95", "2": "5"}, **given))
    assert [effect.raises_exposure for effect in difference(at) if isinstance(effect, SetTraffic)] == [raises]


BY_HOST = {"strategy": {"blueGreen": {"preview": {"hostname": "preview.example.com"}}}}
IN_PREVIEW = {"step": step("0", preview=True)}
TO_GREEN = HostRoute(hostname="preview.example.com", revision=rev("2"))


@pytest.mark.parametrize(
    ("phase", "remembered", "workloads", "expected"),
    [
        (Phase.PROGRESSING, IN_PREVIEW, [arm("1"), arm("2")], TO_GREEN),
        (Phase.PAUSED, IN_PREVIEW, [arm("1"), arm("2")], TO_GREEN),
        (Phase.PROGRESSING, IN_PREVIEW, [arm("1"), arm("2", ready=0)], None),
        (Phase.PROGRESSING, IN_PREVIEW, [arm("1", ready=0), arm("2")], None),
        (Phase.PROGRESSING, {"step": step("100")}, [arm("1"), arm("2")], None),
        (Phase.PREPARING, {"step": None}, [arm("1"), arm("2")], None),
        (Phase.ROLLING_BACK, IN_PREVIEW, [arm("1"), arm("2")], None),
        (Phase.PROMOTING, IN_PREVIEW, [arm("1"), arm("2")], None),
    ],
    ids=["preview", "paused", "without endpoints", "stable breaks", "switched", "before", "rolled back", "promoted"],
)
def test_the_previews_host_leads_to_green_only_before_the_whole_switch(
    phase: Phase, remembered: dict[str, Any], workloads: list[Arm], expected: HostRoute | None
) -> None:
    """
    And only while green has endpoints.
    """
    at = situation(phase, remembered=remembered, sections=BY_HOST, arms=arms(*workloads))
    assert wanted_aside(at) == (None, expected)


@pytest.mark.parametrize(
    ("phase", "given", "raises"),
    [
        (Phase.PROGRESSING, None, [True]),
        (Phase.PROGRESSING, HostRoute(hostname="other.example.com", revision=rev("2")), [True]),
        (Phase.PROGRESSING, HostRoute(hostname="preview.example.com", revision=rev("3")), [True]),
        (Phase.PROGRESSING, TO_GREEN, []),
        (Phase.ROLLING_BACK, TO_GREEN, [False]),
    ],
    ids=["none", "another host", "another revision", "as wanted", "taken away"],
)
def test_a_host_that_leads_to_green_raises_exposure(phase: Phase, given: HostRoute | None, raises: list[bool]) -> None:
    """
    Though the shares stay; to take it away does not.
    """
    at = situation(phase, remembered=IN_PREVIEW, sections=BY_HOST, route=route({"1": "100", "2": "0"}, host=given))
    assert [effect.raises_exposure for effect in difference(at) if isinstance(effect, SetTraffic)] == raises


@pytest.mark.parametrize("way", ["cohort", "host"])
def test_nothing_shrinks_while_something_leads_there(way: str) -> None:
    """
    A retired revision that a header or a host still reaches keeps its pods; without a route of the shares too.
    """
    led = {
        "cohort": CohortRoute(header="x", value="y", revision=rev("3")),
        "host": replace(TO_GREEN, revision=rev("3")),
    }
    for shares in ({"1": "100", "3": "0"}, {}):
        absent = {} if shares else {"acceptance": Acceptance.ABSENT}
        for aside in ({}, {way: led[way]}):
            at = situation(
                Phase.STABLE,
                remembered={"candidate": None, "phase_since": ago(3600)},
                arms=arms(arm("1"), arm("3", role="retired")),
                route=route(shares, **absent, **aside),
            )
            shrinks = [effect for effect in difference(at) if isinstance(effect, ScaleWorkload)]
            assert bool(shrinks) == (not aside)


def test_what_a_person_paused_gets_nothing_more() -> None:
    """
    Not even the share of its step, where the gateway never gave it; what it has too much is taken back.
    """
    by_request = {"reason": Reason.PAUSED_BY_REQUEST}
    below, above = route({"1": "100", "2": "0"}), route({"1": "50", "2": "50"})
    assert difference(situation(Phase.PAUSED, remembered=by_request, route=below)) == ()
    assert [type(one) for one in difference(situation(Phase.PAUSED, remembered=by_request, route=above))] == [
        SetTraffic
    ]
    assert [type(one) for one in difference(situation(Phase.PAUSED, route=below))] == [SetTraffic]
