"""Look for a working container engine with kind or minikube, which would serve as well and need no build."""

import shutil

from localcluster.settings import knob
from localcluster.shell import succeeds

_ENGINES = ("docker", "podman", "nerdctl")


def advice() -> str | None:
    """How to use what this machine has; None when it has nothing usable or the embedded cluster is asked for."""
    if knob("MODELRAMP_EMBEDDED"):
        return None
    # A client without an engine behind it (docker is often just that) does not count: `info` must succeed.
    engine = next((name for name in _ENGINES if shutil.which(name) and succeeds([name, "info"])), None)
    if engine is None:
        return None
    if shutil.which("kind"):
        provider = "" if engine == "docker" else f"KIND_EXPERIMENTAL_PROVIDER={engine} "
        create, context = f"{provider}kind create cluster", "kind-kind"
    elif shutil.which("minikube"):
        create, context = f"minikube start --driver={engine}", "minikube"
    else:
        return None
    return (
        f"This machine has a working {engine} and can run a cluster without building one:\n"
        f"    {create}\n    CONTEXT={context} make demo\n"
        "That cluster needs a Gateway API implementation and Prometheus (hack/cluster/README.md says which).\n"
        "To build the embedded cluster nevertheless: --embedded, or MODELRAMP_EMBEDDED=1."
    )
