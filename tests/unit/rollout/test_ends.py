"""
Runs that end with a report.
"""

from typing import Any

import pytest
from fakes.rollout import ago, percents, rejection, rev, route, situation, step, verdict

from modelramp.api.scalars import Share
from modelramp.api.status import VerdictName
from modelramp.api.vocabulary import Phase, Reason
from modelramp.rollout import ends
from modelramp.rollout.observed import Drain, HostRoute

COPIES = {"1": "100", "2": "0"}


def run(on_passed: str, said: VerdictName = VerdictName.PASSED) -> Any:  # noqa: ANN401 - a Situation
    """
    A shadow run whose copies are in place.
    """
    at = step("0", mirror=Share("100%"), display="1/1")
    return situation(
        Phase.PROGRESSING,
        sections={"strategy": {"shadow": {"soak": "2m", "onPassed": on_passed}}},
        remembered={"step": at, "verdicts": (verdict(said),), "evidence": ()},
        route=route(COPIES, mirrors=percents({"2": "100"})),
    )


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (run("Report"), True),
        (run("Promote"), False),
        (run("Report", VerdictName.INCONCLUSIVE), False),
    ],
    ids=["passed", "to be promoted", "not certified"],
)
def test_a_run_is_reported_when_it_passed_and_a_report_is_asked(found: Any, *, expected: bool) -> None:  # noqa: ANN401
    """
    Nothing else ends with a report.
    """
    assert ends.run_passed_for_report(found) is expected


@pytest.mark.parametrize(
    ("version", "reason", "expected"),
    [
        ("2", Reason.SHADOW_REPORTED, True),
        ("2", Reason.ANALYSIS_FAILED, False),
        ("3", Reason.SHADOW_REPORTED, False),
        ("1", Reason.SHADOW_REPORTED, False),
    ],
    ids=["reported", "rejected for harm", "another was reported", "it is stable"],
)
def test_what_was_reported_is_told_from_what_was_rejected(version: str, reason: Reason, *, expected: bool) -> None:
    """
    The spec names version 2, or the stable one.
    """
    named = "1" if version == "1" else "2"
    found = situation(Phase.STABLE, version=named, remembered={"rejected": (rejection(version, reason),)})
    assert ends.names_reported(found) is expected


HOSTED = {"strategy": {"blueGreen": {"preview": {"hostname": "preview.example.com"}}}}
QUIET = Drain(requests={rev("2"): 0.0}, in_flight={})


@pytest.mark.parametrize(
    ("sections", "host", "seconds", "expected"),
    [
        ({}, None, 1, True),
        (HOSTED, None, 1, False),
        (HOSTED, None, 5, True),
        (HOSTED, HostRoute(hostname="preview.example.com", revision=rev("2")), 3600, False),
    ],
    ids=["no preview by host", "just deleted", "let go", "still there"],
)
def test_what_a_host_led_to_ends_a_moment_after_its_route(
    sections: dict[str, Any], host: HostRoute | None, seconds: float, *, expected: bool
) -> None:
    """
    A route that is deleted has no status, so time is given to the gateway.
    """
    s = situation(
        Phase.ROLLING_BACK,
        sections=sections,
        route=route({"1": "100", "2": "0"}, host=host),
        drain=QUIET,
        remembered={"phase_since": ago(seconds)},
    )
    assert ends.nothing_reaches(s, rev("2")) is expected
