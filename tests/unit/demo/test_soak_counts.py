"""What `make soak` counts as lost, what it concludes from an object's status, and how it is reported."""

import json
from pathlib import Path
from typing import Any

import pytest
from demo.sight import Sight, seen
from soak import __main__ as command
from soak.lanes import LANES, Move, Outcome
from soak.ledger import FAILED, OK, Ending, Ledger, Tally, ending_of
from soak.page import line, page
from soak.play import Played
from soak.rollout import (
    Rollout,
    alone,
    answer_to,
    asked,
    at_rest,
    candidate_revision,
    kept_revision,
    on_trial,
    outcome_of,
    rejected_revision,
)


@pytest.mark.parametrize(
    ("status", "version", "failed_by", "outcome", "lost"),
    [
        pytest.param(200, "3", None, OK, False, id="answered"),
        pytest.param(500, "3", "3", FAILED, False, id="failed by the version, which says so"),
        pytest.param("INTERNAL", "3", "3", FAILED, False, id="the same over gRPC"),
        pytest.param(500, "3", None, "3/500", True, id="an error that the version did not mean"),
        pytest.param(500, "3", "4", "3/500", True, id="one that is blamed on another"),
        pytest.param(503, None, None, "-/503", True, id="the gateway's own"),
        pytest.param(404, None, None, "-/404", True, id="no route"),
        pytest.param(200, None, None, "-/200", True, id="an answer that no model gave"),
        pytest.param(204, "3", None, "3/204", True, id="an answer that is none"),
        pytest.param("UNAVAILABLE", None, None, "-/UNAVAILABLE", True, id="no connection over gRPC"),
        pytest.param("INTERNAL", None, "3", "-/INTERNAL", True, id="blamed, and not signed"),
    ],
)
def test_an_answer_is_lost_unless_its_version_answers_for_it(
    status: object, version: str | None, failed_by: str | None, outcome: str, *, lost: bool
) -> None:
    """Signed and good, or signed as the version's own failure: everything else is lost."""
    ending = ending_of(status, version, failed_by)
    assert (ending.outcome, ending.version, ending.lost) == (outcome, version, lost)


def ledger() -> Ledger:
    """Some of everything, one of it on the way."""
    found = Ledger()
    rows = [
        ("http", Ending("1", OK), 5),
        ("http", Ending("2", FAILED), 2),
        ("http cohort", Ending("2", OK), 3),
        ("http stream", Ending("1", "cut short"), 1),
        ("http", Ending(None, "-/503"), 2),
    ]
    for way, ending, times in rows:
        for _ in range(times):
            found.sent(way)
            found.ended(way, ending)
    found.sent("http stream")
    return found


def test_a_ledger_adds_up() -> None:
    """Sent is answered, failed, lost, or on the way."""
    tally = ledger().tally()
    assert (tally.total_sent, tally.failed, tally.lost, tally.in_flight) == (14, 2, 3, 1)
    assert tally.losses() == {"http stream: cut short": 1, "http: -/503": 2}
    assert (tally.answered_by("2"), tally.answered_by("2", "http cohort"), tally.answered_by("9")) == (5, 3, 0)


def test_a_tally_stays_as_it_was() -> None:
    """What is counted later is the difference."""
    found = ledger()
    before = found.tally()
    found.sent("grpc")
    found.ended("grpc", Ending(None, "-/UNAVAILABLE"))
    found.ended("http stream", Ending("1", OK))
    after = found.tally() - before
    assert (before.total_sent, before.lost) == (14, 3)
    assert (after.total_sent, after.lost, after.losses()) == (1, 1, {"grpc: -/UNAVAILABLE": 1})
    assert after.in_flight == -1  # a stream of before has ended
    total = before + after
    assert (total.total_sent, total.lost, total.in_flight) == (15, 4, 0)


def sight(phase: str, *, version: str = "4", generation: int = 3, observed: int = 3, **status: object) -> Sight:
    """A look at an object that was asked for a version."""
    return seen(
        {
            "metadata": {"generation": generation},
            "spec": {"model": {"version": version}},
            "status": {"phase": phase, "observedGeneration": observed, **status},
        }
    )


@pytest.mark.parametrize(
    ("look", "outcome"),
    [
        pytest.param(sight("Stable", stable={"version": "4"}), Outcome.PROMOTED, id="promoted"),
        pytest.param(sight("RollingBack"), None, id="its rollback is not over"),
        pytest.param(sight("Failed"), Outcome.ROLLED_BACK, id="rolled back"),
        pytest.param(sight("Progressing", stable={"version": "3"}), None, id="under way"),
        pytest.param(sight("Failed", observed=2), None, id="what the status says is about the version before"),
        pytest.param(sight("Failed", version="3"), None, id="a look from before it was asked for"),
        pytest.param(sight("Stable", stable={"version": "3"}), None, id="another one is stable"),
        pytest.param(Sight(), None, id="nothing seen yet"),
    ],
)
def test_an_end_is_one_of_this_version(look: Sight, outcome: Outcome | None) -> None:
    """A stale look, or the failure of the version before, ends nothing."""
    assert outcome_of(look, "4") is outcome
    assert at_rest(look, "4") is (outcome is Outcome.PROMOTED)


def test_what_is_on_trial() -> None:
    """The version asked for, in a step; not one that is still being prepared, nor an older one."""
    candidate = {"version": "4", "revision": "abc"}
    assert on_trial(sight("Progressing", candidate=candidate), "4")
    assert on_trial(sight("Paused", candidate=candidate), "4")
    assert not on_trial(sight("Preparing", candidate=candidate), "4")
    assert not on_trial(sight("Progressing", candidate=candidate, observed=2), "4")
    assert not on_trial(sight("Progressing", candidate={"version": "3"}), "4")
    assert candidate_revision(sight("Progressing", candidate=candidate)) == "abc"
    assert candidate_revision(sight("Stable")) is None
    assert (asked(sight("Stable")), asked(sight("Stable", observed=1))) == ("4", None)


def test_who_serves_alone() -> None:
    """After an undo the spec names a rejected version: the phase is Failed."""
    assert alone(sight("Failed", stable={"version": "3"}), "3")
    assert alone(sight("Stable", stable={"version": "3"}), "3")
    assert not alone(sight("Failed", stable={"version": "4"}), "3")
    assert not alone(sight("Promoting", stable={"version": "3"}), "3")
    assert not alone(sight("Stable", stable={"version": "3"}, candidate={"version": "5"}), "3")


def test_what_was_rejected_and_answered() -> None:
    """The newest rejection of this version; the answer to this request and to no other."""
    rows = [{"version": "4", "revision": "old"}, {"version": "4", "revision": "new"}, {"version": "5", "revision": "x"}]
    assert rejected_revision(sight("Failed", rejected=rows), "4") == "new"
    assert rejected_revision(sight("Failed", rejected=rows), "3") is None
    kept = [{"version": "2", "revision": "b"}, {"version": "3", "revision": "c"}]
    assert (kept_revision(sight("Stable", kept=kept)), kept_revision(sight("Stable"))) == (("c", "3"), None)
    look = sight("Failed", action={"id": "abort-4", "outcome": "Refused", "message": "too late"})
    assert answer_to(look, "abort-4") == ("Refused", "too late")
    assert answer_to(look, "abort-5") is None
    assert answer_to(sight("Failed"), "abort-4") is None


def rollout(move: Move = Move.GOOD, outcome: Outcome = Outcome.PROMOTED, lane: int = 0, **sent: int) -> Rollout:
    """One that is as planned unless the outcome says otherwise."""
    return Rollout(
        kind=LANES[lane], move=move, version="2", outcome=outcome, message="all | well", seconds=40.0,
        tally=Tally(sent=sent, endings={(way, Ending("2", OK)): n for way, n in sent.items()}),
    )  # fmt: skip


def played(*rollouts: Rollout, wanted: int | None = None, **tallies: Tally) -> Played:
    """A run of these."""
    counted = tallies or {run.kind.name: run.tally for run in rollouts}
    return Played(wanted=wanted or len(rollouts), rollouts=list(rollouts), tallies=counted, seconds=90.0)


LOST = Tally(sent={"http": 3}, endings={("http", Ending("2", OK)): 2, ("http", Ending(None, "reset")): 1})


def test_a_run_is_good_when_all_was_played_as_planned_and_nothing_lost() -> None:
    """Each way of not being so is one."""
    good = rollout(http=10)
    assert played(good).good
    assert not played(good, wanted=2).good
    assert not played(good, rollout(Move.BAD, Outcome.PROMOTED, http=1)).good
    assert not played(good, lane=LOST).good
    assert not played(good, lane=Tally(sent={"http": 1})).good  # one request has no ending: the counts are wrong
    broken = played(good)
    broken.broken.append("a lane: it broke")
    assert not broken.good


def document(found: Played) -> dict[str, Any]:
    """The report as it is kept."""
    return dict(json.loads(json.dumps(command.document_of(found, command.arguments([])))))


def test_the_page_shows_what_was_counted() -> None:
    """The line that matters, a row for each lane that played, and one for each rollout."""
    found = document(played(rollout(http=1500), rollout(Move.BAD, Outcome.ROLLED_BACK, lane=2, grpc=40)))
    assert line(found) == "lost requests: 0 of 1540"
    text = page(found)
    assert "**lost requests: 0 of 1540**" in text
    assert "All ended as planned." in text
    assert "| canary | HTTPRoute | 1 | 1 | 1 | 0 | 0 | 0 | 0 | 40 | 1,500 | 0 | 0 |" in text
    assert "| canary | GRPCRoute | 1 | 1 | 0 | 1 | 0 | 0 | 0 | 40 | 40 | 0 | 0 |" in text
    assert "blueGreen" not in text
    assert "all \\| well" in text


def test_the_page_says_what_was_lost_and_what_went_wrong() -> None:
    """Losses between rollouts count as well."""
    name = LANES[0].name
    found = played(rollout(Move.BAD, Outcome.PROMOTED, http=2), wanted=3, **{name: LOST})
    found.broken.append(f"{name}: StageError: stuck")
    text = page(document(found))
    assert "**lost requests: 1 of 3**" in text
    assert f"- lost by {name}: http: reset 1" in text
    assert "StageError: stuck" in text
    assert "**Not all was as planned.**" in text
    assert "1 of 3 rollouts" in text
    assert "**no**" in text


def test_only_a_whole_run_is_written_to_docs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A part of it never replaces the page of the whole."""
    monkeypatch.setattr(command, "ROOT", tmp_path)
    for name in ("LATEST", "REPORT", "PAGE"):
        monkeypatch.setattr(command, name, tmp_path / name.lower() / "file")
        (tmp_path / name.lower()).mkdir()
    found = document(played(rollout(http=5)))
    command.keep(found, whole=False)
    assert not (tmp_path / "report/file").exists()
    assert not (tmp_path / "page/file").exists()
    command.keep(found, whole=True)
    assert json.loads((tmp_path / "report/file").read_text()) == json.loads((tmp_path / "latest/file").read_text())
    assert "lost requests: 0 of 5" in (tmp_path / "page/file").read_text()
