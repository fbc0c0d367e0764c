"""
What the gateways say of a route: pure, from its status.

No condition of the Gateway API says that requests already follow the route; this is the first of three levels of proof,
the others are ready endpoints and the observed share of requests.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from modelramp.adapters.gateway.rendering import GATEWAY_GROUP
from modelramp.ports import Document
from modelramp.rollout.observed import Acceptance

Verdict = tuple[Acceptance, str]

MUST_BE_TRUE: Final = ("Accepted", "ResolvedRefs")
MUST_NOT_BE_TRUE: Final = "PartiallyInvalid"  # a part of the route was dropped, or an older one serves instead
IN_ORDER: Final[Verdict] = (Acceptance.ACCEPTED, "")


def _identity(parent: Mapping[str, Any], namespace: str) -> tuple[object, ...]:
    """
    A parent reference after defaulting: gateways write theirs with or without the defaults.
    """
    return (
        parent.get("group", GATEWAY_GROUP),
        parent.get("kind", "Gateway"),
        parent.get("namespace", namespace),
        parent.get("name"),
        parent.get("sectionName"),
        parent.get("port"),
    )


def _is_stale(condition: Mapping[str, Any], generation: int) -> bool:
    """
    The condition is of an earlier route. One without a generation is taken as it stands: some gateways never write it.
    """
    return bool(condition.get("observedGeneration", generation) < generation)


def _of_condition(gateway: str, condition: Mapping[str, Any], generation: int) -> Verdict:
    name, status = condition["type"], condition["status"]
    if _is_stale(condition, generation):
        return Acceptance.PENDING, f"{gateway} has not looked at the route's present generation yet"
    said = f"{condition.get('reason', '')}: {condition.get('message', '')}".strip(": ")
    wrong = status == "True" if name == MUST_NOT_BE_TRUE else status == "False"
    if wrong:
        return Acceptance.REFUSED, f"{gateway} says {name} is {status}: {said}"
    if name in MUST_BE_TRUE and status != "True":
        return Acceptance.PENDING, f"{gateway} says {name} is {status}: {said}"
    return IN_ORDER


def _of_entry(gateway: str, entry: Mapping[str, Any], generation: int) -> Iterator[Verdict]:
    conditions = {condition["type"]: condition for condition in entry.get("conditions") or ()}
    for name in (*MUST_BE_TRUE, MUST_NOT_BE_TRUE):
        if name in conditions:
            yield _of_condition(gateway, conditions[name], generation)
        elif name in MUST_BE_TRUE:
            yield Acceptance.PENDING, f"{gateway} has not said whether {name}"


def _verdicts(route: Document) -> Iterator[Verdict]:
    namespace, generation = route["metadata"]["namespace"], route["metadata"]["generation"]
    entries = (route.get("status") or {}).get("parents") or ()
    for parent in route["spec"].get("parentRefs") or ():
        wanted = _identity(parent, namespace)
        gateway = f"{wanted[1]} {wanted[2]}/{wanted[3]}"
        own = [entry for entry in entries if _identity(entry["parentRef"], namespace) == wanted]
        if not own:
            yield Acceptance.PENDING, f"{gateway} has not answered yet; is there such a Gateway?"
        for entry in own:
            yield from _of_entry(gateway, entry, generation)


def acceptance_of(route: Document) -> Verdict:
    """
    What all gateways together say of the route's present generation, and why, for people. A refusal outweighs a
    silence, and a silence an acceptance.
    """
    verdicts = list(_verdicts(route))
    for outcome in (Acceptance.REFUSED, Acceptance.PENDING):
        for verdict in verdicts:
            if verdict[0] is outcome:
                return verdict
    return IN_ORDER if verdicts else (Acceptance.PENDING, "the route has no parents")


def controllers_of(route: Document) -> tuple[str, ...]:
    """
    The controllers that answered, each once, in the order of their answers.

    It is a required field of every answer, so the GatewayClass, which would need a cluster-wide right, is not read.
    """
    entries = (route.get("status") or {}).get("parents") or ()
    return tuple(dict.fromkeys(entry["controllerName"] for entry in entries if entry.get("controllerName")))


def controller_of(route: Document) -> str | None:
    """
    The controller that answered first; None: none has yet.
    """
    return next(iter(controllers_of(route)), None)
