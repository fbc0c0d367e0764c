"""
kopf as a host: what we rely on, pinned with the real kopf against an API server in this process.

A new version of kopf that behaves differently fails here.
"""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from modelramp.app import WATCHED
from modelramp.handlers import Watcher

PATIENCE_SECONDS = 10.0
MODELS = "/apis/modelramp.io/v1alpha1/mlmodeldeployments"
PODS = "/api/v1/pods"
KINDS = {kind.plural: kind for kind in WATCHED}
Heard = tuple[str, str | None, str, str]
"""Kind, type of the event, name, resourceVersion."""


def model(name: str, version: str = "1") -> dict[str, Any]:
    """
    An object of ours, as far as kopf looks at it.
    """
    return {
        "apiVersion": "modelramp.io/v1alpha1",
        "kind": "MLModelDeployment",
        "metadata": {"namespace": "ml", "name": name, "uid": f"uid-{name}", "resourceVersion": version},
        "spec": {},
    }


@dataclass
class Api:
    """
    Lists what it has, and streams what it is told.
    """

    items: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    requests: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    streams: dict[str, list["asyncio.Queue[dict[str, Any] | None]"]] = field(default_factory=dict)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """
        Any request.
        """
        self.requests.append((request.method, request.path, dict(request.query)))
        discovered = discovery(request.path)
        if discovered is not None:
            return web.json_response(discovered)
        if request.query.get("watch") == "true":
            return await self._stream(request)
        listing = {"kind": "List", "metadata": {"resourceVersion": "100"}, "items": self.items.get(request.path, [])}
        return web.json_response(listing)

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        events: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        self.streams.setdefault(request.path, []).append(events)
        while (event := await events.get()) is not None:
            await response.write(json.dumps(event).encode() + b"\n")
        return response

    def tell(self, path: str, kind: str, body: dict[str, Any]) -> None:
        """
        An event, to whoever watches.
        """
        for stream in self.streams[path]:
            stream.put_nowait({"type": kind, "object": body})

    def close(self) -> None:
        """
        End all streams.
        """
        for streams in self.streams.values():
            for stream in streams:
                stream.put_nowait(None)


KOPFS_OWN = [  # kopf waits until it has found these; with scanning off it never asks for them
    ("", "v1", "Namespace", "namespaces"),
    ("", "v1", "Event", "events"),
    ("apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions"),
]
SERVED = [*((kind.group, kind.version, kind.name, kind.plural) for kind in WATCHED), *KOPFS_OWN]


def discovery(path: str) -> dict[str, Any] | None:
    """
    What the API server says it has; None: the path is none of discovery.
    """
    groups = sorted({(group, version) for group, version, _, _ in SERVED if group})
    if path == "/api":
        return {"versions": ["v1"]}
    if path == "/apis":
        versions = [(group, {"groupVersion": f"{group}/{version}", "version": version}) for group, version in groups]
        return {"groups": [{"name": g, "versions": [v], "preferredVersion": v} for g, v in versions]}
    for group, version in [("", "v1"), *groups]:
        if path == (f"/apis/{group}/{version}" if group else f"/api/{version}"):
            return {"resources": [resource(kind, plural) for of, _, kind, plural in SERVED if of == group]}
    return None


def resource(kind: str, plural: str) -> dict[str, Any]:
    """
    One row of discovery.
    """
    verbs = ["get", "list", "watch", "create", "patch", "delete"]
    return {"name": plural, "singularName": kind.lower(), "kind": kind, "namespaced": True, "verbs": verbs}


@dataclass
class Bench:
    """
    A running watcher, the API it watches, and what it handed on.
    """

    api: Api
    heard: list[Heard] = field(default_factory=list)
    watcher: Watcher = field(init=False)

    def take(self, kind: str, change: str | None, body: dict[str, Any]) -> None:
        """
        Called in the watcher's thread.
        """
        self.heard.append((kind, change, body["metadata"]["name"], body["metadata"]["resourceVersion"]))

    async def until(self, true: Callable[[], bool]) -> None:
        """
        Wait for something to come true.
        """
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not true():  # noqa: ASYNC110 - what is waited for happens in another thread
                await asyncio.sleep(0.01)

    async def watching(self) -> None:
        """
        Wait until every kind has a stream.
        """
        await self.until(lambda: len(self.api.streams) == len(WATCHED))

    async def stopped(self) -> float:
        """
        Seconds until the watcher had ended.
        """
        began = asyncio.get_running_loop().time()
        self.watcher.stop()
        await asyncio.to_thread(self.watcher.join, PATIENCE_SECONDS)
        assert not self.watcher.is_alive()
        return asyncio.get_running_loop().time() - began


@pytest.fixture
async def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bench]:
    """
    A watcher of all namespaces; one object and one pod exist.
    """
    async with running(tmp_path, monkeypatch, ()) as found:
        yield found


@asynccontextmanager
async def running(folder: Path, monkeypatch: pytest.MonkeyPatch, namespaces: tuple[str, ...]) -> AsyncIterator[Bench]:
    """
    A watcher of these namespaces.
    """
    api = Api(items={MODELS: [model("a"), model("b")]})
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", api.answer)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    kubeconfig = folder / "kubeconfig"
    cluster = {"name": "c", "cluster": {"server": f"http://127.0.0.1:{port}"}}
    who = {"name": "u", "user": {"token": "t"}}
    both = {"name": "x", "context": {"cluster": "c", "user": "u"}}
    kubeconfig.write_text(
        json.dumps({"clusters": [cluster], "users": [who], "contexts": [both], "current-context": "x"})
    )
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
    monkeypatch.setattr("modelramp.handlers.RESTART_SECONDS", 0.05)
    bench = Bench(api)
    bench.watcher = Watcher(bench.take, namespaces)
    bench.watcher.start()
    try:
        yield bench
    finally:
        bench.watcher.stop()
        api.close()
        await asyncio.to_thread(bench.watcher.join, PATIENCE_SECONDS)
        await runner.cleanup()


def lists(api: Api, path: str) -> list[dict[str, str]]:
    """
    The queries of all lists of a path.
    """
    return [query for method, asked, query in api.requests if (method, asked) == ("GET", path) and "watch" not in query]


async def test_what_exists_is_handed_on_without_a_type(bench: Bench) -> None:
    """
    So that a list can be told from an event.
    """
    await bench.until(lambda: len(bench.heard) >= 2)
    assert sorted(bench.heard) == [("MLModelDeployment", None, name, "1") for name in "ab"]


async def test_events_of_one_object_come_in_order_with_their_types(bench: Bench) -> None:
    """
    Also when they come fast; what was handed on last is the newest.
    """
    await bench.watching()
    for version in range(2, 30):
        bench.api.tell(MODELS, "MODIFIED", model("a", str(version)))
    bench.api.tell(MODELS, "DELETED", model("a", "30"))
    bench.api.tell(MODELS, "ADDED", model("c", "31"))
    await bench.until(lambda: {heard[3] for heard in bench.heard} >= {"30", "31"})
    of_a = [int(version) for _, _, name, version in bench.heard if name == "a"]
    assert of_a == sorted(of_a)
    assert ("MLModelDeployment", "DELETED", "a", "30") in bench.heard
    assert ("MLModelDeployment", "ADDED", "c", "31") in bench.heard


async def test_bookmarks_are_not_handed_on(bench: Bench) -> None:
    """
    They are about no object.
    """
    await bench.watching()
    bench.api.tell(MODELS, "BOOKMARK", {"metadata": {"resourceVersion": "200"}})
    bench.api.tell(MODELS, "MODIFIED", model("a", "201"))
    await bench.until(lambda: any(heard[3] == "201" for heard in bench.heard))
    assert {heard[1] for heard in bench.heard} == {None, "MODIFIED"}


async def test_nothing_is_ever_written(bench: Bench) -> None:
    """
    No annotation, no finalizer, no Event: every request only reads, also for objects that change and go.
    """
    await bench.watching()
    bench.api.tell(MODELS, "MODIFIED", model("a", "2"))
    bench.api.tell(MODELS, "DELETED", model("b", "3"))
    await bench.until(lambda: len(bench.heard) >= 4)
    await bench.stopped()
    assert Counter(method for method, _, _ in bench.api.requests).keys() == {"GET"}


async def test_only_what_the_role_allows_is_asked_for(bench: Bench) -> None:
    """
    Discovery, and lists and watches of our kinds: nothing of namespaces, definitions or other groups.
    """
    await bench.watching()
    await bench.stopped()
    paths = {path for _, path, _ in bench.api.requests}
    ours = {path for path in paths if path.rpartition("/")[2] in KINDS}
    assert len(ours) == len(WATCHED)
    assert all(discovery(path) is not None for path in paths - ours), paths - ours


async def test_label_selectors_are_sent_to_the_server(bench: Bench) -> None:
    """
    A cluster's other pods never reach us; objects of ours are all wanted.
    """
    await bench.watching()
    for method, path, query in bench.api.requests:
        plural = path.rpartition("/")[2]
        if plural in KINDS:
            assert query.get("labelSelector") == KINDS[plural].selector, (method, path, query)


@pytest.mark.apiserver  # not for the server, but for the time: kopf waits 5 s for its other streams before it ends
async def test_a_fatal_event_restarts_the_watch(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """
    What exists is handed on again, so that nothing that was missed is missed for long.
    """
    await bench.watching()
    before = len(lists(bench.api, MODELS))
    bench.api.items[MODELS].append(model("missed", "150"))
    status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "code": 500, "reason": "InternalError"}
    bench.api.tell(MODELS, "ERROR", {**status, "message": "etcd is having a day"})
    await bench.until(lambda: any(heard[2] == "missed" for heard in bench.heard))
    assert len(lists(bench.api, MODELS)) > before
    assert bench.watcher.is_alive()
    assert "the watch ended" in caplog.text


async def test_an_expired_watch_is_listed_anew_without_a_restart(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    """
    410 Gone is the usual end of a stream.
    """
    await bench.watching()
    bench.api.items[MODELS].append(model("new", "150"))
    bench.api.tell(MODELS, "ERROR", {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"})
    await bench.until(lambda: any(heard[2] == "new" for heard in bench.heard))
    assert "the watch ended" not in caplog.text


async def test_a_stop_ends_it_within_five_seconds(bench: Bench) -> None:
    """
    With all streams open.
    """
    await bench.watching()
    assert await bench.stopped() < 10  # kopf gives hanging tasks 5 s


async def test_a_stop_before_the_first_list_ends_it_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A pod may be told to go while it comes.
    """
    async with running(tmp_path, monkeypatch, ()) as bench:
        assert await bench.stopped() < 10  # kopf gives hanging tasks 5 s


async def test_a_second_stop_does_no_harm(bench: Bench) -> None:
    """
    Nor one after the end.
    """
    await bench.watching()
    bench.watcher.stop()
    await bench.stopped()
    bench.watcher.stop()


async def test_named_namespaces_are_watched_one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    With Roles instead of a ClusterRole: nothing is asked of the whole cluster.
    """
    async with running(tmp_path, monkeypatch, ("ml", "fraud")) as bench:
        await bench.until(lambda: len(bench.api.streams) == 2 * len(WATCHED))
        await bench.stopped()
        resources = {path for _, path, _ in bench.api.requests if path.rpartition("/")[2] in KINDS}
        assert len(resources) == 2 * len(WATCHED)
        assert all("/namespaces/ml/" in path or "/namespaces/fraud/" in path for path in resources)
        assert not any(path.endswith("/namespaces") for _, path, _ in bench.api.requests)
