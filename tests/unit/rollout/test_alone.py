"""
The candidate has everything: judged without stable, by what was counted of it before, and by limits.
"""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from fakes.rollout import (
    NOW,
    ago,
    arm,
    arms,
    block,
    candidate,
    kept,
    metric_evidence,
    rev,
    route,
    situation,
    step,
    tail_block,
    tail_evidence,
    verdict,
    world,
)

from modelramp.analysis import HARM_GRID, Block, Counts, EProcess, limit_margins, margins
from modelramp.analysis.betting import GaugeEvidence
from modelramp.analysis.frozen import FORFEIT, UNBOUNDED, alone, doubt, upper_rate
from modelramp.analysis.slices import SliceEvidence
from modelramp.analysis.stores import Store
from modelramp.api.status import Status, VerdictName
from modelramp.api.vocabulary import ConditionType, Phase, Reason
from modelramp.rollout.account import Account
from modelramp.rollout.alone import freeze, margins_alone
from modelramp.rollout.assess import NO_BASELINE, assess
from modelramp.rollout.conditions import CONDITIONS
from modelramp.rollout.guards import certified, first_revision_harmful, promotion_in_place
from modelramp.rollout.messages import message
from modelramp.rollout.needs import history_of, needs
from modelramp.rollout.observed import Measured, NoData, Reading
from modelramp.rollout.opening import Opening, PhiSource
from modelramp.rollout.questions import CounterQuestion
from modelramp.rollout.situation import Situation
from modelramp.rollout.strategy import wealth_of
from modelramp.rollout.waiting import waiting_message

EVERYTHING = {"1": "0", "2": "100"}
LIMIT = {"preset": "errors", "against": {"limit": "2%"}}
BLUE_GREEN = {"blueGreen": {}}
UNSPENT = EProcess(HARM_GRID, (-0.2877,) * len(HARM_GRID), 0.25)
LONG = (5000.0, 10.0, 20000.0, 40.0)
MARGINS = margins(0.005, 1.0)


def account(counts: tuple[float, float, float, float] = LONG, **changes: Any) -> Account:  # noqa: ANN401 - any field
    """
    A rate with a quarter of its wealth left.
    """
    return Account(replace(metric_evidence(counts=counts), harm=UNSPENT), **changes)


def judged(reading: Reading, before: Account, **changes: Any) -> tuple[Account, Status]:  # noqa: ANN401 - as `world`
    """
    The evidence and the memory after a look in the step at 100 %.
    """
    remembered = {"evidence": (kept(before),), "step": step("100"), "verdicts": (), **changes.pop("remembered", {})}
    seen = world(
        Phase.PROGRESSING, route=route(EVERYTHING), readings={"errors": reading}, remembered=remembered, **changes
    )
    after = assess(*seen, NOW).status
    return Account.from_state(after.evidence[0].state), after


def mine(n: float, x: float) -> Measured:
    """
    Counts of the candidate alone.
    """
    return Measured(Block(ago(25), ago(10), Counts(n, x), Counts()))


def test_the_first_look_freezes_what_was_counted_of_stable() -> None:
    """
    The whole rollout's, at the metric's share of the doubt; paid for; and a second look changes the bound no more.
    """
    once, _ = judged(mine(400, 1), account())
    assert once.bounds == (upper_rate(Counts(20000.0, 40.0), delta=doubt(1.0)),)
    left = once.metric.harm
    assert isinstance(left, EProcess)
    assert left.unstarted == pytest.approx((0.25 - FORFEIT) / 2 * 0.95)
    again = Measured(Block(ago(10), ago(5), Counts(9e4, 0), Counts()))
    twice, _ = judged(again, once)
    assert (twice.bounds, twice.totals.candidate.n) == (once.bounds, 5000 + 400 + 9e4)


def test_harm_is_found_alone_and_what_is_as_good_is_not_harm() -> None:
    """
    Ten times stable's rate, and its very rate.
    """
    bad, _ = judged(mine(1000, 20), account())
    good, _ = judged(mine(1000, 2), account())
    assert bad.harm_log > 5.0
    assert good.harm_log < 0.5


def test_a_limit_needs_no_bound() -> None:
    """
    And its slices go on being held against it, which a bound on all of stable's requests does not allow.
    """
    slices = SliceEvidence.begin(("a",), wealth_of(situation(Phase.PROGRESSING).spec), phi=1.0)
    seen = Measured(block((400, 1, 0, 0)), {"a": block((100, 90, 0, 0))})
    told = {"slices": {"label": "tenant", "values": ["a"]}}
    held, _ = judged(seen, account(slices=slices), sections={"analysis": {"metrics": [LIMIT], **told}})
    compared, _ = judged(seen, account(slices=slices), sections={"analysis": told})
    assert (held.bounds, compared.bounds is None) == ((), False)
    assert held.slices is not None
    assert compared.slices is not None
    assert held.slices.logs["a"] > 5.0
    assert compared.slices.logs["a"] < 0.1


def test_where_nothing_is_known_of_stable_nothing_is_shown_and_that_is_said() -> None:
    """
    Not even of a candidate that always fails: a limit would.
    """
    found, after = judged(mine(400, 400), account((0.0, 0.0, 0.0, 0.0)))
    assert (found.bounds, found.compares_nothing) == ((UNBOUNDED,), True)
    assert found.harm_log < 1.0
    assert [one.message for one in after.verdicts] == [NO_BASELINE]


def test_a_bound_that_says_too_little_lets_nothing_pass() -> None:
    """
    A bad version behind a stable of some seconds would be promoted: it waits for its deadline instead, and says why.
    One that was certified beside stable before needs no bound.
    """
    for known, passes in ((Counts(20.0, 0.0), False), (Counts(5000.0, 5.0), True)):
        counted, after = judged(mine(400, 1), account((0.0, 0.0, 0.0, 0.0), past=(known,)))
        remembered = {"step": step("100"), "verdicts": after.verdicts, "evidence": (kept(counted),)}
        at_once = {"strategy": BLUE_GREEN}
        s = situation(Phase.PROGRESSING, route=route(EVERYTHING), remembered=remembered, sections=at_once)
        assert certified(s) is passes
        assert certified(situation(Phase.PROGRESSING, route=route(EVERYTHING), remembered=remembered))
        assert ("too little was counted of stable" in waiting_message(s)) is not passes


def test_the_past_stands_for_stable_where_the_rollout_has_nothing() -> None:
    """
    It was read with the history.
    """
    found, _ = judged(mine(400, 1), account((0.0, 0.0, 0.0, 0.0), past=(Counts(5000.0, 5.0),)))
    assert found.bounds == (upper_rate(Counts(5000.0, 5.0), delta=doubt(1.0)),)


def test_durations_are_held_against_stable_s_past() -> None:
    """
    At each edge of their plan, which becomes absolute.
    """
    metrics = {"analysis": {"metrics": [{"name": "errors", "preset": "latency"}]}}
    evidence = replace(tail_evidence(), harm=(UNSPENT,))
    past = (Counts(20000.0, 400.0),)
    found, _ = judged(Measured(tail_block((100, 200), (0, 0))), Account(evidence, past=past), sections=metrics)
    assert found.bounds == (upper_rate(past[0], delta=doubt(1.0)),)
    assert found.harm_log > 5.0
    assert margins_alone(found, MARGINS) == MARGINS


def test_a_gauge_is_not_judged_alone() -> None:
    """
    It needs stable beside it: not asked for, not waited for, and never frozen.
    """
    gauge = {"name": "errors", "gauge": {"value": "queue{$arm}"}}
    s = situation(
        Phase.PROGRESSING, remembered={"step": step("100")}, sections={"analysis": {"metrics": [gauge]}},
    )  # fmt: skip
    assert (s.counted_metrics, certified(s)) == ((), True)
    kept_as_is = Account(GaugeEvidence.begin(scale=1.0, tau=1.0))
    assert freeze(kept_as_is, MARGINS, delta=0.1) is kept_as_is


def test_what_it_is_held_against_survives_a_restart() -> None:
    """
    Past and bounds are in the state, and only where there are any.
    """
    for one in (
        account(),
        account(past=(Counts(1.0, 0.0), Counts(7.0, 3.0)), bounds=()),
        account(bounds=(0.02,)),
    ):
        assert Account.from_state(one.to_state()) == one
    assert {"past", "bounds"}.isdisjoint(account().to_state())
    assert margins_alone(account(bounds=(0.02,)), MARGINS).harm == alone(MARGINS.harm, 0.02)
    assert margins_alone(account(bounds=()), limit_margins(0.02)) == limit_margins(0.02)


def test_an_opening_hands_its_past_on() -> None:
    """
    Of a rate and of durations.
    """
    past, wealth = (Counts(9.0, 1.0),), wealth_of(situation(Phase.PROGRESSING).spec)
    rate = Opening(phi=1.0, source=PhiSource.GIVEN, past=past)
    tails = Opening(phi=1.0, source=PhiSource.GIVEN, past=past, plan=tail_evidence().plan)
    assert [Account.open(one, wealth).past for one in (rate, tails)] == [past, past]


def test_what_a_bound_costs_is_kept_back_beside_stable() -> None:
    """
    However long the steps before the switch were.
    """
    poor = Account(replace(metric_evidence(), harm=EProcess(HARM_GRID, (0.0,) * len(HARM_GRID), FORFEIT)))
    wealth = wealth_of(situation(Phase.PROGRESSING).spec)
    after = poor.enter_step(wealth).observe(block((10, 0, 90, 0)), {}, MARGINS, wealth)
    assert isinstance(after.metric.harm, EProcess)
    assert after.metric.harm.unstarted == FORFEIT


def question(**changes: Any) -> tuple[CounterQuestion, ...]:  # noqa: ANN401 - as `world`
    """
    What is asked in the step at 100 %.
    """
    remembered = {"step": step("100"), **changes.pop("remembered", {})}
    asked = world(Phase.PROGRESSING, route=route(EVERYTHING), remembered=remembered, **changes)
    return needs(*asked, NOW).counters


def test_only_the_candidate_is_asked_for() -> None:
    """
    Stable's series need not be there any more, and that they are not is no other store's answer.
    """
    told = account(store=Store(5, 7, 3))
    (asked,) = question(remembered={"evidence": (kept(told),)})
    assert asked.stable is None
    assert asked.candidate is not None
    assert (asked.store, asked.tells_pods) == (Store(5, 0, 3), False)


@pytest.mark.parametrize(
    ("strategy", "metric", "overdispersion", "asked", "tells_pods"),
    [
        (BLUE_GREEN, {"preset": "errors"}, "1", True, False),
        (BLUE_GREEN, {"preset": "errors"}, None, True, False),
        (BLUE_GREEN, LIMIT, "1", False, None),
        (BLUE_GREEN, {"name": "own", "ratio": {"bad": "b{$arm}", "total": "t{$arm}"}}, None, True, True),
        (BLUE_GREEN, {"name": "own", "ratio": {"bad": "b{$arm}", "total": "t{$arm}"}}, "1", True, False),
        ({"blueGreen": {"shadow": {}}}, {"preset": "errors"}, "1", False, None),
        ({}, {"preset": "errors"}, "1", False, None),
    ],
    ids=[
        "the gateway's errors", "without a given scatter", "a limit", "own series", "own series, given scatter",
        "copies come first", "a canary",
    ],
)  # fmt: skip
def test_stable_s_past_is_asked_for_where_it_must_stand_for_stable(
    strategy: dict[str, Any], metric: dict[str, Any], overdispersion: str | None, asked: bool, tells_pods: bool | None  # noqa: FBT001 - columns
) -> None:  # fmt: skip
    """
    By the very series that are counted; beside them the scatter only where it is wanted and told.
    """
    analysis = {"metrics": [metric], "overdispersion": overdispersion}
    s = situation(Phase.PREPARING, sections={"strategy": strategy, "analysis": analysis})
    found = history_of(s, s.judged_metrics[0])
    assert (found is not None) is asked
    if found is not None:
        assert found.baseline is not None
        assert rev("1") in found.baseline.total
        assert found.tells_pods is tells_pods


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ((verdict(VerdictName.INCONCLUSIVE),), True),
        ((verdict(VerdictName.PASSED),), True),
        ((), False),
        ((verdict(VerdictName.NO_DATA),), False),
        ((verdict(VerdictName.UNAVAILABLE),), False),
    ],
    ids=["no harm is shown", "certified", "not looked at", "no data", "unavailable"],
)
def test_alone_every_metric_must_have_been_seen(said: tuple[Any, ...], expected: bool) -> None:  # noqa: FBT001
    """
    Soak time without data promotes nothing.
    """
    s = situation(Phase.PROGRESSING, remembered={"step": step("100"), "verdicts": said})
    assert certified(s) is expected


def test_a_step_waits_for_the_metrics_it_names() -> None:
    """
    For the others it does not.
    """
    both = [{"preset": "errors"}, {"preset": "latency"}]
    for named, expected in ((["errors"], True), (["errors", "latency"], False), (None, False)):
        steps = [{"traffic": "5%", "metrics": named}, {"traffic": "100%"}]
        s = situation(
            Phase.PROGRESSING,
            remembered={"verdicts": (verdict(VerdictName.PASSED),)},
            sections={"analysis": {"metrics": both}, "strategy": {"canary": {"steps": steps}}},
        )
        assert certified(s) is expected


def test_the_message_tells_the_bound_and_what_it_cannot_tell() -> None:
    """
    A world that got worse looks like a candidate that is.
    """
    remembered = {"step": step("100"), "evidence": (kept(account(bounds=(0.0123,))),)}
    s = situation(Phase.PROGRESSING, remembered=remembered)
    told = message(Reason.ANALYSIS_FAILED, s)
    assert "at most: errors at 1.230%; a world that got worse since looks the same" in told
    beside = situation(Phase.PROGRESSING, remembered={"evidence": (kept(account()),)})
    assert "before" not in message(Reason.ANALYSIS_FAILED, beside)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ((), "waiting for the first counts of the step"),
        ((verdict(VerdictName.NO_DATA, message="no request"),), "errors: no request"),
        ((verdict(),), "no harm is shown; soaking for 2 min"),
    ],
)
def test_what_is_waited_for_alone(said: tuple[Any, ...], expected: str) -> None:
    """
    Counts, data, time.
    """
    s = situation(Phase.PROGRESSING, route=route(EVERYTHING), remembered={"step": step("100"), "verdicts": said})
    assert waiting_message(s) == expected


def first(now_since: float = 200, **changes: Any) -> Situation:  # noqa: ANN401 - as `world`
    """
    The first revision has everything for so many seconds, and is held against a limit.
    """
    remembered = {
        "stable": None,
        "candidate": candidate(),
        "step": step("100", entered_at=ago(now_since), in_place_since=ago(now_since)),
        "verdicts": (verdict(),),
        **changes.pop("remembered", {}),
    }
    sections = {"analysis": {"metrics": [LIMIT]}, **changes.pop("sections", {})}
    seen = {"arms": arms(arm("2")), "route": route({"2": "100"})}
    return situation(Phase.PROMOTING, remembered=remembered, sections=sections, **seen, **changes)


@pytest.mark.parametrize(
    ("seconds", "changes", "expected"),
    [
        (200, {}, True),
        (100, {}, False),
        (200, {"remembered": {"verdicts": ()}}, False),
        (3600, {"remembered": {"verdicts": ()}}, True),
        (100, {"version": "3"}, True),
        (100, {"sections": {"analysis": {"metrics": [{"preset": "errors"}]}}}, True),
        (100, {"remembered": {"step": None}}, True),
    ],
    ids=["soaked", "not soaked", "not looked at", "its deadline passed", "superseded", "no limit", "begun long ago"],
)
def test_a_first_revision_with_limits_is_watched_before_it_is_stable(
    seconds: float,
    changes: dict[str, Any],
    expected: bool,  # noqa: FBT001 - a column of the table
) -> None:
    """
    For the last step's soak time, and never beyond its deadline.
    """
    assert promotion_in_place(first(seconds, **changes)) is expected


def test_a_first_revision_above_its_limit_serves_and_is_not_ready() -> None:
    """
    Nothing can take over.
    """
    s = first(remembered={"evidence": (kept(metric_evidence(9.0)),)})
    assert first_revision_harmful(s)
    assert not first_revision_harmful(first(remembered={"evidence": (kept(metric_evidence(1.0)),)}))
    assert "nothing can take over, so it goes on serving" in message(Reason.ANALYSIS_FAILED, s)
    after = situation(Phase.STABLE, remembered={"reason": Reason.ANALYSIS_FAILED})
    ready = CONDITIONS[ConditionType.READY](after)
    assert (ready.status, ready.reason) == ("False", Reason.ANALYSIS_FAILED)


def test_a_first_revision_is_counted_alone() -> None:
    """
    Its evidence is opened without any past, and only limits are looked at.
    """
    fresh = {"evidence": (), "verdicts": ()}
    unread = world(
        Phase.PROMOTING, arms=arms(arm("2")), route=route({"2": "100"}),
        remembered={"stable": None, "candidate": candidate(), "step": step("100", in_place_since=None), **fresh},
        sections={"analysis": {"metrics": [LIMIT, {"preset": "latency"}]}},
    )  # fmt: skip
    assert needs(*unread, NOW).histories == ()
    opened = assess(*unread, NOW).status
    assert opened.step is not None
    assert (opened.step.in_place_since, [one.name for one in opened.evidence]) == (NOW, ["errors"])
    later = Situation(
        deployment=unread.deployment, status=opened, observed=unread.observed, now=NOW + timedelta(seconds=60)
    )
    assert [one.title for one in later.counted_metrics] == ["errors"]


def test_conditions_say_that_nothing_speaks_against_it() -> None:
    """
    Without data they say so.
    """
    fine = situation(Phase.PROGRESSING, remembered={"step": step("100"), "verdicts": (verdict(),)})
    found = CONDITIONS[ConditionType.ANALYSIS_PASSING](fine)
    assert (found.status, found.reason) == ("True", Reason.WITHIN_MARGIN)
    absent = (verdict(VerdictName.NO_DATA),)
    gone = situation(Phase.PROGRESSING, remembered={"step": step("100"), "verdicts": absent})
    assert CONDITIONS[ConditionType.ANALYSIS_PASSING](gone).status == "Unknown"


def test_no_data_alone_changes_no_evidence() -> None:
    """
    Nor is the baseline frozen by it.
    """
    found, after = judged(NoData("nothing"), account())
    assert (found, after.verdicts[0].verdict) == (account(), VerdictName.NO_DATA)


def test_a_metric_no_step_has_heard_of_is_refused() -> None:
    """
    Of either strategy.
    """
    for kind in ("canary", "blueGreen"):
        steps = [{"traffic": "100%", "metrics": ["unknown"]}]
        with pytest.raises(ValueError, match=r"a step names a metric that analysis\.metrics does not have"):
            situation(Phase.PROGRESSING, sections={"strategy": {kind: {"steps": steps}}})


def test_the_share_of_a_metric_without_votes_is_nothing() -> None:
    """
    As when the spec has forgotten it since.
    """
    s = situation(Phase.PROGRESSING)
    assert (s.weight_of("errors"), s.weight_of("gone")) == (1.0, 0.0)
