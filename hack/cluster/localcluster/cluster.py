"""`up`: bring every wanted part to life, in parallel where nothing waits for anything, and keep what already lives."""

import json
import os
import platform
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from localcluster import addons, builds, certs, images, network, packages, parts, processes
from localcluster.builds import binary
from localcluster.kube import get, kubectl, wait_until
from localcluster.processes import Daemon
from localcluster.progress import say
from localcluster.settings import API_PORT, BIN, CGROUP, KUBECONFIG, NODE, PODS_WEIGH, STATE, ClusterError

#: Feature → the features it needs and the programs it is built from.
FEATURES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "apiserver": ((), ("etcd", "kube-apiserver", "kube-controller-manager", "kubectl")),
    "scheduler": (("apiserver",), ("kube-scheduler",)),
    "node": (("scheduler",), ("kubelet", "kube-proxy", "pause")),
    "dns": (("node",), ("coredns",)),
    "contour": (("node", "dns"), ("contour",)),
    "prometheus": (("node",), ("prometheus",)),
    "helm": ((), ("helm",)),
}


def closure(only: Iterable[str], without: Iterable[str]) -> list[str]:
    """Features in order of start: `only` (all when empty) with their needs, minus `without` and what needs those."""
    wanted: set[str] = set()
    pending = list(only) or list(FEATURES)
    while pending:
        name = pending.pop()
        if name not in FEATURES:
            raise ClusterError(f"no part is called {name!r}; there are: {', '.join(FEATURES)}")
        wanted.add(name)
        pending += FEATURES[name][0]
    dropped = set(without)
    for unknown in dropped - set(FEATURES):
        raise ClusterError(f"no part is called {unknown!r}; there are: {', '.join(FEATURES)}")
    for name, (needs, _) in FEATURES.items():
        if dropped & set(needs):
            dropped.add(name)
    return [name for name in FEATURES if name in wanted - dropped]


def preflight(features: list[str]) -> None:
    """Say what this machine lacks before anything is built."""
    if platform.system() != "Linux":
        raise ClusterError("the embedded cluster needs Linux; use an existing cluster instead: CONTEXT=name make demo")
    if "node" not in features:
        return
    if os.geteuid() != 0:
        raise ClusterError(
            "pods need root (namespaces, cgroups, iptables): run it as root, "
            "or `--only scheduler` for an API server without nodes"
        )
    mounts = Path("/proc/mounts").read_text()
    if " cgroup2 " not in mounts and not all(f"/{name} cgroup " in mounts for name in ("memory", "cpu", "pids")):
        raise ClusterError(
            "no cgroups are mounted (looked for cgroup2, or cgroup v1 with memory, cpu and pids in /proc/mounts); "
            "the kubelet cannot run without them"
        )
    if "overlay" not in Path("/proc/filesystems").read_text():
        raise ClusterError("this kernel has no overlay file system (modprobe overlay); images cannot be unpacked")


def up(features: list[str], fake_nodes: int | None) -> None:
    """Bring the features up and wait until they work. Safe to repeat at any time, over any half of a cluster."""
    began = time.monotonic()
    preflight(features)
    with builds.locked(f"up-{CGROUP}"):
        wanted = [program for name in features for program in FEATURES[name][1]]
        fake = fake_nodes if fake_nodes is not None else _remembered_fake_nodes()
        builds.ensure([*wanted, *(["kwok"] if fake else [])])
        if "node" in features:
            packages.ensure(packages.NODE_PROGRAMS, cni=True)
        if "apiserver" in features:
            certs.ensure()
        _link_programs(wanted)
        _start(features)
        if fake_nodes is not None or fake:
            addons.fake_nodes(fake)
            (STATE / "fake-nodes.json").write_text(json.dumps(fake))
    nodes = f", {fake} fake nodes" if fake else ""
    say(f"up: {', '.join(features)}{nodes} in {time.monotonic() - began:.1f} s")


def _remembered_fake_nodes() -> int:
    try:
        return int((STATE / "fake-nodes.json").read_text())
    except (OSError, ValueError):
        return 0


def _link_programs(wanted: list[str]) -> None:
    BIN.mkdir(parents=True, exist_ok=True)
    for name in ("kubectl", "helm"):
        if name in wanted:
            link = BIN / name
            link.unlink(missing_ok=True)
            link.symlink_to(binary(name))


def _start(features: list[str]) -> None:
    if "apiserver" not in features:
        return
    started = _launch([parts.etcd(), parts.apiserver()])
    imported = _start_runtime(features, started) if "node" in features else None
    _wait_for_api()
    started += _launch([parts.controller_manager(), *([parts.scheduler()] if "scheduler" in features else [])])
    if imported is not None:
        started += _launch([parts.kube_proxy(), parts.kubelet()])
    if "contour" in features:
        addons.custom_resources()
    if imported is not None:
        # A pod whose image is not there yet would back off for longer than the import takes.
        imported()
    say(f"host processes: {'started ' + ', '.join(started) if started else 'all were running'}")
    _wait_for_controllers()
    addons.apply_all(features)
    if "node" in features:
        wait_until(f"node {NODE} to be ready (log: `logs kubelet`)", _node_ready, 60)
        say("node ready")
    addons.wait_for_all(features)


def _launch(daemons: list[Daemon]) -> list[str]:
    return [daemon.name for daemon in daemons if processes.start(daemon)]


def _start_runtime(features: list[str], started: list[str]) -> Callable[[], None]:
    """Network, cgroup and containerd; images are imported meanwhile, and the result waits for them."""
    network.ensure()
    _make_cgroup_root()
    started += _launch([parts.containerd()])
    return in_background(lambda: images.ensure_imported(features))


def in_background(work: Callable[[], None]) -> Callable[[], None]:
    """Start `work` in a thread; calling the result waits for it and raises what it raised."""
    raised: list[BaseException] = []

    def guarded() -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - carried to the waiting thread
            raised.append(error)

    thread = threading.Thread(target=guarded, daemon=True)
    thread.start()

    def finish() -> None:
        thread.join()
        if raised:
            raise raised[0]

    return finish


def _wait_for_api() -> None:
    def ready() -> bool:
        processes.require_alive("etcd")
        processes.require_alive("apiserver")
        return parts.api_answers()

    wait_until("the API server to be ready (log: `logs apiserver`)", ready, 90)
    say(f"API server ready: https://127.0.0.1:{API_PORT}, KUBECONFIG={KUBECONFIG}")


def _wait_for_controllers() -> None:
    """Pods are refused until their namespace's default service account exists."""

    def ready() -> bool:
        processes.require_alive("controller-manager")
        return get("-n", "default", "serviceaccount", "default") is not None

    wait_until("the controller manager to create service accounts", ready, 60)


def _node_ready() -> bool:
    for name in ("kubelet", "kube-proxy", "containerd"):
        processes.require_alive(name)
    path = "jsonpath={.status.conditions[?(@.type=='Ready')].status}"
    return kubectl("get", "node", NODE, "-o", path, "--ignore-not-found") == "True"


def _make_cgroup_root() -> None:
    """All pods live under one cgroup of ours, so that `down` finds every process of theirs and nobody else's."""
    for root in cgroup_roots():
        root.mkdir(exist_ok=True)
        # A new cpuset (v1) starts empty, and a process can only enter it once it has processors and memory.
        for name in ("cpuset.cpus", "cpuset.mems"):
            if (root / name).exists() and "cgroup.controllers" not in {p.name for p in root.iterdir()}:
                (root / name).write_text((root.parent / name).read_text())
        # By default all pods together weigh as much as one other program, and starve beside a compiler.
        for name, default in (("cpu.shares", 1024), ("cpu.weight", 100)):
            if (root / name).exists():
                (root / name).write_text(str(PODS_WEIGH * default))


def cgroup_roots() -> list[Path]:
    """The cluster's cgroup in every mounted hierarchy."""
    mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    return [Path(fields[1]) / CGROUP for fields in mounts if fields[2] in {"cgroup", "cgroup2"}]


def status() -> int:
    """Print what runs; 0 when every recorded process lives and the API server answers, 1 otherwise."""
    names = processes.names()
    for name in names:
        pid = processes.pid_of(name)
        print(f"{name:20} {'pid ' + str(pid) if pid else 'DEAD'}")
    answering = certs.crt("admin").exists() and parts.api_answers()
    print(f"{'API':20} {'answers on' if answering else 'does not answer on'} https://127.0.0.1:{API_PORT}")
    if answering:
        print(kubectl("get", "nodes", check=False), kubectl("get", "pods", "-A", "-o", "wide", check=False), sep="\n")
    return 0 if answering and all(processes.pid_of(name) for name in names) else 1
