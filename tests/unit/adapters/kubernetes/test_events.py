from datetime import UTC, datetime

import pytest

from modelramp.adapters.kubernetes.events import BURST, LONGEST_NOTE, REFILL_SECONDS, Allowance, event_of, shortened
from modelramp.ports import Announcement, Key, Owner

OWNER = Owner(key=Key("ml", "fraud"), uid="u1")
SAID = Announcement(reason="Promoted", action="Promote", note="done", warning=False)


class Time:
    """
    Seconds, as the test sets them.
    """

    seconds = 0.0

    def __call__(self) -> float:
        """
        Now.
        """
        return self.seconds


def name(owner: Owner = OWNER, said: Announcement = SAID, occasion: str = "1") -> str:
    event = event_of(owner, said, occasion=occasion, at=datetime(2026, 1, 1, tzinfo=UTC), instance="pod-0")
    found: str = event["metadata"]["name"]
    return found


def test_an_object_gets_a_burst_and_then_one_event_now_and_then() -> None:
    """A flapping object does not flood; others are not held back by it."""
    time = Time()
    allowance = Allowance(time)
    assert [allowance.take("u1") for _ in range(BURST + 1)] == [True] * BURST + [False]
    assert allowance.take("u2")
    time.seconds += REFILL_SECONDS
    assert [allowance.take("u1"), allowance.take("u1")] == [True, False]


def test_objects_that_are_quiet_are_forgotten() -> None:
    """They would be allowed everything anyhow."""
    time = Time()
    allowance = Allowance(time)
    allowance.take("u1")
    time.seconds += BURST * REFILL_SECONDS
    allowance.take("u2")
    assert set(allowance._buckets) == {"u2"}


def test_the_name_is_made_of_what_is_said_when_and_of_whom() -> None:
    """The same is the same, anything else is another Event."""
    assert name() == name()
    others = {
        name(owner=Owner(key=OWNER.key, uid="u2")),
        name(said=Announcement(reason="RolledBack", action="Promote", note="done", warning=False)),
        name(said=Announcement(reason="Promoted", action="Promote", note="done again", warning=False)),
        name(occasion="2"),
    }
    assert len(others | {name()}) == 5


@pytest.mark.parametrize("note", ["short", "x" * LONGEST_NOTE, "x" * (LONGEST_NOTE + 1), "é" * 600, "🙂" * 300])
def test_a_note_fits_and_stays_readable(note: str) -> None:
    """Cut between characters, and only when it must be."""
    cut = shortened(note)
    assert len(cut.encode()) <= LONGEST_NOTE
    assert cut == note if len(note.encode()) <= LONGEST_NOTE else note.startswith(cut.removesuffix("…"))


def test_the_time_has_its_microseconds() -> None:
    """The API server refuses it without."""
    event = event_of(OWNER, SAID, occasion="", at=datetime(2026, 1, 1, tzinfo=UTC), instance="pod-0")
    assert event["eventTime"] == "2026-01-01T00:00:00.000000Z"
