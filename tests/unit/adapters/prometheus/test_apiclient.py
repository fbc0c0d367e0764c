"""
What only the adapter on prometheus-api-client could get wrong, because the library does; the rest is in test_source.py.
"""

import asyncio
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from aiohttp import web
from unit.adapters.prometheus.servers import QUESTION, UNTIL, Secrets, always, matrix, self_signed, serving

from modelramp.adapters.prometheus import AddressPolicy, Limits
from modelramp.adapters.prometheus.apiclient import ApiClientSource
from modelramp.api.spec import Prometheus
from modelramp.ports import SamplesQuestion, UnreachableError

ROW = {"metric": {"__name__": "requests_total"}, "values": [[UNTIL.timestamp(), "5"]]}


async def test_an_overloaded_source_is_asked_once() -> None:
    """It is left alone, and the command says so."""
    async with serving(always(503, "busy")) as seen:
        with pytest.raises(UnreachableError, match="HTTP 503"):
            await ApiClientSource(AddressPolicy(seen.url), Secrets()).samples("shop", Prometheus(), QUESTION)
    assert len(seen.paths) == 1


async def test_a_source_that_is_down_is_said_to_be_at_once() -> None:
    """The library alone would try four times and pause for six seconds between."""
    async with serving(always(200, matrix(ROW))) as seen:
        address = seen.url
    began = asyncio.get_running_loop().time()
    with pytest.raises(UnreachableError, match=r"cannot be reached \(ConnectionError\)"):
        await ApiClientSource(AddressPolicy(address), Secrets()).samples("shop", Prometheus(), QUESTION)
    assert asyncio.get_running_loop().time() - began < 2


async def test_a_redirect_without_end_is_not_even_read() -> None:
    """Requests reads the body of a redirect whole, also of one it does not follow."""

    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(status=302, headers={"Location": "/elsewhere"})
        await response.prepare(request)
        for _ in range(1000):
            await response.write(b" " * 65536)
        return response

    async with serving(endless) as seen:
        source = ApiClientSource(AddressPolicy(seen.url), Secrets(), limits=Limits(answer_bytes=200_000))
        with pytest.raises(UnreachableError, match="larger than 200000 bytes"):
            await source.samples("shop", Prometheus(), QUESTION)
    assert seen.paths == ["/api/v1/query"]


async def test_an_answer_that_drips_is_given_up_on_and_leaves_no_thread() -> None:
    """Each byte comes in time, the answer never does."""

    async def drip(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(100):
            await response.write(b" ")
            await asyncio.sleep(0.05)
        return response

    async with serving(drip) as seen:
        source = ApiClientSource(AddressPolicy(seen.url), Secrets(), limits=Limits(total_seconds=0.3))
        began = asyncio.get_running_loop().time()
        with pytest.raises(UnreachableError, match=r"does not answer within 0\.3 s"):
            await source.samples("shop", Prometheus(), QUESTION)
        assert asyncio.get_running_loop().time() - began < 1
        await asyncio.get_running_loop().shutdown_default_executor()
        assert asyncio.get_running_loop().time() - began < 2
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("asyncio_")]


async def test_an_answer_that_breaks_off_is_none() -> None:
    """However much of it came."""

    async def cut(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "1000"})
        await response.prepare(request)
        await response.write(b'{"status": "success"')
        if request.transport is not None:
            request.transport.close()
        return response

    async with serving(cut) as seen:
        with pytest.raises(UnreachableError, match="cannot be reached"):
            await ApiClientSource(AddressPolicy(seen.url), Secrets()).samples("shop", Prometheus(), QUESTION)


@pytest.mark.parametrize("selector", ['m{a="b&c=d;e+f %41é?#"}', "m{}" + " " * 20_000], ids=["signs", "long"])
async def test_a_question_arrives_as_it_was_asked(selector: str) -> None:
    """In the body, whatever signs it holds and however long it is."""
    async with serving(always(200, matrix(ROW))) as seen:
        question = SamplesQuestion(selector=selector, since=QUESTION.since, until=QUESTION.until)
        await ApiClientSource(AddressPolicy(seen.url), Secrets()).samples("shop", Prometheus(), question)
    assert seen.paths == ["/api/v1/query"]
    assert seen.forms[0]["query"] == f"{selector}[60000ms]"


async def test_authorities_are_those_openssl_knows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SSL_CERT_FILE names others, as for the operator, and not a list that comes with the library."""
    tls, certificate = self_signed(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    async with serving(always(200, matrix(ROW)), tls=tls) as seen:
        assert await ApiClientSource(AddressPolicy(seen.url), Secrets()).samples("shop", Prometheus(), QUESTION)
    assert len(seen.paths) == 1


async def test_what_the_environment_says_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxy sees the question."""
    async with serving(always(200, matrix(ROW))) as seen, serving(always(200, matrix())) as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        assert await ApiClientSource(AddressPolicy(seen.url), Secrets()).samples("shop", Prometheus(), QUESTION)
    assert (len(seen.paths), proxy.paths) == (1, [])


def test_the_operator_never_loads_the_library() -> None:
    """Nor what it can use; the library alone loads none of that either."""
    heavy = ("prometheus_api_client", "dateparser", "numpy", "pandas", "matplotlib")
    script = (
        "import sys; import modelramp.__main__, modelramp.app, modelramp.handlers; "
        f"first = [m for m in {heavy!r} if m in sys.modules]; "
        "import modelramp.adapters.prometheus.apiclient; "
        f"print(first, [m for m in {heavy!r} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[] ['prometheus_api_client']"
