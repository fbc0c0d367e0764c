from decimal import Decimal
from typing import Any

import pytest

from modelramp.adapters.gateway.reading import cohort_in, compared_in, mirrors_in, shares_in
from modelramp.adapters.gateway.rendering import gateway_duration, mirrored, own_route
from modelramp.adapters.kubernetes.owned import contested_by
from modelramp.api.scalars import Duration
from modelramp.api.spec import MLModelDeploymentSpec
from modelramp.ports import Key, Owner
from modelramp.rollout.observed import CohortRoute
from modelramp.rollout.plan import SetTraffic

KEY = Key("ml", "fraud")
SPEC = MLModelDeploymentSpec.model_validate(
    {
        "model": {"version": "1"},
        "serving": {"port": 8080, "template": {"spec": {"containers": [{"name": "m", "image": "i"}]}}},
        "traffic": {"gatewayAPI": {"parentRefs": [{"name": "gw"}]}},
    }
)
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
    assert contested_by(document, KEY, "u1", "HTTPRoute") == expected


@pytest.mark.parametrize(
    ("written", "expected"),
    [("60s", "1m"), ("0s", "0s"), ("24h", "24h"), ("90s", "1m30s"), ("1500ms", "1s500ms"), ("9999999s", "2777h46m39s")],
)
def test_durations_as_the_gateway_api_writes_them(written: str, expected: str) -> None:
    """It takes few digits."""
    assert gateway_duration(Duration(written)) == expected


COHORT = CohortRoute(header="x-model-cohort", value="candidate", revision="b")
HEADER = {"type": "Exact", "name": "x-model-cohort", "value": "candidate"}
ALL = {"path": {"type": "PathPrefix", "value": "/"}}


def with_rules(*rules: dict[str, Any]) -> Any:  # noqa: ANN401 - a document
    return {**route(), "spec": {"rules": list(rules)}}


def cohort_rule(*backends: dict[str, Any], **match: Any) -> dict[str, Any]:  # noqa: ANN401 - parts of a document
    return {"matches": [{**ALL, "headers": [HEADER], **match}], "backendRefs": list(backends or [backend("fraud-b")])}


@pytest.mark.parametrize(
    ("rule", "cohort", "share"),
    [
        pytest.param(cohort_rule(), COHORT, None, id="a header's way"),
        pytest.param(cohort_rule(headers=[{**HEADER, "type": "RegularExpression"}]), None, "100", id="a pattern"),
        pytest.param(
            cohort_rule(headers=[{"name": "x-model-cohort", "value": "candidate"}]), COHORT, None, id="exact by default"
        ),
        pytest.param(cohort_rule(headers=[HEADER, HEADER]), None, "100", id="two headers"),
        pytest.param(cohort_rule(headers=[]), None, "100", id="no header"),
        pytest.param(cohort_rule(queryParams=[{"name": "a", "value": "b"}]), None, "100", id="and a parameter"),
        pytest.param({"matches": [ALL, ALL], "backendRefs": [backend("fraud-b")]}, None, "100", id="two matches"),
        pytest.param({"backendRefs": [backend("fraud-b")]}, None, "100", id="whatever comes"),
        pytest.param(cohort_rule(backend("fraud-b", 0)), None, "0", id="without weight"),
        pytest.param(cohort_rule(backend("theirs")), None, None, id="to a stranger"),
        pytest.param(cohort_rule(backend("fraud-b"), backend("fraud-c")), None, "50", id="to two"),
    ],
)
def test_the_cohorts_rule_is_told_from_a_share(
    rule: dict[str, Any], cohort: CohortRoute | None, share: str | None
) -> None:
    """Every other rule may let that much reach a revision."""
    document = with_rules(rule, {"backendRefs": [backend("fraud-a", 1)]})
    assert cohort_in(document, KEY) == cohort
    assert shares_in(document, KEY).get("b") == (None if share is None else Decimal(share))
    assert shares_in(document, KEY)["a"] == 100


def test_a_second_cohort_counts_as_a_share() -> None:
    """We write one."""
    second = cohort_rule(backend("fraud-c"), headers=[{**HEADER, "value": "other"}])
    document = with_rules(cohort_rule(), second, {"backendRefs": [backend("fraud-a", 1)]})
    assert (cohort_in(document, KEY), shares_in(document, KEY)) == (COHORT, {"c": 100, "a": 100})


def mirror(name: str, **part: Any) -> dict[str, Any]:  # noqa: ANN401 - parts of a document
    return {"type": "RequestMirror", "requestMirror": {"backendRef": {"name": name}, **part}}


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        pytest.param([mirror("fraud-b")], {"b": "100"}, id="all"),
        pytest.param([mirror("fraud-b", percent=10)], {"b": "10"}, id="a percentage"),
        pytest.param(
            [mirror("fraud-b", fraction={"numerator": 1, "denominator": 400})], {"b": "0.25"}, id="a fraction"
        ),
        pytest.param([mirror("fraud-b", fraction={"numerator": 3})], {"b": "3"}, id="of a hundred"),
        pytest.param([mirror("fraud-b", percent=0)], {}, id="none"),
        pytest.param([mirror("theirs")], {}, id="to a stranger"),
        pytest.param([mirror("fraud-b-cmp", percent=10)], {"b": "10"}, id="by the comparator"),
        pytest.param([mirror("fraud-b-cmp", percent=10), mirror("fraud-b")], {"b": "100"}, id="both ways"),
        pytest.param([{"type": "URLRewrite", "urlRewrite": {}}], {}, id="another filter"),
        pytest.param([mirror("fraud-b", percent=10), mirror("fraud-c")], {"b": "10", "c": "100"}, id="several"),
        pytest.param([mirror("fraud-b", percent=10), mirror("fraud-b", percent=5)], {"b": "10"}, id="twice"),
    ],
)
@pytest.mark.parametrize("of_backend", [True, False])
def test_copies_are_read_wherever_they_are_asked_for(
    filters: list[Any],
    expected: dict[str, str],
    of_backend: bool,  # noqa: FBT001 - a case
) -> None:
    """On the rule, or on one backend of it."""
    rule = {"backendRefs": [{**backend("fraud-a", 1), "filters": filters}]} if of_backend else {"filters": filters}
    document = with_rules({"backendRefs": [backend("fraud-a", 1)], **rule})
    assert mirrors_in(document, KEY) == {name: Decimal(percent) for name, percent in expected.items()}


@pytest.mark.parametrize(
    ("percent", "expected"),
    [
        ("100", {}),
        ("1E+2", {}),
        ("10", {"percent": 10}),
        ("1E+1", {"percent": 10}),
        ("0.25", {"fraction": {"numerator": 25, "denominator": 10_000}}),
        ("33.3333", {"fraction": {"numerator": 333_333, "denominator": 1_000_000}}),
    ],
)
def test_the_copied_part_as_the_gateway_api_writes_it(percent: str, expected: dict[str, Any]) -> None:
    """All of it is written as nothing: who does not know the field copies everything."""
    assert mirrored(Decimal(percent)) == expected


def test_the_cohort_comes_first_and_nothing_of_it_is_copied() -> None:
    """The rule of the weights holds the mirror."""
    effect = SetTraffic(
        shares={"a": Decimal(100), "b": Decimal(0)},
        mirrors={"b": Decimal(10)},
        cohort=COHORT,
        raises_exposure=True,
    )
    first, second = own_route(Owner(key=KEY, uid="u1"), SPEC, effect)["spec"]["rules"]
    target = {"group": "", "kind": "Service", "name": "fraud-b", "port": 80}
    assert first == {
        "matches": [{**ALL, "headers": [HEADER]}],
        "timeouts": {"request": "1m"},
        "backendRefs": [{**target, "weight": 1}],
    }
    assert second["matches"] == [ALL]
    assert second["filters"] == [
        {"type": "RequestMirror", "requestMirror": {"backendRef": target, "percent": 10}},
    ]
    assert [one["weight"] for one in second["backendRefs"]] == [100, 0]


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        pytest.param([mirror("fraud-b-cmp")], {"b"}, id="all"),
        pytest.param([mirror("fraud-b-cmp", percent=10)], {"b"}, id="a percentage"),
        pytest.param([mirror("fraud-b-cmp", percent=0)], set(), id="none"),
        pytest.param([mirror("fraud-b")], set(), id="straight"),
        pytest.param([mirror("fraud-b"), mirror("fraud-c-cmp")], {"c"}, id="both ways"),
        pytest.param([mirror("theirs-cmp")], set(), id="to a stranger"),
        pytest.param([{"type": "URLRewrite", "urlRewrite": {}}], set(), id="another filter"),
    ],
)
def test_copies_that_go_to_a_comparator_are_told_apart(filters: list[Any], expected: set[str]) -> None:
    """
    By the name of its Service.
    """
    assert compared_in(with_rules({"backendRefs": [backend("fraud-a", 1)], "filters": filters}), KEY) == expected


@pytest.mark.parametrize("by_way", [True, False])
def test_copies_are_written_to_the_comparator_or_to_the_revision(by_way: bool) -> None:  # noqa: FBT001 - a case
    """
    And read back as they were asked for; only the copies' way differs.
    """
    compared = frozenset({"b"}) if by_way else frozenset()
    effect = SetTraffic(
        shares={"a": Decimal(100), "b": Decimal(0)},
        mirrors={"b": Decimal(10)},
        compared=compared,
        raises_exposure=True,
    )
    document = own_route(Owner(key=KEY, uid="u1"), SPEC, effect)
    (rule,) = document["spec"]["rules"]
    target = {"group": "", "kind": "Service", "name": "fraud-b-cmp" if by_way else "fraud-b", "port": 80}
    assert rule["filters"] == [{"type": "RequestMirror", "requestMirror": {"backendRef": target, "percent": 10}}]
    assert [one["name"] for one in rule["backendRefs"]] == ["fraud-a", "fraud-b"]
    assert (mirrors_in(document, KEY), compared_in(document, KEY)) == (effect.mirrors, compared)
    assert shares_in(document, KEY) == effect.shares
