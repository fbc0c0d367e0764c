"""
Freeze windows: when nothing raises a candidate's traffic by itself. Everything is in UTC.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from typing import Final

from modelramp.api.spec.automation import Freeze, Weekday, instant_of
from modelramp.rollout.situation import Situation

DAY: Final = timedelta(days=1)
WEEK: Final = 7
LONGEST_CHAIN: Final = 32  # windows that follow each other without a gap; beyond that the end is not looked for
_DAYS: Final = tuple(Weekday)


def _windows(freeze: Freeze, now: datetime) -> Iterator[tuple[datetime, datetime]]:
    """
    Begin and end of a single window, or of the weekly ones from a week before now to the day after.
    """
    if freeze.start is not None and freeze.end is not None:
        yield instant_of(freeze.start), instant_of(freeze.end)
    if freeze.days is None or freeze.from_ is None or freeze.to is None:
        return
    begins, ends = time.fromisoformat(freeze.from_), time.fromisoformat(freeze.to)
    for ago in range(-1, WEEK + 1):
        day = (now.astimezone(UTC) - ago * DAY).date()
        if _DAYS[day.weekday()] in freeze.days:
            begin, end = (datetime.combine(day, at, UTC) for at in (begins, ends))
            yield begin, end if end > begin else end + DAY


def _all_windows(s: Situation, now: datetime) -> list[tuple[datetime, datetime]]:
    return [window for freeze in s.spec.automation.freezes for window in _windows(freeze, now)]


def frozen_until(s: Situation) -> datetime | None:
    """
    When the open freeze window ends, and all that follow without a gap; None: none is open.
    """
    until, at = None, s.now
    for _ in range(LONGEST_CHAIN):
        ends = [end for begin, end in _all_windows(s, at) if begin <= at < end]
        if not ends:
            break
        until = at = max(ends)
    return until


def frozen(s: Situation) -> bool:
    """
    A freeze window is open.
    """
    return frozen_until(s) is not None


def thawed_at(s: Situation) -> datetime | None:
    """
    When the freeze window that was open last has ended; None: none was in the last week.
    """
    return max((end for _, end in _all_windows(s, s.now) if end <= s.now), default=None)
