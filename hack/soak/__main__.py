"""
`make soak`: the acceptance figures, measured on the real cluster and written to docs/measured.md and docs/reports/.

Parts: demo (the whole story), bad (the failing version alone), kills (good and bad versions while the operator is
killed), idle (nothing writes to an object at rest; runs beside the others). Every count is the client's own.
"""

import argparse
import asyncio
import json
import os
import random
import statistics
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from demo.rig import QUICK, Rig, cancelled, failed, keep_killing, operator_memory_mb, stable_at
from demo.sight import NAMESPACE
from demo.stage import ROOT, Stage, prepare
from demo.story import Telling, rollout, tell

REPORTS = ROOT / "docs/reports"
PAGE = ROOT / "docs/measured.md"
SIDE_BY_SIDE = 4
IDLE_SECONDS = 600
QUIET_SECONDS = 5


def say(text: str) -> None:
    """
    Progress, with the time of day.
    """
    print(f"{time.strftime('%H:%M:%S')}  {text}", flush=True)


def keep(name: str, result: Any) -> None:  # noqa: ANN401 - whatever JSON holds
    """
    Add a result to its report.
    """
    REPORTS.mkdir(parents=True, exist_ok=True)
    path = REPORTS / f"{name}.json"
    known = json.loads(path.read_text()) if path.exists() else []
    path.write_text(json.dumps([*known, result], indent=1) + "\n")


def play_demo(stage: Stage) -> None:
    """
    The whole story once.
    """
    began = time.monotonic()
    telling = asyncio.run(tell(stage, 50, lambda _: None))
    counts = telling.counts
    acts = [asdict(act) for act in telling.acts]
    keep("demo", {"acts": acts, "sent": counts.sent if counts else 0, "lost": counts.lost if counts else None,
                  "seconds": round(time.monotonic() - began, 1)})  # fmt: skip
    say(
        f"demo: {[(act['version'], act['outcome'], act['bad_answers']) for act in acts]}, lost {counts and counts.lost}"
    )


def play_bad(stage: Stage) -> None:
    """
    The failing version against a healthy stable one, with the demo's own manifest.
    """

    async def play() -> Telling:
        telling = Telling()
        rig = Rig(stage, "digits", {})
        await rig.deploy(2)
        async with rig.traffic() as client:
            telling.client = client
            await asyncio.sleep(QUIET_SECONDS)
            await rollout(stage, telling, 3, "RolledBack", lambda _: None)
        return telling

    telling = asyncio.run(play())
    counts = telling.counts
    keep(
        "bad",
        {**asdict(telling.acts[0]), "sent": counts.sent if counts else 0, "lost": counts.lost if counts else None},
    )
    say(f"bad version: {telling.acts[0].outcome}, {telling.acts[0].bad_answers} bad answers")


def play_kills(stage: Stage, turn: int) -> None:
    """
    Good and bad versions alternately, several side by side, while the operator is killed at seeded random moments.
    """
    names = [f"kill-{turn}-{n}" for n in range(SIDE_BY_SIDE)]
    canary = {**QUICK["strategy"]["canary"], "blastRadius": "4%"}
    overrides = {"strategy": {**QUICK["strategy"], "canary": canary}}
    rigs = [Rig(stage, name, dict(overrides)) for name in names]

    async def one(rig: Rig, version: int) -> dict[str, Any]:
        async with rig.traffic(rate=25):
            rig.apply(version)
            wanted = failed if version == 3 else (lambda sight: stable_at(sight, 2))
            end = await rig.until(wanted, 600)
            before = rig.client.snapshot().answers if rig.client else {}
            await asyncio.sleep(QUIET_SECONDS)
            counts = rig.client.snapshot() if rig.client else None
        later = {
            f"{k}": n for k, n in (counts.answers if counts else {}).items() if k[0] == "3" and n > before.get(k, 0)
        }
        return {
            "version": version, "outcome": end.phase, "lost": counts.lost if counts else None,
            "bad": counts.bad(str(version)) if counts else None, "answers_after_rejection": later if version == 3 else {},
            "counted_twice": rig.counted_twice(str(version)), "seconds": round(rig.looks[-1][0] - rig.looks[0][0], 1),
        }  # fmt: skip

    async def play() -> list[dict[str, Any]]:
        await asyncio.gather(*(rig.deploy(1) for rig in rigs))
        generator = random.Random(turn)
        pauses = [generator.uniform(4, 20) for _ in range(100)]
        killer = asyncio.create_task(keep_killing(stage, pauses))
        try:
            return await asyncio.gather(*(one(rig, 2 + n % 2) for n, rig in enumerate(rigs)))
        finally:
            await cancelled(killer)
            for rig in rigs:
                rig.delete(wait=False)

    for result in asyncio.run(play()):
        keep("kills", result)
    say(f"kills {turn + 1}: done")


def _mean(values: list[float]) -> str:
    return f"{statistics.mean(values):.1f}" if values else "-"


def page() -> str:
    """
    docs/measured.md from the reports.
    """

    def load(name: str) -> list[dict[str, Any]]:
        path = REPORTS / f"{name}.json"
        return json.loads(path.read_text()) if path.exists() else []

    demo, bad, kills, idle, size = (load(name) for name in ("demo", "bad", "kills", "idle", "size"))
    thirds = [act for run in demo for act in run["acts"] if act["version"] == "3"] + bad
    answers = [act["bad_answers"] for act in thirds]
    seconds = [act["seconds"] for run in demo for act in run["acts"] if act["version"] == "2"]
    sent, lost = sum(run["sent"] for run in demo + bad), sum(run["lost"] or 0 for run in demo + bad)
    promoted = sum(act["outcome"] == "Promoted" for run in demo for act in run["acts"] if act["version"] == "2")
    rows = [
        ("the demo's story, runs", str(len(demo))),
        ("requests sent in these and the runs of the bad version alone", f"{sum(run['sent'] for run in demo + bad):,}"),
        ("lost, not failed by a version itself", f"{lost} of {sent:,}"),
        ("version 2 promoted", f"{promoted} of {len(demo)}, in {_mean(seconds)} s on average"),
        ("bad answers of version 3 until its share was 0", f"mean {_mean(answers)} of {len(answers)} runs: {answers}"),
        ("for comparison: Flagger at a 10 s interval, same rate and share of errors", "26 in 60 s"),
        ("rollouts with the operator killed at random", f"{len(kills)}, ended as they should: "
         f"{sum(k['outcome'] == ('Failed' if k['version'] == 3 else 'Stable') for k in kills)}"),
        ("lost requests in these", str(sum(k["lost"] or 0 for k in kills))),
        ("answers of a rejected version after its rejection", str(sum(len(k["answers_after_rejection"]) for k in kills))),
        ("looks at which evidence was counted twice", str(sum(len(k["counted_twice"]) for k in kills))),
        ("writes to an idle object and what it owns", "; ".join(f"{i['writes']} in {i['seconds']} s" for i in idle) or "-"),
        ("operator's resident memory", "; ".join(f"{s['memory_mb']:.0f} MB" for s in size) or "-"),
    ]  # fmt: skip
    table = "\n".join(f"| {what} | {figure} |" for what, figure in rows)
    return (
        "# Measured\n\nGenerated by `make soak` from docs/reports/: one node, two cores, the local cluster of this repository, "
        "50 requests a second through Contour, a scikit-learn model in MLServer, Prometheus scraping every 5 s. All counts are "
        f"the client's own.\n\n| what | figure |\n| --- | --- |\n{table}\n"
    )


def main() -> None:
    """
    Play the parts and write the page.
    """
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__)
    parser.add_argument("--demos", type=int, default=3)
    parser.add_argument("--bad", type=int, default=2, help="runs of the bad version alone, beside those of the demos")
    parser.add_argument("--kills", type=int, default=5, help=f"rounds of {SIDE_BY_SIDE} rollouts")
    parser.add_argument("--page", action="store_true", help="only write the page from the reports that are there")
    arguments = parser.parse_args()
    if not arguments.page:
        stage = prepare(os.environ.get("CONTEXT") or None)
        stage.kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait=true", "--timeout=180s")
        idle = Rig(stage, "idle")
        asyncio.run(idle.deploy(1))
        time.sleep(15)
        before, since = idle.versions(), time.monotonic()
        for _ in range(arguments.bad):
            play_bad(stage)
        for _ in range(arguments.demos):
            Rig(stage, "digits").delete()
            play_demo(stage)
        keep("size", {"memory_mb": operator_memory_mb(stage)})
        for turn in range(arguments.kills):
            play_kills(stage, turn)
        time.sleep(max(0.0, since + IDLE_SECONDS - time.monotonic()))
        after = idle.versions()
        writes = sum(int(after.get(name) != version) for name, version in before.items())
        keep("idle", {"writes": writes, "seconds": round(time.monotonic() - since)})
    PAGE.write_text(page())
    say(f"written: {PAGE.relative_to(ROOT)}")
    subprocess.run(["git", "-C", str(ROOT), "--no-pager", "diff", "--stat", "--", "docs"], check=False)


if __name__ == "__main__":
    main()
