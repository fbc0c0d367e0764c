"""
The result of thinking: effects as data, and why.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from modelramp.api.spec import Compare, MLModelDeploymentSpec
from modelramp.api.status import Status
from modelramp.api.vocabulary import Phase, Reason
from modelramp.rollout.observed import CohortRoute, HostRoute, Role


@dataclass(frozen=True, slots=True, kw_only=True)
class EnsureWorkload:
    """
    The spec's revision exists, or that of another candidate it lists: its Deployment at this size, and its Service.
    """

    revision: str
    replicas: int
    role: Role
    other: MLModelDeploymentSpec | None = None
    """What another candidate is made from; None: the object's own spec."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaleWorkload:
    """
    The revision's Deployment asks for so many pods.
    """

    revision: str
    replicas: int
    grows: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SetTraffic:
    """
    The route gives these percents to the revisions, and lists no other; it copies and sends by header or host name
    what is said here, and nothing else.
    """

    shares: Mapping[str, Decimal]
    mirrors: Mapping[str, Decimal] = field(default_factory=dict)
    """Percent of requests copied, by revision, all above 0; empty: none are."""
    compared: frozenset[str] = frozenset()
    """Those of them whose copies go to their comparator; the others' go to the revision itself."""
    cohort: CohortRoute | None = None
    """Requests sent by their header; None: none are."""
    host: HostRoute | None = None
    """Requests sent by a host name of their own; None: none are."""
    raises_exposure: bool
    """A revision other than stable gets more than the route gives it now, by share, copy, header or host name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SetRole:
    """
    The revision's objects carry this role.
    """

    revision: str
    role: Role


@dataclass(frozen=True, slots=True, kw_only=True)
class RestartWorkload:
    """
    The revision's pods are replaced by new ones of the same template, ready before the old ones go.
    """

    revision: str
    restart_id: str
    """Of the request; pods that carry it already are not replaced again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteWorkload:
    """
    The revision's Deployment and Service are gone.
    """

    revision: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DropFormerRouter:
    """
    Nothing of a router that the spec does not name any more is left.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class EnsureComparator:
    """
    A comparator stands before the revision, and compares as the spec says now.
    """

    revision: str
    stable: str
    """The revision it is compared with."""
    compare: Compare
    hash: str
    """Of all of the above; written on it, so that an edit is seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteComparator:
    """
    The comparator before the revision is gone.
    """

    revision: str


WorkloadEffect = EnsureWorkload | ScaleWorkload | SetRole | RestartWorkload | DeleteWorkload
Effect = WorkloadEffect | SetTraffic | DropFormerRouter | EnsureComparator | DeleteComparator


@dataclass(frozen=True, slots=True, kw_only=True)
class Because:
    """
    Why a decision was taken.
    """

    rule: str | None
    """The guard that fired; None: no transition."""
    reason: Reason
    message: str
    came_from: Phase
    went_to: Phase


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """
    What to remember, what to do, and when to look again.
    """

    status: Status
    """The complete next memory; equal to the input's when nothing changed."""
    effects: tuple[Effect, ...]
    """In safe order; empty when the world already matches."""
    wake_at: datetime | None
    """When to look again without being woken; None: only when something changes."""
    because: Because

    @property
    def raises_exposure(self) -> bool:
        """
        Some effect gives a revision on trial more traffic: it needs a fresh read or write of the object first.
        """
        return any(isinstance(effect, SetTraffic) and effect.raises_exposure for effect in self.effects)

    @property
    def lowers_exposure(self) -> bool:
        """
        Some effect takes traffic from a revision on trial, or from one that is retired.
        """
        return any(isinstance(effect, SetTraffic) and not effect.raises_exposure for effect in self.effects)
