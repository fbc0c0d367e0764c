"""
The part of an answer that is compared: the whole body, a path into its JSON, or a known form of it.
"""

import re
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from math import prod
from typing import Final, Self

from modelramp.comparator.core.values import Json, UnreadableAnswerError, canonical, parsed

_NAME: Final = r"[A-Za-z0-9_-]+"
_STEP: Final = re.compile(rf"\.(?P<name>{_NAME})|\[(?P<index>[0-9]{{1,9}})\]|\['(?P<quoted>[^'\]]+)'\]")
_EVENT: Final = b"data:"
_END: Final = b"[DONE]"


class InvalidPathError(ValueError):
    """
    Not a path that can be followed; the message says from where on.
    """


class Form(StrEnum):
    """
    How an answer is read.
    """

    WHOLE = "whole"
    """The whole body: as JSON if it is some, else as text."""
    PATH = "path"
    """A path into the body's JSON."""
    OPENAI = "openai"
    """The text of the first choice, of a whole answer or of a stream of events; its tool calls if it has no text."""
    V2 = "v2"
    """The first output of the Open Inference Protocol, in rows by its shape."""


@dataclass(frozen=True, slots=True)
class Extractor:
    """
    What is taken out of an answer.

    Attributes:
        form: How the answer is read.
        steps: Of a path: keys and indices, from the outside in; else empty.

    """

    form: Form = Form.WHOLE
    steps: tuple[str | int, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """
        `openai`, `v2`, or a path such as `outputs[0].data[0]`, `$.scores['a.b']` or `[0]`.

        A key called `openai` or `v2` is written `$.openai`.

        Raises:
            InvalidPathError: it is none of them.
        """
        if text in {Form.OPENAI, Form.V2}:
            return cls(Form(text))
        rest = text.removeprefix("$") if text.startswith(("$.", "$[")) else text if text.startswith("[") else f".{text}"
        steps: list[str | int] = []
        while rest:
            step = _STEP.match(rest)
            if step is None:
                raise InvalidPathError(f"no path such as outputs[0].data[0]: not understood from {rest!r} on")
            steps.append(int(step["index"]) if step["index"] is not None else step["name"] or step["quoted"])
            rest = rest[step.end() :]
        return cls(Form.PATH, tuple(steps))

    def read(self, body: bytes) -> Json:
        """
        The part of the body.

        Raises:
            UnreadableAnswerError: the body has no such part.
        """
        match self.form:
            case Form.WHOLE:
                return _whole(body)
            case Form.OPENAI:
                return _streamed(body) if body.lstrip().startswith(_EVENT) else _choice(parsed(body))
            case Form.V2:
                return _tensor(_followed(parsed(body), ("outputs", 0)))
            case _:
                return _followed(parsed(body), self.steps)


def _whole(body: bytes) -> Json:
    with suppress(UnreadableAnswerError):
        return parsed(body)
    try:
        return body.decode()
    except UnicodeDecodeError:
        return body.decode("latin-1")  # any bytes, and different ones differ


def _followed(value: Json, steps: tuple[str | int, ...]) -> Json:
    for step in steps:
        match value, step:
            case list(), int() if step < len(value):
                value = value[step]
            case dict(), str() if step in value:
                value = value[step]
            case _:
                raise UnreadableAnswerError(f"the answer has no {step!r} where it should")
    return value


def _choice(answer: Json) -> str:
    choice = _followed(answer, ("choices", 0))
    if not isinstance(choice, dict):
        raise UnreadableAnswerError("the first choice is no object")
    message = choice.get("message")
    told = message if isinstance(message, dict) else {}
    for text in (told.get("content"), choice.get("text")):
        if isinstance(text, str):
            return text
    calls = told.get("tool_calls")
    if not isinstance(calls, list) or not calls:
        raise UnreadableAnswerError("the first choice has neither text nor tool calls")
    return canonical([_call(call) for call in calls])


def _call(call: Json) -> Json:
    """
    Name and arguments of a tool call, without its id, which is new each time.
    """
    function = _followed(call, ("function",))
    arguments = _followed(function, ("arguments",))
    with suppress(UnreadableAnswerError):  # models write arguments that are no JSON; the text itself is compared then
        arguments = parsed(arguments.encode(errors="replace")) if isinstance(arguments, str) else arguments
    return [_followed(function, ("name",)), arguments]


def _streamed(body: bytes) -> str:
    pieces: list[str] = []
    for line in body.splitlines():
        event = line.removeprefix(_EVENT).strip()
        if not line.startswith(_EVENT) or event == _END:
            continue
        choices = _followed(parsed(event), ("choices",))
        if choices:  # the last event of some servers tells the usage alone
            pieces.append(_piece(_followed(choices, (0,))))
    return "".join(pieces)


def _piece(choice: Json) -> str:
    if not isinstance(choice, dict):
        raise UnreadableAnswerError("a piece of the stream is no object")
    if choice.get("index", 0) != 0:
        return ""
    delta = choice.get("delta")
    text = delta.get("content") if isinstance(delta, dict) else choice.get("text")
    return text if isinstance(text, str) else ""


def _tensor(output: Json) -> Json:
    """
    The numbers in rows: the protocol lets a server write them flat, whatever the shape.
    """
    found, shape = _followed(output, ("data",)), _followed(output, ("shape",))
    if not isinstance(found, list) or not isinstance(shape, list):
        raise UnreadableAnswerError("data and shape of the first output are no lists")
    sizes = [size for size in shape if isinstance(size, int)]
    if len(sizes) < 2 or prod(sizes) != len(found) or sizes[-1] < 1:  # noqa: PLR2004 - rows and columns
        return found
    width = sizes[-1]
    return [found[start : start + width] for start in range(0, len(found), width)]
