"""
Native histograms as cumulative buckets, so that every rule of counters holds for them as it is.

The buckets of all samples that were fetched together are brought to edges that each of these samples has: where a store
or an exporter reduced the resolution between two of them, the coarser one's. What lies up to such an edge is known
exactly in each sample, so births, restarts and increments are those of classic buckets, edge by edge, and ``count`` is
the ``+Inf`` bucket. This module does no I/O.
"""

import math
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Final

from modelramp.analysis.native import MOST, Layout, below, boundary, on_grid
from modelramp.analysis.targets import EDGE_LABEL, Identity, Series

LISTED_SCHEMA: Final = 3  # edges 9 % apart: finer ones tell little more, and are the first to be lost
LISTED_ABOVE_OCTAVES: Final = 2  # above the slowest call: stretches of the past are compared edge by edge
LISTED_BELOW_OCTAVES: Final = 20  # below it: a millionth of it, which is nothing a call is judged by
_PLACE_SLACK: Final = 1e-6  # of a bucket's number
_BUCKET: Final = "_bucket"
_NAME: Final = "__name__"

Arm = Sequence[Series]


def has_native(series: Iterable[Series]) -> bool:
    """Whether one of them is a native histogram."""
    return any(one.histograms for one in series)


def as_buckets(arms: Sequence[Arm], *, only: Collection[float] = (), also: Iterable[float] = ()) -> list[list[Series]]:
    """
    Give the series of each arm as classic buckets; those that are stay as they are.

    A histogram that is stored in both forms counts once: native if all arms are told so, else classic.

    Args:
        arms: What was fetched for one look.
        only: Count native histograms at these edges alone, in the series' own unit, where all samples of a series have
            them. Empty: at the edges of the coarsest schema found (at most of schema 3) from the fastest call to two
            octaves above the slowest one, at custom bounds, and at those of classic buckets beside them.
        also: Further edges, where ``only`` is empty.

    """
    once = _once(arms)
    edges = set(only)
    if not edges:
        every = [one for arm in once for one in arm]
        layouts = {sample.layout for one in every for sample in one.histograms}
        edges = {*also, *_listed(layouts), *(edge for one in every for edge in _own(one))}
    finite = sorted({float(_text(edge)) for edge in edges if edge < math.inf})
    return [[bucket for one in arm for bucket in _buckets(one, finite)] for arm in once]


def _once(arms: Sequence[Arm]) -> list[list[Series]]:
    preferred = all(has_native(arm) for arm in arms)
    found = []
    for arm in arms:
        told = {_histogram(one) for one in arm if bool(one.histograms) is preferred}
        found.append([one for one in arm if bool(one.histograms) is preferred or _histogram(one) not in told])
    return found


def _histogram(series: Series) -> Identity:
    """Which histogram it is, or is a bucket of, whatever its form."""
    labels = {name: value for name, value in series.labels.items() if name != EDGE_LABEL}
    return frozenset({**labels, _NAME: labels.get(_NAME, "").removesuffix(_BUCKET)}.items())


def _listed(layouts: Collection[Layout]) -> set[float]:
    """Return the edges worth looking at, given what holds observations."""
    standard = [layout for layout in layouts if not layout.custom]
    schemas = [layout.schema for layout in standard if layout.schema is not None]
    schema = min([LISTED_SCHEMA, *schemas])
    places = [place for layout in standard for place in _places(layout, schema)]
    if places:
        above, under = (max(1, int(octaves * 2.0**schema)) for octaves in (LISTED_ABOVE_OCTAVES, LISTED_BELOW_OCTAVES))
        highest = max(places)
        places = list(range(max(min(places), highest - under), highest + above + 1))
    custom = {bound for layout in layouts if layout.custom for pair in layout.bounds for bound in pair if bound >= 0.0}
    return custom | {boundary(schema, place) for place in places}


def _own(series: Series) -> Iterator[float]:
    """Give the edge of a classic bucket; what is no number is found out where it is counted."""
    try:
        yield float(series.labels[EDGE_LABEL])
    except (KeyError, ValueError):
        return


def _places(layout: Layout, schema: int) -> Iterator[int]:
    """Return the numbers of the edges of a coarser schema around each bucket."""
    for lower, upper in layout.bounds:
        if lower > 0.0 and upper < MOST:
            yield math.floor(math.log2(lower) * 2.0**schema + _PLACE_SLACK)
            yield math.ceil(math.log2(upper) * 2.0**schema - _PLACE_SLACK)


def _buckets(series: Series, edges: Sequence[float]) -> list[Series]:
    """Return a native histogram's buckets at those edges that all its samples have; a classic one as it is."""
    if not series.histograms:
        return [series]
    layouts = {sample.layout for sample in series.histograms}
    had = [edge for edge in edges if _had(edge, layouts)]
    places = {layout: [layout.place(edge) for edge in had] for layout in layouts}
    rows = [(one.at, below(one, places[one.layout])) for one in series.histograms]
    buckets = [
        Series({**series.labels, EDGE_LABEL: _text(edge)}, tuple((at, row[number]) for at, row in rows))
        for number, edge in enumerate(had)
    ]
    whole = tuple((one.at, one.n) for one in series.histograms)
    return [*buckets, Series({**series.labels, EDGE_LABEL: "+Inf"}, whole)]


def _had(edge: float, layouts: Iterable[Layout]) -> bool:
    """
    Whether an edge is one in all of these.

    An edge of custom bounds is not seen while the buckets around it are empty; until one of them holds observations on
    both sides of the edge, what is below it is known all the same.
    """
    return not any(
        layout.splits(edge) or (not layout.custom and layout.schema is not None and not on_grid(edge, layout.schema))
        for layout in layouts
    )


def _text(edge: float) -> str:
    return f"{edge:.12g}"
