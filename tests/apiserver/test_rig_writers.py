"""
Who else writes, dies, or goes around the route: no fight, no jump of the share, and no promotion on nothing.
"""

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pytest
from apiserver.operator_world import ROUTES
from rig.load import Load
from rig.stories import Told, story
from rig.world import COUNTED_BY_PODS, RigWorld, Traffic

pytestmark = pytest.mark.apiserver

FOREIGN = "gitops"
RESET_SECONDS = 5.0
RESETS = 5
PATCH = "application/merge-patch+json"
STEPS = {
    "canary": {"steps": [{"traffic": "20%"}, {"traffic": "100%"}], "soak": "1s", "stepDeadline": "5m"},
    "scaleDownDelay": "1s",
    "keepRevisions": 0,
}
LONG_STEP = {**STEPS, "canary": {**STEPS["canary"], "soak": "4m"}}  # type: ignore[dict-item]
HALVES = {
    "canary": {
        "steps": [{"traffic": "50%"}, {"traffic": "100%"}],
        "soak": "1s",
        "stepDeadline": "25s",
        "blastRadius": "20%",
    },
    "scaleDownDelay": "1s",
    "keepRevisions": 0,
}
THIRDS = {
    **HALVES,
    "canary": {**HALVES["canary"], "steps": [{"traffic": "20%"}, {"traffic": "60%"}]},  # type: ignore[dict-item]
}
COUNTED_BY_GATEWAY = {**COUNTED_BY_PODS, "metrics": [{"preset": "errors", "origin": "Gateway"}]}


# ---------------------------------------------------------------- a second writer


@dataclass(frozen=True, slots=True)
class Contested:
    """
    What happened while somebody else wrote the rules again and again.
    """

    phase: str
    reason: str
    programmed: tuple[str, str]
    ours: int
    """Generations of the route that we wrote after the first foreign one."""
    foreign: int
    most_exposed: int
    """The largest share of the candidate that we wrote after the first foreign generation, in percent."""
    bad: dict[str, int]


def reset_to(world: RigWorld, weights: dict[str, int]) -> None:
    """
    Write the rules as a tool would that knows only its own copy of the route.
    """
    path = world.path(ROUTES, "httproutes", "fraud")
    (rule,) = world.send("GET", path)["spec"]["rules"]
    backends = [{**rule["backendRefs"][0], "name": name, "weight": weight} for name, weight in weights.items()]
    rules = [{**rule, "backendRefs": backends}]
    world.send("PATCH", f"{path}?fieldManager={FOREIGN}", {"spec": {"rules": rules}}, PATCH)


def contested(share: int) -> Callable[[RigWorld], Contested]:
    """
    Somebody gives the candidate this share every few seconds, and stable the rest.
    """

    def play(world: RigWorld) -> Contested:
        old = world.deploy(strategy=LONG_STEP)
        with world.traffic() as traffic:
            world.apply("2", strategy=LONG_STEP)
            world.until(lambda: 20 in world.written()[-1].weights.values(), "version 2 has a share")
            (new,) = set(world.shares()) - {old}
            began = time.monotonic()
            for _ in range(RESETS):
                reset_to(world, {old: 100 - share, new: share} if share else {old: 100})
                time.sleep(RESET_SECONDS)
            status, programmed = world.status, world.condition("TrafficProgrammed")
            written = [{name: int(w) for name, w in version.weights.items()} for version in world.written(began)]
            theirs = {old: 100 - share, new: share} if share else {old: 100}
            ours = [weights for weights in written if weights != theirs]
            return Contested(
                status["phase"],
                status["reason"],
                (programmed["status"], programmed["reason"]),
                len(ours),
                len(written) - len(ours),
                max([0, *(weights.get(new, 0) for weights in ours)]),
                traffic.bad(),
            )

    return play


# ---------------------------------------------------------------- a killed operator


@dataclass(frozen=True, slots=True)
class Killed:
    """
    A rollout whose operator died after each of its visible writes.
    """

    kills: int
    shares: list[int]
    """The candidate's percent in each generation of the route, repetitions left out."""
    bad: dict[str, int]
    left: dict[str, int]
    history: list[tuple[str, str]]


def face(world: RigWorld, old: str) -> tuple[object, ...]:
    """
    All that the operator writes of a rollout, without what it writes for people.
    """
    status, deployments = world.status, world.items("/apis/apps/v1", "deployments")
    services = sorted(service["metadata"]["name"] for service in world.items("/api/v1", "services"))
    shares = {name: share for name, share in world.shares().items() if name != old}
    roles = [(d["metadata"]["name"], d["spec"]["replicas"], d["metadata"]["labels"]) for d in deployments]
    return status.get("phase"), (status.get("step") or {}).get("index"), roles, services, shares


def killed(world: RigWorld) -> Killed:
    """
    Killed as soon as a write is seen, and started again.
    """
    old, kills = world.deploy(strategy=STEPS), 0
    with world.traffic() as traffic:
        world.kill()
        before = face(world, old)
        world.apply("2", strategy=STEPS)
        world.start()
        deadline = time.monotonic() + 300
        while not (world.serves("2") and len(world.wanted_replicas()) == 1 and len(world.shares()) == 1):
            assert time.monotonic() < deadline, world.status
            after = face(world, old)
            if after != before:
                world.kill()
                kills, before = kills + 1, face(world, old)
                world.start()
        time.sleep(1)
    percents = world.percent_of_candidate(old)
    steps = [percents[0], *(b for a, b in pairwise(percents) if a != b)]
    history = [(entry["version"], entry["outcome"]) for entry in world.status["history"]]
    return Killed(kills, steps, traffic.bad(), world.wanted_replicas(), history)


# ---------------------------------------------------------------- traffic that does not follow


@dataclass(frozen=True, slots=True)
class Unfollowed:
    """
    A rollout whose counts contradict its route.
    """

    phase: str
    shares: list[int]
    split: str
    """Status of TrafficSplitMismatch while the step was held."""
    programmed: tuple[str, str]
    """Status and reason of TrafficProgrammed then."""
    answers: dict[str, int]
    bad: dict[str, int]


def held(world: RigWorld, old: str, traffic: Traffic) -> Unfollowed:
    """
    What is told while the step is held, and where it ends.
    """
    world.until(lambda: world.condition("TrafficSplitMismatch"), "the mismatch is told")
    split, programmed = world.condition("TrafficSplitMismatch"), world.condition("TrafficProgrammed")
    world.until(lambda: world.status["phase"] in {"Paused", "Stable", "Failed"}, "the step ends")
    counts = traffic.counts()
    answers = {version or "-": n for (version, code), n in counts.answers.items() if code == 200}
    return Unfollowed(
        world.status["phase"],
        world.percent_of_candidate(old),
        split["status"],
        (programmed["status"], programmed["reason"]),
        answers,
        traffic.bad(),
    )


@contextlib.contextmanager
def beside_the_route(world: RigWorld) -> Iterator[Traffic]:
    """
    Clients that know a pod of version 1 by its address.
    """
    (pod,) = [pod for pod in world.kubelet.pods.values() if pod.server.version == "1"]
    with world.load(Load(pod.server.port, 40.0)) as traffic:
        yield traffic


def bypassed(world: RigWorld) -> Unfollowed:
    """
    The pods count, and nobody asks the gateway.
    """
    spec: dict[str, Any] = {"strategy": HALVES, "analysis": COUNTED_BY_PODS}
    old = world.deploy(**spec)
    with beside_the_route(world) as traffic:
        world.apply("2", **spec)
        return held(world, old, traffic)


def lied_to(world: RigWorld) -> Unfollowed:
    """
    The gateway follows the first step's share, and only says so of the second one's; its own counters tell.
    """
    spec: dict[str, Any] = {"strategy": THIRDS, "analysis": COUNTED_BY_GATEWAY}
    old = world.deploy(**spec)
    with world.traffic() as traffic:
        world.apply("2", **spec)
        world.until(lambda: 20 in world.shares().values(), "version 2 has a share")
        time.sleep(3)
        world.knobs.programs = False
        return held(world, old, traffic)


def never_followed(world: RigWorld) -> tuple[str, str, dict[str, int]]:
    """
    The gateway follows none of the shares: phase, message and what the client saw at the step's end.
    """
    spec: dict[str, Any] = {"strategy": HALVES, "analysis": COUNTED_BY_GATEWAY}
    world.deploy(**spec)
    with world.traffic() as traffic:
        world.knobs.programs = False
        world.apply("2", **spec)
        world.until(lambda: world.status["phase"] in {"Paused", "Failed"} or world.serves("2"), "the step ends")
    return world.status["phase"], world.status["message"], traffic.bad()


def honest(world: RigWorld) -> tuple[bool, dict[str, int]]:
    """
    The same spec with clients that follow the route: whether it was promoted.
    """
    spec: dict[str, Any] = {"strategy": HALVES, "analysis": COUNTED_BY_PODS}
    world.deploy(**spec)
    with world.traffic() as traffic:
        world.apply("2", **spec)
        world.until(lambda: world.status["phase"] == "Paused" or world.serves("2"), "the rollout ends")
    return world.serves("2"), traffic.bad()


story("killed", killed)
story("reset", contested(0))
story("seized", contested(100))
story("bypassed", bypassed, metrics=True)
story("lied to", lied_to, metrics=True)
story("never followed", never_followed, metrics=True)
story("honest", honest, metrics=True)


def test_somebody_who_resets_the_rules_is_not_fought(told: Told) -> None:
    """The rollout is paused with the reason, and the rules stay theirs."""
    seen: Contested = told("reset")
    assert (seen.phase, seen.reason) == ("Paused", "RouteConflict")
    assert seen.programmed == ("False", "RouteConflict")
    assert seen.ours == 0
    assert seen.bad == {}


def test_somebody_who_gives_the_candidate_everything_is_set_right_and_not_fought(told: Told) -> None:
    """What is more than the step's share is taken back; that is all that is written."""
    seen: Contested = told("seized")
    assert (seen.phase, seen.reason) == ("Paused", "RouteConflict")
    assert seen.most_exposed <= 20
    assert seen.ours <= RESETS
    assert seen.bad == {}


def test_an_operator_killed_after_each_write_lets_no_share_jump(told: Told) -> None:
    """From step to step, never back and never ahead; and the same end."""
    seen: Killed = told("killed")
    assert seen.kills >= 5
    assert seen.shares == [0, 20, 100]
    assert seen.bad == {}
    assert list(seen.left.values()) == [1]
    assert seen.history == [("1", "Promoted"), ("2", "Promoted")]


@pytest.mark.parametrize(("name", "share", "versions"), [("bypassed", 50, {"1"}), ("lied to", 60, {"1", "2"})])
def test_counts_that_contradict_the_route_promote_nothing(
    told: Told, name: str, share: int, versions: set[str]
) -> None:
    """The share stays; the cause is told by name."""
    seen: Unfollowed = told(name)
    assert seen.split == "True"
    assert seen.programmed == ("False", "WeightNotEffective")
    assert max(seen.shares) == share
    assert seen.phase == "Paused"
    assert set(seen.answers) == versions
    assert seen.bad == {}


def test_a_candidate_that_nobody_counted_is_not_promoted(told: Told) -> None:
    """A gateway has no counters yet of a backend that no request reached."""
    phase, message, bad = told("never followed")
    assert phase == "Paused"
    assert "errors: NoCandidateSamples" in message
    assert bad == {}


def test_the_same_spec_is_promoted_when_clients_follow_the_route(told: Told) -> None:
    """Or the two tests above would show nothing."""
    assert told("honest") == (True, {})
