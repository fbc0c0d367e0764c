"""
Selectors: what users may write, and that nothing they write changes the question that is asked.
"""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from modelramp.api.selectors import NOT_TOLD_APART, fill
from modelramp.api.spec import Selector

SELECTORS: TypeAdapter[str] = TypeAdapter(Selector)
VALUES = {
    "arm": 'namespace="ml",pod=~"fraud-0a1b2c3d4e-.*"',
    "namespace": "ml",
    "service": "fraud-0a1b2c3d4e",
    "revision": "0a1b2c3d4e",
}

INJECTIONS = {
    "the brace is closed early": 'a{x="y"} or vector(1) or b{$arm}',
    "the quote is closed early": 'a{x="y",$arm} or b{x="',
    "a backslash before the quote": 'a{$arm,x="\\"}',
    "an escape that hides the end": 'a{$arm,x="\\\\\\"}',
    "or": "a{$arm} or b{$arm}",
    "a newline": "a{$arm}\nor b",
    "a newline in quotes": 'a{$arm,x="\n"}',
    "a newline at the end": "a{$arm}\n",
    "a comment": "a{$arm} # b",
    "a range": "a{$arm}[5m]",
    "a subquery": "a{$arm}[5m:1m]",
    "an offset": "a{$arm} offset 1h",
    "a time": "a{$arm} @ 0",
    "a function": "rate(a{$arm})",
    "an operator": "a{$arm} * 0",
    "$arm in quotes": 'a{x="$arm"}',
    "$arm half in quotes": 'a{x="$arm',
    "$arm as a label": 'a{$arm="x"}',
    "$arm glued to a name": "a{$armx}",
    "${arm}": "a{${arm}}",
    "an unknown placeholder": 'a{$arm,x="${secret}"}',
    "a placeholder as a name": "${service}{$arm}",
    "a placeholder as a label": 'a{${service}="x",$arm}',
    "a group reference": 'a{$arm,x="$1"}',
    "single quotes": "a{$arm,x='y'}",
    "backticks": "a{$arm,x=`y`}",
    "an escape PromQL does not know": 'a{$arm,x=~"\\d"}',
    "no comma": 'a{$arm x="y"}',
    "two commas": 'a{$arm,,x="y"}',
    "a comma first": 'a{,$arm,x="y"}',
    "no matcher": "a{}",
    "no braces": "a",
    "empty": "",
    "too long": 'a{$arm,x="' + "y" * 1024 + '"}',
}


@pytest.mark.parametrize("selector", INJECTIONS.values(), ids=INJECTIONS.keys())
def test_refuses_what_is_no_plain_selector(selector: str) -> None:
    """
    Nothing but one vector selector: no operator, function, range or second selector.
    """
    with pytest.raises(ValidationError, match=r"should match pattern|at least 1|at most 1024"):
        SELECTORS.validate_python(selector)


@pytest.mark.parametrize(
    ("selector", "asked"),
    [
        ("errors_total{$arm}", f"errors_total{{{VALUES['arm']}}}"),
        ("a:b{ $arm , }", f"a:b{{ {VALUES['arm']} , }}"),
        ('a{code=~"5..",$arm}', f'a{{code=~"5..",{VALUES["arm"]}}}'),
        ('{__name__="a",service!="${service}"}', '{__name__="a",service!="fraud-0a1b2c3d4e"}'),
        ('a{ns="${namespace}", x !~ "${revision}|b"}', 'a{ns="ml", x !~ "0a1b2c3d4e|b"}'),
        ('a{x="}or{",$arm}', f'a{{x="}}or{{",{VALUES["arm"]}}}'),
        ('a{x=~"\\\\d\\"",$arm}', f'a{{x=~"\\\\d\\"",{VALUES["arm"]}}}'),
    ],
)
def test_fills_the_placeholders(selector: str, asked: str) -> None:
    """
    What is valid becomes the same selector with the revision's names in it.
    """
    assert fill(SELECTORS.validate_python(selector), VALUES) == asked


@pytest.mark.parametrize("selector", ['a{x="y"}', 'a{namespace="${namespace}"}', 'a{arm="service"}'])
def test_must_tell_the_revisions_apart(selector: str) -> None:
    """
    A selector that counts both revisions alike would certify anything.
    """
    with pytest.raises(ValidationError) as refused:
        SELECTORS.validate_python(selector)
    assert NOT_TOLD_APART in str(refused.value)


def _ends_of_quotes(selector: str) -> str:
    """
    The selector without its quoted strings, as PromQL's lexer reads them.
    """
    outside, inside, escaped = [], False, False
    for character in selector:
        if inside:
            inside = escaped or character != '"'
            escaped = character == "\\" and not escaped
        else:
            inside = character == '"'
            outside.append(character)
    assert not inside
    return "".join(outside)


PIECES = ("}", "{", '"', '\\"', "\\\\", "\\", "$arm", "${service}", " or ", ",", "=", "x", "[5m]", "\n", "#", "é")


@given(st.lists(st.sampled_from(PIECES), max_size=6).map("".join), st.sampled_from(("", "", " or b", "[1m]")))
@example("}", "")
@example('\\"', "")
def test_outside_quotes_only_one_selector_remains(inside: str, behind: str) -> None:
    """
    Whatever is accepted has, outside its strings, one opening and one closing brace, the latter at the end.
    """
    selector = f'a{{x="{inside}",$arm}}{behind}'
    try:
        asked = fill(SELECTORS.validate_python(selector), VALUES)
    except ValidationError:
        return
    outside = _ends_of_quotes(asked)
    assert outside.count("{") == outside.count("}") == 1
    assert outside.endswith("}")
    assert "$" not in asked
