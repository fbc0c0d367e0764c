"""Mounts of the cluster: found in the kernel's table, removed deepest first."""

from pathlib import Path

from localcluster.settings import CACHE
from localcluster.shell import run, succeeds

BUILDER = CACHE / "buildah"


def under(*folders: Path) -> list[str]:
    """Mount points inside these folders, deepest first."""
    lines = Path("/proc/mounts").read_text().splitlines()
    points = [line.split()[1].encode().decode("unicode_escape") for line in lines]
    inside = [point for point in points if any(Path(point).is_relative_to(folder) for folder in folders)]
    return sorted(inside, key=len, reverse=True)


def remove(*folders: Path) -> None:
    """Unmount everything inside these folders."""
    for point in under(*folders):
        if not succeeds(["umount", point]):
            # Lazily: a process in its last breath may still stand on it.
            run(["umount", "-l", point], check=False)
