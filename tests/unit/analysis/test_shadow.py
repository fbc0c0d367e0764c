"""Mirrored pairs as counts and margins: what a pair tells, and how much less two separate counters do."""

import math
from datetime import UTC, datetime, timedelta

import pytest

from modelramp.analysis.block import Block, Counts
from modelramp.analysis.eprocess import HARM_GRID, OK_GRID, EProcess, Null, Wealth, log_factor
from modelramp.analysis.evidence import MetricEvidence, Verdict
from modelramp.analysis.margin import Margins
from modelramp.analysis.shadow import PairCounts, agreement, at_edges, paired, self_agreement, tail_above

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
LATER = NOON + timedelta(minutes=1)
DISTANCES = {0.1: 90.0, 0.5: 97.0, math.inf: 100.0}


def test_only_discordant_pairs_are_counted() -> None:
    """Pairs that are both bad cancel in the difference of the rates."""
    one = paired(PairCounts(1000, 4, 2, 8), tolerated=0.001, unacceptable=0.01)
    assert (Counts(1000, 4), Counts(1000, 2)) == (one.candidate, one.stable)
    assert Margins(harm=Null(1.0, 0.001), ok=Null(1.0, 0.01)) == one.margins
    assert Block(NOON, LATER, Counts(1000, 4), Counts(1000, 2)) == one.block(NOON, LATER)


def test_pairs_of_two_stretches_add_up() -> None:
    assert PairCounts(30, 3, 5, 7) == PairCounts(10, 1, 2, 3) + PairCounts(20, 2, 3, 4)


@pytest.mark.parametrize(
    "numbers", [(9, 4, 4, 2), (10, -1, 0, 0), (10, 0, -1, 5), (math.inf, 1, 1, 1), (math.nan, 0, 0, 0)]
)
def test_impossible_pairs_are_refused(numbers: tuple[float, float, float, float]) -> None:
    with pytest.raises(ValueError, match="not pairs"):
        PairCounts(*numbers)


def growth(candidate: Counts, stable: Counts, grid: tuple[float, ...]) -> float:
    """Expected growth per pair of the best bet: the logarithm of a factor is linear in the counts."""
    return max(log_factor(candidate, stable, theta=theta, null=Null(1.0, 0.0)) for theta in grid)


def test_pairing_needs_a_quarter_of_the_pairs() -> None:
    """Bad: 1 % of stable, 1.2 % of the candidate, 0.8 % of both, so 0.4 % and 0.2 % discordant; 99 % evidence."""
    effects = tuple(1.0 + step / 100.0 for step in range(1, 300))
    joint = paired(PairCounts(1.0, 0.004, 0.002, 0.008), tolerated=0.0, unacceptable=0.01)
    with_pairs = math.log(100.0) / growth(joint.candidate, joint.stable, effects)
    without = math.log(100.0) / growth(Counts(1.0, 0.012), Counts(1.0, 0.01), effects)
    assert pytest.approx(13_553, abs=1) == with_pairs  # 0.004 ln(4/3) + 0.002 ln(2/3) a pair
    assert pytest.approx(50_587, abs=1) == without
    assert pytest.approx(3.73, abs=0.005) == without / with_pairs
    of_grid = growth(joint.candidate, joint.stable, HARM_GRID) / growth(Counts(1, 0.012), Counts(1, 0.01), HARM_GRID)
    assert pytest.approx(3.86, abs=0.005) == of_grid


@pytest.mark.parametrize(
    ("pairs", "verdict"),
    [(PairCounts(5000, 5, 5, 90), Verdict.PASSED), (PairCounts(5000, 60, 5, 90), Verdict.FAILED)],
    ids=["alike", "a point worse"],
)
def test_a_mirror_gives_a_verdict_by_the_usual_evidence(pairs: PairCounts, verdict: Verdict) -> None:
    """Nothing of the evidence is special to shadow."""
    wealth = Wealth(1.0, 0.0, 0.0)
    one = paired(pairs, tolerated=0.001, unacceptable=0.005)
    evidence = MetricEvidence.begin(wealth).observe(one.block(NOON, LATER), one.margins, wealth)
    assert verdict == evidence.verdict()


def test_agreement_is_tested_against_an_absolute_limit() -> None:
    """3 disagreements in 1,000 show that 2 % are kept; 50 that 1 % is not. By hand at theta 5: 50 ln 5 - 10 * 4."""
    good = agreement(Counts(1000, 3), tolerated=0.01, unacceptable=0.02)
    bad = agreement(Counts(1000, 50), tolerated=0.01, unacceptable=0.02)
    assert Margins(harm=Null(0.0, 0.01), ok=Null(0.0, 0.02)) == good.margins
    assert Counts() == good.stable
    assert EProcess.begin(OK_GRID).update(good.block(NOON, LATER), good.margins.ok).log_value > math.log(20.0)
    assert EProcess.begin(HARM_GRID).update(bad.block(NOON, LATER), bad.margins.harm).log_value > math.log(100.0)
    factor = log_factor(bad.candidate, bad.stable, theta=5.0, null=bad.margins.harm)
    assert pytest.approx(50 * math.log(5.0) - 40.0) == factor


def test_a_model_that_differs_from_itself_is_measured_by_that() -> None:
    """12 % disagreement is harm against 1 %, and none where stable differs from itself in 11 %."""
    answers = Counts(4000, 480)
    own = self_agreement(answers, Counts(1000, 110), rho=1.1, tolerated=0.01, unacceptable=0.05)
    fixed = agreement(answers, tolerated=0.01, unacceptable=0.05)
    assert (answers, Counts(1000, 110)) == (own.candidate, own.stable)
    assert Margins(harm=Null(1.1, 0.01), ok=Null(1.1, 0.05)) == own.margins
    assert EProcess.begin(HARM_GRID).update(own.block(NOON, LATER), own.margins.harm).log_value < 0.0
    assert EProcess.begin(OK_GRID).update(own.block(NOON, LATER), own.margins.ok).log_value > math.log(20.0)
    assert EProcess.begin(HARM_GRID).update(fixed.block(NOON, LATER), fixed.margins.harm).log_value > math.log(100.0)


@pytest.mark.parametrize(("tolerated", "unacceptable"), [(-0.1, 0.5), (0.2, 0.2), (0.1, 1.0), (math.nan, 0.5)])
def test_margins_out_of_order_are_refused(tolerated: float, unacceptable: float) -> None:
    """Between the two lies the room in which either answer is right."""
    with pytest.raises(ValueError, match="margins out of order"):
        agreement(Counts(10, 1), tolerated=tolerated, unacceptable=unacceptable)


@pytest.mark.parametrize("rho", [0.0, -1.0, math.inf, math.nan])
def test_a_control_without_a_factor_is_refused(rho: float) -> None:
    """With 0 the control would not be looked at."""
    with pytest.raises(ValueError, match="disagreement with itself"):
        self_agreement(Counts(10, 1), Counts(10, 1), rho=rho, tolerated=0.0, unacceptable=0.1)


def test_distances_count_above_the_tolerance() -> None:
    assert Counts(100, 3) == tail_above(DISTANCES, 0.5)
    assert (Counts(100, 90), Counts(100, 97)) == at_edges(DISTANCES, (0.1, 0.5))


@pytest.mark.parametrize("tolerance", [0.2, math.inf])
def test_a_tolerance_between_edges_is_refused_with_their_list(tolerance: float) -> None:
    with pytest.raises(ValueError, match=r"no bucket edges: .*there are \[0\.1, 0\.5\]"):
        tail_above(DISTANCES, tolerance)


@pytest.mark.parametrize("histogram", [{}, {0.1: 5.0}, {0.1: 5.0, math.inf: 4.0}, {0.1: -1.0, math.inf: 4.0}])
def test_what_is_no_cumulative_histogram_is_refused(histogram: dict[float, float]) -> None:
    with pytest.raises(ValueError, match="not a cumulative histogram"):
        tail_above(histogram, 0.1)
