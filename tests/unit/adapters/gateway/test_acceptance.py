from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from modelramp.adapters.gateway.acceptance import acceptance_of, controller_of, controllers_of
from modelramp.rollout.observed import Acceptance

Fields = Mapping[str, Any]
GENERATION = 7


def condition(kind: str, status: str, generation: int | None = GENERATION) -> Fields:
    base = {"type": kind, "status": status, "reason": "NoMatch", "message": "no listener"}
    return base if generation is None else {**base, "observedGeneration": generation}


def fine(generation: int | None = GENERATION) -> tuple[Fields, ...]:
    return condition("Accepted", "True", generation), condition("ResolvedRefs", "True", generation)


def entry(conditions: Sequence[Fields], **parent: object) -> Fields:
    return {"parentRef": {"name": "gw", **parent}, "controllerName": "c/one", "conditions": conditions}


def route(entries: Sequence[Fields], parents: Sequence[Fields] = ({"name": "gw"},)) -> Fields:
    return {
        "metadata": {"name": "fraud", "namespace": "ml", "generation": GENERATION},
        "spec": {"parentRefs": parents},
        "status": {"parents": entries},
    }


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        pytest.param([], Acceptance.PENDING, id="no gateway has answered"),
        pytest.param([entry(fine())], Acceptance.ACCEPTED, id="accepted at this generation"),
        pytest.param([entry(fine(GENERATION + 1))], Acceptance.ACCEPTED, id="at a later generation"),
        pytest.param([entry(fine(GENERATION - 1))], Acceptance.PENDING, id="at an earlier generation only"),
        pytest.param([entry(fine(None))], Acceptance.ACCEPTED, id="a gateway that writes no generation"),
        pytest.param([entry([condition("Accepted", "True")])], Acceptance.PENDING, id="references not judged yet"),
        pytest.param([entry([])], Acceptance.PENDING, id="an entry without conditions"),
        pytest.param(
            [entry([fine()[0], condition("ResolvedRefs", "Unknown")])], Acceptance.PENDING, id="references unknown"
        ),
        pytest.param(
            [entry([fine()[0], condition("ResolvedRefs", "False")])], Acceptance.REFUSED, id="a backend is missing"
        ),
        pytest.param([entry([condition("Accepted", "False"), fine()[1]])], Acceptance.REFUSED, id="not accepted"),
        pytest.param(
            [entry([condition("Accepted", "False", GENERATION - 1), fine()[1]])],
            Acceptance.PENDING,
            id="an earlier generation was not accepted",
        ),
        pytest.param(
            [entry([condition("Accepted", "False", None), fine(None)[1]])],
            Acceptance.REFUSED,
            id="not accepted, by a gateway that writes no generation",
        ),
        pytest.param(
            [entry([*fine(), condition("PartiallyInvalid", "True")])], Acceptance.REFUSED, id="a rule was dropped"
        ),
        pytest.param(
            [entry([*fine(), condition("PartiallyInvalid", "False")])], Acceptance.ACCEPTED, id="nothing was dropped"
        ),
        pytest.param([entry(fine(), name="other")], Acceptance.PENDING, id="only another gateway answered"),
        pytest.param(
            [entry(fine(), group="gateway.networking.k8s.io", kind="Gateway", namespace="ml")],
            Acceptance.ACCEPTED,
            id="the answer writes out the defaults",
        ),
        pytest.param([entry(fine(), namespace="infra")], Acceptance.PENDING, id="a gateway of another namespace"),
        pytest.param([entry(fine(), sectionName="https")], Acceptance.PENDING, id="another listener"),
        pytest.param(
            [entry(fine()), entry([condition("Accepted", "False"), fine()[1]])],
            Acceptance.REFUSED,
            id="two controllers, one refuses",
        ),
    ],
)
def test_what_one_gateway_says(entries: Sequence[Fields], expected: Acceptance) -> None:
    """Every row of the table."""
    acceptance, message = acceptance_of(route(entries))
    assert acceptance is expected
    assert bool(message) is (expected is not Acceptance.ACCEPTED)


def test_all_gateways_must_have_accepted() -> None:
    """A silence is no acceptance, and a refusal outweighs a silence."""
    parents = ({"name": "gw"}, {"name": "edge", "namespace": "infra", "sectionName": "https"})
    other = {"name": "edge", "namespace": "infra", "sectionName": "https"}
    assert acceptance_of(route([entry(fine())], parents))[0] is Acceptance.PENDING
    assert acceptance_of(route([entry(fine()), entry(fine(), **other)], parents))[0] is Acceptance.ACCEPTED
    refused = entry([condition("Accepted", "False"), fine()[1]], **other)
    acceptance, message = acceptance_of(route([refused], parents))
    assert acceptance is Acceptance.REFUSED
    assert message == "Gateway infra/edge says Accepted is False: NoMatch: no listener"


def test_the_controller_is_who_answered() -> None:
    """Not known before."""
    assert (controller_of(route([])), controllers_of(route([]))) == (None, ())
    both = [entry(fine()), {**entry(fine(), name="edge"), "controllerName": "c/two"}, entry(fine(), port=80)]
    assert (controller_of(route(both)), controllers_of(route(both))) == ("c/one", ("c/one", "c/two"))
    assert controller_of(route([entry(fine())])) == "c/one"
