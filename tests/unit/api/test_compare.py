"""
How answers are to be compared: what may be written, and that the comparator understands all of it.
"""

import re
from typing import Any

import pytest
from fakes.rollout import spec
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from modelramp.api.spec import (
    CONTROL_RANGE,
    DISAGREEMENT_COMPARED,
    HTTP_COMPARED_ONLY,
    SAMPLE_ABOVE_ZERO,
    TIMEOUT_RANGE,
    TOLERANCE_OF_NUMBERS,
    Compare,
    Comparison,
    compared,
)
from modelramp.api.spec.compare import EXTRACT, TOLERANCE
from modelramp.comparator.core import Compare as Comparer
from modelramp.comparator.core import Extractor, Tolerance

STAGES: list[dict[str, Any]] = [
    {"shadow": {"compare": {}}},
    {"canary": {"shadow": {"compare": {}}}},
    {"blueGreen": {"shadow": {"compare": {}}}},
]
DISAGREEMENT = {"analysis": {"metrics": [{"preset": "disagreement"}]}}


def parsed(**fields: Any) -> Compare:  # noqa: ANN401 - JSON
    """
    As it is read from an object.
    """
    return Compare.model_validate(fields, by_alias=True, by_name=False)


def test_nothing_has_to_be_said() -> None:
    """
    Whole answers of all copies, one in ten to know how stable differs from itself.
    """
    assert parsed().to_wire() == {
        "as": "Equal",
        "sample": "100%",
        "control": "10%",
        "timeout": "5s",
        "concurrency": 16,
    }


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"tolerance": "0.01"}, TOLERANCE_OF_NUMBERS),
        ({"as": "Set", "tolerance": "0.01"}, TOLERANCE_OF_NUMBERS),
        ({"sample": "0%"}, SAMPLE_ABOVE_ZERO),
        ({"control": "0%"}, CONTROL_RANGE),
        ({"control": "50.0001%"}, CONTROL_RANGE),
        ({"timeout": "0s"}, TIMEOUT_RANGE),
        ({"timeout": "5m1ms"}, TIMEOUT_RANGE),
        ({"extract": "a b"}, "string_pattern_mismatch"),
        ({"as": "Number", "tolerance": "1e3"}, "string_pattern_mismatch"),
        ({"concurrency": 0}, "greater_than_equal"),
        ({"comparison": "Equal"}, "extra_forbidden"),
    ],
)
def test_what_makes_no_sense_is_refused(fields: dict[str, Any], said: str) -> None:
    """
    By its field.
    """
    with pytest.raises(ValidationError) as refused:
        parsed(**fields)
    (error,) = refused.value.errors()
    assert said in error["msg"] or said == error["type"]


def test_the_bounds_are_in() -> None:
    """
    A tolerance goes with numbers.
    """
    found = parsed(**{"as": "Number"}, tolerance="1%", control="50%", timeout="5m", sample="0.0001%", concurrency=256)
    assert (found.comparison, found.tolerance) == (Comparison.NUMBER, "1%")


@pytest.mark.parametrize("strategy", STAGES)
def test_each_stage_may_compare(strategy: dict[str, Any]) -> None:
    """
    And then disagreement may be a metric; without a comparison it may not, also where a use case brings the stage.
    """
    assert compared(spec(strategy=strategy, **DISAGREEMENT).strategy) == Compare()
    (kind,) = strategy
    plain = {kind: {}} if kind == "shadow" else {kind: {"shadow": {}}}
    for changes in ({"strategy": plain}, {"strategy": {}}, {"useCase": "AssistHuman"}):
        with pytest.raises(ValidationError, match=DISAGREEMENT_COMPARED[:30]):
            spec(**changes, **DISAGREEMENT)
    assert compared(spec(strategy=plain).strategy) is None


@pytest.mark.parametrize("strategy", STAGES)
def test_answers_of_grpc_are_not_compared(strategy: dict[str, Any]) -> None:
    """
    Those by HTTP and by Istio are.
    """
    gateway = {"gatewayAPI": {"parentRefs": [{"name": "gw"}], "kind": "GRPCRoute"}}
    with pytest.raises(ValidationError, match=HTTP_COMPARED_ONLY[:20]):
        spec(traffic=gateway, strategy=strategy)
    assert compared(spec(traffic={"istio": {"hosts": ["fraud"]}}, strategy=strategy).strategy) is not None


def test_the_comparator_knows_every_way_to_compare() -> None:
    """
    By the same words.
    """
    assert {str(way) for way in Comparison} == {str(way) for way in Comparer}


@given(st.from_regex(re.compile(EXTRACT.removesuffix("$") + r"\Z", re.ASCII)))
def test_the_comparator_follows_every_path_that_may_be_written(path: str) -> None:
    """
    A path that is refused there would be a comparator that never starts.
    """
    Extractor.parse(path)


@given(st.from_regex(re.compile(TOLERANCE.removesuffix("$") + r"\Z", re.ASCII)))
def test_the_comparator_reads_every_tolerance_that_may_be_written(text: str) -> None:
    """
    As above.
    """
    assert Tolerance.parse(text).relative == text.endswith("%")
