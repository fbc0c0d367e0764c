"""
Edits of an object in the middle of a rollout, on a real API server with the operator's own process: each row of the
table in docs/edits.md.
"""

import re
import sys
import time
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Final

import pytest
from apiserver.fleet import SLOW, One, Row, Wait, play
from apiserver.operator_world import MERGE, ROUTES, OperatorWorld, eventually, spec_of
from apiserver.other_rows import SEVERAL_COPIES, others_of_a_shadow_run
from apiserver.server import CRD_PATH, ApiServer

from modelramp.api.crd import CRD_NAME, custom_resource_definition

pytestmark = pytest.mark.apiserver

PAGE: Final = Path(__file__).parent.parent.parent / "docs" / "edits.md"
BLUE_GREEN: Final = {"blueGreen": {"preSwitch": {"soak": "1s"}, "bake": "1s"}, "scaleDownDelay": "1s"}
UNREAD: Final = {"prometheus": {"address": "http://127.0.0.1:1"}, "metrics": [{"preset": "errors"}]}
CHILDREN: Final = (("/apis/apps/v1", "deployments"), ("/api/v1", "services"), (ROUTES, "httproutes"))
Steps = Generator[Wait, None, None]


def in_first_step(one: One) -> Steps:
    """
    Version 1 serves, and version 2 is in its first step.
    """
    one.apply("1")
    yield one.serves("1")
    one.apply("2", strategy=SLOW)
    yield one.at("20%")


def another_version(one: One) -> Steps:
    """
    A, B, C.
    """
    yield from in_first_step(one)
    one.apply("3")
    yield one.serves("3")
    assert one.history == [("1", "Promoted"), ("2", "Superseded"), ("3", "Promoted")]


def back_to_stable(one: One) -> Steps:
    """
    A, B, A.
    """
    yield from in_first_step(one)
    one.apply("1")
    yield one.serves("1")
    assert one.history == [("1", "Promoted"), ("2", "Reverted")]
    assert "rejected" not in one.status or not one.status["rejected"]


def other_steps(one: One) -> Steps:
    """
    Its share is taken out of the list, and smaller and larger ones are put in.
    """
    yield from in_first_step(one)
    began, entered = one.status["candidate"]["since"], one.status["step"]["enteredAt"]
    steps = [{"traffic": share} for share in ("10%", "40%", "100%")]
    one.apply("2", strategy={**SLOW, "canary": {**SLOW["canary"], "steps": steps}})  # type: ignore[dict-item] - JSON
    generation = one.world.send("GET", one.path)["metadata"]["generation"]
    yield lambda: one.status["observedGeneration"] == generation, "the edit is seen"
    assert (one.status["step"]["traffic"], one.status["step"]["enteredAt"]) == ("20%", entered)
    assert one.shares == [20, 80]
    one.ask("promote", 1)
    yield one.at("40%")
    assert one.status["candidate"]["since"] == began
    one.apply("2", strategy={**SLOW, "canary": {"steps": steps, "soak": "1s"}})
    yield one.serves("2")


def other_metrics(one: One) -> Steps:
    """
    A metric that has no data is taken out: the same candidate goes on.
    """
    one.apply("1")
    yield one.serves("1")
    one.apply("2", analysis=UNREAD)
    yield lambda: _verdict(one) == "NoData", "the metric cannot be read"
    began = one.status["candidate"]["since"]
    one.apply("2")
    yield lambda: one.status.get("phase") == "Promoting" or one.history[1:] != [], "it goes on"
    assert one.history[1:] or one.status["candidate"]["since"] == began
    yield one.serves("2")
    assert one.history == [("1", "Promoted"), ("2", "Promoted")]


def _verdict(one: One) -> str | None:
    found: list[str] = [verdict["verdict"] for verdict in one.status.get("verdicts", ())]
    return found[0] if found else None


def canary_to_blue_green(one: One) -> Steps:
    """
    In the first step: the share stays until the new strategy's next place, which is everything.
    """
    yield from in_first_step(one)
    began = one.status["candidate"]["since"]
    one.apply("2", strategy={**BLUE_GREEN, "blueGreen": {**BLUE_GREEN["blueGreen"], "bake": "20s"}})  # type: ignore[dict-item] - JSON
    yield one.at("100%")
    assert one.status["candidate"]["since"] == began
    yield one.serves("2")


def blue_green_to_canary(one: One) -> Steps:
    """
    Before the switch: green begins to get shares.
    """
    one.apply("1")
    yield one.serves("1")
    slow = {**BLUE_GREEN, "blueGreen": {"preSwitch": {"soak": "30m"}, "stepDeadline": "50m"}}
    one.apply("2", strategy=slow)
    yield lambda: (one.status.get("step") or {}).get("preview"), "green is at size and gets nothing"
    one.apply("2", strategy=SLOW)
    yield lambda: (one.status.get("step") or {}).get("preview"), "the place stays"
    one.ask("promote", 1)
    yield one.at("20%")
    one.ask("promote-full", 2)
    yield one.serves("2")


def another_route(one: One) -> Steps:
    """
    Hostnames and parents in a step: the route is written anew, with the step's share.
    """
    yield from in_first_step(one)
    gateway = {"parentRefs": [{"name": "other"}], "hostnames": ["fraud.example.com"], "requestTimeout": "1s"}
    one.apply("2", strategy=SLOW, traffic={"gatewayAPI": gateway})
    yield lambda: one.route["spec"].get("hostnames") == ["fraud.example.com"], "the route has the hostname"
    assert one.route["spec"]["parentRefs"][0]["name"] == "other"
    assert one.shares == [20, 80]
    assert one.status["step"]["traffic"] == "20%"


def scaled_by_an_autoscaler(one: One) -> Steps:
    """
    Through the scale subresource, at rest and in a step: sizes follow, and no rollout begins.
    """
    one.apply("1")
    yield one.serves("1")
    scale = f"{one.path}/scale"
    one.world.send("PATCH", scale, {"spec": {"replicas": 2}}, MERGE)
    yield lambda: one.sizes == [2] and one.status.get("replicas") == 2, "two pods of the only revision"
    assert one.world.send("GET", scale)["status"]["replicas"] == 2
    serving = {**spec_of("2")["serving"], "replicas": 2}
    one.apply("2", strategy=SLOW, serving=serving)
    yield one.at("20%")
    one.world.send("PATCH", scale, {"spec": {"replicas": 3}}, MERGE)
    yield lambda: one.sizes == [3, 3], "three of both"
    assert one.status["step"]["traffic"] == "20%"
    assert one.history == [("1", "Promoted")]


def deleted(one: One) -> Steps:
    """
    Everything it owned goes with it.
    """
    yield from in_first_step(one)
    one.world.send("DELETE", one.path)
    yield lambda: not any(one.owned(*kind) for kind in CHILDREN), "nothing is left"
    time.sleep(3)
    assert not any(one.owned(*kind) for kind in CHILDREN)


def a_newer_operator_was_here(one: One) -> Steps:
    """
    Its fields in the status stay, while this operator goes on from what it understands.
    """
    yield from in_first_step(one)
    stable = {**one.status["stable"], "novelty": {"a": 1}}
    one.world.send("PATCH", f"{one.path}/status", {"status": {"novelty": ["b"], "stable": stable}}, MERGE)
    one.ask("promote", 1)
    yield one.at("60%")
    assert (one.status["novelty"], one.status["stable"]["novelty"]) == (["b"], {"a": 1})
    one.ask("promote-full", 2)
    yield one.serves("2")
    assert one.status["novelty"] == ["b"]


ROWS: Final[dict[str, Row]] = {
    row.__name__.replace("_", "-"): row
    for row in (
        another_version,
        back_to_stable,
        other_steps,
        other_metrics,
        canary_to_blue_green,
        blue_green_to_canary,
        another_route,
        scaled_by_an_autoscaler,
        others_of_a_shadow_run,
        deleted,
        a_newer_operator_was_here,
    )
}


@pytest.fixture(scope="module")
def failed(served: ApiServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """
    What went wrong in each row; all are played at once, under a definition that lets a newer operator's fields pass.
    """
    newer = custom_resource_definition()
    status = newer["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"]
    for part in (status, status["properties"]["stable"]):
        part["x-kubernetes-preserve-unknown-fields"] = True
    path = f"{CRD_PATH}/{CRD_NAME}?fieldManager=modelramp-tests&force=true"
    world = OperatorWorld(served, f"edits-{time.time_ns() % 10**10}", tmp_path_factory.mktemp("edits"))
    world.controller = SEVERAL_COPIES
    world.send("PATCH", path, newer, "application/apply-patch+yaml")
    world.open()
    world.start()
    try:
        yield play(world, ROWS)
    finally:
        world.close()
        world.send("PATCH", path, custom_resource_definition(), "application/apply-patch+yaml")
        sys.stderr.write(f"{world.failures[-3:]}\n{world.log()[-3000:]}")  # shown with a failure


@pytest.mark.parametrize("row", ROWS)
def test_an_edit_in_flight(row: str, failed: dict[str, str]) -> None:
    """
    The row ends as docs/edits.md says.
    """
    assert row not in failed, failed[row]


def test_a_namespace_goes_in_the_middle_of_a_rollout(served: ApiServer, tmp_path: Path) -> None:
    """
    Nothing of ours holds it up, and the operator, which watches it, goes on with the others.
    """
    other = OperatorWorld(served, f"stays-{time.time_ns() % 10**10}", tmp_path)
    gone = OperatorWorld(served, f"goes-{time.time_ns() % 10**10}", tmp_path)
    gone.settings["MODELRAMP_WATCH_NAMESPACES"] = f"{gone.namespace},{other.namespace}"
    gone.settings["MODELRAMP_NAMESPACE"] = other.namespace
    for world in (other, gone):
        world.open()
    gone.start()
    try:
        gone.apply("1")
        eventually(lambda: gone.serves("1"), "version 1 is stable")
        gone.apply("2", strategy=SLOW)
        eventually(lambda: gone.status.get("step"), "version 2 has a share")
        path = f"/api/v1/namespaces/{gone.namespace}"
        gone.send("DELETE", path)
        eventually(lambda: served.send("GET", path, None).status == 404, "the namespace is gone")
        other.apply("1")
        eventually(lambda: other.serves("1"), "the operator goes on elsewhere")
        assert gone.process is not None
        assert gone.process.poll() is None
    finally:
        gone.close()
        other.close()
        sys.stderr.write(gone.log()[-3000:])


def test_each_row_of_the_page_has_a_test_and_the_reverse() -> None:
    """
    By the name in its last column.
    """
    named = re.findall(r"\| `([a-z_]+)` \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    rows = [row.replace("-", "_") for row in ROWS]
    assert named == [*rows, test_a_namespace_goes_in_the_middle_of_a_rollout.__name__]
