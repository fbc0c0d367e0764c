"""The bridge of the pods, kernel settings (remembered, so that `down` can put them back) and iptables rules."""

import ipaddress
import json
import re
from pathlib import Path

from localcluster import packages
from localcluster.settings import BRIDGE, NODE_IP, POD_SUBNET, RUN, SERVICE_SUBNET, STATE, ClusterError
from localcluster.shell import run, succeeds

#: Lets pods reach what the host reaches (its name server first of all), as on any other cluster.
_MASQUERADE = [
    "POSTROUTING", "-s", POD_SUBNET, "!", "-d", POD_SUBNET,
    "-m", "comment", "--comment", "modelramp-cluster", "-j", "MASQUERADE",
]  # fmt: skip
_MEMORY = STATE / "kernel.json"
#: Settings that the cluster needs or that kubelet and kube-proxy change by themselves; None = only remembered.
_SETTINGS: dict[str, str | None] = {
    "net/ipv4/ip_forward": "1",
    "net/ipv4/conf/all/route_localnet": None,
    "net/ipv4/vs/conntrack": None,
    "net/netfilter/nf_conntrack_max": None,
    "net/netfilter/nf_conntrack_tcp_timeout_established": None,
    "net/netfilter/nf_conntrack_tcp_timeout_close_wait": None,
    "vm/overcommit_memory": None,
    "vm/panic_on_oom": None,
    "kernel/panic": None,
    "kernel/panic_on_oops": None,
    "kernel/keys/root_maxkeys": None,
    "kernel/keys/root_maxbytes": None,
}


def _read(name: str) -> str | None:
    try:
        return (Path("/proc/sys") / name).read_text().strip()
    except OSError:
        return None


def kernel_settings() -> dict[str, str]:
    """Present values of the settings that the cluster may touch."""
    return {name: value for name in _SETTINGS if (value := _read(name)) is not None}


def ensure() -> None:
    """Create the bridge with the node's address and turn forwarding on."""
    present = succeeds(["ip", "link", "show", BRIDGE])
    if present and not owned():
        raise ClusterError(f"bridge {BRIDGE} exists but is not of this instance ({STATE}); only one can have a node")
    if not present:
        if not owned():
            _refuse_overlap()
        run(["ip", "link", "add", BRIDGE, "type", "bridge"])
    if not _MEMORY.exists():
        STATE.mkdir(parents=True, exist_ok=True)
        _MEMORY.write_text(json.dumps(kernel_settings(), indent=1))
    # A bridge takes over the lowest address of its ports: a fixed one keeps the pods' ARP tables right.
    run(["ip", "link", "set", BRIDGE, "address", "0a:58:0a:f4:00:01", "up"])
    run(["ip", "address", "replace", f"{NODE_IP}/24", "dev", BRIDGE])
    # Without a default route (no network at all) a service address would be refused before it is translated.
    run(["ip", "route", "replace", SERVICE_SUBNET, "dev", BRIDGE, "src", NODE_IP])
    _reattach()
    if not succeeds([*_nat(), "-C", *_MASQUERADE]):
        run([*_nat(), "-A", *_MASQUERADE])
    for name, wanted in _SETTINGS.items():
        if wanted is not None and _read(name) != wanted:
            (Path("/proc/sys") / name).write_text(wanted)


def records() -> list[Path]:
    """The CNI library's records of our pods: each names the network namespace it was made for; ours lie under RUN."""
    places = (Path("/var/lib/cni/results"), Path("/var/lib/cni/cache/results"))
    found = [path for place in places for path in place.glob("*")]
    return [path for path in found if f'"{RUN}/' in path.read_text(errors="replace")]


def _reattach() -> None:
    """Put the pods that still live back on a bridge that somebody removed under them."""
    lost = {link["ifname"] for link in json.loads(run(["ip", "-json", "link", "show", "type", "veth"]) or "[]")
            if link and "master" not in link}  # fmt: skip
    for path in records():
        for interface in json.loads(path.read_text()).get("result", {}).get("interfaces", []):
            if interface["name"] in lost:
                run(["ip", "link", "set", interface["name"], "master", BRIDGE, "up"])
                run(["ip", "link", "set", interface["name"], "type", "bridge_slave", "hairpin", "on"])


def _nat() -> list[str]:
    return [packages.program("iptables"), "-w", "-t", "nat"]


def owned() -> bool:
    """Whether this instance has set up the machine's network (and `down` has to restore it)."""
    return _MEMORY.exists()


def _refuse_overlap() -> None:
    ours = [ipaddress.ip_network(POD_SUBNET), ipaddress.ip_network(SERVICE_SUBNET)]
    for route in json.loads(run(["ip", "-4", "-json", "route", "show", "table", "all"]) or "[]"):
        if route.get("dst", "default") == "default":
            continue
        theirs = ipaddress.ip_network(route["dst"], strict=False)
        if any(theirs.overlaps(network) for network in ours):
            raise ClusterError(
                f"this machine already routes {theirs} (device {route.get('dev', '?')}), which the cluster needs "
                f"({POD_SUBNET} for pods, {SERVICE_SUBNET} for services). Is another Kubernetes running here?"
            )
    if cluster_chains():
        raise ClusterError(
            "this machine's iptables hold chains of another kube-proxy (KUBE-…): a second one would break it. "
            "Use that cluster (CONTEXT=name make demo), or remove the chains if it is long gone (kube-proxy --cleanup)."
        )


def cluster_chains() -> list[str]:
    """Names of kube-proxy's chains in any table, as `family table chain`."""
    return [
        f"{family} {table} {chain}"
        for family in ("iptables", "ip6tables")
        for table, chain in re.findall(r"^\*(\w+)$|^:(KUBE-\S+)", rules(family), re.MULTILINE)
        if chain
    ]


def rules(family: str = "iptables") -> str:
    """Output of iptables-save without counters and comments; empty when the tool or the table is not there."""
    try:
        text = run([packages.program(f"{family}-save")], check=False)
    except ClusterError:
        return ""
    return "\n".join(re.sub(r"\s*\[\d+:\d+\]", "", line) for line in text.splitlines() if not line.startswith("#"))


def remove_rules() -> None:
    """Remove exactly our one rule, kube-proxy's chains and the rules that jump to them, in one transaction a family."""
    while succeeds([*_nat(), "-C", *_MASQUERADE]):
        run([*_nat(), "-D", *_MASQUERADE])
    for family in ("iptables", "ip6tables"):
        script = removal_script(rules(family))
        if script:
            run([packages.program(f"{family}-restore"), "--noflush"], text=script)


def removal_script(saved: str) -> str:
    """What to feed to `iptables-restore --noflush` so that no KUBE- chain is left; empty when there is none."""
    script: list[str] = []
    for table in re.split(r"(?m)^(?=\*)", saved):
        chains = re.findall(r"(?m)^:(KUBE-\S+)", table)
        if not chains:
            continue
        jumps = re.findall(r"(?m)^-A (?!KUBE-)(.* -j KUBE-\S+.*)$", table)
        script += [table.split("\n", 1)[0], *(f"-D {jump}" for jump in jumps)]
        script += [*(f"-F {chain}" for chain in chains), *(f"-X {chain}" for chain in chains), "COMMIT"]
    return "\n".join(script) + "\n" if script else ""


def remove() -> None:
    """Remove the bridge, what hangs on it, and put kernel settings back to what they were before `up`."""
    if succeeds(["ip", "link", "show", BRIDGE]):
        for link in json.loads(run(["ip", "-json", "link", "show", "master", BRIDGE]) or "[]"):
            if link:
                run(["ip", "link", "delete", link["ifname"]], check=False)
        run(["ip", "link", "delete", BRIDGE])
    if _MEMORY.exists():
        for name, value in json.loads(_MEMORY.read_text()).items():
            if _read(name) != value:
                (Path("/proc/sys") / name).write_text(value)
        _MEMORY.unlink()
