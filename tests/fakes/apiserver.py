"""
An API server's objects in memory, as far as routes of others need one: reads, merge patches and JSON Patches with
their tests, versions, finalizers, and who wrote a route's rules last.
"""

import json
from collections.abc import Sequence
from itertools import count
from typing import Any

from modelramp.adapters.kubernetes.resources import Resource
from modelramp.ports import ConflictError, Document, GoneError, Key

Place = tuple[str, Key]


def _copied(document: Any) -> Any:  # noqa: ANN401 - JSON
    return json.loads(json.dumps(document))


class FakeApiServer:
    """
    In place of a `Transport`.
    """

    def __init__(self) -> None:
        """
        Begins empty.
        """
        self.objects: dict[Place, dict[str, Any]] = {}
        self.writes: list[str] = []
        self._numbers = count(1)

    def _kept(self, place: Place, body: dict[str, Any], writer: str) -> Document:
        before = self.objects.get(place)
        metadata = body["metadata"]
        if before is None:
            metadata |= {"uid": f"uid-{next(self._numbers)}", "generation": 1}
        elif before.get("spec") != body.get("spec"):
            metadata["generation"] = before["metadata"]["generation"] + 1
        if (before or {}).get("spec", {}).get("rules") != body.get("spec", {}).get("rules"):
            metadata["managedFields"] = [{"manager": writer, "fieldsV1": {"f:spec": {"f:rules": {}}}}]
        metadata["resourceVersion"] = str(next(self._numbers))
        self.objects[place] = _copied(body)
        if metadata.get("deletionTimestamp") and not metadata.get("finalizers"):
            del self.objects[place]
        self.writes.append(f"{writer} {place[0]}")
        return body

    async def get(self, resource: Resource, key: Key) -> dict[str, Any]:
        """
        The object now.
        """
        if (resource.plural, key) not in self.objects:
            raise GoneError(f"{key} is gone")
        found: dict[str, Any] = _copied(self.objects[resource.plural, key])
        return found

    async def create(self, resource: Resource, body: Document, writer: str = "modelramp") -> Document:
        """
        As written.
        """
        key = Key(body["metadata"]["namespace"], body["metadata"]["name"])
        return self._kept((resource.plural, key), _copied(body), writer)

    async def merge_patch(
        self, resource: Resource, key: Key, patch: dict[str, Any], writer: str = "modelramp"
    ) -> Document:
        """
        Of metadata and spec, one level deep.
        """
        body = await self.get(resource, key)
        expected = patch.get("metadata", {}).get("resourceVersion")
        if expected not in {None, body["metadata"]["resourceVersion"]}:
            raise ConflictError(f"{key} has changed")
        for part in ("metadata", "spec"):
            body[part] |= _copied(patch.get(part, {}))
        return self._kept((resource.plural, key), body, writer)

    async def json_patch(self, resource: Resource, key: Key, operations: Sequence[dict[str, Any]]) -> Document:
        """
        All operations or none.
        """
        body = await self.get(resource, key)
        for operation in operations:
            *way, last = operation["path"].removeprefix("/").split("/")
            node: Any = body
            for part in way:
                node = node[int(part)] if isinstance(node, list) else node.get(part)
                if node is None:
                    raise ConflictError(f"{operation['path']} is not there")
            name = last.replace("~1", "/")
            match operation["op"]:
                case "test":
                    if node.get(name) != operation["value"]:
                        raise ConflictError(f"{operation['path']} is not as it was last seen")
                case "add" | "replace":
                    node[name] = _copied(operation["value"])
                case "remove":
                    del node[name]
        return self._kept((resource.plural, key), body, "modelramp")

    async def delete(self, resource: Resource, key: Key) -> None:
        """
        Gone, or marked for it where a finalizer holds it.
        """
        body = await self.get(resource, key)
        body["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
        self._kept((resource.plural, key), body, "user")
