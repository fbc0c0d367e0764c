"""
How an ended rollout is remembered, and that ten of them stay small.
"""

import json
from typing import Any

import pytest
from fakes.rollout import NOW, answered, kept, metric_evidence, rev, situation, tail_evidence, verdict

from modelramp.api.action import ActionOutcome, Verb
from modelramp.api.status import MAX_HISTORY, MAX_SHOWN_METRICS, Outcome, Status, VerdictName
from modelramp.api.vocabulary import Phase, Reason
from modelramp.rollout.record import LONGEST, OPERATOR, outcome_of


def entry(phase: Phase = Phase.ROLLING_BACK, **changes: Any) -> Outcome:  # noqa: ANN401 - as `situation`
    """
    The entry of a rollout that ends now.
    """
    found = outcome_of(situation(phase, **changes), Reason.ROLLED_BACK, "it was worse")
    assert found is not None
    return found


def test_without_a_candidate_nothing_ended() -> None:
    assert outcome_of(situation(Phase.STABLE), Reason.REVERTED, "") is None


def test_each_metric_is_told_by_its_counts_and_its_last_verdict_if_it_has_one() -> None:
    remembered = {
        "evidence": (kept(metric_evidence(harm=6.0)), kept(tail_evidence(), "latency")),
        "verdicts": (verdict(VerdictName.FAILED),),
    }
    told = entry(remembered=remembered).evidence
    assert told[0] == "errors: Failed, 0 of 50 against 1 of 950, harm 403 of 100"
    assert told[1].startswith("latency: 0 of ")
    assert "harm " in told[1]


@pytest.mark.parametrize(
    ("reason", "action", "expected"),
    [
        (Reason.ANALYSIS_FAILED, answered("r", verb=Verb.ABORT), OPERATOR),
        (Reason.ABORT_REQUESTED, answered("r", verb=Verb.ABORT), "ada"),
        (Reason.PROMOTED_BY_REQUEST, answered("r", verb=Verb.PROMOTE_FULL), "ada"),
        (Reason.ABORT_REQUESTED, None, "somebody"),
        (Reason.ABORT_REQUESTED, answered("r", verb=Verb.PAUSE), "somebody"),
        (Reason.ABORT_REQUESTED, answered("r", verb=Verb.ABORT, outcome=ActionOutcome.REFUSED), "somebody"),
        (Reason.ABORT_REQUESTED, answered("r", verb=Verb.ABORT, revision=rev("9")), "somebody"),
        (Reason.ABORT_REQUESTED, answered("r", verb=Verb.ABORT, by=None), "somebody"),
    ],
    ids=["evidence", "abort", "promote", "by annotation", "another verb", "refused", "another revision", "no name"],
)
def test_who_asked_is_told(reason: Reason, action: Any, expected: str) -> None:  # noqa: ANN401 - a request's answer
    assert entry(remembered={"reason": reason, "action": action}).actor == expected


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [({}, "canary"), ({"strategy": {"blueGreen": {}}}, "blueGreen"), ({"strategy": {"shadow": {}}}, "shadow")],
    ids=["canary", "blueGreen", "shadow"],
)
def test_the_strategy_is_told(strategy: dict[str, Any], expected: str) -> None:
    assert entry(sections=strategy).strategy == expected


def test_ten_rollouts_of_ten_metrics_with_long_names_stay_small() -> None:
    """
    No line is longer than it may be; the whole history is at most 48 KiB, a thirtieth of what etcd takes.
    """
    names = [f"{'m' * 250}{number}" for number in range(MAX_SHOWN_METRICS)]
    long = entry(remembered={"evidence": tuple(kept(metric_evidence(), name) for name in names)})
    assert [len(line) for line in long.evidence] == [LONGEST] * MAX_SHOWN_METRICS
    whole = long.model_copy(update={"message": "x" * 1024})
    stored = json.dumps(Status(history=(whole,) * MAX_HISTORY).to_wire()).encode()
    assert len(stored) < 48 * 1024
    usual = entry(remembered={"evidence": (kept(metric_evidence()),)})
    assert len(json.dumps(Status(history=(usual,) * MAX_HISTORY).to_wire()).encode()) < 5 * 1024
    assert usual.ended_at == NOW
