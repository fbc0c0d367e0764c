"""
The composition: what acts when. The API server is an object in memory that answers lists in the order a test wants.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from unit.reconcile.virtual_time import run

from modelramp.adapters.kubernetes.resources import GRPC_ROUTES, HTTP_ROUTES, MODELS, Resource
from modelramp.adapters.kubernetes.transport import Listing
from modelramp.app import WATCHED, Heard, Kinds, Operator
from modelramp.ports import ConflictError, DeniedError, Document, GoneError, Key, RefusedError, UnreachableError
from modelramp.settings import Settings

SETTINGS = Settings.from_environment({"MODELRAMP_HTTP_PORT": "0", "MODELRAMP_POD_NAME": "me", "KUBECONFIG": "none"})
OBJECT: dict[str, Any] = {
    "apiVersion": "modelramp.io/v1alpha1",
    "kind": "MLModelDeployment",
    "metadata": {"namespace": "ml", "name": "fraud", "uid": "u1", "generation": 1, "resourceVersion": "7"},
    "spec": {
        "model": {"version": "1"},
        "serving": {"port": 8080, "template": {"spec": {"containers": [{"name": "m", "image": "i"}]}}},
        "traffic": {"gatewayAPI": {"parentRefs": [{"name": "gw"}]}},
    },
}


class Server:
    """
    Stands in for the transport: one object, a Lease, and routes that are listed only when `routes` is set.
    """

    def __init__(self) -> None:
        self.routes = asyncio.Event()
        self.lease: dict[str, Any] | None = None
        self.outage = False
        self.has_grpc = True
        self.calls: list[str] = []
        self.slow_write: float = 0.0

    async def list(self, resource: Resource, **_: object) -> Listing:
        self.calls.append(f"list {resource.kind}")
        if self.outage:
            raise UnreachableError("no answer")
        if resource == GRPC_ROUTES and not self.has_grpc:
            raise RefusedError("the API server does not know this kind")
        if resource == HTTP_ROUTES:
            await self.routes.wait()
        return Listing(items=[OBJECT] if resource == MODELS else [], resource_version="7")

    async def get(self, _resource: Resource, _key: Key) -> Document:
        if self.lease is None:
            raise GoneError("no Lease yet")
        return self.lease

    async def create(self, resource: Resource, body: Document) -> Document:
        if resource.kind == "Lease":
            return await self.replace(resource, body)
        self.calls.append(f"create {resource.kind}")
        return body

    async def replace(self, _resource: Resource, body: Document) -> Document:
        self.calls.append(f"lease {body['spec']['holderIdentity'] or 'released'}")
        self.lease = {**body, "metadata": {**body["metadata"], "uid": "l", "resourceVersion": "1"}}
        return self.lease

    async def apply_status(self, _resource: Resource, body: Document) -> Document:
        self.calls.append("status")
        return {**OBJECT, "metadata": {**OBJECT["metadata"], "resourceVersion": "8"}, "status": body["status"]}

    async def apply(self, resource: Resource, _body: Document, **_: object) -> Document:
        self.calls.append(f"apply {resource.kind}")
        try:
            await asyncio.sleep(self.slow_write)
        finally:
            self.calls.append(f"applied {resource.kind}")
        raise ConflictError("enough for this test")

    @property
    def writes(self) -> Sequence[str]:
        return [call for call in self.calls if call.startswith(("status", "appl"))]


class SilentWatch:
    """
    A watch that never tells anything.
    """

    latest: "SilentWatch"

    def __init__(self, _heard: Heard, _namespaces: tuple[str, ...], kinds: Kinds) -> None:
        self.kinds = kinds
        self.renewed = 0
        self.running = False
        self.opened = 0
        SilentWatch.latest = self

    def start(self) -> None:
        self.running = True
        self.opened += 1

    def stop(self) -> None:
        self.running = False

    def renew(self) -> None:
        self.renewed += 1

    def join(self, _timeout: float | None = None) -> None:
        assert not self.running

    def is_alive(self) -> bool:
        return self.running


async def started(server: Server) -> tuple[Operator, "asyncio.Task[None]"]:
    operator = Operator(SETTINGS, server)  # type: ignore[arg-type]  # in place of a transport
    return operator, asyncio.create_task(operator.run(SilentWatch))


async def stopped(operator: Operator, running: "asyncio.Task[None]") -> None:
    operator.stopping.set()
    await running


def test_nothing_is_decided_before_every_kind_was_listed() -> None:
    """
    An object whose route is not listed yet looks as if nothing reached its candidate: it would be scaled down too soon.
    """

    async def main() -> None:
        server = Server()
        operator, running = await started(server)
        await asyncio.sleep(5)
        assert "list MLModelDeployment" in server.calls
        assert "lease me" in server.calls
        assert server.writes == []
        server.routes.set()
        await asyncio.sleep(1)
        assert server.writes[0] == "status"
        await stopped(operator, running)

    run(main)


def test_what_was_listed_before_the_leadership_is_looked_at_when_it_comes() -> None:
    """
    A standby does nothing, and everything once it leads.
    """

    async def main() -> None:
        server = Server()
        server.routes.set()
        other = {"holderIdentity": "other", "leaseDurationSeconds": 15}
        server.lease = {"metadata": {"name": "modelramp", "namespace": "default"}, "spec": other}
        operator, running = await started(server)
        await asyncio.sleep(10)
        assert server.writes == []
        server.lease["spec"]["holderIdentity"] = ""
        await asyncio.sleep(10)
        assert server.writes[0] == "status"
        await stopped(operator, running)

    run(main)


def test_a_failed_first_list_is_tried_again_soon() -> None:
    """
    An API server that comes back is noticed within seconds, not at the next resync.
    """

    async def main() -> None:
        server = Server()
        server.routes.set()
        server.outage = True
        operator, running = await started(server)
        await asyncio.sleep(7)
        assert server.writes == []
        server.outage = False
        await asyncio.sleep(3)
        assert server.writes[0] == "status"
        await stopped(operator, running)

    run(main)


def test_everything_is_listed_again_soon_after_a_watch_was_opened() -> None:
    """
    What is deleted between a list and the opening of the streams is heard by nobody.
    """

    async def main() -> None:
        server = Server()
        server.routes.set()
        operator, running = await started(server)
        await asyncio.sleep(15)
        assert server.calls.count("list Pod") == 2
        SilentWatch.latest.opened += 1  # it ended and was opened anew
        await asyncio.sleep(10)
        assert server.calls.count("list Pod") == 3
        await stopped(operator, running)

    run(main)


def test_the_watch_begins_after_the_first_list() -> None:
    """
    A kind that is defined after kopf has started is never watched; our list succeeds only once it is defined.
    """

    async def main() -> None:
        server = Server()
        operator, running = await started(server)
        await asyncio.sleep(5)
        assert not SilentWatch.latest.running
        server.routes.set()
        await asyncio.sleep(1)
        assert SilentWatch.latest.running
        await stopped(operator, running)

    run(main)


def test_the_lease_is_given_away_only_when_no_write_is_under_way() -> None:
    """
    Otherwise the next leader would begin beside our last write.
    """

    async def main() -> None:
        server = Server()
        server.routes.set()
        server.slow_write = 60.0
        operator, running = await started(server)
        await asyncio.sleep(5)
        assert server.writes[-1] == "apply Service"
        await stopped(operator, running)
        assert server.calls[-2:] == ["applied Service", "lease released"]

    run(main)


def test_a_part_that_breaks_ends_the_process_loudly(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    An operator that does half of its work is worse than one that is restarted.
    """

    async def main() -> None:
        server = Server()
        operator, running = await started(server)

        async def broken() -> None:
            raise ZeroDivisionError

        monkeypatch.setattr(operator, "_list_everything", broken)
        with pytest.raises(ZeroDivisionError):
            await running

    run(main)


def test_a_router_the_cluster_lacks_is_left_out_until_it_is_there(caplog: pytest.LogCaptureFixture) -> None:
    """
    It is said once and stops nothing; when it is defined later, the watch begins anew with it.
    """

    async def main() -> None:
        server = Server()
        server.has_grpc = False
        server.routes.set()
        operator, running = await started(server)
        await asyncio.sleep(3)
        watch = SilentWatch.latest
        assert (watch.opened, {kind.name for kind in watch.kinds()} ^ {kind.name for kind in WATCHED}) == (
            1,
            {"GRPCRoute"},
        )
        await asyncio.sleep(2 * SETTINGS.resync_seconds)
        assert watch.renewed == 0
        assert caplog.text.count("GRPCRoute is left out") == 1
        server.has_grpc = True
        await asyncio.sleep(SETTINGS.resync_seconds + 1)
        assert (watch.renewed, watch.kinds()) == (1, WATCHED)
        await stopped(operator, running)

    run(main)


def test_a_kind_that_is_no_switched_router_is_never_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Without its route an object looks as if nothing reached its candidate.
    """

    async def main() -> None:
        server = Server()
        server.routes.set()
        listed = server.list

        async def denied(resource: Resource, **options: object) -> Listing:
            if resource == HTTP_ROUTES:
                raise DeniedError("not allowed to list httproutes")
            return await listed(resource, **options)

        monkeypatch.setattr(server, "list", denied)
        operator, running = await started(server)
        await asyncio.sleep(10)
        assert SilentWatch.latest.opened == 0
        await stopped(operator, running)

    run(main)


def test_children_are_watched_by_label_and_objects_and_routes_are_not() -> None:
    """
    A cluster's other pods are none of our business; a stranger's route of our name is.
    """
    selectors = {kind.name: kind.selector for kind in WATCHED}
    label = "modelramp.io/deployment"
    assert selectors == {
        "MLModelDeployment": None,
        "Deployment": label,
        "Pod": label,
        "EndpointSlice": label,
        "HTTPRoute": None,
        "GRPCRoute": None,
        "Service": label,
        "VirtualService": None,
    }
