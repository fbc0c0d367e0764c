"""
Rows of NVIDIA's servers: Triton, TensorRT-LLM's own server, and Dynamo's frontend.
"""

from typing import Final

from modelramp.presets.rows import Across, Layer, Page, Preset, Raw, Row, Source, counter, gauge, histogram, mean, ratio

_PODS: Final = "namespace and pod, set by the scrape"

TRITON: Final = Page(
    source=Source.TRITON,
    layer=Layer.RUNTIME,
    title="Triton Inference Server",
    where="8002 /metrics",
    needs="",
    arm=f"{_PODS}; version on the series of models",
    documentation="triton-inference-server/server docs/user_guide/metrics.md, core src/metric_model_reporter.cc",
)
TRT_LLM: Final = Page(
    source=Source.TRT_LLM,
    layer=Layer.RUNTIME,
    title="TensorRT-LLM's trtllm-serve",
    where="/metrics of the server's port",
    needs="return_perf_metrics for requests, enable_iter_perf_stats for queue, in-flight and saturation",
    arm=_PODS,
    documentation="NVIDIA/TensorRT-LLM tensorrt_llm/metrics/collector.py",
)
DYNAMO: Final = Page(
    source=Source.DYNAMO,
    layer=Layer.RUNTIME,
    title="NVIDIA Dynamo's frontend",
    where="8000 /metrics",
    needs="a frontend of its own for each revision, and the default metric prefix",
    arm=_PODS,
    documentation="ai-dynamo/dynamo lib/runtime/src/metrics/prometheus_names.rs; "
    "docs.nvidia.com/dynamo, metrics catalog",
)

_CANCELLED_NOT = 'reason!="CANCELED"'

ROWS: Final = (
    Row(
        TRITON,
        Preset.ERRORS,
        ratio(
            f"nv_inference_request_failure{{{_CANCELLED_NOT},$arm}}",
            f'{{__name__=~"nv_inference_request_(success|failure)",{_CANCELLED_NOT},$arm}}',
        ),
        "Requests that failed, of all requests; those that the client cancelled are in neither.",
        "Which step of an ensemble failed: its failure is counted for the ensemble too.",
    ),
    Row(
        TRITON,
        Preset.LATENCY,
        mean("nv_inference_request_duration_us{$arm}", "nv_inference_request_success{$arm}", Raw.MICROSECONDS),
        "Mean time of successful requests in the server.",
        "How slow the slowest are: a distribution is not there unless summaries are switched on.",
    ),
    Row(
        TRITON,
        Preset.THROUGHPUT,
        counter('{__name__=~"nv_inference_request_(success|failure)",$arm}', Raw.REQUESTS),
        "Requests that ended.",
        "How many inferences were in them.",
    ),
    Row(
        TRITON,
        Preset.TTFT,
        histogram("nv_inference_first_response_histogram_ms_bucket{$arm}", Raw.MILLISECONDS),
        "Time to the first response of a decoupled model.",
        "Anything of other models, or without histogram_latencies=true.",
    ),
    Row(
        TRITON,
        Preset.QUEUE,
        gauge("nv_inference_pending_request_count{$arm}", Raw.REQUESTS),
        "Requests that wait for a model instance.",
        "For how long.",
    ),
    Row(
        TRITON,
        Preset.QUEUE_TIME,
        mean("nv_inference_queue_duration_us{$arm}", "nv_inference_request_success{$arm}", Raw.MICROSECONDS),
        "Mean time successful requests waited for a model instance.",
        "How long the longest wait was.",
    ),
    Row(
        TRITON,
        Preset.GPU,
        gauge("nv_gpu_utilization{$arm}", Raw.RATIO, Across.MEAN),
        "Share of time in which anything ran on the GPU; the mean of the pods' GPUs.",
        "How much of the GPU was used meanwhile.",
    ),
    Row(
        TRITON,
        Preset.GPU_MEMORY,
        gauge("nv_gpu_memory_used_bytes{$arm}", Raw.BYTES),
        "Memory in use on the pods' GPUs.",
        "Whose it is: other users of a shared GPU count too.",
    ),
    Row(
        TRT_LLM,
        Preset.ERRORS,
        ratio("trtllm_request_error_total{$arm}", '{__name__=~"trtllm_request_(success|error)_total",$arm}'),
        "Requests that ended in an error, of all that ended.",
        "Anything true without return_perf_metrics: only errors are counted then.",
    ),
    Row(
        TRT_LLM,
        Preset.LATENCY,
        histogram("trtllm_e2e_request_latency_seconds_bucket{$arm}", Raw.SECONDS),
        "Time of a whole request.",
        "How much of it is owed to the answer's length.",
    ),
    Row(
        TRT_LLM,
        Preset.THROUGHPUT,
        counter('{__name__=~"trtllm_request_(success|error)_total",$arm}', Raw.REQUESTS),
        "Requests that ended.",
        "Requests that a dead server did not get to count.",
    ),
    Row(
        TRT_LLM,
        Preset.TTFT,
        histogram("trtllm_time_to_first_token_seconds_bucket{$arm}", Raw.SECONDS),
        "Time to the first token.",
        "The way of the token to the client.",
    ),
    Row(
        TRT_LLM,
        Preset.ITL,
        histogram("trtllm_time_per_output_token_seconds_bucket{$arm}", Raw.SECONDS),
        "Time per token of a request.",
        "Stalls inside an answer: each request has one mean.",
    ),
    Row(
        TRT_LLM,
        Preset.TOKENS,
        counter("trtllm_generation_tokens_total{$arm}", Raw.TOKENS),
        "Tokens that were generated.",
        "Whether anybody received them.",
    ),
    Row(
        TRT_LLM,
        Preset.QUEUE,
        gauge("trtllm_num_requests_waiting{$arm}", Raw.REQUESTS),
        "Requests that wait for the scheduler.",
        "For how long.",
    ),
    Row(
        TRT_LLM,
        Preset.QUEUE_TIME,
        histogram("trtllm_request_queue_time_seconds_bucket{$arm}", Raw.SECONDS),
        "Time a request waited for the scheduler.",
        "Requests that still wait.",
    ),
    Row(
        TRT_LLM,
        Preset.IN_FLIGHT,
        gauge("trtllm_num_requests_running{$arm}", Raw.REQUESTS),
        "Requests that are being worked on.",
        "Requests that wait.",
    ),
    Row(
        TRT_LLM,
        Preset.SATURATION,
        gauge("trtllm_kv_cache_utilization{$arm}", Raw.RATIO, Across.MAX),
        "Share of the key-value cache in use, of the fullest pod.",
        "How much of it could be taken back.",
    ),
    Row(
        DYNAMO,
        Preset.ERRORS,
        ratio(
            'dynamo_frontend_requests_total{status="error",error_type!~"validation|not_found|cancelled",$arm}',
            "dynamo_frontend_requests_total{$arm}",
        ),
        "Requests that failed by the server's fault, of all requests.",
        "Which worker it was.",
    ),
    Row(
        DYNAMO,
        Preset.ABORTS,
        ratio(
            'dynamo_frontend_requests_total{status="error",error_type="cancelled",$arm}',
            "dynamo_frontend_requests_total{$arm}",
        ),
        "Requests that were cancelled, of all requests.",
        "Why they were.",
    ),
    Row(
        DYNAMO,
        Preset.LATENCY,
        histogram("dynamo_frontend_request_duration_seconds_bucket{$arm}", Raw.SECONDS),
        "Time of a whole request at the frontend.",
        "How much of it is owed to the answer's length.",
    ),
    Row(
        DYNAMO,
        Preset.THROUGHPUT,
        counter("dynamo_frontend_requests_total{$arm}", Raw.REQUESTS),
        "Requests that ended.",
        "Which worker answered.",
    ),
    Row(
        DYNAMO,
        Preset.TTFT,
        histogram("dynamo_frontend_time_to_first_token_seconds_bucket{$arm}", Raw.SECONDS),
        "Time to the first token at the frontend.",
        "The way of the token to the client.",
    ),
    Row(
        DYNAMO,
        Preset.ITL,
        histogram("dynamo_frontend_inter_token_latency_seconds_bucket{$arm}", Raw.SECONDS),
        "Time between two tokens at the frontend.",
        "The way of the tokens to the client.",
    ),
    Row(
        DYNAMO,
        Preset.TOKENS,
        counter("dynamo_frontend_output_tokens_total{$arm}", Raw.TOKENS),
        "Tokens that were generated.",
        "Whether anybody received them.",
    ),
    Row(
        DYNAMO,
        Preset.INPUT_LENGTH,
        histogram("dynamo_frontend_input_sequence_tokens_bucket{$arm}", Raw.TOKENS),
        "Tokens of the prompts.",
        "How many of them came from a cache.",
    ),
    Row(
        DYNAMO,
        Preset.OUTPUT_LENGTH,
        histogram("dynamo_frontend_output_sequence_tokens_bucket{$arm}", Raw.TOKENS),
        "Tokens of the answers.",
        "Whether they were cut at a limit.",
    ),
    Row(
        DYNAMO,
        Preset.QUEUE,
        gauge("dynamo_frontend_queued_requests{$arm}", Raw.REQUESTS),
        "Requests in the frontend's queue.",
        "For how long.",
    ),
    Row(
        DYNAMO,
        Preset.IN_FLIGHT,
        gauge("dynamo_frontend_inflight_requests{$arm}", Raw.REQUESTS),
        "Requests that the frontend has begun and not answered.",
        "Which of them still wait for a token.",
    ),
)
