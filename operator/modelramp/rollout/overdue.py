"""
Findings about a step whose deadline passed, and what the spec says should follow.
"""

from datetime import timedelta
from typing import Final

from modelramp.api.spec import OnInconclusive, OnNoData
from modelramp.api.status import VerdictName
from modelramp.api.vocabulary import Reason
from modelramp.rollout.approval import needs_approval
from modelramp.rollout.comparing import awaits_comparator
from modelramp.rollout.guards import (
    retry_requested,
    route_contested,
    soaked,
    split_mismatched,
    stable_serves,
    traffic_in_place,
)
from modelramp.rollout.situation import Situation
from modelramp.rollout.smoke import smoke_passed
from modelramp.rollout.strategy import course_of

NO_FIGHT: Final = timedelta(minutes=1)
"""The least time between two conflicts of a route: what gives too much is taken back at once, and somebody who gives it
again every few seconds must not make the rollout go and stop with each time."""


def metrics_missing(s: Situation) -> bool:
    """
    Some metric could not be read, or has no data, at the last look.
    """
    missing = {VerdictName.UNAVAILABLE, VerdictName.NO_DATA}
    return any(verdict.verdict in missing for verdict in s.status.verdicts)


def step_overdue(s: Situation) -> bool:
    """
    The step deadline passed without sufficient evidence.
    """
    return s.step is not None and s.status.step is not None and s.since(s.status.step.entered_at, s.step.deadline)


def step_overdue_without_metrics(s: Situation) -> bool:
    """
    The step deadline passed while metrics could not be read or had no data.
    """
    return step_overdue(s) and metrics_missing(s)


def no_data_rolls_back(s: Situation) -> bool:
    """
    The step deadline passed without data of some metric, and the spec asks to roll back then.

    Not while stable has no endpoint: that is no fault of the candidate, and nobody would serve.
    """
    return s.spec.analysis.on_no_data is OnNoData.ROLLBACK and step_overdue_without_metrics(s) and stable_serves(s)


def inconclusive_rolls_back(s: Situation) -> bool:
    """
    The step deadline passed with the evidence neither way, and the spec asks to roll back then.

    Not while stable has no endpoint, as above.
    """
    asked = s.spec.analysis.on_inconclusive is OnInconclusive.ROLLBACK
    return asked and step_overdue(s) and not metrics_missing(s) and stable_serves(s)


def inconclusive_advances(s: Situation) -> bool:
    """
    The step deadline passed with the evidence neither way, its traffic in place as counted; the spec asks to go on.

    Nobody is asked to approve what is not certified: where an approval is needed, people may promote. A run that ends
    with a report has nothing to go on to.
    """
    asked = s.spec.analysis.on_inconclusive is OnInconclusive.ADVANCE
    asked = asked and not needs_approval(s) and not course_of(s.spec).reports
    said = {verdict.name for verdict in s.status.verdicts}
    # A metric nothing was ever said of has no data, and no data never advances.
    counted = all(metric.title in said for metric in s.counted_metrics) and not metrics_missing(s)
    in_place = traffic_in_place(s) and soaked(s) and not split_mismatched(s) and smoke_passed(s)
    return asked and step_overdue(s) and counted and in_place


def last_inconclusive_advances(s: Situation) -> bool:
    """
    The same in the last step.
    """
    return s.next_step is None and inconclusive_advances(s)


def pause_lifted(s: Situation) -> bool:
    """
    The metrics that were missing are back, the comparator is ready, the route is ours again and a minute has passed, or
    a retry is requested.
    """
    if s.status.step is None:
        return False  # what is paused before the first step waits for somebody
    back = s.status.reason is Reason.METRICS_UNAVAILABLE and bool(s.observed.readings) and not metrics_missing(s)
    quiet = s.since(s.status.phase_since, NO_FIGHT) and not route_contested(s)
    answers = s.status.reason is Reason.COMPARATOR_NOT_READY and not awaits_comparator(s)
    ours = s.status.reason is Reason.ROUTE_CONFLICT and quiet
    return back or answers or ours or retry_requested(s)
