"""
What makes two specs the same: hashes of what pods and routes are made from.
"""

import hashlib
import json
from typing import Final

from modelramp.api.base import ApiModel
from modelramp.api.names import REVISION_LENGTH

_LEAVES_PODS_ALONE: Final = ("replicas", "warmUp", "minReady", "capacity")


def digest(value: object) -> str:
    """
    A short hash of JSON, whatever the order of its keys.
    """
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()[:REVISION_LENGTH]


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
