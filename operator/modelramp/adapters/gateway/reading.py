"""
What a route gives, whoever wrote it: pure, from the document. Shares, copies and the header's way are told apart.
"""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from modelramp.adapters.gateway.rendering import MIRROR
from modelramp.adapters.gateway.weights import WHOLE, shares_of
from modelramp.api.names import COMPARATOR_SUFFIX, workload_name
from modelramp.ports import Document, Key
from modelramp.rollout.observed import CohortRoute

Rule = Mapping[str, Any]

_DEFAULT_WEIGHT: Final = 1
_DEFAULT_DENOMINATOR: Final = 100
_EXACT: Final = "Exact"


def rules_of(route: Document) -> Sequence[Rule]:
    """
    The route's rules, in order.
    """
    return route["spec"].get("rules") or ()


def _revision(name: str, key: Key) -> str | None:
    prefix = workload_name(key.name, "")
    return name.removeprefix(prefix) if name.startswith(prefix) else None


def _weight(backend: Mapping[str, Any]) -> int:
    weight: int = backend.get("weight", _DEFAULT_WEIGHT)
    return weight


def _as_cohort(rule: Rule, key: Key) -> CohortRoute | None:
    """
    The rule sends exactly one header value, and nothing else of a request looked at but its path, to one revision.
    """
    matches: Sequence[Rule] = rule.get("matches") or ()
    backends: Sequence[Rule] = rule.get("backendRefs") or ()
    if len(matches) != 1 or len(backends) != 1 or not set(matches[0]) <= {"path", "headers"}:
        return None
    headers: Sequence[Rule] = matches[0].get("headers") or ()
    revision = _revision(backends[0]["name"], key)
    if len(headers) != 1 or headers[0].get("type", _EXACT) != _EXACT or not revision or _weight(backends[0]) == 0:
        return None
    return CohortRoute(header=headers[0]["name"], value=headers[0]["value"], revision=revision)


def cohort_in(route: Document, key: Key) -> CohortRoute | None:
    """
    Requests that are sent to a revision by their header; of several such rules the first. None: none are.
    """
    found = (_as_cohort(rule, key) for rule in rules_of(route))
    return next((cohort for cohort in found if cohort is not None), None)


def _weighted(route: Document, key: Key) -> Iterator[Rule]:
    """
    All rules but the cohort's own.
    """
    cohorts = (index for index, rule in enumerate(rules_of(route)) if _as_cohort(rule, key) is not None)
    own = next(cohorts, None)
    return (rule for index, rule in enumerate(rules_of(route)) if index != own)


def shares_in(route: Document, key: Key) -> dict[str, Decimal]:
    """
    Percent by revision. Of a revision in several rules the largest: that much may reach it.
    """
    shares: dict[str, Decimal] = {}
    for rule in _weighted(route, key):
        weights: dict[str, int] = {}
        for backend in rule.get("backendRefs") or ():
            weights[backend["name"]] = weights.get(backend["name"], 0) + _weight(backend)
        for service, percent in shares_of(weights).items():
            revision = _revision(service, key)
            if revision is not None:
                shares[revision] = max(percent, shares.get(revision, Decimal(0)))
    return shares


def _copied(mirror: Mapping[str, Any]) -> Decimal:
    fraction = mirror.get("fraction")
    if fraction is not None:
        return Decimal(fraction["numerator"]) * WHOLE / Decimal(fraction.get("denominator", _DEFAULT_DENOMINATOR))
    return Decimal(mirror.get("percent", WHOLE))


def _filters(rule: Rule) -> Iterator[Mapping[str, Any]]:
    yield from rule.get("filters") or ()
    for backend in rule.get("backendRefs") or ():
        yield from backend.get("filters") or ()


def mirrors_in(route: Document, key: Key) -> dict[str, Decimal]:
    """
    Percent of requests copied, by revision, without those that get none. Of several mirrors the largest.
    """
    mirrors: dict[str, Decimal] = {}
    for rule in rules_of(route):
        for one in _filters(rule):
            mirror = one.get("requestMirror") if one.get("type") == MIRROR else None
            revision = _revision(mirror["backendRef"]["name"], key) if mirror else None
            if mirror and revision and _copied(mirror) > 0:
                revision = revision.removesuffix(COMPARATOR_SUFFIX)
                mirrors[revision] = max(_copied(mirror), mirrors.get(revision, Decimal(0)))
    return mirrors


def compared_in(route: Document, key: Key) -> frozenset[str]:
    """
    The revisions whose copies go to their comparator, or some of them.
    """
    filters = [one for rule in rules_of(route) for one in _filters(rule) if one.get("type") == MIRROR]
    names = (one["requestMirror"]["backendRef"]["name"] for one in filters if _copied(one["requestMirror"]) > 0)
    found = (_revision(name, key) for name in names if name.endswith(COMPARATOR_SUFFIX))
    return frozenset(revision.removesuffix(COMPARATOR_SUFFIX) for revision in found if revision)
