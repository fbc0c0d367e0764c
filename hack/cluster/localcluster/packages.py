"""
Programs that come as Debian packages: taken from the host where installed, otherwise unpacked into the cache.

Nothing is installed into the host's package database. The reason is the rule "never replace a package of the host":
installing buildah on a machine a few point releases behind upgrades `login` and `passwd` through its dependencies, and
installing containerd may start a service. Unpacked beside the host, neither can happen, and removing the cache folder
removes everything.
"""

import functools
import hashlib
import os
import re
import shutil
from collections.abc import Iterable
from pathlib import Path

from localcluster.builds import locked
from localcluster.progress import say
from localcluster.settings import CACHE, ClusterError
from localcluster.shell import run, succeeds

#: Program → Debian package.
PROGRAMS = {
    "containerd": "containerd",
    "containerd-shim-runc-v2": "containerd",
    "ctr": "containerd",
    "runc": "runc",
    "iptables": "iptables",
    "iptables-save": "iptables",
    "iptables-restore": "iptables",
    "conntrack": "conntrack",
    "buildah": "buildah",
    "debootstrap": "debootstrap",
}
NODE_PROGRAMS = (
    "containerd", "containerd-shim-runc-v2", "ctr", "runc", "conntrack", "iptables", "iptables-save",
    "iptables-restore",
)  # fmt: skip
_CNI_PLACES = ("/opt/cni/bin", "/usr/lib/cni", "/usr/libexec/cni")
_HOST_PATH = os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin:/sbin"
_ROOT = CACHE / "debian"


def _private_bin() -> Path:
    return _ROOT / "bin"


def path() -> str:
    """The search path for programs started by the cluster: the host's first, then the unpacked ones."""
    return f"{_HOST_PATH}:{_private_bin()}"


def service_path() -> str:
    """The search path of host processes: the same whoever calls `up`, so that a second one restarts nothing."""
    return f"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:{_private_bin()}"


def program(name: str) -> str:
    """Full path of a program that `ensure` has made available."""
    found = shutil.which(name, path=path())
    if found is None:
        raise ClusterError(f"`{name}` is missing although package {PROGRAMS.get(name, name)} was unpacked into {_ROOT}")
    return found


def _cni_places() -> list[Path]:
    return [*map(Path, _CNI_PLACES), _ROOT / "root/usr/lib/cni"]


@functools.cache
def cni_plugins() -> Path:
    """The folder with the CNI plugins `bridge` and `host-local`."""
    for place in _cni_places():
        if (place / "bridge").exists() and (place / "host-local").exists():
            return place
    raise ClusterError("no CNI plugins (bridge, host-local) found in " + ", ".join(_CNI_PLACES))


def ensure(programs: Iterable[str], *, cni: bool = False) -> None:
    """Make the programs (and the CNI plugins) available; says what it fetches before it does."""
    with locked("debian"):
        wanted = {PROGRAMS[name] for name in programs if shutil.which(name, path=path()) is None}
        if cni and not any((place / "bridge").exists() for place in _cni_places()):
            wanted.add("containernetworking-plugins")
        if wanted:
            _unpack(sorted(wanted))


def _unpack(names: list[str]) -> None:
    if not succeeds(["apt-get", "--version"]):
        raise ClusterError(
            f"these programs are missing: {', '.join(names)} (names of Debian packages). This is not a Debian-like "
            "system, so they cannot be fetched automatically: install them with your package tool and run this again."
        )
    new = _missing_with_dependencies(names)
    say(f"unpacking into {_ROOT} (the host's packages stay untouched): {' '.join(new)}")
    folder = _ROOT / ("debs-" + hashlib.sha256(" ".join(new).encode()).hexdigest()[:12])
    folder.mkdir(parents=True, exist_ok=True)
    run(["apt-get", "-o", "APT::Sandbox::User=root", "download", *new], cwd=folder)
    for deb in sorted(folder.glob("*.deb")):
        run(["dpkg-deb", "-x", deb, _ROOT / "root"])
    shutil.rmtree(folder)
    _write_wrappers(_ROOT / "root")


def _missing_with_dependencies(names: list[str]) -> list[str]:
    simulate = ["apt-get", "-s", "install", "--no-install-recommends", *names]
    if not succeeds(simulate):
        say("the host's package lists are missing or old: apt-get update")
        run(["apt-get", "update"])
    # `Inst name (…)` is new; `Inst name [old version] (…)` would replace a package of the host and is left alone.
    return sorted(set(re.findall(r"^Inst (\S+) \((?!\S+ \S+ => )", run(simulate), re.MULTILINE)))


def _write_wrappers(root: Path) -> None:
    """One script per unpacked program that points it at the unpacked libraries and data."""
    target = _private_bin()
    target.mkdir(exist_ok=True)
    libraries = ":".join(str(d) for pattern in ("usr/lib/*-linux-gnu", "lib/*-linux-gnu") for d in root.glob(pattern))
    settings = {
        "LD_LIBRARY_PATH": libraries,
        "DEBOOTSTRAP_DIR": str(root / "usr/share/debootstrap"),
        "XTABLES_LIBDIR": ":".join(str(d) for d in root.glob("usr/lib/*-linux-gnu/xtables")),
    }
    exports = "".join(f"export {key}='{value}'\n" for key, value in settings.items() if value)
    for place in ("usr/bin", "usr/sbin", "bin", "sbin"):
        for real in (root / place).glob("*"):
            _wrapper(target / real.name, exports, real)
    _write_buildah_wrapper(root, exports)
    # Debian chooses the variant by update-alternatives when it installs; unpacked, the choice is made here.
    for family in ("iptables", "ip6tables"):
        for verb in ("", "-save", "-restore"):
            real = root / f"usr/sbin/{family}-nft{verb}"
            if real.is_symlink() or real.exists():
                _wrapper(target / f"{family}{verb}", exports, real)


def _write_buildah_wrapper(root: Path, exports: str) -> None:
    """
    Buildah starts itself again with an empty environment: a search path for libraries does not reach its second self.

    Instead the unpacked libraries are laid over the host's folder in a mount namespace that only buildah sees.
    """
    real = root / "usr/bin/buildah"
    overlays = "".join(
        f"mount -t overlay overlay -o lowerdir='{folder}:/usr/lib/{folder.name}' /usr/lib/{folder.name} && "
        for folder in root.glob("usr/lib/*-linux-gnu")
    )
    if real.exists() and overlays:
        script = _private_bin() / "buildah"
        inner = f'{overlays}exec "$@"'.replace('"', '\\"').replace("$", "\\$")
        script.write_text(
            f'#!/bin/sh\n{exports}exec unshare --mount --propagation private sh -c "{inner}" sh \'{real}\' "$@"\n'
        )
        script.chmod(0o755)


def _wrapper(path: Path, exports: str, real: Path) -> None:
    path.write_text(f"#!/bin/sh\n{exports}exec '{real}' \"$@\"\n")
    path.chmod(0o755)
