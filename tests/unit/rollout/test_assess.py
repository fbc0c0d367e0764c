import math
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest
from fakes.rollout import (
    NOW,
    World,
    ago,
    arm,
    arms,
    block,
    candidate,
    deployment,
    kept,
    metric_evidence,
    observed,
    route,
    situation,
    step,
    tail_block,
    tail_evidence,
    verdict,
    world,
)

from modelramp.analysis import MetricEvidence
from modelramp.analysis.stores import Store
from modelramp.analysis.tailplan import JudgedEdge, TailPlan
from modelramp.api.names import ANNOTATION_RETRY
from modelramp.api.scalars import Share
from modelramp.api.status import CandidateStatus, Status, TrafficStatus, VerdictName, VerdictStatus
from modelramp.api.vocabulary import Phase
from modelramp.rollout.account import Account, Opening, PhiSource
from modelramp.rollout.assess import NOTHING_COUNTED, assess, forecasts, traffic_status
from modelramp.rollout.observed import AnotherStore, Impossible, Measured, NoData, Unavailable, WarmUpReading

PREVIEW = step("0", preview=True)
GOOD = (50.0, 0.0, 950.0, 1.0)


def after(asked: World, now: datetime = NOW) -> Status:
    """
    The memory with what was seen folded in.
    """
    found = assess(*asked, now)
    return found.status.model_copy(update={"verdicts": forecasts(found)})


def health(before: CandidateStatus, ready: int) -> CandidateStatus | None:
    """
    The candidate after a look at so many ready pods.
    """
    seen = arms(arm("1"), arm("2", ready=ready))
    return after(world(Phase.PREPARING, remembered={"candidate": before}, arms=seen)).candidate


FRESH = candidate(ready_since=None, ready_pods=0)


def test_where_readiness_has_to_last_a_break_begins_it_anew() -> None:
    """
    Only before users reach the candidate, and only where the spec asks for it.
    """
    weak, steady = arms(arm("1"), arm("2", ready=1)), {"serving": {"minReady": "30s"}}
    asked = {"arms": weak, "sections": steady}
    before = after(world(Phase.PREPARING, **asked)).candidate
    later = after(world(Phase.PROGRESSING, **asked)).candidate
    assert (before and before.ready_since, later and later.ready_since) == (None, candidate().ready_since)


@pytest.mark.parametrize(
    ("before", "ready", "expected"),
    [
        (FRESH, 1, candidate(ready_since=None, ready_pods=1)),
        (FRESH, 2, candidate(ready_since=NOW, ready_pods=2)),
        (FRESH, 5, candidate(ready_since=NOW, ready_pods=2)),
        (candidate(), 1, candidate(unready_since=NOW)),
        (candidate(unready_since=ago(20)), 0, candidate(unready_since=ago(20))),
        (candidate(unready_since=ago(20)), 2, candidate()),
    ],
    ids=[
        "half of it is no readiness",
        "all pods ready for the first time",
        "more than the spec asks for does not count",
        "a loss begins",
        "a loss goes on",
        "a loss ends",
    ],
)
def test_the_candidate_s_readiness_is_remembered(
    before: CandidateStatus, ready: int, expected: CandidateStatus
) -> None:
    """
    When it was first complete, and since when it has been less than it was.
    """
    assert health(before, ready) == expected


def test_a_candidate_that_is_gone_has_lost_all_its_pods() -> None:
    """
    Its workload was deleted: unready from now on.
    """
    found = after(world(Phase.PROGRESSING, arms=arms(arm("1")))).candidate
    assert found == candidate(unready_since=NOW)


@pytest.mark.parametrize(
    ("reading", "warm"),
    [
        (None, False),
        (WarmUpReading(sent=20, failed=0, p95_seconds=0.49), True),
        (WarmUpReading(sent=20, failed=1, p95_seconds=0.49), False),
        (WarmUpReading(sent=19, failed=0, p95_seconds=0.49), False),
        (WarmUpReading(sent=20, failed=0, p95_seconds=0.5), False),
    ],
    ids=["not tried", "good", "an answer was bad", "not all were sent", "too slow"],
)
def test_a_warm_up_must_be_complete_good_and_fast(reading: WarmUpReading | None, warm: bool) -> None:  # noqa: FBT001
    """
    Every request answered, and the 95th percentile below the bound.
    """
    asked = world(
        Phase.PREPARING, remembered={"candidate": candidate(warm=False)}, warm_up=reading,
        sections={"serving": {"warmUp": {"path": "/", "p95Below": "500ms"}}},
    )  # fmt: skip
    assert after(asked).candidate == candidate(warm=warm)


def test_a_warm_up_without_a_bound_may_be_slow() -> None:
    """
    Only bad answers count then.
    """
    asked = world(
        Phase.PREPARING, remembered={"candidate": candidate(warm=False)},
        warm_up=WarmUpReading(sent=20, failed=0, p95_seconds=9.0), sections={"serving": {"warmUp": {"path": "/"}}},
    )  # fmt: skip
    assert after(asked).candidate == candidate(warm=True)


def test_a_warm_up_taken_out_of_the_spec_is_not_waited_for() -> None:
    """
    What nobody asks for is done.
    """
    assert after(world(Phase.PREPARING, remembered={"candidate": candidate(warm=False)})).candidate == candidate()


@pytest.mark.parametrize(
    ("phase", "before", "shares", "expected"),
    [
        (Phase.PROGRESSING, None, {"1": "95", "2": "5"}, NOW),
        (Phase.PROGRESSING, None, {"1": "100", "2": "0"}, None),
        (Phase.PROGRESSING, ago(9), {"1": "100", "2": "0"}, ago(9)),
        (Phase.PAUSED, None, {"1": "95", "2": "5"}, None),
    ],
    ids=["seen in place", "not in place yet", "in place before", "not while paused"],
)
def test_the_step_remembers_when_its_traffic_was_in_place(
    phase: Phase, before: datetime | None, shares: dict[str, str], expected: datetime | None
) -> None:
    """
    From the first look at it; soaking and counting start there.
    """
    asked = world(phase, remembered={"step": step(in_place_since=before)}, route=route(shares))
    assert after(asked).step == step(in_place_since=expected)


def judged(reading: Any, **remembered: Any) -> tuple[MetricEvidence, VerdictStatus]:  # noqa: ANN401
    """
    Evidence and verdict on the errors after a reading.
    """
    found = after(world(Phase.PROGRESSING, remembered=remembered, readings={"errors": reading}))
    return MetricEvidence.from_state(found.evidence[0].state), found.verdicts[0]  # type: ignore[arg-type]


def test_new_counts_are_added_once() -> None:
    """
    The same block twice changes nothing the second time.
    """
    once, _ = judged(Measured(block(GOOD)))
    twice, _ = judged(Measured(block(GOOD)), evidence=(kept(once),))
    assert (once.step.candidate.n, once.counted_until, twice) == (100, ago(10), once)


@pytest.mark.parametrize(
    "at", [step(in_place_since=None), PREVIEW], ids=["before the traffic is in place", "with nothing to compare"]
)
def test_counts_are_left_out_when_they_tell_nothing(at: Any) -> None:  # noqa: ANN401
    """
    The evidence stays as it is.
    """
    elsewhere = world(
        Phase.PROGRESSING, remembered={"step": at}, readings={"errors": Measured(block(GOOD))},
        route=route({"1": "100", "2": "0"}),
    )  # fmt: skip
    assert after(elsewhere).evidence == (kept(metric_evidence()),)


@pytest.mark.parametrize(
    ("reading", "name"),
    [(NoData("no series"), VerdictName.NO_DATA), (Unavailable("connection refused"), VerdictName.UNAVAILABLE)],
    ids=["no data", "an outage"],
)
def test_no_counts_are_no_verdict(reading: NoData | Unavailable, name: VerdictName) -> None:
    """
    Even where the evidence would suffice; it is kept as it is.
    """
    certain = metric_evidence(ok=9.0)
    evidence, said = judged(reading, evidence=(kept(certain),))
    assert (evidence, said.verdict, said.message) == (certain, name, reading.message)


STORE = Store(1_767_268_775_125, 1_767_268_776_250, 1_767_268_770_000)


def test_who_told_of_a_block_is_remembered_with_it() -> None:
    """
    In the same write, or a look after a crash would not know.
    """
    found = after(world(Phase.PROGRESSING, readings={"errors": Measured(block(GOOD), store=STORE)}))
    account = Account.from_state(found.evidence[0].state)
    assert (account.counted_until, account.store) == (ago(10), STORE)


def test_a_block_of_another_store_is_left_out_and_said() -> None:
    """
    It passes nothing, even where the evidence would suffice; what it covers is over.
    """
    certain = metric_evidence(ok=9.0)
    reading = AnotherStore("another replica answered", until=ago(10), store=STORE)
    asked = world(Phase.PROGRESSING, remembered={"evidence": (kept(certain),)}, readings={"errors": reading})
    found = after(asked)
    account, (said,) = Account.from_state(found.evidence[0].state), found.verdicts
    assert (account.counted_until, account.store) == (ago(10), STORE)
    assert (account.ok_log, account.totals) == (pytest.approx(9.0), certain.rollout)
    assert (said.verdict, said.message) == (VerdictName.NO_DATA, "another replica answered")


@pytest.mark.parametrize("at", [step(in_place_since=None), PREVIEW], ids=["not in place", "nothing to compare"])
def test_where_nothing_is_counted_nothing_is_left_out(at: Any) -> None:  # noqa: ANN401
    """
    The evidence stays as it is.
    """
    reading = AnotherStore("another replica answered", until=ago(10), store=STORE)
    asked = world(
        Phase.PROGRESSING, remembered={"step": at}, readings={"errors": reading},
        route=route({"1": "100", "2": "0"}),
    )  # fmt: skip
    assert after(asked).evidence == (kept(metric_evidence()),)


def test_counts_of_nothing_are_no_verdict_either() -> None:
    """
    The source answered, and no request of the candidate is in it: that is said.
    """
    unused = metric_evidence(counts=(0.0, 0.0, 950.0, 1.0))
    _, said = judged(Measured(block((0.0, 0.0, 950.0, 1.0))), evidence=(kept(unused),))
    assert (said.verdict, said.message, said.seconds_left) == (VerdictName.NO_DATA, NOTHING_COUNTED, None)


def test_sufficient_evidence_passes() -> None:
    """
    With its numbers; nothing is left to wait for.
    """
    _, said = judged(Measured(block(GOOD)), evidence=(kept(metric_evidence(ok=5.0)),))
    assert (said.verdict, said.candidate.n, said.stable.x, said.seconds_left) == (VerdictName.PASSED, "100", "2", None)


def test_open_evidence_tells_how_long_it_will_take() -> None:
    """
    At the rates of the whole step.
    """
    _, said = judged(Measured(block(GOOD)))
    assert (said.verdict, said.message) == (VerdictName.INCONCLUSIVE, "")
    assert said.seconds_left is not None
    assert 0 < said.seconds_left < 3600


def test_a_candidate_above_its_margin_has_no_time_left_to_tell() -> None:
    """
    At these rates it will not be certified: the obstacle is named.
    """
    _, said = judged(Measured(block((50.0, 4.0, 950.0, 1.0))), evidence=(kept(metric_evidence(harm=-20.0)),))
    assert (said.verdict, said.seconds_left, said.message) == (VerdictName.INCONCLUSIVE, None, "AboveMargin")


def test_a_metric_that_was_not_due_keeps_its_verdict() -> None:
    """
    Nothing was read: nothing changes.
    """
    found = after(world(Phase.PROGRESSING))
    assert (found.verdicts, found.evidence) == ((verdict(),), (kept(metric_evidence()),))


def test_a_metric_that_is_new_in_the_spec_begins_with_fresh_evidence() -> None:
    """
    One that was taken out is forgotten.
    """
    ratio = {"name": "fraud", "ratio": {"total": "a{$arm}", "bad": "b{$arm}"}}
    found = after(world(Phase.PROGRESSING, sections={"analysis": {"metrics": [ratio]}}))
    assert ([item.name for item in found.evidence], found.verdicts) == (["fraud"], ())


@pytest.mark.parametrize(
    ("phase", "annotations", "expected"),
    [
        (Phase.STABLE, {ANNOTATION_RETRY: "new"}, "new"),
        (Phase.FAILED, {ANNOTATION_RETRY: "new"}, "old"),
        (Phase.PAUSED, {ANNOTATION_RETRY: "new"}, "old"),
        (Phase.STABLE, {}, "old"),
    ],
    ids=["seen where nothing acts on it", "open while failed", "open while paused", "taken away"],
)
def test_a_retry_never_fires_later_by_surprise(phase: Phase, annotations: dict[str, str], expected: str) -> None:
    """
    Outside the phases that act on it, the annotation counts as seen.
    """
    assert after(world(phase, annotations=annotations, remembered={"retry_seen": "old"})).retry_seen == expected


def test_an_object_without_a_rollout_stays_as_it_is() -> None:
    """
    Nothing is folded into an empty memory.
    """
    assert assess(deployment(), observed(), NOW).status == Status()


@pytest.mark.parametrize(
    ("changes", "programmed", "counted"),
    [
        ({}, Share("5%"), Share("5%")),
        ({"route": route({"1": "100"})}, None, Share("5%")),
        ({"remembered": {"evidence": ()}}, Share("5%"), None),
    ],
    ids=["all known", "not listed", "nothing counted"],
)
def test_the_shown_share_is_wanted_accepted_and_counted(
    changes: dict[str, Any], programmed: Share | None, counted: Share | None
) -> None:
    """
    Each absent when it is not known.
    """
    expected = TrafficStatus(wanted=Share("25%"), programmed=programmed, observed=counted)
    assert traffic_status(situation(Phase.PROGRESSING, **changes), Decimal(25)) == expected


def test_without_a_candidate_no_share_is_shown() -> None:
    """
    There is nothing to split.
    """
    assert traffic_status(situation(Phase.STABLE), Decimal(0)) is None


# ---------------------------------------------------------------- evidence is opened on what stable's past told

RATIO = {"name": "fraud", "ratio": {"total": "a{$arm}", "bad": "b{$arm}"}}
LATENCY = {"preset": "latency", "origin": "Gateway"}
EDGE = (JudgedEdge(0.25),)
PAST = Opening(phi=1.5, source=PhiSource.ESTIMATED, until=ago(60), more_pods=True)
PAST_CALLS = Opening(phi=1.5, source=PhiSource.ESTIMATED, until=ago(60), plan=TailPlan(EDGE, EDGE))


def opened(
    metric: dict[str, Any],
    history: Any = None,  # noqa: ANN401 - a History
    phase: Phase = Phase.PROGRESSING,
    analysis: dict[str, Any] | None = None,
    **seen: Any,  # noqa: ANN401 - any field of Observed
) -> Status:
    """
    The memory after a look in which this was told of stable's past; no evidence was kept before.
    """
    name = metric.get("name", metric.get("preset"))
    asked = world(
        phase,
        remembered={"evidence": (), "verdicts": ()},
        sections={"analysis": {"metrics": [metric], "overdispersion": None, **(analysis or {})}},
        histories={} if history is None else {name: history},
        **seen,
    )
    return after(asked)


def basis(status: Status) -> tuple[float, PhiSource, datetime | None] | None:
    """
    What the only evidence rests on; None: there is none.
    """
    if not status.evidence:
        return None
    account = Account.from_state(status.evidence[0].state)
    return account.metric.phi, account.source, account.counted_until


@pytest.mark.parametrize(
    ("metric", "history", "given", "expected"),
    [
        (RATIO, PAST, None, (1.5, PhiSource.ESTIMATED, ago(60))),
        (RATIO, None, None, None),
        (RATIO, None, "3", (3.0, PhiSource.GIVEN, None)),
        ({"preset": "errors"}, None, None, (2.0, PhiSource.ASSUMED, None)),
        (LATENCY, PAST_CALLS, None, (1.5, PhiSource.ESTIMATED, ago(60))),
        (LATENCY, PAST_CALLS, "3", (3.0, PhiSource.GIVEN, ago(60))),
        (LATENCY, None, "3", None),
    ],
    ids=[
        "a rate, as its past says",
        "a rate whose past was not told yet",
        "a rate whose scatter is given",
        "a rate whose past nobody can tell",
        "durations, as their past says",
        "durations whose scatter is given",
        "durations whose past was not told yet",
    ],
)
def test_evidence_is_opened_once_it_is_known_what_it_rests_on(
    metric: dict[str, Any],
    history: Any,  # noqa: ANN401 - a History, or None
    given: str | None,
    expected: Any,  # noqa: ANN401
) -> None:
    """
    What the spec says of scatter stands above what the past tells; where calls lie only the past can tell.
    """
    assert basis(opened(metric, history, analysis={"overdispersion": given})) == expected


@pytest.mark.parametrize(
    ("phase", "seen", "expected"),
    [
        (Phase.PREPARING, {}, True),
        (Phase.PREPARING, {"arms": arms(arm("1"), arm("2", ready=1))}, False),
        (Phase.PAUSED, {}, True),
        (Phase.STABLE, {}, False),
    ],
    ids=["all pods ready", "not all pods ready", "paused", "at rest"],
)
def test_evidence_is_opened_where_a_candidate_is_judged_or_about_to_be(
    phase: Phase,
    seen: dict[str, Any],
    expected: bool,  # noqa: FBT001 - a column of the table
) -> None:
    """
    Its past must not reach into what is judged.
    """
    assert (basis(opened(RATIO, PAST, phase, **seen)) is not None) is expected


@pytest.mark.parametrize(
    ("history", "name"),
    [(NoData("no call yet"), VerdictName.NO_DATA), (Unavailable("away"), VerdictName.UNAVAILABLE)],
    ids=["nothing to tell", "an outage"],
)
def test_a_past_that_is_not_told_is_a_metric_that_is_missing(history: NoData | Unavailable, name: VerdictName) -> None:
    """
    With the reason, so that nobody waits in the dark; before the first step nothing is said yet.
    """
    found = opened(LATENCY, history)
    assert [(said.name, said.verdict, said.message) for said in found.verdicts] == [("latency", name, history.message)]
    assert (found.verdicts[0].evidence, found.verdicts[0].harm) == ("1.0 of 20", "1.0 of 100")
    assert opened(LATENCY, history, Phase.PREPARING).verdicts == ()


def test_what_the_spec_asks_in_vain_is_a_metric_without_data() -> None:
    """
    In a step; before it, the rollout does not begin at all.
    """
    found = opened(LATENCY, Impossible("threshold: 0.3 is not a bucket edge"))
    assert (found.evidence, found.verdicts[0].verdict) == ((), VerdictName.NO_DATA)
    assert found.verdicts[0].message == "threshold: 0.3 is not a bucket edge"


def test_what_is_foreseen_is_kept_with_the_evidence() -> None:
    """
    It is not looked at again: the traffic of the rollout is counted.
    """
    few = Opening(phi=1.5, source=PhiSource.ESTIMATED, until=ago(60), rps=0.1, rate=0.0)
    (evidence,) = opened(RATIO, few).evidence
    assert Account.from_state(evidence.state).warning.startswith("fraud: at 0.1 requests a second the step at 5%")


def test_what_a_reader_of_the_counts_should_know_is_said() -> None:
    """
    Beside a verdict of either kind.
    """
    _, said = judged(Measured(block(GOOD), note="counters fell"))
    assert (said.verdict, said.message) == (VerdictName.INCONCLUSIVE, "counters fell")


def test_evidence_is_not_opened_twice() -> None:
    """
    What it rests on is never changed afterwards.
    """
    asked = world(Phase.PROGRESSING, histories={"errors": PAST})
    assert after(asked).evidence == (kept(metric_evidence()),)


def test_slices_are_opened_with_their_metric_and_counted_with_it() -> None:
    """
    Each by its label's value.
    """
    sliced = {"analysis": {"slices": {"label": "tenant", "values": ["a", "b"]}}}
    part = Measured(block(GOOD), {"b": block((5.0, 1.0, 95.0, 0.0))})
    found = after(
        world(Phase.PROGRESSING, remembered={"evidence": ()}, sections=sliced, readings={"errors": part})
    ).evidence
    slices = Account.from_state(found[0].state).slices
    assert slices is not None
    assert {value: totals.candidate.n for value, (_, totals) in slices.accounts.items()} == {"a": 0, "b": 5}


def test_durations_are_counted_and_forecast_like_rates() -> None:
    """
    Calls instead of bad answers.
    """
    latency = {"remembered": {"evidence": (kept(tail_evidence(), "latency"),), "verdicts": ()}}
    asked = world(
        Phase.PROGRESSING, **latency, sections={"analysis": {"metrics": [LATENCY]}},
        readings={"latency": Measured(tail_block((50.0, 0.0), (949.0, 1.0)))},
    )  # fmt: skip
    (said,) = after(asked).verdicts
    assert (said.candidate.n, said.candidate.x, said.stable.n, said.verdict) == (
        "100", "0", "1900", VerdictName.INCONCLUSIVE,
    )  # fmt: skip
    assert said.seconds_left is not None
    assert 0 < said.seconds_left < 3600


def test_of_a_metric_that_became_another_kind_nothing_is_forecast() -> None:
    """
    What is kept belongs to what it was.
    """
    other = Measured(tail_block((50.0, 0.0), (950.0, 1.0)))
    evidence, said = judged(other)
    assert (evidence.step, said.seconds_left) == (metric_evidence().step, None)


def test_a_limit_judges_without_stable() -> None:
    """
    The same counts are harm beside an objective, and not beside a stable revision that is as bad.
    """
    as_bad = Measured(block((500.0, 50.0, 9500.0, 950.0)))
    fresh = {"evidence": (), "verdicts": ()}
    harm = [
        after(
            world(
                Phase.PROGRESSING, remembered=fresh, sections={"analysis": {"metrics": [metric]}},
                readings={"errors": as_bad},
            )
        ).verdicts[0].verdict
        for metric in ({"preset": "errors"}, {"preset": "errors", "against": {"limit": "2%"}})
    ]  # fmt: skip
    assert harm == [VerdictName.INCONCLUSIVE, VerdictName.FAILED]


def test_a_metric_without_evidence_weighs_as_much_as_one_with_it() -> None:
    """
    Weights are fixed before the rollout: what one metric shows counts half while the other waits.
    """
    two = {"analysis": {"metrics": [{"preset": "errors"}, LATENCY]}}
    harmful = {"evidence": (kept(metric_evidence(harm=5.0)),)}
    s = situation(Phase.PROGRESSING, remembered=harmful, sections=two)
    assert [(vote.name, vote.weight) for vote in s.votes] == [("errors", 0.5), ("latency", 0.5)]
    assert s.harm_log == pytest.approx(math.log((math.exp(5.0) + 1) / 2))


def test_critical_metrics_share_one_half() -> None:
    """
    All others the other half.
    """
    metrics = [{"preset": "errors", "weight": "Critical"}, LATENCY, RATIO]
    s = situation(Phase.PROGRESSING, sections={"analysis": {"metrics": metrics}})
    assert [(vote.name, vote.weight) for vote in s.votes] == [("errors", 0.5), ("latency", 0.25), ("fraud", 0.25)]


def test_a_metric_is_found_by_its_name() -> None:
    """
    None, where the spec names it no more or nothing is measured.
    """
    s = situation(Phase.PROGRESSING)
    unmeasured = situation(Phase.PROGRESSING, sections={"analysis": {"mode": "GuardrailsOnly"}})
    assert (s.metric("errors"), s.metric("gone"), unmeasured.metric("errors")) == (s.judged_metrics[0], None, None)
