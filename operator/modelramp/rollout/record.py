"""
How an ended rollout is remembered: what was counted, who asked for its end, and by which strategy it went.
"""

from typing import Final

from modelramp.analysis import ALPHA_ROLLBACK
from modelramp.api.action import ActionOutcome, Verb
from modelramp.api.status import Outcome
from modelramp.api.vocabulary import Reason
from modelramp.rollout.account import Account
from modelramp.rollout.numbers import count_text, evidence_text
from modelramp.rollout.others import told_of_others
from modelramp.rollout.situation import Situation
from modelramp.rollout.strategy import course_of

OPERATOR: Final = "operator"
"""Nobody asked for the end: it followed from what was seen."""
LONGEST: Final = 256
_ENDS: Final = frozenset({Verb.ABORT, Verb.PROMOTE, Verb.PROMOTE_FULL})
_BY_REQUEST: Final = frozenset({Reason.ABORT_REQUESTED, Reason.PROMOTED_BY_REQUEST})


def _line(s: Situation, name: str, account: Account) -> str:
    """
    One metric: its last verdict where there is one, the counts of the whole rollout, and the harm evidence reached.
    """
    said = {verdict.name: f"{verdict.verdict}, " for verdict in s.status.verdicts}.get(name, "")
    mine, theirs = account.totals.candidate, account.totals.stable
    counts = f"{count_text(mine.x)} of {count_text(mine.n)} against {count_text(theirs.x)} of {count_text(theirs.n)}"
    line = f"{name}: {said}{counts}, harm {evidence_text(account.harm_log, ALPHA_ROLLBACK)}"
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…"


def _actor(s: Situation) -> str:
    """
    Who asked for the end by request; an abort by the older annotation does not say who.
    """
    if s.status.reason not in _BY_REQUEST:
        return OPERATOR
    done = s.status.action
    asked = done is not None and done.outcome is ActionOutcome.DONE and done.verb in _ENDS
    return done.by or "somebody" if done is not None and asked and done.revision == s.candidate else "somebody"


def outcome_of(s: Situation, outcome: Reason, message: str) -> Outcome | None:
    """
    The entry for the candidate's rollout, which ends now; None: there is no candidate.
    """
    candidate = s.status.candidate
    if candidate is None:
        return None
    lines = tuple(_line(s, name, account) for name, account in s.evidence.items())
    return Outcome(
        revision=candidate.revision,
        version=candidate.version,
        outcome=outcome,
        message=message,
        evidence=lines,
        others=tuple(line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…" for line in told_of_others(s)),
        actor=_actor(s),
        strategy=course_of(s.spec).field.removeprefix("spec.strategy."),
        began_at=candidate.since,
        ended_at=s.now,
    )
