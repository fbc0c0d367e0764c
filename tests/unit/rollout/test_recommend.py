"""
What people are asked, as the status shows it.
"""

from fakes.rollout import NOW, rev, situation

from modelramp.api.action import Verb
from modelramp.api.vocabulary import Phase, Reason
from modelramp.rollout.recommend import recommend_approval, recommend_rollback


def test_an_approval_names_revision_step_and_share() -> None:
    """
    What has to be written into the request.
    """
    found = recommend_approval(situation(Phase.PROGRESSING), Reason.APPROVAL_NEEDED).recommendation
    assert found is not None
    assert (found.verb, found.revision, found.step, str(found.share), found.at) == (
        Verb.APPROVE, rev("2"), 2, "25%", NOW
    )  # fmt: skip


def test_a_rollback_names_no_step() -> None:
    """
    It is followed by abort, and everything is taken away.
    """
    found = recommend_rollback(Reason.ANALYSIS_FAILED)(situation(Phase.PROGRESSING), Reason.ROLLBACK_RECOMMENDED)
    assert found.recommendation is not None
    assert (found.recommendation.verb, found.recommendation.step, str(found.recommendation.share)) == (
        Verb.ABORT, None, "0%"
    )  # fmt: skip
    assert "is worse than allowed" in found.recommendation.message


def test_nothing_is_recommended_without_a_candidate() -> None:
    """
    The memory stays as it is.
    """
    s = situation(Phase.STABLE)
    assert recommend_rollback(Reason.ANALYSIS_FAILED)(s, Reason.ROLLBACK_RECOMMENDED) == s.status
