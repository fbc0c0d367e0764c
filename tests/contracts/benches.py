"""
An object on a real API server behind a router whose own object has the object's name.
"""

from collections.abc import Mapping
from typing import Any, Protocol

from contracts.kubernetes_worlds import ApiServerWorld, parsed

from modelramp.adapters.kubernetes.resources import Resource
from modelramp.api.spec import MLModelDeploymentSpec
from modelramp.ports import Document, Key, Owner
from modelramp.rollout.observed import RouteState
from modelramp.rollout.plan import SetTraffic


class Router(Protocol):
    """
    What is under test.
    """

    def state(self, key: Key) -> RouteState:
        """
        As last heard of.
        """

    async def set_traffic(self, owner: Owner, spec: MLModelDeploymentSpec, effect: SetTraffic) -> None:
        """
        The router gives this.
        """


class RouterBench:
    """
    An object named `fraud`, its router, and the object that the router writes.
    """

    def __init__(self, real: ApiServerWorld, routes: Router, resource: Resource, spec: Mapping[str, Any]) -> None:
        """
        `begin` makes the object; `spec` is its own, and what the router is told with unless another is given.
        """
        self.real, self.routes, self.resource, self.spec = real, routes, resource, spec
        self.key = Key(real.namespace, "fraud")
        self.owner = Owner(key=self.key, uid="")

    async def begin(self) -> None:
        """
        The object exists.
        """
        self.owner = await self.real.put(self.key, self.spec)
        await self.real.deployments.read(self.key)

    async def give(self, effect: SetTraffic, spec: Mapping[str, Any] | None = None) -> None:
        """
        The router is told.
        """
        await self.routes.set_traffic(self.owner, parsed(spec or self.spec), effect)

    async def written(self) -> Document:
        """
        What the router writes, now.
        """
        return await self.real.transport.get(self.resource, self.key)

    @property
    def state(self) -> RouteState:
        """
        As last heard of.
        """
        return self.routes.state(self.key)
