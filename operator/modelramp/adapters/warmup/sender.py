"""
Warm-up requests to a candidate's Service: all of them sent, every failure part of the reading.

Each request has a connection of its own, because a Service picks a pod per connection and every pod has to be warmed.
"""

import asyncio
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Final, Protocol

import aiohttp
from yarl import URL

from modelramp.api.names import workload_name
from modelramp.api.spec import WarmUp
from modelramp.ports import Key, PortError
from modelramp.rollout.counters import SERVICE_PORT
from modelramp.rollout.observed import WarmUpReading

PARALLEL: Final = 4
REQUEST_SECONDS: Final = 10.0
TOTAL_SECONDS: Final = 120.0
MAX_ANSWER_BYTES: Final = 4 * 1024 * 1024
_READ_BYTES: Final = 64 * 1024
_P95: Final = 0.95


class ConfigMapReader(Protocol):
    """
    Reads one key of a ConfigMap.
    """

    async def __call__(self, namespace: str, name: str, key: str) -> str:
        """
        The value.

        Raises:
            GoneError: there is no such ConfigMap, or it has no such key.
            DeniedError: the operator may not read it.
            UnreachableError: the API server does not answer.
        """


def service_urls(suffix: str = "svc") -> Callable[[str, str], str]:
    """
    The base URL of a Service by namespace and name; `suffix` is what the cluster's DNS appends, such as
    `svc.cluster.local`.
    """

    def base_url(namespace: str, service: str) -> str:
        return f"http://{service}.{namespace}.{suffix}:{SERVICE_PORT}"

    return base_url


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """
    Bounds of one warm-up.
    """

    parallel: int = PARALLEL
    request_seconds: float = REQUEST_SECONDS
    total_seconds: float = TOTAL_SECONDS
    answer_bytes: int = MAX_ANSWER_BYTES
    """What is read of an answer, and thrown away; the rest is not read."""


@dataclass(frozen=True, slots=True)
class _Tried:
    seconds: float
    failure: str
    """Empty: answered with 2xx."""
    answered: bool = True
    """With whatever status; False: no whole answer came."""


class WarmUpSender:
    """
    The port WarmUps over HTTP.
    """

    def __init__(
        self,
        read_config_map: ConfigMapReader,
        *,
        base_url: Callable[[str, str], str] | None = None,
        limits: Limits | None = None,
    ) -> None:
        """
        Connect to nothing yet.

        Args:
            read_config_map: Reads the ConfigMap a warm-up's body may be in.
            base_url: Base URL by namespace and Service name; None: the Service's DNS name.
            limits: None: the defaults.

        """
        self._read_config_map = read_config_map
        self._base_url = base_url or service_urls()
        self._limits = limits or Limits()

    async def send(self, key: Key, revision: str, warm_up: WarmUp) -> WarmUpReading:
        """
        Send them all; failures are part of the reading.

        Where the body cannot be read nothing is sent. What the total time leaves no room for is not sent either, and
        what it cuts off has failed.
        """
        try:
            body = await self._body(key.namespace, warm_up)
        except PortError as error:
            return WarmUpReading(sent=0, failed=0, p95_seconds=0.0, message=f"the body: {error}")
        base = self._base_url(key.namespace, workload_name(key.name, revision))
        tried = await self._send_all(URL(base + warm_up.path, encoded=True), body, warm_up.requests)
        return _reading(tried, warm_up.requests, self._limits)

    async def _body(self, namespace: str, warm_up: WarmUp) -> bytes | None:
        if warm_up.body is None:
            return None
        ref = warm_up.body.config_map_key_ref
        text = warm_up.body.value if ref is None else await self._read_config_map(namespace, ref.name, ref.key)
        return (text or "").encode()

    async def _send_all(self, url: URL, body: bytes | None, requests: int) -> Sequence[_Tried]:
        numbers, tried = count(), list[tuple[int, _Tried]]()
        deadline = time.monotonic() + self._limits.total_seconds

        async def one_after_another() -> None:
            while time.monotonic() < deadline and (number := next(numbers)) < requests:
                tried.append((number, await self._try(session, url, body, deadline)))

        async with self._session() as session, asyncio.TaskGroup() as group:
            for _ in range(min(self._limits.parallel, requests)):
                group.create_task(one_after_another())
        return [one for _, one in sorted(tried, key=lambda pair: pair[0])]

    def _session(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(force_close=True, limit=self._limits.parallel),
            timeout=aiohttp.ClientTimeout(total=None),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
        )

    async def _try(self, session: aiohttp.ClientSession, url: URL, body: bytes | None, deadline: float) -> _Tried:
        begun = time.monotonic()
        allowed, answered = min(self._limits.request_seconds, deadline - begun), False
        try:
            async with asyncio.timeout(allowed):
                failure, answered = await self._ask(session, url, body), True
        except TimeoutError:
            failure = f"no answer within {allowed:.1f} s"
        except (aiohttp.ClientError, OSError) as error:
            failure = f"no answer ({type(error).__name__})"
        return _Tried(time.monotonic() - begun, failure, answered)

    async def _ask(self, session: aiohttp.ClientSession, url: URL, body: bytes | None) -> str:
        method = "GET" if body is None else "POST"
        headers = {} if body is None else {"Content-Type": "application/json"}
        async with session.request(method, url, data=body, headers=headers, allow_redirects=False) as response:
            read = 0
            async for part in response.content.iter_chunked(_READ_BYTES):
                read += len(part)
                if read > self._limits.answer_bytes:
                    response.close()
                    break
        return "" if 200 <= response.status < 300 else f"HTTP {response.status}"  # noqa: PLR2004 - 2xx, as the spec says


def _reading(tried: Sequence[_Tried], requests: int, limits: Limits) -> WarmUpReading:
    failures = [(number, one.failure) for number, one in enumerate(tried, 1) if one.failure]
    said = []
    if failures:
        number, why = failures[0]
        said.append(f"{len(failures)} of {len(tried)} requests failed; the first, number {number}: {why}")
    if len(tried) < requests:
        said.append(f"only {len(tried)} of {requests} requests were sent within {limits.total_seconds:g} s")
    return WarmUpReading(
        sent=len(tried),
        failed=len(failures),
        p95_seconds=_p95([one.seconds for one in tried]),
        message="; ".join(said),
        refused=sum(bool(one.failure) and one.answered for one in tried),
    )


def _p95(seconds: Sequence[float]) -> float:
    """
    The nearest-rank percentile: at least 95 % of all requests, failed ones too, took no longer.
    """
    return sorted(seconds)[math.ceil(_P95 * len(seconds)) - 1] if seconds else 0.0
