import pytest
from contracts.kubernetes_worlds import SPEC, World

from modelramp.ports import ConflictError, GoneError, Key

REPLICAS_3 = {**SPEC, "serving": {**SPEC["serving"], "replicas": 3}}


def fraud(cluster: World) -> Key:
    return Key(cluster.namespace, "fraud")


async def test_an_absent_object_is_none(cluster: World) -> None:
    """Absence is an answer, not an error."""
    assert await cluster.deployments.read(fraud(cluster)) is None
    assert cluster.deployments.known(fraud(cluster)) is None


async def test_what_is_read_is_known(cluster: World) -> None:
    """A read is also heard of."""
    owner = await cluster.put(fraud(cluster), SPEC)
    assert cluster.deployments.known(owner.key) is None
    document = await cluster.deployments.read(owner.key)
    assert document is not None
    assert document["metadata"]["uid"] == owner.uid
    known = cluster.deployments.known(owner.key)
    assert known is not None
    assert known["spec"] == document["spec"]
    assert known["metadata"]["generation"] == 1


async def test_a_commit_writes_the_whole_status(cluster: World) -> None:
    """What the new status lacks is gone, and the written object is known at once."""
    owner = await cluster.put(fraud(cluster), SPEC)
    document = await cluster.deployments.read(owner.key)
    assert document is not None
    first = await cluster.deployments.commit(document, {"phase": "Preparing", "message": "soon"})
    assert first["status"] == {"phase": "Preparing", "message": "soon"}
    second = await cluster.deployments.commit(first, {"phase": "Stable"})
    assert second["status"] == {"phase": "Stable"}
    known = cluster.deployments.known(owner.key)
    assert known is not None
    assert known["status"] == {"phase": "Stable"}
    assert second["metadata"]["generation"] == 1


async def test_committing_the_same_again_changes_nothing(cluster: World) -> None:
    """An idle object causes no event."""
    owner = await cluster.put(fraud(cluster), SPEC)
    document = await cluster.deployments.read(owner.key)
    assert document is not None
    first = await cluster.deployments.commit(document, {"phase": "Stable"})
    second = await cluster.deployments.commit(first, {"phase": "Stable"})
    assert second["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]


async def test_a_stale_commit_is_a_conflict_and_the_next_look_is_fresh(cluster: World) -> None:
    """The plan rests on an object that is no more."""
    owner = await cluster.put(fraud(cluster), SPEC)
    stale = await cluster.deployments.read(owner.key)
    assert stale is not None
    await cluster.put(owner.key, REPLICAS_3)
    with pytest.raises(ConflictError):
        await cluster.deployments.commit(stale, {"phase": "Preparing"})
    known = cluster.deployments.known(owner.key)
    assert known is not None
    assert known["spec"]["serving"]["replicas"] == 3
    assert "status" not in known
    await cluster.deployments.commit(known, {"phase": "Preparing"})


async def test_a_commit_to_a_deleted_object_is_gone(cluster: World) -> None:
    """And it is not known any more."""
    owner = await cluster.put(fraud(cluster), SPEC)
    document = await cluster.deployments.read(owner.key)
    assert document is not None
    await cluster.remove(owner.key)
    with pytest.raises(GoneError):
        await cluster.deployments.commit(document, {"phase": "Preparing"})
    assert cluster.deployments.known(owner.key) is None


async def test_a_commit_to_a_recreated_object_is_a_conflict(cluster: World) -> None:
    """The memory of the earlier object is not written into the new one."""
    owner = await cluster.put(fraud(cluster), SPEC)
    document = await cluster.deployments.read(owner.key)
    assert document is not None
    await cluster.remove(owner.key)
    again = await cluster.put(owner.key, SPEC)
    assert again.uid != owner.uid
    with pytest.raises(ConflictError):
        await cluster.deployments.commit(document, {"phase": "Stable"})
    present = await cluster.deployments.read(owner.key)
    assert present is not None
    assert "status" not in present


async def test_a_deleted_object_is_forgotten(cluster: World) -> None:
    """A read, or catching up, tells of a deletion nobody told of."""
    owner = await cluster.put(fraud(cluster), SPEC)
    await cluster.catch_up()
    assert cluster.deployments.known(owner.key) is not None
    await cluster.remove(owner.key)
    assert cluster.deployments.known(owner.key) is not None
    assert await cluster.deployments.read(owner.key) is None
    assert cluster.deployments.known(owner.key) is None
