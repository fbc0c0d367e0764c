"""
How many times the stable arm's rate the candidate's is: an interval to show people, true at every look.

It accompanies the verdict and never makes one.

The logarithm of the likelihood of each ratio rho, given the sums of events, is kept on a fixed grid:
l(rho) = sum of [x_c ln rho - (x_c + x_s) ln(rho n_c + n_s)] / phi over blocks. If rho is the true ratio, the mean over
the grid of exp(l(rho_j) - l(rho)) is a mixture of the products of ``eprocess.log_factor``, so it reaches 20 with
probability at most 1/20, at any time. The ratios for which it has not are the 95 % interval.

Source: Howard, Ramdas, McAuliffe and Sekhon, confidence sequences (arXiv 1810.08240); Lindon and Malek (2011.03567).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from modelramp.analysis.block import Block
from modelramp.analysis.eprocess import LOG_DECIMALS, log_sum_exp

POINTS: Final = 33
LOG_STEP: Final = 10.0 * math.log(2.0) / (POINTS - 1)  # neighbours differ by a factor of 1.24
LOG_RATIOS: Final = tuple((j - POINTS // 2) * LOG_STEP for j in range(POINTS))
"""Logarithms of the 33 ratios from 1/32 to 32, evenly spaced, 1 in the middle."""

EXCESSES: Final = tuple(map(math.expm1, LOG_RATIOS))
"""The ratios minus 1."""

DEEPEST: Final = 99999.9
"""Depths beyond it, which take millions of events, are cut off. All that decides at 95 % lies less than 6.5 deep."""


@dataclass(frozen=True, slots=True)
class RatioInterval:
    """
    Bounds of candidate rate / stable rate.

    Attributes:
        low: Smallest ratio that is not refuted; None if it lies below 1/32, or nothing is known.
        high: Largest ratio that is not refuted; None if it lies above 32, or nothing is known.

    """

    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class RatioSequence:
    """
    The likelihoods of the ratios after some blocks.

    Only differences between them matter, so each is kept as its distance below the greatest, in six digits of which at
    most four are decimals, in memory as in the stored form: at most 259 bytes of compact JSON, and a restart changes
    nothing. All 33 are needed because the split changes; with one split throughout, four sums would do.

    Attributes:
        depths: One for each of ``LOG_RATIOS``: greatest logarithm of a likelihood minus this one's, 0 to ``DEEPEST``.

    Raises:
        ValueError: If there are not 33 depths, or one is out of range, or none is 0.

    """

    depths: tuple[float, ...] = (0.0,) * POINTS

    def __post_init__(self) -> None:
        """Refuse what no observation leaves behind."""
        if len(self.depths) != POINTS or not all(0.0 <= depth <= DEEPEST for depth in self.depths) or min(self.depths):
            raise ValueError(f"not the likelihoods of {POINTS} ratios: {self.depths}")

    def observe(self, block: Block, phi: float = 1.0) -> "RatioSequence":
        """
        Count one block (the caller sees to it that each is counted once).

        It says nothing where an arm had no exposures.

        Args:
            block: Counts of both arms.
            phi: Overdispersion, at least 1: counts are divided by it.

        Raises:
            ValueError: If ``phi`` is out of range.

        """
        if not 1.0 <= phi < math.inf:
            raise ValueError(f"overdispersion below 1: {phi}")
        candidate, stable = block.candidate, block.stable
        if candidate.n == 0.0 or stable.n == 0.0:
            return self
        events, part = candidate.x + stable.x, candidate.n / (candidate.n + stable.n)
        logs = [
            # Relative to the ratio 1, which changes no difference and keeps large counts from cancelling each other.
            (candidate.x * log_ratio - events * math.log1p(part * excess)) / phi - depth
            for log_ratio, excess, depth in zip(LOG_RATIOS, EXCESSES, self.depths, strict=True)
        ]
        top = max(logs)
        return RatioSequence(tuple(_stored(top - log) for log in logs))

    def interval(self, alpha: float = 0.05) -> RatioInterval:
        """
        Ratios not refuted so far.

        It contains the true ratio at all times together with probability at least 1 - ``alpha``, if that ratio is the
        same in all blocks; the rates may change as they like. However much was counted, its bounds stay about as far
        from the truth as the nearest ratio of the grid is: midway between two, a factor of 1.24 stays open. Between two
        ratios of the grid a bound errs outwards, but for the rounding of the depths.

        Args:
            alpha: Probability of ever missing the truth, above 0, below 1.

        Raises:
            ValueError: If ``alpha`` is out of range.

        """
        if not 0.0 < alpha < 1.0:
            raise ValueError(f"not an error probability: {alpha}")
        # A ratio is refuted from this depth on: mean likelihood / its likelihood >= 1 / alpha.
        refuted = -math.log(alpha) + math.log(POINTS) - log_sum_exp([-depth for depth in self.depths])
        below = _crossing(self.depths, refuted)
        above = _crossing(self.depths[::-1], refuted)
        return RatioInterval(
            low=None if below is None else math.exp(LOG_RATIOS[0] + below),
            high=None if above is None else math.exp(LOG_RATIOS[-1] - above),
        )

    def to_state(self) -> list[float]:
        """Depths, fit for JSON; whole ones without their ".0"."""
        return [int(depth) if depth.is_integer() else depth for depth in self.depths]

    @classmethod
    def from_state(cls, state: Sequence[float]) -> "RatioSequence":
        """
        Restore exactly what ``to_state`` wrote.

        Raises:
            ValueError: If the state is damaged or of another grid.

        """
        return cls(tuple(map(float, state)))


def always_valid_p(highest_log: float) -> float:
    """
    Probability to show people for evidence: 1 / the highest evidence so far, at most 1.

    At or below alpha at any time with probability at most alpha under the null, however often one looks.

    Args:
        highest_log: Largest logarithm of the evidence so far. The present one is valid as well, only larger in p.

    Raises:
        ValueError: If it is not a number.

    """
    if math.isnan(highest_log):
        raise ValueError("no logarithm of evidence")
    return math.exp(-max(0.0, highest_log))


def _crossing(depths: Sequence[float], refuted: float) -> float | None:
    """
    How far from the first ratio (in its logarithm) everything is refuted; None if not even the first is.

    Between two ratios of the grid a depth sags below their straight line by at most s (1 - s) / 2 times the largest
    curvature there (s = 0 to 1 from one to the other); interpolating straight would err inwards. Every block's
    likelihood is logistic in the logarithm of the ratio, where a curvature changes by at most a factor e per unit. The
    one between two ratios is therefore at most exp(LOG_STEP) times the second difference at either of them.
    """
    if depths[0] < refuted:
        return None
    inside = next(j for j, depth in enumerate(depths) if depth < refuted)  # the depth of 0 always is
    outside = inside - 1
    known = [
        left - 2.0 * middle + right
        for left, middle, right in (depths[j - 1 : j + 2] for j in (outside, inside) if 0 < j < len(depths) - 1)
        if max(left, right) < DEEPEST  # a depth cut off makes the curvature look too small
    ]
    if not known:
        return outside * LOG_STEP
    sag = 0.5 * math.exp(LOG_STEP) * max(min(known), 0.0)
    above, fall = depths[outside] - refuted, depths[outside] - depths[inside] + sag
    # The smaller root of above - fall s + sag s^2, written so that a sag of 0 divides nothing.
    return (outside + 2.0 * above / (fall + math.sqrt(fall * fall - 4.0 * sag * above))) * LOG_STEP


def _stored(depth: float) -> float:
    return min(round(depth, min(LOG_DECIMALS, 6 - len(str(int(depth))))), DEEPEST)
