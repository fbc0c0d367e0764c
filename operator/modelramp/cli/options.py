"""
Values of options on the command line, each refused with what is allowed.
"""

import argparse
import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final, TypeVar

from modelramp.api.scalars import Duration

_Member = TypeVar("_Member", bound=StrEnum)
When = Callable[[datetime], datetime]
"""Gives the instant meant, from what is now; both aware."""
_INSTANT_OPTIONS: Final = ("--from", "--to")
_AGO: Final = re.compile(r"-[0-9]")


class UsageError(Exception):
    """
    Options that do not go together; the message names them.
    """


class LiveError(Exception):
    """
    The live Prometheus cannot be used; the message names the option or what is missing.
    """


def _float(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be a number, not {text}") from None


def rate(text: str) -> float:
    """
    An error rate: `0.001` or `0.1%`.
    """
    value = _float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError(f"must be from 0 to below 1 (or 100%), not {text}")
    return value


def positive(text: str) -> float:
    """
    A number above 0.
    """
    value = _float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"must be above 0, not {text}")
    return value


def named_rate(text: str) -> tuple[str | None, float]:
    """
    `RATE`, or `NAME=RATE` for another metric than the first.
    """
    name, equals, value = text.rpartition("=")
    return (name if equals else None), rate(value)


def onset(text: str) -> tuple[float, bool]:
    """
    `10m`, or `last+10m` for a time after the beginning of the last step; seconds, and which of both.
    """
    in_last_step = text.startswith("last")
    span = text.removeprefix("last").removeprefix("+") or "0s"
    if re.fullmatch(Duration.PATTERN, span) is None:
        raise argparse.ArgumentTypeError(f"must be a duration such as 10m or last+10m, not {text}")
    return Duration(span).seconds, in_last_step


def whole(least: int) -> Callable[[str], int]:
    """
    A whole number of at least so many.
    """

    def number(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(f"must be a whole number of at least {least}, not {text}")
        return int(text)

    return number


def at_least(least: float) -> Callable[[str], float]:
    """
    A number of at least so much.
    """

    def number(text: str) -> float:
        value = _float(text)
        if not least <= value < float("inf"):
            raise argparse.ArgumentTypeError(f"must be at least {least:g}, not {text}")
        return value

    return number


def arm(text: str) -> tuple[str, str]:
    """
    `stable=SELECTOR` or `candidate=SELECTOR`.
    """
    name, _, selector = text.partition("=")
    if name not in {"stable", "candidate"} or not selector:
        raise argparse.ArgumentTypeError(f"must be stable=SELECTOR or candidate=SELECTOR, not {text}")
    return name, selector


def one_of(names: type[_Member]) -> Callable[[str], _Member]:
    """
    A member of an enumeration, by its value.
    """

    def member(text: str) -> _Member:
        try:
            return names(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"must be one of {', '.join(names)}, not {text}") from None

    return member


def instant(text: str) -> When:
    """
    RFC 3339 such as `2026-01-31T12:00:00Z`, unix seconds, or `-2h` for two hours ago.
    """
    if text.startswith("-"):
        ago = text[1:]
        if not ago or re.fullmatch(Duration.PATTERN, ago) is None:
            raise argparse.ArgumentTypeError(f"must be a duration such as -2h or -1h30m, not {text}")
        return lambda now: now - Duration(ago).timedelta
    try:
        at = datetime.fromtimestamp(float(text), UTC) if text.replace(".", "", 1).isdecimal() else _rfc3339(text)
    except (ValueError, OverflowError, OSError):
        raise argparse.ArgumentTypeError(
            f"must be an instant such as 2026-01-31T12:00:00Z, unix seconds, or -2h, not {text}"
        ) from None
    return lambda _: at


def _rfc3339(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError("which zone?")
    return at.astimezone(UTC)


def joined(words: Iterable[str]) -> list[str]:
    """
    The command line with `--from -2h` as one word, which argparse would take for an option of its own.
    """
    kept: list[str] = []
    for word in words:
        if kept and kept[-1] in _INSTANT_OPTIONS and _AGO.match(word):
            kept[-1] += f"={word}"
        else:
            kept.append(word)
    return kept
