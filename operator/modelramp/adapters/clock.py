"""
The only reader of the clocks.
"""

import time
from datetime import UTC, datetime


class SystemClock:
    """
    The machine's wall clock.
    """

    def now(self) -> datetime:
        """
        Aware UTC.
        """
        return datetime.now(UTC)


def monotonic() -> float:
    """
    Seconds on a clock that never goes backwards; only differences mean anything.
    """
    return time.monotonic()
