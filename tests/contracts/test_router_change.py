"""
From one router to another on a real API server: the new one's object first, the old one's removed when it is asked for.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from contracts.kubernetes_worlds import SPEC, ApiServerWorld, parsed

from modelramp.adapters.kubernetes.resources import (
    GRPC_ROUTES,
    HTTP_ROUTES,
    SERVICES,
    SWITCHED,
    VIRTUAL_SERVICES,
    Resource,
)
from modelramp.adapters.routers import routers_of
from modelramp.ports import GoneError, Key, Owner, RefusedError
from modelramp.rollout.observed import Acceptance, Role
from modelramp.rollout.plan import EnsureWorkload, SetTraffic

pytestmark = pytest.mark.apiserver

GATEWAY = SPEC
GRPC = {**SPEC, "traffic": {"gatewayAPI": {"kind": "GRPCRoute", "parentRefs": [{"name": "gw"}]}}}
PLAIN = {**SPEC, "traffic": {"service": {}}}
MESHED = {**SPEC, "traffic": {"istio": {"hosts": ["fraud.example.com"]}}}
STABLE = parsed(SPEC).revision
ALL = SetTraffic(shares={STABLE: Decimal(100)}, raises_exposure=False)
ROUTERS = ((GATEWAY, HTTP_ROUTES), (PLAIN, SERVICES), (MESHED, VIRTUAL_SERVICES), (GRPC, GRPC_ROUTES))


async def there(real: ApiServerWorld, resource: Resource, key: Key) -> bool:
    """
    The object of that kind and name exists.
    """
    try:
        await real.transport.get(resource, key)
    except GoneError:
        return False
    return True


async def change(real: ApiServerWorld, key: Key, old: Mapping[str, Any], new: Mapping[str, Any]) -> Owner:
    """
    The user takes the old router's section away and gives the new one's.
    """
    traffic = {**dict.fromkeys(old["traffic"]), **new["traffic"]}
    if traffic.get("gatewayAPI") is not None:
        traffic["gatewayAPI"] = {"kind": "HTTPRoute", **traffic["gatewayAPI"]}
    owner = await real.put(key, {**new, "traffic": traffic})
    await real.catch_up()
    return owner


@pytest.mark.parametrize("number", range(len(ROUTERS)))
async def test_the_new_routers_object_is_made_and_the_old_ones_goes_when_told(
    real: ApiServerWorld, number: int
) -> None:
    """From each to the next; what is not ours of the old name stays."""
    (old, before), (new, after) = ROUTERS[number], ROUTERS[(number + 1) % len(ROUTERS)]
    routers, key = routers_of(real.transport, real.store, tuple(SWITCHED)), Key(real.namespace, "fraud")
    owner = await real.put(key, old)
    await real.catch_up()
    await real.workloads.ensure(owner, parsed(old), EnsureWorkload(revision=STABLE, replicas=2, role=Role.STABLE))
    await routers.set_traffic(owner, parsed(old), ALL)
    await real.catch_up()
    assert not routers.state(key).former

    owner = await change(real, key, old, new)
    state = routers.state(key)
    assert (state.former, state.since, state.acceptance) == (True, None, Acceptance.ABSENT)
    await routers.set_traffic(owner, parsed(new), ALL)
    state = routers.state(key)
    assert (state.former, dict(state.shares)) == (True, {STABLE: Decimal(100)})
    assert state.since is not None
    assert abs(state.since - datetime.now(UTC)) < timedelta(minutes=5)
    assert await there(real, before, key)

    for _ in range(2):
        await routers.drop_former(owner)
        assert not routers.state(key).former
        assert (await there(real, before, key), await there(real, after, key)) == (False, True)
    assert await there(real, SERVICES, Key(key.namespace, f"fraud-{STABLE}"))


async def test_a_strangers_object_of_another_kind_is_no_former_router(real: ApiServerWorld) -> None:
    """A route of the same name beside a plain Service is somebody's own affair."""
    routers, key = routers_of(real.transport, real.store, tuple(SWITCHED)), Key(real.namespace, "fraud")
    owner = await real.put(key, PLAIN)
    await real.stranger_route(key, "helm")
    await real.catch_up()
    assert not routers.state(key).former
    await routers.drop_former(owner)
    assert await there(real, HTTP_ROUTES, key)


async def test_a_router_that_is_switched_off_is_refused(real: ApiServerWorld) -> None:
    """By the setting's name."""
    routers, key = routers_of(real.transport, real.store, ("grpcRoute",)), Key(real.namespace, "fraud")
    owner = await real.put(key, MESHED)
    await real.catch_up()
    assert routers.state(key).acceptance is Acceptance.ABSENT
    with pytest.raises(RefusedError, match=r"routers\.istio"):
        await routers.set_traffic(owner, parsed(MESHED), ALL)
