"""
The same request to two revisions at the same time.
"""

import asyncio
import time
from dataclasses import dataclass
from typing import Final, Self

import aiohttp
from yarl import URL

from modelramp.comparator.core import Answer, Failure
from modelramp.comparator.settings import Arm, ComparatorSettings

# A connection is kept for less than servers keep theirs (uvicorn: 5 s), so that none is used while it is being closed.
KEPT_SECONDS: Final = 2.0
_READ_BYTES: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Copy:
    """
    A request as the replays repeat it.

    Attributes:
        method: In capitals.
        target: Path and query as they came.
        headers: Those of the replays.
        body: As it came, packed if it was.
        is_control: Stable is asked twice, the candidate not at all.

    """

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    is_control: bool


class Replays:
    """
    Asks; an asynchronous context manager, which closes its connections.
    """

    def __init__(self, settings: ComparatorSettings) -> None:
        """
        Connect to nothing yet.
        """
        self._settings = settings
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        """
        Ready to ask.
        """
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=2 * self._settings.concurrency, keepalive_timeout=KEPT_SECONDS),
            timeout=aiohttp.ClientTimeout(total=None),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        """
        Close what is open.
        """
        if self._session is not None:
            await self._session.close()

    async def ask(self, copy: Copy) -> tuple[Answer, Answer]:
        """
        Stable's answer, and the candidate's, or stable's second one; both asked at once.
        """
        arms = (self._settings.stable, self._settings.stable if copy.is_control else self._settings.candidate)
        one, other = await asyncio.gather(*(self._answer(arm, copy) for arm in arms))
        return one, other

    async def _answer(self, arm: Arm, copy: Copy) -> Answer:
        begun, status, body = time.monotonic(), None, b""
        failure: Failure | None = None
        try:
            async with asyncio.timeout(self._settings.timeout_seconds):
                status, body = await self._call(arm, copy)
        except TimeoutError:
            failure = Failure.TIMEOUT
        except (aiohttp.ClientError, OSError, ValueError):  # ValueError: what the client refuses to send
            failure = Failure.BROKEN
        if len(body) > self._settings.max_body:
            body, failure = b"", Failure.TOO_LARGE
        return Answer(status, body, time.monotonic() - begun, failure)

    async def _call(self, arm: Arm, copy: Copy) -> tuple[int, bytes]:
        """
        The status, and the body up to what is read and one piece more.
        """
        if self._session is None:
            raise RuntimeError("not entered")
        body = bytearray()
        async with self._session.request(
            copy.method,
            URL(arm.url + copy.target, encoded=True),
            data=copy.body or None,
            headers=copy.headers,
            skip_auto_headers=("Content-Type", "User-Agent"),
            allow_redirects=False,
        ) as response:
            async for part in response.content.iter_chunked(_READ_BYTES):
                body += part
                if len(body) > self._settings.max_body:
                    response.close()
                    break
        return response.status, bytes(body)
