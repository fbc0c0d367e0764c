"""
All lanes beside one another.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from demo.stage import Stage
from soak.lane import LIMIT_SECONDS, Lane, Say
from soak.lanes import Part, rollouts_of
from soak.ledger import Tally
from soak.rollout import Rollout
from soak_evidence.lane import Watcher
from soak_evidence.play import prepare_namespace

KNOWN_SECONDS: Final = 25.0
"""Traffic on the first version alone: a switch at once is held against what was counted of stable before, and of some
hundred requests at least."""
BETWEEN_STARTS_SECONDS: Final = 2.0  # pods that start together starve each other's readiness probes


@dataclass(slots=True)
class Played:
    """
    What a run has come to; filled while it goes on.

    Attributes:
        wanted: How many rollouts were to be played.
        rollouts: Those that were, in the order in which they ended.
        tallies: What each lane's client counted in all, between rollouts too.
        broken: What broke lanes: a rollout cut off by it is in neither list.
        seconds: Of the whole run.

    """

    wanted: int
    rollouts: list[Rollout] = field(default_factory=list)
    tallies: dict[str, Tally] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def total(self) -> Tally:
        """
        What all clients counted.
        """
        return sum(self.tallies.values(), Tally())

    @property
    def good(self) -> bool:
        """
        Every rollout was played and ended as planned, nothing was lost, and every request that was sent has ended.
        """
        complete = len(self.rollouts) == self.wanted and not self.broken
        return (
            complete and all(run.as_planned for run in self.rollouts) and not (self.total.lost or self.total.in_flight)
        )

    def document(self) -> dict[str, Any]:
        """
        For the report.
        """
        total = self.total
        return {
            "wanted": self.wanted,
            "good": self.good,
            "seconds": round(self.seconds),
            "sent": total.total_sent,
            "sent_by_way": dict(sorted(total.sent.items())),
            "failed_by_a_version": total.failed,
            "lost": total.lost,
            "losses": {name: losses for name, tally in self.tallies.items() if (losses := tally.losses())},
            "broken": self.broken,
            "lanes": {
                name: {"sent": tally.total_sent, "failed_by_a_version": tally.failed, "lost": tally.lost}
                for name, tally in self.tallies.items()
            },
            "rollouts": [run.document() for run in self.rollouts],
        }


async def play_part(lane: Lane, part: Part, played: Played, end: float) -> None:
    """
    Deploy the lane's object and play its moves under load, one after the other.

    Args:
        lane: Not deployed yet.
        part: Its moves.
        played: Where rollouts and counts are added.
        end: Monotonic seconds after which no further move begins.

    """
    await lane.deploy()
    try:
        async with lane.traffic():
            await asyncio.sleep(KNOWN_SECONDS)
            for move in part.moves:
                if time.monotonic() > end:
                    break
                played.rollouts.append(await lane.play(move))
    finally:
        played.tallies[lane.kind.name] = lane.tally()


async def play(
    stage: Stage, parts: Sequence[Part], *, rate: float, end: float, say: Say, limit_seconds: float = LIMIT_SECONDS
) -> Played:
    """
    Play all parts beside one another. A lane that breaks is told and costs no other.
    """
    began, played, watcher = time.monotonic(), Played(wanted=rollouts_of(parts)), Watcher(stage)
    by = stage.kubectl("auth", "whoami", "-o", "jsonpath={.status.userInfo.username}")

    async def one(number: int, part: Part) -> None:
        lane = Lane(stage, watcher, part.kind, by, say, rate, limit_seconds)
        await asyncio.sleep(number * BETWEEN_STARTS_SECONDS)
        try:
            await play_part(lane, part, played, end)
        except Exception as error:  # noqa: BLE001 - whatever it was, the figures of the others stay
            played.broken.append(f"{part.kind.name}: {type(error).__name__}: {error}")
            say(f"{part.kind.name} BROKE: {type(error).__name__}: {error}")

    prepare_namespace(stage)
    async with watcher.watching():
        await asyncio.gather(*(one(number, part) for number, part in enumerate(parts)))
    played.seconds = time.monotonic() - began
    return played
