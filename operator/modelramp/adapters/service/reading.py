"""
What a plain Service does: pure, from it and from the EndpointSlices.
"""

import json
from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Final

from modelramp.adapters.kubernetes.arms import ready_pods
from modelramp.adapters.kubernetes.projection import LABEL_SERVICE
from modelramp.adapters.service.rendering import EVEN_CHOICE
from modelramp.api.names import ANNOTATION_SHARES, FIELD_MANAGER, LABEL_DEPLOYMENT, LABEL_REVISION, workload_name
from modelramp.ports import Document, Key
from modelramp.rollout.observed import Acceptance
from modelramp.rollout.ratio import TOLERANCE, share_of

Verdict = tuple[Acceptance, str]
Pods = Mapping[str, frozenset[str]]

NOTHING: Final = Decimal(0)
WHOLE: Final = Decimal(100)
IN_ORDER: Final[Verdict] = (Acceptance.ACCEPTED, "")


def ready_by_revision(slices: Iterable[Document], key: Key) -> Pods:
    """
    The ready pods of each revision, by the Services that select one revision each.
    """
    slices, prefix = tuple(slices), workload_name(key.name, "")
    services = {(piece["metadata"].get("labels") or {}).get(LABEL_SERVICE, "") for piece in slices}
    return {
        service.removeprefix(prefix): ready_pods(slices, service)
        for service in sorted(services)
        if service.startswith(prefix)
    }


def written_shares(service: Document) -> dict[str, Decimal]:
    """
    The shares noted on the Service; empty where there is no readable note.
    """
    note = (service["metadata"].get("annotations") or {}).get(ANNOTATION_SHARES) or "{}"
    try:
        return {str(name): Decimal(str(percent)) for name, percent in json.loads(note).items()}
    except (ValueError, InvalidOperation, AttributeError):
        return {}


def achieved_shares(service: Document, front: frozenset[str], ready: Pods) -> dict[str, Decimal]:
    """
    What comes of the ready pods the Service sends to now, by revision; a revision that none are of has 0.
    """
    mine = {name: len(front & pods) for name, pods in ready.items()}
    listed = {**dict.fromkeys(written_shares(service), 0), **mine}
    total = sum(listed.values())
    return {name: share_of(pods, total - pods) for name, pods in listed.items()}


def shares_in(service: Document, achieved: Mapping[str, Decimal]) -> dict[str, Decimal]:
    """
    Percent by revision as it was written, unless the selector says something else: then what the selector does.
    """
    written, selector = written_shares(service), service["spec"].get("selector") or {}
    serving = {name for name, percent in written.items() if percent > NOTHING}
    pinned = selector.get(LABEL_REVISION)
    if pinned is not None:
        return written if serving == {pinned} else {**dict.fromkeys(written, NOTHING), pinned: WHOLE}
    return written if len(serving) > 1 and LABEL_DEPLOYMENT in selector else dict(achieved)


def bent_by(service: Document) -> str | None:
    """
    The first field by which connections are not spread evenly, with its value, for people; None: none is.

    An absent field is as the API server defaults it; `trafficDistribution` prefers near pods, whatever its value.
    """
    spec = service["spec"]
    for field, value in {**EVEN_CHOICE, "trafficDistribution": None}.items():
        if field in spec and spec[field] != value:
            named = spec[field]
            return f"spec.{field} to {named if isinstance(named, str) else json.dumps(named)}"
    return None


def others_select(service: Document) -> bool:
    """
    Somebody else writes its selector, so that a change of it is a conflict whatever it says now.
    """
    entries = service["metadata"].get("managedFields") or ()
    return any("f:selector" in entry["fieldsV1"]["f:spec"] for entry in entries if entry["manager"] != FIELD_MANAGER)


def acceptance_of(shares: Mapping[str, Decimal], front: frozenset[str], ready: Pods) -> Verdict:
    """
    Whether the EndpointSlices, which proxies follow, are those of the selector, and the ready pods come near to the
    shares. That each node's proxy has followed is not told by any object; the settling time stands for it.
    """
    serving = {name: percent for name, percent in shares.items() if percent > NOTHING}
    wanted = frozenset().union(*(ready.get(name, frozenset()) for name in serving))
    others = len(front - wanted)
    if others:
        return Acceptance.PENDING, f"the Service still sends to {others} pods that it should not send to"
    if wanted and not front:
        return Acceptance.PENDING, "the Service does not send to any of the ready pods yet"
    for name, percent in serving.items():
        mine = len(front & ready.get(name, frozenset()))
        reached = share_of(mine, len(front) - mine)
        if len(serving) > 1 and abs(reached - percent) > TOLERANCE * percent:
            given = f"{mine} of {len(front)} ready pods are of revision {name}, which is {reached:f}%"
            return Acceptance.PENDING, f"{given} and not {percent:f}%"
    return IN_ORDER
