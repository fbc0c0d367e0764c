"""
`make soak-evidence`: healthy and bad versions rolled out on the real cluster under load, and what became of them.

Four sorts of bad: five times the errors, 30 % more latency, failing for one tenant only, failing under load only. No
healthy version may be rolled back; every bad one must be, or be held below 100 %; and a rollback must blame the right
metric. What was counted is always written to reports/soak-evidence.json, and to docs/ only when asked: see --report.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from demo.sight import NAMESPACE
from demo.stage import ROOT, Stage, StageError, prepare
from soak_evidence.kinds import KINDS, plan
from soak_evidence.lane import LIMIT_SECONDS, Setting
from soak_evidence.manifest import Pace
from soak_evidence.page import page, totals
from soak_evidence.play import Played, clean, play

LATEST = ROOT / "reports/soak-evidence.json"
REPORT = ROOT / "docs/reports/soak-evidence.json"
PAGE = ROOT / "docs/soak-evidence.md"
SLOWEST_RATE = 50.0  # what the promise is about


def say(text: str) -> None:
    """
    Progress, with the time of day.
    """
    print(f"{time.strftime('%H:%M:%S')}  {text}", flush=True)


def arguments(words: list[str] | None = None) -> argparse.Namespace:
    """
    The command line.
    """
    parser = argparse.ArgumentParser(
        prog="make soak-evidence", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rollouts", type=int, default=10, help="of each sort, healthy and bad (default 10)")
    parser.add_argument("--only", choices=tuple(KINDS), action="append", default=[], help="this kind; may be repeated")
    parser.add_argument("--parallel", type=int, default=3, help="objects beside one another (default 3)")
    parser.add_argument("--rate", type=float, default=52.0, help="requests a second to each object (default 52)")
    parser.add_argument("--limit", type=float, default=LIMIT_SECONDS, help="seconds until a version counts as held")
    parser.add_argument("--minutes", type=float, default=45.0, help="begin no further rollout after so many")
    parser.add_argument(
        "--overdispersion", default="1", help="of the spec (default 1: here requests fail one by one); '' for none"
    )
    parser.add_argument(
        "--gateway-errors", action="store_true", help="judge also by the gateway's count of the same errors"
    )
    parser.add_argument("--keep", action="store_true", help="leave the objects deployed at the end")
    parser.add_argument(
        "--report", action="store_true", help="write docs/soak-evidence.md and its report, if every rollout was played"
    )
    found = parser.parse_args(words)
    if found.rollouts < 1 or found.parallel < 1:
        parser.error("--rollouts and --parallel must be at least 1")
    if found.report and (found.only or found.rate < SLOWEST_RATE):
        parser.error(f"--report is for all kinds at {SLOWEST_RATE:g} requests a second or more")
    return found


def setting_of(found: argparse.Namespace) -> Setting:
    """
    How the lanes play.
    """
    return Setting(
        pace=Pace(overdispersion=found.overdispersion or None, gateway_errors=found.gateway_errors),
        rate=found.rate,
        limit_seconds=found.limit,
    )


def commit() -> str:
    """
    The commit this is, with a mark where files differ from it.
    """
    done = subprocess.run(
        ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.stdout.strip() or "unknown"


def document_of(played: Played, found: argparse.Namespace) -> dict[str, Any]:
    """
    The report.
    """
    names = ("rollouts", "parallel", "rate", "limit", "overdispersion", "gateway_errors")
    setting = {name: getattr(found, name) for name in names}
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "setting": setting,
        **played.document(),
    }


def keep(document: dict[str, Any], *, report: bool) -> None:
    """
    Write the report where it overwrites nothing but the last run's, and to docs/ when asked for and complete.
    """
    text = json.dumps(document, indent=1) + "\n"
    LATEST.parent.mkdir(parents=True, exist_ok=True)
    LATEST.write_text(text)
    say(f"written: {LATEST.relative_to(ROOT)}")
    if not report:
        return
    if not document["complete"]:
        say("docs/ is left as it was: not every rollout was played to its end")
        return
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    REPORT.write_text(text)
    PAGE.write_text(page(document))
    say(f"written: {REPORT.relative_to(ROOT)} and {PAGE.relative_to(ROOT)}")


def run(stage: Stage, found: argparse.Namespace) -> Played:
    """
    Play, and remove the objects unless they are to stay.
    """
    names = [f"evidence-{number}" for number in range(found.parallel)]
    kinds = plan(found.rollouts, found.only)
    say(f"{len(kinds)} rollouts on {found.parallel} objects: {', '.join(kind.name for kind in kinds)}")
    stage.kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait=true", "--timeout=180s")
    end = time.monotonic() + found.minutes * 60
    try:
        return asyncio.run(play(stage, kinds, setting_of(found), lanes=found.parallel, end=end, say=say))
    finally:
        if not found.keep:
            clean(stage, names, say)


def main() -> int:
    """
    0 when all went as it should, 1 when not, 2 when the stage could not be set up.
    """
    found = arguments()
    try:
        stage = prepare(os.environ.get("CONTEXT") or None)
        played = run(stage, found)
    except StageError as error:
        print(f"the soak could not be played: {error}", file=sys.stderr)
        return 2
    document = document_of(played, found)
    keep(document, report=found.report)
    for rollout in played.rollouts:
        print(f"  {rollout.kind:8} {rollout.name} version {rollout.version}: {rollout}")
    for what, figure in totals(document["rollouts"]):
        print(f"  {what:55} {figure}")
    for what in played.broken:
        print(f"  BROKE: {what}")
    unplayed = played.wanted - len(played.rollouts)
    print(f"{'all went as it should' if played.good else 'NOT all went as it should'}"
          f"{f', {unplayed} not played' if unplayed else ''} ({played.seconds / 60:.0f} minutes)")  # fmt: skip
    return 0 if played.good else 1


if __name__ == "__main__":
    sys.exit(main())
