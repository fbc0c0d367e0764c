"""
Copies of ConfigMaps that are part of a revision: made with it, never changed, removed with it.

Without them the way back would bring back the old pod template with the new configuration.
"""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

from modelramp.adapters.kubernetes.ownership import common_labels, owned_by, owner_reference
from modelramp.adapters.kubernetes.readers import CONFIG_MAPS
from modelramp.adapters.kubernetes.transport import Transport
from modelramp.api.document import followed, revision_of
from modelramp.api.identity import content_hash
from modelramp.api.names import LABEL_REVISION, workload_name
from modelramp.api.spec import MLModelDeploymentSpec
from modelramp.ports import ConflictError, Document, GoneError, Key, Owner, RefusedError

COMPONENT: Final = "model-configuration"
_REFERENCES: Final = frozenset({"configMap", "configMapRef", "configMapKeyRef"})  # every place a PodSpec names one


def copy_name(deployment: str, revision: str, number: int) -> str:
    """
    The name of a revision's copy of the ConfigMap that stands at `number` in the spec's list, from 0.
    """
    return f"{workload_name(deployment, revision)}-{number}"


def copies_of(owner: Owner, spec: MLModelDeploymentSpec, revision: str) -> Mapping[str, str]:
    """
    Names of the copies by the names of what they are copied from.
    """
    named = [one.config_map for one in spec.serving.config]
    return {name: copy_name(owner.key.name, revision, number) for number, name in enumerate(named)}


def with_copies(part: Any, copies: Mapping[str, str]) -> Any:  # noqa: ANN401 - any part of a pod's specification
    """
    The same part of a pod's specification, naming the copies.
    """
    if isinstance(part, list):
        return [with_copies(item, copies) for item in part]
    if not isinstance(part, dict):
        return part
    changed = {name: with_copies(item, copies) for name, item in part.items()}
    for name in _REFERENCES & changed.keys():
        if isinstance(changed[name], dict) and changed[name].get("name") in copies:
            changed[name] = {**changed[name], "name": copies[changed[name]["name"]]}
    return changed


def copy_of(owner: Owner, revision: str, name: str, source: Document) -> dict[str, Any]:
    """
    What a copy is made of.
    """
    labels = common_labels(owner, instance=workload_name(owner.key.name, revision), component=COMPONENT)
    return {
        "apiVersion": CONFIG_MAPS.api_version,
        "kind": CONFIG_MAPS.kind,
        "metadata": {
            "name": name,
            "namespace": owner.key.namespace,
            "labels": {**labels, LABEL_REVISION: revision},
            "ownerReferences": [owner_reference(owner)],
        },
        "immutable": True,
        **{part: source[part] for part in ("data", "binaryData") if source.get(part)},
    }


class ConfigCopies:
    """
    The copies in the cluster.
    """

    def __init__(self, transport: Transport) -> None:
        """
        Asks nothing yet.
        """
        self._transport = transport

    async def ensure(self, owner: Owner, spec: MLModelDeploymentSpec, revision: str) -> None:
        """
        Every copy exists. One that does stays as it is, whatever became of what it was copied from.

        Raises:
            RefusedError: there is nothing to copy, or a stranger's ConfigMap has the copy's name.
            ConflictError: what is there makes another revision than this one: it changed since it was looked at.
        """
        copies: dict[str, Document] = {}
        absent: dict[str, Document] = {}
        for number, (source, name) in enumerate(copies_of(owner, spec, revision).items()):
            known = await self._present(owner, name)
            if known is None:
                absent[name] = await self._source(owner, f"spec.serving.config[{number}].configMap", source)
            copies[source] = absent[name] if known is None else known
        contents = {name: content_hash(copies[name]) for name in followed(spec)}
        if contents and revision_of(spec, contents) != revision:
            raise ConflictError("the configuration has changed since it was looked at")
        for name, found in absent.items():
            await self._transport.create(CONFIG_MAPS, copy_of(owner, revision, name, found))

    async def _present(self, owner: Owner, name: str) -> Document | None:
        """
        The copy of that name; None: there is none yet.
        """
        try:
            known: Document = await self._transport.get(CONFIG_MAPS, Key(owner.key.namespace, name))
        except GoneError:
            return None
        if not owned_by(known, owner.key, owner.uid):
            raise RefusedError(f"a ConfigMap {name} exists and is not of this object")
        return known

    async def _source(self, owner: Owner, path: str, name: str) -> Document:
        try:
            found: Document = await self._transport.get(CONFIG_MAPS, Key(owner.key.namespace, name))
        except GoneError:
            raise RefusedError(f"{path}: there is no ConfigMap {name}") from None
        return found

    async def delete(self, owner: Owner, revision: str, number: int) -> None:
        """
        The revision's first `number` copies are gone. Idempotent.
        """
        for one in range(number):
            with suppress(GoneError):
                await self._transport.delete(
                    CONFIG_MAPS, Key(owner.key.namespace, copy_name(owner.key.name, revision, one))
                )
