"""
The composition root: builds the adapters, joins them to the cycle, and runs them. Nothing else of the operator builds
adapters; the commands that ask a live Prometheus have one of their own.
"""

import asyncio
import contextlib
import gc
import logging
import random  # noqa: TID251 - jitter against herds
import signal
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final, Protocol

from modelramp.adapters.clock import SystemClock, monotonic
from modelramp.adapters.endpoints import Endpoints, Measures
from modelramp.adapters.kubernetes.comparators import KubernetesComparators
from modelramp.adapters.kubernetes.deployments import KubernetesDeployments
from modelramp.adapters.kubernetes.events import KubernetesEvents, occasion_in
from modelramp.adapters.kubernetes.lease import Elector, Timing
from modelramp.adapters.kubernetes.lists import Lists
from modelramp.adapters.kubernetes.readers import ConfigMapKeys, SecretKeys
from modelramp.adapters.kubernetes.resources import LABELLED, Kind
from modelramp.adapters.kubernetes.resources import WATCHED as RESOURCES
from modelramp.adapters.kubernetes.store import Store, key_of
from modelramp.adapters.kubernetes.transport import TIMEOUT_SECONDS, Transport
from modelramp.adapters.kubernetes.workloads import KubernetesWorkloads
from modelramp.adapters.logs import set_up_logs
from modelramp.adapters.prometheus import AddressPolicy, BatchingSource, PrometheusSource
from modelramp.adapters.routers import routers_of
from modelramp.adapters.warmup import WarmUpSender
from modelramp.api.names import LABEL_DEPLOYMENT
from modelramp.ports import Key, PortError
from modelramp.reconcile.cycle import Cycle
from modelramp.reconcile.engine import Engine
from modelramp.reconcile.execute import Hands
from modelramp.reconcile.observe import Eyes
from modelramp.settings import Settings

log = logging.getLogger("modelramp")

Heard = Callable[[str, str | None, dict[str, Any]], None]
"""Takes a kind, the type of its event (None: from a list) and the object; may be called in any thread."""


@dataclass(frozen=True, slots=True)
class WatchedKind:
    """
    A kind to be watched; `selector` is a label selector, None: all objects.
    """

    name: str
    group: str
    version: str
    plural: str
    selector: str | None


def _watched(kind: Kind) -> WatchedKind:
    group, slash, version = RESOURCES[kind].api_version.rpartition("/")
    selector = LABEL_DEPLOYMENT if kind in LABELLED else None
    return WatchedKind(str(kind), group if slash else "", version, RESOURCES[kind].plural, selector)


FIRST_LIST_AGAIN_SECONDS: Final = 2
OPENING_SECONDS: Final = 5  # kopf lists and opens its streams within a second or two

WATCHED: Final = tuple(_watched(kind) for kind in RESOURCES)
"""Every kind that an operator with all its routers watches."""


class Watch(Protocol):
    """
    Something that watches the cluster in a thread of its own.
    """

    opened: int
    """How often it began to watch."""

    def start(self) -> None:
        """
        Begin.
        """

    def stop(self) -> None:
        """
        End; returns at once.
        """

    def join(self, timeout: float | None = None) -> None:
        """
        Wait for the end.
        """

    def is_alive(self) -> bool:
        """
        It is watching.
        """

    def renew(self) -> None:
        """
        Begin anew, with the kinds there are now; returns at once.
        """


Kinds = Callable[[], tuple[WatchedKind, ...]]
"""The kinds to be watched, asked for whenever a watch begins."""
WatchFactory = Callable[[Heard, tuple[str, ...], Kinds], Watch]


async def _ended(*tasks: asyncio.Task[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


class Operator:
    """
    The running operator: an engine that works while this replica leads, and a store that every replica keeps warm.
    """

    def __init__(self, settings: Settings, transport: Transport) -> None:
        """
        Builds everything; starts nothing.
        """
        self._settings, self._transport = settings, transport
        self._store, self._clock = Store(), SystemClock()
        self._loop = asyncio.get_running_loop()
        self._lists = Lists(transport, self._store, settings.routers, settings.watch_namespaces)
        self._synced = False
        self._opened = 0
        self.stopping = asyncio.Event()
        self._elector = Elector(
            transport,
            Key(settings.namespace, settings.lease_name),
            settings.identity,
            Timing(clock=self._clock, monotonic=monotonic, jitter=random.random),
        )
        # a cycle may outlive the leadership it began under: no write is begun that the Lease might not cover
        transport.may_write = lambda: self._elector.valid_for() > TIMEOUT_SECONDS
        policy = AddressPolicy(settings.prometheus_address, settings.prometheus_allowed)
        self._prometheus = PrometheusSource(
            policy, SecretKeys(transport), jitter=random.random, read_config_map=ConfigMapKeys(transport)
        )
        self._metrics = BatchingSource(self._prometheus)
        self._engine = Engine(self._cycle(), self._clock, self._may_act, self._count)
        self._measures = Measures(lambda: len(self._engine.queue), lambda: self._elector.is_leader)

    def _cycle(self) -> Cycle:
        workloads = KubernetesWorkloads(self._transport, self._store)
        routes = routers_of(self._transport, self._store, self._settings.routers)
        image, policy = self._settings.comparator_image, self._settings.comparator_pull_policy
        comparators = KubernetesComparators(self._transport, self._store, image=image, pull_policy=policy)
        events = KubernetesEvents(
            self._transport,
            self._clock,
            instance=self._settings.identity,
            occasion=occasion_in(self._store),
            monotonic=monotonic,
        )
        return Cycle(
            deployments=KubernetesDeployments(self._transport, self._store),
            eyes=Eyes(
                workloads=workloads,
                routes=routes,
                comparators=comparators,
                metrics=self._metrics,
                warm_ups=WarmUpSender(ConfigMapKeys(self._transport)),
            ),
            hands=Hands(workloads=workloads, routes=routes, comparators=comparators),
            events=events,
            clock=self._clock,
            farewell=routes.release,
            moved=lambda reason: self._measures.transition(reason),  # noqa: PLW0108 - built later than this
        )

    def _may_act(self) -> bool:
        """
        This replica leads, and has seen every kind once: before its route is listed, an object looks as if it had none.
        """
        return self._synced and self._elector.is_leader

    def _count(self, outcome: str) -> None:
        self._measures.cycle(outcome)

    def heard(self, kind: str, change: str | None, body: dict[str, Any]) -> None:
        """
        Take in what a watch tells; called in the watch's thread.
        """
        woken = self._store.heard(Kind(kind), change, body)
        others = self._store.adopters(Kind(kind), key_of(body)) if woken is not None else ()
        with contextlib.suppress(RuntimeError):  # the loop is closed: we are on the way out
            self._loop.call_soon_threadsafe(self._wake, kind, () if woken is None else {woken, *others})

    def _wake(self, kind: str, keys: Iterable[Key]) -> None:
        self._measures.heard(kind)
        for key in keys:
            self._engine.queue.add(key)

    async def _resync(self, watch: Watch) -> None:
        """
        Repair what a watch missed: list every kind, wake what differs. The first pass fills the store.

        The watch begins after it: of a kind that the API server does not know yet it would never hear anything.
        """
        while True:
            found = self._lists.found
            try:
                await self._list_everything()
            except PortError as error:
                log.warning("the periodic list failed: %s", error)
            else:
                if self._synced and self._lists.found != found:
                    watch.renew()
                if not self._synced:
                    watch.start()
                    self._synced = True
                    self._look_at_everything()
            await self._until_due(watch)

    async def _until_due(self, watch: Watch) -> None:
        """
        Wait for the next list: soon after the watch was opened anew, because what was deleted between the list and the
        opening was heard by nobody; else after the period.
        """
        if not self._synced:
            await asyncio.sleep(FIRST_LIST_AGAIN_SECONDS)
            return
        opened = self._opened
        for _ in range(self._settings.resync_seconds):
            await asyncio.sleep(1)
            if watch.opened != opened:
                self._opened = watch.opened
                await asyncio.sleep(OPENING_SECONDS)
                return

    async def _list_everything(self) -> None:
        for key in await self._lists.repair():
            self._engine.queue.add(key)

    def _kinds(self) -> tuple[WatchedKind, ...]:
        return tuple(_watched(kind) for kind in self._lists.found)

    def _look_at_everything(self) -> None:
        for key in self._store.keys():  # noqa: SIM118 - a Store is no mapping
            self._engine.queue.add(key)

    async def _lead(self) -> None:
        """
        Once the leader, look at everything; the leadership lost ends the process, so that nothing old goes on.
        """
        election = asyncio.create_task(self._elector.run(self.stopping.set))
        leading = asyncio.create_task(self._elector.leading.wait())
        try:
            await asyncio.wait({election, leading}, return_when=asyncio.FIRST_COMPLETED)
            self._look_at_everything()
            await election
        finally:
            leading.cancel()
            election.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await election

    async def run(self, watch_of: WatchFactory) -> None:
        """
        Run until `stopping` is set.
        """
        watch = watch_of(self.heard, self._settings.watch_namespaces, self._kinds)
        endpoints = Endpoints(
            self._settings.http_port,
            healthy=lambda: watch.is_alive() or not self._synced,
            ready=lambda: self._synced and watch.is_alive(),
            page=self._measures.page,
        )
        await endpoints.open()
        parts = [self._resync(watch), *(self._engine.work() for _ in range(self._settings.workers))]
        tasks = [asyncio.create_task(part) for part in (*parts, self.stopping.wait())]
        lead = asyncio.create_task(self._lead())
        try:
            done, _ = await asyncio.wait([*tasks, lead], return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()  # a part that ended by itself is a fault: it ends the process, loudly
        finally:
            log.info("stopping")
            await _ended(*tasks)
            await _ended(lead)  # last of all: it gives the Lease away, and nothing of ours may be under way then
            watch.stop()
            if watch.is_alive():
                await asyncio.to_thread(watch.join, 10)
            await endpoints.close()
            await self._metrics.close()
            await self._prometheus.close()


async def _serve(settings: Settings, watch_of: WatchFactory) -> None:
    transport = await Transport.connect(kubeconfig=settings.kubeconfig)
    try:
        operator = Operator(settings, transport)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, operator.stopping.set)
        await operator.run(watch_of)
    finally:
        await transport.close()


def spare_the_garbage_collector() -> None:
    """
    Search for cycles less often, and never among what was imported: at 1,000 models a sixth of all CPU went there.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 100)


def run(settings: Settings, watch_of: WatchFactory) -> int:
    """
    Run the operator until it is told to stop; its exit status.
    """
    spare_the_garbage_collector()
    set_up_logs(settings.log_level)
    try:
        asyncio.run(_serve(settings, watch_of))
    except PortError as error:
        log.error("%s", error)  # noqa: TRY400 - a missing credential needs no traceback
        return 1
    return 0
