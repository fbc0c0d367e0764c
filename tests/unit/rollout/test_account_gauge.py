"""
A gauge in a rollout: what is asked, kept, concluded and said.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

import pytest
from fakes.rollout import NOW, ago, block, metric_evidence, situation, spec, step, world

from modelramp.analysis import Totals, Wealth, margins
from modelramp.analysis.betting import GaugeBlock, GaugeEvidence, GaugeMargins
from modelramp.analysis.gauges import GaugeSpread, gauge_margins
from modelramp.api.spec import GaugeAcross
from modelramp.api.status import EvidenceState, VerdictName
from modelramp.api.vocabulary import ConditionType, Phase, Reason
from modelramp.rollout.account import Account, Opening, PhiSource
from modelramp.rollout.assess import NEVER_JUDGED, assess, forecasts
from modelramp.rollout.conditions import conditions
from modelramp.rollout.counters import BucketTemplate, GaugeSelectors, GaugeTemplate, filled, template_of
from modelramp.rollout.guards import split_mismatched
from modelramp.rollout.messages import message
from modelramp.rollout.needs import needs, question_of
from modelramp.rollout.observed import Measured
from modelramp.rollout.strategy import wealth_of
from modelramp.rollout.waiting import waiting_message

WEALTH: Final = Wealth(at_start=0.5, per_step=0.1, per_block=0.01)
QUEUE: Final = {"name": "queue", "gauge": {"value": "queue_length{$arm}", "across": "Max"}, "mayGrow": "50%"}
SECTIONS: Final = {"analysis": {"metrics": [QUEUE]}}
KNOWN: Final = GaugeSpread(scale=2.0, tau=1.5)
LIMITS: Final = gauge_margins(0.5)


def begun(spread: GaugeSpread = KNOWN) -> Account:
    """
    Fresh evidence on a gauge.
    """
    return Account.open(Opening(phi=1.0, source=PhiSource.ESTIMATED, spread=spread), WEALTH, ("eu",))


def means(candidate: float, stable: float, until: float = 10) -> GaugeBlock:
    """
    The means over 15 s that ended so many seconds ago.
    """
    return GaugeBlock(ago(until + 15), ago(until), candidate, stable)


def after(account: Account, candidate: float, blocks: int) -> Account:
    """
    The account after so many blocks in which stable's mean was 10.
    """
    for number in range(blocks):
        account = account.observe(means(candidate, 10.0, 15.0 * (blocks - number) + 30), {}, LIMITS, WEALTH)
    return account


class TestAccount:
    """
    The third kind of evidence.
    """

    def test_it_counts_nothing_and_has_no_slices(self) -> None:
        account = after(begun(), 10.0, 3)
        assert (account.counts, account.slices, account.step_exposures) == (False, None, (0.0, 0.0))
        assert account.totals == Totals()
        assert Account(metric_evidence()).counts

    @pytest.mark.parametrize(
        ("candidate", "blocks", "said"),
        [(5.0, 40, "Passed"), (30.0, 40, "Failed"), (13.75, 5, "Inconclusive"), (5.0, 0, "NoData")],
    )
    def test_it_passes_fails_or_says_nothing(self, candidate: float, blocks: int, said: str) -> None:
        assert after(begun(), candidate, blocks).verdict().value == said

    def test_it_comes_back_from_its_state_exactly(self) -> None:
        for account in (begun(), after(begun(), 5.0, 3), begun(GaugeSpread(None, None))):
            assert Account.from_state(json.loads(json.dumps(account.to_state()))) == account
        assert len(json.dumps(after(begun(), 5.0, 3).to_state(), separators=(",", ":"))) < 320

    def test_a_replay_changes_nothing_and_blocks_or_margins_of_another_kind_neither(self) -> None:
        account = after(begun(), 5.0, 3)
        rate, limits = Account(metric_evidence()), margins(0.01, 0.25)
        assert after(account, 30.0, 1) == account.observe(means(30.0, 10.0, 45.0), {}, LIMITS, WEALTH) == account
        assert account.observe(block((1, 1, 1, 1)), {}, limits, WEALTH) == account
        assert account.observe(means(30.0, 10.0), {}, limits, WEALTH) == account
        assert rate.observe(means(30.0, 10.0), {}, LIMITS, WEALTH) == rate

    def test_no_time_left_is_told(self) -> None:
        assert begun().seconds_left(means(1.0, 1.0), ago(60), LIMITS) is None

    def test_a_later_step_asks_anew_and_harm_goes_on(self) -> None:
        account = after(begun(), 5.0, 20)
        later = account.enter_step(WEALTH).skip_until(ago(5))
        assert (later.ok_log, later.counted_until) == (0.0, ago(5))
        assert later.harm_log == pytest.approx(account.harm_log, abs=1e-3)

    @pytest.mark.parametrize(
        "spread", [GaugeSpread(None, None), GaugeSpread(2.0, None), GaugeSpread(None, 1.0), GaugeSpread(0.0, 1.0)]
    )
    def test_without_a_known_spread_nothing_is_ever_concluded(self, spread: GaugeSpread) -> None:
        account = after(begun(spread), 1000.0, 50)
        assert account.never_judged
        assert not begun().never_judged
        assert not Account(metric_evidence()).never_judged
        assert (account.harm_log, account.ok_log) == (0.0, 0.0)


class TestQuestions:
    """
    What is asked of the metric source.
    """

    def test_stables_past_is_asked_in_blocks_of_the_rollout(self) -> None:
        s = situation(Phase.PROGRESSING, sections=SECTIONS, remembered={"evidence": ()})
        (asked,) = needs(s.deployment, s.observed, NOW).histories
        assert isinstance(asked.stable, GaugeSelectors)
        assert asked.stable.value.startswith('queue_length{namespace="ml",pod=~"')
        assert (asked.tells_pods, asked.question, asked.harm) == (True, None, 0.25)
        assert asked.block_seconds == s.spec.analysis.interval.seconds

    def test_both_revisions_are_asked_for_the_next_block(self) -> None:
        kept = EvidenceState(name="queue", state=begun().to_state())
        s = situation(Phase.PROGRESSING, sections=SECTIONS, remembered={"evidence": (kept,)})
        (asked,) = needs(s.deployment, s.observed, NOW).counters
        assert isinstance(asked.candidate, GaugeSelectors)
        assert isinstance(asked.stable, GaugeSelectors)
        assert asked.candidate.value != asked.stable.value
        assert (asked.tells_pods, asked.slice_label) == (False, None)

    def test_of_a_rate_no_gauge_is_asked(self) -> None:
        own = {"name": "own", "ratio": {"bad": "b{$arm}", "total": "t{$arm}"}}
        sections = {"analysis": {"metrics": [own], "overdispersion": None}}
        s = situation(Phase.PROGRESSING, sections=sections, remembered={"evidence": ()})
        (asked,) = needs(s.deployment, s.observed, NOW).histories
        assert (asked.block_seconds, asked.harm) == (60.0, 0.0)

    @pytest.mark.parametrize(("across", "expected"), [("Sum", 6.0), ("Mean", 2.0), ("Max", 3.0)])
    def test_series_become_what_the_spec_says(self, across: str, expected: float) -> None:
        template = GaugeTemplate(value="q{$arm}", across=GaugeAcross(across))
        found = filled(template, "ml", "fraud", "r1")
        assert isinstance(found, GaugeSelectors)
        assert found.aggregate([1.0, 3.0, 2.0]) == expected
        assert template.tells_pods
        assert not BucketTemplate(buckets='b{service="${service}"}', factor=1.0).tells_pods

    def test_nothing_is_asked_of_it_as_of_durations(self) -> None:
        (metric,) = spec(**SECTIONS).analysis.metrics
        assert question_of(metric) is None
        template = template_of(metric, spec().serving.runtime, None)
        assert template == GaugeTemplate(value="queue_length{$arm}", across=GaugeAcross.MAX)


def judged(account: Account, candidate: float, **remembered: Any) -> Any:  # noqa: ANN401 - the situation
    """
    The situation after a look at the gauge, stable's mean being 10.
    """
    memory = {
        "evidence": (EvidenceState(name="queue", state=account.to_state()),),
        "verdicts": (),
        "step": step(in_place_since=ago(500)),
        **remembered,
    }
    readings = {"queue": Measured(means(candidate, 10.0))}
    asked = world(Phase.PROGRESSING, remembered=memory, sections=SECTIONS, readings=readings)
    return assess(asked.deployment, asked.observed, NOW)


def kinds(s: Any) -> Mapping[ConditionType, str]:  # noqa: ANN401 - a situation
    """
    The messages of the conditions that are there.
    """
    return {condition.type: condition.message for condition in conditions(s)}


class TestRollout:
    """
    What a rollout makes of it.
    """

    def test_a_look_counts_its_block(self) -> None:
        s = judged(begun(), 5.0)
        metric = s.evidence["queue"].metric
        assert isinstance(metric, GaugeEvidence)
        assert metric.blocks == 1
        (verdict,) = s.status.verdicts
        assert (verdict.verdict, verdict.candidate.n, verdict.message) == (VerdictName.INCONCLUSIVE, "0", "")
        assert forecasts(s) == s.status.verdicts
        assert s.margins_of(s.judged_metrics[0], 0.25) == GaugeMargins(0.25, 0.5)

    def test_a_certain_gauge_passes_and_a_harmful_one_fails(self) -> None:
        for candidate, said in ((5.0, VerdictName.PASSED), (30.0, VerdictName.FAILED)):
            s = judged(after(begun(), candidate, 30), candidate)
            assert [verdict.verdict for verdict in s.status.verdicts] == [said]
        assert s.harm_log > math.log(100)

    def test_an_unknown_spread_is_said_and_is_no_data(self) -> None:
        s = judged(begun(GaugeSpread(None, None)), 5.0)
        (verdict,) = s.status.verdicts
        assert (verdict.verdict, verdict.message) == (VerdictName.NO_DATA, NEVER_JUDGED)
        assert "at least two pods is needed" in kinds(s)[ConditionType.NO_DATA]

    def test_nothing_counted_is_neither_want_of_traffic_nor_a_wrong_split(self) -> None:
        s = judged(after(begun(), 5.0, 3), 5.0)
        assert ConditionType.NO_TRAFFIC not in kinds(s)
        assert not split_mismatched(s)

    def test_what_has_to_be_shown_and_what_was_is_said_without_counts(self) -> None:
        s = judged(begun(), 5.0)
        assert "that the gauge is above stable's by less than 50%" in waiting_message(s)
        told = message(Reason.ANALYSIS_INCONCLUSIVE, s)
        assert "queue: harm evidence" in told
        assert "bad of" not in told
        assert "calls" not in told

    def test_it_is_opened_with_what_stables_past_told(self) -> None:
        opening = Opening(phi=1.0, source=PhiSource.ESTIMATED, spread=KNOWN, until=ago(20))
        asked = world(
            Phase.PROGRESSING,
            remembered={"evidence": (), "verdicts": ()},
            sections=SECTIONS,
            histories={"queue": opening},
        )
        wealth = wealth_of(asked.deployment.spec)
        (kept,) = assess(asked.deployment, asked.observed, NOW).evidence.values()
        assert kept == replace(
            kept, metric=GaugeEvidence.begin(scale=2.0, tau=1.5, wealth=wealth, counted_until=ago(20))
        )
        assert kept.counted_until == NOW - timedelta(seconds=20)
