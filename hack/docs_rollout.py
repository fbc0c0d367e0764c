"""
The generated parts of docs/rollout.md, from the tables of the code, and the page docs/reference/reasons.md.
"""

import ast
import inspect
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from runbooks import NEEDS_HUMAN

from modelramp.api import vocabulary
from modelramp.api.vocabulary import Phase, Reason
from modelramp.rollout.desired import DESIRED
from modelramp.rollout.rules import RULES, Rule

ROOT: Final = Path(__file__).resolve().parent.parent
PAGE: Final = ROOT / "docs" / "rollout.md"
GOLDEN: Final = ROOT / "tests" / "scenarios" / "golden"
END: Final = "<!-- end -->"
_BLOCK: Final = re.compile(r"<!-- generated: (?P<name>[a-z]+(?: [a-z_]+)?) -->\n.*?<!-- end -->", re.DOTALL)


def first_line(of: Callable[..., Any]) -> str:
    """
    The first line of a docstring.
    """
    return (inspect.getdoc(of) or "").split("\n", maxsplit=1)[0]


def in_order(phases: frozenset[Phase]) -> list[Phase]:
    """
    The phases as the vocabulary lists them.
    """
    return [phase for phase in Phase if phase in phases]


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(map(_cell, line)) + " |" for line in lines)


def _rule_row(number: int, rule: Rule) -> tuple[str, ...]:
    phases = ", ".join(in_order(rule.phases))
    return (
        str(number),
        phases,
        first_line(rule.when),
        rule.to or "as before",
        first_line(rule.remember),
        f"`{rule.because}`",
    )


def rules_table() -> str:
    """
    `RULES`, in the order in which they are asked.
    """
    head = ("#", "While", "When", "Then", "Remember", "Reason")
    return _table(head, [_rule_row(number, rule) for number, rule in enumerate(RULES, 1)])


def desired_table() -> str:
    """
    `DESIRED`: what each phase wants of the world.
    """
    meaning = member_docs(vocabulary.Phase)
    rows = [
        (phase, meaning[phase.name], wanted.exposure.value, "kept at size" if wanted.candidate_workload else "not kept")
        for phase, wanted in DESIRED.items()
    ]
    return _table(("Phase", "Meaning", "Candidate's traffic", "Candidate's workload"), rows)


def _edges() -> Iterator[tuple[Phase, Phase, Reason]]:
    for rule in RULES:
        if rule.to is None:
            continue
        for phase in in_order(rule.phases):
            yield phase, rule.to, rule.because


def diagram() -> str:
    """
    `RULES` as a state diagram; reasons that share an arrow share its label.
    """
    labels: dict[tuple[Phase, Phase], list[str]] = {}
    for came_from, to, reason in _edges():
        known = labels.setdefault((came_from, to), [])
        if reason not in known:
            known.append(reason)
    arrows = [f"    {came_from} --> {to}: {', '.join(reasons)}" for (came_from, to), reasons in labels.items()]
    return "\n".join(["```mermaid", "stateDiagram-v2", f"    [*] --> {Phase.PENDING}", *arrows, "```"])


def transcript(story: str) -> str:
    """
    A golden scenario, as the tests hold it.
    """
    return f"```text\n{(GOLDEN / f'{story}.txt').read_text(encoding='utf-8').rstrip()}\n```"


PARTS: Final[dict[str, Callable[[], str]]] = {"rules": rules_table, "desired": desired_table, "diagram": diagram}


def _rendered(block: re.Match[str]) -> str:
    kind, _, argument = block["name"].partition(" ")
    text = transcript(argument) if kind == "story" else PARTS[kind]()
    return f"<!-- generated: {block['name']} -->\n{text}\n{END}"


def rollout_page() -> str:
    """
    The page with its generated blocks made anew; the prose around them is kept.

    Raises:
        ValueError: a table of the code has no block in the page any more.
    """
    page = PAGE.read_text(encoding="utf-8")
    missing = PARTS.keys() - {block["name"] for block in _BLOCK.finditer(page)}
    if missing:
        raise ValueError(f"{PAGE} has lost its generated parts {sorted(missing)}")
    return _BLOCK.sub(_rendered, page)


def member_docs(of: type) -> dict[str, str]:
    """
    The docstring under each member of an enumeration, by the member's name, in the order of the source.

    Raises:
        ValueError: a member has none.
    """
    body = [line for top in ast.parse(inspect.getsource(of)).body for line in getattr(top, "body", [])]
    found: dict[str, str] = {}
    for member, below in zip(body, [*body[1:], None], strict=True):
        if not isinstance(member, ast.Assign) or not isinstance(member.targets[0], ast.Name):
            continue
        name = member.targets[0].id
        text = below.value if isinstance(below, ast.Expr) else None
        found[name] = str(text.value) if isinstance(text, ast.Constant) else ""
    if "" in found.values():
        raise ValueError(f"a member of {of.__name__} has no docstring: {found}")
    return found


_REASONS_HEAD: Final = """<!-- Generated from modelramp/api/vocabulary.py by `python hack/generate.py`; do not edit. -->
# Reasons

Every reason the operator writes into `status.reason`, conditions, Events and log lines.
The rules that lead to a reason are in [rollout.md](../rollout.md). A linked reason may need a human and has a
[runbook](../runbooks/README.md).

"""


def _linked(reason: Reason) -> str:
    """
    The reason, with a link to its runbook where it has one.
    """
    return f"[`{reason}`](../runbooks/{reason}.md)" if reason in NEEDS_HUMAN else f"`{reason}`"


def reasons_page() -> str:
    """
    The page: every reason, what it means, and which transition gives it.
    """
    moves: dict[Reason, list[str]] = {}
    for rule in RULES:
        moves.setdefault(rule.because, []).append(f"{', '.join(in_order(rule.phases))} → {rule.to or 'as before'}")
    rows = [
        (_linked(Reason[name]), text, "; ".join(dict.fromkeys(moves.get(Reason[name], []))))
        for name, text in member_docs(Reason).items()
    ]
    return _REASONS_HEAD + _table(("Reason", "Meaning", "Transition"), rows) + "\n"
