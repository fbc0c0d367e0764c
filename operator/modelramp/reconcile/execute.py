"""
Effects become calls of ports, one by one, in the plan's order.
"""

from dataclasses import dataclass
from typing import assert_never

from modelramp.api.spec import MLModelDeploymentSpec
from modelramp.ports import Owner, Routes, Workloads
from modelramp.rollout.plan import (
    DeleteWorkload,
    DropFormerRouter,
    Effect,
    EnsureWorkload,
    RestartWorkload,
    ScaleWorkload,
    SetRole,
    SetTraffic,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hands:
    """
    The ports effects go through.
    """

    workloads: Workloads
    routes: Routes


async def execute(hands: Hands, owner: Owner, spec: MLModelDeploymentSpec, effect: Effect) -> None:
    """
    Carry out one effect. Idempotent, so that a repetition after a crash does no harm.

    Raises:
        PortError: it was not, or perhaps not, carried out.
    """
    match effect:
        case EnsureWorkload():
            await hands.workloads.ensure(owner, effect.spec_in(spec), effect)
        case ScaleWorkload():
            await hands.workloads.scale(owner, effect)
        case SetTraffic():
            await hands.routes.set_traffic(owner, spec, effect)
        case SetRole():
            await hands.workloads.set_role(owner, effect)
        case RestartWorkload():
            await hands.workloads.restart(owner, effect)
        case DeleteWorkload():
            await hands.workloads.delete(owner, effect)
        case DropFormerRouter():
            await hands.routes.drop_former(owner)
        case unknown:
            assert_never(unknown)
