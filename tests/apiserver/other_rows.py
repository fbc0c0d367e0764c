"""
The row of docs/edits.md about the other candidates of a shadow run.
"""

from collections.abc import Generator
from typing import Final

from apiserver.fleet import One, Wait

SEVERAL_COPIES: Final = "gateway.envoyproxy.io/gatewayclass-controller"
"""A gateway that is known to copy to several revisions, and of whose counters nothing is known."""


def _shadow_of(*versions: str) -> dict[str, object]:
    others = [{"name": f"o{version}", "model": {"version": version}} for version in versions]
    return {"shadow": {"soak": "30m", "deadline": "50m", "others": others}, "scaleDownDelay": "1s"}


def _copied_to(one: One) -> int:
    filters = one.route["spec"]["rules"][0].get("filters") or ()
    return sum(item["type"] == "RequestMirror" for item in filters)


def others_of_a_shadow_run(one: One) -> Generator[Wait, None, None]:
    """
    Version 3 is tried beside version 2, and then version 4 instead of it.
    """
    one.apply("1")
    yield one.serves("1")
    one.apply("2", strategy=_shadow_of("3"))
    yield lambda: _copied_to(one) == 2, "two candidates get copies"
    began = one.status["candidate"]["since"]
    one.apply("2", strategy=_shadow_of("4"))
    outcomes = [("3", "Withdrawn"), ("4", "Undecided")]
    yield (
        lambda: [(other["version"], other["outcome"]) for other in one.status["others"]] == outcomes,
        "one is withdrawn and one begun",
    )
    yield lambda: _copied_to(one) == 2 and one.sizes == [1, 1, 1], "two get copies, and nothing is left of version 3"
    assert (one.status["candidate"]["since"], one.shares) == (began, [0, 100])
    one.ask("abort", 1)
    yield one.phase("Failed")
    yield lambda: one.sizes == [1] and _copied_to(one) == 0, "an abort ends them all"
    assert [line.split(": ")[:2] for line in one.status["history"][-1]["others"]] == [
        [f"o{version} (version {version})", outcome] for version, outcome in outcomes
    ]
