"""
Rows of exporters beside the model server: the machine and its GPUs.
"""

from typing import Final

from modelramp.presets.rows import Across, Layer, Page, Preset, Raw, Row, Source, counter, gauge, ratio

DCGM: Final = Page(
    source=Source.DCGM,
    layer=Layer.NODE,
    title="NVIDIA DCGM exporter",
    where="9400 /metrics",
    needs="the exporter's pod mapping, and honorLabels at the scrape",
    arm="namespace and pod, set by the exporter",
    documentation="dcgm-exporter etc/default-counters.csv, internal/pkg/rendermetrics/render_metrics.go",
)
CADVISOR: Final = Page(
    source=Source.CADVISOR,
    layer=Layer.NODE,
    title="cAdvisor in the kubelet",
    where="10250 /metrics/cadvisor of each node",
    needs="honorLabels at the scrape",
    arm="namespace and pod, set by the kubelet",
    documentation="https://github.com/google/cadvisor/blob/master/docs/storage/prometheus.md",
)

ROWS: Final = (
    Row(
        DCGM,
        Preset.GPU,
        gauge("DCGM_FI_DEV_GPU_UTIL{$arm}", Raw.PERCENT, Across.MEAN),
        "Share of time in which anything ran on the GPU; the mean of the revision's GPUs.",
        "How much of the GPU was used meanwhile; GPUs shared by pods are not told apart.",
    ),
    Row(
        DCGM,
        Preset.GPU_MEMORY,
        gauge("DCGM_FI_DEV_FB_USED{$arm}", Raw.MEBIBYTES),
        "Frame buffer memory in use on the revision's GPUs.",
        "How much of it is in real use: engines that reserve memory in advance show it all.",
    ),
    Row(
        CADVISOR,
        Preset.MEMORY,
        gauge('container_memory_working_set_bytes{container!="",$arm}', Raw.BYTES),
        "Working set of all containers of the revision's pods: what the memory limit is compared with.",
        "Peaks between two scrapes.",
    ),
    Row(
        CADVISOR,
        Preset.CPU,
        counter('container_cpu_usage_seconds_total{container!="",$arm}', Raw.SECONDS),
        "CPU time of all containers of the revision's pods.",
        "Time a container waited for a CPU.",
    ),
    Row(
        CADVISOR,
        Preset.SATURATION,
        ratio(
            'container_cpu_cfs_throttled_periods_total{container!="",$arm}',
            'container_cpu_cfs_periods_total{container!="",$arm}',
            Raw.PERIODS,
        ),
        "Share of the scheduler's periods in which a container used up its CPU limit and was held back.",
        "Anything of containers without a CPU limit: they have no such series.",
    ),
)
