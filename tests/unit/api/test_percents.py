from typing import Any

import pytest
from fakes.rollout import spec
from pydantic import ValidationError

from modelramp.api.spec import WHOLE_PERCENTS

ISTIO: dict[str, Any] = {"istio": {"hosts": ["fraud"]}}
GATEWAY: dict[str, Any] = {"gatewayAPI": {"parentRefs": [{"name": "gw"}]}}


def steps(*shares: str) -> dict[str, Any]:
    return {"steps": [{"traffic": share} for share in shares]}


@pytest.mark.parametrize(
    "strategy", [{"canary": steps("0.5%", "100%")}, {"blueGreen": steps("12.5%", "100%")}], ids=["canary", "blue-green"]
)
def test_parts_of_a_percent_are_refused_where_weights_are_whole(strategy: dict[str, Any]) -> None:
    """
    Rounded shares would be others than those that are certified.
    """
    with pytest.raises(ValidationError, match=WHOLE_PERCENTS):
        spec(traffic=ISTIO, strategy=strategy)
    assert spec(traffic=GATEWAY, strategy=strategy).traffic.istio is None


@pytest.mark.parametrize(
    "strategy",
    [{}, {"shadow": {"mirror": "12.5%"}}, {"canary": steps("1%", "25.0%")}, {"blueGreen": steps("50%", "100.0%")}],
)
def test_whole_percents_are_not(strategy: dict[str, Any]) -> None:
    """
    However they are written; copies are no weights.
    """
    assert spec(traffic=ISTIO, strategy=strategy).traffic.by_pods is False
