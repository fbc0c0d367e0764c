"""
What becomes of a pair of answers to one request.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from modelramp.comparator.core.compare import Comparison, Reading
from modelramp.comparator.core.extract import Extractor
from modelramp.comparator.core.values import UnreadableAnswerError

_GOOD: Final = range(200, 300)


class Failure(StrEnum):
    """
    Why there is no whole answer.
    """

    TIMEOUT = "timeout"
    """Not within the time both calls have."""
    BROKEN = "broken"
    """No connection, or one that ended too early."""
    TOO_LARGE = "too large"
    """More than is read of an answer."""


@dataclass(frozen=True, slots=True)
class Answer:
    """
    What came back from a call.

    Attributes:
        status: HTTP status; None: no whole answer came.
        body: Empty without an answer.
        seconds: From the call to the last byte, or to the failure.
        failure: None: the answer is whole.

    """

    status: int | None
    body: bytes
    seconds: float
    failure: Failure | None = None

    @property
    def is_good(self) -> bool:
        """
        It is an answer 2xx that came in time; one too large to be read may be as good as others.
        """
        return self.status in _GOOD and self.failure in {None, Failure.TOO_LARGE}


class Outcome(StrEnum):
    """
    What became of a pair; the first that holds.
    """

    STABLE_ERROR = "stable_error"
    """Stable gave no answer 2xx in time: there is nothing to agree with."""
    TIMEOUT = "timeout"
    """Stable did, and the candidate gave no answer in the time that both have."""
    CANDIDATE_ERROR = "candidate_error"
    """Stable did, and the candidate gave none 2xx."""
    UNREADABLE = "unreadable"
    """Stable's answer has not the form that was asked for: likely what is asked for is wrong."""
    AGREE = "agree"
    """The answers are the same."""
    DISAGREE = "disagree"
    """They are not, or the candidate's has not the form that stable's has."""


@dataclass(frozen=True, slots=True)
class Pair:
    """
    A judged pair.

    Attributes:
        outcome: What became of it.
        distance: Between numbers; None: no numbers, or not both.
        outputs: Stable's and the candidate's answer in a word each, None for one that is no short one; None: not both
            were read.

    """

    outcome: Outcome
    distance: float | None = None
    outputs: tuple[str | None, str | None] | None = None

    @property
    def is_compared(self) -> bool:
        """
        Both answers were whole and good.
        """
        return self.outcome in {Outcome.AGREE, Outcome.DISAGREE, Outcome.UNREADABLE}


def judge(stable: Answer, candidate: Answer, extractor: Extractor, comparison: Comparison) -> Pair:
    """
    Compare two answers; of a control, `candidate` is stable's second one.
    """
    if not stable.is_good:
        return Pair(Outcome.STABLE_ERROR)
    if not candidate.is_good:
        return Pair(Outcome.TIMEOUT if candidate.failure is Failure.TIMEOUT else Outcome.CANDIDATE_ERROR)
    one, other = (_reading(answer, extractor, comparison) for answer in (stable, candidate))
    if one is None:
        return Pair(Outcome.UNREADABLE)
    if other is None:
        return Pair(Outcome.DISAGREE)
    compared = comparison.between(one, other)
    outcome = Outcome.AGREE if compared.agree else Outcome.DISAGREE
    return Pair(outcome, compared.distance, (one.output, other.output))


def _reading(answer: Answer, extractor: Extractor, comparison: Comparison) -> Reading | None:
    if answer.failure is Failure.TOO_LARGE:
        return None
    try:
        return comparison.read(extractor.read(answer.body))
    except UnreadableAnswerError:
        return None
