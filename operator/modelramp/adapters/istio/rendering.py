"""
The VirtualService of an object: pure, from the spec and what it is to give.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from modelramp.adapters.kubernetes.ownership import common_labels, owner_reference
from modelramp.adapters.kubernetes.resources import VIRTUAL_SERVICES
from modelramp.api.document import traffic_hash
from modelramp.api.names import ANNOTATION_HEADER, ANNOTATION_TRAFFIC, comparator_name, workload_name
from modelramp.api.scalars import Duration
from modelramp.api.spec import MLModelDeploymentSpec
from modelramp.ports import Owner, RefusedError
from modelramp.rollout.counters import SERVICE_PORT
from modelramp.rollout.observed import CohortRoute
from modelramp.rollout.plan import SetTraffic

Fields = dict[str, Any]

COMPONENT: Final = "route"
COHORT: Final = "cohort"
SHARES: Final = "shares"
WHOLE: Final = 100


def _destination(owner: Owner, revision: str) -> Fields:
    """
    The revision's Service by its short name, which Istio completes with the VirtualService's own namespace.
    """
    return {"host": workload_name(owner.key.name, revision), "port": {"number": SERVICE_PORT}}


def _timeout(duration: Duration) -> Fields:
    """
    Seconds as protobuf's JSON writes them; without the field Istio sets no limit.
    """
    return {"timeout": f"{duration.seconds:g}s"} if duration.seconds > 0 else {}


def _weight(percent: Decimal) -> int:
    if percent % 1 != 0:
        raise RefusedError(f"a VirtualService's weights are whole percents: {percent.normalize():f}% is none")
    return int(percent)


def _cohort_rule(owner: Owner, cohort: CohortRoute, timeout: Fields) -> Fields:
    """
    Istio wants header names in lower case, which is how HTTP/2 has them anyway.
    """
    return {
        "name": COHORT,
        "match": [{"headers": {cohort.header.lower(): {"exact": cohort.value}}}],
        "route": [{"destination": _destination(owner, cohort.revision), "weight": WHOLE}],
        **timeout,
    }


def _target(owner: Owner, revision: str, compared: frozenset[str]) -> Fields:
    """
    Where the revision's copies go: to its comparator, or straight to it.
    """
    target = _destination(owner, revision)
    return {**target, "host": comparator_name(owner.key.name, revision)} if revision in compared else target


def _mirror(owner: Owner, mirrors: Mapping[str, Decimal], compared: frozenset[str]) -> Fields:
    """
    Copies of the requests that go by share; their answers are dropped. A single revision stands in the older field,
    which every Istio has.
    """
    if not mirrors:
        return {}
    if len(mirrors) == 1:
        ((revision, percent),) = mirrors.items()
        return {"mirror": _target(owner, revision, compared), "mirrorPercentage": {"value": float(percent)}}
    copies = [
        {"destination": _target(owner, revision, compared), "percentage": {"value": float(percent)}}
        for revision, percent in sorted(mirrors.items())
    ]
    return {"mirrors": copies}


def virtual_service(owner: Owner, spec: MLModelDeploymentSpec, effect: SetTraffic) -> Fields:
    """
    The whole VirtualService. Revisions at 0 % are listed too.

    Raises:
        RefusedError: the spec names another router, or the effect is beyond what a VirtualService can say.
    """
    istio = spec.traffic.istio
    if istio is None:
        raise RefusedError("spec.traffic.istio: it is not given")
    if effect.host is not None:
        raise RefusedError("a VirtualService answers for its own hosts only: none leads to the candidate alone")
    timeout, cohort = _timeout(istio.request_timeout), effect.cohort
    shares = {
        "name": SHARES,
        "route": [
            {"destination": _destination(owner, revision), "weight": _weight(effect.shares[revision])}
            for revision in sorted(effect.shares)
        ],
        **_mirror(owner, effect.mirrors, effect.compared),
        **timeout,
    }
    header = {ANNOTATION_HEADER: cohort.header} if cohort is not None else {}
    return {
        "apiVersion": VIRTUAL_SERVICES.api_version,
        "kind": VIRTUAL_SERVICES.kind,
        "metadata": {
            "name": owner.key.name,
            "namespace": owner.key.namespace,
            "labels": common_labels(owner, instance=owner.key.name, component=COMPONENT),
            "annotations": {ANNOTATION_TRAFFIC: traffic_hash(spec), **header},
            "ownerReferences": [owner_reference(owner)],
        },
        "spec": {
            "hosts": list(istio.hosts),
            "gateways": list(istio.gateways),
            "http": [*([_cohort_rule(owner, cohort, timeout)] if cohort is not None else []), shares],
        },
    }
