"""
JSON values, and the one way in which an answer cannot be read.
"""

import json
from typing import TypeAlias

Json: TypeAlias = bool | int | float | str | list["Json"] | dict[str, "Json"] | None


class UnreadableAnswerError(ValueError):
    """
    The answer has not the form that was asked for; the message says what is missing, and nothing of the answer.
    """


def parsed(body: bytes) -> Json:
    """
    The body as JSON. `NaN` and `Infinity` are read as model servers write them.

    Raises:
        UnreadableAnswerError: it is none, or is nested too deeply.
    """
    try:
        value: Json = json.loads(body)
    except (ValueError, RecursionError):
        raise UnreadableAnswerError("no JSON") from None
    return value


def plain(value: Json) -> Json:
    """
    The value with numbers that are equal written alike: a float without a fraction becomes an integer.
    """
    match value:
        case float():
            return int(value) if value.is_integer() else value
        case list():
            return [plain(item) for item in value]
        case dict():
            return {key: plain(item) for key, item in value.items()}
        case _:
            return value


def canonical(value: Json) -> str:
    """
    The same text for equal values, whatever the order of keys; `1` and `1.0` are equal, `1` and `true` are not.

    Raises:
        UnreadableAnswerError: it is nested too deeply.
    """
    try:
        return json.dumps(plain(value), sort_keys=True, separators=(",", ":"))
    except RecursionError:
        raise UnreadableAnswerError("nested too deeply") from None


def unwrapped(value: Json) -> Json:
    """
    The only element of a list of one, however often wrapped: model servers answer one question with a batch of one.
    """
    while isinstance(value, list) and len(value) == 1:
        value = value[0]
    return value
