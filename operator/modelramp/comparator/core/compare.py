"""
When two answers agree: one comparer for each kind of answer that models give.
"""

import math
import sys
import unicodedata
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Self

from modelramp.comparator.core.values import Json, UnreadableAnswerError, canonical, unwrapped

SHORT: Final = 40  # characters of an output that may become a label: class names are shorter, sentences are not
_ROUNDING: Final = 4 * sys.float_info.epsilon  # of a difference, relative to what it is the difference of


class Compare(StrEnum):
    """
    How answers are compared.
    """

    EQUAL = "Equal"
    """Equal JSON: the order of keys does not matter, that of lists does; `1` equals `1.0`."""
    NUMBER = "Number"
    """One number, or as many on both sides: none further apart than the tolerance."""
    ARGMAX = "ArgMax"
    """The place of the largest score, of each row: an index, or a key where the scores have names."""
    SET = "Set"
    """The same elements, whatever their order and however often each."""
    TEXT = "Text"
    """The same text but for case, white space and the ways Unicode has to write one character."""


@dataclass(frozen=True, slots=True)
class Tolerance:
    """
    How far apart two numbers may be that agree.

    Attributes:
        amount: At least 0, finite; of a relative one a fraction of the stable number's magnitude.
        relative: It grows with the stable number; stable's 0 then agrees with 0 only.

    """

    amount: float = 0.0
    relative: bool = False

    @classmethod
    def parse(cls, text: str) -> Self:
        """
        `0.01`, or `1%` of the stable number.

        Raises:
            ValueError: it is neither, or below 0.
        """
        amount, relative = float(text.removesuffix("%")), text.endswith("%")
        if not 0.0 <= amount < math.inf:
            raise ValueError("must be 0 or more")
        return cls(amount / 100 if relative else amount, relative)

    def distance(self, stable: float, candidate: float) -> float:
        """
        How far apart: as a fraction of stable's magnitude, if relative. Infinite where one is no finite number alone.

        What exceeds the tolerance by no more than a subtraction rounds is told as the tolerance: 0.31 is within 0.01 of
        0.3.
        """
        same = stable == candidate or (math.isnan(stable) and math.isnan(candidate))
        if same or not (math.isfinite(stable) and math.isfinite(candidate)):
            return 0.0 if same else math.inf
        apart, rounding = abs(candidate - stable), _ROUNDING * max(abs(stable), abs(candidate))
        if self.relative and not stable:
            return math.inf
        unit = abs(stable) if self.relative else 1.0
        return apart / unit if (apart - rounding) / unit > self.amount else min(apart / unit, self.amount)


@dataclass(frozen=True, slots=True)
class Reading:
    """
    What of an answer is compared.

    Attributes:
        content: Equal contents agree, whatever the comparer.
        output: The answer in a word, for the distribution of outputs; None: it is no short one.

    """

    content: Hashable
    output: str | None = None


@dataclass(frozen=True, slots=True)
class Compared:
    """
    What became of two readings.

    Attributes:
        agree: They are the same answer.
        distance: How far apart, at least 0, maybe infinite; None: the comparer knows no distance.

    """

    agree: bool
    distance: float | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """
    One way to compare.

    Attributes:
        compare: Which.
        tolerance: Of numbers; the others know none.

    """

    compare: Compare = Compare.EQUAL
    tolerance: Tolerance = Tolerance()

    def read(self, value: Json) -> Reading:
        """
        What of the value is compared.

        Raises:
            UnreadableAnswerError: the value is nothing that can be compared so.
        """
        return _READERS[self.compare](value)

    def between(self, stable: Reading, candidate: Reading) -> Compared:
        """
        Whether the two agree; both read by this comparison.
        """
        one, other = stable.content, candidate.content
        if self.compare is not Compare.NUMBER or not isinstance(one, tuple) or not isinstance(other, tuple):
            return Compared(one == other)
        if len(one) != len(other):
            return Compared(agree=False, distance=math.inf)
        distance = max(self.tolerance.distance(a, b) for a, b in zip(one, other, strict=True))
        return Compared(distance <= self.tolerance.amount, distance)


def _equal(value: Json) -> Reading:
    alone = unwrapped(value)
    short = isinstance(alone, bool | int | str) or alone is None
    return Reading(canonical(value), _short(alone if isinstance(alone, str) else canonical(alone)) if short else None)


def _number(value: Json) -> Reading:
    numbers = tuple(_flat(value))
    if not numbers:
        raise UnreadableAnswerError("no number")
    return Reading(numbers)


def _flat(value: Json) -> list[float]:
    if isinstance(value, list):
        try:
            return [number for item in value for number in _flat(item)]
        except RecursionError:
            raise UnreadableAnswerError("nested too deeply") from None
    return [_float(value)]


def _float(value: Json) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UnreadableAnswerError("no number")
    try:
        return float(value)
    except OverflowError:
        raise UnreadableAnswerError("a number too large to compare") from None


def _argmax(value: Json) -> Reading:
    while isinstance(value, list) and len(value) == 1 and isinstance(value[0], list | dict):
        value = value[0]
    rows = value if isinstance(value, list) and any(isinstance(row, list | dict) for row in value) else [value]
    places = tuple(_largest(row) for row in rows)
    return Reading(places, _short(str(places[0])) if len(places) == 1 else None)


def _largest(row: Json) -> str | int:
    """
    Of equal scores the first one's place; of named scores the first name in the alphabet.
    """
    if isinstance(row, dict):
        scores: Mapping[str, float] | list[float] = {name: _score(row[name]) for name in sorted(row)}
    elif isinstance(row, list):
        scores = [_score(item) for item in row]
    else:
        raise UnreadableAnswerError("no scores")
    if not scores:
        raise UnreadableAnswerError("no scores")
    if isinstance(scores, list):
        return scores.index(max(scores))
    return max(scores, key=scores.__getitem__)


def _score(value: Json) -> float:
    score = _float(value)
    if math.isnan(score):
        raise UnreadableAnswerError("a score is NaN")
    return score


def _set(value: Json) -> Reading:
    while isinstance(value, list) and len(value) == 1 and isinstance(value[0], list):
        value = value[0]
    if not isinstance(value, list):
        raise UnreadableAnswerError("no list")
    return Reading(frozenset(canonical(item) for item in value))


def _text(value: Json) -> Reading:
    text = unwrapped(value)
    if not isinstance(text, str):
        raise UnreadableAnswerError("no text")
    # Normalised before and after folding, as each of the two can make something new for the other.
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    words = " ".join(folded.split())
    return Reading(words, _short(words))


def _short(text: str) -> str | None:
    """
    The text if it is short, with a question mark for each half of a surrogate pair: those have no encoding.
    """
    return text.encode(errors="replace").decode() if len(text) <= SHORT else None


_READERS: Final[Mapping[Compare, Callable[[Json], Reading]]] = {
    Compare.EQUAL: _equal,
    Compare.NUMBER: _number,
    Compare.ARGMAX: _argmax,
    Compare.SET: _set,
    Compare.TEXT: _text,
}
