"""
The comparator's pure parts, on whatever a model may answer.
"""

import json
from math import inf

from hypothesis import given
from hypothesis import strategies as st

from modelramp.comparator.core.compare import Compare, Comparison, Tolerance
from modelramp.comparator.core.extract import Extractor
from modelramp.comparator.core.labels import MOST, Labels
from modelramp.comparator.core.outcome import Answer, Outcome, judge
from modelramp.comparator.core.sampling import Lot, Sampling
from modelramp.comparator.core.values import Json, canonical

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20)
VALUES: st.SearchStrategy[Json] = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)
NUMBERS = st.floats(-1e9, 1e9)
SHARES = st.sampled_from([0.0, 0.01, 0.1, 0.5, 1.0])
PATHS = st.sampled_from([None, "openai", "v2", "a", "outputs[0].data", "[0]"])


@given(VALUES, PATHS, st.sampled_from(Compare))
def test_an_answer_agrees_with_itself_or_is_unreadable(value: Json, path: str | None, how: Compare) -> None:
    """
    Whatever it is, and however it is read: never a disagreement, never an exception.
    """
    answer = Answer(200, json.dumps(value).encode(), 0.0)
    extractor = Extractor() if path is None else Extractor.parse(path)
    assert judge(answer, answer, extractor, Comparison(how)).outcome in {Outcome.AGREE, Outcome.UNREADABLE}


@given(st.binary(max_size=200), st.binary(max_size=200), PATHS, st.sampled_from(Compare))
def test_any_bytes_can_be_judged(stable: bytes, candidate: bytes, path: str | None, how: Compare) -> None:
    """
    To one of the four outcomes of whole answers; whole bodies are equal only if they mean the same.
    """
    extractor = Extractor() if path is None else Extractor.parse(path)
    pair = judge(Answer(200, stable, 0.0), Answer(200, candidate, 0.0), extractor, Comparison(how))
    assert pair.is_compared


@given(VALUES)
def test_equal_json_is_known_in_any_spelling(value: Json) -> None:
    """
    Other white space, other order of keys.
    """
    spelt = json.loads(json.dumps(value, indent=3))
    turned = dict(reversed(spelt.items())) if isinstance(spelt, dict) else spelt
    assert canonical(turned) == canonical(value)


@given(VALUES, VALUES)
def test_agreement_does_not_depend_on_who_is_stable(one: Json, other: Json) -> None:
    """
    Of every comparer but the relative distance, which is a fraction of stable's number.
    """
    answers = [Answer(200, json.dumps(value).encode(), 0.0) for value in (one, other)]
    for how in Compare:
        there, back = (judge(*pair, Extractor(), Comparison(how)) for pair in (answers, answers[::-1]))
        if Outcome.UNREADABLE not in {there.outcome, back.outcome}:
            assert there.outcome is back.outcome


@given(NUMBERS, NUMBERS, st.floats(0, 1e6), st.booleans())
def test_a_wider_tolerance_never_makes_a_disagreement(one: float, other: float, amount: float, relative: bool) -> None:  # noqa: FBT001
    """
    And the tolerance that is the distance itself is enough.
    """
    narrow, wide = (Comparison(Compare.NUMBER, Tolerance(width, relative)) for width in (amount, 2 * amount))
    found = narrow.between(narrow.read(one), narrow.read(other))
    assert wide.between(wide.read(one), wide.read(other)).agree >= found.agree
    assert found.distance is not None
    if found.distance < inf:
        exact = Comparison(Compare.NUMBER, Tolerance(found.distance, relative))
        assert exact.between(exact.read(one), exact.read(other)).agree


@given(st.text(), SHARES, SHARES, SHARES)
def test_a_larger_sample_keeps_what_a_smaller_one_chose(name: str, one: float, other: float, control: float) -> None:
    """
    Whether it is a control among them.
    """
    small, large = sorted((one, other))
    lot = Sampling(small, control).lot(name)
    assert lot is Lot.UNSAMPLED or Sampling(large, control).lot(name) is lot


@given(st.lists(st.one_of(st.none(), st.text(max_size=2), st.sampled_from("abc")), max_size=300))
def test_labels_are_few_and_true(outputs: list[str | None]) -> None:
    """
    At most so many, and each the output itself or `other`.
    """
    labels = Labels()
    given_ = [labels.of(output) for output in outputs]
    assert len(set(given_) - {"other"}) <= MOST
    assert all(label in {"other", output} for label, output in zip(given_, outputs, strict=True))
