"""
Stories of objects behind a plain Service.
"""

from collections.abc import Mapping
from typing import Any, Final

from scenarios.services import behind_a_service, between_two_routers
from scenarios.world import World, spec_of

from modelramp.api.vocabulary import Phase

SECOND: Final = 40.0
SERVICE: Final = {"service": {"drain": "20s"}}


def through_service(version: str, replicas: int = 9, **strategy: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    """
    The usual spec with a plain Service for a router; `strategy` replaces parts of it.
    """
    usual = spec_of(version)
    serving: Mapping[str, Any] = {**usual["serving"], "replicas": replicas}
    steps = [{"traffic": share} for share in ("10%", "25%", "50%", "100%")]
    canary = {**usual["strategy"]["canary"], "steps": steps}
    times = {name: usual["strategy"][name] for name in ("progressDeadline", "scaleDownDelay")}
    chosen = {"canary": canary, **strategy} if "blueGreen" not in strategy else strategy
    return spec_of(version, serving=serving, traffic=SERVICE, strategy={**times, **chosen})


def service_good_version(world: World) -> None:
    """
    Behind a plain Service a good version grows pod by pod, and is promoted on its servers' own counts.
    """
    behind_a_service(world)
    world.at(0.0, lambda: world.apply(through_service("1")))
    world.at(SECOND, lambda: world.apply(through_service("2")))
    world.run(1500)


def service_bad_version(world: World) -> None:
    """
    Behind a plain Service a bad version is taken out at once, and kept until connections made before have ended.
    """
    behind_a_service(world)
    world.at(0.0, lambda: world.apply(through_service("1")))
    world.at(SECOND, lambda: world.apply(through_service("3")))
    world.run(900)


def service_superseded(world: World) -> None:
    """
    Behind a plain Service no third version gets a share while a pod of the second is left.
    """
    behind_a_service(world)
    world.at(0.0, lambda: world.apply(through_service("1")))
    world.at(SECOND, lambda: world.apply(through_service("3")))
    world.at(SECOND + 20, lambda: world.apply(through_service("2")))
    world.run(1800)


def service_blue_green(world: World) -> None:
    """
    Behind a plain Service green stands at full size, the selector is switched to it in one write, and blue is kept.
    """
    switch = {"blueGreen": {"preSwitch": {"soak": "10s"}, "bake": "30s", "stepDeadline": "5m"}}
    behind_a_service(world)
    world.at(0.0, lambda: world.apply(through_service("1", 3, **switch)))
    world.at(SECOND, lambda: world.apply(through_service("2", 3, **switch)))
    world.run(900)


def service_share_not_to_be_had(world: World) -> None:
    """
    Three pods cannot give 10 %: the object says so and what would do, no request reaches the candidate, and with other
    steps the rollout goes on.
    """
    behind_a_service(world)
    halves = {"canary": {"steps": [{"traffic": "25%"}, {"traffic": "50%"}], "soak": "20s", "stepDeadline": "5m"}}
    world.at(0.0, lambda: world.apply(through_service("1", 3)))
    world.at(SECOND, lambda: world.apply(through_service("2", 3)))
    world.at(SECOND + 60, lambda: _nothing_reached_it(world))
    world.at(SECOND + 61, lambda: world.apply(through_service("2", 3, **halves)))
    world.run(1500)


def _nothing_reached_it(world: World) -> None:
    assert world.phase is Phase.PREPARING
    assert [sum(counts) > 0 for counts in world.clients.answers.values()] == [True, False]


def router_changed_at_rest(world: World) -> None:
    """
    The router is changed while nothing is in flight, and a new version follows at once: the old router goes on sending
    to stable until the new one has served for as long as a request may last; only then does its route go, and only
    after that the old version.
    """
    quick = {"canary": {"steps": [{"traffic": "50%"}], "soak": "1s", "stepDeadline": "5m"}}
    unjudged = {"mode": "GuardrailsOnly"}
    between_two_routers(world)
    first = {**through_service("1", 3, **quick), "analysis": unjudged}
    world.at(0.0, lambda: world.apply({**first, "traffic": {"gatewayAPI": {"parentRefs": [{"name": "gateway"}]}}}))
    world.at(SECOND, lambda: world.apply(first))
    world.at(SECOND + 2, lambda: world.apply({**through_service("2", 3, **quick), "analysis": unjudged}))
    world.run(600)


STORIES: Final = (
    service_good_version,
    service_bad_version,
    service_superseded,
    service_blue_green,
    service_share_not_to_be_had,
    router_changed_at_rest,
)
