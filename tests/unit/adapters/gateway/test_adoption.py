import json
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelramp.adapters.gateway.adoption import adopt, adopted_shares, annotation_of, kept_in, put_back, restore
from modelramp.ports import Key, RefusedError

KEY = Key("ml", "fraud")
STABLE, CANDIDATE = "a" * 10, "b" * 10
SHARES = {STABLE: Decimal(75), CANDIDATE: Decimal(25)}


def route(*rows: list[dict[str, Any]], **metadata: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    return {
        "metadata": {"name": "shop", "namespace": "ml", "resourceVersion": "7", **metadata},
        "spec": {"rules": [{"backendRefs": row} if row else {} for row in rows]},
    }


def backend(name: str = "fraud", weight: int | None = None, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    return {"name": name, "port": 8000, **({} if weight is None else {"weight": weight}), **more}


def patched(document: dict[str, Any], operations: list[dict[str, Any]]) -> dict[str, Any]:
    """
    The document after the operations, whose tests must hold.
    """
    result: dict[str, Any] = json.loads(json.dumps(document))
    for operation in operations:
        *way, last = operation["path"].strip("/").split("/")
        node: Any = result
        for part in way:
            node = node[int(part)] if isinstance(node, list) else node[part]
        name = last.replace("~1", "/")
        if operation["op"] == "test":
            assert node[name] == operation["value"]
        elif operation["op"] == "remove":
            del node[name]
        else:
            node[name] = operation["value"]
    return result


def adopted(document: dict[str, Any], shares: dict[str, Decimal] | None = None) -> dict[str, Any]:
    return patched(document, adopt(document, KEY, "fraud", shares or SHARES, "hash"))


def weights(document: dict[str, Any]) -> list[list[tuple[str, int]]]:
    return [
        [(one["name"], one.get("weight", 1)) for one in rule.get("backendRefs", ())]
        for rule in document["spec"]["rules"]
    ]


def test_the_version_and_what_is_replaced_are_tested() -> None:
    """And nothing is written when nothing is to be changed."""
    before = route([backend(weight=4), backend("other", 3)], [], [backend("other")])
    operations = adopt(before, KEY, "fraud", SHARES, "hash")
    assert [(one["op"], one["path"]) for one in operations] == [
        ("test", "/metadata/resourceVersion"),
        ("test", "/spec/rules/0/backendRefs"),
        ("replace", "/spec/rules/0/backendRefs"),
        ("add", "/metadata/annotations"),
    ]
    after = patched(before, operations)
    assert adopt(after, KEY, "fraud", SHARES, "hash") == []
    assert [one["path"] for one in adopt(after, KEY, "fraud", SHARES, "another")][1:] == [
        "/metadata/annotations/modelramp.io~1adopted.fraud"
    ]


ENTRIES = st.builds(
    backend,
    st.sampled_from(["fraud", "other", "fraud-team", f"risk-{STABLE}"]),
    st.sampled_from([0, 100, 400, 10_000]),
    namespace=st.sampled_from(["ml", "elsewhere"]),
)
MINE = st.builds(backend, weight=st.sampled_from([100, 400]), namespace=st.just("ml"))
ALONE = st.builds(backend, weight=st.sampled_from([None, 1, 7]))
ROWS = st.tuples(
    st.lists(st.lists(ENTRIES, max_size=4), max_size=3),
    st.tuples(st.lists(ENTRIES, max_size=2), MINE, st.lists(ENTRIES, max_size=2)).map(
        lambda row: [*row[0], row[1], *row[2]]
    ),
    st.lists(ALONE.map(lambda one: [one]), max_size=1),
).map(lambda parts: [*parts[0], parts[1], *parts[2]])


@given(ROWS, st.integers(0, 100), st.sampled_from([None, {}, {"team": "shop"}]))
def test_whatever_the_route_it_comes_back(
    rows: list[list[dict[str, Any]]], percent: int, annotations: dict[str, str] | None
) -> None:
    """And meanwhile every other backend has its entry, its place and its share of the rule."""
    before = route(*rows, **({} if annotations is None else {"annotations": annotations}))
    shares = {STABLE: Decimal(100 - percent), CANDIDATE: Decimal(percent)}
    during = adopted(before, shares)
    for old, new in zip(before["spec"]["rules"], during["spec"]["rules"], strict=True):
        mine = {f"fraud-{STABLE}", f"fraud-{CANDIDATE}"}
        others = [
            one for one in old.get("backendRefs", ()) if one["name"] != "fraud" or one.get("namespace") == "elsewhere"
        ]
        assert [one for one in new.get("backendRefs", ()) if one["name"] not in mine] == others
        if others:
            total_old = sum(one.get("weight", 1) for one in old["backendRefs"])
            total_new = sum(one.get("weight", 1) for one in new["backendRefs"])
            assert total_old == total_new
    again = adopted(during, {STABLE: Decimal(100), CANDIDATE: Decimal(0)})
    for document in (during, again):
        after = patched(document, restore(document, KEY, "fraud"))
        assert after["spec"] == before["spec"]
        assert (after["metadata"].get("annotations") or {}) == (annotations or {})


@given(st.integers(1, 1000), st.integers(0, 10_000).map(lambda n: Decimal(n) / 100))
def test_the_told_factor_is_enough_and_the_least(weight: int, percent: Decimal) -> None:
    """Beside another backend a weight is divided exactly or not at all."""
    shares = {STABLE: 100 - percent, CANDIDATE: percent}
    try:
        after = adopted(route([backend(weight=weight), backend("other", 1)]), shares)
    except RefusedError as error:
        factor = int(str(error).rsplit(" ", 1)[1])
        assert factor > 1
        after = adopted(route([backend(weight=weight * factor), backend("other", factor)]), shares)
        for less in range(1, min(factor, 50)):
            assert Fraction(percent) * weight * less / 100 % 1 != 0
    assert adopted_shares(after, KEY) == shares


def test_shares_are_of_the_models_own_traffic() -> None:
    """Whatever the other backends get; the most that any rule gives; nothing from a rule without weight."""
    before = route([backend(weight=400), backend("other", 999)], [backend()], [backend(weight=0), backend("x", 1)])
    assert adopted_shares(before, KEY) == {}
    assert adopted_shares(adopted(before), KEY) == SHARES


@pytest.mark.parametrize("text", ["", "{", "[]", "7", '{"originals": 7}', '{"originals": [7]}'])
def test_an_annotation_somebody_broke_is_as_good_as_none(text: str) -> None:
    """The backend is then made of what stands there."""
    during = adopted(route([backend(weight=4), backend("other", 3)]))
    during["metadata"]["annotations"] = {annotation_of("fraud"): text}
    assert (kept_in(during, "fraud").originals, kept_in(during, "fraud").traffic) == ((), None)
    after = patched(during, restore(during, KEY, "fraud"))
    assert weights(after) == [[("fraud", 4), ("other", 3)]]


def test_a_backend_twice_in_a_rule_comes_back_twice() -> None:
    """Each with its own filters and weight."""
    before = route([backend(weight=4, filters=[{"type": "A"}]), backend(weight=8), backend("other", 1)])
    during = adopted(before)
    assert weights(during)[0] == [
        (f"fraud-{STABLE}", 3),
        (f"fraud-{CANDIDATE}", 1),
        (f"fraud-{STABLE}", 6),
        (f"fraud-{CANDIDATE}", 2),
        ("other", 1),
    ]
    assert patched(during, restore(during, KEY, "fraud"))["spec"] == before["spec"]


def test_an_entry_that_was_put_back_is_told() -> None:
    """It was not ours before the first write."""
    before = route([backend(weight=4)], [backend()])
    assert not put_back(before, KEY)
    during = adopted(before)
    assert not put_back(during, KEY)
    during["spec"]["rules"][1] = before["spec"]["rules"][1]
    assert put_back(during, KEY)
    assert patched(during, restore(during, KEY, "fraud"))["spec"] == before["spec"]


def test_names_that_only_begin_alike_are_others() -> None:
    """A Service of another object, or of another namespace, is none of our revisions."""
    before = route(
        [
            backend("fraud-team", 2),
            backend(f"fraud-{STABLE}x", 2),
            backend(f"fraud-{STABLE}", 2, namespace="elsewhere"),
            backend(weight=4),
        ]
    )
    assert adopted_shares(before, KEY) == {}
    assert weights(adopted(before))[0][:3] == weights(before)[0][:3]
