"""
How a new revision is released: at most one of canary, blue-green and shadow.
"""

from enum import StrEnum
from itertools import pairwise
from typing import Annotated, Final, Self

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from modelramp.api.base import ApiModel, rules
from modelramp.api.scalars import Duration, Share
from modelramp.api.spec.fields import DnsLabel
from modelramp.api.spec.serving import WarmUp

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


MIRROR_ABOVE_ZERO: Final = "the mirrored share must be above 0%"
STAGE_SOAK_BELOW_DEADLINE: Final = "soak must be shorter than deadline, or the stage could never pass"
BAKE_BELOW_DEADLINE: Final = "bake and preSwitch.soak must be shorter than stepDeadline, or no switch could ever pass"
_BAKE_FITS: Final = (
    "duration(self.bake) < duration(self.stepDeadline) && duration(self.preSwitch.soak) < duration(self.stepDeadline)"
)
ENDS_WHOLE: Final = "the last step of a blue-green switch must be 100%"
ONE_STRATEGY: Final = "give at most one of canary, blueGreen and shadow"


def _above_zero_mirror(share: Share) -> Share:
    if share.percent <= 0:
        raise ValueError(MIRROR_ABOVE_ZERO)
    return share


def _tolerable(share: Share) -> Share:
    if not 0 < share.percent <= 20:  # noqa: PLR2004 - the bound stands in BLAST_RADIUS_RANGE and in CEL
        raise ValueError(BLAST_RADIUS_RANGE)
    return share


class Approval(StrEnum):
    """
    Whether somebody has to approve a step before it is entered, whatever the degree of automation.
    """

    NOT_REQUIRED = "NotRequired"
    """The degree of automation decides."""
    REQUIRED = "Required"
    """Somebody has to."""


class Cohort(ApiModel):
    """
    Requests that carry this header with exactly this value reach the candidate, whatever its share: for people who
    want to try it, and for callers that must stay on one version.
    """

    header: str = Field(
        default="x-model-cohort",
        pattern=r"^[A-Za-z0-9!#$%&'*+.^_|~-]+$",
        max_length=64,
        description="The header's name.",
    )
    value: str = Field(
        default="candidate", pattern=r"^[A-Za-z0-9._~-]+$", max_length=128, description="The header's whole value."
    )


class ShadowStage(ApiModel):
    """
    A stage in which copies of live requests reach the candidate, before users do. Its answers are dropped.
    """

    model_config = ConfigDict(
        json_schema_extra=rules(("duration(self.soak) < duration(self.deadline)", STAGE_SOAK_BELOW_DEADLINE))
    )

    mirror: Annotated[Share, AfterValidator(_above_zero_mirror)] = Field(
        default=Share("100%"),
        description="The share of requests that is copied, above 0%.",
        json_schema_extra=rules(("double(self.replace('%', '')) > 0.0", MIRROR_ABOVE_ZERO)),
    )
    soak: Duration = Field(default=Duration("10m"), description="The least time of the stage.")
    deadline: Duration = Field(
        default=Duration("24h"), description="A stage without sufficient evidence after this time pauses the rollout."
    )

    @model_validator(mode="after")
    def _soak_fits(self) -> Self:
        if self.soak.seconds >= self.deadline.seconds:
            raise ValueError(STAGE_SOAK_BELOW_DEADLINE)
        return self


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
    approval: Approval = Field(
        default=Approval.NOT_REQUIRED, description="Whether somebody has to approve before the step is entered."
    )
    metrics: (
        Annotated[
            tuple[DnsLabel, ...],
            Field(min_length=1, max_length=16, json_schema_extra={"x-kubernetes-list-type": "atomic"}),
        ]
        | None
    ) = Field(
        default=None,
        description="The metrics, by name, that must be certified to pass this step; absent: all. Harm shown by any "
        "metric rolls back in every step.",
    )


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


class PreSwitch(ApiModel):
    """
    What must hold before users reach green: it is at full size and warm already.
    """

    soak: Duration = Field(
        default=Duration("30s"), description="The least time green is ready and can be previewed before the switch."
    )
    approval: Approval = Field(
        default=Approval.NOT_REQUIRED, description="Whether somebody has to approve the preview stage's begin."
    )
    smoke: WarmUp | None = Field(
        default=None,
        description="Requests sent to green's own Service at the end of the stage, which must all be answered with "
        "2xx, and fast enough if p95Below is given; absent: none.",
    )


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
    preview: Cohort | None = Field(
        default=None, description="Requests that reach green before the switch by their header; absent: none do."
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

    soak: Duration = Field(default=Duration("1h"), description="The least time of the run.")
    deadline: Duration = Field(
        default=Duration("168h"), description="A run without sufficient evidence after this time is paused."
    )
    on_passed: OnPassed = Field(default=OnPassed.REPORT, description="What follows when the run passed.")
    blast_radius: BlastRadius = Share("0.5%")


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
        le=5,
        description="How many revisions that served before are kept without pods, to be returned to by undo.",
    )

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        if sum(given is not None for given in (self.canary, self.blue_green, self.shadow)) > 1:
            raise ValueError(ONE_STRATEGY)
        return self
