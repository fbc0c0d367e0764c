"""
Row deletion: without any one row of `RULES`, a story goes another way than its golden transcript.
"""

import pytest
from scenarios.stories import STORIES, Story, told
from scenarios.tellers import world_of
from scenarios.world import Loop, Turn, World

from modelramp.rollout.rules import RULES, Rule


def is_of(turn: Turn, rule: Rule) -> bool:
    """
    Whether the row was taken in this cycle.
    """
    return (turn.plan.because.rule, turn.plan.because.reason) == (rule.when.__name__, rule.because)


def first_use(rule: Rule) -> tuple[Story, float]:
    """
    The story that takes the row earliest, and when.

    Raises:
        ValueError: no story takes it.
    """
    return min(
        ((story, turn.at) for story in STORIES for turn in world_of(story).turns if is_of(turn, rule)),
        key=lambda use: use[1],
    )


def told_until(world: World, at: float) -> list[tuple[float, str | None, str]]:
    """
    What was decided up to and including the instant: when, by which row, and what was said.
    """
    return [(t.at, t.plan.because.rule, t.plan.because.message) for t in world.turns if t.at <= at]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule.when.__name__}-{rule.because}")
def test_without_the_row_a_story_goes_another_way(rule: Rule) -> None:
    """
    Seen at the latest in the cycle in which the row should have been taken; a loop is another way too.
    """
    story, at = first_use(rule)
    without = tuple(row for row in RULES if row is not rule)
    try:
        other = told_until(told(story, rules=without, cut_at=at + 1), at)
    except Loop:
        return
    assert other != told_until(world_of(story), at)
