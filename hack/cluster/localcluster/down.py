"""`down`: leave nothing behind but caches, also when half of the cluster is already dead."""

import contextlib
import os
import shutil
import signal
import time
from pathlib import Path

from localcluster import builds, images, mounts, network, packages, parts, processes
from localcluster.cluster import cgroup_roots
from localcluster.kube import wait_until
from localcluster.progress import say
from localcluster.settings import BRIDGE, CGROUP, CONTAINERD_SOCKET, KUBECONFIG, RUN, STATE, ClusterError
from localcluster.shell import run, succeeds

# Before the API server, so that nothing is restarted while it is being removed.
_FIRST = ["kwok", "kubelet", "kube-proxy", "scheduler", "controller-manager"]
#: Places outside our folders that kubelet, CNI and the shims write to, whatever they are told: removed when left empty.
_FOREIGN = (
    "/var/log/containers", "/var/lib/kubelet/device-plugins", "/var/lib/kubelet/plugins_registry", "/var/lib/kubelet",
    "/var/lib/cni/results", "/var/lib/cni/cache/results", "/var/lib/cni/cache", "/var/lib/cni/networks", "/var/lib/cni",
    "/run/containerd/s", "/run/containerd/runc", "/run/containerd",
)  # fmt: skip


def down(*, purge: bool) -> None:
    """Stop and remove everything. Container images stay for the next `up`, unless `purge`."""
    with builds.locked(f"up-{CGROUP}"):
        node = os.geteuid() == 0 and ((STATE / "containerd").exists() or network.owned())
        # What they hold is about to be deleted, so there is nothing for them to finish in peace.
        processes.stop(_FIRST, grace=0)
        if node:
            _remove_containers()
        processes.stop(["apiserver", "etcd"], grace=0)
        processes.stop(["containerd"])
        if node:
            _restore_machine()
        left = remains(node=node)
        _remove_files(purge=purge)
    if left:
        raise ClusterError("down left something behind:\n  " + "\n  ".join(left))
    say("down: no process, mount, namespace, bridge or iptables rule of the cluster is left")


def _restore_machine() -> None:
    _kill_shims()
    mounts.remove(STATE, RUN, mounts.BUILDER)
    if network.owned():
        network.remove_rules()
        network.remove()
    _remove_cgroups()
    _tidy_foreign_places()


def _remove_containers() -> None:
    _kill_pods()
    if processes.pid_of("containerd") is None:
        # Its records of dead containers can only be removed by itself.
        processes.start(parts.containerd())
    wait_until("containerd to answer", images.runtime_answers, 30)
    for kind in ("tasks", "containers"):
        found = images.ctr(kind, "list", "-q").split()
        if found:
            run([packages.program("ctr"), "-a", CONTAINERD_SOCKET, "-n", "k8s.io", kind, "delete",
                 *(["--force"] if kind == "tasks" else []), *found], check=kind == "containers")  # fmt: skip


def _kill_pods() -> None:
    deadline = time.monotonic() + 15
    while pids := _pids_in_cgroups():
        for pid in pids:
            processes.send(pid, signal.SIGKILL)
        if time.monotonic() > deadline:
            raise ClusterError(f"processes of pods survive SIGKILL: {pids}")
        time.sleep(0.05)


def _pids_in_cgroups() -> list[int]:
    found: set[int] = set()
    for root in cgroup_roots():
        # os.walk, because pathlib's walk raises when a folder vanishes under it, and these do.
        for folder, _, _ in os.walk(root):
            with contextlib.suppress(OSError):
                found |= {int(line) for line in (Path(folder) / "cgroup.procs").read_text().split()}
    return sorted(pid for pid in found if processes.started_at(pid) is not None)


def _kill_shims() -> None:
    for pid in shims():
        processes.send(pid, signal.SIGKILL)
    wait_until("container shims to end", lambda: not shims(), 10, every=0.05)


def shims() -> list[int]:
    """Pids of live containerd shims that belong to our containerd, recognised by its socket in their command line."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            words = path.read_text(errors="replace").split("\0")
            if str(CONTAINERD_SOCKET) in words and "-namespace" in words:
                found.append(int(path.parent.name))
    return [pid for pid in found if processes.started_at(pid) is not None]


def _remove_cgroups() -> None:
    deadline = time.monotonic() + 10
    while leftover := [root for root in cgroup_roots() if root.exists()]:
        for root in leftover:
            for folder, _, _ in os.walk(root, topdown=False):
                with contextlib.suppress(OSError):
                    Path(folder).rmdir()
        if time.monotonic() > deadline:
            return
        time.sleep(0.05)


def _tidy_foreign_places() -> None:
    for record in network.records():
        record.unlink()
    for link in Path("/var/log/containers").glob("*.log"):
        if str(link.readlink()).startswith(str(STATE)):
            link.unlink()
    # Also those of the machine's first network namespace, should this command run in another one.
    listening = Path("/proc/net/unix").read_text() + Path("/proc/1/net/unix").read_text()
    for socket in Path("/run/containerd/s").glob("*"):
        if str(socket) not in listening:
            socket.unlink()
    Path("/var/lib/kubelet/device-plugins/kubelet.sock").unlink(missing_ok=True)
    for place in _FOREIGN:
        with contextlib.suppress(OSError):
            Path(place).rmdir()


def _remove_files(*, purge: bool) -> None:
    if mounts.under(STATE, RUN):
        raise ClusterError("still mounted, so nothing was deleted: " + ", ".join(mounts.under(STATE, RUN)))
    keep = set() if purge else {"containerd"}
    for folder in (RUN, STATE):
        for path in folder.iterdir() if folder.exists() else ():
            if path.name in keep:
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
    KUBECONFIG.unlink(missing_ok=True)
    for folder in (RUN, STATE):
        with contextlib.suppress(OSError):
            folder.rmdir()


def remains(*, node: bool) -> list[str]:
    """What of this instance is still on the machine; empty after a good `down`. `node`: it had (or wants) one."""
    found = [f"process {name}" for name in processes.names() if processes.pid_of(name)]
    found += [f"mount {point}" for point in mounts.under(STATE, RUN)]
    if node:
        found += [f"process {pid}" for pid in [*shims(), *_pids_in_cgroups()]]
        found += [f"cgroup {root}" for root in cgroup_roots() if root.exists()]
        found += [f"bridge {BRIDGE}"] if succeeds(["ip", "link", "show", BRIDGE]) else []
        found += [f"iptables chain {chain}" for chain in network.cluster_chains()]
    return found
