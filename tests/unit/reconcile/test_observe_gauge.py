"""
A gauge is read as two means, and its past as differences between stable's pods.
"""

import asyncio
import random
from datetime import timedelta
from typing import Any

import pytest
from fakes.comparators import FakeComparators
from fakes.metrics import FakeMetrics
from unit.reconcile.parts import BEGIN, KEY, HalfAndHalf, NoWarmUps, in_flight, revision_for, spec_for

from modelramp.analysis import Pods, Series, Wealth, Window
from modelramp.analysis.betting import GaugeBlock
from modelramp.analysis.gauges import GaugeSpread
from modelramp.api.document import parse
from modelramp.api.names import workload_name
from modelramp.api.spec import GaugeAcross
from modelramp.ports import UnreachableError
from modelramp.reconcile.history import read_history
from modelramp.reconcile.observe import Eyes, observe
from modelramp.rollout.account import Account
from modelramp.rollout.counters import GaugeSelectors
from modelramp.rollout.observed import Measured, NoData, Observed, Unavailable
from modelramp.rollout.opening import Opening, PhiSource
from modelramp.rollout.questions import HistoryQuestion

OLD, NEW = revision_for("1"), revision_for("2")
QUEUE = {"name": "queue", "gauge": {"value": "q{$arm}"}}
FRESH = Account.open(
    Opening(phi=1.0, source=PhiSource.ESTIMATED, spread=GaugeSpread(1.0, 1.0)),
    Wealth(at_start=0.5, per_step=0.0, per_block=0.01),
)


def scraped(*pods: tuple[str, str], scrapes: int = 48) -> FakeMetrics:
    """
    Twelve minutes of pods, by revision and suffix, whose queues vary around 10.
    """
    metrics, draw, shown = FakeMetrics(), random.Random(7), dict.fromkeys(pods, 0.0)
    for number in range(scrapes):
        for revision, suffix in pods:
            name = f"{workload_name(KEY.name, revision)}-66f8-{suffix}"
            value = 10.0 + draw.random()
            page = metrics.page(namespace=KEY.namespace, pod=name, instance=name, job="m")
            page.add("q", value - shown[revision, suffix])
            shown[revision, suffix] = value
        metrics.scrape(BEGIN - timedelta(seconds=5 + 15 * (scrapes - 1 - number)))
    return metrics


def seen(metrics: FakeMetrics, evidence: list[dict[str, Any]]) -> Observed:
    """
    One look at a rollout judged by the gauge alone.
    """
    asked = parse(
        {
            "metadata": {"namespace": KEY.namespace, "name": KEY.name, "uid": "u", "generation": 1},
            "spec": spec_for("2", analysis={"metrics": [QUEUE]}),
            "status": in_flight("Progressing", evidence=evidence),
        }
    )
    cluster = HalfAndHalf()
    eyes = Eyes(workloads=cluster, routes=cluster, comparators=FakeComparators(), metrics=metrics, warm_ups=NoWarmUps())  # type: ignore[arg-type]  # eyes only look
    return asyncio.run(observe(eyes, asked, None, BEGIN))


class TestReading:
    """
    A look at the gauge.
    """

    EVIDENCE = ({"name": "queue", "state": FRESH.to_state()},)

    def test_is_both_arms_means(self) -> None:
        metrics = scraped((OLD, "aaaaa"), (OLD, "bbbbb"), (NEW, "ccccc"))
        reading = seen(metrics, list(self.EVIDENCE)).readings["queue"]
        assert isinstance(reading, Measured)
        assert isinstance(reading.block, GaugeBlock)
        assert reading.block.candidate is not None
        assert 10 < reading.block.candidate < 11
        assert len(metrics.asked) == 2

    def test_of_a_revision_without_samples_is_no_data(self) -> None:
        found = seen(scraped((OLD, "aaaaa")), list(self.EVIDENCE))
        assert found.readings["queue"] == NoData("NoCandidateSamples")

    def test_in_an_outage_is_unavailable(self) -> None:
        metrics = scraped((OLD, "aaaaa"))
        metrics.outage = UnreachableError("no answer")
        assert seen(metrics, list(self.EVIDENCE)).readings["queue"] == Unavailable("no answer")


class TestHistory:
    """
    The past before the first block.
    """

    @pytest.mark.parametrize(("pods", "known"), [(("aaaaa", "bbbbb"), True), (("aaaaa",), False)])
    def test_tells_the_spread_of_two_pods_or_more(self, pods: tuple[str, ...], known: bool) -> None:  # noqa: FBT001
        opening = seen(scraped(*((OLD, pod) for pod in pods), (NEW, "ccccc")), []).histories["queue"]
        assert isinstance(opening, Opening)
        assert opening.spread is not None
        assert opening.spread.known is known
        assert opening.until == BEGIN - timedelta(seconds=5)

    def test_in_an_outage_is_unavailable(self) -> None:
        metrics = scraped((OLD, "aaaaa"))
        metrics.outage = UnreachableError("no answer")
        assert seen(metrics, []).histories["queue"] == Unavailable("no answer")

    def test_ends_at_the_first_older_stretch_that_cannot_be_had(self) -> None:
        metrics = scraped((OLD, "aaaaa"), (OLD, "bbbbb"), scrapes=400)
        asked = []

        async def read(selector: str, window: Window) -> tuple[Series, ...]:
            asked.append(window)
            if len(asked) == 3:
                raise UnreachableError("too much")
            prometheus = parse(
                {"metadata": {"namespace": "ml", "name": "f", "uid": "u", "generation": 1}, "spec": spec_for("1")}
            ).spec.analysis.prometheus
            question = type("Q", (), {"selector": selector, "since": window.since, "until": window.until})
            return await metrics.samples("ml", prometheus, question)  # type: ignore[arg-type]  # as the port's

        question = HistoryQuestion(
            name="queue",
            stable=GaugeSelectors(value='q{job="m"}', across=GaugeAcross.MEAN),
            until=BEGIN,
            look_back=timedelta(hours=24),
            tells_pods=True,
            field="spec.analysis.metrics[0].mayGrow",
            question=None,
            block_seconds=15.0,
            harm=0.1,
        )
        opening = asyncio.run(read_history(read, question, Pods()))
        assert isinstance(opening, Opening)
        assert opening.spread is not None
        assert opening.spread.known
        assert len(asked) == 3
