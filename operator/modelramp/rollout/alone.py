"""
What an account is held against once stable gets no request any more.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final, assert_never, cast

from modelramp.analysis import Block, Counts, Margins, MetricEvidence, Wealth
from modelramp.analysis.betting import GaugeEvidence
from modelramp.analysis.frozen import alone, freeze_rate, freeze_tails, plan_alone
from modelramp.analysis.tails import TailEvidence
from modelramp.rollout.account import Account, AnyBlock

NO_SLICES: Final[Mapping[str, Block]] = {}


def freeze(account: Account, margins: Margins, *, delta: float) -> Account:
    """
    Stable gets no request any more: from here on what was counted of it before stands for it. Once is enough.

    `delta` is the probability with which that may be wrong. A gauge cannot be judged so, and stays as it is.
    """
    if account.bounds is not None:
        return account
    match account.metric:
        case MetricEvidence() as rate:
            past = account.past[0] if account.past else Counts()
            metric, bounds = freeze_rate(rate, margins.harm, past, delta=delta)
            return replace(account, metric=metric, bounds=bounds)
        case TailEvidence() as tails:
            frozen, bounds = freeze_tails(tails, margins.harm, account.past, delta=delta)
            return replace(account, metric=frozen, bounds=bounds)
        case GaugeEvidence():
            return account
        case unknown:
            assert_never(unknown)


def observe_alone(
    account: Account, block: AnyBlock, slices: Mapping[str, Block], margins: Margins, wealth: Wealth
) -> Account:
    """
    Count one block of an account that is frozen: against these margins for the bounds on stable's rates.

    A slice's rate is not its metric's, so slices are held against limits only, which hold for both.
    """
    match account.metric:
        case TailEvidence() as tails:
            held = replace(tails, plan=plan_alone(tails.plan, margins.harm, account.bounds or ()))
            counted = replace(account, metric=held).observe(block, slices, margins, wealth)
            return replace(counted, metric=replace(cast("TailEvidence", counted.metric), plan=tails.plan))
        case _:
            known = NO_SLICES if account.bounds else slices
            return account.observe(block, known, margins_alone(account, margins), wealth)


def margins_alone(account: Account, margins: Margins) -> Margins:
    """
    What harm and "not worse" mean without stable: these margins for the bound on its rate. Those of durations stand
    in their plan.
    """
    if not account.bounds or isinstance(account.metric, TailEvidence):
        return margins
    (bound,) = account.bounds
    return Margins(harm=alone(margins.harm, bound), ok=alone(margins.ok, bound))
