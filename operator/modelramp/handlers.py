"""
kopf as a host: it watches, logs in and restarts its streams. Each event is handed on; nothing is decided here.

kopf runs in a thread with a loop of its own, because it cancels every task of its loop when it ends, and a stall of
ours must not stop its streams. Only low-level event handlers are used: they write nothing to the objects (no
annotation, no finalizer), so every replica can run them. A fatal error of a stream ends kopf, not the operator: it is
started again.
"""

import asyncio
import contextlib
import itertools
import logging
import random
import threading
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any, Final

import kopf

from modelramp.app import WATCHED, Heard, Kinds, WatchedKind

log = logging.getLogger("modelramp.watch")

LOGIN_LIFE: Final = timedelta(
    minutes=10
)  # a service account's token is rotated; kopf reads it again only when it expires
RESTART_SECONDS: Final = 3.0  # kopf itself takes 5 s to end after a fatal error
LASTING_SECONDS: Final = 10.0  # a watch that ends sooner has not worked
FAILURES_ALLOWED: Final = 20  # a minute of ends at once is no outage of the API server, which kopf itself waits out
IDENTITY: Final[Any] = "modelramp"  # given, because kopf would else ask for the user's name, which a pod does not have


class _EndlessBackoffs:
    """
    Waits between kopf's tries of one request: 1 s, doubling to 30 s, for ever, jittered.
    """

    def __iter__(self) -> Iterator[float]:
        return (min(30.0, 2.0**n) * random.uniform(0.7, 1.0) for n in itertools.count())  # noqa: S311 - jitter


def _settings(kinds: tuple[WatchedKind, ...]) -> kopf.OperatorSettings:
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    settings.posting.loggers = False
    settings.peering.standalone = True
    settings.scanning.disabled = True  # so that no right on CRDs and namespaces is needed
    settings.watching.server_timeout = random.randint(300, 600)  # noqa: S311 - whole, or the API server refuses it; spread
    settings.watching.connect_timeout = 10
    settings.watching.chunk_size = 250
    settings.queueing.idle_timeout = 2
    settings.networking.request_timeout = 30
    settings.networking.error_backoffs = _EndlessBackoffs()
    settings.persistence.finalizer = "modelramp.io/unused"
    settings.process.ultimate_exiting_timeout = None
    for kind in kinds:
        if kind.selector:
            settings.watching.label_selectors[kind.group, kind.version, kind.plural] = kind.selector
    return settings


def _login(**kwargs: Any) -> kopf.ConnectionInfo | None:  # noqa: ANN401 - kopf's own keyword arguments
    connection = kopf.login_with_service_account(**kwargs) or kopf.login_with_kubeconfig(**kwargs)
    expiration = datetime.now(UTC) + LOGIN_LIFE
    return replace(connection, expiration=expiration) if connection else None


def _handing_on(heard: Heard, kind: str) -> Callable[..., Awaitable[None]]:
    async def hand_on(event: Any, **_: Any) -> None:  # noqa: ANN401 - kopf's own keyword arguments
        heard(kind, event["type"], event["object"])

    return hand_on


def _registry(heard: Heard, kinds: tuple[WatchedKind, ...]) -> kopf.OperatorRegistry:
    registry = kopf.OperatorRegistry()
    kopf.on.login(registry=registry)(_login)
    for kind in kinds:
        on_event = kopf.on.event(kind.group, kind.version, kind.plural, registry=registry, id=f"heard-{kind.plural}")
        on_event(_handing_on(heard, kind.name))
    return registry


class Watcher(threading.Thread):
    """
    kopf in its thread, started again whenever it ends, until stopped.
    """

    def __init__(self, heard: Heard, namespaces: tuple[str, ...], kinds: Kinds = lambda: WATCHED) -> None:
        """
        `heard` is called in this thread, for every event; no namespaces means all.
        """
        super().__init__(name="kopf", daemon=True)
        self._heard, self._namespaces, self._kinds = heard, namespaces, kinds
        self._stopping = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._flag: asyncio.Event | None = None
        self._failures = 0
        self.opened = 0

    def is_alive(self) -> bool:
        """
        The thread runs, and the watch did not fail again and again at once.
        """
        return super().is_alive() and self._failures < FAILURES_ALLOWED

    def run(self) -> None:
        """
        Watch until stopped.
        """
        while not self._stopping.is_set():
            began = monotonic()
            self.opened += 1
            try:
                asyncio.run(self._watch())
            except Exception:  # the streams are gone, whatever the reason; they are opened anew
                log.exception("the watch ended; it is started again in %.0f s", RESTART_SECONDS)
            self._failures = self._failures + 1 if monotonic() - began < LASTING_SECONDS else 0
            self._stopping.wait(RESTART_SECONDS)

    async def _watch(self) -> None:
        self._loop, self._flag = asyncio.get_running_loop(), asyncio.Event()
        if self._stopping.is_set():
            return
        kinds = self._kinds()
        await kopf.operator(
            registry=_registry(self._heard, kinds),
            settings=_settings(kinds),
            standalone=True,
            clusterwide=not self._namespaces,
            namespaces=self._namespaces,
            identity=IDENTITY,
            stop_flag=self._flag,
        )

    def stop(self) -> None:
        """
        End the watch; returns at once, `join` waits.
        """
        self._stopping.set()
        self.renew()

    def renew(self) -> None:
        """
        End what is watched now; it begins anew, with the kinds there are then, unless it is to stop.
        """
        if self._loop is not None and self._flag is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: it has ended by itself
                self._loop.call_soon_threadsafe(self._flag.set)
