"""
Stories: what is played in a world of its own, several side by side, because most of a rollout is waiting.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from apiserver.server import ApiServer
from rig.world import RigWorld

T = TypeVar("T")
AT_ONCE = 4
LONGEST_SECONDS = 240.0


@dataclass(frozen=True, slots=True)
class Story(Generic[T]):
    """
    What happens in a world; it returns what its test asserts.
    """

    play: Callable[[RigWorld], T]
    metrics: bool = False
    """The world has a Prometheus."""


@contextmanager
def world(server: ApiServer, folder: Path, *, metrics: bool = False) -> Iterator[RigWorld]:
    """
    A world with a connection of its own; everything in it ends with it.
    """
    own = ApiServer(server.kubeconfig)
    found = RigWorld(own, f"rig-{time.time_ns() % 10**12}", folder, metrics=metrics)
    try:
        found.open()
        yield found
    finally:
        found.close()
        own.close()


def _play(server: ApiServer, folder: Path, story: Story[Any]) -> Any:  # noqa: ANN401 - each story has its own
    folder.mkdir()
    with world(server, folder, metrics=story.metrics) as found:
        try:
            return story.play(found)
        except Exception as error:
            error.add_note(f"players: {found.failures[-3:]}\n{found.log()[-6000:]}")
            raise


@contextmanager
def played(server: ApiServer, folder: Path, stories: Mapping[str, Story[Any]]) -> Iterator[Callable[[str], Any]]:
    """
    Begin them all; asked for one, wait for its end, and return what it returned or raise what it raised.
    """
    with ThreadPoolExecutor(AT_ONCE) as pool:
        begun: dict[str, Future[Any]] = {
            name: pool.submit(_play, server, folder / name, story) for name, story in stories.items()
        }
        yield lambda name: begun[name].result(LONGEST_SECONDS)
