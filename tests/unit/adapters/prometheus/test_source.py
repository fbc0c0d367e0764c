"""
Both adapters against a real HTTP server on loopback that misbehaves in every way a source can.

What the one on prometheus-api-client does not do is named in ONLY_OPERATOR; all else holds for both.
"""

import asyncio
import logging
import math
import traceback
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, Protocol

import pytest
from aiohttp import web
from unit.adapters.prometheus.servers import (
    QUESTION,
    SINCE,
    UNTIL,
    Answer,
    Seconds,
    Secrets,
    Seen,
    always,
    matrix,
    self_signed,
    serving,
)

from modelramp.adapters.prometheus import AddressPolicy, Limits, PrometheusSource, SecretReader
from modelramp.adapters.prometheus.apiclient import ApiClientSource
from modelramp.analysis import Series
from modelramp.analysis.native import Layout, NativeSample
from modelramp.api.spec import Prometheus
from modelramp.ports import DeniedError, MetricSource, PortError, RefusedError, SamplesQuestion, UnreachableError

AT = UNTIL.timestamp()
ROW = {"metric": {"__name__": "requests_total", "pod": "a"}, "values": [[AT - 30, "3"], [AT, "5"]]}
BEARER = Prometheus.model_validate({"auth": {"bearer": {"secretRef": {"name": "prom", "key": "token"}}}})
BASIC = Prometheus.model_validate(
    {"auth": {"basic": {"username": "ada", "passwordSecretRef": {"name": "prom", "key": "token"}}}}
)
SECRET = "s3cr3t-token-1234"  # noqa: S105 - made up


ONLY_OPERATOR: Final[Mapping[str, str]] = {
    "test_a_connection_the_server_has_closed_is_replaced": "the command line keeps no connection",
    "test_failures_pause_and_the_end_of_an_outage_is_seen_within_ten_seconds": "a command ends at its first failure",
    "test_at_most_eight_questions_at_once": "a command asks one question after the other",
}
"""Tests of what the command line's adapter does not do, and why it need not."""


@asynccontextmanager
async def opened(
    adapter: str,
    policy: AddressPolicy,
    read_secret: SecretReader,
    clock: Callable[[], float] | None = None,
    limits: Limits | None = None,
) -> AsyncIterator[MetricSource]:
    """One of both adapters."""
    monotonic = clock or Seconds()
    if adapter == "apiclient":
        yield ApiClientSource(policy, read_secret, monotonic=monotonic, limits=limits)
        return
    async with PrometheusSource(policy, read_secret, jitter=lambda: 1.0, monotonic=monotonic, limits=limits) as source:
        yield source


@pytest.fixture(params=["operator", "apiclient"])
def adapter(request: pytest.FixtureRequest) -> str:
    """Each of both adapters, except where ONLY_OPERATOR says otherwise."""
    name: str = request.param
    if name == "apiclient" and request.function.__name__ in ONLY_OPERATOR:
        pytest.skip(ONLY_OPERATOR[request.function.__name__])
    return name


class Asking(Protocol):
    """Opens a source whose default address is a server that answers so."""

    def __call__(
        self,
        answer: Answer,
        *,
        secrets: Secrets | None = None,
        clock: Seconds | None = None,
        limits: Limits | None = None,
    ) -> AbstractAsyncContextManager[tuple[MetricSource, Seen]]: ...


@pytest.fixture
def asking(adapter: str) -> Asking:
    """With each of both adapters."""

    @asynccontextmanager
    async def ask(
        answer: Answer, *, secrets: Secrets | None = None, clock: Seconds | None = None, limits: Limits | None = None
    ) -> AsyncIterator[tuple[MetricSource, Seen]]:
        async with (
            serving(answer) as seen,
            opened(adapter, AddressPolicy(seen.url), secrets or Secrets(), clock, limits) as source,
        ):
            yield source, seen

    return ask


async def failure(source: MetricSource, spec: Prometheus | None = None) -> PortError:
    """The error of one question."""
    with pytest.raises(PortError) as failed:
        await source.samples("shop", spec or Prometheus(), QUESTION)
    return failed.value


async def test_the_question_is_a_form_with_selector_range_and_time(asking: Asking) -> None:
    """POST, so that no proxy cuts or logs a long question; whole milliseconds, and no partial answers."""
    async with asking(always(200, matrix(ROW))) as (source, seen):
        found = await source.samples("shop", Prometheus(), QUESTION)
    assert (Series({"__name__": "requests_total", "pod": "a"}, ((AT - 30, 3.0), (AT, 5.0))),) == found
    assert seen.paths == ["/api/v1/query"]
    assert {
        "query": 'requests_total{pod="a"}[60000ms]',
        "time": f"{int(AT)}.000",
        "timeout": "10000ms",
        "partial_response": "false",
    } == seen.forms[0]
    assert "Authorization" not in seen.headers[0]


async def test_instants_between_milliseconds_are_asked_for_outwards_and_cut_back(asking: Asking) -> None:
    """So no sample is missed at either end, and none outside is returned."""
    rows = {"metric": {"__name__": "m"}, "values": [[AT - 60, "1"], [AT - 59.999, "2"], [AT, "3"], [AT + 0.001, "4"]]}
    question = SamplesQuestion(
        selector="m", since=SINCE + timedelta(microseconds=400), until=UNTIL + timedelta(microseconds=400)
    )
    async with asking(always(200, matrix(rows))) as (source, seen):
        (found,) = await source.samples("shop", Prometheus(), question)
    assert [value for _, value in found.samples] == [2.0, 3.0]
    assert ("m[60001ms]", f"{int(AT)}.001") == (seen.forms[0]["query"], seen.forms[0]["time"])


async def test_samples_are_in_order_and_never_not_a_number(asking: Asking) -> None:
    """NaN is no number, and the closed end of Prometheus 2 is open."""
    values = [[AT, "9"], [AT - 20, "NaN"], [AT - 10, "+Inf"], [AT - 60, "1"], [AT - 30, "4"]]
    async with asking(always(200, matrix({"metric": {"__name__": "m"}, "values": values}))) as (source, _):
        (found,) = await source.samples("shop", Prometheus(), QUESTION)
    assert ((AT - 30, 4.0), (AT - 10, math.inf), (AT, 9.0)) == found.samples


def native(*buckets: list[Any]) -> dict[str, Any]:
    """A native histogram's row with two samples, the later one first, and one from outside."""
    value = {"count": "9", "sum": "4.5", "buckets": list(buckets)}
    return {"metric": {"__name__": "h"}, "histograms": [[AT, value], [AT - 10.5, value], [AT + 1, {}]]}


async def test_native_histograms_are_read(asking: Asking) -> None:
    """In time order, within (since, until], with bounds that the samples share."""
    async with asking(always(200, matrix(native([3, "-0.5", "0.5", "2"], [0, "0.5", "1", "7"]), ROW))) as (source, _):
        found, counter = await source.samples("shop", Prometheus(), QUESTION)
    layout = Layout(((-0.5, 0.5), (0.5, 1.0)))
    assert found.histograms == tuple(NativeSample(at, 9.0, layout, (2.0, 7.0)) for at in (AT - 10.5, AT))
    assert found.histograms[0].layout is found.histograms[1].layout
    assert (found.samples, counter.histograms) == ((), ())


async def test_nothing_found_is_an_empty_answer(asking: Asking) -> None:
    """And infos change nothing."""
    async with asking(always(200, matrix(infos=["metric might not be a counter"]))) as (source, _):
        assert await source.samples("shop", Prometheus(), QUESTION) == ()


@pytest.mark.parametrize(
    ("status", "body", "expected", "says"),
    [
        (200, matrix(ROW, warnings=["store-2: deadline exceeded"]), UnreachableError, "store-2: deadline exceeded"),
        (200, matrix(ROW, isPartial=True), UnreachableError, "partial"),
        (
            400,
            {"status": "error", "errorType": "bad_data", "error": "parse error at 3"},
            RefusedError,
            "parse error at 3",
        ),
        (422, {"status": "error", "errorType": "execution", "error": "too many samples"}, UnreachableError, "too many"),
        (503, {"status": "error", "errorType": "timeout", "error": "query timed out"}, UnreachableError, "timed out"),
        (500, {"status": "error", "errorType": "bad_data", "error": "odd"}, UnreachableError, "odd"),
        (200, {"status": "error", "errorType": "bad_data", "error": "odd"}, UnreachableError, "odd"),
        (401, "who are you", DeniedError, "spec.analysis.prometheus.auth"),
        (403, {"status": "error", "errorType": "bad_data", "error": "no"}, DeniedError, "HTTP 403"),
        (400, "Bad Request", UnreachableError, "HTTP 400"),
        (404, "not found", UnreachableError, "HTTP 404"),
        (429, "slow down", UnreachableError, "HTTP 429"),
        (500, "oops", UnreachableError, "HTTP 500"),
        (503, "Service Unavailable", UnreachableError, "HTTP 503"),
        (503, matrix(ROW), UnreachableError, "HTTP 503"),
        (200, "<html>log in</html>", UnreachableError, "no JSON"),
        (200, "[" * 5000, UnreachableError, "no JSON"),
        (200, [], UnreachableError, "no JSON"),
        (200, {"data": {}}, UnreachableError, "query API"),
        (200, {"status": "success"}, UnreachableError, "query API"),
        (200, {"status": "success", "data": {"resultType": "vector", "result": []}}, UnreachableError, "query API"),
        (200, matrix({"metric": {"a": 1}, "values": []}), UnreachableError, "query API"),
        (200, matrix({"metric": {"a": "b"}, "values": [["x", "1"]]}), UnreachableError, "query API"),
        (200, matrix({"metric": {"a": "b"}}), UnreachableError, "query API"),
        (200, matrix({"metric": {"__name__": "h"}, "histograms": [[AT, {}]]}), UnreachableError, "query API"),
        (200, matrix(native([0, "1", "2", "-1"])), UnreachableError, "query API"),
        (200, matrix(native([0, "1", "2"])), UnreachableError, "query API"),
        (200, matrix(native([1, "-2", "-1", "1"])), RefusedError, "h is a native histogram with observations from -2"),
        (200, matrix({**native(), "values": [[AT, "1"]]}), RefusedError, "h was a counter and is a native histogram"),
    ],
)
async def test_what_is_no_complete_answer_is_the_right_error(
    asking: Asking, status: int, body: object, expected: type[PortError], says: str
) -> None:
    """A refusal helps only to change the spec; everything incomplete is as good as none."""
    async with asking(always(status, body)) as (source, _):
        failed = await failure(source)
    assert expected is (UnreachableError if isinstance(failed, UnreachableError) else type(failed))
    assert says in str(failed)


async def test_messages_of_a_server_are_one_short_printable_line(asking: Asking) -> None:
    """They end up in an object's status."""
    said = "first\nsecond\x1b[31m " + "x" * 5000
    async with asking(always(400, {"status": "error", "errorType": "bad_data", "error": said})) as (source, _):
        message = str(await failure(source))
    assert len(message) < 300
    assert message.isprintable()
    assert "first second" in message


async def test_redirects_are_not_followed(asking: Asking) -> None:
    """They would lead out of what is allowed, with the credentials."""
    async with (
        serving(always(200, matrix(ROW))) as elsewhere,
        asking(always(307, "", Location=elsewhere.url)) as (source, _),
    ):
        assert "HTTP 307" in str(await failure(source))
        assert elsewhere.paths == []


async def test_an_answer_that_never_ends_is_cut(asking: Asking) -> None:
    """By size; the question is at fault, so the address stays open to others."""

    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(1000):
            await response.write(b" " * 65536)
        return response

    async with asking(endless, limits=Limits(answer_bytes=200_000)) as (source, seen):
        assert "larger than 200000 bytes" in str(await failure(source))
        await failure(source)
        assert len(seen.paths) == 2


async def test_a_server_that_does_not_answer_is_given_up_on(asking: Asking) -> None:
    """By time."""

    async def silent(_request: web.Request) -> web.Response:
        await asyncio.sleep(5)
        return web.Response()

    async with asking(silent, limits=Limits(total_seconds=0.2)) as (source, _):
        assert "does not answer within 0.2 s" in str(await failure(source))


async def test_a_connection_the_server_has_closed_is_replaced(asking: Asking) -> None:
    """A kept connection that is gone is no outage."""
    asked = 0

    async def fickle(request: web.Request) -> web.StreamResponse:
        nonlocal asked
        asked += 1
        if asked == 2 and request.transport is not None:
            request.transport.close()
        return web.json_response(matrix(ROW))

    async with asking(fickle) as (source, _):
        for _ in range(2):
            assert await source.samples("shop", Prometheus(), QUESTION)
    assert asked == 3


async def test_failures_pause_and_the_end_of_an_outage_is_seen_within_ten_seconds(adapter: str) -> None:
    """During the pause nothing is sent; after a minute of outage at most ten seconds pass."""
    clock = Seconds()
    async with serving(always(200, matrix(ROW))) as seen:
        address, port = seen.url, int(seen.url.rpartition(":")[2])
    async with opened(adapter, AddressPolicy(address), Secrets(), clock) as source:
        assert "cannot be reached" in str(await failure(source))
        attempts = 1
        while clock.now < 1060:
            clock.now += 0.5
            attempts += "is asked again in" not in str(await failure(source))
        async with serving(always(200, matrix(ROW)), port) as back:
            while not back.paths and clock.now < 1080:
                try:
                    await source.samples("shop", Prometheus(), QUESTION)
                except UnreachableError:
                    clock.now += 0.5
            recovered = clock.now
            await source.samples("shop", Prometheus(), QUESTION)
            assert len(back.paths) == 2
    assert attempts <= 13
    assert recovered <= 1070


async def test_refusals_and_warnings_do_not_pause(asking: Asking) -> None:
    """The source is up; only this question has no answer."""
    body = {"status": "error", "errorType": "bad_data", "error": "no"}
    async with asking(always(400, body)) as (source, seen):
        for _ in range(5):
            assert isinstance(await failure(source), RefusedError)
    assert len(seen.paths) == 5


async def test_at_most_eight_questions_at_once(asking: Asking) -> None:
    """The others wait for their turn and are answered."""

    async def slow(_request: web.Request) -> web.Response:
        await asyncio.sleep(0.02)
        return web.json_response(matrix(ROW))

    async with asking(slow) as (source, seen):
        found = await asyncio.gather(*(source.samples("shop", Prometheus(), QUESTION) for _ in range(40)))
    assert len(found) == 40
    assert seen.most_at_once == 8


async def test_bearer_and_basic_credentials_are_sent(asking: Asking) -> None:
    """RFC 6750 and RFC 7617; the line break at the end of a file is not part of a secret."""
    async with asking(always(200, matrix(ROW)), secrets=Secrets(prom=f"{SECRET}\n")) as (source, seen):
        await source.samples("shop", BEARER, QUESTION)
        await source.samples("shop", BASIC, QUESTION)
    assert [f"Bearer {SECRET}", "Basic YWRhOnMzY3IzdC10b2tlbi0xMjM0"] == [h["Authorization"] for h in seen.headers]


async def test_secrets_are_kept_a_minute_and_read_anew_when_refused(asking: Asking) -> None:
    """A rotated Secret works at once after a refusal, and after a minute otherwise."""
    clock, secrets = Seconds(), Secrets(prom=SECRET)

    async def only_new(request: web.Request) -> web.Response:
        known = request.headers["Authorization"] == f"Bearer {secrets.values['prom']}"
        return web.json_response(matrix(ROW), status=200 if known else 401)

    async with asking(only_new, secrets=secrets, clock=clock) as (source, _):
        for _ in range(5):
            await source.samples("shop", BEARER, QUESTION)
        assert secrets.reads == 1
        clock.now += 60
        await source.samples("shop", BEARER, QUESTION)
        assert secrets.reads == 2
        secrets.values["prom"] = "rotated"
        assert isinstance(await failure(source, BEARER), DeniedError)
        await source.samples("shop", BEARER, QUESTION)


@pytest.mark.parametrize("value", ["", "\n", "two\nlines", "a\rX-Injected: 1", "nul\0", "tökén"])
async def test_secrets_no_header_can_carry_are_denied(asking: Asking, value: str) -> None:
    """Nothing is sent, and the message names field and Secret, not the value."""
    async with asking(always(200, matrix(ROW)), secrets=Secrets(prom=value)) as (source, seen):
        failed = await failure(source, BEARER)
    assert isinstance(failed, DeniedError)
    assert "spec.analysis.prometheus.auth.bearer.secretRef" in str(failed)
    assert not value.strip() or value.strip() not in str(failed)
    assert seen.paths == []


async def test_a_secret_that_is_no_text_is_denied_without_a_trace_of_it(adapter: str) -> None:
    """The reader's own error may hold the bytes."""

    async def read(namespace: str, name: str, key: str) -> str:  # noqa: ARG001 - the reader's signature
        raise RefusedError(SECRET)

    async with opened(adapter, AddressPolicy("http://127.0.0.1:1"), read) as source:
        failed = await failure(source, BEARER)
    assert isinstance(failed, DeniedError)
    assert SECRET not in "".join(traceback.format_exception(failed))


async def test_a_missing_secret_is_named(asking: Asking) -> None:
    """With its key, and the field that names it."""
    async with asking(always(200, matrix(ROW))) as (source, seen):
        message = str(await failure(source, BASIC))
    assert (
        message
        == "spec.analysis.prometheus.auth.basic.passwordSecretRef: there is no Secret shop/prom with the key token"
    )
    assert seen.paths == []


async def test_no_secret_is_read_for_an_address_that_is_not_allowed(asking: Asking) -> None:
    """Credentials go to allowed addresses only."""
    secrets = Secrets(prom=SECRET)
    async with (
        asking(always(200, matrix(ROW)), secrets=secrets) as (source, seen),
        serving(always(200, matrix())) as evil,
    ):
        spec = BEARER.model_copy(update={"address": evil.url})
        assert isinstance(await failure(source, spec), DeniedError)
        assert (evil.paths, seen.paths, secrets.reads) == ([], [], 0)


@pytest.mark.parametrize("spec", [BEARER, BASIC], ids=["bearer", "basic"])
async def test_secrets_are_never_shown(asking: Asking, spec: Prometheus, caplog: pytest.LogCaptureFixture) -> None:
    """Not in errors that repeat what the server was sent, not in tracebacks, not in logs or printed objects."""
    caplog.set_level(logging.DEBUG)

    async def echo(request: web.Request) -> web.Response:
        sent = request.headers["Authorization"]
        said = f"{sent} {SECRET} {sent.split()[1]} {'x' * 170}{SECRET}"
        return web.json_response({"status": "error", "errorType": "bad_data", "error": said}, status=400)

    async def garbage(request: web.Request) -> web.Response:
        if request.transport is not None:
            request.transport.write(
                b"HTTP/1.1 abc\r\nX: \x00" + request.headers["Authorization"].encode() + b"\r\n\r\n"
            )
            await asyncio.sleep(0.05)
            request.transport.close()
        return web.Response()

    for answer in (echo, garbage):
        async with asking(answer, secrets=Secrets(prom=SECRET)) as (source, seen):
            failed = await failure(source, spec)
            shown = [*traceback.format_exception(failed), repr(failed), repr(vars(source)), caplog.text]
            chained = [repr(error) for error in (failed.__cause__,) if error is not None]
            header = seen.headers[0]["Authorization"].split()[1]
        for text in (*shown, *chained):
            assert SECRET not in text
            assert SECRET[:8] not in text
            assert header not in text


async def test_plain_http_behind_an_https_address_is_not_talked_to(adapter: str) -> None:
    """Nothing falls back to what is not encrypted."""
    async with serving(always(200, matrix(ROW))) as seen:
        policy = AddressPolicy(seen.url.replace("http://", "https://"))
        async with opened(adapter, policy, Secrets()) as source:
            assert "TLS failed" in str(await failure(source))
    assert seen.paths == []


async def test_a_certificate_nobody_vouches_for_is_refused(adapter: str, tmp_path: Path) -> None:
    """Before anything is sent."""
    tls, _ = self_signed(tmp_path)
    async with serving(always(200, matrix(ROW)), tls=tls) as seen:
        secrets = Secrets(prom=SECRET)
        async with opened(adapter, AddressPolicy(seen.url), secrets) as source:
            assert "certificate is not trusted" in str(await failure(source, BEARER))
    assert seen.paths == []
