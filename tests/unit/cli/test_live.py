"""
The command line on a live Prometheus: what is asked, in which pieces, and what is refused.
"""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from fakes.metrics import FakeMetrics
from unit.cli.test_replay import ARMS, BEGIN, HARMFUL, MANIFEST, Folder

from modelramp.__main__ import main
from modelramp.adapters.prometheus.answer import QuestionError
from modelramp.analysis import Series
from modelramp.api.spec import Prometheus
from modelramp.cli import live as module
from modelramp.cli.live import Live, live
from modelramp.cli.matchers import Selector
from modelramp.cli.options import LiveError, instant, joined
from modelramp.cli.recording import read_samples, write_samples
from modelramp.ports import DeniedError, RefusedError, SamplesQuestion, UnreachableError

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
Capture = pytest.CaptureFixture[str]


class StoppedClock:
    """The port Clock, always at NOW."""

    def now(self) -> datetime:
        return NOW


class Picky(FakeMetrics):
    """A store that answers only questions over at most so much time."""

    def __init__(self, longest: timedelta) -> None:
        super().__init__()
        self.longest = longest

    async def samples(self, namespace: str, source: Prometheus, question: SamplesQuestion) -> tuple[Series, ...]:
        answer = await super().samples(namespace, source, question)
        if question.until - question.since > self.longest:
            raise QuestionError("the answer is larger than 8 bytes")
        return answer


def filled(store: FakeMetrics, minutes: int = 180) -> FakeMetrics:
    """One page with two series, scraped every minute until NOW."""
    page = store.page(version="1")
    for minute in range(minutes, -1, -1):
        page.add("requests_total", 3, code="200")
        page.add("requests_total", 1, code="500")
        store.scrape(NOW - timedelta(minutes=minute))
    return store


def asked_for(store: FakeMetrics, selector: str = 'requests_total{version="1"}', hours: int = 3) -> tuple[Series, ...]:
    """What is fetched of a store."""
    return Live(store, Prometheus()).fetch([Selector.parse(selector)], NOW - timedelta(hours=hours), NOW)


def contents(series: tuple[Series, ...]) -> dict[frozenset[tuple[str, str]], tuple[tuple[float, float], ...]]:
    """By labels, for comparison."""
    return {frozenset(one.labels.items()): tuple(one.samples) for one in series}


def test_a_long_time_is_asked_for_in_pieces_that_are_the_whole() -> None:
    """Each sample once, though pieces meet at the instant of a scrape."""
    store = filled(FakeMetrics())
    found = asked_for(store)
    assert [(one.since, one.until) for one in store.asked] == [
        (NOW - timedelta(hours=hour), NOW - timedelta(hours=hour - 1)) for hour in (3, 2, 1)
    ]
    assert [len(one.samples) for one in found] == [180, 180]
    assert {one.labels["code"]: one.samples[-1][1] for one in found} == {"200": 543.0, "500": 181.0}


def test_a_piece_that_is_too_large_is_halved_until_it_is_not() -> None:
    """Nothing is lost by it."""
    picky = Picky(timedelta(minutes=8))
    assert contents(asked_for(filled(picky))) == contents(asked_for(filled(FakeMetrics())))
    hopeless = Picky(timedelta(seconds=1))
    with pytest.raises(LiveError, match="larger than 8 bytes"):
        asked_for(filled(hopeless, 5))
    assert len(hopeless.asked) == 7


def test_series_found_twice_are_kept_once() -> None:
    """Selectors may overlap."""
    store = filled(FakeMetrics())
    selectors = [Selector.parse('requests_total{version="1"}'), Selector.parse('requests_total{code="500"}')]
    assert len(Live(store, Prometheus()).fetch(selectors, NOW - timedelta(hours=1), NOW)) == 2


def test_more_than_a_machine_can_hold_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before it is held."""
    monkeypatch.setattr(module, "MAX_SAMPLES", 200)
    with pytest.raises(LiveError, match="more than 200 samples"):
        asked_for(filled(FakeMetrics()))


@pytest.mark.parametrize(
    ("outage", "said"),
    [
        (
            DeniedError("spec.analysis.prometheus.auth: the source does not accept (HTTP 401)"),
            "--token-file: the source",
        ),
        (UnreachableError("down"), "down"),
        (RefusedError("parse error"), "parse error"),
    ],
)
def test_a_store_that_does_not_answer_is_said_to(outage: Exception, said: str) -> None:
    """In words of the command line."""
    store = FakeMetrics()
    store.outage = outage  # type: ignore[assignment]
    with pytest.raises(LiveError, match=said):
        asked_for(store)


def test_native_histograms_are_refused() -> None:
    """The commands count rates only; a series without samples would be a metric without events."""
    store = FakeMetrics()
    store.page(version="1").observe("requests_total", 0.1)
    store.scrape(NOW - timedelta(minutes=1))
    with pytest.raises(LiveError, match="requests_total is a native histogram: the metric needs counters"):
        asked_for(store)


def test_selectors_become_promql_that_says_the_same() -> None:
    """Whatever is in a value."""
    strange = Selector.parse('m{a="q\\"b\\\\c\\nd é",b=~"x\\\\.y|z", c!="1" , d!~"k"}')
    assert str(strange) == '{__name__="m",a="q\\"b\\\\c\\nd é",b=~"x\\\\.y|z",c!="1",d!~"k"}'
    assert Selector.parse(str(strange)) == strange


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("-2h", NOW - timedelta(hours=2)),
        ("-1h30m", NOW - timedelta(minutes=90)),
        ("2026-01-31T10:00:00Z", NOW - timedelta(hours=2)),
        ("2026-01-31T12:00:00.5+02:00", NOW - timedelta(hours=2) + timedelta(seconds=0.5)),
        ("1700000000", datetime.fromtimestamp(1_700_000_000, UTC)),
        ("1700000000.25", datetime.fromtimestamp(1_700_000_000.25, UTC)),
    ],
)
def test_an_instant_is_written_in_three_ways(text: str, expected: datetime) -> None:
    """RFC 3339, unix seconds, and so long ago."""
    assert instant(text)(NOW) == expected


def test_so_long_ago_may_follow_as_a_word_of_its_own() -> None:
    """Which argparse alone would take for an option."""
    assert joined(["replay", "--from", "-2h", "--to", "-5m", "--json"]) == [
        "replay",
        "--from=-2h",
        "--to=-5m",
        "--json",
    ]
    assert joined(["--from", "--to", "-x", "-2h"]) == ["--from", "--to", "-x", "-2h"]


def test_samples_that_are_written_are_read_as_they_were(tmp_path: Path) -> None:
    """To the last bit."""
    values = (0.1 + 0.2, 5.0, 1e300, float("inf"), float("-inf"), 2.0**60, -0.0)
    series = (
        Series({"__name__": "m", "l": 'é"\\'}, tuple((NOW.timestamp() + n / 7, v) for n, v in enumerate(values))),
    )
    path = str(tmp_path / "s.json")
    write_samples(path, series)
    assert read_samples(path) == series
    assert [v for _, v in json.loads(Path(path).read_text())[0]["values"]][1:4] == ["5", "1e+300", "+Inf"]


LIVE = ("--prometheus", "http://127.0.0.1:9", "--from", "-1h")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--prometheus", "http://127.0.0.1:9"), "--from is missing"),
        ((*LIVE, "--to", "-2h"), "is not before"),
        (("--prometheus", "http://127.0.0.1:9", "--from", "2999-01-01T00:00:00Z"), "is not before"),
        (("--prometheus", "ftp://x", "--from", "-1h"), "--prometheus: not a base URL"),
        (("--prometheus", "http://u:secret@x/", "--from", "-1h"), "--prometheus: not a base URL"),
        (LIVE, "http://127.0.0.1:9 cannot be reached"),
        ((*LIVE, "--token-file", "/nowhere/token"), "--token-file /nowhere/token: No such file"),
        (("--samples", "s.json", "--from", "-1h"), "--from needs --prometheus URL"),
        (("--samples", "s.json", "--to", "-1h"), "--to needs --prometheus URL"),
        (("--samples", "s.json", "--save", "t.json"), "--save needs --prometheus URL"),
        (("--samples", "s.json", "--token-file", "t"), "--token-file needs --prometheus URL"),
    ],
)
def test_options_that_cannot_be_followed_are_named(
    options: tuple[str, ...], said: str, tmp_path: Path, capsys: Capture
) -> None:
    """Status 2, without a traceback, and without what may be a password."""
    assert main(["replay", Folder(tmp_path).manifest, *ARMS, *options]) == 2
    told = capsys.readouterr().err
    assert said in told
    assert "secret" not in told


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "--samples --prometheus is required"),
        (("--samples", "s", "--prometheus", "http://x"), "not allowed with"),
        (("--prometheus", "http://x", "--from", "yesterday"), "--from: must be an instant"),
        (("--prometheus", "http://x", "--from", "2026-01-31T12:00:00"), "--from: must be an instant"),
        (("--prometheus", "http://x", "--from", "-2"), "--from: must be a duration"),
    ],
)
def test_options_that_make_no_sense_are_refused(
    options: tuple[str, ...], said: str, tmp_path: Path, capsys: Capture
) -> None:
    """As argparse does."""
    with pytest.raises(SystemExit, match="2"):
        main(["replay", Folder(tmp_path).manifest, *ARMS, *options])
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("content", [b"", b"\n", b"two\nlines", "tökén".encode(), b"\xff\xfe"])
def test_a_token_no_header_can_carry_is_refused(content: bytes, tmp_path: Path) -> None:
    """And not shown."""
    path = tmp_path / "token"
    path.write_bytes(content)
    with pytest.raises(LiveError, match="--token-file") as failed:
        live("http://x", str(path))
    assert content == b"" or content.decode("latin-1").strip() not in str(failed.value) or not content.strip()


def replayed(folder: Folder, opened: Callable[[str, str | None], Live], monkeypatch: pytest.MonkeyPatch) -> int:
    """`modelramp replay` of all that a store holds of HARMFUL's time."""
    monkeypatch.setattr(module, "live", opened)
    where = ["--prometheus", "http://x", "--from", str(BEGIN - 1), "--to", str(BEGIN + 100), "--json"]
    return main(["replay", folder.manifest, *ARMS, *where])


def test_a_live_store_gives_the_verdicts_of_its_recording(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One question for each arm: the bad requests are some of all, so they are not asked for again."""
    folder, store = Folder(tmp_path), FakeMetrics()
    for one in HARMFUL:
        key = frozenset(one["metric"].items())
        store._stored[key] = [(float(at), float(value)) for at, value in one["values"]]
    assert replayed(folder, lambda *_: Live(store, Prometheus(), StoppedClock()), monkeypatch) == 0
    from_store = json.loads(capsys.readouterr().out)
    assert folder.replay(HARMFUL, "--json") == 0
    assert from_store == json.loads(capsys.readouterr().out)
    assert [one.selector for one in store.asked] == [
        '{__name__="requests_total",version="2"}',
        '{__name__="requests_total",version="1"}',
    ]


def test_bad_events_of_another_family_are_asked_for_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where they are no part of the total's series."""
    folder, store = Folder(tmp_path), FakeMetrics()
    folder.manifest = folder.file(
        "o.yaml", MANIFEST.replace('requests_total{code=~"5..",$arm}', "failures_total{$arm}")
    )
    assert replayed(folder, lambda *_: Live(store, Prometheus(), StoppedClock()), monkeypatch) == 2
    assert [one.selector for one in store.asked] == [
        f'{{__name__="{name}",version="{version}"}}'
        for version in "21"
        for name in ("requests_total", "failures_total")
    ]
