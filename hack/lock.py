"""
`make lock`: resolve pyproject.toml into requirements/*.lock, with hashes.

Versions already locked stay unless `--upgrade` is given or pyproject excludes them. The files name no index and no
path: where packages come from is the installer's setting, and the hashes say that they are the same.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = ROOT / "requirements"
UV = "uv==0.13.8"
HEADER = "# From pyproject.toml by `make lock`: {what}. Do not edit.\n"
OPTIONS = (
    "--universal",
    "--python-version=3.11",
    "--generate-hashes",
    "--no-header",
    "--no-emit-index-url",
    "--no-emit-find-links",
    "--quiet",
)
# A private mirror or a folder of wheels would limit the hashes to what happens to lie there.
LOCAL_SOURCES = ("PIP_FIND_LINKS", "UV_FIND_LINKS", "UV_NO_INDEX", "PIP_NO_INDEX")


def uv() -> str:
    """
    The resolver: the one on the PATH, else a pinned one in `build/`.
    """
    found = shutil.which("uv")
    if found is not None:
        return found
    home = ROOT / "build" / "uv"
    program = home / "bin" / "uv"
    if not program.exists():
        subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
        subprocess.run([str(home / "bin" / "pip"), "install", "--quiet", UV], check=True)
    return str(program)


def resolve(name: str, what: str, source: list[str], *, text: str = "", upgrade: bool) -> None:
    """
    Write `requirements/NAME.lock`. `text` is the source's content when the source is standard input.
    """
    target = REQUIREMENTS / f"{name}.lock"
    command = [uv(), "pip", "compile", *source, *OPTIONS, "--output-file", str(target.relative_to(ROOT))]
    environment = {name: value for name, value in os.environ.items() if name not in LOCAL_SOURCES}
    if upgrade:
        command.append("--upgrade")
    subprocess.run(command, check=True, cwd=ROOT, env=environment, input=text, text=True, stdout=subprocess.DEVNULL)
    target.write_text(HEADER.format(what=what) + target.read_text())


def main() -> None:
    """
    Lock what the operator runs on, then what development adds, then what builds the wheel.
    """
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--upgrade", action="store_true", help="take the newest versions pyproject allows")
    upgrade: bool = arguments.parse_args().upgrade
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    REQUIREMENTS.mkdir(exist_ok=True)
    resolve("operator", "what the operator needs at run time", ["pyproject.toml"], upgrade=upgrade)
    groups = [f"--group={name}" for name in project["dependency-groups"]]
    below = "--constraint=requirements/operator.lock"
    resolve("dev", "run time and every dependency group", ["pyproject.toml", *groups, below], upgrade=upgrade)
    build = "\n".join(project["build-system"]["requires"])
    below = "--constraint=requirements/dev.lock"
    resolve("build", "what builds the wheel", ["-", below], text=build, upgrade=upgrade)


if __name__ == "__main__":
    main()
