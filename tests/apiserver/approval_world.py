"""
The policy that guards approvals, in force in a namespace of its own, with users who may edit, and may approve or not.
"""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import yaml
from apiserver.server import CRD_PATH, Answer, ApiServer
from apiserver.values import smallest

ROOT: Final = Path(__file__).resolve().parents[2]
NAMESPACE: Final = f"approvals-{os.getpid()}"
LAX_GROUP: Final = f"{NAMESPACE}.modelramp.test"
ACTION: Final = "modelramp.io/action"
IN_FORCE_WITHIN_S: Final = 30

EDITOR: Final = "eve"
APPROVER: Final = "ada"
APPROVER_OF_ONE: Final = "ben"
"""May approve for the object `fraud` alone."""
ROBOT: Final = f"system:serviceaccount:{NAMESPACE}:release-bot"
"""May approve, and has colons in its name."""
FOREIGNER: Final = "Zoë Ångström, 株式会社 {ML}: ops"
"""May approve; a name with what is special to JSON, but for quotes and backslashes, and more than ASCII."""
APPROVERS: Final = (APPROVER, ROBOT, FOREIGNER)
KEYS: Final = ("id", "verb", "revision", "by")
"""May edit; names that read like keys of a request."""

Object = dict[str, Any]
MERGE: Final = "application/merge-patch+json"
_POLICIES: Final = "/apis/admissionregistration.k8s.io/v1"
_ROLES: Final = "/apis/rbac.authorization.k8s.io/v1"


def manifests() -> dict[str, Object]:
    """
    The documents of deploy/approvals.yaml by kind.
    """
    documents = yaml.safe_load_all((ROOT / "deploy" / "approvals.yaml").read_text(encoding="utf-8"))
    return {document["kind"]: document for document in documents}


def _edit_rules() -> list[Object]:
    """
    What the chart's role for editors grants, and nothing else.
    """
    golden = (ROOT / "tests" / "unit" / "chart" / "golden" / "default.yaml").read_text(encoding="utf-8")
    roles = [document for document in yaml.safe_load_all(golden) if document and document["kind"] == "ClusterRole"]
    return next(role["rules"] for role in roles if role["metadata"]["name"] == "modelramp-edit")  # type: ignore[no-any-return]


def _lax_definition() -> Object:
    """
    Objects of the same shape without a schema, for fields and values that the real definition does not accept yet.
    """
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": "v1alpha1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    names = {"plural": "mlmodeldeployments", "singular": "mlmodeldeployment", "kind": "MLModelDeployment"}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"mlmodeldeployments.{LAX_GROUP}"},
        "spec": {"group": LAX_GROUP, "scope": "Namespaced", "names": names, "versions": [version]},
    }


def _role(name: str, rules: list[Object], users: tuple[str, ...]) -> list[tuple[str, Object]]:
    """
    A role in the namespace and its binding, each with the path it is posted to.
    """
    path = f"{_ROLES}/namespaces/{NAMESPACE}"
    group = "rbac.authorization.k8s.io"
    subjects = [{"kind": "User", "apiGroup": group, "name": user} for user in users]
    reference = {"apiGroup": group, "kind": "Role", "name": name}
    return [
        (f"{path}/roles", {"metadata": {"name": name}, "rules": rules}),
        (f"{path}/rolebindings", {"metadata": {"name": name}, "subjects": subjects, "roleRef": reference}),
    ]


class ApprovalWorld:
    """
    A namespace with an object in it, where the policy is in force.
    """

    def __init__(self, server: ApiServer) -> None:
        """
        Nothing is made yet.
        """
        self.server = server
        self.policy = manifests()["ValidatingAdmissionPolicy"]
        self._made: list[str] = []

    def begin(self) -> None:
        """
        Make everything, and wait until the policy refuses what it should.
        """
        self._make("/api/v1/namespaces", {"metadata": {"name": NAMESPACE, "labels": {"approvals": NAMESPACE}}})
        self._make(CRD_PATH, _lax_definition())
        role = manifests()["ClusterRole"]
        lax = {"apiGroups": [LAX_GROUP], "resources": ["mlmodeldeployments"], "verbs": ["create", "update", "patch"]}
        only = [{**rule, "resourceNames": ["fraud"]} for rule in role["rules"]]
        for path, body in [
            *_role("edit", [*_edit_rules(), lax], (EDITOR, APPROVER_OF_ONE, *KEYS, *APPROVERS)),
            *_role("approve", role["rules"], APPROVERS),
            *_role("approve-fraud", only, (APPROVER_OF_ONE,)),
        ]:
            self._make(path, body)
        self._make(self.path(), {**smallest(), "metadata": {"name": "fraud"}})
        self._make_policy()
        until(lambda: self.ask(APPROVER, "no request").status == 422, "the policy is in force")
        until(lambda: self.server.send("GET", self.path(group=LAX_GROUP), None).status == 200, "the lax kind is served")

    def _make_policy(self) -> None:
        """
        The policy as it is, but for its name and one more group; the binding for this namespace only, as other tests
        share the server.
        """
        self.policy["metadata"]["name"] = NAMESPACE
        self.policy["spec"]["matchConstraints"]["resourceRules"][0]["apiGroups"].append(LAX_GROUP)
        binding = manifests()["ValidatingAdmissionPolicyBinding"]
        binding["metadata"]["name"] = binding["spec"]["policyName"] = NAMESPACE
        binding["spec"]["matchResources"] = {"namespaceSelector": {"matchLabels": {"approvals": NAMESPACE}}}
        self._make(f"{_POLICIES}/validatingadmissionpolicies", self.policy)
        self._make(f"{_POLICIES}/validatingadmissionpolicybindings", binding)

    def _make(self, path: str, body: Object) -> None:
        answer = self.server.send("POST", path, body)
        assert answer.status == 201, answer.body
        self._made.append(f"{path}/{body['metadata']['name']}")

    def end(self) -> None:
        """
        Delete what was made, the last first, so that nothing is refused meanwhile.
        """
        for path in reversed(self._made):
            self.server.send("DELETE", path, None)

    def path(self, name: str = "", group: str = "modelramp.io") -> str:
        """
        Where objects of the namespace are, or one of them.
        """
        return f"/apis/{group}/v1alpha1/namespaces/{NAMESPACE}/mlmodeldeployments" + (f"/{name}" if name else "")

    def ask(self, user: str, text: str | None, key: str = ACTION, *, dry: bool = True) -> Answer:
        """
        A user sets the annotation of the object; None removes it.
        """
        path = self.path("fraud") + ("?dryRun=All" if dry else "")
        return self.server.send("PATCH", path, {"metadata": {"annotations": {key: text}}}, MERGE, user=user)

    def edited(self, user: str, before: Object, after: Object) -> Answer:
        """
        A dry run of an edit of the spec of a stored object without a schema.
        """
        body: Object = {"apiVersion": f"{LAX_GROUP}/v1alpha1", "kind": "MLModelDeployment", "metadata": {"name": "lax"}}
        path = self.path("lax", LAX_GROUP)
        self.server.send("DELETE", path, None)
        made = self.server.send("POST", self.path(group=LAX_GROUP), {**body, "spec": before}, user=EDITOR)
        assert made.status == 201, made.body
        body["metadata"]["resourceVersion"] = made.body["metadata"]["resourceVersion"]
        return self.server.send("PUT", f"{path}?dryRun=All", {**body, "spec": after}, user=user)


def request(user: str, verb: str = "pause", **changes: Any) -> str:  # noqa: ANN401 - JSON
    """
    What a user asks for, in their own name unless told otherwise; with the step where one belongs to the verb.
    """
    step = {"step": 2} if verb in {"approve", "reject"} else {}
    fields = {"id": "r-1", "verb": verb, "revision": "0123456789", "by": user, **step, **changes}
    return json.dumps(fields, ensure_ascii=False)


def until(true: Callable[[], bool], what: str) -> None:
    """
    Wait for it; fails when it takes too long.
    """
    deadline = time.monotonic() + IN_FORCE_WITHIN_S
    while not true():
        assert time.monotonic() < deadline, f"not within {IN_FORCE_WITHIN_S} s: {what}"
        time.sleep(0.2)
