"""
A rollout whose surroundings fail: Prometheus is away for a minute, then the API server for half a minute.
"""

import asyncio
import os
import signal
import sys
import time
from dataclasses import dataclass

from demo.client import Snapshot
from demo.rig import Rig, scale, stable_at
from demo.sight import Sight
from demo.stage import ROOT, Stage, StageError

UNREACHABLE = "Unknown MetricSourceUnreachable"
NOTICED_WITHIN_SECONDS = 45
PROMETHEUS_AWAY_SECONDS = 60
API_SERVER_AWAY_SECONDS = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Outages:
    """
    What happened.
    """

    noticed_seconds: float
    """From the last pod of Prometheus gone until the condition AnalysisPassing said so."""
    shares_while_away: tuple[str, ...]
    """Wanted shares of the candidate seen while Prometheus was away; one: it held."""
    went_on_seconds: float
    """From Prometheus' return until the next step; its old samples were lost with its pod."""
    after_api_server_seconds: float
    """From the API server's return until the promotion."""
    outcome: str
    counts: Snapshot
    counted_twice: tuple[str, ...]


def unreachable(sight: Sight) -> bool:
    """
    The condition says that the metrics cannot be read.
    """
    return sight.conditions.get("AnalysisPassing") == UNREACHABLE


async def _tool(*arguments: str) -> tuple[int | None, str]:
    environment = {**os.environ, "MODELRAMP_EMBEDDED": "1"}
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(ROOT / "hack/cluster"), *arguments, env=environment,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    out, _ = await process.communicate()
    return process.returncode, out.decode()


async def api_server_down(stage: Stage, seconds: float) -> None:
    """
    Kill the local cluster's API server and, so many seconds later, have the cluster heal itself.

    Raises:
        StageError: the cluster is not the local one, or did not heal.
    """
    _, status = await _tool("status")
    pids = [int(line.split()[-1]) for line in status.splitlines() if line.startswith("apiserver ")]
    if stage.context or not pids:
        raise StageError("only the local cluster's API server can be killed, and it must run")
    os.kill(pids[0], signal.SIGKILL)
    await asyncio.sleep(seconds)
    failure, said = await _tool("up")
    if failure:
        raise StageError(f"the cluster did not heal: {said[-500:]}")


async def play_outages(stage: Stage, name: str) -> Outages:
    """
    Roll out a good version through both outages, under load.

    Raises:
        StageError: it did not go on, or not to its end.
    """
    rig = Rig(stage, name)
    await rig.deploy(1)
    async with rig.traffic() as client:
        rig.apply(2)
        await rig.until(lambda sight: bool(sight.verdicts) and sight.step.startswith("1/"), 120)
        await asyncio.to_thread(scale, stage, "monitoring", "prometheus", 0)
        away = time.monotonic()
        try:
            await rig.until(unreachable, NOTICED_WITHIN_SECONDS)
            noticed, first = time.monotonic(), len(rig.looks)
            while time.monotonic() - away < PROMETHEUS_AWAY_SECONDS:
                await rig.look()
                await asyncio.sleep(1)
            shares = {look.sight.wanted for look in rig.looks[first:] if look.sight.phase != "-"}
        finally:
            await asyncio.to_thread(scale, stage, "monitoring", "prometheus", 1)
        back = time.monotonic()
        await rig.until(lambda sight: sight.step.startswith("2/"), 180)
        went_on = time.monotonic()
        await api_server_down(stage, API_SERVER_AWAY_SECONDS)
        healed = time.monotonic()
        end = await rig.until(lambda sight: stable_at(sight, 2), 240)
        counts = client.snapshot()
    return Outages(
        noticed_seconds=noticed - away,
        shares_while_away=tuple(sorted(shares)),
        went_on_seconds=went_on - back,
        after_api_server_seconds=time.monotonic() - healed,
        outcome=end.phase,
        counts=counts,
        counted_twice=tuple(rig.counted_twice("2")),
    )
