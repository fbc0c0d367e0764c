"""
Small situations of shadow runs with other candidates: "1" is stable, "2" the run's own candidate, the rest are others.
"""

from collections.abc import Mapping
from decimal import Decimal
from functools import cache
from typing import Any

from fakes.rollout import (
    NOW,
    World,
    ago,
    arm,
    arms,
    kept,
    metric_evidence,
    rev,
    route,
    spec,
    step,
    verdict,
    world,
)

from modelramp.api.scalars import Share
from modelramp.api.status import EvidenceState, OtherStatus, VerdictName
from modelramp.api.vocabulary import Phase
from modelramp.rollout.observed import Arm
from modelramp.rollout.situation import Situation

COPIED = Decimal(100)


def listing(*versions: str, **shadow: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    """
    A strategy whose shadow run of two minutes lists these versions beside its own; `shadow` is added.
    """
    others = [{"name": f"o{version}", "model": {"version": version}} for version in versions]
    return {"strategy": {"shadow": {"soak": "2m", "deadline": "1h", "others": others, **shadow}}}


@cache
def other_rev(version: str) -> str:
    """
    The revision of a version that is listed beside version 2: it has that one's pod template.
    """
    return spec("2", **listing(version)).others[0].revision


def copied_evidence(harm: float = 0.0, copies: float = 900) -> EvidenceState:
    """
    Evidence of so much harm, of as many requests of the candidate as were copied of stable's 900.
    """
    return kept(metric_evidence(harm=harm, counts=(copies, 0, 900, 1)))


def other(version: str = "3", **changes: Any) -> OtherStatus:  # noqa: ANN401 - any field
    """
    One that has got copies for three minutes and of which nothing is certain.
    """
    fields = {
        "name": f"o{version}", "revision": other_rev(version), "version": version, "since": ago(300),
        "ready_since": ago(290), "ready_pods": 2, "warm": True, "entered_at": ago(200), "in_place_since": ago(180),
        "evidence": (copied_evidence(),), "verdicts": (verdict(),),
    }  # fmt: skip
    return OtherStatus(**{**fields, **changes})


def certain(version: str = "3", **changes: Any) -> OtherStatus:  # noqa: ANN401 - any field
    """
    One of which every metric is certified.
    """
    return other(version, **{"verdicts": (verdict(VerdictName.PASSED),), **changes})


def other_arm(version: str = "3", ready: int = 2, **changes: Any) -> Arm:  # noqa: ANN401 - any field
    """
    Its workload of two pods.
    """
    fields = {"revision": other_rev(version), "wanted_replicas": 2, "pods": 2, "role": "shadow"}
    return Arm(**{**fields, "ready": ready, **changes})


def copied_to(*revisions: str) -> Mapping[str, Decimal]:
    """
    All requests are copied to each.
    """
    return dict.fromkeys(revisions, COPIED)


def run(
    *others: OtherStatus,
    phase: Phase = Phase.PROGRESSING,
    listed: tuple[str, ...] | None = None,
    shadow: Mapping[str, Any] | None = None,
    remembered: Mapping[str, Any] | None = None,
    sections: Mapping[str, Any] | None = None,
    **seen: Any,  # noqa: ANN401 - any field of Observed
) -> World:
    """
    A shadow run in its step, or before it, with these others; everything they should have is in place. `listed` are the
    versions that the spec lists, if not just these.
    """
    named = tuple(one.version for one in others) if listed is None else listed
    revisions = [rev("2"), *(one.revision for one in others if one.entered_at is not None)]
    mirrors = copied_to(*revisions) if phase is not Phase.PREPARING else {}
    base = {
        "arms": arms(arm("1"), arm("2"), *(other_arm(one.version) for one in others)),
        "route": route({"1": "100"} if phase is Phase.PREPARING else {"1": "100", "2": "0"}, mirrors=mirrors),
    }
    mirrored = step("0", mirror=Share("100%"), index=0, display="1/1")
    in_step = {} if phase is Phase.PREPARING else {"step": mirrored, "evidence": (copied_evidence(),)}
    memory = {"others": others, **in_step, **(remembered or {})}
    asked = {**listing(*named, **(shadow or {})), **(sections or {})}
    return world(phase, remembered=memory, sections=asked, **{**base, **seen})


def seen_as(asked: World) -> Situation:
    """
    As guards see it, without anything folded in.
    """
    return Situation(deployment=asked.deployment, status=asked.deployment.status, observed=asked.observed, now=NOW)
