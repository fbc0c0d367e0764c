"""What the soak of the evidence concludes from the object's status and the client's counts, and how it is reported."""

import json
from pathlib import Path
from typing import Any

import pytest
from demo.sight import Sight, seen
from soak_evidence import __main__ as command
from soak_evidence.kinds import HEALTHY, KINDS, LATENCY, SLICE
from soak_evidence.load import Tally
from soak_evidence.page import page, totals
from soak_evidence.play import Played
from soak_evidence.rollout import End, Rollout, concluded, expected, outcome_of, wanted_share

BLAME = 'version 4 (abc) is worse than allowed in errors and tenant-errors{tenant="b"} at step 1/4 at 5%: counts'


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
        pytest.param(sight("Stable", stable={"version": "4"}), "Promoted", id="promoted"),
        pytest.param(sight("RollingBack"), "RolledBack", id="its rollback began"),
        pytest.param(sight("Failed"), "RolledBack", id="rolled back"),
        pytest.param(sight("Progressing", stable={"version": "3"}), None, id="under way"),
        pytest.param(sight("Paused"), None, id="paused"),
        pytest.param(sight("Failed", observed=2), None, id="what the status says is about the version before"),
        pytest.param(sight("Failed", version="3"), None, id="a look from before it was asked for"),
        pytest.param(sight("Stable", stable={"version": "3"}), None, id="another one is stable"),
        pytest.param(Sight(), None, id="nothing seen yet"),
    ],
)
def test_an_end_is_one_of_this_version(look: Sight, outcome: str | None) -> None:
    """A stale look, or the failure of the version before, ends nothing."""
    assert outcome_of(look, "4") == outcome


@pytest.mark.parametrize(
    ("look", "share"),
    [
        (sight("Progressing", traffic={"wanted": "25%"}), 25.0),
        (sight("Progressing"), 0.0),
        (sight("Promoting", traffic={"wanted": "50%"}), 100.0),
    ],
)
def test_the_wanted_share(look: Sight, share: float) -> None:
    """In percent."""
    assert wanted_share(look) == share


@pytest.mark.parametrize(
    ("kind", "outcome", "share", "fine"),
    [
        ("healthy", "Promoted", 100, True),
        ("healthy", "Held", 25, True),
        ("healthy", "RolledBack", 5, False),
        ("errors", "RolledBack", 5, True),
        ("late", "Held", 25, True),
        ("slice", "Held", 100, False),
        ("latency", "Promoted", 100, False),
    ],
)
def test_what_is_expected(kind: str, outcome: str, share: float, fine: bool) -> None:  # noqa: FBT001 - a column of a table
    """No healthy version rolled back; no bad one promoted, nor held while it serves everybody."""
    assert expected(KINDS[kind], outcome, share) is fine


def tally(**changes: object) -> Tally:
    """Counts of stable version 3 and candidate 4."""
    answers = {("3", "a", 200): 950, ("3", "b", 500): 10, ("4", "a", 200): 36, ("4", "b", 500): 4, (None, "a", 503): 2}
    counted: dict[str, Any] = {"sent": 1003, "answers": answers, "losses": {"reset": 1}, **changes}
    return Tally(**counted)


def test_counts_are_told_apart_by_whose_fault_they_are() -> None:
    """Answers nobody signed are lost, failures a version signed are its own."""
    counted = tally()
    assert (counted.lost, counted.lost_by_kind) == (3, {"-/503": 2, "reset": 1})
    assert (counted.requests("4"), counted.bad("4"), counted.bad("9")) == (40, 4, 0)
    assert counted.failures() == {
        "3": {"requests": 960, "failures": 10, "failures of b": 10},
        "4": {"requests": 40, "failures": 4, "failures of b": 4},
    }


def test_a_stretch_is_the_difference_of_two_tallies() -> None:
    """What was counted before does not count again."""
    later = tally(sent=1013, answers={**tally().answers, ("4", "b", 500): 9}, losses={"reset": 1, "timeout": 2})
    stretch = later - tally()
    assert (stretch.sent, dict(stretch.answers), dict(stretch.losses)) == (10, {("4", "b", 500): 5}, {"timeout": 2})


def end(outcome: str, look: Sight, bad: int | None = None) -> End:
    """An end seen at one look."""
    return End(outcome=outcome, share=5.0, last=look, seconds=93.26, bad_until_rollback=bad)


def history(message: str) -> list[dict[str, str]]:
    """An entry of the version before, and one of this version."""
    return [{"version": "3", "message": "Promoted"}, {"version": "4", "message": message}]


def rolled_back(message: str = BLAME) -> Rollout:
    """A version that fails for one tenant, rolled back at the first step."""
    look = sight("Failed", message="version 4 stays rejected", history=history(message), traffic={"wanted": "0%"})
    return concluded(
        SLICE, "evidence-0", "4", end("RolledBack", look, 4), (tally(answers={("4", "b", 500): 5}, losses={}), 100.0)
    )


def test_a_rollback_is_judged_by_the_message_of_its_history() -> None:
    """The status has gone on by then; the history keeps why it began."""
    found = rolled_back()
    assert (found.named, found.named_rightly, found.as_expected) == (("errors", "tenant-errors/b"), True, True)
    assert (found.bad_until_rollback, found.bad, found.lost, found.rate, found.seconds) == (4, 5, 0, 10.0, 93.3)
    assert found.good
    assert "blames errors and tenant-errors/b, 4 bad answers until then" in str(found)


def test_a_rollback_that_blames_nobody_or_the_wrong_one_is_not_good() -> None:
    """Though the version is gone, which was right."""
    for message in ("version 4 (abc) had too few ready pods", BLAME.replace('{tenant="b"}', '{tenant="c"}')):
        found = rolled_back(message)
        assert (found.as_expected, found.named_rightly, found.good) == (True, False, False)
        assert str(found).startswith("NOT AS IT SHOULD: RolledBack")


def test_lost_requests_are_not_good() -> None:
    """Whatever became of the version."""
    look = sight("Stable", stable={"version": "4"}, traffic={"wanted": "0%"})
    found = concluded(HEALTHY, "evidence-0", "4", end("Promoted", look), (tally(), 20.0))
    assert (found.as_expected, found.lost, found.good, found.share) == (True, 3, False, 100.0)
    assert (found.named_rightly, found.bad_until_rollback) == (None, None)


def test_a_healthy_version_rolled_back_is_never_right() -> None:
    """Nobody is to blame for it."""
    look = sight("Failed", history=history(BLAME))
    found = concluded(HEALTHY, "evidence-0", "4", end("RolledBack", look, 1), (tally(losses={}), 20.0))
    assert (found.as_expected, found.named_rightly, found.good) == (False, None, False)


def test_a_held_version_says_what_it_waits_for() -> None:
    """With its share."""
    look = sight("Progressing", message="latency: evidence 3 of 20", traffic={"wanted": "5%"})
    found = concluded(LATENCY, "evidence-0", "4", end("Held", look), (tally(answers={}, losses={}), 20.0))
    assert (found.outcome, found.share, found.message, found.good) == ("Held", 5.0, "latency: evidence 3 of 20", True)


def report_of(played: Played) -> dict[str, Any]:
    """As it is written, and read again."""
    document: dict[str, Any] = json.loads(json.dumps(command.document_of(played, command.arguments([]))))
    return document


def test_the_page_tells_every_rollout_and_the_sums() -> None:
    """From the report alone."""
    look = sight("Stable", stable={"version": "4"})
    counted = tally(answers={("3", "a", 500): 8, ("4", "a", 200): 900}, losses={}), 20.0
    played = Played(
        wanted=2, rollouts=[rolled_back(), concluded(HEALTHY, "evidence-1", "4", end("Promoted", look), counted)]
    )
    text = page(report_of(played))
    assert "All happened as it should." in text
    assert "| healthy versions rolled back | 0 of 1 |" in text
    assert "| culprit named rightly | 1 of 1 |" in text
    assert "| bad answers of a bad version until its rollback began | mean 4.0, most 4 |" in text
    assert (
        "| slice | evidence-0, 4 | RolledBack | 5% | 93 | errors and tenant-errors/b | 1003 | 5 | 4 | 0 | 0 |" in text
    )
    assert "| healthy | evidence-1, 4 | Promoted | 100% | 93 | - | 1003 | 0 | - | 8 | 0 |" in text
    assert "{" not in text.replace("{tenant", "")


def test_a_page_without_rollbacks_does_without_their_figures() -> None:
    """A mean of nothing is none."""
    assert ("bad answers of a bad version until its rollback began", "-") in totals([])


def test_a_run_is_good_when_all_was_played_and_went_well() -> None:
    """What was not played proves nothing."""
    good, bad = rolled_back(), rolled_back("version 4 keeps crashing")
    assert Played(wanted=1, rollouts=[good]).good
    assert not Played(wanted=2, rollouts=[good]).complete
    assert not Played(wanted=1, rollouts=[good], broken=["evidence-1: gone"]).complete
    assert (Played(wanted=1, rollouts=[bad]).complete, Played(wanted=1, rollouts=[bad]).good) == (True, False)


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The repository elsewhere."""
    monkeypatch.setattr(command, "ROOT", tmp_path)
    for name in ("LATEST", "REPORT", "PAGE"):
        monkeypatch.setattr(command, name, tmp_path / name.lower() / "file")
    (tmp_path / "page").mkdir()
    return tmp_path


def written(root: Path) -> set[str]:
    """Which of the three files are there."""
    return {path.parent.name for path in root.glob("*/file")}


@pytest.mark.parametrize(
    ("wanted", "report", "files"),
    [
        pytest.param(1, False, {"latest"}, id="not asked for"),
        pytest.param(1, True, {"latest", "report", "page"}, id="asked for"),
        pytest.param(2, True, {"latest"}, id="asked for, and not all was played"),
    ],
)
def test_the_docs_are_written_only_when_asked_for_and_complete(
    paths: Path,
    wanted: int,
    report: bool,  # noqa: FBT001 - a column of a table
    files: set[str],
) -> None:
    """A run that broke off overwrites nothing."""
    command.keep(report_of(Played(wanted=wanted, rollouts=[rolled_back()])), report=report)
    assert written(paths) == files


@pytest.mark.parametrize(
    "words", [["--report", "--only", "slice"], ["--report", "--rate", "20"], ["--rollouts", "0"], ["--parallel", "0"]]
)
def test_arguments_that_make_no_sense_are_refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Before anything is started."""
    with pytest.raises(SystemExit):
        command.arguments(words)
    assert "--" in capsys.readouterr().err


def test_the_settings_follow_the_arguments() -> None:
    """An empty overdispersion leaves it to the operator."""
    plain = command.setting_of(command.arguments([]))
    assert (plain.pace.overdispersion, plain.rate >= 50, plain.limit_seconds) == ("1", True, 480.0)
    asked = command.setting_of(command.arguments(["--overdispersion", "", "--gateway-errors"])).pace
    assert (asked.overdispersion, asked.gateway_errors, plain.pace.gateway_errors) == (None, True, False)
