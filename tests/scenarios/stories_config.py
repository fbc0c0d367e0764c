"""
Stories of ConfigMaps that are part of a revision: the object stays as it is, and what they hold changes.
"""

import json
from collections.abc import Callable
from typing import Any, Final

from scenarios.world import World, spec_of

from modelramp.api.names import ANNOTATION_ACTION

LIMITS: Final = "limits"


def _applied(world: World, content: str, **reference: str) -> None:
    """
    The ConfigMap, and at once after it the object that names it.
    """
    spec = spec_of("1")
    serving = {**spec["serving"], "config": [{"configMap": LIMITS, **reference}]}
    world.cluster.configs[LIMITS] = content
    world.at(0.0, lambda: world.apply({**spec, "serving": serving}))


def _holds(world: World, at: float, content: str | None) -> None:
    """
    From then on the ConfigMap holds this; None: it is gone. Nobody is told.
    """

    def change() -> None:
        if content is None:
            del world.cluster.configs[LIMITS]
        else:
            world.cluster.configs[LIMITS] = content

    world.at(at, change)


def _undone(world: World, at: float) -> None:
    """
    Ada asks to return to the revision that is kept.
    """

    def ask() -> None:
        meant = world.deployment.status.kept[-1].revision
        request: dict[str, Any] = {"id": "r-1", "verb": "undo", "revision": meant, "by": "ada"}
        world.apply(annotations={ANNOTATION_ACTION: json.dumps(request)})

    world.at(at, ask)


def configuration_changed(world: World) -> None:
    """
    What the ConfigMap holds changes, and nothing else: that is rolled out within 5 minutes, like another version.
    """
    _applied(world, "first")
    _holds(world, 20.0, "second")
    world.run(1200)


def bad_configuration(world: World) -> None:
    """
    A content with which the model fails 8 % is rolled back, and not begun again; when the content before comes back,
    the object is at rest.
    """
    _applied(world, "first")
    _holds(world, 20.0, "bad")
    _holds(world, 1000.0, "first")
    world.run(1500)


def configuration_undone(world: World) -> None:
    """
    Ada returns to the revision with the content before; the ConfigMap, which stays, does not undo that. A third content
    is rolled out.
    """
    _applied(world, "first")
    _holds(world, 20.0, "second")
    _undone(world, 800.0)
    _holds(world, 1600.0, "third")
    world.run(2600)


def configuration_gone(world: World) -> None:
    """
    The ConfigMap is deleted, and made again as it was: what it held is remembered, and nothing is rolled out.
    """
    _applied(world, "first")
    _holds(world, 20.0, None)
    _holds(world, 700.0, "first")
    world.run(1100)


def configuration_replaced_in_flight(world: World) -> None:
    """
    A third content while the second is on trial: the second leaves as superseded.
    """
    _applied(world, "first")
    _holds(world, 20.0, "second")
    _holds(world, 350.0, "third")
    world.run(1500)


def configuration_ignored(world: World) -> None:
    """
    The object says to ignore what the ConfigMap holds: the revision has its copy, and goes on.
    """
    _applied(world, "first", onChange="Ignore")
    _holds(world, 20.0, "second")
    world.run(1000)


STORIES: Final[tuple[Callable[[World], None], ...]] = (
    configuration_changed,
    bad_configuration,
    configuration_undone,
    configuration_gone,
    configuration_replaced_in_flight,
    configuration_ignored,
)
