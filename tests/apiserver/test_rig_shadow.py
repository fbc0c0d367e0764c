"""
Copies of requests: as many as were asked for, only where the gateway can, and none to a candidate without endpoints.
"""

import time
from dataclasses import dataclass
from typing import Any, Final

import pytest
from apiserver.operator_world import MERGE
from rig.gateway import copies
from rig.knobs import ENVOY_GATEWAY
from rig.stories import Told, story
from rig.world import RigWorld, Traffic

pytestmark = pytest.mark.apiserver

RATE: Final = 100.0
COUNTED_SECONDS: Final = 12.0
SIGMAS: Final = 4.0  # of the binomial deviation: about one false alarm in ten thousand runs


def shadow(percent: int) -> dict[str, Any]:
    """
    A shadow run that promotes nothing and is not judged; longer than any story.
    """
    return {
        "strategy": {"shadow": {"mirror": f"{percent}%", "soak": "10m", "deadline": "20m"}},
        "analysis": {"mode": "GuardrailsOnly"},
    }


def copied(world: RigWorld) -> list[int]:
    """
    How many copies each server got so far, the candidate's last.
    """
    servers = sorted(world.kubelet.servers, key=lambda server: server.version)
    return [server.mirrored for server in servers]


def begun(world: RigWorld, traffic: Traffic) -> None:
    """
    Version 2 gets copies.
    """
    world.apply("2", **shadow(SHARE))
    world.until(lambda: copies(world.written()[-1]) and copied(world)[-1] > 0, "version 2 gets copies")
    assert traffic.bad() == {}


SHARE: Final = 10


@dataclass(frozen=True, slots=True)
class Copied:
    """
    What was counted in the same time at the client and at the servers.
    """

    answers: int
    copies: list[int]
    versions: set[str | None]
    bad: dict[str, int]


def a_tenth(world: RigWorld) -> Copied:
    """
    A gateway that can copy a part of the requests is asked for a tenth.
    """
    world.knobs.controller = ENVOY_GATEWAY
    world.deploy(**shadow(SHARE))
    with world.traffic(RATE) as traffic:
        begun(world, traffic)
        before, first = traffic.counts().answered, copied(world)
        time.sleep(COUNTED_SECONDS)
        after, last = traffic.counts().answered, copied(world)
    versions = {version for version, _ in traffic.counts().answers}
    return Copied(after - before, [b - a for a, b in zip(first, last, strict=True)], versions, traffic.bad())


def not_there(world: RigWorld) -> tuple[str, str, str, int, list[int]]:
    """
    Contour copies everything whatever the percentage, so it is not asked: what is told, and what was routed.
    """
    world.deploy()
    with world.traffic() as traffic:
        world.apply("2", **shadow(SHARE))
        world.until(lambda: world.condition("Accepted").get("status") == "False", "it is refused")
        time.sleep(5)
        accepted = world.condition("Accepted")
    assert traffic.bad() == {}
    asked = sum(len(copies(version)) for version in world.written())
    return world.status["phase"], accepted["reason"], accepted["message"], asked, copied(world)


@dataclass(frozen=True, slots=True)
class Emptied:
    """
    A shadow run whose candidate lost its pods for a while.
    """

    removed_after: float
    """Seconds from its last endpoint's end until the route asked for no copy any more."""
    back: bool
    """Copies were asked for again once it had endpoints again."""
    bad: dict[str, int]


def emptied(world: RigWorld) -> Emptied:
    """
    The candidate's Deployment is scaled to nothing by hand, and its new pods take their time.
    """
    world.knobs.controller = ENVOY_GATEWAY
    world.deploy(**shadow(SHARE))
    with world.traffic() as traffic:
        begun(world, traffic)
        (name,) = [name for name in world.wanted_replicas() if name.endswith(world.status["candidate"]["revision"])]
        world.kubelet.starts = False
        path = world.path("/apis/apps/v1", "deployments", name)
        world.send("PATCH", path, {"spec": {"replicas": 0}}, MERGE)
        scaled = time.monotonic()
        removed = world.until(lambda: not copies(world.written()[-1]), "no copies are asked for")
        time.sleep(3)
        world.kubelet.starts = True
        world.until(lambda: copies(world.written()[-1]), "copies are asked for again")
    return Emptied(removed - scaled, back=bool(copies(world.written()[-1])), bad=traffic.bad())


story("a tenth", a_tenth)
story("not there", not_there)
story("emptied", emptied)


def test_a_tenth_of_the_requests_is_copied_and_users_see_nothing_of_it(told: Told) -> None:
    """Within the binomial deviation, and only to the candidate."""
    seen: Copied = told("a tenth")
    share = SHARE / 100
    assert seen.answers >= 300
    assert seen.copies[0] == 0
    deviation = (seen.answers * share * (1 - share)) ** 0.5
    assert abs(seen.copies[-1] - seen.answers * share) <= SIGMAS * deviation
    assert seen.versions == {"1"}
    assert seen.bad == {}


def test_a_gateway_that_would_copy_everything_is_not_asked_for_a_tenth(told: Told) -> None:
    """It is refused with the field and the reason before anything is routed."""
    phase, reason, message, asked, copied_to = told("not there")
    assert (phase, reason) == ("Preparing", "InvalidSpec")
    assert message.startswith("spec.strategy.shadow.mirror: Contour copies all requests")
    assert asked == 0
    assert sum(copied_to) == 0


def test_no_copies_are_sent_to_nobody(told: Told) -> None:
    """Two gateways have failed live requests because of it."""
    seen: Emptied = told("emptied")
    assert seen.removed_after < 10
    assert seen.back
    assert seen.bad == {}
