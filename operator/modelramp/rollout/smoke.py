"""
Requests that are sent to the candidate before users reach it: what they showed, and what it means.
"""

from modelramp.api.spec import WarmUp
from modelramp.rollout.observed import WarmUpReading
from modelramp.rollout.situation import Situation


def answered(reading: WarmUpReading, wanted: WarmUp) -> bool:
    """
    All requests were sent and answered with 2xx, and fast enough where the spec asks for that.
    """
    fast = wanted.p95_below is None or reading.p95_seconds < wanted.p95_below.seconds
    return reading.failed == 0 and reading.sent >= wanted.requests and fast


def measured(reading: WarmUpReading, wanted: WarmUp) -> str:
    """
    What the requests showed, in words; empty where all is well.
    """
    if answered(reading, wanted):
        return ""
    if reading.message or wanted.p95_below is None:
        return reading.message
    seen = f"{reading.sent} requests were answered, the 95th percentile took {reading.p95_seconds * 1000:.0f} ms"
    return f"{seen}; it has to be below {wanted.p95_below}"


def smoke_passed(s: Situation) -> bool:
    """
    The step's smoke requests were all answered as wanted, or it has none.
    """
    return s.step is None or s.step.smoke is None or (s.status.step is not None and s.status.step.smoke_passed)


def smoke_failed(s: Situation) -> bool:
    """
    A smoke request of the step was answered, and not with 2xx.
    """
    return not smoke_passed(s) and s.observed.smoke is not None and s.observed.smoke.refused > 0


def smoke_findings(s: Situation) -> str:
    """
    What keeps the step's smoke requests from being passed, in words; empty: not asked in this cycle, or all is well.
    """
    reading, smoke = s.observed.smoke, s.step.smoke if s.step is not None else None
    return "" if reading is None or smoke is None else measured(reading, smoke)
