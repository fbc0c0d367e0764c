"""Where things live and which knobs move them. Every knob is an environment variable listed in README.md."""

import hashlib
import os
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent
GO_MODULES = HERE / "go"
MANIFESTS = HERE / "manifests"
_DEFAULT_STATE = Path("/var/lib/modelramp-cluster")


class ClusterError(Exception):
    """Something the user has to know or change; the text is the whole message, no traceback is shown."""


def _cache_home() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")


def _state_dir() -> Path:
    chosen = os.environ.get("MODELRAMP_CLUSTER_DIR")
    if chosen:
        return Path(chosen).absolute()
    if os.geteuid() == 0:
        return _DEFAULT_STATE
    # The API server alone needs no root; its state then belongs to the user.
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state") / "modelramp-cluster"


def _run_dir(state: Path) -> Path:
    # A second instance (own state directory) must not share sockets with the first.
    return Path("/run/modelramp-cluster") if _is_default(state) else state / "run"


def _is_default(state: Path) -> bool:
    return state == _DEFAULT_STATE


CACHE = _cache_home() / "modelramp"
STATE = _state_dir()
RUN = _run_dir(STATE)

#: First of a block of ports on loopback: +0 API server, +10.. the other host processes.
API_PORT = int(os.environ.get("MODELRAMP_API_PORT", "6443"))
ETCD_PORT = API_PORT + 10
ETCD_PEER_PORT = API_PORT + 11
CONTROLLERS_PORT = API_PORT + 12
SCHEDULER_PORT = API_PORT + 13
KWOK_PORT = API_PORT + 14
PROXY_HEALTH_PORT = API_PORT + 15
PROXY_METRICS_PORT = API_PORT + 16

BRIDGE = "mr0"
NODE = "node1"
PODS_WEIGH = 8  # against one other busy program of the machine: a node has its processors mostly to itself
NODE_IP = "10.244.0.1"
POD_SUBNET = "10.244.0.0/24"
SERVICE_SUBNET = "10.96.0.0/16"
API_SERVICE_IP = "10.96.0.1"
DNS_SERVICE_IP = "10.96.0.10"
GATEWAY_SERVICE_IP = "10.96.80.80"
PROMETHEUS_SERVICE_IP = "10.96.90.90"
FAKE_POD_SUBNET = "10.245.0.1/16"
# An instance of its own must not find, and on `down` kill, the pods of another.
CGROUP = "modelramp" if _is_default(STATE) else "modelramp-" + hashlib.sha256(str(STATE).encode()).hexdigest()[:8]

KUBECONFIG = STATE / "admin.kubeconfig"
PKI = STATE / "pki"
CONFIG = STATE / "config"
LOGS = STATE / "logs"
BIN = STATE / "bin"
CONTAINERD_SOCKET = RUN / "containerd.sock"


def knob(name: str) -> bool:
    """Whether the environment variable is set to something other than "", "0" or "no"."""
    return os.environ.get(name, "").lower() not in {"", "0", "no", "false"}
