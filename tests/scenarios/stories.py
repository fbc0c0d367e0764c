"""
The golden scenarios: each a small world with a script, run to its end.
"""

import json
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final

from scenarios import stories_compared, stories_config, stories_evidence, stories_others, stories_service
from scenarios.degrees import DEGREES
from scenarios.parts import GPU, NEVER, Model
from scenarios.world import World, spec_of

from modelramp.api.names import ANNOTATION_ABORT, ANNOTATION_ACTION, ANNOTATION_RETRY
from modelramp.rollout.observed import WarmUpReading
from modelramp.rollout.rules import RULES, Rule

Rules = tuple[Rule, ...]
Story = Callable[[World], None]

GOOD: Final = Model()
BAD: Final = Model(errors=lambda _share, _age: 0.08)
BAD_FROM_25: Final = Model(errors=lambda share, _age: 0.08 if share >= Decimal(25) else 0.0)
UNEVEN: Final = Model(errors=lambda _share, _age: 0.02, bad_pods=(0.57, 0.43))
MODELS: Final[Mapping[str, Model]] = {
    "1": GOOD,
    "2": GOOD,
    "3": BAD,
    "4": BAD_FROM_25,
    "fails-whole": Model(errors=lambda share, _age: 0.08 if share >= Decimal(100) else 0.0),
    "crashes": Model(crash_loops_after=10.0, ready_after=NEVER),
    "crashes-late": Model(crash_loops_after=50.0),
    "eats-memory": Model(out_of_memory_after=40.0),
    "never-ready": Model(ready_after=NEVER),
    "loses-readiness": Model(unready=(35.0, NEVER)),
    "blinks": Model(unready=(35.0, 45.0)),
    "dies": Model(unready=(35.0, NEVER), unready_pods=2, errors=lambda _share, age: 1.0 if age > 35 else 0.0),
    "slow-start": Model(ready_after=30.0),
    "slow": Model(median_seconds=0.09),
    "fails-b": Model(errors=lambda _share, _age: 0.03, fails_for="b"),
    "as-bad": BAD,
    "another": GOOD,
    "differs": Model(disagrees=0.08),
    "uneven": UNEVEN,
    "uneven-too": UNEVEN,
    "1 bad": BAD,
}
SECOND: Final = 40.0  # when the second version is applied, in most stories


def deployed(world: World, version: str = "1", **changes: Any) -> None:  # noqa: ANN401 - JSON
    """
    The first version is applied at once.
    """
    world.at(0.0, lambda: world.apply(spec_of(version, **changes)))


def then(world: World, version: str, at: float = SECOND, **changes: Any) -> None:  # noqa: ANN401 - JSON
    """
    A version is applied at a time.
    """
    world.at(at, lambda: world.apply(spec_of(version, **changes)))


def candidate_annotation(world: World, name: str) -> None:
    """
    The annotation is set to the candidate's revision.
    """
    candidate = world.deployment.status.candidate
    world.apply(annotations={name: candidate.revision if candidate else ""})


def asked(world: World, verb: str, name: str = "r-1", *, revision: str | None = None) -> None:
    """
    Ada asks by annotation for something about the candidate, or about another revision.
    """
    candidate = world.deployment.status.candidate
    meant = revision or (candidate.revision if candidate else world.deployment.revision)
    request = {"id": name, "verb": verb, "revision": meant, "by": "ada"}
    world.apply(annotations={ANNOTATION_ACTION: json.dumps(request)})


def prometheus(world: World, *, up: bool) -> None:
    """
    The metric store answers, or does not.
    """
    world.store.up = up


def good_version(world: World) -> None:
    """
    A good version is promoted on evidence.
    """
    deployed(world)
    then(world, "2")
    world.run(900)


def bad_version(world: World) -> None:
    """
    A version that fails 8 % is rolled back at 5 % of traffic.
    """
    deployed(world)
    then(world, "3")
    world.run(600)


def bad_from_25_percent(world: World) -> None:
    """
    A version that fails only under a quarter of the load is rolled back there.
    """
    deployed(world)
    then(world, "4")
    world.run(900)


def superseded_in_flight(world: World) -> None:
    """
    A third version is applied while the second is on trial: the second leaves first, then the third is begun.
    """
    deployed(world)
    then(world, "3")
    then(world, "2", at=60.0)
    world.run(1200)


def reverted_in_flight(world: World) -> None:
    """
    The spec goes back to the stable version while another is on trial.
    """
    deployed(world)
    then(world, "2")
    then(world, "1", at=75.0)
    world.run(600)


def crash_loop(world: World) -> None:
    """
    The candidate crashes over and over before it is ready.
    """
    deployed(world)
    then(world, "crashes")
    world.run(600)


def crash_loop_in_step(world: World) -> None:
    """
    The candidate begins to crash while it serves its first step.
    """
    deployed(world)
    then(world, "crashes-late")
    world.run(600)


def out_of_memory(world: World) -> None:
    """
    The candidate is killed for memory.
    """
    deployed(world)
    then(world, "eats-memory")
    world.run(600)


def never_ready(world: World) -> None:
    """
    The candidate never becomes ready: the progress deadline ends it.
    """
    deployed(world)
    then(world, "never-ready")
    world.run(600)


def route_never_accepted(world: World) -> None:
    """
    The gateway does not follow the first step; later it follows again.
    """
    deployed(world)
    then(world, "2")
    world.at(43.0, lambda: setattr(world.gateway, "accept_after", NEVER))
    world.at(150.0, lambda: gateway_recovers(world))
    world.run(600)


def gateway_recovers(world: World) -> None:
    """
    The gateway accepts what was written last.
    """
    world.gateway.accept_after = 2.0
    world.gateway.accepts_at = world.now + 2.0


HALF: Final = {
    **spec_of("2")["strategy"],
    "canary": {"blastRadius": "1%", "soak": "20s", "steps": [{"traffic": "50%"}]},
}


def promotion_never_accepted(world: World) -> None:
    """
    The gateway does not follow the promotion: everything goes back to stable when it can.
    """
    deployed(world)
    then(world, "2", strategy=HALF)
    world.at(70.0, lambda: setattr(world.gateway, "accept_after", NEVER))
    world.at(200.0, lambda: gateway_recovers(world))
    world.run(600)


def crash_while_promoting(world: World) -> None:
    """
    The candidate begins to crash while it is being promoted: the stable version is still warm and takes over.
    """
    world.cluster.models = {**MODELS, "dies-late": Model(crash_loops_after=38.0)}
    deployed(world)
    then(world, "dies-late", strategy=HALF)
    world.run(600)


def lost_readiness(world: World) -> None:
    """
    One of the candidate's two pods was ready and is not any more.
    """
    deployed(world)
    then(world, "loses-readiness")
    world.run(600)


def lost_all_readiness(world: World) -> None:
    """
    The candidate has nothing ready any more: it gets no share at once, and is judged by what users saw.
    """
    deployed(world)
    then(world, "dies")
    world.run(600)


def short_loss_of_readiness(world: World) -> None:
    """
    One pod is not ready for ten seconds: nothing is decided by that.
    """
    deployed(world)
    then(world, "blinks")
    world.run(900)


def inconclusive_then_retry(world: World) -> None:
    """
    Too few requests to certify the first step in time: paused; a retry goes on with the evidence there is.
    """
    world.clients.requests_per_second = 5.0
    deployed(world)
    then(world, "2")
    world.at(400.0, lambda: world.apply(annotations={ANNOTATION_RETRY: "please"}))
    world.run(2000)


def abort_while_paused(world: World) -> None:
    """
    Too few requests to certify the first step in time: paused; a human ends it.
    """
    world.clients.requests_per_second = 5.0
    deployed(world)
    then(world, "2")
    world.at(400.0, lambda: candidate_annotation(world, ANNOTATION_ABORT))
    world.run(600)


def short_outage_of_metrics(world: World) -> None:
    """
    Prometheus is away for a minute in the middle of a step: the rollout holds, says so, and goes on.
    """
    deployed(world)
    then(world, "2")
    world.at(60.0, lambda: prometheus(world, up=False))
    world.at(120.0, lambda: prometheus(world, up=True))
    world.run(900)


def long_outage_of_metrics(world: World) -> None:
    """
    Prometheus is away beyond the step's deadline: paused, and resumed by itself.
    """
    deployed(world)
    then(world, "2")
    world.at(60.0, lambda: prometheus(world, up=False))
    world.at(450.0, lambda: prometheus(world, up=True))
    world.run(1500)


def first_deploy(world: World) -> None:
    """
    The first version gets everything at once; there is nothing to compare it with.
    """
    deployed(world)
    world.run(120)


def first_deploy_broken_then_fixed(world: World) -> None:
    """
    The first version crashes; the fix is a new version.
    """
    deployed(world, "crashes")
    then(world, "1", at=30.0)
    world.run(200)


def abort(world: World) -> None:
    """
    Somebody aborts by annotation.
    """
    deployed(world)
    then(world, "2")
    world.at(70.0, lambda: candidate_annotation(world, ANNOTATION_ABORT))
    world.run(600)


def retry_after_failure(world: World) -> None:
    """
    A version that failed because of its surroundings is tried again by annotation.
    """
    deployed(world)
    then(world, "never-ready")
    world.at(200.0, lambda: mend(world))
    world.at(201.0, lambda: world.apply(annotations={ANNOTATION_RETRY: "2026-01-01"}))
    world.run(1200)


def mend(world: World) -> None:
    """
    What kept the candidate from becoming ready is repaired.
    """
    world.cluster.models = {**MODELS, "never-ready": GOOD}


def scaled_at_rest(world: World) -> None:
    """
    Replicas change while nothing is in flight: no rollout, only the size.
    """
    deployed(world)
    world.at(60.0, lambda: world.apply(spec_of("1", serving={**spec_of("1")["serving"], "replicas": 4})))
    world.at(90.0, lambda: world.apply(spec_of("1", serving={**spec_of("1")["serving"], "replicas": 1})))
    world.run(200)


def hostnames_change_at_rest(world: World) -> None:
    """
    The route's hostnames change while nothing is in flight: the route is written again, with the same shares.
    """
    gateway = {"parentRefs": [{"name": "gateway"}], "hostnames": ["fraud.example.com"]}
    deployed(world)
    world.at(60.0, lambda: world.apply(spec_of("1", traffic={"gatewayAPI": gateway})))
    world.run(200)


def stable_breaks(world: World) -> None:
    """
    The stable version dies during a rollout: the candidate is not blamed; the rollout waits for stable or for a human.
    """
    deployed(world, "dies-late")
    world.cluster.models = {**MODELS, "dies-late": Model(unready=(60.0, 200.0), unready_pods=2)}
    then(world, "2")
    world.run(1200)


def no_traffic(world: World) -> None:
    """
    Nobody asks anything: no evidence, no promotion, paused at the deadline.
    """
    world.clients.requests_per_second = 0.0
    deployed(world)
    then(world, "2")
    world.run(600)


def split_mismatch(world: World) -> None:
    """
    The gateway gives the candidate much less than the route says: held, and said so.
    """
    deployed(world)
    then(world, "2")
    world.gateway.split_as = Decimal(1)
    world.run(500)


def contested_route(world: World) -> None:
    """
    Somebody else writes the route during a step: exposure is not raised until that ends.
    """
    deployed(world)
    then(world, "2")
    world.at(60.0, lambda: setattr(world.gateway, "contested_by", "argocd"))
    world.at(150.0, lambda: setattr(world.gateway, "contested_by", None))
    world.run(900)


def rejected_version_again(world: World) -> None:
    """
    A rejected version is named again after a good one: it is not begun again without a retry.
    """
    deployed(world)
    then(world, "3")
    then(world, "1", at=200.0)
    then(world, "3", at=260.0)
    world.run(600)


def slow_start_with_warm_up(world: World) -> None:
    """
    A version that loads slowly is warmed up before users reach it.
    """
    warm_up = {"requests": 20, "path": "/v2/models/fraud/infer", "p95Below": "200ms"}
    deployed(world)
    then(world, "slow-start", serving={**spec_of("slow-start")["serving"], "warmUp": warm_up})
    world.run(900)


def policy(**asked: str) -> dict[str, Any]:
    """
    What the spec asks to follow when a step's deadline passes.
    """
    return {"analysis": {**spec_of("2")["analysis"], **asked}}


def inconclusive_rolled_back(world: World) -> None:
    """
    Too few requests to certify the first step in time, and the spec asks to roll back then.
    """
    world.clients.requests_per_second = 5.0
    deployed(world)
    then(world, "2", **policy(onInconclusive="Rollback"))
    world.run(600)


def inconclusive_advanced(world: World) -> None:
    """
    Too few requests to certify any step in time, and the spec asks to go on then: said of each step.
    """
    world.clients.requests_per_second = 2.0
    deployed(world)
    then(world, "2", **policy(onInconclusive="Advance"))
    world.run(1200)


LAST: Final = {**HALF, "canary": {**HALF["canary"], "stepDeadline": "60s"}}


def last_step_inconclusive_advanced(world: World) -> None:
    """
    Too few requests to certify the only step in time, and the spec asks to go on then: into the promotion.
    """
    world.clients.requests_per_second = 2.0
    deployed(world)
    then(world, "2", strategy=LAST, **policy(onInconclusive="Advance"))
    world.run(300)


def no_traffic_never_advances(world: World) -> None:
    """
    Nobody asks anything; the spec asks to go on without a verdict, and not without data: paused.
    """
    world.clients.requests_per_second = 0.0
    deployed(world)
    then(world, "2", **policy(onInconclusive="Advance"))
    world.run(600)


def outage_of_metrics_rolled_back(world: World) -> None:
    """
    Prometheus is away beyond the step's deadline, and the spec asks to roll back then.
    """
    deployed(world)
    then(world, "2", **policy(onNoData="Rollback"))
    world.at(60.0, lambda: prometheus(world, up=False))
    world.at(450.0, lambda: prometheus(world, up=True))
    world.run(600)


def stable_breaks_under_a_policy(world: World) -> None:
    """
    The stable version dies during a rollout whose spec asks to roll back at a deadline: there is nobody to go back to.
    """
    deployed(world, "dies-late")
    world.cluster.models = {**MODELS, "dies-late": Model(unready=(60.0, 500.0), unready_pods=2)}
    then(world, "2", **policy(onInconclusive="Rollback", onNoData="Rollback"))
    world.run(600)


ERRORS: Final = {"preset": "errors"}
LATENCY: Final = {"preset": "latency", "quantile": "0.9", "mayGrow": "50%"}
TOLD: Final = 400.0  # when the second version is applied where stable's past has something to tell


def judged_by(*metrics: Mapping[str, Any], **changes: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    """
    The analysis with these metrics, and a past short enough for a small world.
    """
    return {"analysis": {**spec_of("2")["analysis"], "metrics": list(metrics), "lookBack": "10m", **changes}}


def as_fast(world: World) -> None:
    """
    A version that is as fast as the stable one is promoted, judged by errors and by what stable's calls took before.
    """
    world.scrape_servers()
    deployed(world)
    then(world, "2", at=TOLD, **judged_by(ERRORS, LATENCY))
    world.run(1200)


def slower(world: World) -> None:
    """
    A version that answers well and takes three times as long is rolled back for its latency alone.
    """
    world.scrape_servers()
    deployed(world)
    then(world, "slow", at=TOLD, **judged_by(ERRORS, LATENCY))
    world.run(900)


def latency_nobody_tells(world: World) -> None:
    """
    The spec names a latency that the operator knows no series of: said so, and never passed over.
    """
    custom = {**spec_of("2")["serving"], "runtime": "custom", "port": 8080}
    deployed(world)
    then(world, "2", serving=custom, **judged_by(ERRORS, {"preset": "latency", "origin": "Runtime"}))
    world.run(500)


def threshold_between_buckets(world: World) -> None:
    """
    The spec asks about a duration that no bucket ends at: the candidate gets no traffic, the field is named, and an
    edit of it lets the same candidate go on.
    """
    world.scrape_servers()
    deployed(world)
    asked = [judged_by({"preset": "latency", "threshold": threshold}) for threshold in ("300ms", "250ms")]
    then(world, "2", at=TOLD, **asked[0])
    then(world, "2", at=TOLD + 120, **asked[1])
    world.run(900)


def first_rollout_in_little_traffic(world: World) -> None:
    """
    Stable's past tells that so few requests cannot certify the first step within its deadline: said before it begins.
    """
    world.scrape_servers()
    world.clients.requests_per_second = 2.0
    deployed(world)
    then(world, "2", at=TOLD, **judged_by(ERRORS, overdispersion=None))
    world.run(900)


ANSWERS: Final = {"name": "answers", "ratio": {"bad": 'answers_total{ok="false",$arm}', "total": "answers_total{$arm}"}}


def bad_for_one_tenant(world: World) -> None:
    """
    A version that fails one small tenant only is rolled back for that tenant.
    """
    world.scrape_servers(a=0.9, b=0.1)
    deployed(world)
    then(world, "fails-b", at=60.0, **judged_by(ANSWERS, slices={"label": "tenant", "values": ["a", "b"]}))
    world.run(900)


def above_its_limit(world: World) -> None:
    """
    A version that is no worse than a bad stable one is rolled back all the same: it is held against an objective.
    """
    deployed(world, "3")
    then(world, "as-bad", **judged_by({**ERRORS, "against": {"limit": "2%"}}))
    world.run(600)


def overdispersion_estimated(world: World) -> None:
    """
    Bad answers of stable fall on one of its two pods more than on the other: its past tells so, and evidence counts
    for less.
    """
    world.scrape_servers()
    deployed(world, "uneven")
    then(world, "uneven-too", at=TOLD, **judged_by(ERRORS, overdispersion=None))
    world.run(1200)


def overdispersion_assumed(world: World) -> None:
    """
    Stable never failed, so its past does not tell how bad answers scatter: twice as much as independent ones is
    assumed, and said.
    """
    world.scrape_servers()
    deployed(world)
    then(world, "2", at=TOLD, **judged_by(ERRORS, overdispersion=None))
    world.run(1200)


def paused_and_resumed_by_request(world: World) -> None:
    """
    Ada pauses a good version while the first share is on its way, and lets it go on three minutes later, when it is
    certified at once; a second pause is refused.
    """
    deployed(world)
    then(world, "2")
    world.at(47.0, lambda: asked(world, "pause"))
    world.at(60.0, lambda: asked(world, "pause", "r-2"))
    world.at(227.0, lambda: asked(world, "resume", "r-3"))
    world.run(1200)


def bad_version_paused_by_request(world: World) -> None:
    """
    Ada pauses a bad version: its harm is counted all the same, and rolls it back.
    """
    deployed(world)
    then(world, "3")
    world.at(47.0, lambda: asked(world, "pause"))
    world.run(600)


def paused_by_request_for_good(world: World) -> None:
    """
    An outage pauses the rollout, Ada makes the pause hers: the end of the outage does not resume it.
    """
    deployed(world)
    then(world, "2")
    world.at(60.0, lambda: prometheus(world, up=False))
    world.at(400.0, lambda: asked(world, "pause"))
    world.at(420.0, lambda: prometheus(world, up=True))
    world.run(900)


def promoted_by_request(world: World) -> None:
    """
    Too little traffic certifies nothing: Ada takes the first step as passed, at first too early, then all others.
    """
    world.requests_per_second = world.clients.requests_per_second = 1.0
    deployed(world)
    then(world, "2")
    world.at(45.0, lambda: asked(world, "promote"))
    world.at(80.0, lambda: asked(world, "promote", "r-2"))
    world.at(120.0, lambda: asked(world, "promote-full", "r-3"))
    world.run(600)


def aborted_and_retried_by_request(world: World) -> None:
    """
    Ada aborts a good version and has it tried again; a request for another revision, and one that nobody can read,
    change nothing.
    """
    deployed(world)
    then(world, "2")
    world.at(60.0, lambda: asked(world, "abort", revision="another"))
    world.at(65.0, lambda: world.apply(annotations={ANNOTATION_ACTION: "abort!"}))
    world.at(70.0, lambda: asked(world, "abort", "r-2"))
    world.at(200.0, lambda: asked(world, "retry", "r-3"))
    world.run(1200)


def sized(surge: str, replicas: int = 4, limit: int | None = None, *, version: str = "2") -> dict[str, Any]:
    """
    Pods of one GPU each, and what they may take together.
    """
    capacity: dict[str, Any] = {"surge": surge}
    if limit is not None:
        capacity["budget"] = {"limit": limit}
    model = {"name": "model", "image": f"registry.example/fraud:{version}", "resources": {"limits": {GPU: 1}}}
    template = {"spec": {"containers": [model]}}
    return {
        "serving": {**spec_of(version)["serving"], "replicas": replicas, "template": template, "capacity": capacity}
    }


def good_version_swapped(world: World) -> None:
    """
    Four GPUs for four pods: stable gives up each pod before the candidate gets it, and the share rises with the pods.
    """
    deployed(world, **sized("Swap", limit=4, version="1"))
    then(world, "2", **sized("Swap", limit=4))
    world.run(1200)


def bad_version_swapped(world: World) -> None:
    """
    A bad version gives its GPU back: first its share, then its pod, and only then stable grows again.
    """
    deployed(world, **sized("Swap", limit=4, version="1"))
    then(world, "3", **sized("Swap", limit=4, version="3"))
    world.run(600)


def swapped_without_a_budget(world: World) -> None:
    """
    Swap without a budget never has more pods than replicas; a third version supersedes the second on its way.
    """
    deployed(world, **sized("Swap", 3, version="1"))
    then(world, "2", **sized("Swap", 3))
    then(world, "4", at=100.0, **sized("Swap", 3, version="4"))
    then(world, "1", at=160.0, **sized("Swap", 3, version="1"))
    world.run(900)


def swap_that_never_gets_ready(world: World) -> None:
    """
    The candidate's first pod never becomes ready: its place goes back to stable after the deadline.
    """
    deployed(world, **sized("Swap", limit=4, version="1"))
    then(world, "never-ready", **sized("Swap", limit=4, version="never-ready"))
    world.run(600)


def full_beyond_the_budget(world: World) -> None:
    """
    Two full revisions do not fit into six GPUs: nothing is created, the object says what helps, and Swap does it.
    """
    deployed(world, **sized("Full", limit=6, version="1"))
    then(world, "2", **sized("Full", limit=6))
    then(world, "2", at=160.0, **sized("Swap", limit=6))
    world.run(1200)


WHOLE: Final = {
    **spec_of("2")["strategy"],
    "canary": {"blastRadius": "1%", "soak": "20s", "steps": [{"traffic": "100%"}]},
}


def recreated(world: World) -> None:
    """
    Stable's pods go before the candidate's come: nobody serves meanwhile, as the spec says.
    """
    deployed(world, strategy=WHOLE, **sized("Recreate", 2, version="1"))
    then(world, "2", strategy=WHOLE, **sized("Recreate", 2))
    world.run(400)


def recreated_and_brought_back(world: World) -> None:
    """
    The new version begins to crash while it serves everything: its pods go, and stable's come back.
    """
    world.cluster.models = {**MODELS, "dies-soon": Model(crash_loops_after=15.0)}
    deployed(world, strategy=WHOLE, **sized("Recreate", 2, version="1"))
    then(world, "dies-soon", strategy=WHOLE, **sized("Recreate", 2, version="dies-soon"))
    world.run(400)


def switched(**before: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    """
    A switch at once, with smoke requests before it.
    """
    smoke = {"path": "/v2/models/fraud/infer", "requests": 5, "p95Below": "200ms", **before}
    plan = {"preSwitch": {"soak": "10s", "smoke": smoke}, "bake": "20s", "blastRadius": "1%", "stepDeadline": "5m"}
    return {"strategy": {"blueGreen": plan, "progressDeadline": "60s", "scaleDownDelay": "10s"}}


def smoke_answered(world: World) -> None:
    """
    Green's own Service answers nobody at first, then slowly, then as wanted: only then the switch is made.
    """
    away = WarmUpReading(sent=5, failed=5, p95_seconds=0.1, message="5 of 5 requests failed")
    world.answers = [away, WarmUpReading(sent=5, failed=0, p95_seconds=0.4)]
    deployed(world)
    then(world, "2", **switched())
    world.run(400)


def smoke_refused(world: World) -> None:
    """
    Green answers one smoke request with an error: it never gets any traffic.
    """
    world.answers = [WarmUpReading(sent=5, failed=1, p95_seconds=0.1, message="number 3: HTTP 500", refused=1)]
    deployed(world)
    then(world, "2", **switched())
    world.run(400)


def steady_before_traffic(world: World) -> None:
    """
    The candidate's pods have to be ready for half a minute without a break: a blink begins it anew.
    """
    world.cluster.models = {**MODELS, "blinks": Model(unready=(15.0, 20.0))}
    deployed(world)
    then(world, "blinks", serving={**spec_of("blinks")["serving"], "minReady": "30s"})
    world.run(900)


BLUE_GREEN: Final[Mapping[str, Any]] = {
    "blueGreen": {
        "preview": {},
        "preSwitch": {"soak": "10s"},
        "bake": "30s",
        "stepDeadline": "5m",
        "blastRadius": "1%",
        "soak": "20s",
    },
    "progressDeadline": "60s",
    "scaleDownDelay": "10s",
}


def strategy(kind: str, **changes: Any) -> Mapping[str, Any]:  # noqa: ANN401 - JSON
    """
    Blue-green or shadow with short times.
    """
    shadow = {"soak": "20s", "deadline": "5m", "blastRadius": "1%"}
    base = dict(BLUE_GREEN["blueGreen"]) if kind == "blueGreen" else shadow
    return {**BLUE_GREEN, "blueGreen": None, kind: {**base, **changes}}


def blue_green(world: World) -> None:
    """
    Green is previewed by header, gets everything in one write, is watched while blue is kept, and becomes stable.
    """
    deployed(world)
    then(world, "2", strategy=strategy("blueGreen"))
    world.run(600)


def blue_green_by_host(world: World) -> None:
    """
    Green is previewed under a host name of its own until it gets everything; of a bad version that name goes with the
    switch back too.
    """
    deployed(world)
    parts = [{"traffic": "50%"}, {"traffic": "100%"}]
    hosted = strategy("blueGreen", preview={"hostname": "preview.fraud.example"}, steps=parts)
    then(world, "2", strategy=hosted)
    world.run(600)
    then(world, "3", strategy=hosted)
    world.run(600)


def blue_green_in_parts(world: World) -> None:
    """
    Half of the traffic first: a version that fails 8 % is found there, and blue takes over in one write.
    """
    deployed(world)
    then(world, "3", strategy=strategy("blueGreen", steps=[{"traffic": "50%"}, {"traffic": "100%"}]))
    world.run(600)


def blue_green_crashes_after_the_switch(world: World) -> None:
    """
    Green dies while it serves everything: blue is at size still, and takes over in one write.
    """
    deployed(world)
    then(world, "crashes-late", strategy=strategy("blueGreen"))
    world.run(600)


def shadow_reported(world: World) -> None:
    """
    A shadow run ends with its report: users never saw the candidate. Asked for again, nothing happens; a retry runs
    it again, and the stable version asked for again ends it.
    """
    deployed(world, strategy=strategy("shadow"))
    then(world, "2", strategy=strategy("shadow"))
    then(world, "1", at=150.0, strategy=strategy("shadow"))
    then(world, "2", at=170.0, strategy=strategy("shadow"))
    world.at(190.0, lambda: asked(world, "retry"))
    world.run(600)


def shadow_then_promoted(world: World) -> None:
    """
    A shadow run that is to end with a promotion.
    """
    deployed(world)
    then(world, "2", strategy=strategy("shadow", onPassed="Promote"))
    world.run(600)


def bad_shadow(world: World) -> None:
    """
    A version that fails 8 % of the copies is rejected; users never saw it.
    """
    deployed(world)
    then(world, "3", strategy=strategy("shadow"))
    world.run(600)


def shadow_then_canary(world: World) -> None:
    """
    A canary begins with a shadow stage; copies end where users begin.
    """
    deployed(world)
    steps = [{"traffic": "25%"}, {"traffic": "100%"}]
    canary = {
        "shadow": {"mirror": "100%", "soak": "20s", "deadline": "5m"},
        "steps": steps, "soak": "20s", "stepDeadline": "5m", "blastRadius": "1%",
    }  # fmt: skip
    then(world, "2", strategy={"canary": canary, "progressDeadline": "60s", "scaleDownDelay": "10s"})
    world.run(900)


def shadow_beyond_the_gateway(world: World) -> None:
    """
    Contour copies everything whatever the percentage, so a tenth is refused: the candidate gets nothing, and the
    object says what is possible until somebody asks for that.
    """
    deployed(world)
    then(world, "2", strategy=strategy("shadow", mirror="10%"))
    world.run(900)
    then(world, "2", strategy=strategy("shadow"))
    world.run(900)


def shadow_loses_its_pods(world: World) -> None:
    """
    The candidate of a shadow run loses all its pods: copies end at once, long before it is given up.
    """
    deployed(world)
    then(world, "dies", strategy=strategy("shadow", soak="60s"))
    world.run(600)


def canary_with_a_cohort(world: World) -> None:
    """
    Callers with a header reach the candidate in every step, and stable again when it is rolled back.
    """
    deployed(world)
    canary = {"cohort": {}, "soak": "20s", "stepDeadline": "5m", "blastRadius": "1%"}
    then(world, "4", strategy={"canary": canary, "progressDeadline": "60s", "scaleDownDelay": "10s"})
    world.run(900)


def blue_green_fails_after_the_switch(world: World) -> None:
    """
    Green fails 8 % of what users ask it. Nothing of blue is counted beside it, so blue's last hour stands for blue: the
    way back is one write.
    """
    deployed(world)
    then(world, "3", strategy=strategy("blueGreen"))
    world.run(600)


def blue_green_slower_after_the_switch(world: World) -> None:
    """
    Green answers well and takes three times as long: found by what blue's calls took before.
    """
    world.scrape_servers()
    deployed(world)
    then(world, "slow", at=TOLD, strategy=strategy("blueGreen", bake="60s"), **judged_by(ERRORS, LATENCY))
    world.run(900)


def canary_fails_only_at_everything(world: World) -> None:
    """
    A version is certified in every step and breaks under the whole load: what was counted of stable in the rollout
    stands for stable.
    """
    deployed(world)
    then(world, "fails-whole")
    world.run(900)


def outage_of_metrics_after_the_switch(world: World) -> None:
    """
    Prometheus is away while green serves everything: nothing is promoted on soak time alone.
    """
    deployed(world)
    then(world, "2", strategy=strategy("blueGreen"))
    world.at(61.0, lambda: prometheus(world, up=False))
    world.at(140.0, lambda: prometheus(world, up=True))
    world.run(600)


LIMITED: Final = judged_by({**ERRORS, "against": {"limit": "2%"}})


def first_deploy_within_its_limit(world: World) -> None:
    """
    The first version is watched for a soak time before it is called stable, as it is held against a limit.
    """
    deployed(world, **LIMITED)
    world.run(120)


def first_deploy_above_its_limit(world: World) -> None:
    """
    The first version fails 8 %, and nothing can take over: it goes on serving, is not Ready, and the next one replaces
    it.
    """
    deployed(world, "3", **LIMITED)
    then(world, "1", at=100.0, **LIMITED)
    world.run(900)


def first_deploy_replaced_while_watched(world: World) -> None:
    """
    The spec names another version while the first is watched: it is not waited for.
    """
    deployed(world, **LIMITED)
    then(world, "2", at=15.0, **LIMITED)
    world.run(900)


def first_deploy_without_metrics(world: World) -> None:
    """
    Nobody tells how the first version fares: that ends with the step's deadline, as it serves anyway.
    """
    prometheus(world, up=False)
    short = {**spec_of("1")["strategy"], "canary": {"soak": "20s", "stepDeadline": "60s"}}
    deployed(world, strategy=short, **LIMITED)
    world.run(120)


def step_waits_for_some_metrics_only(world: World) -> None:
    """
    A metric nobody tells is not asked of any step: the others decide.
    """
    custom = {**spec_of("2")["serving"], "runtime": "custom", "port": 8080}
    steps = [{"traffic": traffic, "metrics": ["errors"]} for traffic in ("25%", "100%")]
    canary = {"steps": steps, "soak": "20s", "stepDeadline": "5m", "blastRadius": "1%"}
    asked = judged_by(ERRORS, {"preset": "latency", "origin": "Runtime"})
    deployed(world)
    then(world, "2", serving=custom, strategy={**spec_of("2")["strategy"], "canary": canary}, **asked)
    world.run(500)


STORIES: Final[tuple[Story, ...]] = (
    good_version,
    bad_version,
    bad_from_25_percent,
    superseded_in_flight,
    reverted_in_flight,
    crash_loop,
    crash_loop_in_step,
    out_of_memory,
    never_ready,
    route_never_accepted,
    promotion_never_accepted,
    crash_while_promoting,
    lost_readiness,
    lost_all_readiness,
    short_loss_of_readiness,
    inconclusive_then_retry,
    abort_while_paused,
    short_outage_of_metrics,
    long_outage_of_metrics,
    first_deploy,
    first_deploy_broken_then_fixed,
    abort,
    retry_after_failure,
    scaled_at_rest,
    hostnames_change_at_rest,
    stable_breaks,
    no_traffic,
    split_mismatch,
    contested_route,
    rejected_version_again,
    slow_start_with_warm_up,
    inconclusive_rolled_back,
    inconclusive_advanced,
    last_step_inconclusive_advanced,
    no_traffic_never_advances,
    outage_of_metrics_rolled_back,
    stable_breaks_under_a_policy,
    as_fast,
    slower,
    latency_nobody_tells,
    threshold_between_buckets,
    first_rollout_in_little_traffic,
    bad_for_one_tenant,
    above_its_limit,
    overdispersion_estimated,
    overdispersion_assumed,
    paused_and_resumed_by_request,
    bad_version_paused_by_request,
    paused_by_request_for_good,
    promoted_by_request,
    aborted_and_retried_by_request,
    good_version_swapped,
    bad_version_swapped,
    swapped_without_a_budget,
    swap_that_never_gets_ready,
    full_beyond_the_budget,
    recreated,
    recreated_and_brought_back,
    smoke_answered,
    smoke_refused,
    steady_before_traffic,
    blue_green,
    blue_green_by_host,
    blue_green_in_parts,
    blue_green_crashes_after_the_switch,
    shadow_reported,
    shadow_then_promoted,
    bad_shadow,
    shadow_then_canary,
    shadow_beyond_the_gateway,
    shadow_loses_its_pods,
    canary_with_a_cohort,
    *stories_service.STORIES,
    *stories_others.STORIES,
    *stories_compared.STORIES,
    *stories_config.STORIES,
    *DEGREES,
    blue_green_fails_after_the_switch,
    blue_green_slower_after_the_switch,
    canary_fails_only_at_everything,
    outage_of_metrics_after_the_switch,
    first_deploy_within_its_limit,
    first_deploy_above_its_limit,
    first_deploy_replaced_while_watched,
    first_deploy_without_metrics,
    step_waits_for_some_metrics_only,
    *stories_evidence.STORIES,
)


def told(story: Story, *, rules: Rules = RULES, cut_at: float = NEVER) -> World:
    """
    The story's world after its run; with another table, or cut off at a virtual instant.
    """
    world = World(models=MODELS, rules=rules, cut_at=cut_at)
    story(world)
    return world
