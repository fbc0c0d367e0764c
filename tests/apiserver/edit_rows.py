"""
Rows of the edits' table about what a rollout is walked by: its strategy, its router, and who decides.
"""

from collections.abc import Generator
from typing import Final

from apiserver.fleet import SLOW, One, Row, Wait
from apiserver.operator_world import MERGE, ROUTES

from modelramp.api.crd import ROUTER_STAYS
from modelramp.api.names import LABEL_REVISION

Steps = Generator[Wait, None, None]

BLUE_GREEN: Final = {"blueGreen": {"preSwitch": {"soak": "1s"}, "bake": "1s"}, "scaleDownDelay": "1s"}
SHADOW: Final = {"shadow": {"mirror": "100%", "soak": "30m", "deadline": "50m"}, "scaleDownDelay": "1s"}
QUICK_SHADOW: Final = {"shadow": {"mirror": "100%", "soak": "1s", "deadline": "50m"}, "scaleDownDelay": "1s"}


def in_first_step(one: One) -> Steps:
    """
    Version 1 serves, and version 2 is in its first step.
    """
    one.apply("1")
    yield one.serves("1")
    one.apply("2", strategy=SLOW)
    yield one.at("20%")


def copied(one: One) -> int:
    """
    How many copies of requests the route asks for.
    """
    filters = [one for rule in one.route["spec"]["rules"] for one in rule.get("filters") or ()]
    return sum(one["type"] == "RequestMirror" for one in filters)


def canary_to_blue_green(one: One) -> Steps:
    """
    In the first step: the share stays until the new strategy's next place, which is everything.
    """
    yield from in_first_step(one)
    began = one.status["candidate"]["since"]
    one.apply("2", strategy={**BLUE_GREEN, "blueGreen": {**BLUE_GREEN["blueGreen"], "bake": "20s"}})  # type: ignore[dict-item] - JSON
    yield one.at("100%")
    assert one.status["candidate"]["since"] == began
    yield one.serves("2")


def blue_green_to_canary(one: One) -> Steps:
    """
    Before the switch: green begins to get shares.
    """
    one.apply("1")
    yield one.serves("1")
    slow = {**BLUE_GREEN, "blueGreen": {"preSwitch": {"soak": "30m"}, "stepDeadline": "50m"}}
    one.apply("2", strategy=slow)
    yield lambda: (one.status.get("step") or {}).get("preview"), "green is at size and gets nothing"
    one.apply("2", strategy=SLOW)
    yield lambda: (one.status.get("step") or {}).get("preview"), "the place stays"
    one.ask("promote", 1)
    yield one.at("20%")
    one.ask("promote-full", 2)
    yield one.serves("2")


def shadow_to_canary(one: One) -> Steps:
    """
    Copies go on until the stage is passed; then users get it, and nothing is copied any more.
    """
    one.apply("1")
    yield one.serves("1")
    one.apply("2", strategy=SHADOW)
    yield lambda: copied(one) == 1 and "inPlaceSince" in (one.status.get("step") or {}), "version 2 gets copies"
    began = one.status["candidate"]["since"]
    one.apply("2", strategy=SLOW)
    generation = one.generation
    yield lambda: one.status["observedGeneration"] == generation, "the edit is seen"
    assert (copied(one), one.shares) == (1, [0, 100])
    one.ask("promote", 1)
    yield one.at("20%")
    assert (copied(one), one.status["candidate"]["since"]) == (0, began)
    one.ask("promote-full", 2)
    yield one.serves("2")


def canary_to_shadow(one: One) -> Steps:
    """
    In a step with users: the share is no place of a shadow run, so it is passed there and ends with the report.
    """
    yield from in_first_step(one)
    one.apply("2", strategy=QUICK_SHADOW)
    yield one.phase("Reported")
    yield lambda: one.shares == [100] and sum(map(bool, one.sizes)) == 1, "version 1 serves alone"
    assert one.status["stable"]["version"] == "1"


def another_degree(one: One) -> Steps:
    """
    What waited for an approval goes on by itself when the degree needs none.
    """
    one.apply("1")
    yield one.serves("1")
    one.apply("2", automation={"degree": "Assist"})
    yield lambda: one.status.get("reason") == "ApprovalNeeded", "the first step waits for an approval"
    began = one.status["candidate"]["since"]
    one.apply("2", automation={"degree": "Full"})
    yield one.at("20%")
    assert one.status["candidate"]["since"] == began
    yield one.serves("2")
    assert "recommendation" not in one.status


def router_in_flight(one: One) -> Steps:
    """
    The API server refuses it, and the rollout goes on as if nobody had asked.
    """
    yield from in_first_step(one)
    before = one.generation
    answer = one.world.server.send("PATCH", one.path, {"spec": {"traffic": {"gatewayAPI": None, "service": {}}}}, MERGE)
    assert answer.status == 422
    assert ("spec.traffic", ROUTER_STAYS) in [(path, said.split(": ", 1)[-1]) for path, said in answer.causes]
    assert (one.generation, one.shares) == (before, [20, 80])
    one.ask("promote-full", 1)
    yield one.serves("2")


def router_at_rest(one: One) -> Steps:
    """
    From a route to a plain Service and back: the new one first, the old one after its time; nobody's pods are touched.
    """
    one.apply("1")
    yield one.serves("1")
    revision, pods = one.status["stable"]["revision"], one.pods
    one.change_router({"gatewayAPI": None, "service": {"drain": "8s"}})
    yield lambda: one.front is not None, "there is a Service"
    assert _is_there(one), "the route waits for the clients that still use it"
    yield lambda: not _is_there(one), "the route is gone"
    front = one.front
    assert front is not None
    assert front["spec"]["selector"][LABEL_REVISION] == revision
    one.change_router({"gatewayAPI": {"parentRefs": [{"name": "gw"}], "requestTimeout": "1s"}, "service": None})
    yield lambda: one.front is None, "the Service is gone"
    yield one.serves("1")
    assert (one.history, one.pods) == ([("1", "Promoted")], pods)


def _is_there(one: One) -> bool:
    return one.world.server.send("GET", one.route_path, None).status == 200


def another_preview(one: One) -> Steps:
    """
    By a header, then by a host name, then by another: what led to green before is gone, and after the switch all is.
    """
    one.apply("1")
    yield one.serves("1")
    waits = {"preSwitch": {"soak": "30m"}, "stepDeadline": "50m"}
    one.apply("2", strategy={**BLUE_GREEN, "blueGreen": {**waits, "preview": {}}})
    yield lambda: len(one.route["spec"]["rules"]) == 2, "a header leads to green"
    one.apply("2", strategy={**BLUE_GREEN, "blueGreen": {**waits, "preview": {"hostname": "preview.example"}}})
    yield lambda: _hosts(one) == ["preview.example"], "a host leads to green"
    assert len(one.route["spec"]["rules"]) == 1
    one.apply("2", strategy={**BLUE_GREEN, "blueGreen": {**waits, "preview": {"hostname": "other.example"}}})
    yield lambda: _hosts(one) == ["other.example"], "another host does"
    one.ask("promote-full", 1)
    yield one.serves("2")
    assert _hosts(one) == []


def _hosts(one: One) -> list[str]:
    routes = [route for route in one.owned(ROUTES, "httproutes") if route["metadata"]["name"] != one.name]
    return [name for route in routes for name in route["spec"]["hostnames"]]


ROWS: Final[tuple[Row, ...]] = (
    canary_to_blue_green,
    blue_green_to_canary,
    shadow_to_canary,
    canary_to_shadow,
    another_degree,
    router_in_flight,
    router_at_rest,
    another_preview,
)
