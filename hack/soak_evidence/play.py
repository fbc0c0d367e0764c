"""
All rollouts, spread over lanes that play beside one another.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import yaml
from demo.sight import NAMESPACE
from demo.stage import Stage
from soak_evidence.kinds import Kind
from soak_evidence.lane import Lane, Say, Setting, Watcher
from soak_evidence.rollout import Rollout

BETWEEN_STARTS_SECONDS: Final = 5.0  # model servers that start together starve each other's readiness probes


@dataclass(slots=True)
class Played:
    """
    What a run has come to; filled while it goes on.

    Attributes:
        wanted: How many rollouts were to be played.
        rollouts: Those that were, in the order in which they ended.
        broken: What broke lanes: a rollout cut off by it is in neither list.
        seconds: Of the whole run.

    """

    wanted: int
    rollouts: list[Rollout] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def complete(self) -> bool:
        """
        Every rollout was played to its end.
        """
        return len(self.rollouts) == self.wanted and not self.broken

    @property
    def good(self) -> bool:
        """
        And each of them went as it should.
        """
        return self.complete and all(rollout.good for rollout in self.rollouts)

    def document(self) -> dict[str, Any]:
        """
        For the report.
        """
        return {
            "wanted": self.wanted,
            "complete": self.complete,
            "good": self.good,
            "seconds": round(self.seconds),
            "broken": self.broken,
            "rollouts": [rollout.document() for rollout in self.rollouts],
        }


async def play_lane(lane: Lane, waiting: "deque[Kind]", played: Played, end: float) -> None:
    """
    Deploy the lane's object and roll out what is waiting, one after the other, until nothing is or time is up.

    Args:
        lane: Not deployed yet.
        waiting: Shared with other lanes: each takes the next one when it is free.
        played: Where the rollouts are added.
        end: Monotonic seconds after which no further rollout begins.

    """
    await lane.deploy()
    async with lane.traffic():
        while waiting and time.monotonic() < end:
            played.rollouts.append(await lane.play(waiting.popleft()))


async def play(stage: Stage, kinds: Sequence[Kind], setting: Setting, *, lanes: int, end: float, say: Say) -> Played:
    """
    Play all kinds on so many lanes. A lane that breaks is told and costs no other; the others take what was left.
    """
    began, waiting, played, watcher = time.monotonic(), deque(kinds), Played(wanted=len(kinds)), Watcher(stage)

    async def one(number: int) -> None:
        lane = Lane(stage, watcher, f"evidence-{number}", setting, say, seed=number)
        await asyncio.sleep(number * BETWEEN_STARTS_SECONDS)
        try:
            await play_lane(lane, waiting, played, end)
        except Exception as error:  # noqa: BLE001 - whatever it was, the figures of the others stay
            played.broken.append(f"{lane.name}: {type(error).__name__}: {error}")
            say(f"{lane.name} BROKE: {type(error).__name__}: {error}")

    prepare_namespace(stage)
    async with watcher.watching():
        await asyncio.gather(*(one(number) for number in range(min(lanes, len(kinds)))))
    played.seconds = time.monotonic() - began
    return played


def prepare_namespace(stage: Stage) -> None:
    """
    The demo's namespace is there.
    """
    text = yaml.safe_dump({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
    stage.kubectl("apply", "-f", "-", text=text)


def clean(stage: Stage, names: Sequence[str], say: Callable[[str], None] = print) -> None:
    """
    Remove these objects and what they own.
    """
    say(f"removing {', '.join(names)}")
    stage.kubectl("-n", NAMESPACE, "delete", "mmd", *names, "--ignore-not-found", "--wait=true", "--timeout=120s")
