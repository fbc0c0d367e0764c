"""
Clients of the rig: a steady load over connections that stay open, and long streams; they count for themselves.
"""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass

import aiohttp
from demo.client import VERSION_HEADER, LoadClient, Snapshot, kind_of_loss

BODY = b'{"inputs": []}'
PATH = "/v2/models/fraud/infer"


class Load:
    """
    A steady load through one address. All but the constructor belongs to the loop that the rig runs on.
    """

    def __init__(self, port: int, rate: float) -> None:
        """
        `rate` in requests a second; nothing is sent yet.
        """
        self.client = LoadClient(f"http://127.0.0.1:{port}{PATH}", "fraud.test", [BODY], rate)
        self._stop = asyncio.Event()

    async def run(self, most_seconds: float) -> None:
        """
        Send until stopped or the time is over.
        """
        await self.client.run(self._stop, most_seconds)

    async def stop(self) -> None:
        """
        Send no more; what is in flight may end.
        """
        self._stop.set()

    async def counts(self) -> Snapshot:
        """
        What was counted so far.
        """
        return self.client.snapshot()


@dataclass(frozen=True, slots=True)
class Streamed:
    """
    How one long stream ended.
    """

    version: str | None
    """Who answered; None: nobody who signed."""
    ending: str
    """`whole`, or the kind of loss, or the HTTP status of a refusal."""
    began_at: float
    """Monotonic seconds, as is the end."""
    ended_at: float


async def stream(port: int, seconds: float) -> Streamed:
    """
    Ask for one stream of that length, and read it to its end.
    """
    began, version = time.monotonic(), None
    timeout = aiohttp.ClientTimeout(total=seconds + 60)
    try:
        async with aiohttp.ClientSession(timeout=timeout) as session:
            url = f"http://127.0.0.1:{port}{PATH}?seconds={seconds:g}"
            async with session.get(url, headers={"Host": "fraud.test"}) as answer:
                version = answer.headers.get(VERSION_HEADER)
                await answer.read()
                ending = "whole" if answer.status == 200 else str(answer.status)
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        ending = kind_of_loss(error)
    return Streamed(version, ending, began, time.monotonic())


async def answer_of(port: int, headers: Mapping[str, str]) -> str:
    """
    One request: `version/status` of its answer, with `-` where no model signed, or the kind of loss.
    """
    try:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session:
            address = f"http://127.0.0.1:{port}{PATH}"
            async with session.post(address, data=BODY, headers={"Host": "fraud.test", **headers}) as answer:
                await answer.read()
                return f"{answer.headers.get(VERSION_HEADER, '-')}/{answer.status}"
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        return kind_of_loss(error)
