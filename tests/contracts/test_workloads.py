from dataclasses import replace

import pytest
from contracts.kubernetes_worlds import REFUSED_SPEC, SPEC, ApiServerWorld, World, parsed
from fakes.kubernetes import FakePod

from modelramp.adapters.kubernetes.resources import DEPLOYMENTS, SERVICES
from modelramp.api.document import revision_of
from modelramp.api.names import FIELD_MANAGER
from modelramp.ports import Document, GoneError, Key, Owner, RefusedError
from modelramp.rollout.observed import Arm, Role
from modelramp.rollout.plan import DeleteWorkload, EnsureWorkload, RestartWorkload, ScaleWorkload, SetRole

REVISION = revision_of(parsed(SPEC))
ENSURE = EnsureWorkload(revision=REVISION, replicas=2, role=Role.CANDIDATE)


async def owner_of(cluster: World) -> Owner:
    owner = await cluster.put(Key(cluster.namespace, "fraud"), SPEC)
    await cluster.deployments.read(owner.key)
    return owner


async def test_nothing_is_there_at_first(cluster: World) -> None:
    """No revisions and no pods."""
    owner = await owner_of(cluster)
    assert cluster.workloads.arms(owner.key) == {}
    assert cluster.workloads.pod_times(owner.key).born == {}


async def test_an_ensured_revision_is_known_at_once(cluster: World) -> None:
    """With its size and role, and without pods yet."""
    owner = await owner_of(cluster)
    await cluster.workloads.ensure(owner, parsed(SPEC), ENSURE)
    expected = {REVISION: Arm(revision=REVISION, wanted_replicas=2, pods=0, ready=0, settled=False, role="candidate")}
    assert cluster.workloads.arms(owner.key) == expected
    await cluster.catch_up()
    found = cluster.workloads.arms(owner.key)
    # a real cluster's Deployment controller may have made pods by now; nothing of them is ready
    assert {revision: replace(arm, pods=0, settled=False) for revision, arm in found.items()} == expected


def asked_of(cluster: World, owner: Owner) -> dict[str, tuple[int, str | None]]:
    """What each Deployment asks for; its pods come when its controller makes them."""
    return {name: (arm.wanted_replicas, arm.role) for name, arm in cluster.workloads.arms(owner.key).items()}


async def test_ensuring_twice_is_ensuring_once(cluster: World) -> None:
    """A repetition after a crash changes nothing."""
    owner = await owner_of(cluster)
    await cluster.workloads.ensure(owner, parsed(SPEC), ENSURE)
    before = asked_of(cluster, owner)
    await cluster.workloads.ensure(owner, parsed(SPEC), ENSURE)
    assert asked_of(cluster, owner) == before


async def test_a_template_the_server_does_not_take_is_refused(cluster: World) -> None:
    """The message names the field, and nothing of the revision exists."""
    owner = await cluster.put(Key(cluster.namespace, "fraud"), REFUSED_SPEC)
    spec = parsed(REFUSED_SPEC)
    effect = EnsureWorkload(revision=revision_of(spec), replicas=1, role=Role.CANDIDATE)
    with pytest.raises(RefusedError, match="containers"):
        await cluster.workloads.ensure(owner, spec, effect)
    await cluster.catch_up()
    assert cluster.workloads.arms(owner.key) == {}


async def test_scaling_is_known_at_once_and_idempotent(cluster: World) -> None:
    """Up, down to nothing, and twice."""
    owner = await owner_of(cluster)
    await cluster.workloads.ensure(owner, parsed(SPEC), ENSURE)
    for replicas in (5, 5, 0):
        await cluster.workloads.scale(owner, ScaleWorkload(revision=REVISION, replicas=replicas, grows=True))
        assert cluster.workloads.arms(owner.key)[REVISION].wanted_replicas == replicas
    await cluster.catch_up()
    assert cluster.workloads.arms(owner.key)[REVISION].wanted_replicas == 0


async def test_ensuring_after_scaling_sets_the_size_again(cluster: World) -> None:
    """Our own earlier write of the size is no conflict."""
    owner = await owner_of(cluster)
    await cluster.workloads.ensure(owner, parsed(SPEC), ENSURE)
    await cluster.workloads.scale(owner, ScaleWorkload(revision=REVISION, replicas=0, grows=False))
    await cluster.workloads.ensure(owner, parsed(SPEC), ENSURE)
    assert cluster.workloads.arms(owner.key)[REVISION].wanted_replicas == 2


async def test_a_role_is_known_at_once(cluster: World) -> None:
    """Promotion is this and nothing more."""
    owner = await owner_of(cluster)
    await cluster.workloads.ensure(owner, parsed(SPEC), ENSURE)
    for _ in range(2):
        await cluster.workloads.set_role(owner, SetRole(revision=REVISION, role=Role.STABLE))
    assert cluster.workloads.arms(owner.key)[REVISION].role == "stable"
    await cluster.catch_up()
    assert cluster.workloads.arms(owner.key)[REVISION].role == "stable"


async def test_a_restart_is_known_at_once_and_stays_when_the_revision_is_scaled(cluster: World) -> None:
    """Of the request, so that a repetition after a crash replaces no pods again."""
    owner = await owner_of(cluster)
    await cluster.workloads.ensure(owner, parsed(SPEC), ENSURE)
    assert cluster.workloads.arms(owner.key)[REVISION].restart_id is None
    for _ in range(2):
        await cluster.workloads.restart(owner, RestartWorkload(revision=REVISION, restart_id="r-1"))
        assert cluster.workloads.arms(owner.key)[REVISION].restart_id == "r-1"
    await cluster.workloads.scale(owner, ScaleWorkload(revision=REVISION, replicas=3, grows=True))
    arm = cluster.workloads.arms(owner.key)[REVISION]
    assert (arm.restart_id, arm.wanted_replicas) == ("r-1", 3)
    await cluster.catch_up()
    assert cluster.workloads.arms(owner.key)[REVISION].restart_id == "r-1"


async def test_scaling_or_naming_what_is_not_there_is_gone(cluster: World) -> None:
    """The world is not as planned: look again."""
    owner = await owner_of(cluster)
    with pytest.raises(GoneError):
        await cluster.workloads.scale(owner, ScaleWorkload(revision=REVISION, replicas=1, grows=True))
    with pytest.raises(GoneError):
        await cluster.workloads.set_role(owner, SetRole(revision=REVISION, role=Role.STABLE))
    with pytest.raises(GoneError):
        await cluster.workloads.restart(owner, RestartWorkload(revision=REVISION, restart_id="r-1"))


async def test_deleting_is_known_at_once_and_idempotent(cluster: World) -> None:
    """Also of what is not there."""
    owner = await owner_of(cluster)
    await cluster.workloads.ensure(owner, parsed(SPEC), ENSURE)
    for _ in range(2):
        await cluster.workloads.delete(owner, DeleteWorkload(revision=REVISION))
        assert cluster.workloads.arms(owner.key) == {}
    await cluster.catch_up()
    assert cluster.workloads.arms(owner.key) == {}


async def test_pods_count_while_they_exist_and_are_ready_only_when_traffic_may_come(cluster: World) -> None:
    """Ready, not ready, and ready but leaving."""
    owner = await owner_of(cluster)
    # at size 0, so that a real cluster's Deployment controller makes no pods of its own
    await cluster.workloads.ensure(owner, parsed(SPEC), replace(ENSURE, replicas=0))
    for pod in (
        FakePod(name="a"),
        FakePod(name="b", ready=False),
        FakePod(name="c", terminating=True),
        FakePod(name="d"),
    ):
        await cluster.run_pod(owner.key, REVISION, pod)
    assert cluster.workloads.arms(owner.key)[REVISION].pods == 0
    await cluster.catch_up()
    arm = cluster.workloads.arms(owner.key)[REVISION]
    assert (arm.pods, arm.ready) == (4, 2)
    assert set(cluster.workloads.pod_times(owner.key).born) == {"a", "b", "c", "d"}


async def test_what_an_earlier_object_of_the_name_left_is_not_ours_until_it_is_ensured(cluster: World) -> None:
    """It waits for the garbage collector; ensuring the revision again adopts it."""
    earlier = await owner_of(cluster)
    await cluster.workloads.ensure(earlier, parsed(SPEC), ENSURE)
    await cluster.remove(earlier.key, collect=False)
    owner = await owner_of(cluster)
    await cluster.catch_up()
    assert owner.uid != earlier.uid
    assert cluster.workloads.arms(owner.key) == {}
    await cluster.workloads.ensure(owner, parsed(SPEC), ENSURE)
    await cluster.catch_up()
    assert list(cluster.workloads.arms(owner.key)) == [REVISION]


@pytest.mark.apiserver
async def test_a_refused_revision_leaves_no_service(real: ApiServerWorld) -> None:
    """The Service is made first, so it must go again."""
    owner = await real.put(Key(real.namespace, "fraud"), REFUSED_SPEC)
    spec = parsed(REFUSED_SPEC)
    effect = EnsureWorkload(revision=revision_of(spec), replicas=1, role=Role.CANDIDATE)
    with pytest.raises(RefusedError):
        await real.workloads.ensure(owner, spec, effect)
    assert (await real.transport.list(SERVICES, namespace=real.namespace)).items == []


@pytest.mark.apiserver
async def test_a_field_that_does_not_exist_is_refused_by_name(real: ApiServerWorld) -> None:
    """The server answers 500 for it, but no repetition would help."""
    container = {"name": "model", "image": "a", "imagePullPolise": "Never"}
    wrong = {**SPEC, "serving": {"runtime": "mlserver", "template": {"spec": {"containers": [container]}}}}
    owner = await real.put(Key(real.namespace, "fraud"), wrong)
    spec = parsed(wrong)
    effect = EnsureWorkload(revision=revision_of(spec), replicas=1, role=Role.CANDIDATE)
    with pytest.raises(RefusedError, match="imagePullPolise"):
        await real.workloads.ensure(owner, spec, effect)


@pytest.mark.apiserver
async def test_a_second_ensure_changes_no_stored_object(real: ApiServerWorld) -> None:
    """So GitOps and watches see nothing."""
    owner = await owner_of(real)
    versions = []
    for _ in range(2):
        await real.workloads.ensure(owner, parsed(SPEC), ENSURE)
        stored = [
            (await real.transport.get(resource, Key(real.namespace, f"fraud-{REVISION}")))
            for resource in (DEPLOYMENTS, SERVICES)
        ]
        versions.append([written_by_us(document) for document in stored])
    assert versions[0] == versions[1]


def written_by_us(document: Document) -> tuple[int, list[object]]:
    """
    The generation, and when we wrote what; others (the Deployment controller) write the status at any time.
    """
    metadata = document["metadata"]
    ours = [entry for entry in metadata["managedFields"] if entry["manager"] == FIELD_MANAGER]
    return metadata.get("generation", 0), ours


@pytest.mark.apiserver
async def test_what_somebody_else_changed_is_taken_back(real: ApiServerWorld) -> None:
    """One writer per object."""
    owner = await owner_of(real)
    await real.workloads.ensure(owner, parsed(SPEC), ENSURE)
    name = Key(real.namespace, f"fraud-{REVISION}")
    await real.write_as("kubectl-edit", DEPLOYMENTS, name, {"spec": {"replicas": 9, "minReadySeconds": 4}})
    await real.write_as("kubectl-edit", SERVICES, name, {"metadata": {"labels": {"modelramp.io/role": "mine"}}})
    await real.workloads.ensure(owner, parsed(SPEC), ENSURE)
    assert (await real.transport.get(DEPLOYMENTS, name))["spec"]["replicas"] == 2
    labels = (await real.transport.get(SERVICES, name))["metadata"]["labels"]
    assert labels["modelramp.io/role"] == "candidate"


@pytest.mark.apiserver
async def test_what_is_rendered_is_what_is_stored(real: ApiServerWorld) -> None:
    """Owner, labels and selectors arrive, and a change of role restarts nothing."""
    owner = await owner_of(real)
    await real.workloads.ensure(owner, parsed(SPEC), ENSURE)
    name = Key(real.namespace, f"fraud-{REVISION}")
    before = await real.transport.get(DEPLOYMENTS, name)
    await real.workloads.set_role(owner, SetRole(revision=REVISION, role=Role.STABLE))
    after, service = await real.transport.get(DEPLOYMENTS, name), await real.transport.get(SERVICES, name)
    assert before["spec"] == after["spec"]
    assert before["metadata"]["generation"] == after["metadata"]["generation"]
    assert service["metadata"]["labels"]["modelramp.io/role"] == "stable"
    assert service["spec"]["selector"] == after["spec"]["selector"]["matchLabels"]
    assert service["spec"]["ports"][0]["targetPort"] == 8080
    assert after["metadata"]["ownerReferences"][0]["uid"] == owner.uid


@pytest.mark.apiserver
async def test_a_deployment_that_only_borrows_our_labels_is_never_deleted(real: ApiServerWorld) -> None:
    """It has no controller reference to the object, so it is no arm and nothing is planned for it."""
    owner = await owner_of(real)
    await real.workloads.ensure(owner, parsed(SPEC), ENSURE)
    ours = await real.transport.get(DEPLOYMENTS, Key(real.namespace, f"fraud-{REVISION}"))
    metadata = {"name": "theirs", "namespace": real.namespace, "labels": ours["metadata"]["labels"]}
    body = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": ours["spec"]}
    await real.transport.create(DEPLOYMENTS, body)
    await real.catch_up()
    assert list(real.workloads.arms(owner.key)) == [REVISION]
    await real.workloads.delete(owner, DeleteWorkload(revision=REVISION))
    assert await real.transport.get(DEPLOYMENTS, Key(real.namespace, "theirs"))
