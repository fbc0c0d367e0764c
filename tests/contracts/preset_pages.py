"""
Sample pages of all sources of presets, of two revisions at two instants, and a real Prometheus that scrapes them.
"""

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from aiohttp import web
from contracts.metric_worlds import SETTLING_SECONDS, PrometheusProcess, eventually, no_secret, prometheus_binary
from contracts.page_server import served

from modelramp.adapters.prometheus import AddressPolicy, PrometheusSource
from modelramp.analysis import Pods, Series, Window, find_targets, increments
from modelramp.api.names import comparator_name, workload_name
from modelramp.api.selectors import fill
from modelramp.api.spec import Prometheus
from modelramp.ports import SamplesQuestion, UnreachableError
from modelramp.presets import Across, Kind, Measure, Row, Source
from modelramp.rollout.counters import _values

FOLDER: Final = Path(__file__).parent / "pages"
CANDIDATE, STABLE = REVISIONS = ("0123456789", "abcdef0123")
FIRST, SECOND = SCRAPES = (0, 1)
ABSENT: Final = "-"
Number = float | dict[float, float]
"""A number in the preset's unit; of a histogram, how many are not above each edge."""


def sample_lines(source: Source, revision: str, scrape: int) -> list[str]:
    """
    The samples of one revision; those of stable have other values, in other proportions, than the candidate's.
    """
    lines = []
    for index, line in enumerate((FOLDER / f"{source}.txt").read_text(encoding="utf-8").splitlines()):
        if line.startswith("#"):
            continue
        series, value = line.split(" | ")[FIRST].rsplit(" ", 1)
        wanted = value if scrape == FIRST else line.split(" | ")[SECOND]
        if wanted == ABSENT:
            continue
        factor = 1 if revision == CANDIDATE else index + 2
        lines.append(f"{series.replace('REVISION', revision)} {float(wanted) * factor}")
    return lines


def shows_both(source: Source) -> bool:
    """
    Whether the page itself names the revisions, as those of gateways and exporters do.
    """
    return "REVISION" in (FOLDER / f"{source}.txt").read_text(encoding="utf-8")


class PresetPages:
    """
    Serves all pages as the first or the second scrape is to find them.
    """

    def __init__(self) -> None:
        """Begin with the first."""
        self.scrape = FIRST
        self.address = ""

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Serve until left."""
        async with served("/{source}/{revision}", self._show) as self.address:
            yield

    async def _show(self, request: web.Request) -> web.Response:
        source, asked = Source(request.match_info["source"]), request.match_info["revision"]
        revisions = REVISIONS if asked == "both" else (asked,)
        lines = [f"page_scrape {self.scrape}"]
        for revision in revisions:
            lines += sample_lines(source, revision, self.scrape)
        return web.Response(text="\n".join(lines) + "\n", content_type="text/plain", charset="utf-8")

    def jobs(self) -> list[dict[str, Any]]:
        """One for each page; pods are named as Kubernetes names them."""
        found = []
        for source in Source:
            for revision in ("both",) if shows_both(source) else REVISIONS:
                middle = "-deployment" if source is Source.KNATIVE else ""
                own = {"namespace": "ml", "pod": f"{workload_name(source, revision)}{middle}-5d4f7c9b8d-x2x4z"}
                other = {"namespace": "monitoring", "pod": f"{source}-0"}
                if source is Source.COMPARATOR:  # it runs where what it compares runs
                    other = {"namespace": "ml", "pod": f"{comparator_name(source, CANDIDATE)}-5d4f7c9b8d-x2x4z"}
                labels = other if revision == "both" else own
                found.append(
                    {
                        "job_name": f"{source}-{revision}",
                        "metrics_path": f"/{source}/{revision}",
                        "honor_labels": revision == "both",
                        "static_configs": [{"targets": [self.address], "labels": labels}],
                    }
                )
        return found


@dataclass(frozen=True, slots=True)
class Scraped:
    """
    A Prometheus that found every page twice, and when.
    """

    source: PrometheusSource
    window: Window

    async def number(self, row: Row, revision: str) -> Number | None:
        """
        What the row tells of the revision, read from raw samples as the operator reads them; None: no samples.
        """
        values = _values("ml", str(row.source), revision)
        found = [await self._samples(fill(selector, values)) for selector in row.measure.selectors]
        if row.measure.kind is Kind.GAUGE:
            return _present(row.measure, found[0])
        targets = find_targets([one for series in found for one in series], self.window, Pods())

        def grown(series: tuple[Series, ...]) -> float | None:
            counted = increments(series, self.window, targets)
            return None if counted is None else counted.total

        if row.measure.kind is Kind.HISTOGRAM:
            edges = {one.labels["le"] for one in found[0]}
            told = {edge: grown(tuple(one for one in found[0] if one.labels["le"] == edge)) for edge in edges}
            return {_edge(row.measure, edge): n for edge, n in told.items() if n is not None} or None
        amounts = [grown(series) for series in found]
        if amounts[-1] is None:
            return None
        if row.measure.kind is Kind.COUNTER:
            return amounts[0] * row.measure.factor
        return (amounts[0] or 0.0) / amounts[1] * row.measure.factor

    async def _samples(self, selector: str) -> tuple[Series, ...]:
        question = SamplesQuestion(selector=selector, since=self.window.since, until=self.window.until)
        return await self.source.samples("ml", Prometheus(), question)


def _edge(measure: Measure, le: str) -> float:
    return float(f"{float(le) * measure.factor:.12g}")  # 10 microseconds are 0.00001 s, which floats miss by a bit


def _present(measure: Measure, found: tuple[Series, ...]) -> float | None:
    values = [one.samples[-1][1] * measure.factor for one in found if one.samples]
    if not values:
        return None
    together = {Across.SUM: math.fsum, Across.MAX: max, Across.MEAN: lambda all_: math.fsum(all_) / len(all_)}
    return together[measure.across](values)


async def _all_found(source: PrometheusSource, pages: PresetPages, since: datetime) -> datetime:
    """
    Wait until every page was scraped as it is shown now; an instant at which its samples are complete.
    """
    latest: list[float] = []

    async def found() -> bool:
        question = SamplesQuestion(selector="page_scrape{}", since=since, until=datetime.now(UTC))
        try:
            answer = await source.samples("ml", Prometheus(), question)
        except UnreachableError:
            return False
        now = [one.samples[-1][0] for one in answer if one.samples and one.samples[-1][1] == pages.scrape]
        latest[:] = [max(now, default=0.0)]
        return len(now) == len(pages.jobs())

    await eventually(found, "a scrape of every page")
    await asyncio.sleep(SETTLING_SECONDS)
    return datetime.fromtimestamp(latest[0], UTC)


@asynccontextmanager
async def scraped_pages(folder: Path) -> AsyncIterator[Scraped]:
    """
    One Prometheus for all pages, which stops when left.
    """
    binary = prometheus_binary()
    async with AsyncExitStack() as stack:
        pages = PresetPages()
        await stack.enter_async_context(pages.serving())
        store = PrometheusProcess(binary, folder, pages.jobs())
        stack.push_async_callback(store.stop)
        began = datetime.now(UTC) - timedelta(seconds=1)
        await store.start()
        policy = AddressPolicy(f"http://{store.address}")
        source = await stack.enter_async_context(PrometheusSource(policy, no_secret, jitter=lambda: 0.5))
        after = await _all_found(source, pages, began)
        pages.scrape = SECOND
        until = await _all_found(source, pages, began)
        yield Scraped(source, Window(since=began, after=after, until=until))
