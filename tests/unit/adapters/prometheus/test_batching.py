"""
Many questions as one: what comes back is what each would have got alone, and how often the source is asked.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from fakes.metrics import FakeMetrics
from fakes.natives import standard
from hypothesis import given, settings
from hypothesis import strategies as st
from unit.adapters.prometheus.servers import Seconds

from modelramp.adapters.prometheus import BatchingSource
from modelramp.adapters.prometheus import batching as batching_module
from modelramp.adapters.prometheus import groups as groups_module
from modelramp.adapters.prometheus.answer import QuestionError, TooLargeError
from modelramp.adapters.prometheus.kept import Answer
from modelramp.adapters.prometheus.shapes import Part, Shape
from modelramp.analysis import Series
from modelramp.api.scalars import Duration
from modelramp.api.spec import Prometheus
from modelramp.ports import DeniedError, PortError, RefusedError, SamplesQuestion, UnreachableError

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
INTERVAL = timedelta(seconds=15)
BACK = timedelta(minutes=5)
SUFFIX = "-[a-z0-9]+-[a-z0-9]+"
SPEC = Prometheus()
BEARER = Prometheus.model_validate({"auth": {"bearer": {"secretRef": {"name": "prom", "key": "token"}}}})


def total(service: str, namespace: str = "shop") -> str:
    """All requests of a workload, as `$arm` asks for them."""
    return f'requests_total{{path=~".*/infer",namespace="{namespace}",pod=~"{service}{SUFFIX}"}}'


def bad(service: str, namespace: str = "shop") -> str:
    """Its bad ones."""
    return total(service, namespace).replace("{", '{code=~"5..",', 1)


def pods(count: int) -> FakeMetrics:
    """A store with two pods each of so many workloads, scraped every 5 s for 10 minutes."""
    store = FakeMetrics()
    pages = [
        store.page(namespace="shop", pod=f"s{n}-abc-{p}", instance=f"s{n}-{p}") for n in range(count) for p in "xy"
    ]
    for second in range(-600, 121, 5):
        for number, page in enumerate(pages):
            page.add("requests_total", 1 + number, code="200", path="/v2/models/m/infer")
            page.add("requests_total", number % 2, code="503", path="/v2/models/m/infer")
        store.scrape(BEGIN + timedelta(seconds=second))
    return store


@dataclass
class Inner:
    """A store whose answers take a moment; `refuse` may raise for a question."""

    store: FakeMetrics
    refuse: Callable[[SamplesQuestion, int], None] = lambda _question, _found: None
    asked: list[tuple[str, SamplesQuestion]] = field(default_factory=list)
    wait: Callable[[], Awaitable[None]] = lambda: asyncio.sleep(0)

    async def samples(self, namespace: str, source: Prometheus, question: SamplesQuestion) -> tuple[Series, ...]:
        self.asked.append((namespace, question))
        await self.wait()
        found = await self.store.samples(namespace, source, question)
        self.refuse(question, len(found))
        return found

    def selectors(self) -> list[str]:
        """What was asked since the last time."""
        found = [question.selector for _, question in self.asked]
        self.asked.clear()
        return found


def batched(inner: Inner, clock: Seconds | None = None) -> BatchingSource:
    """Without waiting for others."""
    return BatchingSource(inner, monotonic=clock or Seconds(), collect_seconds=0)


def question(selector: str, until: datetime = BEGIN, back: timedelta = BACK) -> SamplesQuestion:
    """Up to an instant."""
    return SamplesQuestion(selector=selector, since=until - back, until=until)


async def look(
    source: BatchingSource, service: str, until: datetime, namespace: str = "shop"
) -> list[tuple[Series, ...]]:
    """One object's look at one metric."""
    asked = [question(text, until) for text in (total(service), bad(service))]
    return list(await asyncio.gather(*(source.samples(namespace, SPEC, one) for one in asked)))


async def alone(store: FakeMetrics, service: str, until: datetime) -> list[tuple[Series, ...]]:
    """The same without batches."""
    return [await store.samples("shop", SPEC, question(text, until)) for text in (total(service), bad(service))]


async def test_a_cycle_of_looks_one_after_the_other_is_one_fetch() -> None:
    """From the second instant on; everyone gets his own, and bad requests are found among all requests."""
    inner = Inner(pods(40))
    source = batched(inner)
    for number in range(40):
        await look(source, f"s{number}", BEGIN)
    assert inner.selectors() == [total(f"s{number}") for number in range(40)]
    for cycle in (1, 2, 3):
        until = BEGIN + cycle * INTERVAL
        for number in range(40):
            assert await look(source, f"s{number}", until) == await alone(inner.store, f"s{number}", until)
        assert len(inner.selectors()) == 1


async def test_native_histograms_are_kept_as_they_came() -> None:
    """One fetch for all pods from the second instant on, and to each his own samples, as far back as he asked."""
    store = FakeMetrics()
    pages = [store.page(namespace="shop", pod=f"s{n}-abc-x", instance=f"s{n}") for n in range(3)]
    for second in range(-600, 61, 15):
        for number, page in enumerate(pages):
            page.observe("call_seconds", 0.1 * (number + 1), 0.01 * (second + 601))
        store.scrape(BEGIN + timedelta(seconds=second))
    inner = Inner(store)
    source = batched(inner)
    for until in (BEGIN, BEGIN + INTERVAL, BEGIN + 2 * INTERVAL):
        inner.asked.clear()
        for number in range(3):
            asked = question(f'call_seconds{{namespace="shop",pod=~"s{number}{SUFFIX}"}}', until)
            found = await source.samples("shop", SPEC, asked)
            assert found == await store.samples("shop", SPEC, asked)
            assert len(found[0].histograms) == 20
    assert len(inner.asked) == 1
    shorter = question(f'call_seconds{{namespace="shop",pod=~"s1{SUFFIX}"}}', until, timedelta(seconds=20))
    assert await source.samples("shop", SPEC, shorter) == await store.samples("shop", SPEC, shorter)
    shape = Shape("call_seconds", frozenset(), (), None)
    assert Answer(shape, BEGIN, found).select(Part(shape, ()), until) == ()


def test_a_native_histogram_weighs_what_its_buckets_do() -> None:
    """Else memory would be kept for thousands of times what is meant."""
    shape = Shape("call_seconds", frozenset(), (), None)
    sizes = []
    for number in (1, 100):
        sample = standard(0.0, [2.0**power for power in range(number)])
        kept = Answer(shape, BEGIN, [Series({"__name__": "call_seconds"}, (), (sample,))])
        sizes.append((kept.samples, kept.size))
    (few, small), (many, large) = sizes
    assert (many - few, large - small) == (198, 99 * 56)
    assert few > 1


async def test_questions_that_nobody_expected_share_the_next_fetch() -> None:
    """After a restart of the operator: at most one fetch of a metric is under way."""
    released = asyncio.Event()

    async def wait() -> None:
        await released.wait()

    inner = Inner(pods(40), wait=wait)
    source = batched(inner)
    first = asyncio.create_task(look(source, "s0", BEGIN))
    await asyncio.sleep(0.01)
    others = [asyncio.create_task(look(source, f"s{number}", BEGIN)) for number in range(1, 40)]
    await asyncio.sleep(0.01)
    assert len(inner.asked) == 1
    released.set()
    assert await first == await alone(inner.store, "s0", BEGIN)
    for number, task in enumerate(others, 1):
        assert await task == await alone(inner.store, f"s{number}", BEGIN)
    assert len(inner.asked) == 2


async def test_a_question_nobody_shares_is_passed_on_as_it_was_written() -> None:
    """Character by character."""
    inner = Inner(pods(1))
    source = batched(inner)
    texts = [total("s0"), 'requests_total{ pod != "s0-abc-x" ,code="200"}', 'up{pod="s0-abc-x",pod="s0-abc-x"}', "up"]
    for text in texts:
        asked = question(text)
        assert await source.samples("shop", SPEC, asked) == await inner.store.samples("shop", SPEC, asked)
    assert [(("shop", question(text))) for text in texts] == inner.asked


async def test_who_stops_asking_is_no_longer_fetched() -> None:
    """After two rounds in vain."""
    inner = Inner(pods(3))
    source = batched(inner)
    for number in range(3):
        await look(source, f"s{number}", BEGIN)
    for cycle in range(1, 5):
        inner.asked.clear()
        for number in range(2):
            await look(source, f"s{number}", BEGIN + cycle * INTERVAL)
    assert ["s2" in text for text in inner.selectors()] == [False]


async def test_a_longer_look_back_is_fetched_for_whom_asks_it() -> None:
    """And never answered with less."""
    inner = Inner(pods(2))
    source = batched(inner)
    for until in (BEGIN, BEGIN + INTERVAL):
        for number in range(2):
            await look(source, f"s{number}", until)
    for back in (timedelta(minutes=5, seconds=7), timedelta(minutes=9), timedelta(seconds=3)):
        asked = question(total("s1"), BEGIN + INTERVAL, back)
        assert await source.samples("shop", SPEC, asked) == await inner.store.samples("shop", SPEC, asked)


@pytest.mark.parametrize("error", [UnreachableError("down"), DeniedError("no"), QuestionError("partial")])
async def test_a_failure_is_everybodys_and_asked_once(error: PortError) -> None:
    """No storm: it is asked again a second later, by all who still ask."""

    def refuse(_question: SamplesQuestion, _found: int) -> None:
        raise error

    inner, clock = Inner(pods(20)), Seconds()
    source = batched(inner, clock)
    for number in range(20):
        await look(source, f"s{number}", BEGIN)
    inner.asked.clear()
    inner.refuse = refuse
    for number in range(20):
        with pytest.raises(type(error), match=str(error)):
            await look(source, f"s{number}", BEGIN + INTERVAL)
    assert len(inner.selectors()) == 1
    inner.refuse, clock.now = (lambda _question, _found: None), clock.now + 1.1
    await asyncio.gather(*(look(source, f"s{number}", BEGIN + INTERVAL) for number in range(20)))
    assert len(inner.selectors()) <= 2


@pytest.mark.parametrize("error", [TooLargeError("too large"), RefusedError("a native histogram")])
async def test_one_who_spoils_a_batch_is_left_alone_with_it(error: PortError) -> None:
    """The others are answered in the same round, and in the next one he is not among them."""

    def refuse(asked: SamplesQuestion, _found: int) -> None:
        if re.search("[^a-z0-9]s13[^a-z0-9]", asked.selector):
            raise error

    inner = Inner(pods(32))
    source = batched(inner)
    for number in range(32):
        await look(source, f"s{number}", BEGIN)
    inner.refuse = refuse
    asked = []
    for cycle in (1, 2, 3, 4, 5):
        until = BEGIN + cycle * INTERVAL
        inner.asked.clear()
        for number in range(32):
            if number == 13:
                with pytest.raises(type(error), match=str(error)):
                    await look(source, f"s{number}", until)
            else:
                assert await look(source, f"s{number}", until) == await alone(inner.store, f"s{number}", until)
        asked.append(len(inner.selectors()))
    assert asked[0] <= 12
    assert asked[-1] <= 4


async def test_answers_larger_than_wanted_make_smaller_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """By what a member's part was so far."""
    monkeypatch.setattr(groups_module, "WANTED_BYTES", 30_000)
    inner = Inner(pods(40))
    source = batched(inner)
    for cycle in range(3):
        inner.asked.clear()
        for number in range(40):
            await look(source, f"s{number}", BEGIN + cycle * INTERVAL)
    sizes = [text.count("|") + 1 - bad("").count("|") for text in inner.selectors()]
    assert 4 < len(sizes) < 20
    assert sum(sizes) == 40


async def test_who_joins_a_fetch_gets_all_that_he_asks_for() -> None:
    """Also where he looks back for longer than those before him."""
    inner = Inner(pods(5))
    source = batched(inner)
    asked = [question(total(f"s{number}"), back=timedelta(seconds=260 + 40 * number)) for number in range(5)]
    found = await asyncio.gather(*(source.samples("shop", SPEC, one) for one in asked))
    assert found == [await inner.store.samples("shop", SPEC, one) for one in asked]
    assert len(inner.asked) == 2


async def test_what_is_kept_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest goes first, and is fetched again where it is asked for."""
    monkeypatch.setattr(batching_module, "MOST_KEPT", 4000)
    inner = Inner(pods(10))
    source = batched(inner)
    for cycle in range(3):
        for number in range(10):
            until = BEGIN + cycle * INTERVAL
            assert await look(source, f"s{number}", until) == await alone(inner.store, f"s{number}", until)
    kept = [
        one.kept for family in source._families.values() for group in family.values() for one in group.rounds.values()
    ]
    assert sum(kept) <= 4000 * 1.2


async def test_what_is_not_asked_for_long_is_forgotten() -> None:
    """Members, answers and groups."""
    inner, clock = Inner(pods(3)), Seconds()
    source = batched(inner, clock)
    await look(source, "s0", BEGIN)
    clock.now += 70
    await source.samples("shop", SPEC, question("up"))
    ((group,),) = [list(family.values()) for family in source._families.values()]
    assert (len(group.members), group.rounds) == (1, {})
    clock.now += 200
    await source.samples("shop", SPEC, question("up"))
    assert (source._families, source._members) == ({}, 0)


async def test_members_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond that, questions are passed on one by one."""
    monkeypatch.setattr(batching_module, "MOST_MEMBERS", 2)
    inner = Inner(pods(4))
    source = batched(inner)
    for number in range(4):
        assert await look(source, f"s{number}", BEGIN) == await alone(inner.store, f"s{number}", BEGIN)
    assert source._members == 2


async def test_credentials_are_never_shared_between_namespaces() -> None:
    """A Secret of the same name is another one elsewhere."""
    inner = Inner(pods(2))
    source = batched(inner)
    for until in (BEGIN, BEGIN + INTERVAL):
        for namespace in ("shop", "bank"):
            for service in ("s0", "s1"):
                await source.samples(namespace, BEARER, question(total(service), until))
    assert [name for name, asked in inner.asked if asked.until > BEGIN] == ["shop", "bank"]


@pytest.mark.parametrize(
    ("fields", "shared"),
    [
        ({}, True),
        ({"address": "http://other:9090"}, True),
        ({"tenant": "a"}, True),
        ({"authorities": {"secretRef": {"name": "ca", "key": "ca.crt"}}}, False),
        ({"auth": {"bearer": {"secretRef": {"name": "prom", "key": "token"}}}}, False),
    ],
)
async def test_what_names_a_secret_is_shared_within_its_namespace_only(fields: dict[str, object], shared: bool) -> None:  # noqa: FBT001
    """And nothing is shared between objects that name another source, another tenant or another delay."""
    inner = Inner(pods(2))
    source, spec = batched(inner), Prometheus.model_validate(fields)
    others = [Prometheus(delay=Duration("7s")), Prometheus(tenant="b"), Prometheus(address="http://third:9090")]
    for until in (BEGIN, BEGIN + INTERVAL):
        inner.asked.clear()
        for namespace, service in (("shop", "s0"), ("bank", "s1")):
            await source.samples(namespace, spec, question(total(service), until))
        for other in others:
            await source.samples("shop", other, question(total("s0"), until))
    assert len(inner.asked) == len(others) + (1 if shared else 2)


async def test_what_is_asked_at_the_same_time_up_to_different_instants_is_shared_by_instant() -> None:
    """As by objects with different rhythms; none of their answers drives another one out."""
    inner, clock = Inner(pods(20)), Seconds()
    source = batched(inner, clock)
    for cycle in range(3):
        inner.asked.clear()
        for number in range(20):
            until = BEGIN + cycle * INTERVAL + timedelta(seconds=number % 5)
            assert await look(source, f"s{number}", until) == await alone(inner.store, f"s{number}", until)
        clock.now += 15
    assert len(inner.selectors()) == 5


async def test_a_fault_of_ours_is_raised_and_not_kept() -> None:
    """The next question is asked anew."""
    inner = Inner(pods(1))
    source = batched(inner)
    await look(source, "s0", BEGIN)

    def fault(_question: SamplesQuestion, _found: int) -> None:
        raise ZeroDivisionError

    inner.refuse = fault
    with pytest.raises(ZeroDivisionError):
        await source.samples("shop", SPEC, question(total("s0"), BEGIN + INTERVAL))
    inner.refuse = lambda _question, _found: None
    assert await look(source, "s0", BEGIN + INTERVAL) == await alone(inner.store, "s0", BEGIN + INTERVAL)


async def test_bad_requests_are_not_looked_up_in_what_another_namespace_asked_for() -> None:
    """Else somebody could spoil his answer."""
    inner = Inner(pods(1))
    source = batched(inner)
    await source.samples("evil", SPEC, question(total("s0")))
    await source.samples("shop", SPEC, question(bad("s0")))
    assert inner.selectors() == [total("s0"), bad("s0")]


async def test_a_look_that_is_given_up_takes_the_answer_from_nobody() -> None:
    """The fetch goes on for the others, and `close` ends it."""
    released = asyncio.Event()

    async def wait() -> None:
        await released.wait()

    inner = Inner(pods(1), wait=wait)
    source = batched(inner)
    first, second = (asyncio.create_task(look(source, "s0", BEGIN)) for _ in range(2))
    await asyncio.sleep(0.01)
    first.cancel()
    await asyncio.sleep(0)
    released.set()
    assert await second == await alone(inner.store, "s0", BEGIN)
    released.clear()
    third = asyncio.create_task(look(source, "s0", BEGIN + INTERVAL))
    await asyncio.sleep(0.01)
    await source.close()
    with pytest.raises(asyncio.CancelledError):
        await third


NAMES = st.sampled_from(["a", "b", "a.b", "a|b", "x-1", "é"])
SERVICES = st.sampled_from(["a", "a-1", "a-1-2", "b"])
PAGES = st.fixed_dictionaries(
    {"pod": st.sampled_from(["a-1-2", "a-1-2-3", "a-1-2-3-4", "b-x-y", "b-x", "b-X-y", ""])},
    optional={"one": NAMES, "two": NAMES, "code": st.sampled_from(["200", "500", "503", ""])},
)
MATCHERS = st.one_of(
    st.builds(lambda label, value: f'{label}="{value}"', st.sampled_from(["one", "two", "code"]), NAMES),
    st.builds(lambda label, value: f'{label}!="{value}"', st.sampled_from(["one", "two"]), NAMES),
    st.builds(lambda service: f'pod=~"{service}{SUFFIX}"', SERVICES),
    st.sampled_from(
        ['code=~"5.."', 'code!~"5..|2.."', 'code=~"5.*"', 'code=""', 'one=~"a.b"', 'one=~"(a|b).*"', 'two!=""']
    ),
)
SELECTORS = st.lists(MATCHERS, min_size=1, max_size=4).map(lambda those: f"m{{{','.join(those)}}}")
QUESTIONS = st.lists(SELECTORS, min_size=1, max_size=6).flatmap(
    lambda those: st.lists(
        st.tuples(
            st.sampled_from(those),
            st.integers(0, 2),
            st.sampled_from([17, 24, 31, 33, 60]),
            st.sampled_from(["shop", "bank"]),
        ),
        min_size=1,
        max_size=25,
    )
)


@settings(max_examples=max(100, settings.default.max_examples if settings.default else 0))
@given(st.lists(PAGES, max_size=12), QUESTIONS, st.integers(1, 8))
def test_an_answer_is_the_same_as_without_batches(
    pages: list[dict[str, str]], questions: list[tuple[str, int, int, str]], together: int
) -> None:
    """Whatever is asked beside it, in whatever order, at the same time or before."""
    store = FakeMetrics()
    for second in range(-100, 60, 7):
        for number, labels in enumerate(pages):
            if (second + number) % 3:
                store.page(**labels).add("m", number)
        store.scrape(BEGIN + timedelta(seconds=second))

    async def check() -> None:
        source = batched(Inner(store))
        ordered = sorted(questions, key=lambda one: one[1])
        for first in range(0, len(ordered), together):
            part = [
                (namespace, question(text, BEGIN + step * INTERVAL, timedelta(seconds=back)))
                for text, step, back, namespace in ordered[first : first + together]
            ]
            found = await asyncio.gather(*(source.samples(where, SPEC, one) for where, one in part))
            assert found == [await store.samples(where, SPEC, one) for where, one in part]

    asyncio.run(check())
