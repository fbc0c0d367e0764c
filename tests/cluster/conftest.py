"""
The whole product on the real cluster: image, chart, gateway, Prometheus, model pods, and a client that counts.
"""

import asyncio
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from demo.rig import Rig
from demo.sight import NAMESPACE
from demo.stage import Stage, prepare


@pytest.fixture(scope="session")
def stage() -> Iterator[Stage]:
    """
    The stage of the demo: the cluster up, the operator installed from its image and chart.
    """
    found = prepare(os.environ.get("CONTEXT") or None)
    found.kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait=true", "--timeout=180s")
    found.kubectl("create", "namespace", NAMESPACE)
    yield found
    found.kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait=true", "--timeout=180s")


@dataclass(frozen=True)
class Idle:
    """
    An object at rest, and its resourceVersions when it came to rest.
    """

    rig: Rig
    before: dict[str, str]
    since: float


@pytest.fixture(scope="session")
def idle(stage: Stage) -> Idle:
    """
    An object at rest for as long as the session lasts; the last test looks whether anything wrote to it.
    """
    rig = Rig(stage, "idle")
    asyncio.run(rig.deploy(1))
    time.sleep(12)  # the cluster's own controllers write a little later than the operator
    return Idle(rig, rig.versions(), time.monotonic())
