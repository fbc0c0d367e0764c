from typing import Any

import pytest

from modelramp.adapters.kubernetes.rendering import deployment_of, pod_template, service_of
from modelramp.api.spec import MLModelDeploymentSpec
from modelramp.ports import Key, Owner
from modelramp.rollout.observed import Role
from modelramp.rollout.plan import EnsureWorkload

OWNER = Owner(key=Key("ml", "fraud"), uid="u1")
EFFECT = EnsureWorkload(revision="0123456789", replicas=3, role=Role.CANDIDATE)
IDENTITY = {"modelramp.io/deployment": "fraud", "modelramp.io/revision": "0123456789"}


def spec(
    container: dict[str, Any] | None = None,
    *,
    uri: str | None = "s3://m",
    pod: dict[str, Any] | None = None,
    metadata: dict[str, Any] | None = None,
    serving: dict[str, Any] | None = None,
) -> MLModelDeploymentSpec:
    template = {"spec": {**(pod or {}), "containers": [{"name": "model", "image": "server:1", **(container or {})}]}}
    document = {
        "model": {"version": "8", **({"uri": uri} if uri else {})},
        "serving": {
            "runtime": "mlserver",
            "template": {**template, **({"metadata": metadata} if metadata else {})},
            **(serving or {}),
        },
        "traffic": {"gatewayAPI": {"parentRefs": [{"name": "gw"}]}},
        "strategy": {"progressDeadline": "90s500ms"},
    }
    return MLModelDeploymentSpec.model_validate(document, by_alias=True, by_name=False)


def server(of: MLModelDeploymentSpec) -> dict[str, Any]:
    container: dict[str, Any] = pod_template(OWNER, of, "0123456789")["spec"]["containers"][0]
    return container


def test_the_model_is_told_to_the_first_container_before_the_users_own_variables() -> None:
    """So that these can refer to it."""
    assert server(spec({"env": [{"name": "PATH_OF", "value": "$(MODEL_URI)"}]}))["env"] == [
        {"name": "MODEL_URI", "value": "s3://m"},
        {"name": "MODEL_VERSION", "value": "8"},
        {"name": "PATH_OF", "value": "$(MODEL_URI)"},
    ]


def test_what_the_user_says_of_the_model_wins() -> None:
    """Also when it comes from somewhere else."""
    own = [{"name": "MODEL_URI", "valueFrom": {"configMapKeyRef": {"name": "m", "key": "u"}}}]
    assert server(spec({"env": own}))["env"] == [{"name": "MODEL_VERSION", "value": "8"}, *own]


def test_an_image_that_holds_the_model_gets_no_address() -> None:
    """Only the version."""
    assert server(spec(uri=None))["env"] == [{"name": "MODEL_VERSION", "value": "8"}]


@pytest.mark.parametrize(
    ("container", "pod", "pre_stop", "grace"),
    [
        pytest.param({}, {}, {"sleep": {"seconds": 5}}, 45, id="nothing written"),
        pytest.param(
            {"lifecycle": {"preStop": {"exec": {"command": ["drain"]}}}},
            {},
            {"exec": {"command": ["drain"]}},
            45,
            id="an own action",
        ),
        pytest.param(
            {"lifecycle": {"preStop": {"sleep": {"seconds": 60}}}},
            {},
            {"sleep": {"seconds": 60}},
            95,
            id="a long sleep",
        ),
        pytest.param({}, {"terminationGracePeriodSeconds": 7}, {"sleep": {"seconds": 5}}, 7, id="an own grace period"),
    ],
)
def test_a_leaving_pod_answers_a_little_longer(
    container: dict[str, Any], pod: dict[str, Any], pre_stop: dict[str, Any], grace: int
) -> None:
    """Unless the user says how it leaves."""
    rendered = pod_template(OWNER, spec(container, pod=pod), "0123456789")["spec"]
    assert rendered["containers"][0]["lifecycle"]["preStop"] == pre_stop
    assert rendered["terminationGracePeriodSeconds"] == grace


@pytest.mark.parametrize(
    ("drain", "slept", "grace"),
    [
        ({"preStop": "15s", "timeout": "60s"}, {"sleep": {"seconds": 15}}, 80),
        ({"preStop": "1500ms", "timeout": "1h"}, {"sleep": {"seconds": 2}}, 3607),
        ({"preStop": "0s", "timeout": "0s"}, None, 45),
    ],
    ids=["longer", "rounded up", "none"],
)
def test_a_drain_is_as_long_as_the_spec_says(drain: dict[str, str], slept: dict[str, Any] | None, grace: int) -> None:
    """Its grace period leaves the longest request its time after preStop, and the server 5 s to end."""
    rendered = pod_template(OWNER, spec(serving={"drain": drain}), "0123456789")["spec"]
    assert rendered["containers"][0].get("lifecycle", {}).get("preStop") == slept
    assert rendered["terminationGracePeriodSeconds"] == grace


@pytest.mark.parametrize(
    ("capacity", "bounds"),
    [
        ({"surge": "Full"}, {"maxUnavailable": 0, "maxSurge": 1}),
        ({"surge": "Full", "budget": {"limit": 8}}, {"maxUnavailable": 1, "maxSurge": 0}),
        ({"surge": "Swap"}, {"maxUnavailable": 1, "maxSurge": 0}),
    ],
    ids=["no limit", "a budget", "swap"],
)
def test_a_restart_keeps_to_the_limit_too(capacity: dict[str, Any], bounds: dict[str, int]) -> None:
    """Where there is one, a pod ends before its successor comes."""
    rendered = deployment_of(OWNER, spec(serving={"capacity": capacity}), EFFECT)
    assert rendered["spec"]["strategy"]["rollingUpdate"] == bounds


def test_an_own_post_start_is_kept() -> None:
    """Beside our preStop."""
    own = {"exec": {"command": ["warm"]}}
    lifecycle = server(spec({"lifecycle": {"postStart": own}}))["lifecycle"]
    assert lifecycle == {"postStart": own, "preStop": {"sleep": {"seconds": 5}}}


def test_fields_this_package_does_not_know_arrive() -> None:
    """Of the pod and of its containers."""
    pod = {"nodeSelector": {"gpu": "a100"}, "schedulerName": "kueue"}
    rendered = pod_template(OWNER, spec({"resources": {"limits": {"nvidia.com/gpu": 1}}}, pod=pod), "0123456789")
    assert rendered["spec"]["nodeSelector"] == {"gpu": "a100"}
    assert rendered["spec"]["schedulerName"] == "kueue"
    assert rendered["spec"]["containers"][0]["resources"] == {"limits": {"nvidia.com/gpu": 1}}


def test_labels_of_pods_are_the_users_and_ours_and_never_the_role() -> None:
    """A role in the template would restart the pods at promotion."""
    metadata = {"labels": {"team": "risk", "modelramp.io/revision": "forged"}, "annotations": {"scrape": "true"}}
    rendered = deployment_of(OWNER, spec(metadata=metadata), EFFECT)
    template = rendered["spec"]["template"]["metadata"]
    assert template["annotations"] == {"scrape": "true"}
    assert template["labels"]["team"] == "risk"
    assert template["labels"].items() >= IDENTITY.items()
    assert "modelramp.io/role" not in template["labels"]
    assert rendered["spec"]["selector"]["matchLabels"] == IDENTITY
    assert rendered["metadata"]["labels"]["modelramp.io/role"] == "candidate"


def test_the_deployment_is_named_owned_and_sized() -> None:
    """And never has fewer pods than asked for."""
    rendered = deployment_of(OWNER, spec(), EFFECT)
    assert rendered["metadata"]["name"] == "fraud-0123456789"
    assert rendered["metadata"]["ownerReferences"] == [
        {
            "apiVersion": "modelramp.io/v1alpha1",
            "kind": "MLModelDeployment",
            "name": "fraud",
            "uid": "u1",
            "controller": True,
            "blockOwnerDeletion": True,
        }
    ]
    body = rendered["spec"]
    assert (body["replicas"], body["revisionHistoryLimit"], body["progressDeadlineSeconds"]) == (3, 1, 91)
    assert body["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}


def test_the_service_selects_the_revision_for_ever() -> None:
    """On port 80, whatever the server's own is."""
    rendered = service_of(OWNER, spec(), EFFECT)
    assert rendered["metadata"]["name"] == "fraud-0123456789"
    assert rendered["spec"]["selector"] == IDENTITY
    (port,) = rendered["spec"]["ports"]
    assert (port["name"], port["port"], port["targetPort"]) == ("http", 80, 8080)
    standard = {"name", "instance", "version", "component", "managed-by", "part-of"}
    assert {f"app.kubernetes.io/{name}" for name in standard} <= set(rendered["metadata"]["labels"])


@pytest.mark.parametrize(("kind", "protocol"), [("HTTPRoute", "http"), ("GRPCRoute", "kubernetes.io/h2c")])
def test_grpc_needs_http_2_to_the_pods(kind: str, protocol: str) -> None:
    """Nothing else tells the gateway: there is no TLS to agree on it."""
    document = spec().to_wire()
    document["traffic"]["gatewayAPI"]["kind"] = kind
    asked = MLModelDeploymentSpec.model_validate(document, by_alias=True, by_name=False)
    (port,) = service_of(OWNER, asked, EFFECT)["spec"]["ports"]
    assert port["appProtocol"] == protocol
