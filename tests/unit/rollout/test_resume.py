"""
What a retry of a rejected revision goes on with.
"""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from fakes.rollout import (
    NOW,
    ago,
    asking,
    block,
    deployment,
    kept,
    metric_evidence,
    rejection,
    rev,
    route,
    situation,
    stable,
    step,
    tail_evidence,
    verdict,
)

from modelramp.analysis import HARM_GRID, Counts, EProcess, Wealth, harmful, margins
from modelramp.analysis.betting import BETS, GaugeEvidence
from modelramp.analysis.frozen import FORFEIT, UNBOUNDED, doubt
from modelramp.analysis.slices import SliceEvidence
from modelramp.analysis.stores import UNKNOWN_STORE, Store
from modelramp.analysis.tails import Calls
from modelramp.api.status import EvidenceState, Rejection
from modelramp.api.vocabulary import Phase, Reason
from modelramp.rollout import decide, memory
from modelramp.rollout.account import Account
from modelramp.rollout.alone import freeze
from modelramp.rollout.messages import message
from modelramp.rollout.opening import PhiSource
from modelramp.rollout.resume import claim_of, for_a_retry, kept_back_of, resumed, resumption, without_evidence
from modelramp.rollout.situation import Situation

ABORTED = Reason.ABORT_REQUESTED
MARGINS = margins(0.005, 0.25)
WEALTH = Wealth(0.5, 0.1, 0.001)
SHOWN = EProcess(HARM_GRID, (2.0, 4.0, 6.0, 9.0, 5.0, 1.0, -4.0, -20.0), 0.2)
UNDECIDED = EProcess(HARM_GRID, (0.2, 0.4, 0.6, 0.3, 0.1, -0.5, -2.0, -9.0), 0.2)


def rejected_with(*evidence: EvidenceState, reason: Reason = ABORTED, **changes: Any) -> tuple[Account, ...]:  # noqa: ANN401 - as `world`
    """
    What is kept of a candidate's evidence when it is rejected.
    """
    remembered = {"evidence": evidence, **changes.pop("remembered", {})}
    s = situation(Phase.PROGRESSING, remembered=remembered, **changes)
    (rejection_,) = memory.reject_candidate(s, reason).rejected
    return tuple(Account.from_state(json.loads(json.dumps(one.state))) for one in rejection_.evidence)


def account(harm: EProcess = UNDECIDED, **changes: Any) -> Account:  # noqa: ANN401 - any field
    """
    A rate of which something was learnt.
    """
    return Account(replace(metric_evidence(ok=1.5), harm=harm), **changes)


def test_evidence_that_shows_nothing_goes_on_as_it_is() -> None:
    """
    Totals, harm and, in the first step, "not worse"; its step has no counts yet, so nothing is said before there are.
    """
    before = account(source=PhiSource.RAISED, past=(Counts(9.0, 1.0),), more_pods=True, store=Store(5, 7, 3))
    (after,) = rejected_with(kept(before))
    assert after == replace(before, metric=before.metric.tried_again(), store=UNKNOWN_STORE)
    assert (after.metric.harm, after.ok_log, after.totals) == (before.metric.harm, before.ok_log, before.totals)
    assert (after.step_exposures, after.verdict().value) == ((0.0, 0.0), "NoData")


def test_what_was_certified_for_a_later_step_is_not_for_the_first() -> None:
    """
    Another load is another claim, and no wealth is started by a step that nobody enters.
    """
    (after,) = rejected_with(kept(account()), remembered={"step": step("25")})
    assert (after.ok_log, after.metric.harm) == (0.0, UNDECIDED)


def test_evidence_that_was_opened_and_never_counted_goes_on() -> None:
    """
    Of a candidate that never got a request.
    """
    (after,) = rejected_with(kept(account()), remembered={"step": None})
    assert after.ok_log == pytest.approx(1.5)


def test_over_an_abort_harm_is_the_evidence_it_would_have_been_without() -> None:
    """
    To the last digit: so all tries together have the error probability of one.
    """
    more, later = block((300, 4, 600, 5)), block((300, 7, 600, 6), 5.0, 1.0)
    before = account().observe(more, {}, MARGINS, WEALTH)
    through = before.observe(later, {}, MARGINS, WEALTH)
    (interrupted,) = rejected_with(kept(before))
    after = interrupted.skip_until(ago(6)).observe(later, {}, MARGINS, WEALTH)
    assert after.metric.harm == through.metric.harm
    assert after.totals == through.totals


@pytest.mark.parametrize("reason", [Reason.ANALYSIS_FAILED, ABORTED], ids=["by itself", "as people followed it"])
def test_harm_that_was_overruled_begins_again_with_half_the_level(reason: Reason) -> None:
    """
    By the finding, not by the reason: what was shown shows nothing any more; totals and "not worse" go on.
    """
    slices = SliceEvidence({"a": (SHOWN, account().totals)}, 1.0)
    before = account(SHOWN, slices=slices, bounds=(0.02,))
    assert harmful(situation(Phase.PROGRESSING, remembered={"evidence": (kept(before),)}).harm_log)
    (after,) = rejected_with(kept(before), reason=reason)
    again = SHOWN.overruled(0.5, kept_back_of(0.5))
    assert (after.level, after.metric.harm, after.bounds) == (0.5, again, None)
    assert after.slices is not None
    assert after.slices.accounts["a"] == (again, account().totals)
    assert (after.ok_log, after.totals) == (before.ok_log, before.totals)
    (third,) = rejected_with(kept(replace(after, metric=replace(after.metric, harm=SHOWN))))
    assert (third.level, third.metric.harm) == (0.25, SHOWN.overruled(0.25, kept_back_of(0.25)))


def test_the_innocent_begin_again_beside_the_culprit() -> None:
    """
    All together have the level, whoever was found; durations and gauges like rates.
    """
    tails, gauge = tail_evidence(calls=(50, 950)), GaugeEvidence.begin(scale=1.0, tau=1.0)
    others = (kept(Account(tails), "latency"), EvidenceState(name="queue", state=dict(gauge.to_state())))
    metrics = [{"preset": "errors"}, {"preset": "latency"}, {"name": "queue", "gauge": {"value": "q{$arm}"}}]
    found = rejected_with(kept(account(SHOWN)), *others, sections={"analysis": {"metrics": metrics}})
    assert [one.level for one in found] == [0.5, 0.5, 0.5]
    assert all(one.harm_log == pytest.approx(-0.6931, abs=1e-3) for one in found)
    assert isinstance(found[2].metric, GaugeEvidence)
    assert found[2].metric.harm.grid == BETS
    assert found[1].metric == replace(tails.overruled(0.5, kept_back_of(0.5)), step=Calls())


def test_the_schedule_is_of_the_wealth_there_is() -> None:
    """
    Half the level, half of what each step and block starts; and it pays for a bound on stable as at first.
    """
    half = replace(account(SHOWN.overruled(0.5, 0.4)), level=0.5)
    entered = half.enter_step(WEALTH).metric.harm
    assert isinstance(entered, EProcess)
    assert entered.unstarted == pytest.approx(0.35)
    grown = half.observe(block((300, 4, 600, 5)), {}, MARGINS, WEALTH).metric.harm
    assert isinstance(grown, EProcess)
    assert grown.unstarted == pytest.approx(0.3995)


@pytest.mark.parametrize(
    ("level", "expected", "bounded"),
    [(0.5, 0.1, True), (0.25, 0.05, True), (0.125, 0.05, True), (0.0625, 0.03125, False)],
)
def test_three_overruled_findings_leave_enough_to_bound_stable_with(
    level: float, expected: float, *, bounded: bool
) -> None:
    """
    After the fourth nothing is held against stable any more once the candidate is alone.
    """
    assert kept_back_of(level) == pytest.approx(expected)
    again = account(SHOWN.overruled(level, kept_back_of(level)), level=level, past=(Counts(1e4, 10.0),))
    bounds = freeze(again, MARGINS, delta=doubt(1.0)).bounds
    assert bounds is not None
    assert (bounds[0] < UNBOUNDED) is bounded
    assert (kept_back_of(level) >= FORFEIT) is bounded


def failed(evidence: tuple[EvidenceState, ...], **changes: Any) -> Situation:  # noqa: ANN401 - as `world`
    """
    Version 2 was rejected with this evidence, and somebody asks to try it again.
    """
    s = situation(Phase.FAILED, annotations=asking("retry"), **changes)
    known = rejection("2").model_copy(update={"evidence": evidence, "claim": claim_of(situation(Phase.FAILED))})
    return s.with_status(s.status.model_copy(update={"rejected": (rejection("3"), known)}))


def test_a_retry_takes_the_evidence_up_and_says_so() -> None:
    """
    It moves from the rejection to the rollout.
    """
    evidence = (kept(account()),)
    begun = memory.begin(failed(evidence), Reason.NEW_REVISION)
    assert (begun.evidence, [one.version for one in begun.rejected]) == (evidence, ["3"])
    told = message(Reason.NEW_REVISION, failed(evidence))
    assert told.endswith("as ada asked; the evidence of its last try goes on")
    halved = failed((kept(account(level=0.25)), kept(account(), "latency")))
    assert resumption(halved).endswith("goes on, harm with 0.25 of a first try's wealth, as it was overruled")


@pytest.mark.parametrize(
    "changes",
    [
        {"remembered": {"stable": stable("0")}},
        {"sections": {"analysis": {"metrics": [{"preset": "latency"}]}}},
        {"sections": {"analysis": {"overdispersion": "3"}}},
        {"sections": {"analysis": {"slices": {"label": "tenant", "values": ["a"]}}}},
        {"sections": {"strategy": {"canary": {"blastRadius": "2%"}}}},
        {"sections": {"useCase": "NewCapability"}},
        {"sections": {"traffic": {"service": {}}}},
    ],
    ids=["stable", "metrics", "overdispersion", "slices", "strategy", "use case", "traffic"],
)
def test_evidence_about_something_else_is_not_gone_on_with(changes: dict[str, Any]) -> None:
    """
    The retry begins afresh.
    """
    s = failed((kept(account()),), **changes)
    assert (resumed(s), resumption(s)) == ((), "")
    assert memory.begin(s, Reason.NEW_REVISION).evidence == ()


@pytest.mark.parametrize(
    "sections",
    [
        {"analysis": {"lookBack": "1h", "interval": "20s"}},
        {"strategy": {"keepRevisions": 0, "progressDeadline": "20m"}},
        {"serving": {"replicas": 5}},
    ],
    ids=["how it is read", "how long is waited", "size"],
)
def test_what_the_evidence_is_not_about_may_change(sections: dict[str, Any]) -> None:
    """
    The same claim.
    """
    assert claim_of(situation(Phase.FAILED, sections=sections)) == claim_of(situation(Phase.FAILED))


def test_only_the_latest_rejection_keeps_evidence_and_a_promotion_ends_it() -> None:
    """
    The status stays small; beside another stable it would say nothing.
    """
    older = rejection("3").model_copy(update={"evidence": (kept(account()),), "claim": "c"})
    s = situation(Phase.PROGRESSING, remembered={"rejected": (older,)})
    first, second = memory.reject_candidate(s, ABORTED).rejected
    assert (first.evidence, first.claim) == ((), None)
    assert second.evidence == for_a_retry(s, ABORTED) != ()
    promoted = memory.promote(situation(Phase.PROMOTING, remembered={"rejected": (older,)}), Reason.PROMOTED)
    assert promoted.rejected == without_evidence((older,)) == (rejection("3"),)


def test_a_run_that_ended_with_its_report_ended() -> None:
    """
    What is asked for then is another run.
    """
    assert rejected_with(kept(account()), reason=Reason.SHADOW_REPORTED) == ()


def test_without_evidence_there_is_no_claim() -> None:
    """
    Nothing is kept of a candidate that was never judged.
    """
    s = situation(Phase.PREPARING)
    assert memory.reject_candidate(s, ABORTED).rejected == (
        Rejection(revision=rev("2"), version="2", reason=ABORTED, at=NOW),
    )


def test_a_finding_overruled_does_not_fire_again_without_new_data() -> None:
    """
    The whole decision: rejected, retried, in its first step with what was kept; one more bad look does.
    """
    (after,) = rejected_with(kept(account(SHOWN)))
    remembered = {"evidence": (kept(after),), "verdicts": (), "step": step(in_place_since=ago(60))}
    s = situation(Phase.PROGRESSING, remembered=remembered, route=route({"1": "95", "2": "5"}))
    assert not harmful(s.harm_log)
    assert decide(s.deployment, s.observed, NOW).because.rule is None
    bad = after.observe(block((100, 60, 1900, 2)), {}, MARGINS, WEALTH)
    worse = situation(Phase.PROGRESSING, remembered={**remembered, "evidence": (kept(bad),), "verdicts": (verdict(),)})
    assert decide(worse.deployment, worse.observed, NOW + timedelta(seconds=1)).because.rule == "analysis_failed"


def test_the_claim_rests_on_the_deployment_alone() -> None:
    """
    Not on its phase, or on who is the candidate.
    """
    s = situation(Phase.PROGRESSING)
    assert claim_of(s) == claim_of(situation(Phase.FAILED))
    assert s.deployment.traffic_hash == deployment().traffic_hash
