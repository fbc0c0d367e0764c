"""
What holds in every cycle of any rollout: random models, events and faults in the small world, virtual time.

Each plot is run once and every invariant looks at all of its cycles. Half of the plots are disturbed: the operator
crashes before or after any write, writes fail, news are lost, the object is read as it was some versions ago.
"""

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scenarios.parts import NEVER, Model, utc
from scenarios.world import BEGIN, KEY, Crash, Faults, Turn, World, spec_of

from modelramp.analysis import Block, Counts
from modelramp.api.action import STEPPED, ActionRequest, Verb
from modelramp.api.document import MLModelDeployment, parse_spec
from modelramp.api.names import ANNOTATION_ABORT, ANNOTATION_ACTION, ANNOTATION_RETRY
from modelramp.api.spec import OnInconclusive
from modelramp.api.status import VerdictName
from modelramp.api.vocabulary import Degree, Phase, Reason
from modelramp.ports import PortError
from modelramp.rollout import Plan, decide
from modelramp.rollout.approval import needs_approval
from modelramp.rollout.assess import assess
from modelramp.rollout.freeze import frozen
from modelramp.rollout.needs import counted_from
from modelramp.rollout.observed import (
    Acceptance,
    Arm,
    Drain,
    Measured,
    NoData,
    Observed,
    Reading,
    RouteState,
    Unavailable,
)
from modelramp.rollout.plan import (
    DeleteWorkload,
    Effect,
    EnsureWorkload,
    RestartWorkload,
    ScaleWorkload,
    SetRole,
    SetTraffic,
)
from modelramp.rollout.situation import SETTLE, Situation

PLOTS: Final = 10
CALM_AFTER: Final = 150.0  # faults end here, in virtual seconds
BOUND: Final = 1200.0  # three step deadlines and a progress deadline; no run may take longer to end or to pause
SPINS: Final = 8  # transitions a still world may need to come to rest
NOTHING: Final = Decimal(0)
GATES: Final = {"step_passed", "last_step_passed"}
ADVANCES: Final = {"inconclusive_advances", "last_inconclusive_advances"}
ASKED: Final = {
    "promotion_asked": {Verb.PROMOTE},
    "full_promotion_asked": {Verb.PROMOTE, Verb.PROMOTE_FULL},
    "first_step_approved": {Verb.APPROVE},
    "step_approved": {Verb.APPROVE},
    "promotion_approved": {Verb.APPROVE},
}
BY_PEOPLE: Final = {*ASKED, "undone_revision_listed"}
DEGREES: Final = ("Full", "Full", "Full", "Partial", "Assist", "Shadow", "HumanOnly")
PAUSES: Final = (
    Reason.METRICS_UNAVAILABLE,
    Reason.ANALYSIS_INCONCLUSIVE,
    Reason.ROUTE_CONFLICT,
    Reason.PAUSED_BY_REQUEST,
    Reason.APPROVAL_NEEDED,
    Reason.ROLLBACK_RECOMMENDED,
)
FOR_PEOPLE: Final = {
    Reason.ANALYSIS_INCONCLUSIVE,
    Reason.PAUSED_BY_REQUEST,
    Reason.APPROVAL_NEEDED,
    Reason.ROLLBACK_RECOMMENDED,
}
TIMED: Final = (
    GATES
    | ADVANCES
    | {
        "no_data_rolls_back",
        "inconclusive_rolls_back",
        "candidate_unhealthy",
        "preparation_overdue",
        "route_overdue",
        "promotion_overdue",
        "promotion_in_place",
        "step_overdue",
        "step_overdue_without_metrics",
    }
)
TROUBLES: Final = ("none", "none", "none", "crashes", "memory", "unready", "dies", "never ready", "blinks")
EVENTS: Final = (
    "none",
    "none",
    "superseded",
    "reverted",
    "aborted",
    "retried",
    "outage",
    "contested",
    "deaf gateway",
    "frozen",
)
REQUESTS: Final = tuple(Verb)


@dataclass(frozen=True, kw_only=True)
class Plot:
    """
    How the second version behaves, what happens meanwhile, and whether the operator is disturbed.
    """

    failing: float
    trouble: str
    trouble_at: float
    event: str | Verb
    event_at: float
    requests_per_second: float
    disturbed: bool
    seed: int
    degree: str = "Full"
    approves: bool = False
    """Somebody approves what is recommended, every half minute, unless the event is a request."""
    policy: str = "Pause"
    """What the spec asks to follow a step's deadline. Without data an advance is a pause."""


plots: Final = st.builds(
    Plot,
    failing=st.sampled_from([0.0, 0.0, 0.02, 0.08, 0.5]),
    trouble=st.sampled_from(TROUBLES),
    trouble_at=st.integers(min_value=1, max_value=120).map(float),
    event=st.sampled_from([*EVENTS, *REQUESTS]),
    event_at=st.integers(min_value=41, max_value=180).map(float),
    requests_per_second=st.sampled_from([2.0, 50.0, 200.0]),
    disturbed=st.booleans(),
    seed=st.integers(min_value=0, max_value=2**16),
    policy=st.sampled_from(["Pause", "Rollback", "Advance"]),
    degree=st.sampled_from(DEGREES),
    approves=st.booleans(),
)


@dataclass
class Watched(Faults):
    """
    Faults while they last; and what no write may ever do, checked against the gateway's real state.
    """

    seed: int
    disturbed: bool
    world: World = field(init=False)
    violations: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        """
        Seed.
        """
        self.random = random.Random(self.seed)

    def _strikes(self, chance: float) -> bool:
        calm = not self.disturbed or self.world.now - BEGIN > CALM_AFTER
        return not calm and self.random.random() < chance

    def at_write(self, name: str, write: Callable[[], None]) -> None:
        """
        Crash before or after the write, or fail it; a write that happens is checked.
        """
        if self._strikes(0.08):
            raise Crash(name)
        if self._strikes(0.05):
            raise PortError(name)
        before = dict(self.world.gateway.written)
        self._check_release(name)
        write()
        self._check_rejected(name, before)
        if self._strikes(0.08):
            raise Crash(name)

    def _check_release(self, name: str) -> None:
        """
        Pods that still get traffic are not taken away.
        """
        released = name.removeprefix("Scale(").removesuffix(" x0)")
        if name.startswith("Scale(") and name.endswith(" x0)") and self.world.gateway.effective.get(released, 0) > 0:
            self.violations.append(f"{name} while the gateway still sends requests there")

    def _check_rejected(self, name: str, before: dict[str, Decimal]) -> None:
        """
        The share of a revision that was rejected does not rise.
        """
        if not name.startswith("Traffic("):
            return
        status, target = self.world.deployment.status, self.world.gateway.written
        on_trial = status.candidate.revision if status.candidate and status.phase is not Phase.ROLLING_BACK else None
        for rejection in status.rejected:
            name_ = rejection.revision
            if name_ != on_trial and target.get(name_, NOTHING) > before.get(name_, NOTHING):
                self.violations.append(f"{name}: {name_} was rejected")

    def loses_event(self) -> bool:
        """
        Three news in ten.
        """
        return self._strikes(0.3)

    def versions_behind(self) -> int:
        """
        Up to three, one time in five.
        """
        return self.random.randint(1, 3) if self._strikes(0.2) else 0


def model_of(plot: Plot) -> Model:
    """
    The second version.
    """

    def errors(_share: Decimal, age: float) -> float:
        return 1.0 if plot.trouble == "dies" and age > plot.trouble_at else plot.failing

    return Model(
        errors=errors,
        ready_after=NEVER if plot.trouble == "never ready" else 4.0,
        crash_loops_after=plot.trouble_at if plot.trouble == "crashes" else NEVER,
        out_of_memory_after=plot.trouble_at if plot.trouble == "memory" else NEVER,
        unready={"unready": (plot.trouble_at, NEVER), "dies": (plot.trouble_at, NEVER)}.get(
            plot.trouble, (plot.trouble_at, plot.trouble_at + 10) if plot.trouble == "blinks" else (NEVER, NEVER)
        ),
        unready_pods=2 if plot.trouble == "dies" else 1,
    )


def judged_twice(version: str, policy: str = "Pause", degree: str = "Full", *window: str) -> dict[str, Any]:
    """
    A version's spec with two metrics, so that one can fail alone; the second counts the same answers once more.
    """
    metrics = [{"preset": "errors"}, {"preset": "errors", "name": "errors-again"}]
    asked = {"onInconclusive": policy, "onNoData": "Pause" if policy == "Advance" else policy}
    freezes = [{"start": window[0], "end": window[1]}] if window else []
    automation = {"degree": degree, "freezes": freezes}
    return spec_of(
        version, analysis={**spec_of(version)["analysis"], "metrics": metrics, **asked}, automation=automation
    )


OTHERS: Final = tuple(
    parse_spec({"metadata": {"name": KEY.name}, "spec": judged_twice(version)}) for version in ("1", "3")
)


def surroundings_fail(world: World, event: str) -> None:
    """
    For a minute or more, then they are as before.
    """
    match event:
        case "outage":
            world.store.up = False
            world.at(world.now - BEGIN + 60, lambda: setattr(world.store, "up", True))
        case "contested":
            world.gateway.contested_by = "argocd"
            world.at(world.now - BEGIN + 60, lambda: setattr(world.gateway, "contested_by", None))
        case "deaf gateway":
            world.gateway.accept_after = NEVER
            world.at(world.now - BEGIN + 90, lambda: hears_again(world))
        case _:
            assert event == "none"


def happens(world: World, event: str, plot: Plot) -> None:
    """
    The plot's event.
    """
    candidate = world.deployment.status.candidate
    match event:
        case "superseded":
            world.apply(judged_twice("3"))
        case "reverted":
            world.apply(judged_twice("1"))
        case "aborted":
            world.apply(annotations={ANNOTATION_ABORT: candidate.revision if candidate else "nobody"})
        case "retried":
            world.apply(annotations={ANNOTATION_RETRY: "again"})
        case "frozen":
            begin, end = (utc(world.now + seconds).strftime("%Y-%m-%dT%H:%M:%SZ") for seconds in (0, 60))
            world.apply(judged_twice("2", plot.policy, plot.degree, begin, end))
        case _:
            surroundings_fail(world, event)


def asks(world: World, verb: Verb) -> None:
    """
    Somebody asks by annotation for something about the candidate, if there is one; half a minute later the same is
    applied again, and a new request to go on follows.
    """
    status = world.deployment.status
    revision = status.candidate.revision if status.candidate else world.deployment.revision
    if verb is Verb.UNDO and status.kept:
        revision = status.kept[-1].revision
    if verb is Verb.RESTART and status.stable is not None:
        revision = status.stable.revision
    step = status.recommendation.step if status.recommendation else 1

    def ask(name: str, what: Verb) -> None:
        stepped = {"step": step or 1} if what in STEPPED else {}
        request = {"id": name, "verb": str(what), "revision": revision, "by": "ada", **stepped}
        world.apply(annotations={ANNOTATION_ACTION: json.dumps(request)})

    ask("first", verb)
    world.at(world.now - BEGIN + 30, lambda: ask("first", verb))
    world.at(world.now - BEGIN + 60, lambda: ask("second", Verb.RESUME))


def approves(world: World) -> None:
    """
    Somebody approves what is recommended, and aborts where that is.
    """
    said = world.deployment.status.recommendation
    if said is None:
        return
    stepped = {"step": said.step} if said.verb in STEPPED else {}
    name = f"{world.now - BEGIN:06.0f}"
    request = {"id": name, "verb": str(said.verb), "revision": said.revision, "by": "ada", **stepped}
    world.apply(annotations={ANNOTATION_ACTION: json.dumps(request)})


def hears_again(world: World) -> None:
    """
    The gateway accepts what was written last, and goes on accepting.
    """
    world.gateway.accept_after, world.gateway.accepts_at = 2.0, world.now + 2.0


def ended(world: World) -> bool:
    """
    At rest, after all that was to happen, and nobody waits for an answer.
    """
    return world.now - BEGIN > CALM_AFTER and not world.script and at_rest(world) and answered_last(world)


def answered_last(world: World) -> bool:
    """
    Nothing was asked, or the last request has its answer.
    """
    asked = json.loads(world.deployment.annotations.get(ANNOTATION_ACTION, "null"))
    return asked is None or world.status.get("action", {}).get("id") == asked["id"]


def at_rest(world: World) -> bool:
    """
    Nothing is in flight and nothing left over, or only a human goes on from here.
    """
    status = world.deployment.status
    if status.phase is Phase.PAUSED:
        # anything else goes on by itself
        return status.reason in FOR_PEOPLE
    left = {name for name, load in world.cluster.workloads.items() if load.pods}
    kept = {one.revision for one in status.kept}
    serving = {status.stable.revision} if status.stable else set[str]()
    return (
        status.phase in {Phase.STABLE, Phase.FAILED} and left == serving and set(world.cluster.workloads) <= left | kept
    )


def telling(world: World) -> list[Turn]:
    """
    The cycles that moved or did something, and one in six of those that only waited.
    """
    turns = world.turns
    return [turn for i, turn in enumerate(turns) if turn.plan.because.rule or turn.plan.effects or i % 6 == 0]


def kinds(world: World) -> list[Turn]:
    """
    The last cycle of each kind: what was remembered of phase, reason and step, what was seen of route, arms and drain.
    """
    found: dict[object, Turn] = {}
    for turn in world.turns:
        status, route = turn.deployment.status, turn.observed.route
        step = status.step and (status.step.index, status.step.in_place_since is None)
        arms = [(arm.ready > 0, arm.pods > 0, arm.wanted_replicas > 0) for arm in turn.observed.arms.values()]
        seen = (route.acceptance, tuple(route.shares.items()), tuple(arms), turn.observed.drain is None)
        found[status.phase, status.reason, step, seen] = turn
    return list(found.values())


@cache
def told(plot: Plot) -> World:
    """
    The plot's world after its run. Not to be changed.
    """
    faults = Watched(seed=plot.seed, disturbed=plot.disturbed)
    world = World(
        models={"1": Model(), "2": model_of(plot), "3": Model()},
        seed=plot.seed,
        requests_per_second=plot.requests_per_second,
        faults=faults,
        resync_seconds=20.0 if plot.disturbed else NEVER,
    )
    faults.world = world
    world.at(0.0, lambda: world.apply(judged_twice("1")))
    world.at(40.0, lambda: world.apply(judged_twice("2", plot.policy, plot.degree)))
    event = plot.event
    world.at(plot.event_at, lambda: asks(world, event) if isinstance(event, Verb) else happens(world, event, plot))
    for often in range(60, 300, 30) if plot.approves and not isinstance(event, Verb) else ():
        world.at(float(often), lambda: approves(world))
    world.run(BOUND, until=ended)
    return world


def situation(turn: Turn) -> Situation:
    """
    What the rules were asked about.
    """
    return assess(turn.deployment, turn.observed, utc(turn.at))


def again(turn: Turn, *, observed: Observed | None = None, at: datetime | None = None) -> Plan:
    """
    The decision on the same memory, with something else seen or another time.
    """
    return decide(turn.deployment, observed or turn.observed, at or utc(turn.at))


def routes(plan: Plan) -> Iterator[SetTraffic]:
    """
    What the plan writes to the route.
    """
    return (effect for effect in plan.effects if isinstance(effect, SetTraffic))


def shares_are_percents_and_sum_to_100(turn: Turn) -> None:
    """
    1. Whatever is written to the route.
    """
    for effect in routes(turn.plan):
        assert all(0 <= percent <= 100 for percent in effect.shares.values())
        assert sum(effect.shares.values()) == Decimal(100)


def carried_out(observed: Observed, deployment: MLModelDeployment, effect: Effect) -> Observed:
    """
    The world right after an effect: no new pod is ready yet, the gateway has accepted.
    """
    arms, route = dict(observed.arms), observed.route
    match effect:
        case EnsureWorkload():
            arms[effect.revision] = Arm(
                revision=effect.revision, wanted_replicas=effect.replicas, pods=0, ready=0, role=effect.role
            )
        case ScaleWorkload():
            arms[effect.revision] = replace(arms[effect.revision], wanted_replicas=effect.replicas)
        case SetRole():
            arms[effect.revision] = replace(arms[effect.revision], role=effect.role)
        case RestartWorkload():
            arms[effect.revision] = replace(arms[effect.revision], restart_id=effect.restart_id)
        case DeleteWorkload():
            del arms[effect.revision]
        case SetTraffic():
            route = replace(
                route, shares=effect.shares, acceptance=Acceptance.ACCEPTED, traffic_hash=deployment.traffic_hash
            )
    return replace(observed, arms=arms, route=route)


def the_same_is_decided_and_a_still_world_comes_to_rest(turn: Turn) -> None:
    """
    2. Deterministic; with the plan carried out and the clock still, nothing is planned after the transitions are over.
    """
    assert again(turn) == turn.plan
    deployment, observed, plan = turn.deployment, turn.observed, turn.plan
    for _ in range(SPINS):
        deployment = replace(deployment, status=plan.status)
        for effect in plan.effects:
            observed = carried_out(observed, deployment, effect)
        plan = decide(deployment, observed, utc(turn.at))
        if plan.status == deployment.status and not plan.effects and plan.because.rule is None:
            return
    pytest.fail(f"still planning: {plan.because} {plan.effects}")


def was_asked_for(s: Situation, plan: Plan) -> None:
    """
    By somebody, of this very candidate, whose traffic is as it was said to be, while stable serves; or stable has no
    endpoint, and all of it was asked for.
    """
    if plan.because.rule == "undone_revision_listed":
        assert s.status.undo is not None
        assert s.status.undo.revision == s.candidate
        return
    assert isinstance(s.request, ActionRequest)
    assert (s.request.verb in ASKED[plan.because.rule or ""], s.request.revision) == (True, s.candidate)
    stable, candidate = s.observed.arms[s.stable or ""], s.observed.arms[s.candidate or ""]
    assert stable.ready > 0 or (s.request.verb is Verb.PROMOTE_FULL and candidate.ready > 0)
    assert s.observed.route.shares[s.candidate or ""] == s.step_percent


def exposure_rises_only_through_a_passed_gate(turn: Turn) -> None:
    """
    3. A step's share is left upwards only when the route was in place, soaked, and every metric certified; or counted
    until the deadline, where the spec asks for that; or in place, where somebody asks for just that.
    """
    s, plan = situation(turn), turn.plan
    for effect in routes(plan):
        share, allowed = effect.shares.get(s.candidate or "", NOTHING), s.step_percent
        promoting = turn.deployment.status.phase is Phase.PROMOTING
        if not effect.raises_exposure or s.stable is None or share <= allowed or promoting:
            continue
        if plan.because.rule == "candidate_listed":
            assert share == plan.status.step.traffic.percent == s.next_step[1].percent  # type: ignore[union-attr,index] - a step was entered
            continue
        if plan.because.rule in BY_PEOPLE:
            was_asked_for(s, plan)
            continue
        advances = s.spec.analysis.on_inconclusive is OnInconclusive.ADVANCE
        assert plan.because.rule in (GATES | ADVANCES if advances else GATES)
        assert s.step is not None
        assert s.status.step is not None
        assert s.status.step.in_place_since is not None
        assert s.now - s.status.step.in_place_since >= max(s.step.soak, SETTLE)
        assert s.observed.route.acceptance is Acceptance.ACCEPTED
        assert s.observed.route.shares[s.candidate or ""] == s.step.percent
        if plan.because.rule in ADVANCES:
            assert s.now - s.status.step.entered_at >= s.step.deadline
            assert {v.verdict for v in s.status.verdicts} <= {VerdictName.PASSED, VerdictName.INCONCLUSIVE}
            assert len(s.status.verdicts) == len(s.judged_metrics)
        elif s.step.next_share is not None:
            assert [v.verdict for v in s.status.verdicts] == [VerdictName.PASSED] * len(s.judged_metrics)
        if s.step.next_share is not None:
            assert share <= Decimal(str(s.step.next_share)) * 100


def nothing_rises_by_itself_that_people_decide(turn: Turn) -> None:
    """
    Neither past the degree of automation, nor in a freeze window.
    """
    s, plan = situation(turn), turn.plan
    if plan.because.rule in BY_PEOPLE or turn.deployment.status.phase is Phase.PROMOTING:
        return
    for effect in routes(plan):
        if s.candidate is not None and effect.shares.get(s.candidate, NOTHING) > s.step_percent:
            assert not needs_approval(s)
            assert not frozen(s)


def a_humans_decision_is_never_undone_upwards(turn: Turn) -> None:
    """
    What somebody paused goes on only when somebody asks for that; what waits for an approval, only by that or when no
    approval is needed any more.
    """
    status, plan = turn.deployment.status, turn.plan
    if status.phase is not Phase.PAUSED or plan.status.phase in {Phase.PAUSED, Phase.ROLLING_BACK}:
        return
    asked = plan.because.rule in {*ASKED, "resume_asked"}
    retried = status.retry_seen != plan.status.retry_seen
    if status.reason is Reason.PAUSED_BY_REQUEST:
        assert asked or retried
    elif status.reason in {Reason.APPROVAL_NEEDED, Reason.ROLLBACK_RECOMMENDED} and not (asked or retried):
        given = [effect.shares for effect in routes(plan) if effect.raises_exposure]
        allowed = situation(turn).step_percent
        assert all(shares.get(situation(turn).candidate or "", NOTHING) <= allowed for shares in given)


def readiness(observed: Observed, *unready: str) -> Observed:
    """
    The same, and the pods of these revisions are there but not ready.
    """
    arms = {name: replace(arm, ready=0) if name in unready else arm for name, arm in observed.arms.items()}
    return replace(observed, arms=arms)


def routed(observed: Observed, **changes: Any) -> Observed:  # noqa: ANN401 - fields of the route
    """
    The same, and the route is otherwise.
    """
    return replace(observed, route=replace(observed.route, **changes))


def otherwise(turn: Turn) -> Iterator[Observed]:
    """
    What the cycle saw, and what it might have seen instead: each thing that this small world shows too seldom.

    Nobody answers for the route, it is refused or contested, somebody removed it or gave everything to one revision; a
    workload was deleted, pods lose their readiness or linger; the counters of a leaving revision are gone, or show that
    it is still reached.
    """
    seen, arms = turn.observed, turn.observed.arms
    unrouted = replace(seen, route=RouteState(controller=seen.route.controller))
    yield seen
    yield routed(seen, acceptance=Acceptance.PENDING)
    yield routed(seen, acceptance=Acceptance.REFUSED)
    yield routed(seen, contested_by="argocd")
    for name in arms:
        yield readiness(seen, name)
        given = {other: Decimal(100) if other == name else NOTHING for other in arms}
        yield readiness(routed(seen, acceptance=Acceptance.ACCEPTED, shares=given), *arms)
        yield readiness(unrouted, name)
        yield replace(seen, arms={other: arm for other, arm in arms.items() if other != name})
    yield readiness(unrouted, *arms)
    yield replace(seen, arms={name: replace(arm, pods=max(arm.pods, 1), ready=0) for name, arm in arms.items()})
    quiet = dict.fromkeys(arms, 0.0)
    for drain in (None, Drain(requests={}, in_flight={}), Drain(requests=quiet, in_flight=dict.fromkeys(arms, 1.0))):
        yield replace(seen, drain=drain)
    yield replace(seen, drain=Drain(requests=dict.fromkeys(arms, 7.0), in_flight=quiet))


def remembered(turn: Turn) -> Iterator[Turn]:
    """
    The cycle, and the same with what it might have remembered or been told instead: a pause for each reason there is,
    and a spec that names the first revision again, or a third one.
    """
    yield turn
    status = turn.deployment.status
    for spec in OTHERS:
        yield replace(turn, deployment=replace(turn.deployment, spec=spec))
    if status.phase is Phase.PROGRESSING:
        for reason in PAUSES:
            paused = status.model_copy(update={"phase": Phase.PAUSED, "reason": reason})
            yield replace(turn, deployment=replace(turn.deployment, status=paused))


def awful(turn: Turn, seen: Observed, which: int) -> tuple[Observed, bool]:
    """
    The same with a look at the metrics that ends in certain harm, and whether any metric is judged in this state.

    `which`: every metric fails; or the first one does, and of the others nothing is known; or only the last one does.
    """
    s = assess(turn.deployment, seen, utc(turn.at))
    begin, judged = counted_from(s), {Phase.PROGRESSING, Phase.PAUSED}
    if s.status.phase not in judged or begin is None or s.step is None or s.step.next_share is None:
        return seen, False
    after = max([begin, *(item.counted_until for item in s.evidence.values() if item.counted_until)])
    bad, good = (Block(after, after + timedelta(seconds=5), Counts(500, x), Counts(5000, 0)) for x in (500, 0))
    names = [metric.title for metric in s.judged_metrics]
    readings: dict[str, Reading] = {name: Measured(bad) for name in names}
    if which == 1:
        readings.update({name: NoData("nothing") for name in names[1:]})
    if which == 2:
        readings.update({name: Measured(good) for name in names[:-1]})
    return replace(seen, readings=readings), True


def failed_evidence_takes_all_traffic_away_at_once(turn: Turn, seen: Observed, plan: Plan) -> None:
    """
    4. In one decision, from any state in which metrics are judged, whatever else was seen; no fresh read is waited for.
    """
    status = turn.deployment.status
    candidate, stable = status.candidate, status.stable
    assert candidate is not None
    assert plan.status.phase is Phase.ROLLING_BACK
    assert plan.status.traffic is not None
    assert plan.status.traffic.wanted.percent == 0
    given = seen.route.shares.get(candidate.revision, NOTHING)
    stable_ready = stable is not None and stable.revision in seen.arms and seen.arms[stable.revision].ready > 0
    written = [(e.shares.get(candidate.revision, NOTHING), e.raises_exposure) for e in routes(plan)]
    assert written == [(NOTHING, False)] or given == NOTHING or not stable_ready


def recommends_a_rollback(plan: Plan) -> None:
    """
    4, where rollbacks are left to people: in one decision too, and nothing rises.
    """
    assert plan.status.phase in {Phase.PAUSED, Phase.ROLLING_BACK}  # the latter for another wish of the spec
    if plan.status.phase is Phase.PAUSED:
        assert plan.status.recommendation is not None
        assert plan.status.recommendation.verb is Verb.ABORT


def nothing_unready_gets_traffic_and_nothing_reached_is_released(turn: Turn, seen: Observed, plan: Plan) -> None:
    """
    5. No route raises an arm without ready endpoints; no arm is released, and none given up, while it can be reached.
    """
    given = seen.route.shares
    for effect in routes(plan):
        for revision, percent in effect.shares.items():
            assert percent <= given.get(revision, NOTHING) or seen.arms[revision].ready > 0
    for effect in plan.effects:
        if isinstance(effect, DeleteWorkload):
            assert seen.arms[effect.revision].pods == 0
            assert effect.revision not in given
            assert seen.route.acceptance in {Acceptance.ACCEPTED, Acceptance.ABSENT}
        if isinstance(effect, ScaleWorkload) and effect.replicas == 0:
            assert drained(turn, seen, plan.status.phase_since, effect.revision)
    status, kept = turn.deployment.status, (plan.status.candidate, plan.status.stable)
    if status.candidate is not None and status.candidate.revision not in {one.revision for one in kept if one}:
        assert drained(turn, seen, status.phase_since, status.candidate.revision)
    if plan.status.phase is Phase.STABLE and status.phase is Phase.PROMOTING and status.candidate is not None:
        assert seen.route.acceptance is Acceptance.ACCEPTED
        assert given == {**dict.fromkeys(given, NOTHING), status.candidate.revision: Decimal(100)}


def drained(turn: Turn, seen: Observed, since: datetime | None, revision: str) -> bool:
    """
    The gateway accepted a route that gives the revision nothing, and its counters say that nothing reaches it; without
    counters, or where something is still in flight, any request has had time to end. Or there is no route.
    """
    if seen.route.acceptance is Acceptance.ABSENT:
        return True
    if seen.route.acceptance is not Acceptance.ACCEPTED or seen.route.shares.get(revision, NOTHING) != 0:
        return False
    gateway = turn.deployment.spec.traffic.gateway_api
    assert gateway is not None
    over = since is not None and utc(turn.at) - since >= gateway.request_timeout.timedelta
    if seen.drain is None:
        return over
    return seen.drain.requests.get(revision) == 0 and (over or seen.drain.in_flight.get(revision, 0) == 0)


def keeps_traffic_safe(turn: Turn, other: Observed, which: int) -> None:
    """
    Invariants 4 and 5, had the cycle seen the other and then failing metrics, where any are judged.
    """
    seen, judged = awful(turn, other, which)
    plan = again(turn, observed=seen)
    nothing_unready_gets_traffic_and_nothing_reached_is_released(turn, seen, plan)
    if judged and turn.deployment.spec.automation.degree is Degree.HUMAN_ONLY:
        recommends_a_rollback(plan)
    elif judged:
        failed_evidence_takes_all_traffic_away_at_once(turn, seen, plan)


def absent_data_never_passes(turn: Turn) -> None:
    """
    6. Neither what was seen, nor the same look with the data taken away.
    """
    for name, reading in turn.observed.readings.items():
        if isinstance(reading, NoData | Unavailable):
            said = {verdict.name: verdict.verdict for verdict in situation(turn).status.verdicts}
            assert said.get(name) is not VerdictName.PASSED
    s = situation(turn)
    if s.counted_metrics:
        for absent in (NoData("nothing"), Unavailable("away")):
            seen = replace(turn.observed, readings={metric.title: absent for metric in s.judged_metrics})
            assert again(turn, observed=seen).because.rule not in GATES | ADVANCES


def a_rejected_revision_is_not_begun_without_retry(turn: Turn) -> None:
    """
    7. By any rule.
    """
    status, begun = turn.deployment.status, turn.plan.status.candidate
    before = status.candidate.revision if status.candidate else None
    if begun is None or begun.revision == before:
        return
    request = situation(turn).request
    began = {Verb.RETRY, Verb.UNDO}
    if isinstance(request, ActionRequest) and request.verb in began and request.revision == begun.revision:
        return
    if begun.revision in {rejection.revision for rejection in status.rejected}:
        wanted = turn.deployment.annotations.get(ANNOTATION_RETRY)
        assert wanted is not None
        assert wanted != status.retry_seen


def a_clock_set_back_advances_nothing(turn: Turn) -> None:
    """
    9. No deadline passes, no soak ends, no delay is over.
    """
    plan = again(turn, at=utc(BEGIN) - timedelta(days=1))
    assert plan.because.rule not in TIMED
    assert not any(isinstance(effect, ScaleWorkload) and effect.replicas == 0 for effect in plan.effects)


def no_write_exposes_the_rejected_or_releases_the_reached(world: World) -> None:
    """
    Against the gateway's real state, whatever crashed, got lost or was read late.
    """
    assert world.faults.violations == []  # type: ignore[attr-defined] - `told` puts them there


def it_ends_or_waits_for_a_human(world: World) -> None:
    """
    8. Within a bound: Stable or Failed with one workload left, or paused and saying how it goes on.
    """
    assert at_rest(world), world.deployment.status.message
    if world.phase is Phase.PAUSED:
        told = world.deployment.status.message
        assert "a retry goes on from here" in told or "goes on when somebody" in told


def each_request_is_answered_once(world: World) -> None:
    """
    In one write, whatever crashed, got lost or was read late; the annotation stays as it was set.
    """
    answers = [version.get("status", {}).get("action") for version in world.versions]
    changes = [new for old, new in zip([None, *answers], answers, strict=False) if new != old]
    ids = [answer["id"] for answer in changes]
    assert len(ids) == len(set(ids))
    assert ids == sorted(ids)
    assert answered_last(world)


OF_CYCLES: Final = (
    shares_are_percents_and_sum_to_100,
    the_same_is_decided_and_a_still_world_comes_to_rest,
    exposure_rises_only_through_a_passed_gate,
    nothing_rises_by_itself_that_people_decide,
    a_humans_decision_is_never_undone_upwards,
    absent_data_never_passes,
    a_rejected_revision_is_not_begun_without_retry,
    a_clock_set_back_advances_nothing,
)
OF_RUNS: Final = (
    no_write_exposes_the_rejected_or_releases_the_reached,
    it_ends_or_waits_for_a_human,
    each_request_is_answered_once,
)


@settings(max_examples=PLOTS)
@given(plot=plots)
def test_any_rollout_keeps_every_invariant(plot: Plot) -> None:
    """
    In each of its cycles, and as a whole; the traceback names the invariant that broke.
    """
    world = told(plot)
    for turn in telling(world):
        for keeps in OF_CYCLES:
            keeps(turn)
        nothing_unready_gets_traffic_and_nothing_reached_is_released(turn, turn.observed, turn.plan)
    for number, turn in enumerate(kinds(world)):
        for at, other in enumerate(otherwise(turn)):
            keeps_traffic_safe(turn, other, (number + at) % 3)
        for at, same in enumerate(remembered(turn)):
            keeps_traffic_safe(same, turn.observed, (number + at + 1) % 3)
            shares_are_percents_and_sum_to_100(replace(same, plan=again(same)))
    for holds in OF_RUNS:
        holds(world)


@pytest.mark.parametrize("seed", [11, 12, 13])
@pytest.mark.parametrize(("failing", "outcome"), [(0.0, Reason.PROMOTED), (0.5, Reason.ROLLED_BACK)])
def test_a_disturbed_rollout_ends_as_an_undisturbed_one(seed: int, failing: float, outcome: Reason) -> None:
    """
    A good version is promoted and a bad one rolled back, through crashes, lost news and late reads.
    """
    calm = Plot(
        failing=failing,
        trouble="none",
        trouble_at=1.0,
        event="none",
        event_at=41.0,
        requests_per_second=50.0,
        disturbed=False,
        seed=seed,
    )
    for plot in (calm, replace(calm, disturbed=True)):
        history = told(plot).deployment.status.history
        assert [entry.outcome for entry in history] == [Reason.PROMOTED, outcome]
        assert told(plot).faults.violations == []  # type: ignore[attr-defined] - `told` puts them there
