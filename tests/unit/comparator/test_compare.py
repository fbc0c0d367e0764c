"""
When two answers agree.
"""

from math import inf, nan

import pytest

from modelramp.comparator.core.compare import SHORT, Compare, Compared, Comparison, Tolerance
from modelramp.comparator.core.values import Json, UnreadableAnswerError

DEEP: Json = []
for _ in range(20_000):
    DEEP = [DEEP, 1]


def compared(how: Compare, stable: Json, candidate: Json, tolerance: str = "0") -> Compared:
    """
    Both read and compared.
    """
    comparison = Comparison(how, Tolerance.parse(tolerance))
    return comparison.between(comparison.read(stable), comparison.read(candidate))


def agree(how: Compare, stable: Json, candidate: Json, tolerance: str = "0") -> bool:
    return compared(how, stable, candidate, tolerance).agree


def output(how: Compare, value: Json) -> str | None:
    return Comparison(how).read(value).output


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ({"a": 1, "b": [2]}, {"b": [2.0], "a": 1}, True),
        ([1, 2], [2, 1], False),
        (1, True, False),
        (0, False, False),
        ("1", 1, False),
        (None, "null", False),
        (nan, nan, True),
        (nan, "NaN", False),
        (-0.0, 0, True),
        (0.1 + 0.2, 0.3, False),
        (1e300, 10**300, False),
        ([1], 1, False),
        ({"a": None}, {}, False),
        ("a", "A", False),
    ],
)
def test_equal(one: Json, other: Json, *, same: bool) -> None:
    """
    Equal JSON, whatever the order of keys and the way numbers are written.
    """
    assert agree(Compare.EQUAL, one, other) is agree(Compare.EQUAL, other, one) is same


@pytest.mark.parametrize(
    ("stable", "candidate", "tolerance", "wanted"),
    [
        (0.30, 0.31, "0.01", Compared(agree=True, distance=pytest.approx(0.01))),
        (0.30, 0.3101, "0.01", Compared(agree=False, distance=pytest.approx(0.0101))),
        (200, 198, "1%", Compared(agree=True, distance=pytest.approx(0.01))),
        (-200, -203, "1%", Compared(agree=False, distance=pytest.approx(0.015))),
        (0, 1e-12, "1%", Compared(agree=False, distance=inf)),
        (0, 0.0, "1%", Compared(agree=True, distance=0.0)),
        ([0.1, [0.2]], [0.1, 0.25], "0.05", Compared(agree=True, distance=pytest.approx(0.05))),
        ([0.1, 0.2], [0.1], "9", Compared(agree=False, distance=inf)),
        (nan, nan, "0", Compared(agree=True, distance=0.0)),
        (nan, 1, "9", Compared(agree=False, distance=inf)),
        (inf, inf, "0", Compared(agree=True, distance=0.0)),
        (inf, -inf, "9", Compared(agree=False, distance=inf)),
        (5, 5, "0", Compared(agree=True, distance=0.0)),
    ],
)
def test_number(stable: Json, candidate: Json, tolerance: str, wanted: Compared) -> None:
    """
    As many numbers on both sides, none further apart than allowed; the largest distance is told.
    """
    assert compared(Compare.NUMBER, stable, candidate, tolerance) == wanted


@pytest.mark.parametrize("text", ["-1", "x", "", "%", "nan", "inf", "1%%"])
def test_what_is_no_tolerance_is_refused(text: str) -> None:
    """
    It is a number of at least 0, or a percentage.
    """
    with pytest.raises(ValueError, match=r"could not convert|must be 0 or more"):
        Tolerance.parse(text)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ([0.1, 0.7, 0.2], [0.3, 0.4, 0.3], True),
        ([0.1, 0.7, 0.2], [0.5, 0.4, 0.1], False),
        ([0.5, 0.5], [0.6, 0.4], True),
        ([[0.1, 0.9]], [0.2, 0.8], True),
        ([[0.1, 0.9], [0.9, 0.1]], [[0.2, 0.8], [0.7, 0.3]], True),
        ([[0.1, 0.9], [0.9, 0.1]], [[0.2, 0.8], [0.3, 0.7]], False),
        ({"cat": 0.9, "dog": 0.1}, {"dog": 0.4, "cat": 0.6}, True),
        ({"cat": 0.9, "dog": 0.1}, {"dog": 0.6, "cat": 0.4}, False),
        ([{"cat": 0.9, "dog": 0.1}], {"cat": 1}, True),
        ({"b": 1, "a": 1}, {"a": 1, "b": 1}, True),
        ([3], [1], True),
    ],
)
def test_argmax(one: Json, other: Json, *, same: bool) -> None:
    """
    The place of the largest score, of each row; of equal ones the first.
    """
    assert agree(Compare.ARGMAX, one, other) is same


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (["a", "b"], ["b", "a", "a"], True),
        (["a", "b"], ["a"], False),
        ([{"x": 1, "y": 2}, 3], [3.0, {"y": 2, "x": 1}], True),
        ([[1, 2]], [2, 1], True),
        ([], [[]], True),
        ([1], ["1"], False),
    ],
)
def test_set(one: Json, other: Json, *, same: bool) -> None:
    """
    The same elements; a batch of one is its only list.
    """
    assert agree(Compare.SET, one, other) is same


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("  The\n answer", "the ANSWER ", True),
        ("Straße", "STRASSE", True),
        ("ﬁne", "fine", True),
        ("e\u0301", "é", True),
        ("yes.", "yes", False),
        (["yes"], "YES", True),
        ("", " \n", True),
    ],
)
def test_text(one: Json, other: Json, *, same: bool) -> None:
    """
    But for case, white space and the ways to write a character; punctuation counts.
    """
    assert agree(Compare.TEXT, one, other) is same


@pytest.mark.parametrize(
    ("how", "value"),
    [
        (Compare.NUMBER, "1"),
        (Compare.NUMBER, True),
        (Compare.NUMBER, None),
        (Compare.NUMBER, []),
        (Compare.NUMBER, {"a": 1}),
        (Compare.NUMBER, [1, "x"]),
        (Compare.NUMBER, 10**400),
        (Compare.NUMBER, DEEP),
        (Compare.EQUAL, DEEP),
        (Compare.ARGMAX, 1),
        (Compare.ARGMAX, []),
        (Compare.ARGMAX, {}),
        (Compare.ARGMAX, [0.1, nan]),
        (Compare.ARGMAX, ["a"]),
        (Compare.ARGMAX, [[1], 2]),
        (Compare.SET, {"a": 1}),
        (Compare.SET, "ab"),
        (Compare.TEXT, 1),
        (Compare.TEXT, ["a", "b"]),
        (Compare.TEXT, []),
    ],
    ids=lambda value: str(value)[:20] if value is not DEEP else "deep",
)
def test_what_cannot_be_compared_so_is_unreadable(how: Compare, value: Json) -> None:
    """
    Never equal to something else that cannot.
    """
    with pytest.raises(UnreadableAnswerError):
        Comparison(how).read(value)


@pytest.mark.parametrize(
    ("how", "value", "word"),
    [
        (Compare.EQUAL, "cat", "cat"),
        (Compare.EQUAL, ["cat"], "cat"),
        (Compare.EQUAL, [[["cat"]]], "cat"),
        (Compare.EQUAL, 3, "3"),
        (Compare.EQUAL, True, "true"),
        (Compare.EQUAL, None, "null"),
        (Compare.EQUAL, 0.5, None),
        (Compare.EQUAL, {"a": 1}, None),
        (Compare.EQUAL, ["a", "b"], None),
        (Compare.EQUAL, "x" * SHORT, "x" * SHORT),
        (Compare.EQUAL, "x" * (SHORT + 1), None),
        (Compare.EQUAL, "\ud800", "?"),
        (Compare.ARGMAX, [0.1, 0.9], "1"),
        (Compare.ARGMAX, {"cat": 0.9, "dog": 0.1}, "cat"),
        (Compare.ARGMAX, [[0.1, 0.9], [1, 0]], None),
        (Compare.TEXT, " YES ", "yes"),
        (Compare.TEXT, "x" * (SHORT + 1), None),
        (Compare.NUMBER, 1, None),
        (Compare.SET, ["a"], None),
    ],
)
def test_short_outputs_can_be_counted_by_what_they_say(how: Compare, value: Json, word: str | None) -> None:
    """
    Classes; not scores, objects and sentences.
    """
    assert output(how, value) == word
