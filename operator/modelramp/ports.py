"""
What the shell needs of the world. Adapters fulfil these; tests have in-memory ones under the same contract tests.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from modelramp.analysis import Series
from modelramp.api.spec import MLModelDeploymentSpec, Prometheus, WarmUp
from modelramp.rollout.observed import Arm, Comparator, RouteState, WarmUpReading
from modelramp.rollout.plan import (
    DeleteComparator,
    DeleteWorkload,
    EnsureComparator,
    EnsureWorkload,
    RestartWorkload,
    ScaleWorkload,
    SetRole,
    SetTraffic,
)

Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """
    The name of one object.
    """

    namespace: str
    name: str

    def __str__(self) -> str:
        """
        As `namespace/name`.
        """
        return f"{self.namespace}/{self.name}"


class PortError(Exception):
    """
    The surroundings failed: try again later.
    """


class ConflictError(PortError):
    """
    Somebody wrote first: drop the plan and look again.
    """


class DeniedError(PortError):
    """
    A right is missing; the message names verb and resource.
    """


class RefusedError(PortError):
    """
    The API server refuses the object as it stands; only a changed spec helps.
    """


class GoneError(PortError):
    """
    The object does not exist.
    """


class UnreachableError(PortError):
    """
    No answer, or one that says to come back later.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """
    The object on whose behalf something is created; what it owns goes when it goes.
    """

    key: Key
    uid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PodTimes:
    """
    When pods of one object were created and their first containers last started: unix seconds by pod name.
    """

    born: Mapping[str, float]
    started: Mapping[str, Sequence[float]]


class Deployments(Protocol):
    """
    The `MLModelDeployment` objects themselves.
    """

    def known(self, key: Key) -> Document | None:
        """
        The object as last heard of, without asking; None: there is none. May be stale.
        """

    async def read(self, key: Key) -> Document | None:
        """
        The object now; None: there is none.
        """

    async def commit(self, document: Document, status: Document) -> Document:
        """
        Write the whole status, only if the object is still the one in `document`; the object as written.

        Raises:
            ConflictError: it is not.
            GoneError: it is gone.
        """


class Workloads(Protocol):
    """
    Revisions as Deployments and Services.
    """

    def arms(self, key: Key) -> Mapping[str, Arm]:
        """
        By revision, as last heard of.
        """

    def pod_times(self, key: Key) -> PodTimes:
        """
        Of all pods of the object, as last heard of.
        """

    async def ensure(self, owner: Owner, spec: MLModelDeploymentSpec, effect: EnsureWorkload) -> None:
        """
        Deployment and Service of the spec's revision exist. Idempotent.

        Raises:
            RefusedError: the API server does not take the pod template.
        """

    async def scale(self, owner: Owner, effect: ScaleWorkload) -> None:
        """
        The Deployment asks for so many pods. Idempotent.
        """

    async def set_role(self, owner: Owner, effect: SetRole) -> None:
        """
        The objects carry the role. Idempotent.
        """

    async def restart(self, owner: Owner, effect: RestartWorkload) -> None:
        """
        The revision's pods are being replaced for this request. Idempotent.
        """

    async def delete(self, owner: Owner, effect: DeleteWorkload) -> None:
        """
        Deployment and Service are gone. Idempotent.
        """


class Comparators(Protocol):
    """
    Comparators as Deployments and Services.
    """

    @property
    def available(self) -> bool:
        """
        There is an image to run them with.
        """

    def comparators(self, key: Key) -> Mapping[str, Comparator]:
        """
        By the revision they stand before, as last heard of.
        """

    async def ensure(self, owner: Owner, effect: EnsureComparator) -> None:
        """
        The comparator's Deployment and Service are as the effect says. Idempotent.

        Raises:
            RefusedError: there is no image to run it with, or the API server does not take it.
        """

    async def delete(self, owner: Owner, effect: DeleteComparator) -> None:
        """
        Deployment and Service are gone. Idempotent.
        """


class Routes(Protocol):
    """
    The route that splits traffic between revisions.
    """

    def state(self, key: Key) -> RouteState:
        """
        As last heard of.
        """

    async def set_traffic(self, owner: Owner, spec: MLModelDeploymentSpec, effect: SetTraffic) -> None:
        """
        The route gives these shares and lists no other revision. Idempotent.

        Raises:
            ConflictError: somebody else owns the route, and the effect would raise exposure.
        """

    async def drop_former(self, owner: Owner) -> None:
        """
        Of routers that the object does not name any more nothing of ours is left. Idempotent.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplesQuestion:
    """
    Raw samples of one selector over (since, until].
    """

    selector: str
    since: datetime
    until: datetime


class MetricSource(Protocol):
    """
    Raw samples, as stored.
    """

    async def samples(self, namespace: str, source: Prometheus, question: SamplesQuestion) -> tuple[Series, ...]:
        """
        Every series the selector names, with its samples in time order; empty: there is none.

        `namespace` is where the source's secrets are.

        Raises:
            UnreachableError: no complete answer was to be had; partial answers count as none.
            DeniedError: the address is not allowed, or the credentials are not accepted.
            RefusedError: the source does not understand the question.
        """


def counters_only(series: tuple[Series, ...]) -> tuple[Series, ...]:
    """
    The same, where no native histogram is among them.

    Raises:
        RefusedError: One is; only a histogram's metric reads such.
    """
    for one in series:
        if one.histograms:
            raise RefusedError(f"{one.labels.get('__name__')} is a native histogram: the metric needs counters")
    return series


class WarmUps(Protocol):
    """
    Requests sent to a candidate before users reach it.
    """

    async def send(self, key: Key, revision: str, warm_up: WarmUp) -> WarmUpReading:
        """
        Send them all; failures are part of the reading.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Announcement:
    """
    A transition, for people.
    """

    reason: str
    action: str
    note: str
    warning: bool


class EventSink(Protocol):
    """
    Kubernetes Events about an object.
    """

    async def announce(self, owner: Owner, announcement: Announcement) -> None:
        """
        Record it once; a repetition after a crash is the same Event.
        """


class Clock(Protocol):
    """
    The wall clock.
    """

    def now(self) -> datetime:
        """
        Aware UTC.
        """
