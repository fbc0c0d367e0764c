"""
Gateways whose status cannot be relied on: nothing hangs beyond the progress deadline, and the reason is told.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from rig.knobs import Speech
from rig.stories import Told, story
from rig.world import RigWorld, Traffic

pytestmark = pytest.mark.apiserver

DEADLINE_SECONDS = 20.0
SLACK_SECONDS = 25.0  # what a rollout needs without any fault: pods, steps, draining
STRATEGY = {
    "canary": {"steps": [{"traffic": "50%"}, {"traffic": "100%"}], "soak": "1s"},
    "progressDeadline": f"{DEADLINE_SECONDS:.0f}s",
    "scaleDownDelay": "1s",
    "keepRevisions": 0,
}


@dataclass(frozen=True, slots=True)
class Seen:
    """
    How a rollout ended, and what the client saw of it.
    """

    phase: str
    seconds: float
    """From the new version's appearance until no rollout was in flight."""
    outcomes: tuple[tuple[str, str], ...]
    rejected: tuple[tuple[str, str], ...]
    programmed: tuple[str, str, str]
    """Status, reason and message of TrafficProgrammed."""
    why: str
    """What the history says of the last rollout."""
    pods: dict[str, int]
    """By Deployment, how many are wanted."""
    bad: dict[str, int]


def at_rest(world: RigWorld) -> bool:
    """No rollout is in flight, and version 2 was seen."""
    status = world.status
    return status["phase"] in {"Stable", "Failed"} and any(o["version"] == "2" for o in status["history"])


def seen(world: RigWorld, traffic: Traffic, began: float) -> Seen:
    """What is there now."""
    status, programmed = world.status, world.condition("TrafficProgrammed")
    return Seen(
        status["phase"],
        time.monotonic() - began,
        tuple((entry["version"], entry["outcome"]) for entry in status["history"]),
        tuple((entry["version"], entry["reason"]) for entry in status.get("rejected", ())),
        (programmed["status"], programmed["reason"], programmed["message"]),
        status["history"][-1]["message"],
        world.wanted_replicas(),
        traffic.bad(),
    )


def from_the_start(speech: Speech) -> Callable[[RigWorld], Seen]:
    """The gateway speaks so from the moment version 2 is wanted."""

    def play(world: RigWorld) -> Seen:
        world.deploy(strategy=STRATEGY)
        with world.traffic() as traffic:
            world.knobs.speech = speech
            began = time.monotonic()
            world.apply("2", strategy=STRATEGY)
            world.until(lambda: at_rest(world), "no rollout is in flight", 150)
            ended = seen(world, traffic, began)
            world.knobs.speech = Speech.TRUTHFUL
            world.ask(world.gateway.look_again())
            world.until(lambda: len(world.wanted_replicas()) == 1, "one version is left")
            return ended if traffic.bad() == {} else seen(world, traffic, began)

    return play


def unanswered(world: RigWorld) -> tuple[str, str, str]:
    """
    There is no gateway when the first version is deployed: what is told then. It serves once there is one.
    """
    world.knobs.speech = Speech.SILENT
    world.apply("1", strategy=STRATEGY)
    world.start()
    world.until(lambda: world.status.get("phase") == "Promoting", "version 1 is ready")
    time.sleep(DEADLINE_SECONDS + 5)
    programmed = world.condition("TrafficProgrammed")
    told = world.status["message"], programmed["reason"], programmed["message"]
    world.knobs.speech = Speech.TRUTHFUL
    world.ask(world.gateway.look_again())
    world.until(lambda: world.serves("1"), "version 1 is stable")
    return told


def silent_later(world: RigWorld) -> Seen:
    """The gateway stops writing its status, and nothing else, while version 2 has a share."""
    world.deploy(strategy=STRATEGY)
    with world.traffic() as traffic:
        world.apply("2", strategy=STRATEGY)
        world.until(lambda: world.condition("TrafficProgrammed")["reason"] == "RouteProgrammed"
                    and 50 in world.shares().values(), "version 2 has a share")  # fmt: skip
        world.knobs.speech = Speech.SILENT
        began = time.monotonic()
        world.until(lambda: at_rest(world), "no rollout is in flight", 150)
        return seen(world, traffic, began)


TOLD = {"silent": "Unknown", "silent later": "Unknown", "falling back": "False"}
"""Status of TrafficProgrammed: a gateway that says nothing may still follow, one that says no does not."""

story("unanswered", unanswered)
story("silent", from_the_start(Speech.SILENT))
story("silent later", silent_later)
story("without generation", from_the_start(Speech.WITHOUT_GENERATION))
story("falling back", from_the_start(Speech.FALLING_BACK))


@pytest.mark.parametrize("name", ["silent", "silent later", "falling back"])
def test_a_gateway_that_does_not_follow_ends_the_rollout_in_time(told: Told, name: str) -> None:
    """Neither promoted nor stuck."""
    ended: Seen = told(name)
    assert ended.bad == {}
    assert ended.rejected == (("2", "ProgressDeadlineExceeded"),)
    assert ended.seconds < 2 * DEADLINE_SECONDS + SLACK_SECONDS
    assert ended.programmed[:2] == (TOLD[name], "RoutePending")
    assert "waiting for the gateway to " in ended.why
    assert "Gateway " in ended.why
    assert list(ended.pods.values()) == [1, 1]  # of what the gateway has not confirmed, the pods stay until it does


def test_the_first_version_waits_for_a_gateway_and_says_which(told: Told) -> None:
    """There is nothing to return to, so it waits; whoever looks sees for whom."""
    message, reason, condition = told("unanswered")
    assert message.startswith("waiting for the gateway to give the candidate everything: Gateway ")
    assert message.endswith("has not answered yet; is there such a Gateway?")
    assert reason == "RoutePending"
    assert condition.endswith("has not answered yet; is there such a Gateway?")


def test_a_status_without_generations_is_taken_as_it_stands(told: Told) -> None:
    """Such gateways hang other tools."""
    ended: Seen = told("without generation")
    assert ended.bad == {}
    assert ended.outcomes == (("1", "Promoted"), ("2", "Promoted"))
