"""
The route of an object: pure, from the spec and what it is to give.

Every default of the API is written out: a field the server fills in is a difference to whoever compares.
"""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Final

from modelramp.adapters.gateway.forms import FORMS, RouteForm
from modelramp.adapters.gateway.weights import WHOLE, places, weights_of
from modelramp.adapters.kubernetes.ownership import common_labels, owner_reference
from modelramp.api.names import comparator_name, workload_name
from modelramp.api.scalars import Duration
from modelramp.api.spec import GatewayApi, MLModelDeploymentSpec, ParentRef
from modelramp.ports import Owner
from modelramp.rollout.counters import SERVICE_PORT
from modelramp.rollout.observed import CohortRoute
from modelramp.rollout.plan import SetTraffic

Fields = dict[str, Any]

GATEWAY_GROUP: Final = "gateway.networking.k8s.io"
MIRROR: Final = "RequestMirror"
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


def _service(owner: Owner, revision: str) -> Fields:
    name = workload_name(owner.key.name, revision)
    return {"group": "", "kind": "Service", "name": name, "port": SERVICE_PORT}


def mirrored(percent: Decimal) -> Fields:
    """
    The part of requests that is copied, as a mirror filter says it: nothing for all of them, a percentage, or a
    fraction where it is no whole one.

    A gateway that does not know `percent` copies everything (Contour), so where everything is wanted it is left out.
    """
    if percent == WHOLE:
        return {}
    scale = 10 ** places(percent)
    if scale == 1:
        return {"percent": int(percent)}
    return {"fraction": {"numerator": int(percent * scale), "denominator": 100 * scale}}


def _copied(owner: Owner, revision: str, *, compared: bool) -> Fields:
    """
    Whom copies go to: the revision's Service, or its comparator's.
    """
    if not compared:
        return _service(owner, revision)
    return {**_service(owner, revision), "name": comparator_name(owner.key.name, revision)}


def _mirror(owner: Owner, revision: str, percent: Decimal, *, compared: bool) -> Fields:
    backend = _copied(owner, revision, compared=compared)
    return {"type": MIRROR, "requestMirror": {"backendRef": backend, **mirrored(percent)}}


def _match(form: RouteForm, gateway: GatewayApi, cohort: CohortRoute | None) -> Fields:
    path = {"path": {"type": "PathPrefix", "value": gateway.path}} if form.has_paths else {}
    if cohort is None:
        return path
    return {**path, "headers": [{"type": "Exact", "name": cohort.header, "value": cohort.value}]}


def _rule(form: RouteForm, gateway: GatewayApi, match: Fields) -> Fields:
    matches = {"matches": [match]} if match else {}
    timeouts = {"timeouts": {"request": gateway_duration(gateway.request_timeout)}} if form.has_timeouts else {}
    return {**matches, **timeouts}


def _rules(form: RouteForm, owner: Owner, gateway: GatewayApi, effect: SetTraffic) -> Iterator[Fields]:
    """
    The rule of the header first: gateways take the more specific match, and the first of equal ones.
    """
    if effect.cohort is not None:
        backends = [{**_service(owner, effect.cohort.revision), "weight": 1}]
        yield {**_rule(form, gateway, _match(form, gateway, effect.cohort)), "backendRefs": backends}
    weights = weights_of(effect.shares)
    filters = [
        _mirror(owner, revision, percent, compared=revision in effect.compared)
        for revision, percent in sorted(effect.mirrors.items())
    ]
    yield {
        **_rule(form, gateway, _match(form, gateway, None)),
        **({"filters": filters} if filters else {}),
        "backendRefs": [{**_service(owner, revision), "weight": weights[revision]} for revision in sorted(weights)],
    }


def own_route(owner: Owner, spec: MLModelDeploymentSpec, effect: SetTraffic) -> Fields:
    """
    The whole route. Revisions at 0 % are listed too: so the gateway knows their endpoints before the first request.

    Raises:
        ValueError: the shares are no whole, or too fine for the API's weights; or the spec asks for another router.
    """
    gateway = spec.traffic.gateway_api
    if gateway is None:
        raise ValueError("spec.traffic.gatewayAPI is not given")
    form = FORMS[gateway.kind]
    hostnames: Fields = {"hostnames": list(gateway.hostnames)} if gateway.hostnames else {}
    return {
        "apiVersion": form.resource.api_version,
        "kind": form.resource.kind,
        "metadata": {
            "name": owner.key.name,
            "namespace": owner.key.namespace,
            "labels": common_labels(owner, instance=owner.key.name, component=COMPONENT),
            "ownerReferences": [owner_reference(owner)],
        },
        "spec": {
            "parentRefs": [_parent(parent) for parent in gateway.parent_refs or ()],
            **hostnames,
            "rules": list(_rules(form, owner, gateway, effect)),
        },
    }
