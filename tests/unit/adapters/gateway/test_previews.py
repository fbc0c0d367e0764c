"""
The second route of an object: what is written, when it is there, and what it adds to what is seen.
"""

import json
from itertools import count
from typing import Any, cast

import pytest

from modelramp.adapters.gateway.reading import host_in
from modelramp.adapters.gateway.rendering import own_route, preview_route
from modelramp.adapters.gateway.routes import HttpRoutes
from modelramp.adapters.kubernetes.resources import GRPC_ROUTES, HTTP_ROUTES, Kind, Resource
from modelramp.adapters.kubernetes.store import Store
from modelramp.adapters.kubernetes.transport import Transport
from modelramp.api.document import traffic_hash
from modelramp.api.spec import MLModelDeploymentSpec
from modelramp.api.vocabulary import API_VERSION, KIND
from modelramp.ports import ConflictError, Document, GoneError, Key, Owner
from modelramp.rollout.observed import Acceptance, HostRoute, RouteState
from modelramp.rollout.plan import SetTraffic
from modelramp.rollout.strategy import WHOLE

KEY = Key("ml", "fraud")
PREVIEW = Key("ml", "fraud-preview")
OWNER = Owner(key=KEY, uid="u1")
HOST = HostRoute(hostname="preview.example.com", revision="b")
SHARES = {"a": WHOLE, "b": WHOLE - WHOLE}
LED = SetTraffic(shares=SHARES, host=HOST, raises_exposure=True)
NOT_LED = SetTraffic(shares=SHARES, raises_exposure=False)
BY_CONTOUR = {"controllerName": "projectcontour.io/gateway-controller", "parentRef": {"name": "gw"}}


def spec(kind: str = "HTTPRoute", **gateway: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    return {
        "model": {"version": "1"},
        "serving": {"port": 8080, "template": {"spec": {"containers": [{"name": "m", "image": "i"}]}}},
        "traffic": {"gatewayAPI": {"kind": kind, "parentRefs": [{"name": "gw"}], "hostnames": ["f.com"], **gateway}},
        "strategy": {"blueGreen": {"preview": {"hostname": HOST.hostname}}},
    }


def parsed(document: dict[str, Any]) -> MLModelDeploymentSpec:
    return MLModelDeploymentSpec.model_validate(document, by_alias=True, by_name=False)


class Server:
    """
    In place of a `Transport`: keeps what is applied, with its versions and field owners.
    """

    def __init__(self) -> None:
        self.objects: dict[tuple[str, Key], dict[str, Any]] = {}
        self.writes: list[str] = []
        self.numbers = count(2)

    async def apply(self, resource: Resource, body: Document, *, force: bool) -> Document:
        key = Key(body["metadata"]["namespace"], body["metadata"]["name"])
        known, expected = self.objects.get((resource.plural, key)), body["metadata"].get("resourceVersion")
        if expected is not None and expected != (known["metadata"]["resourceVersion"] if known else "1"):
            raise ConflictError(f"{key} is another one")
        others = [entry["manager"] for entry in known["metadata"]["managedFields"]] if known else []
        if not force and "kubectl" in others:
            raise ConflictError("conflict with kubectl")
        self.writes.append(f"apply {resource.kind} {key.name}")
        return self.put(resource, {**body, "status": (known or {}).get("status", {})})

    def put(self, resource: Resource, body: Document, writer: str = "modelramp") -> dict[str, Any]:
        made: dict[str, Any] = json.loads(json.dumps(body))
        key = Key(made["metadata"]["namespace"], made["metadata"]["name"])
        known = self.objects.get((resource.plural, key))
        same = known is not None and known["spec"] == made["spec"]
        made["metadata"] |= {
            "uid": known["metadata"]["uid"] if known else f"uid-{next(self.numbers)}",
            "resourceVersion": str(next(self.numbers)),
            "generation": (known["metadata"]["generation"] + (not same)) if known else 1,
            "managedFields": [{"manager": writer, "fieldsV1": {"f:spec": {"f:rules": {}}}}],
        }
        self.objects[resource.plural, key] = made
        return made

    async def get(self, resource: Resource, key: Key) -> dict[str, Any]:
        if (resource.plural, key) not in self.objects:
            raise GoneError(f"{key} is gone")
        return self.objects[resource.plural, key]

    async def delete(self, resource: Resource, key: Key, uid: str | None = None) -> None:
        known = await self.get(resource, key)
        assert uid == known["metadata"]["uid"], "what is deleted is what was heard of"
        self.writes.append(f"delete {resource.kind} {key.name}")
        del self.objects[resource.plural, key]


class World:
    """
    The routes of one object over such a server.
    """

    def __init__(self, **gateway: Any) -> None:  # noqa: ANN401 - JSON
        self.server, self.store = Server(), Store()
        self.routes = HttpRoutes(cast("Transport", self.server), self.store)
        self.model(spec(**gateway))

    def model(self, wanted: dict[str, Any]) -> None:
        version = {"resourceVersion": str(next(self.server.numbers)), "generation": 1}
        metadata = {"name": "fraud", "namespace": "ml", "uid": "u1", **version}
        self.spec = parsed(wanted)
        body = {"apiVersion": API_VERSION, "kind": KIND, "metadata": metadata, "spec": wanted}
        self.store.heard(Kind.MODEL, None, body)

    async def give(self, effect: SetTraffic) -> RouteState:
        await self.routes.set_traffic(OWNER, self.spec, effect)
        return self.routes.state(KEY)

    async def said(self, key: Key, status: str = "True", kind: Kind = Kind.HTTP_ROUTE) -> RouteState:
        """What the gateway says of a route, heard of."""
        resource = GRPC_ROUTES if kind is Kind.GRPC_ROUTE else HTTP_ROUTES
        route = await self.server.get(resource, key)
        generation = {"observedGeneration": route["metadata"]["generation"], "reason": "NoMatchingListenerHostname"}
        named = ({"type": "Accepted", "status": status}, {"type": "ResolvedRefs", "status": "True"})
        conditions = [{**generation, **one} for one in named]
        route["status"] = {"parents": [{**BY_CONTOUR, "conditions": conditions}]}
        route["metadata"]["resourceVersion"] = str(next(self.server.numbers))
        self.store.heard(kind, None, route)
        return self.routes.state(KEY)

    def changed(self, writer: str = "modelramp", key: Key = PREVIEW, **parts: Any) -> RouteState:  # noqa: ANN401 - JSON
        """Somebody changes parts of a route's spec, and that is heard of."""
        route = self.server.objects["httproutes", key]
        written = self.server.put(HTTP_ROUTES, {**route, "spec": {**route["spec"], **parts}}, writer)
        self.store.heard(Kind.HTTP_ROUTE, None, written)
        return self.routes.state(KEY)


def test_the_second_route_is_like_the_first_but_for_its_host() -> None:
    """Gateways, path and time of a request are the object's; it leads to one revision."""
    wanted = parsed(spec(path="/v2", requestTimeout="5s"))
    first, second = own_route(OWNER, wanted, LED), preview_route(OWNER, wanted, HOST)
    rule = first["spec"]["rules"][0]
    target = {"group": "", "kind": "Service", "name": "fraud-b", "port": 80, "weight": 1}
    assert second["spec"] == {
        "parentRefs": first["spec"]["parentRefs"],
        "hostnames": ["preview.example.com"],
        "rules": [{**rule, "backendRefs": [target]}],
    }
    assert second["metadata"]["name"] == "fraud-preview"
    assert second["metadata"]["ownerReferences"] == first["metadata"]["ownerReferences"]
    assert second["metadata"]["labels"]["modelramp.io/deployment"] == "fraud"
    service = MLModelDeploymentSpec.model_validate(
        {**spec(), "traffic": {"service": {}}, "strategy": {"blueGreen": {}}}
    )
    with pytest.raises(ValueError, match="not given"):
        preview_route(OWNER, service, HOST)


@pytest.mark.parametrize("kind", ["HTTPRoute", "GRPCRoute"])
async def test_the_host_comes_back_and_goes_in_one_effect(kind: str) -> None:
    """Under the kind of the object's own route; after it there is no second route."""
    world = World(kind=kind)
    assert (await world.give(LED)).host == HOST
    assert (await world.give(LED)).shares == SHARES
    assert (await world.give(NOT_LED)).host is None
    await world.give(NOT_LED)
    assert world.server.writes == [
        f"apply {kind} fraud", f"apply {kind} fraud-preview", f"apply {kind} fraud", f"apply {kind} fraud-preview",
        f"apply {kind} fraud", f"delete {kind} fraud-preview", f"apply {kind} fraud",
    ]  # fmt: skip


async def test_both_routes_must_be_accepted() -> None:
    """The worse answer is the one told, and why."""
    world = World()
    await world.give(LED)
    assert (await world.said(KEY)).acceptance is Acceptance.PENDING
    assert (await world.said(PREVIEW)).acceptance is Acceptance.ACCEPTED
    refused = await world.said(PREVIEW, "False")
    assert (refused.acceptance, "NoMatchingListenerHostname" in refused.message) == (Acceptance.REFUSED, True)
    await world.said(KEY, "False")
    assert (await world.said(PREVIEW)).acceptance is Acceptance.REFUSED
    await world.said(KEY)
    assert (await world.give(NOT_LED)).acceptance is Acceptance.ACCEPTED


async def test_a_second_route_outlives_the_first_in_what_is_seen() -> None:
    """Somebody deleted the object's own route: nothing says that the host leads nowhere."""
    world = World()
    await world.give(LED)
    world.store.forget(Kind.HTTP_ROUTE, KEY)
    state = world.routes.state(KEY)
    assert (state.acceptance, state.host, state.shares) == (Acceptance.ABSENT, HOST, {})


async def test_a_second_route_of_an_earlier_spec_is_written_anew() -> None:
    """A crash between the two writes leaves it behind the first."""
    world = World()
    await world.give(LED)
    moved = spec(hostnames=["other.com"])
    body = own_route(OWNER, parsed(moved), LED)
    body["metadata"]["annotations"] = {"modelramp.io/traffic": traffic_hash(parsed(moved))}
    world.store.heard(Kind.HTTP_ROUTE, None, await world.server.apply(HTTP_ROUTES, body, force=True))
    assert world.routes.state(KEY).traffic_hash is None
    world.model(moved)
    assert (await world.give(LED)).traffic_hash == traffic_hash(parsed(moved))


@pytest.mark.parametrize(
    ("parts", "shares"),
    [
        ({"hostnames": ["preview.example.com", "f.com"]}, {"a": "100", "b": "100"}),
        ({"hostnames": []}, {"a": "100", "b": "100"}),
        ({"rules": []}, {"a": "100", "b": "0"}),
        (
            {"rules": [{"backendRefs": [{"name": "fraud-b", "weight": 3}, {"name": "fraud-c", "weight": 1}]}]},
            {"a": "100", "b": "75", "c": "25"},
        ),
        ({"rules": [{"backendRefs": [{"name": "fraud-b", "weight": 0}]}]}, {"a": "100", "b": "0"}),
        ({"rules": [{"backendRefs": [{"name": "theirs"}]}]}, {"a": "100", "b": "0"}),
        (
            {
                "rules": [
                    {"matches": [{"headers": [{"name": "x", "value": "y"}]}], "backendRefs": [{"name": "fraud-b"}]}
                ]
            },
            {"a": "100", "b": "100"},
        ),
    ],
    ids=["two hosts", "every host", "no rule", "two revisions", "no weight", "a stranger's", "a header too"],
)
async def test_a_second_route_of_another_form_is_a_share(parts: dict[str, Any], shares: dict[str, str]) -> None:
    """That much may reach what it names, so nothing of it is scaled down."""
    world = World()
    await world.give(LED)
    state = world.changed("kubectl", **parts)
    assert ({name: f"{percent:f}" for name, percent in state.shares.items()}, state.host) == (shares, None)
    assert state.contested_by == "kubectl"


async def test_somebody_else_who_writes_it_is_not_overruled_by_a_raise() -> None:
    """And his route goes like ours, being ours."""
    world = World()
    await world.give(LED)
    world.changed("kubectl", rules=[{"backendRefs": [{"name": "fraud-b"}]}])
    with pytest.raises(ConflictError):
        await world.give(LED)
    assert (await world.give(NOT_LED)).contested_by is None


async def test_a_strangers_route_of_that_name_is_never_touched() -> None:
    """It is told of only where the spec asks for one."""
    world = World()
    metadata = {"name": "fraud-preview", "namespace": "ml"}
    theirs = {"metadata": metadata, "spec": {"hostnames": ["x"], "rules": [{"backendRefs": [{"name": "fraud-b"}]}]}}
    world.store.heard(Kind.HTTP_ROUTE, None, world.server.put(HTTP_ROUTES, theirs, "helm"))
    assert world.routes.state(KEY).contested_by == "helm, who made an HTTPRoute of this name"
    with pytest.raises(ConflictError, match="not ours"):
        await world.give(LED)
    world.model({**spec(), "strategy": {"blueGreen": {}}})
    state = await world.give(NOT_LED)
    assert (state.contested_by, state.host) == (None, None)
    assert ("httproutes", PREVIEW) in world.server.objects


def test_a_route_without_a_revision_leads_nowhere() -> None:
    """A name that only begins like ours."""
    route = {"spec": {"hostnames": ["h"], "rules": [{"backendRefs": [{"name": "fraud-"}]}]}}
    assert host_in(route, KEY) is None
