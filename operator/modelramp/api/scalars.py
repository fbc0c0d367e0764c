"""
Strings with a unit: durations (`90s`, `1h30m`) and shares (`5%`, `0.25%`).

They stay strings, because that is what the API server stores and no float may appear in a Kubernetes object;
the number is a property.
"""

import re
from datetime import timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any, ClassVar, Self

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

_UNIT_SECONDS = {"ms": Decimal("0.001"), "s": Decimal(1), "m": Decimal(60), "h": Decimal(3600)}
_PART = re.compile(r"([0-9]+)(ms|s|m|h)")


class _PatternString(str):
    """
    A string that matches a pattern; validates when pydantic parses it.
    """

    __slots__ = ()
    PATTERN: ClassVar[str]
    MAX_LENGTH: ClassVar[int]
    MIN_LENGTH: ClassVar[int] = 2

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: object, _handler: GetCoreSchemaHandler) -> CoreSchema:
        text = core_schema.str_schema(
            pattern=cls.PATTERN, min_length=cls.MIN_LENGTH, max_length=cls.MAX_LENGTH, strict=True
        )
        return core_schema.no_info_after_validator_function(
            cls, text, serialization=core_schema.plain_serializer_function_ser_schema(str, when_used="always")
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, _schema: CoreSchema, _handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"type": "string", "pattern": cls.PATTERN, "minLength": cls.MIN_LENGTH, "maxLength": cls.MAX_LENGTH}


@lru_cache(maxsize=256)  # a decision asks dozens of times, of a handful of spans
def _seconds_of(text: str) -> float:
    return float(sum((Decimal(n) * _UNIT_SECONDS[unit] for n, unit in _PART.findall(text)), Decimal(0)))


class Duration(_PatternString):
    """
    A span of time such as `500ms`, `90s`, `1h30m` or `48h`: whole numbers with a unit, largest unit first.
    """

    __slots__ = ()
    PATTERN: ClassVar[str] = r"^([0-9]{1,5}h)?([0-9]{1,6}m)?([0-9]{1,7}s)?([0-9]{1,6}ms)?$"
    MAX_LENGTH: ClassVar[int] = 24

    @property
    def seconds(self) -> float:
        """
        The length in seconds; never negative.
        """
        return _seconds_of(str(self))

    @property
    def timedelta(self) -> timedelta:
        """
        The same length as a `timedelta`.
        """
        return timedelta(seconds=self.seconds)


class Share(_PatternString):
    """
    A share such as `5%` or `0.25%`, from 0 to 100 %, with at most four digits after the point.
    """

    __slots__ = ()
    PATTERN: ClassVar[str] = r"^(100(\.0{1,4})?|[0-9]{1,2}(\.[0-9]{1,4})?)%$"
    MAX_LENGTH: ClassVar[int] = 9

    @property
    def percent(self) -> Decimal:
        """
        The share in percent, 0 to 100, exactly as written.
        """
        return Decimal(self.rstrip("%"))

    @property
    def fraction(self) -> float:
        """
        The share as a fraction, 0 to 1.
        """
        return float(self.percent / 100)

    @classmethod
    def of_percent(cls, percent: Decimal) -> Self:
        """
        The share of so many percent, written with at most four digits and no trailing zeros.
        """
        text = format(percent.quantize(Decimal("0.0001")), "f")
        return cls((text.rstrip("0").rstrip(".") if "." in text else text) + "%")
