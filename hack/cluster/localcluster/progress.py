"""What the user sees: one line per finished step, a live line (or one every 15 s) while something long runs."""

import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from localcluster.settings import CACHE

_BEGAN = time.monotonic()
_QUIET_EVERY = 15.0
_LIVE_EVERY = 0.5


def say(text: str) -> None:
    """Print a line stamped with the seconds since this command began, to standard error (standard output is data)."""
    print(f"[{time.monotonic() - _BEGAN:6.1f} s] {text}", file=sys.stderr, flush=True)


def last_time(what: str) -> dict[str, float]:
    """Seconds and, for builds, packages of the last successful run of `what`; empty when it never ran here."""
    try:
        found = json.loads((CACHE / "times.json").read_text()).get(what, {})
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def remember(what: str, **figures: float) -> None:
    """Keep figures of a finished run for `last_time`. Losing them in a race costs only a worse estimate."""
    path = CACHE / "times.json"
    try:
        known = json.loads(path.read_text())
    except (OSError, ValueError):
        known = {}
    known[what] = {key: round(value, 1) for key, value in figures.items()}
    CACHE.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(f".{os.getpid()}")
    part.write_text(json.dumps(known, indent=1, sort_keys=True))
    part.replace(path)


@contextmanager
def ticking(describe: Callable[[float], str]) -> Iterator[None]:
    """Show `describe(seconds elapsed)` until the block ends: live on a terminal, every 15 s elsewhere."""
    done = threading.Event()
    began = time.monotonic()
    live = sys.stderr.isatty()

    def show() -> None:
        while not done.wait(_LIVE_EVERY if live else _QUIET_EVERY):
            text = describe(time.monotonic() - began)
            if live:
                print(f"\r\033[K{text[:150]}", end="", file=sys.stderr, flush=True)
            else:
                say(text)

    thread = threading.Thread(target=show, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        if live:
            print("\r\033[K", end="", file=sys.stderr, flush=True)
