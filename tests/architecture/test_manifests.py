"""
The pods of the local cluster and of the example keep their share of the processor while others start.

Measured: an Envoy without a CPU request answered its readiness probe too late three times in a row while four model
servers started on two cores. The gateway's Service had no endpoint then, and 10 to 49 requests of each client were
refused within two seconds.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
FILES = [*sorted((ROOT / "hack/cluster/manifests").glob("*.yaml")), ROOT / "examples/digits/mlmodeldeployment.yaml"]
SLOW_ANSWER_SECONDS = 3


def _containers(node: Any) -> Iterator[dict[str, Any]]:  # noqa: ANN401 - any YAML
    if isinstance(node, dict):
        yield from node.get("containers") or ()
        for child in node.values():
            yield from _containers(child)
    elif isinstance(node, list):
        for child in node:
            yield from _containers(child)


FOUND = [
    pytest.param(container, id=f"{path.stem}-{container['name']}")
    for path in FILES
    for document in yaml.safe_load_all(path.read_text())
    for container in _containers(document)
]


def test_the_containers_are_found() -> None:
    """Contour, Envoy, Prometheus, CoreDNS and the model."""
    assert len(FOUND) == 5


@pytest.mark.parametrize("container", FOUND)
def test_every_container_asks_for_cpu(container: dict[str, Any]) -> None:
    """Without a request a container has 2 of 1024 shares, and starves beside any that has one."""
    assert container["resources"]["requests"]["cpu"]


@pytest.mark.parametrize("container", FOUND)
def test_a_slow_answer_is_not_taken_for_a_dead_server(container: dict[str, Any]) -> None:
    """Kubernetes' default is one second, which a busy machine exceeds."""
    probes = [container[kind] for kind in ("readinessProbe", "livenessProbe") if kind in container]
    assert probes
    for probe in probes:
        assert probe.get("timeoutSeconds", 1) >= SLOW_ANSWER_SECONDS
        assert probe.get("failureThreshold", 3) >= 3
