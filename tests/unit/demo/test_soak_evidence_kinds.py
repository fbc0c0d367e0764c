"""What the soak of the evidence rolls out, in what order, and whom a rollback may blame."""

from collections import Counter
from typing import Any

import pytest
import yaml
from demo.stage import Stage
from soak_evidence.kinds import BAD, BASE, ERRORS, HEALTHY, KINDS, LATE, LATENCY, SLICE, Culprit, Kind, culprits, plan
from soak_evidence.manifest import FULL, QUICK, Pace, manifest

STAGE = Stage(context=None, environment={}, gateway="there/gw", url="", prometheus="")


def test_ten_of_each_sort_by_turns() -> None:
    """The bad ones 3, 3, 2 and 2."""
    kinds = plan(10)
    assert Counter(kind.name for kind in kinds) == {"healthy": 10, "errors": 3, "latency": 3, "slice": 2, "late": 2}
    assert [kind.healthy for kind in kinds] == [True, False] * 10


@pytest.mark.parametrize(
    ("rollouts", "only", "names"),
    [
        (1, (), ["healthy", "errors"]),
        (3, ("slice",), ["slice"] * 3),
        (2, ("healthy",), ["healthy"] * 2),
        (2, ("late", "healthy", "latency"), ["healthy", "latency", "healthy", "late"]),
    ],
)
def test_some_kinds_only(rollouts: int, only: tuple[str, ...], names: list[str]) -> None:
    """So many of each sort that is wanted."""
    assert [kind.name for kind in plan(rollouts, only)] == names


def test_every_kind_is_another_revision_than_the_healthy_one() -> None:
    """Each bad kind changes knobs that a healthy version has otherwise."""
    assert all(kind.environment != HEALTHY.environment for kind in BAD)
    assert HEALTHY.environment == dict(BASE)
    assert set(KINDS) == {"healthy", "errors", "latency", "slice", "late"}


def blaming(names: str) -> str:
    """The message of a rollback as the operator writes it."""
    return (
        f"version 4 (abc123) is worse than allowed{names} at step 1/4 at 5%: errors: candidate 14 bad of 288, "
        "stable 50 of 5120, harm evidence 131 of 100, not-worse evidence 0.01 of 20; latency: candidate 3 bad of 9"
    )


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (" in errors", [Culprit("errors")]),
        (" in errors and latency", [Culprit("errors"), Culprit("latency")]),
        (' in tenant-errors{tenant="b"}', [Culprit("tenant-errors", "b")]),
        (
            ' in errors, tenant-errors{tenant="b"} and tenant-errors',
            [Culprit("errors"), Culprit("tenant-errors", "b"), Culprit("tenant-errors")],
        ),
        (" in tenant-errors[tenant=b]", [Culprit("tenant-errors", "b")]),
        (" in errors or tenant-errors", [Culprit("errors"), Culprit("tenant-errors")]),
    ],
)
def test_the_culprits_are_those_the_message_names(names: str, found: list[Culprit]) -> None:
    """And none of the metrics whose counts follow."""
    assert list(culprits(blaming(names))) == found


def test_other_rollbacks_blame_no_metric() -> None:
    """A crash is no verdict of the evidence."""
    assert culprits("version 4 (abc123) keeps crashing: model: exit 1") == ()


ERR, LAT, ALL = Culprit("errors"), Culprit("latency"), Culprit("tenant-errors")
B, C = Culprit("tenant-errors", "b"), Culprit("tenant-errors", "c")


@pytest.mark.parametrize(
    ("kind", "named", "right"),
    [
        (ERRORS, [ERR], True),
        (ERRORS, [ERR, ALL, B], True),
        (ERRORS, [ERR, LAT], False),
        (ERRORS, [], False),
        (LATE, [ALL], True),
        (LATE, [LAT], False),
        (LATENCY, [LAT], True),
        (LATENCY, [LAT, ERR], False),
        (SLICE, [B], True),
        (SLICE, [ERR, B], True),
        (SLICE, [ERR, ALL], False),
        (SLICE, [B, C], False),
        (SLICE, [B, LAT], False),
    ],
)
def test_who_is_to_blame(kind: Kind, named: list[Culprit], right: bool) -> None:  # noqa: FBT001 - a column of a table
    """Somebody who is guilty, nobody who is not; of the slice, the slice itself."""
    assert kind.rightly(named) is right


def spec_of(text: str) -> dict[str, Any]:
    """The spec of a manifest."""
    spec: dict[str, Any] = yaml.safe_load(text)["spec"]
    return spec


def test_the_manifest_asks_for_a_version_with_its_knobs() -> None:
    """The knobs are strings in the environment of the model's container, which makes them part of the revision."""
    spec = spec_of(manifest(STAGE, "evidence-1", "7", LATENCY.environment, FULL))
    assert spec["model"] == {"version": "7", "uri": "file:///models/digits/2"}
    environment = spec["serving"]["template"]["spec"]["containers"][0]["env"]
    assert {"name": "DIGITS_SERVICE_FACTOR", "value": "1.3"} in environment
    assert all(isinstance(one["value"], str) for one in environment)
    assert spec["traffic"]["gatewayAPI"] == {
        "parentRefs": [{"name": "gw", "namespace": "there"}],
        "hostnames": ["evidence-1.example.com"],
    }


def test_the_manifest_is_judged_on_errors_latency_and_tenants() -> None:
    """Steps and margins of the pace; every slice that the clients send."""
    spec = spec_of(manifest(STAGE, "evidence-1", "7", HEALTHY.environment, FULL))
    canary = spec["strategy"]["canary"]
    assert [step["traffic"] for step in canary["steps"]] == ["5%", "25%", "50%", "100%"]
    assert canary["blastRadius"] == "1%"
    analysis = spec["analysis"]
    assert [metric.get("preset", metric.get("name")) for metric in analysis["metrics"]] == [
        "latency",
        "tenant-errors",
    ]
    assert analysis["slices"] == {"label": "tenant", "values": ["a", "b", "c", "d"]}
    assert analysis["overdispersion"] == "1"


def test_the_gateways_errors_are_judged_when_asked_for() -> None:
    """Beside the server's own count of the same events."""
    assert Pace(gateway_errors=True).analysis["metrics"] == [{"preset": "errors"}, *FULL.analysis["metrics"]]


def test_the_pace_may_leave_the_overdispersion_to_the_operator() -> None:
    """Absent is not null: the API server would drop it, kubectl's diff would not."""
    assert "overdispersion" not in Pace(overdispersion=None).analysis
    spec = spec_of(manifest(STAGE, "sample", "1", HEALTHY.environment, QUICK))
    assert [step["traffic"] for step in spec["strategy"]["canary"]["steps"]] == ["25%", "100%"]
