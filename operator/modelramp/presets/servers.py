"""
Rows of general model servers. Without a word about it, the arm is told by the scrape's namespace and pod.
"""

from typing import Final

from modelramp.presets.rows import Layer, Page, Preset, Raw, Row, Source, counter, gauge, histogram, mean, ratio

_PODS: Final = "namespace and pod, set by the scrape"

TF_SERVING: Final = Page(
    source=Source.TF_SERVING,
    layer=Layer.RUNTIME,
    title="TensorFlow Serving",
    where="8501 /monitoring/prometheus/metrics",
    needs="--monitoring_config_file with prometheus_config enabled",
    arm=_PODS,
    documentation="tensorflow/serving servables/tensorflow/util.cc, batching/batching_session.cc, "
    "util/prometheus_exporter.cc",
)
TORCHSERVE: Final = Page(
    source=Source.TORCHSERVE,
    layer=Layer.RUNTIME,
    title="TorchServe",
    where="8082 /metrics",
    needs="metrics_mode=prometheus",
    arm=f"{_PODS}; model_version on some series",
    documentation="pytorch/serve docs/metrics.md, ts/configs/metrics.yaml",
)
MLSERVER: Final = Page(
    source=Source.MLSERVER,
    layer=Layer.RUNTIME,
    title="MLServer",
    where="8082 /metrics",
    needs="",
    arm=_PODS,
    documentation="SeldonIO/MLServer mlserver/rest/app.py, mlserver/parallel/dispatcher.py; starlette_exporter",
)
KSERVE: Final = Page(
    source=Source.KSERVE,
    layer=Layer.RUNTIME,
    title="KServe's Python model servers",
    where="8080 /metrics",
    needs="",
    arm=_PODS,
    documentation="kserve/kserve python/kserve/kserve/metrics.py, model.py",
)
SELDON: Final = Page(
    source=Source.SELDON,
    layer=Layer.RUNTIME,
    title="Seldon Core 2",
    where="the agent's metrics port of each server pod",
    needs="a server of its own for each revision; on shared servers tell the arm by model_internal",
    arm=_PODS,
    documentation="SeldonIO/seldon-core scheduler/pkg/metrics/agent.go",
)
BENTOML: Final = Page(
    source=Source.BENTOML,
    layer=Layer.RUNTIME,
    title="BentoML",
    where="3000 /metrics",
    needs="",
    arm=f"{_PODS}; service_version is the Bento's",
    documentation="bentoml docs, observability/metrics.rst; _internal/server/http/instruments.py",
)
RAY_SERVE: Final = Page(
    source=Source.RAY_SERVE,
    layer=Layer.RUNTIME,
    title="Ray Serve",
    where="8080 /metrics of each Ray node",
    needs="--metrics-export-port; older Ray names its counters without _total",
    arm=_PODS,
    documentation="https://docs.ray.io/en/latest/serve/monitoring.html",
)

_INFER = 'path=~".*/infer"'
_NOT_RAY_S = 'route!~"/-/.*"'

ROWS: Final = (
    Row(
        TF_SERVING,
        Preset.ERRORS,
        ratio(':tensorflow:serving:request_count{status!="OK",$arm}', ":tensorflow:serving:request_count{$arm}"),
        "Requests that did not end as OK, of all requests.",
        "Whose fault it was: requests that the client made wrongly count too.",
    ),
    Row(
        TF_SERVING,
        Preset.LATENCY,
        histogram(":tensorflow:serving:request_latency_bucket{$arm}", Raw.MICROSECONDS),
        "Time of a request in the server.",
        "Sending the answer.",
    ),
    Row(
        TF_SERVING,
        Preset.THROUGHPUT,
        counter(":tensorflow:serving:request_count{$arm}", Raw.REQUESTS),
        "Requests that ended, whatever their status.",
        "Requests that a dead server did not get to count.",
    ),
    Row(
        TF_SERVING,
        Preset.QUEUE_TIME,
        histogram(":tensorflow:serving:batching_session:queuing_latency_bucket{$arm}", Raw.MICROSECONDS),
        "Time a request waited for its batch.",
        "Anything without batching: the series are not there then.",
    ),
    Row(
        TORCHSERVE,
        Preset.ERRORS,
        ratio("Requests5XX{$arm}", '{__name__=~"Requests[245]XX",$arm}'),
        "Answers 5xx of all answers of the pod.",
        "Which model it was; the server's other requests count too.",
    ),
    Row(
        TORCHSERVE,
        Preset.LATENCY,
        mean("ts_inference_latency_microseconds{$arm}", "ts_inference_requests_total{$arm}", Raw.MICROSECONDS),
        "Mean time of an inference.",
        "How slow the slowest are: there is no distribution.",
    ),
    Row(
        TORCHSERVE,
        Preset.THROUGHPUT,
        counter("ts_inference_requests_total{$arm}", Raw.REQUESTS),
        "Requests for an inference.",
        "Requests that a dead server did not get to count.",
    ),
    Row(
        TORCHSERVE,
        Preset.QUEUE_TIME,
        mean("ts_queue_latency_microseconds{$arm}", "ts_inference_requests_total{$arm}", Raw.MICROSECONDS),
        "Mean time a request waited for a worker.",
        "How long the longest wait was.",
    ),
    # MLServer 1.7: one series per path and status code; the inference paths of the V2 protocol end in /infer.
    Row(
        MLSERVER,
        Preset.ERRORS,
        ratio(
            f'rest_server_requests_total{{{_INFER},status_code=~"5..",$arm}}',
            f"rest_server_requests_total{{{_INFER},$arm}}",
        ),
        "Answers 5xx of all answers to inference requests over REST.",
        "Requests over gRPC, and all that a dead server did not get to count.",
    ),
    Row(
        MLSERVER,
        Preset.LATENCY,
        histogram(f"rest_server_request_duration_seconds_bucket{{{_INFER},$arm}}", Raw.SECONDS),
        "Time of an inference request over REST.",
        "Requests over gRPC; anything above the largest bucket.",
    ),
    Row(
        MLSERVER,
        Preset.THROUGHPUT,
        counter(f"rest_server_requests_total{{{_INFER},$arm}}", Raw.REQUESTS),
        "Inference requests over REST.",
        "Requests over gRPC.",
    ),
    Row(
        MLSERVER,
        Preset.QUEUE,
        histogram("parallel_request_queue_bucket{$arm}", Raw.REQUESTS),
        "Length of the queue before the worker processes, as each request found it.",
        "Anything without parallel workers.",
    ),
    Row(
        MLSERVER,
        Preset.IN_FLIGHT,
        gauge("rest_server_requests_in_progress{$arm}", Raw.REQUESTS),
        "Requests over REST that are begun and not answered.",
        "Which are inference: health checks and the scrape itself count too.",
    ),
    Row(
        KSERVE,
        Preset.LATENCY,
        histogram("request_predict_seconds_bucket{$arm}", Raw.SECONDS),
        "Time of the predict step, failed calls included.",
        "Steps before and after it; anything above 10 s, the largest bucket.",
    ),
    Row(
        KSERVE,
        Preset.THROUGHPUT,
        counter("request_predict_seconds_count{$arm}", Raw.REQUESTS),
        "Attempts to predict, failed ones included.",
        "Requests that failed before the predict step.",
    ),
    Row(
        SELDON,
        Preset.ERRORS,
        ratio('seldon_model_infer_total{code!~"2..|OK",$arm}', "seldon_model_infer_total{$arm}"),
        "Calls that ended neither as 2xx nor as OK, of all calls.",
        "Whose fault it was: requests that the client made wrongly count too.",
    ),
    Row(
        SELDON,
        Preset.LATENCY,
        mean("seldon_model_infer_seconds_total{$arm}", "seldon_model_infer_total{$arm}", Raw.SECONDS),
        "Mean time of a call of the model.",
        "How slow the slowest are: the distribution is kept per server only.",
    ),
    Row(
        SELDON,
        Preset.THROUGHPUT,
        counter("seldon_model_infer_total{$arm}", Raw.REQUESTS),
        "Calls of the model.",
        "Calls that a dead server did not get to count.",
    ),
    Row(
        BENTOML,
        Preset.ERRORS,
        ratio('bentoml_service_request_total{http_response_code=~"5..",$arm}', "bentoml_service_request_total{$arm}"),
        "Answers 5xx of all answers.",
        "Requests that a dead server did not get to count.",
    ),
    Row(
        BENTOML,
        Preset.LATENCY,
        histogram("bentoml_service_request_duration_seconds_bucket{$arm}", Raw.SECONDS),
        "Time of a request in the server.",
        "Anything above the largest bucket, which the service's configuration sets.",
    ),
    Row(
        BENTOML,
        Preset.THROUGHPUT,
        counter("bentoml_service_request_total{$arm}", Raw.REQUESTS),
        "Requests that were answered.",
        "Which reached the user: calls between the parts of a service count too.",
    ),
    Row(
        BENTOML,
        Preset.IN_FLIGHT,
        gauge("bentoml_service_request_in_progress{$arm}", Raw.REQUESTS),
        "Requests that are begun and not answered.",
        "Whether they are worked on or wait for a batch.",
    ),
    Row(
        RAY_SERVE,
        Preset.ERRORS,
        ratio(
            f'ray_serve_num_http_error_requests_total{{{_NOT_RAY_S},error_code=~"5..",$arm}}',
            f"ray_serve_num_http_requests_total{{{_NOT_RAY_S},$arm}}",
        ),
        "Answers 5xx of all answers over HTTP, without Ray's own paths.",
        "Requests over gRPC.",
    ),
    Row(
        RAY_SERVE,
        Preset.LATENCY,
        histogram(f"ray_serve_http_request_latency_ms_bucket{{{_NOT_RAY_S},$arm}}", Raw.MILLISECONDS),
        "Time of a request over HTTP at Ray's proxy.",
        "Requests over gRPC.",
    ),
    Row(
        RAY_SERVE,
        Preset.THROUGHPUT,
        counter(f"ray_serve_num_http_requests_total{{{_NOT_RAY_S},$arm}}", Raw.REQUESTS),
        "Requests over HTTP, without Ray's own paths.",
        "Requests over gRPC.",
    ),
    Row(
        RAY_SERVE,
        Preset.QUEUE,
        gauge("ray_serve_deployment_queued_queries{$arm}", Raw.REQUESTS),
        "Calls that wait to be given to a replica.",
        "Calls that a replica has taken and not begun.",
    ),
    Row(
        RAY_SERVE,
        Preset.IN_FLIGHT,
        gauge("ray_serve_replica_processing_queries{$arm}", Raw.REQUESTS),
        "Calls that replicas work on.",
        "How many requests of users they belong to: a chain of deployments counts each call.",
    ),
)
