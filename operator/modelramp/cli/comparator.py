"""
`modelramp comparator`: its options, and the service from its start to its end.
"""

import argparse
import asyncio
import re
import signal
from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

from modelramp.api.quantities import quantity
from modelramp.api.scalars import Duration, Share
from modelramp.cli.options import UsageError, one_of, whole
from modelramp.comparator.core import Compare, Comparison, Extractor, InvalidPathError, Sampling, Tolerance
from modelramp.comparator.settings import Arm, ComparatorSettings

_REVISION: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
_BYTES: Final = re.compile(r"[0-9]{1,12}([KMG]i|[kMG])?")
_METHOD: Final = re.compile(r"[A-Z]{1,16}(,[A-Z]{1,16})*")
_PORT: Final = range(65_536)


def _arm(text: str) -> Arm:
    """
    `REVISION=URL`: http(s), with a path before every path asked for, or none.
    """
    revision, _, url = text.partition("=")
    try:
        parts = urlsplit(url)
        good = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good or _REVISION.fullmatch(revision) is None or set(url) & set(" ?#@"):
        raise argparse.ArgumentTypeError(f"must be REVISION=http://HOST[:PORT][/PATH], not {text}")
    return Arm(revision, url.rstrip("/"))


def _extractor(text: str) -> Extractor:
    try:
        return Extractor.parse(text)
    except InvalidPathError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _tolerance(text: str) -> Tolerance:
    try:
        return Tolerance.parse(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be a number such as 0.01, or 1% of stable's, not {text}") from None


def _share(text: str) -> float:
    if len(text) > Share.MAX_LENGTH or re.fullmatch(Share.PATTERN, text) is None:
        raise argparse.ArgumentTypeError(f"must be a share such as 10% or 0.25%, not {text}")
    return Share(text).fraction


def _seconds(text: str) -> float:
    seconds = Duration(text).seconds if re.fullmatch(Duration.PATTERN, text) else 0.0
    if seconds <= 0.0:
        raise argparse.ArgumentTypeError(f"must be a duration above 0 such as 5s or 500ms, not {text}")
    return seconds


def _bytes(text: str) -> int:
    size = int(quantity(text)) if _BYTES.fullmatch(text) else 0
    if size < 1:
        raise argparse.ArgumentTypeError(f"must be a number of bytes such as 65536 or 1Mi, not {text}")
    return size


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) not in _PORT:
        raise argparse.ArgumentTypeError(f"must be a port, or 0 for any free one, not {text}")
    return int(text)


def _methods(text: str) -> frozenset[str]:
    if _METHOD.fullmatch(text) is None:
        raise argparse.ArgumentTypeError(f"must be methods such as POST or GET,POST, not {text}")
    return frozenset(text.split(","))


_Option = tuple[str, Callable[[str], object], object, str, str]
_OPTIONS: Final[tuple[_Option, ...]] = (
    ("extract", _extractor, Extractor(), "PATH", "such as outputs[0].data[0]; or openai, or v2 (default: all of it)"),
    ("compare", one_of(Compare), Compare.EQUAL, "HOW", f"{', '.join(Compare)} (default Equal)"),
    ("tolerance", _tolerance, None, "T", "with --compare Number: 0.01, or 1%% of stable's number (default 0)"),
    ("sample", _share, 1.0, "SHARE", "of requests, chosen by x-request-id (default 100%%)"),
    ("control", _share, 0.1, "SHARE", "of the sample that is asked of stable twice instead (default 10%%)"),
    ("timeout", _seconds, 5.0, "TIME", "of both calls, which begin together (default 5s)"),
    ("queue", whole(1), 1000, "N", "requests that wait; more are dropped (default 1000)"),
    (
        "queue-bytes",
        _bytes,
        64 * 1024 * 1024,
        "BYTES",
        "of bodies that arrive, wait and are asked; more are dropped (default 64Mi)",
    ),
    ("concurrency", whole(1), 16, "N", "pairs asked at a time (default 16)"),
    ("max-body", _bytes, 1024 * 1024, "BYTES", "of a request, and of an answer (default 1Mi)"),
    ("max-requests", whole(1), None, "N", "taken in the life of this process (default: no limit)"),
    ("methods", _methods, frozenset({"POST"}), "METHODS", "that are compared (default POST)"),
    ("port", _port, 8080, "PORT", "takes the copies (default 8080)"),
    ("metrics-port", _port, 9090, "PORT", "/metrics, /-/healthy and /-/ready (default 9090)"),
)


def comparator_arguments(comparator: argparse.ArgumentParser) -> None:
    """
    Of `modelramp comparator`.
    """
    for side in ("stable", "candidate"):
        comparator.add_argument(
            f"--{side}", type=_arm, required=True, metavar="REVISION=URL", help=f"the {side} revision's own Service"
        )
    for name, kind, default, metavar, text in _OPTIONS:
        comparator.add_argument(f"--{name}", type=kind, default=default, metavar=metavar, help=text)
    comparator.add_argument(
        "--forward-credentials",
        action="store_true",
        help="send users' Authorization, cookies and API keys to both revisions too",
    )


def settings_of(arguments: argparse.Namespace) -> ComparatorSettings:
    """
    The settings that the options ask for.

    Raises:
        UsageError: options that do not go together.
    """
    if arguments.stable.revision == arguments.candidate.revision:
        raise UsageError("--stable and --candidate must be of different names: they are told apart by them")
    if arguments.tolerance is not None and arguments.compare is not Compare.NUMBER:
        raise UsageError("--tolerance goes with --compare Number")
    return ComparatorSettings(
        stable=arguments.stable,
        candidate=arguments.candidate,
        port=arguments.port,
        metrics_port=arguments.metrics_port,
        extractor=arguments.extract,
        comparison=Comparison(arguments.compare, arguments.tolerance or Tolerance()),
        sampling=Sampling(arguments.sample, arguments.control),
        timeout_seconds=arguments.timeout,
        queue=arguments.queue,
        queue_bytes=arguments.queue_bytes,
        concurrency=arguments.concurrency,
        max_body=arguments.max_body,
        max_requests=arguments.max_requests,
        methods=arguments.methods,
        forward_credentials=arguments.forward_credentials,
    )


def serve(settings: ComparatorSettings) -> int:
    """
    Run until the process is told to end; 2: a port is taken.
    """
    # imported here: options are checked without a second of imports
    from modelramp.adapters.logs import set_up_logs  # noqa: PLC0415
    from modelramp.comparator.service import Comparator  # noqa: PLC0415

    async def running() -> None:
        ended, loop = asyncio.Event(), asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, ended.set)
        await Comparator(settings).run(ended)

    set_up_logs("info")
    try:
        asyncio.run(running())
    except OSError as error:
        raise UsageError(f"cannot listen: {error}") from None
    return 0
