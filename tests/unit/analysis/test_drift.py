"""Drift of shares: what never is flagged, how soon a real move is, which class it was, and the index for display."""

import json
import math
import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from statistics import mean

import pytest

from modelramp.analysis.block import Counts
from modelramp.analysis.drift import (
    INVERSE_GRID,
    MOST_CLASSES,
    MOVE_GRID,
    OTHER,
    Direction,
    Distribution,
    DriftEvidence,
    ShareBlock,
    choose_classes,
    class_counts,
    psi,
)
from modelramp.analysis.eprocess import Null, Wealth, log_factor
from modelramp.analysis.shadow import at_edges

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
ALL = Wealth(1.0, 0.0, 0.0)
USUAL = Wealth(0.5, 0.0625, 0.0005)
LAW = (0.30, 0.20, 0.15, 0.10, 0.08, 0.06, 0.04, 0.03, 0.02, 0.02)
NAMES = tuple("abcdefghij")
ENOUGH = math.log(100.0)


def moved(points: float) -> tuple[float, ...]:
    """Some of the commonest class becomes the rarest."""
    return (LAW[0] - points, *LAW[1:-1], LAW[-1] + points)


def sampled(rng: random.Random, law: tuple[float, ...], n: int) -> tuple[Counts, ...]:
    return class_counts(NAMES, Counter(rng.choices(NAMES, law, k=n)))


def block_of(place: int, candidate: tuple[Counts, ...], stable: tuple[Counts, ...] = ()) -> ShareBlock:
    return ShareBlock(NOON + place * MINUTE, NOON + (place + 1) * MINUTE, candidate, stable)


def found_after(
    seed: int, law: tuple[float, ...], n: int, blocks: int, *, fixed: bool = False
) -> tuple[int | None, DriftEvidence]:
    """Observations per arm until the evidence is 100; None if that was not reached."""
    rng = random.Random(seed)
    evidence = DriftEvidence.begin(Distribution(NAMES, LAW if fixed else None), ALL)
    for place in range(blocks):
        stable = () if fixed else sampled(rng, LAW, n)
        evidence = evidence.observe(block_of(place, sampled(rng, law, n), stable), ALL)
        if evidence.log_value >= ENOUGH:
            return (place + 1) * n, evidence
    return None, evidence


@pytest.mark.parametrize("points", [0.0, 0.005])
def test_what_does_not_matter_is_never_flagged(points: float) -> None:
    """The same law, or half a point moved: none of 100 runs of 600 observations per arm, looked at three times."""
    assert {None} == {found_after(seed, moved(points), 200, 3)[0] for seed in range(100)}


def test_at_volume_half_a_point_is_still_no_move() -> None:
    """A million observations of each arm, where a chi-squared test would have no doubt."""
    arms = [tuple(Counts(1e6, 1e6 * share) for share in law) for law in (moved(0.005), LAW)]
    assert DriftEvidence.begin(Distribution(NAMES), ALL).observe(block_of(0, *arms), ALL).log_value < -5.0


@pytest.mark.parametrize(
    ("points", "n", "fixed", "least", "most"),
    [(0.05, 100, False, 1200, 1900), (0.10, 20, False, 280, 430), (0.10, 20, True, 120, 240)],
    ids=["5 points", "10 points", "10 points from training"],
)
def test_a_move_is_found_and_named(points: float, n: int, fixed: bool, least: int, most: int) -> None:  # noqa: FBT001
    """Means of 30 runs: 1,500 and 340 observations per arm, 170 against known shares; 15 runs here."""
    runs = [found_after(seed, moved(points), n, 60, fixed=fixed) for seed in range(15)]
    found = [after for after, _ in runs if after is not None]
    assert len(runs) == len(found)
    assert least <= mean(found) <= most
    leading = [evidence.moves()[0] for _, evidence in runs]
    assert {("j", Direction.UP)} == {(move.name, move.direction) for move in leading}
    assert all(move.share > move.expected + 0.02 for move in leading)


def test_one_block_by_hand() -> None:
    """One of two classes from 10 to 30 % of 100: four claims, of which each bet has its factor."""
    arms = (Counts(100, 30), Counts(100, 70)), (Counts(100, 10), Counts(100, 90))
    evidence = DriftEvidence.begin(Distribution(("a", "b"), shift=0.05), ALL).observe(block_of(0, *arms), ALL)
    (c_a, c_b), (s_a, s_b) = arms
    claims = [(c_a, s_a), (c_b, s_b), (s_a, c_a), (s_b, c_b)]
    values = [
        math.exp(log_factor(more, less, theta=theta, null=Null(1.0, 0.05)))
        for more, less in claims
        for theta in MOVE_GRID
    ]
    assert pytest.approx(math.log(sum(values) / len(values)), abs=1e-4) == evidence.log_value
    assert [(move.name, move.direction, move.share, move.expected) for move in evidence.moves()] == [
        ("a", Direction.UP, 0.3, 0.1)
    ]
    again = evidence.observe(block_of(1, *arms), ALL)  # from now on "b" is known to be common, and its rest is counted
    assert [(move.name, move.direction) for move in again.moves()] == [("a", Direction.UP), ("b", Direction.DOWN)]
    assert tuple(move.name for move in again.moves(most=1)) == ("a",)


def test_the_rest_of_a_common_class_is_counted_from_the_second_block_on() -> None:
    """From 90 to 70 %: the rest went from 10 to 30 %, by which it is found sooner than by the class itself."""
    block = (Counts(100, 70),), (Counts(100, 90),)
    first = DriftEvidence.begin(Distribution(("a",)), ALL).observe(block_of(0, *block), ALL)
    second = first.observe(block_of(1, *block), ALL)
    down = [log_factor(Counts(100, 30), Counts(100, 10), theta=theta, null=Null(1.0, 0.02)) for theta in MOVE_GRID]
    up = [log_factor(Counts(100, 10), Counts(100, 30), theta=theta, null=Null(1.0, 0.02)) for theta in MOVE_GRID]
    gained = [
        [late - early for late, early in zip(bet.logs, before.logs, strict=True)]
        for bet, before in zip(second.bets, first.bets, strict=True)
    ]
    assert pytest.approx(up, abs=2e-4) == gained[0]
    assert pytest.approx(down, abs=2e-4) == gained[1]
    assert second.bets[1].log_value - first.bets[1].log_value > 2.0 * first.bets[1].log_value


@pytest.mark.parametrize(
    ("share", "direction"),
    [(0.3, Direction.UP), (0.01, Direction.DOWN), (0.1, None)],
)
def test_known_shares_need_no_stable_arm(share: float, direction: Direction | None) -> None:
    """10 % in training; 400 observations."""
    distribution = Distribution(("a",), reference=(0.1,))
    evidence = DriftEvidence.begin(distribution, ALL).observe(block_of(0, (Counts(400, 400 * share),)), ALL)
    assert (direction is not None) == (evidence.log_value >= ENOUGH)
    assert ([] if direction is None else [("a", direction, share, 0.1)]) == [
        (move.name, move.direction, move.share, move.expected) for move in evidence.moves()
    ]


def test_a_number_is_compared_by_its_distribution_function() -> None:
    """Values 20 % higher: less of them lies up to each edge, most clearly in the middle."""
    edges = (1.0, 2.0, 4.0)
    histograms = [
        {1.0: 300.0, 2.0: 500.0, 4.0: 850.0, math.inf: 1000.0},
        {1.0: 320.0, 2.0: 700.0, 4.0: 870.0, math.inf: 1000.0},
    ]
    evidence = DriftEvidence.begin(Distribution(tuple(map(str, edges)), cumulative=True), ALL)
    for place in range(3):
        arms = [at_edges(histogram, edges) for histogram in histograms]
        evidence = evidence.observe(block_of(place, *arms), ALL)
    assert evidence.log_value >= ENOUGH
    assert [(move.name, move.direction) for move in evidence.moves()] == [("2.0", Direction.DOWN)]
    assert pytest.approx(psi([900, 600, 1050, 450], [960, 1140, 510, 390])) == evidence.psi()


def test_the_most_frequent_classes_are_watched_and_the_rest_merged() -> None:
    """Sixteen at most, ties by name; a label never seen before belongs to the rest."""
    seen = {f"label-{place:02}": 100.0 - place for place in range(30)} | {OTHER: 7.0}
    names = choose_classes(seen)
    assert len(names) == MOST_CLASSES
    assert (*names[:2], names[-1]) == ("label-00", "label-01", OTHER)
    assert choose_classes({"b": 1.0, "a": 1.0}) == ("a", "b", OTHER)
    counts = class_counts(("a", OTHER), {"a": 5.0, "new": 2.0, OTHER: 3.0})
    assert (Counts(10, 5), Counts(10, 5)) == counts
    assert (Counts(2, 0), Counts(2, 2)) == class_counts(("a", OTHER), {"new": 2.0})
    assert (Counts(0, 0),) == class_counts(("a",), {})


def test_a_replay_changes_nothing_and_an_overlap_is_an_error() -> None:
    block = block_of(0, (Counts(9, 3),), (Counts(9, 4),))
    evidence = DriftEvidence.begin(Distribution(("a",)), USUAL, counted_until=NOON).observe(block, USUAL)
    assert evidence == evidence.observe(block, USUAL)
    longer = ShareBlock(NOON, NOON + 2 * MINUTE, block.candidate, block.stable)
    with pytest.raises(ValueError, match="overlaps"):
        evidence.observe(longer, USUAL)


def test_a_step_starts_fresh_bets() -> None:
    """The value stays as it is; a move that comes late is found by them."""
    same, other = (Counts(500, 50),), (Counts(500, 120),)
    worn = DriftEvidence.begin(Distribution(("a",)), USUAL)
    for place in range(10):
        worn = worn.observe(block_of(place, same, same), USUAL)
    fresh = worn.enter_step(USUAL)
    assert pytest.approx(worn.log_value, abs=1e-4) == fresh.log_value
    late = block_of(10, other, same)
    assert fresh.observe(late, USUAL).log_value > worn.observe(late, USUAL).log_value + 1.0


@pytest.mark.parametrize("reference", [None, LAW], ids=["stable arm", "training"])
def test_state_survives_storing_exactly(reference: tuple[float, ...] | None) -> None:
    distribution, rng = Distribution(NAMES, reference), random.Random(1)
    evidence = DriftEvidence.begin(distribution, USUAL, phi=1.5)
    assert evidence == DriftEvidence.from_state(distribution, json.loads(json.dumps(evidence.to_state())))
    for place in range(3):
        stable = () if reference else sampled(rng, LAW, 100)
        evidence = evidence.observe(block_of(place, sampled(rng, moved(0.1), 100), stable), USUAL)
    assert evidence == DriftEvidence.from_state(distribution, json.loads(json.dumps(evidence.to_state())))


def test_the_widest_state_is_bounded() -> None:
    """Sixteen classes after an hour of much traffic."""
    names = tuple(f"label-{place}" for place in range(MOST_CLASSES))
    evidence = DriftEvidence.begin(Distribution(names), USUAL)
    counts = tuple(Counts(1600, 100) for _ in names)
    for place in range(60):
        evidence = evidence.observe(block_of(place, counts, counts), USUAL)
    assert len(json.dumps(evidence.to_state(), separators=(",", ":"))) <= 3100


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bets": [[0.0] * 9]}, "zip"),
        ({"bets": [[0.0] * 3] * 2}, "bets on 8"),
        ({"candidate": [9.0]}, "other classes"),
        ({"stable": []}, "unpack"),
        ({"stable": [1.0, 2.0]}, "not counts"),
        ({"phi": 0.5}, "overdispersion"),
    ],
    ids=["claims", "grid", "classes", "nothing", "counts", "phi"],
)
def test_damaged_state_is_refused(change: dict[str, object], message: str) -> None:
    distribution = Distribution(("a",))
    state = json.loads(json.dumps(DriftEvidence.begin(distribution, ALL).to_state() | change))
    with pytest.raises(ValueError, match=message):
        DriftEvidence.from_state(distribution, state)


@pytest.mark.parametrize("names", [(), ("a", "a"), tuple(map(str, range(MOST_CLASSES + 1)))], ids=len)
def test_names_that_cannot_be_watched_are_refused(names: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="different names"):
        Distribution(names)


@pytest.mark.parametrize("shift", [0.0, -0.1, 1.0, math.nan])
def test_what_is_no_shift_is_refused(shift: float) -> None:
    with pytest.raises(ValueError, match="no shift"):
        Distribution(("a",), shift=shift)


@pytest.mark.parametrize("reference", [(), (0.5, 0.5), (1.1,), (-0.1,), (math.nan,)])
def test_known_shares_that_do_not_fit_are_refused(reference: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="not a share for each"):
        Distribution(("a",), reference)


def test_blocks_that_do_not_fit_are_refused() -> None:
    """Other classes, a stable arm too many or too few, totals that differ, no stretch of time."""
    one = (Counts(9, 3),)
    arms, known = Distribution(("a",)), Distribution(("a",), (0.3,))
    for distribution, block in (
        (arms, block_of(0, one * 2, one * 2)),
        (arms, block_of(0, one)),
        (known, block_of(0, one, one)),
    ):
        with pytest.raises(ValueError, match="counts for 1 classes"):
            DriftEvidence.begin(distribution, ALL).observe(block, ALL)
    with pytest.raises(ValueError, match="different totals"):
        block_of(0, (Counts(9, 3), Counts(8, 3)))
    with pytest.raises(ValueError, match="must end after it starts"):
        ShareBlock(NOON, NOON, one, one)


def test_the_index_by_hand() -> None:
    """60:40 against 50:50, less one degree of freedom at 1/100 + 1/200."""
    raw = 0.1 * math.log(0.6 / 0.5) - 0.1 * math.log(0.4 / 0.5)
    assert pytest.approx(raw - 0.015) == psi([60, 40], [100, 100])
    assert pytest.approx(raw - 0.01) == psi([60, 40], [0.5, 0.5], sampled=False)


def test_empty_cells_of_the_index() -> None:
    """Empty on both sides: left out. Empty on one: half an observation more in each cell of both. No side: None."""
    assert psi([60, 40], [100, 100]) == psi([60, 0, 40], [100, 0, 100])
    exact = sum((c / 11.0 - s / 11.0) * math.log(c / s) for c, s in ((10.5, 5.5), (0.5, 5.5)))
    assert pytest.approx(exact - 0.2) == psi([10, 0], [5, 5])
    assert pytest.approx(exact - 0.1) == psi([10, 0], [0.5, 0.5], sampled=False)
    assert psi([0, 0], [5, 5]) is None
    assert psi([5, 5], [0, 0]) is None


def test_without_a_change_the_corrected_index_is_around_nothing() -> None:
    """Two samples of 100 with ten cells: 0.2 by sampling alone, which many would call a drift."""
    rng = random.Random(3)
    values = []
    for _ in range(200):
        arms = [[one.x for one in sampled(rng, (0.1,) * 10, 100)] for _ in range(2)]
        values.append(psi(*arms) or 0.0)
    assert abs(mean(values)) < 0.02


def test_the_index_of_what_was_counted() -> None:
    """Of both arms, of known shares, and of known shares up to edges; none before anything was counted."""
    assert DriftEvidence.begin(Distribution(NAMES), ALL).psi() is None
    arms = (Counts(100, 60), Counts(100, 40)), (Counts(200, 100), Counts(200, 100))
    two = DriftEvidence.begin(Distribution(("a", "b")), ALL).observe(block_of(0, *arms), ALL)
    assert psi([60, 40], [100, 100]) == two.psi()
    known = DriftEvidence.begin(Distribution(("a", "b"), (0.5, 0.5)), ALL).observe(block_of(0, arms[0]), ALL)
    assert pytest.approx(psi([60, 40], [0.5, 0.5], sampled=False)) == known.psi()
    edge = Distribution(("1.0",), (0.5,), cumulative=True)
    up_to = DriftEvidence.begin(edge, ALL).observe(block_of(0, (Counts(100, 60),)), ALL)
    assert pytest.approx(psi([60, 40], [0.5, 0.5], sampled=False)) == up_to.psi()


def test_the_inverse_grid_is_the_grid_downwards() -> None:
    assert pytest.approx([1.0] * len(MOVE_GRID)) == [a * b for a, b in zip(MOVE_GRID, INVERSE_GRID, strict=True)]
