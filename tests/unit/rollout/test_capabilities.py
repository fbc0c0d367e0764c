from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from fakes.rollout import arm, arms, candidate, route, situation

from modelramp.api.spec import MLModelDeploymentSpec
from modelramp.api.vocabulary import ConditionType, Phase, Reason
from modelramp.rollout.capabilities import GATEWAYS, Copies, cannot_copy, cannot_copy_to, impossible, serves_already
from modelramp.rollout.conditions import conditions
from modelramp.rollout.guards import candidate_listed

CONTOUR = "projectcontour.io/gateway-controller"
ENVOY_GATEWAY = "gateway.envoyproxy.io/gatewayclass-controller"
TRAEFIK = "traefik.io/gateway-controller"
GKE = "networking.gke.io/gateway"
UNKNOWN = "example.com/new"


def spec(strategy: dict[str, Any], **more: Any) -> MLModelDeploymentSpec:  # noqa: ANN401 - parts of a document
    return MLModelDeploymentSpec.model_validate(
        {
            "model": {"version": "1"},
            "serving": {"port": 8080, "template": {"spec": {"containers": [{"name": "m", "image": "i"}]}}},
            "traffic": {"gatewayAPI": {"parentRefs": [{"name": "gw"}]}},
            "strategy": strategy,
            **more,
        }
    )


@pytest.mark.parametrize(
    ("controller", "whole", "part"),
    [(CONTOUR, True, False), (ENVOY_GATEWAY, True, True), (TRAEFIK, False, False), (UNKNOWN, True, False)],
)
def test_what_a_gateway_can_copy(controller: str, whole: bool, part: bool) -> None:  # noqa: FBT001 - a table
    """A gateway nobody knows is trusted with what its status would deny, not with what it would ignore in silence."""
    assert cannot_copy(controller, Decimal(0)) is None
    assert (cannot_copy(controller, Decimal(100)) is None) is whole
    assert (cannot_copy(controller, Decimal("99.5")) is None) is part


@pytest.mark.parametrize(
    ("strategy", "said"),
    [
        ({"shadow": {"mirror": "10%"}}, "spec.strategy.shadow.mirror: Contour copies all requests whatever"),
        ({"canary": {"shadow": {"mirror": "2.5%"}}}, "spec.strategy.canary.shadow.mirror: Contour copies all"),
        ({"blueGreen": {"shadow": {"mirror": "1%"}}}, "spec.strategy.blueGreen.shadow.mirror: Contour copies all"),
    ],
)
def test_the_field_is_named(strategy: dict[str, Any], said: str) -> None:
    """And all is possible there."""
    message = impossible(spec(strategy), CONTOUR)
    assert message is not None
    assert message.startswith(said)
    assert "100% is possible" in message
    assert impossible(spec(strategy), ENVOY_GATEWAY) is None


def test_the_use_case_is_named_where_it_brings_the_stage() -> None:
    """It copies everything, which only some gateways cannot."""
    asked = spec({}, useCase="AssistHuman")
    assert str(impossible(asked, TRAEFIK)).startswith("spec.useCase: Traefik cannot copy requests")
    assert impossible(asked, CONTOUR) is None


@pytest.mark.parametrize(
    ("controller", "revisions", "possible"),
    [
        (CONTOUR, 4, True),
        (ENVOY_GATEWAY, 2, True),
        (GKE, 2, False),
        (GKE, 1, True),
        (UNKNOWN, 2, False),
        (UNKNOWN, 1, True),
    ],
)
def test_to_how_many_a_gateway_copies_at_once(controller: str, revisions: int, *, possible: bool) -> None:
    """A gateway nobody knows is not believed to copy to several: it might copy to the first only, in silence."""
    assert (cannot_copy_to(controller, revisions) is None) is possible


def test_others_where_the_gateway_copies_to_one_revision() -> None:
    """The field is named; a first fault of the copies themselves is named first."""
    others = [{"name": "a", "model": {"version": "2"}}]
    message = impossible(spec({"shadow": {"others": others}}), GKE)
    assert str(message).startswith("spec.strategy.shadow.others: GKE Gateway copies requests to one revision only")
    assert impossible(spec({"shadow": {"others": others}}), CONTOUR) is None
    assert str(impossible(spec({"shadow": {"others": others}}), TRAEFIK)).startswith("spec.strategy.shadow.mirror")


def test_an_other_that_serves() -> None:
    """The place in the list is named."""
    asked = spec({"shadow": {"others": [{"name": n, "model": {"version": n}} for n in ("2", "3")]}})
    revisions = [other.revision for other in asked.others]
    first, second = revisions
    assert serves_already(revisions, second) == "spec.strategy.shadow.others[1]: it is the revision that serves"
    assert serves_already(revisions, asked.revision) is None
    assert serves_already(revisions, None) is None
    assert first != second


def test_an_unknown_gateway_is_named() -> None:
    """By its controller."""
    assert UNKNOWN in str(impossible(spec({"shadow": {"mirror": "10%"}}), UNKNOWN))


@pytest.mark.parametrize("controller", [None, *GATEWAYS])
def test_shares_alone_are_possible_everywhere(controller: str | None) -> None:
    """And nothing is impossible before a gateway has spoken."""
    assert impossible(spec({"canary": {"cohort": {}}}), controller) is None
    assert impossible(spec({"shadow": {"mirror": "10%"}}), None) is None


def test_the_table_tells_gateways_apart() -> None:
    """Every kind occurs, and every name is its own."""
    assert {one.copies for one in GATEWAYS.values()} == set(Copies)
    assert {one.several for one in GATEWAYS.values()} == {True, False}
    assert {one.timeouts for one in GATEWAYS.values()} == {True, False}
    assert len({one.title for one in GATEWAYS.values()}) == len(GATEWAYS)


@pytest.mark.parametrize(("controller", "possible"), [(CONTOUR, False), (ENVOY_GATEWAY, True)])
def test_the_candidate_waits_before_anything_is_routed(controller: str, possible: bool) -> None:  # noqa: FBT001
    """And the object says why."""
    s = situation(
        Phase.PREPARING,
        remembered={"candidate": candidate(warm=True)},
        sections={"strategy": {"shadow": {"mirror": "10%"}}},
        arms=arms(arm("1"), arm("2")),
        route=route({"1": "100", "2": "0"}, controller=controller),
    )
    assert (s.impossible is None) is possible
    accepted = next(one for one in conditions(s) if one.type == ConditionType.ACCEPTED)
    expected = ("True", Reason.ACCEPTED) if possible else ("False", Reason.INVALID_SPEC)
    assert (accepted.status, accepted.reason) == expected
    assert candidate_listed(s) is possible


def test_the_page_of_routers_has_the_same_table() -> None:
    """People choose by it."""
    page = (Path(__file__).parents[3] / "docs" / "routers.md").read_text(encoding="utf-8")
    rows = [
        f"| {one.title} | `{controller}` | {one.copies} | {'yes' if one.several else 'no'} | "
        f"{'yes' if one.timeouts else 'no'} |"
        for controller, one in GATEWAYS.items()
    ]
    assert "--- |\n" + "\n".join(rows) + "\n\n" in page
