"""
The order of the shell is a safety property: no traffic returns to a rejected revision, whatever crashes or comes late.

The candidate gets its first share and keeps crashing. Between any two writes the operator may die, an answer may be
lost, its sickness may be overlooked, and the object may be read as it was some versions ago. The right order survives
all of it; each wrong one is caught.
"""

import asyncio
import random
from collections.abc import Iterator
from typing import Any

import pytest
from unit.reconcile.parts import KEY, Shell, revision_for

from modelramp.api.document import MLModelDeployment
from modelramp.ports import Document, Owner, PortError
from modelramp.reconcile.cycle import Cycle
from modelramp.reconcile.execute import execute
from modelramp.rollout.plan import Plan

RUNS = 500
DISTURBED = 5  # passes of a run; the share is given, taken away and then at risk
CALM = 60  # passes, 15 s each on average: without counters the drain waits for the request timeout of 60 s
SICK = "container m of pod p keeps crashing"
NEW, OLD = revision_for("2"), revision_for("1")


class Death(BaseException):
    """
    The process is gone: no handler of ours runs.
    """


class EffectsFirst(Cycle):
    """
    Wrong: what a framework does that writes the status a handler returned.
    """

    async def _commit(self, document: Document, deployment: MLModelDeployment, plan: Plan) -> None:
        owner = Owner(key=KEY, uid=deployment.uid)
        for effect in plan.effects:
            await execute(self.hands, owner, deployment.spec, effect)
        await super()._commit(document, deployment, plan)


class NoLiveRead(Cycle):
    """
    Wrong: a memory that has nothing to write is taken for fresh.
    """

    async def _commit(self, document: Document, deployment: MLModelDeployment, plan: Plan) -> None:
        if plan.status != deployment.status:
            await super()._commit(document, deployment, plan)


class NoFence(Cycle):
    """
    Wrong: the status is written whatever the object has become.
    """

    async def _commit(self, document: Document, deployment: MLModelDeployment, plan: Plan) -> None:
        live = await self.deployments.read(KEY)
        assert live is not None
        await super()._commit({**document, "metadata": live["metadata"]}, deployment, plan)


class Run:
    """
    One rollout of a bad candidate, disturbed at random.
    """

    def __init__(self, seed: int, cycle_type: type[Cycle], *, crashes: float = 0.2, stale: float = 0.2) -> None:
        self.random = random.Random(seed)
        self.crashes, self.stale = crashes, stale
        self.shell = Shell(cycle_type=cycle_type).enters_first_step()
        self.versions: list[Document] = []
        self.shares: list[float] = []
        cluster = self.shell.cluster
        cluster.before_write = cluster.after_write = self._disturb
        self._known = cluster.deployments.known
        cluster.deployments.known = self._late  # type: ignore[method-assign]

    def _disturb(self, what: str) -> None:
        self.shares.append(self.shell.share)
        chance = self.random.random()
        if chance < self.crashes / 2:
            raise Death(what)
        if chance < self.crashes * 0.6:
            raise PortError("an outage, or a lost answer")

    def _late(self, key: Any) -> Document | None:  # noqa: ANN401 - a Key
        live = self.shell.cluster.documents[key]
        if not self.versions or self.versions[-1] != live:
            self.versions.append(live)
        behind = self.random.randint(1, 3) if self.random.random() < self.stale else 0
        return self.versions[max(0, len(self.versions) - 1 - behind)]

    def go(self, loop: asyncio.AbstractEventLoop, passes: int = DISTURBED) -> "Run":
        """
        So many disturbed passes; the candidate falls sick once it has its share, and is not always seen to be.
        """
        for _ in range(passes):
            has_share = self.shell.share > 0
            self._step(loop, sick=has_share or (bool(self.shares) and self.random.random() < 0.3))
        return self

    def settle(self, loop: asyncio.AbstractEventLoop) -> "Run":
        """
        Nothing is disturbed any more.
        """
        self.crashes = self.stale = 0.0
        for _ in range(CALM):
            self.shell.cluster.settle(KEY)
            self._step(loop, sick=True)
        return self

    def _step(self, loop: asyncio.AbstractEventLoop, *, sick: bool) -> None:
        cluster = self.shell.cluster
        if NEW in cluster.revisions[KEY]:
            cluster.ail(KEY, NEW, crash_looping=SICK if sick else None)
        try:
            loop.run_until_complete(self.shell.cycle(KEY))
        except Death:
            self.shell.restart()
        except PortError:
            pass
        self.shares.append(self.shell.share)
        cluster.accept(KEY)
        self.shell.clock.pass_seconds(self.random.choice((1, 5, 40)))

    @property
    def returned(self) -> bool:
        """
        The candidate got traffic after it had been taken away.
        """
        had = [share > 0 for share in self.shares]
        taken = next((at for at in range(1, len(had)) if had[at - 1] and not had[at]), len(had))
        return any(had[taken:])


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """
    One loop for all runs: nothing in them waits.
    """
    found = asyncio.new_event_loop()
    yield found
    found.close()


def test_no_traffic_returns_to_a_rejected_revision(loop: asyncio.AbstractEventLoop) -> None:
    """
    In none of the runs, though the candidate had traffic, and lost it, in most of them.
    """
    runs = [Run(seed, Cycle).go(loop) for seed in range(RUNS)]
    assert [seed for seed, run in enumerate(runs) if run.returned] == []
    assert sum(5 in run.shares and run.shares[-1] == 0 for run in runs) > RUNS / 2


def test_every_disturbed_rollout_ends_as_an_undisturbed_one(loop: asyncio.AbstractEventLoop) -> None:
    """
    The candidate is rejected and gone, stable serves everything.
    """
    for seed in range(20):
        shell = Run(seed, Cycle).go(loop).settle(loop).shell
        assert (shell.status["phase"], shell.share) == ("Failed", 0)
        assert list(shell.cluster.revisions[KEY]) == [OLD]


@pytest.mark.parametrize(
    ("wrong", "crashes", "stale"),
    [(EffectsFirst, 0.2, 0.0), (NoFence, 0.0, 0.2), (NoLiveRead, 0.0, 0.2)],
    ids=lambda value: value.__name__ if isinstance(value, type) else str(value),
)
def test_each_wrong_order_is_caught(
    wrong: type[Cycle], crashes: float, stale: float, loop: asyncio.AbstractEventLoop
) -> None:
    """
    Otherwise the test above could not fail.
    """
    caught = (seed for seed in range(RUNS) if Run(seed, wrong, crashes=crashes, stale=stale).go(loop).returned)
    assert next(caught, None) is not None


def test_the_wrong_order_is_harmless_while_nothing_goes_wrong(loop: asyncio.AbstractEventLoop) -> None:
    """
    So it is the disturbance that tells, not the world of this test.
    """
    runs = [Run(seed, EffectsFirst, crashes=0.0, stale=0.0).go(loop) for seed in range(20)]
    assert not any(run.returned for run in runs)
