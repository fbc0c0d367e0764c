"""
The status of an `MLModelDeployment`: what the machine must remember, and what it shows.

It is the machine's only memory. Everything that can be observed again is not kept here, except for display.
Fields of a newer version survive a round trip through an older one.
"""

from typing import Annotated, Final

from pydantic import Field

from modelramp.api.action import MAX_ID_LENGTH, ActionOutcome, Verb
from modelramp.api.scalars import Share
from modelramp.api.trial import (
    ATOMIC,
    MAX_SHOWN_OTHERS,
    ArmCounts,
    CandidateStatus,
    EvidenceState,
    Instant,
    OtherOutcome,
    OtherStatus,
    Revision,
    StatusModel,
    Text,
    VerdictName,
    VerdictStatus,
    Version,
    Word,
)
from modelramp.api.vocabulary import ConditionType, Phase, Reason

__all__ = [
    "MAX_HISTORY",
    "MAX_KEPT",
    "MAX_REJECTED",
    "MAX_SHOWN_METRICS",
    "MAX_SHOWN_OTHERS",
    "ActionStatus",
    "ArmCounts",
    "CandidateStatus",
    "Condition",
    "ConfigContent",
    "EvidenceState",
    "KeptRevision",
    "OtherOutcome",
    "OtherStatus",
    "Outcome",
    "Recommendation",
    "Rejection",
    "StableStatus",
    "Status",
    "StepStatus",
    "TrafficStatus",
    "UndoStatus",
    "VerdictName",
    "VerdictStatus",
]

MAX_HISTORY: Final = 10
MAX_REJECTED: Final = 5
MAX_KEPT: Final = 5
MAX_SHOWN_METRICS: Final = 10


class StableStatus(StatusModel):
    """
    The revision that serves users.
    """

    revision: Revision
    version: Version
    since: Instant = Field(description="When it became stable.")
    restart_id: Annotated[str, Field(max_length=MAX_ID_LENGTH)] | None = Field(
        default=None, description="The id of the request by which its pods were last restarted; absent: never."
    )


class KeptRevision(StatusModel):
    """
    A revision that served before and can be returned to by undo: it has no pods.
    """

    revision: Revision
    version: Version


class UndoStatus(StatusModel):
    """
    The return to a kept revision, while it is under way.
    """

    revision: Revision
    instead_of: Revision = Field(description="The revision that the spec named when it was asked; another one ends it.")
    by: Word = Field(description="Who asked for it.")


class Recommendation(StatusModel):
    """
    What somebody has to decide, as the degree of automation leaves it to people.
    """

    verb: Verb = Field(description="The recommended request: approve, or abort.")
    revision: Revision
    step: int | None = Field(
        default=None,
        ge=1,
        le=65,
        description="The number of the step to be entered, counted from 1; the promotion is one above the last step; "
        "absent where no step is to be entered.",
    )
    share: Share = Field(description="The candidate's share of traffic when it is followed.")
    message: Text = Field(description="What is recommended, and why.")
    at: Instant = Field(description="When it was made; the verdicts show what was counted since.")


class Rejection(StatusModel):
    """
    A revision that is not begun again without a retry.
    """

    revision: Revision
    version: Version
    reason: Reason
    at: Instant = Field(description="When it was rejected.")
    evidence: Annotated[tuple[EvidenceState, ...], Field(max_length=10, json_schema_extra=ATOMIC)] = Field(
        default=(), description="What a retry of it goes on with; of the latest rejection only."
    )
    claim: Word | None = Field(
        default=None, description="What that evidence is about, as a hash; on anything else it says nothing."
    )


class StepStatus(StatusModel):
    """
    The present step.
    """

    index: int = Field(ge=0, le=64, description="Counted from 0.")
    display: Word = Field(description="For people: step of steps, such as 2/4.")
    traffic: Share = Field(description="The share that was entered; editing the spec's steps does not change it.")
    mirror: Share | None = Field(default=None, description="The share of requests that is copied; absent: none.")
    preview: bool = Field(default=False, description="Only requests with the preview's header reach the candidate.")
    smoke_passed: bool = Field(default=False, description="The step's smoke requests were all answered as wanted.")
    entered_at: Instant = Field(description="When the step began.")
    in_place_since: Instant | None = Field(
        default=None, description="When the gateway was first seen with the step's traffic; absent: not yet."
    )


class TrafficStatus(StatusModel):
    """
    The candidate's share of traffic: wanted, accepted by the gateway, and counted.
    """

    wanted: Share = Field(description="The share the route is to have.")
    programmed: Share | None = Field(default=None, description="The share the gateway accepted; absent: not known yet.")
    observed: Share | None = Field(
        default=None, description="Share of counted requests in the present step; absent: none counted."
    )


class ActionStatus(StatusModel):
    """
    The request that was answered last; its id is not answered again.
    """

    id: Annotated[str, Field(max_length=MAX_ID_LENGTH)] = Field(
        description="The request's id; made from its text where that gives none."
    )
    verb: Verb | None = Field(default=None, description="What was asked; absent: the request could not be read.")
    revision: Revision | None = None
    step: int | None = Field(default=None, ge=1, description="The step that was meant; absent: the verb names none.")
    by: Word | None = Field(default=None, description="Who asked, as the request says; not verified.")
    at: Instant = Field(description="When it was answered.")
    outcome: ActionOutcome = Field(description="Whether it was carried out or refused.")
    message: Text = Field(default="", description="What was done, or why nothing was.")


class Outcome(StatusModel):
    """
    How a rollout ended.
    """

    revision: Revision
    version: Version
    outcome: Reason
    message: Text = Field(description="The outcome in words.")
    evidence: Annotated[
        tuple[Annotated[str, Field(max_length=256)], ...],
        Field(max_length=MAX_SHOWN_METRICS, json_schema_extra={"x-kubernetes-list-type": "atomic"}),
    ] = Field(
        default=(),
        description="By metric: last verdict, bad events of events of the candidate and of stable, and harm evidence.",
    )
    others: Annotated[
        tuple[Annotated[str, Field(max_length=256)], ...], Field(max_length=MAX_SHOWN_OTHERS, json_schema_extra=ATOMIC)
    ] = Field(default=(), description="By other candidate of a shadow run: what became of it, and why.")
    actor: Word = Field(default="operator", description="Who asked for the outcome; operator: nobody, it followed.")
    strategy: Word | None = Field(
        default=None, description="The strategy, as the spec had it at the end; absent: not told."
    )
    began_at: Instant = Field(description="When the rollout began.")
    ended_at: Instant = Field(description="When it ended.")


class ConfigContent(StatusModel):
    """
    A ConfigMap whose content is part of the revision.
    """

    config_map: Word = Field(description="Its name.")
    hash: Word = Field(description="Of what it held when it was last seen.")


class Condition(StatusModel):
    """
    A condition as Kubernetes knows it (metav1.Condition).
    """

    type: ConditionType
    status: Annotated[str, Field(pattern="^(True|False|Unknown)$", max_length=7)] = Field(
        description="True, False or Unknown."
    )
    reason: Reason
    message: Annotated[str, Field(max_length=32768)] = Field(description="The reason in words, with what was seen.")
    last_transition_time: Instant = Field(description="When the status last changed.")
    observed_generation: int = Field(ge=0, description="The metadata.generation it was found for.")


class Status(StatusModel):
    """
    The machine's memory and its face.
    """

    observed_generation: int | None = Field(
        default=None, ge=0, description="The metadata.generation this status belongs to; absent: not visited yet."
    )
    phase: Phase = Phase.PENDING
    phase_since: Instant | None = Field(default=None, description="When the phase began; absent: not visited yet.")
    reason: Reason = Reason.WAITING
    message: Text = Field(default="", description="The phase and its reason in words.")
    stable: StableStatus | None = None
    candidate: CandidateStatus | None = None
    rejected: Annotated[tuple[Rejection, ...], Field(max_length=MAX_REJECTED, json_schema_extra=ATOMIC)] = Field(
        default=(), description="The revisions rejected last; the newest is last."
    )
    step: StepStatus | None = None
    recommendation: Recommendation | None = None
    undo: UndoStatus | None = None
    kept: Annotated[tuple[KeptRevision, ...], Field(max_length=MAX_KEPT, json_schema_extra=ATOMIC)] = Field(
        default=(), description="The revisions that undo can return to; the newest is last."
    )
    config: Annotated[tuple[ConfigContent, ...], Field(max_length=8, json_schema_extra=ATOMIC)] = Field(
        default=(), description="What the ConfigMaps that are part of the revision held when last seen."
    )
    traffic: TrafficStatus | None = None
    evidence_summary: Word | None = Field(
        default=None, description="The metric furthest from certification, such as 3.1/20."
    )
    verdicts: Annotated[tuple[VerdictStatus, ...], Field(max_length=10, json_schema_extra=ATOMIC)] = Field(
        default=(), description="The verdict on each metric."
    )
    evidence: Annotated[tuple[EvidenceState, ...], Field(max_length=10, json_schema_extra=ATOMIC)] = Field(
        default=(), description="The evidence on each metric, as the operator keeps it."
    )
    others: Annotated[tuple[OtherStatus, ...], Field(max_length=MAX_SHOWN_OTHERS, json_schema_extra=ATOMIC)] = Field(
        default=(), description="The other candidates of a shadow run; the one decided last is last."
    )
    retry_seen: Word | None = Field(
        default=None, description="The value of the retry annotation that was last acted on."
    )
    action: ActionStatus | None = None
    replicas: int = Field(default=0, ge=0, description="Pods of the stable revision; for the scale subresource.")
    selector: Text = Field(
        default="", description="Label selector of the stable revision's pods; for the scale subresource."
    )
    history: Annotated[tuple[Outcome, ...], Field(max_length=MAX_HISTORY, json_schema_extra=ATOMIC)] = Field(
        default=(), description="How past rollouts ended; the newest is last."
    )
    conditions: Annotated[
        tuple[Condition, ...],
        Field(
            max_length=16, json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]}
        ),
    ] = Field(default=(), description="The contract for programs; every type is present from the first visit.")
