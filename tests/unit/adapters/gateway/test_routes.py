from decimal import Decimal
from typing import Any

import pytest

from modelramp.adapters.gateway.rendering import gateway_duration
from modelramp.adapters.gateway.routes import contested_by, shares_in
from modelramp.api.scalars import Duration
from modelramp.ports import Key

KEY = Key("ml", "fraud")
OURS = {"apiVersion": "modelramp.io/v1alpha1", "kind": "MLModelDeployment", "name": "fraud", "uid": "u1"}


def backend(name: str, weight: int | None = None) -> dict[str, Any]:
    return {"name": name} if weight is None else {"name": name, "weight": weight}


def route(
    *rules: list[dict[str, Any]], owner: dict[str, Any] | None = OURS, writers: tuple[str, ...] = ("modelramp",)
) -> Any:  # noqa: ANN401 - a document
    references = [{**owner, "controller": True}] if owner else []
    return {
        "metadata": {
            "name": "fraud",
            "namespace": "ml",
            "ownerReferences": references,
            "managedFields": [{"manager": writer} for writer in writers],
        },
        "spec": {"rules": [{"backendRefs": backends} for backends in rules]},
    }


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        pytest.param([[backend("fraud-a", 95), backend("fraud-b", 5)]], {"a": "95", "b": "5"}, id="ours"),
        pytest.param([[backend("fraud-a"), backend("fraud-b")]], {"a": "50", "b": "50"}, id="no weight is 1"),
        pytest.param(
            [[backend("fraud-a", 1), backend("theirs", 3)]], {"a": "25"}, id="a stranger's share is no revision's"
        ),
        pytest.param([[backend("fraud-a", 100)], [backend("fraud-b", 1)]], {"a": "100", "b": "100"}, id="another rule"),
        pytest.param([[backend("fraud-a", 1), backend("fraud-a", 1)]], {"a": "100"}, id="listed twice"),
        pytest.param([[]], {}, id="nobody"),
    ],
)
def test_shares_are_the_most_that_may_reach_a_revision(rules: list[Any], expected: dict[str, str]) -> None:
    """Whoever wrote the route."""
    assert shares_in(route(*rules), KEY) == {name: Decimal(percent) for name, percent in expected.items()}


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        pytest.param(route(), None, id="ours alone"),
        pytest.param(route(writers=("modelramp", "argocd")), "argocd", id="somebody writes with us"),
        pytest.param(route(writers=("kubectl-edit",)), "kubectl-edit", id="somebody wrote over us"),
        pytest.param(
            route(owner=None, writers=("helm",)), "helm, who made an HTTPRoute of this name", id="a stranger's"
        ),
        pytest.param(
            route(owner={**OURS, "kind": "Rollout", "name": "shop"}),
            "Rollout shop, which owns an HTTPRoute of this name",
            id="another controller's",
        ),
        pytest.param(
            route(owner={**OURS, "uid": "earlier"}),
            "MLModelDeployment fraud, which owns an HTTPRoute of this name",
            id="of an earlier object of the name",
        ),
    ],
)
def test_who_contests_the_route(document: Any, expected: str | None) -> None:  # noqa: ANN401 - a document
    """None when nobody does."""
    assert contested_by(document, KEY, "u1") == expected


@pytest.mark.parametrize(
    ("written", "expected"),
    [("60s", "1m"), ("0s", "0s"), ("24h", "24h"), ("90s", "1m30s"), ("1500ms", "1s500ms"), ("9999999s", "2777h46m39s")],
)
def test_durations_as_the_gateway_api_writes_them(written: str, expected: str) -> None:
    """It takes few digits."""
    assert gateway_duration(Duration(written)) == expected
