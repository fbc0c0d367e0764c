"""
The world as seen in one cycle. Outages are values here, never exceptions.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from modelramp.analysis import Block, Counts
from modelramp.analysis.betting import GaugeBlock
from modelramp.analysis.stores import UNKNOWN_STORE, Store
from modelramp.analysis.tails import TailBlock
from modelramp.rollout.opening import Opening


class Role(StrEnum):
    """
    What a revision is to the rollout, as written on its objects.
    """

    STABLE = "stable"
    CANDIDATE = "candidate"
    RETIRED = "retired"
    SHADOW = "shadow"
    """Another candidate of a shadow run: it gets copies and nothing else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """
    One revision's workload and Service as they are.
    """

    revision: str
    wanted_replicas: int
    """What its Deployment asks for."""
    pods: int
    """Pods that exist, ready or not."""
    ready: int
    """Ready endpoints of its Service."""
    terminating: int = 0
    """Of the pods, those that were told to end."""
    settled: bool = True
    """The pods that are seen answer to what its Deployment asks for now, as far as its controller says so."""
    asks: Mapping[str, Decimal] = field(default_factory=dict)
    """What one of its pods takes of each resource its template names."""
    unschedulable: str | None = None
    """Why a pod finds no node, for people; None: every pod has one."""
    role: str | None = None
    """The role label; None when it carries none."""
    restart_id: str | None = None
    """The request for new pods that its pod template carries; None: it carries none."""
    crash_looping: str | None = None
    """What keeps crashing, for people; None: nothing."""
    out_of_memory: str | None = None
    """What was killed for memory, for people; None: nothing."""


class Acceptance(StrEnum):
    """
    What the gateway says of the route's present generation.
    """

    ACCEPTED = "Accepted"
    PENDING = "Pending"
    """It has not spoken of this generation yet."""
    REFUSED = "Refused"
    ABSENT = "Absent"
    """There is no route."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CohortRoute:
    """
    Requests with exactly this header go to this revision, whatever the shares.
    """

    header: str
    value: str
    revision: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HostRoute:
    """
    Requests for this host name go to this revision, by a route of their own beside the one of the shares.
    """

    hostname: str
    revision: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparator:
    """
    The comparator before one revision as it is: it gets the copies, and asks stable and the revision the same.
    """

    ready: int
    """Ready endpoints of its Service."""
    hash: str | None
    """`EnsureComparator.hash` when it was written; None: it carries none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteState:
    """
    The route as it is.
    """

    acceptance: Acceptance = Acceptance.ABSENT
    shares: Mapping[str, Decimal] = field(default_factory=dict)
    """Percent by revision, every listed backend, also those at 0."""
    achieved: Mapping[str, Decimal] = field(default_factory=dict)
    """Percent by revision that comes of the ready pods, where a share is a ratio of pods; empty: it is none."""
    mirrors: Mapping[str, Decimal] = field(default_factory=dict)
    """Percent of requests that are copied, by revision; without those that get none."""
    compared: frozenset[str] = frozenset()
    """Of the revisions that requests are copied for, those whose copies go to their comparator."""
    cohort: CohortRoute | None = None
    """Requests that are sent by their header; None: none are."""
    host: HostRoute | None = None
    """Requests that are sent by a host name of their own; None: none are. Both routes must be accepted for `acceptance`
    to say so."""
    message: str = ""
    """Why it is refused or pending, for people."""
    contested_by: str | None = None
    """Who else owns or writes it; None: nobody. Exposure is not raised while set."""
    traffic_hash: str | None = None
    """`MLModelDeployment.traffic_hash` when the route was written; None: there is none. Tells whether hosts, parents or
    timeouts of the spec changed since."""
    controller: str | None = None
    """The gateway's controller name; None: not known. Chooses the gateway's counters."""
    since: datetime | None = None
    """When the router's present object was made; told beside a former one only, else None."""
    former: bool = False
    """A router that the spec named before still sends requests, to the stable revision of then."""


@dataclass(frozen=True, slots=True)
class Measured:
    """
    A metric's new block of counts, or of means.
    """

    block: Block | TailBlock | GaugeBlock
    slices: Mapping[str, Block] = field(default_factory=dict)
    """Of the same time, by the label's value; without those that nothing was counted of."""
    note: str = ""
    """What its reader should know; empty: nothing."""
    pods: Mapping[str, Counts] = field(default_factory=dict)
    """Of the same time, what each of stable's pods counted; empty where the series do not tell them apart."""
    store: Store = UNKNOWN_STORE
    """Who told; unknown where it was nobody, or does not matter."""


@dataclass(frozen=True, slots=True)
class NoData:
    """
    The source answered and has nothing to count.
    """

    message: str


@dataclass(frozen=True, slots=True)
class AnotherStore(NoData):
    """
    Another store answered than at the last block: what is new up to `until` is left out for good.
    """

    until: datetime
    store: Store
    """The one that answered."""


@dataclass(frozen=True, slots=True)
class Unavailable:
    """
    The source could not be asked.
    """

    message: str


@dataclass(frozen=True, slots=True)
class Impossible:
    """
    The spec asks what stable's past shows to be impossible: only an edit helps. The message names the field.
    """

    message: str


Reading = Measured | NoData | Unavailable
History = Opening | NoData | Unavailable | Impossible
"""What stable's past told, or why it did not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drain:
    """
    What still reaches revisions that should get nothing: counted requests in the last moments, and requests in flight.
    """

    requests: Mapping[str, float]
    in_flight: Mapping[str, float]

    def quiet(self, revision: str) -> bool:
        """
        No request reached the revision in the last moments, though some may be in flight. Of a revision that was not
        asked for it is not known.
        """
        return self.requests.get(revision, 1) <= 0

    def empty(self, revision: str) -> bool:
        """
        Nothing reaches the revision: none counted and none in flight.
        """
        return self.quiet(revision) and self.in_flight.get(revision, 0) <= 0


@dataclass(frozen=True, slots=True, kw_only=True)
class WarmUpReading:
    """
    How the warm-up went: all of `sent` requests were tried.
    """

    sent: int
    failed: int
    p95_seconds: float
    message: str = ""
    refused: int = 0
    """Of those that failed, how many were answered, and not with 2xx."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """
    What was asked about another candidate of a shadow run; as of the candidate itself.
    """

    readings: Mapping[str, Reading] = field(default_factory=dict)
    histories: Mapping[str, History] = field(default_factory=dict)
    warm_up: WarmUpReading | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """
    Everything one decision may look at.
    """

    arms: Mapping[str, Arm] = field(default_factory=dict)
    route: RouteState = field(default_factory=RouteState)
    comparators: Mapping[str, Comparator] = field(default_factory=dict)
    """By the revision they stand before."""
    can_compare: bool = True
    """This operator was given an image to run comparators with."""
    readings: Mapping[str, Reading] = field(default_factory=dict)
    """By metric name; a metric that was not due has none."""
    histories: Mapping[str, History] = field(default_factory=dict)
    """By metric name; a metric that was not asked about has none."""
    drain: Drain | None = None
    """None: not asked for, or not to be had."""
    warm_up: WarmUpReading | None = None
    """None: not asked for."""
    smoke: WarmUpReading | None = None
    """How the step's smoke requests went; None: not asked for."""
    others: Mapping[str, Beside] = field(default_factory=dict)
    """By revision; of another candidate that was not asked about there is none."""
    refused: str | None = None
    """The last effect was refused by the API server: what and why; None: none was."""
