"""The promise itself: under the null the evidence is not expected to grow. By exact enumeration, no simulation."""

import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelramp.analysis import HARM_GRID, OK_GRID, Block, Counts, EProcess, Null, log_factor

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
HALF_A_DIGIT = 5e-5  # logs are kept to four decimals


def binomial(n: int, p: float) -> list[float]:
    return [math.comb(n, k) * p**k * (1.0 - p) ** (n - k) for k in range(n + 1)]


def outcomes(n_c: int, p_c: float, n_s: int, p_s: float) -> Iterator[tuple[float, Counts, Counts]]:
    """Every pair of counts with its probability."""
    for (x_c, q_c), (x_s, q_s) in product(enumerate(binomial(n_c, p_c)), enumerate(binomial(n_s, p_s))):
        yield q_c * q_s, Counts(n_c, x_c), Counts(n_s, x_s)


@pytest.mark.parametrize("phi", [1.0, 1.7])
@pytest.mark.parametrize("theta", [*HARM_GRID, *OK_GRID])
def test_no_factor_is_expected_above_one_on_its_null(theta: float, phi: float) -> None:
    """180 margins, rates and splits for each bet: 5,400 in all, on the boundary where the null is hardest to keep."""
    worst = 0.0
    for (rho, epsilon), p_s, n_c, n_s in product(
        [(0.0, 0.02), (1.0, 0.0), (1.1, 0.002), (1.25, 0.04), (0.9, 0.3)],
        [0.0, 0.01, 0.1, 0.5],
        [1, 2, 5],
        [1, 4, 9],
    ):
        p_c = min(1.0, rho * p_s + epsilon)
        worst = max(
            worst,
            math.fsum(
                q * math.exp(log_factor(candidate, stable, theta=theta, null=Null(rho, epsilon), phi=phi))
                for q, candidate, stable in outcomes(n_c, p_c, n_s, p_s)
            ),
        )
    assert 0.0 < worst <= 1.0 + 1e-12


rates = st.floats(0.0, 0.6)
sizes = st.tuples(st.integers(0, 6), st.integers(0, 6))


def nulls(most: float) -> st.SearchStrategy[Null]:
    return st.builds(Null, st.floats(0.0, most), st.floats(0.0, 0.1))


@st.composite
def wealthy(draw: st.DrawFn, grid: tuple[float, ...]) -> EProcess:
    """Some account in mid-rollout."""
    logs = draw(st.lists(st.floats(-20.0, 8.0), min_size=len(grid), max_size=len(grid)))
    unstarted = draw(st.floats(0.0, 1.0))
    return EProcess(grid, tuple(round(log, 4) for log in logs), round(unstarted, 6))


def expected_value(process: EProcess, null: Null, sizes_of_arms: tuple[int, int], p: tuple[float, float]) -> float:
    after = timedelta(seconds=5)
    return math.fsum(
        q * math.exp(process.update(Block(NOON, NOON + after, candidate, stable), null).log_value)
        for q, candidate, stable in outcomes(sizes_of_arms[0], p[0], sizes_of_arms[1], p[1])
    )


@settings(max_examples=60, deadline=None)
@given(wealthy(HARM_GRID), nulls(2.0), rates, st.floats(0.0, 1.0), sizes)
def test_evidence_of_harm_is_a_supermartingale(
    process: EProcess, null: Null, p_s: float, part: float, arms: tuple[int, int]
) -> None:
    """From any state, for any rates within the null and any split."""
    p_c = part * min(1.0, null.rho * p_s + null.epsilon)
    expected = expected_value(process, null, arms, (p_c, p_s))
    assert expected <= math.exp(process.log_value + HALF_A_DIGIT) * (1 + 1e-12)


@settings(max_examples=60, deadline=None)
@given(wealthy(OK_GRID), nulls(1.0), rates, st.floats(0.0, 1.0), sizes)
def test_evidence_of_not_worse_is_a_supermartingale(
    process: EProcess, null: Null, p_s: float, part: float, arms: tuple[int, int]
) -> None:
    """From any state, for any candidate at the margin or beyond."""
    allowed = min(1.0, null.rho * p_s + null.epsilon)
    p_c = allowed + part * (1.0 - allowed)
    expected = expected_value(process, null, arms, (p_c, p_s))
    assert expected <= math.exp(process.log_value + HALF_A_DIGIT) * (1 + 1e-12)


@settings(max_examples=40, deadline=None)
@given(st.sampled_from([*HARM_GRID, *OK_GRID]), rates, rates, st.integers(1, 2), st.integers(1, 2))
def test_merged_blocks_of_one_split_stay_valid(
    theta: float, first: float, second: float, unit: int, times: int
) -> None:
    """A missed scrape merges two blocks: valid though the rates changed in between."""
    null, split = Null(1.1, 0.01), (unit, 2 * unit)
    total = 0.0
    for (q, c, s), (again, c2, s2) in product(
        outcomes(split[0], min(1.0, 1.1 * first + 0.01), split[1], first),
        outcomes(times * split[0], min(1.0, 1.1 * second + 0.01), times * split[1], second),
    ):
        total += q * again * math.exp(log_factor(c + c2, s + s2, theta=theta, null=null))
    assert total <= 1.0 + 1e-12


def test_merging_across_a_change_of_split_is_not_valid() -> None:
    """The reason why blocks end where a step begins: an equally good candidate looks worse in the sum."""
    null = Null(1.0, 0.0)
    early, late = outcomes(1, 0.0, 9, 0.0), list(outcomes(5, 0.3, 5, 0.3))
    expected = math.fsum(
        q * again * math.exp(log_factor(c + c2, s + s2, theta=2.2, null=null))
        for q, c, s in early
        for again, c2, s2 in late
    )
    assert expected > 1.2


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 40), st.integers(0, 200), st.integers(1, 40), st.floats(0.0, 2.0), st.floats(0.0, 0.1))
def test_another_candidate_error_never_lowers_harm_nor_raises_ok(
    errors: int, stable_errors: int, more: int, rho: float, epsilon: float
) -> None:
    """Evidence is monotone in what it is about, and opposite in what it is compared with."""
    null, stable = Null(rho, epsilon), Counts(900.0, stable_errors)
    fewer, worse = Counts(100.0, errors), Counts(100.0, errors + more)
    worse_stable = Counts(900.0, stable_errors + more)
    for grid, sign in ((HARM_GRID, 1.0), (OK_GRID, -1.0)):
        for theta in grid:
            base = log_factor(fewer, stable, theta=theta, null=null)
            assert sign * base <= sign * log_factor(worse, stable, theta=theta, null=null)
            assert sign * base >= sign * log_factor(fewer, worse_stable, theta=theta, null=null)
