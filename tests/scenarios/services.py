"""
A plain Service in the small world: new connections go to any ready pod behind its selector, whatever the shares say.

No gateway counts anything; what is judged comes from the model servers' own pages.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal

from scenarios.parts import NEVER, Cluster, Gateway, utc
from scenarios.world import World

from modelramp.adapters.service.reading import acceptance_of
from modelramp.api.spec import MLModelDeploymentSpec
from modelramp.ports import Key, Owner
from modelramp.rollout.observed import RouteState
from modelramp.rollout.plan import SetTraffic
from modelramp.rollout.ratio import share_of


@dataclass(kw_only=True)
class PlainService(Gateway):
    """
    The port of routes over pods: a written selector becomes effective when the endpoints follow it.
    """

    cluster: Cluster
    accept_after: float = 1.0
    made_at: float = NEVER

    async def set_traffic(self, owner: Owner, spec: MLModelDeploymentSpec, effect: SetTraffic) -> None:
        """
        Write the selector.
        """
        await super().set_traffic(owner, spec, effect)
        self.made_at = min(self.made_at, self.now)

    def _ready(self) -> Mapping[str, frozenset[str]]:
        loads = self.cluster.workloads
        return {
            name: frozenset(f"{name}-{pod.number}" for pod in load.pods if load.is_ready(pod, self.cluster.now))
            for name, load in loads.items()
        }

    def _front(self) -> frozenset[str]:
        """
        The pods it sends to: of one revision, or of every revision there is.
        """
        serving, ready = [name for name, percent in self.effective.items() if percent > 0], self._ready()
        chosen = serving if len(serving) == 1 else ready
        return frozenset().union(*(ready.get(name, frozenset()) for name in chosen)) if serving else frozenset()

    def state(self, key: Key) -> RouteState:
        """
        As the operator's caches see it; acceptance is told by the adapter's own judgement of endpoints.
        """
        seen = super().state(key)
        if not seen.shares:
            return replace(seen, controller=None)
        front, ready = self._front(), self._ready()
        acceptance, message = acceptance_of(seen.shares, front, ready)
        mine = {name: len(front & pods) for name, pods in {**dict.fromkeys(seen.shares, frozenset()), **ready}.items()}
        achieved = {name: share_of(pods, len(front) - pods) for name, pods in mine.items()}
        return replace(seen, controller=None, acceptance=acceptance, message=message, achieved=achieved)

    def real_split(self) -> Mapping[str, float]:
        """
        By ready pods; where none is ready, whoever should serve fails.
        """
        front, ready = self._front(), self._ready()
        if not front:
            return {name: 1.0 for name, percent in list(self.effective.items())[:1] if percent > 0}
        return {name: len(front & pods) / len(front) for name, pods in ready.items()}


def behind_a_service(world: World) -> None:
    """
    The object's traffic comes through a plain Service from now on, and its servers are scraped.
    """
    world.gateway = PlainService(write=world.write, now=world.now, cluster=world.cluster)
    world.clients.gateway = world.gateway
    world.restart()
    world.scrape_servers()


@dataclass
class ChangedRouter:
    """
    The port of routes of an object that goes from a gateway to a plain Service. Its users stay with the gateway as
    long as that has a route.
    """

    world: World
    first: Gateway
    second: PlainService

    @property
    def _named(self) -> Gateway:
        moved = self.world.versions and self.world.deployment.spec.traffic.by_pods
        return self.second if moved else self.first

    def state(self, key: Key) -> RouteState:
        """
        Of the router that the spec names, and whether the other has something left.
        """
        seen = self._named.state(key)
        if self._named is self.first or not self.first.written:
            return seen
        made = utc(self.second.made_at) if self.second.written else None
        return replace(seen, former=True, since=made)

    async def set_traffic(self, owner: Owner, spec: MLModelDeploymentSpec, effect: SetTraffic) -> None:
        """
        The router that the spec names is told.
        """
        await self._named.set_traffic(owner, spec, effect)

    async def drop_former(self, _owner: Owner) -> None:
        """
        The gateway has no route any more.
        """
        self.world.write("DropFormerRouter", self.first.forget)

    def advance(self, now: float) -> None:
        """
        Both.
        """
        self.first.advance(now)
        self.second.advance(now)

    @property
    def accepts_at(self) -> float:
        """
        The next change of either.
        """
        return min(self.first.accepts_at, self.second.accepts_at)

    @property
    def copied(self) -> Mapping[str, Decimal]:
        """
        Nothing is copied in stories of two routers.
        """
        return {}

    @property
    def effective(self) -> Mapping[str, Decimal]:
        """
        What reaches users.
        """
        return self.first.effective or self.second.effective

    def real_split(self) -> Mapping[str, float]:
        """
        By the gateway while it has a route.
        """
        return self.first.real_split() or self.second.real_split()


def between_two_routers(world: World) -> None:
    """
    The object has a gateway, and a plain Service once its spec says so.
    """
    second = PlainService(write=world.write, now=world.now, cluster=world.cluster)
    both = ChangedRouter(world, world.gateway, second)
    world.gateway = world.clients.gateway = both  # type: ignore[assignment] - what is used of a gateway
    world.restart()
    world.scrape_servers()
