"""The promise for new forms of evidence: none is expected to grow while its null holds. By exact enumeration."""

import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelramp.analysis.block import Block, Counts
from modelramp.analysis.detector import Detector, Rule
from modelramp.analysis.drift import Distribution, DriftEvidence, ShareBlock
from modelramp.analysis.eprocess import HARM_GRID, OK_GRID, EProcess, Null, Wealth, log_factor
from modelramp.analysis.shadow import Comparison, PairCounts, paired, self_agreement
from modelramp.analysis.split import SplitGuard, bet_beyond

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
ALL = Wealth(1.0, 0.0, 0.0)
ROUNDING = 1.0 + 1.1e-4  # of two updates, each to four decimals of the logarithm


def binomial(n: int, p: float) -> list[float]:
    return [math.comb(n, k) * p**k * (1.0 - p) ** (n - k) for k in range(n + 1)]


def multinomial(n: int, law: tuple[float, ...]) -> Iterator[tuple[float, tuple[int, ...]]]:
    """Every composition of n with its probability."""
    if len(law) == 1:
        yield law[0] ** n, (n,)
        return
    for k in range(n + 1):
        for q, rest in multinomial(n - k, law[1:]):
            yield math.comb(n, k) * law[0] ** k * q, (k, *rest)


def minute(place: int, candidate: Counts, stable: Counts) -> Block:
    return Block(NOON + place * MINUTE, NOON + (place + 1) * MINUTE, candidate, stable)


def factor(one: Comparison, theta: float, phi: float) -> float:
    null = one.margins.harm if theta > 1.0 else one.margins.ok
    return math.exp(log_factor(one.candidate, one.stable, theta=theta, null=null, phi=phi))


@pytest.mark.parametrize("theta", [*HARM_GRID, *OK_GRID])
def test_discordant_pairs_keep_the_bound(theta: float) -> None:
    """On the boundary of their margin; one pair is bad at the candidate, at stable, at both or at none, never two."""
    tolerated, unacceptable = 0.02, 0.1
    epsilon = tolerated if theta > 1.0 else unacceptable
    worst = 0.0
    for n, only_stable, both, phi in product([1, 3, 5], [0.0, 0.05, 0.3], [0.0, 0.2], [1.0, 2.0]):
        only_candidate = only_stable + epsilon
        law = (only_candidate, only_stable, both, 1.0 - only_candidate - only_stable - both)
        expected = math.fsum(
            q * factor(paired(PairCounts(n, *k[:3]), tolerated=tolerated, unacceptable=unacceptable), theta, phi)
            for q, k in multinomial(n, law)
        )
        worst = max(worst, expected)
    assert 0.0 < worst <= 1.0 + 1e-12


@pytest.mark.parametrize("theta", [1.25, 3.2, 50.0, 0.85, 0.25, 0.03])
@pytest.mark.parametrize("overlap", [0.0, 0.25, 1.0], ids=["never both", "independent", "always both"])
def test_a_control_on_the_same_requests_keeps_the_bound(theta: float, overlap: float) -> None:
    """Two of three requests are mirrored to both; their disagreements may depend on each other in any way."""
    rho, p_s = 1.1, 0.25
    tolerated, unacceptable = 0.025, 0.075
    p_c = rho * p_s + (tolerated if theta > 1.0 else unacceptable)
    both = overlap * p_s
    law = (both, p_c - both, p_s - both, 1.0 - p_c - p_s + both)
    expected = math.fsum(
        q
        * alone
        * factor(
            self_agreement(
                Counts(3, k[0] + k[1] + x),
                Counts(2, k[0] + k[2]),
                rho=rho,
                tolerated=tolerated,
                unacceptable=unacceptable,
            ),
            theta,
            1.0,
        )
        for q, k in multinomial(2, law)
        for x, alone in enumerate(binomial(1, p_c))
    )
    assert 0.0 < expected <= 1.0 + 1e-12


@pytest.mark.parametrize("theta", [*HARM_GRID, *OK_GRID])
def test_a_share_at_its_limit_keeps_the_bound_in_either_form(theta: float) -> None:
    """Limits on both sides of a half, where the outcome that is counted changes."""
    for limit, n in product([0.0, 0.05, 0.3, 0.5, 0.501, 0.8, 0.99, 1.0], [1, 4, 9]):
        before = EProcess((theta,), (0.0,), 0.0)
        expected = math.fsum(
            q * math.exp(bet_beyond(before, minute(0, Counts(n, x), Counts()), limit).logs[0])
            for x, q in enumerate(binomial(n, limit))
            if q > 0.0
        )
        assert 0.0 < expected <= ROUNDING


def test_the_guard_keeps_the_bound_over_blocks_of_different_shares() -> None:
    """At the upper limit, at the lower one or within, in each of two blocks; each side by itself."""
    for (first, second), (early, late) in product([(0.1, 0.6), (0.7, 0.5)], product([0.75, 1.0, 1.25], repeat=2)):
        above = below = 0.0
        for (x, q), (y, again) in product(enumerate(binomial(4, first * early)), enumerate(binomial(4, second * late))):
            guard = SplitGuard.begin(ALL).observe(minute(0, Counts(x), Counts(4 - x)), first, ALL)
            guard = guard.observe(minute(1, Counts(y), Counts(4 - y)), second, ALL)
            above += q * again * math.exp(guard.above.log_value)
            below += q * again * math.exp(guard.below.log_value)
        assert min(above, below) > 0.0
        assert max(above, below) <= ROUNDING


def shares(place: int, candidate: tuple[int, ...], stable: tuple[int, ...]) -> ShareBlock:
    arms = [tuple(Counts(sum(arm), x) for x in arm) for arm in (candidate, stable)]
    return ShareBlock(NOON + place * MINUTE, NOON + (place + 1) * MINUTE, arms[0], arms[1] if stable else ())


@pytest.mark.parametrize(
    "p", [(0.4, 0.5), (0.5, 0.4), (0.85, 0.75), (0.02, 0.1), (0.6, 0.6)], ids=["low", "high", "most", "rare", "same"]
)
def test_drift_keeps_the_bound_though_the_counted_outcome_follows_the_past(p: tuple[float, float]) -> None:
    """A shift of exactly 10 points, or none: two blocks, the second in the form that the first one's counts choose."""
    distribution = Distribution(("a", "b"), shift=0.1)
    begun = DriftEvidence.begin(distribution, ALL)
    outcomes = [
        (q * r, (x, 2 - x), (y, 2 - y))
        for (x, q), (y, r) in product(enumerate(binomial(2, p[0])), enumerate(binomial(2, p[1])))
    ]
    expected = 0.0
    for q, candidate, stable in outcomes:
        first = begun.observe(shares(0, candidate, stable), ALL)
        for again, late, late_stable in outcomes:
            expected += q * again * math.exp(first.observe(shares(1, late, late_stable), ALL).log_value)
    assert 0.0 < expected <= ROUNDING


@pytest.mark.parametrize("fixed", [False, True], ids=["stable arm", "training"])
def test_drift_of_three_classes_keeps_the_bound(fixed: bool) -> None:  # noqa: FBT001
    """Classes exclude each other, which the mean of their evidences does not mind. Each claim keeps it by itself."""
    law, reference = (0.2, 0.3, 0.5), (0.3, 0.2, 0.5)
    begun = DriftEvidence.begin(Distribution(("a", "b", "c"), reference if fixed else None, 0.1), ALL)
    stable = [(1.0, ())] if fixed else list(multinomial(4, reference))
    expected = [0.0] * len(begun.bets)
    for (q, k), (r, other) in product(multinomial(4, law), stable):
        after = begun.observe(shares(0, k, other), ALL)
        expected = [mean + q * r * math.exp(bet.log_value) for mean, bet in zip(expected, after.bets, strict=True)]
    assert min(expected) > 0.0
    assert max(expected) <= ROUNDING


@given(
    st.sampled_from(Rule),
    st.lists(st.floats(-20.0, 8.0), min_size=len(HARM_GRID), max_size=len(HARM_GRID)),
    st.floats(0.0, 0.3),
    st.floats(0.0, 1.0),
    st.integers(0, 6),
)
def test_the_watch_grows_by_one_a_block_at_most(
    rule: Rule, logs: list[float], limit: float, part: float, n: int
) -> None:
    """From any state, for any rate within the limit: so the mean time to a false alarm is at least the threshold."""
    watch = Detector(rule, tuple(round(log, 4) for log in logs), 1.0, None)
    after = math.fsum(
        q * math.exp(watch.observe(minute(0, Counts(n, x), Counts()), Null(0.0, limit)).log_value)
        for x, q in enumerate(binomial(n, part * limit))
    )
    assert after <= (math.exp(watch.log_value) + 1.0) * ROUNDING
