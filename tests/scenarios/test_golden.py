"""
Each story's transcript is the golden one, to the letter. `pytest --update-golden` writes them anew.
"""

import re
from pathlib import Path

import pytest
from scenarios.stories import STORIES, Story
from scenarios.tellers import world_of
from scenarios.transcript import transcript

GOLDEN = Path(__file__).parent / "golden"


def title_of(story: Story) -> str:
    """
    The story in one sentence.
    """
    return " ".join((story.__doc__ or "").split())


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
def test_a_story_goes_as_told(story: Story, *, update_golden: bool) -> None:
    """
    Phases, rules, shares, effects and messages are those of the golden file.
    """
    told = transcript(title_of(story), world_of(story))
    file = GOLDEN / f"{story.__name__}.txt"
    if update_golden:
        file.write_text(told, encoding="utf-8")
    assert file.read_text(encoding="utf-8") == told


def test_no_golden_file_is_left_over() -> None:
    """
    Each file belongs to a story.
    """
    assert {story.__name__ for story in STORIES} == {file.stem for file in GOLDEN.glob("*.txt")}


def test_no_golden_file_holds_a_bare_revision_or_an_empty_reason() -> None:
    """
    Transcripts name revisions by version, and no message ends in a colon with nothing behind it.
    """
    for file in GOLDEN.glob("*.txt"):
        text = file.read_text(encoding="utf-8")
        assert not re.search(r"\b[0-9a-f]{10}\b", text), file.name
        assert not re.search(r"errors: *(;|\)|$)", text, re.MULTILINE), file.name


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
def test_every_story_ends_at_rest_or_names_what_it_waits_for(story: Story) -> None:
    """
    Stable, Failed or Reported with nothing left over, or paused with a reason that says how it goes on.
    """
    status = world_of(story).deployment.status
    if status.phase == "Paused":
        assert "goes on" in status.message
    else:
        assert status.phase in {"Stable", "Failed", "Reported"}
        workloads = world_of(story).cluster.workloads
        kept = {one.revision for one in status.kept}
        assert set(workloads) == ({status.stable.revision} if status.stable else set()) | kept
        assert not any(workloads[revision].pods for revision in kept)
