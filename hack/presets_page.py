"""
The page docs/reference/presets.md: the table of metric presets.
"""

from itertools import groupby
from typing import Final

from docs_rollout import member_docs

from modelramp.cli.presets import ROLES
from modelramp.presets import LEFT_OUT, PAGES, TABLE, UNITS, Kind, Layer, Preset, Row, Source
from modelramp.rollout.counters import COMPARATOR, GATEWAY_SOURCES, RUNTIME_SOURCES

_HEAD: Final = """<!-- Generated from operator/modelramp/presets by `python hack/generate.py`; do not edit. -->
# Metric presets

Which series of model servers, gateways and exporters tell what. `modelramp presets` lists the same; `--json` for
programs.

The operator judges the ratios `errors` and `aborts` and the histograms `latency`, `ttft`, `itl` and `queue-time` by
name (`analysis.metrics[].preset`): of the gateway {gateways}, and of the runtimes
{runtimes}.
The ratio `disagreement` is the comparator's ([comparator.md](../comparator.md)), in a shadow stage with `compare`;
there it stands in the gateway's place for `errors` too, as the gateway sees none of the candidate's answers.
Every other `ratio` or `histogram` of this page can be judged as a metric of one's own ([spec.md](spec.md)): a ratio's
two selectors are its `bad` and `total`, a histogram's one its `buckets`. Means, counters and gauges are for dashboards;
a mean says nothing of the slowest.

Selectors hold placeholders: `$arm` stands for the matchers of a revision's pods, `namespace="…",pod=~"…"`, as a scrape
that finds pods sets these labels; `${{namespace}}`, `${{deployment}}`, `${{service}}` and `${{revision}}` for its
names. Where several sources tell a preset, the model server's row is the first choice, else the traffic layer's, else
the exporter's.

Each row is checked by a real Prometheus on a sample page, for two revisions (`tests/contracts/test_presets.py`). The
pages are ours, written after the documentation named with each source. A version whose names differ gives no data, and
without data nothing is certified.
"""
_LAYERS: Final = {
    Layer.RUNTIME: "Model servers",
    Layer.TRAFFIC: "Gateways and meshes",
    Layer.NODE: "Exporters beside them",
    Layer.SHADOW: "Services for copies",
}


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(map(_cell, line)) + " |" for line in lines) + "\n"


def _presets() -> str:
    meaning = member_docs(Preset)
    rows = [
        (
            f"`{preset}`",
            UNITS[preset],
            meaning[preset.name],
            ", ".join(row.source for row in TABLE if row.preset is preset),
        )
        for preset in Preset
    ]
    return "\n## Presets\n\n" + _table(("Preset", "Unit", "Meaning", "Told by"), rows)


def _kinds() -> str:
    meaning = member_docs(Kind)
    rows = [(f"`{kind}`", ", ".join(ROLES[kind]), meaning[kind.name]) for kind in Kind]
    return "\n## Kinds\n\n" + _table(("Kind", "Selectors", "Meaning"), rows)


def _row(row: Row) -> tuple[str, ...]:
    measure = row.measure
    kind = f"{measure.kind}, {measure.across}" if measure.kind is Kind.GAUGE else str(measure.kind)
    unit = measure.raw.title if measure.factor == 1.0 else f"{measure.raw.title}, times {measure.factor:.12g}"
    selectors = "<br>".join(f"`{selector}`" for selector in measure.selectors)
    return (f"`{row.preset}`", kind, unit, selectors, row.means, row.silent)


def _source(source: Source, rows: list[Row]) -> str:
    page = PAGES[source]
    left_out = [f"`{preset}` ({why})" for (of, preset), why in LEFT_OUT.items() if of is source]
    lines = [
        f"\n### {page.title}: `{source}`\n",
        f"- Page: {page.where}",
        f"- Needs: {page.needs or 'nothing'}",
        f"- Arm: {page.arm}",
        f"- Documented in: {page.documentation}",
        *([f"- Left out: {'; '.join(left_out)}"] if left_out else []),
    ]
    head = ("Preset", "Kind", "Series in", "Selectors", "Means", "Does not say")
    return "\n".join(lines) + "\n\n" + _table(head, [_row(row) for row in rows])


def presets_page() -> str:
    """
    The page as Markdown, from the table.
    """
    head = _HEAD.format(
        gateways=" and ".join(name for name in GATEWAY_SOURCES if name != COMPARATOR),
        runtimes=", ".join(RUNTIME_SOURCES),
    )
    parts = [head, _presets(), _kinds()]
    for layer, title in _LAYERS.items():
        parts.append(f"\n## {title}\n\n{member_docs(Layer)[layer.name]}\n")
        own = [row for row in TABLE if row.page.layer is layer]
        parts += [_source(source, list(rows)) for source, rows in groupby(own, key=lambda row: row.source)]
    return "".join(parts)
