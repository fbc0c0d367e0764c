"""
A change of the router is an edit in flight: what a real API server lets through.
"""

from collections.abc import Iterator
from typing import Any

import pytest
from apiserver.server import GROUP_PATH, Answer, ApiServer

from modelramp.api.crd import ROUTER_STAYS
from modelramp.api.vocabulary import Phase

pytestmark = pytest.mark.apiserver

NAME = "router-change"
PATH = f"{GROUP_PATH}/{NAME}"
MERGE = "application/merge-patch+json"
GATEWAY: dict[str, Any] = {"gatewayAPI": {"parentRefs": [{"name": "gw"}]}}
SERVICE: dict[str, Any] = {"gatewayAPI": None, "service": {}}
ISTIO: dict[str, Any] = {"gatewayAPI": None, "istio": {"hosts": ["fraud"]}}
GRPC: dict[str, Any] = {"gatewayAPI": {"kind": "GRPCRoute"}}
ADOPTED: dict[str, Any] = {"gatewayAPI": {"parentRefs": None, "routeRef": {"name": "shop", "backend": "fraud"}}}
OTHERS = {"service": SERVICE, "istio": ISTIO, "kind": GRPC, "routeRef": ADOPTED}
AT_REST = (Phase.PENDING, Phase.STABLE, Phase.FAILED, Phase.REPORTED)
IN_FLIGHT = (Phase.PREPARING, Phase.PROGRESSING, Phase.PAUSED, Phase.PROMOTING, Phase.ROLLING_BACK)


@pytest.fixture
def server(served: ApiServer) -> Iterator[ApiServer]:
    """
    With one object.
    """
    template = {"spec": {"containers": [{"name": "m", "image": "i:1"}]}}
    document = {
        "apiVersion": "modelramp.io/v1alpha1",
        "kind": "MLModelDeployment",
        "metadata": {"name": NAME},
        "spec": {"model": {"version": "1"}, "serving": {"port": 80, "template": template}, "traffic": GATEWAY},
    }
    served.send("DELETE", PATH, None)
    made = served.send("POST", GROUP_PATH, document)
    assert made.status == 201, made.body
    yield served
    served.send("DELETE", PATH, None)


def in_phase(server: ApiServer, phase: Phase) -> None:
    """
    As the operator writes it.
    """
    answer = server.send("PATCH", f"{PATH}/status", {"status": {"phase": phase}}, MERGE)
    assert answer.status == 200, answer.body


def changed(server: ApiServer, **spec: Any) -> Answer:  # noqa: ANN401 - JSON
    """
    A dry run of an edit.
    """
    return server.send("PATCH", f"{PATH}?dryRun=All", {"spec": spec}, MERGE)


def test_the_phases_are_all_there_are() -> None:
    """At rest or in flight."""
    assert {*AT_REST, *IN_FLIGHT} == set(Phase)


@pytest.mark.parametrize("phase", IN_FLIGHT)
def test_in_flight_the_router_stays(server: ApiServer, phase: Phase) -> None:
    """Whichever it would be; everything else may be changed, the router's own fields too."""
    in_phase(server, phase)
    for other in OTHERS.values():
        answer = changed(server, traffic=other)
        assert answer.status == 422
        assert ("spec.traffic", ROUTER_STAYS) in [(path, said.split(": ", 1)[-1]) for path, said in answer.causes]
    assert changed(server, model={"version": "2"}).status == 200
    assert changed(server, traffic={"gatewayAPI": {"hostnames": ["other.example.com"]}}).status == 200


@pytest.mark.parametrize("phase", [None, *AT_REST])
def test_at_rest_it_may_be_changed(server: ApiServer, phase: Phase | None) -> None:
    """Before the operator has seen the object, too, and together with a new version."""
    if phase is not None:
        in_phase(server, phase)
    for other in OTHERS.values():
        answer = changed(server, traffic=other, model={"version": "2"})
        assert answer.status == 200, answer.body


def test_the_operator_goes_on_writing_its_status(server: ApiServer) -> None:
    """The rule is of edits: a status never breaks it."""
    for phase in (*IN_FLIGHT, *AT_REST):
        in_phase(server, phase)
