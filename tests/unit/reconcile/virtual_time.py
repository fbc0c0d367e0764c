"""
An event loop whose clock jumps to the next timer instead of waiting for it.
"""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
MOST_SECONDS = 1e6  # of virtual time; a test that needs more waits for something that never comes


class _Jump(selectors.SelectSelector):
    """
    Waits for nothing: the time it should have waited is added to the clock.
    """

    now = 1000.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """
        What is ready at once.
        """
        if timeout is None or self.now > MOST_SECONDS:
            raise RuntimeError("what is waited for never comes")
        self.now += max(0.0, timeout)
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """
    Time passes only while everybody waits; there are no threads.
    """

    def __init__(self) -> None:
        """
        Begins at an arbitrary instant.
        """
        self._jump = _Jump()
        super().__init__(self._jump)

    def time(self) -> float:
        """
        Virtual seconds.
        """
        return self._jump.now

    def run_in_executor(self, executor: object, func: Callable[..., T], *args: object) -> "asyncio.Future[T]":
        """
        At once and here: while a thread worked, the clock would jump.
        """
        del executor
        future: asyncio.Future[T] = self.create_future()
        future.set_result(func(*args))
        return future

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:  # noqa: ASYNC109 - asyncio's own
        """
        There is none.
        """


def run(main: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """
    Run a coroutine to its end in virtual time.
    """
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main())
