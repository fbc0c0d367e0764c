"""
Several candidates of one shadow run through a real Envoy: each gets the same copies, a bad one is found by its answers
and leaves while the run goes on, and users see nothing of any of them.
"""

import time
from dataclasses import dataclass
from typing import Any, Final

import pytest
from rig.gateway import Written
from rig.stories import Told, story
from rig.world import RigWorld

pytestmark = pytest.mark.apiserver

RATE: Final = 60.0
GOOD, BAD = "3", "4"
COUNTED: Final[dict[str, Any]] = {
    "interval": "2s",
    "overdispersion": "1",
    "prometheus": {"delay": "1s"},
    "metrics": [{"preset": "errors"}],
}
RUN: Final[dict[str, Any]] = {"soak": "15s", "deadline": "4m", "blastRadius": "20%"}


def others() -> dict[str, Any]:
    """
    A short shadow run of three candidates.
    """
    listed = [{"name": name, "model": {"version": version}} for name, version in (("good", GOOD), ("bad", BAD))]
    return {
        "strategy": {"shadow": {**RUN, "others": listed}, "scaleDownDelay": "1s"},
        "analysis": COUNTED,
    }


def copied_to(version: Written) -> set[str]:
    """
    The Services that this generation of the route copies to.
    """
    return {
        item["requestMirror"]["backendRef"]["name"]
        for rule in version.rules["rules"]
        for item in rule.get("filters") or ()
        if item["type"] == "RequestMirror"
    }


@dataclass(frozen=True, slots=True)
class Several:
    """
    What was seen of the run.
    """

    bad_answers: dict[str, int]
    versions: set[str | None]
    live_shares: set[str]
    """Services but stable's that some generation of the route gave a share."""
    most_copied: int
    """To how many candidates some generation copied at once."""
    route_left: float
    """When the route copied to the bad one no more; monotonic seconds, as the next one."""
    pods_left: float
    run_went_on: bool
    """The route copied to the two others then."""
    copies: dict[str, int]
    """Copies by version, of the whole run."""
    outcomes: dict[str, str]
    history: dict[str, Any]
    left: set[str]
    """Deployments after the end."""
    stable: str


def service_of(world: RigWorld, name: str) -> str:
    """
    The Service of one of the others.
    """
    (revision,) = [other["revision"] for other in world.status["others"] if other["name"] == name]
    return f"fraud-{revision}"


def several(world: RigWorld) -> Several:
    """
    The run's own candidate is good, one other is, and one fails every second request.
    """
    stable = world.deploy(analysis=COUNTED)
    world.kubelet.failing = frozenset({BAD})
    with world.traffic(RATE) as traffic:
        world.apply("2", **others())
        world.until(lambda: len(copied_to(world.written()[-1])) == 3, "three candidates get copies")
        bad = service_of(world, "bad")
        route_left = world.until(lambda: bad not in copied_to(world.written()[-1]), "the bad one gets none")
        went_on = len(copied_to(world.written()[-1])) == 2
        pods_left = world.until(lambda: not running(world, BAD), "its pods are gone", 120)
        world.until(lambda: world.status["phase"] == "Reported", "the run reported", 180)
        world.until(lambda: set(world.wanted_replicas()) == {stable}, "nothing is left of it", 120)
        time.sleep(1)
    entry = world.status["history"][-1]
    written = world.written()
    return Several(
        bad_answers=traffic.bad(),
        versions={version for version, _ in traffic.counts().answers},
        live_shares={name for one in written for name, percent in one.weights.items() if percent} - {stable},
        most_copied=max(len(copied_to(one)) for one in written),
        route_left=route_left,
        pods_left=pods_left,
        run_went_on=went_on,
        copies={server.version: server.mirrored for server in world.kubelet.servers},
        outcomes={line.partition(" ")[0]: line.split(": ")[1] for line in entry["others"]},
        history=entry,
        left=set(world.wanted_replicas()),
        stable=stable,
    )


def running(world: RigWorld, version: str) -> bool:
    """
    Some server of the version is up.
    """
    return any(pod.server.version == version for pod in world.kubelet.pods.values())


story("several", several, metrics=True)


def test_each_candidate_gets_copies_and_users_see_none_of_them(told: Told) -> None:
    """By the client's count, and by the route: no generation gave any of them a share."""
    seen: Several = told("several")
    assert seen.bad_answers == {}
    assert seen.versions == {"1"}
    assert seen.live_shares == set()
    assert seen.most_copied == 3
    assert min(seen.copies[version] for version in ("2", GOOD, BAD)) > 100
    assert seen.copies["1"] == 0


def test_the_bad_one_leaves_and_the_run_goes_on(told: Told) -> None:
    """Its copies end first, then its pods; the others stay."""
    seen: Several = told("several")
    assert seen.run_went_on
    assert seen.pods_left > seen.route_left
    assert seen.copies[BAD] < seen.copies[GOOD]


def test_the_report_names_each(told: Told) -> None:
    """With its outcome; and nothing of them is left."""
    seen: Several = told("several")
    assert seen.outcomes == {"good": "Passed", "bad": "Harmful"}
    assert seen.history["outcome"] == "ShadowReported"
    assert "the other candidates: bad Harmful, good Passed" in seen.history["message"]
    assert seen.left == {seen.stable}
