"""Overdispersion by hand and in simulated worlds, the guard between stable pods, and the autocorrelation time."""

import json
import math
import random
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from statistics import fmean

import pytest

from modelramp.analysis.autocorrelation import autocorrelation_time
from modelramp.analysis.block import Counts
from modelramp.analysis.dispersion import MIN_WINDOWS, Dispersion, PodHistory, ScaleDispersion, estimate_dispersion
from modelramp.analysis.eprocess import HARM_GRID, EProcess, Wealth
from modelramp.analysis.evidence import PHI_UNKNOWN
from modelramp.analysis.podguard import MAX_GUARDED, PodGuard

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
FLOOR = 0.0005
ALL_AT_START = Wealth(1.0, 0.0, 0.0)
HALF_LATER = Wealth(0.5, 0.0, 0.005)


def history(*windows: tuple[float, float] | None) -> PodHistory:
    return PodHistory(tuple(None if window is None else Counts(*window) for window in windows))


def poisson(rng: random.Random, mean: float) -> int:
    limit, count, product = math.exp(-mean), 0, rng.random()
    while product > limit:
        count, product = count + 1, product * rng.random()
    return count


# ---------------------------------------------------------------- phi by hand


def test_phi_by_hand() -> None:
    """Two pods with 100 and 300 exposures and 8 events: 2 and 6 expected, 4 and 4 seen, so 4/2 + 4/6 per window."""
    found = estimate_dispersion(
        [history(*[(100, 4)] * 6), history(*[(300, 4)] * 6)], window_seconds=60, scales=[1, 2, 3]
    )
    assert found.by_scale[0] == ScaleDispersion(1, pytest.approx(8 / 3), windows=6, freedom=6)
    assert [scale.minutes for scale in found.by_scale] == [1]  # 3 and 2 windows are too few
    assert found.phi == pytest.approx(8 / 3)
    assert found.known


def test_merged_windows_add_up_and_the_largest_scale_counts() -> None:
    """The same deviation over two windows is twice the statistic: 8 and 8 seen where 4 and 12 were expected."""
    found = estimate_dispersion(
        [history(*[(100, 4)] * 11), history(*[(300, 4)] * 11)], window_seconds=30, scales=[1.0, 0.5]
    )
    assert found.by_scale == (
        ScaleDispersion(0.5, pytest.approx(8 / 3), windows=11, freedom=11),
        ScaleDispersion(1.0, pytest.approx(16 / 3), windows=5, freedom=5),
    )
    assert found.phi == pytest.approx(16 / 3)
    assert found.at(1.0) == pytest.approx(16 / 3)
    assert found.at(60.0) is None


def test_an_incomplete_window_is_dropped_at_the_old_end() -> None:
    """Eleven windows in pairs: the first one, the only uneven one, is not seen at the longer scale."""
    rows = [history((100, 40), *[(100, 2)] * 10), history((100, 0), *[(100, 2)] * 10)]
    found = estimate_dispersion(rows, window_seconds=60, scales=[1, 2])
    assert [scale.phi for scale in found.by_scale] == [pytest.approx(40 / 11), 0.0]
    assert found.at(2) == 1.0


def test_a_pod_without_exposures_is_not_part_of_a_window() -> None:
    """Neither a missing nor an idle third pod adds a degree of freedom, and one alone adds nothing."""
    rows = [
        history(*[(100, 4)] * 6, (100, 9)),
        history(*[(100, 4)] * 6, None),
        history(*[None, (0, 0)] * 3, None),
    ]
    found = estimate_dispersion(rows, window_seconds=60, scales=[1])
    assert found.by_scale == (ScaleDispersion(1, 0.0, windows=6, freedom=6),)
    assert found.phi == 1.0


def test_windows_without_events_do_not_count() -> None:
    """They would drag phi down without having shown anything."""
    rows = [history(*[(100, 6), (100, 0)] * 5), history(*[(100, 2), (100, 0)] * 5)]
    found = estimate_dispersion(rows, window_seconds=60, scales=[1])
    assert found.by_scale == (ScaleDispersion(1, pytest.approx(2.0), windows=5, freedom=5),)


def test_single_events_show_no_clusters() -> None:
    """With one event a window the statistic is 1 in any world, so such a history is not known to be independent."""
    single = [history(*[(100, 1)] * 50), history(*[(100, 0)] * 50)]
    assert estimate_dispersion(single, window_seconds=60, scales=[1]) == Dispersion(PHI_UNKNOWN, known=False)
    merged = estimate_dispersion(single, window_seconds=60, scales=[1, 5])
    assert merged.by_scale == (ScaleDispersion(5, pytest.approx(5.0), windows=10, freedom=10),)


@pytest.mark.parametrize(
    "pods",
    [
        [],
        [history(*[(100, 5)] * 200)],
        [history(), history()],
        [history(*[(100, 0)] * 200)] * 2,
        [history(*[(100, 5)] * (MIN_WINDOWS - 1))] * 2,
    ],
    ids=["no pod", "one pod", "no window", "no event", "too few windows"],
)
def test_what_says_nothing_is_not_known(pods: list[PodHistory]) -> None:
    """Then phi is a guess on the careful side, and said to be one."""
    found = estimate_dispersion(pods, window_seconds=60)
    assert found == Dispersion(phi=PHI_UNKNOWN, known=False, by_scale=())
    assert not found.advises_more_pods


def test_scales_that_are_no_multiple_of_the_window_are_left_out() -> None:
    """Five-minute windows cannot show minutes, nor two and a half windows."""
    rows = [history(*[(100, 5)] * 40)] * 2
    found = estimate_dispersion(rows, window_seconds=300, scales=[1, 5, 12.5, 15])
    assert [scale.minutes for scale in found.by_scale] == [5, 15]


@pytest.mark.parametrize(("minute", "hour", "advice"), [(0.5, 3.1, True), (1.0, 3.0, False), (4.0, 12.5, True)])
def test_more_pods_are_advised_when_hours_scatter_three_times_as_much(
    *, minute: float, hour: float, advice: bool
) -> None:
    """An estimate below 1 is taken for 1."""
    rows = (ScaleDispersion(1, minute, 60, 60), ScaleDispersion(60, hour, 24, 24))
    assert Dispersion(hour, known=True, by_scale=rows).advises_more_pods is advice
    assert not Dispersion(hour, known=True, by_scale=rows[:1]).advises_more_pods
    assert not Dispersion(hour, known=True, by_scale=rows[1:]).advises_more_pods


@pytest.mark.parametrize("phi", [0.99, math.inf, math.nan])
def test_a_phi_that_adds_evidence_is_refused(phi: float) -> None:
    """Here and in the guard."""
    with pytest.raises(ValueError, match="overdispersion below 1"):
        Dispersion(phi, known=True)
    with pytest.raises(ValueError, match="overdispersion below 1"):
        PodGuard.begin(phi=phi)


def test_bad_histories_are_refused_by_name() -> None:
    """Each message says what is wrong."""
    with pytest.raises(ValueError, match=r"different numbers of windows: \[1, 2\]"):
        estimate_dispersion([history(None), history(None, None)], window_seconds=60)
    for seconds in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(ValueError, match="a base window of"):
            estimate_dispersion([], window_seconds=seconds)
    for minutes in (0.0, math.nan, math.inf):
        with pytest.raises(ValueError, match="scales must be above 0"):
            estimate_dispersion([], window_seconds=60, scales=[1, minutes])


# ---------------------------------------------------------------- phi in simulated worlds


def simulated(
    rng: random.Random,
    events: Callable[[float], int],
    *,
    spread: float = 0.0,
    shock: Callable[[int], float] = lambda _window: 1.0,
) -> Dispersion:
    """Eight pods over 12 hours of minutes, with 6 errors among 600 requests a minute at the usual rate."""
    factors = [max(0.05, rng.gauss(1.0, spread)) for _ in range(8)]
    pods = [
        PodHistory(tuple(Counts(600, min(600, events(6.0 * factor * shock(at)))) for at in range(720)))
        for factor in factors
    ]
    return estimate_dispersion(pods, window_seconds=60)


def test_independent_errors_have_a_phi_of_about_one() -> None:
    """Shared incidents included: 20 times the errors on all pods for three minutes, every two hours."""
    rng = random.Random(1)
    found = simulated(rng, lambda mean: poisson(rng, mean), shock=lambda at: 20.0 if at % 120 < 3 else 1.0)
    assert 1.0 <= found.phi < 1.4
    assert found.at(1.0) == pytest.approx(1.0, abs=0.08)
    assert not found.advises_more_pods


def test_geometric_clusters_of_three_have_a_phi_of_five() -> None:
    """Mean square over mean of the cluster size is 2 m - 1, at every scale alike."""
    rng = random.Random(2)
    narrow = math.log(1.0 - 1.0 / 3.0)

    def clustered(mean: float) -> int:
        return sum(1 + int(math.log(1.0 - rng.random()) / narrow) for _ in range(poisson(rng, mean / 3.0)))

    found = simulated(rng, clustered)
    assert found.at(1.0) == pytest.approx(5.0, abs=0.5)
    assert 4.5 < found.phi < 7.0
    assert not found.advises_more_pods


def test_lasting_differences_between_pods_grow_with_the_scale() -> None:
    """Windows add their independent parts, but never average what lasts."""
    rng = random.Random(3)
    found = simulated(rng, lambda mean: poisson(rng, mean), spread=0.3)
    estimates = [scale.phi for scale in found.by_scale]
    assert [scale.minutes for scale in found.by_scale] == [1, 5, 15, 60]
    assert estimates == sorted(estimates)
    assert found.phi > 10.0
    assert found.advises_more_pods


# ---------------------------------------------------------------- the guard


def run(guard: PodGuard, pods: Mapping[str, Counts], minute: int, wealth: Wealth = ALL_AT_START) -> PodGuard:
    start = NOON + minute * MINUTE
    return guard.observe(start, start + MINUTE, pods, floor=FLOOR, wealth=wealth)


def guarded(rng: random.Random, rate: Callable[[str, int], float], *, minutes: int, phi: float = 1.0) -> PodGuard:
    """Four pods with 600 requests a minute each."""
    guard = PodGuard.begin(phi=phi)
    for minute in range(minutes):
        pods = {name: Counts(600, poisson(rng, 600 * rate(name, minute))) for name in "abcd"}
        guard = run(guard, pods, minute, HALF_LATER)
    return guard


def test_the_guard_is_silent_in_200_clean_worlds() -> None:
    """Also when all pods get worse together."""
    rng = random.Random(4)
    runs = [guarded(rng, lambda _pod, at: 0.03 if at % 8 == 0 else 0.005, minutes=12) for _ in range(200)]
    assert sum(guard.flagged for guard in runs) == 0


def test_the_guard_flags_pod_incidents_and_names_the_pod() -> None:
    """Twenty times the errors on one pod for three minutes, an hour into the rollout; not if phi allows for it."""
    rng = random.Random(5)

    def incident(pod: str, at: int) -> float:
        return 0.1 if pod == "c" and 60 <= at < 63 else 0.005

    runs = [guarded(rng, incident, minutes=64) for _ in range(5)]
    assert [guard.culprit for guard in runs] == ["c"] * 5
    assert not guarded(rng, incident, minutes=64, phi=70.0).flagged


def test_guard_by_hand() -> None:
    """Each pod is the candidate once, against the sum of the others; who has no exposures takes no part."""
    pods = {"b": Counts(100, 0), "a": Counts(100, 9), "idle": Counts(), "c": Counts(300, 1)}
    guard = run(PodGuard.begin(phi=2.0), pods, 0)
    assert [name for name, _ in guard.accounts] == ["a", "b", "c"]
    assert guard.opened == 3
    bet = 5.0 * (1.1 * 100 + 400) / (5.0 * 1.1 * 100 + 400)
    expected = 9 * math.log(bet) + math.log(1 - 1.1 / 4 * (bet - 1)) - FLOOR * 100 * (bet - 1)
    assert dict(guard.accounts)["a"].logs[HARM_GRID.index(5.0)] == pytest.approx(expected / 2.0, abs=5e-5)


def test_the_threshold_follows_the_accounts_opened_and_the_alarm_stays() -> None:
    """The same evidence of ln 79.9 is an alarm among 3 pods, not among 4; the worst pod is named, and only once."""
    pods = {name: Counts(100, 0) for name in "abcd"}
    guard = run(PodGuard.begin(), pods, 0)
    rich = EProcess(HARM_GRID, (math.log(79.9),) * len(HARM_GRID), 0.0)
    nobody = dict.fromkeys("abcd", Counts())
    calm = replace(guard, accounts=(("a", rich), *guard.accounts[1:]))
    assert not run(calm, nobody, 1).flagged
    assert not run(replace(calm, accounts=calm.accounts[:3]), nobody, 1).flagged  # one was opened and is gone
    assert run(replace(calm, opened=3, accounts=calm.accounts[:3]), nobody, 1).culprit == "a"
    richer = EProcess(HARM_GRID, (9.0,) * len(HARM_GRID), 0.0)
    alarm = run(replace(calm, accounts=(("a", EProcess(HARM_GRID, (8.0,) * 8, 0.0)), ("b", richer))), nobody, 1)
    assert alarm.culprit == "b"
    healed = run(replace(alarm, accounts=guard.accounts), nobody, 2)
    assert healed.flagged
    assert healed.culprit == "b"


def test_one_pod_alone_and_no_pod_say_nothing() -> None:
    """There is no rest to compare with."""
    assert not run(PodGuard.begin(), {}, 0).flagged
    guard = run(PodGuard.begin(), {"a": Counts(100, 100)}, 0)
    assert guard.accounts[0][1].log_value == 0.0


def test_pods_come_and_go_within_the_bound() -> None:
    """Names beyond the bound wait; the gone pod with the least evidence makes room; who comes back begins anew."""
    names = [f"pod-{number:02}" for number in range(MAX_GUARDED + 2)]
    even = {name: Counts(100, 1) for name in names}
    guard = run(PodGuard.begin(), even, 0)
    assert [name for name, _ in guard.accounts] == names[:MAX_GUARDED]

    without_three = {name: counts for name, counts in even.items() if name not in names[:3]} | {
        names[5]: Counts(100, 3)
    }
    logs = {names[0]: 1.0, names[1]: -2.0, names[2]: -1.0}
    accounts = tuple(
        (name, EProcess(HARM_GRID, (logs[name],) * 8, 0.0) if name in logs else account)
        for name, account in guard.accounts
    )
    later = run(replace(guard, accounts=accounts), without_three, 1)
    assert names[0] in dict(later.accounts)
    assert dict(later.accounts).keys().isdisjoint(names[1:3])
    assert dict(later.accounts).keys() >= set(names[MAX_GUARDED:])
    assert (len(later.accounts), later.opened) == (MAX_GUARDED, MAX_GUARDED + 2)
    assert dict(later.accounts)[names[0]].logs == (1.0,) * 8  # frozen while absent


def test_wealth_follows_the_schedule() -> None:
    """Part of it at a pod's first block, further parts with every block it serves in."""
    guard = run(PodGuard.begin(), {"a": Counts(9, 0), "b": Counts(9, 0)}, 0, Wealth(0.5, 0.1, 0.2))
    guard = run(guard, {"a": Counts(9, 0)}, 1, Wealth(0.5, 0.1, 0.2))
    assert {name: account.unstarted for name, account in guard.accounts} == {"a": 0.1, "b": 0.3}


def test_a_stretch_counts_once() -> None:
    """A replay changes nothing, an overlap is refused, a gap is allowed."""
    pods = {"a": Counts(100, 3), "b": Counts(100, 0)}
    fresh = PodGuard.begin(counted_until=NOON)
    assert run(fresh, pods, -1) == fresh
    once = run(fresh, pods, 0)
    assert run(once, pods, 0) is once
    with pytest.raises(ValueError, match="overlaps what was counted until"):
        once.observe(NOON, NOON + 2 * MINUTE, pods, floor=FLOOR, wealth=ALL_AT_START)
    assert run(once, pods, 7).counted_until == NOON + 8 * MINUTE


def test_bad_stretches_and_floors_are_refused() -> None:
    """By the rules of blocks and margins."""
    with pytest.raises(ValueError, match="must end after it starts"):
        PodGuard.begin().observe(NOON, NOON, {}, floor=FLOOR, wealth=ALL_AT_START)
    with pytest.raises(ValueError, match="time zone"):
        PodGuard.begin().observe(NOON.replace(tzinfo=None), NOON, {}, floor=FLOOR, wealth=ALL_AT_START)
    with pytest.raises(ValueError, match="not a margin"):
        PodGuard.begin().observe(NOON, NOON + MINUTE, {}, floor=-0.1, wealth=ALL_AT_START)


def test_guard_state_is_exact_and_small() -> None:
    """A restart after every block changes nothing, and a pod takes 130 bytes or so."""
    rng = random.Random(6)
    names = [f"ranker-stable-6f7c9d8b54-{number:05}" for number in range(MAX_GUARDED)]
    guard = restarted = PodGuard.begin(phi=1.7)
    assert PodGuard.from_state(guard.to_state()) == guard
    for minute in range(30):
        pods = {name: Counts(600, poisson(rng, 3)) for name in names}
        guard = run(guard, pods, minute, HALF_LATER)
        restarted = run(PodGuard.from_state(json.loads(json.dumps(restarted.to_state()))), pods, minute, HALF_LATER)
    assert restarted == guard
    assert len(json.dumps(guard.to_state(), separators=(",", ":"))) < 135 * MAX_GUARDED
    flagged = replace(guard, culprit=names[3])
    assert PodGuard.from_state(flagged.to_state()) == flagged


def test_damaged_guard_state_is_refused() -> None:
    """More accounts than were opened or are kept, or bets of another grid."""
    state = run(PodGuard.begin(), {"a": Counts(9, 1), "b": Counts(9, 0)}, 0).to_state()
    with pytest.raises(ValueError, match="2 accounts of 1 opened"):
        PodGuard.from_state({**state, "opened": 1})
    with pytest.raises(ValueError, match="bets on 8 effects"):
        PodGuard.from_state({**state, "pods": {"a": [0.0, 1.0]}})
    many = {f"pod-{number}": state["pods"]["a"] for number in range(MAX_GUARDED + 1)}
    with pytest.raises(ValueError, match="at most 16 kept"):
        PodGuard.from_state({**state, "pods": many, "opened": 99})


# ---------------------------------------------------------------- tau


def test_tau_by_hand() -> None:
    """Ten times +1 +1 -1 -1: no correlation at lag 1 but for the odd pair at the end, none above 0 later."""
    series = [1.0, 1.0, -1.0, -1.0] * 10
    assert autocorrelation_time(series) == pytest.approx(1.0 + 2.0 * (1.0 / 39.0))  # 20 like, 19 unlike pairs
    assert autocorrelation_time([1.0, -1.0] * 20) == 1.0


def test_missing_values_are_left_out() -> None:
    """None, NaN and infinity alike: blocks of +1 +1 and of -1 -1 between gaps correlate fully at lag 1."""
    gaps = [None, math.nan, math.inf, -math.inf]
    series = [value for at in range(20) for value in ((-1.0) ** at, (-1.0) ** at, gaps[at % 4])]
    assert autocorrelation_time(series) == pytest.approx(3.0)
    assert autocorrelation_time(series) == autocorrelation_time([None if value in gaps else value for value in series])


@pytest.mark.parametrize(
    "series",
    [[], [1.0, 2.0] * 14, [0.1] * 50, [1.0, None, 2.0, None] * 30, [1.0, 1.0, None, None, 2.0, 2.0, None, None] * 9],
    ids=["empty", "short", "constant", "no pair at lag 1", "no pair at lag 2"],
)
def test_what_says_nothing_about_dependence_is_not_known(series: list[float | None]) -> None:
    """None, never a number that would pass for an answer."""
    assert autocorrelation_time(series) is None


def test_tau_stops_at_a_quarter_of_the_series() -> None:
    """A trend correlates at any lag: the sum ends where pairs get few."""
    found = autocorrelation_time([float(value) for value in range(40)])
    assert found is not None
    assert 1.0 < found < 1.0 + 2.0 * 10


@pytest.mark.parametrize(("memory", "expected"), [(0.0, 1.0), (0.5, 3.0), (0.8, 9.0)])
def test_tau_of_simulated_memory(memory: float, expected: float) -> None:
    """An AR(1) series with coefficient a has (1 + a) / (1 - a), within 15 % on average over days of minutes."""
    rng = random.Random(7)
    found = []
    for _ in range(6):
        value, series = 0.0, []
        for _ in range(1440):
            value = memory * value + rng.gauss(0.0, 1.0)
            series.append(value)
        found.append(autocorrelation_time(series) or 0.0)
    assert fmean(found) == pytest.approx(expected, rel=0.15)
