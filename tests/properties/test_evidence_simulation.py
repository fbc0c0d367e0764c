"""Rollouts as users live them, with fixed seeds: how often a healthy one fails, how soon a bad one is found."""

import math
import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from statistics import mean

import pytest

from modelramp.analysis import Block, Counts, Margins, MetricEvidence, Verdict, margins, plan, wealth_schedule

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
WEALTH = wealth_schedule(planned_blocks=360, later_steps=2)  # three steps of ten minutes, five seconds a block
RPS, BLOCK_SECONDS = 50, 5


def sampled(rng: random.Random, n: int, p: float) -> Counts:
    """Draw a binomial count by its gaps, which are geometric: a draw for each event and not for each request."""
    bad, at = 0, 0
    while p > 0.0:
        at += int(math.log(1.0 - rng.random()) / math.log1p(-p)) + 1
        if at > n:
            break
        bad += 1
    return Counts(n, bad)


def blocks(rng: random.Random, share: float, p_candidate: float, p_stable: float, count: int) -> Iterator[Block]:
    """Split each block's requests at random, as a gateway does."""
    start = NOON
    for _ in range(count):
        end = start + timedelta(seconds=BLOCK_SECONDS)
        n = int(sampled(rng, RPS * BLOCK_SECONDS, share).x)
        yield Block(start, end, sampled(rng, n, p_candidate), sampled(rng, RPS * BLOCK_SECONDS - n, p_stable))
        start = end


def judged(evidence: MetricEvidence, rollout: Iterator[Block], goals: Margins) -> MetricEvidence:
    """Observe until there is a verdict or the blocks end."""
    for block in rollout:
        evidence = evidence.observe(block, goals, WEALTH)
        if evidence.verdict() in {Verdict.FAILED, Verdict.PASSED}:
            break
    return evidence


def ramped(rng: random.Random, p_candidate: float, p_stable: float, blast_radius: float) -> tuple[Verdict, float]:
    """Walk 5/25/50 %, ten minutes a step at most; the last verdict and the requests of both arms it took."""
    evidence = MetricEvidence.begin(WEALTH)
    for share, next_share in ((0.05, 0.25), (0.25, 0.5), (0.5, 1.0)):
        if share > 0.05:
            evidence = replace(evidence, counted_until=None).enter_step(WEALTH)  # each step's blocks start at noon
        rollout = blocks(rng, share, p_candidate, p_stable, 120)
        evidence = judged(evidence, rollout, margins(blast_radius, next_share))
        if evidence.verdict() is not Verdict.PASSED:
            break
    return evidence.verdict(), evidence.rollout.candidate.n + evidence.rollout.stable.n


@pytest.mark.parametrize(("p_stable", "phi", "bar"), [(0.0, 1.0, 4.5), (0.001, 1.0, 5.0), (0.001, 2.0, 8.5)])
def test_a_candidate_failing_on_8_percent_is_found_within_a_handful_of_errors(
    p_stable: float, phi: float, bar: float
) -> None:
    """5 % share, 1 % blast radius: mean bad requests until the verdict over 300 rollouts, its whole block included."""
    rng, goals = random.Random(8), margins(0.01, 0.25)
    found = [
        judged(MetricEvidence.begin(WEALTH, phi=phi), blocks(rng, 0.05, 0.08, p_stable, 360), goals) for _ in range(300)
    ]
    assert {Verdict.FAILED} == {one.verdict() for one in found}
    assert mean(one.rollout.candidate.x for one in found) <= bar


def test_a_candidate_at_the_edge_of_harm_is_rarely_rolled_back() -> None:
    """Exactly at 1.1 times stable plus the floor, the hardest healthy case: the bound is 1 of 100, 5 is its 99.9 %."""
    rng, goals = random.Random(1), margins(0.01, 1.0)
    failed = 0
    for _ in range(100):
        evidence = MetricEvidence.begin(WEALTH)
        for block in blocks(rng, 0.5, 0.013, 0.01, 60):
            evidence = evidence.observe(block, goals, WEALTH)
            if evidence.verdict() is Verdict.FAILED:
                failed += 1
                break
    assert failed <= 5


def test_a_healthy_ramp_is_promoted_in_about_the_planned_requests() -> None:
    """As good as stable at 0.1 %: through every step, none rolled back, on average within 1.6 times the plan."""
    rng = random.Random(2)
    runs = [ramped(rng, 0.001, 0.001, 0.01) for _ in range(60)]
    planned = plan((0.05, 0.25, 0.5), rps=RPS, stable_error_rate=0.001, blast_radius=0.01)
    assert {Verdict.PASSED} == {verdict for verdict, _ in runs}
    assert 0.8 < mean(requests for _, requests in runs) / sum(row.requests or 0.0 for row in planned) < 1.6


def test_a_candidate_five_times_worse_is_not_promoted() -> None:
    """0.1 % becomes 0.5 % with 0.25 % risked: the bound is 1 of 20, 9 of 60 is its 99.9 %."""
    rng = random.Random(3)
    promoted = sum(ramped(rng, 0.005, 0.001, 0.0025)[0] is Verdict.PASSED for _ in range(60))
    assert promoted <= 9


def test_a_candidate_that_goes_bad_late_is_still_found() -> None:
    """Healthy for ten minutes at 50 %, then 5 times the errors: found within two minutes, as fresh wealth waits."""
    rng, goals = random.Random(4), margins(0.01, 1.0)
    delays = []
    for _ in range(20):
        evidence = MetricEvidence.begin(WEALTH)
        for block in blocks(rng, 0.5, 0.01, 0.01, 120):
            evidence = evidence.observe(block, goals, WEALTH)
        assert evidence.harm_log < 0.0
        evidence = replace(evidence, counted_until=None)
        for number, block in enumerate(blocks(rng, 0.5, 0.05, 0.01, 60)):
            evidence = evidence.observe(block, goals, WEALTH)
            if evidence.verdict() is Verdict.FAILED:
                delays.append(number + 1)
                break
    assert len(delays) == 20
    assert mean(delays) * BLOCK_SECONDS <= 120
