"""Short cuts and promises of combining evidence, against brute force."""

import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import chain, combinations, product

from hypothesis import given, settings
from hypothesis import strategies as st

from modelramp.analysis.block import Block, Counts
from modelramp.analysis.combination import Vote, balanced, combined_log, culprit_log, culprits, discoveries
from modelramp.analysis.eprocess import HARM_GRID, LOG_ZERO, OK_GRID, EProcess, Null
from modelramp.analysis.strata import strata_log_factors, updated

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
EXACT = 1e-9


@st.composite
def voters(draw: st.DrawFn) -> list[Vote]:
    """Up to eight, some without wealth, some flagged, some alike."""
    logs = st.one_of(st.floats(-12.0, 12.0), st.sampled_from([LOG_ZERO, 0.0, 5.0]))
    made = st.tuples(logs, st.floats(0.001, 1.0), st.booleans(), st.integers(0, 9))
    return [
        Vote(f"metric {number}", log, weight, critical, flagged == 0)
        for number, (log, weight, critical, flagged) in enumerate(draw(st.lists(made, min_size=1, max_size=8)))
    ]


def mean(votes: Sequence[Vote]) -> float:
    """Compute the weighted mean without a logarithm."""
    wealth = math.fsum(one.weight * math.exp(one.counted) for one in votes)
    return wealth / math.fsum(one.weight for one in votes)


def log(value: float) -> float:
    return math.log(value) if value > 0.0 else LOG_ZERO


@settings(max_examples=60)
@given(voters())
def test_closed_testing_needs_no_look_at_every_set(votes: list[Vote]) -> None:
    """The short cut finds the smallest mean over all 2^(K-1) sets that contain the suspect."""
    for suspect in votes:
        others = [one for one in votes if one is not suspect]
        sets = chain.from_iterable(combinations(others, size) for size in range(len(others) + 1))
        smallest = min(mean([suspect, *members]) for members in sets)
        assert math.isclose(culprit_log(suspect, others), log(smallest), abs_tol=EXACT)


@settings(max_examples=60)
@given(voters(), st.sampled_from([0.01, 0.05, 0.3]))
def test_whoever_is_named_is_named_with_the_whole(votes: list[Vote], alpha: float) -> None:
    """A culprit implies combined harm and nobody flagged is one; with equal weights a discovery implies it as well."""
    named = culprits(votes, alpha=alpha)
    assert not named or combined_log(votes) >= -math.log(alpha) - EXACT
    assert not {one.name for one in votes if one.flagged} & set(named)
    alike = [Vote(one.name, one.log_value, 1.0, one.critical, one.flagged) for one in votes]
    found = discoveries(alike, alpha=alpha)
    assert not found or combined_log(alike) >= -math.log(alpha) - EXACT
    assert not {one.name for one in votes if one.flagged} & set(found)


@settings(max_examples=60)
@given(voters(), st.sampled_from([0.01, 0.05, 0.3]))
def test_who_is_over_the_corrected_bar_alone_is_on_both_lists(votes: list[Vote], alpha: float) -> None:
    """Bonferroni's bar suffices for closed testing and for e-BH; beyond it neither list contains the other."""
    alike = [Vote(one.name, one.log_value, 1.0, one.critical, one.flagged) for one in votes]
    bar = math.log(len(votes)) - math.log(alpha) + EXACT
    strong = {one.name for one in alike if one.counted >= bar}
    assert strong <= set(culprits(alike, alpha=alpha)) & set(discoveries(alike, alpha=alpha))


@settings(max_examples=60)
@given(voters(), st.floats(0.001, 0.5))
def test_the_mean_is_never_behind_bonferroni(votes: list[Vote], alpha: float) -> None:
    """One vote over its own corrected bar brings the mean over the common one; exactly, no tolerance."""
    whole = math.log(math.fsum(one.weight for one in votes))
    for one in votes:
        if one.counted > LOG_ZERO and one.counted + math.log(one.weight) - whole >= -math.log(alpha):
            assert combined_log(votes) >= -math.log(alpha)
    assert math.isclose(combined_log(votes), log(mean(votes)), abs_tol=EXACT)


@settings(max_examples=60)
@given(voters())
def test_flags_only_take_away(votes: list[Vote]) -> None:
    """Combined evidence gets no larger by a flag, whoever is flagged; default weights sum to 1."""
    for flagged in votes:
        after = [Vote(v.name, v.log_value, v.weight, v.critical, v.flagged or v is flagged) for v in votes]
        assert combined_log(after) <= combined_log(votes)
    assert math.isclose(math.fsum(one.weight for one in balanced(votes)), 1.0, abs_tol=EXACT)


counts = st.integers(0, 40).flatmap(lambda n: st.builds(Counts, st.just(n), st.integers(0, n)))
blocks = st.builds(lambda c, s: Block(NOON, NOON + timedelta(seconds=5), c, s), counts, counts)


@settings(max_examples=60)
@given(
    st.sampled_from([HARM_GRID, OK_GRID]),
    st.lists(blocks, min_size=1, max_size=4),
    st.floats(0.0, 2.0),
    st.floats(0.0, 0.1),
    st.floats(1.0, 9.0),
)
def test_one_stratum_is_the_plain_update(
    grid: tuple[float, ...], observed: list[Block], rho: float, epsilon: float, phi: float
) -> None:
    """To the last digit, over several blocks: the rounding and its bounds are the same."""
    null, plain = Null(rho, epsilon), EProcess.begin(grid, started=0.5)
    stratified = plain
    for block in observed:
        plain, stratified = plain.update(block, null, phi), updated(stratified, {"all": block}, null, phi)
        assert stratified == plain


def binomial(n: int, p: float) -> list[float]:
    return [math.comb(n, k) * p**k * (1.0 - p) ** (n - k) for k in range(n + 1)]


@settings(max_examples=20)
@given(st.sampled_from([*HARM_GRID, *OK_GRID]), st.lists(st.floats(0.0, 0.6), min_size=2, max_size=2))
def test_no_sum_over_strata_is_expected_above_one(theta: float, rates: list[float]) -> None:
    """Two strata of opposite splits at the margin, by exact enumeration: where pooling is expected to exceed 1."""
    null, sizes = Null(1.1, 0.01), ((3, 1), (1, 3))
    tables = [
        [
            (q_c * q_s, Block(NOON, NOON + timedelta(seconds=5), Counts(n_c, x_c), Counts(n_s, x_s)))
            for (x_c, q_c), (x_s, q_s) in product(
                enumerate(binomial(n_c, 1.1 * rate + 0.01)), enumerate(binomial(n_s, rate))
            )
        ]
        for (n_c, n_s), rate in zip(sizes, rates, strict=True)
    ]
    expected = math.fsum(
        q * again * math.exp(strata_log_factors({"a": a, "b": b}, (theta,), null=null)[0])
        for (q, a), (again, b) in product(*tables)
    )
    assert expected <= 1.0 + 1e-12
