"""`selftest`: does `up` heal, and does `down` leave this machine as it was? Breaks the cluster on purpose."""

import json
import os
import re
import signal
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from localcluster import cluster, network, packages, parts, processes
from localcluster.down import down, remains
from localcluster.kube import apply, kubectl, wait_until
from localcluster.progress import say
from localcluster.settings import (
    BRIDGE,
    CACHE,
    CGROUP,
    GATEWAY_SERVICE_IP,
    PROMETHEUS_SERVICE_IP,
    RUN,
    STATE,
    ClusterError,
)
from localcluster.shell import run


def snapshot() -> dict[str, list[str]]:
    """
    What `down` must restore: our processes, network and pid namespaces, mounts, links, cgroups, kernel settings and
    iptables rules of the machine. Mounts of image builders elsewhere on the machine come and go and are left out.
    """
    mounts = [" ".join(line.split()[1:3]) for line in Path("/proc/mounts").read_text().splitlines()]
    links = json.loads(run(["ip", "-json", "link"]))
    foreign = ["/run/containerd", "/var/lib/kubelet", "/var/lib/cni", "/var/log/containers", "/run/netns"]
    return {
        "processes": _our_processes(),
        "namespaces": [f"{kind} {path}" for kind in ("net", "pid", "uts") for path in _namespaces(kind)],
        "mounts": sorted(line for line in mounts if "/overlay" not in line or line.startswith((str(STATE), str(RUN)))),
        "links": sorted(link["ifname"] for link in links),
        "cgroups": sorted(str(root) for root in cluster.cgroup_roots() if root.exists()),
        "kernel": [f"{name} = {value}" for name, value in sorted(network.kernel_settings().items())],
        "rules": [line for family in ("iptables", "ip6tables") for line in _rules(family)],
        "places": sorted(str(p) for place in foreign for p in [Path(place), *Path(place).rglob("*")] if p.exists()),
    }


def _rules(family: str) -> list[str]:
    """Rules and chains that are not built in: an empty table is the same as no table."""
    lines = network.rules(family).splitlines()
    return [f"{family} {line}" for line in lines if line.startswith("-A") or re.match(r":\S+ -", line)]


def _our_processes() -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            words = (path / "cmdline").read_text(errors="replace").replace("\0", " ")
        except OSError:
            continue
        if (f"{STATE}/" in words or f"{RUN}/" in words) and int(path.name) != os.getpid():
            found.append(words[:120])
    return sorted(found)


def _namespaces(kind: str) -> list[str]:
    """Namespaces other than this process's that processes of our pods live in (found by their cgroup)."""
    own, found = f"/proc/self/ns/{kind}", set()
    for path in Path("/proc").glob("[0-9]*"):
        try:
            ours = f"/{CGROUP}/" in (path / "cgroup").read_text()
            name = str((path / "ns" / kind).readlink())
        except OSError:
            continue
        if ours and name != str(Path(own).readlink()):
            found.add(name)
    return sorted(found)


_ROUTE = """
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: selftest, namespace: monitoring}
spec:
  parentRefs: [{name: gw, namespace: gateway-system}]
  hostnames: [selftest.example]
  rules: [{backendRefs: [{name: prometheus, port: 9090}]}]
"""


def works(seconds: float = 60) -> None:
    """Traffic passes gateway, kube-proxy and pod; Prometheus has scraped Envoy; the kubelet serves a pod's log."""
    apply(_ROUTE)
    host = {"Host": "selftest.example"}
    route = partial(parts.answers, f"http://{GATEWAY_SERVICE_IP}/-/ready", headers=host)
    wait_until("a request through the gateway to be answered", route, seconds)
    query = f"http://{PROMETHEUS_SERVICE_IP}:9090/api/v1/query?query=up%7Bnamespace%3D%22projectcontour%22%7D"
    wait_until("Prometheus to have scraped Envoy", partial(parts.answers, query, containing='"1"]'), seconds)
    if "Server is ready" not in kubectl("-n", "monitoring", "logs", "deployment/prometheus"):
        raise ClusterError("the log of Prometheus cannot be read through the kubelet")


def _kill(*names: str) -> None:
    for name in names:
        pid = processes.pid_of(name)
        if pid is None:
            raise ClusterError(f"{name} was not running before it was to be killed")
        processes.send(pid, signal.SIGKILL)
    wait_until("killed processes to be gone", lambda: all(processes.pid_of(name) is None for name in names), 10)


def _kill_everything() -> None:
    _kill(*[name for name in processes.names() if processes.pid_of(name)])
    # Pods and shims as well, as after a crash; their mounts and namespaces stay.
    for path in Path("/proc").glob("[0-9]*"):
        try:
            ours = f"/{CGROUP}/" in (path / "cgroup").read_text() or str(RUN) in (path / "cmdline").read_text()
        except OSError:
            continue
        if ours and int(path.name) != os.getpid():
            processes.send(int(path.name), signal.SIGKILL)


def _stale_records() -> None:
    """As after a reboot: every record names another boot, and its pid belongs to a stranger (here: this process)."""
    _kill_everything()
    for record in RUN.glob("*.pid"):
        old = json.loads(record.read_text())
        record.write_text(json.dumps({**old, "pid": os.getpid(), "boot": "another"}))


def _cut_network() -> None:
    _kill("etcd", "kube-proxy")
    network.remove_rules()
    run(["ip", "link", "delete", BRIDGE])


_BREAKS: dict[str, Callable[[], None]] = {
    "kubelet killed": lambda: _kill("kubelet"),
    "API server killed": lambda: _kill("apiserver"),
    "containerd killed": lambda: _kill("containerd"),
    "etcd and kube-proxy killed, rules and bridge removed": _cut_network,
    "everything killed": _kill_everything,
    "stale records after a reboot": _stale_records,
}


def run_all(*, heal: bool) -> int:
    """Snapshot, up, (break, up)…, down, compare; 0 when everything was as it should be."""
    if any(processes.pid_of(name) for name in processes.names()) or remains(node=True):
        raise ClusterError("a cluster is up: `python3 hack/cluster down` first")
    packages.ensure(packages.NODE_PROGRAMS, cni=True)
    CACHE.mkdir(parents=True, exist_ok=True)
    before = snapshot()
    everything = cluster.closure([], [])
    failures = []
    times = {"up": _timed(lambda: cluster.up(everything, None))}
    works()
    for name, damage in _BREAKS.items() if heal else ():
        kept = {other: processes.pid_of(other) for other in processes.names()}
        damage()
        dead = {other for other in kept if processes.pid_of(other) is None}
        times[f"up after: {name}"] = _timed(lambda: cluster.up(everything, None))
        works()
        restarted = {other for other in kept if other not in dead and processes.pid_of(other) != kept[other]}
        if restarted:
            failures.append(f"{name}: restarted although alive: {', '.join(sorted(restarted))}")
        if not parts.api_answers():
            failures.append(f"{name}: the API server does not answer")
    times["down"] = _timed(lambda: down(purge=False))
    failures += _differences(before, snapshot())
    for name, seconds in times.items():
        print(f"{seconds:6.1f} s  {name}")
    compared = ", ".join(f"{len(items)} {kind}" for kind, items in before.items())
    print(*(failures or [f"before `up` and after `down` equal: {compared}"]), sep="\n")
    return 1 if failures else 0


def _timed(work: Callable[[], None]) -> float:
    began = time.monotonic()
    work()
    return time.monotonic() - began


def _differences(before: dict[str, list[str]], after: dict[str, list[str]]) -> list[str]:
    found = []
    for kind, old in before.items():
        found += [f"left behind ({kind}): {item}" for item in after[kind] if item not in old]
        found += [f"lost ({kind}): {item}" for item in old if item not in after[kind]]
    if found:
        say("the machine is not as it was before")
    return found
