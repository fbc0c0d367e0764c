"""Two stores of different phases take turns over one truth, at random: nothing is ever counted twice."""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from modelramp.analysis import Counts, Series, Totals, Wealth, Window, margins
from modelramp.analysis.stores import UNKNOWN_STORE
from modelramp.analysis.tailplan import JudgedEdge, TailPlan
from modelramp.api.spec import Prometheus
from modelramp.ports import PodTimes, SamplesQuestion
from modelramp.reconcile.observe import _Asker
from modelramp.rollout.account import Account
from modelramp.rollout.counters import ArmSelectors, BucketSelectors, Selectors
from modelramp.rollout.needs import LOOK_BACK
from modelramp.rollout.observed import AnotherStore, Measured, Reading
from modelramp.rollout.opening import Opening, PhiSource
from modelramp.rollout.questions import CounterQuestion

SCRAPE_MILLISECONDS = 15_000
LOOKS = 16
EVERY = 15
BEGIN = 3_000_000.0  # unix seconds
END = BEGIN + LOOKS * EVERY
WEIGHTS = [1 << number for number in reversed(range(50))]  # sums of them are whole numbers as floats, too
BEGUN_BEFORE = 90.0  # seconds of scrapes before the first block
WEALTH, LIMITS = Wealth(0.5, 0.01, 0.005), margins(0.01, 0.25)
RATE = Opening(phi=1.0, source=PhiSource.GIVEN)
DURATIONS = Opening(phi=1.0, source=PhiSource.GIVEN, plan=TailPlan((JudgedEdge(0.25),), (JudgedEdge(0.25),)))
KINDS: dict[str, tuple[Opening, Selectors, Selectors]] = {
    "errors": (RATE, ArmSelectors(total="c n", bad="c x"), ArmSelectors(total="s n", bad="s x")),
    "latency": (DURATIONS, BucketSelectors(buckets="c le", factor=1.0), BucketSelectors(buckets="s le", factor=1.0)),
}


@dataclass
class Pod:
    """
    What truly happened: requests as (instant, weight, whether bad) in order, restarts, and when it was created.

    The weights of an arm's requests are different powers of two, so that every sum of them tells which are in it. Later
    ones are smaller: a restart cannot be missed, as the new counters never reach the old.
    """

    name: str
    created: float
    requests: list[tuple[float, int, bool]]
    restarts: list[float]

    def counters(self, at: float) -> tuple[int, int]:
        """Requests and bad ones since the last restart."""
        return self.between(max((one for one in self.restarts if one <= at), default=0.0), at)

    def between(self, left: float, right: float) -> tuple[int, int]:
        """Requests and bad ones in (left, right]."""
        inside = [(weight, bad) for at, weight, bad in self.requests if left < at <= right]
        return sum(weight for weight, _ in inside), sum(weight for weight, bad in inside if bad)


@dataclass
class Replica:
    """A store: when it scraped each pod."""

    scrapes: dict[str, list[float]] = field(default_factory=dict)


@dataclass
class Both:
    """The metric source: what the replica whose turn it is has of an arm, as counters or as buckets of a histogram."""

    pods: Sequence[Pod]
    turns: dict[str, Replica] = field(default_factory=dict)

    async def samples(self, _namespace: str, _source: Prometheus, question: SamplesQuestion) -> tuple[Series, ...]:
        arm, kind = question.selector.split()
        begin, end, found = question.since.timestamp(), question.until.timestamp(), []
        for pod in (one for one in self.pods if one.name.startswith(arm)):
            shown = [(at, *pod.counters(at)) for at in self.turns[arm].scrapes[pod.name] if begin < at <= end]
            bad = [(at, float(x)) for at, _, x in shown if x]  # error series appear with the first error
            total, fast = [(at, float(n)) for at, n, _ in shown], [(at, float(n - x)) for at, n, x in shown]
            series = {"n": {"n": total}, "x": {"x": bad}, "le": {"0.25": fast, "+Inf": total}}[kind]
            labels = {"instance": f"{pod.name}:80", "pod": pod.name}
            found += [Series({**labels, "le": name}, tuple(ones)) for name, ones in series.items() if ones]
        return tuple(found)


@dataclass
class World:
    """Three pods, two replicas, and who answers each look about either arm."""

    pods: list[Pod]
    replicas: tuple[Replica, Replica]
    turns: list[tuple[int, int]]


def pod_of(rng: random.Random, name: str, *, eventful: bool) -> Pod:
    """Draw one: the candidate's second comes late, and some restart, if anything happens at all."""
    created = BEGIN + rng.uniform(30, 120) if eventful and name == "c2" else BEGIN - 1000
    begin = max(created, BEGIN - BEGUN_BEFORE)
    weights = WEIGHTS[len(WEIGHTS) // 2 :] if name == "c2" else WEIGHTS[: len(WEIGHTS) // 2]
    requests = [(at, weight, rng.random() < 0.4) for at, weight in zip(_instants(rng, begin), weights, strict=True)]
    restarts = [rng.uniform(begin + 20, END) for _ in range(rng.randint(0, 2))] if eventful else []
    return Pod(name, created, requests, sorted(restarts))


def _instants(rng: random.Random, begin: float) -> list[float]:
    return sorted(rng.uniform(begin, END) for _ in range(len(WEIGHTS) // 2))


def world_of(seed: int, flips: float, *, eventful: bool) -> World:
    """
    Draw a world: every page has phases of its own at each replica, and a tenth of the scrapes fail.

    The arms' questions may be answered by different ones. Without events they are not, no pod comes or restarts, and
    every scrape succeeds.
    """
    rng = random.Random(seed)
    pods = [pod_of(rng, name, eventful=eventful) for name in ("c1", "c2", "s1")]
    phases = iter(rng.sample(range(SCRAPE_MILLISECONDS), 2 * len(pods)))
    replicas = Replica(), Replica()
    for replica in replicas:
        for pod in pods:
            phase = next(phases)
            instants = range(round(1000 * (BEGIN - BEGUN_BEFORE)) + phase, round(1000 * END), SCRAPE_MILLISECONDS)
            replica.scrapes[pod.name] = [
                at / 1000 for at in instants if at / 1000 > pod.created and not (eventful and rng.random() < 0.1)
            ]
    mine, theirs = _turns(rng, flips), _turns(rng, flips)
    together = not eventful or rng.random() < 0.5
    return World(pods, replicas, list(zip(mine, mine if together else theirs, strict=True)))


def _turns(rng: random.Random, flips: float) -> list[int]:
    turns = [rng.randint(0, 1)]
    while len(turns) < LOOKS:
        turns.append(1 - turns[-1] if rng.random() < flips else turns[-1])
    return turns


def at(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


async def look(source: Both, metric: str, account: Account, until: float) -> Reading:
    """Ask what the operator would."""
    _, candidate, stable = KINDS[metric]
    after = account.counted_until
    assert after is not None
    window = Window(since=after - LOOK_BACK, after=after, until=at(until))
    question = CounterQuestion(name=metric, candidate=candidate, stable=stable, window=window, store=account.store)
    # Kubernetes cuts instants to whole seconds
    times = PodTimes(
        born={pod.name: float(int(pod.created)) for pod in source.pods},
        started={pod.name: tuple(float(int(one)) for one in pod.restarts) for pod in source.pods},
    )
    reading = await _Asker(source, "ml", Prometheus()).reading(question, times)
    assert reading is not None
    return reading


def remembered(account: Account, reading: Reading) -> Account:
    """Remember it as the operator does, through JSON."""
    if isinstance(reading, AnotherStore):
        account = account.leave_out(reading.until, reading.store)
    if isinstance(reading, Measured):
        counted = account.observe(reading.block, {}, LIMITS, WEALTH)
        account = counted.told_by(reading.store, reading.block.end)
    return Account.from_state(account.to_state())


def read(world: World, metric: str, *, knows: bool = True) -> tuple[Account, list[Reading]]:
    """All looks of a rollout; one that does not know of stores forgets each."""

    async def looks() -> tuple[Account, list[Reading]]:
        source, account, readings = Both(world.pods), Account.open(KINDS[metric][0], WEALTH), []
        account = account.skip_until(at(BEGIN))
        for number, (mine, theirs) in enumerate(world.turns):
            source.turns = {"c": world.replicas[mine], "s": world.replicas[theirs]}
            readings.append(await look(source, metric, account, BEGIN + EVERY * (number + 1)))
            account = remembered(account, readings[-1])
            account = account if knows else replace(account, store=UNKNOWN_STORE)
        return account, readings

    return asyncio.run(looks())


METRICS = st.sampled_from(sorted(KINDS))


@settings(max_examples=120, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([0.1, 0.3, 0.5, 0.8]), METRICS)
def test_no_request_is_ever_counted_twice(seed: int, flips: float, metric: str) -> None:
    """With pods that come, restart and are not scraped at times, and where an arm flips alone, too."""
    _, readings = read(world_of(seed, flips, eventful=True), metric)
    blocks = [reading.block for reading in readings if isinstance(reading, Measured)]
    for arm in ("candidate", "stable"):
        found = [getattr(block, arm) for block in blocks]
        for kind in (
            [one.n for one in found],
            [(one if isinstance(one, Counts) else one.counts(0.25)).x for one in found],
        ):
            counted = 0
            for one in map(int, kind):
                assert counted & one == 0
                counted |= one


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([0.0, 0.3, 0.5, 1.0]))
def test_what_is_counted_is_what_one_store_saw_and_each_flip_is_said(seed: int, flips: float) -> None:
    """Every block but those after a flip, each with all that its store saw to be new in it."""
    world = world_of(seed, flips, eventful=False)
    account, readings = read(world, "errors")
    before = [world.turns[0], *world.turns]
    expected = Totals()
    for number, reading in enumerate(readings):
        flipped = before[number] != world.turns[number]
        assert isinstance(reading, AnotherStore if flipped else Measured)
        if isinstance(reading, Measured):
            shown = [seen(pod, world.replicas[world.turns[number][0]], number) for pod in world.pods]
            mine = shown[0] + shown[1]
            assert (reading.block.candidate, reading.block.stable) == (mine, shown[2])
            expected = Totals(expected.candidate + mine, expected.stable + shown[2])
    assert account.totals == expected
    if flips == 1.0:
        assert [type(one) for one in readings[1:]] == [AnotherStore] * (LOOKS - 1)


def seen(pod: Pod, replica: Replica, number: int) -> Counts:
    """What a replica saw to be new of a pod between two looks."""
    total = Counts()
    for left, right in pairwise(replica.scrapes[pod.name]):
        if number * EVERY < right - BEGIN <= (number + 1) * EVERY:
            total += Counts(*pod.between(left, right))
    return total


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), METRICS)
def test_one_store_that_answers_every_look_is_never_taken_for_two(seed: int, metric: str) -> None:
    """Whatever happens to its pods and scrapes: it is read as if nobody knew of stores."""
    world = world_of(seed, 0.0, eventful=True)
    account, readings = read(world, metric)
    assert account.store.since == 0
    unknowing, others = read(world, metric, knows=False)
    assert [told(one) for one in readings] == [told(one) for one in others]
    assert account.metric == unknowing.metric


def told(reading: Reading) -> object:
    """A reading without who told it."""
    return replace(reading, store=UNKNOWN_STORE) if isinstance(reading, Measured) else reading
