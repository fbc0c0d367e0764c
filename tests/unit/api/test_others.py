"""
Other candidates of a shadow run, as they are written.
"""

from typing import Any

import pytest
from pydantic import ValidationError

from modelramp.api.spec import (
    OTHER_IS_CANDIDATE,
    OTHER_NAMES_ONCE,
    OTHERS_DIFFER,
    OTHERS_NEED_FULL,
    OTHERS_NOT_COMPARED,
    MLModelDeploymentSpec,
)
from modelramp.api.spec.others import MAX_OTHERS
from modelramp.api.trial import MAX_SHOWN_OTHERS


def spec(*others: dict[str, Any], version: str = "8", **serving: Any) -> MLModelDeploymentSpec:  # noqa: ANN401 - JSON
    """
    A shadow run with these others.
    """
    return MLModelDeploymentSpec.model_validate(
        {
            "model": {"version": version, "uri": "s3://m/8"},
            "serving": {"port": 8080, "template": {"spec": {"containers": [{"name": "m", "image": "i"}]}}, **serving},
            "traffic": {"gatewayAPI": {"parentRefs": [{"name": "gw"}]}},
            "strategy": {"shadow": {"others": list(others)}},
        }
    )


def one(name: str, version: str, uri: str | None = None) -> dict[str, Any]:
    """
    One of them.
    """
    return {"name": name, "model": {"version": version, "uri": uri}}


@pytest.mark.parametrize(
    ("others", "serving", "said"),
    [
        ([one("a", "9"), one("a", "10")], {}, OTHER_NAMES_ONCE),
        ([one("a", "9"), one("b", "9")], {}, OTHERS_DIFFER),
        ([one("a", "9"), one("b", "8", "s3://m/8")], {}, OTHER_IS_CANDIDATE),
        ([one("a", "9")], {"capacity": {"surge": "Swap"}}, OTHERS_NEED_FULL),
        ([one(name, name) for name in ("a", "b", "c", "d")], {}, "at most 3 items"),
        ([one("A", "9")], {}, "should match pattern"),
        ([{**one("a", "9"), "serving": {}}], {}, "Extra inputs are not permitted"),
    ],
)
def test_what_is_refused(others: list[dict[str, Any]], serving: dict[str, Any], said: str) -> None:
    """
    With the reason.
    """
    with pytest.raises(ValidationError, match=said):
        spec(*others, **serving)


def test_others_and_a_comparison_exclude_each_other() -> None:
    """
    Either alone is taken.
    """
    document = spec(one("a", "9")).to_wire()
    shadow = {**document["strategy"]["shadow"], "compare": {}}
    with pytest.raises(ValidationError, match=OTHERS_NOT_COMPARED):
        MLModelDeploymentSpec.model_validate({**document, "strategy": {"shadow": shadow}})
    MLModelDeploymentSpec.model_validate({**document, "strategy": {"shadow": {**shadow, "others": []}}})


def test_each_has_the_revision_it_would_have_as_the_specs_own() -> None:
    """
    So that the one that is chosen can be rolled out as it was tried.
    """
    asked = spec(one("a", "9", "s3://m/9"), one("b", "8"))
    first, second = asked.others
    assert (
        first.revision
        == MLModelDeploymentSpec.model_validate(
            {**spec().to_wire(), "model": {"version": "9", "uri": "s3://m/9"}}
        ).revision
    )
    assert len({asked.revision, first.revision, second.revision}) == 3
    assert (first.others, first.serving, first.traffic_hash) == ((), asked.serving, asked.traffic_hash)
    assert MLModelDeploymentSpec.model_validate(first.to_wire()) == first


def test_without_any_there_are_none() -> None:
    """
    Nor without a shadow run.
    """
    assert spec().others == ()
    canary = MLModelDeploymentSpec.model_validate({**spec().to_wire(), "strategy": {"canary": {}}})
    assert canary.others == ()
    assert spec(one("a", "9")).revision == spec().revision


def test_their_most_is_what_a_status_has_room_for() -> None:
    """
    With as many that ended before.
    """
    assert MAX_SHOWN_OTHERS > 2 * MAX_OTHERS
