"""
A lane: one object with its own client, on which versions are rolled out one after the other.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from demo.client import bodies_of
from demo.sight import NAMESPACE, PATH, Sight, seen
from demo.stage import ROOT, Stage, StageError
from soak_evidence.kinds import HEALTHY, TENANTS, Kind
from soak_evidence.load import TenantClient
from soak_evidence.manifest import FULL, Pace, manifest
from soak_evidence.rollout import (
    HELD,
    ROLLED_BACK,
    WHOLE,
    End,
    Rollout,
    concluded,
    is_about,
    outcome_of,
    wanted_share,
)

LOOK_SECONDS: Final = 1.0
DEPLOY_SECONDS: Final = 300.0
ALONE_SECONDS: Final = 45.0
"""Traffic on stable alone before a candidate comes: the operator plans the latency's bucket edges from it."""
QUIET_SECONDS: Final = 5.0
"""A version that has not answered for so long has no share any more."""
LIMIT_SECONDS: Final = 480.0
"""After so long a version that is neither promoted nor rolled back is held."""
GRACE_SECONDS: Final = 120.0
"""So much longer for one that gets everything already: it is all but promoted."""
LINE_SECONDS: Final = 15.0
LONGEST_SECONDS: Final = 2 * 60 * 60.0
"""No client sends for longer, whatever happens."""

Say = Callable[[str], None]


class Watcher:
    """
    The newest look at every object, one kubectl a second for all of them: a kubectl costs more than a model's answer.
    """

    def __init__(self, stage: Stage) -> None:
        """
        Watch nothing yet.
        """
        self._stage = stage
        self._sights: dict[str, Sight] = {}
        self._looking: asyncio.Task[None] | None = None

    def sight(self, name: str) -> Sight:
        """
        The newest look; an empty one before the first, and the last one while the API server is away.

        Raises whatever ended the looking: nobody is to wait for looks that do not come.
        """
        if self._looking is not None and self._looking.done():
            self._looking.result()
        return self._sights.get(name, Sight())

    async def look(self) -> None:
        """
        Look once.
        """
        context = ["--context", self._stage.context] if self._stage.context else []
        child = await asyncio.create_subprocess_exec(
            "kubectl", *context, "-n", NAMESPACE, "get", "mmd", "-o", "json", "--request-timeout=5s",
            env=self._stage.environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        out, _ = await child.communicate()
        if child.returncode == 0:
            self._sights = {item["metadata"]["name"]: seen(item) for item in json.loads(out)["items"]}

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """
        Look again and again for as long as the block lasts.
        """

        async def keep_looking() -> None:
            while True:
                await self.look()
                await asyncio.sleep(LOOK_SECONDS)

        self._looking = asyncio.create_task(keep_looking())
        try:
            yield
        finally:
            self._looking.cancel()
            await asyncio.wait([self._looking])
            self._looking = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """
    How a lane plays.

    Attributes:
        pace: How versions are ramped.
        rate: Requests a second of each object's client.
        limit_seconds: After so long a version that is neither promoted nor rolled back is held.

    """

    pace: Pace = FULL
    rate: float = 52.0
    limit_seconds: float = LIMIT_SECONDS


@dataclass(slots=True)
class Lane:
    """
    One object with its own client. Versions are numbered from 1; those of one lane never share a number.
    """

    stage: Stage
    watcher: Watcher
    name: str
    setting: Setting
    say: Say
    seed: int = 0
    _version: int = 0
    _stable: tuple[str, Mapping[str, str]] = ("", {})
    _stable_since: float = 0.0
    _client: TenantClient | None = field(default=None, repr=False)

    @property
    def client(self) -> TenantClient:
        """
        The lane's client.

        Raises:
            StageError: it has none yet.

        """
        if self._client is None:
            raise StageError(f"{self.name} has no traffic yet")
        return self._client

    async def ask_for(self, version: str, knobs: Mapping[str, str]) -> None:
        """
        Apply the object with this version; nothing else on the loop waits for it.
        """
        text = manifest(self.stage, self.name, version, knobs, self.setting.pace)
        await asyncio.to_thread(self.stage.kubectl, "-n", NAMESPACE, "apply", "-f", "-", text=text)

    async def until_stable(self, version: str, seconds: float) -> None:
        """
        Wait until the version serves everything and nothing else is under way.

        Raises:
            StageError: it does not in time; with what the status says.

        """
        end = time.monotonic() + seconds
        while True:
            sight = self.watcher.sight(self.name)
            if is_about(sight, version) and sight.phase == "Stable" and sight.stable == version:
                return
            if time.monotonic() > end:
                raise StageError(f"{self.name}: {sight.phase} after {seconds:.0f} s: {sight.message}")
            await asyncio.sleep(LOOK_SECONDS / 2)

    async def deploy(self) -> None:
        """
        The first version, a healthy one; it serves when this returns.
        """
        version = self._next_version()
        await self.ask_for(version, HEALTHY.environment)
        await self.until_stable(version, DEPLOY_SECONDS)
        self._has_become_stable(version, HEALTHY.environment)

    @asynccontextmanager
    async def traffic(self) -> AsyncIterator[None]:
        """
        Requests for as long as the block lasts.
        """
        bodies = bodies_of(ROOT / "examples/digits/data/requests.jsonl")
        host = f"{self.name}.example.com"
        self._client = client = TenantClient(
            self.stage.url + PATH, host, bodies, TENANTS, rate=self.setting.rate, seed=self.seed
        )
        stop = asyncio.Event()
        running = asyncio.create_task(client.run(stop, max_seconds=LONGEST_SECONDS))
        self._stable_since = time.monotonic()
        try:
            yield
        finally:
            stop.set()
            await running

    async def play(self, kind: Kind) -> Rollout:
        """
        Roll out a version of this kind, and leave the object with one version that serves everything.

        Raises:
            StageError: the object could not be brought back to its stable version afterwards.

        """
        await asyncio.sleep(max(QUIET_SECONDS, self._stable_since + ALONE_SECONDS - time.monotonic()))
        version, before, began = self._next_version(), self.client.tally(), time.monotonic()
        self.say(f"{self.name}: version {version}, {kind.name}: {kind.says}")
        await self.ask_for(version, kind.environment)
        end = await self._watched(kind, version, began)
        counted = self.client.tally() - before, time.monotonic() - began
        found = concluded(kind, self.name, version, end, counted)
        self.say(f"{self.name}: version {version}, {kind.name}: {found}")
        if end.outcome == HELD:
            await self._back_to_stable()
        elif end.outcome != ROLLED_BACK:
            self._has_become_stable(version, kind.environment)
        return found

    async def _watched(self, kind: Kind, version: str, began: float) -> End:
        shown, shown_at, share = "", began, 0.0
        while True:
            sight, now = self.watcher.sight(self.name), time.monotonic()
            if (outcome := outcome_of(sight, version)) is not None:
                break
            share = wanted_share(sight) if is_about(sight, version) else 0.0
            if now - began > self.setting.limit_seconds + (GRACE_SECONDS if share == WHOLE else 0.0):
                outcome = HELD
                break
            state = f"{sight.phase} {sight.step} {sight.wanted}"
            if state != shown or now - shown_at >= LINE_SECONDS:
                self.say(f"{self.name}: version {version}, {kind.name}: {self._progress(sight, version)}")
                shown, shown_at = state, now
            await asyncio.sleep(LOOK_SECONDS / 2)
        bad = self.client.tally().bad(version) if outcome == ROLLED_BACK else None
        last = await self._quiet(version, sight) if outcome == ROLLED_BACK else sight
        return End(outcome=outcome, share=share, last=last, seconds=now - began, bad_until_rollback=bad)

    async def _quiet(self, version: str, sight: Sight) -> Sight:
        """
        The look at which the rollback is over and the version has no share; the last one when that takes too long.
        """
        end = time.monotonic() + GRACE_SECONDS
        while time.monotonic() < end:
            sight, silent = self.watcher.sight(self.name), self.client.silent_seconds(version)
            if sight.phase == "Failed" and (silent is None or silent >= QUIET_SECONDS):
                break
            await asyncio.sleep(LOOK_SECONDS / 2)
        return sight

    async def _back_to_stable(self) -> None:
        version, knobs = self._stable
        await self.ask_for(version, knobs)
        await self.until_stable(version, DEPLOY_SECONDS)

    def _progress(self, sight: Sight, version: str) -> str:
        tally = self.client.tally()
        verdicts = "; ".join(sight.verdicts) or sight.message
        return (
            f"{sight.phase}, step {sight.step}, {sight.wanted} wanted, {sight.observed} observed,"
            f" {tally.bad(version)} bad of {tally.requests(version)}, {tally.lost} lost; {verdicts}"
        )

    def _next_version(self) -> str:
        self._version += 1
        return str(self._version)

    def _has_become_stable(self, version: str, knobs: Mapping[str, str]) -> None:
        self._stable, self._stable_since = (version, knobs), time.monotonic()
