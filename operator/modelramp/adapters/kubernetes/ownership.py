"""
What belongs to which `MLModelDeployment`: labels and owner references, written and read.
"""

from collections.abc import Mapping
from typing import Any, Final

from modelramp.api.names import LABEL_DEPLOYMENT, MANAGED_BY
from modelramp.api.vocabulary import API_VERSION, KIND
from modelramp.ports import Document, Key, Owner

LABEL_NAME: Final = "app.kubernetes.io/name"
LABEL_INSTANCE: Final = "app.kubernetes.io/instance"
LABEL_VERSION: Final = "app.kubernetes.io/version"
LABEL_COMPONENT: Final = "app.kubernetes.io/component"
LABEL_PART_OF: Final = "app.kubernetes.io/part-of"


def common_labels(owner: Owner, *, instance: str, component: str) -> dict[str, str]:
    """
    The labels of everything that is created for the object.
    """
    return {
        LABEL_NAME: owner.key.name,
        LABEL_INSTANCE: instance,
        LABEL_COMPONENT: component,
        LABEL_PART_OF: owner.key.name,
        MANAGED_BY: "modelramp",
        LABEL_DEPLOYMENT: owner.key.name,
    }


def owner_reference(owner: Owner) -> dict[str, Any]:
    """
    The controller reference: the garbage collector deletes what carries it when the owner is gone.
    """
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "name": owner.key.name,
        "uid": owner.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }


def controller_of(document: Document) -> Mapping[str, Any] | None:
    """
    The controller reference of an object; None: nothing controls it.
    """
    references = document["metadata"].get("ownerReferences") or ()
    return next((reference for reference in references if reference.get("controller")), None)


def owned_by(document: Document, key: Key, uid: str | None) -> bool:
    """
    The object is controlled by that `MLModelDeployment`; `uid` None: of whatever uid.
    """
    reference = controller_of(document)
    return (
        reference is not None
        and document["metadata"].get("namespace") == key.namespace
        and reference["kind"] == KIND
        and reference["apiVersion"].startswith(f"{API_VERSION.partition('/')[0]}/")
        and reference["name"] == key.name
        and (uid is None or reference["uid"] == uid)
    )
