"""
What people ask for by annotation, on a real API server with the operator's own process: every verb that is built, what
is refused, and that the operator touches neither annotation nor spec.
"""

import sys
import time
from collections.abc import Generator, Iterator
from typing import Any, Final

import pytest
from apiserver.fleet import SLOW, One, Row, Wait, play
from apiserver.operator_world import MERGE, OperatorWorld
from apiserver.server import ApiServer

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


ROWS: Final[dict[str, Row]] = {
    row.__name__.replace("_", "-"): row for row in (pause, resume, promote, promote_full, abort, retry, refused)
}


@pytest.fixture(scope="module")
def failed(served: ApiServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """
    What went wrong in each row; all are played at once.
    """
    world = OperatorWorld(served, f"actions-{time.time_ns() % 10**10}", tmp_path_factory.mktemp("actions"))
    world.open()
    world.start()
    try:
        yield play(world, ROWS)
    finally:
        world.close()
        sys.stderr.write(f"{world.failures[-3:]}\n{world.log()[-3000:]}")  # shown with a failure


@pytest.mark.parametrize("row", ROWS)
def test_a_request(row: str, failed: dict[str, str]) -> None:
    """
    Carried out once, or refused with the reason.
    """
    assert row not in failed, failed[row]
