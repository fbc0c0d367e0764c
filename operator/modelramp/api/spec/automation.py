"""
How much the operator decides by itself, and when it may not.
"""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Final, Self

from pydantic import ConfigDict, Field, model_validator

from modelramp.api.base import ApiModel, rules
from modelramp.api.scalars import Share
from modelramp.api.vocabulary import Degree

PARTIAL_ONLY: Final = "autoUpTo belongs to the degree Partial only"
ONE_FREEZE_FORM: Final = "give days, from and to, or start and end, and nothing else"
FREEZE_ENDS: Final = "start must be a real instant before end"
AUTO_UP_TO: Final = Share("25%")

_WEEKLY: Final = "has(self.days) && has(self.from) && has(self.to) && !has(self.start) && !has(self.end)"
_ONCE: Final = "!has(self.days) && !has(self.from) && !has(self.to) && has(self.start) && has(self.end)"
_ENDS: Final = "!has(self.start) || !has(self.end) || timestamp(self.start) < timestamp(self.end)"
_TIME: Final = "([01][0-9]|2[0-3]):[0-5][0-9]"
_DATE: Final = "2[0-9]{3}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"

ClockTime = Annotated[str, Field(pattern=f"^{_TIME}$", max_length=5)]
UtcInstant = Annotated[str, Field(pattern=f"^{_DATE}T{_TIME}:[0-5][0-9]Z$", max_length=20)]


class Weekday(StrEnum):
    """
    A day of the week, in UTC.
    """

    MON = "Mon"
    TUE = "Tue"
    WED = "Wed"
    THU = "Thu"
    FRI = "Fri"
    SAT = "Sat"
    SUN = "Sun"


def instant_of(text: str) -> datetime:
    """
    The instant of an RFC 3339 text in UTC.

    Raises:
        ValueError: there is no such day.
    """
    return datetime.fromisoformat(text).astimezone(UTC)


class Freeze(ApiModel):
    """
    A window in which nothing raises a candidate's traffic unless somebody asks for it: weekly, or once. All times are
    UTC.
    """

    model_config = ConfigDict(
        json_schema_extra=rules((f"({_WEEKLY}) || ({_ONCE})", ONE_FREEZE_FORM), (_ENDS, FREEZE_ENDS))
    )

    days: (
        Annotated[
            tuple[Weekday, ...],
            Field(min_length=1, max_length=7, json_schema_extra={"x-kubernetes-list-type": "atomic"}),
        ]
        | None
    ) = Field(default=None, description="The days on which a weekly window begins.")
    from_: ClockTime | None = Field(default=None, alias="from", description="When it begins, such as 16:00, in UTC.")
    to: ClockTime | None = Field(
        default=None,
        description="When it ends, in UTC: on the same day if that is after from, else on the next day.",
    )
    start: UtcInstant | None = Field(
        default=None, description="When a single window begins, such as 2026-12-23T12:00:00Z."
    )
    end: UtcInstant | None = Field(default=None, description="When a single window ends.")

    @model_validator(mode="after")
    def _of_one_form(self) -> Self:
        weekly, once = (self.days, self.from_, self.to), (self.start, self.end)
        if not (None not in weekly and once == (None, None)) and not (None not in once and weekly == (None,) * 3):
            raise ValueError(ONE_FREEZE_FORM)
        if self.start is not None and self.end is not None:
            try:
                ends = instant_of(self.start) < instant_of(self.end)
            except ValueError:
                ends = False
            if not ends:
                raise ValueError(FREEZE_ENDS)
        return self


class Automation(ApiModel):
    """
    How much the operator decides by itself.
    """

    model_config = ConfigDict(
        json_schema_extra=rules(("!has(self.autoUpTo) || self.degree == 'Partial'", PARTIAL_ONLY))
    )

    degree: Degree = Field(
        default=Degree.FULL,
        description="Who decides that a candidate gets more traffic, and whether it is rolled back unasked.",
    )
    auto_up_to: Share | None = Field(
        default=None,
        description="The share up to which the degree Partial goes by itself; absent: 25%.",
    )
    freezes: Annotated[
        tuple[Freeze, ...], Field(max_length=16, json_schema_extra={"x-kubernetes-list-type": "atomic"})
    ] = Field(
        default=(), description="Windows in which nothing raises a candidate's traffic unless somebody asks for it."
    )

    @property
    def automatic_share(self) -> Share:
        """
        The share up to which the degree Partial goes by itself.
        """
        return AUTO_UP_TO if self.auto_up_to is None else self.auto_up_to

    @model_validator(mode="after")
    def _share_is_of_partial(self) -> Self:
        if self.auto_up_to is not None and self.degree is not Degree.PARTIAL:
            raise ValueError(PARTIAL_ONLY)
        return self
