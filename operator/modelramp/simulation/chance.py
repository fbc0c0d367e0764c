"""
Exact random counts, which Python's library lacks.
"""

import math
from random import Random
from typing import Final

SMALL_MEAN: Final = 12.0  # the rejection method is proved for means from 10 on


def poisson(rng: Random, mean: float) -> int:
    """
    A Poisson number.

    Small means by inversion; others by transformed rejection (Hörmann 1993, Insurance: Mathematics and Economics 12,
    algorithm PTRS), exact for every mean from 10 on.

    Args:
        rng: The source of chance.
        mean: At least 0, finite.

    """
    if mean < SMALL_MEAN:
        return _by_inversion(rng, mean)
    b = 0.931 + 2.53 * math.sqrt(mean)
    a = -0.059 + 0.02483 * b
    inverse_alpha = 1.1239 + 1.1328 / (b - 3.4)
    quick = 0.9277 - 3.6224 / (b - 2.0)
    log_mean = math.log(mean)
    while True:
        u, v = rng.random() - 0.5, 1.0 - rng.random()
        room = 0.5 - abs(u)
        k = math.floor((2.0 * a / room + b) * u + mean + 0.43) if room > 0.0 else -1
        if room >= 0.07 and v <= quick:  # noqa: PLR2004 - a constant of the algorithm, as those above
            return k
        if k < 0 or (room < 0.013 and v > room):  # noqa: PLR2004 - the same
            continue
        if math.log(v * inverse_alpha / (a / (room * room) + b)) <= k * log_mean - mean - math.lgamma(k + 1.0):
            return k


def _by_inversion(rng: Random, mean: float) -> int:
    number, probability = 0, math.exp(-mean)
    left = rng.random() - probability
    while left >= 0.0 and probability > 0.0:
        number += 1
        probability *= mean / number
        left -= probability
    return number


def geometric(rng: Random, mean: float) -> int:
    """
    The size of a cluster: 1 or more, geometric with the mean given (at least 1).
    """
    if mean <= 1.0:
        return 1
    return 1 + int(math.log(1.0 - rng.random()) / math.log1p(-1.0 / mean))


def multiplier(rng: Random, deviation: float) -> float:
    """
    What sets one pod apart: gamma with mean 1 and the standard deviation given (at least 0).
    """
    if deviation <= 0.0:
        return 1.0
    shape = 1.0 / (deviation * deviation)
    return rng.gammavariate(shape, 1.0 / shape)
