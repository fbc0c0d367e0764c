"""
`modelramp replay`: the verdicts the operator would have given on recorded samples.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from itertools import pairwise
from typing import Any, Final

from modelramp.analysis import ArmSeries, Counted, Window, count_block
from modelramp.analysis.interval import RatioSequence
from modelramp.analysis.slices import slice_blocks
from modelramp.api.document import MLModelDeployment
from modelramp.api.scalars import Share
from modelramp.api.status import CandidateStatus, EvidenceState, StableStatus, Status, StepStatus
from modelramp.api.vocabulary import Phase, Reason
from modelramp.cli.recording import Recording, ReplayError, arms_of, read_samples, read_weights
from modelramp.rollout.account import Account, Opening, PhiSource
from modelramp.rollout.assess import assess, forecasts
from modelramp.rollout.messages import message
from modelramp.rollout.needs import LOOK_BACK
from modelramp.rollout.observed import Acceptance, Arm, Measured, NoData, Observed, Reading, RouteState
from modelramp.rollout.rules import first_match
from modelramp.rollout.situation import SETTLE, Situation
from modelramp.rollout.strategy import WHOLE, course_of, wealth_of
from modelramp.rollout.waiting import waiting_message

STABLE_REVISION: Final = "stable"


class Decision(StrEnum):
    """
    What the operator would have done after a block.
    """

    HOLD = "Hold"
    ADVANCE = "Advance"
    """To the next step, or to promotion."""
    FAIL = "Fail"
    """Rolled back. Later blocks keep it."""
    INCONCLUSIVE = "Inconclusive"
    """The step's deadline is over."""


DECISIONS: Final[Mapping[Reason, Decision]] = {
    Reason.ANALYSIS_FAILED: Decision.FAIL,
    Reason.STEP_PASSED: Decision.ADVANCE,
    Reason.ALL_STEPS_PASSED: Decision.ADVANCE,
    Reason.ANALYSIS_INCONCLUSIVE: Decision.INCONCLUSIVE,
    Reason.METRICS_UNAVAILABLE: Decision.INCONCLUSIVE,
}


@dataclass(slots=True)
class _Replay:
    """
    The operator's memory, carried through the recording.
    """

    deployment: MLModelDeployment
    arms: Mapping[str, tuple[ArmSeries, ArmSeries]]
    ratios: dict[str, RatioSequence]
    failed: str | None = None

    def enter(self, percent: Decimal, at: datetime) -> None:
        """
        The recorded share changed.
        """
        spec, status = self.deployment.spec, self.deployment.status
        wealth = wealth_of(spec)
        first = not status.evidence
        kept = {item.name: Account.from_state(item.state) for item in status.evidence}
        slices = spec.analysis.slices.values if spec.analysis.slices else ()
        opening = Opening(phi=float(spec.analysis.overdispersion or 1.0), source=PhiSource.GIVEN)
        fresh = {
            name: Account.open(opening, wealth, slices)
            if first
            else kept[name].enter_step(wealth).skip_until(at + SETTLE)
            for name in self.arms
        }
        shares = [step.percent for step in course_of(spec).steps if step.percent > 0]
        index = sum(share < percent for share in shares)
        step = StepStatus(
            index=index,
            display=f"{index + 1}/{len(shares)}",
            traffic=Share.of_percent(percent),
            entered_at=at,
            in_place_since=at,
        )
        evidence = tuple(EvidenceState(name=name, state=item.to_state()) for name, item in fresh.items())
        self.remember(status.model_copy(update={"step": step, "evidence": evidence, "verdicts": ()}))

    def remember(self, status: Status) -> None:
        """
        Keep the memory.
        """
        self.deployment = replace(self.deployment, status=status)

    def look(self, window: Window, percent: Decimal) -> dict[str, Any]:
        """
        The decision on one block.
        """
        readings = {name: self._reading(name, arms, window) for name, arms in self.arms.items()}
        now = window.until + self.deployment.spec.analysis.prometheus.delay.timedelta
        before = assess(self.deployment, self._observed(readings, percent), now)
        shown = before.status.model_copy(update={"verdicts": forecasts(before)})
        before = Situation(deployment=before.deployment, status=shown, observed=before.observed, now=now)
        self.remember(shown)
        rule = first_match(before)
        decision = Decision.HOLD if rule is None else DECISIONS.get(rule.because, Decision.HOLD)
        said = waiting_message(before) if rule is None else f"{rule.because}: {message(rule.because, before)}"
        if decision is Decision.FAIL and self.failed is None:
            self.failed = said
        if self.failed is not None:
            decision, said = Decision.FAIL, self.failed
        metrics = [self._told(name, item, readings[name]) for name, item in before.evidence.items()]
        return {"t": window.until.timestamp(), "verdict": str(decision), "reasons": [said], "metrics": metrics}

    def _reading(self, name: str, arms: tuple[ArmSeries, ArmSeries], window: Window) -> Reading:
        counted = count_block(*arms, window)
        if isinstance(counted, Counted):
            self.ratios[name] = self.ratios[name].observe(counted.block)
            slices = self.deployment.spec.analysis.slices
            parts = slice_blocks(*arms, window, label=slices.label, values=slices.values) if slices else {}
            return Measured(counted.block, parts)
        return NoData(str(counted.reason))

    def _observed(self, readings: Mapping[str, Reading], percent: Decimal) -> Observed:
        revisions = (STABLE_REVISION, self.deployment.revision)
        replicas = self.deployment.spec.serving.replicas
        arms = {name: Arm(revision=name, wanted_replicas=replicas, pods=replicas, ready=replicas) for name in revisions}
        shares = dict(zip(revisions, (WHOLE - percent, percent), strict=True))
        route = RouteState(acceptance=Acceptance.ACCEPTED, shares=shares, traffic_hash=self.deployment.traffic_hash)
        return Observed(arms=arms, route=route, readings=readings)

    def _told(self, name: str, kept: Account, reading: Reading) -> dict[str, Any]:
        block, ratio = getattr(reading, "block", None), self.ratios[name].interval()
        counts: dict[str, Any] = {
            arm: {"n": getattr(kept.totals, arm).n, "x": getattr(kept.totals, arm).x} for arm in ("candidate", "stable")
        }
        own = (
            None
            if block is None
            else {arm: {"n": getattr(block, arm).n, "x": getattr(block, arm).x} for arm in ("candidate", "stable")}
        )
        return {
            "name": name, "lnHarm": round(kept.harm_log, 4), "lnOk": round(kept.ok_log, 4), **counts, "block": own,
            "ratio": {"low": ratio.low, "high": ratio.high},
            **({} if block is not None else {"message": getattr(reading, "message", "")}),
        }  # fmt: skip


def replay(deployment: MLModelDeployment, recording: Recording) -> Iterator[dict[str, Any]]:
    """
    One decision for each block between the first and the last sample, oldest first.

    Blocks are as long as the spec's interval, and begin anew, after settling, where the share changes. Container start
    times are not recorded, so a counter that falls counts nothing in that block.

    Raises:
        ReplayError: a metric has no series for an arm, or the samples reach over less than a block.
    """
    arms = {metric.title: arms_of(metric, deployment, recording) for metric in deployment.spec.analysis.metrics}
    instants = [at for pair in arms.values() for arm in pair for one in arm.total for at, _ in one.samples]
    if not instants:
        raise ReplayError("the samples hold no instant")
    begin, end = _instant(math.floor(min(instants))), _instant(math.floor(max(instants)))
    stable = StableStatus(revision=STABLE_REVISION, version=STABLE_REVISION, since=begin)
    candidate = CandidateStatus(
        revision=deployment.revision, version=deployment.spec.model.version, since=begin, warm=True
    )
    memory = Status(phase=Phase.PROGRESSING, phase_since=begin, stable=stable, candidate=candidate)
    state = _Replay(replace(deployment, status=memory), arms, {name: RatioSequence() for name in arms})
    interval = deployment.spec.analysis.interval.timedelta
    any_block = False
    for since, until, percent in _stretches(deployment, recording.weights, begin, end):
        if not 0 < percent < WHOLE:
            continue  # nothing to compare
        state.enter(percent, since)
        after = since + SETTLE
        while after + interval <= until:
            any_block = True
            yield state.look(Window(since=after - LOOK_BACK, after=after, until=after + interval), percent)
            after += interval
    if not any_block:
        raise ReplayError(
            f"the samples reach from {begin:%FT%TZ} to {end:%FT%TZ}: "
            f"less than one block of {deployment.spec.analysis.interval}"
        )


def _stretches(
    deployment: MLModelDeployment, weights: Sequence[tuple[float, Decimal]], begin: datetime, end: datetime
) -> Iterator[tuple[datetime, datetime, Decimal]]:
    """
    From when until when the candidate had which share.
    """
    if not weights:
        # The samples before the first block settle nothing that was not in place.
        yield begin - SETTLE, end, next(step.percent for step in course_of(deployment.spec).steps if step.percent > 0)
        return
    changes = [*((_instant(at), percent) for at, percent in weights), (end, Decimal(0))]
    for (at, percent), (following, _) in pairwise(changes):
        if at < end and following > begin:
            yield max(at, begin - SETTLE), min(following, end), percent


def _instant(at: float) -> datetime:
    return datetime.fromtimestamp(math.ceil(at), UTC)


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """
    The decisions for people: one line a block, reasons where they change.
    """
    lines, said = [], None
    for row in rows:
        at = datetime.fromtimestamp(row["t"], UTC)
        parts = [
            f"{m['name']}: ln harm {m['lnHarm']:+.2f}, ln ok {m['lnOk']:+.2f}, candidate {m['candidate']['x']:g} of "
            f"{m['candidate']['n']:g}, stable {m['stable']['x']:g} of {m['stable']['n']:g}, ratio {_range(m['ratio'])}"
            for m in row["metrics"]
        ]
        lines.append(f"{at:%F %T}  {row['verdict']:<12}  {'; '.join(parts)}")
        if row["verdict"] != said:
            lines += [f"{'':21}{reason}" for reason in row["reasons"]]
        said = row["verdict"]
    return "\n".join(lines)


def _range(ratio: Mapping[str, float | None]) -> str:
    low, high = ratio["low"], ratio["high"]
    return f"{'<1/32' if low is None else f'{low:.2f}'} to {'>32' if high is None else f'{high:.2f}'}"


__all__ = ["Decision", "Recording", "ReplayError", "arms_of", "read_samples", "read_weights", "replay", "table"]
