"""
One model with its own hostname and client: what acceptance tests and `make figures` play with.
"""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from demo.client import LoadClient, Snapshot, bodies_of
from demo.sight import NAMESPACE, PATH, Sight, apply, look, manifest
from demo.stage import ROOT, SYSTEM, Stage, StageError

LOOK_SECONDS = 0.5
QUICK: dict[str, Any] = {
    "strategy": {
        "canary": {
            "steps": [{"traffic": "10%"}, {"traffic": "50%"}, {"traffic": "100%"}],
            "blastRadius": "2%",
            "soak": "5s",
        },
        "scaleDownDelay": "5s",
    }
}
"""Overrides for a rollout of about a minute at 50 requests a second."""


class Look(NamedTuple):
    """
    The object as it was seen, and what the client had counted a moment later.
    """

    at: float
    """Monotonic seconds."""
    sight: Sight
    answered: Mapping[str, int]
    """Answers by version; empty without a client."""


@dataclass(slots=True)
class Rig:
    """
    A model under test.
    """

    stage: Stage
    name: str
    overrides: dict[str, Any] = field(default_factory=lambda: dict(QUICK))
    client: LoadClient | None = None
    looks: list[Look] = field(default_factory=list)

    def apply(self, version: int) -> None:
        """
        Ask for a version.
        """
        apply(self.stage, manifest(self.stage, version, self.name, **self.overrides))

    async def look(self) -> Sight:
        """
        The object now; kept in `looks`.
        """
        sight = await look(self.stage, self.name)
        answered = answers_by_version(self.client.snapshot()) if self.client else {}
        self.looks.append(Look(time.monotonic(), sight, answered))
        return sight

    async def until(self, wanted: Callable[[Sight], bool], seconds: float) -> Sight:
        """
        Look until it is so.

        Raises:
            StageError: it was not in time; with the last message.
        """
        end = time.monotonic() + seconds
        while True:
            sight = await self.look()
            if wanted(sight):
                return sight
            if time.monotonic() > end:
                raise StageError(f"{self.name}: {sight.phase} after {seconds:.0f} s: {sight.message}")
            await asyncio.sleep(LOOK_SECONDS)

    async def deploy(self, version: int, seconds: float = 420) -> Sight:
        """
        Ask for a version and wait until it serves everything.
        """
        self.apply(version)
        return await self.until(lambda sight: stable_at(sight, version), seconds)

    @asynccontextmanager
    async def traffic(self, rate: float = 50, max_seconds: float = 900) -> AsyncIterator[LoadClient]:
        """
        Requests at the rate for as long as the block lasts.
        """
        host = "digits.example.com" if self.name == "digits" else f"{self.name}.example.com"
        bodies = bodies_of(ROOT / "examples/digits/data/requests.jsonl")
        self.client = LoadClient(self.stage.url + PATH, host, bodies, rate=rate)
        stop = asyncio.Event()
        running = asyncio.create_task(self.client.run(stop, max_seconds=max_seconds))
        try:
            yield self.client
        finally:
            stop.set()
            await running

    def delete(self, *, wait: bool = True) -> None:
        """
        Remove the object; what it owns follows.
        """
        self.stage.kubectl(
            "-n", NAMESPACE, "delete", "mmd", self.name, "--ignore-not-found", f"--wait={str(wait).lower()}"
        )

    def owned(self) -> list[str]:
        """
        Names of everything that was made for the object and is still there.
        """
        found = self.stage.kubectl(
            "-n",
            NAMESPACE,
            "get",
            "deploy,rs,svc,httproute,pods,endpointslices",
            "-l",
            f"modelramp.io/deployment={self.name}",
            "-o",
            "name",
        )
        route = self.stage.kubectl("-n", NAMESPACE, "get", "httproute", self.name, "--ignore-not-found", "-o", "name")
        return sorted({*found.split(), *route.split()})

    async def gone(self, seconds: float = 90) -> None:
        """
        Wait until nothing of it is left.

        Raises:
            StageError: something is.
        """
        end = time.monotonic() + seconds
        while left := self.owned():
            if time.monotonic() > end:
                raise StageError(f"{self.name}: still there: {', '.join(left)}")
            await asyncio.sleep(1)

    def versions(self) -> dict[str, str]:
        """
        The resourceVersion of the object and of all it owns, by name: changes with every write.
        """
        names = [f"mmd/{self.name}", *(name for name in self.owned() if not name.startswith("endpointslice"))]
        lines = self.stage.kubectl(
            "-n",
            NAMESPACE,
            "get",
            *names,
            "-o",
            "jsonpath={range .items[*]}{.kind}/{.metadata.name} {.metadata.resourceVersion}\n{end}",
        )
        return dict(line.split() for line in lines.splitlines() if line)

    def counted_twice(self, version: str) -> list[str]:
        """
        Looks at which the evidence claimed more requests of the candidate than the client had answers from it by then.
        """
        found = []
        for look_ in self.looks:
            status = look_.sight.document.get("status", {})
            if (status.get("candidate") or {}).get("version") != version:
                continue
            answered = look_.answered.get(version, 0)
            claimed = [float(verdict["candidate"]["n"]) for verdict in status.get("verdicts", [])]
            found += [f"{n:g} counted of {answered}" for n in claimed if n > answered + ON_THE_WAY]
        return found


ON_THE_WAY = 5
"""Answers the gateway had counted and the client had not read yet. The warm-up does not pass through the gateway."""


def answers_by_version(counts: Snapshot) -> dict[str, int]:
    """
    How often each version answered, whatever the status.
    """
    total: Counter[str] = Counter()
    for (version, _), number in counts.answers.items():
        if version is not None:
            total[version] += number
    return dict(total)


def returned(counts: Snapshot, version: str, silent_seconds: int = 5) -> int:
    """
    Answers the version gave after it had once been silent for so many whole seconds: its share had gone, and came back.

    At 10 % of 25 requests a second five silent seconds come by chance in less than one minute of a thousand.
    """
    silent, gone, late, began = 0, False, 0, False
    for second in counts.seconds:
        here = sum(number for (signed, _), number in second.answers.items() if signed == version)
        late += here if gone else 0
        silent = 0 if here else silent + 1
        began = began or here > 0
        gone = gone or (began and silent >= silent_seconds)
    return late


def stable_at(sight: Sight, version: int) -> bool:
    """
    The version serves everything, and nothing else is under way.
    """
    return sight.generation_seen and sight.phase == "Stable" and sight.stable == str(version)


def failed(sight: Sight) -> bool:
    """
    The version of the spec was rejected and its rollback is over.
    """
    return sight.generation_seen and sight.phase == "Failed"


def guilty(counts: Snapshot) -> set[str]:
    """
    The versions that signed at least one failed answer.
    """
    return {version for version, bad in counts.bad_by_version().items() if bad}


async def kill_operator(stage: Stage) -> None:
    """
    The operator's pod dies at once, without a chance to say goodbye.
    """
    process = await asyncio.create_subprocess_exec(
        "kubectl", *(["--context", stage.context] if stage.context else []), "-n", SYSTEM, "delete", "pod",
        "-l", "app.kubernetes.io/name=modelramp", "--grace-period=0", "--force", "--wait=false",
        env=stage.environment, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    await process.communicate()


async def keep_killing(stage: Stage, pauses: list[float]) -> None:
    """
    Kill the operator after each of the pauses (seconds).
    """
    for pause in pauses:
        await asyncio.sleep(pause)
        await kill_operator(stage)


def scale(stage: Stage, namespace: str, deployment: str, replicas: int) -> None:
    """
    Scale a Deployment and wait until its pods are there, or gone.
    """
    stage.kubectl("-n", namespace, "scale", f"deployment/{deployment}", f"--replicas={replicas}")
    if replicas:
        stage.kubectl("-n", namespace, "rollout", "status", f"deployment/{deployment}", "--timeout=90s")
    else:
        selector = stage.get("-n", namespace, "deployment", deployment)["spec"]["selector"]["matchLabels"]
        labels = ",".join(f"{key}={value}" for key, value in selector.items())
        stage.kubectl("-n", namespace, "wait", "--for=delete", "pod", "-l", labels, "--timeout=90s")


def operator_memory_mb(stage: Stage) -> float:
    """
    Resident memory of the operator's process in MB, as the kernel tells the process itself.
    """
    text = stage.kubectl(
        "-n", SYSTEM, "exec", "deployment/modelramp", "--", "python3", "-c", "print(open('/proc/1/status').read())"
    )
    line = next(line for line in text.splitlines() if line.startswith("VmRSS"))
    return float(line.split()[1]) / 1024


async def cancelled(task: "asyncio.Task[None]") -> None:
    """
    End a background task.
    """
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
