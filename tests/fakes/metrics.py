"""
A metric store in memory: pages of counters and native histograms, scrapes of them, selectors over what was scraped.

It knows what a rollout can meet: series born late, pages that cannot be reached, restarts, and a store that is down.
"""

import re
from bisect import bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from fakes.natives import standard

from modelramp.analysis import Series
from modelramp.analysis.native import NativeSample
from modelramp.api.spec import Prometheus
from modelramp.ports import PortError, RefusedError, SamplesQuestion

Labels = frozenset[tuple[str, str]]
Matcher = tuple[str, Callable[[str], bool]]

_QUOTED = r'"((?:[^"\\\n]|\\.)*)"'
_MATCHER = re.compile(rf"\s*([a-zA-Z_]\w*)\s*(=~|!~|!=|=)\s*{_QUOTED}\s*(?:,|$)", re.ASCII)
_SELECTOR = re.compile(r"\s*([a-zA-Z_:][\w:]*)?\s*(?:\{(.*)\})?\s*", re.ASCII | re.DOTALL)
_ESCAPES = {"\\": "\\", '"': '"', "n": "\n", "t": "\t", "r": "\r"}


@dataclass
class Page:
    """
    What one target shows: counters by name and labels, under the labels of the target.
    """

    labels: Mapping[str, str]
    reachable: bool = True
    counters: dict[Labels, float] = field(default_factory=dict)
    observed: dict[Labels, list[float]] = field(default_factory=dict)
    schema: int = 3

    def add(self, name: str, amount: float = 1, **labels: str) -> None:
        """
        Count; the first time makes the series, with 0 too.
        """
        key = frozenset({**self.labels, **labels, "__name__": name}.items())
        self.counters[key] = self.counters.get(key, 0.0) + amount

    def observe(self, name: str, *values: float, **labels: str) -> None:
        """
        Observe in a native histogram; the first time makes the series, without values too.
        """
        self.observed.setdefault(frozenset({**self.labels, **labels, "__name__": name}.items()), []).extend(values)

    def restart(self) -> None:
        """
        Start anew without any series.
        """
        self.counters.clear()
        self.observed.clear()


class FakeMetrics:
    """
    The port MetricSource over pages in memory.

    `outage` is raised by every question while it is set. `asked` holds all questions, refused ones too.
    """

    def __init__(self) -> None:
        """
        Know no page.
        """
        self.outage: PortError | None = None
        self.asked: list[SamplesQuestion] = []
        self._pages: dict[Labels, Page] = {}
        self._stored: dict[Labels, list[tuple[float, float]]] = {}
        self._natives: dict[Labels, list[NativeSample]] = {}
        self._last_scrape = float("-inf")

    def page(self, **labels: str) -> Page:
        """
        The page of this target; made at the first call.
        """
        return self._pages.setdefault(frozenset(labels.items()), Page(labels))

    def remove_page(self, **labels: str) -> None:
        """
        Scrape the target no more; what is stored stays.
        """
        del self._pages[frozenset(labels.items())]

    def scrape(self, at: datetime) -> None:
        """
        Store every reachable page's counters, and `up` of all; does nothing for the store while there is an outage.
        """
        instant = at.timestamp()
        if instant <= self._last_scrape:
            raise ValueError("scrapes go forward in time")
        self._last_scrape = instant
        if self.outage is not None:
            return
        for page in self._pages.values():
            up = frozenset({**page.labels, "__name__": "up"}.items())
            shown = {up: float(page.reachable), **(page.counters if page.reachable else {})}
            for key, value in shown.items():
                self._stored.setdefault(key, []).append((instant, value))
            for key, values in (page.observed if page.reachable else {}).items():
                self._natives.setdefault(key, []).append(standard(instant, values, page.schema))

    async def samples(self, namespace: str, source: Prometheus, question: SamplesQuestion) -> tuple[Series, ...]:  # noqa: ARG002 - the port's
        """
        As the port says.
        """
        self.asked.append(question)
        if self.outage is not None:
            raise self.outage
        matchers = parse_selector(question.selector)
        since, until = question.since.timestamp(), question.until.timestamp()
        found = []
        for key, stored in self._stored.items():
            labels = dict(key)
            first, last = (bisect_right(stored, (at, float("inf"))) for at in (since, until))
            if first < last and all(accepts(labels.get(name, "")) for name, accepts in matchers):
                found.append(Series(labels=labels, samples=tuple(stored[first:last])))
        for key, natives in self._natives.items():
            labels, inside = dict(key), tuple(one for one in natives if since < one.at <= until)
            if inside and all(accepts(labels.get(name, "")) for name, accepts in matchers):
                found.append(Series(labels=labels, samples=(), histograms=inside))
        return tuple(found)


def parse_selector(selector: str) -> list[Matcher]:
    """
    The matchers of a vector selector, the metric's name among them.

    Raises:
        RefusedError: it is none, or it would match series without any label.
    """
    match = _SELECTOR.fullmatch(selector)
    if match is None:
        raise RefusedError(f"not a selector: {selector}")
    matchers = [_matcher("__name__", "=", match[1])] if match[1] else []
    rest = match[2] or ""
    while rest.strip():
        one = _MATCHER.match(rest)
        if one is None:
            raise RefusedError(f"not a selector: {selector}")
        matchers.append(_matcher(one[1], one[2], _unescape(one[3])))
        rest = rest[one.end() :]
    if all(accepts("") for _, accepts in matchers):
        raise RefusedError("the selector must contain at least one matcher that does not match the empty string")
    return matchers


def _matcher(name: str, operator: str, value: str) -> Matcher:
    if operator in {"=", "!="}:
        return name, lambda found: (found == value) == (operator == "=")
    try:
        pattern = re.compile(value, re.DOTALL)
    except re.error as error:
        raise RefusedError(f"not a regular expression: {error}") from None
    return name, lambda found: (pattern.fullmatch(found) is not None) == (operator == "=~")


def _unescape(quoted: str) -> str:
    def replacement(match: re.Match[str]) -> str:
        if match[1] not in _ESCAPES:
            raise RefusedError(f"unknown escape \\{match[1]}")
        return _ESCAPES[match[1]]

    return re.sub(r"\\(.)", replacement, quoted)
