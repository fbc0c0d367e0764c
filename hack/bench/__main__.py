"""
`make bench`: what a decision costs. Ratios within one run, because machines differ; absolute times stand beside them.
`make bench ARGS=fetches`: what it costs to look at 1,000 models in flight, with a real Prometheus.

The yardstick is reading the same object from JSON, which every client of the API server must do anyway.
"""

import argparse
import json
import sys
import time
import tracemalloc
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import fetches

from modelramp.analysis import Block, Counts
from modelramp.api.document import parse
from modelramp.rollout import decide
from modelramp.rollout.observed import Acceptance, Arm, Measured, Observed, RouteState

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


def document(status: dict[str, Any], metrics: int) -> dict[str, Any]:
    """
    An object with so many metrics, at version 2 when it has a stable version already.
    """
    version = "2" if status.get("stable") else "1"
    selectors = [
        {"name": f"m{n}", "ratio": {"bad": f"bad{n}_total{{$arm}}", "total": f"all{n}_total{{$arm}}"}}
        for n in range(metrics)
    ]
    return {
        "metadata": {"namespace": "ml", "name": "fraud", "uid": "u", "generation": int(version)},
        "spec": {
            "model": {"version": version},
            "serving": {"runtime": "mlserver", "template": {"spec": {"containers": [{"name": "m", "image": "i:1"}]}}},
            "traffic": {"gatewayAPI": {"parentRefs": [{"name": "gw"}]}},
            "strategy": {"canary": {"blastRadius": "0.05%"}},
            "analysis": {"interval": "5s", "metrics": selectors},
        },
        "status": status,
    }


class World:
    """
    Just enough of a world to bring an object into the middle of a step.
    """

    def __init__(self, metrics: int) -> None:
        """
        Nothing deployed yet.
        """
        self.metrics, self.now, self.status = metrics, BEGIN, {}
        self.arms: dict[str, Arm] = {}
        self.route = RouteState()

    def observed(self) -> Observed:
        """
        The world, with a fresh block for every metric.
        """
        block = Block(self.now - timedelta(seconds=5), self.now, Counts(12, 0), Counts(238, 0))
        readings = {f"m{n}": Measured(block) for n in range(self.metrics)}
        return Observed(arms=self.arms, route=self.route, readings=readings)

    def step(self) -> str:
        """
        One decision, applied; the phase it led to.
        """
        deployment = parse(document(self.status, self.metrics))
        plan = decide(deployment, self.observed(), self.now)
        self.status = json.loads(json.dumps(plan.status.to_wire()))
        for revision in {deployment.revision, *self.arms}:
            self.arms[revision] = Arm(revision=revision, wanted_replicas=1, pods=1, ready=1, role="stable")
        for effect in plan.effects:
            if hasattr(effect, "shares"):
                shares: dict[str, Decimal] = effect.shares
                mark = deployment.traffic_hash
                self.route = RouteState(acceptance=Acceptance.ACCEPTED, shares=shares, traffic_hash=mark)
        self.now += timedelta(seconds=5)
        return str(plan.status.phase)


def seconds(call: Callable[[], object], least: float = 0.5) -> float:
    """
    Seconds a call takes: the best of three rounds of at least `least` seconds.
    """
    best = float("inf")
    for _ in range(3):
        count, began = 0, time.perf_counter()
        while time.perf_counter() - began < least:
            call()
            count += 1
        best = min(best, (time.perf_counter() - began) / count)
    return best


def measure(metrics: int) -> dict[str, float]:
    """
    A decision in the middle of a step, and at rest, for so many metrics.
    """
    world = World(metrics)
    while world.step() != "Progressing":
        pass
    for _ in range(10):
        world.step()
    raw = json.dumps(document(world.status, metrics))
    deployment = parse(json.loads(raw))
    observed, now = world.observed(), world.now
    reading = seconds(lambda: json.loads(raw))
    tracemalloc.start()
    decide(deployment, observed, now)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    parsing, deciding = seconds(lambda: parse(json.loads(raw))), seconds(lambda: decide(deployment, observed, now))
    return {
        "metrics": metrics,
        "json_us": reading * 1e6,
        "parse_us": parsing * 1e6,
        "decide_us": deciding * 1e6,
        "parse_per_json": parsing / reading,
        "decide_per_json": deciding / reading,
        "status_bytes": len(json.dumps(world.status)),
        "evidence_bytes_per_metric": len(json.dumps(world.status["evidence"])) / metrics,
        "peak_kib": peak / 1024,
    }


def main() -> None:
    """
    Print a table, or JSON.
    """
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--json", action="store_true")
    if sys.argv[1:2] == ["fetches"]:
        fetches.main(sys.argv[2:])
        return
    arguments = parser.parse_args()
    rows = [measure(metrics) for metrics in (1, 3, 10)]
    if arguments.json:
        print(json.dumps(rows))
        return
    heads = ("metrics", "read JSON", "parse", "decide", "decide / JSON", "status", "evidence/metric", "peak")
    print(" ".join(f"{head:>15}" for head in heads))
    for row in rows:
        cells = (
            f"{row['metrics']}",
            f"{row['json_us']:.0f} us",
            f"{row['parse_us']:.0f} us",
            f"{row['decide_us']:.0f} us",
            f"{row['decide_per_json']:.1f}",
            f"{row['status_bytes']:.0f} B",
            f"{row['evidence_bytes_per_metric']:.0f} B",
            f"{row['peak_kib']:.0f} KiB",
        )
        print(" ".join(f"{cell:>15}" for cell in cells))


if __name__ == "__main__":
    main()
