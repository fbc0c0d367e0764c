"""gRPC without generated code: messages are plain bytes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import grpc
from grpc import aio

from soak_server.overhttp import CLIENT_HEADER, FAILED_HEADER, TICK_SECONDS, VERSION_HEADER, ticks

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from soak_server.conduct import Counts

SERVICE: Final = "soak.Model"
LAST: Final = b"end"
"""Comes after them: without it a stream was cut short."""


def server(counts: Counts, port: int) -> aio.Server:
    """
    The server, not started yet.

    Raises:
        RuntimeError: the port is taken.

    """
    version = counts.conduct.version
    signed = ((VERSION_HEADER, version),)

    async def infer(message: bytes, call: aio.ServicerContext[bytes, bytes]) -> bytes:
        await call.send_initial_metadata(signed)
        metadata = {key for key, _ in call.invocation_metadata() or ()}
        if not counts.draw(may_fail=CLIENT_HEADER in metadata):
            mine = (*signed, (FAILED_HEADER, version))
            await call.abort(grpc.StatusCode.INTERNAL, f"version {version} fails on this input", mine)  # raises
        return message

    async def stream(message: bytes, call: aio.ServicerContext[bytes, bytes]) -> AsyncIterator[bytes]:
        await call.send_initial_metadata(signed)
        for number in range(ticks(message.decode())):
            yield str(number).encode()
            await asyncio.sleep(TICK_SECONDS)
        yield LAST
        counts.streamed()

    methods = {
        "Infer": grpc.unary_unary_rpc_method_handler(infer),
        "Stream": grpc.unary_stream_rpc_method_handler(stream),
    }
    found = aio.server()
    found.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, methods),))
    found.add_insecure_port(f"0.0.0.0:{port}")
    return found
