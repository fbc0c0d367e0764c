"""
Evidence about a limit that needs no stable arm: an objective such as "at most 2 % errors".

Two forms of the same bet. The one of ``eprocess`` counts events only and loses strength as they get common: at a rate
of 30 % a third of the information is lost. Above ``COMMON`` the exposures without event are counted too.
"""

import math
from typing import Final

from modelramp.analysis.block import Counts
from modelramp.analysis.eprocess import Null, log_factor

COMMON: Final = 0.1
"""Limits above it use the Bernoulli form. Both forms are valid on either side; the limit is fixed before the first
block, so the choice is too."""

DEAREST: Final = 10.0
"""A harm bet loses at most this factor by one exposure without event: the rate bet on stays at or below
1 - (1 - limit) / 10, above the limit and below 1."""

OK_FACTOR: Final = 1.5
"""A candidate is shown to keep a limit by refuting that its rate is this many times the limit or more. The room between
the two is where either answer is right."""


def ok_limit(limit: float) -> float:
    """
    Rate to refute (with bets below 1) in order to show that ``limit`` is kept: 1.5 times it.

    From a limit of 0.5 on the middle between it and 1, as no rate is above 1.

    Args:
        limit: Highest rate allowed, above 0, below 1.

    Raises:
        ValueError: If it is out of range; at 0 nothing could ever be shown.

    """
    if not 0.0 < limit < 1.0:
        raise ValueError(f"not a limit that can be shown to be kept: {limit}")
    return min(OK_FACTOR * limit, (1.0 + limit) / 2.0)


def absolute_log_factor(counts: Counts, *, limit: float, theta: float, phi: float = 1.0) -> float:
    """
    Logarithm of what one block multiplies the wealth of one bet on an absolute rate by.

    Up to a limit of 0.1 ``log_factor`` without a stable arm: x ln theta - limit n (theta - 1). Above, with the rate bet
    on p = theta limit (bounded by ``DEAREST``), the Bernoulli form x ln(p / limit) + (n - x) ln((1 - p) / (1 - limit)).
    Both divided by ``phi``. The latter is expected to be at most 1 also for exposures of different rates, as long as
    their mean keeps the limit: its expectation is the product of terms linear in the single rates, and by the
    inequality of the means no product exceeds the one of their mean.

    Args:
        counts: Of the candidate alone, in the block. Without exposures the answer is 0.
        limit: Rate at the border of the null, at least 0, below 1.
        theta: Rate / limit that is bet on, above 0, not 1. Above 1 refutes "rate <= limit" (harm), below 1 refutes
            "rate >= limit"; pass ``ok_limit`` of the objective there.
        phi: Overdispersion, at least 1.

    Raises:
        ValueError: If a number is out of range.

    """
    if not (0.0 <= limit < 1.0 and 0.0 < theta < math.inf and theta != 1.0 and 1.0 <= phi < math.inf):
        raise ValueError(f"not a bet on a rate: limit {limit}, theta {theta}, phi {phi}")
    if limit <= COMMON:
        return log_factor(counts, Counts(), theta=theta, null=Null(0.0, limit), phi=phi)
    room = 1.0 - limit
    rate = min(theta * limit, 1.0 - room / DEAREST)
    return (counts.x * math.log(rate / limit) + (counts.n - counts.x) * math.log((1.0 - rate) / room)) / phi
