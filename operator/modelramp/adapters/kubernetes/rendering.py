"""
A revision as a Deployment and a Service: pure, from the spec.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from modelramp.adapters.kubernetes.configs import copies_of, with_copies
from modelramp.adapters.kubernetes.ownership import LABEL_VERSION, common_labels, owner_reference
from modelramp.api.names import ANNOTATION_CONFIG, LABEL_DEPLOYMENT, LABEL_REVISION, LABEL_ROLE, workload_name
from modelramp.api.spec import Drain, MLModelDeploymentSpec, RouteKind, Surge
from modelramp.ports import Owner
from modelramp.rollout.counters import SERVICE_PORT
from modelramp.rollout.plan import EnsureWorkload

Fields = dict[str, Any]

COMPONENT: Final = "model-server"
PORT_NAME: Final = "http"
H2C: Final = "kubernetes.io/h2c"  # KEP-3726
GRACE_SECONDS: Final = 45
# What a grace period leaves after the last request, for the server itself to end.
ENDING_SECONDS: Final = 5


def selector_of(deployment: str, revision: str) -> dict[str, str]:
    """
    The labels that select a revision's pods. The role is not among them: it changes, and a selector cannot.
    """
    return {LABEL_DEPLOYMENT: deployment, LABEL_REVISION: revision}


def _labels(owner: Owner, spec: MLModelDeploymentSpec, revision: str) -> dict[str, str]:
    labels = common_labels(owner, instance=workload_name(owner.key.name, revision), component=COMPONENT)
    return labels | {LABEL_VERSION: spec.model.version, LABEL_REVISION: revision}


def _metadata(owner: Owner, spec: MLModelDeploymentSpec, effect: EnsureWorkload) -> Fields:
    return {
        "name": workload_name(owner.key.name, effect.revision),
        "namespace": owner.key.namespace,
        "labels": _labels(owner, spec, effect.revision) | {LABEL_ROLE: effect.role.value},
        "ownerReferences": [owner_reference(owner)],
    }


def _with_model(container: Fields, spec: MLModelDeploymentSpec) -> Fields:
    """
    The container told which model to serve, unless the user tells it; first, so that the user's own variables can
    refer to ours.
    """
    wanted = {"MODEL_URI": spec.model.uri, "MODEL_VERSION": spec.model.version}
    given: Sequence[Mapping[str, Any]] = container.get("env") or ()
    names = {variable.get("name") for variable in given}
    added = [{"name": name, "value": value} for name, value in wanted.items() if value and name not in names]
    return {**container, "env": [*added, *given]}


def _with_pre_stop(container: Fields, drain: Drain) -> Fields:
    """
    Proxies learn of a leaving endpoint only after the pod was told to stop, so the server keeps answering for a moment.
    """
    lifecycle, seconds = container.get("lifecycle") or {}, math.ceil(drain.pre_stop.seconds)
    if lifecycle.get("preStop") or seconds == 0:
        return container
    return {**container, "lifecycle": {**lifecycle, "preStop": {"sleep": {"seconds": seconds}}}}


def _grace_seconds(container: Fields, drain: Drain) -> int:
    """
    The grace period that fits the container's preStop action; an action other than sleep is of unknown length.
    """
    action = (container.get("lifecycle") or {}).get("preStop") or {}
    slept = (action.get("sleep") or {}).get("seconds") or 0
    known = slept if isinstance(slept, int) else 0
    return max(GRACE_SECONDS, known + math.ceil(drain.timeout.seconds) + ENDING_SECONDS)


def pod_template(owner: Owner, spec: MLModelDeploymentSpec, revision: str) -> Fields:
    """
    The user's pod template with what the operator adds; nothing the user wrote is replaced, except our own labels.
    """
    template = spec.serving.template.to_wire()
    metadata, pod = template.get("metadata") or {}, template["spec"]
    server, *others = pod["containers"]
    server = _with_pre_stop(_with_model(server, spec), spec.serving.drain)
    defaults = {"terminationGracePeriodSeconds": _grace_seconds(server, spec.serving.drain)}
    labels = {**(metadata.get("labels") or {}), **_labels(owner, spec, revision)}
    return {
        "metadata": {**metadata, "labels": labels},
        "spec": with_copies({**defaults, **pod, "containers": [server, *others]}, copies_of(owner, spec, revision)),
    }


def _restarts(spec: MLModelDeploymentSpec) -> Fields:
    """
    How the pods are replaced when somebody restarts them: never fewer than asked for, but where capacity is limited
    never more.
    """
    capacity = spec.serving.capacity
    limited = capacity.budget is not None or capacity.surge is not Surge.FULL
    bounds = {"maxUnavailable": 1, "maxSurge": 0} if limited else {"maxUnavailable": 0, "maxSurge": 1}
    return {"type": "RollingUpdate", "rollingUpdate": bounds}


def _noted(spec: MLModelDeploymentSpec) -> Fields:
    """
    How many ConfigMaps were copied, so that they are removed with the revision when the spec names others.
    """
    number = len(spec.serving.config)
    return {"annotations": {ANNOTATION_CONFIG: str(number)}} if number else {}


def deployment_of(owner: Owner, spec: MLModelDeploymentSpec, effect: EnsureWorkload) -> Fields:
    """
    The revision's Deployment.

    It has no minReadySeconds: nothing is rolled within a revision, so it would delay only the Deployment's own
    `Available`, which is not looked at; ready endpoints, warm-up and soak are.
    """
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {**_metadata(owner, spec, effect), **_noted(spec)},
        "spec": {
            "replicas": effect.replicas,
            "revisionHistoryLimit": 1,
            "progressDeadlineSeconds": max(1, math.ceil(spec.strategy.progress_deadline.seconds)),
            "strategy": _restarts(spec),
            "selector": {"matchLabels": selector_of(owner.key.name, effect.revision)},
            "template": pod_template(owner, spec, effect.revision),
        },
    }


def _protocol(spec: MLModelDeploymentSpec) -> str:
    """
    What the gateway speaks to the pods: gRPC needs HTTP/2, which without TLS nothing else tells it.
    """
    gateway = spec.traffic.gateway_api
    return H2C if gateway is not None and gateway.kind is RouteKind.GRPC_ROUTE else "http"


def service_of(owner: Owner, spec: MLModelDeploymentSpec, effect: EnsureWorkload) -> Fields:
    """
    The revision's Service: its name and selector never change, the route moves between such Services.
    """
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": _metadata(owner, spec, effect),
        "spec": {
            "type": "ClusterIP",
            "selector": selector_of(owner.key.name, effect.revision),
            "ports": [
                {
                    "name": PORT_NAME,
                    "port": SERVICE_PORT,
                    "protocol": "TCP",
                    "targetPort": spec.serving.http_port,
                    "appProtocol": _protocol(spec),
                }
            ],
        },
    }
