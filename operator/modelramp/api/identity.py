"""
What makes two specs the same: hashes of what pods and routes are made from.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

from modelramp.api.base import ApiModel
from modelramp.api.names import CONTENT_LENGTH, REVISION_LENGTH

_LEAVES_PODS_ALONE: Final = ("replicas", "warmUp", "minReady", "capacity")


def digest(value: object, length: int = REVISION_LENGTH) -> str:
    """
    A hash of JSON in so many hexadecimal digits, whatever the order of its keys.
    """
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()[:length]


def content_hash(config_map: Mapping[str, Any]) -> str:
    """
    A hash of what a ConfigMap holds; without names, labels and what is empty.
    """
    return digest({part: config_map[part] for part in ("data", "binaryData") if config_map.get(part)}, CONTENT_LENGTH)


def with_contents(revision: str, contents: Mapping[str, str]) -> str:
    """
    The identity of a revision and of the ConfigMaps that are part of it: hashes of what they hold, by name. Without any
    it is the revision's own, so that what names none stays what it was.
    """
    return digest({"revision": revision, "config": dict(contents)}) if contents else revision


def _told(part: ApiModel) -> dict[str, object]:
    told: dict[str, object] = part.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    return told


def revision(model: ApiModel, serving: ApiModel) -> str:
    """
    The identity of model and serving: a hash of what changes the pods, in canonical JSON.

    Fields at their default are left out, so that a version of the operator that knows more fields, or a CRD that
    writes more defaults, gives an unchanged object the same revision. Replicas, warm-up
    and capacity are not part of it.
    """
    pods = {key: value for key, value in _told(serving).items() if key not in _LEAVES_PODS_ALONE}
    return digest({"model": _told(model), "serving": pods})


def traffic_hash(traffic: ApiModel) -> str:
    """
    A hash of everything of the spec that the route is rendered from, shares apart; kept on the route as an annotation.
    """
    return digest(_told(traffic))
