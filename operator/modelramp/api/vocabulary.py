"""
The words of the object's contract: phases, reasons, condition types. Their values are the exact strings users see.
"""

from enum import StrEnum

GROUP = "modelramp.io"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
KIND = "MLModelDeployment"
PLURAL = "mlmodeldeployments"


class Phase(StrEnum):
    """
    Where a rollout is. A column for people; the contract for programs is the conditions.
    """

    PENDING = "Pending"
    """No revision has been begun yet."""
    PREPARING = "Preparing"
    """The candidate is being created, made ready and warmed up; it gets no traffic."""
    PROGRESSING = "Progressing"
    """The candidate serves the step's share of traffic and is judged."""
    PAUSED = "Paused"
    """The share stays where it is until the named cause is gone or a human decides."""
    PROMOTING = "Promoting"
    """The candidate passed; the route is being moved to it completely."""
    ROLLING_BACK = "RollingBack"
    """The route is being moved back to stable; the candidate is kept until nothing reaches it any more."""
    STABLE = "Stable"
    """One revision serves everything and is the one the spec names."""
    FAILED = "Failed"
    """The spec names a revision that was rejected; the last good one serves everything."""
    REPORTED = "Reported"
    """A shadow run of the revision the spec names ended with its report; the last good one serves everything."""


class Reason(StrEnum):
    """
    Why the machine is where it is. Each is documented in docs/reference/reasons.md.
    """

    WAITING = "Waiting"
    """Nothing has changed; the message says what is waited for."""
    NEW_REVISION = "NewRevision"
    """The spec names a revision that is neither stable nor rejected, or a retry was asked: it was begun."""
    FIRST_REVISION_READY = "FirstRevisionReady"
    """The first revision is ready; there is nothing to compare it with, so it gets all traffic at once."""
    CANDIDATE_READY = "CandidateReady"
    """The candidate is ready and warm: the first step began."""
    STEP_PASSED = "StepPassed"
    """The step's traffic was in place, soaked, and every metric is certified for the next share."""
    ALL_STEPS_PASSED = "AllStepsPassed"
    """The last step passed: the candidate is being promoted."""
    PROMOTED = "Promoted"
    """The candidate became stable; the previous revision is drained and removed."""
    ABORT_REQUESTED = "AbortRequested"
    """Somebody asked by annotation to abort the candidate: rolled back and rejected."""
    ANALYSIS_FAILED = "AnalysisFailed"
    """The evidence that the candidate is worse than allowed crossed its bound: rolled back and rejected."""
    CANDIDATE_CRASH_LOOPING = "CandidateCrashLooping"
    """A container of the candidate keeps crashing: rolled back and rejected."""
    CANDIDATE_OUT_OF_MEMORY = "CandidateOutOfMemory"
    """A container of the candidate was killed for memory: rolled back and rejected."""
    CANDIDATE_UNHEALTHY = "CandidateUnhealthy"
    """The candidate lost readiness for longer than the guardrail allows: rolled back and rejected."""
    PROGRESS_DEADLINE_EXCEEDED = "ProgressDeadlineExceeded"
    """Readiness, or the route's move, took longer than the progress deadline: rolled back and rejected."""
    SMOKE_FAILED = "SmokeFailed"
    """A smoke request to the candidate's own Service was answered with an error: rolled back and rejected."""
    SUPERSEDED = "Superseded"
    """The spec names another revision: the present candidate is taken out of traffic first."""
    ANALYSIS_INCONCLUSIVE = "AnalysisInconclusive"
    """The step deadline passed with the evidence neither way; paused until a human decides, or rolled back if the spec
    asks for that."""
    METRICS_UNAVAILABLE = "MetricsUnavailable"
    """The step deadline passed while a metric could not be read or had no data; goes on by itself when it is back, or
    is rolled back if the spec asks for that."""
    ADVANCED_UNCERTIFIED = "AdvancedUncertified"
    """The step deadline passed with the evidence neither way, and the spec asks to go on then; the message names what
    was not certified."""
    RESUMED = "Resumed"
    """The cause of the pause is gone, or somebody asked to go on: the step's clock starts again, its evidence stays."""
    PAUSED_BY_REQUEST = "PausedByRequest"
    """Somebody asked for a pause: the share stays, evidence is counted on, harm still rolls back; nothing resumes it by
    itself."""
    PROMOTED_BY_REQUEST = "PromotedByRequest"
    """Somebody asked to take the step, or all steps, as passed although not certified; the message says who."""
    ACTION_REFUSED = "ActionRefused"
    """What somebody asked for by annotation cannot be done, or not be read: nothing was changed; the message says
    why."""
    APPROVAL_NEEDED = "ApprovalNeeded"
    """What follows has to be approved by somebody, as the degree of automation or the step says; status.recommendation
    says what, and why it is recommended. The evidence is counted on, and harm still rolls back."""
    APPROVED = "Approved"
    """Somebody approved what was recommended: the step is entered, or the candidate is being promoted."""
    REJECTED_BY_REQUEST = "RejectedByRequest"
    """Somebody refused the approval: rolled back and rejected."""
    ROLLBACK_RECOMMENDED = "RollbackRecommended"
    """The candidate should be rolled back, which the degree HumanOnly leaves to people; the share stays meanwhile."""
    UNDO_REQUESTED = "UndoRequested"
    """Somebody asked to return to a kept revision: it is made ready and then gets all traffic; the one that served is
    rejected."""
    RESTART_REQUESTED = "RestartRequested"
    """Somebody asked for new pods of the revision that serves: they are replaced one by one."""
    ROLLED_BACK = "RolledBack"
    """Nothing reaches the rejected candidate any more; stable serves everything."""
    SHADOW_REPORTED = "ShadowReported"
    """The shadow run passed, and the spec asks for a report only: copies end, the candidate is removed, and its report
    stays in the history."""
    OTHER_PASSED = "OtherPassed"
    """Another candidate of the shadow run is certified; it gets copies until the run ends."""
    OTHER_HARMFUL = "OtherHarmful"
    """Another candidate of the shadow run is worse than allowed: its copies end and it is removed; the run goes on."""
    OTHER_FAILED = "OtherFailed"
    """Another candidate of the shadow run was not ready in time, crashed or lost its pods: it is removed; the run goes
    on."""
    REVERTED = "Reverted"
    """The spec names the stable revision again; the candidate was taken out of traffic and removed."""

    # Reasons of conditions only
    ACCEPTED = "Accepted"
    """The spec is valid."""
    INVALID_SPEC = "InvalidSpec"
    """The spec cannot be carried out; the message lists every problem with its path."""
    NOT_SERVING = "NotServing"
    """No revision serves yet, or the stable one has no ready endpoint."""
    COMPLETE = "Complete"
    """The revision the spec names serves everything."""
    NOT_MEASURED = "NotMeasured"
    """No rollout is in flight, or the step has no traffic yet: nothing is judged."""
    WITHIN_MARGIN = "WithinMargin"
    """Every metric is certified for the next share."""
    COLLECTING_EVIDENCE = "CollectingEvidence"
    """The evidence is not sufficient either way yet."""
    NO_DATA = "NoData"
    """A metric has no data; no data is never a verdict."""
    METRIC_SOURCE_UNREACHABLE = "MetricSourceUnreachable"
    """The metric source cannot be read; the rollout holds."""
    GUARDRAILS_ONLY = "GuardrailsOnly"
    """The spec asks for a rollout without measurement: nothing was measured."""
    ROUTE_PROGRAMMED = "RouteProgrammed"
    """The gateway accepted the route with the wanted shares."""
    ROUTE_PENDING = "RoutePending"
    """The route was written and is not accepted yet, or an arm has no ready endpoint."""
    ROUTE_CONFLICT = "RouteConflict"
    """Somebody else owns or changes the route; exposure is not raised."""
    WEIGHT_NOT_EFFECTIVE = "WeightNotEffective"
    """The observed share of requests contradicts the route's weights; exposure is not raised."""
    NO_TRAFFIC = "NoTraffic"
    """The step's share is in place and no request of either revision is counted: nothing can be learnt."""
    TRAFFIC_SPLIT_MISMATCH = "TrafficSplitMismatch"
    """The counted share of requests is not the wanted one: a fault of the way there, not of the candidate; it holds."""
    EVIDENCE_OVERDISPERSED = "EvidenceOverdispersed"
    """Stable's pods differ: lastingly before the rollout, so more pods of the candidate would sharpen the evidence, or
    during it by more than was allowed for, so the evidence named began again with a larger overdispersion."""
    DISPERSION_UNKNOWN = "DispersionUnknown"
    """Stable's history does not tell how much bad events scatter, so twice as much as independent ones is assumed."""
    INSUFFICIENT_TRAFFIC = "InsufficientTraffic"
    """At stable's present traffic a step cannot be certified before its deadline; the message says what helps."""
    FROZEN = "Frozen"
    """A freeze window is open: nothing raises the candidate's traffic before its end unless somebody asks for it."""
    INSUFFICIENT_CAPACITY = "InsufficientCapacity"
    """The candidate does not fit into the budget beside stable, or one of its pods finds no node; the message says what
    is needed and what helps."""
    COMPARATOR_NOT_READY = "ComparatorNotReady"
    """The step's comparator has no ready endpoint, so no request is copied; after the progress deadline the rollout is
    paused until it has."""
    NO_ROUTE = "NoRoute"
    """No revision is ready to be routed to yet."""
    EFFECT_REFUSED = "EffectRefused"
    """The API server refused an object of the rollout; the message says which and why."""


class ConditionType(StrEnum):
    """
    The conditions. The first five are present from the first visit, the others only while they are true.

    `Reconciling` and `Stalled` are those of kstatus: the spec is being carried out, or a human has to act first; never
    both. A pause is reconciling: it waits for something named, and the spec may still be carried out.
    """

    ACCEPTED = "Accepted"
    READY = "Ready"
    PROGRESSING = "Progressing"
    ANALYSIS_PASSING = "AnalysisPassing"
    TRAFFIC_PROGRAMMED = "TrafficProgrammed"
    NO_TRAFFIC = "NoTraffic"
    NO_DATA = "NoData"
    TRAFFIC_SPLIT_MISMATCH = "TrafficSplitMismatch"
    EVIDENCE_OVERDISPERSED = "EvidenceOverdispersed"
    DISPERSION_UNKNOWN = "DispersionUnknown"
    INSUFFICIENT_TRAFFIC = "InsufficientTraffic"
    INSUFFICIENT_CAPACITY = "InsufficientCapacity"
    COMPARATOR_NOT_READY = "ComparatorNotReady"
    RECONCILING = "Reconciling"
    STALLED = "Stalled"


ALWAYS_PRESENT = (
    ConditionType.ACCEPTED,
    ConditionType.READY,
    ConditionType.PROGRESSING,
    ConditionType.ANALYSIS_PASSING,
    ConditionType.TRAFFIC_PROGRAMMED,
)


class Degree(StrEnum):
    """
    Degrees of automation, from human only to full.
    """

    HUMAN_ONLY = "HumanOnly"
    SHADOW = "Shadow"
    ASSIST = "Assist"
    PARTIAL = "Partial"
    FULL = "Full"
