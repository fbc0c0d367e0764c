"""
What a row of the table of presets says.
"""

from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Final


class Unit(StrEnum):
    """
    The units presets are told in; nothing else is compared or shown.
    """

    RATIO = "ratio"
    """0 to 1."""
    SECONDS = "seconds"
    BYTES = "bytes"
    REQUESTS = "requests"
    TOKENS = "tokens"


class Raw(Enum):
    """
    The unit of the series themselves: its name, the unit of the preset, and the factor between them.
    """

    MICROSECONDS = ("microseconds", Unit.SECONDS, 1e-6)
    MILLISECONDS = ("milliseconds", Unit.SECONDS, 1e-3)
    SECONDS = ("seconds", Unit.SECONDS, 1.0)
    PERCENT = ("percent", Unit.RATIO, 0.01)
    RATIO = ("ratio", Unit.RATIO, 1.0)
    PERIODS = ("periods", Unit.RATIO, 1.0)
    """Only as a share of other periods."""
    BYTES = ("bytes", Unit.BYTES, 1.0)
    MEBIBYTES = ("mebibytes", Unit.BYTES, 1048576.0)
    REQUESTS = ("requests", Unit.REQUESTS, 1.0)
    TOKENS = ("tokens", Unit.TOKENS, 1.0)

    def __init__(self, title: str, unit: Unit, factor: float) -> None:
        """
        Keep the parts of the value under their names.
        """
        self.title = title
        self.unit = unit
        self.factor = factor


class Preset(StrEnum):
    """
    What is measured, whoever measures it.
    """

    ERRORS = "errors"
    """The share of requests that failed."""
    ABORTS = "aborts"
    """The share of requests that ended because the client gave up."""
    LATENCY = "latency"
    """Time from a request to the end of its answer."""
    THROUGHPUT = "throughput"
    """Requests that ended."""
    TTFT = "ttft"
    """Time to the first token."""
    ITL = "itl"
    """Time between two tokens."""
    TOKENS = "tokens"
    """Tokens that were generated."""
    INPUT_LENGTH = "input-length"
    """Tokens of a request's prompt."""
    OUTPUT_LENGTH = "output-length"
    """Tokens of a request's answer."""
    QUEUE = "queue"
    """Requests that wait to be begun."""
    QUEUE_TIME = "queue-time"
    """Time a request waited until it was begun."""
    IN_FLIGHT = "in-flight"
    """Requests that are begun and not answered."""
    SATURATION = "saturation"
    """How much of the scarcest thing is in use: a cache, or the allowed CPU time."""
    GPU = "gpu"
    """Share of time in which the GPUs worked."""
    GPU_MEMORY = "gpu-memory"
    """GPU memory in use."""
    MEMORY = "memory"
    """Memory that cannot be taken back from the containers."""
    CPU = "cpu"
    """CPU time used; a second a second is one core."""
    DISAGREEMENT = "disagreement"
    """The share of requests that the revision answers otherwise than stable."""


UNITS: Final = {
    Preset.ERRORS: Unit.RATIO,
    Preset.ABORTS: Unit.RATIO,
    Preset.LATENCY: Unit.SECONDS,
    Preset.THROUGHPUT: Unit.REQUESTS,
    Preset.TTFT: Unit.SECONDS,
    Preset.ITL: Unit.SECONDS,
    Preset.TOKENS: Unit.TOKENS,
    Preset.INPUT_LENGTH: Unit.TOKENS,
    Preset.OUTPUT_LENGTH: Unit.TOKENS,
    Preset.QUEUE: Unit.REQUESTS,
    Preset.QUEUE_TIME: Unit.SECONDS,
    Preset.IN_FLIGHT: Unit.REQUESTS,
    Preset.SATURATION: Unit.RATIO,
    Preset.GPU: Unit.RATIO,
    Preset.GPU_MEMORY: Unit.BYTES,
    Preset.MEMORY: Unit.BYTES,
    Preset.CPU: Unit.SECONDS,
    Preset.DISAGREEMENT: Unit.RATIO,
}


class Source(StrEnum):
    """
    Whose page of metrics is read.
    """

    TRITON = "triton"
    TF_SERVING = "tfserving"
    TORCHSERVE = "torchserve"
    MLSERVER = "mlserver"
    KSERVE = "kserve"
    SELDON = "seldon"
    BENTOML = "bentoml"
    RAY_SERVE = "rayserve"
    VLLM = "vllm"
    SGLANG = "sglang"
    TGI = "tgi"
    TRT_LLM = "trtllm"
    DYNAMO = "dynamo"
    ISTIO = "istio"
    ENVOY = "envoy"
    LINKERD = "linkerd"
    NGINX = "nginx"
    TRAEFIK = "traefik"
    KNATIVE = "knative"
    DCGM = "dcgm"
    CADVISOR = "cadvisor"
    COMPARATOR = "comparator"


class Layer(StrEnum):
    """
    Where a source stands.
    """

    RUNTIME = "runtime"
    """The model server: knows most, and counts nothing once it is dead."""
    TRAFFIC = "traffic"
    """A gateway or mesh before it."""
    NODE = "node"
    """An exporter of the machine, beside it."""
    SHADOW = "shadow"
    """A service that gets copies of requests, and asks the revisions itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """
    A source and how its page comes into Prometheus.
    """

    source: Source
    layer: Layer
    title: str
    where: str
    """Port and path, as the source serves them unless told otherwise."""
    needs: str
    """What must be switched on or set before the rows are there; empty: nothing."""
    arm: str
    """The labels that tell the revisions apart."""
    documentation: str
    """Where the names stand: addresses, or files of the source's own repository."""


class Kind(StrEnum):
    """
    How samples become the preset's number.
    """

    RATIO = "ratio"
    """Increments of bad events divided by increments of all events."""
    MEAN = "mean"
    """Increments of a sum divided by increments of a number; says nothing about the slowest."""
    HISTOGRAM = "histogram"
    """Increments of cumulative buckets; exact at their edges only."""
    COUNTER = "counter"
    """Increments."""
    GAUGE = "gauge"
    """Present values."""


class Across(StrEnum):
    """
    What several series of a revision become together.
    """

    SUM = "sum"
    MEAN = "mean"
    MAX = "max"


@dataclass(frozen=True, slots=True)
class Measure:
    """
    Selectors with placeholders, and how to read them.

    Attributes:
        kind: How samples become a number.
        selectors: One selector; of a ratio the bad events and all events, of a mean the sum and the number.
        raw: The unit of the series; of a ratio, of both.
        across: What several series become; of everything but a gauge the sum of their increments.

    """

    kind: Kind
    selectors: tuple[str, ...]
    raw: Raw
    across: Across = Across.SUM

    @property
    def unit(self) -> Unit:
        """
        The unit of the number.
        """
        return Unit.RATIO if self.kind is Kind.RATIO else self.raw.unit

    @property
    def factor(self) -> float:
        """
        By what the series are multiplied: values, and the edges of buckets.
        """
        return 1.0 if self.kind is Kind.RATIO else self.raw.factor


def ratio(bad: str, total: str, raw: Raw = Raw.REQUESTS) -> Measure:
    """
    Bad events of all events, the bad ones among them.
    """
    return Measure(Kind.RATIO, (bad, total), raw)


def mean(summed: str, number: str, raw: Raw) -> Measure:
    """
    The mean of what was added up; `raw` is the unit of the sum.
    """
    return Measure(Kind.MEAN, (summed, number), raw)


def histogram(buckets: str, raw: Raw) -> Measure:
    """
    A distribution; `raw` is the unit of the edges.
    """
    return Measure(Kind.HISTOGRAM, (buckets,), raw)


def counter(counted: str, raw: Raw) -> Measure:
    """
    How much was counted.
    """
    return Measure(Kind.COUNTER, (counted,), raw)


def gauge(shown: str, raw: Raw, across: Across = Across.SUM) -> Measure:
    """
    How much there is.
    """
    return Measure(Kind.GAUGE, (shown,), raw, across)


@dataclass(frozen=True, slots=True)
class Row:
    """
    One cell of the table: a preset as one source tells it.

    Attributes:
        page: The source.
        preset: What is measured.
        measure: How.
        means: What the number is, in one line.
        silent: What the number does not say, in one line.

    """

    page: Page
    preset: Preset
    measure: Measure
    means: str
    silent: str

    @property
    def source(self) -> Source:
        """
        Whose page it is.
        """
        return self.page.source
