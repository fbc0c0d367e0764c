"""
The other candidates of a shadow run, beside the spec's own: which there are, what each is to get, and when their last
request may have reached them.

Each is judged by the very code that judges the run's own candidate: `beside` gives the situation in which it is that
candidate, with its own memory, its own readings and its own copies.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Final

from modelramp.api.status import MAX_SHOWN_OTHERS, CandidateStatus, OtherOutcome, OtherStatus
from modelramp.api.vocabulary import Degree, Phase, Reason
from modelramp.rollout.observed import Beside
from modelramp.rollout.situation import Situation
from modelramp.rollout.strategy import course_of

NOTHING: Final = Decimal(0)
ON_TRIAL: Final = frozenset({Phase.PREPARING, Phase.PROGRESSING, Phase.PAUSED})
TAKES_PART: Final = frozenset({OtherOutcome.UNDECIDED, OtherOutcome.PASSED})
"""What it has pods and copies in; every other outcome ends both."""
_NOT_SEEN: Final = Beside()


def run_has_others(s: Situation) -> bool:
    """
    A run is under way in which others can take part: the spec's own revision is on trial beside stable.

    What superseded, undone or ended it ends them all.
    """
    return (
        s.status.phase in ON_TRIAL
        and s.stable is not None
        and s.candidate == s.deployment.revision
        and s.status.undo is None
    )


def taking_part(s: Situation) -> tuple[OtherStatus, ...]:
    """
    Those that have pods, and copies once they are ready: begun, listed in the spec, not decided against; none outside
    of a run.
    """
    if not (s.status.others and run_has_others(s)):
        return ()
    listed_now = s.deployment.others
    return tuple(other for other in s.status.others if other.outcome in TAKES_PART and other.revision in listed_now)


def _names(s: Situation) -> Mapping[str, str]:
    """
    The names of the spec's others by revision; not of one that serves or is on trial anyway.
    """
    named = zip(s.deployment.others, course_of(s.spec).others, strict=True)
    return {revision: other.name for revision, other in named if revision not in {s.stable, s.candidate}}


def _begun(s: Situation, revision: str, name: str) -> OtherStatus:
    spec = s.deployment.others[revision]
    return OtherStatus(
        name=name,
        revision=revision,
        version=spec.model.version,
        since=s.now,
        warm=spec.serving.warm_up is None,
    )


def _kept(s: Situation, other: OtherStatus, names: Mapping[str, str]) -> OtherStatus:
    """
    As it is, under the spec's name; withdrawn when the spec lists it no more, and taken up again when it does.

    What was counted before stays counted, or its error rates would be spent twice.
    """
    name = names.get(other.revision)
    if name is None:
        if other.outcome not in TAKES_PART:
            return other
        told = {"outcome": OtherOutcome.WITHDRAWN, "decided_at": s.now, "message": "the spec does not list it any more"}
        return other.model_copy(update=told)
    if other.outcome is OtherOutcome.WITHDRAWN and _may_begin(s):
        return _begun(s, other.revision, name).model_copy(update={"evidence": other.evidence})
    return other if other.name == name else other.model_copy(update={"name": name})


def _may_begin(s: Situation) -> bool:
    """
    Whether an other can join now: what the spec asks can be done. And under the degree HumanOnly people approve every
    change of traffic, so what is listed after the step was entered waits for the next run.
    """
    approved = s.spec.automation.degree is not Degree.HUMAN_ONLY or s.status.step is None
    return approved and s.impossible is None


def listed(s: Situation) -> tuple[OtherStatus, ...]:
    """
    The memory of the others as the spec lists them now: some begun, some withdrawn. Those that ended longest ago are
    forgotten when there are too many.
    """
    if not run_has_others(s) or not (s.status.others or s.deployment.others):
        return s.status.others
    names = _names(s)
    known = tuple(_kept(s, other, names) for other in s.status.others)
    added = set(names) - {other.revision for other in known} if _may_begin(s) else set()
    every = (*known, *(_begun(s, revision, name) for revision, name in names.items() if revision in added))
    ended = [other for other in every if other.outcome not in TAKES_PART and other.revision not in names]
    forgotten = {other.revision for other in ended[: max(0, len(every) - MAX_SHOWN_OTHERS)]}
    return tuple(other for other in every if other.revision not in forgotten)


def beside(s: Situation, other: OtherStatus) -> Situation:
    """
    The situation in which this other, listed in the spec, is the candidate. It prepares until it has entered the run's
    step, and is in that step from then on, whatever the run waits for.
    """
    step = s.status.step if other.entered_at is not None else None
    if step is not None:
        step = step.model_copy(update={"entered_at": other.entered_at, "in_place_since": other.in_place_since})
    own = {name: getattr(other, name) for name in CandidateStatus.model_fields}
    status = s.status.model_copy(
        update={
            "phase": Phase.PREPARING if step is None else Phase.PROGRESSING,
            "candidate": CandidateStatus.model_construct(**own),
            "step": step,
            "evidence": other.evidence,
            "verdicts": other.verdicts,
            "others": (),
        }
    )
    seen, route = s.observed.others.get(other.revision, _NOT_SEEN), s.observed.route
    copies = {name: percent for name, percent in route.mirrors.items() if name == other.revision}
    observed = replace(
        s.observed,
        readings=seen.readings,
        histories=seen.histories,
        warm_up=seen.warm_up,
        smoke=None,
        route=replace(route, mirrors=copies, compared=frozenset()),
        others={},
    )
    deployment = replace(s.deployment, spec=s.deployment.others[other.revision])
    return Situation(deployment=deployment, status=status, observed=observed, now=s.now)


def each_beside(s: Situation) -> Iterator[tuple[OtherStatus, Situation]]:
    """
    Those that take part, each with its situation.
    """
    return ((other, beside(s, other)) for other in taking_part(s))


def held(s: Situation) -> bool:
    """
    Exposure is not raised: somebody else writes the route, or a person paused.
    """
    return s.observed.route.contested_by is not None or s.status.reason is Reason.PAUSED_BY_REQUEST


def copies(s: Situation) -> Mapping[str, Decimal]:
    """
    Percent of requests to be copied to the others, by revision: what the step copies, once they have entered it, while
    they have ready endpoints. While exposure is held, nobody gets what the route does not give already.
    """
    mirrored = s.step.mirror if s.step is not None else NOTHING
    if mirrored == NOTHING:
        return {}
    arms, given = s.observed.arms, s.observed.route.mirrors
    ready = (
        other.revision
        for other in taking_part(s)
        if other.entered_at is not None and other.revision in arms and arms[other.revision].ready > 0
    )
    return {name: mirrored for name in ready if not held(s) or given.get(name, NOTHING) >= mirrored}


def left_at(s: Situation, revision: str) -> datetime | None:
    """
    When the revision was last meant to get anything: the phase's begin, or later the end of an other in the run.
    """
    ends = [other.decided_at for other in s.status.others if other.revision == revision and other.decided_at]
    known = [at for at in (s.status.phase_since, *ends) if at is not None]
    return max(known, default=None)


def _undecided(s: Situation) -> tuple[str, ...]:
    return tuple(other.name for other in taking_part(s) if other.outcome is OtherOutcome.UNDECIDED)


def _waited_until(s: Situation) -> datetime | None:
    """
    The deadline of the step; None: there is none yet.
    """
    step, entered = s.step, s.status.step
    return entered.entered_at + step.deadline if step is not None and entered is not None else None


def others_settled(s: Situation) -> bool:
    """
    No other is undecided any more, or the step's deadline has passed.
    """
    until = _waited_until(s) if _undecided(s) else s.now
    return until is not None and s.now >= until


def others_awaited(s: Situation) -> str:
    """
    Which of the others are undecided, and until when they are waited for, for people.
    """
    until = _waited_until(s)
    at_most = "" if until is None else f" until {until:%Y-%m-%dT%H:%M:%SZ} at the latest"
    return f"waiting{at_most} for the other candidates: {', '.join(_undecided(s))}"


def told_of_others(s: Situation) -> tuple[str, ...]:
    """
    What became of each, in a line for people.
    """
    return tuple(
        f"{other.name} (version {other.version}): {other.outcome}: {other.message.removeprefix(f'{other.name}: ')}"
        for other in s.status.others
    )
