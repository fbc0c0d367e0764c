"""
The part of each object that is worth keeping: a whole Pod takes 26 KiB of memory, what is asked of it 4.

A projection of a projection is the same, so an answer to a write can be kept like an event.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from modelramp.adapters.kubernetes.resources import Kind
from modelramp.api.names import (
    ANNOTATION_COMPARE,
    ANNOTATION_CONFIG,
    ANNOTATION_RESTART,
    LABEL_COMPARED,
    LABEL_DEPLOYMENT,
    LABEL_REVISION,
    LABEL_ROLE,
)
from modelramp.api.vocabulary import GROUP
from modelramp.ports import Document

LABEL_SERVICE: Final = "kubernetes.io/service-name"
SERVICE_CHOICES: Final = (
    "selector",
    "sessionAffinity",
    "internalTrafficPolicy",
    "trafficDistribution",
    "publishNotReadyAddresses",
)
"""What of a Service decides which pods a client reaches."""

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
_LABELS: Final = (LABEL_DEPLOYMENT, LABEL_REVISION, LABEL_ROLE, LABEL_COMPARED, LABEL_SERVICE)
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


def _asking(pod: Mapping[str, Any]) -> Document:
    """
    Of a pod's specification what its containers ask for.
    """
    return {
        group: [_some(container, ("resources", "restartPolicy")) for container in pod.get(group) or ()]
        for group in ("initContainers", "containers")
    }


def _deployment(body: Document) -> Document:
    """
    Its size, what its pods ask for, and the request for new pods that its template carries.
    """
    spec = body.get("spec") or {}
    given = spec.get("template") or {}
    template: dict[str, Any] = {"spec": _asking(given.get("spec") or {})}
    if mark := _some((given.get("metadata") or {}).get("annotations"), (ANNOTATION_RESTART,)):
        template["metadata"] = {"annotations": mark}
    status = _some(body.get("status"), ("observedGeneration", "replicas"))
    kept = _kept(body, spec={**_some(spec, ("replicas",)), "template": template}, status=status)
    notes = _some(body["metadata"].get("annotations"), (ANNOTATION_CONFIG, ANNOTATION_COMPARE))
    return {**kept, "metadata": {**kept["metadata"], "annotations": notes}}


def _pod(body: Document) -> Document:
    status = body.get("status") or {}
    containers = {
        group: [_some(container, _CONTAINER_STATES) for container in status.get(group) or ()]
        for group in ("initContainerStatuses", "containerStatuses")
    }
    # Statuses are sorted by name, so which container is the first is only in the spec.
    first = [_some(container, ("name",)) for container in (body.get("spec") or {}).get("containers", ())[:1]]
    placing = [one for one in status.get("conditions") or () if one.get("type") == "PodScheduled"]
    conditions = [_some(one, ("type", "status", "reason", "message")) for one in placing if one["status"] != "True"]
    return _kept(
        body,
        spec={"containers": first},
        status={**_some(status, ("phase",)), **containers, "conditions": conditions},
    )


def _endpoint_slice(body: Document) -> Document:
    endpoints = [_some(endpoint, ("addresses", "conditions", "targetRef")) for endpoint in body.get("endpoints") or ()]
    return _kept(body, endpoints=endpoints)


def _writers(body: Document, *names: str) -> list[dict[str, Any]]:
    """
    The field owners of these parts of the spec, and of nothing else: whoever else is among them fights over traffic.
    """
    chosen = {f"f:{name}" for name in names}
    found = []
    for entry in body["metadata"].get("managedFields") or ():
        fields = chosen.intersection((entry.get("fieldsV1") or {}).get("f:spec") or ())
        if fields:
            told: dict[str, Any] = {"f:spec": {name: {} for name in sorted(fields)}}
            found.append({"manager": entry.get("manager", ""), "fieldsV1": told})
    return found


def _marked(kept: Document, body: Document, writers: list[dict[str, Any]]) -> Document:
    annotations = body["metadata"].get("annotations") or {}
    marks = {name: text for name, text in annotations.items() if name.startswith(f"{GROUP}/")}
    return {**kept, "metadata": {**kept["metadata"], "annotations": marks, "managedFields": writers}}


def _route(body: Document) -> Document:
    kept = _kept(body, spec=body.get("spec") or {}, status=_some(body.get("status"), ("parents",)))
    return _marked(kept, body, _writers(body, "rules"))


def _service(body: Document) -> Document:
    kept = _kept(body, spec=_some(body.get("spec"), (*SERVICE_CHOICES, "ports")))
    return _marked(kept, body, _writers(body, *SERVICE_CHOICES))


def _virtual_service(body: Document) -> Document:
    said = ("observedGeneration", "conditions", "validationMessages")
    kept = _kept(body, spec=body.get("spec") or {}, status=_some(body.get("status"), said))
    return _marked(kept, body, _writers(body, "http"))


_PROJECTIONS: Final[Mapping[Kind, Callable[[Document], Document]]] = {
    Kind.MODEL: _model,
    Kind.DEPLOYMENT: _deployment,
    Kind.POD: _pod,
    Kind.ENDPOINT_SLICE: _endpoint_slice,
    Kind.HTTP_ROUTE: _route,
    Kind.GRPC_ROUTE: _route,
    Kind.SERVICE: _service,
    Kind.VIRTUAL_SERVICE: _virtual_service,
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
