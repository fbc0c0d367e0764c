"""
A real API server, asked over plain HTTPS as a client without any typed model would ask it.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from kubernetes import client, config

GROUP_PATH: Final = "/apis/modelramp.io/v1alpha1/namespaces/default/mlmodeldeployments"
CRD_PATH: Final = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


@dataclass(frozen=True)
class Answer:
    """
    What the API server said: status, body, and its warnings.
    """

    status: int
    body: dict[str, Any]
    warnings: tuple[str, ...]

    @property
    def causes(self) -> tuple[tuple[str, str], ...]:
        """
        Field path and message of each thing refused.
        """
        causes = self.body.get("details", {}).get("causes", ())
        return tuple((cause.get("field", ""), cause.get("message", "")) for cause in causes)


class ApiServer:
    """
    The API server a kubeconfig names.
    """

    def __init__(self, kubeconfig: Path) -> None:
        """
        Read the kubeconfig; nothing is sent yet.
        """
        self.kubeconfig = kubeconfig
        self._client: client.ApiClient = config.new_client_from_config(str(kubeconfig))  # type: ignore[no-untyped-call]

    def send(
        self,
        method: str,
        path: str,
        body: object,
        kind: str = "application/json",
        accept: str = "application/json",
        user: str = "",
    ) -> Answer:
        """
        The answer to one request, whatever its status; with a user's name, to the same request by that user.
        """
        headers: dict[str, str] = {"Content-Type": kind, "Accept": accept}
        if user:
            # Header values are bytes on the wire, and names there are in UTF-8.
            headers["Impersonate-User"] = user.encode().decode("latin-1")
        self._client.update_params_for_auth(headers, [], ["BearerToken"], path, method, body)
        reply = self._client.rest_client.pool_manager.request(
            method,
            self._client.configuration.host + path,
            body=json.dumps(body).encode(),
            headers=headers,
            timeout=30,
            retries=False,
        )
        # Where nothing is served yet, the answer is a line of text.
        is_json = "json" in reply.headers.get("Content-Type", "")
        said = json.loads(reply.data) if is_json else {"message": reply.data.decode()}
        return Answer(reply.status, said, tuple(reply.headers.getlist("Warning")))

    def try_create(self, document: dict[str, Any]) -> Answer:
        """
        A dry run of creating the object, with unknown fields refused as kubectl does.
        """
        return self.send("POST", f"{GROUP_PATH}?dryRun=All&fieldValidation=Strict", document)

    def close(self) -> None:
        """
        Close the connections.
        """
        self._client.rest_client.pool_manager.clear()
        self._client.close()  # type: ignore[no-untyped-call]
