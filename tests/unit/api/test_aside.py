from typing import Any

import pytest
from pydantic import ValidationError

from modelramp.api.spec import SHARES_ONLY, MLModelDeploymentSpec

OWN: dict[str, Any] = {"parentRefs": [{"name": "gw"}]}
ADOPTED: dict[str, Any] = {"routeRef": {"name": "shop", "backend": "fraud"}}


def parse(gateway: dict[str, Any] | None, strategy: dict[str, Any], use_case: str | None) -> MLModelDeploymentSpec:
    traffic = {"istio": {"hosts": ["fraud.example"]}} if gateway is None else {"gatewayAPI": gateway}
    return MLModelDeploymentSpec.model_validate(
        {
            "model": {"version": "1"},
            "serving": {"port": 8080, "template": {"spec": {"containers": [{"name": "m", "image": "i"}]}}},
            "traffic": traffic,
            "strategy": strategy,
            "useCase": use_case,
        }
    )


@pytest.mark.parametrize(
    ("strategy", "use_case", "possible"),
    [
        ({}, None, True),
        ({}, "NewCapability", True),
        ({}, "AssistHuman", False),
        ({}, "ReplaceSystem", False),
        ({"canary": {}}, "AssistHuman", True),
        ({"blueGreen": {}}, "ReplaceSystem", True),
        ({"canary": {"shadow": {}}}, None, False),
        ({"canary": {"cohort": {}}}, None, False),
        ({"blueGreen": {"shadow": {}}}, None, False),
        ({"blueGreen": {"preview": {}}}, None, False),
        ({"shadow": {}}, None, False),
    ],
)
def test_a_route_of_somebody_elses_is_split_only(
    strategy: dict[str, Any],
    use_case: str | None,
    possible: bool,  # noqa: FBT001 - a table
) -> None:
    """What else a strategy asks for needs a route of its own, or another router."""
    parse(OWN, strategy, use_case)
    parse(None, strategy, use_case)
    if possible:
        parse(ADOPTED, strategy, use_case)
        return
    with pytest.raises(ValidationError) as refused:
        parse(ADOPTED, strategy, use_case)
    assert [error["msg"].removeprefix("Value error, ") for error in refused.value.errors()] == [SHARES_ONLY]
