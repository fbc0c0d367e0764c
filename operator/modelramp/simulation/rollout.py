"""
One rollout in virtual time: the operator's decisions, a gateway that obeys at once, and invented traffic.
"""

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from random import Random
from typing import Final

from modelramp.analysis import Block
from modelramp.analysis.dispersion import estimate_dispersion
from modelramp.api.document import MLModelDeployment
from modelramp.api.names import ANNOTATION_ACTION
from modelramp.api.status import StableStatus, Status
from modelramp.api.vocabulary import Phase, Reason
from modelramp.rollout.comparing import wanted_comparator
from modelramp.rollout.decide import transition, wake_at
from modelramp.rollout.desired import wanted_aside, wanted_compared, wanted_mirrors, wanted_shares
from modelramp.rollout.needs import due
from modelramp.rollout.observed import Acceptance, Arm, Comparator, Measured, Observed, RouteState, WarmUpReading
from modelramp.rollout.opening import Opening, PhiSource
from modelramp.rollout.rules import Rule
from modelramp.rollout.situation import Situation
from modelramp.rollout.strategy import course_of
from modelramp.simulation.traffic import Traffic, TrafficModel

BEGIN: Final = datetime(2000, 1, 1, tzinfo=UTC)
LONGEST: Final = timedelta(days=30)
STABLE_REVISION: Final = "stable"
HISTORY_WINDOW_SECONDS: Final = 60.0
HISTORY_WINDOWS: Final = 360  # six hours: the hourly scale needs five windows


class Outcome(StrEnum):
    """
    How a run ended.
    """

    PROMOTED = "Promoted"
    REPORTED = "Reported"
    """A shadow run that ends with a report passed."""
    ROLLED_BACK = "RolledBack"
    INCONCLUSIVE = "Inconclusive"
    """A step deadline passed without sufficient evidence; the operator pauses there."""


@dataclass(frozen=True, slots=True)
class Moment:
    """
    A transition.

    Attributes:
        seconds: Since the candidate was begun.
        phase: Where it led.
        percent: The candidate's share of users' requests afterwards.
        message: What the operator said.

    """

    seconds: float
    phase: str
    percent: Decimal
    message: str


@dataclass(frozen=True, slots=True)
class Run:
    """
    What became of one rollout.

    Attributes:
        outcome: How it ended.
        seconds: From the candidate's beginning to the decision.
        requests: Of users, until then.
        bad: Bad answers of the candidate to users, until then; copies have no user.
        culprit: The metric whose harm is most certain, where it was rolled back by evidence; None otherwise, or if no
            single one is certain.
        moments: The transitions.

    """

    outcome: Outcome
    seconds: float
    requests: int
    bad: int
    culprit: str | None
    moments: tuple[Moment, ...]


def _learnt(traffic: Traffic, model: TrafficModel) -> dict[str, Opening]:
    """
    The overdispersion of each metric, estimated from stable's look-back as before a real rollout. A world of one pod
    stands for one whose history is known to be without any.
    """
    if model.stable_pods == 1:
        return {name: Opening(phi=1.0, source=PhiSource.ESTIMATED) for name in model.rates}
    histories = traffic.history(HISTORY_WINDOWS, HISTORY_WINDOW_SECONDS)
    found = {name: estimate_dispersion(pods, window_seconds=HISTORY_WINDOW_SECONDS) for name, pods in histories.items()}
    return {
        name: Opening(phi=one.phi, source=PhiSource.ESTIMATED if one.known else PhiSource.ASSUMED)
        for name, one in found.items()
    }


class _World:
    """
    A cluster in which all goes well but the requests.
    """

    def __init__(self, deployment: MLModelDeployment, model: TrafficModel, rng: Random) -> None:
        """
        Stable serves everything; the candidate's pods are ready as soon as they are wanted.
        """
        stable = StableStatus(revision=STABLE_REVISION, version="stable", since=BEGIN)
        self.deployment = replace(deployment, status=Status(phase=Phase.STABLE, stable=stable))
        self.traffic = Traffic(model, rng)
        self._onset = model.onset
        self._histories = _learnt(self.traffic, model)
        self._last_percent = course_of(deployment.spec).steps[-1].percent
        self.now = BEGIN
        replicas = deployment.spec.serving.replicas
        self._arms = {
            revision: Arm(revision=revision, wanted_replicas=replicas, pods=replicas, ready=replicas)
            for revision in (STABLE_REVISION, deployment.revision)
        }
        warm_up = deployment.spec.serving.warm_up
        self._warm = None if warm_up is None else WarmUpReading(sent=warm_up.requests, failed=0, p95_seconds=0.0)
        smoke = next((step.smoke for step in course_of(deployment.spec).steps if step.smoke is not None), None)
        self._smoke = None if smoke is None else WarmUpReading(sent=smoke.requests, failed=0, p95_seconds=0.0)
        self.route = RouteState(acceptance=Acceptance.ACCEPTED, shares={STABLE_REVISION: Decimal(100)})
        self._comparators: dict[str, Comparator] = {}

    @property
    def seconds(self) -> float:
        return (self.now - BEGIN).total_seconds()

    def look(self) -> tuple[Situation, Rule | None]:
        """
        One decision, and what follows from it.
        """
        bare = Observed(
            arms=self._arms,
            route=self.route,
            comparators=self._comparators,
            warm_up=self._warm,
            smoke=self._smoke,
            histories=self._histories,
        )
        asked = due(Situation(deployment=self.deployment, status=self.deployment.status, observed=bare, now=self.now))
        readings = {}
        if asked:
            _, window = asked[0]
            self.traffic.until((window.after - BEGIN).total_seconds())
            made = self.traffic.until((window.until - BEGIN).total_seconds())
            readings = {m.title: Measured(Block(own.after, own.until, *made[m.title])) for m, own in asked}
        after, rule = transition(self.deployment, replace(bare, readings=readings), self.now)
        self.deployment = replace(self.deployment, status=after.status, annotations=_approval(after))
        if rule is not None:
            self._obey(after)
        return after, rule

    def restart(self) -> None:
        """
        Forget all but what was written.
        """
        written = json.loads(json.dumps(self.deployment.status.to_wire()))
        self.deployment = replace(self.deployment, status=Status.model_validate(written))

    def _obey(self, s: Situation) -> None:
        """
        The gateway follows at once, and a comparator is ready as soon as it is wanted.
        """
        compares = wanted_comparator(s)
        self._comparators = {} if compares is None else {compares.revision: Comparator(ready=1, hash=compares.hash)}
        s = replace(s, observed=replace(s.observed, comparators=self._comparators))
        cohort, host = wanted_aside(s)
        before, self.route = (
            self.route,
            replace(
                self.route,
                shares=dict(wanted_shares(s)),
                mirrors=dict(wanted_mirrors(s)),
                compared=wanted_compared(s),
                cohort=cohort,
                host=host,
                traffic_hash=s.deployment.traffic_hash,
            ),
        )
        if (self.route.shares, self.route.mirrors) != (before.shares, before.mirrors):
            self._split(s.deployment.revision)

    def _split(self, candidate: str) -> None:
        percent, copied = (given.get(candidate, Decimal(0)) for given in (self.route.shares, self.route.mirrors))
        self.traffic.split(float(percent) / 100.0, self.seconds, copied=float(copied) / 100.0)
        first = self.traffic.differs_from == float("inf") and percent + copied > 0
        if first and (not self._onset.in_last_step or percent == self._last_percent):
            self.traffic.differs_from = self.seconds + self._onset.seconds


def _approval(s: Situation) -> dict[str, str]:
    """
    The request of somebody who approves what waits for it, as an annotation; empty: nothing does.
    """
    asked = s.status.recommendation
    if s.status.reason is not Reason.APPROVAL_NEEDED or asked is None:
        return {}
    request = {"id": f"step-{asked.step}", "verb": "approve", "revision": asked.revision, "by": "simulation"}
    return {ANNOTATION_ACTION: json.dumps({**request, "step": asked.step})}


def simulate(deployment: MLModelDeployment, model: TrafficModel, seed: str, *, restarts: bool = False) -> Run:
    """
    Roll the deployment's spec out once against the model's traffic.

    The stable revision exists already. The rates of all metrics that the spec judges must be in the model. Somebody
    does at once what is recommended to people, and the other candidates of a shadow run are left out.

    With `restarts` the operator dies after every look and reads its memory from the API server's JSON again.

    Raises:
        ValueError: A metric has no rates, or the run does not end within 30 days of virtual time.

    """
    missing = {metric.title for metric in deployment.spec.analysis.metrics} - set(model.rates)
    if missing:
        raise ValueError(f"no rates for {', '.join(sorted(missing))}")
    deployment = replace(deployment, spec=deployment.spec.without_others)
    world, moments = _World(deployment, model, Random(seed)), list[Moment]()
    while world.now - BEGIN < LONGEST:
        after, rule = world.look()
        if restarts:
            world.restart()
        if rule is not None:
            moments.append(
                Moment(
                    world.seconds,
                    str(after.status.phase),
                    world.route.shares.get(deployment.revision, Decimal(0)),
                    after.status.message,
                )
            )
        if rule is not None and (outcome := _outcome(after)):
            world.traffic.until(world.seconds)
            return Run(
                outcome, world.seconds, world.traffic.requests, world.traffic.bad, _culprit(after), tuple(moments)
            )
        world.now = max(world.now, wake_at(after, moved=rule is not None) or world.now)
    raise ValueError(f"no end within {LONGEST.days} days of virtual time")


def _outcome(s: Situation) -> Outcome | None:
    match s.status.phase:
        case Phase.PROMOTING:
            return Outcome.PROMOTED
        case Phase.ROLLING_BACK:
            return Outcome.REPORTED if s.status.reason is Reason.SHADOW_REPORTED else Outcome.ROLLED_BACK
        case Phase.PAUSED if s.status.reason is Reason.ROLLBACK_RECOMMENDED:
            return Outcome.ROLLED_BACK
        case Phase.PAUSED if s.status.reason is not Reason.APPROVAL_NEEDED:
            return Outcome.INCONCLUSIVE
        case _:
            return None


def _culprit(s: Situation) -> str | None:
    failed = s.status.reason is Reason.ANALYSIS_FAILED
    return next(iter(s.culprits), None) if failed else None
