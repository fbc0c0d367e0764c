"""
The API server and the parser accept the same objects, and understand them alike.
"""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import pytest
from apiserver.documents import documents, every_single_change, valid_documents
from apiserver.server import Answer, ApiServer
from apiserver.values import fullest, smallest
from hypothesis import HealthCheck, Phase, given, settings

from modelramp.api.crd import custom_resource_definition
from modelramp.api.document import InvalidSpecError, parse_spec, revision_of

pytestmark = pytest.mark.apiserver

RANDOM_DOCUMENTS: Final = 300
REQUESTS_AT_ONCE: Final = 4
VALID_DOCUMENTS: Final = 100
LEAST_OF_EACH: Final = 60  # accepted and refused ones; fewer would say little about the rarer

# Where API server and parser differ on purpose. Each row: what is tried, who accepts it, and why that is right.
DIFFERENCES: Final[tuple[tuple[str, tuple[str | int, ...], Any, str, str], ...]] = (
    (
        "a whole number written 80.0, in a field no rule reads",
        ("spec", "traffic", "gatewayAPI", "parentRefs", 0, "port"),
        80.0,
        "API server",
        "it stores 80, which both accept; where a rule or a subresource reads the field it refuses 80.0 itself",
    ),
)

_settings = settings(
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.generate, Phase.shrink),
)


def _refusal(document: dict[str, Any]) -> str | None:
    """
    Why the parser refuses the document; None if it accepts it.
    """
    try:
        parse_spec(document)
    except InvalidSpecError as error:
        return str(error)
    return None


def _compare(answer: Answer, document: dict[str, Any]) -> bool:
    """
    Whether both accept the document; fails where they differ or understand it differently.
    """
    refusal = _refusal(document)
    assert answer.status in (201, 400, 422), answer.body
    if answer.status != 201:
        assert refusal is not None, f"only the API server refuses: {answer.body['message']}"
        return False
    assert refusal is None, f"only the parser refuses: {refusal}"
    spec, stored = parse_spec(document), parse_spec(answer.body)
    assert stored == spec
    assert revision_of(stored) == revision_of(spec)
    assert _without_nulls(answer.body["spec"]) == _without_nulls(spec.to_wire())
    return True


def _without_nulls(value: Any) -> Any:  # noqa: ANN401 - a JSON value
    """
    The value without null fields: the API server keeps them in what it does not know, such as `command: null`.
    """
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value


class TestCrd:
    """
    The generated CRD.
    """

    def test_is_accepted_without_a_warning(self, crd_answer: Answer) -> None:
        """
        Structural, within the cost budget of its rules, and nothing in it is deprecated or ignored.
        """
        assert crd_answer.status in (200, 201), crd_answer.body.get("message")
        assert crd_answer.warnings == ()

    def test_is_stored_as_generated(self, crd_answer: Answer) -> None:
        """
        Nothing was dropped: what the server stores of the schema is what was sent.
        """
        sent = custom_resource_definition()["spec"]["versions"][0]
        assert crd_answer.body["spec"]["versions"][0] == sent


class TestAdmission:
    """
    Hundreds of random documents, sent as dry runs.
    """

    def test_agrees_with_the_parser(self, served: ApiServer) -> None:
        """
        Valid and broken documents: both accept it and understand it alike, or both refuse it.
        """
        accepted: Counter[bool] = Counter()

        @settings(_settings, max_examples=RANDOM_DOCUMENTS)
        @given(documents())
        def agree(document: dict[str, Any]) -> None:
            accepted[_compare(served.try_create(document), document)] += 1

        agree()
        assert min(accepted[True], accepted[False]) >= LEAST_OF_EACH, accepted

    def test_agrees_on_every_single_change(self, served: ApiServer) -> None:
        """
        Every field at every bound and of every wrong type, so that no rule is met only by chance.
        """
        assert _compare(served.try_create(fullest()), fullest())
        changes = every_single_change()
        accepted: Counter[bool] = Counter()
        with ThreadPoolExecutor(REQUESTS_AT_ONCE) as pool:
            answers = list(pool.map(lambda change: served.try_create(change[1]), changes))
        differing = []
        for (words, document), answer in zip(changes, answers, strict=True):
            try:
                accepted[_compare(answer, document)] += 1
            except AssertionError as difference:
                differing.append(f"{words}: {difference}")
        assert differing == []
        assert min(accepted[True], accepted[False]) >= LEAST_OF_EACH, accepted

    def test_accepts_what_is_valid(self, served: ApiServer) -> None:
        """
        The documents made to be valid are: otherwise the comparison above would be of refusals only.
        """

        @settings(_settings, max_examples=VALID_DOCUMENTS)
        @given(valid_documents())
        def accept(document: dict[str, Any]) -> None:
            answer = served.try_create(document)
            assert answer.status == 201, answer.body["message"]
            assert _compare(answer, document)

        accept()

    @pytest.mark.parametrize(("what", "path", "value", "accepts", "reason"), DIFFERENCES)
    def test_differs_only_as_listed(
        self, served: ApiServer, what: str, path: tuple[str | int, ...], value: object, accepts: str, reason: str
    ) -> None:
        """
        Each listed difference is still one.
        """
        document = smallest()
        node: Any = document
        for part in path[:-1]:
            node = node[part]
        node[path[-1]] = value
        by_server = served.try_create(document).status == 201
        assert (by_server, _refusal(document) is None) == (accepts == "API server", accepts == "parser"), (what, reason)
