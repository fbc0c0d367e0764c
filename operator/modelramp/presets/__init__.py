"""
Which series of which model server, gateway or exporter tell what: one reviewed table, as values.

Pure: it reads nothing. The operator itself reads the rows that `rollout/counters.py` takes from here; the others are
for people and programs that write metrics of their own.
"""

from modelramp.presets.rows import (
    UNITS,
    Across,
    Kind,
    Layer,
    Measure,
    Page,
    Preset,
    Raw,
    Row,
    Source,
    Unit,
)
from modelramp.presets.table import LEFT_OUT, PAGES, TABLE, chain, row_of, selectors

__all__ = [
    "LEFT_OUT",
    "PAGES",
    "TABLE",
    "UNITS",
    "Across",
    "Kind",
    "Layer",
    "Measure",
    "Page",
    "Preset",
    "Raw",
    "Row",
    "Source",
    "Unit",
    "chain",
    "row_of",
    "selectors",
]
