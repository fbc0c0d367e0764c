import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest

from modelramp.adapters.kubernetes.projection import project
from modelramp.adapters.kubernetes.resources import Kind
from modelramp.adapters.service.reading import (
    acceptance_of,
    achieved_shares,
    bent_by,
    others_select,
    ready_by_revision,
    shares_in,
    written_shares,
)
from modelramp.adapters.service.rendering import front_service, selector_for
from modelramp.api.names import ANNOTATION_SHARES, ANNOTATION_TRAFFIC, LABEL_DEPLOYMENT, LABEL_REVISION
from modelramp.api.spec import ServiceTraffic
from modelramp.ports import Key, Owner
from modelramp.rollout.observed import Acceptance

KEY = Key("ml", "fraud")
A, B = "a" * 10, "b" * 10
PODS = {A: frozenset({"a0", "a1", "a2"}), B: frozenset({"b0"})}
EVERYBODY = PODS[A] | PODS[B]


def percents(shares: Mapping[str, str]) -> dict[str, Decimal]:
    return {name: Decimal(percent) for name, percent in shares.items()}


def service(note: Mapping[str, str] | str | None, selector: Mapping[str, str] | None) -> dict[str, Any]:
    text = note if note is None or isinstance(note, str) else json.dumps(note)
    annotations = {} if text is None else {ANNOTATION_SHARES: text}
    return {
        "metadata": {"name": "fraud", "namespace": "ml", "annotations": annotations},
        "spec": {"selector": selector},
    }


def piece(name: str, *uids: str, ready: bool = True) -> dict[str, Any]:
    labels = {"kubernetes.io/service-name": name}
    endpoints = [{"addresses": ["10.0.0.1"], "conditions": {"ready": ready}, "targetRef": {"uid": uid}} for uid in uids]
    return {"metadata": {"name": f"{name}-x", "namespace": "ml", "labels": labels}, "endpoints": endpoints}


ALL = {LABEL_DEPLOYMENT: "fraud"}
ONLY_B = {**ALL, LABEL_REVISION: B}


@pytest.mark.parametrize(
    ("note", "selector", "expected"),
    [
        ({A: "75", B: "25"}, ALL, {A: "75", B: "25"}),
        ({A: "0", B: "100"}, ONLY_B, {A: "0", B: "100"}),
        ({A: "100", B: "0"}, ONLY_B, {A: "0", B: "100"}),
        ({A: "75", B: "25"}, ONLY_B, {A: "0", B: "100"}),
        ({A: "100", B: "0"}, ALL, {A: "60", B: "40"}),
        ({A: "75", B: "25"}, {"app": "theirs"}, {A: "60", B: "40"}),
        ({A: "75", B: "25"}, None, {A: "60", B: "40"}),
        (None, ALL, {A: "60", B: "40"}),
        (None, ONLY_B, {B: "100"}),
        ("not json", ONLY_B, {B: "100"}),
        ('["a"]', ONLY_B, {B: "100"}),
        ('{"a": "much"}', ONLY_B, {B: "100"}),
    ],
)
def test_shares_are_those_noted_unless_the_selector_does_something_else(
    note: Mapping[str, str] | str | None, selector: Mapping[str, str] | None, expected: Mapping[str, str]
) -> None:
    """
    The note is ours; the selector is what sends.
    """
    assert shares_in(service(note, selector), percents({A: "60", B: "40"})) == percents(expected)


@pytest.mark.parametrize(
    ("shares", "front", "acceptance", "said"),
    [
        ({A: "100", B: "0"}, PODS[A], Acceptance.ACCEPTED, ""),
        ({A: "100", B: "0"}, frozenset({"a1"}), Acceptance.ACCEPTED, ""),
        ({A: "100", B: "0"}, EVERYBODY, Acceptance.PENDING, "still sends to 1 pods"),
        ({A: "100", B: "0"}, frozenset(), Acceptance.PENDING, "does not send to any"),
        ({B: "100"}, PODS[B] | {"unknown"}, Acceptance.PENDING, "still sends to 1 pods"),
        ({A: "75", B: "25"}, EVERYBODY, Acceptance.ACCEPTED, ""),
        ({A: "79", B: "21"}, EVERYBODY, Acceptance.ACCEPTED, ""),
        ({A: "81", B: "19"}, EVERYBODY, Acceptance.PENDING, f"1 of 4 ready pods are of revision {B}, which is 25%"),
        ({A: "75", B: "25"}, PODS[A], Acceptance.PENDING, "and not 75%"),
        ({A: "75", B: "25"}, frozenset({"a0", "b0"}), Acceptance.PENDING, "which is 50% and not"),
        ({"c": "100"}, frozenset(), Acceptance.ACCEPTED, ""),
        ({}, frozenset(), Acceptance.ACCEPTED, ""),
    ],
)
def test_endpoints_tell_whether_the_selector_is_followed(
    shares: Mapping[str, str], front: frozenset[str], acceptance: Acceptance, said: str
) -> None:
    """
    Nobody else is sent to, and the pods come near to the shares. A revision without a ready pod has none to follow.
    """
    found, message = acceptance_of(percents(shares), front, PODS)
    assert found is acceptance
    assert said in message
    assert bool(message) is (found is not Acceptance.ACCEPTED)


def test_pods_are_told_apart_by_the_services_of_their_revisions() -> None:
    """
    The object's own Service is of no revision; a namesake's is of another object.
    """
    pieces = [
        piece(f"fraud-{A}", "a0", "a1"),
        piece(f"fraud-{A}", "a2"),
        piece(f"fraud-{B}", "b0", ready=False),
        piece("fraud", "a0", "a1"),
        {"metadata": {"name": "x", "namespace": "ml"}, "endpoints": []},
    ]
    assert ready_by_revision(pieces, KEY) == {A: frozenset({"a0", "a1", "a2"}), B: frozenset()}


def test_what_the_pods_come_to() -> None:
    """
    Listed revisions without a pod have nothing.
    """
    told = service({A: "75", B: "25", "c": "0"}, ALL)
    assert achieved_shares(told, EVERYBODY, PODS) == percents({A: "75", B: "25", "c": "0"})
    assert achieved_shares(told, frozenset(), PODS) == percents({A: "0", B: "0", "c": "0"})


@pytest.mark.parametrize(
    ("shares", "selector"),
    [
        ({A: "100"}, {LABEL_DEPLOYMENT: "fraud", LABEL_REVISION: A}),
        ({A: "0", B: "100"}, ONLY_B),
        ({A: "99", B: "1"}, ALL),
    ],
)
def test_the_selector_of_shares(shares: Mapping[str, str], selector: Mapping[str, str]) -> None:
    """
    Pinned, or all pods of the object.
    """
    assert selector_for("fraud", percents(shares)) == selector


def test_what_is_written_can_be_read() -> None:
    """
    Through what is kept of it; the field owners that are kept are those of what decides who is reached.
    """
    shares = percents({A: "95.24", B: "4.76"})
    body = front_service(Owner(key=KEY, uid="u"), ServiceTraffic(port=8000), shares, 9000)
    fields = [
        {"manager": "kubectl", "fieldsV1": {"f:spec": {"f:sessionAffinity": {}, "f:externalName": {}}}},
        {"manager": "labeller", "fieldsV1": {"f:metadata": {}}},
        {"manager": "porter", "fieldsV1": {"f:spec": {"f:ports": {}}}},
        {"manager": "nobody"},
    ]
    stored = {**body, "metadata": {**body["metadata"], "uid": "s", "resourceVersion": "1", "managedFields": fields}}
    stored["metadata"]["annotations"] = {**body["metadata"]["annotations"], ANNOTATION_TRAFFIC: "h", "other": "x"}
    kept = project(Kind.SERVICE, stored)
    assert project(Kind.SERVICE, kept) == kept
    assert written_shares(kept) == shares
    assert kept["metadata"]["managedFields"] == [
        {"manager": "kubectl", "fieldsV1": {"f:spec": {"f:sessionAffinity": {}}}}
    ]
    assert set(kept["metadata"]["annotations"]) == {ANNOTATION_SHARES, ANNOTATION_TRAFFIC}
    assert kept["spec"]["ports"][0]["targetPort"] == 9000
    assert kept["spec"]["ports"][0]["port"] == 8000


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({}, None),
        ({"sessionAffinity": "None", "internalTrafficPolicy": "Cluster", "publishNotReadyAddresses": False}, None),
        ({"sessionAffinity": "ClientIP"}, "spec.sessionAffinity to ClientIP"),
        ({"internalTrafficPolicy": "Local"}, "spec.internalTrafficPolicy to Local"),
        ({"publishNotReadyAddresses": True}, "spec.publishNotReadyAddresses to true"),
        ({"trafficDistribution": "PreferClose"}, "spec.trafficDistribution to PreferClose"),
    ],
)
def test_what_bends_the_choice_of_pods_is_named(spec: dict[str, Any], expected: str | None) -> None:
    """As it is kept of a Service; what is written bends nothing."""
    document = {"metadata": {"name": "fraud", "namespace": "ml"}, "spec": spec}
    assert bent_by(project(Kind.SERVICE, document)) == expected


def test_what_is_written_bends_nothing() -> None:
    """Or every Service of ours would be called bent."""
    owner = Owner(key=KEY, uid="u")
    assert bent_by(front_service(owner, ServiceTraffic(port=80), percents({A: "75", B: "25"}), 8080)) is None


@pytest.mark.parametrize(
    ("manager", "field", "expected"),
    [
        ("kubectl-edit", "selector", True),
        ("kubectl-edit", "sessionAffinity", False),
        ("modelramp", "selector", False),
        ("kubectl-edit", "ports", False),
    ],
)
def test_only_another_owner_of_the_selector_contests_it_whatever_it_says(
    manager: str,
    field: str,
    expected: bool,  # noqa: FBT001 - parametrized
) -> None:
    """As it is kept of a Service: fields that choose no pod are not."""
    entry = {"manager": manager, "fieldsV1": {"f:spec": {f"f:{field}": {}}}}
    document = {"metadata": {"name": "fraud", "namespace": "ml", "managedFields": [entry]}, "spec": {}}
    assert others_select(project(Kind.SERVICE, document)) is expected
