"""
What is said while nothing changes: what is waited for.
"""

from decimal import Decimal
from typing import assert_never

from modelramp.analysis.tailplan import OverThreshold, QuantileGrowth, QuantileLimit
from modelramp.api.status import VerdictName, VerdictStatus
from modelramp.api.vocabulary import Phase
from modelramp.rollout.capacity import candidate_size, shortage, waits_for_room
from modelramp.rollout.comparing import NOT_READY, awaits_comparator
from modelramp.rollout.draining import DRAINING, NOBODY_TO_TAKE_OVER, why_it_began
from modelramp.rollout.freeze import frozen_until
from modelramp.rollout.guards import (
    candidate_ready,
    certified,
    soaked,
    split_mismatched,
    stable_serves,
    traffic_in_place,
)
from modelramp.rollout.needs import question_of
from modelramp.rollout.numbers import duration_text
from modelramp.rollout.others import others_awaited, others_settled
from modelramp.rollout.situation import SETTLE, Situation
from modelramp.rollout.smoke import measured, smoke_findings, smoke_passed
from modelramp.rollout.strategy import WHOLE, Judged, course_of


def _given(s: Situation) -> str:
    """
    What the route is to give the candidate.
    """
    step = s.status.step
    if step is not None and step.mirror is not None:
        return f"copies of {step.mirror} of requests"
    return "its preview" if step is not None and step.preview else f"{s.step_percent.normalize():f}%"


def frozen_message(s: Situation) -> str | None:
    """
    Until when a freeze window holds; None: none is open.
    """
    until = frozen_until(s)
    if until is None:
        return None
    return f"held by a freeze window until {until:%Y-%m-%dT%H:%M:%SZ}; somebody may ask to go on before"


def _collecting(s: Situation, verdict: VerdictStatus) -> str:
    if verdict.verdict in {VerdictName.NO_DATA, VerdictName.UNAVAILABLE}:
        return f"{verdict.name}: {verdict.message}"
    left = (
        "" if verdict.seconds_left is None else f", about {duration_text(verdict.seconds_left)} more at present traffic"
    )
    hint = f" ({verdict.message})" if verdict.message else ""
    return f"{verdict.name}: evidence {verdict.evidence} that {_claim(s, verdict.name)}{left}{hint}"


def _claim(s: Situation, name: str) -> str:
    """
    What has to be shown of a metric in this step.
    """
    metric, share = s.metric(name), s.step.next_share if s.step else None
    if metric is None or share is None:
        return "its margin is kept"
    margin = f"1.25 x stable + {course_of(s.spec).blast_radius.percent / 100 / Decimal(str(share)):.2%}"
    if metric.against is not None:
        return f"the rate is below 1.5 x {metric.against.limit}"
    match question_of(metric):
        case OverThreshold(seconds):
            return f"the share of calls over {seconds:g} s is below {margin}"
        case QuantileGrowth(quantile, growth):
            return f"quantile {quantile:g} grows by less than {growth:.0%}"
        case QuantileLimit(quantile, seconds):
            return f"quantile {quantile:g} is below {seconds:g} s"
        case None:
            gauge = f"the gauge is above stable's by less than {metric.growth:.0%}"
            return f"the rate is below {margin}" if metric.gauge is None else gauge
        case unknown:
            assert_never(unknown)


def _watching(s: Situation) -> str:
    """
    What is waited for while the candidate is judged alone.
    """
    gone = [v for v in s.status.verdicts if v.verdict in {VerdictName.NO_DATA, VerdictName.UNAVAILABLE}]
    if gone:
        return "; ".join(_collecting(s, verdict) for verdict in gone)
    blind = [v for v in s.status.verdicts if v.name in s.unseen]
    if blind:
        return "; ".join(f"{v.name}: {v.message}" for v in blind)
    if not certified(s) or s.step is None:
        return "waiting for the first counts of the step"
    return f"no harm is shown; soaking for {duration_text(max(s.step.soak, SETTLE).total_seconds())}"


def _young(s: Situation) -> str:
    """
    What is still to be known of stable before everything is switched.
    """
    missing = {VerdictName.NO_DATA, VerdictName.UNAVAILABLE}
    told = (f"{v.name}: {v.message} ({v.stable.n} so far)" for v in s.status.verdicts if v.verdict in missing)
    return "; ".join(told) or "waiting for the first counts of stable"


def _gateway(s: Situation, awaited: str) -> str:
    """
    What the gateway is waited for, and what keeps it, as far as it says.
    """
    why = f": {s.observed.route.message}" if s.observed.route.message else ""
    return f"waiting for the gateway to {awaited}{why}"


def _waiting_for_traffic(s: Situation) -> str | None:
    """
    What keeps the step's traffic from being as it should be; None: it is.
    """
    if s.step_percent < WHOLE and not stable_serves(s):
        return "waiting for stable, which has no ready endpoint; promote-full takes the candidate instead"
    if awaits_comparator(s):
        return f"holding: {NOT_READY}"
    if not traffic_in_place(s):
        return _gateway(s, f"give the candidate {_given(s)}") + _added(waits_for_room(s))
    return "holding: the counted share of requests contradicts the route's weights" if split_mismatched(s) else None


def _waiting_in_step(s: Situation) -> str:
    held = _waiting_for_traffic(s)
    if held is not None:
        return held
    if soaked(s) and certified(s) and smoke_passed(s) and frozen_message(s) is not None:
        return f"passed; {frozen_message(s)}"
    if soaked(s) and certified(s) and not others_settled(s):
        return f"passed; {others_awaited(s)}"
    return _waiting_for_evidence(s)


def _waiting_for_evidence(s: Situation) -> str:
    open_metrics = [v for v in s.status.verdicts if v.verdict is not VerdictName.PASSED]
    if s.judged is Judged.ALONE and s.counted_metrics:
        return _watching(s)
    if s.judged is Judged.NOT_AT_ALL and not certified(s):
        return _young(s)
    if open_metrics and s.judged is Judged.BESIDE_STABLE:
        return "; ".join(_collecting(s, verdict) for verdict in open_metrics)
    if certified(s) and not soaked(s) and s.step is not None:
        return f"certified; soaking for {duration_text(max(s.step.soak, SETTLE).total_seconds())}"
    if not smoke_passed(s):
        return "waiting for the smoke requests" + _added(smoke_findings(s))
    return "waiting for the first counts of the step"


def _added(found: str | None) -> str:
    return f"; {found}" if found else ""


def _preparing(s: Situation) -> str:
    if candidate_ready(s):
        held = frozen_message(s)
        return _gateway(s, "list the candidate") if held is None else f"the candidate is ready; {held}"
    arm, candidate, warm_up = s.candidate_arm, s.status.candidate, s.spec.serving.warm_up
    size = candidate_size(s)
    ready = f"{arm.ready if arm else 0} of {size} pods ready"
    steady = arm is not None and arm.ready >= size and s.spec.serving.min_ready.seconds > 0
    cold = candidate is not None and not candidate.warm
    found = measured(s.observed.warm_up, warm_up) if s.observed.warm_up and warm_up else ""
    said = f"{ready}{', not warm yet' if cold else ''}{_added(found and f'warm-up: {found}')}"
    waited = f" for less than {s.spec.serving.min_ready}" if steady and not cold else ""
    return f"waiting for the candidate: {said}{waited}{_added(waits_for_room(s))}"


def _promoting(s: Situation) -> str:
    """
    What is waited for until the candidate is called stable.
    """
    if s.first_serves and s.counted_metrics and traffic_in_place(s):
        return f"the first revision serves everything and is held against its limits: {_watching(s)}"
    return _gateway(s, "give the candidate everything")


def waited_for(s: Situation) -> str:
    """
    What is waited for in the present phase.
    """
    match s.status.phase:
        case Phase.PREPARING:
            return _preparing(s)
        case Phase.PROGRESSING:
            return _waiting_in_step(s)
        case Phase.PROMOTING:
            return _promoting(s)
        case Phase.ROLLING_BACK:
            waits_for = DRAINING if s.stable is None or stable_serves(s) else NOBODY_TO_TAKE_OVER
            return why_it_began(s.status.message) + waits_for
        case _:
            return s.status.message


def waiting_message(s: Situation) -> str:
    """
    What is waited for while nothing changes; what the API server refused comes first.
    """
    refused = f"refused by the API server: {s.observed.refused}" if s.observed.refused else ""
    return (refused or s.impossible or shortage(s) or waited_for(s))[:1024]
