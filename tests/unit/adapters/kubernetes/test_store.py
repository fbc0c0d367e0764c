from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelramp.adapters.kubernetes.projection import project
from modelramp.adapters.kubernetes.resources import Kind
from modelramp.adapters.kubernetes.store import GRAVES, Store
from modelramp.ports import Key

FRAUD = Key("ml", "fraud")
OWNED = [
    {
        "apiVersion": "modelramp.io/v1alpha1",
        "kind": "MLModelDeployment",
        "name": "fraud",
        "uid": "m",
        "controller": True,
    }
]


def body(
    version: int | str,
    *,
    name: str = "fraud-r1",
    uid: str = "u1",
    parent: str | None = "fraud",
    **parts: Any,  # noqa: ANN401 - a document
) -> Any:  # noqa: ANN401 - a document
    labels = {"modelramp.io/deployment": parent} if parent else {}
    metadata = {"name": name, "namespace": "ml", "uid": uid, "resourceVersion": str(version), "labels": labels}
    return {"metadata": metadata, "spec": {"replicas": 1}, **parts}


def model(version: int, **parts: Any) -> Any:  # noqa: ANN401 - a document
    return body(version, name="fraud", uid="m", parent=None, **parts)


def replicas(store: Store) -> list[int]:
    return [item["spec"]["replicas"] for item in store.children(Kind.DEPLOYMENT, FRAUD)]


def test_a_child_wakes_its_object() -> None:
    """When it comes, when it changes, when it goes."""
    store = Store()
    assert store.heard(Kind.DEPLOYMENT, None, body(1)) == FRAUD
    assert store.heard(Kind.DEPLOYMENT, "MODIFIED", body(2, spec={"replicas": 2})) == FRAUD
    assert replicas(store) == [2]
    assert store.heard(Kind.DEPLOYMENT, "DELETED", body(3)) == FRAUD
    assert replicas(store) == []


def test_what_does_not_matter_wakes_nobody() -> None:
    """A heartbeat is no change, but its version is remembered."""
    store = Store()
    store.heard(Kind.DEPLOYMENT, "ADDED", body(1))
    assert store.heard(Kind.DEPLOYMENT, "MODIFIED", body(5, status={"readyReplicas": 9})) is None
    assert store.heard(Kind.DEPLOYMENT, "MODIFIED", body(4, spec={"replicas": 7})) is None
    assert replicas(store) == [1]


def test_what_belongs_to_nobody_wakes_nobody() -> None:
    """Without our label."""
    store = Store()
    assert store.heard(Kind.DEPLOYMENT, "ADDED", body(1, parent=None)) is None


def test_an_older_version_of_the_same_object_is_ignored() -> None:
    """As numbers: 9 is older than 10."""
    store = Store()
    store.heard(Kind.DEPLOYMENT, "MODIFIED", body(10, spec={"replicas": 3}))
    assert store.heard(Kind.DEPLOYMENT, "MODIFIED", body(9)) is None
    assert replicas(store) == [3]


def test_a_new_object_of_the_name_replaces_the_earlier_one_for_good() -> None:
    """Late news of the earlier one is no news."""
    store = Store()
    store.heard(Kind.DEPLOYMENT, "ADDED", body(5))
    assert store.heard(Kind.DEPLOYMENT, "ADDED", body(7, uid="u2", spec={"replicas": 4})) == FRAUD
    assert store.heard(Kind.DEPLOYMENT, "MODIFIED", body(6, spec={"replicas": 9})) is None
    assert store.heard(Kind.DEPLOYMENT, "DELETED", body(6)) is None
    assert replicas(store) == [4]


def test_a_deleted_object_does_not_come_back() -> None:
    """An answer that was under way when it was deleted comes too late."""
    store = Store()
    store.heard(Kind.DEPLOYMENT, "ADDED", body(5))
    store.heard(Kind.DEPLOYMENT, "DELETED", body(6))
    assert store.heard(Kind.DEPLOYMENT, None, body(5)) is None
    assert replicas(store) == []


def test_a_deletion_nobody_knew_of_is_remembered_too() -> None:
    """Its creation may be told of later."""
    store = Store()
    assert store.heard(Kind.DEPLOYMENT, "DELETED", body(6)) is None
    assert store.heard(Kind.DEPLOYMENT, "ADDED", body(5)) is None


def test_the_memory_of_deletions_is_bounded() -> None:
    """The oldest is forgotten first."""
    store = Store()
    for number in range(GRAVES + 1):
        store.heard(Kind.POD, "DELETED", body(1, uid=f"u{number}", status={}))
    assert len(store._graves) == GRAVES
    assert "u0" not in store._graves


def test_a_child_that_changes_its_object_leaves_the_first() -> None:
    """The label decides."""
    store = Store()
    store.heard(Kind.DEPLOYMENT, "ADDED", body(1))
    assert store.heard(Kind.DEPLOYMENT, "MODIFIED", body(2, parent="churn")) == Key("ml", "churn")
    assert replicas(store) == []


def test_an_own_status_write_wakes_nobody_twice() -> None:
    """The event of the write brings what the answer brought."""
    store = Store()
    assert store.heard(Kind.MODEL, None, model(1)) == FRAUD
    assert store.heard(Kind.MODEL, None, model(2, status={"phase": "Stable"})) == FRAUD
    assert store.heard(Kind.MODEL, "MODIFIED", model(2, status={"phase": "Stable"})) is None
    assert store.keys() == (FRAUD,)


@pytest.mark.parametrize("known", [True, False])
def test_a_strangers_route_wakes_the_object_of_its_name(known: bool) -> None:  # noqa: FBT001
    """If there is one; it is remembered anyhow, for an object that comes later."""
    store = Store()
    if known:
        store.heard(Kind.MODEL, None, model(1))
    route = body(5, name="fraud", uid="r", parent=None)
    assert store.heard(Kind.HTTP_ROUTE, "ADDED", route) == (FRAUD if known else None)
    assert store.get(Kind.HTTP_ROUTE, FRAUD) is not None


def test_a_route_without_labels_is_known_by_its_owner() -> None:
    """Labels can be removed."""
    store = Store()
    route = body(5, name="fraud", uid="r", parent=None)
    route["metadata"]["ownerReferences"] = OWNED
    assert store.heard(Kind.HTTP_ROUTE, "ADDED", route) == FRAUD


def adopting(name: str, route: str = "shop", kind: str | None = None) -> dict[str, Any]:
    document = model(1)
    document["metadata"] |= {"name": name, "uid": f"uid-{name}"}
    gateway = {"routeRef": {"name": route, "backend": name}, **({"kind": kind} if kind else {})}
    return {**document, "spec": {"traffic": {"gatewayAPI": gateway}}}


def test_an_adopted_route_wakes_the_objects_that_name_it() -> None:
    """One is told with the event, the others are asked for; a list tells all of them."""
    store = Store()
    risk, shop = Key("ml", "risk"), Key("ml", "shop")
    for name in ("fraud", "risk"):
        store.heard(Kind.MODEL, None, adopting(name))
    store.heard(Kind.MODEL, None, adopting("grpc", kind="GRPCRoute"))
    route = body(5, name="shop", uid="r", parent=None)
    assert store.heard(Kind.HTTP_ROUTE, "ADDED", route) == FRAUD
    assert store.adopters(Kind.HTTP_ROUTE, shop) == (FRAUD, risk)
    assert store.adopters(Kind.GRPC_ROUTE, shop) == (Key("ml", "grpc"),)
    changed = body(6, name="shop", uid="r", parent=None, spec={"rules": []})
    assert store.replace_all(Kind.HTTP_ROUTE, [changed], "7") == {FRAUD, risk}
    assert store.replace_all(Kind.HTTP_ROUTE, [changed], "7") == set()


def test_an_object_that_names_another_route_or_goes_is_not_woken_any_more() -> None:
    """Nor is one that makes a route of its own."""
    store = Store()
    store.heard(Kind.MODEL, None, adopting("fraud"))
    elsewhere = adopting("fraud", route="other")
    elsewhere["metadata"]["resourceVersion"] = "2"
    store.heard(Kind.MODEL, "MODIFIED", elsewhere)
    assert store.adopters(Kind.HTTP_ROUTE, Key("ml", "shop")) == ()
    assert store.adopters(Kind.HTTP_ROUTE, Key("ml", "other")) == (FRAUD,)
    store.heard(Kind.MODEL, "DELETED", elsewhere)
    assert store.adopters(Kind.HTTP_ROUTE, Key("ml", "other")) == ()


def test_routes_that_carry_an_annotation_of_ours_are_found() -> None:
    """In their namespace; annotations of others are not kept."""
    store = Store()
    route = body(5, name="shop", uid="r", parent=None)
    route["metadata"]["annotations"] = {"modelramp.io/adopted.fraud": "{}", "team": "shop"}
    store.heard(Kind.HTTP_ROUTE, "ADDED", route)
    assert store.marked(Kind.HTTP_ROUTE, "ml", "modelramp.io/adopted.fraud") == (Key("ml", "shop"),)
    assert store.marked(Kind.HTTP_ROUTE, "elsewhere", "modelramp.io/adopted.fraud") == ()
    assert store.marked(Kind.HTTP_ROUTE, "ml", "team") == ()


def test_only_writers_of_the_rules_are_kept_of_managed_fields() -> None:
    """They are the biggest part of most objects."""
    fields: list[dict[str, Any]] = [
        {"manager": "modelramp", "fieldsV1": {"f:spec": {"f:rules": {}, "f:hostnames": {}}}},
        {"manager": "contour", "subresource": "status", "fieldsV1": {"f:status": {"f:parents": {}}}},
        {"manager": "argocd", "fieldsV1": {"f:metadata": {"f:labels": {}}}},
    ]
    route = body(5, name="fraud")
    route["metadata"]["managedFields"] = fields
    kept = project(Kind.HTTP_ROUTE, route)["metadata"]["managedFields"]
    assert [entry["manager"] for entry in kept] == ["modelramp"]
    assert project(Kind.HTTP_ROUTE, project(Kind.HTTP_ROUTE, route)) == project(Kind.HTTP_ROUTE, route)
    managed = model(1)
    managed["metadata"]["managedFields"] = fields
    assert "managedFields" not in project(Kind.MODEL, managed)["metadata"]


def test_a_list_repairs_what_the_watch_missed() -> None:
    """Missed deletions, changes and creations; what is as it was wakes nobody."""
    store = Store()
    store.heard(Kind.DEPLOYMENT, None, body(1, name="same", uid="s", parent="same"))
    store.heard(Kind.DEPLOYMENT, None, body(2, name="gone", uid="g", parent="gone"))
    store.heard(Kind.DEPLOYMENT, None, body(3, name="changed", uid="c", parent="changed"))
    store.heard(Kind.DEPLOYMENT, None, body(90, name="newer", uid="n", parent="newer"))
    listed = [
        body(1, name="same", uid="s", parent="same"),
        body(40, name="changed", uid="c", parent="changed", spec={"replicas": 5}),
        body(41, name="born", uid="b", parent="born"),
    ]
    woken = store.replace_all(Kind.DEPLOYMENT, listed, "50")
    assert woken == {Key("ml", "gone"), Key("ml", "changed"), Key("ml", "born")}
    assert store.children(Kind.DEPLOYMENT, Key("ml", "gone")) == ()
    assert len(store.children(Kind.DEPLOYMENT, Key("ml", "newer"))) == 1
    assert store.replace_all(Kind.DEPLOYMENT, listed, "50") == set()


def test_a_list_does_not_bring_back_what_was_deleted_after_it_was_taken() -> None:
    """Lists take their time."""
    store = Store()
    store.heard(Kind.DEPLOYMENT, None, body(1))
    store.heard(Kind.DEPLOYMENT, "DELETED", body(60))
    assert store.replace_all(Kind.DEPLOYMENT, [body(1)], "50") == set()
    assert replicas(store) == []


def test_a_list_of_one_namespace_says_nothing_of_others() -> None:
    """The operator may be allowed to see only some."""
    store = Store()
    store.heard(Kind.DEPLOYMENT, None, body(1))
    assert store.replace_all(Kind.DEPLOYMENT, [], "50", "elsewhere") == set()
    assert store.replace_all(Kind.DEPLOYMENT, [], "50", "ml") == {FRAUD}


@given(st.permutations(range(2, 8)), st.integers(2, 8))
def test_in_whatever_order_news_arrives_the_newest_is_kept(order: list[int], deleted: int) -> None:
    """And a deletion is final, wherever in between it is told of."""
    store = Store()
    for version in order:
        store.heard(Kind.DEPLOYMENT, "MODIFIED", body(version, spec={"replicas": version}))
    assert replicas(store) == [7]
    store = Store()
    for place, version in enumerate(order):
        if place == deleted - 2:
            store.heard(Kind.DEPLOYMENT, "DELETED", body(99))
        store.heard(Kind.DEPLOYMENT, "MODIFIED", body(version, spec={"replicas": version}))
    assert replicas(store) == ([] if deleted < 8 else [7])
