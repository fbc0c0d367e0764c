"""
Log lines are JSON objects.
"""

import io
import json
import logging
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from modelramp.adapters.logs import JsonLines, set_up_logs


def line(message: str = "hello", *arguments: object, **extra: object) -> dict[str, Any]:
    """
    What is written of one record.
    """
    record = logging.LogRecord("modelramp.x", logging.WARNING, __file__, 1, message, arguments, None)
    vars(record).update(extra)
    text = JsonLines().format(record)
    assert "\n" not in text
    found: dict[str, Any] = json.loads(text)
    return found


def test_a_line_has_time_level_logger_and_message() -> None:
    """
    The time is UTC with milliseconds.
    """
    found = line("%s of %d", "a", 2)
    assert (found["level"], found["logger"], found["message"]) == ("warning", "modelramp.x", "a of 2")
    assert datetime.fromisoformat(found["time"]).utcoffset() is not None
    assert set(found) == {"time", "level", "logger", "message"}


def test_fields_are_added() -> None:
    """
    As given; what JSON does not know as text.
    """
    found = line(object="ml/fraud", effects=["SetTraffic"], odd={1})
    assert (found["object"], found["effects"], found["odd"]) == ("ml/fraud", ["SetTraffic"], "{1}")


@pytest.mark.parametrize("name", ["time", "level", "logger"])
def test_a_field_never_takes_the_place_of_the_lines_own(name: str) -> None:
    """
    Other libraries name their fields as they like.
    """
    assert line(**{name: "mine"})[name] != "mine"


def test_a_field_with_odd_keys_does_not_lose_the_line() -> None:
    """
    JSON objects have text for keys only.
    """
    assert line(odd={("a", 1): 2, "b": 3})["odd"] == {"b": 3}


def test_a_line_of_several_lines_is_one() -> None:
    """
    Also with quotes.
    """
    assert line('a\nb "c"')["message"] == 'a\nb "c"'


def test_an_error_has_its_traceback() -> None:
    """
    In a field of its own.
    """
    with pytest.raises(ValueError, match="nothing") as caught:
        int("nothing")
    found = line(exc_info=(caught.type, caught.value, caught.tb))
    assert "'nothing'" in found["error"]
    assert "Traceback" in found["error"]


class TestSetUp:
    """
    Whose lines are written.
    """

    @pytest.fixture(autouse=True)
    def _logging_left_as_found(self) -> Iterator[None]:
        root, own = logging.getLogger(), logging.getLogger("modelramp")
        handlers, level, own_level = root.handlers[:], root.level, own.level
        yield
        root.handlers[:], own.level = handlers, own_level
        root.setLevel(level)
        own.setLevel(own_level)

    def test_ours_from_the_level_up_and_others_from_warnings_up(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """
        On standard error.
        """
        output = io.StringIO()
        monkeypatch.setattr("sys.stderr", output)
        set_up_logs("debug")
        for name in ("modelramp.a", "kopf.b"):
            logging.getLogger(name).debug("quiet")
            logging.getLogger(name).warning("loud")
        found = [json.loads(text) for text in output.getvalue().splitlines()]
        assert [(row["logger"], row["message"]) for row in found] == [
            ("modelramp.a", "quiet"),
            ("modelramp.a", "loud"),
            ("kopf.b", "loud"),
        ]
