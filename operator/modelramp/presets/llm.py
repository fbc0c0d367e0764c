"""
Rows of engines for large language models. The arm is told by the scrape's namespace and pod.
"""

from typing import Final

from modelramp.presets.rows import Across, Layer, Page, Preset, Raw, Row, Source, counter, gauge, histogram, ratio

_PODS: Final = "namespace and pod, set by the scrape"

VLLM: Final = Page(
    source=Source.VLLM,
    layer=Layer.RUNTIME,
    title="vLLM",
    where="8000 /metrics",
    needs="",
    arm=_PODS,
    documentation="vllm-project/vllm docs/usage/metrics.md, docs/design/metrics.md, vllm/v1/metrics/loggers.py",
)
SGLANG: Final = Page(
    source=Source.SGLANG,
    layer=Layer.RUNTIME,
    title="SGLang",
    where="30000 /metrics",
    needs="--enable-metrics",
    arm=_PODS,
    documentation="sgl-project/sglang python/sglang/srt/observability/metrics_collector.py, "
    "docs/references/production_metrics.md",
)
TGI: Final = Page(
    source=Source.TGI,
    layer=Layer.RUNTIME,
    title="Text Generation Inference",
    where="80 /metrics",
    needs="",
    arm=_PODS,
    documentation="huggingface/text-generation-inference router/src/server.rs, docs/source/reference/metrics.md",
)

_OPENAI = 'handler=~"/v1/.*"'
# Schedulers show these on every rank alike, and with priorities also each priority's part of them, beside the total
# without one. A series without the labels counts as rank 0 and as the total.
_TOTAL = 'tp_rank=~"0|",priority=""'
# Not by the count of requests that arrived: some paths count a request twice. Dropped are those whose client left.
_SERVER_S = 'err!~"validation|template|dropped"'

ROWS: Final = (
    Row(
        VLLM,
        Preset.ERRORS,
        ratio(f'http_requests_total{{{_OPENAI},status="5xx",$arm}}', f"http_requests_total{{{_OPENAI},$arm}}"),
        "Answers 5xx of all answers on the OpenAI paths.",
        "Errors after a streamed answer began: its status is 200 by then.",
    ),
    Row(
        VLLM,
        Preset.ABORTS,
        ratio('vllm:request_success_total{finished_reason="abort",$arm}', "vllm:request_success_total{$arm}"),
        "Requests that ended as aborted, of all that ended.",
        "Why the client left.",
    ),
    Row(
        VLLM,
        Preset.LATENCY,
        histogram("vllm:e2e_request_latency_seconds_bucket{$arm}", Raw.SECONDS),
        "Time of a request in the engine, from arrival to the last token.",
        "Anything below 0.3 s, the smallest bucket unless configured otherwise; long answers are slow answers.",
    ),
    Row(
        VLLM,
        Preset.THROUGHPUT,
        counter("vllm:request_success_total{$arm}", Raw.REQUESTS),
        "Requests that ended, for whatever reason.",
        "Requests that were refused before the engine.",
    ),
    Row(
        VLLM,
        Preset.TTFT,
        histogram("vllm:time_to_first_token_seconds_bucket{$arm}", Raw.SECONDS),
        "Time to the first token, the wait in the queue included.",
        "The way of the token to the client; long prompts are slow prompts.",
    ),
    Row(
        VLLM,
        Preset.ITL,
        histogram("vllm:inter_token_latency_seconds_bucket{$arm}", Raw.SECONDS),
        "Time between two steps of an answer.",
        "Anything of older versions, which call it time_per_output_token_seconds.",
    ),
    Row(
        VLLM,
        Preset.TOKENS,
        counter("vllm:generation_tokens_total{$arm}", Raw.TOKENS),
        "Tokens that were generated.",
        "Whether anybody received them.",
    ),
    Row(
        VLLM,
        Preset.INPUT_LENGTH,
        histogram("vllm:request_prompt_tokens_bucket{$arm}", Raw.TOKENS),
        "Tokens of the prompts of requests that ended.",
        "Prompts that were refused.",
    ),
    Row(
        VLLM,
        Preset.OUTPUT_LENGTH,
        histogram("vllm:request_generation_tokens_bucket{$arm}", Raw.TOKENS),
        "Tokens of the answers of requests that ended.",
        "Whether they were cut at a limit.",
    ),
    Row(
        VLLM,
        Preset.QUEUE,
        gauge("vllm:num_requests_waiting{$arm}", Raw.REQUESTS),
        "Requests that wait for the scheduler.",
        "For how long.",
    ),
    Row(
        VLLM,
        Preset.QUEUE_TIME,
        histogram("vllm:request_queue_time_seconds_bucket{$arm}", Raw.SECONDS),
        "Time a request waited for the scheduler.",
        "Requests that still wait.",
    ),
    Row(
        VLLM,
        Preset.IN_FLIGHT,
        gauge("vllm:num_requests_running{$arm}", Raw.REQUESTS),
        "Requests in the running batches.",
        "Requests that wait.",
    ),
    Row(
        VLLM,
        Preset.SATURATION,
        gauge("vllm:kv_cache_usage_perc{$arm}", Raw.RATIO, Across.MAX),
        "Share of the key-value cache in use, of the fullest engine.",
        "Anything of older versions, which call it gpu_cache_usage_perc.",
    ),
    Row(
        SGLANG,
        Preset.LATENCY,
        histogram("sglang:e2e_request_latency_seconds_bucket{$arm}", Raw.SECONDS),
        "Time of a whole request.",
        "How much of it is owed to the answer's length.",
    ),
    Row(
        SGLANG,
        Preset.THROUGHPUT,
        counter("sglang:num_requests_total{$arm}", Raw.REQUESTS),
        "Requests that ended.",
        "How they ended.",
    ),
    Row(
        SGLANG,
        Preset.TTFT,
        histogram("sglang:time_to_first_token_seconds_bucket{$arm}", Raw.SECONDS),
        "Time to the first token.",
        "Anything below 0.1 s, the smallest bucket.",
    ),
    Row(
        SGLANG,
        Preset.ITL,
        histogram("sglang:inter_token_latency_seconds_bucket{$arm}", Raw.SECONDS),
        "Time between two tokens.",
        "Anything of older versions, which call it time_per_output_token_seconds.",
    ),
    Row(
        SGLANG,
        Preset.TOKENS,
        counter("sglang:generation_tokens_total{$arm}", Raw.TOKENS),
        "Tokens of the answers that ended.",
        "Tokens of answers that are still being made.",
    ),
    Row(
        SGLANG,
        Preset.INPUT_LENGTH,
        histogram("sglang:prompt_tokens_histogram_bucket{$arm}", Raw.TOKENS),
        "Tokens of the prompts.",
        "How many of them came from a cache.",
    ),
    Row(
        SGLANG,
        Preset.OUTPUT_LENGTH,
        histogram("sglang:generation_tokens_histogram_bucket{$arm}", Raw.TOKENS),
        "Tokens of the answers.",
        "Whether they were cut at a limit.",
    ),
    Row(
        SGLANG,
        Preset.QUEUE,
        gauge(f"sglang:num_queue_reqs{{{_TOTAL},$arm}}", Raw.REQUESTS),
        "Requests that wait for the scheduler.",
        "Ranks of other kinds of parallelism than tensors: where they show it too, it is counted again.",
    ),
    Row(
        SGLANG,
        Preset.IN_FLIGHT,
        gauge(f"sglang:num_running_reqs{{{_TOTAL},$arm}}", Raw.REQUESTS),
        "Requests in the running batches.",
        "Ranks of other kinds of parallelism than tensors: where they show it too, it is counted again.",
    ),
    Row(
        SGLANG,
        Preset.SATURATION,
        gauge("sglang:token_usage{$arm}", Raw.RATIO, Across.MAX),
        "Share of the token pool in use, of the fullest rank.",
        "How soon it is full.",
    ),
    Row(
        TGI,
        Preset.ERRORS,
        ratio(
            f"tgi_request_failure{{{_SERVER_S},$arm}}",
            f'{{__name__=~"tgi_request_(success|failure)",{_SERVER_S},$arm}}',
        ),
        "Requests that failed by the server's fault, of these and the successful ones.",
        "Invalid requests, failing chat templates and clients that left; with best_of each answer can fail.",
    ),
    Row(
        TGI,
        Preset.LATENCY,
        histogram("tgi_request_duration_bucket{$arm}", Raw.SECONDS),
        "Time of a whole request.",
        "How much of it is owed to the answer's length.",
    ),
    Row(
        TGI,
        Preset.THROUGHPUT,
        counter('{__name__=~"tgi_request_(success|failure)",$arm}', Raw.REQUESTS),
        "Requests that ended, whatever their outcome.",
        "Requests whose client left while the answer was being made.",
    ),
    Row(
        TGI,
        Preset.ITL,
        histogram("tgi_request_mean_time_per_token_duration_bucket{$arm}", Raw.SECONDS),
        "Mean time per token of a request.",
        "Stalls inside an answer: each request has one mean.",
    ),
    Row(
        TGI,
        Preset.TOKENS,
        counter("tgi_request_generated_tokens_sum{$arm}", Raw.TOKENS),
        "Tokens of the answers that ended.",
        "Tokens of answers that are still being made.",
    ),
    Row(
        TGI,
        Preset.INPUT_LENGTH,
        histogram("tgi_request_input_length_bucket{$arm}", Raw.TOKENS),
        "Tokens of the prompts.",
        "Prompts that were refused.",
    ),
    Row(
        TGI,
        Preset.OUTPUT_LENGTH,
        histogram("tgi_request_generated_tokens_bucket{$arm}", Raw.TOKENS),
        "Tokens of the answers.",
        "Whether they were cut at a limit.",
    ),
    Row(
        TGI,
        Preset.QUEUE,
        gauge("tgi_queue_size{$arm}", Raw.REQUESTS),
        "Requests that wait for a batch.",
        "For how long.",
    ),
    Row(
        TGI,
        Preset.QUEUE_TIME,
        histogram("tgi_request_queue_duration_bucket{$arm}", Raw.SECONDS),
        "Time a request waited for a batch.",
        "Requests that still wait.",
    ),
)
