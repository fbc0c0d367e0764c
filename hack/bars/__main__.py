"""
`make bars`: how often, how soon and at what price the operator decides, by simulation, beside what it promises.

Every cell is so many whole rollouts of `modelramp simulate`, each from a seed of its own; equal seeds give equal tables.
Writes docs/bars.md, its summary in docs/evidence.md, and docs/reports/bars.json.
"""

import argparse
import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bars.page import kept, page, promise, with_summary

from modelramp.api.document import MLModelDeployment, parse
from modelramp.simulation import Onset, Outcome, Rates, Run, TrafficModel, simulate, summarize

ROOT = Path(__file__).resolve().parents[2]
REPORT = ROOT / "docs/reports/bars.json"
PAGE = ROOT / "docs/bars.md"
EVIDENCE = ROOT / "docs/evidence.md"
SECONDS_OF_A_LOOK = 15
SECONDS_LEFT_OUT = 10
"""Five for settling after a change of the share, five for scrapes to be complete."""


@dataclass(frozen=True, kw_only=True)
class Cell:
    """
    One world and one spec, and which number of it is promised to be at most what.
    """

    bar: str
    what: str
    rps: float
    stable: float
    candidate: float
    steps: tuple[str, ...] = ("10%",)
    blast_radius: str = "0.01%"
    deadline: str = "61m"
    soak: str = "60m"
    last_soak: str | None = None
    """Of the last step; None: as the others."""
    metrics: int = 1
    onset: Onset = field(default_factory=Onset)
    world: dict[str, Any] = field(default_factory=dict)
    measure: str
    """
    rolledBack, promoted, changed (shares of all runs); seconds, p95, bad (of those rolled back); late (seconds after the
    onset, of those rolled back), missed (share not rolled back).
    """
    limit: float | None
    """At most; None: shown for comparison, nothing is promised. Times and bad answers include a block and what is left
    out."""
    times: str | None = None
    """Where set, `limit` is a factor on the measured number of the cell of this name."""


def fixed(bar: str, what: str, rps: float, stable: float, candidate: float, **more: Any) -> Cell:  # noqa: ANN401
    """
    An hour at 10 %.
    """
    return Cell(bar=bar, what=what, rps=rps, stable=stable, candidate=candidate, **more)


def ramp(bar: str, rps: float, stable: float, candidate: float, **more: Any) -> Cell:  # noqa: ANN401
    """
    The ramp 5/10/25/50 with a blast radius of 0.25 % and an hour for each step.
    """
    names = {"what": f"ramp, {rps:g} rps, {stable:.2%} to {candidate:.2%}", "deadline": "60m", "soak": "2m"}
    spec = {"steps": ("5%", "10%", "25%", "50%"), "blast_radius": "0.25%"}
    return Cell(bar=bar, rps=rps, stable=stable, candidate=candidate, **{**names, **spec, **more})


WORLDS: dict[str, dict[str, Any]] = {
    "independent": {},
    "rates swing by 70 %": {"swing": 0.7},
    "retries": {"retries": 2},
    "an incident a pod in two hours": {"incidents": 0.5},
    "two incidents a pod and hour": {"incidents": 2.0},
    "clusters of mean 3": {"burst": 3.0},
    "clusters of mean 10": {"burst": 10.0},
    "pods sd 0.1": {"pod_deviation": 0.1},
    "pods sd 0.3": {"pod_deviation": 0.3},
    "pods sd 0.5": {"pod_deviation": 0.5},
}
EFFECTS = ((0.001, 0.002), (0.001, 0.005), (0.01, 0.02), (0.01, 0.05), (0.05, 0.1), (0.05, 0.25))
RAMPS = (
    (1.0, 0.001, 0.001), (1.0, 0.001, 0.005), (1.0, 0.05, 0.05), (10.0, 0.001, 0.001), (10.0, 0.001, 0.005),
    (10.0, 0.01, 0.01), (10.0, 0.01, 0.02), (10.0, 0.05, 0.05), (100.0, 0.001, 0.001), (100.0, 0.001, 0.005),
    (100.0, 0.01, 0.01), (100.0, 0.01, 0.05), (100.0, 0.05, 0.05), (10.0, 0.001, 0.5), (100.0, 0.01, 0.5),
)  # fmt: skip
SIX_HOURS = {"deadline": "361m", "soak": "6h"}


def cells() -> Iterator[Cell]:
    """
    All of them, bar by bar.
    """
    yield from false_rollbacks()
    yield from found()
    yield from certified()
    late = {"onset": Onset(600.0, in_last_step=True), "last_soak": "55m"}
    yield ramp("B5", 100.0, 0.01, 0.02, what="twice as bad from ten minutes into the last step on", measure="late",
               limit=300.0, **late)  # fmt: skip
    yield ramp("B5", 100.0, 0.01, 0.02, what="the same: missed", measure="missed", limit=0.01, **late)
    one = "one metric twice as bad, 100 rps, 1 %"
    yield fixed("B6", one, 100.0, 0.01, 0.02, measure="seconds", limit=None, **SIX_HOURS)
    yield fixed("B6", "one of ten metrics twice as bad", 100.0, 0.01, 0.02, metrics=10, measure="seconds", limit=1.45,
                times=one, **SIX_HOURS)  # fmt: skip
    for rps in (10.0, 100.0):
        yield ramp("B7", rps, 0.001, 0.005, measure="promoted", limit=0.05)
    yield ramp(
        "B8", 100.0, 0.01, 0.02, what="restarted after every look, decided otherwise", measure="changed", limit=0.0
    )
    for rps, stable, candidate in RAMPS:
        yield ramp("7.3", rps, stable, candidate, measure="promoted", limit=None)


def false_rollbacks() -> Iterator[Cell]:
    """
    Healthy candidates, and those at the very edge of what is allowed.
    """
    for rps in (1.0, 10.0, 100.0):
        for rate in (0.001, 0.01, 0.05):
            yield fixed("B1", f"healthy, {rps:g} rps, {rate:.1%}", rps, rate, rate, measure="rolledBack", limit=0.006)
    for name, world in WORLDS.items():
        pods = {"stable_pods": 10, "candidate_pods": 1, **world}
        yield fixed("B1", f"healthy, 100 rps, 1 %, 10 pods, {name}", 100.0, 0.01, 0.01,
                    world=pods, measure="rolledBack", limit=0.021)  # fmt: skip
    swing = {"world": {"swing": 0.7}}
    edge = 1.1 * 0.01 + 0.2 * 0.0025  # of harm: a fifth of the blast radius is free
    yield ramp("B2", 100.0, 0.01, edge, what="at the edge of harm, rates swing by 70 %", measure="rolledBack", limit=0.021,
               blast_radius="0.25%", last_soak="55m", **swing)  # fmt: skip
    beyond = 1.25 * 0.001 + 0.0025  # of what is not worse, in the last step of the ramp
    yield ramp("B2", 100.0, 0.001, beyond, what="at the edge of not worse", measure="promoted", limit=0.073)


def found() -> Iterator[Cell]:
    """
    Harm, against the best that any test could do.
    """
    for stable, candidate in EFFECTS:
        best = requests_at_best(stable, candidate, 0.1) / (100.0 * 0.1)
        allowance = SECONDS_OF_A_LOOK + SECONDS_LEFT_OUT
        name = f"100 rps, {stable:.1%} to {candidate:.1%}"
        yield fixed("B3", name, 100.0, stable, candidate, measure="seconds", limit=1.65 * best + allowance, **SIX_HOURS)
        yield fixed("B3", f"{name}, 95 %", 100.0, stable, candidate, measure="p95", limit=3.8 * best + allowance,
                    **SIX_HOURS)  # fmt: skip
    for rps in (10.0, 100.0):
        yield fixed("B3", f"jump to 50 %, {rps:g} rps, 0.1 %", rps, 0.001, 0.5, measure="bad",
                    limit=12.0 + rps * 0.1 * 0.5 * (SECONDS_OF_A_LOOK + SECONDS_LEFT_OUT))  # fmt: skip


def certified() -> Iterator[Cell]:
    """
    Healthy candidates certified for everything, against the best that any test could do.
    """
    for rate in (0.001, 0.01, 0.05):
        best = requests_at_best(rate, rate, 0.1, rho=1.25, epsilon=0.0025, alpha=0.05) / (100.0 * 0.1)
        name = f"certified at 10 %, 100 rps, {rate:.1%}, blast radius 0.25 %"
        spec = {"blast_radius": "0.25%", "deadline": "361m", "soak": "1s"}
        allowance = SECONDS_OF_A_LOOK + SECONDS_LEFT_OUT
        yield fixed("B4", name, 100.0, rate, rate, measure="certified", limit=1.8 * best + allowance, **spec)
        yield fixed("B4", f"{name}, 95 %", 100.0, rate, rate, measure="certified95", limit=4 * best + allowance, **spec)


def requests_at_best(
    stable: float, candidate: float, share: float, rho: float = 1.1, epsilon: float = 0.00002, alpha: float = 0.01
) -> float:
    """
    Requests of the candidate that no test of power one can do without, on average.

    ln(1 / alpha) over the information of one request: the least, over stable rates q, of the divergence of the candidate
    from rho q + epsilon plus that of stable from q, weighted by their requests.
    """
    weight = (1.0 - share) / share

    def divergence(p: float, q: float) -> float:
        return p * math.log(p / q) + (1.0 - p) * math.log((1.0 - p) / (1.0 - q))

    other = max(1e-9, (candidate - epsilon) / rho)  # the least lies between stable's rate and where the margin is met
    grid = (stable + (other - stable) * k / 4000 for k in range(4001))
    return math.log(1.0 / alpha) / min(
        divergence(candidate, rho * q + epsilon) + weight * divergence(stable, q) for q in grid
    )


def deployment(cell: Cell) -> MLModelDeployment:
    """
    The spec of a cell.
    """
    metrics: list[dict[str, Any]] = [{"preset": "errors"}]
    metrics += [
        {"name": f"other{n}", "ratio": {"bad": f"bad{n}_total{{$arm}}", "total": f"all{n}_total{{$arm}}"}}
        for n in range(1, cell.metrics)
    ]
    canary = {
        "steps": [
            {"traffic": share, **({"soak": cell.last_soak} if cell.last_soak and share == cell.steps[-1] else {})}
            for share in cell.steps
        ],
        "blastRadius": cell.blast_radius,
        "stepDeadline": cell.deadline,
        "soak": cell.soak,
    }
    return parse(
        {
            "metadata": {"namespace": "bars", "name": "bars", "uid": "bars", "generation": 1},
            "spec": {
                "model": {"version": "2"},
                "serving": {
                    "runtime": "mlserver",
                    "template": {"spec": {"containers": [{"name": "m", "image": "i:1"}]}},
                },
                "traffic": {"gatewayAPI": {"parentRefs": [{"name": "gw"}]}},
                "strategy": {"canary": canary},
                "analysis": {"interval": f"{SECONDS_OF_A_LOOK}s", "metrics": metrics},
            },
        }
    )


def play(cell: Cell, runs: int, seed: int, *, restarts: bool = False) -> list[Run]:
    """
    The runs of a cell.
    """
    names = ["errors", *(f"other{n}" for n in range(1, cell.metrics))]
    rates = {name: Rates(cell.stable, cell.candidate if name == "errors" else cell.stable) for name in names}
    model = TrafficModel(rps=cell.rps, rates=rates, onset=cell.onset, **cell.world)
    spec = deployment(cell)
    return [
        simulate(spec, model, f"{seed}/{cell.bar}/{cell.what}/{number}", restarts=restarts) for number in range(runs)
    ]


def measured(cell: Cell, found: list[Run], seed: int) -> float | None:
    """
    The number that is promised something; None when no run can tell it.
    """
    back = [run for run in found if run.outcome is Outcome.ROLLED_BACK]
    through = [run for run in found if run.outcome is Outcome.PROMOTED]
    shares: dict[str, Callable[[], int]] = {
        "promoted": lambda: len(through),
        "rolledBack": lambda: len(back),
        "missed": lambda: len(found) - len(back),
        "changed": lambda: sum(a != b for a, b in zip(found, play(cell, len(found), seed, restarts=True), strict=True)),
    }
    if cell.measure in shares:
        return shares[cell.measure]() / len(found)
    values: dict[str, list[float]] = {
        "seconds": [run.seconds for run in back],
        "p95": [run.seconds for run in back],
        "bad": [run.bad for run in back],
        "late": [run.seconds - entered - cell.onset.seconds for run in back if (entered := last_step(run)) is not None],
        "certified": [run.seconds for run in through],
        "certified95": [run.seconds for run in through],
    }
    ordered = sorted(values[cell.measure])
    if not ordered:
        return None
    return ordered[-(-95 * len(ordered) // 100) - 1] if "95" in cell.measure else sum(ordered) / len(ordered)


def last_step(run: Run) -> float | None:
    """
    When the run entered 50 %, in seconds; None: never.
    """
    return next((moment.seconds for moment in run.moments if moment.percent == Decimal(50)), None)


def row(cell: Cell, runs: int, seed: int) -> dict[str, Any]:
    """
    One cell's line of the report.
    """
    began = time.monotonic()
    found = play(cell, runs, seed)
    value = measured(cell, found, seed)
    return {
        "bar": cell.bar, "what": cell.what, "measure": cell.measure, "value": value, "limit": cell.limit,
        "times": cell.times,
        "seed": seed, "cpu_seconds": round(time.monotonic() - began, 1), **summarize(found).as_json(),
    }  # fmt: skip


def judge(one: dict[str, Any], before: list[dict[str, Any]]) -> None:
    """
    Whether a row keeps its promise, which may be a factor on a row before it.
    """
    if one["times"] is not None:
        other = next((row["value"] for row in before if row["what"] == one["times"]), None)
        one["limit"] = None if other is None else one["limit"] * other
    known = one["limit"] is not None and one["value"] is not None
    one["kept"] = one["value"] <= one["limit"] if known else None if one["limit"] is None else False


def merged(old: list[dict[str, Any]], new: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """
    The old rows with those measured anew in their places; rows that are not there yet come last.
    """
    fresh = {place(one): one for one in new}
    return [*(fresh.pop(place(one), one) for one in old), *fresh.values()]


def place(one: dict[str, Any]) -> tuple[str, str, str]:
    """
    What a row is about.
    """
    return one["bar"], one["what"], one["measure"]


def commit() -> str:
    """
    The commit that is measured; empty where there is none.
    """
    asked = ["git", "-C", str(ROOT), "rev-parse", "--short=12", "HEAD"]
    return subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()


def write(rows: list[dict[str, Any]]) -> None:
    """
    docs/bars.md, and its summary in docs/evidence.md.
    """
    PAGE.write_text(page(rows))
    EVIDENCE.write_text(with_summary(EVIDENCE.read_text(), rows))


def main() -> int:
    """
    Play all cells, or those of some bars, and write the page; 1 when a promise is not kept.
    """
    parser = argparse.ArgumentParser(prog="make bars", description=__doc__)
    parser.add_argument("--runs", type=int, default=1000, help="rollouts a cell (default 1000)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--only", action="append", help="a bar, such as B1; may be repeated; writes nothing without --merge"
    )
    parser.add_argument("--merge", action="store_true", help="put these rows into the report in place of the old ones")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--page", action="store_true", help="only write the page from the report that is there")
    arguments = parser.parse_args()
    if arguments.page:
        write(json.loads(REPORT.read_text()))
        return 0
    wanted = [cell for cell in cells() if not arguments.only or cell.bar in arguments.only]
    rows: list[dict[str, Any]] = []
    measured_at = commit()
    with ProcessPoolExecutor(arguments.processes) as pool:
        for number, one in enumerate(
            pool.map(row, wanted, [arguments.runs] * len(wanted), [arguments.seed] * len(wanted)), start=1
        ):
            judge(one, rows)
            one["commit"] = measured_at
            rows.append(one)
            print(
                f"[{number} of {len(wanted)}] {one['bar']} {one['what']}: {promise(one)} {kept(one)} ({one['cpu_seconds']} s)",
                flush=True,
            )
    if arguments.merge:
        rows = merged(json.loads(REPORT.read_text()), rows)
    if arguments.merge or not arguments.only:
        REPORT.parent.mkdir(parents=True, exist_ok=True)
        REPORT.write_text(json.dumps(rows, indent=1) + "\n")
        write(rows)
    return 1 if any(one["kept"] is False for one in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
