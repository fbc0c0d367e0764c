"""
What people ask for by annotation, on a real API server with the operator's own process: every verb, what is refused,
and that the operator touches neither annotation nor spec.
"""

import time
from collections.abc import Generator, Iterator
from typing import Any, Final

import pytest
from apiserver.fleet import SLOW, One, Row, Wait, play
from apiserver.operator_world import MERGE, OperatorWorld
from apiserver.server import ApiServer
from apiserver.worlds import opened

from modelramp.api.action import Verb
from modelramp.api.names import ANNOTATION_ACTION

pytestmark = pytest.mark.apiserver

QUICK: Final[dict[str, Any]] = {**SLOW, "canary": {**SLOW["canary"], "soak": "12s"}}  # type: ignore[dict-item] - JSON
HOLD_SECONDS: Final = 25  # twice the soak of a step, and its settling
Steps = Generator[Wait, None, None]


def in_first_step(one: One, strategy: dict[str, Any] = SLOW) -> Steps:
    """
    Version 1 serves, and version 2 is in its first step.
    """
    one.apply("1")
    yield one.serves("1")
    one.apply("2", strategy=strategy)
    yield one.at("20%")


def answered(one: One, number: int, outcome: str = "Done") -> Steps:
    """
    The request was answered so, in the name of whoever asked; spec and annotation are as they were written.
    """
    before = one.world.send("GET", one.path)
    yield one.answered(number)
    action = one.status["action"]
    assert (action["outcome"], action.get("by")) == (outcome, "ada"), action
    after = one.world.send("GET", one.path)
    assert (after["spec"], after["metadata"]["annotations"]) == (before["spec"], before["metadata"]["annotations"])
    own = [entry for entry in after["metadata"]["managedFields"] if entry.get("subresource") != "status"]
    assert "modelramp" not in {entry["manager"] for entry in own}


def held(one: One, seconds: float = HOLD_SECONDS) -> Wait:
    """
    So much time has passed.
    """
    until = time.monotonic() + seconds
    return lambda: time.monotonic() > until, f"{one.name}: {seconds} s have passed"


def pause(one: One) -> Steps:
    """
    The step's time passes, and it stays where it is.
    """
    yield from in_first_step(one, QUICK)
    one.ask("pause", 1)
    yield from answered(one, 1)
    yield held(one)
    assert (one.status["phase"], one.status["reason"]) == ("Paused", "PausedByRequest")
    assert one.shares == [20, 80]


def resume(one: One) -> Steps:
    """
    After a pause it goes on to the end.
    """
    yield from in_first_step(one, QUICK)
    one.ask("pause", 1)
    yield from answered(one, 1)
    one.ask("resume", 2)
    yield from answered(one, 2)
    yield one.serves("2")


def promote(one: One) -> Steps:
    """
    One step, and no further; the same request is not carried out again, whoever applies it anew.
    """
    yield from in_first_step(one)
    one.ask("promote", 1)
    yield from answered(one, 1)
    yield one.at("60%")
    again = one.world.send("GET", one.path)["metadata"]["annotations"][ANNOTATION_ACTION]
    one.world.send("PATCH", one.path, {"metadata": {"annotations": {ANNOTATION_ACTION: None}}}, MERGE)
    one.annotate(again)
    yield held(one)
    assert one.status["step"]["traffic"] == "60%"
    assert one.shares == [40, 60]


def promote_full(one: One) -> Steps:
    """
    All steps at once.
    """
    yield from in_first_step(one)
    one.ask("promote-full", 1)
    yield from answered(one, 1)
    yield one.serves("2")
    assert one.history == [("1", "Promoted"), ("2", "Promoted")]


def abort(one: One) -> Steps:
    """
    The candidate goes, and is not begun again.
    """
    yield from in_first_step(one)
    one.ask("abort", 1)
    yield from answered(one, 1)
    yield one.phase("Failed")
    yield lambda: one.shares == [100] and sum(map(bool, one.sizes)) == 1, "the candidate is gone"
    yield held(one, 10)
    assert one.status["phase"] == "Failed"
    assert [(r["version"], r["reason"]) for r in one.status["rejected"]] == [("2", "AbortRequested")]


def retry(one: One) -> Steps:
    """
    The rejected revision is begun again.
    """
    yield from in_first_step(one)
    revision = one.candidate
    one.ask("abort", 1)
    yield one.phase("Failed")
    one.ask("retry", 2, revision)
    yield from answered(one, 2)
    yield one.at("20%")
    assert one.candidate == revision
    assert not one.status.get("rejected")
    one.ask("promote-full", 3)
    yield one.serves("2")


def refused(one: One) -> Steps:
    """
    Another revision; a phase that does not fit; nothing in flight. Nothing changes, and a text that is no request is
    answered too.
    """
    yield from in_first_step(one)
    one.ask("promote", 1, "another")
    yield from answered(one, 1, "Refused")
    one.ask("resume", 2)
    yield from answered(one, 2, "Refused")
    one.annotate("promote, please")
    yield lambda: "could not" in one.status["action"]["message"] or "JSON" in one.status["action"]["message"], "told"
    assert one.status["action"]["outcome"] == "Refused"
    assert (one.status["phase"], one.shares) == ("Progressing", [20, 80])
    candidate = one.candidate
    one.ask("promote-full", 3)
    yield one.serves("2")
    one.ask("abort", 4, candidate)
    yield from answered(one, 4, "Refused")
    assert one.status["phase"] == "Stable"


def waits_for_approval(one: One, step: int, share: str) -> Wait:
    """
    The step is recommended, and nothing goes on.
    """

    def true() -> bool:
        status = one.status
        asked = status.get("recommendation") or {}
        waits = (status["phase"], status["reason"]) == ("Paused", "ApprovalNeeded")
        return waits and (asked["verb"], asked["step"], asked["share"]) == ("approve", step, share)

    return true, f"step {step} at {share} waits for an approval"


def degree(name: str, *shares: str) -> dict[str, Any]:
    """
    The sections of a spec with that degree of automation and quick steps.
    """
    steps = [{"traffic": share} for share in shares]
    return {
        "automation": {"degree": name},
        "strategy": {"canary": {"steps": steps, "soak": "1s"}, "scaleDownDelay": "1s"},
    }


def approve(one: One) -> Steps:
    """
    Each step once: an approval of one is none of the next, nor of another step or revision.
    """
    one.apply("1")
    yield one.serves("1")
    one.apply("2", **degree("Assist", "20%", "100%"))
    yield waits_for_approval(one, 1, "20%")
    assert one.shares == [0, 100]
    one.ask("approve", 1, step=2)
    yield from answered(one, 1, "Refused")
    one.ask("approve", 2, "another", step=1)
    yield from answered(one, 2, "Refused")
    one.ask("approve", 3, step=1)
    yield from answered(one, 3)
    yield waits_for_approval(one, 2, "100%")
    assert one.shares == [20, 80]
    yield held(one, 10)
    assert one.shares == [20, 80]
    one.ask("approve", 4, step=2)
    yield from answered(one, 4)
    yield one.serves("2")
    assert one.history == [("1", "Promoted"), ("2", "Promoted")]


def reject(one: One) -> Steps:
    """
    Under HumanOnly users never reach it; that is remembered, and only a retry begins it again.
    """
    one.apply("1")
    yield one.serves("1")
    one.apply("2", **degree("HumanOnly", "20%", "100%"))
    yield waits_for_approval(one, 1, "20%")
    revision = one.candidate
    one.ask("reject", 1, step=1)
    yield from answered(one, 1)
    yield one.phase("Failed")
    yield lambda: one.shares == [100] and sum(map(bool, one.sizes)) == 1, "the candidate is gone"
    yield held(one, 10)
    assert one.status["phase"] == "Failed"
    assert [(r["version"], r["reason"]) for r in one.status["rejected"]] == [("2", "RejectedByRequest")]
    one.ask("approve", 2, revision, step=1)
    yield from answered(one, 2, "Refused")
    one.ask("retry", 3, revision)
    yield from answered(one, 3)
    yield waits_for_approval(one, 1, "20%")


def undo(one: One) -> Steps:
    """
    To the kept revision, in one write; the spec's own is rejected, kept, and stays undone.
    """
    one.apply("1")
    yield one.serves("1")
    first = one.status["stable"]["revision"]
    one.apply("2")
    yield one.serves("2")
    one.ask("undo", 1, "another")
    yield from answered(one, 1, "Refused")
    assert f"{first} (version 1)" in one.status["action"]["message"]
    one.ask("undo", 2, first)
    yield from answered(one, 2)
    yield one.phase("Failed")
    yield lambda: one.shares == [100] and sum(map(bool, one.sizes)) == 1, "version 2 is gone"
    yield held(one, 10)
    status = one.status
    assert (status["phase"], status["stable"]["revision"]) == ("Failed", first)
    assert [(r["version"], r["reason"]) for r in status["rejected"]] == [("2", "UndoRequested")]
    assert [kept["version"] for kept in status["kept"]] == ["2"]
    assert one.spec["model"]["version"] == "2"


def restart(one: One) -> Steps:
    """
    Other pods of the same revision, once, and no share moves; in flight it is refused.
    """
    one.apply("1")
    yield one.serves("1")
    revision, before, route = one.status["stable"]["revision"], one.pods, one.route["spec"]
    one.ask("restart", 1, revision)
    yield from answered(one, 1)
    yield lambda: len(one.pods) == 1 and not one.pods & before, "the pod is another one"
    assert one.status["stable"]["restartId"] == "r-1"
    after = one.pods
    yield held(one, 10)
    assert one.pods == after
    assert one.route["spec"] == route
    assert (one.status["phase"], one.status["stable"]["revision"]) == ("Stable", revision)
    assert one.history == [("1", "Promoted")]
    one.apply("2", strategy=SLOW)
    yield one.at("20%")
    one.ask("restart", 2, revision)
    yield from answered(one, 2, "Refused")


def same_id(one: One) -> Steps:
    """
    An id that was answered is not answered again, whatever it asks for now.
    """
    yield from in_first_step(one)
    one.ask("pause", 1)
    yield from answered(one, 1)
    one.ask("abort", 1)
    yield held(one, 10)
    status = one.status
    assert (status["phase"], status["action"]["verb"], one.shares) == ("Paused", "pause", [20, 80])
    one.ask("abort", 2)
    yield from answered(one, 2)
    yield one.phase("Failed")


OF_VERBS: Final[dict[Verb, Row]] = {
    Verb.PAUSE: pause,
    Verb.RESUME: resume,
    Verb.PROMOTE: promote,
    Verb.PROMOTE_FULL: promote_full,
    Verb.ABORT: abort,
    Verb.RETRY: retry,
    Verb.APPROVE: approve,
    Verb.REJECT: reject,
    Verb.UNDO: undo,
    Verb.RESTART: restart,
}
ROWS: Final[dict[str, Row]] = {row.__name__.replace("_", "-"): row for row in (*OF_VERBS.values(), refused, same_id)}


@pytest.fixture(scope="module")
def failed(served: ApiServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """
    What went wrong in each row; all are played at once.
    """
    with opened(OperatorWorld, served, "actions", tmp_path_factory.mktemp("actions")) as world:
        world.start()
        yield play(world, ROWS)


@pytest.mark.parametrize("row", ROWS)
def test_a_request(row: str, failed: dict[str, str]) -> None:
    """
    Carried out once, or refused with the reason.
    """
    assert row not in failed, failed[row]


def test_every_verb_has_a_row() -> None:
    """
    A new one is not forgotten.
    """
    assert set(OF_VERBS) == set(Verb)
