"""
`modelramp presets`: which series of which source tell what, from the operator's own table.
"""

from collections.abc import Iterator, Sequence
from itertools import groupby
from textwrap import fill
from typing import Any, Final

from modelramp.presets import LEFT_OUT, PAGES, TABLE, UNITS, Kind, Preset, Row, Source

WIDTH: Final = 120
_NO_BREAK: Final = "\N{NO-BREAK SPACE}"
ROLES: Final = {
    Kind.RATIO: ("bad", "total"),
    Kind.MEAN: ("sum", "count"),
    Kind.HISTOGRAM: ("buckets",),
    Kind.COUNTER: ("counter",),
    Kind.GAUGE: ("gauge",),
}
"""What each selector of a kind is called, in the order of `Measure.selectors`."""


def rows_of(presets: Sequence[Preset], sources: Sequence[Source]) -> tuple[Row, ...]:
    """
    The rows of these presets and sources, in the table's order; none given: of all.
    """
    return tuple(
        row for row in TABLE if (not presets or row.preset in presets) and (not sources or row.source in sources)
    )


def overview(rows: Sequence[Row]) -> str:
    """
    One paragraph for each source: the presets it tells, and their kinds.
    """
    lines = []
    for source, own in groupby(rows, key=lambda row: row.source):
        told = ", ".join(f"{row.preset}{_NO_BREAK}({row.measure.kind})" for row in own)
        head = f"{source:<11} {PAGES[source].layer:<8} "
        lines.append(fill(told, WIDTH, initial_indent=head, subsequent_indent=" " * len(head), break_on_hyphens=False))
    lines.append(
        "\nSelectors, meaning and origin: modelramp presets --preset NAME, or --source NAME; both may be repeated."
    )
    return "\n".join(lines).replace(_NO_BREAK, " ")


def details(rows: Sequence[Row]) -> str:
    """
    Everything about the rows, source by source.
    """
    blocks = []
    for source, own in groupby(rows, key=lambda row: row.source):
        blocks.append("\n".join([*_page_lines(source), *(line for row in own for line in _row_lines(row))]))
    return "\n\n".join(blocks)


def _page_lines(source: Source) -> Iterator[str]:
    page = PAGES[source]
    yield f"{source}: {page.title}, {page.layer}"
    for name, text in (
        ("page", page.where),
        ("needs", page.needs or "nothing"),
        ("arm", page.arm),
        ("from", page.documentation),
    ):
        yield f"  {name:<8} {text}"


def _row_lines(row: Row) -> Iterator[str]:
    measure = row.measure
    unit = f"of {measure.raw.title}" if measure.kind is Kind.RATIO else f"in {measure.unit}"
    yield f"  {row.preset}: {measure.kind} {unit}{_conversion(row)}"
    for role, selector in zip(ROLES[measure.kind], measure.selectors, strict=True):
        yield f"    {role:<8} {selector}"
    yield f"    means    {row.means}"
    yield f"    silent   {row.silent}"


def _conversion(row: Row) -> str:
    measure = row.measure
    parts = [] if measure.factor == 1.0 else [f"from {measure.raw.title}, times {measure.factor:.12g}"]
    parts += [f"the {measure.across} of its series"] if measure.kind is Kind.GAUGE else []
    return "".join(f"; {part}" for part in parts)


def missing(presets: Sequence[Preset], sources: Sequence[Source]) -> str:
    """
    Why there are no such rows, for the answer that there are none.
    """
    reasons = [
        f"{source} does not tell {preset}" + (f": {LEFT_OUT[source, preset]}" if (source, preset) in LEFT_OUT else "")
        for source in sources
        for preset in presets
    ]
    return "; ".join(reasons)


def as_json(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """
    The rows for programs. Selectors hold `$arm`, `${namespace}`, `${service}` and `${revision}`.
    """
    return [_json_row(row) for row in rows]


def _json_row(row: Row) -> dict[str, Any]:
    measure, page = row.measure, row.page
    return {
        "preset": str(row.preset),
        "source": str(row.source),
        "layer": str(page.layer),
        "kind": str(measure.kind),
        "unit": str(UNITS[row.preset]),
        "selectors": dict(zip(ROLES[measure.kind], measure.selectors, strict=True)),
        "rawUnit": measure.raw.title,
        "factor": measure.factor,
        "across": str(measure.across),
        "means": row.means,
        "silent": row.silent,
        "page": {
            "title": page.title,
            "where": page.where,
            "needs": page.needs,
            "arm": page.arm,
            "documentation": page.documentation,
        },
    }
