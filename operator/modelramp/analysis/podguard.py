"""
Stable pods tested against each other during a rollout, to notice when the overdispersion learnt before was not enough.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final, TypedDict

from modelramp.analysis.block import Block, Counts
from modelramp.analysis.eprocess import HARM_GRID, EProcess, Null, Wealth
from modelramp.analysis.evidence import NOTHING
from modelramp.analysis.margin import RHO_HARM

GUARD_ODDS: Final = 20.0  # with the number of accounts: false alarms in at most 5 % of rollouts
MAX_GUARDED: Final = 16  # pods tested one by one; 130 bytes of state each


class GuardState(TypedDict):
    """
    Stored form of ``PodGuard``: about 130 bytes of compact JSON per guarded pod.

    ``pods`` maps names to bets and unstarted fraction. ``culprit`` and ``until`` are empty for none and never.
    """

    pods: dict[str, list[float]]
    opened: int
    culprit: str
    phi: float
    until: str


@dataclass(frozen=True, slots=True)
class PodGuard:
    """
    Tests each stable pod against all other stable pods for harm, as the candidate is tested against them.

    Stable pods run one version, so evidence of harm among them means that errors scatter more than ``phi`` allows for:
    the rollout's evidence is not to be trusted until phi is raised. An alarm stays.

    One account per pod name, ``MAX_GUARDED`` at most. A pod gets one with its first exposures; a pod that is gone keeps
    its own until the place is needed, then the least evidence goes first. Pods beyond that number, later in order of
    their names, are tested by nobody but are part of everybody's rest. The threshold is ``GUARD_ODDS`` times the
    accounts ever opened: false alarms in at most 5 % of rollouts, and with pods replaced until m were opened after n
    at first, at most 5 % times (1 + ln(m/n)).

    Attributes:
        accounts: Names in order, each with its evidence of harm.
        opened: Accounts ever opened.
        culprit: The pod that was first to reach the threshold; None while nobody did.
        phi: Overdispersion that the rollout's evidence is divided by, at least 1.
        counted_until: End of what has been counted, aware; None before anything was.

    """

    accounts: tuple[tuple[str, EProcess], ...]
    opened: int
    culprit: str | None
    phi: float
    counted_until: datetime | None

    def __post_init__(self) -> None:
        """Refuse a state that no counting can lead to."""
        if not 1.0 <= self.phi < math.inf:
            raise ValueError(f"overdispersion below 1: {self.phi}")
        if not len(self.accounts) <= min(self.opened, MAX_GUARDED):
            raise ValueError(f"{len(self.accounts)} accounts of {self.opened} opened, at most {MAX_GUARDED} kept")

    @classmethod
    def begin(cls, *, phi: float = 1.0, counted_until: datetime | None = None) -> "PodGuard":
        """Start with no pod; what happened up to ``counted_until`` is not part of it."""
        return cls((), 0, None, phi, counted_until)

    @property
    def flagged(self) -> bool:
        """Whether stable pods have been shown to differ by more than ``phi`` allows for."""
        return self.culprit is not None

    def observe(
        self, start: datetime, end: datetime, pods: Mapping[str, Counts], *, floor: float, wealth: Wealth
    ) -> "PodGuard":
        """
        Count what every stable pod did over (start, end], once; a replay changes nothing.

        Args:
            start: Aware instant, itself not included.
            end: Aware instant, included.
            pods: Counts by pod name. A pod without exposures says nothing; nor does one alone.
            floor: Absolute rate too small to count as harm, at least 0: the epsilon of the rollout's harm margin.
            wealth: When bets start, as for the metric itself; a pod's start is its first exposures.

        Raises:
            ValueError: If the instants are no stretch of time, the stretch begins before ``counted_until`` and ends
                after it, or the floor is negative.

        """
        null, stretch = Null(RHO_HARM, floor), Block(start, end, NOTHING, NOTHING)
        if self.counted_until is not None:
            if end <= self.counted_until:
                return self
            if start < self.counted_until:
                raise ValueError(f"block from {start} overlaps what was counted until {self.counted_until}")
        serving = {name: pods[name] for name in sorted(pods) if pods[name].n > 0.0}
        kept = self._with_accounts_for(serving, wealth.at_start)
        for name in serving.keys() & kept.keys():
            against_rest = _against_rest(name, serving, stretch)
            kept[name] = kept[name].start_wealth(wealth.per_block).update(against_rest, null, self.phi)
        opened = self.opened + len(kept.keys() - dict(self.accounts).keys())
        return PodGuard(
            accounts=tuple(sorted(kept.items())),
            opened=opened,
            culprit=self.culprit or _culprit(kept, opened),
            phi=self.phi,
            counted_until=end,
        )

    def _with_accounts_for(self, serving: Mapping[str, Counts], started: float) -> dict[str, EProcess]:
        """Open accounts for new pods, as far as there is room or a pod that is gone makes some."""
        kept = dict(self.accounts)
        gone = sorted(kept.keys() - serving.keys(), key=lambda name: (kept[name].log_value, name))
        room = MAX_GUARDED - len(kept)
        welcome = sorted(serving.keys() - kept.keys())[: room + len(gone)]
        for name in gone[: max(0, len(welcome) - room)]:
            del kept[name]
        return kept | dict.fromkeys(welcome, EProcess.begin(HARM_GRID, started=started))

    def to_state(self) -> GuardState:
        """Stored form; ``from_state`` gives back an equal value."""
        until = self.counted_until
        return GuardState(
            pods={name: account.to_state() for name, account in self.accounts},
            opened=self.opened,
            culprit=self.culprit or "",
            phi=self.phi,
            until="" if until is None else until.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        )

    @classmethod
    def from_state(cls, state: GuardState) -> "PodGuard":
        """
        Restore what ``to_state`` wrote.

        Raises:
            ValueError: If the state is damaged or of another grid.

        """
        until = state["until"]
        return cls(
            accounts=tuple(
                (name, EProcess.from_state(HARM_GRID, logs)) for name, logs in sorted(state["pods"].items())
            ),
            opened=int(state["opened"]),
            culprit=state["culprit"] or None,
            phi=float(state["phi"]),
            counted_until=datetime.fromisoformat(until) if until else None,
        )


def _culprit(accounts: Mapping[str, EProcess], opened: int) -> str | None:
    suspects = {name: account.log_value for name, account in accounts.items()}
    shown = [name for name, log in suspects.items() if log >= math.log(GUARD_ODDS * opened)]
    return max(sorted(shown), key=suspects.__getitem__, default=None)


def _against_rest(name: str, serving: Mapping[str, Counts], stretch: Block) -> Block:
    rest = sum((counts for other, counts in serving.items() if other != name), start=NOTHING)
    return replace(stretch, candidate=serving[name], stable=rest)
