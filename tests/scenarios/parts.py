"""
The parts of the small world: pods that need time, a gateway that accepts late, a metric store that scrapes.

Everything is in memory and in virtual time; nothing here knows the rollout's rules.
"""

import random
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Protocol

from modelramp.analysis import Series
from modelramp.api.document import traffic_hash
from modelramp.api.names import workload_name
from modelramp.api.quantities import demand_of
from modelramp.api.spec import MLModelDeploymentSpec, Prometheus
from modelramp.ports import Key, MetricSource, Owner, PodTimes, SamplesQuestion, UnreachableError
from modelramp.rollout.observed import Acceptance, Arm, CohortRoute, RouteState
from modelramp.rollout.plan import DeleteWorkload, EnsureWorkload, RestartWorkload, ScaleWorkload, SetRole, SetTraffic

Write = Callable[[str, Callable[[], None]], None]
"""Carries out a named write, unless a fault prevents it."""

GPU = "nvidia.com/gpu"
CONTROLLER = "projectcontour.io/gateway-controller"
LINGER_SECONDS = 8.0  # a pod that is being removed still exists for a while
NEVER = float("inf")


def no_errors(_share: Decimal, _age: float) -> float:
    """
    A model that never fails.
    """
    return 0.0


@dataclass(frozen=True, kw_only=True)
class Model:
    """
    How one version behaves; ages are seconds since a pod's creation.
    """

    ready_after: float = 4.0
    errors: Callable[[Decimal, float], float] = no_errors
    """Probability of a bad answer, by the version's share in percent and its pods' age."""
    crash_loops_after: float = NEVER
    out_of_memory_after: float = NEVER
    unready: tuple[float, float] = (NEVER, NEVER)
    unready_pods: int = 1
    """How many of them are not ready then."""
    bad_pods: tuple[float, ...] = (1.0,)
    """How bad answers are spread over its pods, in turn."""
    fails_for: str | None = None
    """The tenant that gets all its bad answers; None: everybody does."""
    disagrees: float = 0.0
    """Probability of an answer that differs from stable's, beyond that of stable differing from itself."""
    median_seconds: float = 0.03
    """How long it takes for half of the answers."""


@dataclass(kw_only=True, eq=False)
class Pod:
    """
    One pod.
    """

    born: float
    number: int
    gone_at: float = NEVER


@dataclass(kw_only=True)
class Workload:
    """
    One revision's Deployment and pods.
    """

    revision: str
    model: Model
    wanted: int = 0
    role: str = ""
    asks: Mapping[str, Decimal] = field(default_factory=dict)
    """What each of its pods takes."""
    pods: list[Pod] = field(default_factory=list)
    begun: int = 0
    """Pods that were ever created."""
    restart_id: str | None = None
    leaving: dict[int, float] = field(default_factory=dict)
    """When pods that are being replaced are told to go, by number."""

    def resize(self, replicas: int, now: float) -> None:
        """
        Ask for so many pods.
        """
        self.wanted = replicas
        living = [pod for pod in self.pods if pod.gone_at == NEVER and pod.number not in self.leaving]
        for pod in living[replicas:]:
            pod.gone_at = now + LINGER_SECONDS
        for _ in range(replicas - len(living)):
            self.pods.append(Pod(born=now, number=self.begun))
            self.begun += 1

    def restart(self, request: str, now: float) -> None:
        """
        New pods first; the old ones go when those are ready.
        """
        if self.restart_id == request:
            return
        self.restart_id = request
        self.leaving = {pod.number: now + self.model.ready_after for pod in self.pods if pod.gone_at == NEVER}
        for _ in self.leaving:
            self.pods.append(Pod(born=now, number=self.begun))
            self.begun += 1

    def pass_time(self, now: float) -> None:
        """
        Replaced pods are told to go when it is time, and pods that lingered are gone.
        """
        for pod in self.pods:
            if self.leaving.get(pod.number, NEVER) <= now:
                pod.gone_at = self.leaving.pop(pod.number) + LINGER_SECONDS
        self.pods = [pod for pod in self.pods if pod.gone_at > now]

    def is_ready(self, pod: Pod, now: float) -> bool:
        """
        The pod answers its readiness probe.
        """
        age, (lost, back) = now - pod.born, self.model.unready
        broken = age >= min(self.model.crash_loops_after, self.model.out_of_memory_after)
        loses = self.pods.index(pod) < self.model.unready_pods and lost <= age < back
        return pod.gone_at == NEVER and age >= self.model.ready_after and not broken and not loses

    def arm(self, now: float) -> Arm:
        """
        As the operator's caches see it.
        """
        ages = [now - pod.born for pod in self.pods if pod.gone_at == NEVER]
        oldest = max(ages, default=0.0)
        return Arm(
            revision=self.revision,
            wanted_replicas=self.wanted,
            pods=len(self.pods),
            terminating=len([pod for pod in self.pods if pod.gone_at != NEVER]),
            asks=self.asks,
            ready=sum(self.is_ready(pod, now) for pod in self.pods),
            role=self.role,
            restart_id=self.restart_id,
            crash_looping="container model restarted 5 times" if oldest >= self.model.crash_loops_after else None,
            out_of_memory="container model was OOM-killed" if oldest >= self.model.out_of_memory_after else None,
        )

    def turning_points(self) -> list[float]:
        """
        Instants at which a pod changes.
        """
        ages = (
            self.model.ready_after,
            self.model.crash_loops_after,
            self.model.out_of_memory_after,
            *self.model.unready,
        )
        own = [at for pod in self.pods for at in (pod.gone_at, *(pod.born + age for age in ages))]
        return [*own, *self.leaving.values()]


@dataclass(kw_only=True)
class Cluster:
    """
    The port of workloads.
    """

    write: Write
    models: Mapping[str, Model]
    name: str
    now: float = 0.0
    workloads: dict[str, Workload] = field(default_factory=dict)

    def arms(self, _key: Key) -> Mapping[str, Arm]:
        """
        All of them, as they are.
        """
        return {revision: workload.arm(self.now) for revision, workload in self.workloads.items()}

    def pod_times(self, _key: Key) -> PodTimes:
        """
        When each pod was created; none of them ever starts again.
        """
        pods = [(workload, pod) for workload in self.workloads.values() for pod in workload.pods]
        return PodTimes(born={self.pod_name(*one): one[1].born for one in pods}, started={})

    def pod_name(self, workload: Workload, pod: Pod) -> str:
        """
        As a Deployment names its pods.
        """
        return f"{workload_name(self.name, workload.revision)}-6b7f9c-{pod.number}"

    async def ensure(self, _owner: Owner, spec: MLModelDeploymentSpec, effect: EnsureWorkload) -> None:
        """
        Create what is absent.
        """

        def change() -> None:
            known = self.workloads.get(effect.revision)
            if known is None:
                pod = spec.serving.template.spec.to_wire()
                known = Workload(
                    revision=effect.revision,
                    model=self.models[spec.model.version],
                    asks={GPU: demand_of(pod, GPU)},
                )
                self.workloads[effect.revision] = known
            known.role = effect.role
            known.resize(effect.replicas, self.now)

        self.write(f"Ensure({effect.revision} x{effect.replicas})", change)

    async def scale(self, _owner: Owner, effect: ScaleWorkload) -> None:
        """
        Resize.
        """
        self.write(
            f"Scale({effect.revision} x{effect.replicas})",
            lambda: self.workloads[effect.revision].resize(effect.replicas, self.now),
        )

    async def set_role(self, _owner: Owner, effect: SetRole) -> None:
        """
        Label.
        """
        self.write(
            f"Role({effect.revision} {effect.role})",
            lambda: setattr(self.workloads[effect.revision], "role", str(effect.role)),
        )

    async def restart(self, _owner: Owner, effect: RestartWorkload) -> None:
        """
        Replace the pods.
        """
        self.write(
            f"Restart({effect.revision})",
            lambda: self.workloads[effect.revision].restart(effect.restart_id, self.now),
        )

    async def delete(self, _owner: Owner, effect: DeleteWorkload) -> None:
        """
        Remove.
        """
        self.write(f"Delete({effect.revision})", lambda: self.workloads.pop(effect.revision, None) and None)

    def advance(self, now: float) -> None:
        """
        Let pods that lingered go.
        """
        self.now = now
        for workload in self.workloads.values():
            workload.pass_time(now)

    def turning_points(self) -> list[float]:
        """
        Instants at which something changes by itself.
        """
        return [at for workload in self.workloads.values() for at in workload.turning_points()]


@dataclass(kw_only=True)
class Gateway:
    """
    The port of routes: what is written becomes effective when the gateway accepts it.
    """

    write: Write
    accept_after: float = 2.0
    """`NEVER`: it never does."""
    split_as: Decimal | None = None
    """The share, in percent, it really gives a listed candidate above 0; None: what is written."""
    contested_by: str | None = None
    now: float = 0.0
    written: Mapping[str, Decimal] = field(default_factory=dict)
    mirrors: Mapping[str, Decimal] = field(default_factory=dict)
    compared: frozenset[str] = frozenset()
    cohort: CohortRoute | None = None
    copied: Mapping[str, Decimal] = field(default_factory=dict)
    """Of what was written, what is copied by now."""
    copied_by_way: frozenset[str] = frozenset()
    """Of what is copied by now, what goes to comparators."""
    written_for: str | None = None
    """Hash of the spec's traffic section it was written for."""
    effective: Mapping[str, Decimal] = field(default_factory=dict)
    accepts_at: float = NEVER
    pending: bool = False
    """What was written last is not accepted yet, even if an earlier route with the same shares was."""
    log: list[tuple[float, Mapping[str, Decimal]]] = field(default_factory=list)
    """Every share that became effective."""

    def state(self, _key: Key) -> RouteState:
        """
        As the operator's caches see it.
        """
        if not self.written:
            return RouteState(controller=CONTROLLER, contested_by=self.contested_by)
        return RouteState(
            acceptance=Acceptance.PENDING if self.pending else Acceptance.ACCEPTED,
            shares=self.written,
            mirrors=self.mirrors,
            compared=self.compared,
            cohort=self.cohort,
            contested_by=self.contested_by,
            controller=CONTROLLER,
            traffic_hash=self.written_for,
        )

    async def set_traffic(self, _owner: Owner, spec: MLModelDeploymentSpec, effect: SetTraffic) -> None:
        """
        Write the route.
        """

        def change() -> None:
            self.written, self.written_for = dict(effect.shares), traffic_hash(spec)
            self.mirrors, self.compared, self.cohort = dict(effect.mirrors), effect.compared, effect.cohort
            self.accepts_at, self.pending = self.now + self.accept_after, True

        listed = " ".join(f"{revision}={percent.normalize():f}" for revision, percent in effect.shares.items())
        aside = [
            f"{revision}+{percent.normalize():f} {'compared' if revision in effect.compared else 'copied'}"
            for revision, percent in effect.mirrors.items()
        ]
        if effect.cohort is not None:
            aside.append(f"{effect.cohort.header}: {effect.cohort.value} to {effect.cohort.revision}")
        self.write(f"Traffic({', '.join([listed, *aside])})", change)

    async def drop_former(self, _owner: Owner) -> None:
        """
        It is the only one.
        """

    def advance(self, now: float) -> None:
        """
        Accept what is due.
        """
        self.now = now
        if self.accepts_at <= now:
            self.accepts_at, self.effective, self.pending = NEVER, self.written, False
            self.copied, self.copied_by_way = self.mirrors, self.compared
            self.log.append((now, self.effective))

    def forget(self) -> None:
        """
        Somebody removes the route.
        """
        self.written, self.effective, self.pending, self.accepts_at = {}, {}, False, NEVER

    def real_split(self) -> Mapping[str, float]:
        """
        Fractions of requests by revision; they sum to 1, or there are none.
        """
        shares = {revision: float(percent) / 100 for revision, percent in self.effective.items()}
        if self.split_as is None or len([share for share in shares.values() if share > 0]) < 2:
            return shares
        least = min((revision for revision in shares if shares[revision] > 0), key=lambda revision: shares[revision])
        given = float(self.split_as) / 100
        return {name: given if name == least else 1 - given for name, share in shares.items() if share > 0}


_MATCHER = re.compile(r'(\w+)="([^"]*)"')


@dataclass(kw_only=True)
class MetricStore:
    """
    The port of metrics: Envoy's counters, as Prometheus would have them. A series of errors is born with the first one.
    """

    name: str
    up: bool = True
    comparators: MetricSource | None = None
    """Who knows the comparators' counters; None: nobody."""
    servers: MetricSource | None = None
    """Who knows the model servers' counters; None: they are not scraped."""
    counters: dict[tuple[str, str], int] = field(default_factory=dict)
    """By cluster and class of the response code."""
    samples_of: dict[tuple[str, str], list[tuple[float, float]]] = field(default_factory=dict)
    flowing: dict[str, float] = field(default_factory=dict)
    """Requests in flight by cluster."""
    in_flight: dict[str, list[tuple[float, float]]] = field(default_factory=dict)

    def cluster(self, revision: str) -> str:
        """
        What Contour calls the revision's Service.
        """
        return f"ml_{workload_name(self.name, revision)}_80"

    def count(self, revision: str, good: int, bad: int) -> None:
        """
        Count answers.
        """
        for kind, number in (("2", good), ("5", bad)):
            key = (self.cluster(revision), kind)
            if number or key in self.counters or kind == "2":
                self.counters[key] = self.counters.get(key, 0) + number

    def scrape(self, at: float) -> None:
        """
        Store the present values.
        """
        if not self.up:
            return
        for key, value in self.counters.items():
            self.samples_of.setdefault(key, []).append((at, float(value)))
        for cluster, value in self.flowing.items():
            self.in_flight.setdefault(cluster, []).append((at, value))

    async def samples(self, namespace: str, source: Prometheus, question: SamplesQuestion) -> tuple[Series, ...]:
        """
        The raw samples over (since, until].
        """
        if not self.up:
            raise UnreachableError("Prometheus does not answer")
        if question.selector.startswith("modelramp_comparator"):
            return () if self.comparators is None else await self.comparators.samples(namespace, source, question)
        if not question.selector.startswith("envoy"):
            return () if self.servers is None else await self.servers.samples(namespace, source, question)
        asked = dict(_MATCHER.findall(question.selector))
        cluster = asked["envoy_cluster_name"]
        if question.selector.startswith("envoy_cluster_upstream_rq_active"):
            return self._cut([({"envoy_cluster_name": cluster}, self.in_flight.get(cluster, []))], question)
        kinds = [asked["envoy_response_code_class"]] if "envoy_response_code_class" in asked else ["2", "5"]
        found = [
            ({"envoy_cluster_name": cluster, "envoy_response_code_class": kind}, self.samples_of[cluster, kind])
            for kind in kinds
            if (cluster, kind) in self.samples_of
        ]
        return self._cut(found, question)

    def _cut(
        self, found: list[tuple[dict[str, Any], list[tuple[float, float]]]], q: SamplesQuestion
    ) -> tuple[Series, ...]:
        since, until = q.since.timestamp(), q.until.timestamp()
        cut = [(labels, [s for s in samples if since < s[0] <= until]) for labels, samples in found]
        return tuple(Series({**labels, "instance": "envoy-1", "job": "envoy"}, part) for labels, part in cut if part)


class CountsAnswers(Protocol):
    """
    The model servers, as their users see them.
    """

    def count(self, workload: Workload, good: int, bad: int, now: float) -> None:
        """
        So many answers were given by the workload's pods.
        """


class Compares(Protocol):
    """
    The comparators, as the gateway sees them.
    """

    def ask(self, revision: str, number: int, failing: float) -> None:
        """
        So many copies arrive for the revision, which fails to answer with this probability.
        """


@dataclass(kw_only=True)
class Clients:
    """
    Users: so many requests a second, split as the gateway does; the truth every test may compare with.
    """

    requests_per_second: float
    seed: int
    cluster: Cluster
    gateway: Gateway
    store: MetricStore
    servers: "CountsAnswers | None" = None
    """Who counts answers beside the gateway; None: nobody."""
    comparators: "Compares | None" = None
    """Who gets the copies that are compared; None: nobody."""
    answers: dict[str, list[int]] = field(default_factory=dict)
    """Good and bad answers by revision."""
    copies: dict[str, int] = field(default_factory=dict)
    """Copied requests by revision; not among the answers."""
    _carry: dict[str, float] = field(default_factory=dict)
    _random: random.Random = field(init=False)

    def __post_init__(self) -> None:
        """
        Seed.
        """
        self._random = random.Random(self.seed)

    def ask(self, start: float, end: float) -> None:
        """
        All requests of a stretch of time in which nothing changes.
        """
        split = self.gateway.real_split()
        self.store.flowing = {self.store.cluster(name): 1.0 if share > 0 else 0.0 for name, share in split.items()}
        for revision, share in split.items():
            due = self._carry.get(revision, 0.0) + self.requests_per_second * share * (end - start)
            number = int(due)
            self._carry[revision] = due - number
            failing = self._failing(revision, end)
            bad = sum(self._random.random() < failing for _ in range(number))
            self.store.count(revision, number - bad, bad)
            if self.servers is not None and revision in self.cluster.workloads:
                self.servers.count(self.cluster.workloads[revision], number - bad, bad, end)
            good_before, bad_before = self.answers.get(revision, [0, 0])
            self.answers[revision] = [good_before + number - bad, bad_before + bad]
        self._copy(start, end)

    def _copy(self, start: float, end: float) -> None:
        """
        Copies reach a revision and are counted there; nobody sees its answers.
        """
        for revision, percent in self.gateway.copied.items():
            due = self._carry.get(f"{revision} copies", 0.0) + self.requests_per_second * float(percent / 100) * (
                end - start
            )
            number = int(due)
            self._carry[f"{revision} copies"] = due - number
            failing = self._failing(revision, end)
            if revision in self.gateway.copied_by_way:
                if self.comparators is not None:
                    self.comparators.ask(revision, number, failing)
                self.copies[revision] = self.copies.get(revision, 0) + number
                continue
            bad = sum(self._random.random() < failing for _ in range(number))
            self.store.count(revision, number - bad, bad)
            if self.servers is not None and revision in self.cluster.workloads:
                self.servers.count(self.cluster.workloads[revision], number - bad, bad, end)
            self.copies[revision] = self.copies.get(revision, 0) + number

    def _failing(self, revision: str, now: float) -> float:
        workload = self.cluster.workloads.get(revision)
        if workload is None or not any(workload.is_ready(pod, now) for pod in workload.pods):
            return 1.0  # the gateway answers 503 by itself, and counts it
        share = self.gateway.effective.get(revision, Decimal(0))
        return workload.model.errors(share, now - workload.pods[0].born)


def utc(at: float) -> datetime:
    """
    The instant of so many unix seconds.
    """
    return datetime.fromtimestamp(at, UTC)
