"""
Evidence of harm once stable gets no request any more: against a baseline that was counted while it did.

Stable's rate is not known but bounded: ``upper_rate`` is the lowest rate that its counts refute, by an e-process, so
that the bound holds at whatever instant the switch comes. From then on the margin is absolute: ``rho`` times the bound
plus ``epsilon``, a ``Null`` that needs no stable arm.

What it costs. While the bound holds, the wealth is a supermartingale under "no harm" as before. It fails to hold with
probability at most ``doubt(weight)``, and a metric pays for that with ``FORFEIT`` of its wealth, of what it has not
started, which never comes back. Let p be the probability that harm is shown before the switch, W the combined wealth
and F what is paid of it (all for weights that sum to 1). Until it is paid, F stays unstarted (``reserving``): W is at
least F wherever harm is not shown, so E[W - F; not shown] <= 1 - 100 p - F (1 - p). The sum of p, of a hundredth of
that, and of the doubt F (1 - 1 / 100) / 100 is at most 1 / 100, as p is: the promise of one false rollback in a hundred
covers the rollout as a whole, the time after the switch included.

What no arithmetic repairs: a world that got worse for everybody at the switch looks like the candidate's fault.

Sources: Ville's inequality for bound and wealth alike; Waudby-Smith and Ramdas, betting (arXiv 2010.09686).
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from modelramp.analysis.block import Counts
from modelramp.analysis.eprocess import AMOUNT_DECIMALS, OK_GRID, EProcess, Null, Wealth, log_sum_exp
from modelramp.analysis.evidence import ALPHA_ROLLBACK, MetricEvidence
from modelramp.analysis.tailplan import JudgedEdge, TailPlan
from modelramp.analysis.tails import TailEvidence

FORFEIT: Final = 0.05
"""Wealth a metric gives up for its baseline, which therefore may be wrong in 0.05 x 1 % of rollouts. At twice as much
bounds on ten bad events are 4 % tighter; the rest of the unstarted wealth is what finds harm after the switch."""

ENOUGH: Final = 1000.0
"""Requests of stable within the rollout from which on its past is not needed: what was counted in the same hours says
more than an older average."""

UNBOUNDED: Final = 1.0
"""The bound where nothing is known: no rate is above it, so no candidate is harmful against it."""

COARSEST: Final = 0.1
"""A bound so far above what was counted says too little: a candidate that fails so much more often than stable would
pass unseen. About a hundred requests of stable, all good, are bounded closer."""

STARTED: Final = 0.5  # of what is left at the switch; the rest block by block, for harm that shows late
EACH_BLOCK: Final = 0.05  # of what is then unstarted
DIGITS: Final = 6  # significant, of a bound; rounded up
_HALVINGS: Final = 60  # of [0, 1]: finer than a double can tell from 1


def doubt(weight: float) -> float:
    """
    Probability with which the bound of one metric may be wrong.

    Args:
        weight: The metric's share of all votes, above 0 up to 1, fixed before the rollout.

    """
    return weight * FORFEIT * ALPHA_ROLLBACK * (1.0 - ALPHA_ROLLBACK)


def upper_rate(counts: Counts, *, delta: float, phi: float = 1.0) -> float:
    """
    Bound on a rate: the true mean rate is above it with probability at most ``delta``, at whatever instant it is asked.

    The lowest rate p with mean over ``OK_GRID`` of exp([x ln theta + p n (1 - theta)] / phi) >= 1 / ``delta``: evidence
    against "the rate is p or more", in closed form as the margin never changed. ``UNBOUNDED`` if there is none.

    Args:
        counts: Of stable, summed over blocks that may differ in their rates; the bound is on their mean.
        delta: Above 0, below 1.
        phi: Overdispersion, at least 1.

    """
    bar = math.log(len(OK_GRID) / delta)
    low, high = 0.0, UNBOUNDED
    if _against(counts, high, phi) < bar:
        return UNBOUNDED
    for _ in range(_HALVINGS):
        middle = (low + high) / 2.0
        low, high = (low, middle) if _against(counts, middle, phi) >= bar else (middle, high)
    return min(UNBOUNDED, float(f"{high * (1.0 + 10.0 ** (1 - DIGITS)):.{DIGITS}g}"))


def _against(counts: Counts, rate: float, phi: float) -> float:
    """Logarithm of the summed wealth against "the rate is ``rate`` or more"; rises with the rate."""
    return log_sum_exp([(counts.x * math.log(one) + rate * counts.n * (1.0 - one)) / phi for one in OK_GRID])


def baseline_of(rollout: Counts, past: Counts) -> Counts:
    """
    Which counts of stable stand for it: the rollout's if they are ``ENOUGH`` or its past has no more of them.

    The choice looks at numbers of requests alone, on which every bound is conditional, so it costs nothing.
    """
    return rollout if rollout.n >= ENOUGH or past.n <= rollout.n else past


def coarse(bound: float, counts: Counts) -> bool:
    """
    Whether harm could hide below a bound on stable's rate that rests on these counts of it.
    """
    return bound >= UNBOUNDED or counts.n <= 0 or bound - counts.x / counts.n >= COARSEST


def hides_harm(plan: TailPlan, bounds: Sequence[float], past: Sequence[Counts]) -> bool:
    """
    Whether harm could hide at every edge of a plan: its bound is coarse, or its margin is one that nothing exceeds.

    Args:
        plan: As it was made for the time beside stable.
        bounds: On stable's share of calls above each of ``plan.edges``.
        past: The calls that the bounds rest on, in the same order; other ones are as none.

    """
    known = dict(zip(plan.edges, zip(bounds, past, strict=True), strict=True)) if len(past) == len(bounds) else {}
    margins = {one.edge: one.null or Null(1.0, 0.0) for one in plan.harm}
    return not any(
        alone(margins[edge], bound).epsilon < UNBOUNDED and not coarse(bound, counts)
        for edge, (bound, counts) in known.items()
        if edge in margins
    )


def alone(null: Null, rate: float) -> Null:
    """Make a margin absolute, for a bound on stable's rate (0 to 1)."""
    return Null(0.0, null.rho * rate + null.epsilon)


def reserving(wealth: Wealth, unstarted: float) -> Wealth:
    """Return the schedule, with so much less for the next step or block that what a bound costs stays unstarted."""
    most = max(0.0, unstarted - FORFEIT)
    return replace(wealth, per_step=min(wealth.per_step, most), per_block=min(wealth.per_block, most))


def payable(harm: EProcess) -> bool:
    """Whether enough wealth is unstarted to pay for a bound."""
    return harm.unstarted >= FORFEIT


def fund(harm: EProcess, *, pays: bool) -> EProcess:
    """Begin the time alone: pay for a bound if one ``pays`` for it, then bet half of what is unstarted."""
    paid = harm.forfeit(FORFEIT) if pays else harm
    return paid.start_wealth(STARTED * paid.unstarted)


def each_block(harm: EProcess) -> Wealth:
    """Return how much is started with the next block; it rests on how many there were and on nothing they told."""
    return Wealth(at_start=0.0, per_step=0.0, per_block=round(EACH_BLOCK * harm.unstarted, AMOUNT_DECIMALS))


def freeze_rate(
    evidence: MetricEvidence, null: Null, past: Counts, *, delta: float
) -> tuple[MetricEvidence, tuple[float, ...]]:
    """
    Begin the time alone for a rate.

    Args:
        evidence: Of the rollout so far.
        null: What harm is beside stable; with ``rho`` 0 nothing needs to be known of stable.
        past: Stable's counts before the rollout.
        delta: ``doubt`` of the metric.

    Returns:
        The evidence, and the bound on stable's rate: none for an absolute margin, ``UNBOUNDED`` if stable was not
        counted or too little wealth is left to pay with.

    """
    if null.rho == 0.0:
        return replace(evidence, harm=fund(evidence.harm, pays=False)), ()
    counts = baseline_of(evidence.rollout.stable, past)
    bound = upper_rate(counts, delta=delta, phi=evidence.phi) if payable(evidence.harm) else UNBOUNDED
    return replace(evidence, harm=fund(evidence.harm, pays=bound < UNBOUNDED)), (bound,)


def freeze_tails(
    evidence: TailEvidence, null: Null, past: Sequence[Counts], *, delta: float
) -> tuple[TailEvidence, tuple[float, ...]]:
    """
    Begin the time alone for durations. The plan stays as it is, for a step beside stable may follow (a retry).

    Args:
        evidence: Of the rollout so far.
        null: The step's margin of harm, for those edges whose margin the plan leaves to it.
        past: Stable's calls above each of ``plan.edges`` before the rollout; none if they are not known.
        delta: ``doubt`` of the metric, shared by the edges.

    Returns:
        As ``freeze_rate``, with a bound for each of ``plan.edges``.

    """
    plan, harm = evidence.plan, evidence.harm
    if all(_margin(judged, null).rho == 0.0 for judged in plan.harm):
        return replace(evidence, harm=tuple(fund(one, pays=False) for one in harm)), ()
    known = len(past) == len(plan.edges) and payable(harm[0])
    shared = delta / len(plan.edges)
    rates = [upper_rate(counts, delta=shared, phi=evidence.phi) for counts in past] if known else []
    bounds = tuple(rates or [UNBOUNDED] * len(plan.edges))
    funded = tuple(fund(one, pays=min(bounds) < UNBOUNDED) for one in harm)
    return replace(evidence, harm=funded), bounds


def plan_alone(plan: TailPlan, null: Null, bounds: Sequence[float]) -> TailPlan:
    """
    Give every edge of a plan its absolute margin.

    Args:
        plan: As it was made for the time beside stable.
        null: The step's margin of harm, for those edges whose margin the plan leaves to it.
        bounds: On stable's share of calls above each of ``plan.edges``; none: nothing is compared with stable.

    """
    if not bounds:
        return plan
    known = dict(zip(plan.edges, bounds, strict=True))
    return TailPlan(
        tuple(_frozen(judged, null, known) for judged in plan.harm),
        tuple(_frozen(judged, null, known) for judged in plan.gates),
    )


def _margin(judged: JudgedEdge, null: Null) -> Null:
    return null if judged.null is None else judged.null


def _frozen(judged: JudgedEdge, null: Null, bounds: dict[float, float]) -> JudgedEdge:
    return JudgedEdge(judged.edge, alone(_margin(judged, null), bounds[judged.edge]))
