"""
`make figures`: the acceptance figures, measured on the real cluster and written to docs/measured.md and docs/reports/.

Parts: bad (the failing version alone), demo (the whole story, with the operator's memory and API requests), kills (good
and bad versions while the operator is killed), outages (of Prometheus and the API server), idle (nothing writes to an
object at rest; runs beside the others). Every count of requests is the client's own.
"""

import argparse
import asyncio
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from demo import outages
from demo.rig import (
    QUICK,
    Rig,
    answers_by_version,
    cancelled,
    failed,
    keep_killing,
    operator_memory_mb,
    returned,
    stable_at,
)
from demo.sight import NAMESPACE
from demo.stage import OPERATOR_IMAGE, ROOT, Stage, StageError, prepare, run
from demo.story import Telling, rollout, tell
from figures.page import page

REPORTS = ROOT / "docs/reports"
PAGE = ROOT / "docs/measured.md"
SIDE_BY_SIDE = 4
IDLE_SECONDS = 600
QUIET_SECONDS = 5
OPERATOR = "system:serviceaccount:modelramp-system:"


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


def api_requests(stage: Stage, since: datetime) -> dict[str, int] | None:
    """
    The operator's requests by verb and resource since then, from the audit log; None without the local cluster.
    """
    if stage.context:
        return None
    asked = ["audit", "--since", since.isoformat(), "--user", OPERATOR, "--json"]
    found = json.loads(run([sys.executable, str(ROOT / "hack/cluster"), *asked], stage.environment))
    return {f"{item['verb']} {item['resource']}": item["requests"] for item in found}


def play_demo(stage: Stage) -> None:
    """
    The whole story once.
    """
    Rig(stage, "digits").delete()
    began, since = time.monotonic(), datetime.now(UTC)
    telling = asyncio.run(tell(stage, 50, lambda _: None))
    counts = telling.counts
    acts = [asdict(act) for act in telling.acts]
    keep("demo", {"acts": acts, "sent": counts.sent if counts else 0, "lost": counts.lost if counts else None,
                  "seconds": round(time.monotonic() - began, 1), "api_requests": api_requests(stage, since)})  # fmt: skip
    say(
        f"demo: {[(act['version'], act['outcome'], act['bad_answers']) for act in acts]}, lost {counts and counts.lost}"
    )


def add_demo(path: Path) -> None:
    """
    Take over what `make demo ARGS="--report FILE"` counted.
    """
    told = json.loads(path.read_text())
    counted = told["client"]
    keep("demo", {"acts": told["acts"], "sent": counted["sent"], "lost": counted["lost"],
                  "seconds": round(told["seconds"], 1)})  # fmt: skip


def sizes(stage: Stage) -> dict[str, Any]:
    """
    How much memory the operator has now, how large its image is as the node tells it, and on what machine.
    """
    nodes = stage.get("nodes")["items"]
    images = [
        image for node in nodes for image in node["status"]["images"] if OPERATOR_IMAGE in (image.get("names") or [])
    ]
    return {
        "memory_mb": round(operator_memory_mb(stage), 1),
        "image_mb": round(images[0]["sizeBytes"] / 1e6) if images else None,
        "cpus": sum(int(node["status"]["capacity"]["cpu"]) for node in nodes),
        "memory_gib": round(
            sum(int(node["status"]["capacity"]["memory"].removesuffix("Ki")) for node in nodes) / 2**20
        ),
    }


def play_bad(stage: Stage) -> None:
    """
    The failing version against a healthy stable one, with the demo's own manifest.

    Raises:
        StageError: the version never answered, so its bad answers say nothing.
    """
    Rig(stage, "digits").delete()  # a version that was rejected once is not begun again

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
    if counts is None or "3" not in counts.first_answer:
        raise StageError(f"version 3 never answered: {telling.acts[-1].outcome}")
    keep(
        "bad",
        {**asdict(telling.acts[0]), "sent": counts.sent, "lost": counts.lost, "losses": counts.losses()},
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
        async with rig.traffic(rate=25) as client:
            rig.apply(version)
            try:
                end = await rig.until(failed if version == 3 else (lambda sight: stable_at(sight, 2)), 600)
            except StageError as error:  # one that does not end is a figure, too
                say(str(error))
                end = rig.looks[-1].sight
            rejected_at = answers_by_version(client.snapshot()).get("3", 0)
            await asyncio.sleep(QUIET_SECONDS)
            counts = client.snapshot()
        late = max(answers_by_version(counts).get("3", 0) - rejected_at, returned(counts, "3"))
        return {
            "version": version, "outcome": end.phase, "sent": counts.sent, "lost": counts.lost, "losses": counts.losses(),
            "bad": counts.bad(str(version)), "answers_after_rejection": late if version == 3 else 0,
            "counted_twice": rig.counted_twice(str(version)), "seconds": round(rig.looks[-1].at - rig.looks[0].at, 1),
        }  # fmt: skip

    async def play() -> list[dict[str, Any]]:
        generator = random.Random(turn)
        pauses = [generator.uniform(4, 20) for _ in range(100)]
        killer: asyncio.Task[None] | None = None
        try:
            await asyncio.gather(*(rig.deploy(1) for rig in rigs))
            killer = asyncio.create_task(keep_killing(stage, pauses))
            return await asyncio.gather(*(one(rig, 2 + n % 2) for n, rig in enumerate(rigs)))
        finally:
            if killer:
                await cancelled(killer)
            for rig in rigs:
                rig.delete(wait=False)

    for result in asyncio.run(play()):
        keep("kills", result)
    say(f"kills {turn + 1}: done")


def play_outages(stage: Stage) -> None:
    """
    Prometheus away for a minute and the API server for half a minute, in one rollout under load.
    """
    try:
        seen = asyncio.run(outages.play_outages(stage, "outages"))
    except StageError as error:
        keep("outages", {"outcome": str(error)})
        say(f"outages: {error}")
        return
    finally:
        Rig(stage, "outages").delete(wait=False)
    keep("outages", {
        "outcome": seen.outcome, "sent": seen.counts.sent, "lost": seen.counts.lost,
        "noticed_seconds": round(seen.noticed_seconds, 1), "shares_while_away": list(seen.shares_while_away),
        "went_on_seconds": round(seen.went_on_seconds, 1), "counted_twice": list(seen.counted_twice),
        "after_api_server_seconds": round(seen.after_api_server_seconds, 1),
    })  # fmt: skip
    say(f"outages: {seen.outcome}, {seen.counts.lost} lost, noticed after {seen.noticed_seconds:.0f} s")


def main() -> None:
    """
    Play the parts and write the page.
    """
    parser = argparse.ArgumentParser(prog="make figures", description=__doc__)
    parser.add_argument("--demos", type=int, default=3)
    parser.add_argument("--bad", type=int, default=2, help="runs of the bad version alone, beside those of the demos")
    parser.add_argument("--kills", type=int, default=5, help=f"rounds of {SIDE_BY_SIDE} rollouts")
    parser.add_argument("--outages", type=int, default=1, help="rollouts through both outages")
    parser.add_argument("--minutes", type=float, default=90, help="begin no further round after so many")
    parser.add_argument(
        "--only", choices=("bad", "demo", "kills", "outages", "idle"), action="append", help="this part"
    )
    parser.add_argument("--add", type=Path, nargs="*", default=[], help='reports of `make demo ARGS="--report FILE"`')
    parser.add_argument("--page", action="store_true", help="only write the page from the reports that are there")
    arguments = parser.parse_args()
    for path in arguments.add:
        add_demo(path)
    if not arguments.page:
        play(prepare(os.environ.get("CONTEXT") or None), arguments, set(arguments.only or ()))
    PAGE.write_text(page(REPORTS))
    say(f"written: {PAGE.relative_to(ROOT)}")
    subprocess.run(["git", "-C", str(ROOT), "--no-pager", "diff", "--stat", "--", "docs"], check=False)


def play(stage: Stage, arguments: argparse.Namespace, only: set[str]) -> None:
    """
    The parts, the most important first; none named: all.
    """

    def wanted(part: str) -> bool:
        return not only or part in only

    stage.kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait=true", "--timeout=180s")
    idle = Rig(stage, "idle")
    if wanted("idle"):
        asyncio.run(idle.deploy(1))
        time.sleep(15)  # the cluster's own controllers write a little later than the operator
    before, since = (idle.versions() if wanted("idle") else {}), time.monotonic()
    rounds: list[tuple[str, Callable[[], None]]] = [
        *[("bad", partial(play_bad, stage))] * arguments.bad,
        *[("demo", partial(play_demo, stage))] * arguments.demos,
        *[("kills", partial(play_kills, stage, turn)) for turn in range(arguments.kills)],
        ("idle", partial(look_at_idle, stage, idle, before, since)),
        *[("outages", partial(play_outages, stage))] * arguments.outages,
    ]
    end = time.monotonic() + arguments.minutes * 60
    for part, round_ in rounds:
        if wanted(part) and time.monotonic() < end:
            attempt(part, round_)


def look_at_idle(stage: Stage, idle: Rig, before: dict[str, str], since: float) -> None:
    """
    What was written to the idle object since then, at least ten minutes; and the operator's size.
    """
    keep("size", sizes(stage))
    time.sleep(max(0.0, since + IDLE_SECONDS - time.monotonic()))
    after = idle.versions()
    writes = sum(before.get(name) != after.get(name) for name in before.keys() | after.keys())
    keep("idle", {"writes": writes, "objects": len(before), "seconds": round(time.monotonic() - since)})
    say(f"idle: {writes} writes")


def attempt(part: str, round_: Callable[[], None]) -> None:
    """
    A round that breaks is told and kept, and costs no other; the page is written after each.
    """
    try:
        round_()
    except Exception as error:  # noqa: BLE001 - whatever it was, the figures of the others stay
        say(f"{part} BROKE: {type(error).__name__}: {error}")
        keep("broken", {"part": part, "error": f"{type(error).__name__}: {error}"})
    PAGE.write_text(page(REPORTS))


if __name__ == "__main__":
    main()
