"""
`modelramp plan`: what a rollout will need, before it starts.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from math import inf
from typing import Any, Final

from modelramp.analysis import Obstacle
from modelramp.analysis.forecast import plan_step
from modelramp.api.spec import MLModelDeploymentSpec
from modelramp.cli.measured import MeasuredMetric
from modelramp.rollout.numbers import duration_text
from modelramp.rollout.situation import SETTLE
from modelramp.rollout.strategy import WHOLE, Step, course_of

LIVE: Final = "live"
PREVIEW: Final = "preview"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedStep:
    """
    A step with what a candidate as good as stable needs to pass it.
    """

    stage: str
    """`live`, `preview`, or how much is copied."""
    percent: str
    """Of live traffic."""
    margin: str
    """What the candidate's error rate must be shown to be below."""
    requests: float | None
    """Of users, until certified; None: cannot be certified, or needs none."""
    seconds: float | None
    """Until the step can pass: evidence or soak, whichever is longer; None: never at this traffic."""
    obstacle: str | None
    late: bool
    """It cannot be certified before the step deadline."""


def planned_steps(spec: MLModelDeploymentSpec, rps: float, stable_error_rate: float) -> tuple[PlannedStep, ...]:
    """
    The steps of the spec's strategy at so many requests a second of users and such a stable error rate (0 to 1).
    """
    return tuple(_planned(spec, step, rps, stable_error_rate) for step in course_of(spec).steps)


def _planned(spec: MLModelDeploymentSpec, step: Step, rps: float, stable_error_rate: float) -> PlannedStep:
    row, radius = None, course_of(spec).blast_radius.fraction
    copied = float(step.mirror / WHOLE)
    if step.next_share is not None:
        row = plan_step(
            copied / (1.0 + copied) if copied else float(step.percent / WHOLE),
            step.next_share,
            rps=rps * (1.0 + copied),
            stable_error_rate=stable_error_rate,
            blast_radius=radius,
            phi=float(spec.analysis.overdispersion or 1),
        )
    soak = max(step.soak, SETTLE).total_seconds()
    needed = row.seconds if row is not None else 0.0
    seconds = None if needed is None else max(soak, needed + SETTLE.total_seconds() if needed else soak)
    return PlannedStep(
        stage=_stage(step),
        percent=f"{step.percent.normalize():f}%",
        margin="-" if step.next_share is None else f"1.25 x stable + {radius / step.next_share:.2%}",
        requests=row.requests / (1.0 + copied) if row is not None and row.requests is not None else None,
        seconds=seconds,
        obstacle=None if row is None or row.obstacle is None else _told(row.obstacle),
        late=seconds is None or seconds > step.deadline.total_seconds(),
    )


def _stage(step: Step) -> str:
    if step.preview:
        return PREVIEW
    return f"{step.mirror.normalize():f}% copied" if step.mirror else LIVE


def _told(obstacle: Obstacle) -> str:
    return {
        Obstacle.NO_TRAFFIC: "no traffic",
        Obstacle.ABOVE_MARGIN: "the stable error rate is above the margin",
        Obstacle.UNKNOWN_RATE: "a rate is unknown",
    }[obstacle]


def table(name: str, spec: MLModelDeploymentSpec, rows: tuple[PlannedStep, ...], rps: float) -> str:
    """
    The plan for people, with the ways out where a step is late.
    """
    course = course_of(spec)
    radius, deadline = course.blast_radius, max(step.deadline for step in course.steps)
    lines = [
        f"{name}: a candidate as good as stable, at {rps:g} requests a second, risking {radius} of all traffic",
        f"  {'step':>11}  {'certified when errors are below':<32} {'requests':>9}  {'time':>7}",
    ]
    for row in rows:
        what = row.percent if row.stage == LIVE else row.stage
        requests = "-" if row.requests is None else f"{row.requests:,.0f}"
        time = "never" if row.seconds is None else duration_text(row.seconds)
        note = row.obstacle or ("later than the step deadline" if row.late else "")
        lines.append(f"  {what:>11}  {row.margin:<32} {requests:>9}  {time:>7}  {note}".rstrip())
    total = [row.seconds for row in rows]
    if None not in total:
        lines.append(f"  in all about {duration_text(sum(seconds or 0 for seconds in total))}")
    if any(row.late for row in rows):
        lines.append(
            f"  late steps end as spec.analysis.onInconclusive says ({spec.analysis.on_inconclusive}): raise "
            f"{course.field}.stepDeadline ({duration_text(deadline.total_seconds())}) or blastRadius ({radius}), "
            "or send more"
        )
    if spec.analysis.overdispersion is None:
        lines.append(
            "  if bad events come alone; the operator takes twice as long where stable's history does not tell"
        )
    return "\n".join(lines)


def as_json(
    name: str, rows: tuple[PlannedStep, ...], measured: Iterable[MeasuredMetric] = (), metric: str | None = None
) -> dict[str, Any]:
    """
    The plan for programs; `metric` is the one it is made for, None: no metric was measured.
    """
    keys = ("stage", "percent", "margin", "requests", "seconds", "obstacle", "late")
    told = {"metric": metric, "measured": [one.as_json() for one in measured]} if metric is not None else {}
    return {"name": name, "steps": [{key: getattr(row, key) for key in keys} for row in rows], **told}


def slowest(
    spec: MLModelDeploymentSpec, measured: Iterable[MeasuredMetric]
) -> tuple[MeasuredMetric, tuple[PlannedStep, ...]]:
    """
    The metric that needs longest at its measured rates, and the steps for it; the first of equals.
    """
    plans = [(one, planned_steps(spec, one.rps, one.stable_errors)) for one in measured]
    return max(plans, key=lambda plan: sum(inf if row.seconds is None else row.seconds for row in plan[1]))
