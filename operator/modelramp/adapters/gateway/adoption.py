"""
A route of somebody else's, in which one backend stands for the model: pure, from the document.

Only the entries of that backend are replaced, by the revisions' Services in proportion; everything else stays as it is,
also the proportions to other backends of the same rule. What was there is kept in an annotation of the route, so that
it can be put back whatever happened in between.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from math import lcm
from typing import Any, Final

from modelramp.adapters.gateway.reading import rules_of
from modelramp.adapters.gateway.weights import shares_of, weights_of
from modelramp.api.names import REVISION_LENGTH, workload_name
from modelramp.api.vocabulary import GROUP
from modelramp.ports import Document, Key, RefusedError
from modelramp.rollout.counters import SERVICE_PORT

Entry = Mapping[str, Any]
Rows = list[list[Entry]]
"""The backends of each rule."""
Operation = dict[str, Any]

FIELD: Final = "spec.traffic.gatewayAPI.routeRef"
_REVISION: Final = re.compile(rf"[0-9a-f]{{{REVISION_LENGTH}}}")


def annotation_of(model: str) -> str:
    """
    The annotation that keeps what the model's object replaced; each object that shares the route has its own.
    """
    return f"{GROUP}/adopted.{model}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """
    What the annotation tells.
    """

    originals: Sequence[Entry] = field(default=())
    """The entries that were replaced, in the order of the rules; empty: none were."""
    traffic: str | None = None
    """`MLModelDeployment.traffic_hash` when they were; None: they were not."""


def kept_in(route: Document, model: str) -> Kept:
    """
    What was replaced for the model; nothing where somebody made the annotation unreadable.
    """
    text = (route["metadata"].get("annotations") or {}).get(annotation_of(model))
    try:
        told = json.loads(text) if text else {}
        originals = tuple(dict(entry) for entry in told.get("originals") or ())
    except (ValueError, TypeError, AttributeError):
        return Kept()
    return Kept(originals=originals, traffic=told.get("traffic"))


def _rows(route: Document) -> Rows:
    return [list(rule.get("backendRefs") or ()) for rule in rules_of(route)]


def _here(entry: Entry, namespace: str) -> bool:
    return bool(entry.get("namespace", namespace) == namespace)


def _revision(entry: Entry, key: Key) -> str | None:
    prefix = workload_name(key.name, "")
    name: str = entry["name"]
    found = name.removeprefix(prefix) if name.startswith(prefix) and _here(entry, key.namespace) else ""
    return found if _REVISION.fullmatch(found) else None


def _group(row: Sequence[Entry], start: int, key: Key) -> dict[str, int]:
    """
    The weights by revision of the entries that replaced one: a run of our Services, none of them twice.
    """
    weights: dict[str, int] = {}
    for entry in row[start:]:
        revision = _revision(entry, key)
        if revision is None or revision in weights:
            break
        weights[revision] = entry.get("weight", 1)
    return weights


def _runs(row: Sequence[Entry], key: Key) -> Iterator[tuple[Entry, dict[str, int]]]:
    """
    The row's entries, with ours as runs: the first entry of each, and its weights; those of an entry that is none of
    ours are empty.
    """
    at = 0
    while at < len(row):
        weights = _group(row, at, key)
        yield row[at], weights
        at += max(1, len(weights))


def _restored(route: Document, key: Key, backend: str) -> Rows:
    """
    The backends as their owner has them. An original is found by its place among all of them, as another writer may
    have put some back; one that is not kept is made of what stands there.
    """
    originals = kept_in(route, key.name).originals
    names = {entry["name"] for entry in originals} or {backend}
    rows: Rows = []
    found = 0
    for row in _rows(route):
        rows.append([])
        for entry, weights in _runs(row, key):
            ours = bool(weights) or (entry["name"] in names and _here(entry, key.namespace))
            made = {**entry, "name": backend, "weight": sum(weights.values())}
            original = originals[found] if found < len(originals) else made
            rows[-1].append(original if weights else entry)
            found += ours
    return rows


def _divided(weight: int, shares: Mapping[str, Decimal], where: str) -> dict[str, int]:
    """
    Raises:
        RefusedError: the weight has no such parts in whole numbers; the message says by how much to raise it.
    """
    parts = {revision: Fraction(percent) * weight / 100 for revision, percent in shares.items()}
    factor = lcm(*(part.denominator for part in parts.values()))
    if factor > 1:
        told = ", ".join(f"{percent.normalize():f}%" for percent in shares.values())
        raise RefusedError(
            f"{FIELD}: {where} has the weight {weight}, which cannot be divided into {told}: multiply all weights of "
            f"that rule by {factor}"
        )
    return {revision: int(part) for revision, part in parts.items()}


def _split(row: Sequence[Entry], at: int, key: Key, shares: Mapping[str, Decimal], where: str) -> list[Entry]:
    entry = row[at]
    if entry.get("kind", "Service") != "Service" or entry.get("group", ""):
        raise RefusedError(f"{FIELD}.backend: {where} is a {entry.get('kind')}; only a Service can be replaced")
    weight = entry.get("weight", 1)
    alone = len(row) == 1 and weight > 0  # then only its own parts matter, and not its weight
    weights = weights_of(shares) if alone else _divided(weight, shares, where)
    return [
        {**entry, "name": workload_name(key.name, revision), "port": SERVICE_PORT, "weight": weights[revision]}
        for revision in sorted(weights)
    ]


def _adopted(rows: Rows, key: Key, backend: str, shares: Mapping[str, Decimal]) -> Rows:
    def row_of(index: int, row: list[Entry]) -> Iterator[Entry]:
        for at, entry in enumerate(row):
            if entry["name"] == backend and _here(entry, key.namespace):
                yield from _split(row, at, key, shares, f"backend {backend} in rule {index + 1}")
            else:
                yield entry

    return [list(row_of(index, row)) for index, row in enumerate(rows)]


def _operations(route: Document, rows: Rows, mark: tuple[str, str | None]) -> list[Operation]:
    """
    A JSON Patch from the route's present rows to these, and its annotation; empty: nothing is to be changed.
    """
    operations: list[Operation] = []
    for index, (before, after) in enumerate(zip(_rows(route), rows, strict=True)):
        if before != after:
            path = f"/spec/rules/{index}/backendRefs"
            operations += [
                {"op": "test", "path": path, "value": before},
                {"op": "replace", "path": path, "value": after},
            ]
    present = route["metadata"].get("annotations")
    name, text = mark
    path = "/metadata/annotations"
    if text is not None and (present or {}).get(name) != text:
        whole = {"op": "add", "path": path, "value": {name: text}}
        one = {"op": "add", "path": f"{path}/{name.replace('/', '~1')}", "value": text}
        operations.append(one if present else whole)
    if text is None and present and name in present:
        operations.append({"op": "remove", "path": f"{path}/{name.replace('/', '~1')}"})
    version = {"op": "test", "path": "/metadata/resourceVersion", "value": route["metadata"]["resourceVersion"]}
    return [version, *operations] if operations else []


def adopt(route: Document, key: Key, backend: str, shares: Mapping[str, Decimal], traffic: str) -> list[Operation]:
    """
    The JSON Patch after which the backend's part of the route is given to the revisions in these shares; empty: it is.

    `key` is the object's, `traffic` its traffic_hash, which the annotation remembers.

    Raises:
        RefusedError: there is no such backend, it is no Service, or its weight cannot be divided exactly.
    """
    rows = _restored(route, key, backend)
    originals = [entry for row in rows for entry in row if entry["name"] == backend and _here(entry, key.namespace)]
    if not originals:
        name = route["metadata"]["name"]
        raise RefusedError(f"{FIELD}.backend: the route {name} has no backend {backend} in this namespace")
    told = json.dumps({"originals": originals, "traffic": traffic}, separators=(",", ":"))
    return _operations(route, _adopted(rows, key, backend, shares), (annotation_of(key.name), told))


def restore(route: Document, key: Key, backend: str) -> list[Operation]:
    """
    The JSON Patch after which the route is as its owner has it; empty: it is.

    `backend` is the name that is put back where what was replaced is not kept any more.
    """
    return _operations(route, _restored(route, key, backend), (annotation_of(key.name), None))


def adopted_shares(route: Document, key: Key) -> dict[str, Decimal]:
    """
    Percent of the model's own traffic by revision. Of a revision in several rules the largest.
    """
    shares: dict[str, Decimal] = {}
    for row in _rows(route):
        for _, weights in _runs(row, key):
            for revision, percent in shares_of(weights).items():
                shares[revision] = max(percent, shares.get(revision, Decimal(0)))
    return shares


def put_back(route: Document, key: Key) -> bool:
    """
    Somebody put back an entry that was replaced: a part of the traffic does not reach the revisions.
    """
    names = {entry["name"] for entry in kept_in(route, key.name).originals}
    return any(entry["name"] in names and _here(entry, key.namespace) for row in _rows(route) for entry in row)
