"""
Edits of an object in the middle of a rollout, on a real API server with the operator's own process: each row of the
table in docs/edits.md.
"""

import re
import time
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Final

import pytest
from apiserver import edit_rows
from apiserver.edit_rows import in_first_step
from apiserver.fleet import SLOW, One, Row, Wait, play
from apiserver.operator_world import MERGE, ROUTES, OperatorWorld, eventually, spec_of
from apiserver.other_rows import SEVERAL_COPIES, others_of_a_shadow_run
from apiserver.server import CRD_PATH, ApiServer
from apiserver.worlds import opened

from modelramp.api.crd import CRD_NAME, custom_resource_definition

pytestmark = pytest.mark.apiserver

PAGE: Final = Path(__file__).parent.parent.parent / "docs" / "edits.md"
UNREAD: Final = {"prometheus": {"address": "http://127.0.0.1:1"}, "metrics": [{"preset": "errors"}]}
CHILDREN: Final = (("/apis/apps/v1", "deployments"), ("/api/v1", "services"), (ROUTES, "httproutes"))
Steps = Generator[Wait, None, None]


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


def another_configuration(one: One) -> Steps:
    """
    The object stays as it is but for an annotation, which makes a pass at once.
    """
    path = one.world.path("/api/v1", "configmaps", f"{one.name}-limits")
    source = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"{one.name}-limits"}}
    one.world.send("POST", one.world.path("/api/v1", "configmaps"), {**source, "data": {"limit": "5"}})
    serving = {**spec_of("1")["serving"], "config": [{"configMap": f"{one.name}-limits"}]}
    one.apply("1", strategy=SLOW, serving=serving)
    yield one.serves("1")
    first = one.status["stable"]["revision"]
    one.world.send("PATCH", path, {"data": {"limit": "6"}}, MERGE)
    one.world.send("PATCH", one.path, {"metadata": {"annotations": {"checksum": "6"}}}, MERGE)
    yield one.at("20%")
    assert one.candidate not in {None, first}
    copies = {item["metadata"]["name"]: item for item in one.owned("/api/v1", "configmaps")}
    for revision, limit in ((first, "5"), (one.candidate, "6")):
        copy = copies[f"{one.name}-{revision}-0"]
        assert (copy["data"], copy["immutable"]) == ({"limit": limit}, True)
    one.world.send("PATCH", path, {"data": {"limit": "5"}}, MERGE)
    one.world.send("PATCH", one.path, {"metadata": {"annotations": {"checksum": "5"}}}, MERGE)
    yield one.serves("1")
    assert one.status["stable"]["revision"] == first
    assert one.history == [("1", "Promoted"), ("1", "Reverted")]


def other_steps(one: One) -> Steps:
    """
    Its share is taken out of the list, and smaller and larger ones are put in.
    """
    yield from in_first_step(one)
    began, entered = one.status["candidate"]["since"], one.status["step"]["enteredAt"]
    steps = [{"traffic": share} for share in ("10%", "40%", "100%")]
    one.apply("2", strategy={**SLOW, "canary": {**SLOW["canary"], "steps": steps}})  # type: ignore[dict-item] - JSON
    generation = one.generation
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
        another_configuration,
        back_to_stable,
        other_steps,
        other_metrics,
        *edit_rows.ROWS,
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
    served.send("PATCH", path, newer, "application/apply-patch+yaml")
    try:
        with opened(OperatorWorld, served, "edits", tmp_path_factory.mktemp("edits")) as world:
            world.controller = SEVERAL_COPIES
            world.start()
            yield play(world, ROWS)
    finally:
        served.send("PATCH", path, custom_resource_definition(), "application/apply-patch+yaml")


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
    with (
        opened(OperatorWorld, served, "stays", tmp_path) as other,
        opened(OperatorWorld, served, "goes", tmp_path) as gone,
    ):
        gone.settings["MODELRAMP_WATCH_NAMESPACES"] = f"{gone.namespace},{other.namespace}"
        gone.settings["MODELRAMP_NAMESPACE"] = other.namespace
        gone.start()
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


def test_each_row_of_the_page_has_a_test_and_the_reverse() -> None:
    """
    By the name in its last column.
    """
    named = re.findall(r"\| `([a-z_]+)` \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    rows = [row.replace("-", "_") for row in ROWS]
    assert named == [*rows, test_a_namespace_goes_in_the_middle_of_a_rollout.__name__]
