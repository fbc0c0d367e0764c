"""
Small situations for the tests of the core: an object, its memory, and the world as it was seen.

Versions stand for revisions: "1" is stable, "2" the candidate, "3" another one. Every world of `world()` is calm: no
rule holds in it, so a test changes just what it is about.
"""

import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Any, Final, NamedTuple

from modelramp.analysis import HARM_GRID, OK_GRID, Block, Counts, EProcess, MetricEvidence, Totals
from modelramp.analysis.histogram import Histogram
from modelramp.analysis.tailplan import JudgedEdge, TailPlan
from modelramp.analysis.tails import Calls, TailBlock, TailEvidence
from modelramp.api.action import STEPPED, ActionOutcome, Verb
from modelramp.api.document import MLModelDeployment, revision_of, traffic_hash
from modelramp.api.names import ANNOTATION_ACTION
from modelramp.api.scalars import Share
from modelramp.api.spec import MLModelDeploymentSpec
from modelramp.api.status import (
    ActionStatus,
    ArmCounts,
    CandidateStatus,
    EvidenceState,
    KeptRevision,
    Recommendation,
    Rejection,
    StableStatus,
    Status,
    StepStatus,
    UndoStatus,
    VerdictName,
    VerdictStatus,
)
from modelramp.api.vocabulary import Phase, Reason
from modelramp.rollout.account import Account
from modelramp.rollout.observed import Acceptance, Arm, Observed, RouteState
from modelramp.rollout.situation import Situation

NOW: Final = datetime(2026, 1, 1, 12, tzinfo=UTC)
CONTOUR: Final = "projectcontour.io/gateway-controller"
STEPS: Final = ("5", "25", "50", "100")


def ago(seconds: float) -> datetime:
    """
    The instant so many seconds before now.
    """
    return NOW - timedelta(seconds=seconds)


def spec(version: str = "2", **sections: Any) -> MLModelDeploymentSpec:  # noqa: ANN401 - JSON
    """
    A spec with two replicas, judged by errors that are known to be independent; `sections` replace whole sections, keys
    of `serving` and `analysis` are added to what they have.
    """
    analysis = {"metrics": [{"preset": "errors"}], "overdispersion": "1", **sections.pop("analysis", {})}
    serving = {
        "port": 8080,
        "replicas": 2,
        "template": {"spec": {"containers": [{"name": "m", "image": f"i:{version}"}]}},
        **sections.pop("serving", {}),
    }
    document = {
        "model": {"version": version},
        "serving": serving,
        "traffic": {"gatewayAPI": {"parentRefs": [{"name": "gw"}]}},
        "analysis": analysis,
        **sections,
    }
    return MLModelDeploymentSpec.model_validate(document)


@cache
def rev(version: str) -> str:
    """
    The revision of a version.
    """
    return revision_of(spec(version))


@cache
def plain_hash() -> str:
    """
    What a route of an unchanged traffic section carries.
    """
    return traffic_hash(spec())


def deployment(
    version: str = "2",
    status: Status | None = None,
    *,
    annotations: Mapping[str, str] | None = None,
    **sections: Any,  # noqa: ANN401 - JSON
) -> MLModelDeployment:
    """
    An object whose spec names the version.
    """
    return MLModelDeployment(
        namespace="ml",
        name="fraud",
        uid="u-1",
        generation=7,
        spec=spec(version, **sections),
        status=status or Status(),
        annotations=annotations or {},
    )


def arm(version: str, ready: int = 2, **changes: Any) -> Arm:  # noqa: ANN401 - any field
    """
    A workload of two pods.
    """
    role = "stable" if version == "1" else "candidate"
    return Arm(**{"revision": rev(version), "wanted_replicas": 2, "pods": 2, "ready": ready, "role": role, **changes})


def arms(*those: Arm) -> dict[str, Arm]:
    """
    Workloads by revision.
    """
    return {one.revision: one for one in those}


def percents(shares: Mapping[str, str]) -> dict[str, Decimal]:
    """
    Shares by version as shares by revision.
    """
    return {rev(version): Decimal(percent) for version, percent in shares.items()}


def route(shares: Mapping[str, str], **changes: Any) -> RouteState:  # noqa: ANN401 - any field
    """
    An accepted route that gives the versions these percents.
    """
    return RouteState(
        **{
            "acceptance": Acceptance.ACCEPTED,
            "shares": percents(shares),
            "traffic_hash": plain_hash(),
            "controller": CONTOUR,
            **changes,
        }
    )


NO_ROUTE: Final = RouteState()


def observed(**changes: Any) -> Observed:  # noqa: ANN401 - any field
    """
    Both arms ready, everything on stable, the candidate listed at 0.
    """
    return Observed(**{"arms": arms(arm("1"), arm("2")), "route": route({"1": "100", "2": "0"}), **changes})


def stable(version: str = "1") -> StableStatus:
    """
    A revision that has long been stable.
    """
    return StableStatus(revision=rev(version), version=version, since=ago(86400))


def candidate(version: str = "2", **changes: Any) -> CandidateStatus:  # noqa: ANN401 - any field
    """
    A candidate that was begun five minutes ago, and is ready and warm.
    """
    fields = {"since": ago(300), "ready_since": ago(290), "ready_pods": 2, "warm": True, **changes}
    return CandidateStatus(revision=rev(version), version=version, **fields)


def step(percent: str = "5", **changes: Any) -> StepStatus:  # noqa: ANN401 - any field
    """
    A step whose share is in place, and soaked.
    """
    index = STEPS.index(percent) if percent in STEPS else 0
    fields = {"index": index, "display": f"{index + 1}/4", "entered_at": ago(200), "in_place_since": ago(180)}
    return StepStatus(**{"traffic": Share(f"{percent}%"), **fields, **changes})


def verdict(said: VerdictName = VerdictName.INCONCLUSIVE, /, **changes: Any) -> VerdictStatus:  # noqa: ANN401 - any field
    """
    A verdict on the errors.
    """
    counts = {"candidate": ArmCounts(n="50", x="0"), "stable": ArmCounts(n="950", x="1")}
    fields = {"name": "errors", "verdict": said, "evidence": "3.1 of 20", "harm": "0.4 of 100", **counts}
    return VerdictStatus(**{**fields, **changes})


def metric_evidence(
    harm: float = 0.0,
    ok: float = 0.0,
    counts: tuple[float, float, float, float] = (50, 0, 950, 1),
    **changes: Any,  # noqa: ANN401 - any field
) -> MetricEvidence:
    """
    Evidence of so much harm, and of so much certainty that the candidate is not worse, as natural logarithms.

    `counts` are n and x of the candidate, then of stable, in this step and in the rollout.
    """
    totals = Totals(Counts(*counts[:2]), Counts(*counts[2:]))
    fields = {
        "harm": EProcess(HARM_GRID, (harm,) * len(HARM_GRID), 0.0),
        "ok": EProcess(OK_GRID, (ok,) * len(OK_GRID), 0.0),
        "rollout": totals,
        "step": totals,
        "phi": 1.0,
        "counted_until": ago(30),
    }
    return MetricEvidence(**{**fields, **changes})


def tail_evidence(
    harm: float = 0.0,
    ok: float = 0.0,
    calls: tuple[float, float] = (50, 950),
    **changes: Any,  # noqa: ANN401 - any field
) -> TailEvidence:
    """
    Evidence on durations, judged above 250 ms by the margins of the step; `calls` are those of candidate and stable, in
    this step and in the rollout.
    """
    edge = (JudgedEdge(0.25),)
    fields = {
        "plan": TailPlan(edge, edge),
        "harm": (EProcess(HARM_GRID, (harm,) * len(HARM_GRID), 0.0),),
        "ok": (EProcess(OK_GRID, (ok,) * len(OK_GRID), 0.0),),
        "rollout": Calls(*calls),
        "step": Calls(*calls),
        "phi": 1.0,
        "counted_until": ago(30),
    }
    return TailEvidence(**{**fields, **changes})


def kept(evidence: MetricEvidence | TailEvidence | Account, name: str = "errors") -> EvidenceState:
    """
    The evidence as the status keeps it.
    """
    return EvidenceState(name=name, state=dict(evidence.to_state()))


def tail_block(
    candidate: tuple[float, float], stable: tuple[float, float], seconds: float = 15, until: float = 10
) -> TailBlock:
    """
    Calls of each arm within 250 ms and longer ones, of so many seconds, that ended `until` seconds ago.
    """
    arms = (Histogram.from_buckets({0.25: fast, math.inf: fast + slow}) for fast, slow in (candidate, stable))
    return TailBlock(ago(until + seconds), ago(until), *arms)


def block(counts: tuple[float, float, float, float], seconds: float = 15, until: float = 10) -> Block:
    """
    Counts (n and x of the candidate, then of stable) of so many seconds, that ended `until` seconds ago.
    """
    return Block(ago(until + seconds), ago(until), Counts(*counts[:2]), Counts(*counts[2:]))


def rejection(version: str = "2", reason: Reason = Reason.ANALYSIS_FAILED) -> Rejection:
    """
    A version that was rejected a minute ago.
    """
    return Rejection(revision=rev(version), version=version, reason=reason, at=ago(60))


def recommendation(verb: Verb = Verb.APPROVE, **changes: Any) -> Recommendation:  # noqa: ANN401 - any field
    """
    What somebody was asked a minute ago: to approve the first step of version 2.
    """
    fields = {"revision": rev("2"), "step": 1, "share": Share("5%"), "message": "it is recommended", "at": ago(60)}
    return Recommendation(**{"verb": verb, **fields, **changes})


def waiting_for_approval(number: int | None = 1, share: str = "5%", **changes: Any) -> dict[str, Any]:  # noqa: ANN401
    """
    The memory of a pause that waits for an approval: of the first step, or of the step of that number and share.
    """
    asked = {"reason": Reason.APPROVAL_NEEDED, "recommendation": recommendation(step=number, share=Share(share))}
    return {**asked, "step": None, "evidence": (), "verdicts": (), **changes}


def previously(version: str = "0") -> KeptRevision:
    """
    A version that served before.
    """
    return KeptRevision(revision=rev(version), version=version)


def returning(version: str = "2", instead_of: str = "1") -> UndoStatus:
    """
    Ada's undo, under way.
    """
    return UndoStatus(revision=rev(version), instead_of=rev(instead_of), by="ada")


def asking(verb: str, version: str = "2", **changes: Any) -> dict[str, str]:  # noqa: ANN401 - JSON
    """
    The annotation by which ada asks for something about a version, at step 1 where a step belongs to it.
    """
    stepped = {"step": 1} if verb in STEPPED else {}
    fields = {"id": "r-1", "verb": verb, "revision": rev(version), "by": "ada", **stepped, **changes}
    return {ANNOTATION_ACTION: json.dumps(fields)}


def answered(name: str, **changes: Any) -> ActionStatus:  # noqa: ANN401 - any field
    """
    A request of ada's that was carried out a minute ago.
    """
    fields = {"verb": Verb.PAUSE, "revision": rev("2"), "by": "ada", "at": ago(60), "outcome": ActionOutcome.DONE}
    return ActionStatus(**{"id": name, **fields, **changes})


@cache
def _memories() -> Mapping[Phase, Mapping[str, Any]]:
    begun = {"stable": stable(), "candidate": candidate()}
    judged = {**begun, "verdicts": (verdict(),), "evidence": (kept(metric_evidence()),), "step": step()}
    certain = {**judged, "verdicts": (verdict(VerdictName.PASSED),), "step": step("100")}
    rejected = {"rejected": (rejection("2"),)}
    reported = {"rejected": (rejection("2", Reason.SHADOW_REPORTED),)}
    paused = {"reason": Reason.ANALYSIS_INCONCLUSIVE, "message": "paused for want of evidence"}
    failed = {"reason": Reason.ANALYSIS_FAILED, "message": "version 2 is worse than allowed"}
    return {
        Phase.PENDING: rejected,
        Phase.PREPARING: begun,
        Phase.PROGRESSING: {**judged, "reason": Reason.CANDIDATE_READY},
        Phase.PAUSED: {**judged, **paused},
        Phase.PROMOTING: {**certain, "reason": Reason.ALL_STEPS_PASSED},
        Phase.ROLLING_BACK: {**judged, **rejected, **failed},
        Phase.STABLE: {"stable": stable()},
        Phase.FAILED: {"stable": stable(), **rejected, "reason": Reason.ROLLED_BACK},
        Phase.REPORTED: {"stable": stable(), **reported, "reason": Reason.SHADOW_REPORTED},
    }


def status(phase: Phase, **changes: Any) -> Status:  # noqa: ANN401 - any field
    """
    The memory in a phase that began a minute ago.
    """
    return Status(**{"phase": phase, "phase_since": ago(60), **_memories()[phase], **changes})


_ROUTES: Final[Mapping[Phase, Mapping[str, str]]] = {
    Phase.PENDING: {},
    Phase.PREPARING: {"1": "100"},
    Phase.PROGRESSING: {"1": "95", "2": "5"},
    Phase.PAUSED: {"1": "95", "2": "5"},
    Phase.PROMOTING: {"1": "50", "2": "50"},
    Phase.ROLLING_BACK: {"1": "95", "2": "5"},
    Phase.STABLE: {"1": "100"},
    Phase.FAILED: {"1": "100"},
    Phase.REPORTED: {"1": "100"},
}
_WITH_CANDIDATE: Final = frozenset(_ROUTES) - {Phase.PENDING, Phase.STABLE, Phase.FAILED, Phase.REPORTED}


class World(NamedTuple):
    """
    What `decide` is asked about.
    """

    deployment: MLModelDeployment
    observed: Observed


def world(
    phase: Phase,
    *,
    version: str | None = None,
    remembered: Mapping[str, Any] | None = None,
    annotations: Mapping[str, str] | None = None,
    sections: Mapping[str, Any] | None = None,
    **seen: Any,  # noqa: ANN401 - any field of Observed
) -> World:
    """
    A world in which no rule holds in the phase, then changed: the spec's version, the memory, what is seen.
    """
    named = version or ("1" if phase is Phase.STABLE else "2")
    workloads = arms(arm("1"), *([arm("2")] if phase in _WITH_CANDIDATE else []))
    base = {"arms": workloads, "route": route(_ROUTES[phase])}
    if phase is Phase.PENDING:
        base = {"arms": {}, "route": NO_ROUTE}
    memory = status(phase, **(remembered or {}))
    return World(deployment(named, memory, annotations=annotations, **(sections or {})), Observed(**{**base, **seen}))


def situation(phase: Phase, **changes: Any) -> Situation:  # noqa: ANN401 - as `world`
    """
    The same as guards see it, without anything folded in.
    """
    asked = world(phase, **changes)
    return Situation(deployment=asked.deployment, status=asked.deployment.status, observed=asked.observed, now=NOW)
