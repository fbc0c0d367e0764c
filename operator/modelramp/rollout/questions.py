"""
What may be asked of the metric source and of the candidate, as values.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from modelramp.analysis import Window
from modelramp.analysis.history import WINDOW_SECONDS
from modelramp.analysis.stores import UNKNOWN_STORE, Store
from modelramp.analysis.tailplan import Question
from modelramp.api.spec import WarmUp
from modelramp.rollout.counters import ArmSelectors, Selectors


@dataclass(frozen=True, slots=True, kw_only=True)
class CounterQuestion:
    """
    One metric's new counts.
    """

    name: str
    candidate: Selectors | None
    """None: the operator knows no counters for it, or beside selectors of stable: it gets no request, and stable is
    counted alone."""
    stable: Selectors | None
    """None: as above, or stable gets no request, and the candidate is counted alone."""
    window: Window
    slice_label: str | None = None
    """The label that tells slices apart; None: no slices are looked at."""
    slice_values: tuple[str, ...] = ()
    tells_pods: bool = False
    """The series tell stable's pods apart; only then are they tested against each other."""
    short: bool = False
    """The window is shorter than the interval: that nothing was scraped in it yet means nothing."""
    edges: tuple[float, ...] = ()
    """The bucket edges that are judged, in seconds; of durations only."""
    store: Store = UNKNOWN_STORE
    """Who told of the last block: of another store nothing is counted yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryQuestion:
    """
    What stable's past tells of one metric before its first block.
    """

    name: str
    stable: Selectors | None
    """None: the operator knows no series for it; asked of durations only, whose edges it would have to tell."""
    until: datetime
    look_back: timedelta
    tells_pods: bool
    """The series tell stable's pods apart; else they say nothing about overdispersion."""
    baseline: ArmSelectors | None = None
    """The very series of stable that a rate is counted by, where its past has to stand for it in the rollout; None: it
    is counted beside the candidate first, or the metric is no rate."""
    question: Question | None
    """What is asked of durations; None for a rate or a gauge."""
    field: str
    """Where the spec asks it."""
    block_seconds: float = WINDOW_SECONDS
    """The past is cut into pieces of this length; a gauge's are as long as the rollout's blocks."""
    harm: float = 0.0
    """By how much a gauge may be above stable's before it is harm; of other metrics it says nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DrainQuestion:
    """
    What still reaches a revision.
    """

    revision: str
    total: str
    in_flight: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class WarmUpQuestion:
    """
    Send the warm-up to this revision.
    """

    revision: str
    warm_up: WarmUp


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """
    Everything to be asked in this cycle; empty for an object at rest.
    """

    counters: tuple[CounterQuestion, ...] = ()
    histories: tuple[HistoryQuestion, ...] = ()
    drain: tuple[DrainQuestion, ...] = ()
    drain_at: datetime | None = None
    warm_up: WarmUpQuestion | None = None
    smoke: WarmUpQuestion | None = None
    others: Mapping[str, "Needs"] = field(default_factory=dict)
    """By revision, what is to be asked about the other candidates of a shadow run."""
