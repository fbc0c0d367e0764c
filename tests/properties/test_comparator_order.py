"""
A comparator in any rollout: it gets copies only while it and the candidate serve, and goes only after its copies.

Random downtimes, edits and events in the small world; half of the plots crash the operator before and after writes,
fail writes and lose news.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from hypothesis import given, settings
from hypothesis import strategies as st
from scenarios.comparators import Comparators
from scenarios.parts import NEVER, Model
from scenarios.stories import asked
from scenarios.stories_compared import compared
from scenarios.world import BEGIN, Crash, Faults, World

from modelramp.api.vocabulary import Phase
from modelramp.ports import PortError

PLOTS: Final = 25
CALM_AFTER: Final = 200.0
BOUND: Final = 1500.0
AT_REST: Final = {Phase.STABLE, Phase.FAILED, Phase.REPORTED}


@dataclass(frozen=True, kw_only=True)
class Plot:
    """
    How the version behaves, when its comparator or its pods are away, and what people do.
    """

    disagrees: float
    failing: float
    away_at: float
    away_for: float
    pods_away_at: float
    event: str
    event_at: float
    disturbed: bool
    seed: int


plots: Final = st.builds(
    Plot,
    disagrees=st.sampled_from([0.0, 0.0, 0.08]),
    failing=st.sampled_from([0.0, 0.0, 0.08]),
    away_at=st.sampled_from([0.0, 46.0, 50.0, 60.0, 75.0]),
    away_for=st.sampled_from([0.0, 3.0, 30.0, 120.0]),
    pods_away_at=st.sampled_from([NEVER, NEVER, 12.0, 20.0]),
    event=st.sampled_from(["none", "edited", "dropped", "superseded", "reverted", "abort", "pause", "promote-full"]),
    event_at=st.integers(min_value=41, max_value=120).map(float),
    disturbed=st.booleans(),
    seed=st.integers(min_value=0, max_value=2**16),
)


@dataclass
class Watched(Faults):
    """
    Faults while they last; and what no write may do, checked against what really is.
    """

    seed: int
    disturbed: bool
    world: World = field(init=False)
    violations: list[str] = field(default_factory=list)
    compared: int = 0
    dropped: int = 0

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)

    def _strikes(self, chance: float) -> bool:
        calm = not self.disturbed or self.world.now - BEGIN > CALM_AFTER
        return not calm and self.random.random() < chance

    def at_write(self, name: str, write: Callable[[], None]) -> None:
        if self._strikes(0.08):
            raise Crash(name)
        if self._strikes(0.05):
            raise PortError(name)
        self._check(name)
        write()
        self._check_copies(name)
        if self._strikes(0.08):
            raise Crash(name)

    def _check(self, name: str) -> None:
        gateway, kind = self.world.gateway, name.partition("(")[0]
        revision = name.partition("(")[2].partition(" ")[0].rstrip(")")
        if kind == "DropComparator":
            self.dropped += 1
            if revision in gateway.compared | gateway.copied_by_way:
                self.violations.append(f"{name} while copies go there")
        if name.endswith(" x0)") and revision in self.world.comparators.running:
            self.violations.append(f"{name} while its comparator may still ask it")

    def _check_copies(self, name: str) -> None:
        gateway, comparators = self.world.gateway, self.world.comparators
        if not name.startswith("Traffic("):
            return
        self.compared += bool(gateway.compared)
        arms = {one: load.arm(self.world.now) for one, load in self.world.cluster.workloads.items()}
        for revision in gateway.compared:
            if not (comparators.is_ready(revision) and arms[revision].ready > 0):
                self.violations.append(f"{name} while not both serve")

    def loses_event(self) -> bool:
        return self._strikes(0.3)


def happens(world: World, plot: Plot) -> None:
    """
    The plot's event.
    """
    match plot.event:
        case "edited":
            world.apply(compared("2", {"as": "Set"}))
        case "dropped":
            world.apply(compared("2", None))
        case "superseded":
            world.apply(compared("3", {}))
        case "reverted":
            world.apply(compared("1", {}))
        case "none":
            pass
        case verb:
            if world.deployment.status.candidate is not None:
                asked(world, verb)
            if verb == "pause":
                world.at(world.now - BEGIN + 60, lambda: asked(world, "resume", "r-2"))


def played(plot: Plot) -> tuple[World, Watched]:
    """
    The plot, to its end.
    """
    away = (NEVER, NEVER) if plot.pods_away_at == NEVER else (plot.pods_away_at, plot.pods_away_at + 10)
    tried = Model(disagrees=plot.disagrees, errors=lambda _share, _age: plot.failing, unready=away, unready_pods=2)
    faults = Watched(plot.seed, plot.disturbed)
    models: dict[str, Any] = {"1": Model(), "2": tried, "3": Model()}
    world = World(models=models, seed=plot.seed, faults=faults, resync_seconds=30.0)
    faults.world = world
    if plot.away_for:
        world.comparators.down = (BEGIN + plot.away_at, BEGIN + plot.away_at + plot.away_for)
    world.at(0.0, lambda: world.apply(compared("1", {})))
    world.at(40.0, lambda: world.apply(compared("2", {})))
    world.at(plot.event_at, lambda: happens(world, plot))
    world.run(BOUND)
    return world, faults


def check(plot: Plot) -> Watched:
    """
    What holds in every plot.
    """
    world, faults = played(plot)
    assert faults.violations == [], plot
    status = world.deployment.status
    ended = status.phase in AT_REST
    assert ended or (status.phase is Phase.PAUSED and "goes on" in status.message), (plot, status.message)
    if ended:
        assert isinstance(world.comparators, Comparators)
        assert world.comparators.running == {}, plot
        assert (dict(world.gateway.mirrors), world.gateway.compared) == ({}, frozenset()), plot
    return faults


@settings(max_examples=PLOTS)
@given(plots)
def test_copies_and_comparators_come_and_go_in_order(plot: Plot) -> None:
    """
    And where the rollout ends, nothing is left of either.
    """
    check(plot)


def test_the_plots_reach_what_they_are_about() -> None:
    """
    A watch that sees no copies and no end of a comparator would find nothing wrong with them.
    """
    quiet = Plot(
        disagrees=0.0, failing=0.0, away_at=0.0, away_for=0.0, pods_away_at=NEVER,
        event="none", event_at=60.0, disturbed=False, seed=1,
    )  # fmt: skip
    faults = check(quiet)
    assert (faults.compared, faults.dropped) == (1, 1)
