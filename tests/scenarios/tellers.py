"""
Stories told once per test run: several tests look at the same worlds.
"""

from functools import cache

from scenarios.stories import STORIES, Story, told
from scenarios.world import Turn, World


@cache
def world_of(story: Story) -> World:
    """
    The story's world after its run. Not to be changed.
    """
    return told(story)


@cache
def all_turns() -> tuple[tuple[Story, Turn], ...]:
    """
    Every cycle of every story: a few thousand reachable situations.
    """
    return tuple((story, turn) for story in STORIES for turn in world_of(story).turns)
