"""
No reason is in the vocabulary for nothing: each is reached by a story or by one of the small worlds here.
"""

from collections.abc import Callable

from scenarios.stories import MODELS, deployed, then
from scenarios.tellers import all_turns
from scenarios.world import Faults, World

from modelramp.api.vocabulary import Reason
from modelramp.ports import RefusedError
from modelramp.rollout.plan import Plan


class Refusing(Faults):
    """
    The API server takes no workload.
    """

    def at_write(self, name: str, write: Callable[[], None]) -> None:
        if name.startswith("Ensure("):
            raise RefusedError("duplicate containers")
        write()


def told_of(plan: Plan) -> set[Reason]:
    """
    The reasons of its transition, status and conditions.
    """
    return {plan.because.reason, plan.status.reason, *(condition.reason for condition in plan.status.conditions)}


def told_in(world: World) -> set[Reason]:
    """
    All reasons of a world.
    """
    return set().union(*(told_of(turn.plan) for turn in world.turns))


def unmeasured() -> World:
    """
    A rollout by guardrails alone.
    """
    world = World(models=MODELS)
    deployed(world)
    then(world, "2", analysis={"mode": "GuardrailsOnly"})
    world.run(300)
    return world


def refused() -> World:
    """
    A first revision that the API server does not take.
    """
    world = World(models=MODELS, faults=Refusing())
    deployed(world)
    world.run(30)
    return world


def test_every_reason_is_reached() -> None:
    """
    By the golden stories, but for three.
    """
    stories = set().union(*(told_of(turn.plan) for _, turn in all_turns()))
    rest = told_in(unmeasured()) | told_in(refused())
    elsewhere = {Reason.EVIDENCE_OVERDISPERSED}  # tests/unit/rollout/test_conditions.py
    assert set(Reason) - stories - rest == elsewhere
