"""
Runbooks: one page for each reason that may need a human, of one form, and what they tell to type is right.
"""

import json
import re

import pytest
from runbooks import DECIDED_BY_PEOPLE, NEEDS_HUMAN, PAGES

from modelramp.api.action import ActionRequest, read_action
from modelramp.api.status import Status
from modelramp.api.vocabulary import Reason
from modelramp.reconcile.explain import WARNINGS
from modelramp.rollout.conditions import ABNORMAL

PARTS = ["What happened", "What the operator did", "How to look", "What to do", "When to escalate"]


def page(reason: Reason) -> str:
    """
    A reason's page.
    """
    return (PAGES / f"{reason}.md").read_text(encoding="utf-8")


def test_there_is_a_page_for_each_reason_that_needs_a_human_and_no_other() -> None:
    """
    A reason is in one group, and what people are warned of is among them.
    """
    assert {file.stem for file in PAGES.glob("*.md")} - {"README"} == set(NEEDS_HUMAN)
    assert len(NEEDS_HUMAN) == len(set(NEEDS_HUMAN))
    assert not WARNINGS - DECIDED_BY_PEOPLE - set(NEEDS_HUMAN)
    assert {reason for reason, _ in ABNORMAL.values()} <= set(NEEDS_HUMAN)


@pytest.mark.parametrize("reason", NEEDS_HUMAN, ids=str)
def test_a_page_has_its_parts(reason: Reason) -> None:
    """
    In this order, none of them empty, with a command to look by; other pages it names exist.
    """
    text = page(reason)
    assert text.startswith(f"# {reason}: ")
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == PARTS
    parts = re.split(r"^## .*$", text, flags=re.MULTILINE)[1:]
    assert min(len(part.strip()) for part in parts) > 4
    assert "kubectl " in parts[2]
    assert re.search(r"^1\. ", parts[3], re.MULTILINE)
    assert set(re.findall(r"\bsee ([A-Z][A-Za-z]+)", text)) <= {*map(str, NEEDS_HUMAN)}


@pytest.mark.parametrize("reason", NEEDS_HUMAN, ids=str)
def test_what_a_page_tells_to_type_is_right(reason: Reason) -> None:
    """
    Requests can be read, and every field asked for is one of the status.
    """
    text = page(reason)
    for request in re.findall(r"modelramp\.io/action='(.*)'", text):
        found = read_action(request)
        assert isinstance(found, ActionRequest), request
        assert json.loads(request)["id"] == "NEW-ID"
    known = {field.alias or name for name, field in Status.model_fields.items()}
    assert set(re.findall(r"\.status\.([a-zA-Z]+)", text)) <= known
