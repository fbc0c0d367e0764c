"""
The policy that guards approvals says what the code says, and the chart installs what the plain manifest installs.

That the policy does what it says is proved by `tests/apiserver/test_approvals.py`.
"""

import re
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from modelramp.api.action import (
    GUARDED,
    MAX_BY_LENGTH,
    MAX_ID_LENGTH,
    MAX_REVISION_LENGTH,
    MAX_STEP,
    STEPPED,
    ActionRequest,
    Verb,
)
from modelramp.api.crd import custom_resource_definition
from modelramp.api.names import ANNOTATION_ACTION
from modelramp.api.vocabulary import GROUP, PLURAL, Degree

ROOT: Final = Path(__file__).parents[3]
PLAIN: Final = ROOT / "deploy" / "approvals.yaml"
COPY: Final = ROOT / "charts" / "modelramp" / "files" / "approvals.yaml"
HELM: Final = ("app.kubernetes.io/", "helm.sh/", "team")  # labels the chart adds, and the one that everything.yaml does

CALLS: Final = {"exists"}

Object = dict[str, Any]


def by_kind(documents: list[Object]) -> dict[str, Object]:
    """
    What guards approvals among the documents; each kind stands there once.
    """
    found = [
        document
        for document in documents
        if document["kind"].startswith("ValidatingAdmission") or document["metadata"]["name"].endswith("-approve")
    ]
    assert len({document["kind"] for document in found}) == len(found)
    return {document["kind"]: document for document in found}


PLAIN_BY_KIND: Final = by_kind(list(yaml.safe_load_all(PLAIN.read_text(encoding="utf-8"))))
POLICY: Final = PLAIN_BY_KIND["ValidatingAdmissionPolicy"]["spec"]
VARIABLES: Final = {variable["name"]: variable["expression"] for variable in POLICY["variables"]}


def words(expression: str) -> list[str]:
    """
    The texts of the first list in an expression.
    """
    found = re.search(r"\[('[^]]*)]", expression)
    assert found
    return re.findall(r"'\"?([^'\"]+)\"?'", found[1])


def validation(about: str) -> str:
    """
    The one expression that speaks of something.
    """
    (found,) = [one["expression"] for one in POLICY["validations"] if about in one["expression"]]
    assert isinstance(found, str)
    return found


def test_the_chart_carries_the_manifest_byte_for_byte() -> None:
    """
    Helm reads files of the chart only.
    """
    assert COPY.read_bytes() == PLAIN.read_bytes(), "run: make docs"


@pytest.mark.parametrize("golden", ["default", "everything"])
def test_the_chart_installs_what_the_manifest_installs(golden: str) -> None:
    """
    But for the release's labels; for the golden files' release the names are the same, too.
    """
    text = (ROOT / "tests" / "unit" / "chart" / "golden" / f"{golden}.yaml").read_text(encoding="utf-8")
    installed = by_kind([document for document in yaml.safe_load_all(text) if document])
    for document in installed.values():
        labels = document["metadata"].pop("labels")
        assert labels["app.kubernetes.io/part-of"] == "modelramp"
        own = {key: value for key, value in labels.items() if not key.startswith(HELM)}
        document["metadata"] |= {"labels": own} if own else {}
    assert installed == PLAIN_BY_KIND


def test_the_verbs_are_those_that_are_read() -> None:
    """
    A verb that only one of the two knows could not be asked for, or would not be guarded.
    """
    pattern = re.search(r"'VERBS', '([a-z|-]+)'", VARIABLES["pair"])
    assert pattern
    assert pattern[1].split("|") == list(Verb)
    assert set(words(validation("'promote-full'"))) == GUARDED
    assert set(words(validation("variables.steps"))) == STEPPED


def test_the_keys_and_lengths_are_those_that_are_read() -> None:
    """
    So whatever the policy lets through is a request.
    """
    keys = re.findall(r'"([a-z|()]+)"_:_', VARIABLES["pair"])
    assert sorted(key for group in keys for key in group.strip("()").split("|")) == sorted(ActionRequest.model_fields)
    assert f'"id"_:_"~{{1,{MAX_ID_LENGTH}}}"' in VARIABLES["pair"]
    assert f'"(revision|by)"_:_"~{{1,{MAX_BY_LENGTH}}}"' in VARIABLES["pair"]
    assert MAX_REVISION_LENGTH == MAX_BY_LENGTH
    digits = re.search(r'"step"_:_\[1-9]\[0-9]\{0,(\d+)}', VARIABLES["pair"])
    assert digits
    assert 10 ** (int(digits[1]) + 1) - 1 == MAX_STEP
    required = [name for name, field in ActionRequest.model_fields.items() if field.is_required()]
    assert words(VARIABLES["readable"]) == required


def test_the_degrees_are_those_of_the_spec_in_their_order() -> None:
    """
    From a human who decides all to none.
    """
    assert words(VARIABLES["degrees"]) == list(Degree)


NOT_BUILT: Final = {("automation", "autoUpTo")}


def test_the_fields_are_those_of_the_spec() -> None:
    """
    The server does not check expressions about custom resources: a misspelt field would be absent, and guard nothing.
    """
    told = " ".join(VARIABLES.values()).replace("variables.strategyBefore.", "object.spec.strategy.")
    paths = {
        tuple(path.split("."))
        for path in re.findall(r"object\.spec\.([A-Za-z.]+)", told.replace("oldObject", "object"))
    }
    paths |= {("strategy", kind, "steps", "step", "approval") for kind in ("canary", "blueGreen")}
    spec = custom_resource_definition()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    missing = {path for path in paths if not exists(spec, [part for part in path if part not in CALLS])}
    assert missing <= NOT_BUILT
    assert ("strategy", "blueGreen", "preSwitch", "approval") in paths


def exists(schema: Object, path: list[str]) -> bool:
    """
    Whether the schema has the field; `step` stands for an item of a list.
    """
    for part in path:
        schema = schema["items"] if part == "step" else schema.get("properties", {}).get(part)
        if schema is None:
            return False
    return True


def test_nothing_passes_unseen() -> None:
    """
    The policy looks at every version of the resource, and what it cannot judge is refused.
    """
    (rule,) = POLICY["matchConstraints"]["resourceRules"]
    assert (rule["apiGroups"], rule["resources"], rule["apiVersions"]) == ([GROUP], [PLURAL], ["*"])
    assert set(rule["operations"]) == {"CREATE", "UPDATE"}
    assert POLICY["failurePolicy"] == "Fail"
    assert "matchConditions" not in POLICY
    assert PLAIN_BY_KIND["ValidatingAdmissionPolicyBinding"]["spec"] == {
        "policyName": PLAIN_BY_KIND["ValidatingAdmissionPolicy"]["metadata"]["name"],
        "validationActions": ["Deny"],
    }
    assert f"'{ANNOTATION_ACTION}'" in VARIABLES["text"]


def test_the_right_is_asked_for_as_the_role_grants_it() -> None:
    """
    The role named in the refusal is the one there is.
    """
    role = PLAIN_BY_KIND["ClusterRole"]
    assert role["rules"] == [{"apiGroups": [GROUP], "resources": [f"{PLURAL}/approve"], "verbs": ["update"]}]
    assert role["metadata"]["labels"] == {"rbac.authorization.k8s.io/aggregate-to-admin": "true"}
    assert f"--clusterrole={role['metadata']['name']} " in VARIABLES["lacking"]
    for part in (f"group('{GROUP}')", f"resource('{PLURAL}')", "subresource('approve')", "check('update')"):
        assert part in VARIABLES["mayApprove"]
