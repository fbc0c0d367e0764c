"""
The strategy of each use case, where the spec gives none.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from modelramp.api.scalars import Share
from modelramp.api.spec.strategy import BlueGreen, Canary, CanaryStep, ShadowStage


class UseCase(StrEnum):
    """
    What the model is to people: picks the strategy where none is given.
    """

    NEW_CAPABILITY = "NewCapability"
    """Nobody depends on it yet: canary from 1%."""
    ASSIST_HUMAN = "AssistHuman"
    """People work with its answers: a shadow stage, then canary."""
    REPLACE_SYSTEM = "ReplaceSystem"
    """It takes over from something that works: a shadow stage, then blue-green."""


def _canary(*shares: str, shadow: ShadowStage | None = None) -> Canary:
    return Canary(steps=tuple(CanaryStep(traffic=Share(share)) for share in shares), shadow=shadow)


BY_USE_CASE: Final[Mapping[UseCase | None, Canary | BlueGreen]] = {
    None: Canary(),
    UseCase.NEW_CAPABILITY: _canary("1%", "5%", "25%", "50%", "100%"),
    UseCase.ASSIST_HUMAN: _canary("5%", "25%", "50%", "100%", shadow=ShadowStage()),
    UseCase.REPLACE_SYSTEM: BlueGreen(shadow=ShadowStage()),
}
"""The strategy of each use case; None: of an object that names none."""
