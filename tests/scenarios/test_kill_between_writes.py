"""
The operator dies between every two of its writes, one death a run, none left out: each run ends as the undisturbed one.
"""

from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import cache
from typing import Any, Final

import pytest
from scenarios.stories import HALF, MODELS, deployed, strategy, then
from scenarios.world import Crash, Faults, World

SHADOW_FIRST: Final = {
    **HALF,
    "canary": {**HALF["canary"], "shadow": {"mirror": "100%", "soak": "20s", "deadline": "5m"}},
}
PREVIEWED: Final = strategy("blueGreen", steps=[{"traffic": "50%"}, {"traffic": "100%"}])
RUNS: Final[dict[str, tuple[str, Mapping[str, Any]]]] = {
    "canary": ("2", HALF),
    "canary, bad version": ("3", HALF),
    "blueGreen": ("2", strategy("blueGreen")),
    "blueGreen in parts, bad version": ("3", PREVIEWED),
    "shadow, then canary": ("2", SHADOW_FIRST),
    "shadow, then canary, bad version": ("3", SHADOW_FIRST),
    "shadow with a report": ("2", strategy("shadow")),
    "shadow that compares": ("2", strategy("shadow", compare={})),
}


class Mortal(Faults):
    """
    The process dies right after its write of this number, counted from 1; 0: it never does.
    """

    def __init__(self, dies_after: int) -> None:
        self.dies_after, self.written = dies_after, 0
        self.names: list[str] = []

    def at_write(self, name: str, write: Callable[[], None]) -> None:
        write()
        self.written += 1
        self.names.append(name)
        if self.written == self.dies_after:
            raise Crash(name)


def told(run: str, dies_after: int) -> World:
    """
    Version 1, then the run's version; the operator dies once and comes back two seconds later.
    """
    version, how = RUNS[run]
    world = World(models=MODELS, faults=Mortal(dies_after))
    deployed(world, strategy=how)
    then(world, version, strategy=how)
    world.run(900)
    return world


@cache
def undisturbed(run: str) -> World:
    """
    The same without a death.
    """
    return told(run, 0)


def end(world: World) -> dict[str, Any]:
    """
    Where it ended, without times and counts.
    """
    status, route = world.deployment.status, world.gateway
    return {
        "phase": status.phase,
        "reason": status.reason,
        "stable": status.stable and status.stable.version,
        "candidate": status.candidate,
        "step": status.step,
        "history": [(entry.version, entry.outcome) for entry in status.history],
        "rejected": [(rejection.version, rejection.reason) for rejection in status.rejected],
        "workloads": {name: (load.wanted, load.role) for name, load in world.cluster.workloads.items()},
        "route": (dict(route.written), dict(route.mirrors), route.compared, route.cohort),
        "comparators": dict(world.comparators.running),
        "effective": (dict(route.effective), dict(route.copied)),
    }


def courses(world: World) -> list[Decimal]:
    """
    The candidate's shares as they became effective, each once.
    """
    version = world.deployment.revision
    shares = [given.get(version, Decimal(0)) for _, given in world.gateway.log]
    return [share for index, share in enumerate(shares) if index == 0 or share != shares[index - 1]]


@pytest.mark.parametrize("run", RUNS)
def test_a_death_after_any_write_changes_no_end(run: str) -> None:
    """
    Nor the order of shares; and users lose no more answers than the candidate itself fails.
    """
    calm = undisturbed(run)
    faults = calm.faults
    assert isinstance(faults, Mortal)
    writes = faults.names
    assert {name.split("(")[0] for name in writes} >= {"Status", "Ensure", "Traffic", "Role"}
    stable = calm.deployment.status.stable
    for number, name in enumerate(writes, start=1):
        world = told(run, number)
        why = f"after write {number} of {len(writes)}, {name}"
        assert end(world) == end(calm), why
        assert courses(world) == courses(calm), why
        if stable is not None and RUNS[run][0] == stable.version:
            assert sum(bad for _, bad in world.clients.answers.values()) == 0, why
