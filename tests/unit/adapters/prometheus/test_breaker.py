"""When an address is left alone, and for how long."""

import pytest

from modelramp.adapters.prometheus.breaker import LONGEST_PAUSE_SECONDS, Breaker


def fail(breaker: Breaker, at: float, *, jitter: float = 1.0) -> float:
    """A question sent and failed at once; the pause that follows."""
    breaker.failed(sent=at, now=at, jitter=jitter, error="refused")
    return breaker.pause_left(at)


def test_pauses_double_up_to_the_longest() -> None:
    """1, 2, 4 and then 6 seconds."""
    breaker, now, pauses = Breaker(), 100.0, []
    for _ in range(30):
        pauses.append(fail(breaker, now))
        now += pauses[-1]
        assert breaker.pause_left(now) == 0
    assert pauses[:5] == pytest.approx([1, 2, 4, LONGEST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS])
    assert max(pauses) == pytest.approx(LONGEST_PAUSE_SECONDS)


@pytest.mark.parametrize(("jitter", "pause"), [(0.0, 0.5), (0.5, 0.75), (1.0, 1.0)])
def test_jitter_shortens_to_half_at_most(jitter: float, pause: float) -> None:
    """So that many waiting questions do not come back at one instant."""
    assert fail(Breaker(), 10.0, jitter=jitter) == pytest.approx(pause)


def test_a_success_forgives_everything() -> None:
    """The next failure pauses one second again."""
    breaker = Breaker()
    for at in (0.0, 10.0, 20.0):
        fail(breaker, at)
    breaker.succeeded(20.5)
    assert breaker.pause_left(20.5) == 0
    assert fail(breaker, 30.0) == pytest.approx(1.0)


def test_questions_that_fail_together_count_once() -> None:
    """Eight questions under way in one outage are one failure."""
    breaker = Breaker()
    for _ in range(8):
        breaker.failed(sent=5.0, now=6.0, jitter=1.0, error="refused")
    assert breaker.failures == 1
    assert breaker.pause_left(6.0) == pytest.approx(1.0)


def test_a_slow_question_does_not_make_a_living_address_look_down() -> None:
    """Others were answered while it was under way."""
    breaker = Breaker()
    breaker.succeeded(7.0)
    breaker.failed(sent=5.0, now=15.0, jitter=1.0, error="timeout")
    assert breaker.pause_left(15.0) == 0
