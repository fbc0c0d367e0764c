"""
The rig can be relied on: it splits, copies and matches as a route says, and its faults are those they are named for.

No operator runs here; the objects are made by hand.
"""

import time
from collections import Counter
from dataclasses import dataclass
from typing import Final

import pytest
from apiserver.operator_world import MERGE, ROUTES
from rig.hand import make, put, rule
from rig.knobs import Speech
from rig.load import answer_of
from rig.stories import Told, story
from rig.world import RigWorld

pytestmark = pytest.mark.apiserver

RATE: Final = 100.0
SIGMAS: Final = 4.0  # of the binomial deviation: about one false alarm in ten thousand runs
COHORT: Final = {"x-model-cohort": "candidate"}


def served_by(world: RigWorld, headers: dict[str, str] | None = None) -> str:
    """
    Who answers one request: `version/status`.
    """
    return world.ask(answer_of(world.plane.port, headers or {}))


def opened(world: RigWorld) -> tuple[str, str]:
    """
    Two versions up, and a route that gives the first one everything.
    """
    one, two = make(world, "hand-1", "1"), make(world, "hand-2", "2")
    put(world, "hand", rule({one: 1}))
    world.until(lambda: len(world.kubelet.pods) == 2 and served_by(world) == "1/200", "version 1 answers", 30)
    return one, two


@dataclass(frozen=True, slots=True)
class Split:
    """
    What a client and the servers counted under one route.
    """

    answers: Counter[str]
    mirrored: dict[str, int]
    by_header: str


def split(world: RigWorld) -> Split:
    """
    90 to 10 with a copy of every fourth request to the second version, and a header that leads there always.
    """
    one, two = opened(world)
    mirror = {"type": "RequestMirror", "requestMirror": {"backendRef": {"name": two, "port": 80}, "percent": 25}}
    cohort = {"matches": [{"headers": [{"name": name, "value": value} for name, value in COHORT.items()]}]}
    put(world, "hand", rule({one: 90, two: 10}, filters=[mirror]), rule({two: 1}, **cohort))
    world.until(lambda: served_by(world, COHORT) == "2/200", "the cohort's rule is in force", 10)
    before = {server.version: server.mirrored for server in world.kubelet.servers}
    with world.traffic(RATE) as traffic:
        time.sleep(12)
    counts = traffic.counts()
    answers = Counter({f"{version or '-'}/{status}": n for (version, status), n in counts.answers.items()})
    mirrored = {server.version: server.mirrored - before[server.version] for server in world.kubelet.servers}
    return Split(answers, mirrored, served_by(world, COHORT))


def faults(world: RigWorld) -> dict[str, list[str]]:
    """
    Who answers while each fault is in force, and afterwards.
    """
    one, two = opened(world)
    put(world, "hand", rule({one: 1, two: 1}))
    world.until(lambda: served_by(world) == "2/200", "version 2 answers", 30)
    found: dict[str, list[str]] = {}

    def move(name: str, to: str) -> None:
        """Give the version everything and see who answers 0.5 s and 3 s later."""
        put(world, "hand", rule({to: 1 + len(found)}))  # another weight is another generation
        time.sleep(0.5)
        found[name] = [served_by(world)]
        time.sleep(2.5)
        found[name].append(served_by(world))

    move("none", two)
    world.knobs.route_delay_seconds = 2.0
    move("delayed", one)
    world.knobs.route_delay_seconds = 0.0
    world.knobs.updates_to_lose = 1
    move("lost", two)
    move("after a loss", two)
    world.knobs.programs = False
    move("lying", one)
    world.knobs.programs = True
    world.knobs.speech = Speech.FALLING_BACK
    move("falling back", one)
    world.knobs.speech = Speech.SILENT
    move("silent", one)
    world.knobs.speech, world.knobs.endpoint_delay_seconds = Speech.TRUTHFUL, 5.0
    put(world, "hand", rule({one: 1, two: 0}))
    path = world.path("/apis/apps/v1", "deployments", one)
    world.send("PATCH", path, {"spec": {"replicas": 0}}, MERGE)
    time.sleep(3)
    found["endpoints delayed"] = [served_by(world)]
    return found


def conditions(world: RigWorld) -> dict[str, list[tuple[str, bool, bool]]]:
    """
    What each speech writes: type, whether it is of the present generation, whether it names a generation at all.
    """
    one, two = opened(world)
    path, found = world.path(ROUTES, "httproutes", "hand"), {}
    for speech, to in zip(Speech, (two, one, two, one), strict=True):
        world.knobs.speech = speech
        put(world, "hand", rule({to: 1}))
        time.sleep(1)
        route = world.send("GET", path)
        generation = route["metadata"]["generation"]
        found[speech.name] = [
            (c["type"], c.get("observedGeneration") == generation, "observedGeneration" in c)
            for c in route["status"]["parents"][0]["conditions"]
        ]
    return found


story("split", split)
story("faults", faults)
story("conditions", conditions)


def test_requests_are_split_copied_and_matched_as_the_route_says(told: Told) -> None:
    """The copy is drawn apart from the split, and copies are no answers."""
    seen: Split = told("split")
    assert set(seen.answers) == {"1/200", "2/200"}
    total = seen.answers.total()
    assert total >= 150
    for n, share in ((seen.answers["2/200"], 0.1), (seen.mirrored["2"], 0.25)):
        assert abs(n - total * share) <= SIGMAS * (total * share * (1 - share)) ** 0.5
    assert seen.mirrored["1"] == 0
    assert seen.by_header == "2/200"


def test_the_data_plane_has_the_faults_of_the_knobs(told: Told) -> None:
    """Each is seen by who answers, at once and later."""
    assert told("faults") == {
        "none": ["2/200", "2/200"],
        "delayed": ["2/200", "1/200"],
        "lost": ["1/200", "1/200"],
        "after a loss": ["2/200", "2/200"],
        "lying": ["2/200", "2/200"],
        "falling back": ["2/200", "2/200"],
        "silent": ["1/200", "1/200"],
        "endpoints delayed": ["-/503"],
    }


def test_the_status_has_the_faults_of_the_knobs(told: Told) -> None:
    """As the operator reads it."""
    said = ["Accepted", "ResolvedRefs"]
    assert told("conditions") == {
        "TRUTHFUL": [(kind, True, True) for kind in said],
        "WITHOUT_GENERATION": [(kind, False, False) for kind in said],
        "SILENT": [(kind, False, False) for kind in said],
        "FALLING_BACK": [("PartiallyInvalid", True, True), *((kind, False, True) for kind in said)],
    }
