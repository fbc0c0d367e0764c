from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest
from fakes.rollout import spec

from modelramp.adapters.kubernetes.resources import Kind
from modelramp.adapters.kubernetes.store import Store
from modelramp.adapters.routers import Routers, kind_of
from modelramp.api.names import FINALIZER_ROUTE
from modelramp.api.spec import MLModelDeploymentSpec
from modelramp.ports import Key, Owner, RefusedError
from modelramp.rollout.observed import Acceptance, RouteState
from modelramp.rollout.plan import SetTraffic

KEY = Key("ml", "fraud")
EFFECT = SetTraffic(shares={"a": Decimal(100)}, raises_exposure=False)


class Router:
    """
    A router that remembers who asked.
    """

    def __init__(self, name: str) -> None:
        """
        Nobody asked yet.
        """
        self.name, self.asked = name, list[Any]()

    def state(self, key: Key) -> RouteState:
        """
        Its own.
        """
        assert key == KEY
        return RouteState(acceptance=Acceptance.ACCEPTED, message=self.name)

    async def set_traffic(self, owner: Owner, spec: MLModelDeploymentSpec, effect: SetTraffic) -> None:
        """
        Remember.
        """
        self.asked.append((owner, spec, effect))


PUT_BACK: list[Key] = []


async def put_back(key: Key) -> None:
    """
    Others have their routes back.
    """
    PUT_BACK.append(key)


def routers(traffic: Mapping[str, Any] | None, *finalizers: str) -> tuple[Routers, dict[str, Router]]:
    PUT_BACK.clear()
    store, known = Store(), {name: Router(name) for name in ("gatewayAPI", "service")}
    if traffic is not None:
        meta = {"name": KEY.name, "namespace": KEY.namespace, "uid": "u", "resourceVersion": "1"}
        meta |= {"finalizers": list(finalizers)} if finalizers else {}
        store.heard(Kind.MODEL, None, {"metadata": meta, "spec": {"traffic": traffic}})
    return Routers(store, known, {}, put_back), known


@pytest.mark.parametrize(
    ("traffic", "told"),
    [
        ({"gatewayAPI": {"parentRefs": [{"name": "gw"}]}}, "gatewayAPI"),
        ({"service": {}}, "service"),
        ({"gatewayAPI": None, "service": {}}, "service"),
    ],
)
def test_the_router_of_the_spec_is_asked(traffic: Mapping[str, Any], told: str) -> None:
    """
    An empty section names it too, a null does not.
    """
    assert routers(traffic)[0].state(KEY).message == told


@pytest.mark.parametrize("traffic", [None, {}, {"istio": {"hosts": ["fraud"]}}])
def test_without_a_router_there_is_no_route(traffic: Mapping[str, Any] | None) -> None:
    """
    Of an object that is not known, or that names a router which is not switched on.
    """
    assert routers(traffic)[0].state(KEY) == RouteState()


async def test_the_router_of_the_spec_is_told() -> None:
    """
    The one that is given, and no other.
    """
    several, known = routers(None)
    owner, wanted = Owner(key=KEY, uid="u"), spec(traffic={"service": {}})
    await several.set_traffic(owner, wanted, EFFECT)
    assert known["service"].asked == [(owner, wanted, EFFECT)]
    assert known["gatewayAPI"].asked == []


async def test_a_router_that_is_not_switched_on_is_refused() -> None:
    """
    With the setting that switches it on.
    """
    several, _ = routers(None)
    with pytest.raises(RefusedError, match=r"spec\.traffic\.istio: .* routers\.istio"):
        await several.set_traffic(Owner(key=KEY, uid="u"), spec(traffic={"istio": {"hosts": ["fraud"]}}), EFFECT)


@pytest.mark.parametrize(
    ("traffic", "kind"),
    [
        ({"gatewayAPI": {"parentRefs": [{"name": "gw"}]}}, Kind.HTTP_ROUTE),
        ({"gatewayAPI": {"kind": "HTTPRoute"}}, Kind.HTTP_ROUTE),
        ({"gatewayAPI": {"kind": "GRPCRoute"}}, Kind.GRPC_ROUTE),
        ({"gatewayAPI": {"routeRef": {"name": "shop", "backend": "fraud"}}}, None),
        ({"gatewayAPI": None, "service": {}}, Kind.SERVICE),
        ({"istio": {"hosts": ["fraud"]}}, Kind.VIRTUAL_SERVICE),
    ],
)
def test_the_kind_of_the_objects_own_route(traffic: Mapping[str, Any], kind: Kind | None) -> None:
    """
    By what the spec says as it is stored, or before a default was written.
    """
    assert kind_of(traffic) is kind


@pytest.mark.parametrize(
    ("traffic", "finalizers", "former"),
    [
        ({"service": {}}, [FINALIZER_ROUTE], True),
        ({"service": {}}, ["other"], False),
        ({"service": {}}, [], False),
        ({"gatewayAPI": {"routeRef": {"name": "shop", "backend": "fraud"}}}, [FINALIZER_ROUTE], False),
        ({"gatewayAPI": {"parentRefs": [{"name": "gw"}]}}, [FINALIZER_ROUTE], False),
        (None, [], False),
    ],
)
async def test_a_route_of_somebody_elses_is_put_back_when_the_object_left_it(
    traffic: Mapping[str, Any] | None, finalizers: list[str], *, former: bool
) -> None:
    """
    Within the Gateway API its own adapter does it.
    """
    several, _ = routers(traffic, *finalizers)
    assert several.state(KEY).former is former
    await several.drop_former(Owner(key=KEY, uid="u"))
    assert [KEY] * former == PUT_BACK


async def test_a_deleted_object_gives_routes_back() -> None:
    """
    Whatever it named last.
    """
    await routers({"service": {}})[0].release(KEY)
    assert PUT_BACK == [KEY]
