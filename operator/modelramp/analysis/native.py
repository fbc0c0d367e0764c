"""
What a metric store tells of a native histogram: samples of cumulative counts with explicit bounds, read strictly.

The store does not name the resolution; the bounds do. A standard histogram of schema s has the bounds 2^(i 2^-s), and
one with custom bounds any. Either way a count up to an edge is exact if no bucket that holds observations reaches over
it, and that alone is relied on. This module does no I/O.

Source: Prometheus' specification of native histograms; its HTTP API, "histogram value" of the format overview.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

FINEST_SCHEMA: Final = 8
COARSEST_SCHEMA: Final = -4  # Prometheus' standard histograms know -4 to 8
INFINITE_POWER: Final = 1024.0  # 2 to this power is no float any more
EDGE_SLACK: Final = 1e-9  # relative: an edge is known to 12 digits, and the finest schema's are 3e-3 apart
COUNT_SLACK: Final = 1e-9  # relative: sums of fractions, where a rule recorded them
SCHEMA_SLACK: Final = 1e-6  # of a schema's number, computed from two bounds
MOST: Final = math.nextafter(math.inf, 0.0)  # the bound in the place of 2^1024, the last before infinity
_LEFT_OPEN: Final = 0
_RIGHT_OPEN: Final = 1
_CLOSED: Final = 3

Bound = tuple[float, float]
"""Lower and upper bound of a bucket that holds observations; the lower one is not part of it but in the first one."""


class BelowZeroError(ValueError):
    """Observations below 0 were counted: they are no durations."""


@dataclass(frozen=True)
class Layout:
    """
    The buckets of one sample that hold observations.

    Attributes:
        bounds: Ascending, not overlapping. The first may be the zero bucket, from -z to z, or begin at -infinity (the
            first of custom bounds); all others have lower bounds of at least 0. The last may end at infinity.

    Raises:
        BelowZeroError: If a bucket holds what is below 0.
        ValueError: If the buckets overlap or are out of order.

    """

    bounds: tuple[Bound, ...]

    def __post_init__(self) -> None:
        """Refuse what no exporter of durations can give."""
        reached = -math.inf
        for number, (lower, upper) in enumerate(self.bounds):
            first = number == 0 and lower in {-upper, -math.inf}  # the zero bucket's own width may be 0
            if upper < 0.0 or (lower < 0.0 and not first):
                raise BelowZeroError(f"observations from {lower:g} to {upper:g}")
            if not (lower < upper or (first and lower == upper)) or not lower >= reached:
                raise ValueError(f"buckets out of order: {self.bounds}")
            reached = upper

    @cached_property
    def schema(self) -> int | None:
        """
        Resolution of a standard histogram, -4 to 8; None if the bounds are custom, or too few to tell.

        The lowest bucket above zero may be cut off by the zero bucket, and is asked only if it is the only one.
        """
        found = {_schema(lower, upper) for lower, upper in self._asked}
        return next(iter(found)) if len(found) == 1 else None

    @cached_property
    def custom(self) -> bool:
        """Whether the bounds are none of a standard histogram, the zero bucket's part of one apart."""
        if self.bounds and self.bounds[0][0] == -math.inf:
            return True
        found = self._above_zero
        cut_off = len(found) == 1 and self.bounds[0] == (-found[0][0], found[0][0])
        return bool(found) and self.schema is None and not cut_off

    def splits(self, edge: float) -> bool:
        """Whether an edge lies within a bucket, so that how many observations are below it is not known."""
        return any(lower * (1.0 + EDGE_SLACK) < edge < upper * (1.0 - EDGE_SLACK) for lower, upper in self.bounds)

    def place(self, edge: float) -> int:
        """Return how many of the buckets end at an edge or below it."""
        return sum(upper <= edge * (1.0 + EDGE_SLACK) for _, upper in self.bounds)

    @property
    def _above_zero(self) -> list[Bound]:
        """Without what lies beyond all finite edges."""
        return [(lower, upper) for lower, upper in self.bounds if lower >= 0.0 and 0.0 < upper < MOST]

    @property
    def _asked(self) -> list[Bound]:
        found = self._above_zero
        return found[1:] or found


def boundary(schema: int, index: int) -> float:
    """Return the upper bound of a bucket of a standard histogram; infinite above all floats."""
    power = index * 2.0**-schema
    return 2.0**power if power < INFINITE_POWER else math.inf


def on_grid(edge: float, schema: int) -> bool:
    """Whether an edge is a bound of that schema, as far as 12 digits tell."""
    if not 0.0 < edge < math.inf:
        return False
    return math.isclose(edge, boundary(schema, round(math.log2(edge) * 2.0**schema)), rel_tol=EDGE_SLACK)


def _schema(lower: float, upper: float) -> int | None:
    """Return the schema that has this bucket; None if none has it."""
    octaves = math.log2(upper) - math.log2(lower) if lower > 0.0 else math.inf
    exact = -math.log2(octaves) if octaves > 0.0 else math.inf
    if not COARSEST_SCHEMA - 1 < exact < FINEST_SCHEMA + 1:
        return None
    schema = round(exact)
    fits = abs(exact - schema) < SCHEMA_SLACK and COARSEST_SCHEMA <= schema <= FINEST_SCHEMA
    return schema if fits and on_grid(upper, schema) else None


@dataclass(frozen=True, slots=True)
class NativeSample:
    """
    One sample of a native histogram, cumulative in time.

    Attributes:
        at: Unix seconds.
        n: All observations so far; those that are no number are in no bucket.
        layout: The buckets that hold any; samples of a series mostly share one.
        counts: Observations of each of them.

    Raises:
        ValueError: If the counts are none, or more than all.

    """

    at: float
    n: float
    layout: Layout
    counts: tuple[float, ...]

    def __post_init__(self) -> None:
        """Refuse what no counting can give."""
        if len(self.counts) != len(self.layout.bounds):
            raise ValueError(f"{len(self.counts)} counts of {len(self.layout.bounds)} buckets")
        if not (0.0 <= self.n < math.inf and all(0.0 <= count < math.inf for count in self.counts)):
            raise ValueError(f"not counts: {self.counts} of {self.n:g}")
        if math.fsum(self.counts) > self.n * (1.0 + COUNT_SLACK):
            raise ValueError(f"more in the buckets than {self.n:g}: {self.counts}")


def read_native(at: float, row: Mapping[str, Any], known: dict[tuple[Bound, ...], Layout]) -> NativeSample:
    """
    Read one "histogram value" of Prometheus' HTTP API.

    Args:
        at: Its instant, unix seconds.
        row: ``{"count": "42", "sum": "3.5", "buckets": [[0, "0.25", "0.5", "12"], …]}``. Each bucket begins with what
            of its bounds belongs to it: 0 the upper one, 3 both, as of the zero bucket and the first of custom bounds.
            Without ``buckets`` there is no observation.
        known: Layouts seen before, so that the samples of one answer share them.

    Raises:
        BelowZeroError: If a bucket holds what is below 0.
        ValueError: If it is no such value, as are ``TypeError`` and ``KeyError``.

    """
    bounds, counts = [], []
    for number, (rule, lower, upper, count) in enumerate(row.get("buckets") or ()):
        bound = (float(lower), float(upper))
        if rule == _RIGHT_OPEN:  # only buckets below zero are
            raise BelowZeroError(f"observations from {bound[0]:g} to {bound[1]:g}")
        closed = number == 0 and bound[0] in {-bound[1], -math.inf}
        if rule != (_CLOSED if closed else _LEFT_OPEN):
            raise ValueError(f"bounds of the wrong kind: {rule}, {bound}")
        bounds.append(bound)
        counts.append(float(count))
    key = tuple(bounds)
    layout = known.get(key)
    if layout is None:
        layout = known[key] = Layout(key)
    return NativeSample(at, float(row["count"]), layout, tuple(counts))


def below(sample: NativeSample, places: Sequence[int]) -> list[float]:
    """Return the observations in so many of the first buckets, for each place; never more than all."""
    reached, sums = 0.0, [0.0]
    for count in sample.counts:
        reached += count
        sums.append(min(reached, sample.n))
    return [sums[place] for place in places]
