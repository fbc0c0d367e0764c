"""
The part of each object that is worth keeping: a whole Pod takes 26 KiB of memory, what is asked of it 4.

A projection of a projection is the same, so an answer to a write can be kept like an event.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from modelramp.adapters.kubernetes.resources import Kind
from modelramp.api.names import LABEL_DEPLOYMENT, LABEL_REVISION, LABEL_ROLE
from modelramp.api.vocabulary import GROUP
from modelramp.ports import Document

LABEL_SERVICE: Final = "kubernetes.io/service-name"

_METADATA: Final = (
    "name",
    "namespace",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "ownerReferences",
)
_LABELS: Final = (LABEL_DEPLOYMENT, LABEL_REVISION, LABEL_ROLE, LABEL_SERVICE)
_CONTAINER_STATES: Final = ("name", "restartCount", "state", "lastState")


def _some(whole: Mapping[str, Any] | None, names: tuple[str, ...]) -> dict[str, Any]:
    return {name: whole[name] for name in names if name in whole} if whole else {}


def _kept(body: Document, **parts: object) -> Document:
    metadata = _some(body["metadata"], _METADATA)
    metadata["labels"] = _some(body["metadata"].get("labels"), _LABELS)
    return {"metadata": metadata, **parts}


def _model(body: Document) -> Document:
    """
    All of it: the core reads spec, status and annotations.
    """
    metadata = {name: value for name, value in body["metadata"].items() if name != "managedFields"}
    return {**body, "metadata": metadata}


def _deployment(body: Document) -> Document:
    return _kept(body, spec=_some(body.get("spec"), ("replicas",)))


def _pod(body: Document) -> Document:
    status = body.get("status") or {}
    containers = {
        group: [_some(container, _CONTAINER_STATES) for container in status.get(group) or ()]
        for group in ("initContainerStatuses", "containerStatuses")
    }
    # Statuses are sorted by name, so which container is the first is only in the spec.
    first = [_some(container, ("name",)) for container in (body.get("spec") or {}).get("containers", ())[:1]]
    return _kept(body, spec={"containers": first}, status={**_some(status, ("phase",)), **containers})


def _endpoint_slice(body: Document) -> Document:
    endpoints = [_some(endpoint, ("addresses", "conditions", "targetRef")) for endpoint in body.get("endpoints") or ()]
    return _kept(body, endpoints=endpoints)


def _writes_rules(entry: Mapping[str, Any]) -> bool:
    return "f:rules" in ((entry.get("fieldsV1") or {}).get("f:spec") or {})


def _route(body: Document) -> Document:
    """
    With the writers of `spec.rules`: whoever else is among them fights over the traffic.
    """
    writers = [
        {"manager": entry.get("manager", ""), "fieldsV1": {"f:spec": {"f:rules": {}}}}
        for entry in body["metadata"].get("managedFields") or ()
        if _writes_rules(entry)
    ]
    kept = _kept(body, spec=body.get("spec") or {}, status=_some(body.get("status"), ("parents",)))
    annotations = body["metadata"].get("annotations") or {}
    marks = {name: text for name, text in annotations.items() if name.startswith(f"{GROUP}/")}
    return {**kept, "metadata": {**kept["metadata"], "annotations": marks, "managedFields": writers}}


_PROJECTIONS: Final[Mapping[Kind, Callable[[Document], Document]]] = {
    Kind.MODEL: _model,
    Kind.DEPLOYMENT: _deployment,
    Kind.POD: _pod,
    Kind.ENDPOINT_SLICE: _endpoint_slice,
    Kind.HTTP_ROUTE: _route,
    Kind.GRPC_ROUTE: _route,
}


def project(kind: Kind, body: Document) -> Document:
    """
    What is kept of an object.
    """
    return _PROJECTIONS[kind](body)


def same_but_version(one: Document, other: Document) -> bool:
    """
    Nothing that is kept differs, apart from the resourceVersion.
    """
    if {name: part for name, part in one.items() if name != "metadata"} != {
        name: part for name, part in other.items() if name != "metadata"
    }:
        return False
    return {**one["metadata"], "resourceVersion": ""} == {**other["metadata"], "resourceVersion": ""}
