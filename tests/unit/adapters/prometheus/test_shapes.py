"""
Selectors as parts of batches.
"""

import re

import pytest

from modelramp.adapters.prometheus.shapes import Part, take_apart

PODS = "-[a-z0-9]+-[a-z0-9]+"


def part(selector: str) -> Part:
    """The selector as a part; fails where it is none."""
    found = take_apart(selector)
    assert found is not None, selector
    return found


def test_selectors_of_one_shape_become_one() -> None:
    """What is equal stays; names are listed, pods of workloads too."""
    texts = [f'm{{path=~".*/x",code="5",$arm,namespace="{n}",pod=~"{w}{PODS}"}}' for n, w in (("a", "s-1"), ("b", "t"))]
    parts = [part(text.replace("$arm,", "")) for text in texts]
    assert parts[0].shape == parts[1].shape
    joined = parts[0].shape.selector(one.values for one in parts)
    assert joined == f'm{{path=~".*/x",code="5",namespace=~"a|b",pod=~"(s-1|t){PODS}"}}'


def test_one_member_is_asked_for_as_it_stands() -> None:
    """No lists of one."""
    one = part(f'm{{a="x.y",pod=~"w{PODS}"}}')
    assert one.shape.selector([one.values]) == f'm{{a="x.y",pod=~"w{PODS}"}}'


@pytest.mark.parametrize("value", ["a.b", "a|b", "(", "[x]", "a{2}", "^$", "\\d", "x+?*", 'q"', "é模", "a\nb", "-"])
def test_what_a_user_writes_stays_a_literal(value: str) -> None:
    """In a list as alone: nothing of it works as a regular expression or ends the string."""
    quoted = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("$", "S")
    one, other = part(f'm{{a="{quoted}"}}'), part('m{a="other"}')
    joined = take_apart(one.shape.selector([one.values, other.values]))
    assert joined is not None
    (matcher,) = joined.shape.fixed
    literal = value.replace("$", "S")
    assert (matcher.label, matcher.operator) == ("a", "=~")
    assert {
        text for text in (literal, "other", "a", "b", "x", "ab", "", "aa") if re.fullmatch(matcher.value, text)
    } == {
        literal,
        "other",
    }


@pytest.mark.parametrize(
    "selector",
    [
        "m",
        "m{}",
        '{a="x"}',
        '{__name__=~"x"}',
        'm{__name__="n"}',
        'm{a="x",a="y"}',
        f'm{{pod=~"a{PODS}",other=~"b{PODS}"}}',
        'm{a="x"} or n{b="y"}',
        'm{a="$arm"}',
        'm{a="\\x41"}',
        'm{a="x"}[5m]',
        'm{a="x"}\n',
    ],
)
def test_what_is_not_understood_is_asked_alone(selector: str) -> None:
    """Nothing is guessed."""
    assert take_apart(selector) is None


def test_a_workload_whose_name_begins_like_another_is_another() -> None:
    """Neither of the two parts that a pod's name adds holds a dash."""
    shape = part(f'm{{pod=~"w{PODS}"}}').shape
    assert shape.key({"pod": "w-abc-1"}) == ("w",)
    assert shape.key({"pod": "w-abc-1-2"}) == ("w-abc",)
    assert shape.key({"pod": "w\n-a-1"}) == ("w\n",)
    assert [shape.key({"pod": pod}) for pod in ("w", "w-1", "w-A-1", "w--1", "w-1-\n")] == [None] * 5
    assert shape.key({}) is None


def test_bad_requests_are_a_part_of_all_requests() -> None:
    """By matchers that mean the same to Python as to the server."""
    everything = part('m{a="x",path=~".*/x"}')
    bad = part('m{a="x",path=~".*/x",code=~"5..",kind!="probe",missing=""}').within(everything.shape)
    assert bad is not None
    assert bad.values == everything.values
    judged = [all(holds(labels) for holds in bad.rest) for labels in ({"code": "503"}, {"code": "5033"}, {})]
    assert judged == [True, False, False]
    assert not all(holds({"code": "503", "kind": "probe"}) for holds in bad.rest)
    assert not all(holds({"code": "503", "missing": "1"}) for holds in bad.rest)


@pytest.mark.parametrize("regex", ["5.*", "5[0-9]+", "(5..)", "\\\\d+", "(?i)a", "5?", "5{2}", "^5"])
def test_other_regular_expressions_are_left_to_the_server(regex: str) -> None:
    """RE2 and Python may differ, and Python may need very long."""
    everything = part('m{a="x"}')
    assert part(f'm{{a="x",code=~"{regex}"}}').within(everything.shape) is None


def test_a_part_needs_everything_the_batch_asks_for() -> None:
    """Other names, other matchers and other labels are other batches."""
    shape = part(f'm{{a="x",b=~"y",pod=~"w{PODS}"}}').shape
    for selector in (
        'n{a="x",b=~"y"}',
        'm{a="x"}',
        'm{b=~"y"}',
        'm{a="x",b=~"y"}',
        f'm{{a="x",b=~"z",pod=~"w{PODS}"}}',
    ):
        assert part(selector).within(shape) is None
    assert part(f'm{{a="x",pod=~"w{PODS}"}}').within(part('m{a="x"}').shape) is None
