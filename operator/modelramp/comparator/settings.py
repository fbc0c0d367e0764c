"""
How one comparator runs.
"""

from dataclasses import dataclass, field
from typing import Final

from modelramp.comparator.core import Comparison, Extractor, Sampling

MEBIBYTE: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Arm:
    """
    A revision and where it answers.

    Attributes:
        revision: Its name in the metrics.
        url: Base URL of its own Service, without a slash at the end; never the route, whose mirror leads here.

    """

    revision: str
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparatorSettings:
    """
    Everything that can be chosen.

    Attributes:
        stable: Serves users; its answers are what the candidate is compared with.
        candidate: Is tried out.
        port: Takes copies of requests; 0: any free one.
        metrics_port: Serves metrics and probes; 0: any free one.
        extractor: What of an answer is compared.
        comparison: When two agree.
        sampling: Which requests are compared, and which are controls.
        timeout_seconds: Of both calls of a pair, which begin together.
        queue: Requests that wait at most; more are dropped.
        queue_bytes: Bodies of requests that arrive, wait and are asked, together at most; more are dropped.
        concurrency: Pairs asked at a time.
        max_body: Bytes of a request, and of an answer, that are read at most.
        max_requests: Requests taken in the life of this process; None: no limit.
        methods: Methods of requests that are compared, in capitals.
        forward_credentials: Authorization, cookies and keys of users go with the replays.
        drain_seconds: What is waiting may take so long when the process is to end.

    """

    stable: Arm
    candidate: Arm
    port: int = 8080
    metrics_port: int = 9090
    extractor: Extractor = field(default_factory=Extractor)
    comparison: Comparison = field(default_factory=Comparison)
    sampling: Sampling = field(default_factory=Sampling)
    timeout_seconds: float = 5.0
    queue: int = 1000
    queue_bytes: int = 64 * MEBIBYTE
    concurrency: int = 16
    max_body: int = MEBIBYTE
    max_requests: int | None = None
    methods: frozenset[str] = frozenset({"POST"})
    forward_credentials: bool = False
    drain_seconds: float = 10.0
