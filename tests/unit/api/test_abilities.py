from typing import Any

import pytest
from fakes.rollout import spec
from pydantic import ValidationError

from modelramp.api.spec import ISTIO_WHOLE_PERCENTS, SERVICE_COPIES_NOTHING, SERVICE_READS_NO_HEADER

SERVICE: dict[str, Any] = {"service": {}}
ISTIO: dict[str, Any] = {"istio": {"hosts": ["fraud"]}}
GATEWAY: dict[str, Any] = {"gatewayAPI": {"parentRefs": [{"name": "gw"}]}}
FINE = {"canary": {"steps": [{"traffic": "0.5%"}, {"traffic": "100.0%"}]}}
COPIES: list[dict[str, Any]] = [
    {"strategy": {"shadow": {}}},
    {"strategy": {"canary": {"shadow": {}}}},
    {"strategy": {"blueGreen": {"shadow": {}}}},
    {"useCase": "AssistHuman"},
    {"useCase": "ReplaceSystem"},
]
READS: list[dict[str, Any]] = [
    {"strategy": {"canary": {"cohort": {}}}},
    {"strategy": {"blueGreen": {"preview": {}}}},
]


@pytest.mark.parametrize(
    ("traffic", "asked", "said"),
    [
        *((SERVICE, asked, SERVICE_COPIES_NOTHING) for asked in COPIES),
        *((SERVICE, asked, SERVICE_READS_NO_HEADER) for asked in READS),
        (ISTIO, {"strategy": FINE}, ISTIO_WHOLE_PERCENTS),
    ],
)
def test_what_a_router_can_never_do_is_refused(traffic: dict[str, Any], asked: dict[str, Any], said: str) -> None:
    """
    With the way out.
    """
    with pytest.raises(ValidationError, match=said.split(":", maxsplit=1)[0]):
        spec(traffic=traffic, **asked)


@pytest.mark.parametrize(
    ("traffic", "asked"),
    [
        (SERVICE, {}),
        (SERVICE, {"strategy": FINE}),
        (SERVICE, {"strategy": {"blueGreen": {}}}),
        (SERVICE, {"useCase": "NewCapability"}),
        (SERVICE, {"useCase": "AssistHuman", "strategy": FINE}),
        *((router, asked) for router in (GATEWAY, ISTIO) for asked in (*COPIES, *READS)),
        (GATEWAY, {"strategy": FINE}),
        (ISTIO, {"strategy": {"canary": {"steps": [{"traffic": "1%"}, {"traffic": "25.0%"}]}}}),
    ],
)
def test_what_it_can_is_not(traffic: dict[str, Any], asked: dict[str, Any]) -> None:
    """
    A strategy that is given stands above the use case's.
    """
    assert spec(traffic=traffic, **asked).traffic.by_pods is ("service" in traffic)
