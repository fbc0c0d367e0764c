from datetime import timedelta
from typing import Any

import pytest
from fakes.rollout import (
    NO_ROUTE,
    NOW,
    ago,
    arm,
    arms,
    candidate,
    kept,
    metric_evidence,
    rev,
    route,
    situation,
    step,
    tail_evidence,
    world,
)

from modelramp.analysis import Window
from modelramp.analysis.stores import UNKNOWN_STORE, Store
from modelramp.analysis.tailplan import OverThreshold, QuantileGrowth, QuantileLimit
from modelramp.api.spec import WarmUp
from modelramp.api.vocabulary import Phase
from modelramp.rollout import needs
from modelramp.rollout.account import Account
from modelramp.rollout.counters import ArmSelectors
from modelramp.rollout.needs import (
    USUAL_GROWTH,
    CounterQuestion,
    Needs,
    WarmUpQuestion,
    history_of,
    next_counts_at,
    question_of,
)

MINUTES = timedelta(minutes=5)
SHARES = {"1": "95", "2": "5"}
OLD = arm("3", role="retired")


def asked(phase: Phase, **changes: Any) -> Needs:  # noqa: ANN401 - as `world`
    """
    What is asked in a world.
    """
    return needs(*world(phase, **changes), NOW)


def windows(found: Needs) -> list[tuple[str, Window]]:
    """
    The metrics asked for, with their windows.
    """
    return [(question.name, question.window) for question in found.counters]


@pytest.mark.parametrize(
    "phase", [Phase.PENDING, Phase.PREPARING, Phase.PROMOTING, Phase.STABLE, Phase.FAILED], ids=str
)
def test_nothing_is_asked_where_nothing_is_judged(phase: Phase) -> None:
    """
    An object at rest costs the metric source nothing.
    """
    assert asked(phase) == Needs()


@pytest.mark.parametrize("phase", [Phase.PROGRESSING, Phase.PAUSED], ids=str)
def test_new_counts_are_asked_for_from_where_the_last_ended(phase: Phase) -> None:
    """
    Up to the newest multiple of the interval at which samples are complete, with five minutes of look-back.
    """
    found = asked(phase)
    assert windows(found) == [("errors", Window(since=ago(30) - MINUTES, after=ago(30), until=ago(15)))]
    assert (found.drain, found.drain_at, found.warm_up) == ((), None, None)


def test_both_arms_are_asked_for() -> None:
    """
    With the selectors of their own revisions.
    """
    (question,) = asked(Phase.PROGRESSING).counters
    assert isinstance(question.candidate, ArmSelectors)
    assert isinstance(question.stable, ArmSelectors)
    assert (rev("2") in question.candidate.total, rev("1") in question.stable.total) == (True, True)


def test_each_metric_s_question_says_who_told_of_its_last_block() -> None:
    """
    An older version's evidence does not know.
    """
    analysis = {"metrics": [{"preset": "errors"}, {"preset": "latency", "threshold": "250ms"}]}
    store = Store(1_767_268_770_125, 1_767_268_771_750)
    evidence = (kept(metric_evidence()), kept(Account(tail_evidence(), store=store), "latency"))
    found = asked(Phase.PROGRESSING, sections={"analysis": analysis}, remembered={"evidence": evidence})
    assert [question.store for question in found.counters] == [UNKNOWN_STORE, store]


@pytest.mark.parametrize(
    "evidence", [(kept(metric_evidence(counted_until=None)),), (kept(metric_evidence(counted_until=ago(500))),)],
    ids=["nothing counted", "counted in an earlier step"],
)  # fmt: skip
def test_the_first_counts_of_a_step_begin_once_it_has_settled(evidence: Any) -> None:  # noqa: ANN401
    """
    Five seconds after its traffic was in place, or nothing of the old split may be in them.
    """
    found = asked(Phase.PROGRESSING, remembered={"evidence": evidence})
    assert windows(found) == [("errors", Window(since=ago(175) - MINUTES, after=ago(175), until=ago(15)))]


@pytest.mark.parametrize(
    "changes",
    [
        {"remembered": {"evidence": (kept(metric_evidence(counted_until=ago(15))),)}},
        {"remembered": {"evidence": ()}},
        {"remembered": {"step": step(in_place_since=None)}},
        {"remembered": {"step": step("0", preview=True)}},
        {"remembered": {"stable": None}},
        {"remembered": {"candidate": None}},
        {"sections": {"analysis": {"mode": "GuardrailsOnly"}}},
    ],
    ids=[
        "not due",
        "no evidence yet",
        "not in place",
        "nothing to compare with",
        "no stable",
        "no candidate",
        "guardrails only",
    ],
)
def test_counts_are_not_asked_for_without_need(changes: dict[str, Any]) -> None:
    """
    No multiple of the interval has passed, what the evidence rests on is not known, or there is nothing to judge.
    """
    assert asked(Phase.PROGRESSING, **changes).counters == ()


def test_a_metric_without_known_counters_is_asked_for_all_the_same() -> None:
    """
    Without selectors: the answer says that the operator knows none.
    """
    found = asked(Phase.PROGRESSING, route=route(SHARES, controller=None))
    window = Window(since=ago(30) - MINUTES, after=ago(30), until=ago(15))
    assert found.counters == (CounterQuestion(name="errors", candidate=None, stable=None, window=window),)


@pytest.mark.parametrize(
    ("phase", "changes", "expected"),
    [
        (Phase.ROLLING_BACK, {}, ["2", "1"]),
        (Phase.STABLE, {"arms": arms(arm("1"), OLD)}, ["3", "1"]),
        (Phase.STABLE, {"arms": arms(arm("1"), arm("3", wanted_replicas=0))}, []),
        (Phase.ROLLING_BACK, {"route": NO_ROUTE}, []),
        (Phase.ROLLING_BACK, {"remembered": {"stable": None}, "arms": arms(arm("2"))}, ["2"]),
        (Phase.ROLLING_BACK, {"remembered": {"candidate": None}, "arms": arms(arm("1"))}, []),
    ],
    ids=[
        "the candidate, and stable beside it",
        "a retired revision with pods",
        "a retired revision that is shrunk already",
        "no gateway whose counters are known",
        "a first revision alone",
        "nobody leaves",
    ],
)
def test_what_still_reaches_a_leaving_revision_is_asked(
    phase: Phase, changes: dict[str, Any], expected: list[str]
) -> None:
    """
    Stable's own series tell an arm that gets nothing from a gateway that is not scraped.
    """
    found = asked(phase, **changes)
    assert [question.revision for question in found.drain] == [rev(version) for version in expected]
    assert found.drain_at == (ago(5) if expected else None)


def test_drain_questions_ask_for_requests_in_flight_too() -> None:
    """
    A long request is not counted before it ends.
    """
    found = asked(Phase.ROLLING_BACK).drain[0]
    cluster = f'envoy_cluster_name="ml_fraud-{rev("2")}_80"'
    expected = (f"envoy_cluster_upstream_rq_xx{{{cluster}}}", f"envoy_cluster_upstream_rq_active{{{cluster}}}")
    assert (found.total, found.in_flight) == expected


WARM_UP = {"serving": {"warmUp": {"path": "/infer"}}}
COLD = {"candidate": candidate(warm=False)}


def test_a_ready_candidate_that_is_cold_is_warmed_up() -> None:
    """
    Once all its pods are ready, and before users reach it.
    """
    found = asked(Phase.PREPARING, sections=WARM_UP, remembered=COLD)
    assert found == Needs(warm_up=WarmUpQuestion(revision=rev("2"), warm_up=WarmUp(path="/infer")))


@pytest.mark.parametrize(
    "changes",
    [
        {"sections": {}},
        {"remembered": {}},
        {"remembered": {"candidate": None}},
        {"arms": arms(arm("1"))},
        {"arms": arms(arm("1"), arm("2", ready=1))},
        {"version": "3"},
    ],
    ids=["none asked for", "warm already", "no candidate", "not created", "not all ready", "the spec names another"],
)
def test_a_warm_up_is_not_sent_without_need(changes: dict[str, Any]) -> None:
    """
    Not to a candidate that is warm, not ready, or not what the spec's warm-up is meant for.
    """
    assert asked(Phase.PREPARING, **{"sections": WARM_UP, "remembered": COLD, **changes}).warm_up is None


@pytest.mark.parametrize(
    ("remembered", "delay", "seconds"),
    [
        ({}, "5s", 5),
        ({"evidence": (kept(metric_evidence(counted_until=ago(10))),)}, "5s", 5),
        ({}, "500ms", 1),
        ({"evidence": (kept(metric_evidence(counted_until=None)),)}, "5s", 5),
        ({"evidence": (kept(metric_evidence(counted_until=None)),), "step": step(in_place_since=ago(1))}, "5s", 20),
        ({"evidence": (kept(metric_evidence(counted_until=ago(-6))),)}, "5s", 20),
        ({"evidence": ()}, "5s", None),
        ({"step": step(in_place_since=None)}, "5s", None),
        ({"step": step("0", preview=True)}, "5s", None),
    ],
    ids=[
        "one is missed",
        "counted up to now",
        "up to whole seconds",
        "nothing counted",
        "not settled",
        "left out for a while",
        "no evidence",
        "not in place",
        "nothing to compare",
    ],
)
def test_the_next_counts_are_due_a_delay_after_a_multiple_of_the_interval(
    remembered: dict[str, Any], delay: str, seconds: float | None
) -> None:
    """
    All objects look at the same instants; the next look comes neither before there is anything nor long after.
    """
    sections = {"analysis": {"interval": "15s", "prometheus": {"delay": delay}}}
    found = next_counts_at(situation(Phase.PROGRESSING, remembered=remembered, sections=sections))
    assert found == (None if seconds is None else NOW + timedelta(seconds=seconds))


def test_a_window_shorter_than_the_interval_is_marked() -> None:
    """
    That nothing was scraped in it means nothing.
    """
    ends = {"evidence": (kept(metric_evidence(counted_until=ago(16))),)}
    found = [asked(Phase.PROGRESSING, **changes).counters[0].short for changes in ({}, {"remembered": ends})]
    assert found == [False, True]


SLICED: dict[str, Any] = {"slices": {"label": "tenant", "values": ["a", "b"]}}
LATENCY = {"preset": "latency"}


def test_slices_are_asked_of_rates_only() -> None:
    """
    They are found in the samples of their metric.
    """
    remembered = {"evidence": (kept(metric_evidence()), kept(tail_evidence(), "latency"))}
    sections = {"analysis": {**SLICED, "metrics": [{"preset": "errors"}, LATENCY]}}
    found = asked(Phase.PROGRESSING, remembered=remembered, sections=sections).counters
    assert [(one.name, one.slice_label, one.slice_values) for one in found] == [
        ("errors", "tenant", ("a", "b")),
        ("latency", None, ()),
    ]


UNKNOWN_SCATTER: dict[str, Any] = {"overdispersion": None, "lookBack": "6h"}
OWN = {"name": "fraud", "ratio": {"total": "a{$arm}", "bad": "b{$arm}"}}
AT_GATEWAY = {"name": "fraud", "ratio": {"total": 'a{svc="${service}"}', "bad": 'b{svc="${service}"}'}}
NOTHING_YET: dict[str, Any] = {"evidence": (), "verdicts": ()}


def histories(
    analysis: dict[str, Any],
    phase: Phase = Phase.PROGRESSING,
    serving: dict[str, Any] | None = None,
    **changes: Any,  # noqa: ANN401 - as `world`
) -> list[tuple[str, bool, Any]]:
    """
    Of what stable's past is asked: the metric, whether its series tell pods apart, and what is asked of durations.
    """
    remembered = {**NOTHING_YET, **changes.pop("remembered", {})}
    sections = {"analysis": analysis, "serving": serving or {}}
    found = asked(phase, remembered=remembered, sections=sections, **changes).histories
    return [(one.name, one.tells_pods, one.question) for one in found]


MLSERVER = {"runtime": "mlserver"}


@pytest.mark.parametrize(
    ("metric", "analysis", "expected"),
    [
        (OWN, UNKNOWN_SCATTER, [("fraud", True, None)]),
        (OWN, {}, []),
        (AT_GATEWAY, UNKNOWN_SCATTER, []),
        ({"preset": "errors"}, UNKNOWN_SCATTER, [("errors", True, None)]),
        (LATENCY, {}, [("latency", True, USUAL_GROWTH)]),
        ({**LATENCY, "origin": "Gateway"}, {}, [("latency", False, USUAL_GROWTH)]),
        ({**LATENCY, "threshold": "250ms"}, {}, [("latency", True, OverThreshold(0.25))]),
        ({**LATENCY, "quantile": "0.9", "mayGrow": "50%"}, {}, [("latency", True, QuantileGrowth(0.9, 0.5))]),
        ({**LATENCY, "quantile": "0.95", "below": "2s"}, {}, [("latency", True, QuantileLimit(0.95, 2.0))]),
    ],
    ids=[
        "how a rate scatters",
        "a rate whose scatter is given",
        "a rate that is not told by pod",
        "a preset of the gateway, by what the server tells",
        "durations, even where the scatter is given",
        "durations of the gateway",
        "durations over a threshold",
        "a quantile that may grow",
        "a quantile with a limit",
    ],
)
def test_stable_s_past_is_asked_before_the_first_block(
    metric: dict[str, Any], analysis: dict[str, Any], expected: list[Any]
) -> None:
    """
    Only where it has something to tell: how events scatter, or where the calls' durations lie.
    """
    assert histories({**analysis, "metrics": [metric]}, serving=MLSERVER) == expected


@pytest.mark.parametrize(
    ("asks", "field"),
    [({"threshold": "250ms"}, "threshold"), ({"quantile": "0.9", "below": "2s"}, "below"), ({}, "quantile")],
    ids=["a threshold", "a limit", "a growth"],
)
def test_what_is_asked_is_told_with_its_field(asks: dict[str, Any], field: str) -> None:
    """
    So that what cannot be answered can be mended.
    """
    metrics = [{"preset": "errors"}, {**LATENCY, **asks}]
    (question,) = asked(
        Phase.PROGRESSING, remembered=NOTHING_YET, sections={"analysis": {"metrics": metrics}}
    ).histories  # fmt: skip
    assert question.field == f"spec.analysis.metrics[1].{field}"


def test_the_past_is_that_of_stable_up_to_where_samples_are_complete() -> None:
    """
    As far back as the spec says.
    """
    analysis = {**UNKNOWN_SCATTER, "metrics": [OWN]}
    (question,) = asked(Phase.PROGRESSING, remembered=NOTHING_YET, sections={"analysis": analysis}).histories
    pods = f'namespace="ml",pod=~"fraud-{rev("1")}-[a-z0-9]+-[a-z0-9]+"'
    assert question.stable == ArmSelectors(total=f"a{{{pods}}}", bad=f"b{{{pods}}}")
    assert (question.until, question.look_back) == (ago(5), timedelta(hours=6))


def test_of_durations_nobody_tells_the_past_is_asked_without_selectors() -> None:
    """
    The answer says that the operator knows none: a metric is never passed over in silence.
    """
    found = asked(
        Phase.PROGRESSING,
        remembered=NOTHING_YET,
        sections={"analysis": {"metrics": [{**LATENCY, "origin": "Runtime"}]}},
    )
    assert [(one.name, one.stable, one.tells_pods) for one in found.histories] == [("latency", None, False)]


@pytest.mark.parametrize(
    ("phase", "changes", "expected"),
    [
        (Phase.PREPARING, {}, True),
        (Phase.PREPARING, {"arms": arms(arm("1"), arm("2", ready=1))}, False),
        (Phase.PREPARING, {"arms": arms(arm("1"))}, False),
        (Phase.PREPARING, {"remembered": {"stable": None}}, False),
        (Phase.PROGRESSING, {}, True),
        (Phase.PROGRESSING, {"remembered": {"step": step("100")}}, True),
        (Phase.PROGRESSING, {"remembered": {"candidate": None}}, False),
        (Phase.PROGRESSING, {"remembered": {"evidence": (kept(metric_evidence(), "fraud"),)}}, False),
        (Phase.PAUSED, {}, True),
        (Phase.ROLLING_BACK, {}, False),
    ],
    ids=[
        "about to be judged",
        "not all pods ready",
        "not created",
        "nothing to compare with",
        "judged",
        "has everything",
        "no candidate",
        "known already",
        "paused",
        "taken out",
    ],
)
def test_the_past_is_asked_once_where_a_candidate_is_judged_or_about_to_be(
    phase: Phase,
    changes: dict[str, Any],
    expected: bool,  # noqa: FBT001 - a column of the table
) -> None:
    """
    It is long, and an object at rest costs the metric source nothing.
    """
    assert bool(histories({**UNKNOWN_SCATTER, "metrics": [OWN]}, phase, **changes)) is expected


def test_of_no_stable_there_is_no_past() -> None:
    """
    The first revision is compared with nothing.
    """
    s = situation(Phase.PREPARING, remembered={"stable": None})
    assert history_of(s, s.judged_metrics[0]) is None


def test_a_rate_asks_nothing_of_durations() -> None:
    """
    There is no question to plan edges for.
    """
    assert question_of(situation(Phase.PROGRESSING).judged_metrics[0]) is None
