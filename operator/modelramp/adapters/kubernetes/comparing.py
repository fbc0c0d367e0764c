"""
A comparator as a Deployment and a Service: pure, from the effect.
"""

from typing import Any, Final

from modelramp.adapters.kubernetes.ownership import (
    LABEL_COMPONENT,
    LABEL_INSTANCE,
    LABEL_NAME,
    LABEL_PART_OF,
    common_labels,
    owner_reference,
)
from modelramp.api.names import (
    ANNOTATION_COMPARE,
    LABEL_COMPARED,
    MANAGED_BY,
    comparator_name,
    workload_name,
)
from modelramp.api.spec import Compare
from modelramp.ports import Owner
from modelramp.rollout.counters import SERVICE_PORT
from modelramp.rollout.plan import EnsureComparator

Fields = dict[str, Any]

COMPONENT: Final = "comparator"
PROGRAM: Final = "modelramp-comparator"
PORT: Final = 8080
METRICS_PORT: Final = 9090
USER: Final = 65532  # of the operator's image
# Proxies learn of a leaving endpoint only after the pod was told to stop, and the comparator drains its queue for 10 s.
PRE_STOP_SECONDS: Final = 5
GRACE_SECONDS: Final = 30
# The bodies that wait have 64 MiB at most, and those under way 3 MiB a pair: what the program takes, its own limits.
RESOURCES: Final = {"requests": {"cpu": "50m", "memory": "96Mi"}, "limits": {"memory": "384Mi"}}


def _pod_labels(owner: Owner, revision: str) -> dict[str, str]:
    """
    The pods do not carry the object's own labels: a Service that selects all pods of the model must not select these.
    """
    return {
        LABEL_NAME: PROGRAM,
        LABEL_INSTANCE: comparator_name(owner.key.name, revision),
        LABEL_COMPONENT: COMPONENT,
        LABEL_PART_OF: PROGRAM,
        MANAGED_BY: "modelramp",
        LABEL_COMPARED: revision,
    }


def _selector(owner: Owner, revision: str) -> dict[str, str]:
    return {LABEL_INSTANCE: comparator_name(owner.key.name, revision), LABEL_COMPARED: revision}


def _metadata(owner: Owner, revision: str) -> Fields:
    name = comparator_name(owner.key.name, revision)
    return {
        "name": name,
        "namespace": owner.key.namespace,
        "labels": common_labels(owner, instance=name, component=COMPONENT) | {LABEL_COMPARED: revision},
        "ownerReferences": [owner_reference(owner)],
    }


def _address(owner: Owner, revision: str) -> str:
    """
    The revision's own Service, never the route: a copy of a copy would be made there.
    """
    name = workload_name(owner.key.name, revision)
    return f"{revision}=http://{name}.{owner.key.namespace}.svc:{SERVICE_PORT}"


def _options(compare: Compare) -> dict[str, str]:
    given = {
        "--extract": compare.extract,
        "--compare": str(compare.comparison),
        "--tolerance": compare.tolerance,
        "--sample": str(compare.sample),
        "--control": str(compare.control),
        "--timeout": str(compare.timeout),
        "--concurrency": str(compare.concurrency),
    }
    return {name: value for name, value in given.items() if value is not None}


def arguments_of(owner: Owner, effect: EnsureComparator) -> list[str]:
    """
    The comparator's command line.
    """
    fixed = {
        "--stable": _address(owner, effect.stable),
        "--candidate": _address(owner, effect.revision),
        "--port": str(PORT),
        "--metrics-port": str(METRICS_PORT),
    }
    options = fixed | _options(effect.compare)
    return ["comparator", *(f"{name}={value}" for name, value in options.items())]


def _probe(path: str) -> Fields:
    return {"httpGet": {"path": path, "port": "metrics"}, "periodSeconds": 5, "timeoutSeconds": 3}


def _container(owner: Owner, effect: EnsureComparator, image: str, pull_policy: str) -> Fields:
    return {
        "name": COMPONENT,
        "image": image,
        "imagePullPolicy": pull_policy,
        "args": arguments_of(owner, effect),
        "ports": [
            {"name": "http", "containerPort": PORT, "protocol": "TCP"},
            {"name": "metrics", "containerPort": METRICS_PORT, "protocol": "TCP"},
        ],
        "readinessProbe": {**_probe("/-/ready"), "periodSeconds": 2},
        "livenessProbe": {**_probe("/-/healthy"), "initialDelaySeconds": 10, "failureThreshold": 6},
        "lifecycle": {"preStop": {"sleep": {"seconds": PRE_STOP_SECONDS}}},
        "resources": RESOURCES,
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }


def _pod_template(owner: Owner, effect: EnsureComparator, image: str, pull_policy: str) -> Fields:
    scraped = {"scrape": "true", "port": str(METRICS_PORT), "path": "/metrics"}
    return {
        "metadata": {
            "labels": _pod_labels(owner, effect.revision),
            "annotations": {f"prometheus.io/{name}": value for name, value in scraped.items()},
        },
        "spec": {
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "terminationGracePeriodSeconds": GRACE_SECONDS,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": USER,
                "runAsGroup": USER,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [_container(owner, effect, image, pull_policy)],
        },
    }


def comparator_deployment(owner: Owner, effect: EnsureComparator, image: str, pull_policy: str) -> Fields:
    """
    The comparator's Deployment; an edit replaces its pod, and the old one answers until the new one is ready.
    """
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {**_metadata(owner, effect.revision), "annotations": {ANNOTATION_COMPARE: effect.hash}},
        "spec": {
            "replicas": 1,
            "revisionHistoryLimit": 1,
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
            "selector": {"matchLabels": _selector(owner, effect.revision)},
            "template": _pod_template(owner, effect, image, pull_policy),
        },
    }


def comparator_service(owner: Owner, revision: str) -> Fields:
    """
    The comparator's Service, which the route copies requests to.
    """
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": _metadata(owner, revision),
        "spec": {
            "type": "ClusterIP",
            "selector": _selector(owner, revision),
            "ports": [
                {
                    "name": "http",
                    "port": SERVICE_PORT,
                    "protocol": "TCP",
                    "targetPort": PORT,
                    "appProtocol": "http",
                }
            ],
        },
    }
