"""
What ConfigMaps hold, as a pass over an object sees it.
"""

from collections.abc import Mapping
from datetime import timedelta

import pytest
from fakes.rollout import NOW, deployment

from modelramp.api.status import ConfigContent, Status
from modelramp.ports import Key, PortError, UnreachableError
from modelramp.reconcile.contents import AGAIN, NoConfigs, look_again, with_contents

NAMED = {"serving": {"config": [{"configMap": "limits"}, {"configMap": "texts"}]}}
HASH = "a" * 32
BOTH = Status(config=(ConfigContent(config_map="limits", hash=HASH), ConfigContent(config_map="texts", hash=HASH)))
ONE = Status(config=(ConfigContent(config_map="limits", hash=HASH),))


class Shelf:
    """
    What is there, and what was asked for; silent if `fault` is set.
    """

    def __init__(self, *, fault: PortError | None = None, **hashes: str) -> None:
        self.content = hashes
        self.fault = fault
        self.asked: list[tuple[Key, ...]] = []

    async def hashes(self, keys: tuple[Key, ...]) -> Mapping[Key, str]:
        self.asked.append(keys)
        if self.fault is not None:
            raise self.fault
        return {key: self.content[key.name] for key in keys if key.name in self.content}


async def test_what_is_there_is_read_by_name() -> None:
    """
    In the object's own namespace, once.
    """
    shelf = Shelf(limits="b" * 32)
    found = await with_contents(shelf, deployment("2", BOTH, **NAMED))
    assert found.config == {"limits": "b" * 32}
    assert found.contents == {"limits": "b" * 32, "texts": HASH}
    assert shelf.asked == [(Key("ml", "limits"), Key("ml", "texts"))]


async def test_nothing_is_asked_for_an_object_that_names_none() -> None:
    """
    Nor for one that ignores what it names.
    """
    shelf = Shelf()
    ignoring = {"serving": {"config": [{"configMap": "limits", "onChange": "Ignore"}]}}
    for model in (deployment("2"), deployment("2", **ignoring)):
        assert await with_contents(shelf, model) is model
        assert look_again(model, None, NOW) is None
    assert shelf.asked == []


async def test_an_outage_is_bridged_by_what_is_remembered() -> None:
    """
    Rollbacks do not wait for it. What was never read is waited for: a revision without it would be another one.
    """
    silent = Shelf(fault=UnreachableError("no answer"))
    known = deployment("2", BOTH, **NAMED)
    assert await with_contents(silent, known) is known
    for status in (ONE, Status()):
        with pytest.raises(UnreachableError):
            await with_contents(silent, deployment("2", status, **NAMED))


async def test_without_any_there_is_nothing_to_read() -> None:
    """
    So a world without ConfigMaps needs none.
    """
    assert (await with_contents(NoConfigs(), deployment("2", **NAMED))).contents == {}


def test_at_rest_it_is_looked_at_again() -> None:
    """
    Since nobody tells of a changed ConfigMap; what is due earlier stays.
    """
    model = deployment("2", **NAMED)
    assert look_again(model, None, NOW) == NOW + AGAIN
    assert look_again(model, NOW + timedelta(days=1), NOW) == NOW + AGAIN
    assert look_again(model, NOW + timedelta(seconds=2), NOW) == NOW + timedelta(seconds=2)
