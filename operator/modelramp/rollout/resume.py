"""
What a retry of a rejected revision goes on with: its evidence of before, beside the same stable and by the same spec.

Harm is shown of a revision without any with probability at most 1 % over all its tries, as evidence that goes on is the
one supermartingale it would have been without an end in between. Harm that was shown, and that somebody overruled by
the retry, is not shown again by what showed it: evidence begins again with half the wealth of the try before, so that
false rollbacks in all tries after the first are at most 1/2 + 1/4 + ... of 1 %, whatever was true until then.

Sources: Ville's inequality, from the beginning and from each retry on; docs/adr/0028-retry-resumes.md.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from modelramp.analysis import Wealth, harmful
from modelramp.analysis.frozen import FORFEIT
from modelramp.analysis.stores import UNKNOWN_STORE
from modelramp.api.identity import digest
from modelramp.api.status import EvidenceState, Rejection
from modelramp.api.vocabulary import Reason
from modelramp.rollout.account import Account
from modelramp.rollout.situation import Situation
from modelramp.rollout.strategy import course_of, place_of

HALF: Final = 0.5
KEPT_BACK: Final = 0.2
"""Of the wealth after an overruled finding. Simulated: a harmful version is found again after 0.92 to 1.02 times the
bad answers of its first try, in a second and a third retry after 1.03 and 1.09 to 1.17 times."""
MEASURE: Final = {"metrics", "slices", "overdispersion"}
COURSE: Final = {"canary", "blue_green", "shadow"}
NOTHING_STARTED: Final = Wealth(at_start=0.0, per_step=0.0, per_block=0.0)


def claim_of(s: Situation) -> str:
    """
    What evidence on the spec's revision is about, as a short hash: stable, metrics, strategy and traffic. Evidence on
    another claim is not gone on with.
    """
    analysis = s.spec.analysis.model_dump(mode="json", include=MEASURE, exclude_defaults=True)
    strategy = s.spec.strategy.model_dump(mode="json", include=COURSE, exclude_defaults=True)
    asked = {"analysis": analysis, "strategy": strategy, "useCase": str(s.spec.use_case)}
    return digest({"stable": s.stable, "traffic": s.deployment.traffic_hash, **asked})


def _again(account: Account, *, overruled: bool, same_claim: bool) -> Account:
    """
    The evidence as the next try goes on with it.

    "Not worse" goes on where the next try begins with the same claim, at the first step. What the last block rests on
    is forgotten, as nothing is counted from there on.
    """
    metric = account.metric.tried_again() if same_claim else account.metric.enter_step(NOTHING_STARTED)
    account = replace(account, metric=metric, store=UNKNOWN_STORE)
    if not overruled:
        return account
    level = HALF * account.level
    kept_back = kept_back_of(level)
    slices = None if account.slices is None else account.slices.overruled(level, kept_back)
    again = account.metric.overruled(level, kept_back)
    return replace(account, metric=again, slices=slices, level=level, bounds=None)


def kept_back_of(level: float) -> float:
    """
    What of a retry's wealth is not bet at once: a fifth, for harm of another kind that shows late, and what a bound on
    stable costs, where half of the wealth suffices for that.
    """
    return max(KEPT_BACK * level, min(FORFEIT, HALF * level))


def for_a_retry(s: Situation, reason: Reason) -> tuple[EvidenceState, ...]:
    """
    The candidate's evidence as a retry goes on with it; nothing of a run that ended with its report.
    """
    if reason is Reason.SHADOW_REPORTED:
        return ()
    overruled = harmful(s.harm_log)
    same_claim = s.status.step is None or place_of(s.status.step) == course_of(s.spec).steps[0].place
    kept = ((name, _again(one, overruled=overruled, same_claim=same_claim)) for name, one in s.evidence.items())
    return tuple(EvidenceState(name=name, state=account.to_state()) for name, account in kept)


def without_evidence(rejected: Iterable[Rejection]) -> tuple[Rejection, ...]:
    """
    Rejections as such: evidence is kept with the latest only, and not beside another stable.
    """
    return tuple(one.model_copy(update={"evidence": (), "claim": None}) for one in rejected)


def resumed(s: Situation) -> tuple[EvidenceState, ...]:
    """
    What the spec's revision goes on with if it is begun now; nothing where it was not rejected, or its evidence is gone
    or about something else.
    """
    known = next((one for one in s.status.rejected if one.revision == s.target), None)
    return known.evidence if known is not None and known.claim == claim_of(s) else ()


def resumption(s: Situation) -> str:
    """
    What a retry goes on with, in words; empty: with nothing.
    """
    kept = resumed(s)
    if not kept:
        return ""
    levels = {Account.from_state(one.state).level for one in kept}
    lowered = "" if levels == {1.0} else f", harm with {min(levels):.4g} of a first try's wealth, as it was overruled"
    return f"; the evidence of its last try goes on{lowered}"
