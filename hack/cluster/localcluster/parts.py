"""The host processes: which programs, which flags, which configuration files, and how to tell that each is ready."""

import http.client
import json
import ssl
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from localcluster import certs, packages
from localcluster.builds import binary, files
from localcluster.certs import crt, kubeconfig
from localcluster.processes import Daemon
from localcluster.settings import (
    API_PORT,
    CGROUP,
    CONFIG,
    CONTAINERD_SOCKET,
    CONTROLLERS_PORT,
    DNS_SERVICE_IP,
    ETCD_PEER_PORT,
    ETCD_PORT,
    FAKE_POD_SUBNET,
    KWOK_PORT,
    LOGS,
    MANIFESTS,
    NODE,
    NODE_IP,
    PKI,
    POD_SUBNET,
    PROXY_HEALTH_PORT,
    PROXY_METRICS_PORT,
    RUN,
    SCHEDULER_PORT,
    SERVICE_SUBNET,
    STATE,
)

AUDIT_LOG = LOGS / "audit.log"
_ISSUER = "https://kubernetes.default.svc.cluster.local"


def write(name: str, text: str) -> Path:
    """Write a configuration file, only when it changes."""
    path = CONFIG / name
    if not path.exists() or path.read_text() != text:
        CONFIG.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return path


def etcd() -> Daemon:
    """The store. Without fsync: it is a throw-away cluster, and writes are then three times as fast on a slow disk."""
    client, peer = f"https://127.0.0.1:{ETCD_PORT}", f"http://127.0.0.1:{ETCD_PEER_PORT}"
    return Daemon("etcd", [
        binary("etcd"), "--name=local", f"--data-dir={STATE / 'etcd'}", "--unsafe-no-fsync", "--log-level=warn",
        f"--listen-client-urls={client}", f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}", f"--initial-advertise-peer-urls={peer}", f"--initial-cluster=local={peer}",
        # Anybody who can write here is root of the cluster, so loopback alone is no protection.
        "--client-cert-auth", f"--trusted-ca-file={crt('etcd-ca')}",
        f"--cert-file={crt('etcd-server')}", f"--key-file={certs.key('etcd-server')}",
    ], inputs=[crt("etcd-server")])  # fmt: skip


def apiserver() -> Daemon:
    """The API server, with every request of every user in the audit log."""
    policy = MANIFESTS / "audit-policy.yaml"
    return Daemon("apiserver", [
        binary("kube-apiserver"), f"--etcd-servers=https://127.0.0.1:{ETCD_PORT}", f"--etcd-cafile={crt('etcd-ca')}",
        f"--etcd-certfile={crt('etcd-client')}", f"--etcd-keyfile={certs.key('etcd-client')}",
        f"--secure-port={API_PORT}", "--bind-address=0.0.0.0", f"--advertise-address={NODE_IP}",
        f"--tls-cert-file={crt('apiserver')}", f"--tls-private-key-file={certs.key('apiserver')}",
        f"--client-ca-file={crt('ca')}", f"--service-cluster-ip-range={SERVICE_SUBNET}",
        f"--service-account-issuer={_ISSUER}", f"--service-account-key-file={PKI / 'service-accounts.pub'}",
        f"--service-account-signing-key-file={certs.key('service-accounts')}",
        "--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction", "--allow-privileged=true",
        f"--kubelet-client-certificate={crt('apiserver-kubelet-client')}",
        f"--kubelet-client-key={certs.key('apiserver-kubelet-client')}",
        "--kubelet-preferred-address-types=InternalIP",
        f"--requestheader-client-ca-file={crt('front-proxy-ca')}", "--requestheader-allowed-names=front-proxy-client",
        "--requestheader-username-headers=X-Remote-User", "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        f"--proxy-client-cert-file={crt('front-proxy-client')}",
        f"--proxy-client-key-file={certs.key('front-proxy-client')}",
        f"--audit-policy-file={policy}", f"--audit-log-path={AUDIT_LOG}",
        "--audit-log-maxsize=100", "--audit-log-maxbackup=5",
    ], inputs=[policy, crt("apiserver")])  # fmt: skip


def controller_manager() -> Daemon:
    """The built-in controllers, each under its own service account."""
    return Daemon("controller-manager", [
        binary("kube-controller-manager"), *_as("controller-manager"), "--use-service-account-credentials",
        "--leader-elect=false", "--bind-address=127.0.0.1", f"--secure-port={CONTROLLERS_PORT}",
        f"--service-account-private-key-file={certs.key('service-accounts')}", f"--root-ca-file={crt('ca')}",
        f"--cluster-signing-cert-file={crt('ca')}", f"--cluster-signing-key-file={certs.key('ca')}",
    ], inputs=[kubeconfig("controller-manager")])  # fmt: skip


def scheduler() -> Daemon:
    """The scheduler."""
    return Daemon("scheduler", [
        binary("kube-scheduler"), *_as("scheduler"), "--leader-elect=false", "--bind-address=127.0.0.1",
        f"--secure-port={SCHEDULER_PORT}",
    ], inputs=[kubeconfig("scheduler")])  # fmt: skip


def _as(name: str) -> list[str]:
    path = kubeconfig(name)
    return [f"--{flag}={path}" for flag in ("kubeconfig", "authentication-kubeconfig", "authorization-kubeconfig")]


def containerd() -> Daemon:
    """A container runtime with root, state and socket of its own, beside any the host may have."""
    config = write(
        "containerd.toml",
        f"""version = 2
root = "{STATE / "containerd"}"
state = "{RUN / "containerd"}"
disabled_plugins = [
  "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs",
]
[grpc]
  address = "{CONTAINERD_SOCKET}"
[plugins."io.containerd.internal.v1.opt"]
  path = "{STATE / "opt"}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "localhost/pause:1"
  # A root without CAP_SYS_RESOURCE may not lower oom_score_adj; runc would die of it.
  restrict_oom_score_adj = true
  # Network namespaces are mounted under `state`, where `down` finds them, not under /run/netns.
  netns_mounts_under_state_dir = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{packages.cni_plugins()}"
    conf_dir = "{CONFIG / "cni"}"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        Root = "{RUN / "runc"}"
""",
    )
    _write_network()
    argv: list[str | Path] = [packages.program("containerd"), "--config", config, "--log-level", "warn"]
    return Daemon("containerd", argv, env={"PATH": packages.service_path()}, inputs=[config])


def _write_network() -> None:
    """The CNI configuration: one bridge, addresses by host-local."""
    network = {
        "cniVersion": "0.4.0",
        "name": "modelramp",
        "plugins": [{
            "type": "bridge", "bridge": "mr0", "isGateway": True, "isDefaultGateway": True, "ipMasq": False,
            "hairpinMode": True,
            # Leases of a host that went down would otherwise be kept for ever under /var/lib/cni.
            "ipam": {"type": "host-local", "dataDir": str(RUN / "leases"), "ranges": [[{"subnet": POD_SUBNET}]]},
        }],
    }  # fmt: skip
    (CONFIG / "cni").mkdir(parents=True, exist_ok=True)
    write("cni/10-modelramp.conflist", json.dumps(network, indent=1))


def kubelet() -> Daemon:
    """The node's agent; everything it writes stays under the state directory."""
    config = write("kubelet.json", json.dumps({
        "kind": "KubeletConfiguration", "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "failCgroupV1": False, "cgroupDriver": "cgroupfs", "cgroupRoot": f"/{CGROUP}", "cgroupsPerQOS": True,
        "enforceNodeAllocatable": [], "failSwapOn": False, "oomScoreAdj": 0,
        "containerRuntimeEndpoint": f"unix://{CONTAINERD_SOCKET}", "podLogsDir": str(STATE / "pods"),
        "authentication": {
            "anonymous": {"enabled": False}, "webhook": {"enabled": True}, "x509": {"clientCAFile": str(crt("ca"))},
        },
        "authorization": {"mode": "Webhook"},
        "clusterDNS": [DNS_SERVICE_IP], "clusterDomain": "cluster.local", "podCIDR": POD_SUBNET, "maxPods": 200,
        "address": NODE_IP, "healthzBindAddress": NODE_IP,
        "evictionHard": {}, "imageGCHighThresholdPercent": 100, "imageMinimumGCAge": "8760h",
        "makeIPTablesUtilChains": False, "serializeImagePulls": False, "nodeStatusUpdateFrequency": "5s",
        "volumePluginDir": str(STATE / "kubelet/volume-plugins"), "fileCheckFrequency": "0s",
    }, indent=1))  # fmt: skip
    return Daemon("kubelet", [
        binary("kubelet"), f"--config={config}", f"--kubeconfig={kubeconfig('kubelet')}",
        f"--root-dir={STATE / 'kubelet'}",
        f"--hostname-override={NODE}", f"--node-ip={NODE_IP}",
        f"--cert-dir={PKI / 'kubelet'}",
    ], env={"PATH": packages.service_path()}, inputs=[config, kubeconfig("kubelet")])  # fmt: skip


def kube_proxy() -> Daemon:
    """Services by iptables."""
    config = write("kube-proxy.json", json.dumps({
        "kind": "KubeProxyConfiguration", "apiVersion": "kubeproxy.config.k8s.io/v1alpha1", "mode": "iptables",
        "clusterCIDR": POD_SUBNET, "bindAddress": NODE_IP, "hostnameOverride": NODE, "oomScoreAdj": 0,
        "clientConnection": {"kubeconfig": str(kubeconfig("kube-proxy"))}, "conntrack": {"maxPerCore": 0},
        "iptables": {
            "minSyncPeriod": "0s",
            # Two pods on one bridge answer each other directly; without bridge netfilter the reply would miss the
            # translation back, so the source is rewritten and the reply comes through the host.
            "masqueradeAll": not _bridge_netfilter(),
        },
        "healthzBindAddress": f"127.0.0.1:{PROXY_HEALTH_PORT}", "metricsBindAddress": f"127.0.0.1:{PROXY_METRICS_PORT}",
    }, indent=1))  # fmt: skip
    return Daemon("kube-proxy", [binary("kube-proxy"), f"--config={config}"],
                  env={"PATH": packages.service_path()}, inputs=[config, kubeconfig("kube-proxy")])  # fmt: skip


def _bridge_netfilter() -> bool:
    try:
        return Path("/proc/sys/net/bridge/bridge-nf-call-iptables").read_text().strip() == "1"
    except OSError:
        return False


def kwok() -> Daemon:
    """Fake nodes and their pods."""
    stages = files("kwok-stages")
    config = write("kwok-stages.yaml", "\n---\n".join(path.read_text() for path in sorted(stages.glob("*.yaml"))))
    return Daemon("kwok", [
        binary("kwok"), f"--kubeconfig={kubeconfig('kwok')}", f"--config={config}", f"--cidr={FAKE_POD_SUBNET}",
        "--manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake", "--node-lease-duration-seconds=40",
        f"--server-address=127.0.0.1:{KWOK_PORT}",
    ], inputs=[config, kubeconfig("kwok")])  # fmt: skip


def api_answers(path: str = "/readyz") -> bool:
    """Whether the API server answers 200 on `path` to the administrator."""
    context = ssl.create_default_context(cafile=str(crt("ca")))
    context.load_cert_chain(crt("admin"), certs.key("admin"))
    return answers(f"https://127.0.0.1:{API_PORT}{path}", context)


def answers(
    url: str, context: ssl.SSLContext | None = None, *, headers: Mapping[str, str] | None = None, containing: str = ""
) -> bool:
    """Whether the address answers 200 within two seconds, with a body that contains the text."""
    # A proxy from the environment must not see loopback and pod addresses.
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), *([urllib.request.HTTPSHandler(context=context)] if context else [])
    )
    try:
        with opener.open(urllib.request.Request(url, headers=dict(headers or {})), timeout=2) as reply:
            return reply.status == 200 and containing in reply.read().decode(errors="replace")
    except (OSError, http.client.HTTPException):
        return False
