"""
What ConfigMaps hold as a part of a revision's identity.
"""

from typing import Any

import pytest
from fakes.rollout import deployment, rev, spec

from modelramp.api.document import revision_of
from modelramp.api.identity import content_hash, with_contents
from modelramp.api.status import ConfigContent, Status

A, B = "a" * 32, "b" * 32
NAMED = {"serving": {"config": [{"configMap": "limits"}, {"configMap": "texts", "onChange": "Ignore"}]}}
SEEN = Status(config=(ConfigContent(config_map="limits", hash=A), ConfigContent(config_map="gone", hash=A)))


@pytest.mark.parametrize(
    ("other", "same"),
    [
        ({"data": {"b": "2", "a": "1"}}, True),
        ({"data": {"a": "1", "b": "2"}, "metadata": {"name": "x", "labels": {"l": "1"}}, "immutable": True}, True),
        ({"data": {"a": "1", "b": "2"}, "binaryData": {}}, True),
        ({"data": {"a": "1", "b": "3"}}, False),
        ({"data": {"a": "1"}}, False),
        ({"binaryData": {"a": "1", "b": "2"}}, False),
        ({}, False),
    ],
    ids=["another order", "a name and labels", "empty parts", "a value", "a key", "the other part", "nothing"],
)
def test_a_content_is_its_keys_and_values(other: dict[str, Any], *, same: bool) -> None:
    """
    Whatever else is said of the object.
    """
    found = content_hash({"data": {"a": "1", "b": "2"}})
    assert (content_hash(other) == found, len(found)) == (same, 32)


def test_the_hashes_are_stable_over_versions_of_the_operator() -> None:
    """
    Another value would roll every model out anew.
    """
    assert content_hash({"data": {"limit": "5"}}) == "6657d0fa95a6cccae12b10ad351b1c6d"
    assert with_contents("0123456789", {"limits": A}) == "8f77db4339"
    assert with_contents("0123456789", {}) == "0123456789"


@pytest.mark.parametrize(
    ("status", "read", "expected"),
    [
        (Status(), {}, {}),
        (Status(), {"limits": B}, {"limits": B}),
        (SEEN, {}, {"limits": A}),
        (SEEN, {"limits": B}, {"limits": B}),
        (SEEN, {"texts": B, "other": B}, {"limits": A}),
    ],
    ids=["never seen", "read", "remembered", "read anew", "others"],
)
def test_what_is_read_wins_over_what_is_remembered(
    status: Status, read: dict[str, str], expected: dict[str, str]
) -> None:
    """
    And only of those that are followed.
    """
    found = deployment("2", status, **NAMED)
    found = type(found)(**{name: getattr(found, name) for name in found.__slots__} | {"config": read})
    assert (found.followed, dict(found.contents)) == (("limits",), expected)
    assert found.revision == revision_of(spec("2", **NAMED), expected)
    assert (found.revision == revision_of(spec("2", **NAMED))) is (not expected)


def test_without_a_named_config_map_a_revision_is_what_it_was() -> None:
    """
    Also where the memory knows of one that was named before.
    """
    assert deployment("2", SEEN).revision == rev("2")
