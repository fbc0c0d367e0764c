"""
A sample of the random histories of `make histories`.
"""

from properties.histories import STRATEGIES, History

SAMPLE = range(120)


def test_nothing_that_must_not_happen_happens() -> None:
    """
    Shares are a whole; nothing is taken away or scaled down under traffic; what is not ready, was rejected or was
    stopped by a person gets nothing more; every history ends, or waits for something named.
    """
    assert [fault for seed in SAMPLE for fault in History(seed).run().faults] == []


def test_an_operator_without_a_fence_is_found_out() -> None:
    """
    The checks can fail: effects on the strength of an old memory are seen to put traffic back.
    """
    faults = [fault for seed in SAMPLE for fault in History(seed, fenced=False).run().faults]
    assert any("gets more" in fault for fault in faults)


def test_the_sample_tries_every_strategy() -> None:
    """
    A strategy that no seed draws would be proved by nothing.
    """
    assert {History(seed).strategy for seed in SAMPLE} == set(STRATEGIES)
