"""
What is shown of the other candidates of a run.
"""

from typing import Any

import pytest
from fakes.others import certain, copied_to, other, run, seen_as
from fakes.rollout import ago, rev, route

from modelramp.api.status import OtherOutcome
from modelramp.api.vocabulary import Phase
from modelramp.rollout.shown import others_shown

READY: dict[str, Any] = {"entered_at": None, "in_place_since": None, "evidence": (), "verdicts": ()}
CONTESTED = route({"1": "100", "2": "0"}, mirrors=copied_to(rev("2")), contested_by="flux")
FREEZE = {"automation": {"freezes": [{"start": "2026-01-01T11:00:00Z", "end": "2026-01-01T13:00:00Z"}]}}


@pytest.mark.parametrize(
    ("changes", "memory", "said"),
    [
        ({}, {}, "errors: evidence 3.1 of 20 that the rate is below"),
        ({}, {**READY, "ready_since": None}, "waiting for the candidate: 2 of 2 pods ready"),
        ({"phase": Phase.PREPARING}, READY, "ready: waiting for the run's own candidate"),
        ({"route": CONTESTED}, READY, "ready: nobody gets more requests while"),
        ({"sections": FREEZE}, READY, "ready: held by a freeze window until 2026-01-01T13:00:00Z"),
        ({}, READY, "ready: its copies begin"),
    ],
)
def test_what_an_undecided_one_waits_for(changes: dict[str, Any], memory: dict[str, Any], said: str) -> None:
    """
    In the words that would be said of the run's own candidate.
    """
    (one,) = others_shown(seen_as(run(other("3", **memory), **changes)))
    assert one.message.startswith(said)


def test_what_was_decided_keeps_its_words() -> None:
    """
    Certified or ended.
    """
    ended = other("4", outcome=OtherOutcome.HARMFUL, decided_at=ago(9), message="so it was")
    passed = certain("3", outcome=OtherOutcome.PASSED, message="it passed")
    assert [one.message for one in others_shown(seen_as(run(passed, ended)))] == ["it passed", "so it was"]
