"""
How the answers of a candidate that gets copies of requests are compared with stable's.
"""

from enum import StrEnum
from typing import Annotated, Final, Self

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from modelramp.api.base import ApiModel, rules
from modelramp.api.scalars import Duration, Share

SAMPLE_ABOVE_ZERO: Final = "the sampled share must be above 0%"
CONTROL_RANGE: Final = "control must be above 0% and at most 50%"
TIMEOUT_RANGE: Final = "timeout must be above 0s and at most 5m"
TOLERANCE_OF_NUMBERS: Final = "tolerance belongs to as: Number"
LONGEST_TIMEOUT_SECONDS: Final = 300

_NAME: Final = r"[A-Za-z0-9_-]+"
_AT: Final = r"\[[0-9]{1,9}\]|\['[^'\]]+'\]"
EXTRACT: Final = rf"^(\$(\.{_NAME}|{_AT})|{_NAME}|{_AT})(\.{_NAME}|{_AT})*$"
TOLERANCE: Final = r"^[0-9]{1,12}(\.[0-9]{1,12})?%?$"


class Comparison(StrEnum):
    """
    When two answers agree.
    """

    EQUAL = "Equal"
    """They are the same JSON, whatever the order of an object's keys; 1 equals 1.0."""
    NUMBER = "Number"
    """They are one number each, or as many, none further apart than the tolerance."""
    ARG_MAX = "ArgMax"
    """Their largest score is at the same place, or under the same name; of each row."""
    SET = "Set"
    """They have the same members, whatever their order and however often each."""
    TEXT = "Text"
    """They are the same text, but for case, white space and the ways to write one character."""


def _sampled(share: Share) -> Share:
    if share.percent <= 0:
        raise ValueError(SAMPLE_ABOVE_ZERO)
    return share


def _controlled(share: Share) -> Share:
    if not 0 < share.percent <= 50:  # noqa: PLR2004 - the bound stands in CONTROL_RANGE and in CEL
        raise ValueError(CONTROL_RANGE)
    return share


def _bounded(span: Duration) -> Duration:
    if not 0 < span.seconds <= LONGEST_TIMEOUT_SECONDS:
        raise ValueError(TIMEOUT_RANGE)
    return span


class Compare(ApiModel):
    """
    Copies go to a comparator instead of the candidate. It asks stable and the candidate the same, compares their
    answers and counts, for the metric preset disagreement; its answer is dropped as the candidate's would be.
    """

    model_config = ConfigDict(
        json_schema_extra=rules(("!has(self.tolerance) || self.__as__ == 'Number'", TOLERANCE_OF_NUMBERS))
    )

    extract: str | None = Field(
        default=None,
        pattern=EXTRACT,
        max_length=256,
        description="The part of the answers' JSON that is compared, such as `outputs[0].data[0]`; or by name: `v2` of "
        "the Open Inference Protocol's outputs, `openai` of a completion's text. Absent: the whole answer.",
    )
    comparison: Comparison = Field(default=Comparison.EQUAL, alias="as", description="When two answers agree.")
    tolerance: str | None = Field(
        default=None,
        pattern=TOLERANCE,
        max_length=26,
        description="By how much two numbers may differ and agree, such as `0.01`; with % of stable's. Absent: not at "
        "all.",
    )
    sample: Annotated[Share, AfterValidator(_sampled)] = Field(
        default=Share("100%"),
        description="The share of copies that is compared, above 0%; chosen by the request's x-request-id.",
        json_schema_extra=rules(("double(self.replace('%', '')) > 0.0", SAMPLE_ABOVE_ZERO)),
    )
    control: Annotated[Share, AfterValidator(_controlled)] = Field(
        default=Share("10%"),
        description="The share of those for which stable is asked twice: how it differs from itself.",
        json_schema_extra=rules(
            ("double(self.replace('%', '')) > 0.0 && double(self.replace('%', '')) <= 50.0", CONTROL_RANGE)
        ),
    )
    timeout: Annotated[Duration, AfterValidator(_bounded)] = Field(
        default=Duration("5s"),
        description="The time for both answers, at most 5m.",
        json_schema_extra=rules(("duration(self) > duration('0s') && duration(self) <= duration('5m')", TIMEOUT_RANGE)),
    )
    concurrency: int = Field(
        default=16, ge=1, le=256, strict=True, description="Requests that are compared at the same time."
    )

    @model_validator(mode="after")
    def _tolerates_numbers(self) -> Self:
        if self.tolerance is not None and self.comparison is not Comparison.NUMBER:
            raise ValueError(TOLERANCE_OF_NUMBERS)
        return self
