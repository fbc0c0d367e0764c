"""
Vector selectors read into their matchers, as PromQL reads them.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

METRIC_NAME: Final = "__name__"
_QUOTED: Final = r'"((?:[^"\\\n]|\\.)*)"'
_MATCHER: Final = re.compile(rf"([a-zA-Z_][a-zA-Z0-9_]*)\s*(=~|!~|!=|=)\s*{_QUOTED}")
_SELECTOR: Final = re.compile(
    r"\s*([a-zA-Z_:][a-zA-Z0-9_:]*)?\s*\{\s*"
    rf"(?:(?:{_MATCHER.pattern}|\$arm)(?:\s*,\s*(?:{_MATCHER.pattern}|\$arm))*)?\s*,?\s*\}}\s*"
)
_ESCAPES: Final = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\\": "\\", '"': '"'}


class SelectorError(Exception):
    """
    A text is no vector selector, or its regular expression none; the message repeats it.
    """


@dataclass(frozen=True, slots=True)
class Matcher:
    """
    One label matcher. A label that is absent counts as empty, and regular expressions match whole values, as in PromQL.

    Python's regular expressions stand in for RE2, which knows fewer forms.
    """

    label: str
    operator: str
    value: str

    def __str__(self) -> str:
        """
        As PromQL writes it.
        """
        escaped = self.value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        return f'{self.label}{self.operator}"{escaped}"'

    def holds(self, labels: Mapping[str, str]) -> bool:
        """
        Whether a series with these labels is selected.
        """
        found = labels.get(self.label, "")
        match self.operator:
            case "=":
                return found == self.value
            case "!=":
                return found != self.value
            case "=~":
                return re.fullmatch(self.value, found) is not None
            case _:
                return re.fullmatch(self.value, found) is None


def matchers_of(text: str) -> list[Matcher]:
    """
    All matchers of a selector, a metric name first; a bare placeholder (`$arm`) is left out.

    Raises:
        SelectorError: it is no vector selector.
    """
    whole = _SELECTOR.fullmatch(text)
    if whole is None:
        raise SelectorError(f'not label matchers such as {{version="1"}}: {text}')
    name = [Matcher(METRIC_NAME, "=", whole[1])] if whole[1] else []
    found = [Matcher(label, operator, _plain(value)) for label, operator, value in _MATCHER.findall(text)]
    return [*name, *found]


def _plain(quoted: str) -> str:
    return re.sub(r"\\(.)", lambda match: _ESCAPES.get(match[1], match[0]), quoted)
