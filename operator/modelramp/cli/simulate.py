"""
`modelramp simulate`: what the operator would do on traffic like yours.
"""

import sys
import time
from collections.abc import Callable, Iterator
from typing import Final

from modelramp.api.document import MLModelDeployment
from modelramp.api.spec import MLModelDeploymentSpec
from modelramp.rollout.numbers import duration_text
from modelramp.simulation import Outcome, Rates, Run, Summary, TrafficModel, simulate, summarize

SHOWN_EVERY_SECONDS: Final = 0.5
BAR_WIDTH: Final = 30
WORDS: Final = (
    ("promoted", Outcome.PROMOTED),
    ("reported", Outcome.REPORTED),
    ("rolled back", Outcome.ROLLED_BACK),
    ("inconclusive", Outcome.INCONCLUSIVE),
)
ALWAYS: Final = frozenset({"promoted", "rolled back", "inconclusive"})
"""Said of every rollout; the rest where there is any."""


class UnknownMetricError(Exception):
    """
    Rates were given for a metric that the spec does not judge; the message names those it does.
    """


def rates_of(
    spec: MLModelDeploymentSpec,
    stable: tuple[tuple[str | None, float], ...],
    candidate: tuple[tuple[str | None, float], ...],
) -> dict[str, Rates]:
    """
    The rates of every metric of the spec, from `NAME=RATE` pairs; None as name: the first metric.

    A metric without a stable rate has the first one's; one without a candidate rate is as good as stable.

    Raises:
        UnknownMetricError: a name is not in the spec.
    """
    names = [metric.title for metric in spec.analysis.metrics]
    stables = {name or names[0]: rate for name, rate in stable}
    candidates = {name or names[0]: rate for name, rate in candidate}
    unknown = sorted((stables.keys() | candidates.keys()) - set(names))
    if unknown:
        raise UnknownMetricError(f"no metric is called {', '.join(unknown)}; there are: {', '.join(names)}")
    base = stables.get(names[0], 0.0)
    rates = {name: stables.get(name, base) for name in names}
    return {name: Rates(rate, candidates.get(name, rate)) for name, rate in rates.items()}


def runs_of(
    deployment: MLModelDeployment, model: TrafficModel, runs: int, seed: int, show: Callable[[int, int], None]
) -> Iterator[Run]:
    """
    So many runs, each from a seed of its own; `show` hears how many of how many are done.
    """
    for number in range(runs):
        yield simulate(deployment, model, f"{seed}/{number}")
        show(number + 1, runs)


class Progress:
    """
    A bar on a terminal, nothing elsewhere.
    """

    def __init__(self) -> None:
        """
        Begin the clock of the estimate.
        """
        self._began = self._shown = time.monotonic()
        self._wanted = sys.stderr.isatty()

    def __call__(self, done: int, total: int) -> None:
        """
        Draw the bar, not more than twice a second.
        """
        now = time.monotonic()
        if not self._wanted or total == 1 or (done < total and now - self._shown < SHOWN_EVERY_SECONDS):
            return
        self._shown = now
        filled = BAR_WIDTH * done // total
        left = (now - self._began) / done * (total - done)
        bar = "#" * filled + "." * (BAR_WIDTH - filled)
        end = "\r\033[K" if done == total else ""
        sys.stderr.write(f"\r[{bar}] {done} of {total} runs, about {duration_text(left)} left \033[K{end}")
        sys.stderr.flush()


def timeline(run: Run) -> str:
    """
    One run for people.
    """
    rows = [
        f"  {_clock(moment.seconds):>8}  {moment.phase:<12} {moment.percent.normalize():>4f}%  {moment.message}"
        for moment in run.moments
    ]
    return "\n".join([*rows, f"  {_told(run)}"])


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"


def _told(run: Run) -> str:
    culprit = f", for {run.culprit}" if run.culprit else ""
    return (
        f"{run.outcome}{culprit} after {duration_text(run.seconds)}: {run.requests:,} requests, "
        f"{run.bad:,} of them bad answers of the candidate"
    )


def table(name: str, summary: Summary) -> str:
    """
    Many runs for people.
    """
    share = {outcome: summary.outcomes[outcome] / summary.runs for outcome in Outcome}
    lines = [
        f"{name}: {summary.runs:,} runs",
        "  " + ", ".join(f"{word} {share[outcome]:.1%}" for word, outcome in WORDS if share[outcome] or word in ALWAYS),
        f"  {'until the outcome':<24} {'mean':>10} {'median':>10} {'95 %':>10}",
    ]
    rows = (
        ("minutes", summary.seconds, 60.0),
        ("requests", summary.requests, 1.0),
        ("bad of the candidate", summary.bad, 1.0),
    )
    for label, spread, unit in rows:
        numbers = (f"{value / unit:>10,.1f}" for value in (spread.mean, spread.p50, spread.p95))
        lines.append(f"  {label:<24} {' '.join(numbers)}")
    if summary.culprits:
        named = ", ".join(f"{metric} {count}" for metric, count in summary.culprits.most_common())
        lines.append(f"  rolled back for: {named}")
    return "\n".join(lines)


__all__ = ["Progress", "rates_of", "runs_of", "summarize", "table", "timeline"]
