"""
What a VirtualService gives, whoever wrote it, and what Istio says of it: pure, from the document.
"""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from modelramp.api.names import ANNOTATION_HEADER, COMPARATOR_SUFFIX, workload_name
from modelramp.ports import Document, Key
from modelramp.rollout.observed import Acceptance, CohortRoute

Rule = Mapping[str, Any]
Verdict = tuple[Acceptance, str]

NOTHING: Final = Decimal(0)
WHOLE: Final = Decimal(100)
RECONCILED: Final = "Reconciled"
SILENT: Final = "Istio writes no status: the settling time and the counted share tell whether it is followed"


def rules_of(virtual: Document) -> Sequence[Rule]:
    """
    Its rules for HTTP, in order.
    """
    return virtual["spec"].get("http") or ()


def _revision(destination: Mapping[str, Any], key: Key) -> str | None:
    """
    Hosts are written short, and a stranger may write them in full.
    """
    name, prefix = str(destination.get("host", "")).partition(".")[0], workload_name(key.name, "")
    return name.removeprefix(prefix) if name.startswith(prefix) else None


def _weights(rule: Rule) -> Iterator[tuple[Mapping[str, Any], int]]:
    """
    Destinations and weights. Istio takes a single destination's weight as everything, and an absent one as 0 else.
    """
    routes = rule.get("route") or ()
    for one in routes:
        yield one.get("destination") or {}, 1 if len(routes) == 1 else one.get("weight", 0)


def _as_cohort(rule: Rule, key: Key) -> CohortRoute | None:
    """
    The rule sends exactly one header value, and looks at nothing else, to one revision.
    """
    matches: Sequence[Rule] = rule.get("match") or ()
    routes = list(_weights(rule))
    if len(matches) != 1 or set(matches[0]) != {"headers"} or len(matches[0]["headers"]) != 1 or len(routes) != 1:
        return None
    ((header, value),) = matches[0]["headers"].items()
    revision = _revision(routes[0][0], key)
    if revision is None or set(value) != {"exact"}:
        return None
    return CohortRoute(header=header, value=value["exact"], revision=revision)


def cohort_in(virtual: Document, key: Key) -> CohortRoute | None:
    """
    Requests that are sent to a revision by their header, which is spelt as it was asked for; None: none are.
    """
    found = next((one for rule in rules_of(virtual) if (one := _as_cohort(rule, key)) is not None), None)
    spelt: str = (virtual["metadata"].get("annotations") or {}).get(ANNOTATION_HEADER, "")
    if found is None or spelt.lower() != found.header:
        return found
    return CohortRoute(header=spelt, value=found.value, revision=found.revision)


def shares_in(virtual: Document, key: Key) -> dict[str, Decimal]:
    """
    Percent by revision. Of a revision in several rules the largest: that much may reach it.
    """
    shares: dict[str, Decimal] = {}
    cohorts = [index for index, rule in enumerate(rules_of(virtual)) if _as_cohort(rule, key) is not None]
    for index, rule in enumerate(rules_of(virtual)):
        weighted = list(_weights(rule))
        total = sum(weight for _, weight in weighted)
        for destination, weight in weighted if index not in cohorts[:1] else ():
            revision = _revision(destination, key)
            if revision is not None:
                percent = Decimal(weight) * WHOLE / total if total else NOTHING
                shares[revision] = max(percent, shares.get(revision, NOTHING))
    return shares


def _copies(rule: Rule) -> Iterator[tuple[Mapping[str, Any], Decimal]]:
    if rule.get("mirror"):
        yield rule["mirror"], Decimal(str((rule.get("mirrorPercentage") or {}).get("value", WHOLE)))
    for one in rule.get("mirrors") or ():
        yield one["destination"], Decimal(str((one.get("percentage") or {}).get("value", WHOLE)))


def mirrors_in(virtual: Document, key: Key) -> dict[str, Decimal]:
    """
    Percent of requests copied, by revision, without those that get none. Of several mirrors the largest.
    """
    mirrors: dict[str, Decimal] = {}
    for rule in rules_of(virtual):
        for destination, percent in _copies(rule):
            revision = _revision(destination, key)
            if revision is not None and percent > NOTHING:
                revision = revision.removesuffix(COMPARATOR_SUFFIX)
                mirrors[revision] = max(percent, mirrors.get(revision, NOTHING))
    return mirrors


def compared_in(virtual: Document, key: Key) -> frozenset[str]:
    """
    The revisions whose copies go to their comparator, or some of them.
    """
    copies = (one for rule in rules_of(virtual) for one in _copies(rule))
    found = (_revision(destination, key) for destination, percent in copies if percent > NOTHING)
    ending = COMPARATOR_SUFFIX
    return frozenset(name.removesuffix(ending) for name in found if name is not None and name.endswith(ending))


def acceptance_of(virtual: Document) -> Verdict:
    """
    What Istio says of the present generation, and why, for people.

    It writes a status only where its own setting says so. Without one the object stands as accepted: nothing will ever
    say more, and the settling time and the counted share of requests are the proof.
    """
    status, generation = virtual.get("status") or {}, int(virtual["metadata"]["generation"])
    if int(status.get("observedGeneration") or generation) < generation:
        return Acceptance.PENDING, "Istio has not looked at the VirtualService's present generation yet"
    errors = [one for one in status.get("validationMessages") or () if one.get("level") == "ERROR"]
    if errors:
        told = (f"{(one.get('type') or {}).get('code', '')} {one.get('documentationUrl', '')}" for one in errors)
        return Acceptance.REFUSED, f"Istio says: {'; '.join(told)}"
    for condition in status.get("conditions") or ():
        late = int(condition.get("observedGeneration") or generation) < generation
        if condition.get("type") == RECONCILED and (late or condition.get("status") != "True"):
            return Acceptance.PENDING, f"not every proxy has the VirtualService: {condition.get('message', '')}"
    return Acceptance.ACCEPTED, "" if status else SILENT
