"""
All rows together, and the order in which sources are asked.
"""

from typing import Final

from modelramp.presets import comparators, gateways, llm, nodes, nvidia, servers
from modelramp.presets.rows import Layer, Page, Preset, Row, Source

TABLE: Final = (*nvidia.ROWS, *servers.ROWS, *llm.ROWS, *gateways.ROWS, *nodes.ROWS, *comparators.ROWS)
PAGES: Final[dict[Source, Page]] = {row.source: row.page for row in TABLE}
_CELLS: Final = {(row.preset, row.source): row for row in TABLE}

# Cells one would look for, and why they are empty: the chain goes on to the next source then.
LEFT_OUT: Final[dict[tuple[Source, Preset], str]] = {
    (Source.KSERVE, Preset.ERRORS): "there is no counter of errors; what the stages' counts tell is an estimate",
    (Source.SGLANG, Preset.ERRORS): "there is no counter of errors",
    (Source.SGLANG, Preset.ABORTS): "aborts are counted when they are asked for, and not surely among the requests",
    (Source.SGLANG, Preset.QUEUE_TIME): "no series of it was found in its documentation",
    (Source.TGI, Preset.ABORTS): "only clients that leave before their request is begun are counted",
    (Source.TGI, Preset.TTFT): "no series of it; the sum of two means of other things is an estimate",
    (Source.TGI, Preset.SATURATION): "no series of it was found in its documentation",
    (Source.TRT_LLM, Preset.INPUT_LENGTH): "no distribution of it was found in its documentation",
    (Source.TRT_LLM, Preset.OUTPUT_LENGTH): "no distribution of it was found in its documentation",
    (Source.DYNAMO, Preset.SATURATION): "the workers show it, on pages that do not belong to one frontend",
    (Source.TORCHSERVE, Preset.GPU): "its figures are of the whole machine, not of the pod",
    (Source.SELDON, Preset.QUEUE): "no series of it was found in its documentation",
    (Source.TRAEFIK, Preset.IN_FLIGHT): "open connections are counted per entry point, not per Service",
    (Source.DCGM, Preset.ERRORS): "the series shows the last error's code, not how many there were",
}


def row_of(preset: Preset, source: Source) -> Row | None:
    """
    The preset as that source tells it; None: it does not.
    """
    return _CELLS.get((preset, source))


def selectors(preset: Preset, source: Source) -> tuple[str, ...]:
    """
    The selectors of a row that is known to be there, as `Measure.selectors` orders them.

    Raises:
        KeyError: The source does not tell the preset.

    """
    return _CELLS[preset, source].measure.selectors


def chain(preset: Preset, runtime: Source | None, gateway: Source | None) -> tuple[Row, ...]:
    """
    The rows that can fill a preset, the best first: the model server's, else the traffic layer's, else the node's.

    Args:
        preset: What is to be measured.
        runtime: The model server; None: one without rows.
        gateway: The traffic layer; None: one without rows.

    Raises:
        ValueError: A source is given as what it is not.

    """
    for source, layer in ((runtime, Layer.RUNTIME), (gateway, Layer.TRAFFIC)):
        if source is not None and PAGES[source].layer is not layer:
            raise ValueError(f"{source} is of the layer {PAGES[source].layer}, not {layer}")
    nodes_sources = (source for source, page in PAGES.items() if page.layer is Layer.NODE)
    found = (_CELLS.get((preset, source)) for source in (runtime, gateway, *nodes_sources) if source is not None)
    return tuple(row for row in found if row is not None)
