"""
The port of comparators, in memory and on a real API server.
"""

from dataclasses import replace

import pytest
from contracts.kubernetes_worlds import SPEC, ApiServerWorld, World
from fakes.comparators import FakeComparators

from modelramp.adapters.kubernetes.comparators import KubernetesComparators
from modelramp.adapters.kubernetes.resources import DEPLOYMENTS, ENDPOINT_SLICES, SERVICES
from modelramp.api.names import FIELD_MANAGER, LABEL_DEPLOYMENT, comparator_name
from modelramp.api.spec import Compare
from modelramp.ports import ConflictError, Document, GoneError, Key, Owner, RefusedError
from modelramp.rollout.observed import Comparator
from modelramp.rollout.plan import DeleteComparator, EnsureComparator

STABLE, CANDIDATE = "a" * 10, "b" * 10
ENSURE = EnsureComparator(revision=CANDIDATE, stable=STABLE, compare=Compare(), hash="h1")
DELETE = DeleteComparator(revision=CANDIDATE)


async def owner_of(cluster: World, name: str = "fraud") -> Owner:
    owner = await cluster.put(Key(cluster.namespace, name), SPEC)
    await cluster.deployments.read(owner.key)
    return owner


async def test_none_is_there_at_first(cluster: World) -> None:
    """And they can be run."""
    owner = await owner_of(cluster)
    assert cluster.comparators.comparators(owner.key) == {}
    assert cluster.comparators.available


async def test_an_ensured_one_is_known_at_once(cluster: World) -> None:
    """With its hash, and not ready; twice is once."""
    owner = await owner_of(cluster)
    for _ in range(2):
        await cluster.comparators.ensure(owner, ENSURE)
        assert cluster.comparators.comparators(owner.key) == {CANDIDATE: Comparator(ready=0, hash="h1")}
    await cluster.catch_up()
    assert cluster.comparators.comparators(owner.key) == {CANDIDATE: Comparator(ready=0, hash="h1")}


async def test_it_is_no_workload(cluster: World) -> None:
    """Nothing of it is taken for a revision."""
    owner = await owner_of(cluster)
    await cluster.comparators.ensure(owner, ENSURE)
    await cluster.catch_up()
    assert cluster.workloads.arms(owner.key) == {}


async def test_an_edit_replaces_it(cluster: World) -> None:
    """By its hash."""
    owner = await owner_of(cluster)
    await cluster.comparators.ensure(owner, ENSURE)
    await cluster.comparators.ensure(owner, replace(ENSURE, compare=Compare(concurrency=2), hash="h2"))
    assert cluster.comparators.comparators(owner.key)[CANDIDATE].hash == "h2"


async def test_a_deleted_one_is_gone(cluster: World) -> None:
    """Twice is once, and another one's stays."""
    owner, other = await owner_of(cluster), await owner_of(cluster, "churn")
    await cluster.comparators.ensure(owner, ENSURE)
    await cluster.comparators.ensure(other, ENSURE)
    for _ in range(2):
        await cluster.comparators.delete(owner, DELETE)
        assert cluster.comparators.comparators(owner.key) == {}
    await cluster.catch_up()
    assert (set(cluster.comparators.comparators(owner.key)), set(cluster.comparators.comparators(other.key))) == (
        set(),
        {CANDIDATE},
    )


async def test_without_an_image_none_is_made(cluster: World) -> None:
    """It is refused, and nothing is left of it."""
    owner = await owner_of(cluster)
    without = FakeComparators(available=False)
    if isinstance(cluster, ApiServerWorld):
        found = KubernetesComparators(cluster.transport, cluster.store, image=None, pull_policy="IfNotPresent")
    else:
        found = without  # type: ignore[assignment]  # the same port
    assert not found.available
    with pytest.raises(RefusedError, match="no image"):
        await found.ensure(owner, ENSURE)
    assert found.comparators(owner.key) == {}


@pytest.mark.apiserver
class TestRealObjects:
    """
    What the API server has of it.
    """

    async def test_the_service_is_ready_when_its_endpoints_are(self, real: ApiServerWorld) -> None:
        """By the slices that carry the Service's labels."""
        owner = await owner_of(real)
        await real.comparators.ensure(owner, ENSURE)
        name = comparator_name("fraud", CANDIDATE)
        labels = {LABEL_DEPLOYMENT: "fraud", "kubernetes.io/service-name": name}
        body: Document = {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {"name": f"{name}-x", "namespace": owner.key.namespace, "labels": labels},
            "addressType": "IPv4",
            "endpoints": [{"addresses": ["10.1.2.3"], "conditions": {"ready": True}}],
            "ports": [],
        }
        await real.transport.create(ENDPOINT_SLICES, body)
        await real.catch_up()
        assert real.comparators.comparators(owner.key) == {CANDIDATE: Comparator(ready=1, hash="h1")}

    async def test_it_is_owned_and_written_by_us(self, real: ApiServerWorld) -> None:
        """So the garbage collector finds it, and so do we."""
        owner = await owner_of(real)
        await real.comparators.ensure(owner, ENSURE)
        name = Key(owner.key.namespace, comparator_name("fraud", CANDIDATE))
        for resource in (DEPLOYMENTS, SERVICES):
            found = await real.transport.get(resource, name)
            assert [one["uid"] for one in found["metadata"]["ownerReferences"]] == [owner.uid]
            assert FIELD_MANAGER in {entry["manager"] for entry in found["metadata"]["managedFields"]}

    async def test_the_longest_name_there_is_fits(self, real: ApiServerWorld) -> None:
        """A Service's name has 63 characters at most."""
        owner = await owner_of(real, "x" * 48)
        await real.comparators.ensure(owner, ENSURE)
        assert set(real.comparators.comparators(owner.key)) == {CANDIDATE}

    async def test_a_stranger_s_is_none(self, real: ApiServerWorld) -> None:
        """Of an earlier object of the same name, neither."""
        owner = await owner_of(real)
        await real.comparators.ensure(Owner(key=owner.key, uid="another"), ENSURE)
        await real.catch_up()
        assert real.comparators.comparators(owner.key) == {}

    async def test_another_deployment_than_was_heard_of_stays(self, real: ApiServerWorld) -> None:
        """It was made since."""
        owner = await owner_of(real)
        await real.comparators.ensure(owner, ENSURE)
        name = Key(owner.key.namespace, comparator_name("fraud", CANDIDATE))
        await real.transport.delete(DEPLOYMENTS, name)
        found = KubernetesComparators(real.transport, type(real.store)(), image="i", pull_policy="Never")
        await found.ensure(owner, ENSURE)
        with pytest.raises(ConflictError):
            await real.comparators.delete(owner, DELETE)
        assert (await real.transport.get(DEPLOYMENTS, name))["metadata"]["name"] == name.name

    async def test_one_that_is_not_taken_leaves_no_service(self, real: ApiServerWorld) -> None:
        """Unless it exists, and only its change was not taken."""
        owner = await owner_of(real)
        name = Key(owner.key.namespace, comparator_name("fraud", CANDIDATE))
        broken = KubernetesComparators(real.transport, real.store, image="i", pull_policy="Sometimes")
        with pytest.raises(RefusedError):
            await broken.ensure(owner, ENSURE)
        with pytest.raises(GoneError):
            await real.transport.get(SERVICES, name)
        await real.comparators.ensure(owner, ENSURE)
        with pytest.raises(RefusedError):
            await broken.ensure(owner, ENSURE)
        assert (await real.transport.get(SERVICES, name))["metadata"]["name"] == name.name
