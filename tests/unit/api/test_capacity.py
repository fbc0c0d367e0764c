from typing import Any

import pytest
from fakes.rollout import spec

from modelramp.api.document import InvalidSpecError, parse_spec
from modelramp.api.spec import CONFIG_ONCE, DRAIN_RANGE, RECREATE_WHOLE, Surge

WHOLE = {"canary": {"steps": [{"traffic": "100%"}]}}
RECREATE = {"capacity": {"surge": "Recreate"}}


def problem(**sections: Any) -> str:  # noqa: ANN401 - JSON
    """
    What is said of a spec; empty: it is accepted.
    """
    document = spec().to_wire()
    document["serving"] |= sections.pop("serving", {})
    try:
        parse_spec({"metadata": {"name": "fraud"}, "spec": {**document, **sections}})
    except InvalidSpecError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(
    ("strategy", "said"),
    [
        (WHOLE, ""),
        ({}, RECREATE_WHOLE),
        ({"blueGreen": {}}, RECREATE_WHOLE),
        ({"canary": {}}, RECREATE_WHOLE),
        ({"canary": {**WHOLE["canary"], "shadow": {}}}, RECREATE_WHOLE),
        ({"canary": {**WHOLE["canary"], "cohort": {}}}, RECREATE_WHOLE),
        ({"canary": {"steps": [{"traffic": "50%"}]}}, RECREATE_WHOLE),
    ],
    ids=["one whole step", "none given", "blue-green", "shares", "a shadow", "a cohort", "half"],
)
def test_recreate_has_nothing_to_share_with(strategy: dict[str, Any], said: str) -> None:
    """
    So only the one whole step makes sense.
    """
    assert said in problem(serving=RECREATE, strategy=strategy)
    assert bool(problem(serving=RECREATE, strategy=strategy)) is bool(said)


@pytest.mark.parametrize("part", ["preStop", "timeout"])
def test_a_drain_lasts_an_hour_at_most(part: str) -> None:
    """
    The pods' grace period is made of it.
    """
    assert problem(serving={"drain": {part: "1h"}}) == ""
    assert DRAIN_RANGE in problem(serving={"drain": {part: "1h1ms"}})


def test_each_config_map_is_named_once() -> None:
    """
    Else it were copied twice.
    """
    names = [{"configMap": "a"}, {"configMap": "b"}]
    assert problem(serving={"config": names}) == ""
    assert CONFIG_ONCE in problem(serving={"config": [*names, {"configMap": "a"}]})


def test_capacity_is_no_part_of_a_revision_and_what_pods_are_made_of_is() -> None:
    """
    A larger budget begins no rollout; another way to end, or other configuration, does.
    """
    plain = spec().revision
    free = {"capacity": {"surge": "Swap", "budget": {"limit": 4}}, "minReady": "30s"}
    assert spec(serving=free).revision == plain
    assert spec(serving={"drain": {"preStop": "5s"}, "config": []}).revision == plain
    assert spec(serving={"drain": {"preStop": "6s"}}).revision != plain
    assert spec(serving={"config": [{"configMap": "a"}]}).revision != plain


def test_full_is_the_default_and_gpus_are_what_a_budget_counts() -> None:
    """
    Without a word nothing is limited.
    """
    assert spec().serving.capacity.surge is Surge.FULL
    assert spec().serving.capacity.budget is None
    budget = spec(serving={"capacity": {"budget": {"limit": 8}}}).serving.capacity.budget
    assert budget is not None
    assert (budget.resource, budget.limit) == ("nvidia.com/gpu", 8)
