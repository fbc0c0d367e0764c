"""Replicas of a metric store are told apart by the instants of their samples; one store is never taken for two."""

import math
from datetime import UTC, datetime

import pytest
from fakes.natives import standard

from modelramp.analysis import Series, Window
from modelramp.analysis.stores import UNKNOWN_STORE, Store, from_two_stores

NAN = math.nan
TIMES = (1000.125, 1015.125, 1030.125)
ELSEWHERE = (1007.125, 1022.125, 1037.125)


def at(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def window(after: float = 1015.0, until: float = 1040.0, since: float = 900.0) -> Window:
    return Window(at(since), at(after), at(until))


def series(*instants: float, pod: str = "c") -> Series:
    return Series({"instance": f"{pod}:1", "pod": pod}, [(instant, 5.0) for instant in instants])


def known(*instants: float) -> Store:
    """Return the store after a block of both arms' samples."""
    return Store().newest([series(*instants)], [series(*instants, pod="s")], window())


def test_a_store_is_known_by_its_newest_samples() -> None:
    """In milliseconds, of each arm; what is newer than the window has not been counted."""
    mine, theirs = [series(*TIMES), series(1031.5, pod="d")], [series(*ELSEWHERE, 1041.0, pod="s")]
    assert Store().newest(mine, theirs, window()) == Store(1_031_500, 1_037_125, 0)
    assert Store(since=7).newest([], [series(800.0)], window()) == Store(0, 0, 7)


def test_the_same_store_still_has_them() -> None:
    """Also with later samples, in any order, of series that came and went, and marks of their ends."""
    gone = [series(*TIMES), series(1031.5, pod="d")]
    store = Store().newest(gone, [series(*TIMES, pod="s")], window())
    late = [Series({"pod": "d"}, [(1061.5, NAN), (1046.5, 9.0), (1031.5, 5.0)]), series(1045.125, 1030.125)]
    assert not store.differs(late, [series(*TIMES, 1045.125, pod="s")], window(1040.0, 1070.0))


def test_a_store_of_native_histograms_is_known_by_them() -> None:
    """They are samples like any other."""

    def native(*instants: float) -> list[Series]:
        return [Series({"pod": "c"}, (), [standard(instant, [0.1]) for instant in instants])]

    store = Store().newest(native(*TIMES), native(*ELSEWHERE), window())
    assert store == Store(1_030_125, 1_037_125)
    later = window(1040.0, 1070.0)
    assert not store.differs(native(*TIMES), native(*ELSEWHERE), later)
    assert store.differs(native(*ELSEWHERE), native(*ELSEWHERE), later)


@pytest.mark.parametrize("arms", [(ELSEWHERE, TIMES), (TIMES, ELSEWHERE), (ELSEWHERE, ELSEWHERE), ((), TIMES)])
def test_a_store_that_lacks_one_of_them_is_another(arms: tuple[tuple[float, ...], tuple[float, ...]]) -> None:
    """Of either arm: each is asked for by questions of its own."""
    mine, theirs = ([series(*instants, pod=pod)] for instants, pod in zip(arms, "cs", strict=True))
    assert known(*TIMES).differs(mine, theirs, window(1040.0, 1070.0))


def test_a_millisecond_tells_stores_apart() -> None:
    """That is how exactly instants are kept; the last bit of a number of seconds is not."""
    store = known(*TIMES)
    for moved, differs in ((1030.126, True), (1030.124, True), (1030.1250000001, False)):
        arms = ([series(moved)], [series(moved, pod="s")])
        assert store.differs(*arms, window(1040.0, 1070.0)) == differs


@pytest.mark.parametrize(
    ("store", "since"), [(UNKNOWN_STORE, 900.0), (known(*TIMES), 1030.125), (known(*TIMES), 1031.0)],
    ids=["nothing was counted yet", "at the edge", "before the window"],
)  # fmt: skip
def test_what_the_window_does_not_reach_tells_nothing(store: Store, since: float) -> None:
    """No increment can begin there either."""
    arms = ([series(*ELSEWHERE)], [series(*ELSEWHERE, pod="s")])
    assert not store.differs(*arms, window(1040.0, 1070.0, since))


def test_increments_of_another_store_begin_where_the_one_before_it_ended() -> None:
    """Rounded to the later millisecond; without another one the whole window counts."""
    began = Store(1, 2).began(at(1015.0001))
    assert began == Store(1, 2, 1_015_001)
    assert began.counting(window(1030.0)) == window(1030.0, since=1015.001)
    assert [one.counting(window()) for one in (Store(1, 2), began._replace(since=899_000))] == [window(), window()]


def test_answers_of_one_look_have_instants_in_common() -> None:
    """Unless they reach over different times, or are of different pages."""
    assert from_two_stores([[series(*TIMES)], [series(*ELSEWHERE)]], window())
    assert not from_two_stores([[series(*TIMES)], [series(*TIMES[1:])], []], window())
    assert not from_two_stores([[series(*TIMES)], [series(1035.0)]], window())
    assert not from_two_stores([[series(*TIMES)], [series(*ELSEWHERE, pod="s")]], window())


def test_stable_is_forgotten_once_nobody_asks_for_it() -> None:
    """An answer without its newest sample is then no other store's."""
    assert Store(5, 7, 3).without_stable() == Store(5, 0, 3)


def test_what_was_counted_in_the_other_arm_s_place_is_put_right() -> None:
    """Instants of both arms change places; what another store counted up to does not."""
    assert Store(5, 7, 3).turned() == Store(7, 5, 3)
