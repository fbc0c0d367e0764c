"""
The story the demo tells: version 1 serves, version 2 is promoted on evidence, version 3 is rolled back.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from demo.client import LoadClient, Snapshot, bodies_of
from demo.sight import HOSTNAME, NAME, PATH, Sight, apply, look, manifest
from demo.stage import ROOT, Stage

LOOK_SECONDS = 0.5
ACT_LIMIT_SECONDS = 900
QUIET_SECONDS = 5  # the client's share of a rolled-back version must be 0 for so long
MOVING = {"Pending", "Preparing", "Progressing", "Promoting", "RollingBack", "-"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """
    One rollout as the client and the object's status told it.
    """

    version: str
    expected: str
    """Promoted or RolledBack."""
    outcome: str
    seconds: float
    bad_answers: int
    """Bad answers this version gave in all."""
    bad_before_rollback: int | None
    """Of these, until the status said RollingBack; None: it never did."""
    bad_until_zero_share: int | None
    """Of these, until the client saw its share at 0; None: not rolled back."""
    message: str

    @property
    def as_expected(self) -> bool:
        """
        It ended as it should.
        """
        return self.outcome == self.expected


@dataclass(slots=True, kw_only=True)
class Telling:
    """
    What has been told so far; the screen reads it.
    """

    act: str = ""
    sight: Sight = field(default_factory=Sight)
    client: LoadClient | None = None
    began: float = field(default_factory=time.monotonic)
    acts: list[Act] = field(default_factory=list)

    @property
    def counts(self) -> Snapshot | None:
        """
        What the client counted; None before it started.
        """
        return self.client.snapshot() if self.client else None


Listener = Callable[[Telling], None]


async def rollout(stage: Stage, telling: Telling, version: int, expected: str, listen: Listener) -> Act:
    """
    Apply a version and watch until it is promoted or rolled back and the client agrees.
    """
    telling.act = f"version {version}"
    began = time.monotonic()
    apply(stage, manifest(stage, version))
    bad_at_rollback: int | None = None
    outcome = "TimedOut"
    while time.monotonic() - began < ACT_LIMIT_SECONDS:
        telling.sight = sight = await look(stage)
        listen(telling)
        if sight.phase in {"RollingBack", "Failed"} and bad_at_rollback is None:
            bad_at_rollback = _bad(telling, version)
        if sight.generation_seen and sight.phase == "Stable" and sight.stable == str(version):
            outcome = "Promoted"
            break
        if sight.generation_seen and sight.phase == "Failed" and _quiet(telling, version):
            outcome = "RolledBack"
            break
        if sight.phase not in MOVING | {"Stable", "Failed"}:
            outcome = sight.phase
            break
        await asyncio.sleep(LOOK_SECONDS)
    seconds = time.monotonic() - began
    bad = _bad(telling, version)
    act = Act(
        version=str(version),
        expected=expected,
        outcome=outcome,
        seconds=seconds,
        bad_answers=bad,
        bad_before_rollback=bad_at_rollback,
        bad_until_zero_share=bad if outcome == "RolledBack" else None,
        message=telling.sight.message,
    )
    telling.acts.append(act)
    return act


def _bad(telling: Telling, version: int) -> int:
    counts = telling.counts
    return counts.bad(str(version)) if counts else 0


def _quiet(telling: Telling, version: int) -> bool:
    counts = telling.counts
    return counts is None or not counts.share(str(version), QUIET_SECONDS)


async def tell(stage: Stage, rate: float, listen: Listener) -> Telling:
    """
    The whole story; the client runs from the first version's first readiness to the end.
    """
    telling = Telling()
    first = await rollout(stage, telling, 1, "Promoted", listen)
    if not first.as_expected:
        return telling
    bodies = bodies_of(ROOT / "examples/digits/data/requests.jsonl")
    telling.client = LoadClient(stage.url + PATH, HOSTNAME, bodies, rate=rate)
    stop = asyncio.Event()
    traffic = asyncio.create_task(telling.client.run(stop, max_seconds=3 * ACT_LIMIT_SECONDS))
    try:
        await asyncio.sleep(10)  # some traffic on version 1 alone, to be seen in the table
        second = await rollout(stage, telling, 2, "Promoted", listen)
        if second.as_expected:
            await rollout(stage, telling, 3, "RolledBack", listen)
            await asyncio.sleep(QUIET_SECONDS)
    finally:
        stop.set()
        await traffic
    return telling


__all__ = ["NAME", "Act", "Telling", "rollout", "tell"]
