"""What holds for every history: of the overdispersion, of the guard and of bets on gauges."""

import math
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelramp.analysis.autocorrelation import autocorrelation_time
from modelramp.analysis.betting import BETS, GaugeBlock, GaugeEvidence, GaugeMargins, clipped, log_stake
from modelramp.analysis.block import Counts
from modelramp.analysis.dispersion import PodHistory, estimate_dispersion
from modelramp.analysis.eprocess import EProcess, Wealth
from modelramp.analysis.podguard import PodGuard

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
SCALES = (1.0, 2.0)


def decoded(code: int) -> Counts:
    """Spread a number below 400 over all counts of up to 19 exposures, some of them none (cheap to draw)."""
    n, x = divmod(code, 20)
    return Counts(float(n), float(min(n, x)))


counted = st.integers(0, 399).map(decoded)


@st.composite
def histories(draw: st.DrawFn) -> list[PodHistory]:
    length = draw(st.integers(0, 12))
    rows = st.lists(st.integers(-40, 399), min_size=length, max_size=length)
    return [
        PodHistory(tuple(decoded(code) if code >= 0 else None for code in draw(rows)))
        for _ in range(draw(st.integers(0, 4)))
    ]


@settings(max_examples=50, deadline=None)
@given(histories(), st.randoms(use_true_random=False))
def test_phi_is_at_least_one_and_knows_no_order_of_pods(pods: list[PodHistory], order: random.Random) -> None:
    """To the last digit, as sums are exact. It is known exactly if a scale was."""
    found = estimate_dispersion(pods, window_seconds=60, scales=SCALES)
    assert 1.0 <= found.phi < math.inf
    assert found.known is bool(found.by_scale)
    assert all(scale.phi >= 0.0 and scale.freedom >= scale.windows for scale in found.by_scale)
    shuffled = list(pods)
    order.shuffle(shuffled)
    assert estimate_dispersion(shuffled, window_seconds=60, scales=SCALES) == found


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 9), min_size=2, max_size=5), st.lists(st.integers(1, 30), min_size=10, max_size=14))
def test_shared_shocks_cancel(shares: list[int], shocks: list[int]) -> None:
    """Errors that rise and fall on all pods alike show nothing, at any scale, as long as traffic is split alike."""
    pods = [PodHistory(tuple(Counts(100.0 * share, float(share * shock)) for shock in shocks)) for share in shares]
    found = estimate_dispersion(pods, window_seconds=60, scales=SCALES)
    assert found.phi == pytest.approx(1.0)
    assert [scale.phi for scale in found.by_scale] == [pytest.approx(0.0, abs=1e-9)] * 2


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), min_size=10, max_size=14),
    st.integers(2, 6),
)
def test_clusters_of_equal_size_multiply_phi(errors: list[tuple[int, int]], size: int) -> None:
    """Each error counted ``size`` times gives ``size`` times the estimate: what dividing the counts takes back."""
    once, often = (
        [PodHistory(tuple(Counts(500.0, float(times * pair[arm])) for pair in errors)) for arm in (0, 1)]
        for times in (1, size)
    )
    plain = estimate_dispersion(once, window_seconds=60, scales=[1.0])
    scaled = estimate_dispersion(often, window_seconds=60, scales=[1.0])
    for small in plain.by_scale:  # clusters may also make a scale known that was not
        large = scaled.by_scale[0]
        assert large.phi == pytest.approx(size * small.phi)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.dictionaries(st.sampled_from("abcd"), counted), max_size=5))
def test_the_guard_knows_no_order_and_no_restart(blocks: list[dict[str, Counts]]) -> None:
    """Nor what a replay would add; and there is never more to remember than names that were seen."""
    wealth = Wealth(0.5, 0.0, 0.1)
    guard = other = PodGuard.begin()
    for minute, pods in enumerate(blocks):
        start, turned = NOON + minute * MINUTE, dict(reversed(pods.items()))
        guard = guard.observe(start, start + MINUTE, pods, floor=0.01, wealth=wealth)
        other = PodGuard.from_state(other.to_state())
        other = other.observe(start, start + MINUTE, turned, floor=0.01, wealth=wealth)
        assert other.observe(start, start + MINUTE, pods, floor=0.01, wealth=wealth) == other == guard
        assert guard.opened == len(guard.accounts) <= 4


values = st.floats(-1e6, 1e6) | st.none()


@settings(max_examples=40, deadline=None)
@given(st.lists(values, max_size=60), st.floats(-100.0, 100.0), st.sampled_from([0.25, 2.0, 1024.0]))
def test_tau_is_at_least_one_or_not_known(series: list[float | None], shift: float, unit: float) -> None:
    """And depends on no unit of measure."""
    found = autocorrelation_time(series)
    assert found is None or 1.0 <= found < math.inf
    assert autocorrelation_time([None if value is None else value * unit for value in series]) == (
        found if found is None else pytest.approx(found)
    )
    assert autocorrelation_time([shift] * len(series)) is None


# ---------------------------------------------------------------- bets, by exact enumeration


@pytest.mark.parametrize("tau", [1.0, 2.5, 9.0])
@pytest.mark.parametrize("fraction", BETS)
def test_no_factor_is_expected_above_one_under_symmetric_noise(fraction: float, tau: float) -> None:
    """48 laws: two or three distances, some beyond the clip, equally likely above and below a mean of at most 0."""
    worst = 0.0
    for mean, near, far, weight in product([0.0, -0.1, -0.7, -3.0], [0.0, 0.4, 1.9], [2.0, 50.0], [0.1, 0.45]):
        law = [(near, 0.5 - weight), (-near, 0.5 - weight), (far, weight), (-far, weight)]
        worst = max(worst, math.fsum(p * math.exp(log_stake(fraction, clipped(mean + d, 1.0), tau)) for d, p in law))
    assert 0.0 < worst <= 1.0 + 1e-12


@st.composite
def wealthy(draw: st.DrawFn) -> GaugeEvidence:
    """Some evidence in mid-rollout."""
    logs = st.lists(st.floats(-20.0, 8.0).map(lambda log: round(log, 4)), min_size=8, max_size=8).map(tuple)
    harm, ok = (EProcess(BETS, draw(logs), round(draw(st.floats(0.0, 1.0)), 6)) for _ in range(2))
    fresh = GaugeEvidence.begin(scale=draw(st.floats(0.1, 10.0)), tau=draw(st.floats(1.0, 20.0)))
    return replace(fresh, harm=harm, ok=ok)


@settings(max_examples=40, deadline=None)
@given(
    wealthy(),
    st.lists(st.floats(0.0, 40.0), min_size=1, max_size=4),
    st.floats(0.0, 20.0),
    st.sampled_from(["harm", "ok"]),
)
def test_evidence_is_a_supermartingale_under_symmetric_noise(
    state: GaugeEvidence, distances: list[float], beyond: float, direction: str
) -> None:
    """Of harm while the candidate is at or below its margin, of "not worse" while it is at or above the wider one."""
    margins, harm = GaugeMargins(0.1, 0.5), direction == "harm"
    mean = 110.0 - beyond if harm else 150.0 + beyond
    ends = [
        state.observe(GaugeBlock(NOON, NOON + MINUTE, mean + sign * distance, 100.0), margins)
        for distance in distances
        for sign in (-1.0, 1.0)
    ]
    logs = [end.harm_log if harm else end.ok_log for end in ends]
    before = state.harm_log if harm else state.ok_log
    assert math.fsum(map(math.exp, logs)) / len(logs) <= math.exp(before + 5e-5) * (1.0 + 1e-9)
    assert GaugeEvidence.from_state(ends[0].to_state()) == ends[0]
