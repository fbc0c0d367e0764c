"""
What is rolled out where: lanes of one strategy and one router each, and the moves that are played on each of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import cycle, islice
from typing import Final


class Strategy(StrEnum):
    """
    How a lane's versions are released.
    """

    CANARY = "canary"
    COHORT = "canary with cohort"
    BLUE_GREEN = "blueGreen"
    BLUE_GREEN_IN_PARTS = "blueGreen in parts"
    SHADOW = "shadow"
    SHADOW_CANARY = "shadow, then canary"


class Router(StrEnum):
    """
    How a lane's traffic is split.
    """

    HTTP_ROUTE = "HTTPRoute"
    GRPC_ROUTE = "GRPCRoute"
    SERVICE = "Service"


class Move(StrEnum):
    """
    One rollout.
    """

    GOOD = "good"
    """A healthy version: promoted."""
    BAD = "bad"
    """A version that fails three requests of ten: rolled back."""
    ABORTED = "aborted"
    """A healthy version, aborted by request while it is on trial: rolled back."""
    RETRIED = "retried"
    """The same version, begun again by request: promoted."""
    UNDONE = "undone"
    """The version that was promoted last is taken back by request: the one before it serves everything again."""
    SUPERSEDED = "superseded"
    """A healthy version; while it is on trial the next one is asked for."""
    REVERTED = "reverted"
    """A healthy version; while it is on trial the stable one is asked for again."""
    UNREADY = "unready"
    """A version that never becomes ready: rolled back at the deadline."""


class Outcome(StrEnum):
    """
    What became of a rollout.
    """

    PROMOTED = "Promoted"
    ROLLED_BACK = "RolledBack"
    SUPERSEDED = "Superseded"
    REVERTED = "Reverted"
    UNDONE = "Undone"
    STUCK = "Stuck"
    """None of these within the limit."""


PLANNED: Final = {
    Move.GOOD: Outcome.PROMOTED,
    Move.BAD: Outcome.ROLLED_BACK,
    Move.ABORTED: Outcome.ROLLED_BACK,
    Move.RETRIED: Outcome.PROMOTED,
    Move.UNDONE: Outcome.UNDONE,
    Move.SUPERSEDED: Outcome.SUPERSEDED,
    Move.REVERTED: Outcome.REVERTED,
    Move.UNREADY: Outcome.ROLLED_BACK,
}
"""How each move is to end."""

SUFFIXES: Final = {Move.BAD: "-fails30", Move.UNREADY: "-unready"}
"""What the model server reads off a version's name; a move that is not named here is healthy."""


@dataclass(frozen=True, slots=True)
class Kind:
    """
    A lane's strategy and router.
    """

    strategy: Strategy
    router: Router

    @property
    def name(self) -> str:
        """
        The object's name: a DNS label.
        """
        words = f"{self.strategy} {self.router}".lower().replace(",", "").split()
        return "-".join(["soak", *words])


LANES: Final = (
    Kind(Strategy.CANARY, Router.HTTP_ROUTE),
    Kind(Strategy.BLUE_GREEN, Router.HTTP_ROUTE),
    Kind(Strategy.CANARY, Router.GRPC_ROUTE),
    Kind(Strategy.SHADOW, Router.HTTP_ROUTE),
    Kind(Strategy.BLUE_GREEN, Router.SERVICE),
    Kind(Strategy.SHADOW_CANARY, Router.HTTP_ROUTE),
    Kind(Strategy.BLUE_GREEN_IN_PARTS, Router.GRPC_ROUTE),
    Kind(Strategy.CANARY, Router.SERVICE),
    Kind(Strategy.COHORT, Router.HTTP_ROUTE),
)
"""Every pair that the local cluster can play: Contour mirrors, a Service does not."""

TURN: Final = (
    Move.GOOD,
    Move.BAD,
    Move.ABORTED,
    Move.RETRIED,
    Move.UNDONE,
    Move.SUPERSEDED,
    Move.GOOD,
    Move.REVERTED,
    Move.BAD,
    Move.UNREADY,
    Move.GOOD,
    Move.SUPERSEDED,
    Move.BAD,
)
"""What a lane plays, again and again: good and bad versions mixed, and what people do meanwhile."""


@dataclass(frozen=True, slots=True)
class Part:
    """
    A lane and its moves.
    """

    kind: Kind
    moves: tuple[Move, ...]


def plan(rollouts: int, kinds: Sequence[Kind] = LANES) -> tuple[Part, ...]:
    """
    So many rollouts, spread evenly over the lanes; a lane without one is left out.

    A version is superseded by the next one of its lane, so a lane's last move is played as a good one instead.
    """
    least, more = divmod(rollouts, len(kinds))
    numbers = (least + (number < more) for number in range(len(kinds)))
    parts = (Part(kind, _moves(number)) for kind, number in zip(kinds, numbers, strict=True) if number)
    return tuple(parts)


def _moves(number: int) -> tuple[Move, ...]:
    moves = tuple(islice(cycle(TURN), number))
    return (*moves[:-1], Move.GOOD) if moves[-1] is Move.SUPERSEDED else moves


SAMPLE: Final = (
    Part(LANES[0], (Move.GOOD,)),
    Part(LANES[1], (Move.GOOD, Move.BAD)),
    Part(LANES[2], (Move.BAD,)),
    Part(LANES[4], (Move.GOOD,)),
    Part(LANES[5], (Move.GOOD,)),
)
"""
Six rollouts: a canary, a blue-green switch and a shadow stage, every router, good and bad.

A bad version is switched to after a good one: when nothing is beside it any more it is judged by stable's past, and a
first version of half a minute has next to none.
"""


def rollouts_of(parts: Sequence[Part]) -> int:
    """
    How many rollouts these are.
    """
    return sum(len(part.moves) for part in parts)
