"""Parts of the traffic: what is counted of them, and their evidence of harm."""

import json
import math
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import cast

import pytest

from modelramp.analysis import (
    HARM_GRID,
    ArmSeries,
    Block,
    Counts,
    EProcess,
    Null,
    Pods,
    Series,
    Window,
    wealth_schedule,
)
from modelramp.analysis.evidence import Totals
from modelramp.analysis.slices import SliceEvidence, SliceState, slice_blocks

NULL = Null(1.1, 0.0)
WEALTH = wealth_schedule(planned_blocks=100, later_steps=2)
Samples = Sequence[tuple[float, float]]


def at(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


WINDOW = Window(at(-100), at(10), at(20))


def series(arm: str, tenant: str, samples: Samples, **labels: str) -> Series:
    return Series({"instance": f"{arm}:1", "job": "j", "tenant": tenant, **labels}, samples)


def grown(arm: str, tenant: str, requests: float, **labels: str) -> Series:
    return series(arm, tenant, [(9, 100), (19, 100 + requests)], **labels)


def sliced(candidate: ArmSeries, stable: ArmSeries, *values: str, pods: Pods | None = None) -> dict[str, Block]:
    return slice_blocks(candidate, stable, WINDOW, label="tenant", values=values, pods=pods or Pods())


def block(candidate: Counts, stable: Counts) -> Block:
    return Block(at(10), at(20), candidate, stable)


def test_each_value_has_the_counts_of_its_own_series() -> None:
    """Of all codes and pods, in the order asked for; of other values nothing is said."""
    candidate = ArmSeries(
        [grown("c", "a", 5), grown("d", "a", 2), grown("c", "b", 7), grown("c", "z", 9)],
        [grown("c", "a", 1, code="500"), grown("c", "a", 2, code="503")],
    )
    stable = ArmSeries([grown("s", "a", 50), grown("s", "b", 70)], [grown("s", "b", 3, code="500")])
    found = sliced(candidate, stable, "b", "a")
    assert list(found) == ["b", "a"]
    assert found == {"a": block(Counts(7, 3), Counts(50)), "b": block(Counts(7), Counts(70, 3))}


def test_the_first_events_of_a_slice_count_from_zero() -> None:
    """Its series is born late on a page that was scraped before it."""
    candidate = ArmSeries([grown("c", "a", 5), series("c", "b", [(19, 4)])], [series("c", "b", [(19, 1)], code="500")])
    found = sliced(candidate, ArmSeries([grown("s", "a", 50), grown("s", "b", 40)]), "b")
    assert found == {"b": block(Counts(4, 1), Counts(40))}


def test_restarts_are_judged_by_the_whole_page() -> None:
    """The slice alone has outgrown its old value; a neighbour shows that the page began anew."""
    candidate = ArmSeries([series("c", "a", [(9, 3), (19, 8)]), series("c", "b", [(9, 900), (19, 20)])])
    stable = ArmSeries([grown("s", "a", 50)])
    known = Pods(started={"c:1": [14.0]})
    assert sliced(candidate, stable, "a", pods=known) == {"a": block(Counts(8), Counts(50))}
    assert sliced(candidate, stable, "a") == {"a": block(Counts(0), Counts(50))}


def test_a_slice_of_one_arm_alone_has_nothing_of_the_other() -> None:
    """Nothing can be compared then, which is the primitive's to say."""
    found = sliced(ArmSeries([grown("c", "a", 5)]), ArmSeries([grown("s", "b", 6)]), "a", "b")
    assert found == {"a": block(Counts(5), Counts()), "b": block(Counts(), Counts(6))}


def test_what_nothing_was_counted_of_is_left_out() -> None:
    """Unknown, silent, or without a sample in the window."""
    candidate = ArmSeries([grown("c", "silent", 0), series("c", "old", [(2, 5), (9, 9)])])
    assert sliced(candidate, ArmSeries([grown("s", "silent", 0)]), "silent", "old", "unknown") == {}
    assert sliced(candidate, ArmSeries([]), "silent") == {}


def test_more_events_than_requests_are_left_out() -> None:
    """In either arm, and only that slice."""
    odd, fine = [grown("c", "a", 2), grown("c", "b", 5)], [grown("s", "a", 9), grown("s", "b", 9)]
    wrong = [grown("c", "a", 3, code="500")]
    assert list(sliced(ArmSeries(odd, wrong), ArmSeries(fine), "a", "b")) == ["b"]
    assert list(sliced(ArmSeries(fine), ArmSeries(odd, wrong), "a", "b")) == ["b"]


# ---------------------------------------------------------------- evidence

BAD = block(Counts(50, 10), Counts(500, 5))
GOOD = block(Counts(50, 0), Counts(500, 5))


def test_nothing_is_known_at_the_beginning() -> None:
    """Every value of the spec has an account, in its order."""
    fresh = SliceEvidence.begin(["b", "a"], WEALTH, phi=1.5)
    assert list(fresh.accounts) == ["b", "a"]
    assert fresh.logs == pytest.approx({"b": 0.0, "a": 0.0}, abs=1e-4)


def test_a_slice_has_the_evidence_a_metric_would_have() -> None:
    """The same primitive, null and overdispersion, over the whole rollout."""
    evidence = SliceEvidence.begin(["a", "b"], WEALTH, phi=2.0).observe({"a": BAD, "b": GOOD}, NULL, WEALTH)
    evidence = evidence.enter_step(WEALTH).observe({"a": BAD, "b": GOOD}, NULL, WEALTH)
    process = EProcess.begin(HARM_GRID, started=0.5).start_wealth(WEALTH.per_block).update(BAD, NULL, 2.0)
    process = process.start_wealth(WEALTH.per_step).start_wealth(WEALTH.per_block).update(BAD, NULL, 2.0)
    assert evidence.accounts["a"] == (process, Totals(Counts(100, 20), Counts(1000, 10)))
    assert evidence.logs["a"] > math.log(100.0) > 0.0 > evidence.logs["b"]


def test_a_slice_without_requests_starts_its_wealth_all_the_same() -> None:
    """The schedule was fixed before the rollout; what a slice has seen must not move it."""
    fresh = SliceEvidence.begin(["a", "b"], WEALTH, phi=1.0)
    after = fresh.observe({"a": BAD}, NULL, WEALTH)
    (here, _), (there, seen) = after.accounts["a"], after.accounts["b"]
    assert here.unstarted == there.unstarted == fresh.accounts["b"][0].unstarted - WEALTH.per_block
    assert seen == Totals()
    assert after.logs["b"] == pytest.approx(0.0, abs=1e-4)


def test_a_value_the_rollout_did_not_begin_with_is_not_judged() -> None:
    """Its weight was not fixed before the first block."""
    after = SliceEvidence.begin(["a"], WEALTH, phi=1.0).observe({"a": GOOD, "new": BAD}, NULL, WEALTH)
    assert list(after.accounts) == ["a"]


def test_a_limit_needs_no_stable_requests() -> None:
    """A slice of the candidate alone can break an objective."""
    alone = block(Counts(200, 40), Counts())
    against_stable = SliceEvidence.begin(["a"], WEALTH, phi=1.0).observe({"a": alone}, NULL, WEALTH)
    against_limit = SliceEvidence.begin(["a"], WEALTH, phi=1.0).observe({"a": alone}, Null(0.0, 0.02), WEALTH)
    assert against_stable.logs["a"] == pytest.approx(0.0, abs=1e-4)
    assert against_limit.logs["a"] > math.log(100.0)


def test_a_state_comes_back_equal() -> None:
    """Through JSON, and small: eight slices of ten metrics must fit beside all else."""
    evidence = SliceEvidence.begin(["a", "b"], WEALTH, phi=1.25).observe({"a": BAD}, NULL, WEALTH).enter_step(WEALTH)
    text = json.dumps(evidence.to_state(), separators=(",", ":"))
    again = SliceEvidence.from_state(cast("dict[str, SliceState]", json.loads(text)), phi=1.25)
    assert again == evidence
    assert list(again.accounts) == ["a", "b"]
    assert "50,10,500,5" in text
    assert len(text) < 2 * 130


def test_a_damaged_state_is_refused() -> None:
    """It must not become a fresh one, which would spend the error bound again."""
    state = SliceEvidence.begin(["a"], WEALTH, phi=1.0).to_state()
    for damaged in (
        SliceState(harm=state["a"]["harm"][1:], rollout=state["a"]["rollout"]),
        SliceState(harm=state["a"]["harm"], rollout=[1.0, 2.0, 3.0, 0.0]),
        SliceState(harm=state["a"]["harm"], rollout=[1.0]),
    ):
        with pytest.raises(ValueError, match=r"bets on|not counts|not enough values"):
            SliceEvidence.from_state({"a": damaged}, phi=1.0)


@pytest.mark.parametrize("phi", [0.99, 0.0, -1.0, math.inf, math.nan])
def test_an_overdispersion_that_would_add_evidence_is_refused(phi: float) -> None:
    """As for a metric."""
    with pytest.raises(ValueError, match="overdispersion below 1"):
        SliceEvidence.begin(["a"], WEALTH, phi=phi)
