"""
The worlds of the Kubernetes ports' contracts.
"""

import asyncio
import json
import os
import subprocess
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from contracts.kubernetes_worlds import ApiServerWorld, MemoryWorld, World

from modelramp.adapters.kubernetes.resources import GRPC_ROUTES, HTTP_ROUTES, MODELS, VIRTUAL_SERVICES, Resource
from modelramp.adapters.kubernetes.transport import Transport, _Request
from modelramp.api.crd import custom_resource_definition
from modelramp.ports import PortError

VARIABLE: Final = "MODELRAMP_TEST_KUBECONFIG"
HOW: Final = (
    f"the contracts of the Kubernetes ports need a real API server, named by a kubeconfig file in {VARIABLE}. Start "
    "one with `python3 hack/cluster up --only apiserver`, or leave them out with `-m 'not apiserver'`"
)
SERVED_WITHIN_SECONDS: Final = 20
_CRDS: Final = Resource("apiextensions.k8s.io/v1", "CustomResourceDefinition", "customresourcedefinitions")
_MODULES: Final = Path(__file__).parents[2] / "hack" / "cluster" / "go"
_GATEWAY_API: Final = _MODULES / "gateway-api"


def _route_definition(resource: Resource) -> dict[str, Any]:
    """
    The definition of a kind of route, from the module the local cluster takes it from.
    """
    found = subprocess.run(
        ["go", "list", "-m", "-json", "sigs.k8s.io/gateway-api"],
        cwd=_GATEWAY_API,
        capture_output=True,
        check=True,
        timeout=120,
    )
    folder = Path(json.loads(found.stdout)["Dir"]) / "config" / "crd" / "standard"
    definition: dict[str, Any] = yaml.safe_load(
        (folder / f"gateway.networking.k8s.io_{resource.plural}.yaml").read_text()
    )
    return definition


def _istio_definition(resource: Resource) -> dict[str, Any]:
    """
    The definition of a kind of Istio, from the module of its API.
    """
    found = subprocess.run(
        ["go", "mod", "download", "-json", "istio.io/api"],
        cwd=_MODULES / "istio",
        capture_output=True,
        check=True,
        timeout=120,
    )
    text = (Path(json.loads(found.stdout)["Dir"]) / "kubernetes" / "customresourcedefinitions.gen.yaml").read_text()
    named = f"  name: {resource.title}\n"  # of more than a dozen; to parse them all takes seconds
    definition: dict[str, Any] = yaml.safe_load(next(part for part in text.split("\n---\n") if named in part))
    return definition


async def _served(transport: Transport, resource: Resource) -> bool:
    try:
        await transport.list(resource)
    except PortError:
        return False
    return True


async def _define(transport: Transport, definition: dict[str, Any], resource: Resource) -> None:
    request = _Request(
        method="PATCH",
        verb="patch",
        resource=_CRDS,
        namespace=None,
        name=definition["metadata"]["name"],
        query=(("fieldManager", "modelramp-tests"), ("force", "true")),
        body={name: part for name, part in definition.items() if name != "status"},
        content_type="application/apply-patch+yaml",
    )
    await transport._send(request)
    async with asyncio.timeout(SERVED_WITHIN_SECONDS):
        while not await _served(transport, resource):  # noqa: ASYNC110 - it happens in the API server
            await asyncio.sleep(0.1)


async def _prepare(kubeconfig: str) -> None:
    transport = await Transport.connect(kubeconfig=kubeconfig)
    try:
        await _define(transport, custom_resource_definition(), MODELS)
        for resource in (HTTP_ROUTES, GRPC_ROUTES):
            if not await _served(transport, resource):
                await _define(transport, _route_definition(resource), resource)
        if not await _served(transport, VIRTUAL_SERVICES):
            await _define(transport, _istio_definition(VIRTUAL_SERVICES), VIRTUAL_SERVICES)
    finally:
        await transport.close()


@pytest.fixture(scope="session")
def kubeconfig() -> str:
    """
    Of an API server that knows our kinds; without one the tests fail instead of being skipped unseen.
    """
    named = os.environ.get(VARIABLE, "")
    if not named or not Path(named).is_file():
        pytest.fail(f"{HOW} ({VARIABLE} is {named or 'not set'})", pytrace=False)
    with ThreadPoolExecutor(1) as other_thread:  # the fixture may be asked for while a test's loop is running
        other_thread.submit(lambda: asyncio.run(_prepare(named))).result()
    return named


@pytest.fixture
async def transport(kubeconfig: str) -> AsyncIterator[Transport]:
    """
    To the real API server.
    """
    opened = await Transport.connect(kubeconfig=kubeconfig)
    yield opened
    await opened.close()


@pytest.fixture(params=["memory", pytest.param("apiserver", marks=pytest.mark.apiserver)])
async def cluster(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    """
    Each of the two worlds.
    """
    if request.param == "memory":
        yield MemoryWorld()
        return
    opened = await Transport.connect(kubeconfig=request.getfixturevalue("kubeconfig"))
    real = ApiServerWorld(opened)
    await real.begin()
    try:
        yield real
    finally:
        await real.end()
        await opened.close()


@pytest.fixture
async def real(transport: Transport) -> AsyncIterator[ApiServerWorld]:
    """
    Only the real one, for what the one in memory does not have.
    """
    world = ApiServerWorld(transport)
    await world.begin()
    yield world
    await world.end()
