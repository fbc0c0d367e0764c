"""
The small world: the real cycle on in-memory ports, in virtual time, with faults on request.

The status goes through its wire form and JSON on every write. Nothing sleeps.
"""

import asyncio
import json
import math
import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any

from scenarios.comparators import Comparators
from scenarios.parts import NEVER, Clients, Cluster, Gateway, MetricStore, Model, utc
from scenarios.servers import Servers

from modelramp.api.document import InvalidSpecError, MLModelDeployment, parse
from modelramp.api.spec import WarmUp
from modelramp.api.vocabulary import Phase
from modelramp.ports import Announcement, ConflictError, Document, Key, Owner, PortError
from modelramp.reconcile import cycle as shell
from modelramp.reconcile.cycle import Cycle
from modelramp.reconcile.execute import Hands
from modelramp.reconcile.observe import Eyes
from modelramp.rollout.decide import decide
from modelramp.rollout.observed import Observed, WarmUpReading
from modelramp.rollout.plan import Plan
from modelramp.rollout.rules import RULES, Rule

BEGIN = datetime(2026, 1, 1, tzinfo=UTC).timestamp()
KEY = Key("ml", "fraud")
SCRAPE_SECONDS = 5.0
SPINS = 20  # transitions at one instant; more is a loop


class Crash(Exception):  # noqa: N818 - not an error of anybody: the process is gone
    """
    The operator dies here.
    """


class Loop(AssertionError):  # noqa: N818 - a finding of the world about the operator
    """
    Transitions follow each other at one instant without an end.
    """


class Faults:
    """
    Nothing goes wrong; subclasses let things go wrong.
    """

    def at_write(self, _name: str, write: Callable[[], None]) -> None:
        """
        Carry out the write, or crash before or after it, or fail it, or lose its answer.
        """
        write()

    def loses_event(self) -> bool:
        """
        Whether the news of a change does not arrive.
        """
        return False

    def versions_behind(self) -> int:
        """
        How many versions old the object is that a cycle sees.
        """
        return 0


@dataclass(frozen=True, kw_only=True)
class Turn:
    """
    What one cycle decided and did.
    """

    at: float
    deployment: MLModelDeployment
    observed: Observed
    plan: Plan
    writes: tuple[str, ...]


def spec_of(version: str, **changes: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    """
    A spec with times short enough to read a transcript; `changes` replace whole sections.
    """
    return {
        "model": {"version": version},
        "serving": {
            "runtime": "mlserver",
            "replicas": 2,
            "template": {"spec": {"containers": [{"name": "model", "image": f"registry.example/fraud:{version}"}]}},
        },
        "traffic": {"gatewayAPI": {"parentRefs": [{"name": "gateway"}]}},
        "strategy": {
            "canary": {"blastRadius": "1%", "soak": "20s", "stepDeadline": "5m"},
            "progressDeadline": "60s",
            "scaleDownDelay": "10s",
        },
        "analysis": {
            "interval": "5s",
            "metrics": [{"preset": "errors"}],
            "overdispersion": "1",
            "guardrails": {"notReadyFor": "20s"},
        },
        **changes,
    }


@dataclass(kw_only=True)
class World:
    """
    A cluster with one object, an operator and users.
    """

    models: Mapping[str, Model]
    seed: int = 0
    requests_per_second: float = 50.0
    faults: Faults = field(default_factory=Faults)
    rules: tuple[Rule, ...] = RULES
    resync_seconds: float = NEVER
    cut_at: float = NEVER
    """No run goes beyond this instant."""
    now: float = BEGIN
    turns: list[Turn] = field(default_factory=list)
    announced: list[Announcement] = field(default_factory=list)
    watchers: list[Callable[[Turn], None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """
        Nothing exists yet.
        """
        self.cluster = Cluster(write=self.write, models=self.models, name=KEY.name, now=self.now)
        self.gateway = Gateway(write=self.write, now=self.now)
        self.store = MetricStore(name=KEY.name)
        self.clients = Clients(
            requests_per_second=self.requests_per_second,
            seed=self.seed,
            cluster=self.cluster,
            gateway=self.gateway,
            store=self.store,
        )
        self.comparators = Comparators(
            write=self.write,
            cluster=self.cluster,
            name=KEY.name,
            random=random.Random(self.seed + 2),
            now=self.now,
        )
        self.clients.comparators, self.store.comparators = self.comparators, self.comparators.store
        self.answers: list[WarmUpReading] = []
        """What the next warm-up and smoke requests come to; empty: all are answered, and fast."""
        self.servers: Servers | None = None
        self.versions: list[Document] = []
        self.wake_at: float = NEVER
        self.script: list[tuple[float, Callable[[], None]]] = []
        self._writes: list[str] = []
        self._parsed: tuple[Document, MLModelDeployment] | None = None
        self._decided: tuple[MLModelDeployment, Observed, Plan] | None = None
        self._next_scrape = self.now + SCRAPE_SECONDS
        self._next_resync = self.now + self.resync_seconds
        self._start()

    def _start(self) -> None:
        """
        The operator's process starts: nothing it knew is left.
        """
        eyes = Eyes(
            workloads=self.cluster,
            routes=self.gateway,
            comparators=self.comparators,
            metrics=self.store,
            warm_ups=self,
        )
        hands = Hands(workloads=self.cluster, routes=self.gateway, comparators=self.comparators)
        self.cycle = Cycle(deployments=self, eyes=eyes, hands=hands, events=self, clock=_Clock(self))

    def restart(self) -> None:
        """
        Another process of the operator; it uses the ports as they are now.
        """
        self._start()

    def scrape_servers(self, **tenants: float) -> None:
        """
        The model servers are scraped too; their requests come from these tenants, by share.
        """
        self.servers = Servers(cluster=self.cluster, random=random.Random(self.seed + 1), tenants=tenants or {"all": 1})
        self.clients.servers, self.store.servers = self.servers, self.servers.store

    # -- what users and other programs do

    def apply(self, spec: Mapping[str, Any] | None = None, annotations: Mapping[str, str] | None = None) -> None:
        """
        `kubectl apply`: a new generation when the spec changed.
        """
        old = self.versions[-1] if self.versions else {"metadata": {"generation": 0}, "spec": None}
        wanted = old["spec"] if spec is None else spec
        meta = {
            "namespace": KEY.namespace,
            "name": KEY.name,
            "uid": "uid-1",
            "generation": old["metadata"]["generation"] + (wanted != old["spec"]),
            "annotations": {**old["metadata"].get("annotations", {}), **(annotations or {})},
        }
        self._store({"metadata": meta, "spec": wanted, "status": old.get("status", {})})
        self.hear()

    def at(self, seconds: float, action: Callable[[], None]) -> None:
        """
        Let something happen so many seconds after the beginning.
        """
        self.script.append((BEGIN + seconds, action))
        self.script.sort(key=lambda entry: entry[0])

    def hear(self) -> None:
        """
        News wake the operator, unless they are lost.
        """
        if not self.faults.loses_event():
            self.wake_at = self.now

    @property
    def status(self) -> Mapping[str, Any]:
        """
        The object's status as stored.
        """
        return self.versions[-1].get("status", {})

    @property
    def deployment(self) -> MLModelDeployment:
        """
        The object as it is.
        """
        if self._parsed is None or self._parsed[0] is not self.versions[-1]:
            self._parsed = self.versions[-1], parse(self.versions[-1])
        return self._parsed[1]

    @property
    def phase(self) -> Phase:
        """
        Its phase.
        """
        return self.deployment.status.phase

    # -- ports

    def write(self, name: str, change: Callable[[], None]) -> None:
        """
        Every write of the operator passes here, the memory's included.
        """

        def noted() -> None:
            change()
            self._writes.append(name)

        self.faults.at_write(name, noted)

    def known(self, _key: Key) -> Document | None:
        """
        The object as last heard of.
        """
        behind = min(self.faults.versions_behind(), len(self.versions) - 1)
        return self.versions[-1 - behind]

    async def read(self, _key: Key) -> Document | None:
        """
        The object now.
        """
        return self.versions[-1]

    async def commit(self, document: Document, status: Document) -> Document:
        """
        Write the status, if the object is the one of the document.
        """
        if document["metadata"]["resourceVersion"] != self.versions[-1]["metadata"]["resourceVersion"]:
            raise ConflictError("the object has changed")
        stored = json.loads(json.dumps(status))
        self.write("Status", lambda: self._store({**self.versions[-1], "status": stored}))
        return self.versions[-1]

    async def announce(self, _owner: Owner, announcement: Announcement) -> None:
        """
        Keep the Event.
        """
        self.announced.append(announcement)

    async def send(self, _key: Key, _revision: str, warm_up: WarmUp) -> WarmUpReading:
        """
        They go as the world says, and else they succeed.
        """
        if self.answers:
            return self.answers.pop(0)
        return WarmUpReading(sent=warm_up.requests, failed=0, p95_seconds=0.05)

    def _store(self, document: dict[str, Any]) -> None:
        document["metadata"] = {**document["metadata"], "resourceVersion": str(len(self.versions) + 1)}
        self.versions.append(json.loads(json.dumps(document)))

    # -- time

    def run(self, seconds: float, *, until: Callable[["World"], bool] | None = None) -> None:
        """
        Let so many seconds pass, or less if `until` comes true after a cycle, or nothing would ever happen again.
        """
        end, loop = min(self.now + seconds, self.cut_at), asyncio.new_event_loop()
        try:
            while self.now < end and not (until is not None and self.turns and until(self)):
                self._pass_time(min(self._next_event(), end))
                self._run_due_cycles(loop)
                if self._over():
                    return
        finally:
            loop.close()

    def _over(self) -> bool:
        known = (*self.cluster.turning_points(), *self.comparators.turning_points(), self.gateway.accepts_at)
        points = [at for at in known if self.now < at < NEVER]
        return self.wake_at == NEVER and self._next_resync == NEVER and not self.script and not points

    def _next_event(self) -> float:
        own = [self.wake_at, self._next_scrape, self._next_resync, self.gateway.accepts_at]
        own += [at for at, _ in self.script[:1]]
        own += [at for at in (*self.cluster.turning_points(), *self.comparators.turning_points()) if at > self.now]
        return max(self.now, min(own))

    def _seen(self) -> tuple[object, ...]:
        """
        What the operator would hear of, if it changed.
        """
        return self.cluster.arms(KEY), self.gateway.state(KEY), self.comparators.comparators(KEY)

    def _pass_time(self, to: float) -> None:
        self.clients.ask(self.now, to)
        before = self._seen()
        self.now = self.comparators.now = to
        self.cluster.advance(to)
        self.gateway.advance(to)
        if to >= self._next_scrape:
            self.store.scrape(to)
            if self.servers is not None and self.store.up:
                self.servers.scrape(to)
            if self.store.up:
                self.comparators.scrape(to)
            self._next_scrape += SCRAPE_SECONDS
        if self._seen() != before:
            self.hear()
        while self.script and self.script[0][0] <= to:
            self.script.pop(0)[1]()
        if to >= self._next_resync:
            self._next_resync, self.wake_at = to + self.resync_seconds, min(self.wake_at, to)

    def _run_due_cycles(self, loop: asyncio.AbstractEventLoop) -> None:
        spins = 0
        while self.wake_at <= self.now:
            spins += 1
            if spins > SPINS:
                raise Loop(f"{spins} cycles at one instant: {self.turns[-1].plan.because}")
            self.wake_at = self._one(loop)

    def _one(self, loop: asyncio.AbstractEventLoop) -> float:
        """
        One cycle; when to look again. Errors are retried after a second, as the queue does; a crash costs two.
        """
        self._decided, self._writes = None, []
        heard = self.wake_at = NEVER
        try:
            with self._watched_decision():
                wake_at = loop.run_until_complete(self.cycle(KEY))
            again = NEVER if wake_at is None else max(math.ceil(wake_at.timestamp()), self.now)
        except PortError:
            again = self.now + 1
        except Crash:
            self._start()
            again = self.now + 2
        heard = self.wake_at
        if self._decided is not None:
            deployment, observed, plan = self._decided
            turn = Turn(at=self.now, deployment=deployment, observed=observed, plan=plan, writes=tuple(self._writes))
            self.turns.append(turn)
            for watch in self.watchers:
                watch(turn)
        return min(again, heard)

    @contextmanager
    def _watched_decision(self) -> Iterator[None]:
        """
        The cycle decides by this world's table, and what it decided can be seen.
        """

        def watched(deployment: MLModelDeployment, observed: Observed, now: datetime) -> Plan:
            plan = partial(decide, rules=self.rules)(deployment, observed, now)
            self._decided = (deployment, observed, plan)
            return plan

        kept, shell.decide = shell.decide, watched
        try:
            yield
        finally:
            shell.decide = kept


@dataclass(frozen=True)
class _Clock:
    world: World

    def now(self) -> datetime:
        """
        The virtual time.
        """
        return utc(self.world.now)


__all__ = ["BEGIN", "KEY", "Crash", "Faults", "InvalidSpecError", "Model", "Turn", "World", "spec_of"]
