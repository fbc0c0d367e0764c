"""Whatever a crash, a retry or a restart repeats, evidence is the same as if it had happened once."""

import json
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from modelramp.analysis import Block, Counts, MetricEvidence, margins, wealth_schedule

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
WEALTH = wealth_schedule(planned_blocks=40, later_steps=2)
MARGINS = margins(0.01, 0.25)


@st.composite
def counts(draw: st.DrawFn) -> Counts:
    n = draw(st.integers(0, 400))
    return Counts(n, draw(st.integers(0, min(n, 20))))


@st.composite
def histories(draw: st.DrawFn) -> list[Block]:
    """Blocks in order, now and then with a gap."""
    blocks, start = [], NOON
    for seconds, gap in draw(st.lists(st.tuples(st.integers(1, 60), st.integers(0, 5)), min_size=1, max_size=12)):
        end = start + timedelta(seconds=seconds)
        blocks.append(Block(start, end, draw(counts()), draw(counts())))
        start = end + timedelta(seconds=gap)
    return blocks


def observe_all(evidence: MetricEvidence, blocks: list[Block]) -> MetricEvidence:
    for block in blocks:
        evidence = evidence.observe(block, MARGINS, WEALTH)
    return evidence


@settings(max_examples=80, deadline=None)
@given(histories(), st.data())
def test_replaying_any_part_changes_nothing(blocks: list[Block], data: st.DataObject) -> None:
    """Blocks seen again in any order, at any time, are not counted again."""
    once = observe_all(MetricEvidence.begin(WEALTH, phi=1.5), blocks)
    evidence = MetricEvidence.begin(WEALTH, phi=1.5)
    for number, block in enumerate(blocks):
        evidence = evidence.observe(block, MARGINS, WEALTH)
        evidence = observe_all(evidence, data.draw(st.lists(st.sampled_from(blocks[: number + 1]), max_size=3)))
    assert once == evidence


@settings(max_examples=80, deadline=None)
@given(histories())
def test_a_restart_after_every_block_changes_nothing(blocks: list[Block]) -> None:
    """The stored form is the value: not one decision can differ."""
    once = observe_all(MetricEvidence.begin(WEALTH), blocks)
    evidence = MetricEvidence.begin(WEALTH)
    for block in blocks:
        stored = json.dumps(evidence.observe(block, MARGINS, WEALTH).to_state(), separators=(",", ":"))
        assert len(stored) <= 300
        evidence = MetricEvidence.from_state(json.loads(stored))
    assert once == evidence


@settings(max_examples=80, deadline=None)
@given(histories())
def test_totals_are_what_was_counted(blocks: list[Block]) -> None:
    """Every block once, and all wealth together is never more than 1."""
    evidence = observe_all(MetricEvidence.begin(WEALTH), blocks)
    assert evidence.rollout == evidence.step
    assert sum(block.candidate.n for block in blocks) == evidence.rollout.candidate.n
    assert sum(block.stable.x for block in blocks) == evidence.rollout.stable.x
    assert evidence.counted_until == blocks[-1].end
    assert 0.0 <= evidence.harm.unstarted <= 0.5
