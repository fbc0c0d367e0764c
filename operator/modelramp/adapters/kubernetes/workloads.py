"""
Revisions as Deployments and Services.
"""

from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from modelramp.adapters.kubernetes.arms import arm_of, pod_times
from modelramp.adapters.kubernetes.configs import ConfigCopies
from modelramp.adapters.kubernetes.ownership import owned_by
from modelramp.adapters.kubernetes.rendering import deployment_of, service_of
from modelramp.adapters.kubernetes.resources import DEPLOYMENTS, SERVICES, Kind
from modelramp.adapters.kubernetes.store import Store
from modelramp.adapters.kubernetes.transport import Transport
from modelramp.api.names import ANNOTATION_CONFIG, ANNOTATION_RESTART, LABEL_REVISION, LABEL_ROLE, workload_name
from modelramp.api.spec import MLModelDeploymentSpec
from modelramp.ports import Document, GoneError, Key, Owner, PodTimes, RefusedError
from modelramp.rollout.observed import Arm
from modelramp.rollout.plan import DeleteWorkload, EnsureWorkload, RestartWorkload, ScaleWorkload, SetRole

_CHANGED: Final = "MODIFIED"
MOST_COPIES: Final = 8  # as many as the spec may name


def _copies(deployment: Document | None) -> int:
    """
    How many ConfigMaps were copied for the revision.
    """
    number = deployment["metadata"].get("annotations", {}).get(ANNOTATION_CONFIG, "") if deployment else ""
    return min(int(number), MOST_COPIES) if number.isdecimal() else 0


def _name(owner: Owner, revision: str) -> Key:
    return Key(owner.key.namespace, workload_name(owner.key.name, revision))


class KubernetesWorkloads:
    """
    Port `Workloads` over the API server and what was last heard of it.

    A revision exists when its Deployment does. So the Service is made first and removed first: a crash in between is
    seen as a revision that is not there yet, or still there, and the effect is planned again.
    """

    def __init__(self, transport: Transport, store: Store) -> None:
        """
        `store` is also told what is written here, so that a cycle sees the effects of the one before.
        """
        self._transport = transport
        self._store = store
        self._configs = ConfigCopies(transport)

    def arms(self, key: Key) -> Mapping[str, Arm]:
        """
        By revision, as last heard of. Deployments that the object does not own, or that are being deleted, are not
        among them.
        """
        pods = self._store.children(Kind.POD, key)
        slices = self._store.children(Kind.ENDPOINT_SLICE, key)
        return {revision: arm_of(deployment, pods, slices) for revision, deployment in self._deployments(key).items()}

    def pod_times(self, key: Key) -> PodTimes:
        """
        Of all pods of the object, as last heard of.
        """
        return pod_times(self._store.children(Kind.POD, key))

    async def ensure(self, owner: Owner, spec: MLModelDeploymentSpec, effect: EnsureWorkload) -> None:
        """
        Deployment and Service of the spec's revision exist, and its copies of ConfigMaps. Idempotent.

        Raises:
            RefusedError: the API server does not take the pod template, or a ConfigMap the spec names is not there.
        """
        await self._configs.ensure(owner, spec, effect.revision)
        await self._transport.apply(SERVICES, service_of(owner, spec, effect), force=True)
        try:
            written = await self._transport.apply(DEPLOYMENTS, deployment_of(owner, spec, effect), force=True)
        except RefusedError:
            await self._drop_unused(owner, effect.revision, len(spec.serving.config))
            raise
        self._store.heard(Kind.DEPLOYMENT, _CHANGED, written)

    async def scale(self, owner: Owner, effect: ScaleWorkload) -> None:
        """
        The Deployment asks for so many pods. Idempotent.

        Raises:
            GoneError: there is no such Deployment.
        """
        name = _name(owner, effect.revision)
        patch = {"spec": {"replicas": effect.replicas}}
        written = await self._transport.merge_patch(DEPLOYMENTS, name, patch, subresource="scale")
        known = self._store.get(Kind.DEPLOYMENT, name)
        if known is not None and known["metadata"]["uid"] == written["metadata"]["uid"]:
            version = {"resourceVersion": written["metadata"]["resourceVersion"]}
            spec = {**known["spec"], "replicas": effect.replicas}
            changed = written["metadata"]["resourceVersion"] != known["metadata"]["resourceVersion"]
            # Its controller has not seen this yet; what it makes of it is heard by the watch.
            status = {name: value for name, value in known["status"].items() if name != "observedGeneration"}
            scaled = {
                "metadata": {**known["metadata"], **version},
                "spec": spec,
                "status": status if changed else known["status"],
            }
            self._store.heard(Kind.DEPLOYMENT, _CHANGED, scaled)

    async def set_role(self, owner: Owner, effect: SetRole) -> None:
        """
        The objects carry the role. Idempotent.

        The Deployment is last, because it is where the role is read again. The pods do not carry it: another label in
        the template would restart them.

        Raises:
            GoneError: there is no such Deployment.
        """
        name = _name(owner, effect.revision)
        patch = {"metadata": {"labels": {LABEL_ROLE: effect.role.value}}}
        with suppress(GoneError):
            await self._transport.merge_patch(SERVICES, name, patch)
        written = await self._transport.merge_patch(DEPLOYMENTS, name, patch)
        self._store.heard(Kind.DEPLOYMENT, _CHANGED, written)

    async def restart(self, owner: Owner, effect: RestartWorkload) -> None:
        """
        The revision's pods are being replaced for this request. Idempotent.

        An annotation in the pod template makes the Deployment do it, as `kubectl rollout restart` does.

        Raises:
            GoneError: there is no such Deployment.
        """
        template = {"metadata": {"annotations": {ANNOTATION_RESTART: effect.restart_id}}}
        written = await self._transport.merge_patch(
            DEPLOYMENTS, _name(owner, effect.revision), {"spec": {"template": template}}
        )
        self._store.heard(Kind.DEPLOYMENT, _CHANGED, written)

    async def delete(self, owner: Owner, effect: DeleteWorkload) -> None:
        """
        Deployment, Service and copies of ConfigMaps are gone. Idempotent.

        Raises:
            ConflictError: the Deployment is another one than was last heard of.
        """
        name = _name(owner, effect.revision)
        known = self._store.get(Kind.DEPLOYMENT, name)
        await self._configs.delete(owner, effect.revision, _copies(known))
        with suppress(GoneError):
            await self._transport.delete(SERVICES, name)
        with suppress(GoneError):
            await self._transport.delete(DEPLOYMENTS, name, uid=known["metadata"]["uid"] if known else None)
        self._store.forget(Kind.DEPLOYMENT, name)

    def _deployments(self, key: Key) -> Mapping[str, Document]:
        """
        The Deployments of the object's revisions. A Deployment that only borrows our labels is none.
        """
        model = self._store.get(Kind.MODEL, key)
        uid = model["metadata"]["uid"] if model is not None else None
        found = {}
        for deployment in self._store.children(Kind.DEPLOYMENT, key):
            metadata = deployment["metadata"]
            revision = metadata["labels"].get(LABEL_REVISION, "")
            ours = owned_by(deployment, key, uid) and metadata["name"] == workload_name(key.name, revision)
            if ours and "deletionTimestamp" not in metadata:
                found[revision] = deployment
        return found

    async def _drop_unused(self, owner: Owner, revision: str, copies: int) -> None:
        """
        A refused Deployment leaves no Service and no copies behind, unless it is one that exists and only its change
        was refused.
        """
        name = _name(owner, revision)
        try:
            await self._transport.get(DEPLOYMENTS, name)
        except GoneError:
            with suppress(GoneError):
                await self._transport.delete(SERVICES, name)
            await self._configs.delete(owner, revision, copies)
