"""Random exporters of histograms and tenants' counters, scraped imperfectly, read in any pieces: the sums are true."""

import json
import math
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise, product

from hypothesis import given, settings
from hypothesis import strategies as st

from modelramp.analysis import (
    ArmSeries,
    Block,
    Counted,
    Counts,
    Pods,
    Series,
    Window,
    count_block,
    increments,
    margins,
    wealth_schedule,
)
from modelramp.analysis.buckets import NoTails, TailAbsence, count_tails
from modelramp.analysis.histogram import Histogram
from modelramp.analysis.history import RateHistory, TailHistory
from modelramp.analysis.slices import SliceEvidence, slice_blocks
from modelramp.analysis.targets import find_targets
from modelramp.rollout.account import Account
from modelramp.rollout.opening import Opening, PhiSource

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
SCRAPE_SECONDS = 20
SCRAPES = 18
SPAN = SCRAPES * SCRAPE_SECONDS
LOOK_BACK = 300  # no pod below goes unscraped for as long
EDGES = ("250", "1000", "+Inf")  # milliseconds
# Between two scrapes: a restart one time in six, a scrape four times in five, and the calls by bucket.
TURNS = st.sampled_from(
    [
        (restart == 0, scrape > 0, load)
        for restart in range(6)
        for scrape in range(5)
        for load in product(range(5), range(3), range(2))
    ]
)


@dataclass
class Exporter:
    """A pod with one histogram as it really is, and what a metric store saw of it."""

    name: str
    instance: bool
    buckets: list[int] = field(default_factory=lambda: [0] * len(EDGES))
    seen: list[int] = field(default_factory=lambda: [0] * len(EDGES))
    total_when_seen: int = 0
    restarted_unseen: bool = False
    starts: list[float] = field(default_factory=list)
    samples: list[tuple[float, tuple[int, ...]]] = field(default_factory=list)
    truth: list[tuple[float, tuple[int, ...]]] = field(default_factory=list)

    def serve(self, load: tuple[int, ...]) -> None:
        """Count; a restart stays visible as long as the page's total is below what it was."""
        for place, number in enumerate(load):
            room = max(0, self.total_when_seen - 1 - sum(self.buckets)) if self.restarted_unseen else number
            self.buckets[place] += min(number, room)

    def restart(self, at: float) -> None:
        """Lose all counts and note the start, cut to whole seconds as Kubernetes does."""
        self.buckets, self.seen, self.restarted_unseen = [0] * len(EDGES), [0] * len(EDGES), True
        self.starts.append(float(int(at)))

    def scrape(self, at: float) -> None:
        """Show the buckets, and keep the books of what became visible by it; the first scrape is a baseline."""
        if self.samples:
            self.truth.append((at, tuple(now - old for now, old in zip(self.buckets, self.seen, strict=True))))
        self.samples.append((at, tuple(self.buckets)))
        self.seen, self.total_when_seen, self.restarted_unseen = list(self.buckets), sum(self.buckets), False

    def series(self, since: float, until: float) -> list[Series]:
        """Return the cumulative buckets that a range query over (since, until] finds."""
        place = {"pod": self.name} | ({"instance": f"{self.name}:80", "job": "models"} if self.instance else {})
        kept = [(at, buckets) for at, buckets in self.samples if since < at <= until]
        return [
            Series({**place, "le": edge}, [(at, float(sum(buckets[: number + 1]))) for at, buckets in kept])
            for number, edge in enumerate(EDGES)
            if kept
        ]

    def observed(self, after: float, until: float) -> Histogram:
        """Say what really happened, as far as a scrape in (after, until] showed it."""
        shown = [load for at, load in self.truth if after < at <= until]
        first, second, third = (float(sum(load[place] for load in shown)) for place in range(len(EDGES)))
        return Histogram((0.25, 1.0), (first, first + second), first + second + third)


@st.composite
def exporters(draw: st.DrawFn, name: str) -> Exporter:
    """Load, failed scrapes and restarts; scrapes fall on whole minutes too."""
    pod = Exporter(name, instance=draw(st.booleans()))
    offset = draw(st.sampled_from([0.0, 0.25, 7.5, 19.75]))
    for number, (restarts, scraped, load) in enumerate(draw(st.lists(TURNS, min_size=SCRAPES, max_size=SCRAPES))):
        now = number * SCRAPE_SECONDS + offset
        if restarts and pod.total_when_seen > 0 and not pod.restarted_unseen:
            pod.restart(now - SCRAPE_SECONDS / 2)
        pod.serve(load)
        if scraped or number in (0, SCRAPES - 1):
            pod.scrape(now)
    return pod


def stretch(after: float, until: float) -> Window:
    return Window(*(datetime.fromtimestamp(at, UTC) for at in (after - LOOK_BACK, after, until)))


def starts(*pods: Exporter) -> Pods:
    return Pods(started={pod.name: pod.starts for pod in pods})


@settings(max_examples=80, deadline=None)
@given(exporters("c"), exporters("s1"), exporters("s2"), st.sets(st.integers(1, SPAN - 1), max_size=6))
def test_buckets_add_up_to_the_true_histogram(
    candidate: Exporter, first: Exporter, second: Exporter, bounds: set[int]
) -> None:
    """However time is cut, with restarts and lost scrapes: each visible call counts once, in its bucket."""
    arms, known = ((candidate,), (first, second)), starts(candidate, first, second)
    for after, until in pairwise([0, *sorted(bounds), SPAN]):
        mine, theirs = ([one for pod in arm for one in pod.series(after - LOOK_BACK, until)] for arm in arms)
        found = count_tails(mine, theirs, stretch(after, until), factor=1e-3, pods=known)
        if isinstance(found, NoTails):
            assert found.reason is not TailAbsence.NOT_CUMULATIVE
            continue
        assert found.candidate == candidate.observed(after, until)
        assert found.stable == first.observed(after, until) + second.observed(after, until)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from("abc").flatmap(exporters), min_size=1, max_size=3, unique_by=lambda one: one.name),
       st.sets(st.integers(1, SPAN // 60 - 1)))  # fmt: skip
def test_a_past_is_the_same_in_whatever_stretches_it_is_read(pods: list[Exporter], cuts: set[int]) -> None:
    """Minute by minute, so its overdispersion and its plan are too; the minutes add up to the histogram."""
    bounds, known = [0, *(60 * cut for cut in sorted(cuts)), SPAN], starts(*pods)
    tails, rates = TailHistory(), RateHistory()
    whole_tails, whole_rates = TailHistory(), RateHistory()

    def read(tails: TailHistory, rates: RateHistory, after: int, until: int) -> tuple[TailHistory, RateHistory]:
        series = [one for pod in pods for one in pod.series(after - LOOK_BACK, until)]
        below = [one for one in series if one.labels["le"] == "250"]
        total = [one for one in series if one.labels["le"] == "+Inf"]
        window = stretch(after, until)
        return tails.before(series, window, pods=known), rates.before(ArmSeries(total, below), window, known)

    for after, until in reversed(list(pairwise(bounds))):
        tails, rates = read(tails, rates, after, until)
    whole_tails, whole_rates = read(whole_tails, whole_rates, 0, SPAN)
    assert tails == whole_tails
    assert rates == whole_rates
    assert rates.dispersion == whole_rates.dispersion
    assert tails.stable is not None
    for edge, rows in tails.rows.items():
        counted = [one for row in rows.values() for one in row if one is not None]
        n, x = (math.fsum(getattr(one, name) for one in counted) for name in ("n", "x"))
        assert Counts(n, x) == tails.stable.counts(edge)


# ---------------------------------------------------------------- slices

TENANTS = ("a", "b", "c")
loads = st.tuples(*(st.integers(0, 9) for _ in TENANTS))


@dataclass(frozen=True)
class Scraped:
    """One pod's requests and errors by tenant at each scrape; a tenant's series are born with its first one."""

    requests: tuple[tuple[int, ...], ...]
    errors: tuple[tuple[int, ...], ...]

    def arm(self, name: str) -> ArmSeries:
        """Two selectors' worth of series, beside one that is always there."""
        page = {"instance": f"{name}:80", "pod": name}
        always = Series({**page, "tenant": ""}, [(float(10 * at), 0.0) for at in range(len(self.requests) + 1)])
        total, bad = (
            [
                Series({**page, "tenant": tenant}, samples)
                for place, tenant in enumerate(TENANTS)
                if (samples := _running([load[place] for load in kind]))
            ]
            for kind in (self.requests, self.errors)
        )
        return ArmSeries([always, *total], bad)


def _running(growth: list[int]) -> list[tuple[float, float]]:
    sums = [sum(growth[: number + 1]) for number in range(len(growth))]
    return [(float(10 * number), float(value)) for number, value in enumerate(sums, start=1) if value]


@st.composite
def scraped(draw: st.DrawFn) -> Scraped:
    requests = tuple(draw(st.lists(loads, min_size=6, max_size=6)))
    shares = draw(st.lists(st.sampled_from([0, 0, 1, 2]), min_size=6, max_size=6))
    errors = tuple(tuple(min(n, share) for n in load) for load, share in zip(requests, shares, strict=True))
    return Scraped(requests, errors)


@settings(max_examples=60, deadline=None)
@given(scraped(), scraped(), st.sets(st.integers(1, 59), max_size=3))
def test_slices_add_up_to_their_metric(candidate: Scraped, stable: Scraped, bounds: set[int]) -> None:
    """Where they cover it, whatever was born when; and each slice is what its series grew by."""
    arms = (candidate.arm("c"), stable.arm("s"))
    for after, until in pairwise([0, *sorted(bounds), 60]):
        window = stretch(after, until)
        reading = count_block(*arms, window)
        if not isinstance(reading, Counted):
            continue
        found = slice_blocks(*arms, window, label="tenant", values=TENANTS)
        nothing = Block(window.after, window.until, Counts(), Counts())
        sums = [sum((getattr(block, arm) for block in found.values()), Counts()) for arm in ("candidate", "stable")]
        assert sums == [reading.block.candidate, reading.block.stable]
        targets = find_targets((*arms[0].total, *arms[0].bad, *arms[1].total, *arms[1].bad), window, Pods())
        for tenant in TENANTS:
            own = increments([one for one in arms[0].total if one.labels["tenant"] == tenant], window, targets)
            assert found.get(tenant, nothing).candidate.n == (own.total if own else 0.0)


def decoded(code: int) -> tuple[Counts, Counts]:
    """Spread a number below 160 000 over both arms' counts of up to 19 requests (one draw costs a quarter of four)."""
    (n, x), (n_stable, x_stable) = (divmod(arm, 20) for arm in divmod(code, 400))
    return Counts(float(n), float(min(n, x))), Counts(float(n_stable), float(min(n_stable, x_stable)))


pairs = st.integers(0, 159_999).map(decoded)
WEALTH = wealth_schedule(planned_blocks=40, later_steps=2)
STEP_MARGINS = margins(0.01, 0.25)


def blocks_of(drawn: list[tuple[tuple[Counts, Counts], dict[str, tuple[Counts, Counts]]]]) -> list[
    tuple[Block, dict[str, Block]]
]:  # fmt: skip
    """Give each pair of counts its quarter of a minute."""
    quarter = timedelta(seconds=15)
    return [
        (
            Block(NOON + number * quarter, NOON + (number + 1) * quarter, *whole),
            {
                value: Block(NOON + number * quarter, NOON + (number + 1) * quarter, *one)
                for value, one in parts.items()
            },
        )
        for number, (whole, parts) in enumerate(drawn)
    ]


def present(drawn: tuple[tuple[Counts, Counts] | None, ...]) -> dict[str, tuple[Counts, Counts]]:
    """Leave out the slices that nothing was counted of."""
    return {value: counts for value, counts in zip(TENANTS, drawn, strict=True) if counts is not None}


rollouts = st.lists(
    st.tuples(pairs, st.tuples(*(pairs | st.none() for _ in TENANTS)).map(present)), min_size=1, max_size=5
).map(blocks_of)


def opened(phi: float) -> Account:
    return Account.open(Opening(phi=phi, source=PhiSource.ESTIMATED, until=NOON), WEALTH, TENANTS[:2])


@settings(max_examples=30, deadline=None)
@given(rollouts, st.floats(1.0, 9.0), st.lists(st.integers(0, 5), max_size=4))
def test_a_replayed_block_counts_once_for_the_slices_too(
    blocks: list[tuple[Block, dict[str, Block]]], phi: float, again: list[int]
) -> None:
    """Whichever blocks come once more after any other, also from the stored form, nothing changes."""
    plain = replayed = opened(phi)
    for number, (block, parts) in enumerate(blocks):
        plain = plain.observe(block, parts, STEP_MARGINS, WEALTH)
        replayed = replayed.observe(block, parts, STEP_MARGINS, WEALTH)
        for old in again:
            if old <= number:
                replayed = Account.from_state(json.loads(json.dumps(replayed.to_state())))
                replayed = replayed.observe(*blocks[old], STEP_MARGINS, WEALTH)
    assert replayed == plain
    assert plain.slices is not None
    expected = sum((block.candidate for _, parts in blocks for value, block in parts.items() if value == "a"), Counts())
    assert plain.slices.accounts["a"][1].candidate == expected


@settings(max_examples=30, deadline=None)
@given(rollouts, st.floats(1.0, 9.0), st.integers(0, 6))
def test_a_slice_knows_nothing_of_the_others(
    blocks: list[tuple[Block, dict[str, Block]]], phi: float, step: int
) -> None:
    """Its evidence is that of its own blocks alone, over steps and through the stored form."""
    together, alone = SliceEvidence.begin(TENANTS, WEALTH, phi=phi), SliceEvidence.begin(("b",), WEALTH, phi=phi)
    for number, (_, parts) in enumerate(blocks):
        if number == step:
            together, alone = together.enter_step(WEALTH), alone.enter_step(WEALTH)
        together = together.observe(parts, STEP_MARGINS.harm, WEALTH)
        alone = alone.observe({value: one for value, one in parts.items() if value == "b"}, STEP_MARGINS.harm, WEALTH)
        alone = SliceEvidence.from_state(json.loads(json.dumps(alone.to_state())), phi=phi)
    assert together.accounts["b"] == alone.accounts["b"]
    assert SliceEvidence.from_state(json.loads(json.dumps(together.to_state())), phi=phi) == together
