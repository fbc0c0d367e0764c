"""
What the acceptance tests conclude from looks and counts.
"""

from typing import Any

import pytest
from demo.client import Second, Snapshot
from demo.rig import Look, Rig, answers_by_version, returned
from demo.sight import seen
from demo.stage import Stage


def _counts(*seconds: dict[tuple[str | None, int], int]) -> Snapshot:
    answers: dict[tuple[str | None, int], int] = {}
    for second in seconds:
        for key, number in second.items():
            answers[key] = answers.get(key, 0) + number
    return Snapshot(
        elapsed_seconds=len(seconds),
        sent=sum(answers.values()),
        in_flight=0,
        answers=answers,
        transport_errors={},
        first_answer={},
        last_answer={},
        latencies=(),
        seconds=tuple(Second(second, {}) for second in seconds),
    )


BOTH: dict[tuple[str | None, int], int] = {("1", 200): 45, ("3", 200): 4, ("3", 500): 1}
STABLE: dict[tuple[str | None, int], int] = {("1", 200): 50}


@pytest.mark.parametrize(
    ("seconds", "late"),
    [
        pytest.param([STABLE, BOTH, BOTH, STABLE, STABLE, STABLE], 0, id="gone for good"),
        pytest.param([STABLE] * 9 + [BOTH] * 3, 0, id="silent before it began"),
        pytest.param([BOTH, STABLE, STABLE, BOTH, STABLE, STABLE], 0, id="a gap too short to mean anything"),
        pytest.param([BOTH, STABLE, STABLE, STABLE, BOTH, STABLE, BOTH], 10, id="gone and back"),
    ],
)
def test_a_share_that_comes_back_is_seen(seconds: list[dict[tuple[str | None, int], int]], late: int) -> None:
    """Answers after three silent seconds are counted, whatever their status."""
    assert returned(_counts(*seconds), "3", silent_seconds=3) == late


def test_answers_are_added_up_over_all_statuses() -> None:
    """What no version signed belongs to none."""
    assert answers_by_version(_counts(BOTH, {(None, 503): 7, ("3", 500): 2})) == {"1": 45, "3": 7}


def _look(at: float, counted: str, answered: int) -> Look:
    document: dict[str, Any] = {
        "metadata": {"generation": 1},
        "status": {
            "candidate": {"version": "2"},
            "verdicts": [
                {"name": "errors", "verdict": "Inconclusive", "evidence": "", "harm": "", "candidate": {"n": counted}}
            ],
        },
    }
    return Look(at, seen(document), {"2": answered})


def test_evidence_counted_twice_is_seen_when_it_happens() -> None:
    """A later flood of answers does not hide it."""
    stage = Stage(context=None, environment={}, gateway="a/b", url="", prometheus="")
    rig = Rig(stage, "any", looks=[_look(1, "100", 104), _look(2, "300", 160), _look(3, "400", 5000)])
    assert rig.counted_twice("2") == ["300 counted of 160"]
    assert rig.counted_twice("3") == []
