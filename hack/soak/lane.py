"""
A lane: one object under constant load, on which versions are rolled out one after the other.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from demo.sight import NAMESPACE, Sight
from demo.stage import Stage, StageError
from soak.lanes import SUFFIXES, Kind, Move, Outcome, Router, Strategy
from soak.ledger import Tally
from soak.load import Load, Rhythm
from soak.manifest import COHORT_HEADER, hostname, manifest
from soak.rollout import (
    Rollout,
    alone,
    answer_to,
    at_rest,
    candidate_revision,
    kept_revision,
    on_trial,
    outcome_of,
    rejected_revision,
)
from soak.ways import Way, over_grpc, over_http
from soak_evidence.lane import Watcher

LOOK_SECONDS: Final = 0.5
DEPLOY_SECONDS: Final = 240.0
LIMIT_SECONDS: Final = 300.0
"""A rollout that has not ended after so long is stuck."""
ANSWER_SECONDS: Final = 60.0
ON_TRIAL_SECONDS: Final = 3.0
"""So long a version is on trial before somebody aborts, supersedes or reverts it: it has traffic by then."""
BETWEEN_SECONDS: Final = 3.0
LONGEST_SECONDS: Final = 2 * 60 * 60.0
"""No client sends for longer, whatever happens."""
LINE_SECONDS: Final = 20.0

Say = Callable[[str], None]


@asynccontextmanager
async def way_to(stage: Stage, kind: Kind, url: str) -> AsyncIterator[Way]:
    """
    The way on which a lane's clients ask it.
    """
    if kind.router is Router.GRPC_ROUTE:
        async with over_grpc(f"{urlsplit(url).hostname}:{urlsplit(url).port or 80}", hostname(kind)) as grpc_way:
            yield grpc_way
        return
    if kind.router is Router.SERVICE:
        document = await asyncio.to_thread(stage.get, "-n", NAMESPACE, "service", kind.name)
        url = f"http://{document['spec']['clusterIP']}:{document['spec']['ports'][0]['port']}"
    async with over_http(url, hostname(kind)) as http_way:
        yield http_way


def rhythm_of(kind: Kind, rate: float) -> Rhythm:
    """
    What is sent to a lane. Connections to a Service stay with their pod, so its clients open a new one now and then.
    """
    return Rhythm(
        rate=rate,
        cohort=COHORT_HEADER if kind.strategy is Strategy.COHORT else {},
        closing_every=10 if kind.router is Router.SERVICE else 0,
    )


@dataclass(slots=True)
class Lane:
    """
    One object with its own client. Versions are numbered from 1.
    """

    stage: Stage
    watcher: Watcher
    kind: Kind
    by: str
    """Who asks for things: the user's own name, as the API server knows it."""
    say: Say
    rate: float
    limit_seconds: float = LIMIT_SECONDS
    _number: int = 0
    _stable: str = ""
    _version: str = ""
    _load: Load | None = field(default=None, repr=False)

    @property
    def sight(self) -> Sight:
        """
        The newest look.
        """
        return self.watcher.sight(self.kind.name)

    def tally(self) -> Tally:
        """
        What the client has counted; nothing before it sends.
        """
        return self._load.tally() if self._load else Tally()

    async def deploy(self) -> None:
        """
        The first version; it serves when this returns.
        """
        self._stable = self._version = self._next(Move.GOOD)
        await self._ask_for(self._version)
        await self._until(lambda sight: at_rest(sight, self._stable), DEPLOY_SECONDS, "the first version")

    @asynccontextmanager
    async def traffic(self) -> AsyncIterator[None]:
        """
        Requests for as long as the block lasts, and until the last of them has ended.
        """
        async with way_to(self.stage, self.kind, self.stage.url) as way:
            self._load = Load(way, rhythm_of(self.kind, self.rate))
            stop = asyncio.Event()
            running = asyncio.create_task(self._load.run(stop, max_seconds=LONGEST_SECONDS))
            try:
                yield
            finally:
                stop.set()
                await running

    async def play(self, move: Move) -> Rollout:
        """
        One rollout. A stuck one is taken back, so that the next one begins from rest.

        Raises:
            StageError: the object does not come to rest any more.

        """
        before, began = self.tally(), time.monotonic()
        try:
            outcome, message = await self._played(move)
        except StageError as error:
            outcome, message = Outcome.STUCK, str(error)
        seconds = time.monotonic() - began
        if outcome is Outcome.PROMOTED:
            self._stable = self._version
        if outcome is Outcome.STUCK:
            await self._back_to_stable()
        if outcome is not Outcome.SUPERSEDED:
            await asyncio.sleep(BETWEEN_SECONDS)
        found = Rollout(
            kind=self.kind, move=move, version=self._version, outcome=outcome, message=message,
            seconds=seconds, tally=self.tally() - before,
        )  # fmt: skip
        self.say(f"{self.kind.name}: {move} {self._version}: {found}")
        return found

    async def _played(self, move: Move) -> tuple[Outcome, str]:
        if move is Move.RETRIED:
            await self._request("retry", rejected_revision(self.sight, self._version))
            return await self._ended(lambda sight: sight.phase != "Failed")
        if move is Move.UNDONE:
            return await self._undone()
        self._version = self._next(move)
        await self._ask_for(self._version)
        if move not in {Move.ABORTED, Move.SUPERSEDED, Move.REVERTED}:
            return await self._ended()
        await self._until(lambda sight: on_trial(sight, self._version), self.limit_seconds, f"{self._version} on trial")
        await asyncio.sleep(ON_TRIAL_SECONDS)
        if move is Move.SUPERSEDED:
            return Outcome.SUPERSEDED, self.sight.message
        if move is Move.ABORTED:
            await self._request("abort", candidate_revision(self.sight))
            return await self._ended()
        await self._back_to_stable()
        return Outcome.REVERTED, self.sight.message

    async def _ended(self, begun: Callable[[Sight], bool] = lambda _: True) -> tuple[Outcome, str]:
        """
        Wait for the version's end; `begun` says that the status is not that of an earlier end any more.
        """
        await self._until(begun, ANSWER_SECONDS, f"{self._version} begun")
        sight = await self._until(
            lambda sight: outcome_of(sight, self._version) is not None,
            self.limit_seconds,
            f"the end of {self._version}",
        )
        return outcome_of(sight, self._version) or Outcome.STUCK, _why(sight, self._version)

    async def _undone(self) -> tuple[Outcome, str]:
        """
        The version that served before is brought back as soon as the operator says that it is kept.
        """
        sight = await self._until(lambda sight: kept_revision(sight) is not None, ANSWER_SECONDS, "a kept revision")
        revision, version = kept_revision(sight) or ("", "")
        await self._request("undo", revision)
        sight = await self._until(lambda sight: alone(sight, version), self.limit_seconds, f"{version} brought back")
        self._stable = version
        return Outcome.UNDONE, sight.message

    async def _back_to_stable(self) -> None:
        await self._ask_for(self._stable)
        await self._until(lambda sight: at_rest(sight, self._stable), DEPLOY_SECONDS, f"{self._stable} alone again")

    async def _ask_for(self, version: str) -> None:
        text = manifest(self.kind, version, namespace=NAMESPACE, gateway=self.stage.gateway)
        await asyncio.to_thread(self.stage.kubectl, "-n", NAMESPACE, "apply", "-f", "-", text=text)

    async def _request(self, verb: str, revision: str | None) -> None:
        """
        Ask for something by annotation and wait for the answer.

        Raises:
            StageError: there is no such revision, or the request was refused.

        """
        if revision is None:
            raise StageError(f"{self.kind.name}: there is no revision to {verb}")
        action = f"{verb}-{self._version}"
        value = json.dumps({"id": action, "verb": verb, "revision": revision, "by": self.by})
        await asyncio.to_thread(
            self.stage.kubectl, "-n", NAMESPACE, "annotate", "--overwrite", "mmd", self.kind.name,
            f"modelramp.io/action={value}",
        )  # fmt: skip
        sight = await self._until(
            lambda sight: answer_to(sight, action) is not None, ANSWER_SECONDS, f"answer to {verb}"
        )
        outcome, message = answer_to(sight, action) or ("", "")
        if outcome != "Done":
            raise StageError(f"{verb} of {self._version}: {outcome}: {message}")

    async def _until(self, wanted: Callable[[Sight], bool], seconds: float, what: str) -> Sight:
        """
        Look until it is so; a line now and then says where the object is.

        Raises:
            StageError: it was not in time, or the looking broke.

        """
        end, told_at = time.monotonic() + seconds, time.monotonic()
        while not wanted(sight := self.sight):
            now = time.monotonic()
            if now > end:
                raise StageError(f"{self.kind.name}: waited {seconds:.0f} s for {what}: {sight.phase}: {sight.message}")
            if now - told_at > LINE_SECONDS:
                self.say(f"{self.kind.name}: waits for {what}: {self._progress(sight)}")
                told_at = now
            await asyncio.sleep(LOOK_SECONDS)
        return sight

    def _progress(self, sight: Sight) -> str:
        said = "; ".join(sight.verdicts) or sight.message
        share = f"{sight.wanted} wanted, {sight.observed} observed"
        return f"{sight.phase}, step {sight.step}, {share}, {self.tally().lost} lost; {said}"

    def _next(self, move: Move) -> str:
        self._number += 1
        return f"{self._number}{SUFFIXES.get(move, '')}"


def _why(sight: Sight, version: str) -> str:
    """
    What the status says about the version's end: the newest entry of its history, else its message.
    """
    entries = [entry for entry in sight.document.get("status", {}).get("history", []) if entry["version"] == version]
    return str(entries[-1]["message"]) if entries else sight.message
