"""What runs as pods, as a user would run it: CoreDNS, Contour with Envoy, Prometheus; and fake nodes."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from localcluster import images, parts, processes
from localcluster.builds import binary, files
from localcluster.kube import apply, get, kubectl, manifest, rolled_out, wait_until
from localcluster.progress import say
from localcluster.settings import DNS_SERVICE_IP, GATEWAY_SERVICE_IP, KUBECONFIG, PROMETHEUS_SERVICE_IP
from localcluster.shell import run


def custom_resources() -> None:
    """The definitions of Gateway API and Contour; applied early: the API server takes a second to serve them."""
    folders = [files("gateway-api-crds"), files("contour-crds")]
    apply("\n---\n".join(path.read_text() for folder in folders for path in sorted(folder.glob("*.yaml"))))
    kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")


def _contour() -> None:
    apply(manifest("namespaces.yaml"))
    if get("-n", "projectcontour", "secret", "envoycert") is None:
        # Contour and Envoy talk over mutual TLS, with certificates made by Contour's own tool.
        run([binary("contour"), "certgen", "--kube", f"--kubeconfig={KUBECONFIG}", "--namespace=projectcontour",
             "--secrets-format=compact"])  # fmt: skip
    apply(manifest("contour.yaml", contour_image=images.reference("contour"), envoy_image=images.reference("envoy"),
                   gateway_ip=GATEWAY_SERVICE_IP))  # fmt: skip


def _dns() -> None:
    apply(manifest("coredns.yaml", image=images.reference("coredns"), service_ip=DNS_SERVICE_IP))


def _prometheus() -> None:
    apply(manifest("prometheus.yaml", image=images.reference("prometheus"), service_ip=PROMETHEUS_SERVICE_IP))


@dataclass(frozen=True)
class Workload:
    """A workload that must become available, and where its pods themselves say that they are ready."""

    namespace: str
    name: str
    selector: str
    ready: str


#: Feature → how it is applied and what must then work.
_ADDONS: dict[str, tuple[Callable[[], None], tuple[Workload, ...]]] = {
    "dns": (_dns, (Workload("kube-system", "deployment/coredns", "k8s-app=kube-dns", ":8181/ready"),)),
    "contour": (
        _contour,
        (
            Workload("projectcontour", "deployment/contour", "app=contour", ":8000/healthz"),
            Workload("projectcontour", "daemonset/envoy", "app=envoy", ":8002/ready"),
        ),
    ),
    "prometheus": (_prometheus, (Workload("monitoring", "deployment/prometheus", "app=prometheus", ":9090/-/ready"),)),
}


def apply_all(features: list[str]) -> None:
    """Apply the manifests of the wanted features."""
    for name, (put, _) in _ADDONS.items():
        if name in features:
            put()


def wait_for_all(features: list[str]) -> None:
    """Wait until every workload is available and the Gateway is programmed."""
    for name, (_, workloads) in _ADDONS.items():
        if name in features:
            for workload in workloads:
                rolled_out(workload.namespace, workload.name)
                # What the API says of a pod may be from before a crash; the pod itself cannot lie about that.
                wait_until(f"{workload.name} to answer", partial(_pods_answer, workload), 90)
            say(f"{name} available")
    if "contour" in features:
        kubectl("-n", "gateway-system", "wait", "--for=condition=Programmed", "gateway/gw", "--timeout=60s")
        say(f"gateway programmed: http://{GATEWAY_SERVICE_IP}")


def _pods_answer(workload: Workload) -> bool:
    pods = (get("-n", workload.namespace, "pods", "-l", workload.selector) or {"items": []})["items"]
    addresses = [pod["status"].get("podIP") for pod in pods if "deletionTimestamp" not in pod["metadata"]]
    return bool(addresses) and all(ip and parts.answers(f"http://{ip}{workload.ready}") for ip in addresses)


def fake_nodes(count: int) -> None:
    """Make exactly `count` fake nodes and run kwok, which plays their kubelets; with 0, remove both."""
    present = get("nodes", "-l", "type=kwok")
    wanted = {f"fake-{number}" for number in range(count)}
    surplus = {item["metadata"]["name"] for item in present["items"]} - wanted if present else set()
    if count:
        processes.start(parts.kwok())
        apply("\n---\n".join(json.dumps(_fake_node(name)) for name in sorted(wanted)))
        kubectl("wait", "--for=condition=Ready", "node", "-l", "type=kwok", "--timeout=60s")
        say(f"{count} fake nodes ready (label type=kwok, taint kwok.x-k8s.io/node=fake:NoSchedule)")
    if surplus:
        kubectl("delete", "node", *sorted(surplus))
    if not count:
        processes.stop(["kwok"])


def _fake_node(name: str) -> dict[str, object]:
    labels = {"type": "kwok", "kubernetes.io/hostname": name, "kubernetes.io/os": "linux"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": labels, "annotations": {"kwok.x-k8s.io/node": "fake"}},
        "spec": {"taints": [{"key": "kwok.x-k8s.io/node", "value": "fake", "effect": "NoSchedule"}]},
    }
