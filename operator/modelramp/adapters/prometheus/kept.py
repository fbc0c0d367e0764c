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
from modelramp.analysis.native import NativeSample

_SAMPLE_BYTES: Final = 24  # as JSON: an instant with milliseconds, a counter's value, brackets and quotes
_LABEL_BYTES: Final = 6
_BUCKET_BYTES: Final = 56  # as JSON, of a native histogram: two bounds, most with 17 digits, and a count
_NATIVE_SAMPLES: Final = 16  # the memory of a native histogram's sample without buckets, in counters' samples
_BUCKET_SAMPLES: Final = 2  # and of each bucket's count; the bounds are shared

_Row = tuple[dict[str, str], "array[float]", "array[float] | tuple[NativeSample, ...]"]


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
        """What is kept, in samples of counters."""
        self.size = 0
        """About its size as JSON, in bytes."""
        self._rows: dict[Values, list[_Row]] = {}
        texts: dict[str, str] = {}
        instants: dict[bytes, array[float]] = {}
        for one in found:
            key = shape.key(one.labels)
            buckets = sum(len(sample.counts) for sample in one.histograms)
            self.samples += len(one.samples) + _NATIVE_SAMPLES * len(one.histograms) + _BUCKET_SAMPLES * buckets
            self.size += _SAMPLE_BYTES * (len(one.samples) + 2 * len(one.histograms)) + _BUCKET_BYTES * buckets
            self.size += sum(len(name) + len(value) + _LABEL_BYTES for name, value in one.labels.items())
            if key is None:
                continue
            labels = {texts.setdefault(k, k): texts.setdefault(v, v) for k, v in one.labels.items()}
            at = array("d", [sample[0] for sample in one.samples] or [sample.at for sample in one.histograms])
            values = tuple(one.histograms) or array("d", [value for _, value in one.samples])
            # the series of one page have the same instants
            row = labels, instants.setdefault(at.tobytes(), at), values
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
            if first == len(instants):
                continue
            # a copy of the labels: an answer to one must not be changed by another
            own, rest = dict(labels), values[first:]
            if isinstance(rest, tuple):
                found.append(Series(labels=own, samples=(), histograms=rest))
            else:
                found.append(Series(labels=own, samples=tuple(zip(instants[first:], rest, strict=True))))
        return tuple(found)
