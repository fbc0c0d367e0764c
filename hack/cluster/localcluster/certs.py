"""Certificates and kubeconfigs, made with the openssl program: one CA each for cluster, etcd and front proxy."""

import base64
import json
from dataclasses import dataclass
from pathlib import Path

from localcluster.settings import API_PORT, API_SERVICE_IP, KUBECONFIG, NODE, NODE_IP, PKI
from localcluster.shell import need, run

_DAYS = "365"
_EC = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]


@dataclass(frozen=True)
class Leaf:
    """A certificate to issue: by which CA, for which user (CN) and group (O), valid for which server names."""

    authority: str
    user: str
    group: str = ""
    names: str = ""


_API_NAMES = ",".join([
    "DNS:localhost", "DNS:kubernetes", "DNS:kubernetes.default", "DNS:kubernetes.default.svc",
    "DNS:kubernetes.default.svc.cluster.local", f"DNS:{NODE}", "IP:127.0.0.1", f"IP:{API_SERVICE_IP}", f"IP:{NODE_IP}",
])  # fmt: skip

LEAVES: dict[str, Leaf] = {
    "apiserver": Leaf("ca", "kube-apiserver", names=_API_NAMES),
    "apiserver-kubelet-client": Leaf("ca", "kube-apiserver-kubelet-client", "system:masters"),
    "etcd-server": Leaf("etcd-ca", "etcd", names="DNS:localhost,IP:127.0.0.1"),
    "etcd-client": Leaf("etcd-ca", "kube-apiserver"),
    "front-proxy-client": Leaf("front-proxy-ca", "front-proxy-client"),
    # Groups of their own would need bindings of their own; system:masters is what kind and kubeadm admins have.
    "admin": Leaf("ca", "modelramp-admin", "system:masters"),
    "kwok": Leaf("ca", "kwok", "system:masters"),
    "controller-manager": Leaf("ca", "system:kube-controller-manager"),
    "scheduler": Leaf("ca", "system:kube-scheduler"),
    "kube-proxy": Leaf("ca", "system:kube-proxy"),
    "kubelet": Leaf("ca", f"system:node:{NODE}", "system:nodes"),
}
_KUBECONFIGS = ("admin", "kwok", "controller-manager", "scheduler", "kube-proxy", "kubelet")


def crt(name: str) -> Path:
    """Path of a certificate."""
    return PKI / f"{name}.crt"


def key(name: str) -> Path:
    """Path of a private key."""
    return PKI / f"{name}.key"


def kubeconfig(name: str) -> Path:
    """Path of the kubeconfig of one component; the administrator's lies where users look for it."""
    return KUBECONFIG if name == "admin" else PKI / f"{name}.kubeconfig"


def ensure() -> None:
    """Issue what is missing. Existing certificates are kept: running processes hold them in memory."""
    openssl = need("openssl", "to issue the cluster's certificates")
    PKI.mkdir(parents=True, exist_ok=True)
    PKI.chmod(0o700)
    for authority in ("ca", "etcd-ca", "front-proxy-ca"):
        if not crt(authority).exists():
            usage = "keyUsage=critical,keyCertSign,cRLSign,digitalSignature"
            run([openssl, "req", "-x509", *_EC, "-keyout", key(authority), "-out", crt(authority), "-days", _DAYS,
                 "-subj", f"/CN=modelramp-{authority}", "-addext", usage])  # fmt: skip
    if not key("service-accounts").exists():
        private = key("service-accounts")
        run([openssl, "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", private])
        run([openssl, "pkey", "-in", private, "-pubout", "-out", PKI / "service-accounts.pub"])
    for name, leaf in LEAVES.items():
        if not crt(name).exists():
            _issue(openssl, name, leaf)
    for name in _KUBECONFIGS:
        if not kubeconfig(name).exists():
            _write_kubeconfig(name)


def _issue(openssl: str, name: str, leaf: Leaf) -> None:
    request, extensions = PKI / f"{name}.csr", PKI / f"{name}.ext"
    subject = (f"/O={leaf.group}" if leaf.group else "") + f"/CN={leaf.user}"
    run([openssl, "req", "-new", *_EC, "-keyout", key(name), "-out", request, "-subj", subject])
    lines = ["keyUsage=critical,digitalSignature", "extendedKeyUsage=clientAuth,serverAuth"]
    extensions.write_text("\n".join([*lines, *([f"subjectAltName={leaf.names}"] if leaf.names else [])]) + "\n")
    run([openssl, "x509", "-req", "-in", request, "-CA", crt(leaf.authority), "-CAkey", key(leaf.authority),
         "-CAcreateserial", "-days", _DAYS, "-extfile", extensions, "-out", crt(name)])  # fmt: skip
    request.unlink()
    extensions.unlink()


def _write_kubeconfig(name: str) -> None:
    def embed(path: Path) -> str:
        return base64.b64encode(path.read_bytes()).decode()

    server = {"server": f"https://127.0.0.1:{API_PORT}", "certificate-authority-data": embed(crt("ca"))}
    user = {"client-certificate-data": embed(crt(name)), "client-key-data": embed(key(name))}
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "modelramp", "cluster": server}],
        "users": [{"name": name, "user": user}],
        "contexts": [{"name": "modelramp", "context": {"cluster": "modelramp", "user": name}}],
        "current-context": "modelramp",
    }
    target = kubeconfig(name)
    target.touch(mode=0o600)
    target.write_text(json.dumps(document, indent=1) + "\n")
