from decimal import Decimal
from typing import Any

import pytest

from modelramp.adapters.kubernetes.arms import arm_of, pod_times
from modelramp.adapters.kubernetes.projection import project
from modelramp.adapters.kubernetes.resources import Kind

LABELS = {"modelramp.io/deployment": "fraud", "modelramp.io/revision": "r1"}
CRASHED = {"terminated": {"reason": "Error", "exitCode": 3, "startedAt": "2026-01-01T00:00:10Z"}}
KILLED = {"terminated": {"reason": "OOMKilled", "exitCode": 137, "startedAt": "2026-01-01T00:00:10Z"}}
RUNNING = {"running": {"startedAt": "2026-01-01T00:00:20Z"}}
WAITING = {"waiting": {"reason": "CrashLoopBackOff"}}


def document(name: str, labels: dict[str, str], **parts: Any) -> dict[str, Any]:  # noqa: ANN401 - a document
    metadata = {"name": name, "namespace": "ml", "uid": f"uid-{name}", "resourceVersion": "1", "labels": labels}
    return {"metadata": {**metadata, "creationTimestamp": "2026-01-01T00:00:00Z"}, **parts}


DEPLOYMENT = document("fraud-r1", LABELS, spec={"replicas": 2})


def pod_body(
    name: str = "p",
    *,
    phase: str = "Running",
    leaving: bool = False,
    group: str = "containerStatuses",
    revision: str = "r1",
    **container: Any,  # noqa: ANN401 - a document
) -> Any:  # noqa: ANN401 - a document
    status = {"phase": phase, group: [{"name": "model", "restartCount": 0, **container}] if container else []}
    body = document(
        name, {**LABELS, "modelramp.io/revision": revision}, spec={"containers": [{"name": "model"}]}, status=status
    )
    if leaving:
        body["metadata"]["deletionTimestamp"] = "2026-01-01T00:01:00Z"
    return body


def pod(name: str = "p", **changes: Any) -> Any:  # noqa: ANN401 - a document
    return project(Kind.POD, pod_body(name, **changes))


def piece(*endpoints: dict[str, Any], service: str = "fraud-r1") -> Any:  # noqa: ANN401 - a document
    labels = {**LABELS, "kubernetes.io/service-name": service}
    return project(Kind.ENDPOINT_SLICE, document("slice", labels, endpoints=list(endpoints)))


def endpoint(uid: str | None, **conditions: bool | None) -> dict[str, Any]:
    target = {"targetRef": {"kind": "Pod", "uid": uid}} if uid else {}
    return {"addresses": ["10.0.0.1"], "conditions": conditions, **target}


@pytest.mark.parametrize(
    ("slices", "ready"),
    [
        pytest.param([], 0, id="none"),
        pytest.param([piece(endpoint("a", ready=True), endpoint("b", ready=True))], 2, id="two"),
        pytest.param([piece(endpoint("a"))], 1, id="an absent ready means ready"),
        pytest.param([piece(endpoint("a", ready=False))], 0, id="not ready"),
        pytest.param([piece(endpoint("a", ready=True, terminating=True))], 0, id="leaving"),
        pytest.param(
            [piece(endpoint("a", ready=True)), piece(endpoint("a", ready=True))], 1, id="two address families"
        ),
        pytest.param([piece(endpoint(None, ready=True))], 1, id="an endpoint without a pod"),
        pytest.param([piece(endpoint("a", ready=True), service="fraud-r2")], 0, id="of another Service"),
        pytest.param([project(Kind.ENDPOINT_SLICE, document("s", LABELS, endpoints=None))], 0, id="an empty slice"),
    ],
)
def test_ready_is_how_many_pods_traffic_may_be_sent_to(slices: list[Any], ready: int) -> None:
    """By the slices of the revision's own Service."""
    assert arm_of(DEPLOYMENT, [], slices).ready == ready


def test_pods_count_while_they_may_run_something() -> None:
    """Leaving ones do, evicted ones do not: those would keep a retired revision for ever."""
    pods = [
        pod("a"),
        pod("b", leaving=True),
        pod("c", phase="Failed"),
        pod("d", phase="Succeeded"),
        pod("e", phase="Pending"),
    ]
    assert arm_of(DEPLOYMENT, [*pods, pod("f", revision="r2")], []).pods == 3


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param(pod(state=RUNNING), None, id="runs"),
        pytest.param(pod(state=RUNNING, lastState=CRASHED, restartCount=2), None, id="restarted twice"),
        pytest.param(
            pod(state=RUNNING, lastState=CRASHED, restartCount=3),
            "container model of pod p keeps crashing, last exit code 3 (Error)",
            id="restarted three times and running",
        ),
        pytest.param(
            pod(state=WAITING, lastState=CRASHED, restartCount=1),
            "container model of pod p keeps crashing, last exit code 3 (Error)",
            id="held back by the node",
        ),
        pytest.param(pod(state=WAITING), "container model of pod p keeps crashing", id="held back, end unknown"),
        pytest.param(
            pod(state=WAITING, lastState=CRASHED, group="initContainerStatuses"),
            "container model of pod p keeps crashing, last exit code 3 (Error)",
            id="an init container",
        ),
        pytest.param(pod(state=WAITING, lastState=CRASHED, leaving=True), None, id="on its way out"),
        pytest.param(pod(state=WAITING, revision="r2"), None, id="of another revision"),
        pytest.param(pod(state={"waiting": {"reason": "ContainerCreating"}}), None, id="being made"),
    ],
)
def test_what_keeps_crashing(given: Any, expected: str | None) -> None:  # noqa: ANN401 - a document
    """In words for people."""
    assert arm_of(DEPLOYMENT, [given], []).crash_looping == expected


@pytest.mark.parametrize(
    ("given", "killed"),
    [
        pytest.param(pod(state=RUNNING, lastState=KILLED, restartCount=1), True, id="once, and running again"),
        pytest.param(pod(state=KILLED), True, id="just now"),
        pytest.param(pod(state=RUNNING, lastState=CRASHED, restartCount=1), False, id="it crashed"),
        pytest.param(pod(state=RUNNING), False, id="it runs"),
    ],
)
def test_what_was_killed_for_memory(given: Any, killed: bool) -> None:  # noqa: ANN401, FBT001 - a document
    """Any time counts."""
    expected = "container model of pod p was killed for memory, exit code 137" if killed else None
    assert arm_of(DEPLOYMENT, [given], []).out_of_memory == expected


def test_births_and_starts_of_the_first_container() -> None:
    """In unix seconds; a pod that never started has no start."""
    sidecar = {"name": "a-sidecar", "state": {"running": {"startedAt": "2026-01-01T00:00:01Z"}}}
    model = {"name": "model", "state": RUNNING, "lastState": CRASHED}
    body = document(
        "p",
        LABELS,
        spec={"containers": [{"name": "model"}, {"name": "a-sidecar"}]},
        status={"containerStatuses": [sidecar, model]},
    )
    times = pod_times([project(Kind.POD, body), pod("new")])
    midnight = 1_767_225_600.0
    assert times.born == {"p": midnight, "new": midnight}
    assert times.started == {"p": (midnight + 10, midnight + 20), "new": ()}


def of(status: dict[str, Any] | None = None, generation: int | None = None, **pod_spec: Any) -> Any:  # noqa: ANN401
    body = document("fraud-r1", LABELS, spec={"replicas": 2, "template": {"spec": pod_spec}}, status=status or {})
    if generation is not None:
        body["metadata"]["generation"] = generation
    return project(Kind.DEPLOYMENT, project(Kind.DEPLOYMENT, body))


@pytest.mark.parametrize(
    ("deployment", "settled"),
    [
        (of(), True),
        (of({"observedGeneration": 3}, 3), True),
        (of({"observedGeneration": 2}, 3), False),
        (of({}, 1), False),
    ],
    ids=["without a generation", "seen", "not seen yet", "just made"],
)
def test_an_arm_is_settled_once_its_controller_has_seen_the_last_change(deployment: Any, settled: bool) -> None:  # noqa: ANN401, FBT001
    """Before that it may still make or keep pods that nobody asks for any more."""
    assert arm_of(deployment, [], []).settled is settled


def test_pods_are_counted_by_whoever_knows_of_more() -> None:
    """The two watches are not one behind the other."""
    own = [pod("a"), pod("b", leaving=True)]
    counted = [arm_of(of({"replicas": number}), own, []).pods for number in (0, 1, 2)]
    assert counted == [2, 2, 3]
    assert arm_of(DEPLOYMENT, own, []).terminating == 1


def test_what_a_pod_takes_is_read_from_the_template() -> None:
    """Each resource that any container names."""
    gpu, cpu = {"limits": {"nvidia.com/gpu": 2}}, {"requests": {"cpu": "500m"}}
    containers = [{"name": "a", "image": "i", "resources": gpu}, {"name": "b", "image": "i", "resources": cpu}]
    init = [{"name": "c", "image": "i", "resources": {"limits": {"nvidia.com/gpu": "3"}}}]
    assert arm_of(of(containers=containers, initContainers=init), [], []).asks == {
        "nvidia.com/gpu": 3,
        "cpu": Decimal("0.5"),
    }
    assert arm_of(of(containers=[{"name": "a", "image": "i"}]), [], []).asks == {}


def placed(status: str, reason: str | None, message: str | None = None, **changes: Any) -> Any:  # noqa: ANN401
    body = pod_body(**changes)
    found = {"type": "PodScheduled", "status": status, "reason": reason, "message": message}
    body["status"]["conditions"] = [{"type": "Ready", "status": "False"}, found]
    return project(Kind.POD, body)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (placed("False", "Unschedulable", "0/3 nodes"), "pod p finds no node: 0/3 nodes"),
        (placed("False", "Unschedulable"), "pod p finds no node: no reason given"),
        (placed("True", None), None),
        (placed("False", "SchedulingGated"), None),
        (placed("False", "Unschedulable", "0/3 nodes", leaving=True), None),
        (placed("False", "Unschedulable", "0/3 nodes", revision="r2"), None),
    ],
    ids=["no room", "without words", "has one", "held back by somebody", "on its way out", "of another revision"],
)
def test_a_pod_without_a_node_is_told(given: Any, told: str | None) -> None:  # noqa: ANN401 - a document
    """In the scheduler's words."""
    assert arm_of(DEPLOYMENT, [given], []).unschedulable == told
