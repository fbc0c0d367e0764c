"""
Stable's counts until the switch: what the candidate is held against where it is never beside stable.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final, assert_never

from modelramp.analysis import ALPHA_OK, ALPHA_ROLLBACK, Block, Counts, Margins, MetricEvidence
from modelramp.analysis.frozen import doubt
from modelramp.analysis.tails import TailBlock, TailEvidence
from modelramp.api.spec import Metric
from modelramp.api.status import ArmCounts, VerdictName, VerdictStatus
from modelramp.rollout.account import Account, AnyBlock
from modelramp.rollout.alone import freeze
from modelramp.rollout.numbers import count_text, evidence_text
from modelramp.rollout.observed import Measured, NoData, Reading, Unavailable
from modelramp.rollout.situation import Situation

TOO_YOUNG: Final = (
    "too little is counted of stable yet to hold the candidate against once it gets everything; "
    "the switch waits for more of stable's requests"
)
NOTHING: Final = Counts()


def count_stable(account: Account, block: AnyBlock) -> Account:
    """
    Add stable's part of a block to its past, once: what was counted, or overlaps it, changes nothing.
    """
    known = account.counted_until
    if known is not None and block.start < known:
        return account
    past: tuple[Counts, ...]
    match account.metric, block:
        case MetricEvidence(), Block():
            past = (sum(account.past, NOTHING) + block.stable,)
        case TailEvidence() as tails, TailBlock():
            past = _tails(account.past, tails.plan.edges, block)
        case _:
            return account
    return replace(account.skip_until(block.end), past=past)


def _tails(past: Sequence[Counts], edges: Sequence[float], block: TailBlock) -> tuple[Counts, ...]:
    """
    The calls above each edge of the plan; an edge that the block does not have is left as it was.
    """
    known = past if len(past) == len(edges) else (NOTHING,) * len(edges)
    seen = (block.stable.counts(edge) if edge in block.stable.edges else NOTHING for edge in edges)
    return tuple(one + more for one, more in zip(known, seen, strict=True))


def too_young(s: Situation, metric: Metric, account: Account) -> bool:
    """
    If everything were switched now, harm beside stable could hide: its rate is not, or too coarsely, known.
    """
    limits = s.margins_of(metric, 1.0)
    delta = doubt(s.weight_of(metric.title))
    return isinstance(limits, Margins) and freeze(account, limits, delta=delta).compares_nothing


def baseline_verdict(s: Situation, metric: Metric, account: Account | None, reading: Reading) -> VerdictStatus:
    """
    What is known of stable for the time after the switch: the candidate itself is not judged yet.

    Too little is no data, not an inconclusive verdict: nobody can say anything of the candidate then.
    """
    match reading:
        case Unavailable():
            verdict, message = VerdictName.UNAVAILABLE, reading.message
        case NoData():
            verdict, message = VerdictName.NO_DATA, reading.message
        case Measured():
            young = account is None or too_young(s, metric, account)
            verdict = VerdictName.NO_DATA if young else VerdictName.INCONCLUSIVE
            message = TOO_YOUNG if young else reading.note
        case unknown:
            assert_never(unknown)
    known = account.past[0] if account is not None and account.past else NOTHING
    return VerdictStatus(
        name=metric.title,
        verdict=verdict,
        evidence=evidence_text(0.0, ALPHA_OK),
        harm=evidence_text(0.0 if account is None else account.harm_log, ALPHA_ROLLBACK),
        candidate=ArmCounts(n="0", x="0"),
        stable=ArmCounts(n=count_text(known.n), x=count_text(known.x)),
        message=message[:1024],
    )
