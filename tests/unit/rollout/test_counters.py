from fakes.rollout import CONTOUR, spec

from modelramp.api.spec import Metric, Runtime
from modelramp.rollout.counters import (
    GATEWAY_COUNTERS,
    RUNTIME_COUNTERS,
    ArmSelectors,
    CounterTemplate,
    arm_selectors,
    in_flight_selector,
    template_of,
)

WHERE = ("ml", "fraud", "0123456789")
ERRORS = spec().analysis.metrics[0]
CLUSTER = 'envoy_cluster_name="ml_fraud-0123456789_80"'
PODS = 'namespace="ml",pod=~"fraud-0123456789-[a-z0-9]+-[a-z0-9]+"'


def test_the_gateway_s_counters_are_those_of_its_controller() -> None:
    """
    Without a known controller the operator knows no counters.
    """
    found = [template_of(ERRORS, Runtime.CUSTOM, name) for name in (CONTOUR, "example.com/unknown", None)]
    assert found == [GATEWAY_COUNTERS[CONTOUR], None, None]


def test_the_runtime_s_counters_are_those_of_the_model_server() -> None:
    """
    A custom runtime has none that the operator knows.
    """
    metric = Metric.model_validate({"preset": "errors", "origin": "Runtime"})
    found = [template_of(metric, runtime, CONTOUR) for runtime in (Runtime.MLSERVER, Runtime.CUSTOM)]
    assert found == [RUNTIME_COUNTERS[Runtime.MLSERVER], None]


def test_a_ratio_brings_its_own_counters() -> None:
    """
    Gateway and runtime do not matter to it.
    """
    metric = Metric.model_validate(
        {"name": "fraud", "ratio": {"total": "answers_total{$arm}", "bad": 'answers_total{ok="false",$arm}'}}
    )
    assert template_of(metric, Runtime.CUSTOM, None) == CounterTemplate(
        total="answers_total{$arm}", bad='answers_total{ok="false",$arm}'
    )


def test_gateway_selectors_name_the_revision_s_service() -> None:
    """
    Contour's cluster name is made of namespace, Service and port.
    """
    assert arm_selectors(GATEWAY_COUNTERS[CONTOUR], *WHERE) == ArmSelectors(
        total=f"envoy_cluster_upstream_rq_xx{{{CLUSTER}}}",
        bad=f'envoy_cluster_upstream_rq_xx{{{CLUSTER},envoy_response_code_class="5"}}',
    )


def test_runtime_selectors_name_the_revision_s_pods() -> None:
    """
    `$arm` becomes the matchers of its pods.
    """
    found = arm_selectors(RUNTIME_COUNTERS[Runtime.MLSERVER], *WHERE)
    assert found.total == f'rest_server_requests_total{{path=~".*/infer",{PODS}}}'


def test_requests_in_flight_are_told_by_gateways_only() -> None:
    """
    A model server's counters have no gauge of them.
    """
    found = [
        in_flight_selector(template, *WHERE) for template in (*GATEWAY_COUNTERS.values(), *RUNTIME_COUNTERS.values())
    ]
    assert found == [f"envoy_cluster_upstream_rq_active{{{CLUSTER}}}", None]
