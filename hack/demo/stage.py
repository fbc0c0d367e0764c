"""
Where the demo plays: a cluster with gateway and Prometheus, the operator installed by Helm, the model's image loaded.

The embedded cluster is built when no context is named. An existing one is taken as it is: nothing of it is built.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
SYSTEM = "modelramp-system"
OPERATOR_IMAGE = "localhost/modelramp:demo"
PYTHON_BASE = "localhost/python-base:1"  # Debian with Python, made by the cluster's own image tool
MODEL_IMAGE = "localhost/modelramp-digits:1"


class StageError(Exception):
    """
    The demo cannot be set up; the message says what to do.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """
    A cluster as the demo needs it.
    """

    context: str | None
    """None: the embedded cluster, whose kubeconfig is in `environment`."""
    environment: dict[str, str] = field(repr=False)
    gateway: str
    """namespace/name of the Gateway."""
    url: str
    """Where the client reaches the gateway."""
    prometheus: str
    """Address as seen from inside the cluster."""
    model_image: str = MODEL_IMAGE

    def kubectl(self, *arguments: str, text: str | None = None) -> str:
        """
        What kubectl prints.

        Raises:
            StageError: it failed, with what it said.
        """
        context = ["--context", self.context] if self.context else []
        return run(["kubectl", *context, *arguments], self.environment, text=text)

    def get(self, *arguments: str) -> dict[str, Any]:
        """
        An object or a list.
        """
        document: dict[str, Any] = json.loads(self.kubectl("get", *arguments, "-o", "json"))
        return document


def run(command: list[str], environment: dict[str, str], *, text: str | None = None) -> str:
    """
    What a program prints; its errors become the message.
    """
    try:
        done = subprocess.run(
            command, env=environment, input=text, capture_output=True, text=True, check=False, timeout=600
        )
    except FileNotFoundError:
        raise StageError(f"{command[0]} is not installed") from None
    except subprocess.TimeoutExpired:
        raise StageError(f"{' '.join(command[:4])} …: no answer in 10 minutes") from None
    if done.returncode != 0:
        raise StageError(f"{' '.join(command[:6])} …: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def loudly(command: list[str], environment: dict[str, str]) -> None:
    """
    Run a program that shows its own progress.
    """
    sys.stdout.flush()
    done = subprocess.run(command, env=environment, check=False)
    if done.returncode != 0:
        raise StageError(f"{' '.join(command[:5])} … failed")


def _embedded() -> Stage:
    tool = [sys.executable, str(ROOT / "hack/cluster")]
    environment = dict(os.environ)
    loudly([*tool, "up"], environment)
    for line in run([*tool, "env"], environment).splitlines():
        name, _, value = line.removeprefix("export ").partition("=")
        environment[name] = value.replace('"$PATH"', environment["PATH"])
    for tag, folder in ((OPERATOR_IMAGE, ROOT), (MODEL_IMAGE, ROOT / "examples/digits")):
        began = time.monotonic()
        print(f"image {tag}", flush=True)
        loudly([*tool, "image", "build", "--tag", tag, "--build-arg", f"BASE={PYTHON_BASE}", str(folder)], environment)
        print(f"image {tag} is in the cluster after {time.monotonic() - began:.0f} s", flush=True)
    return Stage(
        context=None,
        environment=environment,
        gateway="gateway-system/gw",
        url=environment["MODELRAMP_GATEWAY"],
        prometheus="http://prometheus.monitoring.svc:9090",
    )


def _loaded(context: str, tag: str, folder: Path, environment: dict[str, str]) -> None:
    """
    Build an image with the local container engine and hand it to a kind or minikube cluster.
    """
    engine = shutil.which("docker") or shutil.which("podman")
    if engine is None:
        raise StageError(
            f"no container engine to build {tag}: "
            f"set OPERATOR_IMAGE and MODEL_IMAGE to images the cluster {context} can pull"
        )
    loudly([engine, "build", "-t", tag, str(folder)], environment)
    if context.startswith("kind-"):
        loudly(["kind", "load", "docker-image", tag, "--name", context.removeprefix("kind-")], environment)
    elif context.startswith("minikube"):
        loudly(["minikube", "-p", context, "image", "load", tag], environment)
    else:
        raise StageError(f"set OPERATOR_IMAGE and MODEL_IMAGE to images the cluster {context} can pull")


def _existing(context: str) -> Stage:
    environment = dict(os.environ)
    gateway = environment.get("GATEWAY", "gateway-system/gw")
    namespace, _, name = gateway.partition("/")
    images = {
        OPERATOR_IMAGE: (environment.get("OPERATOR_IMAGE"), ROOT),
        MODEL_IMAGE: (environment.get("MODEL_IMAGE"), ROOT / "examples/digits"),
    }
    for tag, (given, folder) in images.items():
        if given is None:
            _loaded(context, tag, folder, environment)
    stage = Stage(
        context=context,
        environment=environment,
        gateway=gateway,
        url=environment.get("GATEWAY_URL", ""),
        prometheus=environment.get("PROMETHEUS", "http://prometheus.monitoring.svc:9090"),
        model_image=environment.get("MODEL_IMAGE", MODEL_IMAGE),
    )
    if stage.url:
        return stage
    addresses = stage.get("-n", namespace, "gateway", name).get("status", {}).get("addresses", [])
    if not addresses:
        raise StageError(f"the Gateway {gateway} has no address: set GATEWAY_URL to where this machine reaches it")
    port = stage.get("-n", namespace, "gateway", name)["spec"]["listeners"][0]["port"]
    return Stage(
        context=context,
        environment=environment,
        gateway=gateway,
        url=f"http://{addresses[0]['value']}:{port}",
        prometheus=stage.prometheus,
        model_image=stage.model_image,
    )


def prepare(context: str | None) -> Stage:
    """
    A stage with the operator installed from its chart and its image.
    """
    stage = _existing(context) if context else _embedded()
    install(stage)
    return stage


def install(stage: Stage) -> None:
    """
    Install or upgrade the operator by Helm and wait until it is ready.
    """
    image = stage.environment.get("OPERATOR_IMAGE", OPERATOR_IMAGE) if stage.context else OPERATOR_IMAGE
    repository, _, tag = image.rpartition(":")
    context = ["--kube-context", stage.context] if stage.context else []
    run(
        [
            "helm", "upgrade", "--install", "modelramp", str(ROOT / "charts/modelramp"), *context,
            "--namespace", SYSTEM, "--create-namespace", "--wait", "--timeout", "3m",
            "--take-ownership",  # of a definition that was applied by kubectl before
            "--set", f"image.repository={repository}", "--set", f"image.tag={tag}",
            "--set", f"prometheus.address={stage.prometheus}",
        ],
        stage.environment,
    )  # fmt: skip
    # the tag is the same when the image was built anew: the pod has to be too
    digest = _image_mark(stage)
    stage.kubectl(
        "-n", SYSTEM, "patch", "deployment", "modelramp", "--type=merge",
        "-p", json.dumps({"spec": {"template": {"metadata": {"annotations": {"modelramp.io/image": digest}}}}}),
    )  # fmt: skip
    stage.kubectl("-n", SYSTEM, "rollout", "status", "deployment/modelramp", "--timeout=120s")


def _image_mark(stage: Stage) -> str:
    """
    Changes when the operator's files change, so that a rebuilt image under the same tag is really started.
    """
    if stage.context:
        return "as-given"
    names = run(["git", "-C", str(ROOT), "ls-files", "-s", "operator", "Dockerfile", "requirements"], stage.environment)
    dirty = run(
        ["git", "-C", str(ROOT), "diff", "HEAD", "--", "operator", "Dockerfile", "requirements"], stage.environment
    )
    return str(hash_of(names + dirty))


def hash_of(text: str) -> int:
    """
    A number for a text, the same in every process.
    """
    return int(hashlib.sha256(text.encode()).hexdigest()[:12], 16)
