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
    arm="namespace and pod, set by the scrape; revision: under stable's name its answers are compared with each other",
    documentation="docs/comparator.md",
)
# Of the object's own comparators: another object of the namespace may have a revision of the same content. A pod's name
# is cut at 58 characters before its random end, so only a part of the revision is sure to be in it.
_OWN: Final = 'namespace="${namespace}",revision="${revision}",pod=~"${deployment}-[0-9a-f]{9,10}.*"'
_COMPARED: Final = f'{_OWN},outcome=~"agree|disagree"'
_ASKED: Final = f'{_OWN},outcome=~"agree|disagree|unreadable|candidate_error|timeout"'

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
    Row(
        COMPARATOR,
        Preset.ERRORS,
        ratio(
            f'modelramp_comparator_pairs_total{{{_ASKED},outcome=~"candidate_error|timeout"}}',
            f"modelramp_comparator_pairs_total{{{_ASKED}}}",
        ),
        "Requests not answered with 2xx in time, of those that stable answered so; of stable: asked again.",
        "Requests that stable did not answer with 2xx in time: with those there is nothing to compare.",
    ),
)
