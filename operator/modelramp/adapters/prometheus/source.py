"""
Raw samples from Prometheus' HTTP API: what is stored, whole or not at all.

Nothing is computed by the server, no answer is cached, and no address is asked that the installation does not allow.
"""

import asyncio
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Self

import aiohttp
from yarl import URL

from modelramp.adapters.prometheus.answer import QuestionError, Reply, TooLargeError, read_answer
from modelramp.adapters.prometheus.auth import Access, Authenticator, SecretReader
from modelramp.adapters.prometheus.breaker import Breaker
from modelramp.adapters.prometheus.policy import Address, AddressPolicy, Origin
from modelramp.adapters.prometheus.question import QUERY_PATH, Limits, form
from modelramp.analysis import Series
from modelramp.api.spec import Prometheus
from modelramp.ports import DeniedError, RefusedError, SamplesQuestion, UnreachableError

PARALLEL_PER_ORIGIN: Final = 8
_READ_BYTES: Final = 64 * 1024
_LARGE_BYTES: Final = 512 * 1024  # read within some 20 ms


@dataclass(slots=True)
class _Lane:
    """
    What questions to one origin share.
    """

    turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(PARALLEL_PER_ORIGIN))
    breakers: dict[str | None, Breaker] = field(default_factory=dict)
    """By namespace for objects with certificates of their own, whose mistakes are theirs alone; None: all others."""


class PrometheusSource:
    """
    The port MetricSource. An asynchronous context manager: leaving it closes its connections.
    """

    def __init__(
        self,
        policy: AddressPolicy,
        read_secret: SecretReader,
        *,
        jitter: Callable[[], float],
        monotonic: Callable[[], float] = time.monotonic,
        limits: Limits | None = None,
        read_config_map: SecretReader | None = None,
    ) -> None:
        """
        Connect to nothing yet.

        Args:
            policy: Which addresses may be asked.
            read_secret: Reads the Secrets that objects name.
            jitter: A number from 0 to 1, a new one at each call; spreads the pauses after failures.
            monotonic: Seconds.
            limits: None: the defaults.
            read_config_map: Reads the ConfigMaps that objects name; None: none is read.

        """
        self._policy = policy
        readers = (read_secret, monotonic) if read_config_map is None else (read_secret, monotonic, read_config_map)
        self._authenticator = Authenticator(*readers)
        self._jitter = jitter
        self._monotonic = monotonic
        self._limits = limits or Limits()
        self._reading = asyncio.Lock()
        self._lanes: dict[Origin, _Lane] = {}  # no more than the installation allows
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        """
        Ready to be asked.
        """
        return self

    async def __aexit__(self, *_: object) -> None:
        """
        Close the connections.
        """
        await self.close()

    async def close(self) -> None:
        """
        Close the connections; a later question opens new ones.
        """
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def samples(self, namespace: str, source: Prometheus, question: SamplesQuestion) -> tuple[Series, ...]:
        """
        Every series the selector names, with its samples in time order; as the port says.
        """
        address = self._policy.resolve(source.address)  # before any Secret is read
        access = await self._authenticator.access(namespace, source, address.origin.scheme)
        lane = self._lanes.setdefault(address.origin, _Lane())
        breaker = lane.breakers.setdefault(namespace if access.tls else None, Breaker())
        async with lane.turns:
            self._check_open(address, breaker)
            try:
                return await self._ask(address, access, question, breaker)
            except DeniedError:
                self._authenticator.forget(namespace)
                raise

    def _check_open(self, address: Address, breaker: Breaker) -> None:
        left = breaker.pause_left(self._monotonic())
        if left > 0:
            raise UnreachableError(f"{breaker.last_error} ({address.origin} is asked again in {left:.1f} s)")

    async def _ask(
        self, address: Address, access: Access, question: SamplesQuestion, breaker: Breaker
    ) -> tuple[Series, ...]:
        sent = self._monotonic()
        try:
            reply = await self._post(address, access, question)
            found = await self._read(reply, question)
        except (QuestionError, DeniedError, RefusedError):
            breaker.succeeded(self._monotonic())
            raise
        except (UnreachableError, aiohttp.ClientError, TimeoutError, OSError) as error:
            message = self._describe(address, error)
            breaker.failed(sent=sent, now=self._monotonic(), jitter=self._jitter(), error=message)
            raise UnreachableError(message) from None  # the client's own errors may hold the request's headers
        breaker.succeeded(self._monotonic())
        return found

    async def _read(self, reply: Reply, question: SamplesQuestion) -> tuple[Series, ...]:
        if len(reply.body) < _LARGE_BYTES:
            return read_answer(reply, question.since, question.until)
        # In a thread, so that nothing else stands still; one after the other, because parsed they are large.
        async with self._reading:
            return await asyncio.to_thread(read_answer, reply, question.since, question.until)

    async def _post(self, address: Address, access: Access, question: SamplesQuestion) -> Reply:
        async with asyncio.timeout(self._limits.total_seconds):
            try:
                return await self._post_once(address, access, question)
            except aiohttp.ClientConnectorError:
                raise
            except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
                # The server may have closed a kept connection in the meantime. Questions change nothing: ask again.
                return await self._post_once(address, access, question)

    async def _post_once(self, address: Address, access: Access, question: SamplesQuestion) -> Reply:
        request = self._client().post(
            URL(f"{address.url}{QUERY_PATH}", encoded=True),
            data=form(question, self._limits),
            # no compression: a small answer could unpack to a huge one
            headers={"Accept-Encoding": "identity", **access.headers()},
            allow_redirects=False,
            ssl=access.tls or True,
        )
        async with request as response:
            body = bytearray()
            async for part in response.content.iter_chunked(_READ_BYTES):
                body += part
                if len(body) > self._limits.answer_bytes:
                    response.close()
                    raise TooLargeError(f"the answer is larger than {self._limits.answer_bytes} bytes")
        return Reply(response.status, bytes(body), access.redact)

    def _client(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0),  # the lanes limit
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=self._limits.connect_seconds),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                trust_env=False,
            )
        return self._session

    def _describe(self, address: Address, error: Exception) -> str:
        if isinstance(error, UnreachableError):
            return f"{address.url}: {error}"
        if isinstance(error, aiohttp.ConnectionTimeoutError):
            return f"{address.url} does not accept the connection within {self._limits.connect_seconds:g} s"
        if isinstance(error, TimeoutError):
            return f"{address.url} does not answer within {self._limits.total_seconds:g} s"
        if isinstance(error, aiohttp.ClientConnectorCertificateError | aiohttp.ClientConnectorSSLError | ssl.SSLError):
            return f"{address.url}: its certificate is not trusted or TLS failed"
        closed = isinstance(error, aiohttp.ServerDisconnectedError | aiohttp.ClientOSError)
        if closed and address.origin.scheme == "https" and not isinstance(error, aiohttp.ClientConnectorError):
            # with TLS 1.3 a server refuses our certificate only after its own side is ready, and often by hanging up
            return f"{address.url} closes the connection: it may want another client certificate, or one at all"
        return f"{address.url} cannot be reached ({type(error).__name__})"
