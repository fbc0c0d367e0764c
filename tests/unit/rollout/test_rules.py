"""
The table, row by row: the smallest situation in which a row fires, and the nearest in which it does not.
"""

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from fakes.others import certain, copied_evidence, other, other_arm, run
from fakes.rollout import (
    NO_ROUTE,
    NOW,
    World,
    ago,
    answered,
    arm,
    arms,
    asking,
    block,
    candidate,
    kept,
    metric_evidence,
    percents,
    previously,
    rejection,
    returning,
    rev,
    route,
    step,
    verdict,
    waiting_for_approval,
    world,
)

from modelramp.api.action import Verb
from modelramp.api.names import ANNOTATION_ABORT, ANNOTATION_RETRY
from modelramp.api.scalars import Share
from modelramp.api.status import Condition, OtherStatus, Status, VerdictName
from modelramp.api.vocabulary import ConditionType, Phase, Reason
from modelramp.rollout import actions, assess, conditions, decide, desired, ends, guards, memory, messages, overdue
from modelramp.rollout.account import Account
from modelramp.rollout.beside import OUTCOMES
from modelramp.rollout.desired import DESIRED
from modelramp.rollout.messages import MESSAGES
from modelramp.rollout.observed import Comparator, Drain, Measured, NoData, WarmUpReading
from modelramp.rollout.rules import RULES, first_match

ENDED = (Phase.FAILED, Phase.REPORTED)
ON_TRIAL = (Phase.PREPARING, Phase.PROGRESSING, Phase.PAUSED)
IN_FLIGHT = (*ON_TRIAL, Phase.PROMOTING)
EXPOSED = (Phase.PROGRESSING, Phase.PAUSED)
BACK = {"1": "100", "2": "0"}
EVERYTHING = {"1": "0", "2": "100"}
OPENED = {"evidence": {"errors": (0.0, 0.0)}}
"""The evidence is opened as soon as the candidate's pods are ready."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """
    One row in one phase. `near` differs in one respect, and `instead` is the guard that holds then.
    """

    title: str
    guard: str
    to: Phase
    reason: Reason
    fires: World
    near: World
    instead: str | None = None
    remembers: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.fires.deployment.status.phase}: {self.title}"


def memory_of(status: Status) -> dict[str, Any]:
    """
    What rules remember, in short; times as whether they are now.
    """
    evidence = {item.name: Account.from_state(item.state) for item in status.evidence}
    at, asked = status.step, status.recommendation
    return {
        "stable": status.stable and status.stable.version,
        "candidate": status.candidate and status.candidate.version,
        "rejected": [(known.version, known.reason) for known in status.rejected],
        "step": at and (at.display, at.traffic, "now" if at.entered_at == NOW else "before", at.in_place_since),
        "verdicts": len(status.verdicts),
        "evidence": {name: (one.totals.candidate.n, one.step_exposures[0]) for name, one in evidence.items()},
        "history": [(ended.version, ended.outcome) for ended in status.history],
        "retry_seen": status.retry_seen,
        "recommended": asked and (asked.verb, asked.step, asked.share),
        "restart": status.stable and status.stable.restart_id,
        "action": status.action and (status.action.id, str(status.action.outcome)),
        "others": [(one.version, str(one.outcome)) for one in status.others],
    }


def rollbacks() -> Iterator[Case]:
    """
    The rows that take a candidate out of traffic and reject it.
    """

    def case(title: str, guard: str, reason: Reason, fires: World, near: World) -> Case:
        opened = OPENED if fires.deployment.status.phase is Phase.PREPARING else {}
        return Case(
            title=title, guard=guard, to=Phase.ROLLING_BACK, reason=reason, fires=fires, near=near,
            remembers={"rejected": [("2", reason)], **opened},
        )  # fmt: skip

    for phase in IN_FLIGHT:
        yield case(
            "the abort annotation names the candidate, not another revision", "abort_requested", Reason.ABORT_REQUESTED,
            world(phase, annotations={ANNOTATION_ABORT: rev("2")}),
            world(phase, annotations={ANNOTATION_ABORT: rev("3")}),
        )  # fmt: skip
        crashing = arms(arm("1"), arm("2", crash_looping="container m restarted 5 times"))
        yield case(
            "the candidate keeps crashing and the guardrail does not ignore it",
            "candidate_crash_looping", Reason.CANDIDATE_CRASH_LOOPING,
            world(phase, arms=crashing),
            world(phase, arms=crashing, sections={"analysis": {"guardrails": {"crashLoop": "Ignore"}}}),
        )  # fmt: skip
        killed = arms(arm("1"), arm("2", out_of_memory="container m was OOM-killed"))
        yield case(
            "the candidate was killed for memory and the guardrail does not ignore it",
            "candidate_out_of_memory", Reason.CANDIDATE_OUT_OF_MEMORY,
            world(phase, arms=killed),
            world(phase, arms=killed, sections={"analysis": {"guardrails": {"outOfMemory": "Ignore"}}}),
        )  # fmt: skip
    for phase in EXPOSED:
        yield case(
            "the harm evidence reached one hundred, not a hair less", "analysis_failed", Reason.ANALYSIS_FAILED,
            world(phase, remembered={"evidence": (kept(metric_evidence(harm=4.6052)),)}),
            world(phase, remembered={"evidence": (kept(metric_evidence(harm=4.6051)),)}),
        )  # fmt: skip
    preview = step("5").model_copy(update={"traffic": Share("0%"), "preview": True})
    switch = {"preSwitch": {"soak": "10s", "smoke": {"path": "/infer"}}}
    smoked = {
        "remembered": {"step": preview}, "route": route(BACK),
        "sections": {"strategy": {"blueGreen": switch}},
    }  # fmt: skip
    yield case(
        "a smoke request was answered with an error, not left unanswered", "smoke_failed", Reason.SMOKE_FAILED,
        world(Phase.PROGRESSING, smoke=WarmUpReading(sent=20, failed=1, p95_seconds=0.1, refused=1), **smoked),
        world(Phase.PROGRESSING, smoke=WarmUpReading(sent=20, failed=1, p95_seconds=0.1), **smoked),
    )  # fmt: skip
    weak = arms(arm("1"), arm("2", ready=1))
    for phase in (*EXPOSED, Phase.PROMOTING):
        yield case(
            "a pod has been unready for a minute, not a second less",
            "candidate_unhealthy", Reason.CANDIDATE_UNHEALTHY,
            world(phase, arms=weak, remembered={"candidate": candidate(unready_since=ago(60))}),
            world(phase, arms=weak, remembered={"candidate": candidate(unready_since=ago(59))}),
        )  # fmt: skip
    late = Reason.PROGRESS_DEADLINE_EXCEEDED
    yield case(
        "the candidate is not listed ten minutes after it was begun, not a second less", "preparation_overdue", late,
        world(Phase.PREPARING, remembered={"candidate": candidate(since=ago(600))}),
        world(Phase.PREPARING, remembered={"candidate": candidate(since=ago(599))}),
    )  # fmt: skip
    behind = route(BACK)
    yield case(
        "the route has not followed the step for ten minutes, not a second less", "route_overdue", late,
        world(Phase.PROGRESSING, route=behind,
              remembered={"step": step(entered_at=ago(600), in_place_since=None)}),
        world(Phase.PROGRESSING, route=behind,
              remembered={"step": step(entered_at=ago(599), in_place_since=None)}),
    )  # fmt: skip
    yield case(
        "the route has not followed the promotion for ten minutes, not a second less", "promotion_overdue", late,
        world(Phase.PROMOTING, remembered={"phase_since": ago(600)}),
        world(Phase.PROMOTING, remembered={"phase_since": ago(599)}),
    )  # fmt: skip


def uncompared(seconds: float) -> dict[str, Any]:
    """
    A shadow step whose comparator has had no ready endpoint for so long.
    """
    said = Condition(
        type=ConditionType.COMPARATOR_NOT_READY, status="True", reason=Reason.COMPARATOR_NOT_READY, message="",
        last_transition_time=ago(seconds), observed_generation=7,
    )  # fmt: skip
    mirrored = step("5").model_copy(update={"traffic": Share("0%"), "mirror": Share("100%")})
    return {
        "remembered": {"step": mirrored, "conditions": (said,)}, "route": route(BACK),
        "sections": {"strategy": {"shadow": {"soak": "2m", "compare": {}}}},
    }  # fmt: skip


def beginnings() -> Iterator[Case]:
    """
    The rows that begin a revision, give one up for another, or find that there is nothing to begin.
    """
    for phase in ON_TRIAL:
        yield Case(
            title="the spec names a third revision, not the candidate",
            guard="superseded", to=Phase.ROLLING_BACK, reason=Reason.SUPERSEDED,
            fires=world(phase, version="3"),
            near=world(phase, version="2"),
            remembers=OPENED if phase is Phase.PREPARING else {},
        )  # fmt: skip
    begun: dict[str, Any] = {"guard": "new_revision", "to": Phase.PREPARING, "reason": Reason.NEW_REVISION}
    yield Case(
        title="the spec names a first revision that was not rejected", **begun,
        fires=world(Phase.PENDING, version="1"),
        near=world(Phase.PENDING, version="2"),
        remembers={"candidate": "1"},
    )  # fmt: skip
    yield Case(
        title="the spec names another revision than the stable one", **begun,
        fires=world(Phase.STABLE, version="2"),
        near=world(Phase.STABLE, version="1"),
        remembers={"candidate": "2"},
    )  # fmt: skip
    retry = {ANNOTATION_RETRY: "once"}
    for phase in ENDED:
        yield Case(
            title="the spec names a third revision, not the rejected one", **begun,
            fires=world(phase, version="3"),
            near=world(phase, version="2"),
            remembers={"candidate": "3"},
        )  # fmt: skip
        yield Case(
            title="a retry of the rejected revision is requested that was not acted on", **begun,
            fires=world(phase, annotations=retry),
            near=world(phase, annotations=retry, remembered={"retry_seen": "once"}),
            remembers={"candidate": "2", "rejected": [], "retry_seen": "once"},
        )  # fmt: skip
        yield Case(
            title="the spec names the stable revision again, not the rejected one",
            guard="names_stable", to=Phase.STABLE, reason=Reason.REVERTED,
            fires=world(phase, version="1"),
            near=world(phase, version="2"),
        )  # fmt: skip
    reported = (rejection("2", Reason.SHADOW_REPORTED),)
    yield Case(
        title="the spec names the revision whose run ended with a report, not one that was rejected",
        guard="names_reported", to=Phase.REPORTED, reason=Reason.SHADOW_REPORTED,
        fires=world(Phase.STABLE, version="2", remembered={"rejected": reported}),
        near=world(Phase.STABLE, version="2", remembered={"rejected": (rejection("2"),)}),
        instead="names_rejected",
    )  # fmt: skip
    yield Case(
        title="the spec names the revision that was rejected, not another",
        guard="names_rejected", to=Phase.FAILED, reason=Reason.ROLLED_BACK,
        fires=world(Phase.STABLE, version="2", remembered={"rejected": (rejection("2"),)}),
        near=world(Phase.STABLE, version="2", remembered={"rejected": (rejection("3"),)}),
        instead="new_revision",
    )  # fmt: skip
    yield Case(
        title="all pods of the first revision are ready, not all but one",
        guard="first_candidate_ready", to=Phase.PROMOTING, reason=Reason.FIRST_REVISION_READY,
        fires=world(Phase.PREPARING, remembered={"stable": None}, arms=arms(arm("2")), route=NO_ROUTE),
        near=world(Phase.PREPARING, remembered={"stable": None}, arms=arms(arm("2", ready=1)), route=NO_ROUTE),
        remembers={"step": ("4/4", "100%", "now", None)},
    )  # fmt: skip


def steps() -> Iterator[Case]:
    """
    The rows that walk the steps, and the pauses in between.
    """
    yield Case(
        title="the route lists the candidate at 0, and does not leave it out",
        guard="candidate_listed", to=Phase.PROGRESSING, reason=Reason.CANDIDATE_READY,
        fires=world(Phase.PREPARING, route=route(BACK)),
        near=world(Phase.PREPARING, route=route({"1": "100"})),
        remembers={"step": ("1/4", "5%", "now", None), **OPENED},
    )  # fmt: skip
    shares = {"1": "95", "2": "5"}
    yield Case(
        title="somebody else writes the route",
        guard="route_contested", to=Phase.PAUSED, reason=Reason.ROUTE_CONFLICT,
        fires=world(Phase.PROGRESSING, route=route(shares, contested_by="flux")),
        near=world(Phase.PROGRESSING, route=route(shares)),
    )  # fmt: skip
    yield Case(
        title="the last step has soaked for two minutes, not a second less",
        guard="last_step_passed", to=Phase.PROMOTING, reason=Reason.ALL_STEPS_PASSED,
        fires=world(Phase.PROGRESSING, route=route(EVERYTHING),
                    remembered={"step": step("100", in_place_since=ago(120))}),
        near=world(Phase.PROGRESSING, route=route(EVERYTHING),
                   remembered={"step": step("100", in_place_since=ago(119))}),
    )  # fmt: skip
    yield Case(
        title="every metric passed; inconclusive is not passed",
        guard="step_passed", to=Phase.PROGRESSING, reason=Reason.STEP_PASSED,
        fires=world(Phase.PROGRESSING, remembered={"verdicts": (verdict(VerdictName.PASSED),)}),
        near=world(Phase.PROGRESSING, remembered={"verdicts": (verdict(VerdictName.INCONCLUSIVE),)}),
        remembers={"step": ("2/4", "25%", "now", None), "verdicts": 0, "evidence": {"errors": (50.0, 0.0)}},
    )  # fmt: skip
    copied: dict[str, Any] = {
        "route": route(BACK, mirrors=percents({"2": "100"})),
        "remembered": {
            "step": step("0", mirror=Share("100%"), display="1/1"), "verdicts": (verdict(VerdictName.PASSED),),
            "evidence": (kept(metric_evidence(counts=(500, 0, 500, 0))),),
        },
    }  # fmt: skip
    yield Case(
        title="the shadow run passed, and the spec asks for a report, not for a promotion",
        guard="run_passed_for_report", to=Phase.ROLLING_BACK, reason=Reason.SHADOW_REPORTED,
        fires=world(Phase.PROGRESSING, sections={"strategy": {"shadow": {"soak": "2m"}}}, **copied),
        near=world(
            Phase.PROGRESSING, sections={"strategy": {"shadow": {"soak": "2m", "onPassed": "Promote"}}}, **copied
        ),
        instead="last_step_passed",
        remembers={"rejected": [("2", Reason.SHADOW_REPORTED)]},
    )  # fmt: skip
    yield Case(
        title="the comparator has had no ready endpoint for ten minutes, not a second less",
        guard="comparator_overdue", to=Phase.PAUSED, reason=Reason.COMPARATOR_NOT_READY,
        fires=world(Phase.PROGRESSING, **uncompared(600)),
        near=world(Phase.PROGRESSING, **uncompared(599)),
    )  # fmt: skip
    blind = (verdict(VerdictName.NO_DATA, message="no series"),)
    yield Case(
        title="the hour of the step is over and metrics are missing, not a second earlier",
        guard="step_overdue_without_metrics", to=Phase.PAUSED, reason=Reason.METRICS_UNAVAILABLE,
        fires=world(Phase.PROGRESSING, remembered={"step": step(entered_at=ago(3600)), "verdicts": blind}),
        near=world(Phase.PROGRESSING, remembered={"step": step(entered_at=ago(3599)), "verdicts": blind}),
    )  # fmt: skip
    yield Case(
        title="the hour of the step is over without sufficient evidence, not a second earlier",
        guard="step_overdue", to=Phase.PAUSED, reason=Reason.ANALYSIS_INCONCLUSIVE,
        fires=world(Phase.PROGRESSING, remembered={"step": step(entered_at=ago(3600))}),
        near=world(Phase.PROGRESSING, remembered={"step": step(entered_at=ago(3599))}),
    )  # fmt: skip
    yield from policies()
    yield from resumptions()


def policies() -> Iterator[Case]:
    """
    What the spec may ask to follow when a step's deadline passes.
    """

    def late(field_: str, asked: str, seconds: float = 3600, at: str = "5", **changes: Any) -> World:  # noqa: ANN401
        remembered = {"step": step(at, entered_at=ago(seconds)), **changes.pop("remembered", {})}
        sections = {"analysis": {field_: asked}, **changes.pop("sections", {})}
        return world(Phase.PROGRESSING, remembered=remembered, sections=sections, **changes)

    blind = {"verdicts": (verdict(VerdictName.UNAVAILABLE, message="away"),)}
    yield Case(
        title="the hour of the step is over, metrics are missing, and the spec asks to roll back, not to pause",
        guard="no_data_rolls_back", to=Phase.ROLLING_BACK, reason=Reason.METRICS_UNAVAILABLE,
        fires=late("onNoData", "Rollback", remembered=blind),
        near=late("onNoData", "Pause", remembered=blind),
        instead="step_overdue_without_metrics",
        remembers={"rejected": [("2", Reason.METRICS_UNAVAILABLE)]},
    )  # fmt: skip
    yield Case(
        title="the hour of the step is over without sufficient evidence, and the spec asks to roll back, not to pause",
        guard="inconclusive_rolls_back", to=Phase.ROLLING_BACK, reason=Reason.ANALYSIS_INCONCLUSIVE,
        fires=late("onInconclusive", "Rollback"),
        near=late("onInconclusive", "Pause"),
        instead="step_overdue",
        remembers={"rejected": [("2", Reason.ANALYSIS_INCONCLUSIVE)]},
    )  # fmt: skip
    yield Case(
        title="the hour of the step is over without sufficient evidence, and the spec asks to go on, not to pause",
        guard="inconclusive_advances", to=Phase.PROGRESSING, reason=Reason.ADVANCED_UNCERTIFIED,
        fires=late("onInconclusive", "Advance"),
        near=late("onInconclusive", "Pause"),
        instead="step_overdue",
        remembers={"step": ("2/4", "25%", "now", None), "verdicts": 0, "evidence": {"errors": (50.0, 0.0)}},
    )  # fmt: skip
    half = {"strategy": {"canary": {"blastRadius": "1%", "steps": [{"traffic": "50%"}]}}}
    split = {"evidence": (kept(metric_evidence(counts=(500, 0, 500, 0))),)}
    last: dict[str, Any] = {
        "at": "50", "sections": half, "remembered": split, "route": route({"1": "50", "2": "50"})
    }  # fmt: skip
    yield Case(
        title="the hour of the last step is over without sufficient evidence, and the spec asks to go on",
        guard="last_inconclusive_advances", to=Phase.PROMOTING, reason=Reason.ADVANCED_UNCERTIFIED,
        fires=late("onInconclusive", "Advance", **last),
        near=late("onInconclusive", "Advance", 3599, **last),
    )  # fmt: skip


def resumptions() -> Iterator[Case]:
    """
    The three ways out of a pause.
    """
    lifted: dict[str, Any] = {"guard": "pause_lifted", "to": Phase.PROGRESSING, "reason": Reason.RESUMED}
    afresh = ("1/4", "5%", "now", ago(180))
    unmeasured: dict[str, Any] = {"reason": Reason.METRICS_UNAVAILABLE, "verdicts": (verdict(VerdictName.UNAVAILABLE),)}
    counted = block((50, 0, 950, 1))
    yield Case(
        title="the missing metrics are counted again", **lifted,
        fires=world(Phase.PAUSED, remembered=unmeasured, readings={"errors": Measured(counted)}),
        near=world(Phase.PAUSED, remembered=unmeasured, readings={"errors": NoData("no series")}),
        remembers={"step": afresh, "evidence": {"errors": (100.0, 100.0)}},
    )  # fmt: skip
    shares, contested = {"1": "95", "2": "5"}, {"reason": Reason.ROUTE_CONFLICT}
    yield Case(
        title="nobody else writes the route any more", **lifted,
        fires=world(Phase.PAUSED, remembered=contested, route=route(shares)),
        near=world(Phase.PAUSED, remembered=contested, route=route(shares, contested_by="flux")),
        remembers={"step": afresh},
    )  # fmt: skip
    back = Comparator(ready=1, hash=None)
    unready = {
        **uncompared(900),
        "remembered": {**uncompared(900)["remembered"], "reason": Reason.COMPARATOR_NOT_READY},
    }
    yield Case(
        title="the comparator is ready, and not only there", **lifted,
        fires=world(Phase.PAUSED, **unready, comparators={rev("2"): back}),
        near=world(Phase.PAUSED, **unready, comparators={rev("2"): replace(back, ready=0)}),
        remembers={"step": ("1/4", "0%", "now", ago(180))},
    )  # fmt: skip
    retry = {ANNOTATION_RETRY: "once"}
    yield Case(
        title="a retry is requested that was not acted on", **lifted,
        fires=world(Phase.PAUSED, annotations=retry),
        near=world(Phase.PAUSED, annotations=retry, remembered={"retry_seen": "once"}),
        remembers={"step": afresh, "retry_seen": "once"},
    )  # fmt: skip


def endings() -> Iterator[Case]:
    """
    The rows that end a rollout.
    """
    gone: dict[str, Any] = {"candidate": None, "step": None, "verdicts": 0, "evidence": {}}
    yield Case(
        title="the route has given everything, and the phase has settled for five seconds, not four",
        guard="promotion_in_place", to=Phase.STABLE, reason=Reason.PROMOTED,
        fires=world(Phase.PROMOTING, route=route(EVERYTHING), remembered={"phase_since": ago(5)}),
        near=world(Phase.PROMOTING, route=route(EVERYTHING), remembered={"phase_since": ago(4)}),
        remembers={**gone, "stable": "2", "history": [("2", Reason.PROMOTED)]},
    )  # fmt: skip
    watched: dict[str, Any] = {
        "stable": None, "step": step("100"), "phase_since": ago(60), "verdicts": (verdict(),),
        "evidence": (kept(metric_evidence(5.0)),),
    }  # fmt: skip
    held = {"analysis": {"metrics": [{"preset": "errors", "against": {"limit": "2%"}}]}}
    yield Case(
        title="the first revision is shown to be above its limit, not nearly",
        guard="first_revision_harmful", to=Phase.STABLE, reason=Reason.ANALYSIS_FAILED,
        fires=world(Phase.PROMOTING, route=route({"2": "100"}), remembered=watched, sections=held, arms=arms(arm("2"))),
        near=world(
            Phase.PROMOTING, route=route({"2": "100"}), sections=held, arms=arms(arm("2")),
            remembered={**watched, "evidence": (kept(metric_evidence(4.0)),)},
        ),
        instead="promotion_in_place",
        remembers={**gone, "stable": "2", "history": [("2", Reason.ANALYSIS_FAILED)]},
    )  # fmt: skip
    drained: dict[str, Any] = {
        "route": route(BACK), "drain": Drain(requests={rev("2"): 0.0}, in_flight={rev("2"): 0.0})
    }  # fmt: skip
    busy = {**drained, "drain": Drain(requests={rev("2"): 1.0}, in_flight={rev("2"): 1.0})}
    yield Case(
        title="the last request to the superseded candidate has ended",
        guard="drained_and_superseded", to=Phase.PREPARING, reason=Reason.NEW_REVISION,
        fires=world(Phase.ROLLING_BACK, version="3", **drained),
        near=world(Phase.ROLLING_BACK, version="3", **busy),
        remembers={**gone, "candidate": "3", "history": [("2", Reason.SUPERSEDED)]},
    )  # fmt: skip
    yield Case(
        title="the last request to the rejected candidate has ended",
        guard="drained_and_rejected", to=Phase.FAILED, reason=Reason.ROLLED_BACK,
        fires=world(Phase.ROLLING_BACK, version="2", **drained),
        near=world(Phase.ROLLING_BACK, version="2", **busy),
        remembers={**gone, "history": [("2", Reason.ROLLED_BACK)]},
    )  # fmt: skip
    over = {"rejected": (rejection("2", Reason.SHADOW_REPORTED),)}
    yield Case(
        title="the last copy to the candidate has ended after a shadow run",
        guard="drained_and_reported", to=Phase.REPORTED, reason=Reason.SHADOW_REPORTED,
        fires=world(Phase.ROLLING_BACK, version="2", remembered=over, **drained),
        near=world(Phase.ROLLING_BACK, version="2", remembered=over, **busy),
        remembers={**gone, "history": [("2", Reason.SHADOW_REPORTED)]},
    )  # fmt: skip
    yield Case(
        title="the last request to the candidate has ended, and the spec names the stable revision",
        guard="candidate_drained", to=Phase.STABLE, reason=Reason.REVERTED,
        fires=world(Phase.ROLLING_BACK, version="1", **drained),
        near=world(Phase.ROLLING_BACK, version="1", **busy),
        remembers={**gone, "history": [("2", Reason.REVERTED)]},
    )  # fmt: skip


DONE = {"action": ("r-1", "Done")}


def requests() -> Iterator[Case]:
    """
    The rows of what people ask for, by annotation.
    """
    for phase in IN_FLIGHT:
        yield Case(
            title="somebody asks to abort the candidate, not another revision",
            guard="abort_asked", to=Phase.ROLLING_BACK, reason=Reason.ABORT_REQUESTED,
            fires=world(phase, annotations=asking("abort")),
            near=world(phase, annotations=asking("abort", "3")),
            instead="action_refused",
            remembers={
                **DONE, "rejected": [("2", Reason.ABORT_REQUESTED)], **(OPENED if phase is Phase.PREPARING else {})
            },
        )  # fmt: skip
    for phase in ENDED:
        yield Case(
            title="somebody asks to retry the rejected revision, not another one",
            guard="retry_asked", to=Phase.PREPARING, reason=Reason.NEW_REVISION,
            fires=world(phase, annotations=asking("retry")),
            near=world(phase, annotations=asking("retry", "3")),
            instead="action_refused",
            remembers={**DONE, "candidate": "2", "rejected": []},
        )  # fmt: skip
    for phase in EXPOSED:
        yield Case(
            title="somebody asks for a pause, and was not answered yet",
            guard="pause_asked", to=Phase.PAUSED, reason=Reason.PAUSED_BY_REQUEST,
            fires=world(phase, annotations=asking("pause")),
            near=world(phase, annotations=asking("pause"), remembered={"action": answered("r-1")}),
            remembers=DONE,
        )  # fmt: skip
        yield from promotions(phase)
    yield Case(
        title="somebody asks to go on, and was not answered yet",
        guard="resume_asked", to=Phase.PROGRESSING, reason=Reason.RESUMED,
        fires=world(Phase.PAUSED, annotations=asking("resume")),
        near=world(Phase.PAUSED, annotations=asking("resume"), remembered={"action": answered("r-1")}),
        remembers={**DONE, "step": ("1/4", "5%", "now", ago(180))},
    )  # fmt: skip
    for phase in Phase:
        yield Case(
            title="somebody asks for what nobody knows, and was not answered yet",
            guard="action_refused", to=phase, reason=Reason.ACTION_REFUSED,
            fires=world(phase, annotations=asking("explode")),
            near=world(phase, annotations=asking("explode"), remembered={"action": answered("r-1")}),
            remembers={"action": ("r-1", "Refused"), **(OPENED if phase is Phase.PREPARING else {})},
        )  # fmt: skip


def promotions(phase: Phase) -> Iterator[Case]:
    """
    The rows that take a step, or all, as passed because somebody asks for it.
    """
    mute = arms(arm("1", ready=0), arm("2"))
    yield Case(
        title="somebody asks to promote fully, and the step's traffic is in place",
        guard="full_promotion_asked", to=Phase.PROMOTING, reason=Reason.PROMOTED_BY_REQUEST,
        fires=world(phase, annotations=asking("promote-full")),
        near=world(phase, annotations=asking("promote-full"), route=route(BACK)),
        instead="action_refused",
        remembers=DONE,
    )  # fmt: skip
    yield Case(
        title="somebody asks to promote fully, stable has no endpoint and the candidate has",
        guard="full_promotion_asked", to=Phase.PROMOTING, reason=Reason.PROMOTED_BY_REQUEST,
        fires=world(phase, annotations=asking("promote-full"), arms=mute),
        near=world(phase, annotations=asking("promote-full"), arms=arms(arm("1", ready=0), arm("2", ready=0))),
        instead="action_refused",
        remembers=DONE,
    )  # fmt: skip
    last: dict[str, Any] = {"annotations": asking("promote"), "remembered": {"step": step("100", in_place_since=NOW)}}
    yield Case(
        title="somebody asks to take the last step as passed, and its traffic is in place",
        guard="full_promotion_asked", to=Phase.PROMOTING, reason=Reason.PROMOTED_BY_REQUEST,
        fires=world(phase, route=route(EVERYTHING), **last),
        near=world(phase, route=route(BACK), **last),
        instead="action_refused",
        remembers=DONE,
    )  # fmt: skip
    yield Case(
        title="somebody asks to take the step as passed, and its traffic is in place",
        guard="promotion_asked", to=Phase.PROGRESSING, reason=Reason.PROMOTED_BY_REQUEST,
        fires=world(phase, annotations=asking("promote")),
        near=world(phase, annotations=asking("promote"), route=route(BACK)),
        instead="action_refused",
        remembers={**DONE, "step": ("2/4", "25%", "now", None), "verdicts": 0, "evidence": {"errors": (50.0, 0.0)}},
    )  # fmt: skip


ASSIST: dict[str, Any] = {"sections": {"automation": {"degree": "Assist"}}}
PASSED = (verdict(VerdictName.PASSED),)
IN_STEP = waiting_for_approval(2, "25%", step=step(), verdicts=PASSED, evidence=(kept(metric_evidence()),))
"""Version 2 waits for its second step."""


def approvals() -> Iterator[Case]:
    """
    The rows of what people approve, and of recommendations that do not stand any more.
    """
    listed: dict[str, Any] = {"route": route(BACK), **ASSIST}
    yield Case(
        title="somebody approves the first step, not the second",
        guard="first_step_approved", to=Phase.PROGRESSING, reason=Reason.APPROVED,
        fires=world(Phase.PAUSED, remembered=waiting_for_approval(), annotations=asking("approve"), **listed),
        near=world(Phase.PAUSED, remembered=waiting_for_approval(), annotations=asking("approve", step=2), **listed),
        instead="action_refused",
        remembers={**DONE, "step": ("1/4", "5%", "now", None), **OPENED, "recommended": None},
    )  # fmt: skip
    first = waiting_for_approval(5, "100%", stable=None)
    alone: dict[str, Any] = {"remembered": first, "arms": arms(arm("2")), "route": NO_ROUTE, **ASSIST}
    yield Case(
        title="somebody approves the first revision, which is ready, not one that lost its pods",
        guard="promotion_approved", to=Phase.PROMOTING, reason=Reason.APPROVED,
        fires=world(Phase.PAUSED, annotations=asking("approve", step=5), **alone),
        near=world(Phase.PAUSED, annotations=asking("approve", step=5), **{**alone, "arms": arms(arm("2", ready=1))}),
        instead="action_refused",
        remembers={**DONE, "recommended": None},
    )  # fmt: skip
    yield Case(
        title="somebody approves the second step, and its evidence stands",
        guard="step_approved", to=Phase.PROGRESSING, reason=Reason.APPROVED,
        fires=world(Phase.PAUSED, remembered=IN_STEP, annotations=asking("approve", step=2), **ASSIST),
        near=world(Phase.PAUSED, remembered={**IN_STEP, "verdicts": (verdict(),)},
                   annotations=asking("approve", step=2), **ASSIST),
        instead="recommendation_void",
        remembers={**DONE, "step": ("2/4", "25%", "now", None), "verdicts": 0, "evidence": {"errors": (50.0, 0.0)},
                   "recommended": None},
    )  # fmt: skip
    yield Case(
        title="somebody rejects what waits for an approval, not another step",
        guard="rejection_asked", to=Phase.ROLLING_BACK, reason=Reason.REJECTED_BY_REQUEST,
        fires=world(Phase.PAUSED, remembered=waiting_for_approval(), annotations=asking("reject"), **listed),
        near=world(Phase.PAUSED, remembered=waiting_for_approval(), annotations=asking("reject", step=2), **listed),
        instead="action_refused",
        remembers={**DONE, "rejected": [("2", Reason.REJECTED_BY_REQUEST)], **OPENED, "recommended": None},
    )  # fmt: skip
    yield Case(
        title="the evidence for the approval that is waited for does not stand any more",
        guard="recommendation_void", to=Phase.PROGRESSING, reason=Reason.RESUMED,
        fires=world(Phase.PAUSED, remembered={**IN_STEP, "verdicts": (verdict(),)}, **ASSIST),
        near=world(Phase.PAUSED, remembered=IN_STEP, **ASSIST),
        remembers={"step": ("1/4", "5%", "now", ago(180)), "recommended": None},
    )  # fmt: skip
    yield Case(
        title="the first step needs no approval any more",
        guard="recommendation_void_before_traffic", to=Phase.PREPARING, reason=Reason.RESUMED,
        fires=world(Phase.PAUSED, remembered=waiting_for_approval(), route=route(BACK)),
        near=world(Phase.PAUSED, remembered=waiting_for_approval(), **listed),
        remembers={**OPENED, "recommended": None},
    )  # fmt: skip
    yield Case(
        title="the spec has another first step than the one that was recommended",
        guard="recommendation_outdated", to=Phase.PAUSED, reason=Reason.APPROVAL_NEEDED,
        fires=world(Phase.PAUSED, remembered=waiting_for_approval(share="1%"), **listed),
        near=world(Phase.PAUSED, remembered=waiting_for_approval(), **listed),
        remembers={**OPENED, "recommended": (Verb.APPROVE, 1, "5%")},
    )  # fmt: skip


def undos() -> Iterator[Case]:
    """
    The rows of what people ask of revisions that serve or served.
    """
    old = {"kept": (previously("0"),)}
    resting = arms(arm("1"), arm("0", ready=0, pods=0, wanted_replicas=0, role="retired"))
    for phase, reason in ((Phase.STABLE, None), (Phase.FAILED, None), (Phase.REPORTED, Reason.SHADOW_REPORTED)):
        rejected = {} if reason is None else {"rejected": (rejection("2", reason),)}
        yield Case(
            title="somebody asks to return to a kept revision, not to one that is not kept",
            guard="undo_asked", to=Phase.PREPARING, reason=Reason.UNDO_REQUESTED,
            fires=world(phase, remembered={**old, **rejected}, arms=resting, annotations=asking("undo", "0")),
            near=world(phase, remembered=rejected, arms=resting, annotations=asking("undo", "0")),
            instead="action_refused",
            remembers={**DONE, "candidate": "0"},
        )  # fmt: skip
        yield Case(
            title="somebody asks for new pods of the stable revision, not of another",
            guard="restart_asked", to=phase, reason=Reason.RESTART_REQUESTED,
            fires=world(phase, remembered=rejected, annotations=asking("restart", "1")),
            near=world(phase, remembered=rejected, annotations=asking("restart", "3")),
            instead="action_refused",
            remembers={**DONE, "restart": "r-1"},
        )  # fmt: skip
    undoing: dict[str, Any] = {"version": "1", "remembered": {"undo": returning("2", "1")}}
    yield Case(
        title="the kept revision is listed at 0, and does not miss in the route",
        guard="undone_revision_listed", to=Phase.PROMOTING, reason=Reason.UNDO_REQUESTED,
        fires=world(Phase.PREPARING, route=route(BACK), **undoing),
        near=world(Phase.PREPARING, route=route({"1": "100"}), **undoing),
        remembers=OPENED,
    )  # fmt: skip


def others() -> Iterator[Case]:
    """
    The rows that decide on another candidate of a shadow run; nothing of the run's own changes.
    """

    def case(phase: Phase, title: str, guard: str, fires: OtherStatus, near: OtherStatus) -> Case:
        reason = {"harmful": Reason.OTHER_HARMFUL, "failed": Reason.OTHER_FAILED, "passed": Reason.OTHER_PASSED}
        crashing = arms(arm("1"), arm("2"), other_arm(fires.version, crash_looping="it crashes"))
        seen = {"arms": crashing} if guard == "failed" else {}
        decided = {"harmful": "Harmful", "failed": "Failed", "passed": "Passed"}[guard]
        opened = {**OPENED, "others": [("3", decided)]} if phase is Phase.PREPARING else {"others": [("3", decided)]}
        return Case(
            title=title, guard=f"other_{guard}", to=phase, reason=reason[guard],
            fires=run(fires, phase=phase, **seen), near=run(near, phase=phase), remembers=opened,
        )  # fmt: skip

    for phase in EXPOSED:
        yield case(
            phase, "an other's harm evidence reached one hundred, not a hair less", "harmful",
            other(evidence=(copied_evidence(4.6052),)), other(evidence=(copied_evidence(4.6051),)),
        )  # fmt: skip
        yield case(phase, "an other is certified, not undecided", "passed", certain(), other())
        yield case(phase, "an other keeps crashing", "failed", other(), other())
    cold = {"entered_at": None, "in_place_since": None, "evidence": (), "verdicts": ()}
    yield case(Phase.PREPARING, "an other keeps crashing", "failed", other(**cold), other(**cold))


CASES = (*rollbacks(), *beginnings(), *steps(), *endings(), *requests(), *approvals(), *undos(), *others())


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_row_fires(case: Case) -> None:
    """
    In its smallest situation the row fires, and remembers just what it says.
    """
    before = memory_of(case.fires.deployment.status)
    plan = decide(*case.fires, NOW)
    after = memory_of(plan.status)
    assert (plan.because.rule, plan.because.reason) == (case.guard, case.reason)
    # A refusal changes nothing but what is remembered of it.
    kept_reason = case.reason is Reason.ACTION_REFUSED
    kept_reason = kept_reason or case.reason is Reason.RESTART_REQUESTED  # as it changes no traffic
    kept_reason = kept_reason or case.reason in OUTCOMES  # as the run goes on
    assert plan.status.reason == (case.fires.deployment.status.reason if kept_reason else case.reason)
    assert (plan.because.came_from, plan.because.went_to) == (case.fires.deployment.status.phase, case.to)
    assert plan.status.phase is case.to
    assert {key: value for key, value in after.items() if value != before[key]} == case.remembers


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_row_does_not_fire_nearby(case: Case) -> None:
    """
    One respect away from its smallest situation the row does not fire.
    """
    assert decide(*case.near, NOW).because.rule == case.instead


@pytest.mark.parametrize("phase", Phase, ids=str)
def test_a_calm_world_stays(phase: Phase) -> None:
    """
    The world all situations are made from fires nothing: what a case changes is what makes its row fire.
    """
    asked = world(phase)
    plan = decide(*asked, NOW)
    assert (plan.because.rule, plan.because.reason, plan.status.phase) == (None, Reason.WAITING, phase)


def test_the_moment_a_phase_began_is_kept_within_it() -> None:
    """
    A next step stays in its phase and does not restart it; a new phase begins now.
    """
    passed = {"verdicts": (verdict(VerdictName.PASSED),)}
    onward = decide(*world(Phase.PROGRESSING, remembered=passed), NOW).status
    away = decide(*world(Phase.PROGRESSING, version="3"), NOW).status
    assert (onward.phase_since, away.phase_since) == (ago(60), NOW)


# ---------------------------------------------------------------- the table itself


def outcomes(rules: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    """
    What each of the firing situations comes to under a table.
    """
    plans = [decide(*case.fires, NOW, rules=rules) for case in CASES]
    return [(plan.because, plan.status, plan.effects) for plan in plans]


@pytest.fixture(scope="module")
def with_all_rows() -> list[tuple[Any, ...]]:
    """
    The outcomes under the whole table.
    """
    return outcomes(RULES)


@pytest.mark.parametrize("index", range(len(RULES)), ids=lambda index: f"{index}-{RULES[index].when.__name__}")
def test_each_row_is_missed(index: int, with_all_rows: list[tuple[Any, ...]]) -> None:
    """
    Without the row, some situation comes to something else.
    """
    assert outcomes(RULES[:index] + RULES[index + 1 :]) != with_all_rows


PLACES = [(index, phase) for index, rule in enumerate(RULES) for phase in sorted(rule.phases)]


@pytest.mark.parametrize(
    ("index", "phase"), PLACES, ids=[f"{RULES[index].when.__name__}-in-{phase}" for index, phase in PLACES]
)
def test_each_phase_of_a_row_is_missed(index: int, phase: Phase, with_all_rows: list[tuple[Any, ...]]) -> None:
    """
    Without the phase among those of the row, some situation comes to something else.
    """
    fewer = RULES[index]._replace(phases=RULES[index].phases - {phase})
    assert outcomes((*RULES[:index], fewer, *RULES[index + 1 :])) != with_all_rows


def test_every_phase_is_reachable() -> None:
    """
    From Pending, rows lead to every phase.
    """
    reached, grown = {Phase.PENDING}, True
    while grown:
        further = reached | {rule.to for rule in RULES if rule.to is not None and rule.phases & reached}
        reached, grown = further, further != reached
    assert reached == set(Phase)


def test_every_phase_has_a_way_out() -> None:
    """
    No phase is a trap: a row leads from each to another.
    """
    left = {phase for rule in RULES for phase in rule.phases if rule.to not in {phase, None}}
    assert left == set(Phase)


def test_every_phase_leads_to_rest() -> None:
    """
    From every phase, rows lead to Stable and to Failed.
    """
    for goal in (Phase.STABLE, Phase.FAILED):
        home, grown = {goal}, True
        while grown:
            further = home | {phase for rule in RULES if rule.to in home for phase in rule.phases}
            home, grown = further, further != home
        assert home == set(Phase)


def public_functions(module: Any) -> dict[str, Any]:  # noqa: ANN401 - a module
    """
    The functions a module defines under a public name.
    """
    return {
        name: one
        for name, one in inspect.getmembers(module, inspect.isfunction)
        if one.__module__ == module.__name__ and not name.startswith("_")
    }


def test_every_update_of_the_memory_is_used_by_a_row() -> None:
    """
    Nothing in memory.py is left over.
    """
    used = {rule.remember.__name__ for rule in RULES} | {"kept_at_most", "recommend_approval"}
    assert used == {*public_functions(memory), "recommend_approval", "decide_other"}


def test_every_finding_is_used() -> None:
    """
    Each finding stands in a row, or another finding or message is made from it.
    """
    modules = (actions, assess, conditions, desired, ends, messages, guards, overdue)
    sources = [inspect.getsource(module) for module in modules]
    in_rows = {rule.when.__name__ for rule in RULES}
    left_over = {
        name
        for name in {
            **public_functions(guards),
            **public_functions(overdue),
            **public_functions(actions),
            **public_functions(ends),
        }
        if name not in in_rows and sum(source.count(f"{name}(") for source in sources) < 2
    }
    assert left_over == set()


def test_every_finding_and_update_says_what_it_is() -> None:
    """
    The page of the documentation is printed from their docstrings.
    """
    findings = {
        **public_functions(guards),
        **public_functions(overdue),
        **public_functions(actions),
        **public_functions(ends),
    }
    named = {**findings, **public_functions(memory)}
    assert [name for name, one in named.items() if not (one.__doc__ or "").strip()] == []


def test_every_phase_says_what_the_world_should_look_like() -> None:
    """
    No phase is missing in the table of desired states.
    """
    assert set(DESIRED) == set(Phase)


def test_every_reason_of_a_row_has_its_sentence() -> None:
    """
    A transition is never without words, and no sentence is left over.
    """
    assert set(MESSAGES) == {rule.because for rule in RULES}


def test_safety_stands_above_progress() -> None:
    """
    Every row that takes traffic away, but for the good end of a shadow run, stands above every row that may give more.
    Two take it away only because a step's deadline passed: they stand behind the rows of a step that passed, and before
    all else a deadline may bring.
    """
    done = ends.run_passed_for_report  # no harm is done: nothing but copies reached the candidate
    late = [index for index, rule in enumerate(RULES) if rule.when.__module__ == overdue.__name__]
    taking = {index for index, rule in enumerate(RULES) if rule.to is Phase.ROLLING_BACK and rule.when is not done}
    others = set(range(len(RULES))) - {index for index, rule in enumerate(RULES) if rule.to is Phase.ROLLING_BACK}
    assert max(taking - set(late)) < min(others)
    assert sorted(taking & set(late)) == late[:2]
    assert next(i for i, rule in enumerate(RULES) if rule.when is guards.step_passed) < late[0]


def test_only_rollbacks_reject_and_only_endings_promote() -> None:
    """
    What is remembered fits where the row leads.
    """
    rejecting = {rule.to for rule in RULES if rule.remember is memory.reject_candidate}
    promoting = {rule.to for rule in RULES if rule.remember is memory.promote}
    assert (rejecting, promoting) == ({Phase.ROLLING_BACK}, {Phase.STABLE})


def test_reasons_of_rows_stand_before_those_of_conditions() -> None:
    """
    In the vocabulary, the reasons a rule can give come first; a route conflict is both, and so is a
    comparator that is not ready.
    """
    order = list(Reason)
    first_of_conditions = order.index(Reason.ACCEPTED)
    of_rules = {rule.because for rule in RULES} - {Reason.ROUTE_CONFLICT, Reason.COMPARATOR_NOT_READY}
    left_to_people = {Reason.ROLLBACK_RECOMMENDED}  # made of the rows of rollbacks, see degrees
    assert of_rules | left_to_people | {Reason.WAITING} == set(order[:first_of_conditions])


@pytest.mark.parametrize("case", CASES, ids=str)
def test_no_other_row_takes_part(case: Case) -> None:
    """
    Alone in the table, the row comes to the same: nothing else is consulted.
    """
    rule = next(rule for rule in RULES if rule.when.__name__ == case.guard)
    assert decide(*case.fires, NOW, rules=(rule,)) == decide(*case.fires, NOW)


def test_an_empty_table_never_moves() -> None:
    """
    Without rows there is no transition, whatever is seen.
    """
    assert {decide(*case.fires, NOW, rules=()).because.rule for case in CASES} == {None}
    assert first_match.__defaults__ == (RULES,)
