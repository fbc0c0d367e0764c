"""
A native histogram is read as any other: planned from stable's past, then counted at the edges of the plan.
"""

import asyncio
import random
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from fakes.comparators import FakeComparators
from fakes.metrics import FakeMetrics
from unit.reconcile.parts import BEGIN, KEY, HalfAndHalf, NoWarmUps, in_flight, revision_for, spec_for

from modelramp.analysis import Wealth
from modelramp.analysis.stores import Store
from modelramp.analysis.tails import TailBlock
from modelramp.api.document import parse
from modelramp.api.names import workload_name
from modelramp.reconcile.observe import Eyes, observe
from modelramp.rollout.account import Account
from modelramp.rollout.observed import (
    AnotherStore,
    Impossible,
    Measured,
    NoData,
    Observed,
    Unavailable,
)
from modelramp.rollout.opening import Opening

OLD, NEW = revision_for("1"), revision_for("2")
CALLS = {"name": "calls", "histogram": {"buckets": "call_seconds{$arm}"}}
GROWTH = {**CALLS, "quantile": "0.9", "mayGrow": "20%"}
SCRAPES = 48


def scraped(schemas: Mapping[str, int]) -> FakeMetrics:
    """
    Twelve minutes of a pod of each revision, which answers 20 calls between two scrapes in about 0.1 s.
    """
    metrics, draw = FakeMetrics(), random.Random(5)
    for number in range(SCRAPES):
        for revision, schema in schemas.items():
            name = f"{workload_name(KEY.name, revision)}-66f8-a"
            page = metrics.page(namespace=KEY.namespace, pod=name, instance=name, job="m")
            page.schema = schema
            page.observe("call_seconds", *(0.1 * draw.lognormvariate(0.0, 0.5) for _ in range(20)))
        metrics.scrape(BEGIN - timedelta(seconds=5 + 15 * (SCRAPES - 1 - number)))
    return metrics


def seen(metrics: FakeMetrics, metric: Mapping[str, Any], evidence: list[dict[str, Any]]) -> Observed:
    """
    One look at a rollout that is judged by this alone.
    """
    document = {
        "metadata": {"namespace": KEY.namespace, "name": KEY.name, "uid": "u", "generation": 1},
        "spec": spec_for("2", analysis={"metrics": [metric], "lookBack": "10m"}),
        "status": in_flight("Progressing", evidence=evidence),
    }
    eyes = Eyes(
        workloads=HalfAndHalf(),
        routes=HalfAndHalf(),
        comparators=FakeComparators(),
        metrics=metrics,
        warm_ups=NoWarmUps(),
    )  # type: ignore[arg-type]
    return asyncio.run(observe(eyes, parse(document), None, BEGIN))


def opened(found: Observed) -> list[dict[str, Any]]:
    """
    Evidence begun with what the past told, as it is stored; the step counts from its own beginning.
    """
    opening = found.histories["calls"]
    assert isinstance(opening, Opening), opening
    account = Account.open(replace(opening, until=None), Wealth(at_start=0.5, per_step=0.0, per_block=0.01))
    return [{"name": "calls", "state": dict(account.to_state())}]


def test_calls_are_counted_at_the_edges_of_the_plan() -> None:
    """
    At all of them, and at no other: more would only take time.
    """
    metrics = scraped({OLD: 3, NEW: 3})
    evidence = opened(seen(metrics, GROWTH, []))
    plan = Account.from_state(evidence[0]["state"]).edges
    reading = seen(metrics, GROWTH, evidence).readings["calls"]
    assert isinstance(reading, Measured)
    assert isinstance(reading.block, TailBlock)
    assert len(plan) > 4
    assert reading.block.candidate.edges == reading.block.stable.edges == plan
    assert reading.block.candidate.n == reading.block.stable.n > 0


def test_a_candidate_whose_buckets_are_wider_is_counted_where_they_meet() -> None:
    """
    And where they do not meet at all, there is no data, instead of evidence that never grows.
    """
    metrics = scraped({OLD: 3, NEW: 1})
    evidence = opened(seen(metrics, GROWTH, []))
    reading = seen(metrics, GROWTH, evidence).readings["calls"]
    assert isinstance(reading, Measured)
    assert isinstance(reading.block, TailBlock)
    assert 0 < len(reading.block.candidate.edges) < len(reading.block.stable.edges)
    assert seen(scraped({OLD: 3, NEW: -4}), GROWTH, evidence).readings["calls"] == NoData("NotComparable")


def test_another_store_is_told_by_its_histograms() -> None:
    """
    One that scrapes half a scrape later lacks those that were counted.
    """
    metrics, counted_until = scraped({OLD: 3, NEW: 3}), BEGIN - timedelta(seconds=40)
    (opening,) = opened(seen(metrics, GROWTH, []))
    account = Account.from_state(opening["state"]).skip_until(counted_until)
    newest = round(1000 * (BEGIN - timedelta(seconds=50)).timestamp())
    for store, kind in ((Store(newest, newest), Measured), (Store(newest, newest - 7500), AnotherStore)):
        state = account.told_by(store, counted_until).to_state()
        reading = seen(metrics, GROWTH, [{"name": "calls", "state": state}]).readings["calls"]
        assert type(reading) is kind
        assert isinstance(reading, Measured | AnotherStore)
        assert reading.store[:2] == (newest + 30_000, newest + 30_000)


@pytest.mark.parametrize(("threshold", "possible"), [("500ms", True), ("8s", True), ("300ms", False)])
def test_a_threshold_is_a_power_of_two_whether_or_not_calls_were_so_slow(threshold: str, *, possible: bool) -> None:
    """
    Anything else lies within a bucket.
    """
    found = seen(scraped({OLD: 3}), {**CALLS, "threshold": threshold}, []).histories["calls"]
    assert isinstance(found, Opening if possible else Impossible)


@pytest.mark.parametrize(
    "metric",
    [
        {"name": "calls", "ratio": {"bad": "call_seconds{$arm}", "total": "call_seconds{$arm}"}},
        {"name": "calls", "gauge": {"value": "call_seconds{$arm}"}},
    ],
    ids=["a rate", "a gauge"],
)
def test_it_is_no_counter(metric: dict[str, Any]) -> None:
    """
    Nor a gauge; without samples it would look like a metric that nobody scrapes.
    """
    found = seen(scraped({OLD: 3}), metric, []).histories["calls"]
    assert found == Unavailable("call_seconds is a native histogram: the metric needs counters")
