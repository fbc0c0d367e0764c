"""
Selectors of counters that users write: `name{label="value",$arm}`.

A selector is a plain vector selector and nothing else: no function, no operator, no range, no subquery. So what the
operator asks is always `SELECTOR[RANGE]`, and nothing a user writes can change the shape of that question. The grammar
is one regular expression, so that the API server and this package check the very same thing.
"""

import re
from collections.abc import Mapping
from typing import Final

_NAME: Final = "[a-zA-Z_:][a-zA-Z0-9_:]*"
# Prometheus anchors regular expressions itself, so a literal "$" has no use inside quotes and stays the mark of a
# placeholder. Of escapes only those that PromQL knows inside double quotes: the backslash of a regular expression is
# written twice.
_QUOTED: Final = r'"([^"\\$\n]|\\[\\abfnrtv"]|\$\{(namespace|deployment|service|revision)\})*"'
_MATCHER: Final = rf"([a-zA-Z_][a-zA-Z0-9_]* *(=~|!~|!=|=) *{_QUOTED}|\$arm)"
SELECTOR_PATTERN: Final = rf"^({_NAME})? *\{{ *{_MATCHER}( *, *{_MATCHER})* *,? *\}}$"
TELLS_ARMS_APART: Final = r"\$arm|\$\{service\}|\$\{revision\}"
NOT_TOLD_APART: Final = "the selector must tell the revisions apart: use $arm, ${service} or ${revision}"
_PLACEHOLDER: Final = re.compile(r"\$(?:\{(namespace|deployment|service|revision)\}|(arm))")


def check_selector(selector: str) -> str:
    """
    Return the selector, if it tells the two revisions apart.

    Raises:
        ValueError: it does not.
    """
    if re.search(TELLS_ARMS_APART, selector) is None:
        raise ValueError(NOT_TOLD_APART)
    return selector


def fill(selector: str, values: Mapping[str, str]) -> str:
    """
    The selector with its placeholders replaced; `values` holds `arm`, `namespace`, `deployment`, `service`
    and `revision`.

    The values are DNS labels and matchers built from them, so none of them can end a quoted string.
    """
    return _PLACEHOLDER.sub(lambda match: values[match.group(1) or match.group(2)], selector)
