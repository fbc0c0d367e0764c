"""
Random counts follow their laws; seeds are fixed.
"""

import math
from collections import Counter
from random import Random

import pytest

from modelramp.simulation.chance import geometric, multiplier, poisson


@pytest.mark.parametrize("mean", [0.3, 5.0, 11.9, 12.1, 40.0, 900.0])
def test_poisson_has_its_mean_and_its_variance(mean: float) -> None:
    """On both sides of the change of method; four deviations of the estimates."""
    rng, draws = Random(1), 4000
    found = [poisson(rng, mean) for _ in range(draws)]
    average = sum(found) / draws
    variance = sum((x - average) ** 2 for x in found) / draws
    assert abs(average - mean) < 4 * math.sqrt(mean / draws)
    assert abs(variance / mean - 1) < 4 * math.sqrt((2 + 1 / mean) / draws)


@pytest.mark.parametrize("mean", [2.0, 20.0])
def test_poisson_has_its_probabilities(mean: float) -> None:
    """Chi-square over all values expected ten times or more; the bound is passed once in 10,000 seeds."""
    rng, draws = Random(2), 20_000
    found = Counter(poisson(rng, mean) for _ in range(draws))
    expected = {k: draws * math.exp(k * math.log(mean) - mean - math.lgamma(k + 1)) for k in range(int(mean * 5))}
    cells = {k: n for k, n in expected.items() if n >= 10}
    statistic = sum((found[k] - n) ** 2 / n for k, n in cells.items())
    freedom = len(cells) - 1
    assert statistic < freedom + 3.8 * math.sqrt(2 * freedom) + 10


def test_no_requests_without_traffic() -> None:
    """A mean of zero is certain."""
    assert {poisson(Random(n), 0.0) for n in range(100)} == {0}


def test_clusters_have_their_mean_and_are_never_empty() -> None:
    """Geometric; a mean of one is a certain one."""
    rng = Random(3)
    found = [geometric(rng, 4.0) for _ in range(8000)]
    assert min(found) == 1
    assert abs(sum(found) / 8000 - 4.0) < 4 * math.sqrt(12 / 8000)
    assert {geometric(rng, 1.0) for _ in range(100)} == {1}


def test_pods_differ_by_the_deviation_asked_for() -> None:
    """Mean one; without a deviation all are alike."""
    rng = Random(4)
    found = [multiplier(rng, 0.5) for _ in range(8000)]
    average = sum(found) / 8000
    assert abs(average - 1) < 4 * 0.5 / math.sqrt(8000)
    assert abs(math.sqrt(sum((x - average) ** 2 for x in found) / 8000) - 0.5) < 0.03
    assert multiplier(rng, 0.0) == 1.0
