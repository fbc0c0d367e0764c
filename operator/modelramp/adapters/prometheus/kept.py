"""
An answer to many questions, kept in little memory until each of them was answered. No I/O.
"""

from array import array
from bisect import bisect_right
from collections.abc import Iterable
from datetime import datetime
from typing import Final

from modelramp.adapters.prometheus.shapes import Part, Shape, Values
from modelramp.analysis import Series

_SAMPLE_BYTES: Final = 24  # as JSON: an instant with milliseconds, a counter's value, brackets and quotes
_LABEL_BYTES: Final = 6

_Row = tuple[dict[str, str], "array[float]", "array[float]"]


class Answer:
    """
    The series of one fetch, found by the values in which the questions differ.

    A sample takes 16 bytes here and 112 as the tuples that it is given as.
    """

    def __init__(self, shape: Shape, since: datetime, found: Iterable[Series]) -> None:
        """
        Keep what was found from `since` on.
        """
        self.since = since
        self.samples = 0
        self.size = 0
        """About its size as JSON, in bytes."""
        self._rows: dict[Values, list[_Row]] = {}
        texts: dict[str, str] = {}
        instants: dict[bytes, array[float]] = {}
        for one in found:
            key = shape.key(one.labels)
            self.samples += len(one.samples)
            self.size += _SAMPLE_BYTES * len(one.samples)
            self.size += sum(len(name) + len(value) + _LABEL_BYTES for name, value in one.labels.items())
            if key is None:
                continue
            labels = {texts.setdefault(k, k): texts.setdefault(v, v) for k, v in one.labels.items()}
            at = array("d", [instant for instant, _ in one.samples])
            # the series of one page have the same instants
            row = labels, instants.setdefault(at.tobytes(), at), array("d", [value for _, value in one.samples])
            self._rows.setdefault(tuple([texts.setdefault(value, value) for value in key]), []).append(row)

    def select(self, part: Part, since: datetime) -> tuple[Series, ...]:
        """
        What the part selects, from `since` on; a series without samples there is none.
        """
        begin, found = since.timestamp(), []
        for labels, instants, values in self._rows.get(part.values, ()):
            if not all(holds(labels) for holds in part.rest):
                continue
            first = bisect_right(instants, begin)
            if first < len(instants):
                # a copy of the labels: an answer to one must not be changed by another
                samples = tuple(zip(instants[first:], values[first:], strict=True))
                found.append(Series(labels=dict(labels), samples=samples))
        return tuple(found)
