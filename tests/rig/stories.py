"""
Stories: what is played in a world of its own, several side by side, because most of a rollout is waiting.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from apiserver.server import ApiServer
from rig.programs import envoy_binary
from rig.world import RigWorld

AT_ONCE = 6
LONGEST_SECONDS = 500.0

Play = Callable[[RigWorld], Any]
Told = Callable[[str], Any]


@dataclass(frozen=True, slots=True)
class Story:
    """
    What happens in a world; it returns what its test asserts.
    """

    play: Play
    metrics: bool
    """The world has a Prometheus."""


STORIES: dict[str, Story] = {}
"""Of all test files that were read."""


def story(name: str, play: Play, *, metrics: bool = False) -> None:
    """
    Announce a story, to be asked for by its name.
    """
    assert name not in STORIES, name
    STORIES[name] = Story(play, metrics)


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


def _play(server: ApiServer, folder: Path, told: Story) -> Any:  # noqa: ANN401 - each story has its own
    with world(server, folder, metrics=told.metrics) as found:
        try:
            return told.play(found)
        except Exception as error:
            error.add_note(f"players: {found.failures[-3:]}\n{found.log()[-6000:]}")
            raise


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


@contextmanager
def played(server: ApiServer, folder: Path, stories: Mapping[str, Story]) -> Iterator[Told]:
    """
    Begin them all; asked for one, wait for its end, and return what it returned or raise what it raised.
    """
    envoy_binary()  # fetching it may take longer than a story waits
    with ThreadPoolExecutor(AT_ONCE) as pool:
        begun: dict[str, Future[Any]] = {
            name: pool.submit(_play, server, _made(folder / name.replace(" ", "-")), told)
            for name, told in stories.items()
        }
        yield lambda name: begun[name].result(LONGEST_SECONDS)
