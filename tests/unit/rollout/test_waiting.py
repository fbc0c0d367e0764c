"""
What is said while nothing changes; more of it, by metric and phase, is in test_messages.
"""

from fakes.others import certain, other, run, seen_as
from fakes.rollout import arm, arms, route, situation, step, verdict

from modelramp.api.status import VerdictName
from modelramp.api.vocabulary import Phase
from modelramp.rollout.waiting import frozen_message, waited_for, waiting_message


def test_what_the_api_server_refused_comes_first() -> None:
    """
    Nothing else can go on before.
    """
    assert waiting_message(situation(Phase.PREPARING, refused="quota")).startswith("refused by the API server: quota")


def test_a_stable_without_endpoints_is_told_with_the_way_out() -> None:
    """
    A human may take the candidate.
    """
    mute = situation(Phase.PROGRESSING, arms=arms(arm("1", ready=0), arm("2")))
    assert "promote-full takes the candidate instead" in waited_for(mute)


def test_the_gateway_is_told_with_what_keeps_it() -> None:
    """
    In its own words, where it says any.
    """
    at = situation(Phase.PROMOTING, route=route({"1": "100", "2": "0"}, message="no such listener"))
    assert "no such listener" in waited_for(at)


def test_others_that_are_undecided_are_told_once_all_else_passed() -> None:
    """
    Before, what the run's own candidate waits for.
    """
    passed = {"verdicts": (verdict(VerdictName.PASSED),)}
    assert waited_for(seen_as(run(other("3"), remembered=passed))).startswith("passed; waiting until")
    assert waited_for(seen_as(run(other("3")))).startswith("errors: evidence")
    assert "other candidates" not in waited_for(seen_as(run(certain("3", outcome="Passed"), remembered=passed)))


def test_no_window_is_told_where_none_is_open() -> None:
    """
    Absent, not empty words.
    """
    assert frozen_message(situation(Phase.PROGRESSING, remembered={"step": step()})) is None
