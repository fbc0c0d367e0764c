"""
The Service of an object: pure, from the spec and the shares.

Whatever decides which pods a client reaches is written out, so that nobody else can set it unseen.
"""

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from modelramp.adapters.kubernetes.ownership import common_labels, owner_reference
from modelramp.adapters.kubernetes.rendering import PORT_NAME, selector_of
from modelramp.adapters.kubernetes.resources import SERVICES
from modelramp.api.names import ANNOTATION_SHARES, LABEL_DEPLOYMENT
from modelramp.api.spec import ServiceTraffic
from modelramp.ports import Owner

Fields = dict[str, Any]

COMPONENT: Final = "route"

EVEN_CHOICE: Final[Mapping[str, object]] = {
    "sessionAffinity": "None",
    "internalTrafficPolicy": "Cluster",
    "publishNotReadyAddresses": False,
}
"""What of a Service, beside its selector, decides which pod a connection goes to: so that it is any of them. With
`ClientIP` each client stays at one pod, and no ratio of pods is one of requests."""


def selector_for(deployment: str, shares: Mapping[str, Decimal]) -> dict[str, str]:
    """
    The labels of the pods that serve: of one revision where it gets everything, of all where several get a share.
    """
    serving = [revision for revision, percent in shares.items() if percent > 0]
    if len(serving) == 1:
        return selector_of(deployment, serving[0])
    return {LABEL_DEPLOYMENT: deployment}


def front_service(owner: Owner, service: ServiceTraffic, shares: Mapping[str, Decimal], target: int) -> Fields:
    """
    The whole Service; `target` is the pods' port. The shares are noted on it, since the selector only tells who serves.
    """
    return {
        "apiVersion": SERVICES.api_version,
        "kind": SERVICES.kind,
        "metadata": {
            "name": owner.key.name,
            "namespace": owner.key.namespace,
            "labels": common_labels(owner, instance=owner.key.name, component=COMPONENT),
            "annotations": {
                ANNOTATION_SHARES: json.dumps({name: f"{shares[name]:f}" for name in sorted(shares)}),
            },
            "ownerReferences": [owner_reference(owner)],
        },
        "spec": {
            "type": "ClusterIP",
            "selector": selector_for(owner.key.name, shares),
            **EVEN_CHOICE,
            "ports": [
                {
                    "name": PORT_NAME,
                    "port": service.port,
                    "protocol": "TCP",
                    "targetPort": target,
                    "appProtocol": "http",
                }
            ],
        },
    }
