"""
What selectors have in common, and one selector for many of them. No I/O.

A selector is taken apart into its shape, which is the same for all members of a batch, and its values, in which they
differ. Only two forms may differ, because only those are told apart here exactly as the server tells them: equality
with a text, and the pods of a workload as `$arm` writes them. Every other matcher belongs to the shape and is judged by
the server. Who asked for what is decided again on each series' labels: a batch gives nobody more than his own question.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Final

from modelramp.api.matchers import METRIC_NAME, Matcher, SelectorError, matchers_of
from modelramp.api.selectors import SELECTOR_PATTERN

POD_SUFFIX: Final = "-[a-z0-9]+-[a-z0-9]+"
_SELECTOR: Final = re.compile(SELECTOR_PATTERN.removeprefix("^").removesuffix("$"))
_PODS: Final = re.compile(r"([a-z0-9][-a-z0-9]*)" + re.escape(POD_SUFFIX))
# Neither part after the workload's name holds a dash, so a pod's name belongs to one workload only.
_POD: Final = re.compile(r"(.*)-[a-z0-9]+-[a-z0-9]+", re.DOTALL)
# Alternatives of literals and single dots: the regular expressions of which RE2 and Python think the same, in linear
# time. Classes, repetitions and groups are left to the server.
_ALIKE: Final = re.compile(r"(?:[A-Za-z0-9_/:,@ =-]|\\[.+*?()|\[\]{}^$/-]|\.(?![*+?{])|\|)*")
_META: Final = re.compile(r"[\\.+*?()|\[\]{}^$]")  # what Go's regexp.QuoteMeta quotes

Values = tuple[str, ...]
"""Of a shape's labels in their order, and last the workload if the shape tells pods apart."""


@dataclass(frozen=True)
class Shape:
    """
    What the selectors of a batch share.

    `labels` are compared with a text of each member's own; `pods` is the label that holds the names of each member's
    pods, None: there is none.
    """

    name: str
    fixed: frozenset[Matcher]
    labels: tuple[str, ...]
    pods: str | None

    @cached_property
    def width(self) -> int:
        """
        The number of matchers.
        """
        return len(self.fixed) + len(self.labels) + (self.pods is not None)

    def key(self, labels: Mapping[str, str]) -> Values | None:
        """
        The values of the only members that may select a series with these labels; None: no member does.
        """
        found = tuple([labels.get(label, "") for label in self.labels])
        if self.pods is None:
            return found
        match = _POD.fullmatch(labels.get(self.pods, ""))
        return None if match is None else (*found, match[1])

    def selector(self, members: Iterable[Values]) -> str:
        """
        One selector for everything that these members select; where several labels differ, for a little more.
        """
        columns = [sorted(set(column)) for column in zip(*members, strict=True)]
        matchers = sorted(self.fixed, key=str)
        for label, values in zip(self.labels, columns, strict=False):
            matchers.append(_any_of(label, values))
        if self.pods is not None:
            workloads = columns[-1]
            one = workloads[0] if len(workloads) == 1 else f"({'|'.join(workloads)})"
            matchers.append(Matcher(self.pods, "=~", f"{one}{POD_SUFFIX}"))
        return f"{self.name}{{{','.join(str(matcher) for matcher in matchers)}}}"


@dataclass(frozen=True, slots=True)
class Part:
    """
    A selector as a member of a batch.

    `rest` are matchers that the batch does not hold and that are applied to its answer.
    """

    shape: Shape
    values: Values
    rest: tuple[Callable[[Mapping[str, str]], bool], ...] = ()

    def within(self, shape: Shape) -> "Part | None":
        """
        The same selector as a part of a batch with fewer matchers; None: it cannot be told apart in such an answer.
        """
        own, given = self.shape, dict(zip(self.shape.labels, self.values, strict=False))
        if shape.name != own.name or shape.pods not in {None, own.pods} or not shape.fixed <= own.fixed:
            return None
        if not set(shape.labels) <= set(own.labels):
            return None
        left = [*(own.fixed - shape.fixed)]
        left += [Matcher(label, "=", value) for label, value in given.items() if label not in shape.labels]
        if own.pods is not None and shape.pods is None:
            return None
        rest = [_judge(matcher) for matcher in left]
        if any(one is None for one in rest):
            return None
        values = [given[label] for label in shape.labels] + ([self.values[-1]] if shape.pods else [])
        return Part(shape, tuple(values), tuple(one for one in rest if one is not None))


@lru_cache(maxsize=16384)  # objects ask the same again and again; with 1,000 rollouts a sixteenth of all CPU
def take_apart(selector: str) -> Part | None:
    """
    The selector as a part of a batch; None: it must be asked as it is.
    """
    if _SELECTOR.fullmatch(selector) is None:
        return None
    try:
        matchers = matchers_of(selector)
    except SelectorError:
        return None
    names = [one for one in matchers if one.label == METRIC_NAME]
    if len(names) != 1 or names[0].operator != "=" or not names[0].value:
        return None
    matchers.remove(names[0])
    equal = {one.label: one.value for one in matchers if one.operator == "=" and one.value}
    workloads = {one: match[1] for one in matchers if one.operator == "=~" and (match := _PODS.fullmatch(one.value))}
    fixed = frozenset(one for one in matchers if (one.operator != "=" or not one.value) and one not in workloads)
    if len(fixed) + len(equal) + len(workloads) != len(matchers) or len(workloads) > 1:
        return None  # a label that is compared twice
    labels = tuple(sorted(equal))
    pods = next((one.label for one in workloads), None)
    return Part(Shape(names[0].value, fixed, labels, pods), (*(equal[label] for label in labels), *workloads.values()))


def _any_of(label: str, values: list[str]) -> Matcher:
    if len(values) == 1:
        return Matcher(label, "=", values[0])
    # Without a group around them, Prometheus looks plain alternatives up instead of matching every value it knows.
    return Matcher(label, "=~", "|".join(_META.sub(r"\\\g<0>", value) for value in values))


def _judge(matcher: Matcher) -> Callable[[Mapping[str, str]], bool] | None:
    """
    Whether a series with these labels is selected; None: only the server can say.
    """
    label, value = matcher.label, matcher.value
    wanted = matcher.operator in {"=", "=~"}
    if matcher.operator in {"=", "!="}:
        return lambda labels: (labels.get(label, "") == value) is wanted
    if _ALIKE.fullmatch(value) is None:
        return None
    pattern = re.compile(value, re.DOTALL)
    return lambda labels: (pattern.fullmatch(labels.get(label, "")) is not None) is wanted
