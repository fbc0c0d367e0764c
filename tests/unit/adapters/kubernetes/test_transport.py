"""
Against a small HTTP server on loopback that answers what the test says.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from aiohttp import web
from kubernetes.aio.client import Configuration

from modelramp import __version__
from modelramp.adapters.kubernetes.faults import ExistsError
from modelramp.adapters.kubernetes.resources import DEPLOYMENTS, LEASES, PODS
from modelramp.adapters.kubernetes.transport import PAGE, Transport
from modelramp.ports import (
    ConflictError,
    DeniedError,
    GoneError,
    Key,
    PortError,
    RefusedError,
    UnreachableError,
)

KEY = Key("ml", "fraud-r1")
BODY = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "fraud-r1", "namespace": "ml"}}
TOKEN = "bearer a-secret-token"  # noqa: S105 - of the test's own server


class Server:
    """
    Answers in turn, and remembers what it was asked.
    """

    def __init__(self) -> None:
        """
        Without an answer it hangs.
        """
        self.answers: list[tuple[int, Any]] = []
        self.asked: list[tuple[str, str, dict[str, str], str]] = []

    async def answer(self, request: web.Request) -> web.Response:
        """
        The next answer.
        """
        self.asked.append((request.method, request.path_qs, dict(request.headers), await request.text()))
        if not self.answers:
            await asyncio.sleep(60)
        status, body = self.answers.pop(0)
        text = body if isinstance(body, str) else json.dumps(body)
        return web.Response(status=status, text=text, content_type="application/json")

    def fail(self, status: int, message: str = "no", *, reason: str = "", **details: Any) -> None:  # noqa: ANN401 - JSON
        """
        Answer with a Status, as the API server does.
        """
        self.answers.append((status, {"kind": "Status", "message": message, "reason": reason, "details": details}))


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
async def transport(server: Server) -> AsyncIterator[Transport]:
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", server.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    configuration = Configuration(host=f"http://127.0.0.1:{runner.addresses[0][1]}")
    configuration.api_key["BearerToken"] = TOKEN
    opened = Transport(configuration, timeout_seconds=0.5)
    yield opened
    await opened.close()
    await runner.cleanup()


async def test_a_request_says_who_asks_with_which_right(server: Server, transport: Transport) -> None:
    """User agent for the audit log, token for the right."""
    server.answers.append((200, BODY))
    assert await transport.get(DEPLOYMENTS, KEY) == BODY
    ((method, path, headers, _),) = server.asked
    assert (method, path) == ("GET", "/apis/apps/v1/namespaces/ml/deployments/fraud-r1")
    assert headers["User-Agent"] == f"modelramp/{__version__}"
    assert headers["Authorization"] == TOKEN


async def test_writes_name_the_field_manager(server: Server, transport: Transport) -> None:
    """Apply with and without force, patch, create, replace."""
    server.answers += [(200, BODY)] * 6
    await transport.apply(DEPLOYMENTS, BODY, force=True)
    await transport.apply(DEPLOYMENTS, BODY, force=False)
    await transport.apply_status(DEPLOYMENTS, BODY)
    await transport.merge_patch(DEPLOYMENTS, KEY, {"spec": {"replicas": 0}}, subresource="scale")
    await transport.create(DEPLOYMENTS, BODY)
    await transport.replace(DEPLOYMENTS, BODY)
    one = "/apis/apps/v1/namespaces/ml/deployments/fraud-r1"
    assert [(method, path, headers["Content-Type"]) for method, path, headers, _ in server.asked] == [
        ("PATCH", f"{one}?fieldManager=modelramp&force=true", "application/apply-patch+yaml"),
        ("PATCH", f"{one}?fieldManager=modelramp&force=false", "application/apply-patch+yaml"),
        ("PATCH", f"{one}/status?fieldManager=modelramp&force=true", "application/apply-patch+yaml"),
        ("PATCH", f"{one}/scale?fieldManager=modelramp", "application/merge-patch+json"),
        ("POST", "/apis/apps/v1/namespaces/ml/deployments?fieldManager=modelramp", "application/json"),
        ("PUT", f"{one}?fieldManager=modelramp", "application/json"),
    ]
    assert json.loads(server.asked[3][3]) == {"spec": {"replicas": 0}}


async def test_a_delete_names_the_object_it_means(server: Server, transport: Transport) -> None:
    """By uid, and what it owns goes in the background."""
    server.answers.append((200, {"kind": "Status"}))
    await transport.delete(DEPLOYMENTS, KEY, uid="u1")
    options = json.loads(server.asked[0][3])
    assert options["preconditions"] == {"uid": "u1"}
    assert options["propagationPolicy"] == "Background"


async def test_a_list_goes_on_until_its_last_page(server: Server, transport: Transport) -> None:
    """Its version is that of the first page: from there a watch, or a repair, goes on."""
    server.answers += [
        (200, {"metadata": {"resourceVersion": "7", "continue": "a+b/c="}, "items": [{"metadata": {"name": "one"}}]}),
        (200, {"metadata": {"resourceVersion": "7"}, "items": [{"metadata": {"name": "two"}}]}),
    ]
    listing = await transport.list(PODS, labels="modelramp.io/deployment")
    assert [item["metadata"]["name"] for item in listing.items] == ["one", "two"]
    assert {(item["apiVersion"], item["kind"]) for item in listing.items} == {("v1", "Pod")}
    assert listing.resource_version == "7"
    assert server.asked[0][1] == f"/api/v1/pods?limit={PAGE}&labelSelector=modelramp.io/deployment"
    assert server.asked[1][1].endswith("&continue=a%2Bb/c%3D")


async def test_half_a_list_is_no_list(server: Server, transport: Transport) -> None:
    """Else the rest would look deleted."""
    server.answers.append((200, {"metadata": {"resourceVersion": "7", "continue": "next"}, "items": []}))
    server.fail(410, "the continue parameter is too old", reason="Expired")
    with pytest.raises(UnreachableError, match="too old"):
        await transport.list(PODS)


@pytest.mark.parametrize(
    ("status", "details", "expected", "words"),
    [
        (404, {"name": "fraud-r1"}, GoneError, "no"),
        (404, {}, RefusedError, "CustomResourceDefinition"),
        (409, {}, ConflictError, "no"),
        (403, {}, DeniedError, "get deployments.apps fraud-r1 in namespace ml"),
        (401, {}, DeniedError, "get deployments.apps"),
        (403, {"causes": [{"reason": "NamespaceTerminating"}]}, GoneError, "no"),
        (422, {}, RefusedError, "no"),
        (400, {}, RefusedError, "no"),
        (429, {}, UnreachableError, "get deployments.apps"),
        (500, {}, UnreachableError, "no"),
        (503, {}, UnreachableError, "no"),
        (302, {}, UnreachableError, "no"),
    ],
)
async def test_failures_say_who_must_act(
    server: Server,
    transport: Transport,
    status: int,
    details: dict[str, Any],
    expected: type[PortError],
    words: str,
) -> None:
    """One kind of error for each answer, with the server's own words."""
    server.fail(status, **details)
    with pytest.raises(expected, match=words) as caught:
        await transport.get(DEPLOYMENTS, KEY)
    assert type(caught.value) is expected
    assert "secret" not in str(caught.value)


async def test_an_object_that_exists_already_is_told_from_other_conflicts(server: Server, transport: Transport) -> None:
    """For names that are made of their content."""
    server.fail(409, reason="AlreadyExists", name="fraud-r1")
    with pytest.raises(ExistsError):
        await transport.create(DEPLOYMENTS, BODY)


async def test_a_document_that_does_not_fit_the_schema_is_refused_though_the_server_says_500(
    server: Server, transport: Transport
) -> None:
    """No repetition helps."""
    server.fail(500, "failed to create typed patch object (apps/v1, Kind=Deployment): .spec.x: not declared in schema")
    with pytest.raises(RefusedError, match=r"\.spec\.x"):
        await transport.apply(DEPLOYMENTS, BODY, force=True)


@pytest.mark.parametrize("answer", ["", "<html>", "[1"])
async def test_an_answer_that_is_not_json_is_no_answer(server: Server, transport: Transport, answer: str) -> None:
    """A proxy in between."""
    server.answers.append((200, answer))
    with pytest.raises(UnreachableError, match="not JSON"):
        await transport.get(DEPLOYMENTS, KEY)
    server.answers.append((502, answer))
    with pytest.raises(UnreachableError, match="502"):
        await transport.get(DEPLOYMENTS, KEY)


async def test_no_answer_in_time_is_no_answer(transport: Transport) -> None:
    """Every call ends."""
    async with asyncio.timeout(5):
        with pytest.raises(UnreachableError, match=r"no answer within 0\.5 s"):
            await transport.get(DEPLOYMENTS, KEY)


async def test_nobody_there_is_no_answer() -> None:
    """The address in the message, no credentials."""
    configuration = Configuration(host="http://127.0.0.1:1")
    configuration.api_key["BearerToken"] = TOKEN
    transport = Transport(configuration)
    with pytest.raises(UnreachableError) as caught:
        await transport.get(DEPLOYMENTS, KEY)
    assert "a-secret-token" not in str(caught.value)
    await transport.close()


async def test_outside_of_a_cluster_there_are_no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Said at the start, in one sentence."""
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(UnreachableError, match="no credentials"):
        await Transport.connect()
    with pytest.raises(UnreachableError, match="no credentials"):
        await Transport.connect(kubeconfig="/does/not/exist")


async def test_who_may_not_write_reads_and_renews_only(server: Server, transport: Transport) -> None:
    """The last look before each write: a replica that lost the leadership in the middle of a cycle stops there."""
    transport.may_write = lambda: False
    writes: list[Callable[[], Any]] = [
        lambda: transport.apply(DEPLOYMENTS, BODY, force=True),
        lambda: transport.merge_patch(DEPLOYMENTS, KEY, {}),
        lambda: transport.delete(DEPLOYMENTS, KEY),
        lambda: transport.create(DEPLOYMENTS, BODY),
        lambda: transport.replace(DEPLOYMENTS, BODY),
    ]
    for write in writes:
        with pytest.raises(UnreachableError, match="leader"):
            await write()
    assert server.asked == []
    server.answers += [(200, BODY), (200, BODY)]
    await transport.get(DEPLOYMENTS, KEY)
    await transport.replace(LEASES, BODY)
