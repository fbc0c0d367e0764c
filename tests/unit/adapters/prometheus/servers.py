"""
A web server on loopback that answers as a test wants, and remembers what it was asked.
"""

import asyncio
import ssl
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aiohttp import web

from modelramp.ports import GoneError, SamplesQuestion

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]
SINCE = datetime(2026, 1, 1, 11, 59, tzinfo=UTC)
UNTIL = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
QUESTION = SamplesQuestion(selector='requests_total{pod="a"}', since=SINCE, until=UNTIL)


@dataclass
class Seen:
    """What reached the server."""

    url: str
    paths: list[str] = field(default_factory=list)
    forms: list[Mapping[str, Any]] = field(default_factory=list)
    headers: list[Mapping[str, str]] = field(default_factory=list)
    most_at_once: int = 0


@asynccontextmanager
async def serving(answer: Answer, port: int = 0, tls: ssl.SSLContext | None = None) -> AsyncIterator[Seen]:
    """Serve everything at a free port with `answer`."""
    seen, running = Seen(""), 0

    async def take(request: web.Request) -> web.StreamResponse:
        nonlocal running
        running += 1
        seen.most_at_once = max(seen.most_at_once, running)
        seen.paths.append(request.path_qs)
        seen.forms.append({str(key): value for key, value in (await request.post()).items()})
        seen.headers.append(dict(request.headers))
        try:
            return await answer(request)
        finally:
            running -= 1

    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", take)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, reuse_address=True, ssl_context=tls).start()
    seen.url = f"http{'s' if tls else ''}://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield seen
    finally:
        await runner.cleanup()


def always(status: int, body: object, **headers: str) -> Answer:
    """The same answer to everything; text as it is, other things as JSON."""

    async def answer(_request: web.Request) -> web.Response:
        await asyncio.sleep(0)
        if isinstance(body, str):
            return web.Response(status=status, text=body, headers=headers)
        return web.json_response(body, status=status, headers=headers)

    return answer


def matrix(*rows: Mapping[str, Any], **more: object) -> dict[str, Any]:
    """A successful answer with these series."""
    return {"status": "success", "data": {"resultType": "matrix", "result": list(rows)}, **more}


def self_signed(folder: Path) -> tuple[ssl.SSLContext, Path]:
    """A server's side of TLS for 127.0.0.1, and its certificate, which nobody vouches for; made by openssl."""
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    names = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    new = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "2",
    ]
    subprocess.run([*new, *names, "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    return tls, certificate


class Secrets:
    """The port SecretReader in memory; counts its reads."""

    def __init__(self, **values: str) -> None:
        """Hold values by Secret name, all under the key `token`."""
        self.values = values
        self.reads = 0

    async def __call__(self, namespace: str, name: str, key: str) -> str:
        """As the port says."""
        self.reads += 1
        if key != "token" or name not in self.values:
            raise GoneError(f"{namespace}/{name}")
        return self.values[name]


class Seconds:
    """A monotonic clock that moves when told."""

    def __init__(self) -> None:
        """Begin at 1000."""
        self.now = 1000.0

    def __call__(self) -> float:
        """Seconds."""
        return self.now
