"""
Probes and metrics over HTTP, on loopback.
"""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest

from modelramp.adapters.endpoints import Endpoints


def free_port() -> int:
    """
    A port nobody listens on at the moment.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@asynccontextmanager
async def served(*, healthy: bool = True, ready: bool = True) -> AsyncIterator[str]:
    """
    The address of open endpoints.
    """
    port = free_port()
    endpoints = Endpoints(port, healthy=lambda: healthy, ready=lambda: ready, page=lambda: b"up 1\n")
    await endpoints.open()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        await endpoints.close()


async def asked(address: str, path: str, method: str = "GET") -> tuple[int, str, str]:
    """
    Status, content type and body.
    """
    async with aiohttp.ClientSession() as session, session.request(method, address + path) as answer:
        return answer.status, answer.headers.get("Content-Type", ""), await answer.text()


@pytest.mark.parametrize(("healthy", "ready"), [(True, False), (False, True)])
async def test_each_probe_tells_its_own_truth(*, healthy: bool, ready: bool) -> None:
    """
    200 or 503.
    """
    async with served(healthy=healthy, ready=ready) as address:
        assert (await asked(address, "/healthz"))[0] == (200 if healthy else 503)
        assert (await asked(address, "/readyz"))[0] == (200 if ready else 503)


async def test_metrics_are_the_page_in_prometheus_text_format() -> None:
    """
    With its content type.
    """
    async with served() as address:
        assert await asked(address, "/metrics") == (200, "text/plain; version=0.0.4; charset=utf-8", "up 1\n")


async def test_nothing_else_is_served_and_nothing_can_be_sent() -> None:
    """
    Read only, three paths.
    """
    async with served() as address:
        assert (await asked(address, "/"))[0] == 404
        assert (await asked(address, "/metrics", "POST"))[0] == 405


async def test_a_closed_server_listens_no_more() -> None:
    """
    The port is free again.
    """
    async with served() as address:
        pass
    with pytest.raises(aiohttp.ClientConnectorError):
        await asked(address, "/healthz")
