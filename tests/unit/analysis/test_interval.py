"""The interval of the risk ratio: by hand, against the exact likelihood, and how often it misses the truth."""

import json
import math
import random
from bisect import bisect
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from itertools import accumulate, pairwise

import pytest

from modelramp.analysis.block import Block, Counts
from modelramp.analysis.eprocess import Null, log_factor
from modelramp.analysis.interval import (
    DEEPEST,
    LOG_RATIOS,
    POINTS,
    RatioInterval,
    RatioSequence,
    always_valid_p,
)

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
NOTHING = RatioSequence()


def block_of(candidate: tuple[float, float], stable: tuple[float, float]) -> Block:
    """Build a block from (n, x) of each arm."""
    return Block(NOON, NOON + timedelta(seconds=5), Counts(*candidate), Counts(*stable))


def observed(blocks: Iterable[Block], phi: float = 1.0) -> RatioSequence:
    found = NOTHING
    for block in blocks:
        found = found.observe(block, phi)
    return found


def bounds(interval: RatioInterval) -> tuple[float, float]:
    """Replace what lies beyond the grid by 0 and infinity."""
    return interval.low or 0.0, math.inf if interval.high is None else interval.high


def likelihood(blocks: Iterable[Block], log_ratio: float) -> float:
    """Compute the definition, term by term."""
    return math.fsum(
        b.candidate.x * log_ratio
        - (b.candidate.x + b.stable.x) * math.log(math.exp(log_ratio) * b.candidate.n + b.stable.n)
        for b in blocks
    )


def exact_bounds(blocks: list[Block], alpha: float = 0.05) -> tuple[float, float]:
    """Find where the mean likelihood of the grid is 1 / alpha times that of a ratio, by bisection."""
    logs = [likelihood(blocks, one) for one in LOG_RATIOS]
    top = max(logs)
    bar = top + math.log(math.fsum(math.exp(one - top) for one in logs) / POINTS) + math.log(alpha)
    best = LOG_RATIOS[logs.index(top)]
    found = []
    for end in (LOG_RATIOS[0], LOG_RATIOS[-1]):
        inside, outside = best, end
        for _ in range(40):
            middle = (inside + outside) / 2.0
            inside, outside = (middle, outside) if likelihood(blocks, middle) > bar else (inside, middle)
        found.append(math.exp(inside))
    return found[0], found[1]


def test_the_grid_reaches_from_a_32nd_to_32() -> None:
    assert len(LOG_RATIOS) == POINTS
    assert [math.exp(LOG_RATIOS[j]) for j in (0, 16, 32)] == pytest.approx([1 / 32, 1.0, 32.0], abs=1e-12)
    assert [b - a for a, b in pairwise(LOG_RATIOS)] == pytest.approx([math.log(2.0) * 5 / 16] * 32, abs=1e-12)


def test_nothing_is_refuted_by_nothing() -> None:
    """Nor by blocks in which an arm is missing."""
    assert NOTHING.interval() == RatioInterval(None, None)
    assert observed([block_of((9, 3), (0, 0)), block_of((0, 0), (9, 3)), block_of((0, 0), (0, 0))]) == NOTHING


def test_a_depth_is_the_definition() -> None:
    """By hand: one error on each of two equal arms is rho / (1 + rho)^2: greatest at 1, and 128/1089 of it at 1/32."""
    found = NOTHING.observe(block_of((10, 1), (10, 1)))
    assert found.depths[16] == 0.0
    assert found.depths[0] == found.depths[32] == round(-math.log(128 / 1089), 4)


@pytest.mark.parametrize("phi", [1.0, 3.0])
def test_differences_of_depths_are_the_factors_of_the_primitive(phi: float) -> None:
    """Likelihood ratios of two ratios are bets of one against the other, block by block, over changing splits."""
    blocks = [block_of((50, 3), (950, 20)), block_of((300, 9), (700, 11)), block_of((500, 4), (500, 6))]
    found = observed(blocks, phi).depths
    for j, log_ratio in enumerate(LOG_RATIOS):
        if j != 16:
            expected = math.fsum(
                log_factor(b.candidate, b.stable, theta=math.exp(log_ratio), null=Null(1.0, 0.0), phi=phi)
                for b in blocks
            )
            assert found[16] - found[j] == pytest.approx(expected, abs=4e-4)


EXPERIMENTS = {
    "few": [block_of((100, 6), (900, 9))],
    "ramp": [block_of((50, 3), (950, 20)), block_of((300, 9), (700, 11)), block_of((500, 14), (500, 16))] * 4,
    "many": [block_of((1000, 30), (9000, 180))] * 20,
    "equal": [block_of((5000, 50), (5000, 50))] * 4,
    "very many": [block_of((500_000, 5570), (500_000, 5000))] * 6,
}


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_bounds_err_outwards_and_by_less_than_two_percent(name: str) -> None:
    """Between the ratios of the grid the true set is not cut, and hardly enlarged."""
    blocks = EXPERIMENTS[name]
    low, high = bounds(observed(blocks).interval())
    exact_low, exact_high = exact_bounds(blocks)
    assert 0.98 * exact_low < low <= 1.0005 * exact_low
    assert 0.9995 * exact_high <= high < 1.02 * exact_high


@pytest.mark.parametrize(("name", "ratio"), [("few", 6.0), ("many", 1.5), ("equal", 1.0)])
def test_the_observed_ratio_is_never_refuted(name: str, ratio: float) -> None:
    """6 % against 1 %; 3 % against 2 %, which is no point of the grid; 1 % on both."""
    low, high = bounds(observed(EXPERIMENTS[name]).interval())
    assert low < ratio < high


def test_what_lies_beyond_the_grid_has_no_bound() -> None:
    """No candidate error: any small ratio fits. No stable error: any large one."""
    assert observed([block_of((500, 0), (500, 40))]).interval().low is None
    fine = observed([block_of((500, 0), (500, 40))]).interval().high
    assert fine is not None
    assert 0.03 < fine < 0.3
    assert observed([block_of((500, 40), (500, 0))]).interval().high is None


def test_arms_exchanged_give_the_reciprocal() -> None:
    there = bounds(observed([block_of((300, 9), (700, 11))] * 3).interval())
    back = bounds(observed([block_of((700, 11), (300, 9))] * 3).interval())
    assert (1.0 / back[1], 1.0 / back[0]) == pytest.approx(there, rel=1e-3)


def test_a_surer_interval_is_wider() -> None:
    found = observed(EXPERIMENTS["ramp"])
    loose, tight = bounds(found.interval(0.001)), bounds(found.interval(0.2))
    assert loose[0] < tight[0] < tight[1] < loose[1]


@pytest.mark.parametrize(("millions", "factor"), [(1, 1.043), (500, 1.242)])
def test_depths_cut_off_widen_the_interval_to_the_next_ratios(millions: int, factor: float) -> None:
    """50 million exposures of 1 % leave 4 %; with all other depths cut off, the grid's neighbours are the bounds."""
    n = 500_000 * millions
    found = observed([block_of((n, n / 100), (n, n / 100))] * 50)
    assert (found.depths.count(DEEPEST) == POINTS - 1) is (millions == 500)
    assert bounds(found.interval()) == pytest.approx((1 / factor, factor), rel=0.003)


def test_a_bound_at_the_end_of_the_grid() -> None:
    """The last two ratios enclose it, and there is no further one to know the curvature from on that side."""
    blocks = [block_of((500, 45), (500, 0)), block_of((500, 150), (500, 7))]
    low, high = bounds(observed(blocks).interval())
    exact_low, _ = exact_bounds(blocks)
    assert 0.98 * exact_low < low <= 1.0005 * exact_low
    assert high == math.inf
    edge = RatioSequence((0.0, 30.0, *(100.0 + 100.0 * j for j in range(POINTS - 2))))
    assert edge.interval().low is None
    assert 1 / 32 < bounds(edge.interval())[1] < 1 / 25


# ---------------------------------------------------------------- how often the truth is missed

SHARES = [0.05] * 20 + [0.25] * 20 + [0.5] * 20
RUNS, REQUESTS = 300, 200


def table(n: int, p: float) -> list[float]:
    """Cumulate the binomial probabilities, to draw from by bisection."""
    return list(accumulate(math.comb(n, k) * p**k * (1.0 - p) ** (n - k) for k in range(n + 1)))


def simulated(rng: random.Random, ratio: float, base: float) -> list[Block]:
    """Ramp from 5 to 50 % in 60 blocks, the stable rate rising threefold and falling again."""
    made = []
    for number, share in enumerate(SHARES):
        n, p = int(REQUESTS * share), base * (1.0, 2.0, 3.0, 2.0)[number // 5 % 4]
        key = (n, p, ratio)
        if key not in TABLES:
            TABLES[key] = (table(n, ratio * p), table(REQUESTS - n, p))
        x_c, x_s = (min(bisect(one, rng.random()), len(one) - 1) for one in TABLES[key])
        made.append(block_of((n, x_c), (REQUESTS - n, x_s)))
    return made


TABLES: dict[tuple[int, float, float], tuple[list[float], list[float]]] = {}


def test_the_truth_is_missed_at_any_time_in_at_most_one_run_of_twenty() -> None:
    """300 runs of 60 looks each, of ratios on the grid and between two of its points. And it does learn."""
    rng, missed, learnt = random.Random(1), 0, 0
    for run in range(RUNS):
        ratio, found, seen = (0.9, 1.0, 2.7)[run % 3], NOTHING, []
        for block in simulated(rng, ratio, 0.02):
            found = found.observe(block)
            seen.append(bounds(found.interval()))
        missed += any(not low <= ratio <= high for low, high in seen)
        learnt += seen[-1][1] < 4.0 * seen[-1][0]
    assert missed <= RUNS * 0.05
    assert learnt >= RUNS * 0.9


# ---------------------------------------------------------------- state, p, refusals


def test_the_state_is_exact_and_small() -> None:
    """Restoring after every block changes nothing; 259 bytes at the very most."""
    straight, restarted = NOTHING, NOTHING
    for block in EXPERIMENTS["ramp"]:
        straight = straight.observe(block)
        restarted = RatioSequence.from_state(json.loads(json.dumps(restarted.observe(block).to_state())))
    assert restarted == straight
    assert json.dumps(NOTHING.to_state(), separators=(",", ":")) == f"[{','.join('0' * POINTS)}]"
    largest = RatioSequence((0.0, *(DEEPEST,) * (POINTS - 1)))
    assert len(json.dumps(largest.to_state(), separators=(",", ":"))) == 259
    assert RatioSequence.from_state(largest.to_state()) == largest


@pytest.mark.parametrize(
    "state", [[], [0.0] * 32, [1.0] * 33, [-0.1, *[0.0] * 32], [*[0.0] * 32, 1e5], [*[0.0] * 32, math.nan]]
)
def test_a_damaged_state_is_refused(state: list[float]) -> None:
    with pytest.raises(ValueError, match="not the likelihoods"):
        RatioSequence.from_state(state)


@pytest.mark.parametrize("phi", [0.99, math.inf, math.nan])
def test_overdispersion_below_one_is_refused(phi: float) -> None:
    with pytest.raises(ValueError, match="overdispersion"):
        NOTHING.observe(block_of((10, 1), (10, 1)), phi)


@pytest.mark.parametrize("alpha", [0.0, 1.0, math.nan])
def test_what_is_no_error_probability_is_refused(alpha: float) -> None:
    with pytest.raises(ValueError, match="error probability"):
        NOTHING.interval(alpha)


def test_p_is_the_reciprocal_of_the_highest_evidence() -> None:
    """20 is 0.05; no evidence is 1; no overflow either way."""
    assert always_valid_p(math.log(20.0)) == pytest.approx(0.05, abs=1e-12)
    assert [always_valid_p(log) for log in (0.0, -3.0, -9999.0, 9999.0)] == [1.0, 1.0, 1.0, 0.0]
    with pytest.raises(ValueError, match="no logarithm"):
        always_valid_p(math.nan)
