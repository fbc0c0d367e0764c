"""
Evidence on a gauge (queue length, batch fill, a mean without buckets), where nothing can be counted.

Block by block the candidate's mean is compared with the stable arm's; the difference, clipped, is bet on. Weaker than
counting: it rests on differences that are as likely to fall above their mean as below, and on ``scale`` and ``tau``
learnt before the rollout. Where the metric can be had as a proportion or as buckets, count instead.

Source: Waudby-Smith and Ramdas, betting (arXiv 2010.09686).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final, TypedDict

from modelramp.analysis.block import Block
from modelramp.analysis.eprocess import HIGHEST_LOG, LOG_DECIMALS, LOG_ZERO, LOWEST_LOG, EProcess, Wealth
from modelramp.analysis.evidence import ALPHA_OK, NOTHING, Verdict, harmful

BETS: Final = (0.05, 0.1, 0.2, 0.3, 0.45, 0.6, 0.8, 0.95)
"""Fractions of the wealth staked on each block; below 1, so that no single block can ruin a bet."""

CLIP: Final = 2.0  # differences count up to two standard deviations, however far out they are
MAD_TO_SD: Final = 1.48  # of a normal law; the median keeps outliers in the history from blunting the test
MIN_DIFFERENCES: Final = 30  # values of the history below which its spread is not taken for known
SCALE_DIGITS: Final = 6  # significant; bounds the size of the state

ALL_AT_START: Final = Wealth(at_start=1.0, per_step=0.0, per_block=0.0)


@dataclass(frozen=True, slots=True)
class GaugeBlock:
    """
    The mean of a gauge in both arms over the half-open stretch of time (start, end].

    Attributes:
        start: Aware instant, itself not included.
        end: Aware instant, included, later than ``start``.
        candidate: The candidate's mean; None, NaN or infinite if there is none.
        stable: The stable arm's mean; likewise.

    Raises:
        ValueError: If an instant is naive or ``end`` is not after ``start``.

    """

    start: datetime
    end: datetime
    candidate: float | None
    stable: float | None

    def __post_init__(self) -> None:
        """Refuse what a block of counts refuses."""
        Block(self.start, self.end, NOTHING, NOTHING)

    def difference(self, delta: float) -> float | None:
        """Candidate's mean minus (1 + ``delta``) times stable's; None if one of them is missing."""
        if self.candidate is None or self.stable is None:
            return None
        found = self.candidate - (1.0 + delta) * self.stable
        return found if math.isfinite(found) else None


@dataclass(frozen=True, slots=True)
class GaugeMargins:
    """
    By how much a gauge may be above the stable arm's. For gauges of at least 0 where lower is better.

    Attributes:
        harm: Harm is shown by refuting "candidate <= (1 + harm) stable"; at least 0.
        ok: Not worse is shown by refuting "candidate >= (1 + ok) stable"; above ``harm``, as between the two either
            answer is right.

    Raises:
        ValueError: If not ``0 <= harm < ok < inf``.

    """

    harm: float
    ok: float

    def __post_init__(self) -> None:
        """Refuse margins that would call one candidate both harmful and not worse."""
        if not 0.0 <= self.harm < self.ok < math.inf:
            raise ValueError(f"not margins: harm {self.harm}, ok {self.ok}")


class GaugeState(TypedDict):
    """
    Stored form of ``GaugeEvidence``: at most 300 bytes of compact JSON.

    Both processes end with their unstarted fraction. ``until`` is RFC 3339 in UTC, or empty for never.
    """

    harm: list[float]
    ok: list[float]
    scale: float
    tau: float
    blocks: int
    until: str


@dataclass(frozen=True, slots=True)
class GaugeEvidence:
    """
    The evidence of one gauge in one rollout. Its life is that of ``MetricEvidence``.

    With X = D / (``CLIP`` scale), clipped to [-1, 1], each bet of fraction b grows by ln(1 + b X) / tau per block; the
    evidence is the mean over bets. An error bound of 1/E holds if X is not expected above 0 while the null holds: for
    differences symmetric about a mean of at most 0 with any tails, not for skewed ones.

    Attributes:
        harm: Evidence of harm, over the whole rollout.
        ok: Evidence of "not worse", over this step only.
        scale: Standard deviation of the differences in history; 0 if it is not known or nothing varied there. Then
            nothing is bet, as any difference at all would look endlessly large: both logarithms stay where they are.
        tau: Blocks that say as much as one independent block, at least 1.
        blocks: Blocks of this step that were bet on.
        counted_until: End of what has been counted or left out on purpose, aware; None before anything was.

    """

    harm: EProcess
    ok: EProcess
    scale: float
    tau: float
    blocks: int
    counted_until: datetime | None

    def __post_init__(self) -> None:
        """Refuse numbers that would make evidence of nothing."""
        if not 0.0 <= self.scale < math.inf:
            raise ValueError(f"not a scale of differences: {self.scale}")
        if not 1.0 <= self.tau < math.inf:
            raise ValueError(f"autocorrelation time below 1 block: {self.tau}")
        if self.blocks < 0:
            raise ValueError(f"a negative number of blocks: {self.blocks}")

    @classmethod
    def begin(
        cls,
        *,
        scale: float | None,
        tau: float | None,
        wealth: Wealth = ALL_AT_START,
        counted_until: datetime | None = None,
    ) -> "GaugeEvidence":
        """
        Start a rollout's evidence; what happened up to ``counted_until`` is not part of it.

        Args:
            scale: From ``scale_of_differences``; None if it is not known.
            tau: From ``autocorrelation_time`` of the same history, in blocks of the rollout's length; None if it is not
                known. If either is not known, nothing will be bet.
            wealth: When evidence of harm starts its bets.
            counted_until: Aware instant, or None.

        Raises:
            ValueError: If the scale is negative, tau is below 1, or either is not finite.

        """
        if scale is None or tau is None:
            scale, tau = 0.0, 1.0
        return cls(
            harm=EProcess.begin(BETS, started=wealth.at_start),
            ok=EProcess.begin(BETS),
            scale=float(f"{scale:.{SCALE_DIGITS}g}"),
            tau=round(tau, LOG_DECIMALS),
            blocks=0,
            counted_until=counted_until,
        )

    @property
    def harm_log(self) -> float:
        """Logarithm of the evidence of harm; harm is shown at ln(1 / ALPHA_ROLLBACK)."""
        return self.harm.log_value

    @property
    def ok_log(self) -> float:
        """Logarithm of the evidence that the margin is kept; shown at ln(1 / ALPHA_OK)."""
        return self.ok.log_value

    def observe(self, block: GaugeBlock, margins: GaugeMargins, wealth: Wealth = ALL_AT_START) -> "GaugeEvidence":
        """
        Count one block, once: a replay changes nothing. A block without both means is passed over for good.

        Raises:
            ValueError: If the block begins before ``counted_until`` and ends after it, as part of it would count twice.

        """
        if self.counted_until is not None:
            if block.end <= self.counted_until:
                return self
            if block.start < self.counted_until:
                raise ValueError(f"block from {block.start} overlaps what was counted until {self.counted_until}")
        above, below = block.difference(margins.harm), block.difference(margins.ok)
        harm = self.harm.start_wealth(wealth.per_block)
        if above is None or below is None or self.scale == 0.0:
            return replace(self, harm=harm, counted_until=block.end)
        return replace(
            self,
            harm=_bet(harm, clipped(above, self.scale), self.tau),
            ok=_bet(self.ok, clipped(-below, self.scale), self.tau),
            blocks=self.blocks + 1,
            counted_until=block.end,
        )

    def enter_step(self, wealth: Wealth = ALL_AT_START) -> "GaugeEvidence":
        """Begin a later step: "not worse" is a new claim, harm goes on with some fresh bets."""
        return replace(self, harm=self.harm.start_wealth(wealth.per_step), ok=self.ok.restart(), blocks=0)

    def skip_until(self, at: datetime) -> "GaugeEvidence":
        """Leave out what happens up to ``at`` (aware), for a time fixed in advance. Moves forward only."""
        if self.counted_until is not None and at <= self.counted_until:
            return self
        return replace(self, counted_until=at)

    def tried_again(self) -> "GaugeEvidence":
        """Begin the same step once more: what was learnt goes on, and nothing is said before there is a new block."""
        return replace(self, blocks=0)

    def overruled(self, level: float, kept_back: float) -> "GaugeEvidence":
        """Go on after a finding that a person overruled: harm begins again, see ``EProcess.overruled``."""
        return replace(self, harm=self.harm.overruled(level, kept_back))

    def verdict(self) -> Verdict:
        """Return the opinion of this gauge alone: ``NO_DATA`` as long as nothing of this step was bet on."""
        if harmful(self.harm_log):
            return Verdict.FAILED
        if self.blocks == 0:
            return Verdict.NO_DATA
        return Verdict.PASSED if self.ok_log >= -math.log(ALPHA_OK) else Verdict.INCONCLUSIVE

    def to_state(self) -> GaugeState:
        """Stored form; ``from_state`` gives back an equal value."""
        until = self.counted_until
        return GaugeState(
            harm=self.harm.to_state(),
            ok=self.ok.to_state(),
            scale=self.scale,
            tau=self.tau,
            blocks=self.blocks,
            until="" if until is None else until.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        )

    @classmethod
    def from_state(cls, state: GaugeState) -> "GaugeEvidence":
        """
        Restore what ``to_state`` wrote.

        Raises:
            ValueError: If the state is damaged or of another grid: the caller holds, it must not start afresh.

        """
        until = state["until"]
        return cls(
            harm=EProcess.from_state(BETS, state["harm"]),
            ok=EProcess.from_state(BETS, state["ok"]),
            scale=float(state["scale"]),
            tau=float(state["tau"]),
            blocks=int(state["blocks"]),
            counted_until=datetime.fromisoformat(until) if until else None,
        )


def clipped(difference: float, scale: float) -> float:
    """Express a difference in units of ``CLIP`` standard deviations (``scale``, above 0), within [-1, 1]."""
    return min(1.0, max(-1.0, difference / scale / CLIP))


def log_stake(fraction: float, outcome: float, tau: float = 1.0) -> float:
    """
    Logarithm of what one block multiplies the wealth of one bet by: ln(1 + fraction outcome) / tau.

    Its exponential is expected to be at most 1 if the outcome is expected to be at most 0.

    Args:
        fraction: Of the wealth, above 0 and below 1.
        outcome: From -1 to 1.
        tau: Autocorrelation time in blocks, at least 1; the root only ever lowers the expectation of a valid factor.

    """
    return math.log1p(fraction * outcome) / tau


def scale_of_differences(history: Sequence[float | None]) -> float | None:
    """
    Spread of the differences before the rollout: 1.48 times the median distance from their median.

    Args:
        history: Differences between two groups of stable pods of the arms' sizes, one per block, in any order; None,
            NaN or infinite where one is missing.

    Returns:
        Their standard deviation if they are normal; 0 if more than half of them are equal. None with fewer than
        ``MIN_DIFFERENCES`` values.

    """
    known = [value for value in history if value is not None and math.isfinite(value)]
    if len(known) < MIN_DIFFERENCES:
        return None
    middle = _median(known)
    return MAD_TO_SD * _median([abs(value - middle) for value in known])


def _median(values: Sequence[float]) -> float:
    ranked, half = sorted(values), len(values) // 2
    return ranked[half] if len(values) % 2 else (ranked[half - 1] + ranked[half]) / 2.0


def _bet(process: EProcess, outcome: float, tau: float) -> EProcess:
    return replace(
        process,
        logs=tuple(
            _grown(log, log_stake(fraction, outcome, tau))
            for log, fraction in zip(process.logs, process.grid, strict=True)
        ),
    )


def _grown(log: float, growth: float) -> float:
    # As in every e-process: wealth beyond the bounds is given up, which only lowers the evidence.
    if log <= LOG_ZERO or log + growth < LOWEST_LOG:
        return LOG_ZERO
    return round(min(log + growth, HIGHEST_LOG), LOG_DECIMALS)
