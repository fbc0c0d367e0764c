"""Random histories of real pods, scraped imperfectly and cut into blocks anywhere: the sums are the truth."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import product

from hypothesis import given, settings
from hypothesis import strategies as st

from modelramp.analysis import ArmSeries, Counted, Counts, NoData, Pods, Series, Window, count_block

SCRAPE_SECONDS = 10
SCRAPES = 14
CODES = ("200", "500", "503")
# Between two scrapes: a restart one time in six, a scrape four times in five, and the load by code, each as likely as
# any other. One draw of them costs a fifth of five.
TURNS = st.sampled_from(
    [
        (restart == 0, scrape > 0, *load)
        for restart in range(6)
        for scrape in range(5)
        for load in product(range(10), range(3), range(2))
    ]
)


@dataclass
class Pod:
    """A pod as it really is, and what a metric store saw of it."""

    name: str
    created: float
    counters: dict[str, int] = field(default_factory=dict)
    seen: dict[str, int] = field(default_factory=dict)
    total_when_seen: int = 0
    restarted_unseen: bool = False
    starts: list[float] = field(default_factory=list)
    samples: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    requests: int = 0
    errors: int = 0

    @property
    def total(self) -> int:
        """All requests its counters hold."""
        return sum(self.counters.values())

    def restart(self, at: float) -> None:
        """Lose all counters and note the start, cut to whole seconds as Kubernetes does."""
        self.counters, self.seen, self.restarted_unseen = {}, {}, True
        self.starts.append(float(int(at)))

    def serve(self, code: str, number: int) -> None:
        """Count; a restart stays visible as long as the page's total is below what it was."""
        if self.restarted_unseen:
            number = max(0, min(number, self.total_when_seen - 1 - self.total))
        if number:
            self.counters[code] = self.counters.get(code, 0) + number

    def scrape(self, at: float) -> None:
        """Show every counter there is, and keep the books of what became visible."""
        self.requests += self.total - sum(self.seen.values())
        self.errors += sum(self.counters.get(code, 0) - self.seen.get(code, 0) for code in ("500", "503"))
        for code, value in self.counters.items():
            self.samples.setdefault(code, []).append((at, float(value)))
        self.samples.setdefault("total", []).append((at, float(self.total)))
        self.seen, self.total_when_seen, self.restarted_unseen = dict(self.counters), self.total, False

    def arm(self) -> tuple[list[Series], list[Series]]:
        """Split the samples as two selectors would: a total that is always there, errors that are born late."""
        labels = {"instance": f"{self.name}:80", "job": "models", "pod": self.name}
        series = {code: Series({**labels, "code": code}, tuple(ones)) for code, ones in self.samples.items()}
        return [series["total"]] if "total" in series else [], [series[c] for c in CODES[1:] if c in series]


@st.composite
def pods(draw: st.DrawFn, name: str) -> Pod:
    """A pod created before or during the rollout, with load, failed scrapes and restarts."""
    pod = Pod(name, created=draw(st.sampled_from([-5000.5, 3.5, 33.5])))
    offset = draw(st.integers(0, SCRAPE_SECONDS - 1)) + 0.25
    for number in range(SCRAPES):
        now = number * SCRAPE_SECONDS + offset
        if now <= pod.created:
            continue
        restarts, scraped, *load = draw(TURNS)
        if pod.total_when_seen > 0 and not pod.restarted_unseen and restarts:
            pod.restart(now - SCRAPE_SECONDS / 2)
        for code, requests in zip(CODES, load, strict=True):
            pod.serve(code, requests)
        if number == SCRAPES - 1 or scraped:
            pod.scrape(now)
            if pod.created < 0.0 and len(pod.samples["total"]) == 1:  # what it counted long ago is not part of this
                pod.requests, pod.errors = 0, 0
    return pod


def arm_of(members: list[Pod]) -> ArmSeries:
    total, bad = [], []
    for pod in members:
        one, other = pod.arm()
        total, bad = total + one, bad + other
    return ArmSeries(total, bad)


def cut(series: ArmSeries, since: float, until: float) -> ArmSeries:
    """Keep what a range query at ``until`` would have returned."""

    def kept(selected: list[Series]) -> list[Series]:
        cuts = (Series(one.labels, [s for s in one.samples if since < s[0] <= until]) for one in selected)
        return [one for one in cuts if one.samples]

    return ArmSeries(kept(list(series.total)), kept(list(series.bad)))


@settings(max_examples=120, deadline=None)
@given(
    st.lists(pods("c1"), min_size=1, max_size=1),
    st.tuples(pods("s1"), pods("s2")).map(list),
    st.sets(st.integers(1, (SCRAPES - 1) * SCRAPE_SECONDS), max_size=8),
)
def test_the_blocks_add_up_to_the_truth(candidate: list[Pod], stable: list[Pod], bounds: set[int]) -> None:
    """However time is cut, with restarts, lost scrapes and late errors: each visible event counts exactly once."""
    known = Pods(
        born={pod.name: pod.created for pod in (*candidate, *stable)},
        started={pod.name: pod.starts for pod in (*candidate, *stable)},
    )
    sums, after = [Counts(), Counts()], 0.0
    for until in (*sorted(bounds), SCRAPES * SCRAPE_SECONDS):
        window = Window(*(datetime.fromtimestamp(at, UTC) for at in (-300.0, after, until)))
        arms = (cut(arm_of(one), -300.0, until) for one in (candidate, stable))
        reading = count_block(*arms, window, known)
        if isinstance(reading, NoData):
            continue
        assert reading.resets_dropped == 0
        sums = [sums[0] + reading.block.candidate, sums[1] + reading.block.stable]
        after = until
    truth = [Counts(sum(p.requests for p in arm), sum(p.errors for p in arm)) for arm in (candidate, stable)]
    assert truth == sums


@settings(max_examples=60, deadline=None)
@given(pods("c1"), pods("s1"), st.integers(20, 120))
def test_without_start_times_nothing_is_invented(candidate: Pod, stable: Pod, until: int) -> None:
    """Restarts nobody vouches for are left out, of requests and errors alike, and reported."""
    window = Window(*(datetime.fromtimestamp(at, UTC) for at in (-300.0, 0.0, until)))
    arms = [cut(arm_of([pod]), -300.0, until) for pod in (candidate, stable)]
    births = Pods(born={pod.name: pod.created for pod in (candidate, stable)})
    reading = count_block(*arms, window, births)
    if isinstance(reading, Counted):
        assert reading.block.candidate.x <= reading.block.candidate.n <= candidate.requests
        assert reading.block.stable.x <= reading.block.stable.n <= stable.requests
        falls = sum(
            later[1] < earlier[1]
            for arm in arms
            for one in arm.total
            for earlier, later in zip(one.samples, one.samples[1:], strict=False)
        )
        assert falls == reading.resets_dropped
