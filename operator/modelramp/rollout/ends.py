"""
Findings about runs that end with a report instead of a promotion.
"""

from modelramp.api.vocabulary import Reason
from modelramp.rollout.guards import candidate_drained, last_step_passed, names_rejected
from modelramp.rollout.situation import Situation
from modelramp.rollout.strategy import course_of


def _reported(s: Situation, revision: str | None) -> bool:
    """
    The revision's last run ended with a report.
    """
    reported = {known.revision for known in s.status.rejected if known.reason is Reason.SHADOW_REPORTED}
    return revision in reported


def run_passed_for_report(s: Situation) -> bool:
    """
    The last step passed, and the spec asks for a report only.
    """
    return course_of(s.spec).reports and last_step_passed(s)


def drained_and_reported(s: Situation) -> bool:
    """
    Nothing reaches the candidate any more, and its run ended with a report.
    """
    return names_reported(s) and candidate_drained(s)


def names_reported(s: Situation) -> bool:
    """
    The spec names a revision whose run ended with a report, and not the stable one.
    """
    return names_rejected(s) and _reported(s, s.target)
