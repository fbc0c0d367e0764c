"""
A world for the time of a test, and what every one begins with.
"""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from apiserver.operator_world import OperatorWorld
from apiserver.server import ApiServer

W = TypeVar("W", bound=OperatorWorld)
LOG_SHOWN = 6000


@contextmanager
def opened(kind: Callable[[ApiServer, str, Path], W], server: ApiServer, prefix: str, folder: Path) -> Iterator[W]:
    """
    A namespace of its own with players, without an operator yet; what was wrong is shown with a failure.
    """
    world = kind(server, f"{prefix}-{time.time_ns() % 10**10}", folder)
    world.open()
    try:
        yield world
    finally:
        world.close()
        sys.stderr.write(f"{world.failures[-3:]}\n{world.log()[-LOG_SHOWN:]}")
