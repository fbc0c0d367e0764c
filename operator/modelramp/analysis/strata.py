"""
Evidence about one metric whose traffic is of several kinds.

If candidate and stable serve different mixtures of paths, model variants or GPU types, the pooled rates differ although
no rate does, or agree although all differ (Simpson's paradox). Each kind is then compared with its own like: the
logarithms of the factors are summed over the strata, per bet, before the bets are mixed.

Source: Turner and Grünwald, stratified counts (arXiv 2302.11401).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from modelramp.analysis.block import Block
from modelramp.analysis.eprocess import (
    HIGHEST_LOG,
    LOG_DECIMALS,
    LOG_ZERO,
    LOWEST_LOG,
    EProcess,
    Null,
    log_factor,
)


def strata_log_factors(
    strata: Mapping[str, Block], grid: Sequence[float], *, null: Null, phi: float = 1.0
) -> tuple[float, ...]:
    """
    Logarithm of what the strata of one block together multiply the wealth of each bet by.

    Each stratum has its own split, and its own bet by it. One without a comparison, because an arm had no exposures,
    adds 0. The sum refutes that the margin holds *in every* stratum; of which stratum it speaks it does not say. With
    bets below 1 that leaves a gap: a candidate beyond the margin in one stratum passes if others outweigh it. A stratum
    that must not be outweighed needs a metric of its own.

    Args:
        strata: Name to the counts of that stratum, all over the same stretch of time, no event in two of them. Names
            may come and go from block to block. None of them: all zeros.
        grid: Effects bet on, each above 0 and not 1.
        null: The margin tested in every stratum.
        phi: Overdispersion, at least 1, of every stratum.

    Raises:
        ValueError: If the strata's blocks differ in time.

    """
    if len({(block.start, block.end) for block in strata.values()}) > 1:
        raise ValueError(f"strata of different stretches of time: {sorted(strata)}")
    return tuple(
        math.fsum(
            log_factor(block.candidate, block.stable, theta=theta, null=null, phi=phi) for block in strata.values()
        )
        for theta in grid
    )


def multiplied(process: EProcess, log_factors: Sequence[float]) -> EProcess:
    """
    Multiply every bet by its own factor, rounded and bounded as ``EProcess.update`` does.

    Raises:
        ValueError: If there are not as many factors as bets.

    """
    return replace(process, logs=tuple(_grown(log, gain) for log, gain in zip(process.logs, log_factors, strict=True)))


def updated(process: EProcess, strata: Mapping[str, Block], null: Null, phi: float = 1.0) -> EProcess:
    """
    Multiply every bet by its factor for the strata of one block; with one stratum the same as ``EProcess.update``.

    Raises:
        ValueError: If the strata's blocks differ in time.

    """
    return multiplied(process, strata_log_factors(strata, process.grid, null=null, phi=phi))


def _grown(log: float, gain: float) -> float:
    grown = log + gain
    if log <= LOG_ZERO or grown < LOWEST_LOG:
        return LOG_ZERO
    return round(min(grown, HIGHEST_LOG), LOG_DECIMALS)
