"""
Host processes of the cluster: started detached, remembered by pid **and** start time, stopped only when both agree.

A pid alone may belong to a stranger by the time `down` runs (pid reuse, reboot); the kernel's start time and the boot
id make the record unambiguous.
"""

import hashlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from localcluster.settings import LOGS, RUN, ClusterError

_LOG_LIMIT = 50_000_000


@dataclass(frozen=True)
class Daemon:
    """A process that keeps running: its command line, additional environment, and files whose change restarts it."""

    name: str
    argv: Sequence[str | Path]
    env: Mapping[str, str] = field(default_factory=dict)
    inputs: Sequence[Path] = ()

    def fingerprint(self) -> str:
        """Changes when the command line, the environment or an input file changes."""
        digest = hashlib.sha256("\0".join(map(str, self.argv)).encode())
        digest.update(json.dumps(dict(self.env), sort_keys=True).encode())
        for path in self.inputs:
            digest.update(path.read_bytes())
        return digest.hexdigest()


def started_at(pid: int) -> int | None:
    """Start time of a live process in kernel ticks since boot; None when it does not exist or is a zombie."""
    try:
        # The command name (field 2, in parentheses) may itself contain spaces and parentheses.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        # The first thread of a killed process is a zombie while the others still hold its sockets.
        ended = fields[0] == "Z" and len(list(Path(f"/proc/{pid}/task").iterdir())) <= 1
    except OSError:
        return None
    return None if ended else int(fields[19])


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _record(name: str) -> Path:
    return RUN / f"{name}.pid"


def _recorded(name: str) -> dict[str, str]:
    try:
        found = json.loads(_record(name).read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def pid_of(name: str) -> int | None:
    """The pid of the running process that was started under this name; None when there is none."""
    found = _recorded(name)
    if not found or found["boot"] != _boot():
        return None
    pid = int(found["pid"])
    return pid if started_at(pid) == int(found["started"]) else None


def names() -> list[str]:
    """Every name with a record, running or not."""
    return sorted(path.stem for path in RUN.glob("*.pid"))


def start(daemon: Daemon) -> bool:
    """Start it unless it already runs with the same fingerprint; True when something was started."""
    fingerprint = daemon.fingerprint()
    if pid_of(daemon.name) is not None:
        if _recorded(daemon.name).get("fingerprint") == fingerprint:
            return False
        stop([daemon.name])
    LOGS.mkdir(parents=True, exist_ok=True)
    RUN.mkdir(parents=True, exist_ok=True)
    log = LOGS / f"{daemon.name}.log"
    if log.exists() and log.stat().st_size > _LOG_LIMIT:
        log.replace(log.with_suffix(".log.1"))
    with log.open("ab") as sink:
        process = subprocess.Popen(
            [str(word) for word in daemon.argv],
            env={**os.environ, **daemon.env},
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=sink,
            cwd="/",
            start_new_session=True,
        )
    record = {
        "pid": process.pid, "started": started_at(process.pid) or 0, "boot": _boot(), "fingerprint": fingerprint,
    }  # fmt: skip
    _record(daemon.name).write_text(json.dumps(record))
    return True


def died(name: str) -> bool:
    """Whether the process was started and is gone."""
    return bool(_recorded(name)) and pid_of(name) is None


def require_alive(name: str) -> None:
    """Raise with the end of its log when the process has died."""
    if died(name):
        raise ClusterError(f"{name} has died; the end of {LOGS / name}.log:\n{tail(name)}")


def tail(name: str, lines: int = 15) -> str:
    """The last lines of a process's log."""
    try:
        return "\n".join((LOGS / f"{name}.log").read_text(errors="replace").splitlines()[-lines:])
    except OSError:
        return "(no log)"


def stop(names_: Sequence[str], grace: float = 8.0) -> None:
    """TERM to all of them at once, KILL to those still alive after `grace` seconds; records are removed."""
    pids = {name: pid for name in names_ if (pid := pid_of(name)) is not None}
    for pid in pids.values():
        send(pid, signal.SIGTERM)
    deadline = time.monotonic() + grace
    while time.monotonic() < deadline and any(pid_of(name) for name in pids):
        time.sleep(0.05)
    for name in pids:
        pid = pid_of(name)
        if pid is not None:
            send(pid, signal.SIGKILL)
            _gone(pid)
    for name in names_:
        _record(name).unlink(missing_ok=True)


def send(pid: int, number: signal.Signals) -> None:
    """Send a signal; a process that has just ended is fine."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def _gone(pid: int) -> None:
    deadline = time.monotonic() + 5
    while started_at(pid) is not None and time.monotonic() < deadline:
        time.sleep(0.02)
