"""
Invented traffic has the rates, clusters and pods it was asked for.
"""

import math
from random import Random

import pytest

from modelramp.analysis import Counts
from modelramp.analysis.dispersion import estimate_dispersion
from modelramp.simulation import Onset, Rates, TrafficModel
from modelramp.simulation.pods import Pod
from modelramp.simulation.traffic import Traffic


def traffic(
    seed: int = 1, *, stable: float = 0.01, candidate: float = 0.05, rps: float = 100.0, **more: object
) -> Traffic:
    return Traffic(TrafficModel(rps=rps, rates={"errors": Rates(stable, candidate)}, **more), Random(seed))  # type: ignore[arg-type]


def test_requests_are_split_by_the_share_and_fail_at_their_rates() -> None:
    made = traffic()
    made.split(0.1, 0.0)
    made.differs_from = 0.0
    candidate, stable = made.until(1000.0)["errors"]
    assert candidate.n == pytest.approx(10_000, abs=4 * 100)
    assert stable.n == pytest.approx(90_000, abs=4 * 300)
    assert candidate.x == pytest.approx(500, abs=4 * math.sqrt(500))
    assert stable.x == pytest.approx(900, abs=4 * 30)
    assert (made.requests, made.bad) == (candidate.n + stable.n, candidate.x)


def test_a_change_of_the_share_splits_time() -> None:
    """Nothing is lost or made twice at the change."""
    made = traffic()
    made.split(1.0, 0.0)
    made.split(0.0, 10.0)
    assert made.until(10.0)["errors"] == (Counts(), Counts())
    candidate, stable = made.until(20.0)["errors"]
    assert (candidate.n, stable.n > 0) == (0, True)
    assert made.requests == pytest.approx(2000, abs=4 * 45)


def test_until_the_onset_the_candidate_is_like_stable() -> None:
    made = traffic(stable=0.0, candidate=0.5)
    made.split(0.5, 0.0)
    made.differs_from = 100.0
    assert made.until(100.0)["errors"][0].x == 0
    assert made.until(110.0)["errors"][0].x > 100


def test_a_stretch_over_the_onset_is_made_of_both_parts() -> None:
    made = traffic(stable=0.0, candidate=1.0)
    made.split(0.5, 0.0)
    made.differs_from = 50.0
    candidate, _ = made.until(100.0)["errors"]
    assert candidate.x == pytest.approx(candidate.n / 2, abs=4 * math.sqrt(2500))


def test_a_certain_failure_fails_every_request() -> None:
    made = traffic(candidate=1.0, burst=10.0)
    made.split(1.0, 0.0)
    made.differs_from = 0.0
    candidate, _ = made.until(100.0)["errors"]
    assert candidate.x == candidate.n > 0


@pytest.mark.parametrize("rps", [10.0, 1000.0])
def test_frequent_failures_have_the_variance_of_single_requests(rps: float) -> None:
    """Half of the requests: a Poisson number would scatter by 1.4 times as much; few and many at a time."""
    made = traffic(candidate=0.5, rps=rps)
    made.split(1.0, 0.0)
    made.differs_from = 0.0
    shares = [counts.x - counts.n / 2 for counts in (made.until(10.0 * k)["errors"][0] for k in range(1, 400))]
    expected = rps * 10 / 4
    assert sum(d * d for d in shares) / len(shares) == pytest.approx(expected, rel=0.3)


def test_clusters_and_unlike_pods_show_in_the_history() -> None:
    """Clusters of mean 3 have a dispersion of 5; pods that differ show more over longer windows."""
    alone, clustered, unlike = (
        estimate_dispersion(
            traffic(rps=300.0, stable_pods=10, **more).history(360, 60.0)["errors"], window_seconds=60.0
        )
        for more in ({}, {"burst": 3.0}, {"pod_deviation": 0.3})
    )
    assert alone.phi < 1.7
    assert clustered.at(1) == pytest.approx(5.0, rel=0.2)
    assert unlike.at(60) > 5 * unlike.at(1)  # type: ignore[operator]


def test_equal_seeds_give_equal_traffic() -> None:
    first, again, other = (traffic(seed, pod_deviation=0.2).history(5, 60.0) for seed in (1, 1, 2))
    assert first == again != other


@pytest.mark.parametrize(
    "wrong",
    [
        {"rps": 0.0},
        {"rps": math.inf},
        {"rates": {}},
        {"stable_pods": 0},
        {"candidate_pods": 0},
        {"pod_deviation": -0.1},
        {"burst": 0.5},
        {"swing": 1.5},
        {"retries": -1},
        {"incidents": -0.5},
    ],
    ids=str,
)
def test_impossible_worlds_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="traffic needs"):
        TrafficModel(**{"rps": 1.0, "rates": {"errors": Rates(0.0, 0.0)}, **wrong})  # type: ignore[arg-type]


@pytest.mark.parametrize("rates", [(-0.1, 0.0), (0.0, 1.1)])
def test_impossible_rates_are_refused(rates: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="not rates"):
        Rates(*rates)


def test_an_onset_is_at_once_unless_told() -> None:
    assert Onset() == Onset(0.0, in_last_step=False)


def test_rates_that_swing_do_so_on_both_arms_alike() -> None:
    """Up in the first half of an hour, down in the second."""
    made = traffic(stable=0.1, candidate=0.1, rps=200.0, swing=0.7)
    made.split(0.5, 0.0)
    for until, expected in ((1800.0, 1.0 + 0.7 * 2 / math.pi), (3600.0, 1.0 - 0.7 * 2 / math.pi)):
        parts = [made.until(until - 1800.0 + 60.0 * k)["errors"] for k in range(1, 31)]
        for arm in (0, 1):
            n, x = sum(part[arm].n for part in parts), sum(part[arm].x for part in parts)
            assert x / n == pytest.approx(0.1 * expected, rel=0.05)


def test_retries_come_in_threes_and_the_history_shows_it() -> None:
    """Dispersion three; the rate stays what was asked for."""
    made = traffic(rps=300.0, stable_pods=5, retries=2)
    found = estimate_dispersion(made.history(360, 60.0)["errors"], window_seconds=60.0)
    assert found.at(1) == pytest.approx(3.0, rel=0.2)
    made.split(0.5, 0.0)
    stable = made.until(1000.0)["errors"][1]
    assert stable.x % 3 == 0
    assert stable.x / stable.n == pytest.approx(0.01, rel=0.15)


def test_incidents_last_three_minutes_of_one_pod() -> None:
    """A tenth of the time at two an hour; the history shows them over longer windows."""
    pod = Pod(Random(5), 0.0, 2.0, 0.0)
    found = [pod.factor(float(at)) for at in range(0, 2_000_000, 10)]
    assert set(found) == {1.0, 20.0}
    assert found.count(20.0) / len(found) == pytest.approx(180 / (1800 + 180), rel=0.05)
    worlds = traffic(rps=300.0, stable_pods=10, incidents=0.5).history(360, 60.0)["errors"]
    assert estimate_dispersion(worlds, window_seconds=60.0).phi > 10
