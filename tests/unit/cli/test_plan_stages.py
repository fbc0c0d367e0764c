"""
What a plan says of the steps before users get anything.
"""

from typing import Any

import pytest

from modelramp.analysis.forecast import plan_step
from modelramp.api.document import parse_spec
from modelramp.api.spec import MLModelDeploymentSpec
from modelramp.cli.plan import PlannedStep, planned_steps, table

STAGE = {"mirror": "50%", "soak": "10s", "deadline": "24h"}
STEPS = {"steps": [{"traffic": "10%"}, {"traffic": "100%"}], "soak": "1m"}


def spec_of(strategy: dict[str, Any]) -> MLModelDeploymentSpec:
    """
    A spec of this strategy.
    """
    template = {"spec": {"containers": [{"name": "m", "image": "i"}]}}
    return parse_spec(
        {
            "metadata": {"name": "fraud"},
            "spec": {
                "model": {"version": "1"},
                "serving": {"port": 80, "template": template},
                "traffic": {"gatewayAPI": {"parentRefs": [{"name": "gw"}]}},
                "strategy": strategy,
                "analysis": {"overdispersion": "1"},
            },
        }
    )


def rows_of(strategy: dict[str, Any]) -> list[PlannedStep]:
    """
    The plan at 40 requests a second, a thousandth of which fail.
    """
    return list(planned_steps(spec_of(strategy), 40.0, 0.001))


def test_copies_are_requests_beside_those_of_users() -> None:
    """
    With half of them copied the candidate is asked a third of all, and all are one and a half times as many.
    """
    first, second, last = rows_of({"canary": {"shadow": STAGE, **STEPS}})
    assert [(one.stage, one.percent) for one in (first, second, last)] == [
        ("50% copied", "0%"),
        ("live", "10%"),
        ("live", "100%"),
    ]
    asked = plan_step(1 / 3, 0.1, rps=60.0, stable_error_rate=0.001, blast_radius=0.005)
    assert asked.requests is not None
    assert first.requests == pytest.approx(asked.requests / 1.5)
    assert first.seconds == pytest.approx(max(10.0, asked.requests / 60.0 + 5.0))
    assert (last.requests, last.seconds, last.margin) == (None, 60.0, "-")


def test_a_preview_takes_its_time_and_is_not_certified() -> None:
    """
    Its soak time counts for the whole.
    """
    first, last = rows_of({"blueGreen": {"preview": {}, "preSwitch": {"soak": "5m"}, "bake": "10m"}})
    assert (first.stage, first.requests, first.seconds, first.late) == ("preview", None, 300.0, False)
    assert (last.stage, last.seconds) == ("live", 600.0)


def test_stages_stand_in_the_table() -> None:
    """
    In the place of a share.
    """
    spec = spec_of({"blueGreen": {"shadow": STAGE, "preview": {}, "preSwitch": {"soak": "5m"}, "bake": "10m"}})
    said = table("fraud", spec, planned_steps(spec, 40.0, 0.001), 40.0)
    assert [line.split("  ")[0] for line in (one.strip() for one in said.splitlines()[2:5])] == [
        "50% copied",
        "preview",
        "100%",
    ]
