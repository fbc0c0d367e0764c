"""
Whatever resolution each sample of a native histogram comes in, what is counted at an edge is what was observed.
"""

from collections.abc import Sequence
from datetime import UTC, datetime

from fakes.natives import standard
from hypothesis import given, settings
from hypothesis import strategies as st

from modelramp.analysis import Series, Window
from modelramp.analysis.buckets import count_tails
from modelramp.analysis.tails import TailBlock

SCRAPE = 10
SOMETIMES_FINE = st.integers(-4, 8)
CALLS = st.lists(st.floats(0.0, 50.0), max_size=6)
ARM = st.lists(st.tuples(CALLS, SOMETIMES_FINE, st.sampled_from((2.0**-128, 0.01, 0.3))), min_size=6, max_size=6)
Scrapes = Sequence[tuple[Sequence[float], int, float]]


def told(scrapes: Scrapes, pod: str) -> Series:
    """Each scrape has its own schema and zero bucket."""
    seen: list[float] = []
    samples = []
    for number, (calls, schema, zero) in enumerate(scrapes):
        seen += calls
        samples.append(standard(number * SCRAPE, seen, schema, zero))
    return Series({"instance": pod, "job": "j"}, (), samples)


def counted(mine: Series, theirs: Series, after: float, until: float, wanted: Sequence[float] = ()) -> TailBlock | None:
    """One block; None: the arms have no edge in common."""
    window = Window(*(datetime.fromtimestamp(at, UTC) for at in (-100, after, until)))
    found = count_tails([mine], [theirs], window, wanted=wanted)
    return found if isinstance(found, TailBlock) else None


@settings(max_examples=60, deadline=None)
@given(ARM, ARM, st.integers(0, 3))
def test_each_call_is_on_its_side_of_each_edge(mine: Scrapes, theirs: Scrapes, cut: int) -> None:
    """However resolution and zero bucket change between scrapes; powers of 2^16 are edges of all, 1 among them."""
    arms = told(mine, "c"), told(theirs, "s")
    block = counted(*arms, cut * SCRAPE, 5 * SCRAPE)
    judged = counted(*arms, cut * SCRAPE, 5 * SCRAPE, (1.0, 65536.0))
    assert judged is not None
    assert judged.candidate.edges == judged.stable.edges == (1.0, 65536.0)
    for found in filter(None, (block, judged)):
        for arm, scrapes in ((found.candidate, mine), (found.stable, theirs)):
            calls = [call for new, _, _ in scrapes[cut + 1 :] for call in new]
            assert arm.n == len(calls)
            for edge in arm.edges:
                assert arm.counts(edge).x == sum(call > edge * (1.0 + 1e-9) for call in calls)


@settings(max_examples=25, deadline=None)
@given(ARM, ARM, st.integers(1, 4))
def test_two_blocks_add_up_to_one(mine: Scrapes, theirs: Scrapes, cut: int) -> None:
    """Nothing is lost or counted twice where they meet."""
    arms = told(mine, "c"), told(theirs, "s")
    parts = [counted(*arms, *(at * SCRAPE for at in span), (1.0,)) for span in ((0, cut), (cut, 5))]
    whole = counted(*arms, 0, 5 * SCRAPE, (1.0,))
    assert whole is not None
    assert parts[0] is not None
    assert parts[1] is not None
    assert parts[0].candidate + parts[1].candidate == whole.candidate
    assert parts[0].stable + parts[1].stable == whole.stable
