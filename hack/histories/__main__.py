"""
`make histories`: many random histories of one object, and what never happened in them: docs/reports/histories.json.

Without --report nothing is written. Interrupted, it tells of what was played until then. Ends with 1 if something
happened that never may.
"""

import argparse
import json
import multiprocessing
import signal
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from properties.histories import History  # noqa: E402 - found by the line above

REPORT = ROOT / "docs/reports/histories.json"
PIECE = 250
SHOWN = 20
SAID_EVERY = 2000


def piece(seeds: range) -> tuple[int, dict[str, Any]]:
    """
    Some histories, how many and: how they ended, which rows they took, and what must never happen.
    """
    ends: Counter[str] = Counter()
    rows: Counter[str] = Counter()
    strategies: Counter[str] = Counter()
    cycles, faults = 0, []
    for seed in seeds:
        history = History(seed)
        strategies[history.strategy] += 1  # the first one: edits may change it
        history.run()
        status = history.versions[-1]
        ends[f"{status.phase} {status.reason}"] += 1
        rows.update(history.rules)
        cycles += history.cycles
        faults += history.faults
    return len(seeds), {"ends": ends, "rows": rows, "strategies": strategies, "cycles": cycles, "faults": faults}


def arguments() -> argparse.Namespace:
    """
    What is asked for.
    """
    parser = argparse.ArgumentParser(prog="make histories ARGS=...", description=__doc__)
    parser.add_argument("--histories", type=int, default=2000, metavar="N", help="how many (default %(default)s)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="the first one's seed (default %(default)s)")
    parser.add_argument("--workers", type=int, default=2, metavar="N", help="processes (default %(default)s)")
    parser.add_argument("--report", action="store_true", help=f"write {REPORT.relative_to(ROOT)}")
    return parser.parse_args()


def main() -> int:
    """
    Run them all, with progress on standard error.
    """
    asked, began = arguments(), time.monotonic()
    seeds = range(asked.seed, asked.seed + asked.histories)
    pieces = [seeds[at : at + PIECE] for at in range(0, len(seeds), PIECE)]
    found: dict[str, Any] = {
        "ends": Counter(), "rows": Counter(), "strategies": Counter(), "cycles": 0, "faults": []
    }  # fmt: skip
    played = 0
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs are started deaf to it
    with multiprocessing.Pool(asked.workers, signal.signal, (signal.SIGINT, signal.SIG_IGN)) as pool:
        try:
            for size, part in pool.imap_unordered(piece, pieces):
                played += size
                for name, value in part.items():
                    found[name] += value
                if played % SAID_EVERY == 0 or played == len(seeds):
                    so_far = f"{played} of {len(seeds)} histories, {len(found['faults'])} faults"
                    print(so_far, file=sys.stderr, flush=True)
        except KeyboardInterrupt:
            print("interrupted: what was played until now is told", file=sys.stderr)
    print(*found["faults"][:SHOWN], sep="\n")
    print(f"histories: {played}, decisions: {found['cycles']}, must never happen and did: {len(found['faults'])}")
    if asked.report:
        told = {name: dict(found[name].most_common()) for name in ("strategies", "ends", "rows")}
        told |= {"histories": played, "first_seed": asked.seed, "decisions": found["cycles"]}
        told |= {"faults": found["faults"][:SHOWN], "seconds": round(time.monotonic() - began)}
        REPORT.write_text(json.dumps(told, indent=1, sort_keys=True) + "\n")
    return 1 if found["faults"] else 0


if __name__ == "__main__":
    sys.exit(main())
