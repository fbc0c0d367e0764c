"""
The model servers' own pages in the small world: answers by pod, by status, by tenant, and how long they took.

Scraped only in stories that are about them; the gateway's counters are enough for all others.
"""

import math
import random
from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import accumulate
from typing import Final

from fakes.metrics import FakeMetrics, Page
from scenarios.parts import Cluster, Pod, Workload

EDGES: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, math.inf)
INFER: Final = "/v2/models/fraud/infer"


@dataclass(kw_only=True, eq=False)
class Servers:
    """
    Pages of the pods that live, and the store that scrapes them.
    """

    cluster: Cluster
    random: random.Random
    tenants: Mapping[str, float]
    """Share of the requests by tenant."""
    store: FakeMetrics = field(default_factory=FakeMetrics)
    _pages: dict[str, Page] = field(default_factory=dict)

    def count(self, workload: Workload, good: int, bad: int, now: float) -> None:
        """
        Answers of the workload's ready pods. Bad ones fall on the pods and tenants that its model names.
        """
        ready = [pod for pod in workload.pods if workload.is_ready(pod, now)]
        if not ready:
            return
        model, names = workload.model, list(self.tenants)
        unlucky = [model.bad_pods[workload.pods.index(pod) % len(model.bad_pods)] for pod in ready]
        failing = [share if model.fails_for is None or name == model.fails_for else 0.0
                   for name, share in self.tenants.items()]  # fmt: skip
        for number, status, pods, tenants in (
            (good, "200", None, list(self.tenants.values())),
            (bad, "500", unlucky, failing),
        ):
            told = Counter(
                zip(
                    self.random.choices(ready, pods, k=number),
                    self.random.choices(names, tenants, k=number),
                    strict=True,
                )
            )
            for (pod, tenant), share in told.items():
                self._answer(self._page(workload, pod), share, status, tenant, math.log(model.median_seconds))

    def _answer(self, page: Page, number: int, status: str, tenant: str, log_seconds: float) -> None:
        page.add("rest_server_requests_total", number, path=INFER, status_code=status)
        page.add("answers_total", number, tenant=tenant, ok="true" if status == "200" else "false")
        counts = [0] * len(EDGES)
        for _ in range(number):
            counts[bisect_left(EDGES, self.random.lognormvariate(log_seconds, 0.5))] += 1
        for edge, below in zip(EDGES, accumulate(counts), strict=True):
            le = "+Inf" if math.isinf(edge) else str(edge)
            page.add("rest_server_request_duration_seconds_bucket", below, path=INFER, le=le)

    def _page(self, workload: Workload, pod: Pod) -> Page:
        name = self.cluster.pod_name(workload, pod)
        if name not in self._pages:
            self._pages[name] = self.store.page(**_labels(name))
        return self._pages[name]

    def scrape(self, at: float) -> None:
        """
        Store the present values of all pods that are there.
        """
        living = {self.cluster.pod_name(load, pod) for load in self.cluster.workloads.values() for pod in load.pods}
        for name in [name for name in self._pages if name not in living]:
            self.store.remove_page(**_labels(name))
            del self._pages[name]
        self.store.scrape(datetime.fromtimestamp(at, UTC))


def _labels(name: str) -> dict[str, str]:
    return {"namespace": "ml", "pod": name, "instance": f"{name}:8082", "job": "fraud"}
