"""
A route of somebody else's under load: adopted, rolled out in, aborted in, put back; nothing else of it ever changes.
"""

import time
from collections import Counter
from dataclasses import dataclass
from typing import Any, Final

import pytest
from apiserver.operator_world import MERGE, ROUTES
from rig.gateway import Written
from rig.hand import make, put, rule
from rig.stories import Told, story
from rig.world import RigWorld

pytestmark = pytest.mark.apiserver

SIGMAS: Final = 4.0  # of the binomial deviation: about one false alarm in ten thousand runs
MODEL, OTHER = "fraud", "third"
HEADER: Final = {
    "type": "ResponseHeaderModifier",
    "responseHeaderModifier": {"add": [{"name": "x-shop", "value": "yes"}]},
}
SPEC: Final[dict[str, Any]] = {
    "traffic": {"gatewayAPI": {"routeRef": {"name": "shop", "backend": MODEL}, "requestTimeout": "5s"}},
    "strategy": {
        "canary": {"steps": [{"traffic": "25%"}, {"traffic": "100%"}], "soak": "1s"},
        "scaleDownDelay": "1s",
        "keepRevisions": 0,
    },
}


@dataclass(frozen=True, slots=True)
class Adopted:
    """
    What became of the route, and what the client saw.
    """

    before: dict[str, Any]
    after: dict[str, Any]
    """Spec and annotations once the object was deleted."""
    others: list[Any]
    """What is not the model's, of every generation, repetitions left out."""
    weights: list[int]
    """The model's whole weight in the first rule, likewise."""
    outcomes: list[tuple[str, str]]
    answers: Counter[str]
    bad: dict[str, int]


def face(world: RigWorld) -> dict[str, Any]:
    """
    The route's spec and annotations.
    """
    route = world.send("GET", world.path(ROUTES, "httproutes", "shop"))
    return {"spec": route["spec"], "annotations": route["metadata"].get("annotations") or {}}


def is_ours(backend: dict[str, Any]) -> bool:
    """
    The entry is the model's: as its owner has it, or one of its revisions.
    """
    return bool(backend["name"] == MODEL or backend["name"].startswith(f"{MODEL}-"))


def others(version: Written) -> dict[str, Any]:
    """
    The spec without the model's entries.
    """
    rules = [
        {**rule, "backendRefs": [backend for backend in rule["backendRefs"] if not is_ours(backend)]}
        for rule in version.rules["rules"]
    ]
    return {**version.rules, "rules": rules}


def weight(version: Written) -> int:
    """
    Of the model in the first rule.
    """
    return sum(backend["weight"] for backend in version.rules["rules"][0]["backendRefs"] if is_ours(backend))


def distinct(found: list[Any]) -> list[Any]:
    """
    Each once, in order.
    """
    return [item for at, item in enumerate(found) if item not in found[:at]]


def whole_life(world: RigWorld) -> Adopted:
    """
    From the hand-made model to version 2, an aborted version 3, and back to the hand-made model.
    """
    make(world, MODEL, "0")
    make(world, OTHER, OTHER)
    put(
        world,
        "shop",
        rule({MODEL: 80, OTHER: 20}, filters=[HEADER], timeouts={"request": "5s"}),
        rule({OTHER: 1}, matches=[{"path": {"type": "PathPrefix", "value": "/files"}}]),
    )
    world.until(lambda: len(world.kubelet.pods) == 2, "the hand-made pods are up", 30)
    time.sleep(2)
    before = face(world)
    with world.traffic(60) as traffic:
        world.apply("1", **SPEC)
        world.start()
        world.until(lambda: world.serves("1"), "version 1 is stable")
        world.apply("2", **SPEC)
        world.until(lambda: world.serves("2"), "version 2 is stable")
        patient = {**SPEC, "strategy": {"canary": {**SPEC["strategy"]["canary"], "soak": "5m"}}}
        world.apply("3", **patient)
        world.until(lambda: (world.status.get("step") or {}).get("traffic") == "25%", "version 3 has a share")
        time.sleep(3)
        abort = {"modelramp.io/abort": world.status["candidate"]["revision"]}
        world.send("PATCH", world.model_path, {"metadata": {"annotations": abort}}, MERGE)
        world.until(lambda: world.status["phase"] == "Failed", "version 3 is aborted")
        outcomes = [(entry["version"], entry["outcome"]) for entry in world.status["history"]]
        world.send("DELETE", world.model_path)
        world.until(lambda: world.server.send("GET", world.model_path, None).status == 404, "the object is gone", 30)
        time.sleep(8)  # its pods leave
    counts = traffic.counts()
    written = world.written()
    return Adopted(
        before,
        face(world),
        distinct([others(version) for version in written]),
        distinct([weight(version) for version in written]),
        outcomes,
        Counter({version or "-": n for (version, _), n in counts.answers.items()}),
        traffic.bad(),
    )


story("adopted", whole_life)


def test_an_adopted_route_serves_on_and_nothing_else_of_it_changes(told: Told) -> None:
    """After adoption, promotion, abort and deletion; and the other backend keeps its fifth."""
    seen: Adopted = told("adopted")
    assert seen.bad == {}
    assert seen.outcomes == [("1", "Promoted"), ("2", "Promoted"), ("3", "RolledBack")]
    assert set(seen.answers) == {"0", "1", "2", "3", OTHER}
    assert len(seen.others) == 1
    assert seen.weights == [80]
    assert seen.after == seen.before
    total = seen.answers.total()
    assert abs(seen.answers[OTHER] - total * 0.2) <= SIGMAS * (total * 0.2 * 0.8) ** 0.5
