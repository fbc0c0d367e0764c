"""
What the parts of the status are written in.
"""

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, ConfigDict, Field, PlainSerializer

from modelramp.api.base import ApiModel


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
