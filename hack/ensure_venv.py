"""
`make venv`: bring `.venv` and the wheel up to date; standard library only, as no virtualenv exists yet when it runs.

The virtualenv holds what requirements/dev.lock names, checked by hash, and modelramp as users get it: from its wheel,
not from the source folder. Both are stamped with a digest of their inputs, so a second run does nothing, and a removed
module or a changed branch is noticed, which modification times would miss. A file lock makes simultaneous runs wait.
"""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - this file is what tells the user so
    sys.exit(
        "modelramp needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Try: make PYTHON=python3.12"
    )

import argparse
import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
LOCK = ROOT / "requirements" / "dev.lock"
DIST = ROOT / "dist"
BUILD = ROOT / "build"


class SetupError(Exception):
    """
    What the user has to know or change; the text is the whole message.
    """


def digest(files: Iterable[Path], *words: str) -> str:
    """
    A digest of names and contents, the same for the same tree wherever it lies.
    """
    total = hashlib.sha256("\0".join(words).encode())
    for path in sorted(files):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        total.update(f"\0{path.relative_to(ROOT)}\0{content}".encode())
    return total.hexdigest()


def wheel_inputs() -> list[Path]:
    """
    The files whose content the wheel depends on.
    """
    package = [path for path in (ROOT / "operator").rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    inputs = [ROOT / "pyproject.toml", ROOT / "README.md", ROOT / "LICENSE", *package]
    missing = [path.name for path in inputs if not path.exists()]
    if missing:
        raise SetupError(f"the wheel cannot be built without {', '.join(missing)}")
    return inputs


def run(*command: str | Path, **environment: str) -> None:
    """
    Run a command in the repository; its output is shown only when it fails.

    Raises:
        SetupError: with the output.
    """
    words = [str(word) for word in command]
    done = subprocess.run(
        words, cwd=ROOT, env={**os.environ, **environment}, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        check=False,
    )  # fmt: skip
    if done.returncode != 0:
        raise SetupError(f"{' '.join(words)}\n{done.stdout}\nended with status {done.returncode}")


def say(text: str) -> None:
    """
    Progress goes to standard error, so that a verb's own output stays clean.
    """
    print(text, file=sys.stderr, flush=True)


def install(*arguments: str | Path) -> None:
    """
    Install into the virtualenv: with uv where there is one, else with the virtualenv's own pip.
    """
    uv = shutil.which("uv")
    if uv is not None:
        run(uv, "pip", "install", "--quiet", "--python", VENV / "bin" / "python", *arguments, UV_LINK_MODE="copy")
    else:
        run(VENV / "bin" / "python", "-m", "pip", "install", "--quiet", *arguments, PIP_DISABLE_PIP_VERSION_CHECK="1")


def make_dependencies() -> None:
    """
    A new virtualenv with the locked packages.
    """
    shutil.rmtree(VENV, ignore_errors=True)
    try:
        run(sys.executable, "-m", "venv", VENV)
    except SetupError as error:
        raise SetupError(f"{error}\n(on Debian and Ubuntu, venv is the package python3-venv)") from None
    install("--require-hashes", "--requirement", LOCK)


def make_wheel() -> None:
    """
    The one wheel in `dist/`.
    """
    DIST.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=BUILD) as folder:
        run(VENV / "bin" / "hatchling", "build", "-t", "wheel", "-d", folder)
        built = next(Path(folder).glob("*.whl"))
        for old in DIST.glob("modelramp-*.whl"):
            old.unlink()
        built.rename(DIST / built.name)


def install_wheel() -> None:
    """
    Replace what the virtualenv has of modelramp by the wheel's content.
    """
    install("--no-deps", "--no-index", "--force-reinstall", next(DIST.glob("modelramp-*.whl")))


def ensure(stamp: Path, key: str, what: str, *steps: Callable[[], None]) -> None:
    """
    Take the steps unless `stamp` says that they were taken for the same inputs; a step that fails leaves no stamp.
    """
    if stamp.exists() and stamp.read_text() == key:
        return
    stamp.unlink(missing_ok=True)
    began = time.monotonic()
    for step in steps:
        step()
    stamp.write_text(key)
    say(f"{what}: {time.monotonic() - began:.1f} s")


def main() -> int:
    """
    Do what is missing; 1 after a message when that fails.
    """
    arguments = argparse.ArgumentParser(description=(__doc__ or "").strip().splitlines()[0])
    arguments.add_argument("--dependencies-only", action="store_true", help="leave modelramp itself out")
    only_dependencies: bool = arguments.parse_args().dependencies_only
    BUILD.mkdir(exist_ok=True)
    try:
        with (BUILD / "venv.lock").open("w") as gate:
            fcntl.flock(gate, fcntl.LOCK_EX)
            key = digest([LOCK], sys.version, str(ROOT))
            ensure(VENV / ".dependencies", key, "virtualenv .venv from requirements/dev.lock", make_dependencies)
            if not only_dependencies:
                wheel = digest(wheel_inputs(), key)
                if not any(DIST.glob("modelramp-*.whl")):
                    (BUILD / "wheel.stamp").unlink(missing_ok=True)
                ensure(BUILD / "wheel.stamp", wheel, "wheel dist/", make_wheel)
                ensure(VENV / ".wheel", wheel, "modelramp installed from its wheel", install_wheel)
    except SetupError as error:
        say(f"error: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
