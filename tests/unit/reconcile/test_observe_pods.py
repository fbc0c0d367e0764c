"""
Stable's pods are counted in the samples of the block, where the series tell them apart.
"""

import asyncio
from datetime import timedelta

import pytest
from fakes.comparators import FakeComparators
from fakes.metrics import FakeMetrics
from unit.reconcile.parts import BEGIN, KEY, HalfAndHalf, NoWarmUps, in_flight, revision_for, spec_for

from modelramp.analysis import Counts, wealth_schedule
from modelramp.api.document import parse
from modelramp.api.names import workload_name
from modelramp.reconcile.observe import Eyes, observe
from modelramp.rollout.account import Account
from modelramp.rollout.observed import Measured
from modelramp.rollout.opening import Opening, PhiSource

OLD, NEW = revision_for("1"), revision_for("2")
FRESH = Account.open(Opening(phi=1.0, source=PhiSource.GIVEN), wealth_schedule(planned_blocks=9, later_steps=0))
TOLD_APART = {"name": "own", "ratio": {"bad": 'n{$arm,code="500"}', "total": "n{$arm}"}}
NOT_TOLD = {
    "name": "own",
    "ratio": {"bad": 'n{revision="${revision}",code="500"}', "total": 'n{revision="${revision}"}'},
}
SLICES = {"label": "tenant", "values": ["x"]}
PODS = {(OLD, "aaaaa"): 30, (OLD, "bbbbb"): 20, (NEW, "ccccc"): 5}


def scraped() -> FakeMetrics:
    """
    Two minutes of scrapes of two stable pods and one of the candidate, each with one bad request a scrape.
    """
    metrics = FakeMetrics()
    for number in range(12):
        for (revision, suffix), calls in PODS.items():
            pod = f"{workload_name(KEY.name, revision)}-66f8-{suffix}"
            page = metrics.page(namespace=KEY.namespace, pod=pod, instance=pod, job="m", revision=revision)
            page.add("n", calls, code="200", tenant="x")
            page.add("n", 1, code="500", tenant="x")
        metrics.scrape(BEGIN - timedelta(seconds=5 + 15 * (11 - number)))
    return metrics


@pytest.mark.parametrize("slices", [None, SLICES])
@pytest.mark.parametrize("metric", [TOLD_APART, NOT_TOLD])
def test_pods_are_counted_where_the_series_tell_them_apart(
    metric: dict[str, object], slices: dict[str, object] | None
) -> None:
    """
    Their counts add up to stable's; the candidate's pods are not among them.
    """
    metrics, cluster = scraped(), HalfAndHalf()
    analysis = {"metrics": [metric], "overdispersion": "1", **({"slices": slices} if slices else {})}
    asked = parse(
        {
            "metadata": {"namespace": KEY.namespace, "name": KEY.name, "uid": "u", "generation": 1},
            "spec": spec_for("2", analysis=analysis),
            "status": in_flight("Progressing", evidence=[{"name": "own", "state": FRESH.to_state()}]),
        }
    )
    eyes = Eyes(workloads=cluster, routes=cluster, comparators=FakeComparators(), metrics=metrics, warm_ups=NoWarmUps())  # type: ignore[arg-type]  # eyes only look
    reading = asyncio.run(observe(eyes, asked, None, BEGIN)).readings["own"]
    assert isinstance(reading, Measured)
    assert (reading.slices != {}) is (slices is not None)
    if metric is NOT_TOLD:
        assert reading.pods == {}
        return
    assert sorted(pod[-5:] for pod in reading.pods) == ["aaaaa", "bbbbb"]
    assert sum(reading.pods.values(), start=Counts()) == reading.block.stable
    assert len(metrics.asked) == 4
