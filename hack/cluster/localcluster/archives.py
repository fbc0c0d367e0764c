"""Image archives written directly: a static program and a few files need no image builder and no base image."""

import hashlib
import io
import json
import platform
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclass(frozen=True)
class Image:
    """An image of one layer: its reference, what it runs, its files (path inside → file outside) and empty folders."""

    reference: str
    entrypoint: Sequence[str]
    files: dict[str, Path] = field(default_factory=dict)
    folders: Sequence[str] = ("tmp",)
    env: Sequence[str] = ("PATH=/bin:/usr/bin",)


def architecture() -> str:
    """This machine's architecture in the words of image formats."""
    return _ARCHITECTURES.get(platform.machine(), platform.machine())


def write(path: Path, images: Sequence[Image]) -> None:
    """Write all images into one archive in the format of `docker save`, byte for byte the same for the same input."""
    manifest = []
    with tarfile.open(path, "w") as archive:
        for number, image in enumerate(images):
            layer = path.with_suffix(f".layer{number}")
            _write_layer(layer, image)
            settings: dict[str, object] = {"Entrypoint": list(image.entrypoint), "Env": list(image.env)}
            manifest.append(add_image(archive, image.reference, layer, settings))
            layer.unlink()
        _add_bytes(archive, "manifest.json", json.dumps(manifest).encode())


def write_single(path: Path, reference: str, layer: Path, settings: dict[str, object]) -> None:
    """Write an archive of one image whose only layer is the given tar file."""
    with tarfile.open(path, "w") as archive:
        manifest = [add_image(archive, reference, layer, settings)]
        _add_bytes(archive, "manifest.json", json.dumps(manifest).encode())


def add_image(archive: tarfile.TarFile, reference: str, layer: Path, settings: dict[str, object]) -> dict[str, object]:
    """Add layer and configuration of one image; returns its entry for manifest.json."""
    with layer.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    config = json.dumps({
        "architecture": architecture(),
        "os": "linux",
        "config": settings,
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
        "history": [{"created_by": "hack/cluster"}],
    }).encode()  # fmt: skip
    config_name = f"{hashlib.sha256(config).hexdigest()}.json"
    layer_name = f"{digest}/layer.tar"
    _add_bytes(archive, config_name, config)
    if layer_name not in archive.getnames():
        archive.add(layer, layer_name)
    return {"Config": config_name, "RepoTags": [reference], "Layers": [layer_name]}


def _add_bytes(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    archive.addfile(entry, io.BytesIO(content))


def _write_layer(path: Path, image: Image) -> None:
    with tarfile.open(path, "w") as layer:
        folders = {str(parent) for name in image.files for parent in Path(name).parents if str(parent) != "."}
        for name in sorted(folders | set(image.folders)):
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if name == "tmp" else 0o755
            layer.addfile(entry)
        for name, source in sorted(image.files.items()):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = source.stat().st_size, 0o755
            with source.open("rb") as stream:
                layer.addfile(entry, stream)
