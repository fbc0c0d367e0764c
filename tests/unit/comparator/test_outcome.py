"""
What becomes of a pair of answers.
"""

import json

import pytest

from modelramp.comparator.core.compare import Compare, Comparison
from modelramp.comparator.core.extract import Extractor
from modelramp.comparator.core.outcome import Answer, Failure, Outcome, Pair, judge
from modelramp.comparator.core.values import Json

LABEL = Extractor.parse("label")
EQUAL = Comparison()


def answer(label: Json = "cat", status: int = 200) -> Answer:
    return Answer(status, json.dumps({"label": label}).encode(), 0.01)


def failed(failure: Failure) -> Answer:
    return Answer(200 if failure is Failure.TOO_LARGE else None, b"", 0.01, failure)


GARBAGE = Answer(200, b"<html>", 0.01)
BROKEN, LATE, LARGE = (failed(one) for one in (Failure.BROKEN, Failure.TIMEOUT, Failure.TOO_LARGE))


@pytest.mark.parametrize(
    ("stable", "candidate", "outcome"),
    [
        (answer(), answer(), Outcome.AGREE),
        (answer(), answer("dog"), Outcome.DISAGREE),
        (answer(status=500), answer(), Outcome.STABLE_ERROR),
        (answer(status=400), answer(status=400), Outcome.STABLE_ERROR),
        (answer(status=302), answer(), Outcome.STABLE_ERROR),
        (BROKEN, LATE, Outcome.STABLE_ERROR),
        (LATE, answer(), Outcome.STABLE_ERROR),
        (LATE, LATE, Outcome.STABLE_ERROR),
        (answer(), LATE, Outcome.TIMEOUT),
        (LATE, answer(status=500), Outcome.STABLE_ERROR),
        (answer(), answer(status=503), Outcome.CANDIDATE_ERROR),
        (answer(), answer(status=199), Outcome.CANDIDATE_ERROR),
        (answer(), answer(status=299), Outcome.AGREE),
        (answer(), BROKEN, Outcome.CANDIDATE_ERROR),
        (GARBAGE, answer(), Outcome.UNREADABLE),
        (GARBAGE, GARBAGE, Outcome.UNREADABLE),
        (LARGE, answer(), Outcome.UNREADABLE),
        (answer(), GARBAGE, Outcome.DISAGREE),
        (answer(), LARGE, Outcome.DISAGREE),
        (answer(), Answer(500, b"", 0.01, Failure.TOO_LARGE), Outcome.CANDIDATE_ERROR),
    ],
)
def test_the_first_outcome_that_holds(stable: Answer, candidate: Answer, outcome: Outcome) -> None:
    """
    Without stable's answer there is nothing to agree with; a candidate that answers in another form disagrees.
    """
    pair = judge(stable, candidate, LABEL, EQUAL)
    assert pair.outcome is outcome
    assert pair.is_compared is (outcome in {Outcome.AGREE, Outcome.DISAGREE, Outcome.UNREADABLE})


def test_outputs_and_distances_are_told() -> None:
    """
    Where both answers were read.
    """
    assert judge(answer("cat"), answer("dog"), LABEL, EQUAL) == Pair(Outcome.DISAGREE, None, ("cat", "dog"))
    numbers = Comparison(Compare.NUMBER)
    assert judge(answer(1), answer(3), LABEL, numbers) == Pair(Outcome.DISAGREE, 2.0, (None, None))
    assert judge(answer(1), GARBAGE, LABEL, numbers) == Pair(Outcome.DISAGREE)
