"""An open-loop load client that counts every answer by the model version that gave it.

Requests leave on a fixed timetable whatever the answers do, so a slow server meets the same load as
a quick one and its slowness shows in the counts. Needs aiohttp and nothing of the operator.
Must not judge: it counts and reports; what is acceptable is for its caller to say.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Final

import aiohttp

VERSION_HEADER: Final = "x-model-version"
# Answers a server or gateway failed to give; a 4xx is the client's own mistake but is counted all the same.
FIRST_SERVER_ERROR: Final = 500
OVERLOAD: Final = "overload"


@dataclass(frozen=True, slots=True)
class Second:
    """What was answered in one second of the run, counted when the answer (or its loss) came."""

    answers: Mapping[tuple[str | None, int], int]
    transport_errors: Mapping[str, int]

    @property
    def lost(self) -> int:
        """Requests that got no answer at all."""
        return sum(self.transport_errors.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """
    The counts so far; taken at one instant and never changing afterwards.

    A version of None is an answer that no model signed, such as a gateway's own 503.
    Times are seconds since the run began.
    """

    elapsed_seconds: float
    sent: int
    in_flight: int
    answers: Mapping[tuple[str | None, int], int]
    """Answers by (version, HTTP status)."""
    transport_errors: Mapping[str, int]
    """Requests that got no answer at all, by the kind of failure: refused, reset, timeout, other, overload."""
    first_answer: Mapping[str, float]
    last_answer: Mapping[str, float]
    latencies: Sequence[float] = field(repr=False)
    """Seconds from sending to the whole answer, one for every answer, in order of arrival."""
    seconds: Sequence[Second] = field(repr=False)

    @property
    def answered(self) -> int:
        """Requests that got any HTTP answer."""
        return sum(self.answers.values())

    @property
    def good(self) -> int:
        """Answers below 500 that a model signed."""
        return sum(n for (version, status), n in self.answers.items() if version is not None and not is_bad(status))

    @property
    def lost(self) -> int:
        """Requests that no model version is to blame for: no answer, or one that no model signed."""
        return self.unsigned + sum(self.transport_errors.values())

    @property
    def unsigned(self) -> int:
        """Answers of any status without a version: they never reached a model, or their model cannot be told."""
        return sum(n for (version, _), n in self.answers.items() if version is None)

    def losses(self) -> dict[int, dict[str, int]]:
        """
        What was lost in which second of the run: `-/503` for an answer that no model signed, `reset` for none at all.

        Empty when nothing was lost. Adds up to `lost`.
        """
        found: dict[int, dict[str, int]] = {}
        for at, second in enumerate(self.seconds):
            unsigned = {key: n for key, n in second.answers.items() if key[0] is None}
            if unsigned or second.transport_errors:
                found[at] = {**keyed(unsigned), **second.transport_errors}
        return found

    def bad(self, version: str) -> int:
        """Answers of 500 and above that this version itself signed."""
        return sum(n for (signed, status), n in self.answers.items() if signed == version and is_bad(status))

    def bad_by_version(self) -> dict[str, int]:
        """`bad` for every version that answered, zeros included."""
        return {version: self.bad(version) for version in sorted(self.first_answer)}

    def share(self, version: str, last_seconds: int) -> float | None:
        """
        Share (0 to 1) of the signed answers that this version gave in the latest whole seconds.

        None when no model answered in them. The second under way does not count.
        """
        end = min(int(self.elapsed_seconds), len(self.seconds))
        total: Counter[str] = Counter()
        for second in self.seconds[max(0, int(self.elapsed_seconds) - last_seconds) : end]:
            for (signed, _), n in second.answers.items():
                if signed is not None:
                    total[signed] += n
        return total[version] / total.total() if total else None

    def quantile(self, q: float) -> float | None:
        """Latency in seconds that the share `q` of the answers did not exceed; None before the first answer."""
        if not self.latencies:
            return None
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(q * len(ordered)))]


def is_bad(status: int) -> bool:
    """Whether an HTTP status means that the server failed."""
    return status >= FIRST_SERVER_ERROR


class LoadClient:
    """
    Sends the bodies in turn, `rate` a second, as POST requests to one URL under a given Host header.

    Keeps connections open and reuses them. Never repeats a request: a lost one is lost.
    `url` may hold an address, `host` the name that the gateway routes by.
    """

    max_in_flight: int = 1000
    """
    With this many requests unanswered a further one is not sent but counted as lost ("overload").
    At 50 a second and a timeout of 10 s a dead server holds 500.
    """

    def __init__(
        self, url: str, host: str, bodies: Sequence[bytes], rate: float = 50.0, timeout_seconds: float = 10.0
    ) -> None:
        """Take a rate above 0 and at least one body; ValueError otherwise."""
        if rate <= 0 or not bodies:
            msg = f"a load client needs a rate above 0 and a body to send, got {rate} and {len(bodies)} bodies"
            raise ValueError(msg)
        self._url = url
        self._headers = {"Host": host, "Content-Type": "application/json"}
        self._bodies = bodies
        self._rate = rate
        self._timeout = aiohttp.ClientTimeout(total=timeout_seconds)
        self._began: float | None = None
        self._ended: float | None = None
        self._sent = 0
        self._in_flight = 0
        self._first: dict[str, float] = {}
        self._last: dict[str, float] = {}
        self._latencies: list[float] = []
        self._seconds: list[tuple[Counter[tuple[str | None, int]], Counter[str]]] = []

    async def run(self, stop: asyncio.Event, max_seconds: float) -> None:
        """
        Send until `stop` is set or the time is over, then wait for what is in flight.

        May be called once. Ends at most one request timeout after the last sending.
        """
        if self._began is not None:
            msg = "a LoadClient runs once; its counts are of one run"
            raise RuntimeError(msg)
        self._began = time.monotonic()
        # No limit on connections: a limit would queue requests inside aiohttp and close the loop.
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=60)
        session = aiohttp.ClientSession(connector=connector, timeout=self._timeout)
        try:
            async with session, asyncio.TaskGroup() as requests:
                async for body in self._bodies_on_timetable(stop, max_seconds):
                    requests.create_task(self._request(session, body))
        finally:
            self._ended = time.monotonic()

    async def _bodies_on_timetable(self, stop: asyncio.Event, max_seconds: float) -> AsyncIterator[bytes]:
        """Give out body n at n / rate seconds; late ones follow at once, so the rate holds on average."""
        while (due := self._sent / self._rate) < max_seconds:
            if await self._stopped_before(stop, due):
                return
            body = self._bodies[self._sent % len(self._bodies)]
            self._sent += 1
            if self._in_flight < self.max_in_flight:
                self._in_flight += 1
                yield body
            else:
                self._count_lost(OVERLOAD)

    async def _stopped_before(self, stop: asyncio.Event, due: float) -> bool:
        """Wait until `due` seconds into the run; True when the stop came first."""
        wait = due - self._elapsed()
        if wait <= 0:
            await asyncio.sleep(0)  # answers must be read even while catching up
            return stop.is_set()
        try:
            await asyncio.wait_for(stop.wait(), wait)
        except TimeoutError:
            return False
        return True

    async def _request(self, session: aiohttp.ClientSession, body: bytes) -> None:
        """Send one request and count how it ended; raises nothing but cancellation."""
        sent_at = self._elapsed()
        try:
            async with session.post(self._url, data=body, headers=self._headers, allow_redirects=False) as answer:
                await answer.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            self._count_lost(kind_of_loss(error))
        else:
            self._count_answer(answer.headers.get(VERSION_HEADER), answer.status, sent_at)
        finally:
            self._in_flight -= 1

    def _count_answer(self, version: str | None, status: int, sent_at: float) -> None:
        now = self._elapsed()
        self._second(now)[0][version, status] += 1
        self._latencies.append(now - sent_at)
        if version is not None:
            self._first.setdefault(version, now)
            self._last[version] = now

    def _count_lost(self, kind: str) -> None:
        self._second(self._elapsed())[1][kind] += 1

    def _second(self, now: float) -> tuple[Counter[tuple[str | None, int]], Counter[str]]:
        while len(self._seconds) <= int(now):
            self._seconds.append((Counter(), Counter()))
        return self._seconds[int(now)]

    def _elapsed(self) -> float:
        """Seconds since the run began; 0 before it, and standing still after it."""
        if self._began is None:
            return 0.0
        return (self._ended or time.monotonic()) - self._began

    def snapshot(self) -> Snapshot:
        """
        The counts at this instant. To be called on the loop that runs the client.

        Everything sent is in flight, answered, or lost: the counts always add up.
        """
        answers: Counter[tuple[str | None, int]] = Counter()
        errors: Counter[str] = Counter()
        for counted, failed in self._seconds:
            answers.update(counted)
            errors.update(failed)
        return Snapshot(
            elapsed_seconds=self._elapsed(),
            sent=self._sent,
            in_flight=self._in_flight,
            answers=MappingProxyType(answers),
            transport_errors=MappingProxyType(errors),
            first_answer=MappingProxyType(dict(self._first)),
            last_answer=MappingProxyType(dict(self._last)),
            latencies=tuple(self._latencies),
            seconds=tuple(Second(MappingProxyType(Counter(a)), MappingProxyType(Counter(e))) for a, e in self._seconds),
        )


def kind_of_loss(error: Exception) -> str:
    """One word for why a request got no answer: timeout, refused, reset or other."""
    # ServerTimeoutError is both a ClientError and a TimeoutError, so timeouts are asked for first.
    match error:
        case TimeoutError():
            return "timeout"
        case aiohttp.ClientConnectorError():
            return "refused"
        case aiohttp.ServerDisconnectedError() | aiohttp.ClientOSError() | aiohttp.ClientPayloadError() | OSError():
            return "reset"
        case _:
            return "other"


def report(snapshot: Snapshot) -> dict[str, object]:
    """The snapshot as JSON: keys of answers are `<version>/<status>`, with `-` for an unsigned one."""
    return {
        "elapsed_seconds": round(snapshot.elapsed_seconds, 3),
        "sent": snapshot.sent,
        "answered": snapshot.answered,
        "good": snapshot.good,
        "in_flight": snapshot.in_flight,
        "lost": snapshot.lost,
        "unsigned": snapshot.unsigned,
        "transport_errors": dict(snapshot.transport_errors),
        "answers": keyed(snapshot.answers),
        "bad_by_version": snapshot.bad_by_version(),
        "first_answer_seconds": dict(snapshot.first_answer),
        "last_answer_seconds": dict(snapshot.last_answer),
        "latency_seconds": {name: snapshot.quantile(q) for name, q in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))},
        "per_second": [{"answers": keyed(second.answers), "lost": second.lost} for second in snapshot.seconds],
    }


def keyed(answers: Mapping[tuple[str | None, int], int]) -> dict[str, int]:
    """Counts by `<version>/<status>`, sorted."""
    return dict(sorted((f"{version or '-'}/{status}", n) for (version, status), n in answers.items()))


def bodies_of(file: Path) -> list[bytes]:
    """The request bodies of a file, one a line; blank lines are left out."""
    return [line for line in file.read_bytes().splitlines() if line.strip()]


async def drive(client: LoadClient, max_seconds: float) -> Snapshot:
    """Run the client until the time is over or a signal comes, and return its counts."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await client.run(stop, max_seconds)
    return client.snapshot()


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="Send inference requests at a fixed rate and count the answers.")
    parser.add_argument("url", help="for example http://127.0.0.1:8080/v2/models/digits/infer")
    parser.add_argument("--host", required=True, help="Host header, by which the gateway routes")
    parser.add_argument("--bodies", type=Path, required=True, help="file with one JSON body a line")
    parser.add_argument("--rate", type=float, default=50.0, help="requests a second (default 50)")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long to send (default 60)")
    parser.add_argument("--timeout", type=float, default=10.0, help="seconds until a request is given up (default 10)")
    parser.add_argument("--report", type=Path, help="file for the JSON report; without it a summary is printed")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Send, count and report; 0 when no request was lost, 1 otherwise."""
    options = arguments(argv)
    client = LoadClient(options.url, options.host, bodies_of(options.bodies), options.rate, options.timeout)
    snapshot = asyncio.run(drive(client, options.seconds))
    counts = report(snapshot)
    if options.report:
        options.report.write_text(json.dumps(counts, indent=1) + "\n", encoding="utf-8")
    else:
        print(json.dumps({key: value for key, value in counts.items() if key != "per_second"}, indent=1))
    return 1 if snapshot.lost else 0


if __name__ == "__main__":
    sys.exit(main())
