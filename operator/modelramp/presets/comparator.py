"""
Rows of the comparator, which asks stable and a candidate the same and counts what they answer.
"""

from typing import Final

from modelramp.presets.rows import Layer, Page, Preset, Row, Source, ratio

COMPARATOR: Final = Page(
    source=Source.COMPARATOR,
    layer=Layer.COMPARISON,
    title="modelramp's comparator",
    where="9090 /metrics",
    needs="a shadow stage with compare",
    arm="revision; the stable one's are its answers compared with its own",
    documentation="docs/comparator.md",
)

# A pod's name is cut at 58 characters before its random end, so only a part of the revision is sure to be in it.
_ARM = 'revision="${revision}",namespace="${namespace}",pod=~"${deployment}-[0-9a-f]{9,10}.*"'
_COMPARED = f'modelramp_comparator_pairs_total{{{_ARM},outcome=~"agree|disagree"'
_STABLE_ANSWERED = f'modelramp_comparator_pairs_total{{{_ARM},outcome=~"agree|disagree|candidate_error"'

ROWS: Final = (
    Row(
        COMPARATOR,
        Preset.DISAGREEMENT,
        ratio(f'{_COMPARED},outcome="disagree"}}', f"{_COMPARED}}}"),
        "Pairs of answers that differ, of all pairs that could be compared.",
        "Requests that one of the two did not answer, and which of the two is right.",
    ),
    Row(
        COMPARATOR,
        Preset.ERRORS,
        ratio(f'{_STABLE_ANSWERED},outcome="candidate_error"}}', f"{_STABLE_ANSWERED}}}"),
        "Requests that stable answered and the revision did not, of those that stable answered.",
        "Requests that stable did not answer, and answers that took longer than compare.timeout.",
    ),
)
