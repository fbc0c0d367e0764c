"""
What Prometheus' HTTP API is asked, and within which limits. No I/O.
"""

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from modelramp.ports import SamplesQuestion

QUERY_PATH: Final = "/api/v1/query"
TOTAL_SECONDS: Final = 10.0
CONNECT_SECONDS: Final = 3.0  # with the breaker's longest pause: an outage that is over is noticed within 10 s
MAX_ANSWER_BYTES: Final = 8 * 1024 * 1024  # about 10,000 series of 20 samples; parsed it is some seven times as large
_EPOCH: Final = datetime.fromtimestamp(0, UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """
    How long and how large an answer may be.
    """

    total_seconds: float = TOTAL_SECONDS
    """From sending the question to the last byte; waiting for one's turn is not part of it."""
    connect_seconds: float = CONNECT_SECONDS
    answer_bytes: int = MAX_ANSWER_BYTES


def form(question: SamplesQuestion, limits: Limits) -> dict[str, str]:
    """
    The fields of an instant query for `SELECTOR[RANGE]`.
    """
    # Prometheus keeps milliseconds: outward to whole ones, and the reader of the answer cuts to the exact interval.
    since, until = ((at - _EPOCH) / _MILLISECOND for at in (question.since, question.until))
    first, last = math.floor(since), math.ceil(until)
    return {
        "query": f"{question.selector}[{last - first}ms]",
        "time": f"{last // 1000}.{last % 1000:03d}",
        "timeout": f"{int(limits.total_seconds * 1000)}ms",
        "partial_response": "false",  # Thanos: an error instead of part of the answer; Prometheus ignores it
    }
