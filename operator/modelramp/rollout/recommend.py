"""
What is recommended to people where the degree of automation leaves a decision to them.
"""

from collections.abc import Callable
from decimal import Decimal
from functools import cache
from typing import Final

from modelramp.api.action import Verb
from modelramp.api.scalars import Share
from modelramp.api.status import Recommendation, Status
from modelramp.api.vocabulary import Reason
from modelramp.rollout.approval import ahead
from modelramp.rollout.messages import message
from modelramp.rollout.situation import Situation

RECOMMENDING: Final = frozenset({Reason.APPROVAL_NEEDED, Reason.ROLLBACK_RECOMMENDED})
"""The reasons under which a recommendation stands; under every other one there is none."""


def _recommended(s: Situation, verb: Verb, number: int | None, share: Decimal, told: str) -> Status:
    if s.candidate is None:
        return s.status
    recommendation = Recommendation(
        verb=verb,
        revision=s.candidate,
        step=number,
        share=Share.of_percent(share),
        message=told[:1024],
        at=s.now,
    )
    return s.status.model_copy(update={"recommendation": recommendation})


def recommend_approval(s: Situation, reason: Reason) -> Status:
    """
    Somebody is asked to approve what follows.
    """
    number, share, _ = ahead(s)
    return _recommended(s, Verb.APPROVE, number, share, message(reason, s))


@cache  # so that the row that is made of it equals itself
def recommend_rollback(found: Reason) -> Callable[[Situation, Reason], Status]:
    """
    Somebody is asked to roll the candidate back, for the reason for which it would be in another degree.
    """

    def recommend(s: Situation, _reason: Reason) -> Status:
        goes_on = "the degree HumanOnly leaves it to people: abort it, or it goes on when somebody says so"
        return _recommended(s, Verb.ABORT, None, Decimal(0), f"rollback is recommended, {goes_on}: {message(found, s)}")

    return recommend
