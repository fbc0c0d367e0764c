"""
Mirrored requests as counts for the one test: both arms answer the same request, only the stable answer is used.

The joint outcome of a pair is what tells; two separate counters of failures lose most of it. This module turns outcomes
of pairs into counts and margins and judges neither. Nobody is exposed in shadow.

The bound of ``log_factor`` needs no independence between the two answers to one request: with the bets a and r of the
two arms, (a - 1)(r - 1) <= 0, so E[a^y r^z] <= 1 + E[y](a - 1) + E[z](r - 1) whatever their dependence. It needs
independence between requests.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from modelramp.analysis.block import Block, Counts
from modelramp.analysis.eprocess import Null
from modelramp.analysis.margin import Margins
from modelramp.analysis.split import complement


@dataclass(frozen=True, slots=True)
class PairCounts:
    """
    Joint outcomes of mirrored requests.

    Attributes:
        pairs: Requests that both arms answered, finite, at least 0.
        only_candidate_bad: Pairs in which the candidate's answer was bad and the stable one good.
        only_stable_bad: Pairs in which the stable answer was bad and the candidate's good.
        both_bad: Pairs in which both were. They tell nothing about a difference.

    Raises:
        ValueError: If a number is negative or the outcomes are more than the pairs.

    """

    pairs: float = 0.0
    only_candidate_bad: float = 0.0
    only_stable_bad: float = 0.0
    both_bad: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what no counting can give."""
        outcomes = (self.only_candidate_bad, self.only_stable_bad, self.both_bad)
        if not (all(one >= 0.0 for one in outcomes) and math.fsum(outcomes) <= self.pairs < math.inf):
            raise ValueError(f"not pairs: outcomes {outcomes} among {self.pairs}")

    def __add__(self, other: "PairCounts") -> "PairCounts":
        """Add the pairs of two disjoint stretches of time."""
        return PairCounts(
            self.pairs + other.pairs,
            self.only_candidate_bad + other.only_candidate_bad,
            self.only_stable_bad + other.only_stable_bad,
            self.both_bad + other.both_bad,
        )


@dataclass(frozen=True, slots=True)
class Comparison:
    """
    One stretch of shadow traffic in the form that evidence counts.

    Attributes:
        candidate: Counts in the candidate's place.
        stable: Counts in the stable arm's place; none where the margins are absolute.
        margins: What harm and "not worse" mean for these counts.

    """

    candidate: Counts
    stable: Counts
    margins: Margins

    def block(self, start: datetime, end: datetime) -> Block:
        """Return the counts as those of the time (start, end]; ValueError as for ``Block``."""
        return Block(start, end, self.candidate, self.stable)


def paired(pairs: PairCounts, *, tolerated: float, unacceptable: float) -> Comparison:
    """
    Compare the arms' bad answers by their discordant pairs alone: McNemar's test in sequential form.

    The margins are on the difference of the two rates, for which pairs that are both bad cancel (rho is 1). With 1 %
    bad answers of stable, 1.2 % of the candidate and 0.8 % of both, a quarter of the pairs suffices.

    Args:
        pairs: Joint outcomes.
        tolerated: Extra bad answers of the candidate that are no harm, as a fraction of pairs, at least 0.
        unacceptable: Extra bad answers that "not worse" excludes, above ``tolerated``, below 1.

    Raises:
        ValueError: If the margins are out of order.

    """
    return Comparison(
        candidate=Counts(pairs.pairs, pairs.only_candidate_bad),
        stable=Counts(pairs.pairs, pairs.only_stable_bad),
        margins=_ordered(1.0, tolerated, unacceptable),
    )


def agreement(answers: Counts, *, tolerated: float, unacceptable: float) -> Comparison:
    """
    Compare the candidate's disagreements with an absolute limit.

    Args:
        answers: Pairs and the disagreements among them, or those further apart than a tolerance (``tail_above``).
        tolerated: Fraction of disagreements that is no harm (d0), at least 0.
        unacceptable: Fraction that "not worse" excludes (d1), above ``tolerated``, below 1.

    Raises:
        ValueError: If the margins are out of order.

    """
    return Comparison(candidate=answers, stable=Counts(), margins=_ordered(0.0, tolerated, unacceptable))


def self_agreement(
    answers: Counts, control: Counts, *, rho: float, tolerated: float, unacceptable: float
) -> Comparison:
    """
    Compare the candidate's disagreements with those of the stable arm with itself.

    A model that samples its answers differs from itself. A slice of requests is therefore also mirrored from stable to
    stable; it may be of the same requests as the candidate's mirror or of others.

    Args:
        answers: Pairs of candidate and stable, and the disagreements among them.
        control: Pairs of stable and stable, and the disagreements among them.
        rho: Factor on the stable arm's disagreement with itself, above 0.
        tolerated: Disagreements beyond it that are no harm, as a fraction of pairs, at least 0.
        unacceptable: Disagreements beyond it that "not worse" excludes, above ``tolerated``, below 1.

    Raises:
        ValueError: If the margins are out of order or ``rho`` is not above 0.

    """
    if not 0.0 < rho < math.inf:
        raise ValueError(f"no factor on the stable arm's disagreement with itself: {rho}")
    return Comparison(candidate=answers, stable=control, margins=_ordered(rho, tolerated, unacceptable))


def tail_above(cumulative: Mapping[float, float], tolerance: float) -> Counts:
    """
    Count the pairs whose answers lie further apart than a tolerance, in a histogram of distances.

    Args:
        cumulative: Pairs with a distance of at most each bucket edge, up to the edge infinity.
        tolerance: Largest distance that is agreement: one of the edges, as nothing between them is known.

    Raises:
        ValueError: If the histogram is none, or the tolerance is not one of its finite edges (which it lists).

    """
    (within,) = at_edges(cumulative, (tolerance,))
    return complement(within)


def at_edges(cumulative: Mapping[float, float], edges: Sequence[float]) -> tuple[Counts, ...]:
    """
    Count the values at or below each of some bucket edges of a histogram.

    Args:
        cumulative: Values at or below each edge, up to the edge infinity, which counts all.
        edges: Finite edges of it.

    Raises:
        ValueError: If the histogram is none, or one of the edges is not of it (the message lists those that are).

    """
    known = sorted(cumulative)
    counts = [0.0, *(cumulative[edge] for edge in known)]
    if not known or known[-1] != math.inf or any(low > high for low, high in pairwise(counts)):
        raise ValueError(f"not a cumulative histogram: {dict(cumulative)}")
    strange = [edge for edge in edges if edge not in known[:-1]]
    if strange:
        raise ValueError(f"no bucket edges: {strange}; there are {known[:-1]}")
    return tuple(Counts(counts[-1], cumulative[edge]) for edge in edges)


def _ordered(rho: float, tolerated: float, unacceptable: float) -> Margins:
    if not 0.0 <= tolerated < unacceptable < 1.0:
        raise ValueError(f"margins out of order: tolerated {tolerated}, unacceptable {unacceptable}")
    return Margins(harm=Null(rho, tolerated), ok=Null(rho, unacceptable))
