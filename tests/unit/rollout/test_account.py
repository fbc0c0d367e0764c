"""
One metric's account: rates and durations behave alike, slices vote beside their metric, and it survives its storage.
"""

import json
import math
from typing import Any

import pytest
from fakes.rollout import ago, block, metric_evidence, tail_block, tail_evidence

from modelramp.analysis import Block, MetricEvidence, Verdict, Wealth, combined_log, margins
from modelramp.analysis.slices import SliceEvidence
from modelramp.analysis.stores import UNKNOWN_STORE, Store
from modelramp.analysis.tailplan import JudgedEdge, TailPlan
from modelramp.analysis.tails import TailBlock, TailEvidence
from modelramp.rollout.account import Account
from modelramp.rollout.opening import Opening, PhiSource

WEALTH = Wealth(0.5, 0.01, 0.005)
STORE = Store(1_767_268_770_125, 1_767_268_771_750, 1_767_268_755_000)
LIMITS = margins(0.01, 0.25)
PLAN = TailPlan((JudgedEdge(0.25),), (JudgedEdge(0.25),))
RATE = Opening(phi=1.5, source=PhiSource.ESTIMATED, until=ago(60), more_pods=True)
DURATIONS = Opening(phi=1.5, source=PhiSource.ASSUMED, plan=PLAN, until=ago(60))
GOOD = (50.0, 0.0, 950.0, 1.0)
BAD = (50.0, 25.0, 950.0, 1.0)


def blocks(counts: tuple[float, float, float, float], **when: float) -> tuple[Block, TailBlock]:
    """
    The same counts as bad answers, and as slow ones.
    """
    n, x, n_stable, x_stable = counts
    return block(counts, **when), tail_block((n - x, x), (n_stable - x_stable, x_stable), **when)


def opened(*slices: str) -> tuple[Account, Account]:
    """
    A rate and durations at the beginning of a rollout.
    """
    return Account.open(RATE, WEALTH, slices), Account.open(DURATIONS, WEALTH, slices)


def counted(counts: tuple[float, float, float, float], **when: float) -> list[Account]:
    """
    Both kinds after one block.
    """
    pairs = zip(opened(), blocks(counts, **when), strict=True)
    return [kept.observe(one, {}, LIMITS, WEALTH) for kept, one in pairs]


def test_an_account_begins_with_what_was_learnt_from_stable_s_past() -> None:
    """
    Nothing up to the end of that past may be counted.
    """
    for kept, opening in zip(opened(), (RATE, DURATIONS), strict=True):
        assert (kept.metric.phi, kept.source, kept.more_pods) == (1.5, opening.source, opening.more_pods)
        assert (kept.counted_until, kept.step_exposures) == (ago(60), (0, 0))
        assert kept.harm_log == pytest.approx(0.0, abs=1e-4)
        assert kept.verdict() is Verdict.NO_DATA


def test_the_plan_tells_which_kind_it_is() -> None:
    """
    Slices are those of a rate only: a duration's buckets are not told apart by them.
    """
    rate, durations = opened("a", "b")
    assert (type(rate.metric), type(durations.metric)) == (MetricEvidence, TailEvidence)
    assert rate.slices is not None
    assert (list(rate.slices.accounts), rate.slices.phi, durations.slices) == (["a", "b"], 1.5, None)


def test_a_block_is_counted_once() -> None:
    """
    Of either kind; a replay changes nothing.
    """
    for kept, one in zip(counted(GOOD), blocks(GOOD), strict=True):
        assert (kept.step_exposures, kept.counted_until) == ((50, 950), ago(10))
        assert kept.observe(one, {}, LIMITS, WEALTH) is kept


def test_an_account_that_was_never_told_where_to_begin_counts_what_comes() -> None:
    """
    There is no past then that it was learnt from.
    """
    fresh = Account.open(Opening(phi=1.0, source=PhiSource.GIVEN), WEALTH)
    assert fresh.counted_until is None
    assert fresh.observe(block(GOOD), {}, LIMITS, WEALTH).step_exposures == (50, 950)


def test_a_block_of_the_other_kind_changes_nothing() -> None:
    """
    The spec made the metric another one; what is kept belongs to what it was.
    """
    for kept, one in zip(opened(), reversed(blocks(BAD)), strict=True):
        assert kept.observe(one, {}, LIMITS, WEALTH) is kept
        assert kept.seconds_left(one, ago(60), LIMITS) is None


def test_the_totals_of_durations_are_calls_alone() -> None:
    """
    There are many edges that calls may be above.
    """
    rate, durations = (kept.totals for kept in counted(BAD))
    assert (rate.candidate.n, rate.candidate.x, rate.stable.n, rate.stable.x) == BAD
    assert (durations.candidate.n, durations.candidate.x, durations.stable.n, durations.stable.x) == (50, 0, 950, 0)


def test_harm_and_certainty_grow_from_what_is_counted() -> None:
    """
    In both kinds.
    """
    for good, bad in zip(counted(GOOD), counted(BAD), strict=True):
        assert bad.harm_log > good.harm_log
        assert good.ok_log > 0 > bad.ok_log
        assert (good.verdict(), bad.verdict()) == (Verdict.INCONCLUSIVE, Verdict.FAILED)


def test_what_happens_up_to_an_instant_is_left_out() -> None:
    """
    Forward only.
    """
    for kept in opened():
        assert [kept.skip_until(at).counted_until for at in (ago(30), ago(90))] == [ago(30), ago(60)]


def test_a_later_step_begins_certainty_anew_and_keeps_harm() -> None:
    """
    Its exposures are those of the step; the totals are those of the rollout.
    """
    for kept in counted(BAD):
        later = kept.enter_step(WEALTH)
        assert (later.step_exposures, later.totals, later.ok_log) == ((0, 0), kept.totals, 0.0)
        assert later.harm_log == pytest.approx(kept.harm_log, rel=0.01)


def test_the_time_left_is_told_in_both_kinds() -> None:
    """
    At the rate of the step so far; a rate above its margin has none, and of durations one block does not say "never".
    """
    left = [
        kept.seconds_left(one, ago(60), LIMITS) for kept, one in zip(counted(GOOD), blocks(GOOD), strict=True)
    ]  # fmt: skip
    assert all(one is not None and one.seconds is not None and 0 < one.seconds < 3600 for one in left)
    never = [kept.seconds_left(one, ago(60), LIMITS) for kept, one in zip(counted(BAD), blocks(BAD), strict=True)]
    assert [one and str(one.obstacle) for one in never] == ["AboveMargin", None]


# ---------------------------------------------------------------- stores


def test_who_told_of_the_last_block_is_remembered() -> None:
    """
    Through later steps, too; of an earlier block it is not.
    """
    for kept in counted(GOOD):
        told = kept.told_by(STORE, ago(10))
        assert (told.store, told.metric, told.enter_step(WEALTH).store) == (STORE, kept.metric, STORE)
        assert kept.told_by(STORE, ago(20)) is kept


def test_what_another_store_told_is_left_out_once() -> None:
    """
    The evidence stays, time goes on, and that store is the one to know.
    """
    for kept, one in zip(counted(GOOD), blocks(GOOD, until=2), strict=True):
        left_out = kept.leave_out(ago(2), STORE)
        assert (left_out.counted_until, left_out.store, left_out.totals) == (ago(2), STORE, kept.totals)
        assert (left_out.harm_log, left_out.ok_log) == (kept.harm_log, kept.ok_log)
        assert left_out.leave_out(ago(2), STORE) == left_out
        assert left_out.leave_out(ago(5), UNKNOWN_STORE) == left_out
        assert left_out.observe(one, {}, LIMITS, WEALTH) is left_out


# ---------------------------------------------------------------- slices


def sliced(**of: tuple[float, float, float, float]) -> Account:
    """
    A rate with the slices a and b after a good block of which these are parts.
    """
    return opened("a", "b")[0].observe(block(GOOD), {name: block(one) for name, one in of.items()}, LIMITS, WEALTH)


def test_a_slice_is_counted_with_its_metric() -> None:
    """
    Only when the metric itself counts the block.
    """
    once = sliced(b=(5.0, 5.0, 95.0, 0.0))
    twice = once.observe(block(GOOD), {"b": block((5.0, 5.0, 95.0, 0.0))}, LIMITS, WEALTH)
    assert once.slices is not None
    assert once.slices.accounts["b"][1].candidate.x == 5
    assert once.slices.logs["b"] > once.slices.logs["a"]
    assert twice is once


def test_a_metric_without_slices_has_one_vote() -> None:
    """
    Of the whole weight.
    """
    (vote,) = Account(metric_evidence(harm=2.0)).votes("errors", None, critical=True)
    assert (vote.name, vote.log_value, vote.weight, vote.critical) == ("errors", pytest.approx(2.0), 1.0, True)


def test_a_metric_and_its_slices_together_weigh_as_much_as_one() -> None:
    """
    One half is the metric's own, the other is shared among the slices, each named by its label.
    """
    votes = sliced(b=(5.0, 5.0, 95.0, 0.0)).votes("errors", "tenant", critical=False)
    assert [(vote.name, vote.weight) for vote in votes] == [
        ("errors", 0.5), ('errors{tenant="a"}', 0.25), ('errors{tenant="b"}', 0.25),
    ]  # fmt: skip
    assert votes[2].log_value == max(vote.log_value for vote in votes)


def test_harm_in_one_slice_is_harm() -> None:
    """
    Beside a metric that looks well, at the cost of the slice's weight.
    """
    kept = sliced(b=(50.0, 50.0, 95.0, 0.0))
    assert kept.slices is not None
    votes = kept.votes("errors", "tenant", critical=False)
    assert combined_log(votes) == pytest.approx(kept.slices.logs["b"] + math.log(0.25), abs=0.01)


def test_slices_go_on_into_a_later_step() -> None:
    """
    Harm is a matter of the whole rollout.
    """
    kept = sliced(b=(5.0, 5.0, 95.0, 0.0))
    later = kept.enter_step(WEALTH)
    assert kept.slices is not None
    assert later.slices == kept.slices.enter_step(WEALTH)


# ---------------------------------------------------------------- storage


@pytest.mark.parametrize(
    "kept",
    [
        Account(metric_evidence()),
        Account(tail_evidence()),
        *opened(),
        *counted(BAD),
        sliced(b=(5.0, 5.0, 95.0, 0.0)),
        Account.open(RATE, WEALTH, warning="an hour is not enough"),
        Account(metric_evidence(phi=3.0), PhiSource.ASSUMED, SliceEvidence.begin(("a",), WEALTH, phi=3.0)),
        Account(metric_evidence(), store=STORE),
        Account(tail_evidence(), store=STORE),
    ],
    ids=[
        "rate",
        "durations",
        "fresh rate",
        "fresh durations",
        "counted rate",
        "counted durations",
        "slices",
        "warning",
        "all",
        "rate of a known store",
        "durations of a known store",
    ],
)
def test_an_account_survives_its_storage(kept: Account) -> None:
    """
    Through JSON, to the last digit.
    """
    assert Account.from_state(json.loads(json.dumps(kept.to_state()))) == kept


def test_what_goes_without_saying_is_not_stored() -> None:
    """
    The status is small: an account without history or slices is stored as its evidence alone.
    """
    evidence = metric_evidence()
    assert Account(evidence).to_state() == dict(evidence.to_state())


def test_the_store_costs_little_room() -> None:
    """
    Of a status that is written at every look. Versions that did not know stores left none: nothing is checked then.
    """
    bare, known = (Account(metric_evidence(), store=store).to_state() for store in (UNKNOWN_STORE, STORE))
    assert len(json.dumps(known)) - len(json.dumps(bare)) <= 60
    assert Account.from_state(bare).store == UNKNOWN_STORE


@pytest.mark.parametrize(
    "damage", [{"phi": 0.5}, {"source": "Guessed"}, {"harm": []}, {"store": ["soon"]}, {"store": [1, 2, 3, 4]}],
    ids=["scatter", "source", "bets", "store", "stores"],
)  # fmt: skip
def test_a_damaged_account_is_refused(damage: dict[str, Any]) -> None:
    """
    Starting afresh would spend the error rates twice.
    """
    with pytest.raises(ValueError, match=r".+"):
        Account.from_state({**metric_evidence().to_state(), **damage})
