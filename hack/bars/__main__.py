"""
`make bars`: how often, how soon and at what price the operator decides, by simulation, beside what it promises.

Every cell is so many whole rollouts of `modelramp simulate`, each from a seed of its own; equal seeds give equal tables.
Writes docs/bars.md and docs/reports/bars.json.
"""

import argparse
import json
import math
import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bars.page import kept, page, promise

from modelramp.api.document import MLModelDeployment, parse
from modelramp.simulation import Onset, Outcome, Rates, Run, TrafficModel, simulate, summarize

ROOT = Path(__file__).resolve().parents[2]
REPORT = ROOT / "docs/reports/bars.json"
PAGE = ROOT / "docs/bars.md"
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
    metrics: int = 1
    onset: Onset = field(default_factory=Onset)
    world: dict[str, Any] = field(default_factory=dict)
    measure: str
    """rolledBack or promoted (of all runs), or seconds or bad (mean of those rolled back)."""
    limit: float | None
    """At most; None: shown for comparison, nothing is promised. Times and bad answers include a block and what is left
    out."""


def fixed(bar: str, what: str, rps: float, stable: float, candidate: float, **more: Any) -> Cell:  # noqa: ANN401
    """
    An hour at 10 %.
    """
    return Cell(bar=bar, what=what, rps=rps, stable=stable, candidate=candidate, **more)


def ramp(bar: str, rps: float, stable: float, candidate: float, **more: Any) -> Cell:  # noqa: ANN401
    """
    The ramp 5/10/25/50 with a blast radius of 0.25 % and an hour for each step.
    """
    return Cell(
        bar=bar, what=f"ramp, {rps:g} rps, {stable:.1%} to {candidate:.1%}", rps=rps, stable=stable, candidate=candidate,
        steps=("5%", "10%", "25%", "50%"), blast_radius="0.25%", deadline="60m", soak="2m", **more,
    )  # fmt: skip


WORLDS: dict[str, dict[str, Any]] = {
    "independent": {},
    "clusters of mean 3": {"burst": 3.0},
    "clusters of mean 10": {"burst": 10.0},
    "pods sd 0.1": {"pod_deviation": 0.1},
    "pods sd 0.3": {"pod_deviation": 0.3},
    "pods sd 0.5": {"pod_deviation": 0.5},
}


def cells() -> Iterator[Cell]:
    """
    All of them, bar by bar.
    """
    for rps in (1.0, 10.0, 100.0):
        for rate in (0.001, 0.01, 0.05):
            yield fixed("B1", f"healthy, {rps:g} rps, {rate:.1%}", rps, rate, rate, measure="rolledBack", limit=0.006)
    for name, world in WORLDS.items():
        pods = {"stable_pods": 10, "candidate_pods": 1, **world}
        yield fixed("B1", f"healthy, 100 rps, 1 %, 10 pods, {name}", 100.0, 0.01, 0.01,
                    world=pods, measure="rolledBack", limit=0.021)  # fmt: skip
    yield fixed(
        "B2", "at the edge of harm (1.1 x), 100 rps, 1 %", 100.0, 0.01, 0.011, measure="rolledBack", limit=0.021
    )
    yield ramp("B2", 100.0, 0.01, 0.011, measure="rolledBack", limit=0.021)
    yield ramp("B2", 10.0, 0.001, 0.001 * 1.25 + 0.0025 / 0.5, measure="promoted", limit=0.073)
    for rps, stable, candidate in ((100.0, 0.001, 0.002), (100.0, 0.001, 0.005), (100.0, 0.01, 0.02),
                                   (100.0, 0.01, 0.05), (100.0, 0.05, 0.1), (100.0, 0.05, 0.25)):  # fmt: skip
        bound = 1.65 * requests_at_best(stable, candidate, 0.1) / (rps * 0.1) + SECONDS_OF_A_LOOK + SECONDS_LEFT_OUT
        yield fixed("B3", f"found, {rps:g} rps, {stable:.1%} to {candidate:.0%}", rps, stable, candidate,
                    deadline="361m", soak="6h", measure="seconds", limit=bound)  # fmt: skip
    for rps in (10.0, 100.0):
        yield fixed("B3", f"jump to 50 %, {rps:g} rps, 0.1 %", rps, 0.001, 0.5, measure="bad",
                    limit=12.0 + rps * 0.1 * 0.5 * (SECONDS_OF_A_LOOK + SECONDS_LEFT_OUT))  # fmt: skip
    yield ramp("B5", 100.0, 0.01, 0.02, onset=Onset(600.0, in_last_step=True), measure="late", limit=300.0,
               metrics=1)  # fmt: skip
    yield fixed("B6", "one of ten metrics twice as bad, 100 rps, 1 %", 100.0, 0.01, 0.02, metrics=10, deadline="361m",
                soak="6h", measure="seconds", limit=None)  # fmt: skip
    yield ramp("B7", 10.0, 0.001, 0.005, measure="promoted", limit=0.05)
    yield ramp("B7", 100.0, 0.001, 0.005, measure="promoted", limit=0.05)
    for rps, stable, candidate in ((1.0, 0.001, 0.001), (1.0, 0.001, 0.005), (1.0, 0.05, 0.05), (10.0, 0.001, 0.001),
                                   (10.0, 0.01, 0.01), (10.0, 0.01, 0.02), (10.0, 0.05, 0.05), (100.0, 0.001, 0.001),
                                   (100.0, 0.01, 0.01), (100.0, 0.01, 0.05), (100.0, 0.05, 0.05),
                                   (10.0, 0.001, 0.5)):  # fmt: skip
        yield ramp("7.3", rps, stable, candidate, measure="promoted", limit=None)


def requests_at_best(stable: float, candidate: float, share: float, rho: float = 1.1) -> float:
    """
    Requests of the candidate that no test of power one can do without, on average, at an error of 1 %.

    ln(100) over the information of one request: the least, over stable rates q, of the divergence of the candidate from
    rho q plus that of stable from q, weighted by their requests.
    """
    weight = (1.0 - share) / share

    def divergence(p: float, q: float) -> float:
        return p * math.log(p / q) + (1.0 - p) * math.log((1.0 - p) / (1.0 - q))

    grid = (stable + (candidate / rho - stable) * k / 4000 for k in range(4001))
    return math.log(100.0) / min(divergence(candidate, rho * q) + weight * divergence(stable, q) for q in grid)


def deployment(cell: Cell) -> MLModelDeployment:
    """
    The spec of a cell.
    """
    metrics = [{"preset": "errors"}]
    metrics += [
        {"name": f"other{n}", "ratio": {"bad": f"bad{n}_total{{$arm}}", "total": f"all{n}_total{{$arm}}"}}
        for n in range(1, cell.metrics)
    ]
    canary = {
        "steps": [{"traffic": share} for share in cell.steps],
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


def play(cell: Cell, runs: int, seed: int) -> list[Run]:
    """
    The runs of a cell.
    """
    names = ["errors", *(f"other{n}" for n in range(1, cell.metrics))]
    rates = {name: Rates(cell.stable, cell.candidate if name == "errors" else cell.stable) for name in names}
    model = TrafficModel(rps=cell.rps, rates=rates, onset=cell.onset, **cell.world)
    spec = deployment(cell)
    return [simulate(spec, model, f"{seed}/{cell.bar}/{cell.what}/{number}") for number in range(runs)]


def measured(cell: Cell, found: list[Run]) -> float | None:
    """
    The number that is promised something; None when no run can tell it.
    """
    back = [run for run in found if run.outcome is Outcome.ROLLED_BACK]
    match cell.measure:
        case "promoted":
            return sum(run.outcome is Outcome.PROMOTED for run in found) / len(found)
        case "rolledBack":
            return len(back) / len(found)
        case "seconds":
            return sum(run.seconds for run in back) / len(back) if back else None
        case "bad":
            return sum(run.bad for run in back) / len(back) if back else None
        case _:
            late = [run.seconds - next(m.seconds for m in run.moments if m.percent == 50) - cell.onset.seconds for run in back
                    if any(m.percent == 50 for m in run.moments)]  # fmt: skip
            return sum(late) / len(late) if late else None


def row(cell: Cell, runs: int, seed: int) -> dict[str, Any]:
    """
    One cell's line of the report.
    """
    began = time.monotonic()
    found = play(cell, runs, seed)
    value = measured(cell, found)
    return {
        "bar": cell.bar, "what": cell.what, "measure": cell.measure, "value": value, "limit": cell.limit,
        "kept": None if cell.limit is None or value is None else value <= cell.limit,
        "seed": seed, "cpu_seconds": round(time.monotonic() - began, 1), **summarize(found).as_json(),
    }  # fmt: skip


def main() -> int:
    """
    Play all cells, or those of some bars, and write the page; 1 when a promise is not kept.
    """
    parser = argparse.ArgumentParser(prog="make bars", description=__doc__)
    parser.add_argument("--runs", type=int, default=1000, help="rollouts a cell (default 1000)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", action="append", help="a bar, such as B1; may be repeated; writes nothing")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--page", action="store_true", help="only write the page from the report that is there")
    arguments = parser.parse_args()
    if arguments.page:
        PAGE.write_text(page(json.loads(REPORT.read_text())))
        return 0
    wanted = [cell for cell in cells() if not arguments.only or cell.bar in arguments.only]
    rows: list[dict[str, Any]] = []
    with ProcessPoolExecutor(arguments.processes) as pool:
        for number, one in enumerate(
            pool.map(row, wanted, [arguments.runs] * len(wanted), [arguments.seed] * len(wanted)), start=1
        ):
            rows.append(one)
            print(
                f"[{number} of {len(wanted)}] {one['bar']} {one['what']}: {promise(one)} {kept(one)} ({one['cpu_seconds']} s)",
                flush=True,
            )
    if not arguments.only:
        REPORT.parent.mkdir(parents=True, exist_ok=True)
        REPORT.write_text(json.dumps(rows, indent=1) + "\n")
        PAGE.write_text(page(rows))
    return 1 if any(one["kept"] is False for one in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
