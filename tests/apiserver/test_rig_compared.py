"""
Answers are compared: the operator, a real comparator that it runs, and a real Envoy that copies requests to it.
"""

import re
import time
from dataclasses import dataclass, field
from typing import Any, Final

import pytest
from apiserver.test_rig_shadow import copies
from rig.stories import Told, story
from rig.world import RigWorld

pytestmark = pytest.mark.apiserver

RATE: Final = 60.0
PLANTED: Final = 4  # one answer in so many is another than stable's
PAIRS: Final = re.compile(r'^modelramp_comparator_pairs_total\{.*outcome="(\w+)".*\} (\S+)$')


def compared() -> dict[str, Any]:
    """
    A shadow run that is judged by disagreement alone, and promoted when it passed.
    """
    compare = {"extract": "score", "as": "Number", "tolerance": "0.5"}
    shadow = {
        "mirror": "100%", "soak": "10s", "deadline": "10m", "blastRadius": "5%", "onPassed": "Promote",
        "compare": compare,
    }  # fmt: skip
    return {
        "strategy": {"shadow": shadow, "scaleDownDelay": "1s"},
        "analysis": {
            "interval": "5s",
            "overdispersion": "1",
            "prometheus": {"delay": "2s"},
            "metrics": [{"preset": "disagreement"}],
        },
    }


@dataclass
class Seen:
    """
    What a story saw.
    """

    phase: str = ""
    reason: str = ""
    message: str = ""
    targets: set[str] = field(default_factory=set)
    """Services that copies were asked for to."""
    copied_from: float = 0.0
    """When the first generation of the route asked for copies; monotonic seconds, as are the others."""
    ready_from: float = 0.0
    copied_until: float = 0.0
    gone_from: float = 0.0
    pairs: dict[str, float] = field(default_factory=dict)
    """The largest counts seen, by outcome."""
    versions: set[str | None] = field(default_factory=set)
    bad: dict[str, int] = field(default_factory=dict)


def outcomes(world: RigWorld) -> dict[str, float]:
    """
    What the comparators count, both revisions' pairs together.
    """
    found: dict[str, float] = {}
    for comparator in world.kubelet.comparators.values():
        for line in world.ask(comparator.page()).splitlines():
            sample = PAIRS.match(line)
            if sample is not None:
                found[sample[1]] = found.get(sample[1], 0.0) + float(sample[2])
    return found


def comparators(world: RigWorld) -> list[str]:
    """
    Deployments of comparators.
    """
    return [name for name in world.wanted_replicas() if name.endswith("-cmp")]


def run(world: RigWorld, version: str, over: set[str]) -> Seen:
    """
    A version is applied under load, until its run is over.
    """
    seen = Seen()
    world.settings["MODELRAMP_COMPARATOR_IMAGE"] = "registry.example/modelramp:rig"
    world.deploy(**compared())
    with world.traffic(RATE) as traffic:
        began = time.monotonic()
        world.apply(version, **compared())
        seen.ready_from = world.until(lambda: world.kubelet.comparators and outcomes(world), "a comparator answers")
        world.until(lambda: copies(world.written()[-1]), "requests are copied")

        def ended() -> bool:
            seen.pairs = outcomes(world) or seen.pairs
            return world.status.get("phase") in over and world.status.get("candidate") is None

        world.until(ended, "the run is over", 240)
        seen.gone_from = world.until(lambda: not comparators(world), "the comparator is gone")
        seen.bad, seen.versions = traffic.bad(), {one for one, _ in traffic.counts().answers}
    asked = [one for one in world.written(began) if copies(one)]
    seen.targets = {copy["backendRef"]["name"] for one in asked for copy in copies(one)}
    seen.copied_from = asked[0].at
    seen.copied_until = next(one.at for one in world.written(asked[-1].at) if not copies(one))
    status = world.status
    past = status["history"][-1]
    seen.phase, seen.reason, seen.message = status["phase"], past["outcome"], past["message"]
    return seen


story("compared and differs", lambda world: run(world, f"2-differs{PLANTED}", {"Failed"}), metrics=True)
story("compared and agrees", lambda world: run(world, "2", {"Stable"}), metrics=True)


def check_order(seen: Seen) -> None:
    """
    Copies went to the comparator and to nobody else, after it was ready and until before it was gone.
    """
    (target,) = seen.targets
    assert target.endswith("-cmp")
    assert seen.copied_from > seen.ready_from - 2  # the story looks ten times a second, the operator hears at once
    assert seen.copied_until < seen.gone_from
    assert seen.bad == {}


def test_a_planted_disagreement_is_found_and_rolled_back(told: Told) -> None:
    """
    Every request was answered by stable, and every answer of the candidate was a good one: only comparing tells.
    """
    seen: Seen = told("compared and differs")
    check_order(seen)
    assert (seen.phase, seen.reason) == ("Failed", "RolledBack")
    assert "worse than allowed in disagreement" in seen.message
    assert seen.versions == {"1"}
    assert seen.pairs["disagree"] > 20
    share = seen.pairs["disagree"] / (seen.pairs["agree"] + seen.pairs["disagree"])
    assert 0.1 < share < 0.4  # one in four of the pairs with the candidate, none of stable's with itself
    assert sum(n for outcome, n in seen.pairs.items() if outcome not in {"agree", "disagree"}) == 0


def test_a_version_that_agrees_is_promoted(told: Told) -> None:
    """
    Not one pair differs.
    """
    seen: Seen = told("compared and agrees")
    check_order(seen)
    assert (seen.phase, seen.reason) == ("Stable", "Promoted")
    assert seen.pairs.get("disagree") == 0
    assert seen.pairs["agree"] > 100
