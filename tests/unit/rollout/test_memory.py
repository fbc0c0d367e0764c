import pytest
from fakes.rollout import (
    NOW,
    ago,
    candidate,
    kept,
    metric_evidence,
    rejection,
    rev,
    situation,
    stable,
    step,
    verdict,
)

from modelramp.analysis import MetricEvidence
from modelramp.api.names import ANNOTATION_RETRY
from modelramp.api.status import MAX_HISTORY, MAX_REJECTED, CandidateStatus, Outcome, Rejection, StableStatus
from modelramp.api.vocabulary import Phase, Reason
from modelramp.rollout import memory
from modelramp.rollout.draining import DRAINING
from modelramp.rollout.resume import without_evidence

PASSED = Reason.STEP_PASSED


def test_a_beginning_forgets_what_belonged_to_the_last_rollout() -> None:
    """
    Candidate anew, no step, no evidence, no verdicts; the stable revision stays.
    """
    s = situation(Phase.ROLLING_BACK, version="3")
    found = memory.begin(s, Reason.NEW_REVISION)
    assert found.candidate == CandidateStatus(revision=rev("3"), version="3", since=NOW, warm=True)
    assert (found.step, found.evidence, found.verdicts, found.stable) == (None, (), (), stable())


def test_a_candidate_with_a_warm_up_begins_cold() -> None:
    """
    It gets no traffic before the warm-up is done.
    """
    s = situation(Phase.STABLE, version="2", sections={"serving": {"warmUp": {"path": "/"}}})
    begun = memory.begin(s, Reason.NEW_REVISION).candidate
    assert begun is not None
    assert begun.warm is False


def test_a_retry_forgives_only_the_revision_it_begins() -> None:
    """
    Other rejections stay.
    """
    s = situation(
        Phase.FAILED, annotations={ANNOTATION_RETRY: "1"}, remembered={"rejected": (rejection("2"), rejection("3"))}
    )
    found = memory.begin(s, Reason.NEW_REVISION)
    assert ([known.version for known in found.rejected], found.retry_seen) == (["3"], "1")


def test_the_first_step_begins_with_the_evidence_opened_before() -> None:
    """
    It is opened while the candidate is prepared; what was said before the step is forgotten.
    """
    fresh = metric_evidence(counts=(0, 0, 0, 0))
    s = situation(Phase.PREPARING, remembered={"evidence": (kept(fresh),), "verdicts": (verdict(),)})
    found = memory.enter_first_step(s, Reason.CANDIDATE_READY)
    assert (found.evidence, found.verdicts) == ((kept(fresh),), ())
    assert found.step == step("5", entered_at=NOW, in_place_since=None)


def test_harm_goes_on_into_the_next_step_and_certainty_does_not() -> None:
    """
    The rollout's error bound is spent once; each step is a claim of its own.
    """
    s = situation(Phase.PROGRESSING, remembered={"evidence": (kept(metric_evidence(harm=2.0, ok=3.0)),)})
    (found,) = memory.enter_next_step(s, PASSED).evidence
    evidence = MetricEvidence.from_state(found.state)  # type: ignore[arg-type]
    assert (round(evidence.harm_log, 3), round(evidence.ok_log, 3), evidence.step.candidate.n) == (2.0, 0.0, 0.0)


def test_after_the_last_step_there_is_no_next_one() -> None:
    """
    The step stays; promotion is another row's business.
    """
    last = step("100")
    assert memory.enter_next_step(situation(Phase.PROGRESSING, remembered={"step": last}), PASSED).step == last


def test_a_resumed_step_keeps_its_evidence() -> None:
    """
    Only its clock starts again.
    """
    s = situation(Phase.PAUSED)
    found = memory.restart_step_clock(s, Reason.RESUMED)
    assert found == s.status.model_copy(update={"step": step(entered_at=NOW)})


@pytest.mark.parametrize("update", [memory.restart_step_clock, memory.reject_candidate, memory.promote])
def test_without_a_rollout_nothing_is_remembered(update: object) -> None:
    """
    A memory without step and candidate comes back as it is: nothing is invented.
    """
    s = situation(Phase.STABLE)
    assert callable(update)
    assert update(s, Reason.RESUMED) == s.status


def test_without_a_candidate_nothing_ended() -> None:
    """
    The history gets no entry.
    """
    assert memory.forget_candidate(situation(Phase.STABLE), Reason.REVERTED).history == ()


def test_a_rejection_is_noted_once_and_the_newest_is_last() -> None:
    """
    Rejected again: the old entry gives way to the new one.
    """
    s = situation(Phase.PROGRESSING, remembered={"rejected": (rejection("2"), rejection("3"))})
    found = memory.reject_candidate(s, Reason.ABORT_REQUESTED)
    again = Rejection(revision=rev("2"), version="2", reason=Reason.ABORT_REQUESTED, at=NOW)
    assert without_evidence(found.rejected) == (rejection("3"), again)


def test_the_oldest_rejection_is_forgotten_when_there_are_too_many() -> None:
    """
    The status stays small.
    """
    many = tuple(rejection(str(number)) for number in range(10, 10 + MAX_REJECTED))
    found = memory.reject_candidate(situation(Phase.PROGRESSING, remembered={"rejected": many}), Reason.ABORT_REQUESTED)
    assert [known.version for known in found.rejected] == ["11", "12", "13", "14", "2"]


def test_a_promotion_makes_the_candidate_stable() -> None:
    """
    With an entry in the history, and nothing left of the rollout.
    """
    found = memory.promote(situation(Phase.PROMOTING), Reason.PROMOTED)
    ended = Outcome(
        revision=rev("2"), version="2", outcome=Reason.PROMOTED, message="serves everything",
        began_at=ago(300), ended_at=NOW, strategy="canary", evidence=found.history[0].evidence,
    )  # fmt: skip
    assert found.history[0].evidence[0].startswith("errors: ")
    assert (found.stable, found.history) == (StableStatus(revision=rev("2"), version="2", since=NOW), (ended,))
    assert (found.candidate, found.step, found.evidence) == (None, None, ())


def test_the_history_tells_why_a_rollback_began() -> None:
    """
    Not that it was draining.
    """
    s = situation(Phase.ROLLING_BACK, remembered={"message": "it was worse" + DRAINING})
    assert memory.forget_candidate(s, Reason.ROLLED_BACK).history[0].message == "it was worse"


def test_the_oldest_outcome_is_forgotten_when_there_are_too_many() -> None:
    """
    The newest is last.
    """
    old = Outcome(revision="r", version="0", outcome=Reason.PROMOTED, message="", began_at=NOW, ended_at=NOW)
    s = situation(Phase.PROMOTING, remembered={"history": (old,) * MAX_HISTORY})
    assert [ended.version for ended in memory.promote(s, Reason.PROMOTED).history] == ["0"] * (MAX_HISTORY - 1) + ["2"]


def test_a_revision_begun_after_another_leaves_an_entry() -> None:
    """
    The superseded candidate goes into the history; the spec's revision is on trial.
    """
    found = memory.begin_after_another(situation(Phase.ROLLING_BACK, version="3"), Reason.NEW_REVISION)
    assert [(ended.version, ended.outcome) for ended in found.history] == [("2", Reason.SUPERSEDED)]
    assert found.candidate == candidate("3", since=NOW, ready_since=None, ready_pods=0)
