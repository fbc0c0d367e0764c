"""
`make demo`: a real model rolled out on a real cluster, judged on real requests.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from demo.client import report
from demo.screen import Screen, summary
from demo.sight import NAMESPACE, manifest
from demo.stage import Stage, StageError, prepare
from demo.story import Telling, tell


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument(
        "--context", default=os.environ.get("CONTEXT"), help="a kube context to use instead of the embedded cluster"
    )
    parser.add_argument("--rate", type=float, default=50, help="requests a second (default 50)")
    parser.add_argument("--report", type=Path, help="write what was counted as JSON")
    parser.add_argument("--keep", action="store_true", help="leave the model deployed at the end")
    return parser.parse_args()


def _show_plan(stage: Stage, rate: float) -> None:
    """
    The plan as the command line of the installed package gives it.
    """
    command = [sys.executable, "-m", "modelramp", "plan", "-", "--rps", str(rate), "--stable-errors", "0"]
    plan = subprocess.run(command, input=manifest(stage, 2), capture_output=True, text=True, check=False, timeout=60)
    print(plan.stdout or plan.stderr)


def _good(telling: Telling) -> bool:
    counts = telling.counts
    return (
        len(telling.acts) == 3
        and all(act.as_expected for act in telling.acts)
        and counts is not None
        and counts.lost == 0
    )


def _clean(stage: Stage) -> None:
    stage.kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait=true", "--timeout=180s")


def main() -> int:
    """
    Tell the story; 0 when all happened as it should, 1 when not, 2 when the stage could not be set up.
    """
    arguments = _arguments()
    began = time.monotonic()
    try:
        stage = prepare(arguments.context)
        _clean(stage)
        print(f"\nstage ready after {time.monotonic() - began:.0f} s\n\nThe plan, before anything starts:")
        _show_plan(stage, arguments.rate)
        with Screen() as screen:
            telling = asyncio.run(tell(stage, arguments.rate, screen.show))
        summary(screen.console, telling)
    except StageError as error:
        print(f"the demo could not be played: {error}", file=sys.stderr)
        return 2
    good = _good(telling)
    print(
        "all happened as it should" if good else "NOT all happened as it should",
        f"({time.monotonic() - began:.0f} s in all)",
    )
    if arguments.report:
        counted = report(telling.counts) if telling.counts else {}
        document = {
            "good": good,
            "seconds": time.monotonic() - began,
            "acts": [asdict(act) for act in telling.acts],
            "client": counted,
        }
        arguments.report.write_text(json.dumps(document, indent=1))
    if not arguments.keep and not good:
        print("the model is left deployed, so that you can look; remove it with: kubectl delete namespace " + NAMESPACE)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
