"""
Every strategy can be simulated: shadows, previews, cohorts, smoke requests and comparators too.
"""

from random import Random
from typing import Any

import pytest

from modelramp.api.document import MLModelDeployment, parse
from modelramp.simulation import Outcome, Rates, TrafficModel, simulate
from modelramp.simulation.traffic import Traffic

STAGE = {"soak": "1m", "deadline": "2h"}
STEPS = {"steps": [{"traffic": "10%"}, {"traffic": "50%"}], "stepDeadline": "1h"}
SMOKE = {"soak": "1m", "smoke": {"requests": 5, "path": "/predict"}}
DISAGREEMENT = {"preset": "disagreement", "against": {"limit": "5%"}}
STRATEGIES: dict[str, dict[str, Any]] = {
    "report": {"shadow": STAGE},
    "shadow": {"shadow": {**STAGE, "onPassed": "Promote"}},
    "shadow of several": {"shadow": {**STAGE, "others": [{"name": "a", "model": {"version": "3"}}]}},
    "compared": {"shadow": {**STAGE, "mirror": "20%", "compare": {}}},
    "shadow, then canary": {"canary": {"shadow": STAGE, **STEPS}},
    "canary with a cohort": {"canary": {"cohort": {}, **STEPS}},
    "blue-green": {"blueGreen": {"preview": {}, "preSwitch": SMOKE, "bake": "5m"}},
    "blue-green by host": {"blueGreen": {"preview": {"hostname": "p.example.com"}, "bake": "5m"}},
}
REPORTS = {"report", "shadow of several", "compared"}
SHADOWS = {"report", "shadow", "shadow of several", "compared", "shadow, then canary"}


def deployment(name: str, degree: str = "Full") -> MLModelDeployment:
    """
    An object of this strategy, judged by errors, and where answers are compared by those too.
    """
    metrics = [{"preset": "errors"}, *([DISAGREEMENT] if name == "compared" else [])]
    template = {"spec": {"containers": [{"name": "m", "image": "i:1"}]}}
    return parse(
        {
            "metadata": {"namespace": "ml", "name": "fraud", "uid": "u", "generation": 1},
            "spec": {
                "model": {"version": "2"},
                "serving": {"runtime": "mlserver", "template": template},
                "traffic": {"gatewayAPI": {"parentRefs": [{"name": "gw"}]}},
                "strategy": STRATEGIES[name],
                "automation": {"degree": degree},
                "analysis": {"interval": "15s", "metrics": metrics},
            },
        }
    )


def model(candidate: float, **more: Rates) -> TrafficModel:
    """
    50 requests a second, a thousandth of which fail on stable.
    """
    return TrafficModel(rps=50.0, rates={"errors": Rates(0.001, candidate), **more})


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_healthy_candidate_passes(name: str) -> None:
    """
    A run for a report ends with it, every other one with a promotion.
    """
    more = {"disagreement": Rates(0.0, 0.01)} if name == "compared" else {}
    found = simulate(deployment(name), model(0.001, **more), "1")
    assert found.outcome is (Outcome.REPORTED if name in REPORTS else Outcome.PROMOTED)


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_bad_one_is_rolled_back_and_in_shadow_no_user_sees_it(name: str) -> None:
    """
    What it answers to copies is counted as evidence, and to nobody's charge.
    """
    more = {"disagreement": Rates(0.0, 0.01)} if name == "compared" else {}
    found = simulate(deployment(name), model(0.05, **more), "1")
    assert (found.outcome, found.culprit) == (Outcome.ROLLED_BACK, "errors")
    assert (found.bad == 0) is (name in SHADOWS)


@pytest.mark.parametrize("degree", ["HumanOnly", "Shadow", "Assist", "Partial"])
def test_people_do_at_once_what_is_recommended(degree: str) -> None:
    """
    So that what a rollout comes to can be seen whoever decides it.
    """
    assert simulate(deployment("shadow, then canary", degree), model(0.001), "1").outcome is Outcome.PROMOTED
    assert simulate(deployment("canary with a cohort", degree), model(0.05), "1").outcome is Outcome.ROLLED_BACK


def test_answers_that_differ_are_found() -> None:
    """
    Of a candidate that fails as seldom as stable.
    """
    found = simulate(deployment("compared"), model(0.001, disagreement=Rates(0.0, 0.2)), "1")
    assert (found.outcome, found.culprit) == (Outcome.ROLLED_BACK, "disagreement")


def test_copies_are_made_beside_all_requests_of_users() -> None:
    """
    Half of them here.
    """
    traffic = Traffic(model(0.5), Random(1))
    traffic.split(0.0, 0.0, copied=0.5)
    candidate, stable = traffic.until(1000.0)["errors"]
    assert stable.n == pytest.approx(50_000, rel=0.02)
    assert candidate.n == pytest.approx(25_000, rel=0.02)
    assert (traffic.requests, traffic.bad) == (stable.n, 0)
    with pytest.raises(ValueError, match="at once"):
        traffic.split(0.1, 1000.0, copied=0.5)
