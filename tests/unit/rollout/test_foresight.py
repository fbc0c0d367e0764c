from typing import Any

import pytest
from fakes.rollout import situation

from modelramp.api.spec import Metric
from modelramp.api.vocabulary import Phase
from modelramp.rollout.foresight import too_little_traffic
from modelramp.rollout.opening import Opening, PhiSource

ERRORS = Metric.model_validate({"preset": "errors"})


def foreseen(metric: Metric = ERRORS, **known: Any) -> str:  # noqa: ANN401 - any field of an opening
    """
    What is foreseen of a canary with the default steps and deadlines.
    """
    opening = Opening(**{"phi": 1.0, "source": PhiSource.ESTIMATED, "rps": 100.0, "rate": 0.001, **known})
    return too_little_traffic(situation(Phase.PREPARING), metric, opening)


def test_enough_traffic_is_nothing_to_speak_of() -> None:
    """
    A hundred requests a second certify every step within minutes.
    """
    assert foreseen() == ""


def test_too_little_traffic_names_the_step_the_time_and_the_ways_out() -> None:
    """
    One request in ten seconds would need hours where an hour is given.
    """
    said = foreseen(rps=0.1)
    assert said.startswith("errors: at 0.1 requests a second the step at 5% takes about ")
    for field in ("spec.strategy.canary.stepDeadline", "blastRadius", "spec.analysis.onInconclusive"):
        assert field in said


def test_no_traffic_at_all_is_longer_than_any_deadline() -> None:
    """
    Without a request nothing is ever certified.
    """
    assert "takes longer than any deadline" in foreseen(rps=0.0)


def test_overdispersion_takes_time() -> None:
    """
    What just fits by itself does not fit where bad events come in clusters.
    """
    assert (foreseen(rps=2.0), bool(foreseen(rps=2.0, phi=50.0))) == ("", True)


@pytest.mark.parametrize(
    ("metric", "known"),
    [
        (ERRORS, {"rps": None}),
        (ERRORS, {"rps": 0.1, "rate": None}),
        (Metric.model_validate({"preset": "errors", "against": {"limit": "2%"}}), {"rps": 0.1}),
        (Metric.model_validate({"preset": "latency"}), {"rps": 0.1}),
    ],
    ids=["traffic unknown", "rate unknown", "a limit", "durations"],
)
def test_what_is_not_known_is_not_foreseen(metric: Metric, known: dict[str, Any]) -> None:
    """
    Only rates against stable are planned, from traffic that was seen.
    """
    assert foreseen(metric, **known) == ""
