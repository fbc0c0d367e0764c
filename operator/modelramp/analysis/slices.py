"""
Evidence of harm in parts of the traffic: tenants, endpoints, whatever a label tells apart.

A slice is found in the samples of its metric, so it costs no question of its own. It can show harm and is never asked
for "not worse": a slice with little traffic must not keep a candidate from anybody. What a slice's evidence weighs is
for ``combination`` to say.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypedDict

from modelramp.analysis.block import Block, Counts
from modelramp.analysis.counters import NO_PODS, ArmSeries, increments
from modelramp.analysis.eprocess import HARM_GRID, EProcess, Null, Wealth
from modelramp.analysis.evidence import Totals, restored_totals, stored_totals
from modelramp.analysis.targets import Identity, Pods, Series, Target, Window, find_targets


class SliceState(TypedDict):
    """Stored form of one slice: the process with its unstarted fraction, and n and x of candidate and stable."""

    harm: list[float]
    rollout: list[float]


@dataclass(frozen=True, slots=True)
class SliceEvidence:
    """
    The evidence of harm in each slice of one metric.

    Attributes:
        accounts: By the label's value, in the order of the spec: the evidence, and what was counted in the rollout.
        phi: Overdispersion, that of the metric, at least 1.

    """

    accounts: Mapping[str, tuple[EProcess, Totals]]
    phi: float

    def __post_init__(self) -> None:
        """Refuse an overdispersion that would add evidence."""
        if not 1.0 <= self.phi < math.inf:
            raise ValueError(f"overdispersion below 1: {self.phi}")

    @classmethod
    def begin(cls, values: Sequence[str], wealth: Wealth, *, phi: float) -> "SliceEvidence":
        """Start a rollout's evidence for these values of the label."""
        fresh = (EProcess.begin(HARM_GRID, started=wealth.at_start), Totals())
        return cls(dict.fromkeys(values, fresh), phi)

    @property
    def logs(self) -> dict[str, float]:
        """Logarithm of the evidence of harm, by the label's value."""
        return {value: harm.log_value for value, (harm, _) in self.accounts.items()}

    def observe(self, blocks: Mapping[str, Block], null: Null, wealth: Wealth) -> "SliceEvidence":
        """Count one block of each slice; call it exactly when the metric itself counts that block."""
        grown = {
            value: (
                harm.start_wealth(wealth.per_block).update(blocks[value], null, self.phi),
                so_far.plus(blocks[value]),
            )
            if value in blocks
            else (harm.start_wealth(wealth.per_block), so_far)
            for value, (harm, so_far) in self.accounts.items()
        }
        return replace(self, accounts=grown)

    def enter_step(self, wealth: Wealth) -> "SliceEvidence":
        """Begin a later step with some fresh bets."""
        return replace(
            self,
            accounts={
                value: (harm.start_wealth(wealth.per_step), so_far) for value, (harm, so_far) in self.accounts.items()
            },
        )

    def retempered(self, phi: float) -> "SliceEvidence":
        """Begin again with another overdispersion, as the metric does."""
        again = {value: (harm.begin_again(), so_far) for value, (harm, so_far) in self.accounts.items()}
        return SliceEvidence(again, phi)

    def overruled(self, level: float, kept_back: float) -> "SliceEvidence":
        """Go on after a finding that a person overruled: each slice begins again, see ``EProcess.overruled``."""
        again = {value: (harm.overruled(level, kept_back), so_far) for value, (harm, so_far) in self.accounts.items()}
        return replace(self, accounts=again)

    def to_state(self) -> dict[str, SliceState]:
        """Stored form; ``from_state`` gives back an equal value."""
        return {
            value: SliceState(harm=harm.to_state(), rollout=stored_totals(so_far))
            for value, (harm, so_far) in self.accounts.items()
        }

    @classmethod
    def from_state(cls, state: Mapping[str, SliceState], *, phi: float) -> "SliceEvidence":
        """
        Restore what ``to_state`` wrote.

        Raises:
            ValueError: If the state is damaged or of another grid.

        """
        return cls(
            {
                value: (EProcess.from_state(HARM_GRID, one["harm"]), restored_totals(one["rollout"]))
                for value, one in state.items()
            },
            phi,
        )


def slice_blocks(
    candidate: ArmSeries,
    stable: ArmSeries,
    window: Window,
    *,
    label: str,
    values: Sequence[str],
    pods: Pods = NO_PODS,
) -> dict[str, Block]:
    """
    Count both arms' requests within the window by a label's value.

    Args:
        candidate: The candidate's samples, all slices together.
        stable: The stable arm's samples.
        window: Which increments are wanted.
        label: The label.
        values: The values of interest; of others nothing is said.
        pods: What is known about creation and start times.

    Returns:
        By value; a value that neither arm has is left out, as is one whose bad events exceed its events.

    """
    targets = find_targets((*candidate.total, *candidate.bad, *stable.total, *stable.bad), window, pods)
    found = {}
    for value in values:
        arms = [_counted(arm, label, value, window, targets) for arm in (candidate, stable)]
        if all(counts is not None for counts in arms) and any(counts != Counts() for counts in arms):
            mine, theirs = (counts or Counts() for counts in arms)
            found[value] = Block(window.after, window.until, mine, theirs)
    return found


def _counted(
    arm: ArmSeries, label: str, value: str, window: Window, targets: Mapping[Identity, Target]
) -> Counts | None:
    """Counts of one slice of one arm; no series of it means no request. None: more bad events than events."""
    total, bad = (increments(_of(series, label, value), window, targets) for series in (arm.total, arm.bad))
    n, x = (0.0 if found is None else found.total for found in (total, bad))
    return Counts(n, x) if x <= n else None


def _of(series: Sequence[Series], label: str, value: str) -> list[Series]:
    return [one for one in series if one.labels.get(label) == value]
