"""
The operator's settings, from its environment, parsed once. Names carry units.
"""

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

ROUTERS: Final = frozenset({"grpcRoute", "istio", "routeRef"})
"""Ways to route that can be switched off: each needs a kind, or a right, beyond those of HTTPRoutes of its own."""
PULL_POLICIES: Final = frozenset({"Always", "IfNotPresent", "Never"})


class InvalidSettingError(ValueError):
    """
    An environment variable cannot be used; the message names it.
    """


def _number(environment: Mapping[str, str], name: str, default: int, bounds: tuple[int, int]) -> int:
    text = environment.get(name) or str(default)
    try:
        value = int(text)
    except ValueError:
        raise InvalidSettingError(f"{name} must be a whole number, not {text!r}") from None
    least, most = bounds
    if value < least:
        raise InvalidSettingError(f"{name} must be at least {least}, not {value}")
    if value > most:
        raise InvalidSettingError(f"{name} must be at most {most}, not {value}")
    return value


def _list(environment: Mapping[str, str], name: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in environment.get(name, "").split(",") if part.strip())


def _routers(environment: Mapping[str, str]) -> frozenset[str]:
    """
    Those of the variable, which may be empty: none; without the variable all.
    """
    known = ", ".join(sorted(ROUTERS))
    if "MODELRAMP_ROUTERS" not in environment:
        return ROUTERS
    asked = frozenset(_list(environment, "MODELRAMP_ROUTERS"))
    if not asked <= ROUTERS:
        raise InvalidSettingError(
            f"MODELRAMP_ROUTERS must be some of {known}, not {', '.join(sorted(asked - ROUTERS))}"
        )
    return asked


def _pull_policy(environment: Mapping[str, str]) -> str:
    policy = environment.get("MODELRAMP_COMPARATOR_PULL_POLICY") or "IfNotPresent"
    if policy not in PULL_POLICIES:
        known = ", ".join(sorted(PULL_POLICIES))
        raise InvalidSettingError(f"MODELRAMP_COMPARATOR_PULL_POLICY must be one of {known}, not {policy!r}")
    return policy


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """
    How this operator runs.
    """

    namespace: str
    """Where its Lease lies."""
    identity: str
    """Its own name among replicas: the pod's; outside of a pod, of this very process."""
    lease_name: str
    watch_namespaces: tuple[str, ...]
    """Empty: all."""
    prometheus_address: str | None
    """For objects that name none."""
    prometheus_allowed: tuple[str, ...]
    """Addresses objects may name."""
    http_port: int
    """Probes and metrics; 0: any free one."""
    resync_seconds: int
    """Time between two LISTs that repair what a watch missed."""
    workers: int
    """Objects worked on at the same time."""
    routers: frozenset[str]
    """Ways to route beside HTTPRoutes of its own."""
    comparator_image: str | None
    """What comparators run, this operator's own program; None: objects cannot ask for them."""
    comparator_pull_policy: str
    log_level: str
    kubeconfig: str | None
    """For an operator outside of a cluster; None: the credentials of the pod it runs in."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """
        Read `MODELRAMP_*`.

        Raises:
            InvalidSettingError: naming the variable.
        """
        level = (environment.get("MODELRAMP_LOG_LEVEL") or "info").lower()
        if level not in {"debug", "info", "warning", "error"}:
            raise InvalidSettingError(f"MODELRAMP_LOG_LEVEL must be debug, info, warning or error, not {level!r}")
        in_pod = "KUBERNETES_SERVICE_HOST" in environment
        return cls(
            namespace=environment.get("MODELRAMP_NAMESPACE") or "default",
            identity=environment.get("MODELRAMP_POD_NAME") or f"{socket.gethostname()}-{os.getpid()}",
            lease_name=environment.get("MODELRAMP_LEASE_NAME") or "modelramp",
            watch_namespaces=_list(environment, "MODELRAMP_WATCH_NAMESPACES"),
            prometheus_address=environment.get("MODELRAMP_PROMETHEUS_ADDRESS") or None,
            prometheus_allowed=_list(environment, "MODELRAMP_PROMETHEUS_ALLOWED"),
            http_port=_number(environment, "MODELRAMP_HTTP_PORT", 8080, (0, 65535)),
            resync_seconds=_number(environment, "MODELRAMP_RESYNC_SECONDS", 300, (5, 86400)),
            workers=_number(environment, "MODELRAMP_WORKERS", 8, (1, 256)),
            routers=_routers(environment),
            comparator_image=environment.get("MODELRAMP_COMPARATOR_IMAGE") or None,
            comparator_pull_policy=_pull_policy(environment),
            log_level=level,
            kubeconfig=None if in_pod else environment.get("KUBECONFIG") or "~/.kube/config",
        )
