from decimal import Decimal
from typing import Any

import pytest

from modelramp.api.quantities import demand_of, quantity

GPU = "nvidia.com/gpu"


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("2", "2"),
        (2, "2"),
        ("500m", "0.5"),
        ("1.5", "1.5"),
        (".5", "0.5"),
        ("1e3", "1000"),
        ("2k", "2000"),
        ("16Gi", str(16 * 1024**3)),
        ("1E", "1e18"),
        ("3n", "3e-9"),
        ("", "0"),
        ("many", "0"),
        ("1Xi", "0"),
    ],
)
def test_a_quantity_is_read_as_kubernetes_reads_it(text: object, amount: str) -> None:
    """
    What is none counts nothing: the API server refuses it.
    """
    assert quantity(text) == Decimal(amount)


def container(limits: Any = None, requests: Any = None, **others: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    """
    A container that asks for GPUs.
    """
    asked = {"limits": limits, "requests": requests}
    given = {part: {GPU: value} for part, value in asked.items() if value is not None}
    return {"resources": given, **others} if given else {**others}


@pytest.mark.parametrize(
    ("pod", "amount"),
    [
        ({"containers": [{}]}, 0),
        ({"containers": [container(limits=2)]}, 2),
        ({"containers": [container(limits=2, requests=1)]}, 1),
        ({"containers": [container(limits=2), container(limits=1)]}, 3),
        ({"containers": [container(limits=1)], "initContainers": [container(limits=4)]}, 4),
        ({"containers": [container(limits=1)], "initContainers": [container(limits=4, restartPolicy="Always")]}, 5),
        ({"containers": None, "initContainers": None}, 0),
        ({"containers": [{"resources": {"limits": None}}]}, 0),
    ],
    ids=["nothing", "limits", "requests count", "all together", "a large first one", "one beside", "nulls", "a null"],
)
def test_a_pod_takes_what_the_scheduler_counts(pod: dict[str, Any], amount: int) -> None:
    """
    Containers run together, init containers one after the other, unless they stay.
    """
    assert demand_of(pod, GPU) == amount
