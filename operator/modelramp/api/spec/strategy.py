"""
How a new revision is released: at most one of canary, blue-green and shadow.
"""

from enum import StrEnum
from itertools import pairwise
from typing import Annotated, Final, Self

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from modelramp.api.base import ApiModel, rules
from modelramp.api.scalars import Duration, Share
from modelramp.api.spec.others import OTHERS_NOT_COMPARED, OTHERS_NOT_COMPARED_RULE, Others
from modelramp.api.spec.stages import STAGE_SOAK_RULE, CanaryStep, Cohort, PreSwitch, Preview, ShadowStage

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
BAKE_BELOW_DEADLINE: Final = "bake and preSwitch.soak must be shorter than stepDeadline, or no switch could ever pass"
_BAKE_FITS: Final = (
    "duration(self.bake) < duration(self.stepDeadline) && duration(self.preSwitch.soak) < duration(self.stepDeadline)"
)
ENDS_WHOLE: Final = "the last step of a blue-green switch must be 100%"
ONE_STRATEGY: Final = "give at most one of canary, blueGreen and shadow"


def _tolerable(share: Share) -> Share:
    if not 0 < share.percent <= 20:  # noqa: PLR2004 - the bound stands in BLAST_RADIUS_RANGE and in CEL
        raise ValueError(BLAST_RADIUS_RANGE)
    return share


def _ascending(steps: tuple[CanaryStep, ...]) -> tuple[CanaryStep, ...]:
    if not all(a.traffic.percent < b.traffic.percent for a, b in pairwise(steps)):
        raise ValueError(STEPS_ASCEND)
    return steps


BlastRadius = Annotated[
    Share,
    AfterValidator(_tolerable),
    Field(
        description="Extra bad requests, as a share of all traffic, that a step may risk: a candidate is certified for "
        "the share w when its error rate is shown to be below 1.25 x stable + blastRadius / w.",
        json_schema_extra=rules(
            ("double(self.replace('%', '')) > 0.0 && double(self.replace('%', '')) <= 20.0", BLAST_RADIUS_RANGE)
        ),
    ),
]
_STEPS_SCHEMA: Final = {"x-kubernetes-list-type": "atomic", **rules((_SHARES_ASCEND, STEPS_ASCEND))}


def _longest_soak(usual: Duration, steps: tuple[CanaryStep, ...]) -> float:
    return max([usual.seconds, *(step.soak.seconds for step in steps if step.soak is not None)])


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
            json_schema_extra=_STEPS_SCHEMA,
        ),
        AfterValidator(_ascending),
    ] = tuple(CanaryStep(traffic=Share(share)) for share in ("5%", "25%", "50%", "100%"))
    blast_radius: BlastRadius = Share("0.5%")
    shadow: ShadowStage | None = Field(
        default=None, description="A stage with copied requests before the first step; absent: none."
    )
    cohort: Cohort | None = Field(
        default=None, description="Requests that reach the candidate in every step by their header; absent: none do."
    )
    soak: Duration = Field(default=Duration("2m"), description="The least time each step's share is in place.")
    step_deadline: Duration = Field(
        default=Duration("1h"), description="A step without sufficient evidence after this time pauses the rollout."
    )

    @model_validator(mode="after")
    def _soaks_fit(self) -> Self:
        if _longest_soak(self.soak, self.steps) >= self.step_deadline.seconds:
            raise ValueError(SOAK_BELOW_DEADLINE)
        return self


def _whole_at_the_end(steps: tuple[CanaryStep, ...]) -> tuple[CanaryStep, ...]:
    if steps[-1].traffic.percent != 100:  # noqa: PLR2004 - the bound stands in ENDS_WHOLE and in CEL
        raise ValueError(ENDS_WHOLE)
    return steps


class BlueGreen(ApiModel):
    """
    The new revision is built at full size beside the old one, tried, and then given everything in one write. The old
    one is kept at size for the bake time: the way back is one write too.
    """

    model_config = ConfigDict(
        json_schema_extra=rules(
            (_SOAKS_FIT, SOAK_BELOW_DEADLINE),
            (_BAKE_FITS, BAKE_BELOW_DEADLINE),
        )
    )

    shadow: ShadowStage | None = Field(
        default=None, description="A stage with copied requests before everything else; absent: none."
    )
    preview: Preview | None = Field(
        default=None,
        description="Requests that reach green before the switch by their header or host name; absent: none do.",
    )
    pre_switch: PreSwitch = PreSwitch()
    steps: Annotated[
        tuple[CanaryStep, ...],
        Field(
            description="The switch: 100% at once, or in parts, such as 50% and then 100%.",
            min_length=1,
            max_length=16,
            json_schema_extra={
                "x-kubernetes-list-type": "atomic",
                **rules(
                    (_SHARES_ASCEND, STEPS_ASCEND),
                    ("double(self[self.size() - 1].traffic.replace('%', '')) == 100.0", ENDS_WHOLE),
                ),
            },
        ),
        AfterValidator(_ascending),
        AfterValidator(_whole_at_the_end),
    ] = (CanaryStep(traffic=Share("100%")),)
    bake: Duration = Field(
        default=Duration("10m"),
        description="The least time green serves everything, and is judged, while blue is kept at size for the way "
        "back.",
    )
    blast_radius: BlastRadius = Share("0.5%")
    soak: Duration = Field(default=Duration("2m"), description="The least time of each step below 100%.")
    step_deadline: Duration = Field(
        default=Duration("1h"), description="A step without sufficient evidence after this time pauses the rollout."
    )

    @model_validator(mode="after")
    def _bake_fits(self) -> Self:
        if _longest_soak(self.soak, self.steps) >= self.step_deadline.seconds:
            raise ValueError(SOAK_BELOW_DEADLINE)
        if max(self.bake.seconds, self.pre_switch.soak.seconds) >= self.step_deadline.seconds:
            raise ValueError(BAKE_BELOW_DEADLINE)
        return self


class OnPassed(StrEnum):
    """
    What follows when a shadow run passed.
    """

    REPORT = "Report"
    """The candidate is removed; the report stays in status.history. Stable goes on serving."""
    PROMOTE = "Promote"
    """The candidate gets all traffic at once."""


class Shadow(ShadowStage):
    """
    Copies of live requests reach the candidate, and its answers are dropped: users never see it.
    """

    model_config = ConfigDict(json_schema_extra=rules(STAGE_SOAK_RULE, OTHERS_NOT_COMPARED_RULE))

    soak: Duration = Field(default=Duration("1h"), description="The least time of the run.")
    deadline: Duration = Field(
        default=Duration("168h"), description="A run without sufficient evidence after this time is paused."
    )
    on_passed: OnPassed = Field(default=OnPassed.REPORT, description="What follows when the run passed.")
    blast_radius: BlastRadius = Share("0.5%")
    others: Others = ()

    @model_validator(mode="after")
    def _others_not_compared(self) -> Self:
        if self.others and self.compare is not None:
            raise ValueError(OTHERS_NOT_COMPARED)
        return self


class Strategy(ApiModel):
    """
    How a new revision is released. Without canary, blueGreen and shadow the use case decides.
    """

    model_config = ConfigDict(
        json_schema_extra=rules(
            ("[has(self.canary), has(self.blueGreen), has(self.shadow)].filter(x, x).size() <= 1", ONE_STRATEGY)
        )
    )

    canary: Canary | None = None
    blue_green: BlueGreen | None = None
    shadow: Shadow | None = None
    progress_deadline: Duration = Field(
        default=Duration("10m"),
        description="Time for the candidate to become ready, and for the route to follow a change.",
    )
    scale_down_delay: Duration = Field(
        default=Duration("30s"), description="Time the previous revision is kept after the last request reached it."
    )
    keep_revisions: int = Field(
        default=1,
        ge=0,
        strict=True,
        le=5,
        description="How many revisions that served before are kept without pods, to be returned to by undo.",
    )

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        if sum(given is not None for given in (self.canary, self.blue_green, self.shadow)) > 1:
            raise ValueError(ONE_STRATEGY)
        return self
