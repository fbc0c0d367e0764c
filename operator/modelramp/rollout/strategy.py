"""
Strategies compile to steps; one machine walks them.
"""

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from functools import lru_cache

from modelramp.analysis import Wealth, wealth_schedule
from modelramp.api.spec import Analysis, Strategy

WHOLE = Decimal(100)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """
    A share of live traffic, and what must hold before the next one.
    """

    percent: Decimal
    """The candidate's share, above 0 up to 100."""
    next_share: float | None
    """The share it is certified for, as a fraction; None: it has everything, nothing is left to compare it with."""
    soak: timedelta
    deadline: timedelta


@lru_cache(maxsize=256)  # a decision asks dozens of times; strategies are frozen and few
def compile_steps(strategy: Strategy) -> tuple[Step, ...]:
    """
    The steps of a canary. A last step below 100 % is certified for 100 %, which the promotion then gives.
    """
    canary = strategy.canary
    shares = [step.traffic.percent for step in canary.steps]
    following = [*shares[1:], WHOLE]
    return tuple(
        Step(
            percent=share,
            next_share=None if share == WHOLE else float(after / WHOLE),
            soak=(step.soak or canary.soak).timedelta,
            deadline=canary.step_deadline.timedelta,
        )
        for share, after, step in zip(shares, following, canary.steps, strict=True)
    )


def step_of(strategy: Strategy, percent: Decimal) -> Step:
    """
    The step at this share as the spec has it now. A share the spec no longer lists keeps the strategy's defaults.
    """
    listed = compile_steps(strategy)
    same = next((step for step in listed if step.percent == percent), None)
    if same is not None:
        return same
    above = next((step.percent for step in listed if step.percent > percent), WHOLE)
    canary = strategy.canary
    next_share = None if percent == WHOLE else float(above / WHOLE)
    return Step(
        percent=percent, next_share=next_share, soak=canary.soak.timedelta, deadline=canary.step_deadline.timedelta
    )


def following(strategy: Strategy, percent: Decimal) -> tuple[int, Step] | None:
    """
    The next step above a share with its index; None: there is none, promotion follows.
    """
    return next(((index, step) for index, step in enumerate(compile_steps(strategy)) if step.percent > percent), None)


def wealth_of(strategy: Strategy, analysis: Analysis) -> Wealth:
    """
    How the harm wealth is spread over start, steps and blocks; fixed by the spec before the first block.
    """
    judged = [step for step in compile_steps(strategy) if step.next_share is not None]
    planned = sum((step.deadline for step in judged), timedelta()) / analysis.interval.timedelta
    return wealth_schedule(planned_blocks=max(1, round(planned)), later_steps=max(0, len(judged) - 1))
