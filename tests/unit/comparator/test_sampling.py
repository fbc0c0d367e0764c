"""
Which requests are compared.
"""

import pytest

from modelramp.comparator.core.sampling import Lot, Sampling

IDS = [f"3f2b6c1e-0000-4000-8000-{number:012x}" for number in range(4000)]


def chosen(sampling: Sampling, lot: Lot) -> set[str]:
    return {one for one in IDS if sampling.lot(one) is lot}


@pytest.mark.parametrize(
    ("sampling", "lot"),
    [
        (Sampling(1.0, 0.0), Lot.PAIR),
        (Sampling(1.0, 1.0), Lot.CONTROL),
        (Sampling(0.0, 0.5), Lot.UNSAMPLED),
    ],
)
def test_all_and_none_are_exact(sampling: Sampling, lot: Lot) -> None:
    """
    Without an exception.
    """
    assert chosen(sampling, lot) == set(IDS)


def test_shares_are_met_and_the_two_choices_do_not_depend_on_each_other() -> None:
    """
    Within five standard deviations of 4,000 draws.
    """
    sampling = Sampling(0.2, 0.1)
    pairs, controls = len(chosen(sampling, Lot.PAIR)), len(chosen(sampling, Lot.CONTROL))
    assert abs(pairs + controls - 800) < 5 * (4000 * 0.2 * 0.8) ** 0.5
    assert abs(controls - 80) < 5 * (4000 * 0.02 * 0.98) ** 0.5


def test_a_choice_is_the_same_in_every_process() -> None:
    """
    Known values: another hash would not choose what other replicas choose.
    """
    half = Sampling(0.5, 0.5)
    assert [half.lot(one).value for one in ("a", "b", "c", "d", "é", "\udcff")] == KNOWN


KNOWN = ["control", "unsampled", "unsampled", "control", "unsampled", "pair"]
