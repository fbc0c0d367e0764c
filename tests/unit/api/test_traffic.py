"""
How long a request that was accepted may last, by router.
"""

import pytest
from fakes.rollout import spec


@pytest.mark.parametrize(
    ("traffic", "expected"),
    [
        ({"gatewayAPI": {"parentRefs": [{"name": "gw"}], "requestTimeout": "9s"}}, 9.0),
        ({"istio": {"hosts": ["a.example"], "requestTimeout": "7s"}}, 7.0),
        ({"service": {"drain": "5s"}}, 5.0),
    ],
    ids=["a gateway", "Istio", "a plain Service"],
)
def test_the_longest_request(traffic: dict[str, object], expected: float) -> None:
    """
    A plain Service knows no timeout of requests: its drain stands for it.
    """
    steps = {"canary": {"steps": [{"traffic": "50%"}]}}
    assert spec(traffic=traffic, strategy=steps).traffic.longest_request.seconds == expected
