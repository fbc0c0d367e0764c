"""
Lock files and the image's recipe.
"""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[3]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
LOCKS = ("operator", "dev", "build")
PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^ ;]+)(?: ; [^\\]+)? \\$")


def lock_text(name: str) -> str:
    return (ROOT / "requirements" / f"{name}.lock").read_text()


def pins(name: str) -> dict[str, str]:
    found = (PIN.match(line) for line in lock_text(name).splitlines())
    return {canonicalize_name(match[1]): match[2] for match in found if match}


def wanted(name: str) -> list[str]:
    groups = [line for group in PROJECT["dependency-groups"].values() for line in group]
    below: list[str] = PROJECT["project"]["dependencies"]
    build: list[str] = PROJECT["build-system"]["requires"]
    return {"operator": below, "dev": [*below, *groups], "build": build}[name]


@pytest.mark.parametrize("lock", LOCKS)
def test_locks_fulfil_pyproject(lock: str) -> None:
    """What pyproject asks for is locked, in a version it allows."""
    locked = pins(lock)
    for line in wanted(lock):
        requirement = Requirement(line)
        version = locked.get(canonicalize_name(requirement.name))
        assert version is not None, f"{line} is not in {lock}.lock; run: make lock"
        assert requirement.specifier.contains(version), f"{lock}.lock has {version} for {line}; run: make lock"


@pytest.mark.parametrize("lock", LOCKS)
def test_every_pin_has_hashes(lock: str) -> None:
    """Each requirement is followed by at least one sha256, and nothing else stands in the file."""
    hashes: dict[str, int] = {}
    current = ""
    for line in lock_text(lock).splitlines():
        if match := PIN.match(line):
            current = match[1]
            hashes[current] = 0
        elif re.fullmatch(r" {4}--hash=sha256:[0-9a-f]{64}( \\)?", line):
            hashes[current] += 1
        else:
            assert line.lstrip().startswith("#"), line
    assert hashes
    assert all(hashes.values())


@pytest.mark.parametrize("lock", LOCKS)
def test_locks_name_no_place(lock: str) -> None:
    """No index, host or path of the machine that made it."""
    assert re.findall(r"://|--index|--find-links|--trusted-host|(?<![\w.])/[a-z]+/", lock_text(lock)) == []


def test_development_runs_on_what_users_run_on() -> None:
    """The run-time packages have the same versions in both locks."""
    assert pins("operator").items() <= pins("dev").items()
    assert pins("build").items() <= pins("dev").items()


def test_the_image_runs_as_nobody_from_checked_packages() -> None:
    """The last stage starts from the base again and ends as an unprivileged numeric user."""
    text = (ROOT / "Dockerfile").read_text()
    last = text.rpartition("\nFROM ")[2]
    assert "USER 65532:65532" in last.splitlines()
    assert "pip" not in last
    installs = re.findall(r"pip install (.*?)(?: && |$)", text.replace("\\\n", " "), re.MULTILINE)
    assert len(installs) == 3
    for options in installs:
        assert "--require-hashes" in options or "--no-index" in options
