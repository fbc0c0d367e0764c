"""
Whether a promoted candidate goes bad later, watched without an end.

Evidence of a rollout is bounded over one rollout; what never ends needs another promise: how long on average until a
false alarm. Each bet's wealth therefore starts anew with every block, and the alarm's threshold is the number of
blocks that shall pass on average before a false one. This module raises the alarm; what follows is decided elsewhere.

Source: Shin, Ramdas and Rinaldo, e-detectors (arXiv 2203.03532).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final, TypedDict

from modelramp.analysis.block import Block
from modelramp.analysis.eprocess import HARM_GRID, LOG_ZERO, EProcess, Null
from modelramp.analysis.split import instant, is_counted, require_phi, stamp

BLOCKS_TO_FALSE_ALARM: Final = 10_080.0  # one week of blocks of one minute
NO_WEALTH: Final = (LOG_ZERO,) * len(HARM_GRID)


class Rule(StrEnum):
    """How a bet goes on from block to block. Both keep the same promise."""

    SHIRYAEV_ROBERTS = "ShiryaevRoberts"
    """S <- (S + 1) e: a new bet joins the old ones with every block. The sooner of the two."""
    CUSUM = "CUSUM"
    """S <- max(S, 1) e: a bet that lost is begun anew. Rarer false alarms, about a fifth later at a doubled rate."""


class DetectorState(TypedDict):
    """
    Stored form of ``Detector``: at most 200 bytes of compact JSON.

    ``until`` is ``counted_until`` as RFC 3339 in UTC, or empty for never.
    """

    rule: str
    logs: list[float]
    phi: float
    until: str


@dataclass(frozen=True, slots=True)
class Detector:
    """
    The evidence that the candidate's rate has risen above a limit at some time since the watch began.

    Attributes:
        rule: How a bet goes on from block to block.
        logs: Logarithm of each bet's sum S, on the effects ``HARM_GRID``; ``LOG_ZERO`` for none. Kept to four decimals,
            in memory as in the stored form.
        phi: Overdispersion, at least 1.
        counted_until: End of what has been counted, aware; None before anything was.

    Raises:
        ValueError: If the sums do not fit the grid or the overdispersion is below 1.

    """

    rule: Rule
    logs: tuple[float, ...]
    phi: float
    counted_until: datetime | None

    def __post_init__(self) -> None:
        """Refuse a state of another grid and an overdispersion that would add evidence."""
        if len(self.logs) != len(HARM_GRID):
            raise ValueError(f"{len(self.logs)} sums for {len(HARM_GRID)} effects")
        require_phi(self.phi)

    @classmethod
    def begin(
        cls, rule: Rule = Rule.SHIRYAEV_ROBERTS, *, phi: float = 1.0, counted_until: datetime | None = None
    ) -> "Detector":
        """Start to watch; what happened up to ``counted_until`` is not part of it."""
        return cls(rule, NO_WEALTH, phi, counted_until)

    @property
    def log_value(self) -> float:
        """Logarithm of the mean of the bets' sums; ``LOG_ZERO`` before the first block."""
        return EProcess(HARM_GRID, self.logs, 0.0).log_value

    def alarmed(self, blocks: float = BLOCKS_TO_FALSE_ALARM) -> bool:
        """
        Whether the rate is shown to have risen above the limit.

        Args:
            blocks: How many blocks pass on average, at least, before a false alarm while every block keeps the limit
                (finite, at least 1). The promise is in blocks: halve their length, and it holds for half the time.

        Raises:
            ValueError: If the number is out of range.

        """
        if not 1.0 <= blocks < math.inf:
            raise ValueError(f"no number of blocks until a false alarm: {blocks}")
        return self.log_value >= math.log(blocks)

    def observe(self, block: Block, limit: Null) -> "Detector":
        """
        Count one block, once.

        A block that ends at or before ``counted_until`` changes nothing, a gap before the block is allowed. A block in
        which nothing can be compared still counts as one towards the promise.

        Args:
            block: Counts of the promoted candidate and, unless the limit is absolute, of what it is compared with.
            limit: The rate it has to keep: absolute with rho 0 (an objective, or what the rollout measured plus its
                margin), relative to the block's stable arm otherwise.

        Raises:
            ValueError: If the block begins before ``counted_until`` and ends after it.

        """
        if is_counted(block.start, block.end, self.counted_until):
            return self
        bets = _RENEWED[self.rule](self.logs).update(block, limit, self.phi)
        return replace(self, logs=bets.logs, counted_until=block.end)

    def reset(self) -> "Detector":
        """Forget all evidence, for a limit or a model that is new; what was counted is not counted again."""
        return replace(self, logs=NO_WEALTH)

    def to_state(self) -> DetectorState:
        """Stored form; ``from_state`` gives back an equal value."""
        return DetectorState(rule=self.rule.value, logs=list(self.logs), phi=self.phi, until=stamp(self.counted_until))

    @classmethod
    def from_state(cls, state: DetectorState) -> "Detector":
        """
        Restore what ``to_state`` wrote.

        Raises:
            ValueError: If the state is damaged, of another grid or of an unknown rule.

        """
        logs = tuple(map(float, state["logs"]))
        return cls(Rule(state["rule"]), logs, float(state["phi"]), instant(state["until"]))


def _joined(logs: tuple[float, ...]) -> EProcess:
    return EProcess(HARM_GRID, logs, 1.0).start_wealth(1.0)


def _begun_anew(logs: tuple[float, ...]) -> EProcess:
    return EProcess(HARM_GRID, tuple(max(log, 0.0) for log in logs), 0.0)


_RENEWED: Final[dict[Rule, Callable[[tuple[float, ...]], EProcess]]] = {
    Rule.SHIRYAEV_ROBERTS: _joined,
    Rule.CUSUM: _begun_anew,
}
