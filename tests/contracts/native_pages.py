"""
Pages with native histograms, as protobuf (io.prometheus.client.MetricFamily, length-delimited), which no text format
carries, and with classic ones as text. Each remembers the observations themselves: the truth that must be counted.
"""

import math
import struct
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, Final

from aiohttp import web
from contracts.page_server import served

METRIC: Final = "call_seconds"
PROTOBUF: Final = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
_GAUGE, _HISTOGRAM = 1, 4


def _varint(number: int) -> bytes:
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*found, number])


def _tag(number: int, wire: int) -> bytes:
    return _varint(number << 3 | wire)


def unsigned(number: int, value: int) -> bytes:
    """A field of an unsigned integer or an enumeration."""
    return _tag(number, 0) + _varint(value)


def signed(number: int, value: int) -> bytes:
    """A field of type sint32 or sint64."""
    return unsigned(number, value << 1 ^ value >> 63)


def double(number: int, value: float) -> bytes:
    """A field of type double."""
    return _tag(number, 1) + struct.pack("<d", value)


def message(number: int, *parts: bytes) -> bytes:
    """A field that is a message or a text."""
    body = b"".join(parts)
    return _tag(number, 2) + _varint(len(body)) + body


def _family(name: str, kind: int, metric: bytes) -> bytes:
    body = message(1, name.encode()) + unsigned(3, kind) + message(4, metric)
    return _varint(len(body)) + body


def _runs(indices: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Offset from the end of the run before, and length, of each run of neighbouring buckets."""
    end = 0
    for _, numbered in groupby(enumerate(sorted(indices)), key=lambda pair: pair[1] - pair[0]):
        run = [index for _, index in numbered]
        yield run[0] - end, len(run)
        end = run[-1] + 1


def _spans(counts: Mapping[int, int], span: int, delta: int) -> Iterator[bytes]:
    for offset, length in _runs(list(counts)):
        yield message(span, signed(1, offset), unsigned(2, length))
    before = 0
    for index in sorted(counts):
        yield signed(delta, counts[index] - before)
        before = counts[index]


@dataclass
class Page:
    """
    One server: what it observed, and how it tells.

    `schema` None: only as a classic histogram with `edges`; edges beside a schema: in both forms.
    """

    schema: int | None = 3
    edges: tuple[float, ...] = ()
    zero_threshold: float = 2.0**-128
    observed: list[float] = field(default_factory=list)
    generation: int = 0

    def __str__(self) -> str:
        """The page as text, classic histogram only."""
        lines = [f"page_generation {self.generation}", f"# TYPE {METRIC} histogram"]
        for edge in (*self.edges, math.inf):
            text = "+Inf" if edge == math.inf else f"{edge:g}"
            lines.append(f'{METRIC}_bucket{{le="{text}"}} {self._below(edge)}')
        return "\n".join([*lines, f"{METRIC}_sum {sum(self.observed)}", f"{METRIC}_count {len(self.observed)}", ""])

    def __bytes__(self) -> bytes:
        """The page as protobuf."""
        histogram = message(7, *self._fields(self.schema or 0))
        generation = message(2, double(1, float(self.generation)))
        return _family("page_generation", _GAUGE, generation) + _family(METRIC, _HISTOGRAM, histogram)

    def above(self, edge: float) -> int:
        """How many observations are."""
        return len(self.observed) - self._below(edge)

    def _below(self, edge: float) -> int:
        return sum(one <= edge for one in self.observed)

    def _fields(self, schema: int) -> Iterator[bytes]:
        positive, negative = (
            Counter(_index(sign * one, schema) for one in self.observed if sign * one > self.zero_threshold)
            for sign in (1, -1)
        )
        yield unsigned(1, len(self.observed)) + double(2, sum(self.observed))
        for edge in self.edges:
            yield message(3, unsigned(1, self._below(edge)), double(2, edge))
        yield signed(5, schema) + double(6, self.zero_threshold)
        yield unsigned(7, sum(abs(one) <= self.zero_threshold for one in self.observed))
        yield from _spans(negative, 9, 10)
        yield from _spans(positive, 12, 13)


def _index(value: float, schema: int) -> int:
    """The bucket that a value belongs to, found by trying: the upper bound is part of it."""
    index = math.ceil(math.log2(value) * 2.0**schema)
    while value <= bound(schema, index - 1):
        index -= 1
    while value > bound(schema, index):
        index += 1
    return index


def bound(schema: int, index: int) -> float:
    """The upper bound of a bucket."""
    return float(2.0 ** (index * 2.0**-schema))


@asynccontextmanager
async def serving(pages: Mapping[str, Page]) -> AsyncIterator[str]:
    """Serve each page under its name until left, at the address given."""

    async def show(request: web.Request) -> web.Response:
        page = pages[request.match_info["page"]]
        if page.schema is None:
            return web.Response(text=str(page))
        return web.Response(body=bytes(page), headers={"Content-Type": PROTOBUF})

    async with served("/{page}/metrics", show) as address:
        yield address


def jobs(address: str, names: Iterable[str], options: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """How the pages are scraped; each with options of its own."""
    return [
        {
            "job_name": name,
            "metrics_path": f"/{name}/metrics",
            "static_configs": [{"targets": [address], "labels": {"pod": name}}],
            "scrape_native_histograms": True,
            **options.get(name, {}),
        }
        for name in names
    ]
