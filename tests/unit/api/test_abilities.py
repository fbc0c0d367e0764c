import re
from typing import Any

import pytest
from fakes.rollout import spec
from pydantic import ValidationError

from modelramp.api.spec import (
    ISTIO_ONE_HOST,
    ISTIO_WHOLE_PERCENTS,
    ONE_WAY_TO_PREVIEW,
    PREVIEW_OWN_HOST,
    SERVICE_COPIES_NOTHING,
    SERVICE_READS_NO_HEADER,
    Cohort,
    Preview,
)

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
HOSTED: dict[str, Any] = {"strategy": {"blueGreen": {"preview": {"hostname": "preview.example.com"}}}}


def hosts(*names: str) -> dict[str, Any]:
    """
    A route of its own with these host names.
    """
    return {"gatewayAPI": {**GATEWAY["gatewayAPI"], "hostnames": names}}


@pytest.mark.parametrize(
    ("traffic", "asked", "said"),
    [
        *((SERVICE, asked, SERVICE_COPIES_NOTHING) for asked in COPIES),
        *((SERVICE, asked, SERVICE_READS_NO_HEADER) for asked in READS),
        (ISTIO, {"strategy": FINE}, ISTIO_WHOLE_PERCENTS),
        (SERVICE, HOSTED, SERVICE_READS_NO_HEADER),
        (ISTIO, HOSTED, ISTIO_ONE_HOST),
        (hosts("f.com", "preview.example.com"), HOSTED, PREVIEW_OWN_HOST),
    ],
)
def test_what_a_router_can_never_do_is_refused(traffic: dict[str, Any], asked: dict[str, Any], said: str) -> None:
    """
    With the way out.
    """
    with pytest.raises(ValidationError, match=re.escape(said)):
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
        (GATEWAY, HOSTED),
        (hosts("example.com", "*.example.com"), HOSTED),
        ({"gatewayAPI": {**GATEWAY["gatewayAPI"], "kind": "GRPCRoute"}}, HOSTED),
        (ISTIO, {"strategy": {"canary": {"steps": [{"traffic": "1%"}, {"traffic": "25.0%"}]}}}),
    ],
)
def test_what_it_can_is_not(traffic: dict[str, Any], asked: dict[str, Any]) -> None:
    """
    A strategy that is given stands above the use case's.
    """
    assert spec(traffic=traffic, **asked).traffic.by_pods is ("service" in traffic)


@pytest.mark.parametrize(
    ("hostname", "good"),
    [
        ("preview", True),
        ("preview.example.com", True),
        ("p-1.x2.io", True),
        ("a" * 63 + ".com", True),
        ("a" * 64 + ".com", False),
        ("*.example.com", False),
        ("Preview.example.com", False),
        ("10.0.0.1", False),
        ("preview.example.com.", False),
        ("-a.com", False),
        ("a-.com", False),
        ("a..com", False),
        ("https://a.com", False),
        ("a.com:8080", False),
        ("", False),
        ("a." * 126 + "co", False),
    ],
)
def test_a_previews_hostname_is_one_name(hostname: str, *, good: bool) -> None:
    """
    No pattern, address, port or scheme; as long as the DNS takes it.
    """
    if good:
        assert Preview(hostname=hostname).cohort is None
        return
    with pytest.raises(ValidationError):
        Preview(hostname=hostname)


@pytest.mark.parametrize("beside", [{"header": "x-team"}, {"value": "ml"}])
def test_a_preview_is_reached_one_way(beside: dict[str, str]) -> None:
    """
    By a header, with the usual name and value where they are not given, or by a host.
    """
    with pytest.raises(ValidationError, match=ONE_WAY_TO_PREVIEW):
        Preview(hostname="preview.example.com", **beside)
    assert Preview(**beside).cohort == Cohort(**beside)
    assert Preview().cohort == Cohort()
