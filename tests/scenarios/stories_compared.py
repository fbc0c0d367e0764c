"""
Stories of shadow stages in which answers are compared.
"""

from typing import Any, Final

from scenarios.parts import NEVER
from scenarios.world import BEGIN, World, spec_of

SECOND: Final = 40.0  # when the second version is applied
METRICS: Final = ({"preset": "errors"}, {"preset": "disagreement"})


def compared(version: str, compare: dict[str, Any] | None, **shadow: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    """
    A shadow run of the version that is promoted when it passed; without `compare` its answers are not compared.
    """
    usual = spec_of(version)
    asked = {"soak": "20s", "deadline": "5m", "blastRadius": "5%", "onPassed": "Promote", **shadow}
    times = {name: usual["strategy"][name] for name in ("progressDeadline", "scaleDownDelay")}
    metrics = METRICS if compare is not None else METRICS[:1]
    given = {} if compare is None else {"compare": compare}
    return spec_of(
        version,
        strategy={**times, "shadow": {**asked, **given}},
        analysis={**usual["analysis"], "metrics": list(metrics)},
    )


def _begun(world: World, version: str, **compare: Any) -> None:  # noqa: ANN401 - JSON
    world.at(0.0, lambda: world.apply(compared("1", compare)))
    world.at(SECOND, lambda: world.apply(compared(version, compare)))


def comparison_agrees(world: World) -> None:
    """
    Answers are compared in a shadow run: those of a good version differ no more often than stable's from its own, and
    it is promoted. The comparator comes before the copies, and goes after them.
    """
    _begun(world, "2", extract="outputs[0].data[0]")
    world.run(900)


def comparison_disagrees(world: World) -> None:
    """
    A version that answers every request, one in twelve otherwise than stable, is rejected; users never saw it.
    """
    _begun(world, "differs", extract="outputs[0].data[0]", **{"as": "Number", "tolerance": "0.01"})
    world.run(900)


def comparison_fails(world: World) -> None:
    """
    The comparator sees what the gateway cannot see of copies that go by it: a version that fails 8 % of them.
    """
    _begun(world, "3")
    world.run(900)


def comparator_dies(world: World) -> None:
    """
    The comparator loses its pod for a while: the copies end at once, the evidence is kept, and it is said what is
    waited for; when it is back, the run goes on.
    """
    world.comparators.down = (BEGIN + 75, BEGIN + 105)
    world.at(0.0, lambda: world.apply(compared("1", {}, soak="60s")))
    world.at(SECOND, lambda: world.apply(compared("2", {}, soak="60s")))
    world.run(900)


def comparator_never_ready(world: World) -> None:
    """
    The comparator does not get ready: no request is copied, and the run is paused after the progress deadline, and not
    rolled back: the version is not at fault. It goes on when the comparator is ready.
    """
    world.comparators.down = (BEGIN, BEGIN + 200)
    _begun(world, "2")
    world.run(900)


def comparator_given_up(world: World) -> None:
    """
    The comparator never gets ready, and somebody takes compare out of the spec: copies go to the version itself, and
    the comparator goes.
    """
    world.comparators.down = (BEGIN, NEVER)
    _begun(world, "2")
    world.at(150.0, lambda: world.apply(compared("2", None)))
    world.run(900)


def comparison_edited(world: World) -> None:
    """
    What is compared is edited while it is compared, and then given up: the comparator is replaced, and goes only after
    the copies go to the version itself.
    """
    _begun(world, "2")
    world.at(60.0, lambda: world.apply(compared("2", {"as": "ArgMax"}, soak="60s")))
    world.at(75.0, lambda: world.apply(compared("2", None, soak="60s")))
    world.run(900)


def comparison_not_to_be_had(world: World) -> None:
    """
    An operator without an image for comparators says so with the field, and routes nothing to the version; once it has
    one, the run begins.
    """
    world.comparators.available = False
    _begun(world, "2")
    world.at(120.0, lambda: setattr(world.comparators, "available", True))
    world.run(900)


def comparison_superseded(world: World) -> None:
    """
    A third version is applied while answers are compared: copies end, then the comparator goes, then another one comes.
    """
    _begun(world, "2")
    world.at(65.0, lambda: world.apply(compared("another", {})))
    world.run(900)


STORIES: Final = (
    comparison_agrees,
    comparison_disagrees,
    comparison_fails,
    comparator_dies,
    comparator_never_ready,
    comparator_given_up,
    comparison_edited,
    comparison_not_to_be_had,
    comparison_superseded,
)
