"""Many metrics, one verdict: means worked out by hand, names of culprits, and what promotion waits for."""

import math
from dataclasses import replace

import pytest

from modelramp.analysis.combination import (
    Vote,
    balanced,
    combined_log,
    culprit_log,
    culprits,
    discoveries,
    shared,
    suspects,
    unmet,
)
from modelramp.analysis.eprocess import LOG_ZERO

ALPHA = 0.01


def vote(name: str, value: float, weight: float = 1.0, *, critical: bool = False, flagged: bool = False) -> Vote:
    """Build a vote from evidence itself, not its logarithm."""
    return Vote(name, math.log(value) if value > 0.0 else LOG_ZERO, weight, critical, flagged)


def test_combined_evidence_is_the_weighted_mean() -> None:
    """(3 x 100 + 1 x 4) / 4 = 76."""
    votes = [vote("errors", 100.0, 0.75), vote("latency", 4.0, 0.25)]
    assert combined_log(votes) == pytest.approx(math.log(76.0), abs=1e-12)
    fewer = [replace(one, weight=one.weight / 3) for one in votes]
    assert combined_log(fewer) == pytest.approx(math.log(76.0), abs=1e-12)


def test_a_flagged_vote_keeps_its_weight_and_loses_its_wealth() -> None:
    """(0 + 1 x 4) / 4 = 1."""
    votes = [vote("errors", 100.0, 0.75, flagged=True), vote("latency", 4.0, 0.25)]
    assert combined_log(votes) == pytest.approx(0.0, abs=1e-12)


def test_the_extremes_neither_overflow_nor_become_something() -> None:
    """exp(999) is no float; ln 0 stays ln 0."""
    assert combined_log([]) == 0.0
    assert combined_log([Vote("a", LOG_ZERO), Vote("b", 2 * LOG_ZERO)]) == LOG_ZERO
    mixed = [Vote("a", 999.0), Vote("b", LOG_ZERO), Vote("c", 999.0), Vote("d", -999.0)]
    assert combined_log(mixed) == pytest.approx(999.0 - math.log(2.0), abs=1e-9)
    # Below "a" lie "b" and "d", which cost it two thirds; the equal "c" is left out of the smallest mean.
    assert culprit_log(mixed[0], mixed[1:]) == pytest.approx(999.0 - math.log(3.0), abs=1e-9)
    assert culprit_log(mixed[1], [mixed[0], *mixed[2:]]) == LOG_ZERO
    assert culprits(mixed, alpha=0.01) == ("a", "c")


def test_default_weights_give_the_critical_ones_a_half() -> None:
    """One critical metric of three; a latency of two edges counts as one metric."""
    latency = shared(vote("latency", 1.0, flagged=True), {"latency > 0.5 s": 1.5, "latency > 1 s": -0.5})
    assert [(one.name, one.log_value, one.weight, one.flagged) for one in latency] == [
        ("latency > 0.5 s", 1.5, 0.5, True),
        ("latency > 1 s", -0.5, 0.5, True),
    ]
    votes = balanced([vote("errors", 1.0, critical=True), *latency, vote("drift", 1.0)])
    assert [one.weight for one in votes] == [0.5, 0.125, 0.125, 0.25]


@pytest.mark.parametrize("critical", [True, False])
def test_one_kind_alone_has_all_the_weight(critical: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """Nothing is left to a half that nobody has."""
    votes = balanced([vote("a", 1.0, critical=critical), vote("b", 1.0, 0.25, critical=critical)])
    assert [one.weight for one in votes] == [0.8, 0.2]
    assert balanced([]) == ()


def test_culprits_are_named_strongest_first() -> None:
    """
    Of 900, 1200, 30 and 0 (equal weights): 900's smallest mean is with 30 and 0, (900 + 30 + 0) / 3 = 310.
    """
    votes = [vote("fine", 0.0), vote("bad", 900.0), vote("worse", 1200.0), vote("odd", 30.0)]
    assert culprit_log(votes[1], [votes[0], *votes[2:]]) == pytest.approx(math.log(310.0), abs=1e-12)
    assert culprits(votes, alpha=0.01) == ("worse", "bad")
    assert culprits(votes, alpha=1 / 311) == ("worse",)
    assert culprits([], alpha=0.01) == ()


def test_harm_can_be_shown_without_a_culprit() -> None:
    """Three at 150 beside one at 0: the mean 112.5 suffices, but each of the three alone beside the 0 has only 75."""
    votes = [*(vote(name, 150.0) for name in "abc"), vote("d", 0.0)]
    assert combined_log(votes) >= math.log(100.0)
    assert culprits(votes, alpha=0.01) == ()


def test_weights_decide_how_much_others_cost() -> None:
    """500 with weight 0.8 beside 0 with 0.2 keeps 400; the other way round it keeps 100."""
    heavy, light = vote("bad", 500.0, 0.8), vote("bad", 500.0, 0.2)
    assert culprit_log(heavy, [vote("fine", 0.0, 0.2)]) == pytest.approx(math.log(400.0), abs=1e-12)
    assert culprit_log(light, [vote("fine", 0.0, 0.8)]) == pytest.approx(math.log(100.0), abs=1e-12)


def test_a_flagged_vote_is_no_culprit() -> None:
    """Its evidence is not trusted, so it may not accuse."""
    assert culprits([vote("errors", 1e6, flagged=True)], alpha=0.01) == ()


def test_e_bh_takes_the_largest_number_that_holds() -> None:
    """
    Five slices at 5 %: the k-th needs 100 / k. 99 alone fails, 60 as the second passes, so does 34 as the third;
    24 as the fourth does not.
    """
    slices = [vote("d", 24.0), vote("b", 60.0), vote("a", 99.0), vote("c", 34.0), vote("e", 1.0)]
    assert discoveries(slices, alpha=0.05) == ("a", "b", "c")
    assert discoveries([replace(one, flagged=one.name == "c") for one in slices], alpha=0.05) == ("a", "b")
    assert discoveries(slices, alpha=0.01) == ()
    assert discoveries([], alpha=0.05) == ()


def test_neither_list_of_names_contains_the_other() -> None:
    """A weak companion keeps a mean up that e-BH does not take; two strong ones share what closed testing does not."""
    pair = [vote("a", 120.0), vote("b", 90.0)]
    assert (culprits(pair, alpha=0.01), discoveries(pair, alpha=0.01)) == (("a",), ())
    four = [vote("a", 210.0), vote("b", 210.0), vote("c", 0.0), vote("d", 0.0)]
    assert (culprits(four, alpha=0.01), discoveries(four, alpha=0.01)) == ((), ("a", "b"))


def test_promotion_waits_for_every_single_one() -> None:
    """Overwhelming evidence for one metric says nothing for another, and a flagged one is never there."""
    votes = [vote("errors", 1e9), vote("latency", 19.9), vote("drift", 20.1), vote("gpu", 1e9, flagged=True)]
    assert unmet(votes, alpha=0.05) == ("latency", "gpu")
    assert unmet(votes[:1], alpha=0.05) == ()
    assert unmet([], alpha=0.05) == ()


@pytest.mark.parametrize(
    ("name", "log", "weight"),
    [
        ("", 0.0, 1.0),
        ("a", math.nan, 1.0),
        ("a", math.inf, 1.0),
        ("a", 0.0, 0.0),
        ("a", 0.0, 1.1),
        ("a", 0.0, math.nan),
    ],
)
def test_what_is_no_vote_is_refused(name: str, log: float, weight: float) -> None:
    with pytest.raises(ValueError, match="not a vote"):
        Vote(name, log, weight)


@pytest.mark.parametrize("alpha", [0.0, 1.0, -0.1, math.nan])
def test_what_is_no_error_probability_is_refused(alpha: float) -> None:
    for question in (culprits, discoveries, unmet):
        with pytest.raises(ValueError, match="error probability"):
            question([vote("a", 1.0)], alpha=alpha)


def test_two_votes_of_one_name_are_refused() -> None:
    """A name must say who it was."""
    twins = [vote("a", 1.0), vote("a", 2.0)]
    with pytest.raises(ValueError, match="two votes"):
        combined_log(twins)
    for question in (culprits, discoveries, unmet):
        with pytest.raises(ValueError, match="two votes"):
            question(twins, alpha=0.05)


def test_a_weight_cannot_be_shared_among_none() -> None:
    with pytest.raises(ValueError, match="nothing to share"):
        shared(vote("latency", 1.0), {})


def test_twins_that_share_the_evidence_are_suspected_together() -> None:
    """
    Two metrics of the same failures: neither holds up beside the other, together they do.
    """
    bar = -math.log(ALPHA)
    twins = [Vote("errors", bar + 0.5), Vote("tenant-errors", bar + 0.4), Vote("latency", 0.0)]
    assert culprits(twins, alpha=ALPHA) == ()
    assert suspects(twins, alpha=ALPHA) == ("errors", "tenant-errors")


def test_one_that_is_certain_is_suspected_alone_and_nobody_without_evidence() -> None:
    """
    The fewest are named.
    """
    bar = -math.log(ALPHA)
    assert suspects([Vote("errors", bar + 5.0), Vote("latency", 0.0)], alpha=ALPHA) == ("errors",)
    assert suspects([Vote("errors", bar - 1.0), Vote("latency", 0.0)], alpha=ALPHA) == ()
    assert suspects([Vote("errors", bar + 5.0, flagged=True)], alpha=ALPHA) == ()
