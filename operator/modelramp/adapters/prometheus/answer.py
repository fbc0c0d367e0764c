"""
What Prometheus' HTTP API answered, read strictly. No I/O.

Source: https://prometheus.io/docs/prometheus/latest/querying/api/ (format overview, instant queries, range vectors).
"""

import gc
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final

from modelramp.analysis import Series
from modelramp.analysis.native import BelowZeroError, Bound, Layout, NativeSample, read_native
from modelramp.ports import DeniedError, PortError, RefusedError, UnreachableError

MAX_MESSAGE_LENGTH: Final = 200


class QuestionError(UnreachableError):
    """
    The source is up, and had no complete answer to this question.
    """


class TooLargeError(QuestionError):
    """
    The question asks for more than one answer may hold: a narrower one may do.
    """


def shorten(text: str) -> str:
    """
    One printable line of at most 200 characters.
    """
    line = " ".join("".join(c if c.isprintable() else " " for c in text[: 4 * MAX_MESSAGE_LENGTH]).split())
    return line if len(line) <= MAX_MESSAGE_LENGTH else f"{line[: MAX_MESSAGE_LENGTH - 1]}…"


@dataclass(frozen=True, slots=True)
class Reply:
    """
    What came back over HTTP.

    `redact` takes out of a text what must not be shown: a server may repeat the credentials it was sent.
    """

    status: int
    body: bytes
    redact: Callable[[str], str] = str

    def quote(self, said: object) -> str:
        """
        What the server said, fit for a condition's message.
        """
        return shorten(self.redact(str(said)))


@contextmanager
def _no_cycles() -> Iterator[None]:
    """
    Spare the garbage collector the search for cycles among what is made here: a large answer is a million lists and
    tuples without one, and looking at all of them again and again takes longer than reading them.

    The collector belongs to the whole process. Should two threads be here, it is on again when either leaves.
    """
    wanted = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if wanted:
            gc.enable()


@_no_cycles()  # until what was parsed is given up again
def read_answer(reply: Reply, since: datetime, until: datetime) -> tuple[Series, ...]:
    """
    The series of an answer to `SELECTOR[RANGE]` that have samples in (since, until], with these.

    Raises:
        DeniedError: 401 or 403.
        RefusedError: Prometheus cannot parse the question, or it selects what is counted below 0.
        TooLargeError: Prometheus says that the question asks for too much.
        QuestionError: Prometheus says that it has no complete answer.
        UnreachableError: anything else.
    """
    status = reply.status
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        raise DeniedError(f"spec.analysis.prometheus.auth: the source does not accept the credentials (HTTP {status})")
    answer = _document(reply)
    if answer.get("status") == "error":
        raise _error(reply, answer)
    if status != HTTPStatus.OK or answer.get("status") != "success":
        raise UnreachableError(f"no answer of Prometheus' query API (HTTP {status})")
    warnings = answer.get("warnings")
    if warnings or answer.get("isPartial"):  # the latter is VictoriaMetrics'
        raise QuestionError(f"the answer may be incomplete: {reply.quote(warnings or 'it is marked as partial')}")
    try:
        return _series(answer["data"], since.timestamp(), until.timestamp())
    except (KeyError, TypeError, ValueError, AttributeError):
        raise UnreachableError("the answer is not what Prometheus' query API gives for a range of samples") from None


def _document(reply: Reply) -> dict[str, Any]:
    try:
        answer = json.loads(reply.body)
    except (ValueError, RecursionError):
        answer = None
    if not isinstance(answer, dict):
        raise UnreachableError(f"no JSON of Prometheus' query API (HTTP {reply.status})")
    return answer


def _error(reply: Reply, answer: dict[str, Any]) -> PortError:
    kind, said = answer.get("errorType"), reply.quote(answer.get("error", ""))
    if HTTPStatus.BAD_REQUEST <= reply.status < HTTPStatus.INTERNAL_SERVER_ERROR and kind == "bad_data":
        return RefusedError(f"Prometheus does not understand the question: {said}")
    # 422: more samples than the server allows for one question; Mimir and Thanos say so to other limits of theirs, too
    narrower = reply.status == HTTPStatus.UNPROCESSABLE_ENTITY
    error = TooLargeError if narrower else QuestionError
    return error(f"Prometheus has no answer (HTTP {reply.status}, {reply.quote(kind)}): {said}")


def _series(found: dict[str, Any], since: float, until: float) -> tuple[Series, ...]:
    if found["resultType"] != "matrix":
        raise ValueError("not a range of samples")
    layouts: dict[tuple[Bound, ...], Layout] = {}
    rows = (_one(row, since, until, layouts) for row in found["result"])
    return tuple(one for one in rows if one.samples or one.histograms)


def _one(row: dict[str, Any], since: float, until: float, layouts: dict[tuple[Bound, ...], Layout]) -> Series:
    labels = row["metric"]
    if not isinstance(labels, dict) or not all(isinstance(value, str) for value in labels.values()):
        raise TypeError("labels are strings")
    if row.get("histograms"):
        return Series(labels=labels, samples=(), histograms=_histograms(row, since, until, layouts))
    # NaN is left out: it is no value. Prometheus 2 includes a sample at `since`, Prometheus 3 does not; the port's
    # interval is open at that end.
    kept = [
        (at + 0.0, value)
        for at, text in row["values"]
        if since < at <= until and (value := float(text)) == value  # a NaN is not itself
    ]
    kept.sort()
    return Series(labels=labels, samples=tuple(kept))


def _histograms(
    row: dict[str, Any], since: float, until: float, layouts: dict[tuple[Bound, ...], Layout]
) -> tuple[NativeSample, ...]:
    name = shorten(str(row["metric"].get("__name__")))
    if row.get("values"):
        raise RefusedError(f"{name} was a counter and is a native histogram: one series cannot be read as both")
    try:
        read = [read_native(at + 0.0, value, layouts) for at, value in row["histograms"] if since < at <= until]
    except BelowZeroError as error:
        raise RefusedError(f"{name} is a native histogram with {error}: no durations") from None
    return tuple(sorted(read, key=lambda one: one.at))
