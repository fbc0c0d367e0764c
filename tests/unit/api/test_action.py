"""
Reading the action annotation: what is a request, and what is said of what is none.
"""

import json
from typing import Any

import pytest

from modelramp.api.action import GUARDED, STEPPED, ActionRequest, UnreadableRequest, Verb, read_action

ASKED: dict[str, Any] = {"id": "r-1", "verb": "pause", "revision": "0123456789", "by": "ada"}


APPROVAL: dict[str, Any] = {"verb": "approve", "step": 2}


def text(**changes: Any) -> str:  # noqa: ANN401 - JSON
    """
    The annotation, with other values under some keys.
    """
    return json.dumps({**ASKED, **changes})


@pytest.mark.parametrize("verb", Verb, ids=str)
def test_each_verb_is_read(verb: Verb) -> None:
    """
    As written in JSON; an answer to a recommendation names its step, and nothing else does.
    """
    step = 2 if verb in STEPPED else None
    asked = ActionRequest(id="r-1", verb=verb, revision="0123456789", by="ada", step=step)
    assert read_action(text(verb=str(verb), **({} if step is None else {"step": step}))) == asked
    wrong = read_action(text(verb=str(verb), **({"step": 2} if step is None else {})))
    assert isinstance(wrong, UnreadableRequest)
    need = "does not belong to" if step is None else "is required for"
    assert wrong == UnreadableRequest("r-1", f"Value error, step {need} the verb {verb}")


def test_a_human_decides_by_the_guarded_verbs() -> None:
    """
    Those that let a candidate up, or a revision back, without evidence, and the refusal that belongs to an approval.
    """
    assert {"approve", "reject", "promote", "promote-full", "undo"} == GUARDED
    assert {"approve", "reject"} == STEPPED


@pytest.mark.parametrize("step", [1, 999_999_999])
def test_a_step_is_counted_from_one(step: int) -> None:
    """
    The bounds belong to it.
    """
    found = read_action(text(verb="reject", step=step))
    assert isinstance(found, ActionRequest)
    assert found.step == step


@pytest.mark.parametrize("empty", [None, ""], ids=["absent", "empty"])
def test_nothing_is_asked(empty: str | None) -> None:
    """
    Without the annotation, or with an empty one.
    """
    assert read_action(empty) is None


@pytest.mark.parametrize("length", [1, 63])
def test_an_id_has_1_to_63_characters(length: int) -> None:
    """
    The bounds belong to it.
    """
    found = read_action(text(id="i" * length, by="b" * 253))
    assert isinstance(found, ActionRequest)


@pytest.mark.parametrize(
    ("asked", "name", "told"),
    [
        (text(verb="explode"), "r-1", "verb: Input should be 'pause', 'resume',"),
        (text(force=True), "r-1", "force: Extra inputs are not permitted"),
        (text(**{"a\nb": 1}), "r-1", "a?b: Extra inputs are not permitted"),
        (text(revision="r\n"), "r-1", "revision: String should match pattern"),
        ('{"id": "\\ud800"}', "unreadable-", "it is not a JSON object: Invalid JSON"),
        (text(by=7), "r-1", "by: Input should be a valid string"),
        (text(by=None), "r-1", "by: Field required"),
        (text(by="ada\nFAKE"), "r-1", "by: String should match pattern"),
        (text(by="b" * 254), "r-1", "by: String should have at most 253 characters"),
        (text(**{**APPROVAL, "step": 0}), "r-1", "step: Input should be greater than or equal to 1"),
        (text(**{**APPROVAL, "step": 10**9}), "r-1", "step: Input should be less than or equal to 999999999"),
        (text(**{**APPROVAL, "step": "2"}), "r-1", "step: Input should be a valid integer"),
        (text(**{**APPROVAL, "step": 2.0}), "r-1", "step: Input should be a valid integer"),
        (text(**{**APPROVAL, "step": True}), "r-1", "step: Input should be a valid integer"),
        (text(**{**APPROVAL, "step": None}), "r-1", "Value error, step is required for the verb approve"),
        (text(revision="r" * 254), "r-1", "revision: String should have at most 253 characters"),
        (text(revision=""), "r-1", "revision: String should have at least 1 character"),
        (text(id=""), "unreadable-", "id: String should have at least 1 character"),
        (text(id="i" * 64), "unreadable-", "id: String should have at most 63 characters"),
        (text(id=5, verb=5), "unreadable-", "id: Input should be a valid string; verb: Input should be"),
        ('{"id": "r-1"}', "r-1", "verb: Field required; revision: Field required; by: Field required"),
        ("abort", "unreadable-", "it is not a JSON object: Invalid JSON"),
        ("[]", "unreadable-", "it is not a JSON object: Input should be an object"),
        ("[" * 100_000, "unreadable-", "it is not a JSON object: Invalid JSON"),
        ("\ud800", "unreadable-", "it is not a JSON object"),
    ],
    ids=[
        "unknown verb", "unknown key", "odd key", "odd revision", "half a character", "wrong type",
        "null", "two lines", "long by", "step nought", "step too high", "step in quotes", "step with a point",
        "step a boolean", "step null", "long revision", "empty revision", "empty id",
        "long id", "two faults", "keys missing", "no JSON", "no object", "deep", "no text",
    ],
)  # fmt: skip
def test_what_is_no_request_is_refused_by_name(asked: str, name: str, told: str) -> None:
    """
    With its id if it gives one, else with one made from its text, and with everything wrong with it.
    """
    found = read_action(asked)
    assert isinstance(found, UnreadableRequest)
    assert found.id.startswith(name)
    assert found.problem.startswith(told)
    assert len(found.id) <= 63
    assert found == read_action(asked)


def test_unreadable_requests_are_told_apart() -> None:
    """
    Another text is another request.
    """
    first, second = read_action("abort"), read_action("abort!")
    assert isinstance(first, UnreadableRequest)
    assert isinstance(second, UnreadableRequest)
    assert first.id != second.id
