"""
A plain Service in the small world: new connections go to any ready pod behind its selector, whatever the shares say.

No gateway counts anything; what is judged comes from the model servers' own pages.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from scenarios.parts import Cluster, Gateway
from scenarios.world import World

from modelramp.adapters.service.reading import acceptance_of
from modelramp.ports import Key
from modelramp.rollout.observed import RouteState
from modelramp.rollout.ratio import share_of


@dataclass(kw_only=True)
class PlainService(Gateway):
    """
    The port of routes over pods: a written selector becomes effective when the endpoints follow it.
    """

    cluster: Cluster
    accept_after: float = 1.0

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
