"""
Rows of gateways and meshes. They also see what a crashed server cannot count.
"""

from typing import Final

from modelramp.presets.rows import Layer, Page, Preset, Raw, Row, Source, counter, gauge, histogram, ratio

_FLAGGER = "the matchers that Flagger's observers use for the same layer"

ISTIO: Final = Page(
    source=Source.ISTIO,
    layer=Layer.TRAFFIC,
    title="Istio",
    where="15090 /stats/prometheus",
    needs="a sidecar or waypoint that reports as destination",
    arm="destination_workload, destination_workload_namespace",
    documentation=f"https://istio.io/latest/docs/reference/config/metrics/; {_FLAGGER}",
)
ENVOY: Final = Page(
    source=Source.ENVOY,
    layer=Layer.TRAFFIC,
    title="Envoy under Contour",
    where="8002 /stats/prometheus",
    needs="",
    arm="envoy_cluster_name, which Contour makes of namespace, Service and port",
    documentation="https://www.envoyproxy.io/docs/envoy/latest/configuration/upstream/cluster_manager/cluster_stats",
)
LINKERD: Final = Page(
    source=Source.LINKERD,
    layer=Layer.TRAFFIC,
    title="Linkerd",
    where="4191 /metrics",
    needs="",
    arm="namespace and pod, set by the scrape",
    documentation="https://linkerd.io/2/reference/proxy-metrics",
)
NGINX: Final = Page(
    source=Source.NGINX,
    layer=Layer.TRAFFIC,
    title="ingress-nginx",
    where="10254 /metrics",
    needs="honorLabels at the scrape, and an Ingress of its own for each revision",
    arm="namespace and service; a canary Ingress is counted under the main one's service, told by canary alone",
    documentation="ingress-nginx docs/user-guide/monitoring.md and rootfs/etc/nginx/lua/monitor.lua",
)
TRAEFIK: Final = Page(
    source=Source.TRAEFIK,
    layer=Layer.TRAFFIC,
    title="Traefik 3 with Gateway API",
    where="8080 /metrics",
    needs="metrics.prometheus with addServicesLabels, which is its default",
    arm="service, which Traefik makes of namespace, Service, port and provider",
    documentation="Traefik docs, metrics; pkg/provider/kubernetes/gateway/httproute.go",
)
KNATIVE: Final = Page(
    source=Source.KNATIVE,
    layer=Layer.TRAFFIC,
    title="Knative Serving, 1.20 and later",
    where="9090 /metrics of the queue proxy",
    needs="the metrics protocol set to prometheus",
    arm="namespace and pod, set by the scrape; the revision's name begins the pod's",
    documentation="https://knative.dev/docs/serving/observability/metrics/serving-metrics",
)

_ISTIO = 'reporter="destination",destination_workload_namespace="${namespace}",destination_workload="${service}"'
_ENVOY = 'envoy_cluster_name="${namespace}_${service}_80"'
_NGINX = 'namespace="${namespace}",service="${service}",canary=""'
_TRAEFIK = 'service="${namespace}-${service}-80@kubernetesgateway"'
_KNATIVE = 'namespace="${namespace}",pod=~"${service}-deployment-[a-z0-9]+-[a-z0-9]+"'

ROWS: Final = (
    Row(
        ISTIO,
        Preset.ERRORS,
        ratio(f'istio_requests_total{{{_ISTIO},response_code=~"5.."}}', f"istio_requests_total{{{_ISTIO}}}"),
        "Answers 5xx of all answers, as the proxy at the pod saw them.",
        "Requests that reached no pod; for gRPC the code is 200 even where grpc_response_status tells of an error.",
    ),
    Row(
        ISTIO,
        Preset.LATENCY,
        histogram(f"istio_request_duration_milliseconds_bucket{{{_ISTIO}}}", Raw.MILLISECONDS),
        "Time of a whole request at the pod's proxy.",
        "The way from the client to that proxy.",
    ),
    Row(
        ISTIO,
        Preset.THROUGHPUT,
        counter(f"istio_requests_total{{{_ISTIO}}}", Raw.REQUESTS),
        "Requests that the proxy at the pod answered.",
        "Requests that reached no pod.",
    ),
    # `_rq_xx` counts answers, those Envoy makes itself included, and total and bad come from the same family, so that
    # bad never exceeds total (`_rq_total` leaves Envoy's own answers out). Copies of a mirror count here too, on the
    # cluster they go to, in `_rq_xx` and in `_rq_time` alike, and beside that in `internal_upstream_rq_*` (measured on
    # Envoy 1.40: 40 requests mirrored to answers 503 after 30 ms, and to a dead port). So one series serves a mirrored
    # step and a live one; the `internal` ones would begin anew at the change from one to the other.
    Row(
        ENVOY,
        Preset.ERRORS,
        ratio(
            f'envoy_cluster_upstream_rq_xx{{{_ENVOY},envoy_response_code_class="5"}}',
            f"envoy_cluster_upstream_rq_xx{{{_ENVOY}}}",
        ),
        "Answers 5xx of all answers, those that Envoy makes itself for a dead pod and those to copies included.",
        "Errors inside an answer 200, as gRPC and streams have them.",
    ),
    Row(
        ENVOY,
        Preset.LATENCY,
        histogram(f"envoy_cluster_upstream_rq_time_bucket{{{_ENVOY}}}", Raw.MILLISECONDS),
        "Time from Envoy to the pod and back, of copies too.",
        "The way from the client to Envoy.",
    ),
    Row(
        ENVOY,
        Preset.THROUGHPUT,
        counter(f"envoy_cluster_upstream_rq_xx{{{_ENVOY}}}", Raw.REQUESTS),
        "Answers, those that Envoy makes itself included.",
        "Requests whose client left before the answer.",
    ),
    Row(
        ENVOY,
        Preset.QUEUE,
        gauge(f"envoy_cluster_upstream_rq_pending_active{{{_ENVOY}}}", Raw.REQUESTS),
        "Requests that wait in Envoy for a connection to a pod.",
        "Requests that wait inside the model server.",
    ),
    Row(
        ENVOY,
        Preset.IN_FLIGHT,
        gauge(f"envoy_cluster_upstream_rq_active{{{_ENVOY}}}", Raw.REQUESTS),
        "Requests that Envoy sent and that are not answered.",
        "Whether the server works on them or they wait in it.",
    ),
    Row(
        LINKERD,
        Preset.ERRORS,
        ratio(
            'response_total{direction="inbound",classification="failure",$arm}',
            'response_total{direction="inbound",$arm}',
        ),
        "Answers that the pod's proxy classifies as failed, of all answers.",
        "Requests that did not reach the pod's proxy.",
    ),
    Row(
        LINKERD,
        Preset.LATENCY,
        histogram('response_latency_ms_bucket{direction="inbound",$arm}', Raw.MILLISECONDS),
        "Time to the first data of the answer's body, which for answers in one piece is about the whole time.",
        "How long the rest of a streamed answer takes.",
    ),
    Row(
        LINKERD,
        Preset.THROUGHPUT,
        counter('response_total{direction="inbound",$arm}', Raw.REQUESTS),
        "Answers that ended at the pod's proxy.",
        "Requests that did not reach the pod's proxy.",
    ),
    Row(
        LINKERD,
        Preset.TTFT,
        histogram('response_latency_ms_bucket{direction="inbound",$arm}', Raw.MILLISECONDS),
        "Time to the first data of the answer's body: the first token of a streamed answer.",
        "Which answers were streamed; of the others it is the whole time.",
    ),
    Row(
        NGINX,
        Preset.ERRORS,
        ratio(
            f'nginx_ingress_controller_requests{{{_NGINX},status=~"5.."}}',
            f"nginx_ingress_controller_requests{{{_NGINX}}}",
        ),
        "Answers 5xx of all answers, those that NGINX makes itself included.",
        "Requests to a canary Ingress: they have a canary label and are left out.",
    ),
    Row(
        NGINX,
        Preset.LATENCY,
        histogram(f"nginx_ingress_controller_request_duration_seconds_bucket{{{_NGINX}}}", Raw.SECONDS),
        "Time of a whole request at NGINX, the client's reading of the answer included.",
        "The server's own part of it; slow clients count too.",
    ),
    Row(
        NGINX,
        Preset.THROUGHPUT,
        counter(f"nginx_ingress_controller_requests{{{_NGINX}}}", Raw.REQUESTS),
        "Requests that NGINX answered.",
        "Requests to a canary Ingress.",
    ),
    Row(
        TRAEFIK,
        Preset.ERRORS,
        ratio(
            f'traefik_service_requests_total{{{_TRAEFIK},code=~"5.."}}', f"traefik_service_requests_total{{{_TRAEFIK}}}"
        ),
        "Answers 5xx of all answers of the Service.",
        "Services reached by an Ingress or IngressRoute: their names are made in other ways.",
    ),
    Row(
        TRAEFIK,
        Preset.LATENCY,
        histogram(f"traefik_service_request_duration_seconds_bucket{{{_TRAEFIK}}}", Raw.SECONDS),
        "Time of a request of the Service at Traefik.",
        "Anything above the largest bucket, which is 5 s unless configured otherwise.",
    ),
    Row(
        TRAEFIK,
        Preset.THROUGHPUT,
        counter(f"traefik_service_requests_total{{{_TRAEFIK}}}", Raw.REQUESTS),
        "Requests of the Service.",
        "Services reached by an Ingress or IngressRoute.",
    ),
    Row(
        KNATIVE,
        Preset.ERRORS,
        ratio(
            f'kn_serving_invocation_duration_seconds_count{{{_KNATIVE},http_response_status_code=~"5.."}}',
            f"kn_serving_invocation_duration_seconds_count{{{_KNATIVE}}}",
        ),
        "Answers 5xx of all answers, as the queue proxy in the pod saw them.",
        "Requests that the activator refused or that reached no pod.",
    ),
    Row(
        KNATIVE,
        Preset.LATENCY,
        histogram(f"kn_serving_invocation_duration_seconds_bucket{{{_KNATIVE}}}", Raw.SECONDS),
        "Time of a request in the pod.",
        "The wait for a pod to start, which the activator holds.",
    ),
    Row(
        KNATIVE,
        Preset.THROUGHPUT,
        counter(f"kn_serving_invocation_duration_seconds_count{{{_KNATIVE}}}", Raw.REQUESTS),
        "Requests that the pods answered.",
        "Requests that reached no pod.",
    ),
)
