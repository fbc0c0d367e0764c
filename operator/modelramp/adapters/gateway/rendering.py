"""
The HTTPRoute of an object: pure, from the spec and the shares.

Every default of the API is written out: a field the server fills in is a difference to whoever compares.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from modelramp.adapters.gateway.weights import weights_of
from modelramp.adapters.kubernetes.ownership import common_labels, owner_reference
from modelramp.adapters.kubernetes.resources import HTTP_ROUTES
from modelramp.api.names import workload_name
from modelramp.api.scalars import Duration
from modelramp.api.spec import GatewayApi, ParentRef
from modelramp.ports import Owner
from modelramp.rollout.counters import SERVICE_PORT

Fields = dict[str, Any]

GATEWAY_GROUP: Final = "gateway.networking.k8s.io"
COMPONENT: Final = "route"
_UNITS: Final = (("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1))


def gateway_duration(duration: Duration) -> str:
    """
    The duration as the Gateway API writes it (GEP-2257), which takes at most five digits a unit.
    """
    rest, parts = round(duration.seconds * 1000), []
    for unit, length in _UNITS:
        count, rest = divmod(rest, length)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def _parent(parent: ParentRef) -> Fields:
    return {"group": GATEWAY_GROUP, "kind": "Gateway", **parent.to_wire()}


def _backend(service: str, weight: int) -> Fields:
    return {"group": "", "kind": "Service", "name": service, "port": SERVICE_PORT, "weight": weight}


def http_route(owner: Owner, gateway: GatewayApi, shares: Mapping[str, Decimal]) -> Fields:
    """
    The whole route. Revisions at 0 % are listed too: so the gateway knows their endpoints before the first request.
    """
    weights = weights_of(shares)
    rule = {
        "matches": [{"path": {"type": "PathPrefix", "value": gateway.path}}],
        "timeouts": {"request": gateway_duration(gateway.request_timeout)},
        "backendRefs": [
            _backend(workload_name(owner.key.name, revision), weights[revision]) for revision in sorted(weights)
        ],
    }
    hostnames: Fields = {"hostnames": list(gateway.hostnames)} if gateway.hostnames else {}
    return {
        "apiVersion": HTTP_ROUTES.api_version,
        "kind": HTTP_ROUTES.kind,
        "metadata": {
            "name": owner.key.name,
            "namespace": owner.key.namespace,
            "labels": common_labels(owner, instance=owner.key.name, component=COMPONENT),
            "ownerReferences": [owner_reference(owner)],
        },
        "spec": {"parentRefs": [_parent(parent) for parent in gateway.parent_refs or ()], **hostnames, "rules": [rule]},
    }
