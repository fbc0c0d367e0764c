"""
What it costs to look at many models in flight: requests to Prometheus, CPU, bytes. With batches and without.

Everything between the stored object and the new status is the operator's own: parse, observe, fetch, count, decide.
"""

import argparse
import asyncio
import json
import resource
import tempfile
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from store import PODS_PER_ARM, Page, counted, scraped

from modelramp.adapters.prometheus import AddressPolicy, BatchingSource, PrometheusSource
from modelramp.api.document import parse
from modelramp.api.names import workload_name
from modelramp.app import spare_the_garbage_collector
from modelramp.ports import GoneError, Key, MetricSource, PodTimes
from modelramp.reconcile.observe import Eyes, observe
from modelramp.rollout import decide
from modelramp.rollout.observed import Acceptance, Arm, Comparator, Measured, Observed, RouteState

INTERVAL: Final = timedelta(seconds=15)
LOOK_BACK: Final = timedelta(minutes=6)
DELAY: Final = timedelta(seconds=5)
WORKERS: Final = 8
CYCLES: Final = 5
CONTROLLER: Final = "projectcontour.io/gateway-controller"


def document(key: Key, status: Mapping[str, Any], version: str) -> dict[str, Any]:
    """
    An object with three metrics: of the gateway, of the model server, of its own.
    """
    return {
        "metadata": {"namespace": key.namespace, "name": key.name, "uid": str(key), "generation": int(version)},
        "spec": {
            "model": {"version": version},
            "serving": {
                "runtime": "mlserver",
                "template": {"spec": {"containers": [{"name": "m", "image": f"i:{version}"}]}},
            },
            "traffic": {"gatewayAPI": {"parentRefs": [{"name": "gw"}]}},
            "strategy": {"canary": {"blastRadius": "0.05%"}},
            "analysis": {
                "interval": f"{INTERVAL.seconds}s",
                "prometheus": {"delay": f"{DELAY.seconds}s"},
                "metrics": [
                    {"preset": "errors"},
                    {"name": "runtime", "preset": "errors", "origin": "Runtime"},
                    {"name": "wrong", "ratio": {"bad": "answers_wrong_total{$arm}", "total": "answers_total{$arm}"}},
                ],
            },
        },
        "status": status,
    }


class Cluster:
    """
    Just enough of one: every model has two arms, and a route that gives what was asked for.
    """

    def __init__(self) -> None:
        """
        Nothing deployed yet.
        """
        self._arms: dict[str, Arm] = {}
        self.route = RouteState()

    available = False

    def comparators(self, _key: Key) -> Mapping[str, Comparator]:
        """
        None.
        """
        return {}

    def arms(self, _key: Key) -> Mapping[str, Arm]:
        """
        As the port says.
        """
        return self._arms

    def state(self, _key: Key) -> RouteState:
        """
        As the port says.
        """
        return self.route

    def pod_times(self, _key: Key) -> PodTimes:
        """
        As the port says.
        """
        return PodTimes(born={}, started={})

    def in_flight(self, key: Key, now: datetime) -> dict[str, Any]:
        """
        The status of a model in the middle of a step at this time.
        """
        status: dict[str, Any] = {}
        at = now - 60 * INTERVAL
        while at < now or status.get("phase") != "Progressing":
            deployment = parse(document(key, status, "2" if status.get("stable") else "1"))
            plan = decide(deployment, Observed(arms=self._arms, route=self.route), at)
            status = json.loads(json.dumps(plan.status.to_wire()))
            for revision in {deployment.revision, *self._arms}:
                self._arms[revision] = Arm(
                    revision=revision, wanted_replicas=1, pods=PODS_PER_ARM, ready=1, role="stable"
                )
            for effect in plan.effects:
                if hasattr(effect, "shares"):
                    shares: dict[str, Decimal] = effect.shares
                    mark = deployment.traffic_hash
                    self.route = RouteState(
                        acceptance=Acceptance.ACCEPTED, shares=shares, traffic_hash=mark, controller=CONTROLLER
                    )
            at += timedelta(seconds=5)
        return status


class Fleet:
    """
    Models in flight, looked at by a few workers as in the operator.
    """

    def __init__(self, count: int, cluster: Cluster, status: dict[str, Any]) -> None:
        """
        All in the same state.
        """
        self.cluster = cluster
        self.keys = [Key(f"team-{number % 20}", f"model-{number}") for number in range(count)]
        self.status = {key: json.dumps(status) for key in self.keys}

    def services(self) -> list[tuple[str, str, bool]]:
        """
        Namespace, Service and whether it is the candidate's, of every arm.
        """
        status = json.loads(self.status[self.keys[0]])
        arms = [(status[arm]["revision"], arm == "candidate") for arm in ("stable", "candidate")]
        return [(key.namespace, workload_name(key.name, name), new) for key in self.keys for name, new in arms]

    async def cycle(self, source: MetricSource, now: datetime) -> int:
        """
        One look at every model; the number of blocks that were counted.
        """
        todo, blocks = iter(self.keys), 0
        eyes = Eyes(
            workloads=self.cluster,
            routes=self.cluster,
            comparators=self.cluster,
            metrics=source,
            warm_ups=None,  # type: ignore[arg-type]
        )

        async def work() -> None:
            nonlocal blocks
            for key in todo:
                deployment = parse(document(key, json.loads(self.status[key]), "2"))
                observed = await observe(eyes, deployment, None, now)
                blocks += sum(isinstance(one, Measured) for one in observed.readings.values())
                self.status[key] = json.dumps(decide(deployment, observed, now).status.to_wire())

        await asyncio.gather(*(work() for _ in range(WORKERS)))
        return blocks


async def _no_secret(namespace: str, name: str, key: str) -> str:
    raise GoneError(f"{namespace}/{name}/{key}")


async def _longest_stall(stop: asyncio.Event) -> float:
    """
    Seconds for which nothing else could run.
    """
    longest = 0.0
    while not stop.is_set():
        began = time.perf_counter()
        await asyncio.sleep(0.01)
        longest = max(longest, time.perf_counter() - began - 0.01)
    return longest


async def measure(fleet: Fleet, source: MetricSource, address: str, now: datetime) -> dict[str, float]:
    """
    One cycle.
    """
    stop = asyncio.Event()
    stalls = asyncio.create_task(_longest_stall(stop))
    before, cpu, wall = await counted(address), time.process_time(), time.perf_counter()
    blocks = await fleet.cycle(source, now)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    after = await counted(address)
    stop.set()
    return {
        "blocks": blocks,
        **{name: after[name] - before[name] for name in after},
        "cpu_ms_per_model": cpu * 1000 / len(fleet.keys),
        "wall_seconds": wall,
        "stall_ms": await stalls * 1000,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


async def compare(count: int, scrape_seconds: int, cycles: int) -> list[dict[str, Any]]:
    """
    Cycles with batches, the first of a fresh process among them, and one without.
    """
    every, cluster = timedelta(seconds=scrape_seconds), Cluster()
    with tempfile.TemporaryDirectory() as folder:
        async with AsyncExitStack() as stack:
            first = Page([], every).now + LOOK_BACK
            fleet = Fleet(count, cluster, cluster.in_flight(Key("team-0", "model-0"), first))
            page = Page(fleet.services(), every)
            page.now = first - LOOK_BACK
            address = await stack.enter_async_context(scraped(page, Path(folder)))
            await page.advance(LOOK_BACK // every)
            policy = AddressPolicy(address)
            alone = await stack.enter_async_context(PrometheusSource(policy, _no_secret, jitter=lambda: 0.5))
            together = BatchingSource(alone)
            rows = []
            for number in range(cycles + 2):
                await page.advance(INTERVAL // every)
                if number == 0:
                    fleet.status = dict.fromkeys(fleet.keys, json.dumps(cluster.in_flight(fleet.keys[0], page.now)))
                    await page.advance(2 * INTERVAL // every)
                last = number == cycles + 1
                row = await measure(fleet, alone if last else together, address, page.now + DELAY)
                rows.append({"what": "alone" if last else "first" if number == 0 else "together", **row})
            await together.close()
    return rows


def report(rows: list[dict[str, Any]]) -> None:
    """
    Print a table, and the ratios between the last cycle with batches and the one without.
    """
    names = ("blocks", "requests", "bytes", "cpu_ms_per_model", "server_cpu", "wall_seconds", "stall_ms", "peak_mib")
    print(" ".join(f"{head:>16}" for head in ("what", *names)))
    for row in rows:
        print(f"{row['what']:>16} " + " ".join(f"{row[name]:>16,.2f}" for name in names))
    alone, together = rows[-1], rows[-2]
    ratios = (f"{together[name] / alone[name]:>16.4f}" if alone[name] else f"{'-':>16}" for name in names[:6])
    print(f"{'of alone':>16} " + " ".join(ratios))


def main(arguments: list[str]) -> None:
    """
    Measure and print.
    """
    parser = argparse.ArgumentParser(prog="make bench ARGS='fetches'", description=__doc__)
    parser.add_argument("--models", type=int, default=1000)
    parser.add_argument("--scrape", type=int, default=15, choices=(1, 3, 5, 15), metavar="SECONDS")
    parser.add_argument("--cycles", type=int, default=CYCLES)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    spare_the_garbage_collector()
    rows = asyncio.run(compare(options.models, options.scrape, options.cycles))
    if options.json:
        print(json.dumps(rows))
    else:
        report(rows)
