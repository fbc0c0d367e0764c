from collections.abc import Callable
from typing import Any

import pytest
from fakes.rollout import (
    NO_ROUTE,
    ago,
    arm,
    arms,
    candidate,
    kept,
    metric_evidence,
    percents,
    rev,
    route,
    situation,
    step,
    verdict,
)

from modelramp.api.names import ANNOTATION_ABORT, ANNOTATION_RETRY
from modelramp.api.status import VerdictName
from modelramp.api.vocabulary import Phase
from modelramp.rollout import ends, guards
from modelramp.rollout.observed import Acceptance, Drain
from modelramp.rollout.situation import Situation

BACK = {"1": "100", "2": "0"}
SHARES = {"1": "95", "2": "5"}
FIRST = {"stable": None, "candidate": candidate(unready_since=ago(600))}


@pytest.mark.parametrize(
    "guard",
    [
        guards.abort_requested,
        guards.candidate_crash_looping,
        guards.candidate_out_of_memory,
        guards.candidate_unhealthy,
        guards.promotion_overdue,
    ],
)
def test_a_first_revision_that_is_promoted_is_not_taken_away(guard: Callable[[Situation], bool]) -> None:
    """
    There is nothing to return to: a weak model serves more than none.
    """
    broken = arms(arm("2", ready=1, crash_looping="m", out_of_memory="m"))
    s = situation(
        Phase.PROMOTING, remembered={**FIRST, "phase_since": ago(3600)}, arms=broken, route=NO_ROUTE,
        annotations={ANNOTATION_ABORT: rev("2")},
    )  # fmt: skip
    assert guard(s) is False


@pytest.mark.parametrize("guard", [guards.abort_requested, guards.candidate_crash_looping])
def test_a_first_revision_in_preparation_can_be_given_up(guard: Callable[[Situation], bool]) -> None:
    """
    Nothing is routed to it yet.
    """
    s = situation(
        Phase.PREPARING, remembered=FIRST, arms=arms(arm("2", crash_looping="m")), route=NO_ROUTE,
        annotations={ANNOTATION_ABORT: rev("2")},
    )  # fmt: skip
    assert guard(s) is True


def test_a_ready_candidate_is_not_overdue() -> None:
    """
    It became ready at the last moment: it goes on.
    """
    s = situation(Phase.PREPARING, remembered={"candidate": candidate(since=ago(3600))}, route=route(BACK))
    assert guards.preparation_overdue(s) is False


@pytest.mark.parametrize(
    "changes",
    [
        {"arms": arms(arm("1", ready=0), arm("2"))},
        {"remembered": {"step": step(entered_at=ago(3600), in_place_since=ago(60))}},
        {"route": route(SHARES)},
    ],
    ids=["stable has no endpoints", "it was in place before", "it is in place now"],
)
def test_a_route_that_is_no_fault_of_the_candidate_is_not_overdue(changes: dict[str, Any]) -> None:
    """
    A rollback would reject a revision that did nothing wrong.
    """
    late = {"step": step(entered_at=ago(3600), in_place_since=None)}
    s = situation(Phase.PROGRESSING, **{"remembered": late, "route": route(BACK), **changes})
    assert guards.route_overdue(s) is False


def test_a_promotion_in_place_is_not_overdue() -> None:
    """
    It came late, but it came.
    """
    given = route({"1": "0", "2": "100"})
    s = situation(Phase.PROMOTING, remembered={"phase_since": ago(3600)}, route=given)
    assert guards.promotion_overdue(s) is False


@pytest.mark.parametrize(
    "changes",
    [
        {"arms": arms(arm("1"), arm("2", ready=0))},
        {"arms": arms(arm("1", ready=0), arm("2"))},
        {"arms": arms(arm("1"))},
        {"route": route(BACK)},
        {"route": route(SHARES, acceptance=Acceptance.PENDING)},
    ],
    ids=["no candidate endpoint", "no stable endpoint", "no candidate", "another share", "not accepted"],
)
def test_traffic_is_in_place_only_when_both_arms_answer(changes: dict[str, Any]) -> None:
    """
    And the gateway accepted just the step's share.
    """
    found = [guards.traffic_in_place(situation(Phase.PROGRESSING, **given)) for given in ({}, changes)]
    assert found == [True, False]


def test_at_100_percent_stable_need_not_answer() -> None:
    """
    It gets nothing.
    """
    s = situation(
        Phase.PROGRESSING, remembered={"step": step("100")}, route=route({"1": "0", "2": "100"}),
        arms=arms(arm("1", ready=0), arm("2")),
    )  # fmt: skip
    assert guards.traffic_in_place(s) is True


def test_a_clock_that_went_backwards_never_soaks() -> None:
    """
    An instant in the future has not passed.
    """
    s = situation(Phase.PROGRESSING, remembered={"step": step(in_place_since=ago(-600))})
    assert guards.soaked(s) is False


def test_a_step_without_soak_still_settles() -> None:
    """
    Five seconds at least: the gateway's proxies follow within them.
    """
    sections = {"strategy": {"canary": {"soak": "0s"}}}
    found = [
        guards.soaked(situation(Phase.PROGRESSING, sections=sections, remembered={"step": step(in_place_since=at)}))
        for at in (ago(5), ago(4))
    ]
    assert found == [True, False]


@pytest.mark.parametrize(
    ("counts", "percent", "expected"),
    [
        ((50.0, 0.0, 950.0, 0.0), "5", False),
        ((62.0, 0.0, 938.0, 0.0), "5", False),
        ((100.0, 0.0, 900.0, 0.0), "5", True),
        ((0.0, 0.0, 1000.0, 0.0), "5", True),
        ((2.0, 0.0, 8.0, 0.0), "5", False),
        ((0.0, 0.0, 0.0, 0.0), "5", False),
        ((500.0, 0.0, 500.0, 0.0), "100", False),
    ],
    ids=[
        "as the weights say",
        "within a quarter of it",
        "twice as much",
        "none at all",
        "too few to tell",
        "nothing counted",
        "nothing to compare",
    ],
)
def test_the_counted_split_is_held_against_the_weights(
    counts: tuple[float, float, float, float],
    percent: str,
    expected: bool,  # noqa: FBT001
) -> None:
    """
    Four deviations and a quarter of the share: less does not mislead the evidence.
    """
    remembered = {"step": step(percent), "evidence": (kept(metric_evidence(counts=counts)),)}
    assert guards.split_mismatched(situation(Phase.PROGRESSING, remembered=remembered)) is expected


def test_a_contradicted_split_holds_a_step_that_passed_otherwise() -> None:
    """
    The weights are not what users get.
    """
    passed = {"verdicts": (verdict(VerdictName.PASSED),)}
    wrong = {**passed, "evidence": (kept(metric_evidence(counts=(500.0, 0.0, 500.0, 0.0))),)}
    found = [guards.step_passed(situation(Phase.PROGRESSING, remembered=one)) for one in (passed, wrong)]
    assert found == [True, False]


def test_one_metric_of_two_is_not_enough() -> None:
    """
    Every one must be certified.
    """
    ratio = {"name": "fraud", "ratio": {"total": "a{$arm}", "bad": "b{$arm}"}}
    s = situation(
        Phase.PROGRESSING, remembered={"verdicts": (verdict(VerdictName.PASSED),)},
        sections={"analysis": {"metrics": [{"preset": "errors"}, ratio]}},
    )  # fmt: skip
    assert guards.certified(s) is False


def test_without_a_step_nothing_is_left_to_certify() -> None:
    """
    And nothing is soaked.
    """
    s = situation(Phase.STABLE)
    assert [guards.certified(s), guards.soaked(s)] == [True, False]


def test_guardrails_only_certifies_nothing() -> None:
    """
    Soak time and guardrails alone decide then.
    """
    s = situation(Phase.PROGRESSING, sections={"analysis": {"mode": "GuardrailsOnly"}})
    assert (guards.certified(s), guards.step_passed(s)) == (True, True)


@pytest.mark.parametrize("changes", [{"arms": arms(arm("1"))}, {"arms": arms(arm("1"), arm("2", ready=0))}])
def test_a_promotion_needs_endpoints(changes: dict[str, Any]) -> None:
    """
    A route to nobody is not in place.
    """
    s = situation(Phase.PROMOTING, route=route({"1": "0", "2": "100"}), **changes)
    assert guards.promotion_in_place(s) is False


EMPTY = Drain(requests={rev("2"): 0.0}, in_flight={rev("2"): 0.0})
STREAMING = Drain(requests={rev("2"): 0.0}, in_flight={rev("2"): 1.0})
REACHED = Drain(requests={rev("2"): 3.0}, in_flight={rev("2"): 1.0})
PATIENT = {"sections": {"serving": {"drain": {"timeout": "90s"}}}}
UNTIMED = {"sections": {"traffic": {"gatewayAPI": {"parentRefs": [{"name": "gw"}], "requestTimeout": "0s"}}}}
UNASKED = Drain(requests={}, in_flight={})


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"route": NO_ROUTE}, True),
        ({"route": route(SHARES), "drain": EMPTY}, False),
        ({"route": route(BACK, acceptance=Acceptance.PENDING), "drain": EMPTY}, False),
        ({"route": route(BACK), "drain": EMPTY}, True),
        ({"route": route(BACK), "drain": UNASKED}, False),
        ({"route": route(BACK), "drain": STREAMING, "remembered": {"phase_since": ago(59)}}, False),
        ({"route": route(BACK), "drain": STREAMING, "remembered": {"phase_since": ago(60)}}, True),
        ({"route": route(BACK), "drain": STREAMING, "remembered": {"phase_since": ago(89)}, **PATIENT}, False),
        ({"route": route(BACK), "drain": STREAMING, "remembered": {"phase_since": ago(90)}, **PATIENT}, True),
        ({"route": route(BACK), "drain": REACHED, "remembered": {"phase_since": ago(3600)}}, False),
        ({"route": route(BACK), "remembered": {"phase_since": ago(29)}, **UNTIMED}, False),
        ({"route": route(BACK), "remembered": {"phase_since": ago(30)}, **UNTIMED}, True),
        ({"route": route(BACK), "remembered": {"phase_since": ago(60)}}, True),
        ({"route": route(BACK), "remembered": {"phase_since": ago(59)}}, False),
        ({"remembered": {"candidate": None}}, True),
    ],
    ids=[
        "there is no route",
        "the route still gives it a share",
        "the route is not accepted yet",
        "nothing counted, nothing in flight",
        "counters that were not asked for",
        "a long stream",
        "a stream longer than any request may be",
        "a stream the drain waits for",
        "a stream longer than the drain waits",
        "requests still come, however late",
        "no counters and no request timeout",
        "and the drain's timeout over",
        "no counters, a request's longest time over",
        "no counters, a second less",
        "there is nobody",
    ],
)
def test_drained_means_nothing_arrives_any_more(changes: dict[str, Any], expected: bool) -> None:  # noqa: FBT001
    """
    Unknown is not drained; time stands in for counters that cannot be had.
    """
    assert ends.candidate_drained(situation(Phase.ROLLING_BACK, **changes)) is expected


@pytest.mark.parametrize(
    ("given", "acceptance", "seconds", "expected"),
    [
        (BACK, Acceptance.PENDING, 600, True),
        (BACK, Acceptance.REFUSED, 600, True),
        ({"1": "100"}, Acceptance.PENDING, 600, True),
        (BACK, Acceptance.PENDING, 599, False),
        (SHARES, Acceptance.PENDING, 600, False),
        (BACK, Acceptance.ACCEPTED, 600, False),
    ],
    ids=["silent", "refused", "not listed", "a second less", "not taken away", "accepted, and still busy"],
)
def test_a_gateway_that_does_not_follow_ends_a_rollback_after_the_deadline(
    given: dict[str, str],
    acceptance: Acceptance,
    seconds: float,
    expected: bool,  # noqa: FBT001
) -> None:
    """
    What it does not confirm must be written at least; the pods are kept by another guard.
    """
    s = situation(
        Phase.ROLLING_BACK,
        route=route(given, acceptance=acceptance),
        drain=UNASKED,
        remembered={"phase_since": ago(seconds)},
    )
    assert (ends.candidate_drained(s), ends.nothing_reaches(s, rev("2"))) == (expected, False)


@pytest.mark.parametrize(
    "changes",
    [
        {"route": route(BACK, acceptance=Acceptance.PENDING, mirrors=percents({"2": "100"}))},
        {"route": route(BACK, acceptance=Acceptance.PENDING), "remembered": {"candidate": None}},
    ],
    ids=["copies", "nobody"],
)
def test_nothing_is_unconfirmed_of_who_still_gets_copies_or_is_not_there(changes: dict[str, Any]) -> None:
    """
    Copies are taken away first.
    """
    remembered = {"phase_since": ago(600), **changes.pop("remembered", {})}
    assert not ends.unconfirmed(situation(Phase.ROLLING_BACK, remembered=remembered, **changes))


def test_a_retry_of_a_rejected_revision_is_acted_on_only_when_failed() -> None:
    """
    Elsewhere the annotation is too early.
    """
    annotations = {ANNOTATION_RETRY: "1"}
    found = [
        guards.new_revision(situation(phase, version="2", annotations=annotations))
        for phase in (Phase.FAILED, Phase.ROLLING_BACK)
    ]
    assert found == [True, False]
