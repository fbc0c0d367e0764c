"""
The operator's environment.
"""

import pytest

from modelramp.adapters.kubernetes.resources import SWITCHED
from modelramp.settings import ROUTERS, InvalidSettingError, Settings


def test_an_empty_environment_has_working_defaults() -> None:
    """
    Outside of a cluster: the user's kubeconfig.
    """
    found = Settings.from_environment({})
    assert (found.namespace, found.lease_name, found.watch_namespaces) == ("default", "modelramp", ())
    assert (found.prometheus_address, found.prometheus_allowed) == (None, ())
    assert (found.http_port, found.resync_seconds, found.workers, found.log_level) == (8080, 300, 8, "info")
    assert (found.comparator_image, found.comparator_pull_policy) == (None, "IfNotPresent")
    assert found.kubeconfig == "~/.kube/config"
    assert found.routers == ROUTERS > set(SWITCHED)


def test_each_variable_is_read() -> None:
    """
    Lists by commas, with spaces around them.
    """
    found = Settings.from_environment(
        {
            "MODELRAMP_NAMESPACE": "system",
            "MODELRAMP_POD_NAME": "modelramp-0",
            "MODELRAMP_LEASE_NAME": "lease",
            "MODELRAMP_WATCH_NAMESPACES": "a, b,,",
            "MODELRAMP_PROMETHEUS_ADDRESS": "http://p:9090",
            "MODELRAMP_PROMETHEUS_ALLOWED": "http://q,http://r",
            "MODELRAMP_HTTP_PORT": "0",
            "MODELRAMP_RESYNC_SECONDS": "60",
            "MODELRAMP_WORKERS": "3",
            "MODELRAMP_COMPARATOR_IMAGE": "modelramp:1",
            "MODELRAMP_COMPARATOR_PULL_POLICY": "Never",
            "MODELRAMP_LOG_LEVEL": "DEBUG",
            "MODELRAMP_ROUTERS": "",
            "KUBECONFIG": "/a:/b",
        }
    )
    assert found == Settings(
        namespace="system",
        identity="modelramp-0",
        lease_name="lease",
        watch_namespaces=("a", "b"),
        prometheus_address="http://p:9090",
        prometheus_allowed=("http://q", "http://r"),
        http_port=0,
        resync_seconds=60,
        workers=3,
        comparator_image="modelramp:1",
        comparator_pull_policy="Never",
        log_level="debug",
        routers=frozenset(),
        kubeconfig="/a:/b",
    )


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("MODELRAMP_ROUTERS", "grpcRoute,nginx", "must be some of grpcRoute, istio, routeRef, not nginx"),
        ("MODELRAMP_HTTP_PORT", "http", "must be a whole number, not 'http'"),
        ("MODELRAMP_HTTP_PORT", "-1", "must be at least 0, not -1"),
        ("MODELRAMP_HTTP_PORT", "65536", "must be at most 65535, not 65536"),
        ("MODELRAMP_RESYNC_SECONDS", "4", "must be at least 5, not 4"),
        ("MODELRAMP_RESYNC_SECONDS", "1.5", "must be a whole number, not '1.5'"),
        ("MODELRAMP_WORKERS", "0", "must be at least 1, not 0"),
        ("MODELRAMP_WORKERS", "100000", "must be at most 256, not 100000"),
        (
            "MODELRAMP_COMPARATOR_PULL_POLICY",
            "Sometimes",
            "must be one of Always, IfNotPresent, Never, not 'Sometimes'",
        ),
        ("MODELRAMP_LOG_LEVEL", "loud", "must be debug, info, warning or error, not 'loud'"),
    ],
)
def test_what_cannot_be_used_is_refused_by_name(name: str, value: str, message: str) -> None:
    """
    The variable and what is wrong with it.
    """
    with pytest.raises(InvalidSettingError) as error:
        Settings.from_environment({name: value})
    assert str(error.value) == f"{name} {message}"


@pytest.mark.parametrize(
    "name", ["MODELRAMP_HTTP_PORT", "MODELRAMP_NAMESPACE", "MODELRAMP_LEASE_NAME", "MODELRAMP_LOG_LEVEL", "KUBECONFIG"]
)
def test_an_empty_variable_is_an_absent_one(name: str) -> None:
    """
    Templates leave them empty.
    """
    assert Settings.from_environment({name: ""}) == Settings.from_environment({})


def test_in_a_pod_the_pods_own_credentials_are_used() -> None:
    """
    Even where somebody set KUBECONFIG.
    """
    found = Settings.from_environment({"KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBECONFIG": "/a"})
    assert found.kubeconfig is None


def test_outside_of_a_pod_each_process_has_a_name_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Two operators of one name would both hold the Lease, and both would act.
    """
    first = Settings.from_environment({}).identity
    monkeypatch.setattr("os.getpid", lambda: 1)
    assert Settings.from_environment({}).identity != first
