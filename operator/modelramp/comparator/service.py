"""
Takes copies of requests, answers at once, and compares when there is time.

It never makes a gateway wait: what does not fit its queue is dropped and counted.
"""

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Mapping
from typing import Final

from aiohttp import web

from modelramp.comparator.core import REQUEST_ID, Lot, is_replay, judge, kept_headers
from modelramp.comparator.counts import Counts, Result
from modelramp.comparator.replays import Copy, Replays
from modelramp.comparator.settings import ComparatorSettings

log = logging.getLogger("modelramp.comparator")

# Nobody reads these answers but who tries it out, and the gateway's counters: only mistakes of set-up are errors.
_STATUS: Final[Mapping[Result, int]] = {Result.TOO_LARGE: 413, Result.LOOP: 508}
_ACCEPTED: Final = 202
_BACKLOG: Final = 1024  # connections not yet accepted: a gateway opens one for each copy that is under way
_TEXT: Final = {"Content-Type": "text/plain; version=0.0.4; charset=utf-8"}


class Comparator:
    """
    The service.
    """

    def __init__(self, settings: ComparatorSettings) -> None:
        """
        Listen to nothing yet.
        """
        self._settings = settings
        self._queue: asyncio.Queue[Copy] = asyncio.Queue(settings.queue)
        self._held_bytes, self._taken, self._unsettled, self._ending = 0, 0, 0, True
        self._counts = Counts(
            settings.stable.revision, settings.candidate.revision, settings.comparison, self._queue.qsize
        )
        self._replays = Replays(settings)
        self._workers: list[asyncio.Task[None]] = []
        taking, telling = web.Application(client_max_size=settings.max_body), web.Application()
        taking.router.add_route("*", "/{path:.*}", self._take)
        telling.router.add_get("/metrics", self._metrics)
        telling.router.add_get("/-/healthy", self._healthy)
        telling.router.add_get("/-/ready", self._ready)
        self._runners = (
            web.AppRunner(taking, access_log=None, auto_decompress=False, shutdown_timeout=1.0),
            web.AppRunner(telling, access_log=None, shutdown_timeout=1.0),
        )

    @property
    def ports(self) -> tuple[int, int]:
        """
        Where copies are taken, and where metrics are served; known once it is open. Of free ports those of IPv4.
        """
        # an address of IPv4 is a pair, one of IPv6 has four parts and sorts behind it
        port, metrics_port = (int(min(runner.addresses, key=len)[1]) for runner in self._runners)
        return port, metrics_port

    @property
    def page(self) -> bytes:
        """
        The metrics as they are now.
        """
        return self._counts.page()

    async def open(self) -> None:
        """
        Take copies from now on.

        Raises:
            OSError: a port is taken.
        """
        await self._replays.__aenter__()
        try:
            for runner, port in zip(self._runners, (self._settings.port, self._settings.metrics_port), strict=True):
                await runner.setup()
                await web.TCPSite(runner, port=port, backlog=_BACKLOG).start()
        except OSError:
            await self._shut()
            raise
        self._ending = False
        self._workers = [asyncio.create_task(self._work()) for _ in range(self._settings.concurrency)]
        log.info("taking copies", extra={"port": self.ports[0], "metricsPort": self.ports[1]})

    async def close(self) -> None:
        """
        Take nothing more, finish what waits as far as that is done in time, and count the rest as unpaired.
        """
        self._ending = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._settings.drain_seconds):
                await self._queue.join()
        for worker in self._workers:
            worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)
        self._counts.request(Result.UNPAIRED, self._unsettled)
        await self._shut()
        log.info("ended", extra={"taken": self._taken, "unpaired": self._unsettled})

    async def _shut(self) -> None:
        await self._replays.__aexit__()
        for runner in self._runners:
            await runner.cleanup()

    async def run(self, ended: asyncio.Event) -> None:
        """
        From open to close; until `ended` is set.
        """
        await self.open()
        try:
            await ended.wait()
        finally:
            await self.close()

    async def _take(self, request: web.Request) -> web.Response:
        result = await self._result_of(request)
        self._counts.request(result)
        return web.Response(status=_STATUS.get(result, _ACCEPTED))

    async def _result_of(self, request: web.Request) -> Result:
        headers = tuple(request.headers.items())
        if is_replay(headers):
            return Result.LOOP
        # Without an id of the gateway's the sample is a random one: nobody else could choose the same.
        request_id = request.headers.get(REQUEST_ID) or secrets.token_hex(16)
        lot = self._settings.sampling.lot(request_id)
        if request.method not in self._settings.methods or lot is Lot.UNSAMPLED:
            return Result.UNSAMPLED
        body = await self._read(request)
        if isinstance(body, Result):
            return body
        kept = kept_headers(headers, request_id, credentials=self._settings.forward_credentials)
        target = request.rel_url.raw_path_qs
        return self._enqueue(Copy(request.method, target, kept, body, lot is Lot.CONTROL))

    async def _read(self, request: web.Request) -> bytes | Result:
        """
        The body, with room kept for all of it while it arrives; else what becomes of the copy without.
        """
        most, told = self._settings.max_body, request.content_length
        expected = most if told is None else told
        refused = Result.TOO_LARGE if expected > most else self._refusal(expected)
        if refused is not None:
            return refused
        self._held_bytes += expected
        try:
            return await request.read()
        except web.HTTPRequestEntityTooLarge:
            return Result.TOO_LARGE
        except (web.RequestPayloadError, OSError):  # the gateway left in the middle of it
            return Result.DROPPED
        finally:
            self._held_bytes -= expected

    def _refusal(self, size: int) -> Result | None:
        """
        Why a body of this size cannot be taken now; None: it can.
        """
        budget = self._settings.max_requests
        if budget is not None and self._taken >= budget:
            return Result.OVER_BUDGET
        full = self._queue.full() or self._held_bytes + size > self._settings.queue_bytes
        return Result.DROPPED if full or self._ending else None

    def _enqueue(self, copy: Copy) -> Result:
        refused = self._refusal(len(copy.body))
        if refused is not None:
            return refused
        self._queue.put_nowait(copy)
        self._held_bytes += len(copy.body)
        self._taken += 1
        self._unsettled += 1
        return Result.TAKEN

    async def _work(self) -> None:
        while True:
            copy = await self._queue.get()
            try:
                await self._compare(copy)
            except Exception:  # a worker that has died would be missed by nobody
                log.exception("a pair was given up")
                self._counts.request(Result.UNPAIRED)
            self._held_bytes -= len(copy.body)
            self._unsettled -= 1
            self._queue.task_done()

    async def _compare(self, copy: Copy) -> None:
        one, other = await self._replays.ask(copy)
        pair = judge(one, other, self._settings.extractor, self._settings.comparison)
        self._counts.pair(pair, is_control=copy.is_control, slower_seconds=other.seconds - one.seconds)

    async def _metrics(self, _: web.Request) -> web.Response:
        return web.Response(body=self.page, headers=_TEXT)

    async def _healthy(self, _: web.Request) -> web.Response:
        return web.Response(text="ok")

    async def _ready(self, _: web.Request) -> web.Response:
        return web.Response(text="no", status=503) if self._ending else web.Response(text="ok")
