"""
The one statistical primitive: a test that may be looked at after every block.

Everything here is exact arithmetic on logarithms. It knows no metric, no share of traffic and no threshold.

A factor is what one block says about a null hypothesis on the candidate's and the stable arm's event rates. Its
expectation is at most 1 while the null holds, whatever the rates do over time and however traffic is split, so the
product over blocks (the wealth of somebody betting against the null) reaches 1/alpha with probability at most alpha:
Ville's inequality. Many bets are mixed, because the size of the effect is not known beforehand.

Source: Waudby-Smith and Ramdas, betting (arXiv 2010.09686); Lindon and Malek, anytime-valid counts (2011.03567).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from modelramp.analysis.block import Block, Counts

HARM_GRID: Final = (1.25, 1.6, 2.2, 3.2, 5.0, 8.0, 16.0, 50.0)
"""Effects (candidate rate / allowed rate) bet on to show harm. Simulated: 6, 8 or 13 points differ little (1.34 to
1.58 times the best possible delay over effects of 1.3 to 40), 20 points are worse."""

OK_GRID: Final = (0.85, 0.7, 0.55, 0.4, 0.25, 0.12, 0.03)
"""Effects bet on to show that the candidate is not worse than its margin; same simulations."""

LOG_ZERO: Final = -9999.0
"""Stands for ln 0: JSON has no infinity."""

LOG_DECIMALS: Final = 4  # dumping and restoring after each of 960 blocks moved ln M by 0.00014

LOWEST_LOG: Final = -999.0
HIGHEST_LOG: Final = 999.0
"""Wealth below exp(-999) is given up as 0 and wealth above exp(999) is not kept: both only ever lower the evidence, and
they bound the size of the state."""

AS_WON: Final = 0.75
"""Of the bets begun again after a finding that somebody overruled, the part that is spread as they had won: what was
found once is looked for first. The rest is spread evenly, for harm of another size."""

AMOUNT_DECIMALS: Final = 6  # amounts of wealth are multiples of a millionth, so that subtracting them is exact


@dataclass(frozen=True, slots=True)
class Null:
    """
    A margin: ``rho`` times the stable rate plus ``epsilon``.

    Bets above 1 refute "candidate rate <= margin"; bets below 1 refute "candidate rate >= margin".

    Attributes:
        rho: Factor on the stable arm's rate, at least 0. 0 makes the margin absolute, and the stable arm unneeded.
        epsilon: Absolute rate added, at least 0 (0.01 = one event per 100 exposures).

    Raises:
        ValueError: If a number is negative or not finite.

    """

    rho: float
    epsilon: float

    def __post_init__(self) -> None:
        """Refuse what is no margin."""
        if not (0.0 <= self.rho < math.inf and 0.0 <= self.epsilon < math.inf):
            raise ValueError(f"not a margin: rho {self.rho}, epsilon {self.epsilon}")


def log_factor(candidate: Counts, stable: Counts, *, theta: float, null: Null, phi: float = 1.0) -> float:
    """
    Logarithm of what one block multiplies the wealth of one bet by.

    With the bet a = theta (rho n_c + n_s) / (theta rho n_c + n_s), which follows the block's own split, it is
    [x_c ln a + x_s ln(1 - rho (n_c/n_s)(a - 1)) - epsilon n_c (a - 1)] / phi. 0 (no evidence) where nothing can be
    compared: without candidate exposures, or without stable ones when the margin needs them.

    Args:
        candidate: The candidate's counts in the block.
        stable: The stable arm's counts in the same block.
        theta: Candidate rate / allowed rate that is bet on, above 0, not 1. Above 1 for harm, below 1 for "not worse".
        null: The margin tested.
        phi: Overdispersion, at least 1: counts are divided by it, exactly right for events in clusters of at most phi.

    """
    if candidate.n == 0.0 or (null.rho > 0.0 and stable.n == 0.0):
        return 0.0
    allowed = null.rho * candidate.n
    # The stable arm's multiplier r = 1 - rho (n_c/n_s)(a - 1), written so that nothing cancels; then a = theta r.
    keep = (allowed + stable.n) / (theta * allowed + stable.n) if null.rho > 0.0 else 1.0
    log_keep = math.log(keep)
    log_bet = math.log(theta) + log_keep
    stake = (theta - 1.0) * (stable.n / (theta * allowed + stable.n) if null.rho > 0.0 else 1.0)  # a - 1
    return (candidate.x * log_bet + stable.x * log_keep - null.epsilon * candidate.n * stake) / phi


def log_sum_exp(logs: Sequence[float]) -> float:
    """Logarithm of the sum of the exponentials, without overflow; ``LOG_ZERO`` when all of them are 0."""
    top = max(logs)
    if top <= LOG_ZERO:
        return LOG_ZERO
    return top + math.log(math.fsum([math.exp(log - top) for log in logs]))


def _log_add(one: float, other: float) -> float:
    """``log_sum_exp`` of two, to the last bit: 1.0 is exp(0.0), and two numbers' exact sum is rounded once, as +."""
    low, top = (one, other) if one < other else (other, one)
    return LOG_ZERO if top <= LOG_ZERO else top + math.log(math.exp(low - top) + 1.0)


@dataclass(frozen=True, slots=True)
class Wealth:
    """
    When harm evidence starts its bets, as fractions of the whole.

    Wealth started late finds a candidate that goes bad late: with all of it started at once, a doubled error rate that
    begins ten minutes into the last step is missed 95 times of 100.

    Attributes:
        at_start: Started with the rollout.
        per_step: Started with every later step.
        per_block: Started with every block.

    """

    at_start: float
    per_step: float
    per_block: float

    def at_level(self, level: float) -> "Wealth":
        """Return what is started later by evidence that began with so much of the wealth (0 to 1)."""
        if level == 1.0:
            return self
        per_step, per_block = (round(level * one, AMOUNT_DECIMALS) for one in (self.per_step, self.per_block))
        return Wealth(self.at_start, per_step, per_block)


def wealth_schedule(*, planned_blocks: int, later_steps: int) -> Wealth:
    """
    Half at the start, a quarter over the later steps, a quarter over the planned blocks.

    Without later steps their quarter joins that of the blocks. Amounts are cut to whole millionths.

    Args:
        planned_blocks: Blocks until the last step's deadline (sum of step deadlines / block length), at least 1. Should
            more of them come, they use what the steps have not; never more than the whole.
        later_steps: Steps after the first that are entered with evidence running, at least 0.

    Raises:
        ValueError: If a count is out of range.

    """
    if planned_blocks < 1 or later_steps < 0:
        raise ValueError(f"no schedule for {planned_blocks} blocks and {later_steps} later steps")
    unit = 10.0**AMOUNT_DECIMALS
    for_blocks = 0.25 if later_steps else 0.5
    per_step = math.floor(0.25 * unit / later_steps) / unit if later_steps else 0.0
    return Wealth(at_start=0.5, per_step=per_step, per_block=math.floor(for_blocks * unit / planned_blocks) / unit)


@dataclass(frozen=True)  # no slots: a decision asks for the value several times, and it is derived once
class EProcess:
    """
    The wealth of a mixture of bets against one null.

    Each bet's wealth is kept rounded to four decimals of its logarithm, in memory as in the stored form, so that a
    restart changes nothing at all. One rounding is at most 0.00005 in the logarithm, in either direction.

    Attributes:
        grid: Effects bet on, equally weighted.
        logs: Logarithm of each bet's wealth, relative to its even share; ``LOG_ZERO`` for none.
        unstarted: Fraction of the whole wealth not yet bet, 0 to 1. It counts at face value.

    """

    grid: tuple[float, ...]
    logs: tuple[float, ...]
    unstarted: float

    def __post_init__(self) -> None:
        """Refuse a state that does not fit its grid."""
        if len(self.grid) != len(self.logs) or not 0.0 <= self.unstarted <= 1.0:
            raise ValueError(f"{len(self.logs)} bets on {len(self.grid)} effects with {self.unstarted} unstarted")

    @classmethod
    def begin(cls, grid: tuple[float, ...], *, started: float = 1.0) -> "EProcess":
        """Open an account of wealth 1, of which the fraction ``started`` (0 to 1) is bet from the first block on."""
        return cls(grid, (LOG_ZERO,) * len(grid), 1.0).start_wealth(started)

    @cached_property
    def log_value(self) -> float:
        """Logarithm of the evidence: mean wealth of the bets plus what is unstarted. 0 when nothing was learnt."""
        even = -math.log(len(self.grid))
        waiting = math.log(self.unstarted) if self.unstarted > 0.0 else LOG_ZERO
        return log_sum_exp([*(log + even for log in self.logs if log > LOG_ZERO), waiting])

    def start_wealth(self, amount: float) -> "EProcess":
        """
        Bet a further ``amount`` of the whole (at least 0), or what is left of it; the value stays as it is.

        The amount must not depend on the block it is bet on. Under that rule any schedule keeps the error bound.
        """
        amount = min(amount, self.unstarted)
        if amount <= 0.0:
            return self
        fresh = math.log(amount)
        logs = tuple([_stored(_log_add(log, fresh)) for log in self.logs])
        return EProcess(self.grid, logs, round(self.unstarted - amount, AMOUNT_DECIMALS))

    def forfeit(self, amount: float) -> "EProcess":
        """
        Give up an ``amount`` of the wealth that is not started, for good.

        Raises:
            ValueError: If it is negative or more than there is.

        """
        if not 0.0 <= amount <= self.unstarted:
            raise ValueError(f"cannot give up {amount:g} of {self.unstarted:g} unstarted")
        return EProcess(self.grid, self.logs, round(self.unstarted - amount, AMOUNT_DECIMALS))

    def update(self, block: Block, null: Null, phi: float = 1.0) -> "EProcess":
        """Multiply every bet by its factor for one block."""
        factors = (log_factor(block.candidate, block.stable, theta=theta, null=null, phi=phi) for theta in self.grid)
        return EProcess(self.grid, tuple(map(_grown, self.logs, factors)), self.unstarted)

    def restart(self) -> "EProcess":
        """Forget everything and bet the whole wealth again: a new claim, tested from here on."""
        return EProcess.begin(self.grid)

    def begin_again(self) -> "EProcess":
        """
        Begin new bets with the wealth there is, at most 1: what was won is given up, what was lost does not come back.

        For evidence that is not to be trusted as it was won, at any instant: wealth only ever gets smaller by it, so
        the error bound is kept. What is unstarted stays so.
        """
        there = math.exp(min(0.0, self.log_value)) - self.unstarted
        log = _stored(math.log(there)) if there > 0.0 else LOG_ZERO
        return EProcess(self.grid, (log,) * len(self.grid), self.unstarted)

    def overruled(self, level: float, kept_back: float) -> "EProcess":
        """
        Begin again with wealth ``level``, of which ``kept_back`` is unstarted and most of the rest bet as had won.

        For a finding that a person overruled. Whatever was seen before, the wealth is at most ``level`` from there on,
        so the error probability of what follows is at most ``level`` times that of a first try: a mixture may be
        weighted by anything that is known before its first block (Waudby-Smith and Ramdas).

        Args:
            level: Above 0, at most 1.
            kept_back: At least 0, less than ``level``.

        Raises:
            ValueError: If a number is out of range.

        """
        if not 0.0 <= kept_back < level <= 1.0:
            raise ValueError(f"cannot begin with {level:g} of the wealth and keep back {kept_back:g}")
        unstarted = round(kept_back, AMOUNT_DECIMALS)
        begun, whole = level - unstarted, log_sum_exp(self.logs)
        shares = [math.exp(log - whole) if whole > LOG_ZERO else 1.0 / len(self.grid) for log in self.logs]
        bets = [begun * (AS_WON * len(self.grid) * share + 1.0 - AS_WON) for share in shares]
        return EProcess(self.grid, tuple([_stored(math.log(bet)) for bet in bets]), unstarted)

    def to_state(self) -> list[float]:
        """Logarithms of the bets and, last, the unstarted fraction, fit for JSON."""
        return [*self.logs, self.unstarted]

    @classmethod
    def from_state(cls, grid: tuple[float, ...], state: Sequence[float]) -> "EProcess":
        """
        Restore exactly what ``to_state`` wrote.

        Raises:
            ValueError: If the state belongs to a grid of another size or its fraction is out of range.

        """
        numbers = tuple(map(float, state))
        return cls(grid, numbers[:-1], numbers[-1] if numbers else 0.0)


def _grown(log: float, log_of_factor: float) -> float:
    return LOG_ZERO if log <= LOG_ZERO else _stored(log + log_of_factor)


def _stored(log: float) -> float:
    return LOG_ZERO if log < LOWEST_LOG else round(min(log, HIGHEST_LOG), LOG_DECIMALS)
