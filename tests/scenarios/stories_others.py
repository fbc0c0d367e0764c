"""
Stories of shadow runs with several candidates beside one stable.
"""

from typing import Any, Final

from scenarios.world import World, spec_of

SECOND: Final = 40.0
GOOD: Final = ("good", "4")
BAD: Final = ("bad", "3")
LATE: Final = ("late", "slow-start")
NEVER_READY: Final = ("never", "never-ready")
CRASHES: Final = ("crashes", "crashes-late")


def with_others(version: str, *others: tuple[str, str], **changes: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    """
    A spec with a short shadow run, and others by name and version; `changes` are of the strategy.
    """
    times = {name: spec_of(version)["strategy"][name] for name in ("progressDeadline", "scaleDownDelay")}
    shadow = {"soak": "20s", "deadline": "5m", "blastRadius": "1%", **changes}
    listed = [{"name": name, "model": {"version": other}} for name, other in others]
    # One pod template for all versions: they differ by MODEL_VERSION.
    serving = {**spec_of("any")["serving"]}
    return spec_of(version, strategy={**times, "shadow": {**shadow, "others": listed}}, serving=serving)


def applied(world: World, at: float, version: str, *others: tuple[str, str], **changes: Any) -> None:  # noqa: ANN401 - JSON
    """
    The spec is applied at a time.
    """
    world.at(at, lambda: world.apply(with_others(version, *others, **changes)))


def shadow_with_others(world: World) -> None:
    """
    Three others beside the candidate of a shadow run: one passes, one is harmful and loses copies and pods while the
    run goes on, and the late one is waited for; the report names each.
    """
    applied(world, 0.0, "1")
    applied(world, SECOND, "2", GOOD, BAD, LATE)
    world.run(600)


def shadow_others_fail(world: World) -> None:
    """
    One other never becomes ready, another crashes; neither harms the candidate, which is promoted at the end.
    """
    applied(world, 0.0, "1")
    applied(world, SECOND, "2", NEVER_READY, CRASHES, onPassed="Promote")
    world.run(600)


def shadow_others_edited(world: World) -> None:
    """
    An other is taken off the list while it gets copies, and another is added: only these two end and begin.
    """
    applied(world, 0.0, "1")
    applied(world, SECOND, "2", GOOD, soak="60s")
    applied(world, SECOND + 20, "2", LATE, soak="60s")
    applied(world, SECOND + 45, "2", LATE, GOOD, soak="60s")
    world.run(600)


def shadow_others_undecided_at_the_deadline(world: World) -> None:
    """
    An other that is added late is not certified by the deadline of the run, which then ends without its verdict.
    """
    applied(world, 0.0, "1")
    applied(world, SECOND, "2", LATE, deadline="45s")
    world.run(600)


def shadow_with_others_superseded(world: World) -> None:
    """
    Another version ends the run of all candidates; one of them is the new version's revision and is begun afterwards.
    """
    applied(world, 0.0, "1")
    applied(world, SECOND, "2", GOOD, BAD, soak="60s")
    applied(world, SECOND + 15, "4", LATE)
    world.run(600)


STORIES: Final = (
    shadow_with_others,
    shadow_others_fail,
    shadow_others_edited,
    shadow_others_undecided_at_the_deadline,
    shadow_with_others_superseded,
)
