"""
Requests to the API server, as plain documents over the official asynchronous client.

No typed models: parsing them costs ten times as much as the documents, and they refuse what a newer server adds.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import aiohttp
from kubernetes.aio import config as loader
from kubernetes.aio.client import ApiClient, Configuration

from modelramp import __version__
from modelramp.adapters.kubernetes.faults import UNTESTED, fault
from modelramp.adapters.kubernetes.resources import LEASES, Resource
from modelramp.api.names import FIELD_MANAGER
from modelramp.ports import ConflictError, Document, Key, RefusedError, UnreachableError

TIMEOUT_SECONDS: Final = 10.0  # below the 15 s of the leader's lease, so that no write outlives the right to make it
PAGE: Final = 500  # objects per answer of a list, as kubectl and client-go ask
USER_AGENT: Final = f"modelramp/{__version__}"

_JSON: Final = "application/json"
_MERGE: Final = "application/merge-patch+json"
_JSON_PATCH: Final = "application/json-patch+json"
_APPLY: Final = "application/apply-patch+yaml"  # JSON is YAML
_SUCCESS: Final = range(200, 300)
_READS: Final = frozenset({"get", "list"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """
    All objects of a kind at one moment, which `resource_version` names.
    """

    items: Sequence[Document]
    resource_version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Request:
    method: str
    verb: str
    resource: Resource
    namespace: str | None
    name: str | None = None
    subresource: str | None = None
    query: tuple[tuple[str, str], ...] = ()
    body: Document | Sequence[Document] | None = None
    content_type: str = _JSON

    @property
    def path(self) -> str:
        return self.resource.path(self.namespace, self.name, self.subresource)

    def __str__(self) -> str:
        kind = f"{self.resource.title}/{self.subresource}" if self.subresource else self.resource.title
        where = f" in namespace {self.namespace}" if self.namespace else ""
        return f"{kind} {self.name}{where}" if self.name else f"{kind}{where}"


class Transport:
    """
    One connection pool to one API server. Every call ends within its timeout, and fails only with a `PortError`.
    """

    def __init__(self, configuration: Configuration, *, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        """
        `configuration` holds address and credentials; `timeout_seconds` bounds each request as a whole.
        """
        self._client = ApiClient(configuration)
        self._client.user_agent = USER_AGENT
        self._timeout = aiohttp.ClientTimeout(total=timeout_seconds)
        self.may_write: Callable[[], bool] = lambda: True
        """Asked before every write, except of a Lease: a replica that may have lost the leadership writes nothing."""

    @classmethod
    async def connect(cls, *, kubeconfig: str | None = None, context: str | None = None) -> Self:
        """
        Credentials from a kubeconfig file, or of the pod this runs in when there is none.

        A service account's token is read again every minute, as the kubelet replaces it.

        Raises:
            UnreachableError: there are no usable credentials.
        """
        configuration = Configuration()
        try:
            if kubeconfig is None:
                loader.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
            else:
                await loader.load_kube_config(  # type: ignore[no-untyped-call]
                    config_file=kubeconfig, context=context, client_configuration=configuration
                )
        except (loader.ConfigException, OSError) as error:
            raise UnreachableError(f"no credentials for the API server: {error}") from error
        return cls(configuration)

    async def close(self) -> None:
        """
        Close the connections.
        """
        await self._client.close()  # type: ignore[no-untyped-call]

    async def get(self, resource: Resource, key: Key) -> Document:
        """
        The object now.

        Raises:
            GoneError: there is none.
        """
        return await self._send(
            _Request(method="GET", verb="get", resource=resource, namespace=key.namespace, name=key.name)
        )

    async def list(self, resource: Resource, *, namespace: str | None = None, labels: str | None = None) -> Listing:
        """
        All objects, in pages; `namespace` None: of all namespaces; `labels` is a label selector.

        Raises:
            UnreachableError: also when the pages became too old to go on; a part is never returned.
        """
        items: list[Document] = []
        page, version = "", ""
        while True:
            query = (("limit", str(PAGE)), ("labelSelector", labels or ""), ("continue", page))
            answer = await self._send(
                _Request(
                    method="GET",
                    verb="list",
                    resource=resource,
                    namespace=namespace,
                    query=tuple((name, value) for name, value in query if value),
                )
            )
            # Items of a list carry neither of the two; everything downstream expects whole documents.
            kind = {"apiVersion": resource.api_version, "kind": resource.kind}
            items += [{**kind, **item} for item in answer.get("items") or ()]
            version = version or answer["metadata"].get("resourceVersion", "")
            page = answer["metadata"].get("continue") or ""
            if not page:
                return Listing(items=items, resource_version=version)

    async def apply(
        self, resource: Resource, body: Document, *, force: bool, subresource: str | None = None
    ) -> Document:
        """
        Server-side apply, as field manager `modelramp`; the object as written.

        A `metadata.resourceVersion` or `metadata.uid` in `body` is a precondition. Without `force`, fields that another
        writer set to something else are a conflict that names it.

        Raises:
            ConflictError: a precondition does not hold, or another writer owns a field.
            RefusedError: the object is not valid; the message names the field.
        """
        metadata = body["metadata"]
        return await self._send(
            _Request(
                method="PATCH",
                verb="patch",
                resource=resource,
                namespace=metadata["namespace"],
                name=metadata["name"],
                subresource=subresource,
                query=(("fieldManager", FIELD_MANAGER), ("force", "true" if force else "false")),
                body=body,
                content_type=_APPLY,
            )
        )

    async def apply_status(self, resource: Resource, body: Document) -> Document:
        """
        Server-side apply of the whole status, taking fields from other writers; the object as written.

        Raises:
            ConflictError: the `metadata.resourceVersion` in `body` is not the present one.
            GoneError: there is no such object.
        """
        return await self.apply(resource, body, force=True, subresource="status")

    async def merge_patch(
        self, resource: Resource, key: Key, patch: Document, *, subresource: str | None = None
    ) -> Document:
        """
        Set these fields and leave the others; the object, or the subresource, as written.

        Raises:
            GoneError: there is no such object.
        """
        return await self._send(
            _Request(
                method="PATCH",
                verb="patch",
                resource=resource,
                namespace=key.namespace,
                name=key.name,
                subresource=subresource,
                query=(("fieldManager", FIELD_MANAGER),),
                body=patch,
                content_type=_MERGE,
            )
        )

    async def json_patch(self, resource: Resource, key: Key, operations: Sequence[Document]) -> Document:
        """
        Carry out these operations, all or none; the object as written.

        Raises:
            ConflictError: one of its tests does not hold, or names what is not there.
            GoneError: there is no such object.
            RefusedError: the object would not be valid; the message names the field.
        """
        try:
            return await self._send(
                _Request(
                    method="PATCH",
                    verb="patch",
                    resource=resource,
                    namespace=key.namespace,
                    name=key.name,
                    query=(("fieldManager", FIELD_MANAGER),),
                    body=operations,
                    content_type=_JSON_PATCH,
                )
            )
        except RefusedError as error:
            if UNTESTED in str(error):
                raise ConflictError(f"patch {key}: it is not as it was last seen") from error
            raise

    async def delete(self, resource: Resource, key: Key, *, uid: str | None = None) -> None:
        """
        Delete the object now and what it owns in the background.

        Raises:
            ConflictError: the object has another uid than `uid`.
            GoneError: there is no such object.
        """
        options: dict[str, Any] = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background"}
        await self._send(
            _Request(
                method="DELETE",
                verb="delete",
                resource=resource,
                namespace=key.namespace,
                name=key.name,
                body=options | ({"preconditions": {"uid": uid}} if uid else {}),
            )
        )

    async def create(self, resource: Resource, body: Document) -> Document:
        """
        Create the object; as written.

        Raises:
            ExistsError: there is one of that name.
        """
        return await self._send(
            _Request(
                method="POST",
                verb="create",
                resource=resource,
                namespace=body["metadata"]["namespace"],
                query=(("fieldManager", FIELD_MANAGER),),
                body=body,
            )
        )

    async def replace(self, resource: Resource, body: Document) -> Document:
        """
        Replace the object; as written.

        Raises:
            ConflictError: the `metadata.resourceVersion` in `body` is not the present one.
            GoneError: there is no such object.
        """
        metadata = body["metadata"]
        return await self._send(
            _Request(
                method="PUT",
                verb="update",
                resource=resource,
                namespace=metadata["namespace"],
                name=metadata["name"],
                query=(("fieldManager", FIELD_MANAGER),),
                body=body,
            )
        )

    async def _send(self, request: _Request) -> Mapping[str, Any]:
        if request.verb not in _READS and request.resource is not LEASES and not self.may_write():
            raise UnreachableError(f"{request.verb} {request}: this replica may not be the leader any more")
        try:
            code, body = await self._exchange(request)
        except TimeoutError as error:
            raise UnreachableError(f"{request.verb} {request}: no answer within {self._timeout.total} s") from error
        except (aiohttp.ClientError, loader.ConfigException, OSError) as error:
            raise UnreachableError(f"{request.verb} {request}: {str(error) or type(error).__name__}") from error
        if code not in _SUCCESS:
            raise fault(code, body, request.verb, str(request))
        try:
            document: dict[str, Any] = json.loads(body)
        except ValueError as error:
            raise UnreachableError(f"{request.verb} {request}: the answer is not JSON") from error
        return document

    async def _exchange(self, request: _Request) -> tuple[int, bytes]:
        method, url, headers, body, _ = await self._client.param_serialize(
            request.method,
            request.path,
            query_params=list(request.query),
            header_params={"Accept": _JSON, "Content-Type": request.content_type},
            body=request.body,
            auth_settings=["BearerToken"],
        )
        answer = await self._client.call_api(method, url, headers, body=body, _request_timeout=self._timeout)
        return answer.status, await answer.read()  # type: ignore[no-untyped-call]
