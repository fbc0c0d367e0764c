"""
The comparator in the small world: a pod that needs time, asks stable and the candidate the same, and counts.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from fakes.metrics import FakeMetrics, Page
from scenarios.parts import NEVER, Cluster, Write

from modelramp.api.names import comparator_name
from modelramp.ports import Key, Owner
from modelramp.rollout.observed import Comparator
from modelramp.rollout.plan import DeleteComparator, EnsureComparator

NOISE = 0.01  # of stable's answers differ when it is asked the same twice
PAIRS = "modelramp_comparator_pairs_total"


@dataclass(kw_only=True)
class Running:
    """
    One comparator.
    """

    effect: EnsureComparator
    ready_at: float
    number: int


@dataclass(kw_only=True)
class Comparators:
    """
    The port of comparators.
    """

    write: Write
    cluster: Cluster
    name: str
    random: random.Random
    available: bool = True
    ready_after: float = 3.0
    """Seconds from a comparator's creation; `NEVER`: none gets ready."""
    down: tuple[float, float] = (NEVER, NEVER)
    """Between these instants none is ready."""
    now: float = 0.0
    store: FakeMetrics = field(default_factory=FakeMetrics)
    running: dict[str, Running] = field(default_factory=dict)
    made: int = 0
    asked_in_vain: int = 0
    """Copies that were sent to a comparator without a ready endpoint."""

    def comparators(self, _key: Key) -> Mapping[str, Comparator]:
        """
        As they are.
        """
        return {
            revision: Comparator(ready=int(self.is_ready(revision)), hash=one.effect.hash)
            for revision, one in self.running.items()
        }

    def is_ready(self, revision: str) -> bool:
        """
        It has a ready endpoint.
        """
        one = self.running.get(revision)
        return one is not None and self.now >= one.ready_at and not self.down[0] <= self.now < self.down[1]

    async def ensure(self, _owner: Owner, effect: EnsureComparator) -> None:
        """
        Create or change it; a changed one answers as before meanwhile.
        """

        def change() -> None:
            known = self.running.get(effect.revision)
            self.made += 1
            ready_at = self.now + self.ready_after if known is None else known.ready_at
            self.running[effect.revision] = Running(effect=effect, ready_at=ready_at, number=self.made)

        self.write(f"Compare({effect.revision} with {effect.stable} as {effect.compare.comparison})", change)

    async def delete(self, _owner: Owner, effect: DeleteComparator) -> None:
        """
        Remove it.
        """
        self.write(f"DropComparator({effect.revision})", lambda: self.running.pop(effect.revision, None) and None)

    def ask(self, revision: str, number: int, failing: float) -> None:
        """
        So many copies arrive; `failing` is the probability of an answer of the candidate's that is none.
        """
        if not self.is_ready(revision):
            self.asked_in_vain += number
            return
        one = self.running[revision]
        model, control = self.cluster.workloads[revision].model, float(one.effect.compare.control.fraction)
        for _ in range(number):
            if self.random.random() < control:
                self._count(one, one.effect.stable, "disagree" if self.random.random() < NOISE else "agree")
            elif self.random.random() < failing:
                self._count(one, revision, "candidate_error")
            else:
                differs = self.random.random() < NOISE + model.disagrees
                self._count(one, revision, "disagree" if differs else "agree")

    def _count(self, one: Running, revision: str, outcome: str) -> None:
        for every in ("agree", "disagree", "candidate_error"):
            self._page(one).add(PAIRS, int(every == outcome), revision=revision, outcome=every)

    def _page(self, one: Running) -> Page:
        name = f"{comparator_name(self.name, one.effect.revision)}-5d9f8-{one.number}"
        return self.store.page(namespace="ml", pod=name, instance=f"{name}:9090", job="pods")

    def scrape(self, at: float) -> None:
        """
        Store the present values.
        """
        self.store.scrape(datetime.fromtimestamp(at, UTC))

    def turning_points(self) -> list[float]:
        """
        Instants at which something changes by itself.
        """
        return [*(one.ready_at for one in self.running.values()), *self.down]
