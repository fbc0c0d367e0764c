"""
Vector selectors read into their matchers.
"""

import pytest

from modelramp.api.matchers import Matcher, SelectorError, matchers_of


def test_a_selector_is_read_into_its_matchers() -> None:
    """The name is one of them, escapes are resolved, a bare placeholder is none."""
    text = 'm{a="x\\"\\\\\\n", b!="", c=~"1|2", $arm, d!~".*",}'
    expected = [("__name__", "=", "m"), ("a", "=", 'x"\\\n'), ("b", "!=", ""), ("c", "=~", "1|2"), ("d", "!~", ".*")]
    assert [Matcher(*one) for one in expected] == matchers_of(text)


@pytest.mark.parametrize("text", ["m", "m{", 'm{a="x"}[5m]', 'm{a="x" b="y"}', 'sum(m{a="x"})', "m{a=x}"])
def test_what_is_no_selector_is_refused(text: str) -> None:
    """With its text."""
    with pytest.raises(SelectorError, match="not label matchers"):
        matchers_of(text)


def test_a_matcher_is_written_so_that_it_is_read_back() -> None:
    """Whatever its value holds."""
    matcher = Matcher("a", "=~", 'x"\\d\n|{}')
    assert [matcher] == matchers_of(f"{{{matcher}}}")


@pytest.mark.parametrize(
    ("matcher", "held", "not_held"),
    [
        (Matcher("a", "=", "x"), {"a": "x"}, {"a": "xx"}),
        (Matcher("a", "=", ""), {}, {"a": "x"}),
        (Matcher("a", "!=", "x"), {}, {"a": "x"}),
        (Matcher("a", "=~", "x|y+"), {"a": "yy"}, {"a": "xy"}),
        (Matcher("a", "!~", "x|y+"), {"a": "xy"}, {"a": "x"}),
    ],
    ids=str,
)
def test_a_matcher_holds_as_prometheus_would(matcher: Matcher, held: dict[str, str], not_held: dict[str, str]) -> None:
    """An absent label counts as empty, and expressions match whole values."""
    assert (matcher.holds(held), matcher.holds(not_held)) == (True, False)
