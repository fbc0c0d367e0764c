"""
Which requests are compared, and which of them are controls: by a hash of the request's id, so every replica, and every
other program that hashes alike, chooses the same ones.
"""

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

_HALF: Final = 8  # bytes: one half of the digest samples, the other one chooses controls, independently
_SPARE_BITS: Final = 8 * _HALF - 53  # a float has 53: with more of them some fractions would be rounded up to 1


class Lot(StrEnum):
    """
    What becomes of a request.
    """

    UNSAMPLED = "unsampled"
    """Nothing."""
    PAIR = "pair"
    """Stable and candidate are asked."""
    CONTROL = "control"
    """Stable is asked twice: how often it disagrees with itself is the noise floor."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """
    Shares of requests.

    Attributes:
        sample: Of all requests those that are compared, 0 to 1.
        control: Of those the controls, 0 to 1. They are not asked of the candidate.

    """

    sample: float = 1.0
    control: float = 0.1

    def lot(self, request_id: str) -> Lot:
        """
        The same for the same id, always; a larger share keeps what a smaller one had chosen.
        """
        digest = hashlib.blake2b(request_id.encode(errors="surrogateescape"), digest_size=2 * _HALF).digest()
        sampled, controlled = (_fraction(half) for half in (digest[:_HALF], digest[_HALF:]))
        if sampled >= self.sample:
            return Lot.UNSAMPLED
        return Lot.CONTROL if controlled < self.control else Lot.PAIR


def _fraction(half: bytes) -> float:
    """
    From 0 to below 1.
    """
    return (int.from_bytes(half) >> _SPARE_BITS) / 2**53
