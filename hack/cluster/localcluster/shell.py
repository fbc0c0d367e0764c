"""Run other programs: every failure carries the command and the end of what it said."""

import os
import shlex
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from localcluster.settings import ClusterError

_TAIL_LINES = 25


def run(
    argv: Sequence[str | Path],
    *,
    text: str | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    check: bool = True,
) -> str:
    """
    Standard output of a finished command.

    `env` is added to ours. With `check`, a failure raises ClusterError with the command line and the last lines of its
    output; without, whatever was printed is returned.
    """
    words = [str(word) for word in argv]
    try:
        done = subprocess.run(
            words, input=text, env={**os.environ, **(env or {})}, cwd=cwd, capture_output=True, text=True, check=False
        )
    except OSError as error:
        raise ClusterError(f"cannot run {words[0]}: {error.strerror}") from error
    if check and done.returncode != 0:
        tail = "\n".join((done.stderr + done.stdout).strip().splitlines()[-_TAIL_LINES:])
        raise ClusterError(f"{shlex.join(words)}\nended with status {done.returncode}:\n{tail}")
    return done.stdout


def succeeds(argv: Sequence[str | Path], *, env: Mapping[str, str] | None = None) -> bool:
    """Whether the command exists and ends with status 0; its output is dropped."""
    try:
        return (
            subprocess.run(
                [str(word) for word in argv],
                env={**os.environ, **(env or {})},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=False,
                timeout=20,
            ).returncode
            == 0
        )
    except (OSError, subprocess.TimeoutExpired):
        return False


def need(command: str, why: str) -> str:
    """The path of a program of the host, or a message that says what it is for."""
    found = shutil.which(command, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if found is None:
        raise ClusterError(f"`{command}` is not installed; it is needed {why}")
    return found
