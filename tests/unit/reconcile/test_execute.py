"""
Each effect reaches its port, unchanged.
"""

import asyncio
from decimal import Decimal

import pytest
from unit.reconcile.parts import KEY, parsed, spec_for

from modelramp.api.spec import Compare
from modelramp.ports import Owner
from modelramp.reconcile.execute import Hands, execute
from modelramp.rollout.observed import Role
from modelramp.rollout.plan import (
    DeleteComparator,
    DeleteWorkload,
    DropFormerRouter,
    Effect,
    EnsureComparator,
    EnsureWorkload,
    RestartWorkload,
    ScaleWorkload,
    SetRole,
    SetTraffic,
)

OWNER = Owner(key=KEY, uid="u1")
SPEC = parsed(spec_for())


class Recorder:
    """
    All ports; keeps what it is asked.
    """

    def __init__(self) -> None:
        self.calls: list[tuple[str, tuple[object, ...]]] = []

    def __getattr__(self, name: str) -> object:
        async def call(*arguments: object) -> None:
            self.calls.append((name, arguments))

        return call


@pytest.mark.parametrize(
    ("effect", "call", "with_spec"),
    [
        (EnsureWorkload(revision="r", replicas=2, role=Role.CANDIDATE), "ensure", True),
        (ScaleWorkload(revision="r", replicas=0, grows=False), "scale", False),
        (SetTraffic(shares={"r": Decimal(100)}, raises_exposure=True), "set_traffic", True),
        (SetRole(revision="r", role=Role.RETIRED), "set_role", False),
        (RestartWorkload(revision="r", restart_id="r-1"), "restart", False),
        (DeleteWorkload(revision="r"), "delete", False),
        (DropFormerRouter(), "drop_former", False),
        (EnsureComparator(revision="r", stable="s", compare=Compare(), hash="h"), "ensure", False),
        (DeleteComparator(revision="r"), "delete", False),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_each_effect_is_one_call(effect: Effect, call: str, *, with_spec: bool) -> None:
    """
    With the owner, the spec where it is needed, and the effect itself.
    """
    port = Recorder()
    hands = Hands(workloads=port, routes=port, comparators=port)  # type: ignore[arg-type]  # answers to any call
    asyncio.run(execute(hands, OWNER, SPEC, effect))
    told = () if isinstance(effect, DropFormerRouter) else (SPEC, effect) if with_spec else (effect,)
    assert port.calls == [(call, (OWNER, *told))]
