"""
How long until a healthy candidate is through: before a rollout (the plan) and during it (time left).

Both let the wealth of each bet grow at its expected pace and ask when the mixture reaches the threshold. That is the
time on average luck; one rollout in ten takes about half as long again. Nothing here decides anything.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import Final

from modelramp.analysis.block import Block, Counts
from modelramp.analysis.eprocess import LOG_ZERO, OK_GRID, EProcess, Null, log_factor, log_sum_exp
from modelramp.analysis.evidence import ALPHA_OK, MetricEvidence
from modelramp.analysis.margin import margins
from modelramp.analysis.tails import TailBlock, TailEvidence

PRECISION: Final = 1e-12  # of the time found


class Obstacle(StrEnum):
    """Why no time can be named."""

    NO_TRAFFIC = "NoTraffic"
    """Requests a second are 0 or not known for an arm that is needed."""
    ABOVE_MARGIN = "AboveMargin"
    """At these error rates the candidate is not better than the margin: it will not certify."""
    UNKNOWN_RATE = "UnknownRate"
    """The stable arm's error rate is not known."""


@dataclass(frozen=True, slots=True)
class TimeLeft:
    """
    Expected time until this step's margin is shown to be kept, or why there is none.

    Attributes:
        seconds: At present rates; 0.0 when it is shown already, None when no time can be named.
        obstacle: Why ``seconds`` is None; None otherwise.

    """

    seconds: float | None
    obstacle: Obstacle | None = None


@dataclass(frozen=True, slots=True)
class StepPlan:
    """
    What one step will take if the candidate is as good as the stable arm.

    Attributes:
        share: The candidate's share of traffic during the step.
        next_share: Its share afterwards, which sets the margin.
        requests: Expected requests of both arms together; None if they cannot be named.
        seconds: The same as time at the traffic given; None if it cannot be named.
        obstacle: Why ``seconds`` is None; None otherwise.

    """

    share: float
    next_share: float
    requests: float | None
    seconds: float | None
    obstacle: Obstacle | None = None


def seconds_left(evidence: MetricEvidence, recent: Block, null: Null) -> TimeLeft:
    """
    Expect the time until ``evidence`` shows that ``null`` is kept, if traffic and rates stay as in ``recent``.

    Args:
        evidence: The metric's evidence so far.
        recent: The last blocks, merged (about ten of them).
        null: The step's margin for "not worse".

    """
    silent = recent.candidate.n == 0.0 or (null.rho > 0.0 and recent.stable.n == 0.0)
    if silent and not _reached(evidence.ok):
        return TimeLeft(None, Obstacle.NO_TRAFFIC)
    blocks = _growth_until_shown(evidence.ok, recent.candidate, recent.stable, null, evidence.phi)
    return TimeLeft(None, Obstacle.ABOVE_MARGIN) if blocks is None else TimeLeft(blocks * recent.seconds)


def tail_seconds_left(evidence: TailEvidence, recent: TailBlock, null: Null) -> TimeLeft:
    """
    Expect the time until every gating edge is shown to keep its margin, if all goes on as in ``recent``.

    Args:
        evidence: The latency's evidence so far.
        recent: The last block.
        null: The step's margin, for those edges whose margin the plan leaves to it.

    """
    longest = 0.0
    for judged, process in zip(evidence.plan.gates, evidence.ok, strict=True):
        if _reached(process):
            continue
        margin = null if judged.null is None else judged.null
        block = recent.at(judged.edge, margin)
        if block is None or block.candidate.n == 0.0 or (margin.rho > 0.0 and block.stable.n == 0.0):
            return TimeLeft(None, Obstacle.NO_TRAFFIC)
        blocks = _growth_until_shown(process, block.candidate, block.stable, margin, evidence.phi)
        if blocks is None:
            return TimeLeft(None, Obstacle.ABOVE_MARGIN)
        longest = max(longest, blocks * block.seconds)
    return TimeLeft(longest)


def plan(
    shares: Sequence[float],
    *,
    rps: float | None,
    stable_error_rate: float | None,
    blast_radius: float,
    phi: float = 1.0,
) -> tuple[StepPlan, ...]:
    """
    Plan a ramp in advance, with the maths that will judge it.

    Against simulated medians over the ramp 5/10/25/50 % the expected requests are within a factor of 1.5.

    Args:
        shares: The steps' shares, rising, above 0 up to 1. A closing 1 is promotion and needs no evidence; without it
            the last step leads to 1.
        rps: Requests a second of both arms together; None or 0 if unknown, then only requests are planned.
        stable_error_rate: Errors per request of the stable arm, 0 to 1; None if unknown.
        blast_radius: Extra bad requests risked, as a fraction of all traffic; above 0, below 1.
        phi: Overdispersion, at least 1.

    Returns:
        One row for each step that needs evidence.

    Raises:
        ValueError: If the shares do not rise from above 0 up to at most 1, or the blast radius is out of range.

    """
    ramp = (*shares, 1.0) if not shares or shares[-1] < 1.0 else tuple(shares)
    if ramp[0] <= 0.0 or ramp[-1] > 1.0 or any(now >= after for now, after in pairwise(ramp)):
        raise ValueError(f"shares do not rise within (0, 1]: {tuple(shares)}")
    return tuple(
        plan_step(now, after, rps=rps, stable_error_rate=stable_error_rate, blast_radius=blast_radius, phi=phi)
        for now, after in pairwise(ramp)
    )


def plan_step(
    share: float,
    next_share: float,
    *,
    rps: float | None,
    stable_error_rate: float | None,
    blast_radius: float,
    phi: float = 1.0,
) -> StepPlan:
    """
    Plan one step, as ``plan`` does each.

    Args:
        share: The candidate's share of what both arms are asked, above 0, below 1. Where it gets copies of the fraction
            m of requests, that is m / (1 + m), at 1 + m times the users' requests a second.
        next_share: The share of traffic it is certified for, above 0, at most 1.
        rps: As in ``plan``.
        stable_error_rate: As in ``plan``.
        blast_radius: As in ``plan``.
        phi: As in ``plan``.

    """
    return _step_plan(
        share, next_share, rps, _requests(share, margins(blast_radius, next_share).ok, stable_error_rate, phi)
    )


def _requests(share: float, null: Null, error_rate: float | None, phi: float) -> float | Obstacle:
    if error_rate is None:
        return Obstacle.UNKNOWN_RATE
    rest = 1.0 - share
    candidate, stable = Counts(share, share * error_rate), Counts(rest, rest * error_rate)
    requests = _growth_until_shown(EProcess.begin(OK_GRID), candidate, stable, null, phi)
    return Obstacle.ABOVE_MARGIN if requests is None else requests


def _step_plan(share: float, next_share: float, rps: float | None, requests: float | Obstacle) -> StepPlan:
    if isinstance(requests, Obstacle):
        return StepPlan(share, next_share, None, None, requests)
    if rps is None or rps <= 0.0:
        return StepPlan(share, next_share, requests, None, Obstacle.NO_TRAFFIC)
    return StepPlan(share, next_share, requests, requests / rps)


def _reached(process: EProcess) -> bool:
    return process.log_value >= -math.log(ALPHA_OK)


def _growth_until_shown(process: EProcess, candidate: Counts, stable: Counts, null: Null, phi: float) -> float | None:
    """Return how many times the given counts must come again; None if the wealth would never get there."""
    if _reached(process):
        return 0.0
    bets = [
        (log, log_factor(candidate, stable, theta=theta, null=null, phi=phi))
        for theta, log in zip(process.grid, process.logs, strict=True)
        if log > LOG_ZERO
    ]
    goal = math.log(len(process.grid)) - math.log(ALPHA_OK)  # of the sum over bets, of which the evidence is the mean
    arrivals = [(goal - log) / pace for log, pace in bets if pace > 0.0]
    if not arrivals:
        return None
    at = min(arrivals)  # by then one bet alone is there
    while True:
        # Newton's method on a convex function, from beyond its last zero: it comes down to it, in about five steps, and
        # never passes it.
        grown = [log + pace * at for log, pace in bets]
        total = log_sum_exp(grown)
        slope = math.fsum(math.exp(log - total) * pace for log, (_, pace) in zip(grown, bets, strict=True))
        nearer = at - (total - goal) / slope
        if nearer >= at * (1.0 - PRECISION):
            return at
        at = nearer
