"""
The fault rig: the operator's world with a data plane, pods that answer, a gateway with faults, clients that count.

The gateway is a small controller of ours in front of a real Envoy that reads its configuration from files. No real
gateway shows its races on demand; this one delays, loses and lies as its knobs say.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

from aiohttp import web
from apiserver.operator_world import PATIENCE_SECONDS, OperatorWorld, eventually
from apiserver.server import ApiServer
from contracts.metric_worlds import PrometheusProcess
from contracts.page_server import served
from demo.client import Snapshot
from rig.dataplane import DataPlane
from rig.gateway import Gateway, Written
from rig.knobs import Knobs
from rig.kubeapi import KubeApi
from rig.kubelet import Kubelet
from rig.load import Load, Streamed, stream
from rig.nodeproxy import NodeProxy
from rig.programs import prometheus_binary

T = TypeVar("T")

READY_SECONDS: Final = 60.0
LONGEST_LOAD_SECONDS: Final = 300.0
ANSWER_SECONDS: Final = 60.0
LOOK_SECONDS: Final = 0.1
USED_STATS: Final = r"^cluster\..*\.upstream_rq_(active|\dxx|pending_active)$"
COUNTED_BY_PODS: Final[dict[str, Any]] = {
    "prometheus": {"delay": "1s"},
    "interval": "2s",
    "overdispersion": "1",
    "metrics": [
        {
            "name": "errors",
            "ratio": {"bad": 'rig_requests_total{code="500",$arm}', "total": "rig_requests_total{$arm}"},
        }
    ],
}
"""The analysis of a spec by what the pods count themselves, see `_show_pods`."""


def timeout(seconds: str) -> dict[str, Any]:
    """
    The traffic of a spec, with that request timeout.
    """
    return {"gatewayAPI": {"parentRefs": [{"name": "gw"}], "requestTimeout": seconds}}


class Traffic:
    """
    A load under way, as the test's thread sees it.
    """

    def __init__(self, world: "RigWorld", load: Load) -> None:
        self._world, self._load = world, load
        self.began = time.monotonic()
        """About when the load began; monotonic seconds."""

    def counts(self) -> Snapshot:
        """
        What the client counted so far.
        """
        return self._world.ask(self._load.counts())

    def bad(self) -> dict[str, int]:
        """
        All that was not a good answer, by `version/status` or the kind of loss.
        """
        counts = self.counts()
        wrong = {f"{version or '-'}/{status}": n for (version, status), n in counts.answers.items() if status != 200}
        return {**wrong, **counts.transport_errors}


class RigWorld(OperatorWorld):
    """
    One namespace with a gateway and pods of the rig, and an operator for it.
    """

    def __init__(self, server: ApiServer, namespace: str, folder: Path, *, metrics: bool = False) -> None:
        """
        With `metrics`, a Prometheus scrapes the gateway and the pods, and the operator reads it.
        """
        super().__init__(server, namespace, folder)
        self.knobs = Knobs()
        self._metrics = metrics
        self._ready: Future[None] = Future()
        self._loop: asyncio.AbstractEventLoop
        self.kubelet: Kubelet
        self.gateway: Gateway
        self.plane: DataPlane
        self.node: NodeProxy

    # ------------------------------------------------------------ for the test's thread

    def open(self) -> None:
        """
        As in the parent; returns once the data plane serves.
        """
        super().open()
        self._ready.result(READY_SECONDS)

    def apply(self, version: str, **spec: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
        """
        As in the parent, with a longer request timeout: the machine may be busy, and a slow answer is not a lost one.
        """
        return super().apply(version, **{"traffic": timeout("5s"), **spec})

    def ask(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """
        Run something on the rig's own loop and wait for it.
        """
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(ANSWER_SECONDS)

    def traffic(self, rate: float = 40.0) -> AbstractContextManager[Traffic]:
        """
        A load through the gateway, until left.
        """
        return self.load(Load(self.plane.port, rate))

    @contextmanager
    def load(self, load: Load) -> Iterator[Traffic]:
        """
        Any load, until left.
        """
        running = asyncio.run_coroutine_threadsafe(load.run(LONGEST_LOAD_SECONDS), self._loop)
        try:
            yield Traffic(self, load)
        finally:
            with contextlib.suppress(RuntimeError):
                self.ask(load.stop())
            running.result(ANSWER_SECONDS)

    def stream(self, seconds: float) -> Future[Streamed]:
        """
        Begin a long stream through the gateway.
        """
        return asyncio.run_coroutine_threadsafe(stream(self.plane.port, seconds), self._loop)

    def written(self, since: float = 0.0) -> list[Written]:
        """
        The route's generations that were heard of since that monotonic instant.
        """
        return [version for version in self.gateway.history if version.at >= since]

    def percent_of_candidate(self, stable: str) -> list[int]:
        """
        The share of all but that Service, in each generation of the route.
        """
        return [round(100 - version.weights.get(stable, 0)) for version in self.written()]

    def wanted_replicas(self) -> dict[str, int]:
        """
        Of the Deployments, by name.
        """
        return {
            item["metadata"]["name"]: item["spec"]["replicas"] for item in self.items("/apis/apps/v1", "deployments")
        }

    def until(self, true: Callable[[], object], what: str, seconds: float = PATIENCE_SECONDS) -> float:
        """
        Wait until something is true, looking often; the monotonic instant at which it was.
        """
        deadline = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}; {self._face()}"
            assert not self.failures, self.failures
            time.sleep(LOOK_SECONDS)
        return time.monotonic()

    def _face(self) -> str:
        status = self.status
        return f"{status.get('phase')} {status.get('reason')}: {status.get('message')}"

    def deploy(self, version: str = "1", **spec: Any) -> str:  # noqa: ANN401 - JSON
        """
        Apply, start the operator, wait until the version serves; the name of its Service.
        """
        self.apply(version, **spec)
        self.start()
        self.until(lambda: self.serves(version), f"version {version} is stable")
        eventually(lambda: len(self.shares()) == 1, "the route gives it everything", 30)
        return next(iter(self.shares()))

    # ------------------------------------------------------------ the rig's own loop

    def _play(self) -> None:
        try:
            asyncio.run(self._main())
        except BaseException as error:  # noqa: BLE001 - told by the test that fails for want of a player
            self.failures.append(repr(error))
            if not self._ready.done():
                self._ready.set_exception(error)

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        files = self.folder / "envoy"
        files.mkdir()
        self.plane = DataPlane(files)
        async with KubeApi(self._own, self.namespace) as api:
            self.kubelet = Kubelet(api)
            self.gateway = Gateway(api, self.plane, self.knobs, self.kubelet.target)
            self.node = NodeProxy(api, "fraud", self.kubelet.target)
            await self.plane.open()
            try:
                async with self._prometheus(), asyncio.TaskGroup() as tasks:
                    listens = asyncio.Event()
                    runs = (self.kubelet.run(), self.gateway.run(), self.node.run(listens))
                    players = [tasks.create_task(run) for run in runs]
                    await listens.wait()
                    self._ready.set_result(None)
                    while not self._done.is_set():
                        await asyncio.to_thread(self._play_node)
                        await asyncio.sleep(LOOK_SECONDS)
                    for player in players:
                        player.cancel()
            finally:
                await self.plane.close()

    @asynccontextmanager
    async def _prometheus(self) -> Any:  # noqa: ANN401 - an asynchronous iterator
        if not self._metrics:
            yield
            return
        folder = self.folder / "prometheus"
        folder.mkdir()
        async with served("/metrics", self._show_pods) as pods:
            jobs: list[dict[str, Any]] = [
                {
                    "job_name": "envoy",
                    "metrics_path": "/stats/prometheus",
                    "params": {"filter": [USED_STATS]},
                    "static_configs": [{"targets": [f"127.0.0.1:{self.plane.admin_port}"]}],
                },
                {"job_name": "pods", "honor_labels": True, "static_configs": [{"targets": [pods]}]},
            ]
            store = PrometheusProcess(prometheus_binary(), folder, jobs)
            await store.start()
            self.settings["MODELRAMP_PROMETHEUS_ADDRESS"] = f"http://{store.address}"
            try:
                yield
            finally:
                await store.stop()

    async def _show_pods(self, _request: web.Request) -> web.Response:
        """
        What the pods count themselves, as their own pages would show it.
        """
        lines = [
            f'rig_requests_total{{namespace="{self.namespace}",pod="{pod.name}",code="{code}"}} {count}'
            for pod in self.kubelet.pods.values()
            for code, count in (("200", pod.server.answered), ("500", 0))
        ]
        for name, comparator in self.kubelet.comparators.items():
            lines += (await comparator.page(namespace=self.namespace, pod=name)).splitlines()
        return web.Response(text="\n".join([*lines, ""]), content_type="text/plain", charset="utf-8")
