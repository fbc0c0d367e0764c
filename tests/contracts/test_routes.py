from contextlib import suppress
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from contracts.kubernetes_worlds import SPEC, ApiServerWorld, World, parsed

from modelramp.adapters.gateway.rendering import own_route, preview_route
from modelramp.adapters.gateway.routes import HttpRoutes
from modelramp.adapters.kubernetes.resources import GRPC_ROUTES, HTTP_ROUTES, Kind
from modelramp.api.document import traffic_hash
from modelramp.ports import ConflictError, GoneError, Key, Owner, RefusedError
from modelramp.rollout.observed import Acceptance, CohortRoute, HostRoute, RouteState
from modelramp.rollout.plan import SetTraffic

STABLE, CANDIDATE = "a" * 10, "b" * 10


def shares(candidate: str) -> dict[str, Decimal]:
    return {STABLE: 100 - Decimal(candidate), CANDIDATE: Decimal(candidate)}


HOST = HostRoute(hostname="preview.example.com", revision=CANDIDATE)
COHORT = CohortRoute(header="x-model-cohort", value="candidate", revision=CANDIDATE)


HOSTED = SetTraffic(shares=shares("0"), host=HOST, raises_exposure=True)


def raising(candidate: str) -> SetTraffic:
    return SetTraffic(shares=shares(candidate), raises_exposure=True)


def lowering(candidate: str) -> SetTraffic:
    return SetTraffic(shares=shares(candidate), raises_exposure=False)


def copying(percent: str) -> SetTraffic:
    return SetTraffic(shares=shares("0"), mirrors={CANDIDATE: Decimal(percent)}, raises_exposure=True)


async def owner_of(cluster: World) -> Owner:
    owner = await cluster.put(Key(cluster.namespace, "fraud"), SPEC)
    await cluster.deployments.read(owner.key)
    return owner


async def test_no_route_is_absent(cluster: World) -> None:
    """Nothing is routed."""
    assert cluster.routes.state(Key(cluster.namespace, "fraud")) == RouteState()


@pytest.mark.parametrize("candidate", ["0", "5", "0.25", "33.3333", "100"])
async def test_shares_come_back_exactly_as_given(cluster: World, candidate: str) -> None:
    """Zeros included, and at once."""
    owner = await owner_of(cluster)
    await cluster.routes.set_traffic(owner, parsed(SPEC), raising(candidate))
    for _ in range(2):
        state = cluster.routes.state(owner.key)
        assert state.shares == shares(candidate)
        assert state.acceptance is Acceptance.PENDING
        assert state.contested_by is None
        await cluster.catch_up()


async def test_a_revision_that_is_left_out_is_not_listed_any_more(cluster: World) -> None:
    """The route has no memory."""
    owner = await owner_of(cluster)
    await cluster.routes.set_traffic(owner, parsed(SPEC), raising("100"))
    only = SetTraffic(shares={CANDIDATE: Decimal(100)}, raises_exposure=False)
    await cluster.routes.set_traffic(owner, parsed(SPEC), only)
    assert cluster.routes.state(owner.key).shares == {CANDIDATE: Decimal(100)}


@pytest.mark.parametrize("percent", ["100", "10", "0.25", "33.3333"])
async def test_copies_come_back_exactly_as_given(cluster: World, percent: str) -> None:
    """Beside the shares, and gone when they are asked for no more."""
    owner = await owner_of(cluster)
    await cluster.routes.set_traffic(owner, parsed(SPEC), copying(percent))
    for _ in range(2):
        state = cluster.routes.state(owner.key)
        assert (state.shares, state.mirrors, state.cohort) == (shares("0"), {CANDIDATE: Decimal(percent)}, None)
        await cluster.catch_up()
    await cluster.routes.set_traffic(owner, parsed(SPEC), lowering("0"))
    await cluster.catch_up()
    assert cluster.routes.state(owner.key).mirrors == {}


async def test_copies_for_several_come_back_each_as_given(cluster: World) -> None:
    """One after the other goes, and the rest stays."""
    owner = await owner_of(cluster)
    every = {CANDIDATE: Decimal(100), "third": Decimal(100), "fourth": Decimal(100)}
    for mirrors in (every, {CANDIDATE: Decimal(100), "fourth": Decimal(100)}, {CANDIDATE: Decimal(100)}, {}):
        wanted = SetTraffic(shares=shares("0"), mirrors=mirrors, raises_exposure=mirrors == every)
        await cluster.routes.set_traffic(owner, parsed(SPEC), wanted)
        await cluster.accept(owner.key)
        await cluster.catch_up()
        state = cluster.routes.state(owner.key)
        assert (state.shares, state.mirrors) == (shares("0"), mirrors)


async def test_the_way_of_copies_comes_back_as_given(cluster: World) -> None:
    """By the revision's comparator or straight to it; the percentage is the same."""
    owner = await owner_of(cluster)
    for compared in (frozenset({CANDIDATE}), frozenset[str]()):
        effect = replace(copying("10"), compared=compared)
        await cluster.routes.set_traffic(owner, parsed(SPEC), effect)
        for _ in range(2):
            state = cluster.routes.state(owner.key)
            assert (state.mirrors, state.compared) == ({CANDIDATE: Decimal(10)}, compared)
            await cluster.catch_up()


@pytest.mark.parametrize("candidate", ["0", "5"])
async def test_a_cohort_comes_back_as_given_and_is_no_share(cluster: World, candidate: str) -> None:
    """Its rule sends everything it matches to one revision, which is no 100 % of the traffic."""
    owner = await owner_of(cluster)
    wanted = SetTraffic(shares=shares(candidate), cohort=COHORT, raises_exposure=True)
    await cluster.routes.set_traffic(owner, parsed(SPEC), wanted)
    for _ in range(2):
        state = cluster.routes.state(owner.key)
        assert (state.shares, state.mirrors, state.cohort) == (shares(candidate), {}, COHORT)
        await cluster.catch_up()
    await cluster.routes.set_traffic(owner, parsed(SPEC), lowering("0"))
    await cluster.catch_up()
    assert cluster.routes.state(owner.key).cohort is None


@pytest.mark.parametrize("candidate", ["0", "5"])
async def test_a_host_comes_back_as_given_and_is_no_share(cluster: World, candidate: str) -> None:
    """By a route of its own, which is gone when it is asked for no more."""
    owner = await owner_of(cluster)
    wanted = SetTraffic(shares=shares(candidate), host=HOST, raises_exposure=True)
    await cluster.routes.set_traffic(owner, parsed(SPEC), wanted)
    for _ in range(2):
        state = cluster.routes.state(owner.key)
        assert (state.shares, state.mirrors, state.host) == (shares(candidate), {}, HOST)
        assert state.traffic_hash == traffic_hash(parsed(SPEC))
        await cluster.catch_up()
    await cluster.routes.set_traffic(owner, parsed(SPEC), lowering("0"))
    for _ in range(2):
        assert cluster.routes.state(owner.key).host is None
        await cluster.catch_up()


@pytest.mark.apiserver
async def test_the_hosts_route_is_accepted_apart_and_nothing_is_filled_in(real: ApiServerWorld) -> None:
    """Both gateways' answers count; what is written is what is stored."""
    owner = await owner_of(real)
    await real.routes.set_traffic(owner, parsed(SPEC), HOSTED)
    second = Key(real.namespace, "fraud-preview")
    assert (await real.transport.get(HTTP_ROUTES, second))["spec"] == preview_route(owner, parsed(SPEC), HOST)["spec"]
    await real.accept(owner.key)
    await real.catch_up()
    assert real.routes.state(owner.key).acceptance is Acceptance.PENDING
    await real.refuse(second, "no listener takes this host")
    await real.catch_up()
    state = real.routes.state(owner.key)
    assert (state.acceptance, "no listener takes this host" in state.message) == (Acceptance.REFUSED, True)
    await real.accept(second)
    await real.catch_up()
    assert real.routes.state(owner.key).acceptance is Acceptance.ACCEPTED
    before = await real.route_version(second)
    await real.routes.set_traffic(owner, parsed(SPEC), HOSTED)
    assert await real.route_version(second) == before
    await real.routes.set_traffic(owner, parsed(SPEC), lowering("0"))
    with pytest.raises(GoneError):
        await real.transport.get(HTTP_ROUTES, second)


@pytest.mark.apiserver
async def test_a_strangers_route_of_the_hosts_name_is_not_touched(real: ApiServerWorld) -> None:
    """Neither written nor removed; the object's own route goes on."""
    owner, second = await owner_of(real), Key(real.namespace, "fraud-preview")
    await real.stranger_route(second, "helm")
    before = await real.route_version(second)
    for _ in range(2):  # unheard, then heard
        with pytest.raises(ConflictError):
            await real.routes.set_traffic(owner, parsed(SPEC), HOSTED)
        await real.catch_up()
    await real.routes.set_traffic(owner, parsed(SPEC), lowering("0"))
    state = real.routes.state(owner.key)
    assert (state.shares, state.host, state.contested_by) == (shares("0"), None, None)
    assert await real.route_version(second) == before


@pytest.mark.apiserver
async def test_a_hosts_route_that_was_deleted_unheard_is_no_obstacle(real: ApiServerWorld) -> None:
    """Nothing that reaches the candidate is left, whoever took it away."""
    owner, second = await owner_of(real), Key(real.namespace, "fraud-preview")
    await real.routes.set_traffic(owner, parsed(SPEC), HOSTED)
    await real.transport.delete(HTTP_ROUTES, second)
    await real.routes.set_traffic(owner, parsed(SPEC), lowering("0"))
    assert real.routes.state(owner.key).host is None


async def test_a_part_is_not_copied_beside_a_split(cluster: World) -> None:
    """Nothing is written: the copies would nearly all be of one revision's requests."""
    owner = await owner_of(cluster)
    await cluster.routes.set_traffic(owner, parsed(SPEC), raising("5"))
    before = await cluster.route_version(owner.key)
    both = SetTraffic(shares=shares("5"), mirrors={CANDIDATE: Decimal(10)}, raises_exposure=True)
    with pytest.raises(RefusedError):
        await cluster.routes.set_traffic(owner, parsed(SPEC), both)
    assert await cluster.route_version(owner.key) == before


async def test_a_gateway_that_ignores_percentages_gets_none(cluster: World) -> None:
    """It would copy everything; all of it is what it can do."""
    owner = await owner_of(cluster)
    await cluster.routes.set_traffic(owner, parsed(SPEC), lowering("0"))
    await cluster.accept(owner.key)
    await cluster.catch_up()
    with pytest.raises(RefusedError, match="whatever the percentage"):
        await cluster.routes.set_traffic(owner, parsed(SPEC), copying("10"))
    assert cluster.routes.state(owner.key).mirrors == {}
    await cluster.routes.set_traffic(owner, parsed(SPEC), copying("100"))
    assert cluster.routes.state(owner.key).mirrors == {CANDIDATE: Decimal(100)}


async def test_the_same_traffic_twice_changes_nothing(cluster: World) -> None:
    """Neither forced nor not."""
    owner = await owner_of(cluster)
    await cluster.routes.set_traffic(owner, parsed(SPEC), raising("5"))
    before = await cluster.route_version(owner.key)
    await cluster.routes.set_traffic(owner, parsed(SPEC), raising("5"))
    await cluster.routes.set_traffic(owner, parsed(SPEC), lowering("5"))
    assert await cluster.route_version(owner.key) == before


async def test_what_the_route_was_written_for_is_told(cluster: World) -> None:
    """So that a change of hosts or timeouts is seen, though the shares are right."""
    owner = await owner_of(cluster)
    await cluster.routes.set_traffic(owner, parsed(SPEC), lowering("5"))
    assert cluster.routes.state(owner.key).traffic_hash == traffic_hash(parsed(SPEC))
    gateway = {**SPEC["traffic"]["gatewayAPI"], "hostnames": ["other.example.com"]}
    moved = parsed({**SPEC, "traffic": {"gatewayAPI": gateway}})
    await cluster.routes.set_traffic(owner, moved, lowering("5"))
    await cluster.catch_up()
    assert cluster.routes.state(owner.key).traffic_hash == traffic_hash(moved) != traffic_hash(parsed(SPEC))


async def test_acceptance_is_of_the_present_generation(cluster: World) -> None:
    """An answer to earlier weights says nothing of these."""
    owner = await owner_of(cluster)
    await cluster.routes.set_traffic(owner, parsed(SPEC), raising("5"))
    await cluster.accept(owner.key)
    assert cluster.routes.state(owner.key).acceptance is Acceptance.PENDING
    await cluster.catch_up()
    state = cluster.routes.state(owner.key)
    assert state.acceptance is Acceptance.ACCEPTED
    assert state.controller == "projectcontour.io/gateway-controller"
    await cluster.routes.set_traffic(owner, parsed(SPEC), raising("25"))
    state = cluster.routes.state(owner.key)
    assert state.acceptance is Acceptance.PENDING
    assert state.message
    await cluster.accept(owner.key)
    await cluster.catch_up()
    assert cluster.routes.state(owner.key).acceptance is Acceptance.ACCEPTED


async def test_a_refusal_says_why(cluster: World) -> None:
    """In the gateway's words."""
    owner = await owner_of(cluster)
    await cluster.routes.set_traffic(owner, parsed(SPEC), raising("5"))
    await cluster.refuse(owner.key, "no listener has this hostname")
    await cluster.catch_up()
    state = cluster.routes.state(owner.key)
    assert state.acceptance is Acceptance.REFUSED
    assert "no listener has this hostname" in state.message


@pytest.mark.parametrize("effect", [raising("5"), lowering("0")])
async def test_a_strangers_route_is_never_touched(cluster: World, effect: SetTraffic) -> None:
    """Not even to lower exposure, and it says whose it is."""
    owner = await owner_of(cluster)
    await cluster.stranger_route(owner.key, "helm")
    before = await cluster.route_version(owner.key)
    for _ in range(2):
        with pytest.raises(ConflictError):
            await cluster.routes.set_traffic(owner, parsed(SPEC), effect)
        assert await cluster.route_version(owner.key) == before
        assert "helm" in str(cluster.routes.state(owner.key).contested_by)


async def test_exposure_is_not_raised_against_another_writer(cluster: World) -> None:
    """It says who writes the rules."""
    owner = await owner_of(cluster)
    await cluster.routes.set_traffic(owner, parsed(SPEC), raising("5"))
    await cluster.stranger_writes(owner.key, "kubectl-edit", shares("50"))
    with pytest.raises(ConflictError):  # not heard of yet
        await cluster.routes.set_traffic(owner, parsed(SPEC), raising("25"))
    assert cluster.routes.state(owner.key).contested_by == "kubectl-edit"
    assert cluster.routes.state(owner.key).shares == shares("50")
    with pytest.raises(ConflictError, match="kubectl-edit"):
        await cluster.routes.set_traffic(owner, parsed(SPEC), raising("75"))


@pytest.mark.parametrize("heard", [True, False])
async def test_exposure_is_lowered_against_another_writer(cluster: World, heard: bool) -> None:  # noqa: FBT001
    """Whether it was heard of or not; afterwards the route is ours again."""
    owner = await owner_of(cluster)
    await cluster.routes.set_traffic(owner, parsed(SPEC), raising("5"))
    await cluster.stranger_writes(owner.key, "kubectl-edit", shares("50"))
    if heard:
        await cluster.catch_up()
    await cluster.routes.set_traffic(owner, parsed(SPEC), lowering("0"))
    await cluster.catch_up()
    state = cluster.routes.state(owner.key)
    assert (state.shares, state.contested_by) == (shares("0"), None)


async def test_a_route_of_an_earlier_object_is_not_ours(cluster: World) -> None:
    """It goes with its owner; until then nobody writes it."""
    owner = await owner_of(cluster)
    await cluster.routes.set_traffic(owner, parsed(SPEC), raising("5"))
    later = Owner(key=owner.key, uid="a-later-uid")
    with pytest.raises(ConflictError):
        await cluster.routes.set_traffic(later, parsed(SPEC), lowering("0"))
    assert cluster.routes.state(owner.key).shares == shares("5")


async def test_a_deleted_route_is_heard_of_and_made_again(cluster: World) -> None:
    """The conflict makes the next look fresh."""
    owner = await owner_of(cluster)
    await cluster.routes.set_traffic(owner, parsed(SPEC), raising("5"))
    await cluster.remove(owner.key)
    again = await cluster.put(owner.key, SPEC)
    await cluster.catch_up()
    assert cluster.routes.state(owner.key).acceptance is Acceptance.ABSENT
    await cluster.routes.set_traffic(again, parsed(SPEC), raising("5"))
    assert cluster.routes.state(owner.key).shares == shares("5")


@pytest.mark.apiserver
@pytest.mark.parametrize("effect", [raising("25"), lowering("0")])
async def test_a_route_deleted_unheard_is_a_conflict_and_then_made_again(
    real: ApiServerWorld, effect: SetTraffic
) -> None:
    """A write meant for the one that was heard of makes no other."""
    owner = await owner_of(real)
    await real.routes.set_traffic(owner, parsed(SPEC), raising("5"))
    await real.transport.delete(HTTP_ROUTES, owner.key)
    with pytest.raises(ConflictError):
        await real.routes.set_traffic(owner, parsed(SPEC), effect)
    assert real.routes.state(owner.key).acceptance is Acceptance.ABSENT
    await real.routes.set_traffic(owner, parsed(SPEC), effect)
    assert real.routes.state(owner.key).shares == effect.shares


@pytest.mark.apiserver
@pytest.mark.parametrize("effect", [raising("25"), lowering("0")])
async def test_a_route_replaced_unheard_by_a_stranger_is_not_touched(real: ApiServerWorld, effect: SetTraffic) -> None:
    """The uid is a precondition of every write."""
    owner = await owner_of(real)
    await real.routes.set_traffic(owner, parsed(SPEC), raising("5"))
    await real.transport.delete(HTTP_ROUTES, owner.key)
    await real.stranger_route(owner.key, "helm")
    before = await real.route_version(owner.key)
    with pytest.raises(ConflictError):
        await real.routes.set_traffic(owner, parsed(SPEC), effect)
    assert await real.route_version(owner.key) == before
    assert "helm" in str(real.routes.state(owner.key).contested_by)


@pytest.mark.apiserver
async def test_a_replica_that_has_heard_nothing_does_not_raise_over_another(real: ApiServerWorld) -> None:
    """Its write would make the route; there is one, and by the same field manager."""
    owner = await owner_of(real)
    await real.routes.set_traffic(owner, parsed(SPEC), raising("5"))
    other = ApiServerWorld(real.transport)
    with pytest.raises(ConflictError):
        await other.routes.set_traffic(owner, parsed(SPEC), raising("50"))
    assert other.routes.state(owner.key).shares == shares("5")


@pytest.mark.apiserver
async def test_a_replica_that_has_heard_of_an_older_route_does_not_raise_over_another(real: ApiServerWorld) -> None:
    """But it may lower."""
    owner = await owner_of(real)
    other = ApiServerWorld(real.transport)
    for _ in range(2):
        with suppress(ConflictError):  # the first try only learns of the route
            await other.routes.set_traffic(owner, parsed(SPEC), raising("5"))
    await real.catch_up()
    await real.routes.set_traffic(owner, parsed(SPEC), lowering("0"))
    with pytest.raises(ConflictError):
        await other.routes.set_traffic(owner, parsed(SPEC), raising("25"))
    assert other.routes.state(owner.key).shares == shares("0")
    await real.routes.set_traffic(owner, parsed(SPEC), raising("5"))
    await other.routes.set_traffic(owner, parsed(SPEC), lowering("1"))
    assert other.routes.state(owner.key).shares == shares("1")


@pytest.mark.apiserver
async def test_everything_the_server_would_fill_in_is_written_out(real: ApiServerWorld) -> None:
    """So nobody who compares sees a difference."""
    owner = await owner_of(real)
    await real.routes.set_traffic(owner, parsed(SPEC), raising("0.25"))
    spec = (await real.transport.get(HTTP_ROUTES, owner.key))["spec"]
    assert spec == own_route(owner, parsed(SPEC), raising("0.25"))["spec"]
    assert spec == {
        "parentRefs": [{"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "gw"}],
        "hostnames": ["fraud.example.com"],
        "rules": [
            {
                "matches": [{"path": {"type": "PathPrefix", "value": "/"}}],
                "timeouts": {"request": "1m"},
                "backendRefs": [
                    {"group": "", "kind": "Service", "name": f"fraud-{STABLE}", "port": 80, "weight": 9975},
                    {"group": "", "kind": "Service", "name": f"fraud-{CANDIDATE}", "port": 80, "weight": 25},
                ],
            }
        ],
    }
    everything = SetTraffic(
        shares=shares("0"), mirrors={CANDIDATE: Decimal("0.25")}, cohort=COHORT, raises_exposure=False
    )
    await real.routes.set_traffic(owner, parsed(SPEC), everything)
    spec = (await real.transport.get(HTTP_ROUTES, owner.key))["spec"]
    assert spec == own_route(owner, parsed(SPEC), everything)["spec"]
    applied = next(
        entry
        for entry in (await real.transport.get(HTTP_ROUTES, owner.key))["metadata"]["managedFields"]
        if entry["manager"] == "modelramp"
    )
    assert applied["operation"] == "Apply"
    assert set(applied["fieldsV1"]["f:spec"]) == {"f:hostnames", "f:parentRefs", "f:rules"}


@pytest.mark.apiserver
async def test_the_repair_list_finds_a_route_that_no_event_told_of(real: ApiServerWorld) -> None:
    """A stranger's route has no label of ours and is still heard of."""
    owner = await owner_of(real)
    await real.stranger_route(owner.key, "helm")
    listing = await real.transport.list(HTTP_ROUTES, namespace=real.namespace)
    woken = real.store.replace_all(Kind.HTTP_ROUTE, listing.items, listing.resource_version)
    assert woken == {owner.key}


GRPC: dict[str, Any] = {**SPEC, "traffic": {"gatewayAPI": {**SPEC["traffic"]["gatewayAPI"], "kind": "GRPCRoute"}}}


@pytest.mark.apiserver
async def test_a_grpc_route_is_another_kind_with_the_same_life(real: ApiServerWorld) -> None:
    """Shares, copies and the cohort come back; it has neither paths nor timeouts, and nothing that is filled in."""
    owner = await real.put(Key(real.namespace, "fraud"), GRPC)
    await real.deployments.read(owner.key)
    wanted = SetTraffic(shares=shares("0"), mirrors={CANDIDATE: Decimal(10)}, cohort=COHORT, raises_exposure=True)
    await real.routes.set_traffic(owner, parsed(GRPC), wanted)
    spec = (await real.transport.get(GRPC_ROUTES, owner.key))["spec"]
    assert spec == own_route(owner, parsed(GRPC), wanted)["spec"]
    assert [sorted(rule) for rule in spec["rules"]] == [["backendRefs", "matches"], ["backendRefs", "filters"]]
    for _ in range(2):
        state = real.routes.state(owner.key)
        assert (state.shares, state.mirrors, state.cohort) == (shares("0"), {CANDIDATE: Decimal(10)}, COHORT)
        await real.catch_up()
    with pytest.raises(GoneError):
        await real.transport.get(HTTP_ROUTES, owner.key)


@pytest.mark.apiserver
async def test_a_kind_that_is_switched_off_is_not_written(real: ApiServerWorld) -> None:
    """Nobody would hear of it."""
    owner = await real.put(Key(real.namespace, "fraud"), GRPC)
    routes = HttpRoutes(real.transport, real.store, routers=())
    with pytest.raises(RefusedError, match=r"gatewayAPI\.kind: this operator was told"):
        await routes.set_traffic(owner, parsed(GRPC), lowering("0"))
    with pytest.raises(GoneError):
        await real.transport.get(GRPC_ROUTES, owner.key)
