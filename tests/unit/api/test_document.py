"""
From a stored object to the types of the core: problems with their paths, and the identity of a revision.
"""

import copy
from collections.abc import Callable
from typing import Any

import pytest
from apiserver.documents import documents, valid_documents
from apiserver.values import smallest
from hypothesis import HealthCheck, given, settings

from modelramp.api.document import InvalidSpecError, Problem, parse, parse_spec, parse_status, revision_of, traffic_hash
from modelramp.api.names import REVISION_LENGTH, workload_name
from modelramp.api.spec import (
    RUNTIME_PORTS,
    BucketUnit,
    HistogramMetric,
    Metric,
    MetricPreset,
    MetricWeight,
    MLModelDeploymentSpec,
    Prometheus,
    Runtime,
)
from modelramp.api.status import Status

Document = dict[str, Any]
quickly = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
OWN_RATIO: Document = {"name": "a", "ratio": {"bad": "a{$arm}", "total": "b{$arm}"}}


def _changed(change: Callable[[Document], object]) -> Document:
    document = smallest()
    change(document)
    return document


def _problems(document: Document) -> dict[str, str]:
    with pytest.raises(InvalidSpecError) as refused:
        parse_spec(document)
    return {problem.path: problem.message for problem in refused.value.problems}


class TestParse:
    """
    The stored object as the core sees it.
    """

    def test_reads_identity_spec_and_status(self) -> None:
        """
        All parts, with an empty memory where there is no status.
        """
        document = smallest()
        document["metadata"] |= {"uid": "u", "generation": 3, "annotations": {"a": "b"}}
        found = parse(document)
        assert (found.namespace, found.name, found.uid, found.generation) == ("default", "fraud", "u", 3)
        assert found.annotations == {"a": "b"}
        assert found.status == Status()
        assert found.revision == revision_of(parse_spec(document))
        assert found.traffic_hash == traffic_hash(found.spec)

    def test_without_annotations(self) -> None:
        """
        Absent ones are none.
        """
        document = smallest()
        document["metadata"] |= {"uid": "u", "generation": 1}
        assert parse(document).annotations == {}

    def test_port_of_the_runtime(self) -> None:
        """
        The runtime's own port, unless one is given.
        """
        document = smallest()
        document["spec"]["serving"] |= {"runtime": "mlserver", "port": None}
        assert parse_spec(document).serving.http_port == 8080
        document["spec"]["serving"]["port"] = 9000
        assert parse_spec(document).serving.http_port == 9000

    @quickly
    @given(valid_documents())
    def test_what_is_written_back_is_the_same(self, document: Document) -> None:
        """
        The wire form, read again, is the same spec and the same revision.
        """
        spec = parse_spec(document)
        again = parse_spec({**document, "spec": spec.to_wire()})
        assert revision_of(again) == revision_of(MLModelDeploymentSpec.model_validate(spec.to_wire()))
        assert again.to_wire() == spec.to_wire()

    @quickly
    @given(documents())
    def test_never_fails_otherwise_than_with_problems(self, document: Document) -> None:
        """
        Whatever the document holds: a spec, or problems each below the spec or at the name.
        """
        problems: tuple[Problem, ...] = (Problem("spec", "accepted"),)
        try:
            parse_spec(document)
        except InvalidSpecError as error:
            problems = error.problems
        assert problems
        assert all(problem.path.startswith(("spec", "metadata.name")) for problem in problems)
        assert all(problem.message for problem in problems)


class TestProblems:
    """
    Every problem at once, each with its path.
    """

    def test_paths_are_json_paths(self) -> None:
        """
        Lists by index, fields by their name on the wire.
        """
        document = smallest()
        document["metadata"]["name"] = "9a"
        document["spec"]["serving"]["warmUp"] = {"path": "/", "p95Below": "fast"}
        document["spec"]["strategy"] = {"canary": {"steps": [{"traffic": "5%"}, {"traffic": "0%"}]}}
        document["spec"]["unknown"] = 1
        assert _problems(document) == {
            "metadata.name": "must be a DNS label that begins with a letter, because Services are named after it",
            "spec.serving.warmUp.p95Below": (
                "String should match pattern '^([0-9]{1,5}h)?([0-9]{1,6}m)?([0-9]{1,7}s)?([0-9]{1,6}ms)?$'"
            ),
            "spec.strategy.canary.steps[1].traffic": "a step's traffic must be above 0%",
            "spec.unknown": "Extra inputs are not permitted",
        }

    @pytest.mark.parametrize("spec", [None, [], "x", 1])
    def test_a_spec_that_is_no_object(self, spec: object) -> None:
        """
        One problem at the spec itself.
        """
        assert _problems({**smallest(), "spec": spec}) == {"spec": "must be an object"}

    @pytest.mark.parametrize(
        "metadata",
        [None, {}, {"name": None}, {"name": 7}, {"name": ""}, {"name": "a-"}, {"name": "a.b"}, {"name": "a\n"}],
    )
    def test_a_name_that_is_no_label(self, metadata: object) -> None:
        """
        Absent, not text, or not the name of a Service.
        """
        assert list(_problems({**smallest(), "metadata": metadata})) == ["metadata.name"]

    def test_the_longest_name_leaves_room_for_a_revision(self) -> None:
        """
        48 characters are accepted, 49 are not, and with a revision they are a DNS label.
        """
        parse_spec(_changed(lambda document: document["metadata"].update(name="a" * 48)))
        too_long = _changed(lambda document: document["metadata"].update(name="a" * 49))
        assert "at most 48 characters" in _problems(too_long)["metadata.name"]
        assert len(workload_name("a" * 48, "0" * REVISION_LENGTH)) <= 63

    @pytest.mark.parametrize(
        ("spec", "path", "says"),
        [
            (
                {"strategy": {"canary": {"steps": [{"traffic": "5%"}, {"traffic": "5.0%"}]}}},
                "strategy.canary.steps",
                "rise",
            ),
            ({"strategy": {"canary": {"blastRadius": "0%"}}}, "strategy.canary.blastRadius", "above 0%"),
            ({"strategy": {"canary": {"blastRadius": "20.0001%"}}}, "strategy.canary.blastRadius", "at most 20%"),
            ({"strategy": {"canary": {"soak": "1h"}}}, "strategy.canary", "shorter than stepDeadline"),
            ({"strategy": {"canary": {}, "shadow": {}}}, "strategy", "at most one of"),
            ({"traffic": {"gatewayAPI": {}}}, "traffic.gatewayAPI", "exactly one of parentRefs"),
            ({"traffic": {}}, "traffic", "exactly one of gatewayAPI, service and istio"),
            (
                {"traffic": {"gatewayAPI": {"routeRef": {"name": "r", "backend": "b"}, "hostnames": ["a.example"]}}},
                "traffic.gatewayAPI",
                "hostnames belong to a route of its own",
            ),
            ({"strategy": {"shadow": {"mirror": "0%"}}}, "strategy.shadow.mirror", "above 0%"),
            ({"strategy": {"canary": {"shadow": {"soak": "24h"}}}}, "strategy.canary.shadow", "shorter than deadline"),
            ({"strategy": {"blueGreen": {"steps": [{"traffic": "50%"}]}}}, "strategy.blueGreen.steps", "must be 100%"),
            ({"strategy": {"blueGreen": {"bake": "1h"}}}, "strategy.blueGreen", "bake and preSwitch.soak"),
            ({"strategy": {"blueGreen": {"soak": "1h"}}}, "strategy.blueGreen", "every soak must be shorter"),
            ({"analysis": {"interval": "999ms"}}, "analysis.interval", "at least 1s"),
            ({"analysis": {"metrics": [{"preset": "errors"}] * 2}}, "analysis.metrics", "unique"),
            (
                {"analysis": {"metrics": [{}]}},
                "analysis.metrics[0]",
                "exactly one of preset, ratio, histogram and gauge",
            ),
            (
                {"analysis": {"metrics": [{"ratio": {"bad": "a{$arm}", "total": "b{$arm}"}}]}},
                "analysis.metrics[0]",
                "needs a name",
            ),
            (
                {
                    "analysis": {
                        "metrics": [{"name": "a", "origin": "Gateway", "ratio": {"bad": "a{$arm}", "total": "b{$arm}"}}]
                    }
                },
                "analysis.metrics[0]",
                "origin belongs to a preset",
            ),
            ({"analysis": {"prometheus": {"auth": {}}}}, "analysis.prometheus.auth", "exactly one of bearer and basic"),
            (
                {"analysis": {"prometheus": {"authorities": {}}}},
                "analysis.prometheus.authorities",
                "exactly one of secretRef and configMapKeyRef",
            ),
            ({"analysis": {"prometheus": {"tenant": "a/b"}}}, "analysis.prometheus.tenant", "pattern"),
            ({"automation": {"degree": "Some"}}, "automation.degree", "Input should be"),
            ({"automation": {"autoUpTo": "5%"}}, "automation", "belongs to the degree Partial"),
            ({"automation": {"freezes": [{"days": ["Mon"]}]}}, "automation.freezes[0]", "give days, from and to"),
            ({"strategy": {"keepRevisions": 6}}, "strategy.keepRevisions", "less than or equal to 5"),
            (
                {"serving": {"template": {"spec": {"containers": [{"name": "m", "image": "i"}]}}}},
                "serving",
                "needs a port",
            ),
            ({"serving": []}, "serving", "valid dictionary"),
        ],
    )
    def test_each_rule(self, spec: Document, path: str, says: str) -> None:
        """
        At the field it is about, in words that help.
        """
        problems = _problems(_changed(lambda document: document["spec"].update(spec)))
        assert list(problems) == [f"spec.{path}"]
        assert says in problems[f"spec.{path}"]

    @pytest.mark.parametrize(
        ("metric", "path", "says"),
        [
            ({"histogram": {"buckets": "a{$arm}"}}, "", "a ratio, histogram or gauge of your own needs a name"),
            ({"preset": "errors", "histogram": {"buckets": "a{$arm}"}}, "", "exactly one of"),
            ({"name": "a", "histogram": {"buckets": "a{$arm}"}, "origin": "Runtime"}, "", "origin belongs to a preset"),
            (
                {"preset": "disagreement", "origin": "Runtime"},
                "",
                "origin belongs to a preset, and not to disagreement",
            ),
            ({"preset": "disagreement", "below": "1s"}, "", "belong to a histogram"),
            ({"name": "a", "histogram": {"buckets": 'a{x="y"}'}}, ".histogram.buckets", "tell the revisions apart"),
            ({"name": "a", "histogram": {"buckets": "a{$arm}", "unit": "ms"}}, ".histogram.unit", "'Milliseconds'"),
            ({"preset": "throughput"}, ".preset", "'latency'"),
            ({"preset": "errors", "weight": "High"}, ".weight", "'Critical' or 'Normal'"),
            ({"preset": "latency", "against": {"limit": "1%"}}, "", "against belongs to a ratio"),
            ({"name": "a", "histogram": {"buckets": "a{$arm}"}, "against": {"limit": "1%"}}, "", "against belongs to"),
            ({"preset": "errors", "against": {}}, ".against.limit", "required"),
            ({"preset": "errors", "against": {"limit": "0%"}}, ".against.limit", "above 0% and at most 50%"),
            ({"preset": "errors", "against": {"limit": "50.0001%"}}, ".against.limit", "above 0% and at most 50%"),
            ({"preset": "errors", "quantile": "0.9", "mayGrow": "5%"}, "", "or to a preset of durations"),
            ({"preset": "aborts", "threshold": "1s"}, "", "or to a preset of durations"),
            ({**OWN_RATIO, "threshold": "1s"}, "", "or to a preset of durations"),
            ({"preset": "latency", "quantile": "0.9"}, "", "ask one thing of durations"),
            ({"preset": "latency", "mayGrow": "5%"}, "", "ask one thing of durations"),
            ({"preset": "latency", "below": "1s"}, "", "ask one thing of durations"),
            ({"preset": "latency", "mayGrow": "5%", "below": "1s"}, "", "ask one thing of durations"),
            ({"preset": "ttft", "quantile": "0.9", "mayGrow": "5%", "below": "1s"}, "", "ask one thing of durations"),
            ({"preset": "itl", "threshold": "1s", "quantile": "0.9"}, "", "ask one thing of durations"),
            ({"preset": "itl", "threshold": "1s", "mayGrow": "5%"}, "", "ask one thing of durations"),
            ({"preset": "itl", "threshold": "1s", "below": "1s"}, "", "ask one thing of durations"),
            ({"preset": "latency", "quantile": "0.49", "mayGrow": "5%"}, ".quantile", "match pattern"),
            ({"preset": "latency", "quantile": "1", "mayGrow": "5%"}, ".quantile", "match pattern"),
            ({"preset": "latency", "quantile": "0.999999", "mayGrow": "5%"}, ".quantile", "at most 7"),
            ({"preset": "latency", "quantile": 0.9, "mayGrow": "5%"}, ".quantile", "valid string"),
            ({"preset": "latency", "quantile": "0.9", "mayGrow": "0.0%"}, ".mayGrow", "mayGrow must be above 0%"),
            ({"preset": "latency", "quantile": "0.9", "below": "0ms"}, ".below", "above 0s"),
            ({"preset": "latency", "threshold": "0h0m"}, ".threshold", "above 0s"),
        ],
    )
    def test_each_rule_of_a_metric(self, metric: Document, path: str, says: str) -> None:
        """
        One problem each, at the metric or the field in it.
        """
        problems = _problems(_changed(lambda document: document["spec"].update(analysis={"metrics": [metric]})))
        assert list(problems) == [f"spec.analysis.metrics[0]{path}"]
        assert says in problems[f"spec.analysis.metrics[0]{path}"]

    @pytest.mark.parametrize(
        ("analysis", "path", "says"),
        [
            ({"metrics": [{"preset": "latency"}, {"preset": "errors", "name": "latency"}]}, "metrics", "unique"),
            (
                {"slices": {"label": "tenant", "values": ["a", "b", "a"]}},
                "slices.values",
                "slice values must be unique",
            ),
            ({"slices": {"label": "tenant", "values": []}}, "slices.values", "at least 1"),
            ({"slices": {"label": "tenant", "values": [*"abcdefghi"]}}, "slices.values", "at most 8"),
            ({"slices": {"label": "tenant", "values": [""]}}, "slices.values[0]", "at least 1"),
            ({"slices": {"label": "tenant", "values": ["x" * 64]}}, "slices.values[0]", "at most 63"),
            ({"slices": {"label": "my-tenant", "values": ["a"]}}, "slices.label", "match pattern"),
            ({"slices": {"values": ["a"]}}, "slices.label", "required"),
            ({"overdispersion": "0.9"}, "overdispersion", "match pattern"),
            ({"overdispersion": "1000"}, "overdispersion", "match pattern"),
            ({"overdispersion": "1.00001"}, "overdispersion", "match pattern"),
            ({"overdispersion": 2}, "overdispersion", "valid string"),
            ({"lookBack": "9m59s999ms"}, "lookBack", "between 10m and 168h"),
            ({"lookBack": "168h1ms"}, "lookBack", "between 10m and 168h"),
            ({"lookBack": "7d"}, "lookBack", "match pattern"),
            ({"onInconclusive": "Abort"}, "onInconclusive", "'Pause', 'Rollback' or 'Advance'"),
            ({"onNoData": "Advance"}, "onNoData", "'Pause' or 'Rollback'"),
        ],
    )
    def test_each_rule_of_the_analysis(self, analysis: Document, path: str, says: str) -> None:
        """
        Of slices, of the history, and of what follows a deadline.
        """
        problems = _problems(_changed(lambda document: document["spec"].update(analysis=analysis)))
        assert list(problems) == [f"spec.analysis.{path}"]
        assert says in problems[f"spec.analysis.{path}"]

    @pytest.mark.parametrize("labels", ["x", ["x"], {"a": 1}])
    def test_labels_that_are_none(self, labels: object) -> None:
        """
        Not a map, or not of text; null entries are absent, as to the API server.
        """
        document = smallest()
        document["spec"]["serving"]["template"]["metadata"] = {"labels": labels}
        assert next(iter(_problems(document))).startswith("spec.serving.template.metadata.labels")
        document["spec"]["serving"]["template"]["metadata"] = {"labels": {"a": None, "b": "c"}}
        metadata = parse_spec(document).serving.template.metadata
        assert metadata is not None
        assert metadata.labels == {"b": "c"}

    def test_a_warm_up_body_from_nowhere(self) -> None:
        """
        Exactly one source.
        """
        document = smallest()
        document["spec"]["serving"]["warmUp"] = {"path": "/", "body": {}}
        assert _problems(document) == {"spec.serving.warmUp.body": "give exactly one of value and configMapKeyRef"}

    def test_pythons_names_are_not_accepted(self) -> None:
        """
        The models' attribute names are no second spelling of the fields.
        """
        document = smallest()
        document["spec"]["serving"]["warm_up"] = {"path": "/"}
        assert list(_problems(document)) == ["spec.serving.warm_up"]

    def test_shown_to_people(self) -> None:
        """
        Path, then message; several after one another.
        """
        error = InvalidSpecError((Problem("spec.a", "is bad"), Problem("spec.b", "too")))
        assert str(error) == "spec.a: is bad; spec.b: too"

    def test_an_unreadable_status(self) -> None:
        """
        Says where, as for the spec.
        """
        with pytest.raises(InvalidSpecError) as refused:
            parse_status({"status": {"phase": "Nowhere", "stable": {"revision": "r", "version": "1"}}})
        assert [problem.path for problem in refused.value.problems] == ["status.phase", "status.stable.since"]


class TestMetrics:
    """
    What a metric says once it is read.
    """

    @pytest.mark.parametrize(
        "metric",
        [
            {"preset": "errors", "against": {"limit": "50%"}},
            {**OWN_RATIO, "against": {"limit": "0.0001%"}},
            {"preset": "aborts", "weight": "Critical"},
            {"preset": "latency"},
            {"preset": "queue-time", "quantile": "0.5", "mayGrow": "100%"},
            {"preset": "itl", "quantile": "0.99999", "below": "1ms"},
            {"name": "a", "histogram": {"buckets": "a{$arm}"}, "threshold": "250ms"},
            {"preset": "latency", "quantile": None, "mayGrow": None, "below": None, "threshold": "1s"},
        ],
    )
    def test_forms_at_their_bounds_are_accepted(self, metric: Document) -> None:
        """
        And come back from the wire as they were.
        """
        document = _changed(lambda one: one["spec"].update(analysis={"metrics": [metric]}))
        spec = parse_spec(document)
        assert parse_spec({**document, "spec": spec.to_wire()}) == spec

    @pytest.mark.parametrize("analysis", [{"lookBack": "10m"}, {"lookBack": "168h"}, {"overdispersion": "999.9999"}])
    def test_the_history_s_bounds_are_accepted(self, analysis: Document) -> None:
        """
        Included on both sides.
        """
        read = parse_spec(_changed(lambda document: document["spec"].update(analysis=analysis))).analysis.to_wire()
        assert {key: read[key] for key in analysis} == analysis

    def test_rates_and_durations_are_told_apart(self) -> None:
        """
        By the form, and of presets by what they measure.
        """
        own = Metric.model_validate(OWN_RATIO)
        histogram = Metric.model_validate({"name": "h", "histogram": {"buckets": "a{$arm}"}})
        rates = {preset for preset in MetricPreset if Metric(preset=preset).is_rate}
        assert rates == {MetricPreset.ERRORS, MetricPreset.ABORTS, MetricPreset.DISAGREEMENT}
        assert (own.is_rate, histogram.is_rate) == (True, False)
        assert [one.title for one in (own, histogram, Metric(preset=MetricPreset.QUEUE_TIME))] == [
            "a",
            "h",
            "queue-time",
        ]

    def test_a_quantile_is_the_number_written(self) -> None:
        """
        Not one beside it.
        """
        asked = Metric.model_validate({"preset": "latency", "quantile": "0.999", "mayGrow": "20%"})
        assert asked.quantile_fraction == 0.999
        assert Metric(preset=MetricPreset.LATENCY).quantile_fraction is None

    def test_units_turn_edges_into_seconds(self) -> None:
        """
        Seconds unless said otherwise.
        """
        assert HistogramMetric(buckets="a{$arm}").unit.factor == 1.0
        factors = {unit: unit.factor for unit in BucketUnit}
        assert factors == {BucketUnit.SECONDS: 1.0, BucketUnit.MILLISECONDS: 1e-3, BucketUnit.MICROSECONDS: 1e-6}

    def test_without_metrics_errors_and_latency_are_judged(self) -> None:
        """
        The latency by its default question: the 99th percentile may grow by 20 %.
        """
        metrics = parse_spec(smallest()).analysis.metrics
        assert [metric.title for metric in metrics] == ["errors", "latency"]
        assert all(metric.weight is MetricWeight.NORMAL and metric.quantile is None for metric in metrics)

    def test_every_known_runtime_brings_a_port(self) -> None:
        """
        Only the custom one needs to be told.
        """
        known = {runtime for runtime in Runtime if runtime is not Runtime.CUSTOM}
        assert set(RUNTIME_PORTS) == known
        for runtime in known:
            document = smallest()
            document["spec"]["serving"] |= {"runtime": str(runtime), "port": None}
            assert parse_spec(document).serving.http_port == RUNTIME_PORTS[runtime]


class TestRevision:
    """
    The identity of what the pods are made from.
    """

    def test_is_stable_over_versions(self) -> None:
        """
        A changed value here means: every model of every user is rolled out anew on upgrade.
        """
        assert revision_of(parse_spec(smallest())) == "6d1a6ba530"

    @pytest.mark.parametrize(
        "change",
        [
            pytest.param(lambda spec: spec["serving"].update(replicas=7), id="replicas"),
            pytest.param(lambda spec: spec["serving"].update(warmUp={"path": "/"}), id="warm-up"),
            pytest.param(lambda spec: spec["serving"].update(runtime="custom", replicas=1), id="defaults written out"),
            pytest.param(lambda spec: spec["model"].update(uri=None), id="null"),
            pytest.param(lambda spec: spec.update(strategy={"progressDeadline": "1h"}), id="strategy"),
            pytest.param(lambda spec: spec.update(analysis={"interval": "5s"}), id="analysis"),
            pytest.param(lambda spec: spec["traffic"]["gatewayAPI"].update(path="/v1"), id="traffic"),
            pytest.param(lambda spec: spec.update(dict(reversed(list(spec.items())))), id="order of keys"),
        ],
    )
    def test_is_unchanged_by(self, change: Callable[[Document], object]) -> None:
        """
        What leaves the pods alone.
        """
        changed = _changed(lambda document: change(document["spec"]))
        assert revision_of(parse_spec(changed)) == revision_of(parse_spec(smallest()))

    def test_is_unchanged_by_the_order_of_keys_in_the_template(self) -> None:
        """
        Also inside what the models do not know.
        """
        first, second = smallest(), smallest()
        first["spec"]["serving"]["template"]["spec"] |= {"nodeSelector": {"a": "1", "b": "2"}, "hostname": "h"}
        second["spec"]["serving"]["template"]["spec"] |= {"hostname": "h", "nodeSelector": {"b": "2", "a": "1"}}
        assert revision_of(parse_spec(first)) == revision_of(parse_spec(second))

    @pytest.mark.parametrize(
        "change",
        [
            pytest.param(lambda spec: spec["model"].update(version="2"), id="version"),
            pytest.param(lambda spec: spec["model"].update(uri="s3://models/1"), id="uri"),
            pytest.param(lambda spec: spec["serving"].update(port=9090), id="port"),
            pytest.param(lambda spec: spec["serving"].update(runtime="mlserver"), id="runtime"),
            pytest.param(lambda spec: _container(spec).update(image="j"), id="image"),
            pytest.param(lambda spec: _container(spec).update(env=[{"name": "A", "value": "b"}]), id="env"),
            pytest.param(lambda spec: spec["serving"]["template"].update(metadata={"labels": {"a": "b"}}), id="labels"),
            pytest.param(lambda spec: spec["serving"]["template"]["spec"].update(hostname="h"), id="pod field"),
        ],
    )
    def test_is_changed_by(self, change: Callable[[Document], object]) -> None:
        """
        What makes other pods.
        """
        changed = _changed(lambda document: change(document["spec"]))
        assert revision_of(parse_spec(changed)) != revision_of(parse_spec(smallest()))

    @quickly
    @given(valid_documents())
    def test_does_not_depend_on_written_defaults(self, document: Document) -> None:
        """
        The object as the user wrote it and as the API server completes it have one revision.
        """
        spec = parse_spec(document)
        completed = {
            **copy.deepcopy(document),
            "spec": MLModelDeploymentSpec.model_dump(spec, mode="json", by_alias=True),
        }
        assert revision_of(parse_spec(completed)) == revision_of(spec)

    def test_of_the_traffic_is_its_own(self) -> None:
        """
        The hash of the route's part changes with the route's part only.
        """
        plain = parse_spec(smallest())
        moved = parse_spec(_changed(lambda document: document["spec"]["traffic"]["gatewayAPI"].update(path="/v1")))
        newer = parse_spec(_changed(lambda document: document["spec"]["model"].update(version="2")))
        assert traffic_hash(plain) == traffic_hash(newer) != traffic_hash(moved)


def _container(spec: Document) -> Document:
    container: Document = spec["serving"]["template"]["spec"]["containers"][0]
    return container


def test_an_authority_comes_from_a_secret_or_a_config_map() -> None:
    """One of the two, beside a tenant and a certificate of one's own."""
    key = {"name": "ca", "key": "ca.crt"}
    for one in ("secretRef", "configMapKeyRef"):
        source = Prometheus.model_validate({"tenant": "team-a", "authorities": {one: key}})
        assert source.to_wire()["authorities"] == {one: key}
