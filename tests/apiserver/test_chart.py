"""
The chart by Helm itself and by a real API server: golden files, schema, dry runs, pod security, and rights as judged
by the server's own authorizer.
"""

import copy
import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

pytestmark = pytest.mark.apiserver

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "charts" / "modelramp"
UNIT = ROOT / "tests" / "unit" / "chart"
GOLDEN_NAMESPACE = "modelramp-system"
# Names of their own, so that an installed operator and an earlier run's namespaces are not in the way.
RELEASE = f"chart-{os.getpid()}"
NAMESPACE, TEAM_A, TEAM_B = SCRATCH = tuple(f"{RELEASE}-{name}" for name in ("system", "team-a", "team-b"))
FULL_NAME = f"{RELEASE}-modelramp"
ACCOUNT = f"system:serviceaccount:{NAMESPACE}:{FULL_NAME}"
OPTIONS = {"default": ["--set", "crds.enabled=false"], "everything": ["--values", str(UNIT / "everything.yaml")]}

Object = dict[str, Any]


def program(*words: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
    kubeconfig = os.environ.get("MODELRAMP_TEST_KUBECONFIG", "")
    if not kubeconfig:
        pytest.fail("MODELRAMP_TEST_KUBECONFIG is not set: run `make test RUNG=apiserver`", pytrace=False)
    environment = {**os.environ, "KUBECONFIG": kubeconfig}
    return subprocess.run(words, input=text, text=True, capture_output=True, check=False, env=environment, timeout=60)


def succeed(*words: str, text: str | None = None) -> str:
    done = program(*words, text=text)
    assert done.returncode == 0, f"{' '.join(words)}: {done.stderr}"
    return done.stdout


def helm_template(release: str, namespace: str, *options: str) -> str:
    return succeed("helm", "template", release, str(CHART), "--namespace", namespace, *options)


def parsed(text: str) -> list[Object]:
    return [document for document in yaml.load_all(text, Loader=yaml.CSafeLoader) if document]


def render(golden: str, *options: str) -> list[Object]:
    """The manifests of a golden file's values, in the scratch namespaces."""
    teams = ["--set", f"watchNamespaces={{{TEAM_A},{TEAM_B}}}"] if golden == "everything" else []
    return parsed(helm_template(RELEASE, NAMESPACE, *OPTIONS[golden], *teams, *options))


def as_list(objects: list[Object]) -> str:
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})


@pytest.fixture(scope="module")
def namespaces() -> Iterator[None]:
    """
    The scratch namespaces; pods in them have to be restricted.
    """
    objects = [
        {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": name, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}},
        }
        for name in SCRATCH
    ]
    succeed("kubectl", "create", "-f", "-", text=as_list(objects))
    yield
    succeed("kubectl", "delete", "namespace", *SCRATCH, "--wait=false")


@pytest.mark.parametrize("golden", OPTIONS)
def test_golden(golden: str) -> None:
    """What Helm renders is what the golden file says; MODELRAMP_WRITE_GOLDEN=1 writes it anew."""
    path = UNIT / "golden" / f"{golden}.yaml"
    if os.environ.get("MODELRAMP_WRITE_GOLDEN"):
        path.write_text(helm_template("modelramp", GOLDEN_NAMESPACE, *OPTIONS[golden]))
    assert parsed(helm_template("modelramp", GOLDEN_NAMESPACE, *OPTIONS[golden])) == parsed(path.read_text())


def test_routers_that_are_switched_off_need_no_right() -> None:
    """Neither on their kind, nor to write objects; and the operator is told."""
    off = render("default", "--set", "routers.grpcRoute=false", "--set", "routers.routeRef=false")
    rules = next(m for m in off if m["kind"] == "ClusterRole" and m["metadata"]["name"] == FULL_NAME)["rules"]
    assert not [rule for rule in rules if "grpcroutes" in rule["resources"]]
    assert [rule["verbs"] for rule in rules if rule["resources"] == ["mlmodeldeployments"]] == [
        ["get", "list", "watch"]
    ]
    deployment = next(m for m in off if m["kind"] == "Deployment")
    told = {one["name"]: one.get("value") for one in deployment["spec"]["template"]["spec"]["containers"][0]["env"]}
    assert told["MODELRAMP_ROUTERS"] == ""


def test_lint() -> None:
    """Helm finds nothing to warn of."""
    succeed("helm", "lint", "--strict", str(CHART))


@pytest.mark.parametrize("keep", [True, False])
def test_the_crd_is_rendered_unchanged(keep: bool) -> None:  # noqa: FBT001 - a parameter of pytest's
    """Numbers and texts survive Helm; `keep` adds the annotation that makes uninstalling leave it."""
    expected = yaml.load((ROOT / "crds" / "modelramp.io_mlmodeldeployments.yaml").read_text(), Loader=yaml.CSafeLoader)
    if keep:
        expected["metadata"]["annotations"] = {"helm.sh/resource-policy": "keep"}
    rendered = parsed(helm_template("modelramp", GOLDEN_NAMESPACE, "--set", f"crds.keep={str(keep).lower()}"))
    assert [m for m in rendered if m["kind"] == "CustomResourceDefinition"] == [expected]


@pytest.mark.parametrize(("guard", "found"), [("true", 2), ("false", 0)])
def test_approvals_are_guarded_unless_told_otherwise(guard: str, found: int) -> None:
    """Policy and binding carry the release's name, and the refusal names the release's role."""
    objects = render("default", "--set", f"approvals.guard={guard}")
    guards = [m for m in objects if m["apiVersion"] == "admissionregistration.k8s.io/v1"]
    assert [m["metadata"]["name"] for m in guards] == [f"{FULL_NAME}-approvals"] * found
    if guards:
        assert guards[1]["spec"]["policyName"] == f"{FULL_NAME}-approvals"
        assert f"--clusterrole={FULL_NAME}-approve " in json.dumps(guards[0])


@pytest.mark.parametrize(
    ("mistake", "named"),
    [
        ("replica=2", "replica"),
        ("image.tagg=1", "tagg"),
        ("image.pullPolicy=Sometimes", "pullPolicy"),
        ("image.digest=latest", "digest"),
        ("replicas=two", "replicas"),
        ("replicas=-1", "replicas"),
        ("prometheus.address=prometheus:9090", "address"),
        ("prometheus.address=http://user:secret@prometheus", "address"),
        ("prometheus.allowedAddresses={http://a\\,http://b}", "allowedAddresses"),
        ("prometheus.secretNames={*}", "secretNames"),
        ("watchNamespaces={Team A}", "watchNamespaces"),
        ("routers.istioo=true", "istioo"),
        ("logLevel=verbose", "logLevel"),
        ("resyncSeconds=1", "resyncSeconds"),
        ("crds.keep=maybe", "keep"),
        ("approvals.guard=maybe", "guard"),
        ("resources.limit.memory=1Gi", "limit"),
        ("terminationGracePeriodSeconds=0", "terminationGracePeriodSeconds"),
    ],
)
def test_mistakes_are_refused_by_name(mistake: str, named: str) -> None:
    """A typical mistake in the values ends the installation with a message that names the value."""
    done = program("helm", "template", "modelramp", str(CHART), "--set", mistake)
    assert done.returncode != 0
    assert named in done.stderr


@pytest.mark.usefixtures("namespaces")
@pytest.mark.parametrize("golden", OPTIONS)
def test_the_server_accepts_every_object(golden: str) -> None:
    """A dry run on the server, with unknown fields refused, takes each object, the CRD among them."""
    objects = render(golden, "--set", "crds.enabled=true")
    answer = succeed(
        "kubectl", "create", "--dry-run=server", "--validate=strict", "-o", "name", "-f", "-",
        text=as_list([m for m in objects if m["kind"] != "CustomResourceDefinition"]),
    )  # fmt: skip
    crd = [m for m in objects if m["kind"] == "CustomResourceDefinition"]
    server_side = ("kubectl", "apply", "--server-side", "--force-conflicts", "--dry-run=server", "--validate=strict")
    applied = succeed(*server_side, "-o", "name", "-f", "-", text=as_list(crd))
    assert len(answer.split()) + len(applied.split()) == len(objects)


def pod(golden: str) -> Object:
    template = next(m for m in render(golden) if m["kind"] == "Deployment")["spec"]["template"]
    spec = copy.deepcopy(template["spec"])
    # Neither exists during a dry run; pod security does not look at them.
    del spec["serviceAccountName"]
    spec.pop("priorityClassName", None)
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "probe", "namespace": NAMESPACE}, "spec": spec}


@pytest.mark.usefixtures("namespaces")
@pytest.mark.parametrize("golden", OPTIONS)
def test_the_server_finds_the_pod_restricted(golden: str) -> None:
    """The API server's own pod security admission lets the pod in, and keeps it out when one setting is missing."""
    deadline = time.monotonic() + 20
    create = ("kubectl", "create", "--dry-run=server", "-f", "-")
    while "serviceaccount" in (refused := program(*create, text=json.dumps(pod(golden)))).stderr:
        assert time.monotonic() < deadline, refused.stderr  # the namespace's default account is made a moment later
        time.sleep(0.2)
    assert refused.returncode == 0, refused.stderr
    loose = pod(golden)
    del loose["spec"]["containers"][0]["securityContext"]["allowPrivilegeEscalation"]
    refused = program(*create, text=json.dumps(loose))
    assert refused.returncode != 0
    assert 'violates PodSecurity "restricted' in refused.stderr


@pytest.fixture(scope="module")
def rights(namespaces: None) -> Iterator[None]:
    """
    Roles and bindings of the default installation, in force.
    """
    del namespaces
    rendered = render("default")
    objects = as_list([m for m in rendered if m["apiVersion"] == "rbac.authorization.k8s.io/v1"])
    succeed("kubectl", "create", "-f", "-", text=objects)
    yield
    succeed("kubectl", "delete", "--ignore-not-found", "-f", "-", text=objects)


def allowed(user: str, groups: list[str], verb: str, resource: str, namespace: str, name: str = "") -> bool:
    plural, _, group = resource.partition(".")
    plural, _, subresource = plural.partition("/")
    attributes = {
        "namespace": namespace,
        "verb": verb,
        "group": group,
        "resource": plural,
        "subresource": subresource,
        "name": name,
    }
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {"user": user, "groups": groups, "resourceAttributes": attributes},
    }
    answer = succeed("kubectl", "create", "-o", "json", "-f", "-", text=json.dumps(review))
    return bool(json.loads(answer)["status"]["allowed"])


@pytest.mark.usefixtures("rights")
@pytest.mark.parametrize(
    ("verb", "resource", "namespace", "name", "expected"),
    [
        ("watch", "mlmodeldeployments.modelramp.io", TEAM_A, "", True),
        ("patch", "mlmodeldeployments/status.modelramp.io", TEAM_A, "x", True),
        ("patch", "mlmodeldeployments.modelramp.io", TEAM_A, "x", False),
        ("patch", "deployments/scale.apps", TEAM_A, "x", True),
        ("delete", "services", TEAM_A, "x", True),
        ("list", "services", TEAM_A, "", True),
        ("delete", "pods", TEAM_A, "x", False),
        ("create", "pods/exec", TEAM_A, "x", False),
        ("get", "secrets", TEAM_A, "x", False),
        ("list", "secrets", NAMESPACE, "", False),
        ("get", "configmaps", TEAM_A, "x", False),
        ("get", "gateways.gateway.networking.k8s.io", TEAM_B, "gw", False),
        ("delete", "gateways.gateway.networking.k8s.io", TEAM_A, "x", False),
        ("update", "leases.coordination.k8s.io", NAMESPACE, FULL_NAME, True),
        ("update", "leases.coordination.k8s.io", NAMESPACE, "other", False),
        ("create", "leases.coordination.k8s.io", "kube-system", "", False),
        ("escalate", "clusterroles.rbac.authorization.k8s.io", "", "x", False),
    ],
)
def test_the_server_grants_what_is_used(verb: str, resource: str, namespace: str, name: str, expected: bool) -> None:  # noqa: FBT001
    """The server's authorizer says yes to what the operator does and no to its neighbours."""
    groups = ["system:serviceaccounts", f"system:serviceaccounts:{NAMESPACE}", "system:authenticated"]
    assert allowed(ACCOUNT, groups, verb, resource, namespace, name) is expected


@pytest.mark.usefixtures("rights")
def test_editors_edit_and_viewers_view() -> None:
    """The built-in roles pick the chart's roles up."""
    deadline = time.monotonic() + 30
    wanted = {"view": {"get", "list", "watch"}, "edit": {"create", "delete", "get", "list", "patch", "update", "watch"}}
    while True:
        found = {role: _verbs_of(role) for role in wanted}
        if all(verbs <= found[role] for role, verbs in wanted.items()):
            break
        assert time.monotonic() < deadline, found
        time.sleep(0.5)
    assert "patch" not in found["view"]


@pytest.mark.usefixtures("rights")
def test_of_the_built_in_roles_admin_alone_approves() -> None:
    """Whoever may edit does not approve for that."""
    approve = "mlmodeldeployments/approve"
    deadline = time.monotonic() + 30
    while _verbs_of("admin", approve) != {"update"} or not _verbs_of("edit"):
        assert time.monotonic() < deadline, _verbs_of("admin", approve)
        time.sleep(0.5)
    assert (_verbs_of("edit", approve), _verbs_of("view", approve)) == (set(), set())


def _verbs_of(role: str, resource: str = "mlmodeldeployments") -> set[str]:
    rules = json.loads(succeed("kubectl", "get", "clusterrole", role, "-o", "json"))["rules"]
    return {verb for rule in rules or () if resource in rule.get("resources", []) for verb in rule["verbs"]}
