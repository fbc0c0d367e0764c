"""
Percentages as the integer weights of the Gateway API, and back, without rounding.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

WHOLE: Final = Decimal(100)
LARGEST_WEIGHT: Final = 1_000_000  # the API's maximum; a share has at most four digits after the point, so it suffices


def places(percent: Decimal) -> int:
    """
    Digits after the point.
    """
    exponent = percent.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def weights_of(shares: Mapping[str, Decimal]) -> dict[str, int]:
    """
    The smallest weights by powers of ten that have exactly these proportions: 5 % and 95 % are 5 and 95, 0.25 % and
    99.75 % are 25 and 9975.

    Raises:
        ValueError: the shares are not a whole, or too fine for the API's weights.
    """
    if sum(shares.values()) != WHOLE or min(shares.values()) < 0:
        raise ValueError(f"shares must add up to 100 %: {dict(shares)}")
    scale = 10 ** max(places(percent) for percent in shares.values())
    weights = {name: int(percent * scale) for name, percent in shares.items()}
    if max(weights.values()) > LARGEST_WEIGHT:
        raise ValueError(f"shares are finer than a gateway's weights: {dict(shares)}")
    return weights


def shares_of(weights: Mapping[str, int]) -> dict[str, Decimal]:
    """
    The percentages that weights mean; all 0 when no weight is above 0, since then no request is answered.
    """
    total = sum(weights.values())
    return {name: (weight * WHOLE / total if total else Decimal(0)) for name, weight in weights.items()}
