"""Programs compiled from Go modules, cached by their inputs: nothing is compiled twice, and nothing needlessly."""

import fcntl
import functools
import hashlib
import os
import shutil
import subprocess
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from localcluster import progress
from localcluster.settings import CACHE, GO_MODULES, ClusterError
from localcluster.shell import run
from localcluster.toolchain import go

_KUBERNETES = "v1.36.3"
# Without these a server calls itself v0.0.0-master+$Format and clients cannot parse it.
_KUBERNETES_FLAGS = " ".join(
    f"-X {package}.gitVersion={_KUBERNETES}"
    for package in ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
)


@dataclass(frozen=True)
class Part:
    """One program: the folder under `go/` whose go.mod pins it, its package, and flags beyond the common ones."""

    module: str
    package: str
    link: str = ""
    tags: str = ""


def _kubernetes(command: str) -> Part:
    return Part("kubernetes", f"k8s.io/kubernetes/cmd/{command}", _KUBERNETES_FLAGS)


#: In the order in which they are built: what a test against a bare API server needs comes first.
PARTS: dict[str, Part] = {
    "etcd": Part("kubernetes", "go.etcd.io/etcd/server/v3"),
    "kube-apiserver": _kubernetes("kube-apiserver"),
    "kube-controller-manager": _kubernetes("kube-controller-manager"),
    "kubectl": _kubernetes("kubectl"),
    "kube-scheduler": _kubernetes("kube-scheduler"),
    "kwok": Part("kubernetes", "sigs.k8s.io/kwok/cmd/kwok"),
    "kubelet": _kubernetes("kubelet"),
    "kube-proxy": _kubernetes("kube-proxy"),
    "pause": Part("pause", "."),
    "coredns": Part("kubernetes", "github.com/coredns/coredns"),
    "contour": Part(
        "contour",
        "github.com/projectcontour/contour/cmd/contour",
        "-X github.com/projectcontour/contour/internal/build.Version=v1.33.8",
    ),
    "prometheus": Part(
        "prometheus",
        "github.com/prometheus/prometheus/cmd/prometheus",
        "-X github.com/prometheus/common/version.Version=3.15.0",
        # Only the Kubernetes service discovery: the cloud ones triple the compile time.
        "remove_all_sd,enable_kubernetes_sd",
    ),
    "helm": Part("helm", "helm.sh/helm/v4/cmd/helm", "-X helm.sh/helm/v4/internal/version.version=v4.3.1"),
}


@dataclass(frozen=True)
class Files:
    """Files of a module that are used as they are: the folder under `go/`, the module, and paths inside it."""

    module: str
    source: str
    paths: tuple[str, ...]


FILES: dict[str, Files] = {
    "gateway-api-crds": Files("gateway-api", "sigs.k8s.io/gateway-api", ("config/crd/standard",)),
    "contour-crds": Files("contour", "github.com/projectcontour/contour", ("examples/contour/01-crds.yaml",)),
    # Kwok has no stages built in; without them a fake pod never becomes ready.
    "kwok-stages": Files(
        "kubernetes",
        "sigs.k8s.io/kwok",
        tuple(f"kustomize/stage/{kind}" for kind in ("node/fast", "node/heartbeat-with-lease", "pod/fast")),
    ),
}

# Static binaries: the same file runs on the host and in an image FROM scratch. Nothing of the checkout goes in.
_ENV = {"CGO_ENABLED": "0", "GOFLAGS": "-buildvcs=false", "GOWORK": "off"}


def _flags(part: Part) -> list[str]:
    flags = ["-trimpath", "-ldflags", f"-s -w {part.link}".strip()]
    return [*flags, "-tags", part.tags] if part.tags else flags


def _key(module: str, *more: str) -> str:
    digest = hashlib.sha256("\0".join(more).encode())
    for path in sorted((GO_MODULES / module).iterdir()):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]


@functools.cache
def binary(name: str) -> Path:
    """Where the program is or will be; changes when its module, its flags or the compiler change."""
    part = PARTS[name]
    return CACHE / f"{name}-{_key(part.module, part.package, *_flags(part), go()[1])}" / name


@functools.cache
def files(name: str) -> Path:
    """The folder with the module's files, fetched and copied on first need."""
    wanted = FILES[name]
    target = CACHE / f"{name}-{_key(wanted.module, wanted.source, *wanted.paths)}"
    if target.exists():
        return target
    folder = GO_MODULES / wanted.module
    run([go()[0], "mod", "download", wanted.source], cwd=folder, env=_ENV)
    source = Path(run([go()[0], "list", "-m", "-f", "{{.Dir}}", wanted.source], cwd=folder, env=_ENV).strip())
    part = target.with_suffix(f".{os.getpid()}")
    part.mkdir(parents=True)
    for number, path in enumerate(path for place in wanted.paths for path in _usable(source / place)):
        shutil.copyfile(path, part / f"{number:02}-{path.name}")
    part.rename(target)
    return target


def _usable(place: Path) -> list[Path]:
    """The file, or a folder's objects without kustomize's list and the policy that forbids other CRD versions."""
    found = [place] if place.is_file() else sorted(place.glob("*.yaml"))
    return [path for path in found if path.name != "kustomization.yaml" and "_vap_" not in path.name]


@contextmanager
def locked(name: str) -> Iterator[None]:
    """One builder at a time for `name` on this machine; a second one waits and then finds the work done."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress.say(f"another command holds {lock.name}: waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def ensure(names: Iterable[str]) -> None:
    """Build those of the named parts that are not in the cache, one after another, showing how far it is."""
    wanted = [name for name in PARTS if name in set(names)]
    if all(binary(name).exists() for name in wanted):
        return
    with locked("build"):
        missing = [name for name in wanted if not binary(name).exists()]
        if missing:
            known = [progress.last_time(f"build {name}").get("seconds") for name in missing]
            estimate = f", {sum(s for s in known if s):.0f} s last time" if all(known) else ""
            progress.say(f"building {len(missing)} of {len(wanted)} parts from source: {', '.join(missing)}{estimate}")
        for number, name in enumerate(missing, 1):
            _build(name, f"{number}/{len(missing)}")


def _build(name: str, position: str) -> None:
    part, target = PARTS[name], binary(name)
    before = progress.last_time(f"build {name}")
    target.parent.mkdir(parents=True, exist_ok=True)
    log = target.parent / "build.log"
    output = target.with_suffix(f".{os.getpid()}")
    # Two compilers at a time leave the machine usable and, on two cores, lose nothing.
    command = [str(go()[0]), "build", "-p", "2", "-v", *_flags(part), "-o", str(output), part.package]

    def describe(elapsed: float) -> str:
        packages = len(log.read_bytes().splitlines())
        usual = f" (last time {before['seconds']:.0f} s, {before['packages']:.0f} packages)" if before else ""
        return f"building {name} [{position}] {elapsed:.0f} s, {packages} packages compiled{usual}"

    began = time.monotonic()
    with log.open("wb") as sink, progress.ticking(describe):
        done = subprocess.run(
            command, cwd=GO_MODULES / part.module, env={**os.environ, **_ENV}, stdout=sink, stderr=sink, check=False
        )
    if done.returncode != 0:
        end = "\n".join(log.read_text().splitlines()[-20:])
        raise ClusterError(f"building {name} failed (all of it: {log}):\n{end}")
    output.rename(target)
    seconds = time.monotonic() - began
    packages = len(log.read_bytes().splitlines())
    # A relink of cached packages says nothing about how long a cold build takes: keep the slower figure.
    if packages >= before.get("packages", 0):
        progress.remember(f"build {name}", seconds=seconds, packages=packages)
    progress.say(f"built {name} [{position}] in {seconds:.0f} s ({packages} packages compiled)")
