"""
The object of a lane.
"""

from typing import Any, Final

import yaml
from soak.lanes import Kind, Router, Strategy

IMAGE: Final = "localhost/modelramp-soak:1"
HTTP_PORT: Final = 8080
GRPC_PORT: Final = 9000
COHORT_HEADER: Final = {"x-model-cohort": "candidate"}

# Contour mirrors everything or nothing.
_MIRROR: Final = {"mirror": "100%", "soak": "6s", "deadline": "4m"}
_CANARY: Final[dict[str, Any]] = {
    "steps": [{"traffic": "20%"}, {"traffic": "50%"}, {"traffic": "100%"}],
    "blastRadius": "5%",
    "soak": "5s",
    "stepDeadline": "4m",
}
_BLUE_GREEN: Final[dict[str, Any]] = {
    "preSwitch": {"soak": "5s"},
    "bake": "20s",
    "blastRadius": "5%",
    "soak": "5s",
    "stepDeadline": "4m",
}
_PARTIAL: Final = {"steps": [{"traffic": "50%"}, {"traffic": "100%"}]}
_STRATEGIES: Final[dict[Strategy, dict[str, Any]]] = {
    Strategy.CANARY: {"canary": _CANARY},
    Strategy.COHORT: {"canary": {**_CANARY, "cohort": {"header": "x-model-cohort", "value": "candidate"}}},
    Strategy.BLUE_GREEN: {"blueGreen": _BLUE_GREEN},
    Strategy.BLUE_GREEN_IN_PARTS: {"blueGreen": {**_BLUE_GREEN, **_PARTIAL}},
    Strategy.SHADOW: {"shadow": {**_MIRROR, "onPassed": "Promote", "blastRadius": "5%"}},
    Strategy.SHADOW_CANARY: {"canary": {**_CANARY, "shadow": _MIRROR}},
}


def hostname(kind: Kind) -> str:
    """
    What the gateway routes by.
    """
    return f"{kind.name}.example.com"


def manifest(kind: Kind, version: str, *, namespace: str, gateway: str, image: str = IMAGE) -> str:
    """
    The object as YAML. `gateway` is NAMESPACE/NAME.
    """
    document = {
        "apiVersion": "modelramp.io/v1alpha1",
        "kind": "MLModelDeployment",
        "metadata": {"name": kind.name, "namespace": namespace},
        "spec": {
            "model": {"version": version},
            "serving": serving(kind, image),
            "traffic": traffic(kind, gateway),
            "strategy": strategy(kind),
            "analysis": ANALYSIS,
        },
    }
    return yaml.safe_dump(document, sort_keys=False)


def strategy(kind: Kind) -> dict[str, Any]:
    """
    The spec's `strategy`.
    """
    chosen = _STRATEGIES[kind.strategy]
    if kind.router is Router.SERVICE and "canary" in chosen:
        # With one pod in each arm a Service gives either half or everything.
        chosen = {"canary": {**_CANARY, **_PARTIAL}}
    return {**chosen, "scaleDownDelay": "3s", "progressDeadline": "90s"}


def traffic(kind: Kind, gateway: str) -> dict[str, Any]:
    """
    The spec's `traffic`.
    """
    if kind.router is Router.SERVICE:
        return {"service": {"port": 80, "drain": "25s"}}  # a little longer than the streams
    namespace, _, name = gateway.partition("/")
    found: dict[str, Any] = {
        "parentRefs": [{"name": name, "namespace": namespace}],
        "hostnames": [hostname(kind)],
    }
    return {"gatewayAPI": {"kind": str(kind.router), **found} if kind.router is Router.GRPC_ROUTE else found}


def serving(kind: Kind, image: str) -> dict[str, Any]:
    """
    The spec's `serving`: one small pod. A gRPC port cannot be warmed up by HTTP requests.
    """
    over_grpc = kind.router is Router.GRPC_ROUTE
    found: dict[str, Any] = {
        "runtime": "custom",
        "port": GRPC_PORT if over_grpc else HTTP_PORT,
        "replicas": 1,
        "template": {
            "metadata": {
                "annotations": {
                    "prometheus.io/scrape": "true",
                    "prometheus.io/port": str(HTTP_PORT),
                    "prometheus.io/path": "/metrics",
                }
            },
            "spec": {
                "terminationGracePeriodSeconds": 45,
                "securityContext": {
                    "runAsNonRoot": True, "runAsUser": 65532, "runAsGroup": 65532,
                    "seccompProfile": {"type": "RuntimeDefault"},
                },
                "containers": [_container(image)],
            },
        },
    }  # fmt: skip
    if not over_grpc:
        found["warmUp"] = {"requests": 5, "path": "/v2/models/digits/infer", "body": {"value": "{}"}}
    return found


def _container(image: str) -> dict[str, Any]:
    return {
        "name": "model",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "ports": [{"name": "http", "containerPort": HTTP_PORT}, {"name": "grpc", "containerPort": GRPC_PORT}],
        # The only pod of a revision is not gone because it is slow once.
        "readinessProbe": {
            "httpGet": {"path": "/ready", "port": HTTP_PORT}, "periodSeconds": 1, "timeoutSeconds": 5,
            "failureThreshold": 5,
        },
        "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "128Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
        },
    }  # fmt: skip


ANALYSIS: Final[dict[str, Any]] = {
    "interval": "5s",
    "prometheus": {"delay": "2s"},
    # A bad version fails requests one by one and by chance.
    "overdispersion": "1",
    "metrics": [
        {
            "name": "errors",
            "ratio": {
                "bad": 'soak_requests_total{$arm,kind="request",outcome="failed"}',
                "total": 'soak_requests_total{$arm,kind="request"}',
            },
        }
    ],
}
"""
The spec's `analysis`. The model server's own count: a gateway sees neither the status of a gRPC call nor who
asks a Service.
"""
