"""
How a new revision is released.
"""

from itertools import pairwise
from typing import Annotated, Final, Self

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from modelramp.api.base import ApiModel, rules
from modelramp.api.scalars import Duration, Share

STEP_ABOVE_ZERO: Final = "a step's traffic must be above 0%"
STEPS_ASCEND: Final = "the steps' traffic must rise from step to step"
BLAST_RADIUS_RANGE: Final = "blastRadius must be above 0% and at most 20%"
_SHARES_ASCEND: Final = (  # isSorted lets equal neighbours pass, so each share must also occur only once
    "self.map(s, double(s.traffic.replace('%', ''))).isSorted() && self.all(s, "
    "self.exists_one(t, double(t.traffic.replace('%', '')) == double(s.traffic.replace('%', ''))))"
)


SOAK_BELOW_DEADLINE: Final = "every soak must be shorter than stepDeadline, or no step could ever pass"
_SOAKS_FIT: Final = (
    "duration(self.soak) < duration(self.stepDeadline) && "
    "self.steps.all(s, !has(s.soak) || duration(s.soak) < duration(self.stepDeadline))"
)


def _above_zero(share: Share) -> Share:
    if share.percent <= 0:
        raise ValueError(STEP_ABOVE_ZERO)
    return share


def _tolerable(share: Share) -> Share:
    if not 0 < share.percent <= 20:  # noqa: PLR2004 - the bound stands in BLAST_RADIUS_RANGE and in CEL
        raise ValueError(BLAST_RADIUS_RANGE)
    return share


class CanaryStep(ApiModel):
    """
    A share of live traffic for the candidate.
    """

    traffic: Annotated[Share, AfterValidator(_above_zero)] = Field(
        description="The candidate's share of traffic in this step, above 0%.",
        json_schema_extra=rules(("double(self.replace('%', '')) > 0.0", STEP_ABOVE_ZERO)),
    )
    soak: Duration | None = Field(
        default=None,
        description="The least time the share is in place before the next step; absent: the strategy's soak.",
    )


def _ascending(steps: tuple[CanaryStep, ...]) -> tuple[CanaryStep, ...]:
    if not all(a.traffic.percent < b.traffic.percent for a, b in pairwise(steps)):
        raise ValueError(STEPS_ASCEND)
    return steps


class Canary(ApiModel):
    """
    Rising shares of live traffic, each held until the evidence certifies the next.
    """

    model_config = ConfigDict(json_schema_extra=rules((_SOAKS_FIT, SOAK_BELOW_DEADLINE)))

    steps: Annotated[
        tuple[CanaryStep, ...],
        Field(
            description="The shares, rising. After the last step the candidate is promoted.",
            min_length=1,
            max_length=16,
            json_schema_extra={
                "x-kubernetes-list-type": "atomic",
                **rules((_SHARES_ASCEND, STEPS_ASCEND)),
            },
        ),
        AfterValidator(_ascending),
    ] = tuple(CanaryStep(traffic=Share(share)) for share in ("5%", "25%", "50%", "100%"))
    blast_radius: Annotated[Share, AfterValidator(_tolerable)] = Field(
        default=Share("0.5%"),
        description="Extra bad requests, as a share of all traffic, that a step may risk: a candidate is certified for "
        "the share w when its error rate is shown to be below 1.25 x stable + blastRadius / w.",
        json_schema_extra=rules(
            ("double(self.replace('%', '')) > 0.0 && double(self.replace('%', '')) <= 20.0", BLAST_RADIUS_RANGE)
        ),
    )
    soak: Duration = Field(default=Duration("2m"), description="The least time each step's share is in place.")
    step_deadline: Duration = Field(
        default=Duration("1h"), description="A step without sufficient evidence after this time pauses the rollout."
    )

    @model_validator(mode="after")
    def _soaks_fit(self) -> Self:
        longest = max([self.soak.seconds, *(step.soak.seconds for step in self.steps if step.soak is not None)])
        if longest >= self.step_deadline.seconds:
            raise ValueError(SOAK_BELOW_DEADLINE)
        return self


class Strategy(ApiModel):
    """
    How a new revision is released.
    """

    canary: Canary = Canary()
    progress_deadline: Duration = Field(
        default=Duration("10m"),
        description="Time for the candidate to become ready, and for the route to follow a change.",
    )
    scale_down_delay: Duration = Field(
        default=Duration("30s"), description="Time the previous revision is kept after the last request reached it."
    )
