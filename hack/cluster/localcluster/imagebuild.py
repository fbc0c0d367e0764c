"""`image build`: Dockerfiles with buildah (own storage, no daemon), cached by content, loaded into the cluster."""

import fnmatch
import hashlib
import os
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from localcluster import archives, images, mounts, packages, progress
from localcluster.builds import locked
from localcluster.progress import say
from localcluster.settings import CACHE, CONTAINERD_SOCKET, RUN, ClusterError
from localcluster.shell import run

#: Stands in for `python:3.11-slim` where no registry can be reached.
BASE = "localhost/python-base:1"
_SUITE = "bookworm"
_BASE_PACKAGES = "ca-certificates,python3,python3-pip,python3-venv"
_TARGET_BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
_FOLDER = mounts.BUILDER


def _buildah(*arguments: str | Path) -> str:
    """Run buildah with storage and configuration of its own: nothing under /var/lib/containers or /etc is touched."""
    _FOLDER.mkdir(parents=True, exist_ok=True)
    (_FOLDER / "policy.json").write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
    (_FOLDER / "registries.conf").write_text('unqualified-search-registries = ["docker.io"]\n')
    (_FOLDER / "storage.conf").write_text(
        f'[storage]\ndriver = "overlay"\nrunroot = "{RUN / "buildah"}"\ngraphroot = "{_FOLDER / "storage"}"\n'
    )
    (_FOLDER / "containers.conf").touch()
    env = {
        "BUILDAH_ISOLATION": "chroot",
        "STORAGE_DRIVER": "overlay",
        "CONTAINERS_STORAGE_CONF": str(_FOLDER / "storage.conf"),
        "CONTAINERS_REGISTRIES_CONF": str(_FOLDER / "registries.conf"),
        "CONTAINERS_CONF": str(_FOLDER / "containers.conf"),
    }
    return run([packages.program("buildah"), *arguments], env=env)


def _policy() -> list[str]:
    return ["--signature-policy", str(_FOLDER / "policy.json")]


def python_base() -> Path:
    """The archive of the Debian 12 base image with Python 3.11; debootstrapped on first need (about 80 s)."""
    recipe = hashlib.sha256(f"2 {_SUITE} {_BASE_PACKAGES} {archives.architecture()}".encode()).hexdigest()[:12]
    target = CACHE / f"python-base-{recipe}.tar"
    with locked("python-base"):
        if target.exists():
            return target
        if os.geteuid() != 0:
            raise ClusterError(f"{BASE} is made with debootstrap, which needs root")
        packages.ensure(["debootstrap"])
        root = CACHE / f"python-base-{recipe}.root"
        shutil.rmtree(root, ignore_errors=True)
        before = progress.last_time("python-base")
        usual = f" (last time {before['seconds']:.0f} s)" if before else ""
        began = time.monotonic()
        mirror = _mirror()
        say(f"making {BASE} with debootstrap from {mirror}{usual}")
        with progress.ticking(lambda elapsed: f"debootstrap {_SUITE} {elapsed:.0f} s{usual}"):
            command = [packages.program("debootstrap"), "--variant=minbase", f"--include={_BASE_PACKAGES}"]
            run([*command, _SUITE, root, mirror], env={"PATH": packages.path()})
        _trim(root)
        layer, part = target.with_suffix(".layer"), target.with_suffix(".part")
        kernel = [f"--exclude=./{folder}/*" for folder in ("dev", "proc", "sys")]
        run(["tar", "--numeric-owner", *kernel, "-cf", layer, "-C", root, "."])
        path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        archives.write_single(part, BASE, layer, {"Env": [f"PATH={path}", "LANG=C.UTF-8"], "Cmd": ["python3"]})
        layer.unlink()
        shutil.rmtree(root)
        part.rename(target)
        progress.remember("python-base", seconds=time.monotonic() - began)
    return target


def _mirror() -> str:
    """Where this machine's own apt gets Debian packages; Debian's public address elsewhere."""
    chosen = os.environ.get("MODELRAMP_DEBIAN_MIRROR")
    if chosen:
        return chosen
    if shutil.which("apt-get"):
        listed = run(["apt-get", "indextargets", "--format", "$(REPO_URI) $(CODENAME)"], check=False)
        for line in listed.splitlines():
            address, _, codename = line.partition(" ")
            if codename == _SUITE:
                return address.rstrip("/")
    return "http://deb.debian.org/debian"


def _trim(root: Path) -> None:
    """Bring it to what `python:slim` offers: `python` and `pip` by these names, installs allowed, no documentation."""
    for pattern in ("usr/share/doc/*", "usr/share/man/*", "usr/share/locale/*", "usr/share/info/*", "var/cache/apt/*",
                    "var/lib/apt/lists/*", "var/cache/debconf/*-old", "var/log/*.log"):  # fmt: skip
        for path in root.glob(pattern):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
    for marker in root.glob("usr/lib/python3*/EXTERNALLY-MANAGED"):
        marker.unlink()
    (root / "usr/local/bin/python").symlink_to("/usr/bin/python3")
    # Something to mount the builder's settings on, so that no trace of them stays in an image.
    (root / "etc/pip.conf").touch()


def build(context: Path, tag: str, file: Path | None, arguments: dict[str, str]) -> None:
    """Build a Dockerfile and load the image; the second time with the same content nothing is built."""
    dockerfile = file or context / "Dockerfile"
    if not dockerfile.is_file():
        raise ClusterError(f"there is no {dockerfile}")
    tag = _full_name(tag)
    uses_base = BASE in arguments.values() or BASE in dockerfile.read_text()
    base = python_base() if uses_base else None
    pairs = sorted(f"{name}={value}" for name, value in arguments.items())
    key = _content_key(context, dockerfile, [tag, *pairs, base.name if base else ""])
    name = re.sub(r"[^a-z0-9.]+", "-", tag)
    archive = CACHE / f"images/{name}-{key}.tar"
    with locked("buildah"):
        if not archive.exists():
            packages.ensure(["buildah"])
            if base is not None:
                _buildah("pull", *_policy(), f"docker-archive:{base}")
            try:
                _build(context, dockerfile, tag, arguments, archive)
            finally:
                # Buildah mounts its own storage onto itself and leaves that behind.
                mounts.remove(_FOLDER)
    if CONTAINERD_SOCKET.exists() and images.runtime_answers():
        images.load(archive, key)
    else:
        say(f"the cluster has no running node: `image load {archive}` puts it there later")
    print(archive)


def _build(context: Path, dockerfile: Path, tag: str, arguments: dict[str, str], archive: Path) -> None:
    before = progress.last_time(f"image {tag}")
    usual = f" (last time {before['seconds']:.0f} s)" if before else ""
    say(f"building image {tag}{usual}")
    began = time.monotonic()
    options = [f"--build-arg={name}={value}" for name, value in arguments.items()]
    with progress.ticking(lambda elapsed: f"building image {tag} {elapsed:.0f} s{usual}"):
        _buildah("bud", *_policy(), "--pull=false", "--layers", "--quiet", *_builder_settings(), *options,
                 "--file", dockerfile, "--tag", tag, context)  # fmt: skip
        archive.parent.mkdir(parents=True, exist_ok=True)
        part = archive.with_suffix(".part")
        part.unlink(missing_ok=True)
        _buildah("push", *_policy(), tag, f"docker-archive:{part}:{tag}")
    part.rename(archive)
    for old in archive.parent.glob(f"{archive.stem.rpartition('-')[0]}-{'[0-9a-f]' * 16}.tar"):
        if old != archive:  # half a gigabyte each; only the latest build of a tag is worth keeping
            old.unlink()
    seconds = time.monotonic() - began
    progress.remember(f"image {tag}", seconds=seconds)
    say(f"built image {tag} in {seconds:.0f} s, {archive.stat().st_size / 1e6:.0f} MB")


def _full_name(tag: str) -> str:
    """The name as the runtime will look for it: `app` → `docker.io/library/app:latest`, like every Kubernetes does."""
    first, _, _ = tag.partition("/")
    if "/" not in tag:
        tag = f"docker.io/library/{tag}"
    elif not ("." in first or ":" in first or first == "localhost"):
        tag = f"docker.io/{tag}"
    return tag if ":" in tag.rpartition("/")[2] else f"{tag}:latest"


def _builder_settings() -> list[str]:
    """Mounts that give `RUN pip install` this machine's pip settings and CA bundle; the image keeps nothing of them."""
    options: list[str] = []
    named = [os.environ.get(name, "/-") for name in ("PIP_CERT", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")]
    bundle = next((Path(name) for name in named if Path(name).is_file()), Path(_TARGET_BUNDLE))
    if bundle.is_file():
        options += ["--volume", f"{bundle.resolve()}:{_TARGET_BUNDLE}:ro"]
    variables = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
    wanted = {name.removeprefix("PIP_").lower().replace("_", "-"): value for name, value in variables.items()}
    links = wanted.get("find-links", "")
    if links.startswith("/") and Path(links).is_dir():
        options += ["--volume", f"{links}:{links}:ro"]
    wanted |= {"cert": _TARGET_BUNDLE} if bundle.is_file() else {}
    settings = _FOLDER / "pip.conf"
    settings.parent.mkdir(parents=True, exist_ok=True)
    settings.write_text("[global]\n" + "".join(f"{name} = {value}\n" for name, value in sorted(wanted.items())))
    return [*options, "--volume", f"{settings}:/etc/pip.conf:ro"]


def _content_key(context: Path, dockerfile: Path, more: list[str]) -> str:
    digest = hashlib.sha256("\0".join(more).encode() + dockerfile.read_bytes())
    for path in _context_files(context):
        digest.update(str(path.relative_to(context)).encode() + b"\0")
        if path.is_symlink():
            digest.update(str(path.readlink()).encode())
        else:
            digest.update(oct(path.stat().st_mode).encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def _context_files(context: Path) -> Iterator[Path]:
    """Files that COPY could see: all but what .dockerignore names (last matching line wins, as there)."""
    ignore = context / ".dockerignore"
    lines = [line.strip() for line in ignore.read_text().splitlines()] if ignore.exists() else []
    spoken = [line for line in lines if line and not line.startswith("#")]
    patterns = [(not line.startswith("!"), line.lstrip("!").strip("/")) for line in spoken]
    for folder, names, found in os.walk(context):
        here = Path(folder)
        # A folder is skipped as a whole only when no exception could bring a part of it back.
        exceptions = any(not drop for drop, _ in patterns)
        kept = (name for name in names if not _ignored(str((here / name).relative_to(context)), patterns))
        names[:] = sorted(names if exceptions else kept)
        for name in sorted(found):
            if not _ignored(str((here / name).relative_to(context)), patterns):
                yield here / name


def _ignored(path: str, patterns: list[tuple[bool, str]]) -> bool:
    verdict = False
    for drop, pattern in patterns:
        # A pattern that names a folder covers everything below it; `**/` also matches no folder at all.
        plain = re.sub(r"^\*\*/", "", pattern)
        if any(fnmatch.fnmatch(path, form) for form in (pattern, f"{pattern}/*", plain, f"{plain}/*")):
            verdict = drop
    return verdict
