"""
`make soak`: mixed rollouts by every strategy over every router, under constant load, and how many requests were lost.

Writes docs/reports/soak.json and docs/soak.md when all lanes were played with the default load, else reports/soak.json.
"""

import argparse
import asyncio
import json
import os
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from demo.sight import NAMESPACE
from demo.stage import PYTHON_BASE, ROOT, Stage, StageError, loudly, prepare
from soak.lanes import LANES, SAMPLE, Part, Router, plan, rollouts_of
from soak.manifest import IMAGE
from soak.page import line, page
from soak.play import Played, play
from soak_evidence.__main__ import commit
from soak_evidence.play import clean

LATEST: Final = ROOT / "reports/soak.json"
REPORT: Final = ROOT / "docs/reports/soak.json"
PAGE: Final = ROOT / "docs/soak.md"
RATE: Final = 16.0


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
        prog="make soak", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rollouts", type=int, default=100, help="how many, spread over the lanes (default 100)")
    parser.add_argument("--sample", action="store_true", help="six rollouts instead, as the tests play them")
    parser.add_argument(
        "--only", choices=[kind.name for kind in LANES], action="append", default=[], help="this lane; may be repeated"
    )
    parser.add_argument("--rate", type=float, default=RATE, help=f"requests a second to each object (default {RATE:g})")
    parser.add_argument("--minutes", type=float, default=45.0, help="begin no further rollout after so many")
    parser.add_argument("--keep", action="store_true", help="leave the objects deployed at the end")
    found = parser.parse_args(words)
    if found.rollouts < 1 or found.rate <= 0:
        parser.error("--rollouts must be at least 1 and --rate above 0")
    return found


def parts_of(found: argparse.Namespace) -> tuple[Part, ...]:
    """
    What is played.
    """
    kinds = [kind for kind in LANES if not found.only or kind.name in found.only]
    if found.sample:
        return tuple(part for part in SAMPLE if part.kind in kinds)
    return plan(found.rollouts, kinds)


def add_server(stage: Stage) -> None:
    """
    Build the small model server's image and load it into the local cluster; another cluster has to have it.

    Raises:
        StageError: it could not be built.

    """
    if stage.context is None:
        tool = [sys.executable, str(ROOT / "hack/cluster"), "image", "build", "--tag", IMAGE]
        loudly([*tool, "--build-arg", f"BASE={PYTHON_BASE}", str(ROOT / "hack/soak/server")], stage.environment)


def run(stage: Stage, parts: Sequence[Part], found: argparse.Namespace) -> Played:
    """
    Play, and remove the objects unless they are to stay.

    Raises:
        StageError: Services are to be asked from outside their cluster.

    """
    if stage.context and any(part.kind.router is Router.SERVICE for part in parts):
        raise StageError("lanes of Services need the local cluster: leave them out with --only")
    stage.kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait=true", "--timeout=180s")
    end = time.monotonic() + found.minutes * 60
    try:
        return asyncio.run(play(stage, parts, rate=found.rate, end=end, say=say))
    finally:
        if not found.keep:
            clean(stage, [part.kind.name for part in parts], say)


def document_of(played: Played, found: argparse.Namespace) -> dict[str, Any]:
    """
    The report.
    """
    setting = {name: getattr(found, name) for name in ("rollouts", "sample", "only", "rate")}
    at = datetime.now(UTC).isoformat(timespec="seconds")
    return {"at": at, "commit": commit(), "setting": setting, **played.document()}


def keep(document: dict[str, Any], *, whole: bool) -> None:
    """
    Write the report; to docs/ only that of a whole run.
    """
    text = json.dumps(document, indent=1) + "\n"
    target = REPORT if whole else LATEST
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text)
    if whole:
        PAGE.write_text(page(document))
    say(f"written: {target.relative_to(ROOT)}{f' and {PAGE.relative_to(ROOT)}' if whole else ''}")


def main() -> int:
    """
    0 when nothing was lost and all ended as planned, 1 when not, 2 when the stage could not be set up.
    """
    found = arguments()
    parts = parts_of(found)
    try:
        stage = prepare(os.environ.get("CONTEXT") or None)
        add_server(stage)
        say(f"{rollouts_of(parts)} rollouts on {len(parts)} objects, {found.rate:g} requests a second each")
        played = run(stage, parts, found)
    except StageError as error:
        print(f"the soak could not be played: {error}", file=sys.stderr)
        return 2
    document = document_of(played, found)
    keep(document, whole=not (found.sample or found.only or found.rate != RATE))
    for name, losses in document["losses"].items():
        print(f"  lost by {name}: {losses}")
    for what in played.broken:
        print(f"  BROKE: {what}")
    planned = sum(rollout.as_planned for rollout in played.rollouts)
    print(f"{planned} of {played.wanted} rollouts ended as planned ({played.seconds / 60:.0f} minutes)")
    print(line(document))
    return 0 if played.good else 1


if __name__ == "__main__":
    sys.exit(main())
