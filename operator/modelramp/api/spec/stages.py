"""
The parts a strategy is made of: live steps, stages before them, and who reaches the candidate beside its share.
"""

from enum import StrEnum
from typing import Annotated, Final, Self

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from modelramp.api.base import ApiModel, rules
from modelramp.api.scalars import Duration, Share
from modelramp.api.spec.compare import Compare
from modelramp.api.spec.fields import DnsLabel, PlainHost
from modelramp.api.spec.serving import WarmUp

STEP_ABOVE_ZERO: Final = "a step's traffic must be above 0%"
MIRROR_ABOVE_ZERO: Final = "the mirrored share must be above 0%"
ONE_WAY_TO_PREVIEW: Final = "a preview is reached by header or by hostname: leave out header and value beside hostname"
STAGE_SOAK_BELOW_DEADLINE: Final = "soak must be shorter than deadline, or the stage could never pass"
STAGE_SOAK_RULE: Final = ("duration(self.soak) < duration(self.deadline)", STAGE_SOAK_BELOW_DEADLINE)
"""As CEL on the stage, with its message."""


def _above_zero(share: Share) -> Share:
    if share.percent <= 0:
        raise ValueError(STEP_ABOVE_ZERO)
    return share


def _above_zero_mirror(share: Share) -> Share:
    if share.percent <= 0:
        raise ValueError(MIRROR_ABOVE_ZERO)
    return share


class Approval(StrEnum):
    """
    Whether somebody has to approve a step before it is entered, whatever the degree of automation.
    """

    NOT_REQUIRED = "NotRequired"
    """The degree of automation decides."""
    REQUIRED = "Required"
    """Somebody has to."""


HeaderName = Annotated[str, Field(pattern=r"^[A-Za-z0-9!#$%&'*+.^_|~-]+$", max_length=64)]
HeaderValue = Annotated[str, Field(pattern=r"^[A-Za-z0-9._~-]+$", max_length=128)]


class Cohort(ApiModel):
    """
    Requests that carry this header with exactly this value reach the candidate, whatever its share: for people who
    want to try it, and for callers that must stay on one version.
    """

    header: HeaderName = Field(default="x-model-cohort", description="The header's name.")
    value: HeaderValue = Field(default="candidate", description="The header's whole value.")


class Preview(ApiModel):
    """
    How people reach green before the switch: by a header, x-model-cohort: candidate if nothing is said, or by a host
    name of its own.
    """

    model_config = ConfigDict(
        json_schema_extra=rules(("!has(self.hostname) || (!has(self.header) && !has(self.value))", ONE_WAY_TO_PREVIEW))
    )

    header: HeaderName | None = Field(default=None, description="The header's name; absent: x-model-cohort.")
    value: HeaderValue | None = Field(default=None, description="The header's whole value; absent: candidate.")
    hostname: PlainHost | None = Field(
        default=None,
        description="A host name for green alone, by a second route named NAME-preview; absent: a header is looked at. "
        "The Gateway's listener must take it. Of a Gateway API route of its own only.",
    )

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.hostname is not None and (self.header is not None or self.value is not None):
            raise ValueError(ONE_WAY_TO_PREVIEW)
        return self

    @property
    def cohort(self) -> Cohort | None:
        """
        The header that leads to green; None: a host name does.
        """
        if self.hostname is not None:
            return None
        usual = Cohort()
        return Cohort(header=self.header or usual.header, value=self.value or usual.value)


class ShadowStage(ApiModel):
    """
    A stage in which copies of live requests reach the candidate, before users do. Its answers are dropped.
    """

    model_config = ConfigDict(json_schema_extra=rules(STAGE_SOAK_RULE))

    mirror: Annotated[Share, AfterValidator(_above_zero_mirror)] = Field(
        default=Share("100%"),
        description="The share of requests that is copied, above 0%.",
        json_schema_extra=rules(("double(self.replace('%', '')) > 0.0", MIRROR_ABOVE_ZERO)),
    )
    compare: Compare | None = Field(
        default=None,
        description="How the candidate's answers are compared with stable's; absent: they are not, and copies go to "
        "the candidate itself.",
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
