"""
`make test`: the ladder of tests, cheapest rung first; it stops at the first rung that fails and says which.

check      format, lint, types, import contracts, generated files
pure       no I/O, and quick: unit, properties
loopback   what does I/O, against servers in the test's own process; contracts on fakes
coverage   all without I/O, whole rollouts in virtual time too: every branch of the core is taken
apiserver  tests marked `apiserver`, against a real API server alone
cluster    tests marked `cluster`, against the whole local cluster

A cluster that ran before keeps running; one that was started here is stopped at the end, unless KEEP=1.
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
CLUSTER = [sys.executable, "hack/cluster"]
REPORTS = ROOT / "reports"
PURE_BUDGET_SECONDS = 10.0
WITHOUT_IO = "not loopback and not apiserver and not cluster"
PURE = f"not played and {WITHOUT_IO}"


class RungError(Exception):
    """
    A rung failed; the message says where.
    """


@dataclass(frozen=True, slots=True)
class Outcome:
    """
    What became of a rung. `seconds` is None when it was not run.
    """

    rung: str
    result: str
    seconds: float | None


def run(*command: str | Path, environment: Mapping[str, str] | None = None) -> None:
    """
    Run a command in the repository with its output shown.

    Raises:
        RungError: it failed.
    """
    words = [str(word) for word in command]
    print("$", " ".join(Path(words[0]).name if index == 0 else word for index, word in enumerate(words)), flush=True)
    status = subprocess.run(words, cwd=ROOT, env={**os.environ, **(environment or {})}, check=False).returncode
    if status != 0:
        raise RungError(f"`{' '.join([Path(words[0]).name, *words[1:2]])}` ended with status {status}")


def tool(name: str) -> Path:
    """
    A program of the virtualenv.
    """
    return VENV / "bin" / name


def pytest(*arguments: str, environment: Mapping[str, str] | None = None) -> None:
    """
    Run tests on the installed wheel. An empty selection fails: a rung without tests proves nothing.
    """
    installed = subprocess.run(
        [tool("python"), "-c", "import modelramp; print(modelramp.__file__)"],
        cwd=VENV, env={**os.environ, **(environment or {})}, text=True, capture_output=True, check=False,
    ).stdout.strip()  # fmt: skip
    if not Path(installed).is_relative_to(VENV):
        raise RungError(f"modelramp is imported from {installed or 'nowhere'}, not from its wheel in .venv")
    run(tool("pytest"), *arguments, environment=environment)


def check() -> None:
    """
    Everything that reads the code without running it; all of it, so that one run shows every finding.
    """
    commands: list[tuple[str | Path, ...]] = [
        (tool("ruff"), "format", "--check", "--quiet", "."),
        (tool("ruff"), "check", "."),
        (tool("mypy"),),
        (tool("lint-imports"), "--no-logo"),
        (tool("python"), "hack/generate.py", "--check"),
    ]
    failures: list[str] = []
    for command in commands:
        try:
            run(*command)
        except RungError as error:
            failures.append(str(error))
    if failures:
        raise RungError("; ".join(failures))


def pure() -> None:
    """
    Tests without marks: a change of the core is told in seconds whether it broke something. Their time is a promise, so
    it is printed beside what was promised.
    """
    began = time.monotonic()
    pytest("-q", "-n", "2", "-m", PURE, "--durations=5")
    seconds = time.monotonic() - began
    print(f"pure tests: {seconds:.1f} s{'' if seconds <= PURE_BUDGET_SECONDS else ', OVER the promised'}"
          f" (at most {PURE_BUDGET_SECONDS:.0f} s on an idle machine)")  # fmt: skip


def loopback() -> None:
    """
    Adapters, client and command line against servers in the test's own process; they wait for real timeouts.
    """
    pytest("-q", "-n", "4", "-m", "loopback and not apiserver and not cluster", "--durations=5")


def coverage() -> None:
    """
    The tests without I/O take every branch of the core. Apart from `pure`, because measuring and playing cost time.
    """
    pytest("-q", "-n", "2", "-m", WITHOUT_IO, "--cov", "--cov-fail-under=100", "--cov-report=term-missing")


def cluster_environment(instance: Mapping[str, str] | None = None) -> dict[str, str]:
    """
    KUBECONFIG, PATH and addresses as the cluster's `env` verb tells them, and what the tests read.
    """
    script = 'eval "$("$0" hack/cluster env)" && env -0'
    text = subprocess.run(
        ["sh", "-c", script, sys.executable],
        cwd=ROOT,
        env={**os.environ, **(instance or {})},
        check=True,
        text=True,
        stdout=subprocess.PIPE,
    ).stdout
    found = dict(pair.split("=", 1) for pair in text.split("\0") if "=" in pair)
    found["MODELRAMP_TEST_KUBECONFIG"] = found["KUBECONFIG"]
    return found


def prometheus_program() -> dict[str, str]:
    """
    The variable that names the binary of Prometheus, which is built if it is missing.
    """
    printed = subprocess.run(
        [*CLUSTER, "build", "prometheus"], cwd=ROOT, check=True, text=True, stdout=subprocess.PIPE
    ).stdout
    return {"MODELRAMP_TEST_PROMETHEUS": printed.split()[-1]}


def apiserver() -> None:
    """
    Etcd, API server and controllers, without nodes; no root needed.

    An instance of its own, beside a cluster that may be running: these tests play the kubelet and the gateway
    themselves, and a real one would contradict them.
    """
    instance = {
        "MODELRAMP_CLUSTER_DIR": str(Path(tempfile.gettempdir()) / f"modelramp-test-{os.getuid()}"),
        "MODELRAMP_API_PORT": "7443",
        "MODELRAMP_EMBEDDED": "1",
    }
    try:
        run(*CLUSTER, "up", "--only", "apiserver,helm", environment=instance)
        found = cluster_environment(instance)
        pytest("-v", "-m", "apiserver", "--durations=15", environment={**instance, **found, **prometheus_program()})
    except RungError:
        keep_logs(instance)
        raise
    finally:
        subprocess.run([*CLUSTER, "down"], cwd=ROOT, env={**os.environ, **instance}, check=False)


def cluster() -> None:
    """
    The whole product: pods, gateway, Prometheus, the operator from its image and chart.
    """
    try:
        run(*CLUSTER, "up")
        pytest("-v", "-m", "cluster", "--durations=15", environment={**cluster_environment(), **prometheus_program()})
    except RungError:
        keep_logs()
        raise


RUNGS: dict[str, Callable[[], None]] = {
    "check": check,
    "pure": pure,
    "loopback": loopback,
    "coverage": coverage,
    "apiserver": apiserver,
    "cluster": cluster,
}


def keep_logs(instance: Mapping[str, str] | None = None) -> None:
    """
    Stopping the cluster deletes its logs, and a failure on a machine nobody can enter needs them.
    """
    logs = Path(cluster_environment(instance)["KUBECONFIG"]).parent / "logs"
    if logs.is_dir():
        target = REPORTS / "cluster-logs"
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(logs, target)
        print(f"the cluster's logs are in {target.relative_to(ROOT)}/")


@contextmanager
def cluster_left_as_found(rungs: list[str]) -> Iterator[None]:
    """
    Around the rung that may start the cluster: stop it again if it was started in between.
    """
    if "cluster" not in rungs:
        yield
        return
    found = subprocess.run(
        [*CLUSTER, "status"], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False
    )
    try:
        yield
    finally:
        if found.returncode == 0:
            print("the cluster ran before, so it keeps running")
        elif os.environ.get("KEEP", "") not in {"", "0"}:
            print("KEEP is set: the cluster keeps running (`make cluster-down` stops it)")
        else:
            subprocess.run([*CLUSTER, "down"], cwd=ROOT, check=False)


def climb(rungs: list[str]) -> list[Outcome]:
    """
    Run the rungs up to the first that fails.
    """
    outcomes: list[Outcome] = []
    failed = False
    for rung in rungs:
        if failed:
            outcomes.append(Outcome(rung, "not run", None))
            continue
        print(f"\n════ {rung} " + "═" * (70 - len(rung)), flush=True)
        began = time.monotonic()
        try:
            RUNGS[rung]()
            result = "passed"
        except (RungError, subprocess.CalledProcessError) as error:
            failed, result = True, f"FAILED: {error}"
        except KeyboardInterrupt:
            failed, result = True, "INTERRUPTED"
        outcomes.append(Outcome(rung, result, time.monotonic() - began))
    return outcomes


def report(outcomes: list[Outcome]) -> None:
    """
    The table at the end.
    """
    print(f"\n{'rung':10} {'seconds':>8}  result")
    for outcome in outcomes:
        seconds = "-" if outcome.seconds is None else f"{outcome.seconds:.1f}"
        print(f"{outcome.rung:10} {seconds:>8}  {outcome.result}")


def main() -> int:
    """
    The rungs named, or all; 0 only when each of them passed.
    """
    arguments = argparse.ArgumentParser(description=(__doc__ or "").strip().splitlines()[0])
    arguments.add_argument("rungs", nargs="*", metavar="RUNG", help=f"default: all of {', '.join(RUNGS)}")
    rungs: list[str] = arguments.parse_args().rungs or list(RUNGS)
    unknown = [rung for rung in rungs if rung not in RUNGS]
    if unknown:
        print(f"error: no rung is called {', '.join(unknown)}; there are: {', '.join(RUNGS)}", file=sys.stderr)
        return 2
    # A cancelled CI job gets a termination signal: the cluster must go then, too.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with cluster_left_as_found(rungs):
        outcomes = climb(rungs)
    report(outcomes)
    return 0 if all(outcome.result == "passed" for outcome in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
