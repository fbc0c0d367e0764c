"""
What is remembered of one revision on trial: the parts of the status that every candidate has.
"""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, Final

from pydantic import AfterValidator, AwareDatetime, ConfigDict, Field, PlainSerializer

from modelramp.api.base import ApiModel

ATOMIC: Final = {"x-kubernetes-list-type": "atomic"}
MAX_SHOWN_OTHERS: Final = 8
"""Those of the spec, and the last that were decided or withdrawn before."""


def _whole_utc_seconds(instant: datetime) -> datetime:
    return instant.astimezone(UTC).replace(microsecond=0)


def _rfc3339(instant: datetime) -> str:
    return instant.isoformat().replace("+00:00", "Z")


Instant = Annotated[
    AwareDatetime,
    AfterValidator(_whole_utc_seconds),
    PlainSerializer(_rfc3339, return_type=str, when_used="json"),
    Field(json_schema_extra={"type": "string", "format": "date-time", "maxLength": 32}),
]
Text = Annotated[str, Field(max_length=1024)]
Word = Annotated[str, Field(max_length=253)]
Revision = Annotated[str, Field(max_length=253, description="The revision: a hash of what the pods are made from.")]
Version = Annotated[str, Field(max_length=253, description="The model's version.")]


class StatusModel(ApiModel):
    """
    A part of the status; unknown fields are kept.
    """

    model_config = ConfigDict(extra="allow")


class CandidateStatus(StatusModel):
    """
    The revision on trial.
    """

    revision: Revision
    version: Version
    since: Instant = Field(description="When it was begun.")
    ready_since: Instant | None = Field(
        default=None, description="When it was first seen with all pods ready; absent: never."
    )
    ready_pods: int = Field(
        default=0, ge=0, description="The most ready pods it has had: a loss is measured against them."
    )
    warm: bool = Field(default=False, description="The warm-up is done, or none was asked for.")
    unready_since: Instant | None = Field(
        default=None,
        description="Since when it has had fewer ready pods than it needs, after having had them; absent: it has them.",
    )


class VerdictName(StrEnum):
    """
    The opinion on one metric.
    """

    PASSED = "Passed"
    FAILED = "Failed"
    INCONCLUSIVE = "Inconclusive"
    NO_DATA = "NoData"
    UNAVAILABLE = "Unavailable"


class ArmCounts(StatusModel):
    """
    What was counted of one revision in this rollout: `n` requests, `x` bad ones, as decimal strings.
    """

    n: Word = Field(description="Requests counted.")
    x: Word = Field(description="Bad ones of them.")


class VerdictStatus(StatusModel):
    """
    A metric's verdict with what it rests on.
    """

    name: Word = Field(description="The metric's name.")
    verdict: VerdictName
    evidence: Word = Field(description="Not-worse evidence reached, of what is needed, such as 3.1 of 20.")
    harm: Word = Field(description="Harm evidence reached, of what rolls back, such as 0.4 of 100.")
    candidate: ArmCounts
    stable: ArmCounts
    seconds_left: int | None = Field(
        default=None, ge=0, description="Estimate until certified at present rates; absent: none."
    )
    message: Text = Field(default="", description="The verdict in words.")


class EvidenceState(StatusModel):
    """
    A metric's evidence, as the machine keeps it between two looks.
    """

    name: Word = Field(description="The metric's name.")
    state: Annotated[dict[str, Any], Field(json_schema_extra={"x-kubernetes-preserve-unknown-fields": True})] = Field(
        description="For the operator only: its form may change in any version."
    )


class OtherOutcome(StrEnum):
    """
    What became of another candidate of a shadow run.
    """

    UNDECIDED = "Undecided"
    """The evidence is not sufficient either way yet."""
    PASSED = "Passed"
    """It is certified as the run's own candidate would be; harm is looked for on."""
    HARMFUL = "Harmful"
    """It is worse than allowed: its copies ended at once, and its pods were removed."""
    FAILED = "Failed"
    """It was not ready in time, crashed or lost its pods, so it could not be judged: removed as a harmful one is."""
    WITHDRAWN = "Withdrawn"
    """The spec does not list it any more: removed as a harmful one is."""


class OtherStatus(CandidateStatus):
    """
    Another candidate of a shadow run: it gets copies beside the run's own candidate, and is judged on its own.
    """

    name: Word = Field(description="Its name in the spec.")
    entered_at: Instant | None = Field(
        default=None, description="When it was first ready and warm in the run's step; absent: not yet."
    )
    in_place_since: Instant | None = Field(
        default=None, description="When the gateway was first seen to copy requests to it; absent: not yet."
    )
    outcome: OtherOutcome = OtherOutcome.UNDECIDED
    message: Text = Field(default="", description="The outcome in words, or what is waited for.")
    decided_at: Instant | None = Field(default=None, description="When the outcome was found; absent: not yet.")
    verdicts: Annotated[tuple[VerdictStatus, ...], Field(max_length=10, json_schema_extra=ATOMIC)] = Field(
        default=(), description="The verdict on each metric."
    )
    evidence: Annotated[tuple[EvidenceState, ...], Field(max_length=10, json_schema_extra=ATOMIC)] = Field(
        default=(), description="The evidence on each metric, as the operator keeps it."
    )
