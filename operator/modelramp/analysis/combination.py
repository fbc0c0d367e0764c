"""
One verdict from the evidence about many metrics.

Harm is a union: one bad metric is enough, so their evidence is averaged, never multiplied. Promotion is an
intersection: every metric must be shown on its own. This module works on logarithms of evidence and knows neither
counts nor margins.

Sources: Vovk and Wang, merging e-values (arXiv 1912.06116); Wang, only admissible merge (2409.19888); Wang and Ramdas,
e-BH (J. R. Stat. Soc. B 2022, 2009.02824).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from modelramp.analysis.eprocess import LOG_ZERO, log_sum_exp


@dataclass(frozen=True, slots=True)
class Vote:
    """
    The evidence of one metric, bucket edge or slice, and how much it counts.

    Attributes:
        name: What is named as a culprit; not empty, and unlike the other votes' names.
        log_value: Logarithm of the evidence, finite; ``LOG_ZERO`` or less for none left. 0 when nothing was learnt.
        weight: Above 0 up to 1, fixed before the rollout; only the proportions between votes matter.
        critical: Whether the metric is among the critical ones, which share one half of the weight (``balanced``).
        flagged: Whether stable pods were found to differ among themselves on this metric. A flagged vote counts as
            one without wealth and keeps its weight, so flagging can only make the combined evidence smaller.

    Raises:
        ValueError: If a value is out of range.

    """

    name: str
    log_value: float
    weight: float = 1.0
    critical: bool = False
    flagged: bool = False

    def __post_init__(self) -> None:
        """Refuse what no evidence is."""
        if not (self.name and math.isfinite(self.log_value) and 0.0 < self.weight <= 1.0):
            raise ValueError(f"not a vote: {self.name!r}, logarithm {self.log_value}, weight {self.weight}")

    @property
    def counted(self) -> float:
        """Logarithm of the wealth that counts, at least ``LOG_ZERO``."""
        return LOG_ZERO if self.flagged else max(self.log_value, LOG_ZERO)


def shared(parent: Vote, logs: Mapping[str, float]) -> tuple[Vote, ...]:
    """
    Split one metric's vote evenly among its bucket edges or slices, each with evidence of its own.

    The parent's own evidence does not vote, unless the parent is named among them.

    Args:
        parent: Gives the weight to split, and what it is to all of them: critical, flagged.
        logs: Name to logarithm of the evidence, at least one.

    Raises:
        ValueError: If there are none.

    """
    if not logs:
        raise ValueError(f"nothing to share the weight of {parent.name!r}")
    weight = parent.weight / len(logs)
    return tuple(replace(parent, name=name, log_value=log, weight=weight) for name, log in logs.items())


def balanced(votes: Sequence[Vote]) -> tuple[Vote, ...]:
    """
    Give one half of the weight to the critical votes and one half to the others, each in proportion to its own.

    All of it goes to the only kind there is. The weights then sum to 1. Simulated: one metric of ten doubles and is
    found after 5.7 minutes with equal weights, after 4.8 with one half on it.
    """
    whole: dict[bool, float] = {
        kind: math.fsum(vote.weight for vote in votes if vote.critical is kind)
        for kind in {vote.critical for vote in votes}
    }
    return tuple(replace(vote, weight=vote.weight / whole[vote.critical] / len(whole)) for vote in votes)


def combined_log(votes: Sequence[Vote]) -> float:
    """
    Logarithm of the weighted mean of the evidence.

    Evidence against "no metric is harmed", whatever the dependence between the metrics. It is never less than
    Bonferroni's: any vote that alone reaches (sum of weights) / (own weight) / alpha brings the mean to 1 / alpha.
    Without votes 0: nothing was learnt.

    Raises:
        ValueError: If two votes have one name.

    """
    _refuse_twins(votes)
    if not votes:
        return 0.0
    whole = math.log(math.fsum(vote.weight for vote in votes))
    wealthy = [vote.counted + math.log(vote.weight) - whole for vote in votes if vote.counted > LOG_ZERO]
    return log_sum_exp([*wealthy, LOG_ZERO])


def culprit_log(suspect: Vote, others: Sequence[Vote]) -> float:
    """
    Logarithm of the evidence against one vote that holds up beside all the others: closed testing.

    It is the smallest weighted mean over all sets of votes that contain the suspect. Adding a vote lowers a mean
    exactly if the vote lies below it, so the smallest one is found by adding the others from the weakest up for as
    long as the mean falls: no need to look at every set.
    """
    return _lowest_mean([suspect], others)


def _lowest_mean(kept: Sequence[Vote], others: Sequence[Vote]) -> float:
    """Logarithm of the smallest weighted mean over all sets of votes that contain the kept ones, at least one."""
    wealthy = [vote.counted + math.log(vote.weight) for vote in kept if vote.counted > LOG_ZERO]
    if not wealthy:
        return LOG_ZERO
    weight, log_sum = math.fsum(vote.weight for vote in kept), log_sum_exp(wealthy)
    lowest = log_sum - math.log(weight)
    for other in sorted(others, key=lambda vote: vote.counted):
        if other.counted >= lowest:
            break
        weight += other.weight
        log_sum = log_sum_exp((log_sum, other.counted + math.log(other.weight)))
        lowest = log_sum - math.log(weight)
    return lowest


def culprits(votes: Sequence[Vote], *, alpha: float) -> tuple[str, ...]:
    """
    Names of the votes whose harm is shown, strongest first.

    The probability that any innocent is named is at most ``alpha``, over all votes together and however often this is
    asked. It can be empty although the combined evidence suffices: then something is harmful, but not which.

    Args:
        votes: All that the combined evidence is made of.
        alpha: Probability of naming any innocent, above 0, below 1.

    Raises:
        ValueError: If ``alpha`` is out of range or two votes have one name.

    """
    bar = _log_bar(alpha)
    _refuse_twins(votes)
    # No mean over a set with the suspect exceeds the one of the suspect alone, which saves most of the work.
    suspects = [vote for vote in votes if vote.counted >= bar]
    shown = [(culprit_log(one, [vote for vote in votes if vote is not one]), one.name) for one in suspects]
    return tuple(name for log, name in sorted(shown, key=lambda pair: -pair[0]) if log >= bar)


def suspects(votes: Sequence[Vote], *, alpha: float) -> tuple[str, ...]:
    """
    Names of the fewest strongest votes of which at least one is shown to be harmful.

    Two metrics that count the same failures share the evidence, and then neither is certain by itself. That all of
    those named are innocent has a probability of at most ``alpha``. None while the combined evidence does not suffice.

    Args:
        votes: All that the combined evidence is made of.
        alpha: Probability above 0, below 1.

    Raises:
        ValueError: If ``alpha`` is out of range or two votes have one name.

    """
    bar = _log_bar(alpha)
    _refuse_twins(votes)
    ranked = sorted(votes, key=lambda vote: -vote.counted)
    for count in range(1, len(ranked) + 1):
        if _lowest_mean(ranked[:count], ranked[count:]) >= bar:
            return tuple(vote.name for vote in ranked[:count])
    return ()


def discoveries(votes: Sequence[Vote], *, alpha: float) -> tuple[str, ...]:
    """
    Names of a list of slices of which at most a fraction ``alpha`` is expected to be innocent, strongest first.

    The e-BH procedure: of K votes the k strongest, for the largest k at which the k-th reaches K / (k alpha).
    Its promise is weaker than that of ``culprits`` and meant for many slices; weights do not matter. Neither list
    contains the other: with votes of 1.2 and 0.9 times 1 / alpha only ``culprits`` names the first, and with two of
    2.1 times and two without wealth only this names anybody.

    Args:
        votes: All slices looked at, also those that look well.
        alpha: Expected fraction of innocents among those named, above 0, below 1.

    Raises:
        ValueError: If ``alpha`` is out of range or two votes have one name.

    """
    bar = _log_bar(alpha)
    _refuse_twins(votes)
    ranked = sorted(votes, key=lambda vote: -vote.counted)
    count = len(ranked)
    reached = [k for k, vote in enumerate(ranked, start=1) if vote.counted >= math.log(count / k) + bar]
    return tuple(vote.name for vote in ranked[: max(reached, default=0)])


def unmet(votes: Sequence[Vote], *, alpha: float) -> tuple[str, ...]:
    """
    Names of the votes that do not reach 1 / ``alpha`` on their own, in the order given: what promotion waits for.

    No correction for their number is due: a candidate beyond one margin is promoted only if that very metric errs
    (intersection-union test). A flagged vote never reaches it. Without votes nothing is named, which is no evidence:
    whether a rollout without metrics goes on is for the caller to say.

    Args:
        votes: Evidence of "not worse", one per gating metric.
        alpha: Probability of promoting a candidate beyond a margin, above 0, below 1.

    Raises:
        ValueError: If ``alpha`` is out of range or two votes have one name.

    """
    bar = _log_bar(alpha)
    _refuse_twins(votes)
    return tuple(vote.name for vote in votes if vote.counted < bar)


def _log_bar(alpha: float) -> float:
    if not 0.0 < alpha < 1.0:
        raise ValueError(f"not an error probability: {alpha}")
    return -math.log(alpha)


def _refuse_twins(votes: Sequence[Vote]) -> None:
    names = [vote.name for vote in votes]
    if len(set(names)) < len(names):
        raise ValueError(f"two votes of one name among {names}")
