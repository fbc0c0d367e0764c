"""
PromQL vector selectors applied to recorded series, where no Prometheus is at hand.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

from modelramp.api.matchers import Matcher, SelectorError, matchers_of
from modelramp.api.names import REVISION_LENGTH, pod_pattern

__all__ = ["Selector", "SelectorError"]

_PLACEHOLDER: Final = re.compile(r"\$\{(namespace|deployment|service|revision)\}")
_REVISION: Final = f"[0-9a-f]{{{REVISION_LENGTH}}}"


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
        return cls(_checked(text, [matcher for matcher in matchers_of(text) if "$" not in matcher.value]))

    @classmethod
    def of_any_revision(cls, text: str, namespace: str, deployment: str) -> Self:
        """
        Read a metric's selector with its placeholders filled so that it selects every revision of a deployment.

        Raises:
            SelectorError: it is none.
        """
        names = {
            "namespace": re.escape(namespace),
            "deployment": deployment,
            "revision": _REVISION,
            "service": f"{deployment}-{_REVISION}",
        }
        found = [_filled(matcher, names) for matcher in matchers_of(text)]
        if "$arm" in text:  # inside quotes the grammar knows no such word
            found += [Matcher("namespace", "=", namespace), Matcher("pod", "=~", pod_pattern(deployment))]
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
