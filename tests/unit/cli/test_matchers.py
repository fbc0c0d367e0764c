"""
Vector selectors on recorded series.
"""

import pytest

from modelramp.cli.matchers import Selector, SelectorError

LABELS = {"__name__": "http_requests_total", "code": "503", "version": "2", "path": 'a"b\\c'}


@pytest.mark.parametrize(
    ("selector", "selected"),
    [
        ('http_requests_total{version="2"}', True),
        ('other_total{version="2"}', False),
        ('{version="1"}', False),
        ('{version!="1"}', True),
        ('{version!="2"}', False),
        ('{code=~"5.."}', True),
        ('{code=~"5"}', False),
        ('{code!~"5.."}', False),
        ('{code!~"2.."}', True),
        ('{absent=""}', True),
        ('{absent!=""}', False),
        ('{ version = "2" , code=~"4..|5..", }', True),
        ("http_requests_total{}", True),
        ('{path="a\\"b\\\\c"}', True),
        ('{version="1",$arm}', False),
        ('http_requests_total{$arm,code="503"}', True),
        ('{cluster="${namespace}_${service}_80",version="2"}', True),
    ],
)
def test_a_selector_selects_as_promql_does(selector: str, *, selected: bool) -> None:
    """Whole values, absent labels as empty, placeholders left out."""
    assert Selector.parse(selector).holds(LABELS) is selected


def test_two_selectors_select_what_both_do() -> None:
    """A metric's and an arm's."""
    both = Selector.parse('{code="503"}').both(Selector.parse('{version="1"}'))
    assert not both.holds(LABELS)
    assert both.holds({**LABELS, "version": "1"})


@pytest.mark.parametrize(
    "text",
    ["", "version=2", "{version=2}", '{version="2"', '{version="2"} or up', '{v="1"}[5m]', '{=~"x"}', '{v=~"("}'],
)
def test_what_is_no_selector_is_refused(text: str) -> None:
    """With the text."""
    with pytest.raises(SelectorError):
        Selector.parse(text)
