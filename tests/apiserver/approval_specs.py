"""
Edits of a spec, before and after, by which fewer steps wait for approval, and edits by which none does.
"""

from typing import Any, Final

Object = dict[str, Any]


def canary(*words: str, **changes: Any) -> Object:  # noqa: ANN401 - JSON
    """
    A strategy with a step for each word: `ask` asks for approval, `free` does not.
    """
    approvals = {"ask": {"approval": "Required"}, "free": {"approval": "NotRequired"}}
    steps = [{"traffic": f"{10 * n}%", **approvals[word]} for n, word in enumerate(words, 1)]
    return {"strategy": {"canary": {"steps": steps, **changes}, "progressDeadline": "10m"}}


def green(**changes: Any) -> Object:  # noqa: ANN401 - JSON
    """
    A blue-green strategy.
    """
    return {"strategy": {"blueGreen": changes}}


def degree(name: str, **changes: str) -> Object:
    """
    A degree of automation.
    """
    return {"automation": {"degree": name, **changes}}


PARTS: Final = ({"traffic": "50%"}, {"traffic": "100%", "approval": "Required"})
ASKS: Final = {"preSwitch": {"soak": "1m", "approval": "Required"}}
DEGREES: Final = ("HumanOnly", "Shadow", "Assist", "Partial", "Full")
LESS: Final[dict[str, tuple[Object, Object]]] = {
    **{f"{a} to {b}": (degree(a), degree(b)) for n, a in enumerate(DEGREES) for b in DEGREES[n + 1 :]},
    "HumanOnly to the default": (degree("HumanOnly"), {}),
    "Assist to an empty automation": (degree("Assist"), {"automation": {}}),
    "alone further": (degree("Partial", autoUpTo="5%"), degree("Partial", autoUpTo="5.5%")),
    "alone to ten, which sorts before five": (degree("Partial", autoUpTo="5%"), degree("Partial", autoUpTo="10%")),
    "alone up to the default": (degree("Partial", autoUpTo="5%"), degree("Partial")),
    "alone up from the default": (degree("Partial"), degree("Partial", autoUpTo="5%")),
    "up and alone less": (degree("Assist", autoUpTo="50%"), degree("Partial", autoUpTo="1%")),
    "approval removed": (canary("free", "ask"), canary("free", "free")),
    "approval moved up": (canary("ask", "free"), canary("free", "ask")),
    "step removed": (canary("ask", "ask"), canary("ask")),
    "approval added": (canary("free", "ask"), canary("ask", "ask")),
    "soak changed": (canary("ask", soak="1m"), canary("ask", soak="2m")),
    "strategy removed": (canary("ask"), {}),
    "another strategy": (canary("ask"), green(**ASKS)),
    "switch without approval": (green(**ASKS), green(preSwitch={"soak": "1m"})),
    "switch in parts without approval": (green(steps=PARTS), green(steps=[PARTS[0], {"traffic": "100%"}])),
    "approval before the switch instead of in it": (green(steps=PARTS), green(**ASKS)),
    "no check before the switch": (green(**ASKS), green()),
    "canary instead of blue-green": (green(**ASKS), canary("ask")),
}  # fmt: skip
SAFE: Final[dict[str, tuple[Object, Object]]] = {
    **{f"{b} to {a}": (degree(b), degree(a)) for n, a in enumerate(DEGREES) for b in DEGREES[n:]},
    "the default to HumanOnly": ({}, degree("HumanOnly")),
    "alone less": (degree("Partial", autoUpTo="10%"), degree("Partial", autoUpTo="5%")),
    "alone the same": (degree("Partial", autoUpTo="5%"), degree("Partial", autoUpTo="5.0%")),
    "down and alone": (degree("Full"), degree("Partial", autoUpTo="99%")),
    "of no effect": (degree("Assist", autoUpTo="5%"), degree("Assist", autoUpTo="50%")),
    "freezes": (degree("Assist"), {"automation": {"degree": "Assist", "freezes": [{"from": "x"}]}}),
    "steps without approval": (canary("free", "free"), canary("free")),
    "approval added to a strategy without": (canary("free", "free"), canary("free", "ask")),
    "beside the steps": (canary("ask"), {"strategy": {**canary("ask")["strategy"], "progressDeadline": "20m"}}),
    "blue-green without approval": (green(preSwitch={"soak": "1m"}, steps=PARTS[:1]), green(preSwitch={"soak": "2m"})),
    "model": ({**canary("ask"), **degree("Assist")}, {**canary("ask"), **degree("Assist"), "model": {"version": "2"}}),
}  # fmt: skip
