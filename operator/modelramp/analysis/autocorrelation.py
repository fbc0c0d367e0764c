"""
How much of a series of means is news: the time over which its values depend on each other.
"""

import math
from collections.abc import Sequence
from itertools import islice
from typing import Final

MIN_POINTS: Final = 30  # values of a series below which its autocorrelation is mostly noise
MAX_LAG: Final = 240  # four hours of minutes; bounds the work, and never more than a quarter of the series


def autocorrelation_time(series: Sequence[float | None]) -> float | None:
    """
    Return how many values of a series say as much as one independent value: tau = 1 + 2 (sum of autocorrelations).

    The sum runs over lags 1, 2, ... up to the first autocorrelation that is not positive, ``MAX_LAG`` or a quarter of
    the series; a dependence that lasts longer than that is understated. Pairs with a missing value are left out.

    Args:
        series: Evenly spaced values, oldest first; None, NaN or infinite where one is missing.

    Returns:
        At least 1. None if it is not known: fewer than ``MIN_POINTS`` values, values that are all equal, or gaps that
        leave a lag without a single pair.

    """
    values = [_finite(value) for value in series]
    known = [value for value in values if value is not None]
    if len(known) < MIN_POINTS or min(known) == max(known):
        return None
    mean = math.fsum(known) / len(known)
    offsets = [None if value is None else value - mean for value in values]
    spread = math.fsum((value - mean) ** 2 for value in known) / len(known)
    total = 0.0
    for lag in range(1, min(MAX_LAG, len(series) // 4) + 1):
        shared = _covariance(offsets, lag)
        if shared is None:
            return None
        if shared <= 0.0:
            break
        total += shared / spread
    return 1.0 + 2.0 * total


def _covariance(offsets: Sequence[float | None], lag: int) -> float | None:
    pairs = zip(offsets, islice(offsets, lag, None), strict=False)
    products = [early * late for early, late in pairs if early is not None and late is not None]
    return math.fsum(products) / len(products) if products else None


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
