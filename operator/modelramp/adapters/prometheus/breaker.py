"""
When to leave an address alone. Arithmetic on instants it is given; no clock, no I/O.
"""

from dataclasses import dataclass
from typing import Final

FIRST_PAUSE_SECONDS: Final = 1.0
LONGEST_PAUSE_SECONDS: Final = 6.0  # an outage that is over must be noticed within 10 s, connecting included
_MAX_DOUBLINGS: Final = 10
_LEAST_PART: Final = 0.5  # jitter shortens a pause to half at most


@dataclass(slots=True)
class Breaker:
    """
    Failures of one address, and until when it is left alone.

    A failure counts only if nothing was answered since its question was sent: one user's slow question does not make
    the address look down to all others.

    Instants are seconds of any monotonic clock.
    """

    failures: int = 0
    """Since the last success."""
    closed_until: float = 0.0
    last_success: float = float("-inf")
    last_error: str = ""

    def pause_left(self, now: float) -> float:
        """
        Seconds until it may be asked again; 0: now.
        """
        return max(0.0, self.closed_until - now) if self.failures else 0.0

    def succeeded(self, now: float) -> None:
        """
        The address answered; everything is forgiven.
        """
        self.failures, self.last_success, self.last_error = 0, now, ""

    def failed(self, *, sent: float, now: float, jitter: float, error: str) -> None:
        """
        A question sent at `sent` failed at `now`; `jitter` is from 0 to 1.

        Questions that were under way together count as one failure.
        """
        if self.last_success >= sent or (self.failures and sent < self.closed_until):
            return
        pause = min(FIRST_PAUSE_SECONDS * 2 ** min(self.failures, _MAX_DOUBLINGS), LONGEST_PAUSE_SECONDS)
        self.failures += 1
        self.closed_until = now + pause * (_LEAST_PART + (1 - _LEAST_PART) * jitter)
        self.last_error = error
