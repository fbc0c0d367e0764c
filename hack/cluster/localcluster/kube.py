"""Talk to the cluster through kubectl, as its administrator."""

import json
import subprocess
import time
from collections.abc import Callable
from string import Template
from typing import Any

from localcluster.builds import binary
from localcluster.settings import KUBECONFIG, MANIFESTS, ClusterError
from localcluster.shell import run


def kubectl(*arguments: str, text: str | None = None, check: bool = True) -> str:
    """Standard output of kubectl with these arguments."""
    return run([binary("kubectl"), f"--kubeconfig={KUBECONFIG}", *arguments], text=text, check=check)


def get(*arguments: str) -> Any:  # noqa: ANN401 - a document of any kind
    """The parsed answer of `kubectl get … -o json`; None when the object is not there."""
    text = kubectl("get", *arguments, "-o", "json", "--ignore-not-found")
    return json.loads(text) if text.strip() else None


def apply(text: str) -> None:
    """Server-side apply; repeating it changes nothing."""
    kubectl("apply", "--server-side", "--force-conflicts", "--field-manager=modelramp-cluster", "-f", "-", text=text)


def manifest(name: str, **values: str) -> str:
    """A manifest of this folder with its `${…}` replaced. `$(…)` is Kubernetes' own and stays."""
    return Template((MANIFESTS / name).read_text()).safe_substitute(values)


def wait_until(what: str, check: Callable[[], bool], seconds: float, every: float = 0.25) -> None:
    """Poll until `check` is true; ClusterError after `seconds`, naming `what`."""
    deadline = time.monotonic() + seconds
    while not check():
        if time.monotonic() > deadline:
            raise ClusterError(f"waited {seconds:.0f} s for {what}")
        time.sleep(every)


def rolled_out(namespace: str, workload: str, seconds: int = 120) -> None:
    """Wait until a Deployment or DaemonSet is fully available; on failure say what its pods are doing."""
    try:
        kubectl("-n", namespace, "rollout", "status", workload, f"--timeout={seconds}s")
    except ClusterError as error:
        pods = kubectl("-n", namespace, "get", "pods,events", "-o", "wide", check=False)
        raise ClusterError(f"{namespace}/{workload} did not become available: {error}\n{pods}") from error


def interactive(*arguments: str) -> int:
    """Run kubectl on this terminal; its exit status."""
    return subprocess.run([str(binary("kubectl")), f"--kubeconfig={KUBECONFIG}", *arguments], check=False).returncode
