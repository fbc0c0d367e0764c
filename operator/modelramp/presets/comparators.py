"""
Rows of the shadow comparator, which asks both revisions the same requests.
"""

from typing import Final

from modelramp.presets.rows import Layer, Page, Preset, Row, Source, ratio

COMPARATOR: Final = Page(
    source=Source.COMPARATOR,
    layer=Layer.SHADOW,
    title="The shadow comparator",
    where="9090 /metrics of its pods",
    needs="a mirror of requests that leads to it",
    arm="namespace, set by the scrape; revision: under stable's name its answers are compared with each other",
    documentation="docs/comparator.md",
)
_COMPARED: Final = 'namespace="${namespace}",revision="${revision}",outcome=~"agree|disagree"'

ROWS: Final = (
    Row(
        COMPARATOR,
        Preset.DISAGREEMENT,
        ratio(
            f'modelramp_comparator_pairs_total{{{_COMPARED},outcome="disagree"}}',
            f"modelramp_comparator_pairs_total{{{_COMPARED}}}",
        ),
        "Pairs of answers that differ, of those compared; of stable: with itself, which is the noise floor.",
        "Which of the two is right; requests that one of them did not answer are in neither number.",
    ),
)
