"""
What the chart renders, read from the golden files; `tests/apiserver/test_chart.py` proves that Helm gives these.
"""

import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from modelramp.settings import ROUTERS, Settings

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
GOLDEN = ("default", "everything")

Object = dict[str, Any]


@cache
def manifests(golden: str) -> list[Object]:
    text = (HERE / "golden" / f"{golden}.yaml").read_text()
    return [document for document in yaml.safe_load_all(text) if document]


def the(golden: str, kind: str, name: str) -> Object:
    found = [m for m in manifests(golden) if m["kind"] == kind and m["metadata"]["name"] == name]
    assert len(found) == 1
    return found[0]


def granted(rules: list[Object]) -> dict[str, set[str]]:
    """Verbs by `resource.group`, without rules that name objects."""
    verbs: dict[str, set[str]] = {}
    for rule in rules:
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                if "resourceNames" not in rule:
                    verbs.setdefault(f"{resource}.{group}".rstrip("."), set()).update(rule["verbs"])
    return verbs


OPERATOR_VERBS = {
    "mlmodeldeployments.modelramp.io": {"get", "list", "watch"},
    "mlmodeldeployments/status.modelramp.io": {"patch"},
    "mlmodeldeployments/finalizers.modelramp.io": {"update"},
    "deployments.apps": {"get", "list", "watch", "create", "patch", "delete"},
    "deployments/scale.apps": {"patch"},
    "services": {"get", "list", "watch", "create", "patch", "delete"},
    "pods": {"list", "watch"},
    "endpointslices.discovery.k8s.io": {"list", "watch"},
    "httproutes.gateway.networking.k8s.io": {"get", "list", "watch", "create", "patch", "delete"},
    "grpcroutes.gateway.networking.k8s.io": {"get", "list", "watch", "create", "patch", "delete"},
    "events.events.k8s.io": {"create"},
}
ISTIO_VERBS = {"virtualservices.networking.istio.io": {"get", "list", "watch", "create", "patch", "delete"}}


@pytest.mark.parametrize("golden", GOLDEN)
def test_no_rule_has_a_wildcard(golden: str) -> None:
    """Every right is named, in every role of the chart."""
    rules = [rule for m in manifests(golden) for rule in m.get("rules", [])]
    assert rules
    for rule in rules:
        for part in ("apiGroups", "resources", "verbs"):
            assert rule[part]
            assert not [word for word in rule[part] if "*" in word]


def test_the_operator_may_do_what_it_does_and_nothing_else() -> None:
    """The cluster-wide role is the list of verbs used."""
    assert granted(the("default", "ClusterRole", "modelramp")["rules"]) == OPERATOR_VERBS


@pytest.mark.parametrize("namespace", ["team-a", "team-b"])
def test_limited_to_namespaces_the_rights_are_roles_there(namespace: str) -> None:
    """With watchNamespaces, the operator has no cluster-wide right at all."""
    assert "modelramp" not in {m["metadata"]["name"] for m in manifests("everything") if m["kind"] == "ClusterRole"}
    roles = [m for m in manifests("everything") if m["kind"] == "Role" and m["metadata"]["namespace"] == namespace]
    assert [granted(role["rules"]) for role in roles] == [
        OPERATOR_VERBS
        | ISTIO_VERBS
        | {
            "configmaps": {"get", "create", "delete"},
            "mlmodeldeployments.modelramp.io": {"get", "list", "watch", "patch"},
        }
    ]


def test_secrets_are_readable_by_name_only() -> None:
    """No golden file grants Secrets at large; the one with names grants exactly `get` on these."""
    rules = [rule for golden in GOLDEN for m in manifests(golden) for rule in m.get("rules", [])]
    about_secrets = [rule for rule in rules if "secrets" in rule["resources"]]
    assert len(about_secrets) == 2  # team-a and team-b
    for rule in about_secrets:
        assert rule["resourceNames"] == ["prometheus-token", "prometheus-ca"]
        assert rule["verbs"] == ["get"]


@pytest.mark.parametrize(("golden", "lease"), [("default", "modelramp"), ("everything", "modelramp-leader")])
def test_one_lease_is_writable(golden: str, lease: str) -> None:
    """The Lease the operator is told of is the one its role names."""
    rules = the(golden, "Role", "modelramp-lease")["rules"]
    assert granted(rules) == {"leases.coordination.k8s.io": {"create"}}
    assert [(r["resourceNames"], r["verbs"]) for r in rules if "resourceNames" in r] == [([lease], ["get", "update"])]
    assert environment(golden)["MODELRAMP_LEASE_NAME"] == lease


@pytest.mark.parametrize("golden", GOLDEN)
def test_users_never_write_status(golden: str) -> None:
    """The aggregated roles let people edit objects, not what the operator says about them."""
    for role in ("modelramp-view", "modelramp-edit", "modelramp-approve"):
        verbs = granted(the(golden, "ClusterRole", role)["rules"])
        assert verbs.get("mlmodeldeployments/status.modelramp.io", set()) <= {"get"}


def pod_of(golden: str) -> Object:
    template: Object = the(golden, "Deployment", "modelramp")["spec"]["template"]
    return template


def environment(golden: str) -> dict[str, str]:
    """The container's environment; fields of the pod appear as their paths."""
    env = pod_of(golden)["spec"]["containers"][0]["env"]
    return {e["name"]: e.get("value", e.get("valueFrom", {}).get("fieldRef", {}).get("fieldPath")) for e in env}


@pytest.mark.parametrize("golden", GOLDEN)
def test_the_pod_is_restricted(golden: str) -> None:
    """The restricted Pod Security Standard, and beyond it a read-only root and a fixed user."""
    spec = pod_of(golden)["spec"]
    assert spec["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": 65532,
        "runAsGroup": 65532,
        "fsGroup": 65532,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    for container in [*spec["containers"], *spec.get("initContainers", [])]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(spec)
    assert [set(volume) - {"name"} for volume in spec["volumes"]] == [{"emptyDir"}]


@pytest.mark.parametrize("golden", GOLDEN)
def test_the_pod_states_resources_and_probes(golden: str) -> None:
    """Probes ask a port that the container has."""
    container = pod_of(golden)["spec"]["containers"][0]
    assert container["resources"] == {"requests": {"cpu": "50m", "memory": "96Mi"}, "limits": {"memory": "256Mi"}}
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    asked = {name: container[name]["httpGet"] for name in ("startupProbe", "livenessProbe", "readinessProbe")}
    assert {probe["port"] for probe in asked.values()} == {"http"}
    assert {name: probe["path"] for name, probe in asked.items()} == {
        "startupProbe": "/healthz",
        "livenessProbe": "/healthz",
        "readinessProbe": "/readyz",
    }
    assert ports == {"http": int(environment(golden)["MODELRAMP_HTTP_PORT"])}


def test_the_token_is_mounted_by_the_pod_only() -> None:
    """Another pod under the same account gets no token unasked."""
    assert the("default", "ServiceAccount", "modelramp")["automountServiceAccountToken"] is False
    assert pod_of("default")["spec"]["automountServiceAccountToken"] is True


@pytest.mark.parametrize("golden", GOLDEN)
def test_the_environment_is_what_the_settings_read(golden: str) -> None:
    """Each variable the operator knows is set, and no other: a misspelt one would be ignored without a word."""
    source = (ROOT / "operator" / "modelramp" / "settings.py").read_text()
    assert set(environment(golden)) == set(re.findall(r"\"(MODELRAMP_[A-Z_]+)\"", source))


def test_values_arrive_in_the_settings() -> None:
    """The whole way: values, template, environment, parsed settings."""
    settings = Settings.from_environment(environment("everything"))
    assert settings.watch_namespaces == ("team-a", "team-b")
    assert settings.prometheus_address == "http://prometheus.monitoring:9090"
    assert settings.prometheus_allowed == ("https://metrics.example.com/prom", "http://10.0.0.1:9090")
    assert (settings.resync_seconds, settings.workers, settings.log_level) == (86400, 32, "debug")
    assert settings.routers == ROUTERS
    assert Settings.from_environment(environment("default")).routers == {"grpcRoute"}
    assert (settings.namespace, settings.identity) == ("metadata.namespace", "metadata.name")


@pytest.mark.parametrize("golden", GOLDEN)
def test_selectors_select_the_pod(golden: str) -> None:
    """Deployment, disruption budget and network policy name labels that the pod carries."""
    labels = pod_of(golden)["metadata"]["labels"].items()
    selectors = [
        m["spec"].get("selector", m["spec"].get("podSelector"))["matchLabels"]
        for m in manifests(golden)
        if m["kind"] in {"Deployment", "PodDisruptionBudget", "NetworkPolicy"}
    ]
    assert len(selectors) == {"default": 1, "everything": 3}[golden]
    for selector in selectors:
        assert selector.items() <= labels


@pytest.mark.parametrize("golden", GOLDEN)
def test_bindings_join_the_account_with_roles_of_the_chart(golden: str) -> None:
    """No binding refers to a role or an account that the chart does not make."""
    made = {(m["kind"], m["metadata"]["name"]) for m in manifests(golden)}
    bindings = [m for m in manifests(golden) if m["kind"].endswith("RoleBinding")]
    assert bindings
    for binding in bindings:
        assert (binding["roleRef"]["kind"], binding["roleRef"]["name"]) in made
        assert {(s["kind"], s["name"]) for s in binding["subjects"]} <= made
