"""
Routes of somebody else's, over objects in memory and over a real API server.
"""

import copy
import json
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any, cast

import pytest
from contracts.kubernetes_worlds import SPEC as OWN
from contracts.kubernetes_worlds import ApiServerWorld, parsed
from fakes.apiserver import FakeApiServer

from modelramp.adapters.gateway.routes import HttpRoutes
from modelramp.adapters.gateway.undoings import UNDOINGS, WITHIN_SECONDS
from modelramp.adapters.kubernetes.resources import HTTP_ROUTES, MODELS, Kind
from modelramp.adapters.kubernetes.store import Store
from modelramp.adapters.kubernetes.transport import Transport
from modelramp.api.document import traffic_hash
from modelramp.api.vocabulary import API_VERSION, KIND
from modelramp.ports import ConflictError, Document, GoneError, Key, Owner, RefusedError
from modelramp.rollout.observed import Acceptance, RouteState
from modelramp.rollout.plan import SetTraffic

STABLE, CANDIDATE = "a" * 10, "b" * 10
FINALIZER = "modelramp.io/restore-route"
SPEC: dict[str, Any] = {
    **OWN,
    "strategy": {"canary": {"steps": [{"traffic": "5%"}, {"traffic": "25%"}]}},
    "traffic": {"gatewayAPI": {"routeRef": {"name": "shop", "backend": "fraud"}}},
}
HEADER = {"type": "RequestHeaderModifier", "requestHeaderModifier": {"set": [{"name": "x-model", "value": "fraud"}]}}
REWRITE = {
    "type": "URLRewrite",
    "urlRewrite": {"path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/v2"}},
}


def service(name: str, weight: int, port: int = 8000, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    return {"group": "", "kind": "Service", "name": name, "port": port, "weight": weight, **more}


def path(value: str) -> dict[str, Any]:
    return {"path": {"type": "PathPrefix", "value": value}}


RULES: list[dict[str, Any]] = [
    {
        "matches": [path("/score")],
        "filters": [REWRITE],
        "timeouts": {"request": "7s"},
        "backendRefs": [service("rules-engine", 20), service("fraud", 80, filters=[HEADER]), service("third", 1)],
    },
    {"matches": [path("/static")], "backendRefs": [service("files", 1), service("fraud-team", 0)]},
    {"matches": [path("/alone")], "backendRefs": [service("fraud", 1)]},
]


def shares(candidate: str) -> dict[str, Decimal]:
    return {STABLE: 100 - Decimal(candidate), CANDIDATE: Decimal(candidate)}


def raising(candidate: str) -> SetTraffic:
    return SetTraffic(shares=shares(candidate), raises_exposure=True)


def lowering(candidate: str) -> SetTraffic:
    return SetTraffic(shares=shares(candidate), raises_exposure=False)


class World:
    """
    The routes, and a server that others write to.
    """

    def __init__(self, server: Any, namespace: str) -> None:  # noqa: ANN401 - either of the two
        self.server, self.namespace, self.seconds = server, namespace, 0.0
        self.store = Store()
        self.routes = HttpRoutes(cast("Transport", server), self.store, monotonic=lambda: self.seconds)
        self.key = Key(namespace, "fraud")
        self.place = Key(namespace, "shop")

    async def model(self, name: str = "fraud", spec: dict[str, Any] = SPEC) -> Owner:
        key = Key(self.namespace, name)
        metadata = {"name": name, "namespace": self.namespace}
        body = {"apiVersion": API_VERSION, "kind": KIND, "metadata": metadata, "spec": spec}
        try:
            await self.server.get(MODELS, key)
        except GoneError:
            written = await self.server.create(MODELS, body)
        else:
            written = await self.server.merge_patch(MODELS, key, {"spec": spec})
        self.store.heard(Kind.MODEL, None, written)
        return Owner(key=key, uid=written["metadata"]["uid"])

    async def route(self, rules: list[dict[str, Any]] = RULES, **metadata: Any) -> None:  # noqa: ANN401 - JSON
        body = {
            "apiVersion": HTTP_ROUTES.api_version,
            "kind": HTTP_ROUTES.kind,
            "metadata": {"name": "shop", "namespace": self.namespace, **metadata},
            "spec": {"parentRefs": [{"name": "gw"}], "rules": rules},
        }
        await self.server.create(HTTP_ROUTES, body)
        await self.hear()

    async def hear(self) -> None:
        self.store.heard(Kind.HTTP_ROUTE, None, await self.now())

    async def now(self) -> Document:
        found: Document = await self.server.get(HTTP_ROUTES, self.place)
        return found

    async def rules(self) -> list[dict[str, Any]]:
        rules: list[dict[str, Any]] = (await self.now())["spec"]["rules"]
        return rules

    async def rewrite(self, rules: list[dict[str, Any]], writer: str = "argocd-controller") -> None:
        """
        Somebody else writes the rules.
        """
        if isinstance(self.server, FakeApiServer):
            await self.server.merge_patch(HTTP_ROUTES, self.place, {"spec": {"rules": rules}}, writer)
        else:
            patch = {"spec": {"rules": rules}}
            await ApiServerWorld(self.server).write_as(writer, HTTP_ROUTES, self.place, patch)

    async def finalizers(self) -> list[str]:
        found: list[str] = (await self.server.get(MODELS, self.key))["metadata"].get("finalizers") or []
        return found


@pytest.fixture(params=["memory", pytest.param("apiserver", marks=pytest.mark.apiserver)])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    """
    Each of the two.
    """
    if request.param == "memory":
        yield World(FakeApiServer(), "ml")
        return
    transport = await Transport.connect(kubeconfig=request.getfixturevalue("kubeconfig"))
    real = ApiServerWorld(transport)
    await real.begin()
    made = World(transport, real.namespace)
    try:
        yield made
    finally:
        for item in (await transport.list(MODELS, namespace=real.namespace)).items:
            name = Key(real.namespace, item["metadata"]["name"])
            await transport.merge_patch(MODELS, name, {"metadata": {"finalizers": []}})
        await real.end()
        await transport.close()


def without_ours(rules: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """
    The rules without what stands for the model.
    """
    rest = copy.deepcopy(rules)
    names = {"fraud", f"fraud-{STABLE}", f"fraud-{CANDIDATE}"}
    for rule in rest:
        rule["backendRefs"] = [backend for backend in rule["backendRefs"] if backend["name"] not in names]
    return rest


def weights(rule: dict[str, Any]) -> dict[str, int]:
    return {backend["name"]: backend["weight"] for backend in rule["backendRefs"]}


async def test_only_the_backends_own_entries_are_replaced(world: World) -> None:
    """Through a rollout and back: third backend, filters and other rules are as they were, byte for byte."""
    owner = await world.model()
    await world.route()
    before = json.dumps(without_ours(await world.rules()))
    for effect in (lowering("0"), raising("5"), raising("25"), raising("100"), lowering("0")):
        await world.routes.set_traffic(owner, parsed(SPEC), effect)
        rules = await world.rules()
        assert json.dumps(without_ours(rules)) == before
        candidate = effect.shares[CANDIDATE]
        assert weights(rules[0]) == {
            "rules-engine": 20,
            f"fraud-{STABLE}": 80 - candidate * 80 / 100,
            f"fraud-{CANDIDATE}": candidate * 80 / 100,
            "third": 1,
        }
        replaced = rules[0]["backendRefs"][1:3]
        assert [(one["port"], one["filters"]) for one in replaced] == [(80, [HEADER])] * 2
        assert weights(rules[2]) == {f"fraud-{STABLE}": 100 - candidate, f"fraud-{CANDIDATE}": candidate}
        assert world.routes.state(owner.key).shares == effect.shares
        await world.hear()
        state = world.routes.state(owner.key)
        assert (state.shares, state.contested_by, state.mirrors, state.cohort) == (effect.shares, None, {}, None)
        assert state.traffic_hash == traffic_hash(parsed(SPEC))


async def test_a_deleted_object_leaves_the_route_as_it_was(world: World) -> None:
    """The finalizer waits for it, also while the operator is away."""
    owner = await world.model()
    await world.route(annotations={"team": "shop"})
    before = await world.now()
    assert await world.finalizers() == []
    await world.routes.set_traffic(owner, parsed(SPEC), raising("5"))
    assert await world.finalizers() == [FINALIZER]
    await world.server.delete(MODELS, owner.key)
    assert (await world.server.get(MODELS, owner.key))["metadata"]["deletionTimestamp"]
    restarted = HttpRoutes(cast("Transport", world.server), world.store)
    await restarted.release(owner.key)
    after = await world.now()
    assert json.dumps(after["spec"]) == json.dumps(before["spec"])
    assert after["metadata"]["annotations"] == before["metadata"]["annotations"]
    with pytest.raises(GoneError):
        await world.server.get(MODELS, owner.key)
    await restarted.release(owner.key)


async def test_what_others_changed_meanwhile_stays(world: World) -> None:
    """Only our entries are put back, wherever they stand by then."""
    owner = await world.model()
    await world.route()
    await world.routes.set_traffic(owner, parsed(SPEC), raising("5"))
    added = {"matches": [path("/new")], "backendRefs": [service("new", 3)]}
    rules = await world.rules()
    rules[0]["timeouts"] = {"request": "9s"}
    await world.rewrite([added, *rules], "kubectl-edit")
    await world.hear()
    state = world.routes.state(owner.key)
    assert (state.shares, state.contested_by) == (shares("5"), None)
    await world.routes.set_traffic(owner, parsed(SPEC), raising("25"))
    await world.routes.release(owner.key)
    expected = [added, {**RULES[0], "timeouts": {"request": "9s"}}, *RULES[1:]]
    assert await world.rules() == expected


@pytest.mark.parametrize("gone", ["annotation", "route"])
async def test_a_lost_memory_or_route_holds_nothing(world: World, gone: str) -> None:
    """Without what was kept the backend is made of what stands there."""
    owner = await world.model()
    await world.route(RULES[2:])
    await world.routes.set_traffic(owner, parsed(SPEC), raising("5"))
    if gone == "route":
        await world.server.delete(HTTP_ROUTES, world.place)
    else:
        name = "modelramp.io/adopted.fraud"
        none: Any = {} if isinstance(world.server, FakeApiServer) else {name: None}
        await world.server.merge_patch(HTTP_ROUTES, world.place, {"metadata": {"annotations": none}})
    await world.routes.release(owner.key)
    assert await world.finalizers() == []
    if gone == "annotation":
        assert await world.rules() == [{**RULES[2], "backendRefs": [service("fraud", 100, port=80)]}]


async def test_a_weight_that_cannot_be_divided_is_refused_before_the_first_request(world: World) -> None:
    """With the remedy; the other backends' proportions are never touched, and the way back is always open."""
    owner = await world.model()
    coarse = {**RULES[0], "backendRefs": [service("rules-engine", 1), service("fraud", 4)]}
    await world.route([coarse])
    only = SetTraffic(shares={STABLE: Decimal(100)}, raises_exposure=False)
    for effect in (only, lowering("0"), raising("25")):
        with pytest.raises(RefusedError, match="multiply all weights of that rule by 5"):
            await world.routes.set_traffic(owner, parsed(SPEC), effect)
    assert await world.rules() == [coarse]
    quarters = {**SPEC, "strategy": {"canary": {"steps": [{"traffic": "25%"}]}}}
    await world.routes.set_traffic(owner, parsed(quarters), lowering("0"))
    await world.routes.set_traffic(owner, parsed(quarters), raising("25"))
    assert weights((await world.rules())[0]) == {"rules-engine": 1, f"fraud-{STABLE}": 3, f"fraud-{CANDIDATE}": 1}
    await world.routes.set_traffic(owner, parsed(SPEC), lowering("0"))
    assert weights((await world.rules())[0]) == {"rules-engine": 1, f"fraud-{STABLE}": 4, f"fraud-{CANDIDATE}": 0}


async def test_what_cannot_be_adopted_is_refused_by_its_field(world: World) -> None:
    """No such route, no such backend, something other than a Service, or a route of ours."""
    owner = await world.model()
    with pytest.raises(RefusedError, match=r"routeRef\.name: there is no HTTPRoute"):
        await world.routes.set_traffic(owner, parsed(SPEC), lowering("0"))
    assert world.routes.state(owner.key) == RouteState()
    await world.route([RULES[1]])
    with pytest.raises(RefusedError, match=r"routeRef\.backend: the route shop has no backend fraud"):
        await world.routes.set_traffic(owner, parsed(SPEC), lowering("0"))
    pool = {"group": "inference.networking.k8s.io", "kind": "InferencePool", "name": "fraud", "port": 80, "weight": 1}
    await world.rewrite([{**RULES[1], "backendRefs": [pool]}])
    with pytest.raises(RefusedError, match="only a Service can be replaced"):
        await world.routes.set_traffic(owner, parsed(SPEC), lowering("0"))
    effect = SetTraffic(shares=shares("0"), mirrors={CANDIDATE: Decimal(100)}, raises_exposure=True)
    with pytest.raises(RefusedError, match="cannot be copied"):
        await world.routes.set_traffic(owner, parsed(SPEC), effect)
    assert await world.finalizers() == []


async def test_a_route_that_an_object_makes_is_not_adopted(world: World) -> None:
    """It would write all of it again."""
    owner = await world.model()
    maker = await world.model("shop", dict(OWN))
    reference = {"apiVersion": API_VERSION, "kind": KIND, "name": "shop", "uid": maker.uid, "controller": True}
    await world.route(ownerReferences=[reference])
    with pytest.raises(RefusedError, match="belongs to MLModelDeployment shop"):
        await world.routes.set_traffic(owner, parsed(SPEC), lowering("0"))


async def test_exposure_follows_only_the_route_that_was_heard_of(world: World) -> None:
    """What lowers it looks anew and goes on."""
    owner = await world.model()
    await world.route()
    await world.routes.set_traffic(owner, parsed(SPEC), lowering("0"))
    rules = await world.rules()
    await world.rewrite([*rules, {"backendRefs": [service("other", 1)], "matches": [path("/o")]}], "kubectl-edit")
    with pytest.raises(ConflictError):
        await world.routes.set_traffic(owner, parsed(SPEC), raising("5"))
    await world.routes.set_traffic(owner, parsed(SPEC), raising("5"))
    await world.rewrite((await world.rules())[:-1], "kubectl-edit")
    await world.routes.set_traffic(owner, parsed(SPEC), lowering("0"))
    assert world.routes.state(owner.key).shares == shares("0")


async def test_who_undoes_again_and_again_is_named_and_not_fought(world: World) -> None:
    """A controller that puts the backends back: three times it is repaired, then the object waits, for ten minutes."""
    owner = await world.model()
    await world.route()
    for _ in range(UNDOINGS):
        await world.routes.set_traffic(owner, parsed(SPEC), raising("5"))
        assert world.routes.state(owner.key).contested_by is None
        await world.rewrite(RULES)
        await world.hear()
        state = world.routes.state(owner.key)
        assert (state.shares, state.traffic_hash) == ({}, None)
        world.seconds += 5
    contested = world.routes.state(owner.key).contested_by
    assert contested is not None
    assert "argocd-controller" in contested
    assert "jqPathExpressions ['.spec.rules[].backendRefs']" in contested
    version = (await world.now())["metadata"]["resourceVersion"]
    for effect in (raising("5"), lowering("0")):
        with pytest.raises(ConflictError, match="argocd-controller"):
            await world.routes.set_traffic(owner, parsed(SPEC), effect)
    assert (await world.now())["metadata"]["resourceVersion"] == version
    world.seconds += WITHIN_SECONDS
    assert world.routes.state(owner.key).contested_by is None
    await world.routes.set_traffic(owner, parsed(SPEC), lowering("0"))
    assert world.routes.state(owner.key).shares == shares("0")


async def test_a_fight_does_not_keep_a_share_up(world: World) -> None:
    """What others gave the candidate is taken away, whoever it was."""
    owner = await world.model()
    await world.route()
    for _ in range(UNDOINGS):
        await world.routes.set_traffic(owner, parsed(SPEC), lowering("0"))
        rules = await world.rules()
        rules[2]["backendRefs"] = [service(f"fraud-{STABLE}", 1, port=80), service(f"fraud-{CANDIDATE}", 1, port=80)]
        await world.rewrite(rules)
        await world.hear()
        assert world.routes.state(owner.key).shares[CANDIDATE] == 50
    assert world.routes.state(owner.key).contested_by is not None
    await world.routes.set_traffic(owner, parsed(SPEC), lowering("0"))
    assert world.routes.state(owner.key).shares == shares("0")


async def test_one_rule_put_back_is_repaired(world: World) -> None:
    """Though the other rule gives the right shares."""
    owner = await world.model()
    await world.route()
    await world.routes.set_traffic(owner, parsed(SPEC), raising("5"))
    rules = await world.rules()
    await world.rewrite([*rules[:2], RULES[2]], "kubectl-edit")
    await world.hear()
    state = world.routes.state(owner.key)
    assert (state.shares, state.traffic_hash) == (shares("5"), None)
    await world.routes.set_traffic(owner, parsed(SPEC), raising("5"))
    assert weights((await world.rules())[2]) == {f"fraud-{STABLE}": 95, f"fraud-{CANDIDATE}": 5}
    await world.routes.release(owner.key)
    assert await world.rules() == RULES


async def test_two_objects_share_a_route(world: World) -> None:
    """Each has its backend, is woken by the route, and leaves the other's alone when it goes."""
    risk_spec = {
        **SPEC,
        "strategy": {"blueGreen": {}},
        "traffic": {"gatewayAPI": {"routeRef": {"name": "shop", "backend": "files"}}},
    }
    owner, risk = await world.model(), await world.model("risk", risk_spec)
    await world.route()
    assert world.store.adopters(Kind.HTTP_ROUTE, world.place) == (owner.key, risk.key)
    await world.routes.set_traffic(owner, parsed(SPEC), raising("5"))
    await world.routes.set_traffic(
        risk, parsed(risk_spec), SetTraffic(shares={STABLE: Decimal(100)}, raises_exposure=False)
    )
    assert weights((await world.rules())[1]) == {f"risk-{STABLE}": 1, "fraud-team": 0}
    await world.routes.release(owner.key)
    rules = await world.rules()
    assert (rules[0], rules[2]) == (RULES[0], RULES[2])
    assert weights(rules[1]) == {f"risk-{STABLE}": 1, "fraud-team": 0}
    await world.routes.release(risk.key)
    assert await world.rules() == RULES


async def test_another_backend_puts_back_the_one_before(world: World) -> None:
    """In the same write."""
    owner = await world.model()
    await world.route()
    await world.routes.set_traffic(owner, parsed(SPEC), lowering("0"))
    third = {"gatewayAPI": {"routeRef": {"name": "shop", "backend": "third"}}}
    other = {**SPEC, "strategy": {"canary": None, "blueGreen": {}}, "traffic": third}
    owner = await world.model(spec=other)
    only = SetTraffic(shares={STABLE: Decimal(100)}, raises_exposure=False)
    await world.routes.set_traffic(owner, parsed(other), only)
    rules = await world.rules()
    assert weights(rules[0]) == {"rules-engine": 20, "fraud": 80, f"fraud-{STABLE}": 1}
    assert rules[2] == RULES[2]


@pytest.mark.apiserver
async def test_a_route_of_its_own_puts_back_what_was_adopted(real: ApiServerWorld) -> None:
    """The traffic is moved first; then nothing holds the object."""
    world = World(real.transport, real.namespace)
    owner = await world.model()
    await world.route()
    await world.routes.set_traffic(owner, parsed(SPEC), lowering("0"))
    own = {**OWN, "strategy": SPEC["strategy"]}
    await world.server.replace(MODELS, {**await world.server.get(MODELS, owner.key), "spec": own})
    world.store.heard(Kind.MODEL, None, await world.server.get(MODELS, owner.key))
    await world.routes.set_traffic(owner, parsed(own), lowering("0"))
    assert await world.rules() == RULES
    assert await world.finalizers() == []
    assert world.routes.state(owner.key).shares == shares("0")


async def test_acceptance_is_the_routes_own(world: World) -> None:
    """Whoever made it."""
    owner = await world.model()
    await world.route()
    assert world.routes.state(owner.key).acceptance is Acceptance.PENDING
    assert world.routes.state(owner.key).shares == {}


async def test_switched_off_nothing_is_touched(world: World) -> None:
    """And it says which setting it was."""
    owner = await world.model()
    await world.route()
    routes = HttpRoutes(cast("Transport", world.server), world.store, routers={"grpcRoute"})
    with pytest.raises(RefusedError, match="told to leave others' routes alone"):
        await routes.set_traffic(owner, parsed(SPEC), lowering("0"))
    assert await world.rules() == RULES
