"""
Stories of the degrees of automation, of freeze windows, and of what people undo and restart.
"""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final

from scenarios.parts import utc
from scenarios.world import BEGIN, World, spec_of

from modelramp.api.names import ANNOTATION_ACTION, ANNOTATION_RETRY

SECOND: Final = 40.0  # when the second version is applied


def steps(*shares: str, **changes: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    """
    A strategy of these steps.
    """
    usual = spec_of("1")["strategy"]
    return {**usual, "canary": {**usual["canary"], "steps": [{"traffic": share} for share in shares]}, **changes}


def applied(world: World, at: float, version: str, degree: str = "Full", **changes: Any) -> None:  # noqa: ANN401 - JSON
    """
    A version is applied under a degree of automation; half of the traffic, then all of it, if nothing else is said.
    """
    automation = {"degree": degree, **changes.pop("automation", {})}
    wanted = {"strategy": steps("50%", "100%"), **changes, "automation": automation}
    world.at(at, lambda: world.apply(spec_of(version, **wanted)))


def asks(world: World, at: float, verb: str, *, step: int | None = None, version: str | None = None) -> None:
    """
    Ada asks for something about the candidate, or about another version that was applied or kept.
    """

    def ask() -> None:
        status = world.deployment.status
        known = {one.version: one.revision for one in (*status.kept, status.stable, status.candidate) if one}
        meant = known[version] if version else (status.candidate.revision if status.candidate else "none")
        request = {"id": f"r-{at:g}", "verb": verb, "revision": meant, "by": "ada"}
        world.apply(annotations={ANNOTATION_ACTION: json.dumps(request if step is None else {**request, "step": step})})

    world.at(at, ask)


def instant(after: float) -> str:
    """
    So many seconds after the beginning.
    """
    return (utc(BEGIN) + timedelta(seconds=after)).strftime("%Y-%m-%dT%H:%M:%SZ")


def window(begin: float, end: float) -> dict[str, Any]:
    """
    A freeze window of these seconds after the beginning.
    """
    return {"freezes": [{"start": instant(begin), "end": instant(end)}]}


def every_step_approved(world: World) -> None:
    """
    Under the degree Assist the first revision and every step up wait for ada; from 100 % no approval is needed.
    """
    applied(world, 0.0, "1", "Assist")
    asks(world, 20.0, "approve", step=3)
    applied(world, SECOND, "2", "Assist")
    asks(world, 60.0, "approve", step=2)
    asks(world, 61.0, "approve", step=1)
    asks(world, 62.0, "approve", step=1)
    asks(world, 150.0, "approve", step=2)
    world.run(600)


def approved_and_bad(world: World) -> None:
    """
    Ada approves the first step of a bad version: harm rolls it back without her.
    """
    applied(world, 0.0, "1")
    applied(world, SECOND, "3", "Assist")
    asks(world, 60.0, "approve", step=1)
    world.run(600)


def not_approved(world: World) -> None:
    """
    Ada rejects a version that waits for its second step; it is not begun again.
    """
    applied(world, 0.0, "1")
    applied(world, SECOND, "2", "Partial", automation={"autoUpTo": "50%"})
    asks(world, 150.0, "reject", step=2)
    world.run(600)


def partial_up_to_a_quarter(world: World) -> None:
    """
    Under the degree Partial the candidate goes to 25 % by itself; ada approves the promotion from there.
    """
    applied(world, 0.0, "1", "Partial")
    applied(world, SECOND, "2", "Partial", strategy=steps("5%", "25%"))
    asks(world, 300.0, "approve", step=3)
    world.run(900)


def outage_while_waiting(world: World) -> None:
    """
    The metrics go away while an approval is waited for: what was recommended is not certain any more. It is recommended
    again when they are back.
    """
    applied(world, 0.0, "1")
    applied(world, SECOND, "2", "Partial", automation={"autoUpTo": "50%"})
    world.at(120.0, lambda: setattr(world.store, "up", False))
    asks(world, 150.0, "approve", step=2)
    world.at(180.0, lambda: setattr(world.store, "up", True))
    asks(world, 240.0, "approve", step=2)
    world.run(900)


def degree_raised_while_waiting(world: World) -> None:
    """
    A candidate that waits for its first step begins it when the degree becomes Full.
    """
    applied(world, 0.0, "1")
    applied(world, SECOND, "2", "Assist")
    applied(world, 70.0, "2")
    world.run(600)


def steps_edited_while_waiting(world: World) -> None:
    """
    While the first step waits for an approval the spec gets a smaller one: another step is recommended.
    """
    applied(world, 0.0, "1")
    applied(world, SECOND, "2", "Assist")
    applied(world, 70.0, "2", "Assist", strategy=steps("5%", "50%", "100%"))
    asks(world, 90.0, "reject", step=1)
    world.run(400)


def left_to_people(world: World) -> None:
    """
    Under the degree HumanOnly a bad version is not rolled back by itself: that is recommended, and ada aborts it.
    """
    applied(world, 0.0, "1")
    applied(world, SECOND, "3", "HumanOnly", strategy=steps("5%", "100%"))
    asks(world, 60.0, "approve", step=1)
    asks(world, 120.0, "resume")
    asks(world, 150.0, "abort")
    world.run(600)


def slow_start_left_to_people(world: World) -> None:
    """
    Under the degree HumanOnly a candidate that is not ready in time waits; ready after all, it waits for its approval.
    """
    applied(world, 0.0, "1")
    strategy = steps("50%", "100%", progressDeadline="20s")
    applied(world, SECOND, "slow-start", "HumanOnly", strategy=strategy)
    asks(world, 90.0, "approve", step=1)
    asks(world, 150.0, "approve", step=2)
    world.run(600)


def recommended_until_the_degree_changes(world: World) -> None:
    """
    A rollback that was only recommended is decided anew when the degree becomes Full; here for want of the route.
    """
    applied(world, 0.0, "1")
    applied(world, SECOND, "2", "HumanOnly")
    world.at(50.0, lambda: setattr(world.gateway, "accept_after", 10**6))
    asks(world, 60.0, "approve", step=1)
    applied(world, 150.0, "2")
    world.at(170.0, lambda: follows_again(world))
    world.run(600)


def follows_again(world: World) -> None:
    """
    The gateway accepts what was written last.
    """
    world.gateway.accept_after, world.gateway.accepts_at = 2.0, world.now + 2.0


def crash_while_promoting_left_to_people(world: World) -> None:
    """
    Under the degree HumanOnly a crash loop in the promotion is told and changes nothing; ada aborts.
    """
    applied(world, 0.0, "1")
    applied(world, SECOND, "crashes-late", "HumanOnly", strategy=steps("50%"))
    asks(world, 50.0, "approve", step=1)
    world.at(70.0, lambda: setattr(world.gateway, "accept_after", 10**6))
    asks(world, 80.0, "promote-full")
    asks(world, 110.0, "abort")
    world.at(120.0, lambda: follows_again(world))
    world.run(600)


def frozen_over_night(world: World) -> None:
    """
    Nothing rises in a freeze window, though the candidate is prepared and the step passed; ada may go on before its
    end.
    """
    applied(world, 0.0, "1")
    changes = {"strategy": steps("5%", "50%", "100%"), "automation": window(30.0, 120.0)}
    applied(world, SECOND, "2", **changes)
    again = {"freezes": [*window(30.0, 120.0)["freezes"], *window(140.0, 4000.0)["freezes"]]}
    applied(world, 130.0, "2", strategy=changes["strategy"], automation=again)
    asks(world, 900.0, "promote")
    world.run(5000)


def undone(world: World) -> None:
    """
    The second version serves; ada returns to the first, which was kept. The second is not begun again until a retry.
    """
    applied(world, 0.0, "1")
    applied(world, SECOND, "2")
    asks(world, 300.0, "undo", version="1")
    world.at(450.0, lambda: world.apply(annotations={ANNOTATION_RETRY: "again"}))
    world.run(1200)


def undo_given_up(world: World) -> None:
    """
    Ada undoes the undo while it is under way: the second version goes on serving.
    """
    applied(world, 0.0, "1")
    applied(world, SECOND, "2")
    asks(world, 300.0, "undo", version="1")
    asks(world, 302.0, "undo", version="1")
    world.run(600)


def edited_while_undoing(world: World) -> None:
    """
    The spec names a third version while an undo is under way: that ends the undo.
    """
    applied(world, 0.0, "1")
    applied(world, SECOND, "2")
    asks(world, 300.0, "undo", version="1")
    applied(world, 302.0, "slow-start")
    world.run(900)


def restarted(world: World) -> None:
    """
    Ada asks for new pods of the version that serves: they are ready before the old ones go.
    """
    applied(world, 0.0, "1")
    asks(world, 60.0, "restart", version="1")
    world.run(300)


DEGREES: Final[tuple[Callable[[World], None], ...]] = (
    every_step_approved,
    approved_and_bad,
    not_approved,
    partial_up_to_a_quarter,
    outage_while_waiting,
    degree_raised_while_waiting,
    steps_edited_while_waiting,
    left_to_people,
    slow_start_left_to_people,
    recommended_until_the_degree_changes,
    crash_while_promoting_left_to_people,
    frozen_over_night,
    undone,
    undo_given_up,
    edited_while_undoing,
    restarted,
)
