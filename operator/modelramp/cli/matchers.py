"""
PromQL vector selectors applied to recorded series, where no Prometheus is at hand.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

from modelramp.api.names import REVISION_LENGTH

_QUOTED: Final = r'"((?:[^"\\\n]|\\.)*)"'
_MATCHER: Final = re.compile(rf"([a-zA-Z_][a-zA-Z0-9_]*)\s*(=~|!~|!=|=)\s*{_QUOTED}")
_SELECTOR: Final = re.compile(
    r"\s*([a-zA-Z_:][a-zA-Z0-9_:]*)?\s*\{\s*"
    rf"(?:(?:{_MATCHER.pattern}|\$arm)(?:\s*,\s*(?:{_MATCHER.pattern}|\$arm))*)?\s*,?\s*\}}\s*"
)
_ESCAPES: Final = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\\": "\\", '"': '"'}
_NAME: Final = "__name__"
_PLACEHOLDER: Final = re.compile(r"\$\{(namespace|service|revision)\}")
_REVISION: Final = f"[0-9a-f]{{{REVISION_LENGTH}}}"


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


@dataclass(frozen=True, slots=True)
class Selector:
    """
    All matchers of a selector; a metric name is one of them.
    """

    matchers: tuple[Matcher, ...]

    @classmethod
    def parse(cls, text: str) -> Self:
        """
        Read `name{label="value"}`. Matchers that hold a placeholder (`$arm`, `${service}`) are left out.

        Raises:
            SelectorError: it is none.
        """
        return cls(_checked(text, [matcher for matcher in _matchers(text) if "$" not in matcher.value]))

    @classmethod
    def of_any_revision(cls, text: str, namespace: str, deployment: str) -> Self:
        """
        Read a metric's selector with its placeholders filled so that it selects every revision of a deployment.

        Raises:
            SelectorError: it is none.
        """
        names = {"namespace": re.escape(namespace), "revision": _REVISION, "service": f"{deployment}-{_REVISION}"}
        found = [_filled(matcher, names) for matcher in _matchers(text)]
        if "$arm" in text:  # inside quotes the grammar knows no such word
            pods = f"{names['service']}-[a-z0-9]+-[a-z0-9]+"
            found += [Matcher("namespace", "=", namespace), Matcher("pod", "=~", pods)]
        return cls(_checked(text, found))

    def __str__(self) -> str:
        """
        As PromQL writes it.
        """
        return "{" + ",".join(str(matcher) for matcher in self.matchers) + "}"

    def holds(self, labels: Mapping[str, str]) -> bool:
        """
        Whether a series with these labels is selected.
        """
        return all(matcher.holds(labels) for matcher in self.matchers)

    def both(self, other: "Selector") -> "Selector":
        """
        What both select.
        """
        return Selector((*self.matchers, *other.matchers))


def _matchers(text: str) -> list[Matcher]:
    whole = _SELECTOR.fullmatch(text)
    if whole is None:
        raise SelectorError(f'not label matchers such as {{version="1"}}: {text}')
    name = [Matcher(_NAME, "=", whole[1])] if whole[1] else []
    found = [Matcher(label, operator, _plain(value)) for label, operator, value in _MATCHER.findall(text)]
    return [*name, *found]


def _checked(text: str, matchers: list[Matcher]) -> tuple[Matcher, ...]:
    for matcher in matchers:
        try:
            re.compile(matcher.value if matcher.operator in {"=~", "!~"} else "")
        except re.error as error:
            raise SelectorError(f"not a regular expression in {text}: {error}") from None
    return tuple(matchers)


def _filled(matcher: Matcher, names: Mapping[str, str]) -> Matcher:
    """
    The matcher as a regular expression, if it holds a placeholder.
    """
    parts = _PLACEHOLDER.split(matcher.value)
    if len(parts) == 1:
        return matcher
    literal = matcher.operator in {"=", "!="}
    text = "".join(
        names[part] if number % 2 else (re.escape(part) if literal else part) for number, part in enumerate(parts)
    )
    return Matcher(matcher.label, {"=": "=~", "!=": "!~"}.get(matcher.operator, matcher.operator), text)


def _plain(quoted: str) -> str:
    return re.sub(r"\\(.)", lambda match: _ESCAPES.get(match[1], match[0]), quoted)
