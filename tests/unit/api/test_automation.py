"""
Degrees and freeze windows as users write them.
"""

from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from modelramp.api.spec import FREEZE_ENDS, ONE_FREEZE_FORM, PARTIAL_ONLY, Automation, Freeze
from modelramp.api.spec.automation import instant_of
from modelramp.api.vocabulary import Degree

WEEKLY = {"days": ["Fri"], "from": "16:00", "to": "08:00"}
ONCE = {"start": "2026-12-23T12:00:00Z", "end": "2027-01-02T08:00:00Z"}


@pytest.mark.parametrize("window", [WEEKLY, ONCE, {**WEEKLY, "from": "08:00"}], ids=["weekly", "once", "a whole day"])
def test_a_window_survives_its_wire_form(window: dict[str, Any]) -> None:
    """
    With the names users write: `from` is no name in Python.
    """
    assert Freeze.model_validate(window).to_wire() == window


@pytest.mark.parametrize(
    ("window", "says"),
    [
        ({}, ONE_FREEZE_FORM),
        ({**WEEKLY, **ONCE}, ONE_FREEZE_FORM),
        ({**WEEKLY, "end": ONCE["end"]}, ONE_FREEZE_FORM),
        ({**ONCE, "to": "08:00"}, ONE_FREEZE_FORM),
        ({"days": ["Fri"], "from": "16:00"}, ONE_FREEZE_FORM),
        ({"start": ONCE["start"]}, ONE_FREEZE_FORM),
        ({"start": ONCE["end"], "end": ONCE["start"]}, FREEZE_ENDS),
        ({"start": ONCE["start"], "end": ONCE["start"]}, FREEZE_ENDS),
        ({"start": "2027-02-29T00:00:00Z", "end": "2027-03-01T00:00:00Z"}, FREEZE_ENDS),
        ({**WEEKLY, "from": "24:00"}, "String should match pattern"),
        ({**WEEKLY, "days": ["Friday"]}, "Input should be"),
        ({**WEEKLY, "days": []}, "at least 1 item"),
        ({**ONCE, "end": "2027-01-02T08:00:00+01:00"}, "String should"),
    ],
)
def test_half_a_window_and_two_in_one_are_refused(window: dict[str, Any], says: str) -> None:
    """
    With the reason.
    """
    with pytest.raises(ValidationError, match=says):
        Freeze.model_validate(window)


def test_instants_are_utc() -> None:
    """
    Whatever the machine's zone.
    """
    assert instant_of("2026-12-23T12:00:00Z") == datetime(2026, 12, 23, 12, tzinfo=UTC)


@pytest.mark.parametrize("degree", [degree for degree in Degree if degree is not Degree.PARTIAL], ids=str)
def test_the_share_belongs_to_partial(degree: Degree) -> None:
    """
    Elsewhere it would mean nothing.
    """
    with pytest.raises(ValidationError, match=PARTIAL_ONLY):
        Automation.model_validate({"degree": degree, "autoUpTo": "5%"})


def test_partial_goes_to_a_quarter_unless_it_says_otherwise() -> None:
    """
    The default is not written into the object, where it would be refused after a change of the degree.
    """
    assert Automation.model_validate({"degree": "Partial"}).automatic_share == "25%"
    assert Automation.model_validate({"degree": "Partial"}).to_wire() == {"degree": "Partial", "freezes": []}
    assert Automation.model_validate({"degree": "Partial", "autoUpTo": "5%"}).automatic_share == "5%"
