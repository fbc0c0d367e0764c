"""
The live view: a table on a terminal, a line per change elsewhere.
"""

import sys
import time
from types import TracebackType
from typing import Self

from demo.story import Act, Telling
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

LINE_SECONDS = 5.0


class Screen:
    """
    Shows the telling as it goes on.
    """

    def __init__(self) -> None:
        """
        A live table when standard output is a terminal.
        """
        self.console = Console(highlight=False, soft_wrap=True)
        self._live = Live(console=self.console, refresh_per_second=4) if sys.stdout.isatty() else None
        self._last_line = 0.0
        self._last_state = ""

    def __enter__(self) -> Self:
        """
        Begin to draw.
        """
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """
        Leave the last picture standing.
        """
        if self._live:
            self._live.stop()

    def show(self, telling: Telling) -> None:
        """
        Draw what is told now.
        """
        state = f"{telling.act}|{telling.sight.phase}|{telling.sight.step}"
        if state != self._last_state:
            self._announce(telling)
        elif self._live is None and time.monotonic() - self._last_line >= LINE_SECONDS:
            self._line(telling)
        self._last_state = state
        if self._live:
            self._live.update(_picture(telling))

    def _announce(self, telling: Telling) -> None:
        sight = telling.sight
        at = f"{time.monotonic() - telling.began:6.1f} s"
        self.console.print(f"[bold]{at}  {telling.act}: {sight.phase}[/bold]  {sight.message}")
        self._last_line = time.monotonic()

    def _line(self, telling: Telling) -> None:
        sight = telling.sight
        at = f"{time.monotonic() - telling.began:6.1f} s"
        verdicts = "; ".join(sight.verdicts)
        self.console.print(
            f"{at}  step {sight.step}, wanted {sight.wanted}, observed {sight.observed}, "
            f"{_client_share(telling)}  {verdicts or sight.message}"
        )
        self._last_line = time.monotonic()


def _client_share(telling: Telling) -> str:
    counts, candidate = telling.counts, telling.sight.candidate
    if counts is None:
        return "client not started"
    share = counts.share(candidate, 5) if candidate != "-" else None
    mine = f"client sees {share:.1%}" if share is not None else "client sees stable only"
    return f"{mine}, {counts.sent} sent, {sum(counts.bad_by_version().values())} bad, {counts.lost} lost"


def _picture(telling: Telling) -> Group:
    sight = telling.sight
    table = Table(title=f"digits, {telling.act}", title_justify="left", expand=False)
    for column in ("phase", "step", "wanted", "observed", "stable", "candidate"):
        table.add_column(column)
    table.add_row(sight.phase, sight.step, sight.wanted, sight.observed, sight.stable, sight.candidate)
    lines = [Text(f"  {verdict}") for verdict in sight.verdicts]
    return Group(table, *lines, Text(f"  {_client_share(telling)}"), Text(f"  {sight.message}", overflow="fold"))


def _row(act: Act) -> list[str]:
    return [
        act.version,
        act.outcome if act.as_expected else f"{act.outcome} (expected {act.expected})",
        f"{act.seconds:.0f} s",
        str(act.bad_answers),
        "-" if act.bad_before_rollback is None else str(act.bad_before_rollback),
        "-" if act.bad_until_zero_share is None else str(act.bad_until_zero_share),
    ]


def summary(console: Console, telling: Telling) -> None:
    """
    The end: what the client counted, what each rollout came to, where to look next.
    """
    table = Table(title="Rollouts", title_justify="left")
    for column in ("version", "outcome", "took", "bad answers", "until rollback began", "until its share was 0"):
        table.add_column(column)
    for act in telling.acts:
        table.add_row(*_row(act))
    console.print(table)
    counts = telling.counts
    if counts is not None:
        answers = Table(title="What the client counted", title_justify="left")
        for column in ("answered by", "status", "requests"):
            answers.add_column(column)
        for (version, status), number in sorted(counts.answers.items(), key=str):
            answers.add_row("the gateway itself" if version is None else f"version {version}", str(status), str(number))
        for kind, number in sorted(counts.transport_errors.items()):
            answers.add_row("nobody", kind, str(number))
        console.print(answers)
        p50, p99 = counts.quantile(0.5), counts.quantile(0.99)
        latency = f", p50 {p50 * 1000:.0f} ms, p99 {p99 * 1000:.0f} ms" if p50 is not None and p99 is not None else ""
        console.print(f"{counts.sent} requests sent, {counts.lost} lost that no version failed itself{latency}")
    console.print("Look next: kubectl -n modelramp-demo get mmd; kubectl -n modelramp-demo describe mmd digits")
