"""
Ways to ask an object: HTTP/1.1 over kept connections, and gRPC. None repeats a request: a lost one is lost.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Final, Protocol

import aiohttp
import grpc
from demo.client import kind_of_loss
from soak.ledger import HTTP_OK, OK, Ending, ending_of

VERSION: Final = "x-model-version"
FAILED_BY: Final = "x-failed-by"
FROM_CLIENT: Final = ("x-client", "soak")
"""Marks requests that a bad version may fail: a warm-up has no such mark."""
BODY: Final = b'{"inputs":[{"name":"pixels","shape":[1],"datatype":"FP32","data":[0]}]}'
STREAM_SECONDS: Final = 20
GRPC_STREAM_SECONDS: Final = 12
"""Shorter: a GRPCRoute cannot name a timeout, and Contour then ends every call after Envoy's own 15 s."""
REQUEST_TIMEOUT_SECONDS: Final = 10.0
STREAM_TIMEOUT_SECONDS: Final = 45.0
IDLE_SECONDS: Final = 4.0
"""An unused connection is closed after so long: sooner than a leaving pod stops to listen."""
CUT_SHORT: Final = "cut short"
MOST_STREAMS: Final = 8
"""At any time over one channel."""


class Way(Protocol):
    """
    How requests get to an object.
    """

    @property
    def name(self) -> str:
        """
        As the counts name it.
        """

    async def one(self, more: Mapping[str, str] = ...) -> Ending:
        """
        One request, with so many headers more.
        """

    async def stream(self) -> Ending:
        """
        One stream of 20 s, over gRPC 12 s; answered when its last message came.
        """


@dataclass(frozen=True, slots=True)
class OverHttp:
    """
    HTTP/1.1. Connections are kept, and used again, unless one is asked to be the last on its connection.

    Attributes:
        session: Its connections.
        url: Of the gateway, or of the Service.
        host: What the gateway routes by.

    """

    session: aiohttp.ClientSession
    url: str
    host: str
    name: str = "http"

    async def one(self, more: Mapping[str, str] | None = None) -> Ending:
        """
        One request.
        """
        headers = dict([("Host", self.host), FROM_CLIENT, *(more or {}).items()])
        try:
            async with self.session.post(
                f"{self.url}/v2/models/digits/infer", data=BODY, headers=headers, allow_redirects=False
            ) as answer:
                await answer.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return Ending(None, kind_of_loss(error))
        return ending_of(answer.status, answer.headers.get(VERSION), answer.headers.get(FAILED_BY))

    async def stream(self) -> Ending:
        """
        One stream; whatever ends it before its last line is a loss.
        """
        url = f"{self.url}/stream?seconds={STREAM_SECONDS}"
        timeout, version = aiohttp.ClientTimeout(total=STREAM_TIMEOUT_SECONDS), None
        try:
            # POST: a GET that finds its connection closed would be sent again without a word
            async with self.session.post(url, headers={"Host": self.host}, timeout=timeout) as answer:
                version = answer.headers.get(VERSION)
                text = await answer.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return Ending(version, kind_of_loss(error))
        if answer.status == HTTP_OK and not text.endswith(b"end\n"):
            return Ending(version, CUT_SHORT)
        return ending_of(answer.status, version, answer.headers.get(FAILED_BY))


@dataclass(frozen=True, slots=True)
class OverGrpc:
    """
    GRPC over one channel; messages are plain bytes.

    By threads of gRPC and not by its asyncio interface: after a pause of the whole process, as on a busy machine, that
    one leaves answers lying for seconds, and what the client itself loses would count as lost.

    Attributes:
        channel: Its connection.
        readers: Threads that read streams, one each.

    """

    channel: grpc.Channel
    readers: ThreadPoolExecutor
    name: str = "grpc"

    async def one(self, more: Mapping[str, str] | None = None) -> Ending:
        """
        One unary call.
        """
        loop, done = asyncio.get_running_loop(), asyncio.Event()
        call = self.channel.unary_unary("/soak.Model/Infer").future(
            BODY, metadata=(FROM_CLIENT, *(more or {}).items()), timeout=REQUEST_TIMEOUT_SECONDS
        )
        call.add_done_callback(lambda _: loop.call_soon_threadsafe(done.set))
        await done.wait()
        return _ending_of_call(call)

    async def stream(self) -> Ending:
        """
        One call whose answer is a stream; whatever ends it before its last message is a loss.
        """
        return await asyncio.get_running_loop().run_in_executor(self.readers, self._read)

    def _read(self) -> Ending:
        stream = self.channel.unary_stream("/soak.Model/Stream")
        call, last = stream(str(GRPC_STREAM_SECONDS).encode(), timeout=STREAM_TIMEOUT_SECONDS), b""
        with suppress(grpc.RpcError):  # which the call's own code tells as well
            for message in call:
                last = message
        ending = _ending_of_call(call)
        return ending if ending.outcome != OK or last == b"end" else Ending(ending.version, CUT_SHORT)


def _ending_of_call(call: grpc.Call) -> Ending:
    """
    How a call that is over has ended.
    """
    code = call.code()
    good = code is grpc.StatusCode.OK
    named = dict(call.initial_metadata() if good else call.trailing_metadata() or ())
    return ending_of(HTTP_OK if good else code.name, named.get(VERSION), named.get(FAILED_BY))


@asynccontextmanager
async def over_http(url: str, host: str) -> AsyncIterator[OverHttp]:
    """
    Connections for as long as the block lasts.
    """
    # No limit on connections: a limit would queue requests inside aiohttp and close the loop.
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=IDLE_SECONDS)
    timeout = aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_SECONDS)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        yield OverHttp(session, url, host)


@asynccontextmanager
async def over_grpc(target: str, host: str) -> AsyncIterator[OverGrpc]:
    """
    A channel to HOST:PORT for as long as the block lasts; the gateway routes by `host`.
    """
    options = (
        ("grpc.default_authority", host),
        ("grpc.use_local_subchannel_pool", 1),  # objects do not share a connection
        ("grpc.enable_retries", 0),
    )
    with ThreadPoolExecutor(MOST_STREAMS) as readers, grpc.insecure_channel(target, options=options) as channel:
        yield OverGrpc(channel, readers)
