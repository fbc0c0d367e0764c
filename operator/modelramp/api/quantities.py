"""
Kubernetes quantities, and what a pod asks for.
"""

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, Final

# The suffixes of k8s.io/apimachinery's resource.Quantity.
_SUFFIXES: Final[Mapping[str, Decimal]] = {
    "": Decimal(1),
    "n": Decimal("1e-9"),
    "u": Decimal("1e-6"),
    "m": Decimal("1e-3"),
    **{suffix: Decimal(1000) ** power for power, suffix in enumerate("kMGTPE", start=1)},
    **{f"{suffix}i": Decimal(1024) ** power for power, suffix in enumerate("KMGTPE", start=1)},
}
_QUANTITY: Final = re.compile(r"([+-]?[0-9]*\.?[0-9]+\.?(?:[eE][+-]?[0-9]+)?)([a-zA-Z]{0,2})")

Pod = Mapping[str, Any]


def quantity(value: object) -> Decimal:
    """
    The amount that a quantity such as `2`, `500m` or `16Gi` stands for; 0 for what is none, which the API server would
    refuse.
    """
    found = _QUANTITY.fullmatch(str(value).strip())
    if found is None or found[2] not in _SUFFIXES:
        return Decimal(0)
    return Decimal(found[1]) * _SUFFIXES[found[2]]


def _asked(container: Pod, resource: str) -> Decimal:
    resources = container.get("resources") or {}
    limit, request = ((resources.get(part) or {}).get(resource) for part in ("limits", "requests"))
    return quantity(request if request is not None else limit if limit is not None else 0)


def _total(containers: Iterable[Pod], resource: str) -> Decimal:
    return sum((_asked(container, resource) for container in containers), Decimal(0))


def demand_of(pod: Pod, resource: str) -> Decimal:
    """
    What a pod with this specification takes of a resource, as the scheduler counts: all containers and restartable init
    containers together, or the largest other init container if that is more. Requests, or limits where there are none.
    """
    first = tuple(pod.get("initContainers") or ())
    beside = [container for container in first if container.get("restartPolicy") == "Always"]
    alone = [container for container in first if container.get("restartPolicy") != "Always"]
    together = _total([*(pod.get("containers") or ()), *beside], resource)
    return max([together, *(_asked(container, resource) for container in alone)])
