"""
Whatever happens in a rollout by Swap or Recreate: all pods together, terminating ones too, never take more than the
budget, at no instant.

Pods appear by writes only and go by themselves, so the instants after each write are the ones to look at.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from decimal import Decimal
from math import ceil
from random import Random
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scenarios.parts import GPU, NEVER, Model
from scenarios.world import BEGIN, Crash, Faults, World, spec_of

from modelramp.api.names import ANNOTATION_ABORT
from modelramp.api.vocabulary import Phase
from modelramp.ports import PortError

HISTORIES: Final = 24
CALM_AFTER: Final = 200.0  # faults end here, in virtual seconds
BOUND: Final = 3000.0
TROUBLES: Final = ("none", "none", "none", "crashes", "never ready", "loses a pod")
EVENTS: Final = ("none", "superseded", "reverted", "aborted", "more replicas", "fewer replicas", "deaf gateway")
ON_TRIAL: Final = frozenset({Phase.PREPARING, Phase.PROGRESSING, Phase.PAUSED, Phase.PROMOTING})


@dataclass(frozen=True, kw_only=True)
class Plot:
    """
    How many pods, what each takes and may take, and what happens.
    """

    surge: str
    replicas: int
    each: tuple[int, int]
    """GPUs of a pod of the first version, and of a later one."""
    spare: int
    """GPUs of the budget beyond what one revision takes; -1: there is no budget."""
    failing: float
    trouble: str
    event: str
    event_at: float
    disturbed: bool
    seed: int

    @property
    def limit(self) -> int:
        """
        GPUs of the budget.
        """
        return self.replicas * max(self.each) + self.spare


plots: Final = st.builds(
    Plot,
    surge=st.sampled_from(["Swap", "Swap", "Swap", "Recreate", "Full"]),
    replicas=st.integers(1, 7),
    each=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    spare=st.sampled_from([-1, 0, 0, 1, 2, 5]),
    failing=st.sampled_from([0.0, 0.0, 0.0, 0.3]),
    trouble=st.sampled_from(TROUBLES),
    event=st.sampled_from(EVENTS),
    event_at=st.integers(41, 240).map(float),
    disturbed=st.booleans(),
    seed=st.integers(0, 2**16),
)


@dataclass
class Counted(Faults):
    """
    Faults while they last; and after each write everything is counted.
    """

    plot: Plot
    world: World = field(init=False)
    breaches: list[str] = field(default_factory=list)
    most: int = 0
    """The most GPUs, or pods where there is no budget, that were taken at once."""

    def __post_init__(self) -> None:
        """
        Seed.
        """
        self.random = Random(self.plot.seed)

    def _strikes(self, chance: float) -> bool:
        calm = not self.plot.disturbed or self.world.now - BEGIN > CALM_AFTER
        return not calm and self.random.random() < chance

    def taken(self) -> int:
        """
        By all pods that exist.
        """
        found = self.world.cluster.workloads.values()
        if self.plot.spare < 0:
            return sum(len(workload.pods) for workload in found)
        return sum(len(workload.pods) * int(workload.asks[GPU]) for workload in found)

    def at_write(self, name: str, write: Callable[[], None]) -> None:
        """
        Crash before or after it, or fail it; what it does is counted.
        """
        if self._strikes(0.08):
            raise Crash(name)
        if self._strikes(0.05):
            raise PortError(name)
        self._check_floor(name)
        before = self.taken()
        write()
        self.most = max(self.most, self.taken())
        limit = max(self.plot.limit, 0) if self.plot.spare >= 0 else self.world.deployment.spec.serving.replicas
        if self.taken() > max(limit, before):  # fewer replicas in the spec lower the limit below what there is
            self.breaches.append(f"{name}: {self.taken()} of {limit}")
        if self._strikes(0.08):
            raise Crash(name)

    def _check_floor(self, name: str) -> None:
        """
        Stable keeps the pods that its real share needs, all but one, and the last one, while another is on trial.
        """
        status, spec = self.world.deployment.status, self.world.deployment.spec.serving
        if not name.startswith("Scale(") or status.stable is None or status.phase not in ON_TRIAL:
            return
        revision, _, size = name.removeprefix("Scale(").removesuffix(")").partition(" x")
        if revision != status.stable.revision or self.plot.surge == "Recreate":
            return
        share = self.world.gateway.effective.get(revision, Decimal(0))
        asked = self.world.cluster.workloads[revision].wanted
        if int(size) < min(asked, spec.replicas, max(1, ceil(share * spec.replicas / 100) - 1)):
            self.breaches.append(f"{name}: stable has {share} %")


def spec(plot: Plot, version: str, replicas: int | None = None) -> dict[str, Any]:
    """
    A version of the plot.
    """
    each = plot.each[0] if version == "1" else plot.each[1]
    model = {"name": "model", "image": f"i:{version}", "resources": {"limits": {GPU: each}}}
    capacity: dict[str, Any] = {"surge": plot.surge}
    if plot.spare >= 0:
        capacity["budget"] = {"limit": plot.limit}
    serving = {
        **spec_of(version)["serving"],
        "replicas": replicas or plot.replicas,
        "template": {"spec": {"containers": [model]}},
        "capacity": capacity,
    }
    strategy = dict(spec_of(version)["strategy"])
    if plot.surge == "Recreate":
        strategy["canary"] = {"steps": [{"traffic": "100%"}], "soak": "20s"}
    return spec_of(version, serving=serving, strategy=strategy)


def model(plot: Plot) -> Model:
    """
    The second version.
    """
    return Model(
        errors=lambda _share, _age: plot.failing,
        ready_after=NEVER if plot.trouble == "never ready" else 4.0,
        crash_loops_after=30.0 if plot.trouble == "crashes" else NEVER,
        unready=(25.0, NEVER) if plot.trouble == "loses a pod" else (NEVER, NEVER),
    )


def happens(world: World, plot: Plot) -> None:
    """
    The plot's event.
    """
    candidate = world.deployment.status.candidate
    match plot.event:
        case "superseded":
            world.apply(spec(plot, "3"))
        case "reverted":
            world.apply(spec(plot, "1"))
        case "aborted":
            world.apply(annotations={ANNOTATION_ABORT: candidate.revision if candidate else "nobody"})
        case "more replicas":
            world.apply(spec(plot, "2", plot.replicas + 2))
        case "fewer replicas":
            world.apply(spec(plot, "2", max(1, plot.replicas - 2)))
        case "deaf gateway":
            world.gateway.accept_after = NEVER
            world.at(world.now - BEGIN + 90, lambda: hears_again(world))


def hears_again(world: World) -> None:
    """
    The gateway accepts what was written last, and goes on accepting.
    """
    world.gateway.accept_after, world.gateway.accepts_at = 2.0, world.now + 2.0


def at_rest(world: World) -> bool:
    """
    Nothing is in flight, nothing is left over, and what serves has the size there is room for; or nothing was begun
    because it does not fit.
    """
    status = world.deployment.status
    if status.phase in {Phase.STABLE, Phase.FAILED}:
        left = [load for load in world.cluster.workloads.values() if load.wanted or load.pods]  # a kept one has none
        return len(left) == 1 and len([pod for pod in left[0].pods if pod.gone_at == NEVER]) == left[0].wanted > 0
    short = [c for c in status.conditions if c.type == "Accepted" and c.reason == "InsufficientCapacity"]
    return bool(short) or status.phase is Phase.PAUSED


def told(plot: Plot) -> tuple[World, Counted]:
    """
    The plot's world after its run, and what was counted.
    """
    faults = Counted(plot=plot)
    world = World(
        models={"1": Model(), "2": model(plot), "3": Model()},
        seed=plot.seed,
        faults=faults,
        resync_seconds=20.0 if plot.disturbed else NEVER,
    )
    faults.world = world
    world.at(0.0, lambda: world.apply(spec(plot, "1")))
    world.at(40.0, lambda: world.apply(spec(plot, "2")))
    world.at(plot.event_at, lambda: happens(world, plot))
    world.run(BOUND, until=lambda w: w.now - BEGIN > CALM_AFTER + 60 and not w.script and at_rest(w))
    return world, faults


@settings(max_examples=HISTORIES)
@given(plot=plots)
def test_no_write_takes_more_than_the_budget_and_every_run_ends(plot: Plot) -> None:
    """
    In Swap and Recreate, and in Full where there is a budget; through crashes, failed writes and edits.
    """
    world, faults = told(plot if plot.surge != "Full" or plot.spare >= 0 else replace(plot, spare=5))
    assert faults.breaches == []
    assert at_rest(world), world.deployment.status.message


@settings(max_examples=HISTORIES // 2)
@given(
    plot=st.builds(
        Plot,
        surge=st.just("Swap"),
        replicas=st.integers(2, 8),
        each=st.sampled_from([(1, 1), (2, 2), (1, 2), (2, 1)]),
        spare=st.sampled_from([-1, 0, 1, 3]),
        failing=st.just(0.0),
        trouble=st.just("none"),
        event=st.just("none"),
        event_at=st.just(41.0),
        disturbed=st.booleans(),
        seed=st.integers(0, 2**16),
    )
)
def test_a_good_version_is_swapped_in_and_nobody_is_left_without_an_answer(plot: Plot) -> None:
    """
    With as little as the budget of one revision: promoted at full size, and not one request met nobody.
    """
    world, faults = told(plot)
    status = world.deployment.status
    assert faults.breaches == []
    assert (status.phase, status.stable.version if status.stable else None) == (Phase.STABLE, "2")
    (left,) = [load for load in world.cluster.workloads.values() if load.wanted]
    assert left.wanted == plot.replicas
    assert sum(bad for _, bad in world.clients.answers.values()) == 0


@pytest.mark.parametrize("surge", ["Swap", "Full"])
def test_the_count_would_see_a_breach(surge: str) -> None:
    """
    Full without a budget takes twice the pods: the same counting says so, and of Swap it does not.
    """
    plot = Plot(
        surge=surge,
        replicas=3,
        each=(1, 1),
        spare=-1,
        failing=0.0,
        trouble="none",
        event="none",
        event_at=41.0,
        disturbed=False,
        seed=1,
    )
    _, faults = told(plot)
    assert (faults.most, bool(faults.breaches)) == ((3, False) if surge == "Swap" else (6, True))
