"""
What the bars are measured against, and how a row is judged.
"""

import pytest
from bars.__main__ import Cell, cells, judge, measured, merged, play, requests_at_best
from bars.page import BEGIN, END, commits, kept, page, promise, with_summary


@pytest.mark.parametrize(
    ("stable", "candidate", "share", "requests"),
    [
        (0.001, 0.002, 0.05, 12_715),
        (0.001, 0.002, 0.5, 27_065),
        (0.001, 0.005, 0.1, 1_377),
        (0.01, 0.02, 0.1, 1_345),
        (0.01, 0.05, 0.5, 308),
        (0.05, 0.25, 0.1, 25),
    ],
)
def test_the_best_possible_is_that_of_the_literature(
    stable: float, candidate: float, share: float, requests: int
) -> None:
    """Two samples, ratio 1, error 1 %: computed apart, with another program."""
    assert requests_at_best(stable, candidate, share, rho=1.0, epsilon=0.0) == pytest.approx(requests, rel=0.02)


def row(measure: str, value: float | None, limit: float | None, *, times: str | None = None) -> dict[str, object]:
    return {"what": "it", "measure": measure, "value": value, "limit": limit, "times": times}


@pytest.mark.parametrize(
    ("one", "said", "is_kept"),
    [
        (row("rolledBack", 0.004, 0.006), "rolled back ≤ 0.6%: 0.4%", "yes"),
        (row("seconds", 61.0, 60.0), "found in ≤ 60 s: 61 s", "**no**"),
        (row("bad", None, 12.0), "bad answers ≤ 12: never", "**no**"),
        (row("promoted", 0.5, None), "promoted: 50.0%", "-"),
        (row("seconds", 14.0, 1.45, times="other"), "found in ≤ 14 s: 14 s", "yes"),
    ],
)
def test_a_row_is_judged_and_told(one: dict[str, object], said: str, is_kept: str) -> None:
    """A limit may be a factor on another row; a number that nobody saw keeps no promise."""
    judge(one, [{"what": "other", "value": 10.0}])
    assert (promise(one), kept(one)) == (said, is_kept)


def test_a_factor_on_a_row_that_was_not_played_promises_nothing() -> None:
    """As with `--only`."""
    one = row("seconds", 14.0, 1.45, times="other")
    judge(one, [])
    assert (one["kept"], kept(one)) == (None, "-")


def test_every_measure_can_be_measured_and_every_cell_is_named_once() -> None:
    """On two runs each of the quick worlds; a cell's name is part of its seed."""
    found = list(cells())
    assert len({(cell.bar, cell.what) for cell in found}) == len(found)
    quick = Cell(bar="B", what="w", rps=1000.0, stable=0.01, candidate=0.5, measure="bad", limit=1.0)
    for measure in {cell.measure for cell in found}:
        cell = Cell(**{**vars(quick), "measure": measure})
        value = measured(cell, play(cell, 2, 1), 1)
        assert (value is None) is (measure in {"late", "certified", "certified95"})


def test_the_page_has_a_line_for_each_row() -> None:
    """And says of how many runs and which seed."""
    spread = {"mean": 1.0, "p50": 1.0, "p95": 2.0}
    counts = {"runs": 5, "promoted": 1, "rolledBack": 4, "inconclusive": 0, "seconds": spread, "badRequests": spread}
    text = page([{"bar": "B1", "seed": 7, "kept": True, **row("rolledBack", 0.004, 0.006), **counts}])
    assert "5 simulated rollouts a row with the operator's own decisions, seed 7" in text
    assert text.splitlines()[-1].startswith("| B1 | it | 20.0% | 80.0% | 0.0% | 1 (1; 2) | 1.0 (2) |")


def test_the_summary_holds_the_row_nearest_to_its_limit_and_nothing_else_of_the_page_changes() -> None:
    """One line for each bar and number; rows without a promise are left out."""
    told = {"bar": "B1", "runs": 1000, "seed": 1, "times": None}
    near, far = (
        {**row("rolledBack", value, 0.006), **told, "what": name, "kept": True}
        for value, name in ((0.003, "near"), (0.0, "far"))
    )
    free = {**row("promoted", 0.5, None), **told, "kept": None}
    text = with_summary(f"before\n{BEGIN}\nold\n{END}\nafter\n", [far, near, free])
    assert text.startswith(f"before\n{BEGIN}\n")
    assert text.endswith(f"{END}\nafter\n")
    assert [line for line in text.splitlines() if line.startswith("| B1")] == [
        "| B1 | near | rolled back ≤ 0.6%: 0.3% | 2 of 2 |"
    ]


def test_a_page_without_marks_is_refused() -> None:
    """Nothing is written to a place that nobody named."""
    with pytest.raises(ValueError, match="no <!-- bars"):
        with_summary("text", [])


def test_rows_measured_anew_take_the_places_of_the_old_ones() -> None:
    """And the page says which are of which commit."""
    old = [{"bar": bar, "what": "it", "measure": "seconds", "value": 1.0} for bar in ("B1", "B2", "B3")]
    new = [{**old[1], "value": 2.0, "commit": "abc"}, {**old[0], "bar": "B9", "commit": "abc"}]
    rows = merged(old, new)
    assert [(one["bar"], one["value"]) for one in rows] == [("B1", 1.0), ("B2", 2.0), ("B3", 1.0), ("B9", 1.0)]
    assert commits(rows) == ["Rows by commit: an earlier one: B1 (1), B3 (1); abc: B2 (1), B9 (1).\n"]
    assert commits(old) == []
