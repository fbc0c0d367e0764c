"""
Effects become calls of ports, one by one, in the plan's order.
"""

from dataclasses import dataclass
from typing import assert_never

from modelramp.api.spec import MLModelDeploymentSpec
from modelramp.ports import Comparators, Owner, Routes, Workloads
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
    WorkloadEffect,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hands:
    """
    The ports effects go through.
    """

    workloads: Workloads
    routes: Routes
    comparators: Comparators


async def execute(hands: Hands, owner: Owner, spec: MLModelDeploymentSpec, effect: Effect) -> None:
    """
    Carry out one effect. Idempotent, so that a repetition after a crash does no harm.

    Raises:
        PortError: it was not, or perhaps not, carried out.
    """
    match effect:
        case SetTraffic():
            await hands.routes.set_traffic(owner, spec, effect)
        case DropFormerRouter():
            await hands.routes.drop_former(owner)
        case EnsureComparator():
            await hands.comparators.ensure(owner, effect)
        case DeleteComparator():
            await hands.comparators.delete(owner, effect)
        case _:
            await _on_workloads(hands.workloads, owner, spec, effect)


async def _on_workloads(
    workloads: Workloads, owner: Owner, spec: MLModelDeploymentSpec, effect: WorkloadEffect
) -> None:
    match effect:
        case EnsureWorkload():
            await workloads.ensure(owner, effect.other or spec, effect)
        case ScaleWorkload():
            await workloads.scale(owner, effect)
        case SetRole():
            await workloads.set_role(owner, effect)
        case RestartWorkload():
            await workloads.restart(owner, effect)
        case DeleteWorkload():
            await workloads.delete(owner, effect)
        case unknown:
            assert_never(unknown)
