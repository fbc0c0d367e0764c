from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from fakes.rollout import spec, step

from modelramp.analysis import wealth_schedule
from modelramp.api.scalars import Share
from modelramp.api.spec import Cohort, MLModelDeploymentSpec, UseCase
from modelramp.rollout.observed import HostRoute
from modelramp.rollout.strategy import START, Place, Step, course_of, following, place_of, step_at, wealth_of

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


def test_a_strategy_never_beside_stable_spreads_its_wealth_over_the_time_alone() -> None:
    """
    One step at 100 %; and at least one block is planned, however long the interval.
    """
    alone = {"canary": {"steps": [{"traffic": "100%"}]}}
    assert wealth_of(spec(strategy=alone)) == wealth_schedule(planned_blocks=240, later_steps=0)
    rare = spec(strategy=alone, analysis={"interval": "10h"})
    assert wealth_of(rare) == wealth_schedule(planned_blocks=1, later_steps=0)


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [
        ({"canary": {}}, ["BesideStable"] * 3 + ["Alone"]),
        ({"blueGreen": {}}, ["NotAtAll", "Alone"]),
        ({"shadow": {}}, ["BesideStable"]),
    ],
)
def test_each_step_says_how_the_candidate_is_judged_in_it(strategy: dict[str, Any], expected: list[str]) -> None:
    """
    Beside stable as long as both get requests or copies, alone once it has everything.
    """
    assert [str(one.judged) for one in course_of(spec(strategy=strategy)).steps] == expected


def test_a_step_may_name_the_metrics_it_waits_for() -> None:
    """
    Absent, all are.
    """
    steps = [{"traffic": "5%", "metrics": ["errors"]}, {"traffic": "100%"}]
    assert [one.metrics for one in course_of(spec(strategy={"canary": {"steps": steps}})).steps] == [
        frozenset({"errors"}),
        None,
    ]


ZERO = Decimal(0)
BAKE = timedelta(minutes=10)


def test_blue_green_is_a_preview_and_a_switch() -> None:
    """
    Green gets nothing but its header's requests, then everything at once; blue is kept for the bake time.
    """
    course = course_of(spec(strategy={"blueGreen": {"preview": {"value": "green"}}}))
    preview = Step(
        percent=ZERO,
        preview=True,
        next_share=None,
        soak=timedelta(seconds=30),
        deadline=HOUR,
        cohort=Cohort(value="green"),
    )
    assert course.steps == (preview, a_step("100", None, BAKE))
    assert (course.reports, course.field) == (False, "spec.strategy.blueGreen")


def test_a_preview_by_host_lasts_until_everything_is_switched() -> None:
    """
    In the preview and in every part; who knows a host or a header chooses by himself.
    """
    parts = [{"traffic": "50%"}, {"traffic": "100%"}]
    hosted = {"blueGreen": {"preview": {"hostname": "preview.example.com"}, "steps": parts}}
    steps = course_of(spec(strategy=hosted)).steps
    assert [(step.host, step.cohort, step.open_to_people) for step in steps] == [
        ("preview.example.com", None, True),
        ("preview.example.com", None, True),
        (None, None, False),
    ]
    assert [step.open_to_people for step in course_of(spec(strategy={"blueGreen": {"preview": {}}})).steps] == [
        True,
        False,
    ]
    assert steps[0].aside_for("r") == (None, HostRoute(hostname="preview.example.com", revision="r"))
    assert steps[2].aside_for("r") == (None, None)
    back = step_at(spec(strategy=hosted), Place(Decimal(70)))
    assert (back.host, step_at(spec(strategy=hosted), Place(Decimal(100), preview=True)).host) == (
        "preview.example.com",
        None,
    )


def test_a_switch_in_parts_is_certified_like_a_canary() -> None:
    """
    Each part for the next; a soak written at the whole wins over the bake time. Approvals stand at their steps.
    """
    parts = [{"traffic": "50%", "approval": "Required"}, {"traffic": "100%", "soak": "1m"}]
    before = {"approval": "Required", "soak": "1s", "smoke": {"path": "/v1"}}
    steps = course_of(spec(strategy={"blueGreen": {"steps": parts, "preSwitch": before}})).steps
    assert [(step.percent, step.next_share, step.soak, step.approval) for step in steps] == [
        (ZERO, None, timedelta(seconds=1), True),
        (Decimal(50), 1.0, 2 * MINUTE, True),
        (Decimal(100), None, MINUTE, False),
    ]
    assert [step.smoke is not None for step in steps] == [True, False, False]


@pytest.mark.parametrize(
    ("strategy", "next_share"),
    [
        ({"canary": {"shadow": {"mirror": "20%"}}}, 0.05),
        ({"blueGreen": {"shadow": {"mirror": "20%"}}}, 1.0),
        ({"shadow": {"mirror": "20%", "soak": "10m", "deadline": "24h"}}, 1.0),
    ],
    ids=["canary", "blue-green", "shadow"],
)
def test_a_shadow_stage_stands_first_and_is_certified_for_the_first_users(
    strategy: dict[str, Any], next_share: float
) -> None:
    """
    Copies first; the candidate's live share is 0.
    """
    first = course_of(spec(strategy=strategy)).steps[0]
    assert first == Step(
        percent=ZERO, mirror=Decimal(20), next_share=next_share, soak=10 * MINUTE, deadline=timedelta(hours=24)
    )


def test_a_shadow_run_reports_unless_told_to_promote() -> None:
    """
    Users never see the candidate by default.
    """
    found = [course_of(spec(strategy={"shadow": {"onPassed": end}})).reports for end in ("Report", "Promote")]
    assert found == [True, False]


@pytest.mark.parametrize(
    ("use_case", "shown"),
    [
        (None, ["5", "25", "50", "100"]),
        (UseCase.NEW_CAPABILITY, ["1", "5", "25", "50", "100"]),
        (UseCase.ASSIST_HUMAN, ["copies", "5", "25", "50", "100"]),
        (UseCase.REPLACE_SYSTEM, ["copies", "preview", "100"]),
    ],
)
def test_the_use_case_picks_the_strategy(use_case: UseCase | None, shown: list[str]) -> None:
    """
    Where the spec gives none.
    """
    asked = spec(**({} if use_case is None else {"useCase": str(use_case)}))
    steps = course_of(asked).steps
    assert ["copies" if s.mirror else "preview" if s.preview else str(s.percent) for s in steps] == shown


def test_a_given_strategy_wins_over_the_use_case() -> None:
    """
    The use case is a default.
    """
    asked = spec(useCase="ReplaceSystem", strategy={"canary": {"steps": [{"traffic": "10%"}]}})
    assert course_of(asked).field == "spec.strategy.canary"


def test_places_rise_from_copies_over_the_preview_to_everything() -> None:
    """
    So a step keeps its place when the list is edited around it.
    """
    asked = spec(strategy={"blueGreen": {"shadow": {}, "steps": [{"traffic": "50%"}, {"traffic": "100%"}]}})
    places = [step.place for step in course_of(asked).steps]
    assert places == sorted(places)
    assert place_of(None) == START < places[0]
    walked, place = [], START
    while (found := following(asked, place)) is not None:
        walked.append(found[0])
        place = found[1].place
    assert walked == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        (Place(ZERO, mirror=Decimal(10)), 0.05),
        (Place(ZERO, preview=True), None),
        (Place(Decimal(100)), None),
    ],
    ids=["copies", "preview", "everything"],
)
def test_a_place_the_strategy_no_longer_has_is_still_a_step(place: Place, expected: float | None) -> None:
    """
    The strategy was changed in flight: what was entered stays, with the times of the listed step before it.
    """
    asked = canary("5%", "50%", cohort={})
    found = step_at(asked, place)
    assert (found.place, found.next_share, found.deadline) == (place, expected, HOUR)
    assert (found.cohort is None) == (place.percent == Decimal(100))


def test_a_mirror_is_remembered_by_its_place() -> None:
    """
    The status keeps what was entered.
    """
    assert place_of(step("0", mirror=Share("10%"))) == Place(ZERO, mirror=Decimal(10))
