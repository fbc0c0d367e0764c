import pytest
from fakes.rollout import CONTOUR, spec

from modelramp.api.spec import Metric, Runtime
from modelramp.presets import Preset, Source, selectors
from modelramp.rollout.counters import (
    ArmSelectors,
    BucketSelectors,
    BucketTemplate,
    CounterTemplate,
    Template,
    arm_selectors,
    filled,
    gateway_counters,
    history_template,
    in_flight_selector,
    template_of,
)

WHERE = ("ml", "fraud", "0123456789")
ERRORS = spec().analysis.metrics[0]
CLUSTER = 'envoy_cluster_name="ml_fraud-0123456789_80"'
PODS = 'namespace="ml",pod=~"fraud-0123456789-[a-z0-9]+-[a-z0-9]+"'
OTHER = "example.com/unknown"
ISTIO = "istio.io/virtual-service"


def preset(name: str, **changes: str) -> Metric:
    """
    A metric of that preset.
    """
    return Metric.model_validate({"preset": name, **changes})


def gateway() -> CounterTemplate:
    """
    What Contour's Envoy tells of requests.
    """
    found = gateway_counters(CONTOUR)
    assert found is not None
    return found


def test_the_gateway_s_counters_are_those_of_its_controller() -> None:
    """
    Without a known controller the operator knows no counters.
    """
    bad, total = selectors(Preset.ERRORS, Source.ENVOY)
    assert (gateway().bad, gateway().total) == (bad, total)
    assert [gateway_counters(name) for name in (OTHER, None)] == [None, None]
    assert gateway_counters(ISTIO) is None  # it has no gauge of requests in flight, so nothing is known to be drained


@pytest.mark.parametrize(
    ("metric", "runtime", "controller", "source"),
    [
        (ERRORS, Runtime.MLSERVER, CONTOUR, "envoy"),
        (ERRORS, Runtime.MLSERVER, OTHER, "rest_server"),
        (ERRORS, Runtime.CUSTOM, CONTOUR, "envoy"),
        (ERRORS, Runtime.CUSTOM, OTHER, None),
        (ERRORS, Runtime.CUSTOM, ISTIO, "istio_requests_total"),
        (preset("errors", origin="Runtime"), Runtime.MLSERVER, CONTOUR, "rest_server"),
        (preset("errors", origin="Runtime"), Runtime.CUSTOM, CONTOUR, None),
        (preset("errors", origin="Gateway"), Runtime.MLSERVER, OTHER, None),
        (preset("latency"), Runtime.MLSERVER, CONTOUR, "rest_server"),
        (preset("latency"), Runtime.CUSTOM, CONTOUR, "envoy"),
        (preset("latency", origin="Gateway"), Runtime.MLSERVER, CONTOUR, "envoy"),
        (preset("latency"), Runtime.TORCHSERVE, CONTOUR, "envoy"),
        (preset("latency"), Runtime.TORCHSERVE, OTHER, None),
    ],
    ids=[
        "errors, by the gateway first",
        "errors, else by the server",
        "errors of an unknown server",
        "errors nobody tells",
        "errors by the mesh",
        "errors by the server, as the spec says",
        "errors by a server that is not known",
        "errors by a gateway that is not known",
        "latency, by the server first",
        "latency, else by the gateway",
        "latency by the gateway, as the spec says",
        "latency of a server that knows only its mean",
        "latency nobody tells by buckets",
    ],
)
def test_a_preset_is_read_from_who_knows_it_best(
    metric: Metric, runtime: Runtime, controller: str, source: str | None
) -> None:
    """
    A crashed server counts no errors; all else the server knows better than the gateway.
    """
    found = template_of(metric, runtime, controller)
    assert (None if found is None else text_of(found).split("_")[0]) == (source and source.split("_")[0])


@pytest.mark.parametrize("controller", [CONTOUR, ISTIO, OTHER, None])
@pytest.mark.parametrize("runtime", [Runtime.MLSERVER, Runtime.CUSTOM])
def test_how_answers_differ_the_comparator_alone_tells(runtime: Runtime, controller: str | None) -> None:
    """
    Whatever the gateway and the server; of the namespace's comparators, and of pairs that were compared.
    """
    found = template_of(preset("disagreement"), runtime, controller)
    assert isinstance(found, CounterTemplate)
    assert history_template(preset("disagreement"), runtime, controller) == found
    assert (found.in_flight, found.tells_pods) == (None, False)
    own = 'namespace="ml",revision="0123456789",pod=~"fraud-[0-9a-f]{9,10}.*"'
    compared = f'{own},outcome=~"agree|disagree"'
    assert arm_selectors(found, *WHERE) == ArmSelectors(
        total=f"modelramp_comparator_pairs_total{{{compared}}}",
        bad=f'modelramp_comparator_pairs_total{{{compared},outcome="disagree"}}',
    )


def text_of(template: Template) -> str:
    """
    The selector of all events.
    """
    return template.buckets if isinstance(template, BucketTemplate) else template.total


def test_a_ratio_brings_its_own_counters() -> None:
    """
    Gateway and runtime do not matter to it.
    """
    metric = Metric.model_validate(
        {"name": "fraud", "ratio": {"total": "answers_total{$arm}", "bad": 'answers_total{ok="false",$arm}'}}
    )
    own = CounterTemplate(total="answers_total{$arm}", bad='answers_total{ok="false",$arm}')
    assert [read(metric, Runtime.CUSTOM, None) for read in (template_of, history_template)] == [own, own]


@pytest.mark.parametrize(
    ("unit", "factor"), [("Seconds", 1.0), ("Milliseconds", 0.001), ("Microseconds", 0.000001)], ids=str
)
def test_a_histogram_brings_its_own_buckets_and_their_unit(unit: str, factor: float) -> None:
    """
    Edges become seconds.
    """
    metric = Metric.model_validate({"name": "slow", "histogram": {"buckets": "took_bucket{$arm}", "unit": unit}})
    assert template_of(metric, Runtime.CUSTOM, None) == BucketTemplate(buckets="took_bucket{$arm}", factor=factor)


def test_a_gateway_s_buckets_are_milliseconds() -> None:
    """
    The factor is that of the table of presets.
    """
    found = template_of(preset("latency"), Runtime.CUSTOM, CONTOUR)
    assert isinstance(found, BucketTemplate)
    assert (found.factor, found.tells_pods) == (0.001, False)


@pytest.mark.parametrize(
    ("metric", "runtime", "by_pod"),
    [
        (ERRORS, Runtime.MLSERVER, True),
        (ERRORS, Runtime.CUSTOM, False),
        (preset("latency"), Runtime.MLSERVER, True),
        (preset("latency", origin="Gateway"), Runtime.MLSERVER, False),
    ],
    ids=["errors of a known server", "errors the gateway alone tells", "durations", "durations of the gateway"],
)
def test_the_past_of_a_rate_is_read_where_pods_are_told_apart(
    metric: Metric,
    runtime: Runtime,
    by_pod: bool,  # noqa: FBT001 - a column of the table
) -> None:
    """
    Even where the rate itself is the gateway's. The past of durations is that of the buckets that are judged.
    """
    found = history_template(metric, runtime, CONTOUR)
    assert found is not None
    assert found.tells_pods is by_pod


def test_gateway_selectors_name_the_revision_s_service() -> None:
    """
    Contour's cluster name is made of namespace, Service and port.
    """
    assert arm_selectors(gateway(), *WHERE) == ArmSelectors(
        total=f"envoy_cluster_upstream_rq_xx{{{CLUSTER}}}",
        bad=f'envoy_cluster_upstream_rq_xx{{{CLUSTER},envoy_response_code_class="5"}}',
    )


def test_runtime_selectors_name_the_revision_s_pods() -> None:
    """
    `$arm` becomes the matchers of its pods, in selectors of either kind.
    """
    rate = template_of(preset("errors", origin="Runtime"), Runtime.MLSERVER, None)
    took = template_of(preset("latency"), Runtime.MLSERVER, None)
    assert rate is not None
    assert took is not None
    answers, durations = filled(rate, *WHERE), filled(took, *WHERE)
    assert isinstance(answers, ArmSelectors)
    assert answers.total == f'rest_server_requests_total{{path=~".*/infer",{PODS}}}'
    assert durations == BucketSelectors(
        buckets=f'rest_server_request_duration_seconds_bucket{{path=~".*/infer",{PODS}}}', factor=1.0
    )


def test_requests_in_flight_are_told_by_gateways_only() -> None:
    """
    A user's own counters have no gauge of them.
    """
    found = [in_flight_selector(one, *WHERE) for one in (gateway(), CounterTemplate(total="a{$arm}", bad="b{$arm}"))]
    assert found == [f"envoy_cluster_upstream_rq_active{{{CLUSTER}}}", None]
