"""
Kill -9 of the operator's own process right after each single write of a rollout, on a real API server: none left out.

One object for each write: the operator is killed after the first write to the first object, after the second write to
the second, and so on, all in one namespace. Each object so suffers its own death at its own place, and the others' in
between. All end as the one that was left in peace.
"""

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any, Final

import pytest
from apiserver.deadly_proxy import DeadlyProxy
from apiserver.fleet import One
from apiserver.operator_world import OperatorWorld, eventually
from apiserver.server import ApiServer

pytestmark = pytest.mark.apiserver

STRATEGIES: Final[dict[str, dict[str, Any]]] = {
    "canary": {"canary": {"steps": [{"traffic": "50%"}, {"traffic": "100%"}], "soak": "1s"}, "scaleDownDelay": "1s"},
    "blueGreen": {"blueGreen": {"preSwitch": {"soak": "1s"}, "bake": "1s"}, "scaleDownDelay": "1s"},
}
DEADLINE_SECONDS: Final = 400.0


def end(one: One) -> dict[str, Any]:
    """
    Where it ended, without times.
    """
    status = one.status
    deployments = one.owned("/apis/apps/v1", "deployments")
    return {
        "phase": status.get("phase"),
        "stable": (status.get("stable") or {}).get("version"),
        "candidate": status.get("candidate"),
        "history": one.history,
        "rejected": status.get("rejected") or [],
        "deployments": [
            (item["spec"]["replicas"], item["metadata"]["labels"]["modelramp.io/role"]) for item in deployments
        ],
        "services": len(one.owned("/api/v1", "services")),
        "shares": one.shares,
    }


def rolled_out(ones: list[One], version: str) -> bool:
    """
    The version serves alone in all of them.
    """
    return all(one.serves(version)[0]() for one in ones)


@pytest.mark.parametrize("kind", ["canary"])  # blueGreen takes minutes more; the small world enumerates all
def test_a_kill_after_any_write_changes_no_end(kind: str, served: ApiServer, tmp_path: Path) -> None:
    """
    As many kills as the rollout has writes.
    """
    strategy = STRATEGIES[kind]
    world = OperatorWorld(served, f"kills-{time.time_ns() % 10**10}", tmp_path)
    world.open()
    with DeadlyProxy(served, tmp_path) as proxy:
        world.settings["KUBECONFIG"] = str(proxy.kubeconfig)
        try:
            calm = One(world, "calm0")
            calm.apply("1", strategy=strategy)
            world.start()
            eventually(lambda: rolled_out([calm], "1"), "version 1 serves")
            proxy.written.clear()
            proxy.log.clear()
            calm.apply("2", strategy=strategy)
            eventually(lambda: rolled_out([calm], "2"), "version 2 serves")
            time.sleep(3)
            writes = list(proxy.log["calm0"])
            assert len(writes) > 15, writes

            ones = [One(world, f"k{number}") for number in range(1, len(writes) + 1)]
            for one in ones:
                one.apply("1", strategy=strategy)
            eventually(lambda: rolled_out(ones, "1"), "version 1 serves everywhere", DEADLINE_SECONDS)
            proxy.written.clear()
            proxy.log.clear()
            proxy.dies = {one.name: number for number, one in enumerate(ones, start=1)}
            proxy.kill = lambda: os.kill(world.process.pid, signal.SIGKILL) if world.process else None
            for one in ones:
                one.apply("2", strategy=strategy)
            revived(world, proxy, ones)
            survived = [one.name for one in ones if one.name not in proxy.deaths]
            told = f"{len(writes)} writes: {writes}; no death for {survived}; deaths {proxy.deaths}"
            sys.stderr.write(f"{told}\n")
            # A rollout that was interrupted may need fewer writes, as what it shows of itself is written less often.
            assert len(survived) <= len(writes) // 4, told
            expected = end(calm)
            for one in ones:
                eventually(lambda one=one: end(one) == expected, f"{one.name}: {end(one)} is {expected}", 30)  # type: ignore[misc] - bound now
        finally:
            world.close()
            sys.stderr.write(f"{world.failures[-3:]}\n{world.log()[-2000:]}")


def revived(world: OperatorWorld, proxy: DeadlyProxy, ones: list[One]) -> None:
    """
    Start the operator again after each death, until version 2 serves alone in all objects.
    """
    until, asked = time.monotonic() + DEADLINE_SECONDS, 0.0
    while True:
        assert time.monotonic() < until, f"not in time; deaths {proxy.deaths}"
        if proxy.killing.is_set():
            assert world.process is not None
            assert world.process.wait(timeout=10) == -signal.SIGKILL
            world.start()
            proxy.killing.clear()  # what arrived until now was the dead one's
        elif time.monotonic() - asked > 3:
            if rolled_out(ones, "2"):
                return
            asked = time.monotonic()
        time.sleep(0.05)
