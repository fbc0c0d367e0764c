"""
Stories of evidence that outlives a try, and of a switch that waits for what it will be judged by.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from scenarios.parts import Model
from scenarios.world import World, spec_of

from modelramp.api.names import ANNOTATION_ACTION

SECOND: Final = 40.0  # when the second version is applied
AT_ONCE: Final[Mapping[str, Any]] = {
    "strategy": {
        **{key: value for key, value in spec_of("2")["strategy"].items() if key != "canary"},
        "blueGreen": {"preSwitch": {"soak": "10s"}, "bake": "30s", "blastRadius": "1%", "stepDeadline": "5m"},
    }
}
MEASURED: Final[Mapping[str, Any]] = {
    "analysis": {
        **spec_of("2")["analysis"],
        "metrics": [{"preset": "errors"}, {"preset": "latency", "quantile": "0.9", "mayGrow": "50%"}],
        "lookBack": "10m",
    }
}
FAILS: Final = Model(errors=lambda _share, _age: 0.08)
FAILS_HALF: Final = Model(errors=lambda _share, _age: 0.5)
SLOW: Final = Model(median_seconds=0.2)
GOOD: Final = Model()


def _begin(world: World, requests_per_second: float, candidate: Model, **changes: Any) -> None:  # noqa: ANN401 - JSON
    """
    A first version, and half a minute after it serves a second one.
    """
    world.requests_per_second = world.clients.requests_per_second = requests_per_second
    world.cluster.models = {"1": GOOD, "2": candidate}
    world.at(0.0, lambda: world.apply(spec_of("1", **changes)))
    world.at(SECOND, lambda: world.apply(spec_of("2", **changes)))


def _asked(world: World, verb: str, name: str) -> None:
    """
    Ada asks for something about the revision that the spec names.
    """
    request = {"id": name, "verb": verb, "revision": world.deployment.revision, "by": "ada"}
    world.apply(annotations={ANNOTATION_ACTION: json.dumps(request)})


def retried_and_bad_again(world: World) -> None:
    """
    A bad version is retried: what showed it does not roll it back again, new harm does, after fewer bad answers; so a
    second time.
    """
    _begin(world, 50.0, FAILS)
    world.at(200.0, lambda: _asked(world, "retry", "r-1"))
    world.at(400.0, lambda: _asked(world, "retry", "r-2"))
    world.run(700)


def retried_and_mended(world: World) -> None:
    """
    A version that failed because of its surroundings is retried once they are mended, and promoted: what was shown
    before does not hold it back.
    """
    _begin(world, 50.0, FAILS)
    world.at(190.0, lambda: setattr(world.cluster, "models", {"1": GOOD, "2": GOOD}))
    world.at(200.0, lambda: _asked(world, "retry", "r-1"))
    world.run(900)


def retried_with_another_margin(world: World) -> None:
    """
    An aborted version is retried by another strategy: evidence on another claim is not gone on with.
    """
    canary = {**spec_of("2")["strategy"]["canary"], "blastRadius": "2%"}
    other = {**spec_of("2")["strategy"], "canary": canary}
    _begin(world, 50.0, GOOD)
    world.at(70.0, lambda: _asked(world, "abort", "r-1"))
    world.at(190.0, lambda: world.apply(spec_of("2", strategy=other)))
    world.at(200.0, lambda: _asked(world, "retry", "r-2"))
    world.run(900)


def blue_green_behind_a_young_stable(world: World) -> None:
    """
    Right after a first deploy in little traffic: the preview waits until stable is known well enough, and the switch
    is passed by itself.
    """
    _begin(world, 2.0, GOOD, **AT_ONCE)
    world.run(400)


def bad_green_behind_a_young_stable(world: World) -> None:
    """
    The same with a version that fails half of its requests: there is something to hold it against, so blue takes over.
    """
    _begin(world, 2.0, FAILS_HALF, **AT_ONCE)
    world.run(400)


def slow_green_behind_a_young_stable(world: World) -> None:
    """
    Durations need more: stable's calls must tell where its slow ones lie before there is a plan, and the preview waits.
    """
    world.scrape_servers()
    _begin(world, 4.0, SLOW, **AT_ONCE, **MEASURED)
    world.run(500)


def blue_green_without_traffic(world: World) -> None:
    """
    Nobody asks anything, so nothing is known of stable: nothing is switched, and the pause says what is missing.
    """
    _begin(world, 0.0, GOOD, **AT_ONCE)
    world.run(500)


def traffic_comes_after_the_deadline(world: World) -> None:
    """
    The pause for want of stable's requests ends by itself once there are some.
    """
    _begin(world, 0.0, GOOD, **AT_ONCE)
    world.at(450.0, lambda: setattr(world.clients, "requests_per_second", 10.0))
    world.run(900)


STORIES: Final[tuple[Callable[[World], None], ...]] = (
    retried_and_bad_again,
    retried_and_mended,
    retried_with_another_margin,
    blue_green_behind_a_young_stable,
    bad_green_behind_a_young_stable,
    slow_green_behind_a_young_stable,
    blue_green_without_traffic,
    traffic_comes_after_the_deadline,
)
