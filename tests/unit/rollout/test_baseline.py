"""
What is counted of stable until everything is switched, and the switch that waits for it.
"""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from fakes.rollout import (
    NOW,
    ago,
    block,
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

from modelramp.analysis import HARM_GRID, Block, Counts, EProcess
from modelramp.analysis.betting import GaugeBlock, GaugeEvidence
from modelramp.analysis.frozen import doubt, upper_rate
from modelramp.analysis.histogram import Histogram
from modelramp.analysis.stores import Store
from modelramp.analysis.tailplan import JudgedEdge, TailPlan
from modelramp.api.scalars import Share
from modelramp.api.status import StepStatus, VerdictName, VerdictStatus
from modelramp.api.vocabulary import ConditionType, Phase, Reason
from modelramp.rollout import decide
from modelramp.rollout.account import Account
from modelramp.rollout.assess import assess
from modelramp.rollout.baseline import TOO_YOUNG, count_stable
from modelramp.rollout.conditions import conditions
from modelramp.rollout.guards import certified, step_passed
from modelramp.rollout.messages import message
from modelramp.rollout.needs import needs, next_counts_at
from modelramp.rollout.observed import AnotherStore, Measured, NoData, Reading, Unavailable
from modelramp.rollout.situation import Situation
from modelramp.rollout.waiting import waiting_message

AT_ONCE = {"strategy": {"blueGreen": {"preSwitch": {"soak": "1m"}}}}
LATENCY = {"analysis": {"metrics": [{"name": "errors", "preset": "latency"}]}}
UNSPENT = EProcess(HARM_GRID, (-0.2877,) * len(HARM_GRID), 0.25)
NOTHING = (0.0, 0.0, 0.0, 0.0)


def preview(**changes: Any) -> StepStatus:  # noqa: ANN401 - any field
    """
    The preview, in place for three minutes.
    """
    fields = {"traffic": Share("0%"), "preview": True, "index": 0, "display": "1/2", **changes}
    return step("5").model_copy(update=fields)


def previewed(before: Account | None, reading: Reading | None = None, **changes: Any) -> dict[str, Any]:  # noqa: ANN401 - as `world`
    """
    A switch whose preview is in place, with the evidence that was opened for it.
    """
    evidence = () if before is None else (kept(before),)
    memory = {"step": preview(), "verdicts": (), "evidence": evidence, **changes.pop("remembered", {})}
    readings = {} if reading is None else {"errors": reading}
    sections = {**AT_ONCE, **changes.pop("sections", {})}
    base = {"sections": sections, "remembered": memory, "readings": readings}
    return {**base, "route": route({"1": "100", "2": "0"}), **changes}


def looked(before: Account | None, reading: Reading, **changes: Any) -> Situation:  # noqa: ANN401 - as `world`
    """
    The situation after a look.
    """
    return assess(*world(Phase.PROGRESSING, **previewed(before, reading, **changes)), NOW)


def rate(*past: Counts, **changes: Any) -> Account:  # noqa: ANN401 - any field
    """
    A rate of which nothing was counted in the rollout.
    """
    return Account(replace(metric_evidence(counts=NOTHING), harm=UNSPENT), past=past, **changes)


def theirs(n: float, x: float) -> Measured:
    """
    Counts of stable alone.
    """
    return Measured(block((0, 0, n, x)), store=Store(0, 7, 0))


class TestCounting:
    """
    Stable's part of a block is added to its past, once.
    """

    def test_a_rate_s_past_grows_by_what_stable_counted(self) -> None:
        """
        Nothing else does, and whoever told is remembered.
        """
        before = rate(Counts(50.0, 1.0))
        after = looked(before, theirs(400, 2)).evidence["errors"]
        assert after == replace(
            before, metric=before.metric.skip_until(ago(10)), past=(Counts(450.0, 3.0),), store=Store(0, 7, 0)
        )

    def test_a_past_that_was_not_known_begins(self) -> None:
        """
        Right after a first deploy.
        """
        assert count_stable(rate(), block((0, 0, 400, 2))).past == (Counts(400.0, 2.0),)

    def test_nothing_counts_twice(self) -> None:
        """
        Not a block that was counted, nor one that reaches back before what was.
        """
        once = count_stable(rate(), block((0, 0, 400, 2)))
        for again in (block((0, 0, 400, 2)), block((0, 0, 900, 9), seconds=30, until=1)):
            assert count_stable(once, again) is once
        assert count_stable(once, block((0, 0, 10, 1), 5.0, 5.0)).past == (Counts(410.0, 3.0),)

    def test_before_anything_was_counted_all_counts(self) -> None:
        """
        There was no history to learn from.
        """
        begun = Account(metric_evidence(counts=NOTHING, counted_until=None))
        assert count_stable(begun, block((0, 0, 400, 2))).past == (Counts(400.0, 2.0),)

    def test_durations_grow_at_each_edge_of_their_plan(self) -> None:
        """
        An edge that the block does not have stays as it was; a past of other edges begins anew.
        """
        edges = (JudgedEdge(0.1), JudgedEdge(0.25))
        tails = replace(tail_evidence(), plan=TailPlan(edges[1:], edges[:1]), ok=tail_evidence().ok)
        known = Account(tails, past=(Counts(100.0, 20.0), Counts(100.0, 5.0)))
        seen = tail_block((0, 0), (300, 40))
        assert count_stable(known, seen).past == (Counts(100.0, 20.0), Counts(440.0, 45.0))
        other = Account(tails, past=(Counts(100.0, 20.0),))
        assert count_stable(other, seen).past == (Counts(), Counts(340.0, 40.0))
        empty = replace(seen, stable=Histogram((), (), 0.0))
        assert count_stable(known, empty).past == known.past

    def test_a_block_of_another_kind_changes_nothing(self) -> None:
        """
        Nor does a gauge's.
        """
        gauge = Account(GaugeEvidence.begin(scale=1.0, tau=1.0))
        seen = GaugeBlock(ago(25), ago(10), 1.0, 1.0)
        assert count_stable(gauge, seen) is gauge
        assert count_stable(rate(), tail_block((0, 0), (1, 1))) == rate()

    def test_a_gap_of_another_store_is_left_out(self) -> None:
        """
        As beside the candidate.
        """
        before = rate(Counts(50.0, 1.0))
        gap = AnotherStore("another replica answered", until=ago(10), store=Store(0, 9, 0))
        s = looked(before, gap)
        assert s.evidence["errors"] == before.leave_out(ago(10), Store(0, 9, 0))
        assert [one.message for one in s.status.verdicts] == ["another replica answered"]

    def test_what_was_counted_stands_for_stable_after_the_switch(self) -> None:
        """
        With the history before it.
        """
        before = looked(rate(Counts(900.0, 3.0)), theirs(400, 2)).evidence["errors"]
        remembered = {"step": step("100"), "evidence": (kept(before),), "verdicts": ()}
        seen = {"errors": Measured(Block(ago(10), ago(5), Counts(300.0, 1.0), Counts()))}
        switched = {"remembered": remembered, "readings": seen, "route": route({"1": "0", "2": "100"})}
        alone = world(Phase.PROGRESSING, sections=AT_ONCE, **switched)
        found = assess(*alone, NOW + timedelta(seconds=5)).evidence["errors"]
        assert found.bounds == (upper_rate(Counts(1300.0, 5.0), delta=doubt(1.0)),)


class TestQuestions:
    """
    Who is asked about, and when.
    """

    def test_stable_alone_is_asked_for(self) -> None:
        """
        What stable's last block rests on is told, so that another store is found out.
        """
        (asked,) = needs(*world(Phase.PROGRESSING, **previewed(rate(store=Store(0, 7, 3)))), NOW).counters
        assert asked.candidate is None
        assert asked.stable is not None
        assert rev("1") in str(asked.stable)
        assert (asked.store, asked.window.after) == (Store(0, 7, 3), ago(30))
        s = situation(Phase.PROGRESSING, **previewed(rate()))
        assert next_counts_at(s) is not None

    @pytest.mark.parametrize(
        ("metric", "sections"),
        [
            ({"preset": "errors", "against": {"limit": "2%"}}, {}),
            ({"name": "errors", "preset": "latency", "quantile": "0.99", "below": "250ms"}, {}),
            ({"name": "errors", "gauge": {"value": "queue{$arm}"}}, {}),
            ({"preset": "errors"}, {"strategy": {"blueGreen": {"steps": [{"traffic": "50%"}, {"traffic": "100%"}]}}}),
            ({"preset": "errors"}, {"strategy": {"blueGreen": {"shadow": {}}}}),
        ],
        ids=["a limit", "durations below a limit", "a gauge", "half of it first", "copies first"],
    )
    def test_nothing_is_counted_that_nothing_is_held_against(
        self, metric: dict[str, Any], sections: dict[str, Any]
    ) -> None:
        """
        Nor where the candidate is beside stable anyway; then nothing is waited for.
        """
        changes = previewed(rate(), sections={"analysis": {"metrics": [metric]}, **sections})
        s = situation(Phase.PROGRESSING, **changes)
        assert (s.counted_metrics, certified(s), step_passed(s)) == ((), True, True)
        assert needs(*world(Phase.PROGRESSING, **changes), NOW).counters == ()

    def test_without_stable_there_is_nothing_to_count(self) -> None:
        """
        Nor before the first step.
        """
        assert situation(Phase.PROGRESSING, **previewed(rate(), remembered={"stable": None})).counted_metrics == ()
        assert situation(Phase.PREPARING, sections=AT_ONCE).counted_metrics == ()

    def test_only_what_the_next_step_names_is_waited_for(self) -> None:
        """
        All are counted.
        """
        both = [{"preset": "errors"}, {"preset": "latency"}]
        named = {"blueGreen": {"steps": [{"traffic": "100%", "metrics": ["errors"]}]}}
        changes = previewed(rate(), sections={"analysis": {"metrics": both}, "strategy": named})
        s = situation(Phase.PROGRESSING, **changes)
        assert [one.title for one in s.counted_metrics] == ["errors", "latency"]
        assert [one.title for one in s.required_metrics] == ["errors"]


def said(s: Situation) -> VerdictStatus:
    """
    The one verdict.
    """
    (found,) = s.status.verdicts
    return found


class TestWaiting:
    """
    The switch waits until harm beside stable could not hide.
    """

    def test_too_little_is_no_data_and_holds_by_name(self) -> None:
        """
        Twenty requests: a version that fails every tenth would pass unseen.
        """
        s = looked(rate(), theirs(20, 0))
        assert (said(s).verdict, said(s).message, said(s).stable.n) == (VerdictName.NO_DATA, TOO_YOUNG, "20")
        assert (certified(s), step_passed(s)) == (False, False)
        assert waiting_message(s) == f"errors: {TOO_YOUNG} (20 so far)"
        found = {one.type: one for one in conditions(s)}
        assert (found[ConditionType.ANALYSIS_PASSING].reason, found[ConditionType.NO_DATA].status) == (
            Reason.NO_DATA, "True",
        )  # fmt: skip
        assert "20" not in found[ConditionType.NO_DATA].message  # or every look would write it anew

    def test_enough_passes(self) -> None:
        """
        A hundred good ones, or what the history brings with it; nothing is judged yet, and that is said.
        """
        for known, more in ((Counts(), 120), (Counts(2000.0, 600.0), 1)):
            s = looked(rate(known), theirs(more, 0))
            assert (said(s).verdict, said(s).message) == (VerdictName.INCONCLUSIVE, "")
            assert step_passed(s)
            found = {one.type: one for one in conditions(s)}
            assert found[ConditionType.ANALYSIS_PASSING].reason is Reason.NOT_MEASURED
            assert {ConditionType.NO_DATA, ConditionType.NO_TRAFFIC}.isdisjoint(found)
        assert message(Reason.STEP_PASSED, s) == "step 1/2 (the preview) passed: errors: stable 600 bad of 2001"

    def test_no_evidence_is_shown_of_a_candidate_that_is_not_judged(self) -> None:
        """
        It would be one of twenty, which says nothing.
        """
        plan = decide(*world(Phase.PROGRESSING, **previewed(rate(), theirs(20, 0))), NOW)
        assert (plan.because.rule, plan.status.evidence_summary) == (None, None)

    def test_durations_are_waited_for_as_rates_are(self) -> None:
        """
        Their calls are told, without those above any one of the edges.
        """
        for calls, expected in ((40.0, VerdictName.NO_DATA), (4000.0, VerdictName.INCONCLUSIVE)):
            begun = Account(replace(tail_evidence(calls=(0, 0)), harm=(UNSPENT,)))
            s = looked(begun, Measured(tail_block((0, 0), (calls, 2.0))), sections=LATENCY)
            assert said(s).verdict is expected
        assert message(Reason.STEP_PASSED, s) == "step 1/2 (the preview) passed: errors: stable 4002 calls"

    def test_without_wealth_to_pay_for_a_bound_nothing_is_known(self) -> None:
        """
        The same reckoning as at the switch.
        """
        spent = replace(rate(), metric=metric_evidence(counts=NOTHING))
        assert said(looked(spent, theirs(9000, 3))).verdict is VerdictName.NO_DATA

    @pytest.mark.parametrize(
        ("reading", "expected"),
        [
            (NoData("NoStableSamples"), (VerdictName.NO_DATA, "NoStableSamples")),
            (Unavailable("no answer"), (VerdictName.UNAVAILABLE, "no answer")),
        ],
    )
    def test_no_look_passes_without_data(self, reading: Reading, expected: tuple[VerdictName, str]) -> None:
        """
        However much was known before: who cannot look now could not look after the switch.
        """
        s = looked(rate(Counts(1e5, 10.0)), reading)
        assert (said(s).verdict, said(s).message) == expected
        assert not step_passed(s)
        assert waiting_message(s) == f"errors: {expected[1]} (100000 so far)"

    def test_before_the_first_look_nothing_is_said_and_nothing_passes(self) -> None:
        """
        The soak time may be over.
        """
        s = situation(Phase.PROGRESSING, **previewed(rate(Counts(1e5, 10.0))))
        assert not step_passed(s)
        assert waiting_message(s) == "waiting for the first counts of stable"

    def test_durations_that_cannot_be_planned_yet_hold(self) -> None:
        """
        Stable's history does not tell where its slow calls lie.
        """
        changes = previewed(None, sections=LATENCY)
        histories = {"errors": NoData("no edge has 20 calls above it")}
        s = assess(*world(Phase.PROGRESSING, **changes, histories=histories), NOW)
        assert (said(s).verdict, said(s).message) == (VerdictName.NO_DATA, "no edge has 20 calls above it")
        assert not step_passed(s)

    def test_a_metric_without_evidence_is_not_known(self) -> None:
        """
        Its history is not read yet.
        """
        changes = previewed(None, theirs(400, 1), sections={"analysis": {"overdispersion": None}})
        s = assess(*world(Phase.PROGRESSING, **changes, histories={"errors": Unavailable("away")}), NOW)
        assert said(s).verdict is VerdictName.UNAVAILABLE

    def test_at_the_deadline_it_pauses_and_goes_on_by_itself(self) -> None:
        """
        For want of stable's requests, which nobody has to decide about; an approval is not asked for that.
        """
        late = {"step": preview(entered_at=ago(7200)), "verdicts": (verdict(VerdictName.NO_DATA, message=TOO_YOUNG),)}
        plan = decide(*world(Phase.PROGRESSING, **previewed(rate(), theirs(5, 0), remembered=late)), NOW)
        assert (plan.status.phase, plan.status.reason) == (Phase.PAUSED, Reason.METRICS_UNAVAILABLE)
        assert TOO_YOUNG in plan.status.message
        paused = previewed(rate(Counts(500.0, 0.0)), theirs(50, 0), remembered={**late, "reason": plan.status.reason})
        again = decide(*world(Phase.PAUSED, **paused), NOW)
        assert again.because.rule == "pause_lifted"
