"""
Simulated rollouts end as the operator's rules say, on the same seeds always alike.
"""

from typing import Any

import pytest

from modelramp.api.document import MLModelDeployment, parse
from modelramp.simulation import Onset, Outcome, Rates, Run, TrafficModel, simulate, summarize


def deployment(**canary: Any) -> MLModelDeployment:  # noqa: ANN401 - JSON
    """
    The ramp 5/10/25/50 with a blast radius of 0.25 %.
    """
    steps = [{"traffic": share} for share in ("5%", "10%", "25%", "50%")]
    return parse(
        {
            "metadata": {"namespace": "ml", "name": "fraud", "uid": "u", "generation": 1},
            "spec": {
                "model": {"version": "2"},
                "serving": {
                    "runtime": "mlserver",
                    "template": {"spec": {"containers": [{"name": "m", "image": "i:1"}]}},
                },
                "traffic": {"gatewayAPI": {"parentRefs": [{"name": "gw"}]}},
                "strategy": {"canary": {"steps": steps, "blastRadius": "0.25%", "stepDeadline": "60m", **canary}},
                "analysis": {
                    "interval": "15s",
                    "metrics": [
                        {"preset": "errors"},
                        {"name": "fallbacks", "ratio": {"bad": "fallbacks_total{$arm}", "total": "all_total{$arm}"}},
                    ],
                },
            },
        }
    )


def run(
    candidate: float,
    *,
    stable: float = 0.001,
    rps: float = 100.0,
    seed: str = "1",
    deadline: str = "60m",
    **more: Any,  # noqa: ANN401
) -> Run:
    """
    One rollout; the second metric is the same on both arms.
    """
    rates = {"errors": Rates(stable, candidate), "fallbacks": Rates(0.001, 0.001)}
    return simulate(deployment(stepDeadline=deadline), TrafficModel(rps=rps, rates=rates, **more), seed)


def test_a_healthy_candidate_is_promoted_step_by_step() -> None:
    found = run(0.001)
    assert (found.outcome, found.culprit) == (Outcome.PROMOTED, None)
    assert [str(moment.percent) for moment in found.moments] == ["0", "5", "10", "25", "50", "100"]
    assert found.requests == pytest.approx(100 * found.seconds, rel=0.02)


def test_a_failing_candidate_is_rolled_back_and_the_metric_named() -> None:
    found = run(0.5)
    assert (found.outcome, found.culprit) == (Outcome.ROLLED_BACK, "errors")
    assert found.seconds < 60
    assert found.moments[-1].percent == 0
    assert found.bad > 0


def test_without_traffic_enough_the_step_ends_undecided() -> None:
    found = run(0.001, rps=0.05)
    assert (found.outcome, found.culprit) == (Outcome.INCONCLUSIVE, None)
    assert found.seconds >= 3600


def test_equal_seeds_give_equal_runs() -> None:
    assert run(0.002, seed="a") == run(0.002, seed="a") != run(0.002, seed="b")


def test_a_late_onset_is_found_late() -> None:
    """Ten minutes after the first request, and one minute into the last step."""
    late = run(0.5, onset=Onset(120.0))
    last = run(0.5, onset=Onset(60.0, in_last_step=True))
    assert (late.outcome, last.outcome) == (Outcome.ROLLED_BACK, Outcome.ROLLED_BACK)
    assert 120 < late.seconds < 200
    began = next(moment.seconds for moment in last.moments if moment.percent == 50)
    assert began + 60 < last.seconds < began + 120


def test_clusters_that_the_history_shows_roll_no_healthy_candidate_back() -> None:
    """Clusters of ten: with ten pods in stable the overdispersion is known beforehand; with one it is not."""
    worlds = {"stable_pods": 10, "candidate_pods": 2, "burst": 10.0}
    found = [run(0.01, stable=0.01, seed=str(n), deadline="5m", **worlds).outcome for n in range(8)]
    assert Outcome.ROLLED_BACK not in found


def test_many_runs_in_a_few_numbers() -> None:
    found = summarize([run(0.5, seed=str(n)) for n in range(20)]).as_json()
    assert (found["runs"], found["promoted"], found["rolledBack"], found["inconclusive"]) == (20, 0, 20, 0)
    assert found["culprits"] == {"errors": 20}
    for spread in (found["badRequests"], found["totalRequests"], found["seconds"]):
        assert 0 < spread["p50"] <= spread["p95"]
        assert spread["mean"] > 0


def test_every_judged_metric_needs_rates() -> None:
    with pytest.raises(ValueError, match="no rates for fallbacks"):
        simulate(deployment(), TrafficModel(rps=1.0, rates={"errors": Rates(0.0, 0.0)}), "1")


def test_an_operator_that_dies_after_every_look_decides_alike() -> None:
    """All it needs is in the status."""
    for candidate in (0.001, 0.004, 0.2):
        model = TrafficModel(rps=100.0, rates={"errors": Rates(0.001, candidate), "fallbacks": Rates(0.001, 0.001)})
        assert simulate(deployment(), model, "1", restarts=True) == simulate(deployment(), model, "1")
