"""
States in which rollouts of other tools got stuck, replayed: ours gets out of each. docs/peers-stuck-states.md is the
table of threads; a test below compares it with the names in the docstrings here.

Every world is guarded: no write may take pods away from a revision that the gateway still reaches.
"""

import re
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import pytest
from scenarios.parts import NEVER, MetricStore, Model
from scenarios.stories import (
    BAD,
    GOOD,
    HALF,
    MODELS,
    asked,
    candidate_annotation,
    deployed,
    gateway_recovers,
    policy,
    prometheus,
    strategy,
    then,
)
from scenarios.transcript import lines
from scenarios.world import BEGIN, Faults, Turn, World, spec_of

from modelramp.adapters.prometheus.auth import Access, Credentials
from modelramp.analysis import Series
from modelramp.api.document import parse_spec, revision_of
from modelramp.api.names import ANNOTATION_ABORT
from modelramp.api.spec import Prometheus
from modelramp.api.vocabulary import Phase, Reason
from modelramp.ports import PortError, SamplesQuestion
from modelramp.rollout.plan import Effect

ROOT: Final = Path(__file__).parent.parent.parent
PAGE: Final = ROOT / "docs" / "peers-stuck-states.md"
RELEASE: Final = re.compile(r"(?:Scale\((\w+) x0\)|Delete\((\w+)\))")
WHOLE: Final = Decimal(100)
SLOW: Final = Model(ready_after=30.0)
"""Ready half a minute after its pods began."""


def named(peer: str, numbers: str) -> set[str]:
    """
    Threads of one peer.
    """
    return {f"{peer}#{number}" for number in numbers.split()}


PLUGIN: Final = "rollouts-plugin-trafficrouter-gatewayapi"
THREADS: Final = {
    *named("argo-rollouts", "4433 2864 1453 1283 4710 587 3586 4564 4390 4612 3420 4065 4626 4128 4823 4962 4963"),
    *named("argo-rollouts", "4990 1774 4772 2641 3020 3372 2119 3888 4900 4898 3275 2050 4486 2526 4839"),
    *named("argo-rollouts", "3080 1904 3176 2522 3331 3316 4294 2931 1383 3242 2823 3304 4681 3765 3082 2048 3988"),
    *named("argo-rollouts", "2982 4971 4972 1822 2897 841 3220"),
    *named("aws-load-balancer-controller", "4204"),
    *named(PLUGIN, "147 158 115"),
    *(f"Flagger 5.{number}" for number in range(1, 15)),
    *named("flagger", "1591 1588 1578 1247 523 1450 379 639 1248 1692 929 1819"),
    *named("openkruise/rollouts", "113 174 197"),
    *named("kayenta", "799"),
}
"""What users of other tools reported, and what reading their source found (`Flagger 5.n`, other peers' among them)."""
THREAD: Final = re.compile(r"(?:([a-z][\w/-]*))?#(\d+)|(Flagger 5\.\d+)")


def threads_in(text: str) -> set[str]:
    """
    The threads a text names; `#n` alone is of the peer that was named last.
    """
    found, peer = set(), ""
    for match in THREAD.finditer(text):
        peer = match[1] or peer
        found.add(match[3] or f"{peer}#{match[2]}")
    return found


def told_here() -> dict[str, set[str]]:
    """
    The threads of each test of this file.
    """
    tests = {name: one.__doc__ or "" for name, one in globals().items() if name.startswith("test_")}
    return {name: threads_in(text) for name, text in tests.items() if threads_in(text)}


def test_each_thread_has_a_test_and_the_page_says_which() -> None:
    """
    The table on the page is that of the docstrings here, and none of the threads known is missing.
    """
    rows = [row.strip("|").split("|") for row in PAGE.read_text(encoding="utf-8").splitlines() if "`test_" in row]
    page = {test.strip().strip("`"): threads_in(threads) for threads, _stuck, test, _why in rows}
    assert page == told_here()
    assert set().union(*page.values()) == THREADS


class Guarded(Faults):
    """
    No revision loses its pods while the gateway reaches it; beside that, what `fails` says of a write.
    """

    def __init__(self, fails: Callable[["World", str], bool] | None = None) -> None:
        self.world: World
        self.fails = fails

    def at_write(self, name: str, write: Callable[[], None]) -> None:
        found = RELEASE.fullmatch(name)
        if found is not None:
            gone, gateway = found[1] or found[2], self.world.gateway
            assert not gateway.effective.get(gone, 0), f"{name} while it gets a share"
            assert not gateway.copied.get(gone, 0), f"{name} while it gets copies"
        if self.fails is not None and self.fails(self.world, name):
            raise PortError(name)
        write()


class Contended(Guarded):
    """
    For a minute in a rollout, two of three looks at the object are old ones, so that their writes conflict, and news of
    the cluster are lost.
    """

    looks = 0

    @property
    def now(self) -> bool:
        return 40.0 < self.world.now - BEGIN < 100.0

    def versions_behind(self) -> int:
        self.looks += 1
        return min(self.looks % 3, 2) if self.now else 0

    def loses_event(self) -> bool:
        return self.now


def world_of(faults: Guarded | None = None, **changes: Any) -> World:  # noqa: ANN401 - fields of the world
    """
    A guarded world; `changes` are fields of it.
    """
    faults = faults or Guarded()
    world = World(**{"models": MODELS, "faults": faults, **changes})
    faults.world = world
    return world


def lost(world: World) -> int:
    """
    Bad answers that users got of any revision.
    """
    return sum(bad for _, bad in world.clients.answers.values())


def ended(world: World, phase: Phase, version: str) -> None:
    """
    It is at rest in the phase, the version serves, nothing else is left, and nothing happens any more.
    """
    status = world.deployment.status
    assert (status.phase, status.stable and status.stable.version) == (phase, version), status.message
    assert status.stable is not None
    kept = {known.revision: 0 for known in status.kept}  # without pods, for an undo
    sizes = {name: load.wanted for name, load in world.cluster.workloads.items()}
    assert sizes == {**kept, status.stable.revision: 2}
    assert world.gateway.effective == {status.stable.revision: WHOLE}
    assert world.gateway.cohort is None
    assert not world.gateway.copied
    before = len(world.turns), len(world.versions)
    world.run(600)
    assert (len(world.turns), len(world.versions)) == before


def outcomes(world: World) -> list[tuple[str, Reason]]:
    """
    Version and outcome of every rollout that ended.
    """
    return [(entry.version, entry.outcome) for entry in world.deployment.status.history]


def reasons(world: World) -> list[Reason]:
    """
    Of every transition.
    """
    return [turn.plan.because.reason for turn in world.turns if turn.plan.because.rule]


def reached(world: World, reason: Reason) -> float:
    """
    Seconds from the beginning until the first transition for the reason.
    """
    return (
        next(turn.at for turn in world.turns if turn.plan.because.rule and turn.plan.because.reason is reason) - BEGIN
    )


def of(version: str) -> str:
    """
    The revision of a version.
    """
    return revision_of(parse_spec({"metadata": {"name": "fraud"}, "spec": spec_of(version)}))


# ---------------------------------------------------------------- Argo Rollouts, traffic


@pytest.mark.parametrize("strategy_", [spec_of("2")["strategy"], strategy("blueGreen")], ids=["canary", "blueGreen"])
def test_the_last_step_loses_no_request_however_late_the_gateway_follows(strategy_: dict[str, Any]) -> None:
    """
    argo-rollouts#4433, #2864, #1453, #1283, #4710, #587, #3586: bad answers when the last weight and a change of the
    stable Service arrive at different times. argo-rollouts#4772, #2641 and
    aws-load-balancer-controller#4204: the same at the switch of a blue-green.

    No Service of ours ever changes its selector, and the last step is a weight like every other.
    """
    world = world_of()
    world.gateway.accept_after = 20.0
    deployed(world)
    then(world, "2", at=60.0, strategy=strategy_)
    world.run(1500)
    ended(world, Phase.STABLE, "2")
    assert lost(world) == 0


def test_nothing_gets_traffic_before_it_is_ready_though_three_versions_follow_each_other() -> None:
    """
    argo-rollouts#4564, #4390: A, B, C in a row, and the old weight met C's empty pods. #4065: the first weight was
    written with no pod ready.
    """
    world = world_of(models={**MODELS, "1": SLOW, "3": SLOW})
    deployed(world)
    then(world, "2", at=60.0)
    then(world, "3", at=100.0)
    world.run(1500)
    ended(world, Phase.STABLE, "3")
    assert outcomes(world)[1] == ("2", Reason.SUPERSEDED)
    assert lost(world) == 0


def test_a_way_back_never_gives_the_candidate_more() -> None:
    """
    argo-rollouts#4612: going back to A while B had 5 % sent 70 % to B's few pods.
    """
    world = world_of()
    deployed(world)
    then(world, "2")
    then(world, "1", at=75.0)
    world.run(900)
    ended(world, Phase.STABLE, "1")
    after = [shares.get(of("2"), Decimal(0)) for at, shares in world.gateway.log if at > BEGIN + 75]
    assert after[0] == 0
    assert set(after) == {Decimal(0)}
    assert lost(world) == 0


def test_copies_reach_only_what_is_ready() -> None:
    """
    argo-rollouts#3420: an experiment got its weight before its pods were ready.
    """
    world = world_of(models={**MODELS, "2": SLOW})
    deployed(world)
    then(world, "2", strategy=strategy("shadow", onPassed="Promote"))
    world.watchers.append(lambda turn: only_ready_ones_are_reached(world, turn))
    world.run(900)
    ended(world, Phase.STABLE, "2")
    assert world.clients.copies[of("2")] > 0


def only_ready_ones_are_reached(world: World, _turn: Turn) -> None:
    """
    Of what is written to the route.
    """
    for revision in (*world.gateway.mirrors, *(name for name, share in world.gateway.written.items() if share)):
        assert world.cluster.workloads[revision].arm(world.now).ready > 0


def test_a_router_that_refuses_every_write_hides_neither_crash_nor_deadline() -> None:
    """
    argo-rollouts#4626, #4128, #4823, #4962, #4963: the router's error ended each reconcile before the deadline and the
    abort were looked at, so a broken canary never timed out.
    """

    def deaf(world: World, name: str) -> bool:
        return name.startswith("Traffic(") and 70.0 < world.now - BEGIN < 400.0

    world = world_of(Guarded(deaf), models={**MODELS, "2": Model(crash_loops_after=40.0)})
    deployed(world)
    then(world, "2")
    world.run(380)
    assert reached(world, Reason.CANDIDATE_CRASH_LOOPING) < 90.0
    assert world.phase is Phase.ROLLING_BACK
    assert "keeps crashing" in world.status["message"]
    world.run(400)
    ended(world, Phase.FAILED, "1")


def test_the_deadline_fires_though_the_route_cannot_be_written() -> None:
    """
    argo-rollouts#4626, #4128: the same with pods that never become ready, and nobody asking for an abort.
    """
    world = world_of(Guarded(lambda world, name: name.startswith("Traffic(") and world.now - BEGIN > 30.0))
    deployed(world)
    then(world, "never-ready")
    world.run(300)
    assert 100.0 <= reached(world, Reason.PROGRESS_DEADLINE_EXCEEDED) <= 105.0
    ended(world, Phase.FAILED, "1")


def test_an_abort_is_heard_while_the_candidate_cannot_start() -> None:
    """
    argo-rollouts#4128: abort did nothing until somebody deleted the failing pods. flagger#1588 likewise.
    """
    world = world_of()
    deployed(world)
    then(world, "never-ready")
    world.at(50.0, lambda: asked(world, "abort"))
    world.run(300)
    assert reached(world, Reason.ABORT_REQUESTED) == 50.0
    ended(world, Phase.FAILED, "1")


def test_a_dead_stable_is_no_fault_of_the_candidate_and_a_human_may_take_the_candidate() -> None:
    """
    argo-rollouts#4839, #4990, #1774 and flagger#639: a broken stable blocked the healthy version that would have
    mended it, for ever.
    """
    world = world_of(models={**MODELS, "1": Model(unready=(60.0, NEVER), unready_pods=2)})
    deployed(world)
    then(world, "2", at=80.0)
    world.run(200)
    assert world.phase is Phase.PROGRESSING
    assert "stable, which has no ready endpoint" in world.status["message"]
    asked(world, "promote", "r-1")
    world.run(5)
    assert world.status["action"]["outcome"] == "Refused"
    asked(world, "promote-full", "r-2")
    world.run(300)
    ended(world, Phase.STABLE, "2")


def test_a_dead_stable_that_comes_back_needs_nobody() -> None:
    """
    argo-rollouts#1774 and flagger#639, where stable mends itself: the candidate goes on by itself.
    """
    world = world_of(models={**MODELS, "1": Model(unready=(60.0, 200.0), unready_pods=2)})
    deployed(world)
    then(world, "2", at=80.0)
    world.run(1500)
    ended(world, Phase.STABLE, "2")


def test_stable_is_at_size_all_the_time_so_an_abort_cannot_overload_it() -> None:
    """
    argo-rollouts#3020, #3372, #2119, #3888, #4900, #3275, #2050: stable was small, cold or gone when traffic came back.
    #4898: the canary waited for stable to grow, and stable for the canary to shrink.
    """
    world = world_of()
    deployed(world)
    then(world, "2", strategy={**HALF, "scaleDownDelay": "100s"})
    world.at(70.0, lambda: candidate_annotation(world, ANNOTATION_ABORT))
    sizes: set[int] = set()
    world.watchers.append(lambda _turn: sizes.add(world.cluster.workloads[of("1")].arm(world.now).ready))
    world.at(45.0, sizes.clear)
    world.run(600)
    ended(world, Phase.FAILED, "1")
    assert sizes == {2}
    assert lost(world) == 0
    assert max(shares.get(of("2"), Decimal(0)) for _, shares in world.gateway.log) == Decimal(50)


CALLERS: Final = {"canary": {"cohort": {}, "soak": "20s", "stepDeadline": "5m", "blastRadius": "1%"}}


def with_callers(world: World, version: str = "2") -> None:
    """
    A canary to which callers with a header come in every step.
    """
    deployed(world)
    then(world, version, strategy={**CALLERS, "progressDeadline": "60s", "scaleDownDelay": "10s"})


def has_its_callers(world: World, turn: Turn) -> None:
    """
    Whatever is written to the route in a step sends callers to the candidate while it can serve them, and nothing else
    does.
    """
    candidate = turn.plan.status.candidate
    in_step = turn.plan.status.phase in {Phase.PROGRESSING, Phase.PAUSED}
    arm = turn.observed.arms.get(candidate.revision) if candidate else None
    step = turn.plan.status.step
    wanted = in_step and arm is not None and arm.ready > 0 and step is not None and step.traffic.percent < WHOLE
    if any(name.startswith("Traffic(") for name in turn.writes):
        assert (world.gateway.cohort is not None) == wanted


def test_a_header_route_stays_through_pause_and_resume_and_every_weight_and_goes_at_the_end() -> None:
    """
    argo-rollouts#4486, #2526 and rollouts-plugin-trafficrouter-gatewayapi#147, #158, #115: header and mirror routes
    vanished on resume or with the next weight, or stayed after the end.
    """
    world = world_of()
    with_callers(world)
    world.at(60.0, lambda: asked(world, "pause", "r-1"))
    world.at(90.0, lambda: asked(world, "resume", "r-2"))
    world.watchers.append(lambda turn: has_its_callers(world, turn))
    world.run(1200)
    paused = [turn for turn in world.turns if turn.deployment.status.phase is Phase.PAUSED]
    assert paused
    assert all(turn.observed.route.cohort is not None for turn in paused)
    ended(world, Phase.STABLE, "2")


def test_a_header_route_is_taken_away_with_the_last_pod_and_comes_back_with_it() -> None:
    """
    argo-rollouts#4486: after an eviction of the only canary pod the header route never came back.
    """
    world = world_of(models={**MODELS, "2": Model(unready=(20.0, 30.0), unready_pods=2)})
    deployed(world)
    then(world, "2", strategy=strategy("blueGreen", preSwitch={"soak": "60s"}))
    world.watchers.append(lambda turn: has_its_callers(world, turn))
    world.run(600)
    written = [name for turn in world.turns for name in turn.writes if name.startswith("Traffic(")]
    told = ["x-model-cohort" in name for name in written]
    assert "".join("h" if one else "-" for one in told).strip("-").count("-") == 1  # away once, in the middle
    ended(world, Phase.STABLE, "2")


def test_a_header_route_of_a_bad_version_goes_at_once() -> None:
    """
    rollouts-plugin-trafficrouter-gatewayapi#115 and argo-rollouts#2526: left behind by an abort.
    """
    world = world_of()
    with_callers(world, "3")
    world.run(900)
    ended(world, Phase.FAILED, "1")


# ---------------------------------------------------------------- Argo Rollouts, stuck states


@pytest.mark.parametrize("versions", ["12", "123"], ids=["one", "superseded"])
def test_conflicts_and_lost_news_for_a_minute_only_cost_that_minute(versions: str) -> None:
    """
    argo-rollouts#3080, #1904, #3176, #2522: "the object has been modified", over and over, until somebody restarted the
    controller. #3331: the same while a version was superseded. #3316: a count from a lost event stayed for ever.
    """
    world = world_of(Contended(), models={**MODELS, "3": GOOD}, resync_seconds=20.0, cut_at=BEGIN + 900)
    deployed(world)
    then(world, "2")
    if versions == "123":
        then(world, "3", at=70.0)
    for second in range(41, 100, 3):  # another program writes the object all the time
        world.at(float(second), lambda: world.apply(annotations={"example.com/touched": str(world.now)}))
    world.run(900)
    status = world.deployment.status
    assert (status.phase, status.stable and status.stable.version) == (Phase.STABLE, versions[-1])
    assert len([load for load in world.cluster.workloads.values() if load.wanted]) == 1
    assert lost(world) == 0
    assert len([turn for turn in world.turns if turn.at < BEGIN + 100]) < 200  # a retry a second, no loop


def sized(version: str, replicas: int) -> dict[str, Any]:
    """
    The serving section with another size, as an autoscaler writes it.
    """
    return {**spec_of(version)["serving"], "replicas": replicas}


@pytest.mark.parametrize("at", [42.0, 50.0, 60.0, 70.0, 80.0])
def test_a_blue_green_goes_on_when_an_autoscaler_resizes_it(at: float) -> None:
    """
    argo-rollouts#4294, #2931: a scaling event during a blue-green, and it was stuck for ever.
    """
    world = world_of()
    deployed(world)
    for when, replicas in ((40.0, 2), (at, 4), (at + 10, 2)):
        then(world, "2", at=when, strategy=strategy("blueGreen"), serving=sized("2", replicas))
    world.run(600)
    ended(world, Phase.STABLE, "2")
    assert lost(world) == 0


def test_a_blue_green_can_be_promoted_fully_after_a_long_pause() -> None:
    """
    argo-rollouts#1383: promote-full after the progress deadline had passed in a pause did nothing.
    """
    world = world_of()
    deployed(world)
    then(world, "2", strategy=strategy("blueGreen"))
    world.at(50.0, lambda: asked(world, "pause", "r-1"))
    world.at(400.0, lambda: asked(world, "promote-full", "r-2"))
    world.run(900)
    assert world.status["action"]["outcome"] == "Done"
    ended(world, Phase.STABLE, "2")


def test_after_a_blue_green_went_back_nothing_of_the_other_version_is_left() -> None:
    """
    argo-rollouts#3242: the version that had been active kept its pods. #3304: the way back to the previous version got
    stuck. #4681: the first revision left a state behind that no later one could leave.
    """
    world = world_of()
    deployed(world, strategy=strategy("blueGreen"))
    then(world, "2", strategy=strategy("blueGreen"))
    then(world, "1", at=200.0, strategy=strategy("blueGreen"))
    world.run(600)
    ended(world, Phase.STABLE, "1")
    assert [outcome for _, outcome in outcomes(world)] == [Reason.PROMOTED] * 3


def test_a_failed_blue_green_is_left_by_the_next_version_and_loops_never() -> None:
    """
    argo-rollouts#2823: degraded after a failed analysis, 22,000 log lines a minute, mended only by deleting the object.
    """
    world = world_of()
    half = strategy("blueGreen", steps=[{"traffic": "50%"}, {"traffic": "100%"}])
    deployed(world)
    then(world, "3", strategy=half)
    world.run(300)
    ended(world, Phase.FAILED, "1")
    world.apply(spec_of("2", strategy=half))
    world.run(900)
    ended(world, Phase.STABLE, "2")


def test_pods_that_come_and_go_do_not_put_the_deadline_off() -> None:
    """
    argo-rollouts#3765: each pod that became ready for a moment counted as progress, and the deadline began again.
    """
    world = world_of(models={**MODELS, "2": Model(ready_after=NEVER)})
    deployed(world)
    then(world, "2")
    world.at(42.0, lambda: flap(world, of("2")))
    world.run(105, until=lambda found: found.phase is Phase.ROLLING_BACK)
    assert 100.0 <= reached(world, Reason.PROGRESS_DEADLINE_EXCEEDED) <= 105.0
    ready = [turn.observed.arms[of("2")].ready for turn in world.turns if of("2") in turn.observed.arms]
    assert [one for one, after in pairwise(ready) if one != after].count(0) > 5


def flap(world: World, revision: str) -> None:
    """
    One of two pods is ready for two seconds in four.
    """
    workload = world.cluster.workloads.get(revision)
    if workload is not None:
        ready = workload.arm(world.now).ready
        age = world.now - BEGIN
        workload.model = Model(ready_after=NEVER) if ready else Model(unready=(0.0, NEVER), unready_pods=1)
        world.hear()
        world.at(age + 2, lambda: flap(world, revision))


def test_a_spec_that_was_invalid_leaves_nothing_behind_for_the_next_one() -> None:
    """
    argo-rollouts#3082: after an invalid spec had stood longer than the deadline, the corrected one was aborted at once.
    """
    world = world_of()
    deployed(world)
    then(world, "2")
    world.at(50.0, lambda: world.apply({**spec_of("2"), "strategy": {"canary": {"soak": "soon"}}}))
    then(world, "2", at=250.0)
    world.run(1200)
    ended(world, Phase.STABLE, "2")


def test_after_an_abort_the_next_version_rolls_out() -> None:
    """
    argo-rollouts#2048: the version after an aborted one was scaled down at once.
    """
    world = world_of()
    deployed(world)
    then(world, "3")
    world.at(50.0, lambda: asked(world, "abort"))
    then(world, "2", at=60.0)
    world.run(1200)
    ended(world, Phase.STABLE, "2")
    assert outcomes(world)[1:] == [("3", Reason.ROLLED_BACK), ("2", Reason.PROMOTED)]


def test_the_second_broken_version_meets_its_deadline_too() -> None:
    """
    argo-rollouts#3988: the first broken version was aborted, the next one ran for ever. flagger#379: a failed release
    blocked all others. flagger#523, #1247 and openkruise/rollouts#174: the deadline was never looked at.
    """
    world = world_of(models={**MODELS, "2": Model(ready_after=NEVER)})
    deployed(world)
    then(world, "never-ready")
    then(world, "2", at=200.0)
    world.run(600)
    ended(world, Phase.FAILED, "1")
    assert outcomes(world)[1:] == [("never-ready", Reason.ROLLED_BACK), ("2", Reason.ROLLED_BACK)]


def test_an_abort_of_what_is_promoted_already_changes_nothing_and_loops_never() -> None:
    """
    argo-rollouts#2982: a thousand reconciles a minute after the abort of a fully promoted rollout; #1822: a hot loop.
    #3275, #2050: the stable pods were scaled away by it.
    """
    world = world_of()
    deployed(world)
    then(world, "2")
    world.run(900)
    ended(world, Phase.STABLE, "2")
    before = len(world.turns)
    asked(world, "abort")
    world.apply(annotations={ANNOTATION_ABORT: of("2")})
    world.run(300)
    assert len(world.turns) - before < 5
    ended(world, Phase.STABLE, "2")


def test_an_orphan_is_removed_and_causes_no_loop() -> None:
    """
    argo-rollouts#4971, #4972: a ReplicaSet that nobody knew any more, with a deadline in the past: 563 reconciles a
    second.
    """
    world = world_of()
    deployed(world)
    world.run(60)
    orphan = next(iter(world.cluster.workloads.values()))
    world.cluster.workloads["orphan"] = type(orphan)(revision="orphan", model=GOOD, wanted=1)
    before = len(world.turns)
    world.hear()
    world.run(300)
    assert len(world.turns) - before < 20
    ended(world, Phase.STABLE, "1")


def test_a_retry_is_judged_anew_and_promote_full_needs_no_verdict() -> None:
    """
    argo-rollouts#2897, #841: after a failed analysis a retry did not analyse again, and promote-full looped.
    """
    world = world_of(models={**MODELS, "mended": BAD})
    world.cluster.models = {**MODELS, "mended": BAD}
    deployed(world)
    then(world, "mended")
    world.run(300)
    ended(world, Phase.FAILED, "1")
    asked(world, "retry", "r-1")
    world.run(300)
    ended(world, Phase.FAILED, "1")
    assert reasons(world).count(Reason.ANALYSIS_FAILED) == 2  # judged again, not remembered
    world.cluster.models = MODELS | {"mended": GOOD}
    asked(world, "retry", "r-2")
    world.run(25)
    assert world.phase is Phase.PROGRESSING
    asked(world, "promote-full", "r-3")
    world.run(300)
    ended(world, Phase.STABLE, "mended")


def test_no_verdict_of_one_step_is_left_in_the_next() -> None:
    """
    argo-rollouts#3220: the analysis of the step before kept running after a promote, and its own was never begun.
    """
    world = world_of()
    deployed(world)
    then(world, "2")
    world.at(52.0, lambda: asked(world, "promote"))
    world.run(900)
    entered = [turn for turn in world.turns if turn.plan.because.rule in {"promotion_asked", "step_passed"}]
    assert len(entered) > 1
    assert all(turn.plan.status.verdicts == () for turn in entered)
    ended(world, Phase.STABLE, "2")


# ---------------------------------------------------------------- Flagger and others: what reading found


def test_a_route_that_somebody_changed_in_a_step_gets_the_step_s_share_back() -> None:
    """
    Flagger 5.1: any difference reset the route to 100/0 while the status still named the step:
    flagger#1692, #929, #1819.
    """
    world = world_of()
    deployed(world)
    then(world, "2")
    then(world, "2", at=80.0, traffic={"gatewayAPI": {"parentRefs": [{"name": "gateway"}], "hostnames": ["a.example"]}})
    world.at(60.0, lambda: rewritten(world, {of("1"): WHOLE, of("2"): Decimal(0)}))
    world.run(70)
    assert world.gateway.effective[of("2")] == world.deployment.status.step.traffic.percent  # type: ignore[union-attr] - it is in a step
    step = world.deployment.status.step
    world.run(12)
    assert world.deployment.status.step == step
    world.run(900)
    assert [shares[of("2")] for at, shares in world.gateway.log if BEGIN + 64 < at < BEGIN + 90] != []
    assert all(shares[of("2")] > 0 for at, shares in world.gateway.log if BEGIN + 64 < at < BEGIN + 90)
    ended(world, Phase.STABLE, "2")


def rewritten(world: World, shares: dict[str, Decimal]) -> None:
    """
    Somebody else writes the route, once.
    """
    world.gateway.written = world.gateway.effective = shares
    world.hear()


@pytest.mark.parametrize("follows", [True, False], ids=["gateway follows", "gateway is deaf"])
def test_a_shadow_stage_goes_on_or_fails(follows: bool) -> None:  # noqa: FBT001 - one of two cases
    """
    Flagger 5.2: the mirror was never written, and the machine waited for it without a deadline.
    """
    world = world_of()
    deployed(world)
    then(world, "2", strategy=strategy("shadow", onPassed="Promote"))
    if not follows:
        world.at(46.0, lambda: setattr(world.gateway, "accept_after", NEVER))
        world.at(180.0, lambda: gateway_recovers(world))
    world.run(600)
    ended(world, Phase.STABLE if follows else Phase.FAILED, "2" if follows else "1")


@pytest.mark.parametrize("seconds", [60, 400])
def test_an_outage_of_the_metric_source_is_no_bad_check(seconds: float) -> None:
    """
    Flagger 5.3: outages, errors and missing data each counted as a failed check, and nothing ever forgot them.
    """
    world = world_of()
    deployed(world)
    then(world, "2")
    world.at(60.0, lambda: prometheus(world, up=False))
    world.at(60.0 + seconds, lambda: prometheus(world, up=True))
    world.run(2000)
    assert Phase.ROLLING_BACK not in {turn.plan.because.went_to for turn in world.turns}
    ended(world, Phase.STABLE, "2")


def test_a_restart_in_a_step_changes_neither_its_clock_nor_the_next_step() -> None:
    """
    Flagger 5.4: after a restart, or an edit of the interval, the check ran at once and the step was shorter.
    """
    calm, restarted = world_of(), world_of()
    for world in (calm, restarted):
        deployed(world)
        then(world, "2")
    for second in range(43, 400, 7):
        restarted.at(float(second), restarted._start)
    for world in (calm, restarted):
        world.run(900)
        ended(world, Phase.STABLE, "2")
    assert lines(restarted) == lines(calm)


def test_an_edit_of_the_interval_does_not_touch_the_step_s_clock() -> None:
    """
    Flagger 5.4: an edit of the interval began a second clock beside the first.
    """
    world = world_of()
    deployed(world)
    then(world, "2")
    world.run(55)
    before = world.deployment.status.step
    world.apply(spec_of("2", analysis={**spec_of("2")["analysis"], "interval": "10s"}))
    world.run(2)
    assert before is not None
    assert world.deployment.status.step == before
    world.run(900)
    entered: list[datetime] = sorted(
        {t.plan.status.step.entered_at for t in world.turns if t.plan.status.step is not None}
    )
    assert all((after - one).total_seconds() >= 20 for one, after in pairwise(entered))
    ended(world, Phase.STABLE, "2")


def test_an_error_at_the_first_write_heals() -> None:
    """
    Flagger 5.5: a first sync that failed was not tried again. openkruise/rollouts#113: waiting for a revision that
    nobody would ever write.
    """
    world = world_of(Guarded(lambda world, name: name.startswith("Ensure(") and world.now - BEGIN < 30.0))
    deployed(world)
    world.run(120)
    ended(world, Phase.STABLE, "1")


def test_asking_the_metric_source_changes_nothing_it_is_asked_with() -> None:
    """
    Flagger 5.6: each query added headers to the cached template, shared by all.
    """
    access = Access(credentials=Credentials.bearer("secret"), tenant="ml")
    asked_first = access.headers()
    asked_first["X-More"] = "1"
    assert access.headers() == {"X-Scope-OrgID": "ml", "Authorization": "Bearer secret"}


@pytest.mark.parametrize("later", [0.0, 4.0])
def test_a_promotion_ends_whatever_the_route_was_changed_to(later: float) -> None:
    """
    Flagger 5.7: with an observed weight of 0 the promotion did nothing, for ever: flagger#1591, #1588, #1578.
    """
    world = world_of()
    deployed(world)
    then(world, "2", strategy=HALF)
    world.run(200, until=lambda found: found.phase is Phase.PROMOTING)
    assert world.phase is Phase.PROMOTING
    world.at(world.now - BEGIN + later, lambda: rewritten(world, {of("1"): WHOLE, of("2"): Decimal(0)}))
    world.run(300)
    ended(world, Phase.STABLE, "2")


def test_a_promotion_that_the_gateway_never_accepts_goes_back() -> None:
    """
    flagger#1591, #1588, #1578, #1248: stuck in Promoting, with no deadline and no way back.
    """
    world = world_of()
    deployed(world)
    then(world, "2", strategy=HALF)
    world.at(70.0, lambda: setattr(world.gateway, "accept_after", NEVER))
    world.at(300.0, lambda: gateway_recovers(world))
    world.run(600)
    assert reached(world, Reason.PROGRESS_DEADLINE_EXCEEDED) < 200.0
    ended(world, Phase.FAILED, "1")


class TwoGateways(MetricStore):
    """
    The same counters, half of them told by each of two proxies.
    """

    async def samples(self, namespace: str, source: Prometheus, question: SamplesQuestion) -> tuple[Series, ...]:
        halves: list[Series] = []
        for one in await super().samples(namespace, source, question):
            halves += [
                Series({**one.labels, "instance": "envoy-1"}, [(at, float(n // 2)) for at, n in one.samples]),
                Series({**one.labels, "instance": "envoy-2"}, [(at, float(n - n // 2)) for at, n in one.samples]),
            ]
        return tuple(reversed(halves))


def test_several_series_are_counted_together() -> None:
    """
    Flagger 5.8: of several series the last one won.
    """
    single, double = world_of(), world_of()
    double.store = double.clients.store = TwoGateways(name="fraud")
    double._start()
    for world in (single, double):
        deployed(world)
        then(world, "2")
        world.run(900)
        ended(world, Phase.STABLE, "2")
    assert lines(double) == lines(single)


@pytest.mark.parametrize("version", ["2", "3"])
def test_an_object_at_rest_is_not_written(version: str) -> None:
    """
    Flagger 5.9: a failed canary wrote its status at every tick.
    """
    world = world_of(resync_seconds=20.0, cut_at=BEGIN + 2000)
    deployed(world)
    then(world, version)
    world.run(900)
    before = len(world.versions)
    world.run(1000)
    assert world.now == BEGIN + 1900
    assert len(world.versions) == before
    assert [turn.writes for turn in world.turns if turn.at > BEGIN + 900 and turn.writes] == []


def test_a_few_errors_against_none_are_found_and_the_radius_is_what_counts() -> None:
    """
    Flagger 5.10 (Kayenta): counts that are mostly zero passed, and tolerance was a setting without effect. kayenta#799.
    """
    rare = Model(errors=lambda _share, _age: 0.03)
    ends = {}
    for radius in ("1%", "20%"):
        world = world_of(models={**MODELS, "2": rare})
        canary = {"blastRadius": radius, "soak": "20s", "stepDeadline": "5m", "steps": [{"traffic": "50%"}]}
        deployed(world)
        then(world, "2", strategy={**spec_of("2")["strategy"], "canary": canary})
        world.run(900)
        ends[radius] = world.phase
    assert ends == {"1%": Phase.FAILED, "20%": Phase.STABLE}


def test_a_metric_without_data_never_passes() -> None:
    """
    Flagger 5.10 (Kayenta): a group without data scored 100. Flagger 5.12 (OpenKruise): the analysis step said "done"
    at once.
    """
    world = world_of(requests_per_second=0.0)
    deployed(world)
    then(world, "2", **policy(onInconclusive="Advance"))
    world.run(900)
    assert world.phase is Phase.PAUSED
    assert Reason.STEP_PASSED not in reasons(world)
    assert world.gateway.effective[of("1")] >= Decimal(95)


def test_no_effect_touches_an_autoscaler() -> None:
    """
    Flagger 5.12 (OpenKruise): the autoscaler's target was renamed for the time of a rollout, and stayed so after a
    crash.
    """
    names = {kind.__name__ for kind in Effect.__args__}  # type: ignore[attr-defined] - a union
    assert names == {
        "EnsureWorkload", "ScaleWorkload", "SetTraffic", "SetRole", "RestartWorkload", "DeleteWorkload",
        "DropFormerRouter", "EnsureComparator", "DeleteComparator",
    }  # fmt: skip


def test_a_split_that_is_not_the_wanted_one_is_noticed() -> None:
    """
    Flagger 5.11 (Iter8): the weighted hash gave 2.6 % of users where 5 % was asked for, and nobody noticed.
    """
    world = world_of(requests_per_second=200.0)
    world.gateway.split_as = Decimal("2.6")
    deployed(world)
    then(world, "2")
    world.run(200)
    assert Reason.STEP_PASSED not in reasons(world)
    assert "TrafficSplitMismatch" in {condition.type for condition in world.deployment.status.conditions}


def test_a_new_operator_sees_the_same_revision() -> None:
    """
    Flagger 5.13: the hash was made of the program's memory layout, so an upgrade began every rollout anew.
    """
    assert of("1") == "2220237a14"
    world = world_of()
    deployed(world)
    world.run(60)
    before = len(world.turns), dict(world.gateway.effective)
    world._start()
    world.hear()
    world.run(60)
    assert (len(world.turns), dict(world.gateway.effective)) == (before[0] + 1, before[1])
    ended(world, Phase.STABLE, "1")


def test_what_a_human_asked_for_survives_a_restart() -> None:
    """
    Flagger 5.14: gates lived in the memory of one process. flagger#1450: a wait for approval said not whose.
    """
    world = world_of()
    deployed(world)
    then(world, "2")
    world.at(60.0, lambda: asked(world, "pause", "r-1"))
    for second in (61.0, 100.0, 200.0):
        world.at(second, world._start)
    world.run(300)
    assert (world.phase, world.deployment.status.reason) == (Phase.PAUSED, Reason.PAUSED_BY_REQUEST)
    assert "ada" in world.status["message"]
    asked(world, "resume", "r-2")
    world.run(900)
    ended(world, Phase.STABLE, "2")


def test_a_change_of_strategy_in_a_rollout_leaves_nothing_behind() -> None:
    """
    openkruise/rollouts#197: the strategy was changed in the middle, and nobody cleaned up after the old one.
    """
    world = world_of()
    deployed(world)
    then(world, "2", strategy=strategy("blueGreen"))
    then(world, "2", at=55.0)
    world.run(1200)
    ended(world, Phase.STABLE, "2")
