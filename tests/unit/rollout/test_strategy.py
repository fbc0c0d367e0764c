from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from fakes.rollout import spec

from modelramp.analysis import wealth_schedule
from modelramp.api.spec import MLModelDeploymentSpec
from modelramp.rollout.strategy import Place, Step, course_of, following, step_at, wealth_of

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


def canary(*shares: str, **changes: Any) -> MLModelDeploymentSpec:  # noqa: ANN401 - JSON
    """
    A canary with these steps.
    """
    return spec(strategy={"canary": {"steps": [{"traffic": share} for share in shares], **changes}})


def a_step(percent: str, next_share: float | None, soak: timedelta = 2 * MINUTE) -> Step:
    """
    A step with the default deadline.
    """
    return Step(percent=Decimal(percent), next_share=next_share, soak=soak, deadline=HOUR)


def test_each_step_is_certified_for_the_next() -> None:
    """
    A step's evidence is about the share that comes after it; at 100 % nothing is left to compare with.
    """
    assert course_of(canary("5%", "25%", "100%")).steps == (a_step("5", 0.25), a_step("25", 1.0), a_step("100", None))


def test_a_last_step_below_everything_is_certified_for_everything() -> None:
    """
    The promotion then gives 100 %.
    """
    assert course_of(canary("10%")).steps == (a_step("10", 1.0),)


def test_a_step_has_its_own_soak_or_the_strategy_s() -> None:
    """
    A soak written at a step wins.
    """
    steps = [{"traffic": "5%", "soak": "7m"}, {"traffic": "50%"}]
    compiled = course_of(spec(strategy={"canary": {"steps": steps, "soak": "1m"}})).steps
    assert [step.soak for step in compiled] == [7 * MINUTE, MINUTE]


@pytest.mark.parametrize(
    ("percent", "expected"),
    [
        ("5", a_step("5", 0.5)),
        ("25", a_step("25", 0.5)),
        ("75", a_step("75", 1.0)),
        ("100", a_step("100", None)),
    ],
    ids=["listed", "between two", "above all", "everything"],
)
def test_a_share_the_spec_no_longer_lists_is_still_a_step(percent: str, expected: Step) -> None:
    """
    It is certified for the next share above it, with the strategy's soak and deadline.
    """
    assert step_at(canary("5%", "50%"), Place(Decimal(percent))) == expected


@pytest.mark.parametrize(
    ("percent", "expected"),
    [("0", (0, "5")), ("5", (1, "50")), ("25", (1, "50")), ("50", None), ("75", None)],
    ids=["before any", "at the first", "between", "at the last", "above all"],
)
def test_the_next_step_is_the_first_above_the_present_share(percent: str, expected: tuple[int, str] | None) -> None:
    """
    None: promotion follows.
    """
    found = following(canary("5%", "50%"), Place(Decimal(percent)))
    assert (None if found is None else (found[0], str(found[1].percent))) == expected


def test_the_wealth_is_spread_over_all_blocks_until_the_last_deadline() -> None:
    """
    Steps at 100 % are not judged and get none.
    """
    asked = canary("5%", "50%", "100%", stepDeadline="30m")
    assert wealth_of(asked) == wealth_schedule(planned_blocks=2 * 120, later_steps=1)


def test_a_strategy_that_judges_nothing_still_has_a_schedule() -> None:
    """
    One step at 100 %: at least one block is planned.
    """
    asked = spec(strategy={"canary": {"steps": [{"traffic": "100%"}]}})
    assert wealth_of(asked) == wealth_schedule(planned_blocks=1, later_steps=0)
