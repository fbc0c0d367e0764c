"""
What can be foreseen before a rollout: whether the present traffic can certify its steps in time.
"""

from modelramp.analysis import plan
from modelramp.api.spec import Metric
from modelramp.rollout.numbers import duration_text
from modelramp.rollout.opening import Opening
from modelramp.rollout.situation import Situation
from modelramp.rollout.strategy import course_of


def too_little_traffic(s: Situation, metric: Metric, opening: Opening) -> str:
    """
    The first step that a candidate as good as stable will not pass before its deadline, and the ways out of it.

    Empty if there is none, or it is not known: only of rates compared with stable, and from stable's present traffic.
    """
    if not metric.is_rate or metric.against is not None or opening.rps is None or opening.rate is None:
        return ""
    course = course_of(s.spec)
    steps = [step for step in course.steps if step.percent > 0]
    rows = plan(
        [float(step.percent / 100) for step in steps],
        rps=opening.rps,
        stable_error_rate=opening.rate,
        blast_radius=course.blast_radius.fraction,
        phi=opening.phi,
    )
    for row, step in zip(rows, steps, strict=False):
        deadline = step.deadline.total_seconds()
        if row.seconds is None or row.seconds > deadline:
            needed = "longer than any deadline" if row.seconds is None else f"about {duration_text(row.seconds)}"
            return (
                f"{metric.title}: at {opening.rps:.3g} requests a second the step at {step.percent.normalize():f}% "
                f"takes {needed}, and its deadline is {duration_text(deadline)}: raise "
                f"{course.field}.stepDeadline or blastRadius, or say by spec.analysis.onInconclusive what follows"
            )
    return ""
